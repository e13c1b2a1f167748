/** Opening a TAP from the command line, and what to say when that fails. */
import { closeSync, openSync } from 'node:fs';
import { type Addon, CLONE_NEWNET, loadAddon } from '../dev/addon.js';
import { TapError } from '../dev/tap.js';
import {
  EACCES,
  EBUSY,
  EINVAL,
  ENODEV,
  ENOENT,
  ENXIO,
  EPERM,
  errnoMessage,
  errnoName,
} from '../uapi/errno.js';
import { CommandError } from './exit.js';

/** What would help, for each errno that opening a TAP gives. */
function mendOf(name: string, errno: number): string | null {
  switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return '/dev/net/tun is missing: sudo modprobe tun, in a container --device /dev/net/tun; "udptap doctor" says more';
    case EACCES:
      return 'you may not open /dev/net/tun: run with sudo, or "sudo chmod 666 /dev/net/tun"';
    case EPERM:
      return `this needs CAP_NET_ADMIN: run with sudo, or let root make a TAP for you once: sudo udptap tap create ${name} --user ${process.env.USER ?? '$USER'} --addr 10.9.0.1/24`;
    case EBUSY:
      return `another program holds ${name}, or it exists already: "udptap tap list" shows all; choose another name`;
    case EINVAL:
      return `an interface ${name} exists that is no TAP, or a TAP made with other vnet_hdr or multi_queue flags: "ip -d link show ${name}" shows them`;
    default:
      return null;
  }
}

/** What the kernel refused about a TAP; `errno` of either sign. */
export function tapError(name: string, errno: number, doing: string): CommandError {
  const code = Math.abs(errno);
  return new CommandError(`${name}: ${doing}: ${errnoName(code)}: ${errnoMessage(code)}`, mendOf(name, code));
}

/** The same for what `openTap` throws. */
export function openTapError(name: string, error: unknown): unknown {
  return error instanceof TapError ? tapError(name, error.errno, 'opening the TAP') : error;
}

/** Runs something with the calling thread in a named network namespace, and comes back. */
export function inNetns<T>(addon: Addon, netns: string | null, run: () => T): T {
  if (netns === null) return run();
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const entered = addon.setns(`/run/netns/${netns}`, CLONE_NEWNET);
    if (entered < 0) {
      throw new CommandError(
        `network namespace ${netns}: ${errnoName(-entered)}: ${errnoMessage(-entered)}`,
        entered === -ENOENT ? `make it: sudo ip netns add ${netns}` : 'entering it needs root',
      );
    }
    try {
      return run();
    } finally {
      addon.setns(`/proc/self/fd/${home}`, CLONE_NEWNET);
    }
  } finally {
    closeSync(home);
  }
}

/** Opens a TAP through the addon alone, without a Net. @throws CommandError */
export function nativeTapOpen(
  name: string,
  flags: number,
  netns: string | null,
): { readonly addon: Addon; readonly id: number; readonly name: string } {
  const addon = loadAddon();
  const tap = inNetns(addon, netns, () => addon.tapOpen(name, flags));
  if (typeof tap === 'number') throw tapError(name, tap, 'opening the TAP');
  return { addon, id: tap.id, name: tap.name };
}
