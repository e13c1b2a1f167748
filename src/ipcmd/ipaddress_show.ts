/** `ip addr show` and `flush`, and `ip link show`: which devices and addresses pass, and their two forms. */
import { inetDumpIfaddr, inetRtmDeladdr } from '../dev/devinet.js';
import { errnoMessage } from '../uapi/errno.js';
import { formatIPv4 } from '../uapi/in.js';
import {
  type AddrMessage,
  IFA_F_DEPRECATED,
  IFA_F_MCAUTOJOIN,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_F_PERMANENT,
  IFA_F_SECONDARY,
} from '../uapi/rtnetlink.js';
import { AF_INET, AF_PACKET, AF_UNSPEC } from '../uapi/socket.js';
import { addrMatch, getPrefix, type InetPrefix } from './inet_addr.js';
import { EVERY_LINK, type LinkFilter, linkInDump, linkIsShown, printLink, printStats } from './link_print.js';
import { groupA2n, scopeA2n, scopeN2a } from './rt_names.js';
import { addressUsage, linkUsage } from './usage.js';
import { Args, type IpContext, type Keyword, matches, readKeywords } from './utils.js';

const IFA_F_TEMPORARY = IFA_F_SECONDARY;
const FOREVER = 0xffffffff;

/** In the order in which they are printed; `permanent` is printed as its opposite. */
const FLAG_NAMES: readonly (readonly [name: string, flag: number])[] = [
  ['secondary', IFA_F_SECONDARY],
  ['nodad', IFA_F_NODAD],
  ['optimistic', 0x04],
  ['dadfailed', 0x08],
  ['home', 0x10],
  ['deprecated', IFA_F_DEPRECATED],
  ['tentative', 0x40],
  ['permanent', IFA_F_PERMANENT],
  ['mngtmpaddr', 0x100],
  ['noprefixroute', IFA_F_NOPREFIXROUTE],
  ['autojoin', IFA_F_MCAUTOJOIN],
];

interface AddressFilter extends LinkFilter {
  family: number;
  dev: string | null;
  prefix: InetPrefix | null;
  scope: number | null;
  /** Flags that matter, and what they must be. */
  flagMask: number;
  flags: number;
  label: string | null;
}

/** `deprecated`, `-deprecated`, `primary`, `dynamic` ...: false where the word is no flag. */
function readFlag(filter: AddressFilter, word: string): boolean {
  const set = (flag: number, on: boolean): boolean => {
    filter.flagMask |= flag;
    filter.flags = on ? filter.flags | flag : filter.flags & ~flag;
    return true;
  };
  if (word === 'dynamic') return set(IFA_F_PERMANENT, false);
  if (word === 'primary') return set(IFA_F_SECONDARY, false);
  if (word === 'temporary') return set(IFA_F_TEMPORARY, true);
  const negative = word.startsWith('-');
  const flag = FLAG_NAMES.find(([name]) => name === (negative ? word.slice(1) : word))?.[1];
  if (flag === undefined || (negative && (flag === IFA_F_PERMANENT || flag === IFA_F_SECONDARY)))
    return false;
  return set(flag, !negative);
}

function vrfIndex(context: IpContext, word: string): number {
  const dev = context.net.devGetByName(word);
  return dev?.isL3Master === true ? dev.ifindex : context.invarg('Not a valid VRF name\n', word);
}

