/** `udptap tap create|delete|list`: persistent TAP devices, which later sends can use without root. */
import { readFileSync } from 'node:fs';
import { IFF_MULTI_QUEUE, IFF_TUN_EXCL, IFF_VNET_HDR } from '../uapi/if_tun.js';
import { CommandError, EXIT_OK, UsageError } from './exit.js';
import { hostCommands, ipBatch, runIp } from './host.js';
import { nativeTapOpen, tapError } from './tap_errors.js';
import { parseAddress, parseInteger } from './values.js';

export interface TapCreateFlags {
  readonly user?: string;
  readonly addr?: string;
  readonly mtu?: string;
  readonly netns?: string;
  readonly vnetHdr?: boolean;
  readonly multiQueue?: boolean;
}

/** The number of a user that is given by name or number. */
function userId(user: string): number {
  if (/^\d+$/.test(user)) return parseInteger(user, '--user', 0, 2 ** 32 - 2);
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${user}:`));
  if (line === undefined) throw new UsageError(`--user: there is no user "${user}"`);
  return Number(line.split(':')[2]);
}

function checkName(name: string): void {
  if (name === '' || Buffer.byteLength(name) > 15 || /[/:\s]/.test(name)) {
    throw new UsageError(`"${name}" is no name for an interface: 1 to 15 bytes without /, : and spaces`);
  }
}

function checkAddress(address: string): void {
  const [host = '', length = ''] = address.split('/');
  parseAddress(host, '--addr');
  parseInteger(length, '--addr', 1, 32);
}

/** Makes a TAP that stays, with its address on the host if one is given. */
export async function tapCreate(name: string, flags: TapCreateFlags): Promise<number> {
  checkName(name);
  const owner = flags.user === undefined ? null : userId(flags.user);
  const mtu = flags.mtu === undefined ? null : parseInteger(flags.mtu, '--mtu', 68, 65521);
  if (flags.addr !== undefined) checkAddress(flags.addr);
  const netns = flags.netns ?? null;
  const tunFlags =
    IFF_TUN_EXCL |
    (flags.vnetHdr === true ? IFF_VNET_HDR : 0) |
    (flags.multiQueue === true ? IFF_MULTI_QUEUE : 0);
  const tap = nativeTapOpen(name, tunFlags, netns);
  try {
    // Without an owner anybody who may open /dev/net/tun could attach: then it is whoever called sudo.
    const caller = Number(process.env.SUDO_UID ?? process.getuid?.() ?? 0);
    const owned = tap.addon.tapSetOwner(tap.id, owner ?? caller);
    if (owned < 0) throw tapError(name, owned, 'giving it to its owner');
    await ipBatch(
      flags.addr === undefined
        ? [`link set dev ${tap.name} addrgenmode none`]
        : hostCommands(tap.name, flags.addr, mtu),
      netns,
    );
    if (flags.addr === undefined && mtu !== null)
      await ipBatch([`link set dev ${tap.name} mtu ${mtu}`], netns);
    // Last, so that whatever fails before leaves nothing behind.
    const kept = tap.addon.tapSetPersist(tap.id, true);
    if (kept < 0) throw tapError(name, kept, 'making it stay');
  } finally {
    tap.addon.tapClose(tap.id);
  }
  process.stdout.write(`${tap.name}\n`);
  return EXIT_OK;
}

/** Removes a TAP. */
export async function tapDelete(name: string, flags: { readonly netns?: string }): Promise<number> {
  checkName(name);
  const links = await tapLinks(flags.netns ?? null);
  if (!links.some((link) => link.ifname === name)) {
    throw new CommandError(`there is no TAP ${name}`, '"udptap tap list" shows those that exist');
  }
  await ipBatch([`link del dev ${name}`], flags.netns ?? null);
  return EXIT_OK;
}

interface TunLink {
  readonly ifname: string;
  readonly operstate: string;
  readonly mtu: number;
  readonly address: string;
  readonly linkinfo?: {
    readonly info_data?: {
      readonly type?: string;
      readonly vnet_hdr?: boolean;
      readonly multi_queue?: boolean;
      readonly persist?: boolean;
      readonly user?: string | number;
    };
  };
}

async function tapLinks(netns: string | null): Promise<TunLink[]> {
  const { code, stdout, stderr } = await runIp(['-j', '-d', 'link', 'show', 'type', 'tun'], netns);
  if (code !== 0) throw new Error(`ip: ${stderr}`);
  const links = stdout.trim() === '' ? [] : (JSON.parse(stdout) as TunLink[]);
  return links.filter((link) => link.linkinfo?.info_data?.type === 'tap');
}

/** Lists the TAP devices of this host or namespace. */
export async function tapList(flags: { readonly netns?: string; readonly json?: boolean }): Promise<number> {
  for (const link of await tapLinks(flags.netns ?? null)) {
    const data = link.linkinfo?.info_data ?? {};
    const entry = {
      name: link.ifname,
      state: link.operstate.toLowerCase(),
      mac: link.address,
      mtu: link.mtu,
      persistent: data.persist === true,
      user: data.user ?? null,
      vnetHdr: data.vnet_hdr === true,
      multiQueue: data.multi_queue === true,
    };
    if (flags.json === true) process.stdout.write(`${JSON.stringify(entry)}\n`);
    else {
      const words = [
        entry.persistent ? 'persistent' : 'temporary',
        ...(entry.user === null ? [] : [`user ${entry.user}`]),
        ...(entry.vnetHdr ? ['vnet_hdr'] : []),
        ...(entry.multiQueue ? ['multi_queue'] : []),
      ];
      process.stdout.write(
        `${entry.name.padEnd(15)} ${entry.state.padEnd(8)} ${entry.mac}  mtu ${entry.mtu}  ${words.join(' ')}\n`,
      );
    }
  }
  return EXIT_OK;
}
