/** `ip maddr` (`ipmaddr.c`). */
import type { NetDevice } from '../dev/net_device.js';
import { ENODEV, ENOENT, errnoMessage } from '../uapi/errno.js';
import { formatMac } from '../uapi/if.js';
import { formatIPv4 } from '../uapi/in.js';
import { AF_INET, AF_PACKET, AF_UNSPEC } from '../uapi/socket.js';
import { llAddrA2n } from './inet_addr.js';
import { maddrUsage } from './usage.js';
import {
  Args,
  type Command,
  dispatch,
  type IpContext,
  type Keyword,
  matches,
  readKeywords,
} from './utils.js';

/** One line: a link-layer address that the device listens to, or a group that sockets joined. */
interface Maddr {
  readonly family: number;
  readonly address: string;
  readonly users: number;
  readonly fixed: boolean;
}

/** 01:00:5e and the group's low 23 bits. */
function groupMac(group: number): string {
  return formatMac(
    Uint8Array.of(0x01, 0x00, 0x5e, (group >>> 16) & 0x7f, (group >>> 8) & 0xff, group & 0xff),
  );
}

/** What a device filters for: the groups' addresses, which groups may share, and what was added by hand. */
function linkAddresses(dev: NetDevice): Maddr[] {
  const users = new Map<string, number>();
  if (!dev.isLoopback && dev.isUp) {
    for (const { multiaddr } of dev.ipPtr?.mcList.values() ?? []) {
      const mac = groupMac(multiaddr);
      users.set(mac, (users.get(mac) ?? 0) + 1);
    }
  }
  for (const mac of dev.staticMcast) if (!users.has(mac)) users.set(mac, 1);
  return [...users].map(([address, n]) => ({
    family: AF_PACKET,
    address,
    users: n,
    fixed: dev.staticMcast.has(address),
  }));
}

/** The newest group first, as in `/proc/net/igmp`. */
function groups(dev: NetDevice): Maddr[] {
  return [...(dev.ipPtr?.mcList.values() ?? [])].reverse().map(({ multiaddr, users }) => ({
    family: AF_INET,
    address: formatIPv4(multiaddr),
    users,
    fixed: false,
  }));
}

function print(context: IpContext, maddr: Maddr): void {
  const { out } = context;
  out.openObject();
  out.fp('\t');
  if (maddr.family === AF_PACKET) out.any('link', `link  ${maddr.address}`, maddr.address);
  else {
    out.any('family', 'inet  ', 'inet');
    out.any('address', maddr.address, maddr.address);
  }
  if (maddr.users !== 1) out.any('users', ` users ${maddr.users}`, maddr.users);
  if (maddr.fixed) out.any('features', ' static', 'static');
  out.fp('\n');
  out.closeObject();
}

function show(context: IpContext, words: readonly string[]): void {
  const { out, options, net } = context;
  let name: string | null = null;
  readKeywords(context, new Args(context, words), [], null, (args) => {
    if (args.word === 'dev') args.next();
    else if (matches(args.word, 'help')) maddrUsage(context);
    if (name !== null) context.duparg2('dev', args.word);
    name = args.word;
  });
  out.begin();
  for (const dev of net.devices) {
    if (name !== null && dev.name !== name) continue;
    const list = [
      ...(options.family === AF_UNSPEC || options.family === AF_PACKET ? linkAddresses(dev) : []),
      ...(options.family === AF_UNSPEC || options.family === AF_INET ? groups(dev) : []),
    ];
    if (list.length === 0) continue;
    out.openObject();
    out.json('ifindex', dev.ifindex);
    out.json('ifname', dev.name);
    out.openArray('maddr');
    if (!options.oneline) out.fp(`${dev.ifindex}:\t${dev.name}\n`);
    for (const maddr of list) {
      if (options.oneline) out.fp(`${dev.ifindex}:\t${dev.name}\\`);
      print(context, maddr);
    }
    out.closeArray();
    out.closeObject();
  }
}

interface Modify {
  dev: string | null;
  address: Uint8Array | null;
}

const MODIFY: readonly Keyword<Modify>[] = [
  {
    is: ['dev'],
    read(args, state, context) {
      const word = args.next();
      if (state.dev !== null) context.duparg('dev', word);
      state.dev = word;
    },
  },
];

/** Adds or deletes a link-layer address by hand (SIOCADDMULTI, SIOCDELMULTI). */
function modify(context: IpContext, words: readonly string[], add: boolean): void {
  const state: Modify = { dev: null, address: null };
  readKeywords(context, new Args(context, words), MODIFY, state, (args) => {
    if (matches(args.word, 'address')) args.next();
    if (matches(args.word, 'help')) maddrUsage(context);
    if (state.address !== null) context.duparg('address', args.word);
    const address = llAddrA2n(context, args.word, 14);
    if (address.length !== 6)
      context.fail(1, `Error: Invalid address length ${address.length} - must be 6 bytes`);
    state.address = address;
  });
  if (state.dev === null) context.fail(255, 'Not enough information: "dev" is required.');
  const dev = context.net.devGetByName(state.dev);
  const mac = formatMac(state.address ?? new Uint8Array(6));
  const errno = dev === null ? ENODEV : add || dev.staticMcast.has(mac) ? 0 : ENOENT;
  if (errno !== 0) {
    context.errno = errno;
    context.fail(1, `ioctl: ${errnoMessage(errno)}`);
  }
  if (add) dev!.staticMcast.add(mac);
  else dev!.staticMcast.delete(mac);
}

const COMMANDS: readonly Command[] = [
  { matches: ['add'], run: (context, words) => modify(context, words, true) },
  { matches: ['delete'], run: (context, words) => modify(context, words, false) },
  { matches: ['list', 'show', 'lst'], run: show },
  { matches: ['help'], run: maddrUsage },
];

/** `ip maddr ...` */
export function doMultiaddr(context: IpContext, words: readonly string[]): void {
  dispatch(context, 'maddr', COMMANDS, words);
}