const FILTER: readonly Keyword<AddressFilter>[] = [
  {
    is: ['to'],
    read(args, filter, context) {
      filter.prefix = getPrefix(context, args.next(), filter.family);
      if (filter.family === AF_UNSPEC) filter.family = filter.prefix.family;
    },
  },
  {
    is: ['scope'],
    read(args, filter, context) {
      const word = args.next();
      filter.scope = scopeA2n(word) ?? (word === 'all' ? null : context.invarg('invalid "scope"\n', word));
    },
  },
  {
    is: ['up'],
    read(_args, filter) {
      filter.up = true;
    },
  },
  {
    is: ['label'],
    read(args, filter) {
      filter.label = args.next();
    },
  },
  {
    is: ['group'],
    read(args, filter, context) {
      const word = args.next();
      filter.group = groupA2n(word) ?? context.invarg('Invalid "group" value\n', word);
    },
  },
  {
    is: ['master'],
    read(args, filter, context) {
      const word = args.next();
      const dev = context.net.devGetByName(word);
      filter.master = dev?.ifindex ?? context.invarg('Device does not exist\n', word);
    },
  },
  {
    is: ['vrf'],
    read(args, filter, context) {
      filter.master = vrfIndex(context, args.next());
    },
  },
  {
    is: ['nomaster'],
    read(_args, filter) {
      filter.master = 0;
    },
  },
  {
    is: ['type'],
    read(args, filter) {
      const word = args.next();
      if (word.endsWith('_slave')) filter.slaveKind = word;
      else filter.kind = word;
    },
  },
];

function readFilter(context: IpContext, words: readonly string[], forLink: boolean): AddressFilter {
  const filter: AddressFilter = {
    ...EVERY_LINK,
    family: forLink ? AF_PACKET : context.options.family,
    dev: null,
    prefix: null,
    scope: null,
    flagMask: 0,
    flags: 0,
    label: null,
  };
  readKeywords(context, new Args(context, words), FILTER, filter, (args) => {
    if (readFlag(filter, args.word)) return;
    if (args.word === 'dev') args.next();
    else if (matches(args.word, 'help')) (forLink ? linkUsage : addressUsage)(context);
    if (filter.dev !== null) context.duparg2('dev', args.word);
    filter.dev = args.word;
  });
  if (filter.dev !== null) {
    const dev = context.net.devGetByName(filter.dev);
    if (dev === null) return context.fail(1, `Device "${filter.dev}" does not exist.`);
    filter.ifindex = dev.ifindex;
  }
  return filter;
}

