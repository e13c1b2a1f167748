/** A network namespace of the benchmark's own: nothing that is sent here reaches the machine's network. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { type Addon, CLONE_NEWNET, loadAddon } from '../../dev/addon.js';
import { errnoName } from '../../uapi/errno.js';
import { CommandError } from '../exit.js';
import { findCommand } from './programs.js';

/** Who gets the frames: dropped at the Ethernet header; held by a socket that nobody reads; read by a program. */
export const CONSUMERS = ['drop', 'hold', 'read'] as const;
export type Consumer = (typeof CONSUMERS)[number];

/** A network of the benchmark's: its first three numbers. The host has .1, we are .2, and .9 has a MAC that is nobody's. */
export type Subnet = '10.9.0' | '10.9.1';
export const NOBODY_MAC = '02:00:00:00:00:02';
export const PORT = 9000;

export function runIp(command: string): string {
  return execFileSync(findCommand('ip') ?? 'ip', command.split(' '), { encoding: 'utf8' });
}

/** Why a namespace with a TAP cannot be had, or null. */
export function labProblem(): CommandError | null {
  if (process.geteuid?.() !== 0) {
    return new CommandError(
      'a TAP in a network namespace of its own needs root: nothing was measured',
      'sudo udptap bench; without root: udptap bench --only growth',
    );
  }
  if (findCommand('ip') === null)
    return new CommandError('there is no "ip" command here', 'sudo apt-get install iproute2');
  return null;
}

/** Puts this thread, and what it starts, into a new network namespace without IPv6, whose chatter would disturb. */
export function enterNamespace(): Addon {
  const addon = loadAddon();
  const result = addon.unshare(CLONE_NEWNET);
  if (result < 0) throw new CommandError(`no network namespace can be made here: ${errnoName(-result)}`);
  try {
    for (const which of ['all', 'default'])
      writeFileSync(`/proc/sys/net/ipv6/conf/${which}/disable_ipv6`, '1');
  } catch {} // a kernel without IPv6
  runIp('link set lo up');
  return addon;
}

/** Our descriptor of a TAP that this process has open. */
export function tapDescriptor(name: string): number {
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== '/dev/net/tun') continue;
      if (new RegExp(`^iff:\\s*${name}$`, 'm').test(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')))
        return Number(fd);
    } catch {} // the descriptor of the listing itself is gone by now
  }
  throw new Error(`${name} is not open`);
}

/** Frames that the host received from, and gave to, an interface of this namespace. */
export function hostCounters(name: string): { readonly received: number; readonly sent: number } {
  for (const line of readFileSync('/proc/thread-self/net/dev', 'latin1').split('\n')) {
    const [device, ...rest] = line.trim().split(/[:\s]+/);
    if (device === name) return { received: Number(rest[1]), sent: Number(rest[9]) };
  }
  throw new Error(`there is no ${name}`);
}

/** The MAC of the host's end of an interface. */
export function hostMac(name: string): string {
  return /link\/ether ([0-9a-f:]{17})/.exec(runIp(`link show ${name}`))?.[1] ?? NOBODY_MAC;
}