/** `*`, `?` and `[...]`, as `fnmatch(3)`. */
function fnmatch(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.')
    .replace(/\[!/g, '[^');
  try {
    return new RegExp(`^${source}$`, 's').test(text);
  } catch {
    return pattern === text;
  }
}

function passes(filter: AddressFilter, addr: AddrMessage): boolean {
  return (
    (filter.family === AF_UNSPEC || filter.family === AF_INET) &&
    (filter.ifindex === 0 || filter.ifindex === addr.ifindex) &&
    (filter.scope === null || filter.scope === (addr.scope ?? 0)) &&
    (((addr.flags ?? 0) ^ filter.flags) & filter.flagMask) === 0 &&
    (filter.prefix === null || addrMatch(addr.local ?? 0, filter.prefix.addr, filter.prefix.bitlen)) &&
    (filter.label === null || fnmatch(filter.label, addr.label ?? ''))
  );
}

function lifetimeText(seconds: number): string {
  return seconds === FOREVER ? 'forever' : `${seconds}sec`;
}

function printAddress(context: IpContext, addr: AddrMessage, alone: boolean): void {
  const { out, options } = context;
  const local = formatIPv4(addr.local ?? 0);
  const peer = formatIPv4(addr.address ?? addr.local ?? 0);
  if (!options.brief) {
    if (alone) {
      const name = context.deviceName(addr.ifindex);
      out.any('index', `${addr.ifindex}: `, addr.ifindex);
      out.any('dev', name, name);
    }
    out.any('family', '    inet ', 'inet');
  }
  out.any('local', local, local);
  if (peer !== local) out.any('address', ` peer ${peer}`, peer);
  out.any('prefixlen', `/${addr.prefixLen} `, addr.prefixLen);
  if ((addr.metric ?? 0) !== 0) out.any('metric', `metric ${addr.metric} `, addr.metric!);
  if (!options.brief) {
    if (addr.broadcast !== undefined) {
      const broadcast = formatIPv4(addr.broadcast);
      out.any('broadcast', `brd ${broadcast} `, broadcast);
    }
    const scope = scopeN2a(addr.scope ?? 0, options.numeric);
    out.any('scope', `scope ${scope} `, scope);
    const flags = addr.flags ?? 0;
    for (const [name, flag] of FLAG_NAMES) {
      if (flag === IFA_F_PERMANENT && (flags & flag) === 0) out.any('dynamic', 'dynamic ', true);
      else if (flag !== IFA_F_PERMANENT && (flags & flag) !== 0) out.any(name, `${name} `, true);
    }
    const label = addr.label ?? '';
    out.any('label', label, label);
    const [valid, preferred] = [addr.validLft ?? FOREVER, addr.preferredLft ?? FOREVER];
    out.fp(`${out.lineBreak}       `);
    out.any('valid_life_time', `valid_lft ${lifetimeText(valid)} `, valid);
    out.any('preferred_life_time', `preferred_lft ${lifetimeText(preferred)}`, preferred);
    out.fp('\n');
  }
}

/** `ip addr show` */
export function showAddresses(context: IpContext, words: readonly string[]): void {
  const { out, options, net } = context;
  const filter = readFilter(context, words, false);
  const addresses = inetDumpIfaddr(net);
  const withLinks = options.brief || !options.oneline || filter.family === AF_PACKET;
  out.begin();
  for (const dev of net.devices) {
    if (!linkInDump(filter, dev) || (filter.ifindex !== 0 && filter.ifindex !== dev.ifindex)) continue;
    const own = addresses.filter((addr) => addr.ifindex === dev.ifindex);
    const passing = own.filter((addr) => passes(filter, addr));
    const bare = own.length === 0 && filter.family === AF_UNSPEC;
    if (filter.family !== AF_PACKET && passing.length === 0 && !bare) continue;
    out.openObject();
    const shown = linkIsShown(filter, dev);
    if (withLinks && shown && filter.label === null) printLink(context, dev, filter.family, false);
    if ((shown || !withLinks) && filter.family !== AF_PACKET) {
      out.openArray('addr_info');
      const family = own.filter(() => filter.family === AF_UNSPEC || filter.family === AF_INET);
      for (const addr of family) {
        // An address that does not pass leaves an empty object.
        out.openObject();
        if (passing.includes(addr)) printAddress(context, addr, options.oneline && !options.brief);
        out.closeObject();
      }
      out.closeArray();
    }
    if (options.brief) out.fp('\n');
    else if (shown && withLinks && options.stats > 0) {
      printStats(context, dev);
      out.fp('\n');
    }
    out.closeObject();
  }
}

/** `ip link show` */
export function showLinks(context: IpContext, words: readonly string[]): void {
  const { out, net } = context;
  const filter = readFilter(context, words, true);
  out.begin();
  for (const dev of net.devices) {
    if (!linkInDump(filter, dev) || (filter.ifindex !== 0 && filter.ifindex !== dev.ifindex)) continue;
    out.openObject();
    if (linkIsShown(filter, dev)) printLink(context, dev, AF_PACKET, true);
    out.closeObject();
  }
}

/** `ip addr flush`: secondaries go before their primaries, or they would go with them. */
export function flushAddresses(context: IpContext, words: readonly string[]): void {
  if (words.length === 0) context.fail(1, 'Flush requires arguments.');
  const { out, options, net } = context;
  const filter = readFilter(context, words, false);
  const doomed = inetDumpIfaddr(net).filter((addr) => {
    const dev = net.devGetByIndex(addr.ifindex)!;
    return linkInDump(filter, dev) && linkIsShown(filter, dev) && passes(filter, addr);
  });
  const secondary = (addr: AddrMessage): boolean => ((addr.flags ?? 0) & IFA_F_SECONDARY) !== 0;
  const ordered = [...doomed.filter(secondary), ...doomed.filter((addr) => !secondary(addr))];
  for (const addr of doomed) if (options.stats > 1) printAddress(context, addr, true);
  for (const addr of ordered) {
    const { error } = inetRtmDeladdr(net, addr);
    if (error === 0) continue;
    context.errno = -error;
    context.fail(1, `Failed to send flush request: ${errnoMessage(-error)}`);
  }
  if (options.stats === 0) return;
  out.raw(
    doomed.length === 0
      ? 'Nothing to flush.\n'
      : `\n*** Round 1, deleting ${doomed.length} addresses ***\n*** Flush is complete after 1 round ***\n`,
  );
}
