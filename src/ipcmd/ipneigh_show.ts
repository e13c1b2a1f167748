/** `ip neigh show`, `flush`, `get`: which entries pass, and their two forms (`print_neigh`). */
import { neighDelete, neighDump, pneighDump } from '../neigh/admin.js';
import { neighLookup } from '../neigh/table.js';
import { EINVAL, ENOENT } from '../uapi/errno.js';
import { formatIPv4 } from '../uapi/in.js';
import {
  NTF_EXT_LEARNED,
  NTF_PROXY,
  NTF_ROUTER,
  NUD_DELAY,
  NUD_FAILED,
  NUD_INCOMPLETE,
  NUD_NOARP,
  NUD_NONE,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
} from '../uapi/neighbour.js';
import type { NeighMessage } from '../uapi/rtnetlink.js';
import { AF_INET, AF_UNSPEC } from '../uapi/socket.js';
import { addrMatch, getAddr, getPrefix, type InetPrefix, llAddrN2a } from './inet_addr.js';
import { protocolA2n, protocolN2a } from './rt_names.js';
import { neighUsage } from './usage.js';
import { Args, getUnsigned, type IpContext, type Keyword, matches, readKeywords } from './utils.js';

/** In the order in which they are printed. */
const NUD_NAMES: readonly (readonly [name: string, state: number])[] = [
  ['INCOMPLETE', NUD_INCOMPLETE],
  ['REACHABLE', NUD_REACHABLE],
  ['STALE', NUD_STALE],
  ['DELAY', NUD_DELAY],
  ['PROBE', NUD_PROBE],
  ['FAILED', NUD_FAILED],
  ['NOARP', NUD_NOARP],
  ['PERMANENT', NUD_PERMANENT],
];

/** The filter's own bit for entries in no state at all. */
const FILTER_NONE = 0x100;
/** Times are kept in milliseconds and shown in seconds. */
const MS_PER_SECOND = 1000;

/** A state by name or number; null where it is none. */
export function nudStateA2n(text: string): number | null {
  if (matches(text, 'permanent')) return NUD_PERMANENT;
  if (matches(text, 'reachable')) return NUD_REACHABLE;
  if (matches(text, 'failed')) return NUD_FAILED;
  if (text === 'none') return NUD_NONE;
  const name = ['noarp', 'stale', 'incomplete', 'delay', 'probe'].find((n) => n === text);
  if (name !== undefined) return NUD_NAMES.find(([n]) => n === name.toUpperCase())![1];
  const state = getUnsigned(text, 0xff);
  return state === null || (state & (state - 1)) !== 0 ? null : state;
}

interface Filter {
  dev: string | null;
  ifindex: number;
  master: number | null;
  states: number;
  stateGiven: boolean;
  prefix: InetPrefix | null;
  protocol: number | null;
  unused: boolean;
  proxy: boolean;
  flush: boolean;
}

const FILTER: readonly Keyword<Filter>[] = [
  {
    is: ['dev'],
    read(args, filter, context) {
      const word = args.next();
      if (filter.dev !== null) context.duparg('dev', word);
      filter.dev = word;
    },
  },
  {
    is: ['master'],
    read(args, filter, context) {
      const word = args.next();
      const dev = context.net.devGetByName(word) ?? context.invarg('Device does not exist\n', word);
      filter.master = dev.ifindex;
    },
  },
  {
    is: ['vrf'],
    read(args, filter, context) {
      const word = args.next();
      const dev = context.net.devGetByName(word);
      if (dev === null || !dev.isL3Master) return context.invarg('Not a valid VRF name\n', word);
      filter.master = dev.ifindex;
    },
  },
  {
    is: ['nomaster'],
    read(_args, filter) {
      filter.master = 0;
    },
  },
  {
    is: ['unused'],
    read(_args, filter) {
      filter.unused = true;
    },
  },
  {
    is: ['nud'],
    read(args, filter, context) {
      const word = args.next();
      if (!filter.stateGiven) filter.states = 0;
      filter.stateGiven = true;
      const state = nudStateA2n(word);
      if (state === null && word !== 'all') context.invarg('nud state is bad', word);
      filter.states |= state === null ? (filter.flush ? ~NUD_NOARP : ~0) : state === 0 ? FILTER_NONE : state;
    },
  },
  {
    is: ['proxy'],
    read(_args, filter) {
      filter.proxy = true;
    },
  },
  {
    matches: ['protocol'],
    read(args, filter, context) {
      const word = args.next();
      if (word === 'all') filter.protocol = null;
      else filter.protocol = protocolA2n(word) ?? context.invarg('invalid "protocol"\n', word);
    },
  },
];

function readFilter(context: IpContext, words: readonly string[], flush: boolean): Filter {
  const filter: Filter = {
    dev: null,
    ifindex: 0,
    master: null,
    states: flush ? ~(NUD_PERMANENT | NUD_NOARP) : 0xff & ~NUD_NOARP,
    stateGiven: false,
    prefix: null,
    protocol: null,
    unused: false,
    proxy: false,
    flush,
  };
  readKeywords(context, new Args(context, words), FILTER, filter, (args) => {
    if (args.word === 'to') args.next();
    if (matches(args.word, 'help')) neighUsage(context);
    filter.prefix = getPrefix(context, args.word, context.options.family);
  });
  if (filter.dev !== null) filter.ifindex = context.device(filter.dev).ifindex;
  return filter;
}

function passes(context: IpContext, filter: Filter, message: NeighMessage): boolean {
  const state = message.state ?? 0;
  const flags = message.flags ?? 0;
  const dev = context.net.devGetByIndex(message.ifindex);
  if (context.options.family !== AF_UNSPEC && context.options.family !== AF_INET) return false;
  if (filter.ifindex !== 0 && filter.ifindex !== message.ifindex) return false;
  if (filter.master !== null && filter.master !== (dev?.master?.ifindex ?? 0)) return false;
  if (
    (filter.states & state) === 0 &&
    (flags & (NTF_PROXY | NTF_EXT_LEARNED)) === 0 &&
    (state !== 0 || (filter.states & FILTER_NONE) === 0)
  )
    return false;
  if (filter.protocol !== null && filter.protocol !== (message.protocol ?? 0)) return false;
  if (filter.prefix !== null && !filter.prefix.wildcard) {
    if (filter.prefix.family !== AF_INET) return false;
    if (!addrMatch(message.dst, filter.prefix.addr, filter.prefix.bitlen)) return false;
  }
  return !filter.unused || !isUsed(state);
}

/** States in which something holds on to the entry: its timer. */
function isUsed(state: number): boolean {
  return (state & (NUD_INCOMPLETE | NUD_REACHABLE | NUD_DELAY | NUD_PROBE)) !== 0;
}

function print(context: IpContext, filter: Pick<Filter, 'ifindex'>, message: NeighMessage): void {
  const { out, options } = context;
  const flags = message.flags ?? 0;
  const state = message.state ?? 0;
  const address = formatIPv4(message.dst);
  out.openObject();
  out.any('dst', `${address} `, address);
  if (filter.ifindex === 0 && message.ifindex !== 0) {
    const name = context.deviceName(message.ifindex);
    out.any('dev', `dev ${name} `, name);
  }
  if (message.lladdr !== undefined) {
    const lladdr = llAddrN2a(message.lladdr);
    out.any('lladdr', `lladdr ${lladdr} `, lladdr);
  }
  if ((flags & NTF_ROUTER) !== 0) out.any('router', 'router ', null);
  if ((flags & NTF_PROXY) !== 0) out.any('proxy', 'proxy ', null);
  if ((flags & NTF_EXT_LEARNED) !== 0) out.any('extern_learn', 'extern_learn ', null);
  if (options.stats > 0 && (flags & NTF_PROXY) === 0) printCacheInfo(context, message);
  if (state !== 0) {
    const names = NUD_NAMES.filter(([, bit]) => (state & bit) !== 0).map(([name]) => name);
    out.any('state', `${names.join(',')} `, names);
  }
  if ((message.protocol ?? 0) !== 0) {
    const name = protocolN2a(message.protocol!, options.numeric);
    out.any('protocol', `proto ${name} `, name);
  }
  out.fp('\n');
  out.closeObject();
}

function printCacheInfo(context: IpContext, message: NeighMessage): void {
  const dev = context.net.devGetByIndex(message.ifindex);
  const neigh = dev === null ? null : neighLookup(context.net, dev, message.dst);
  if (neigh === null) return;
  const now = context.net.clock.now();
  const [used, confirmed, updated] = [neigh.used, neigh.confirmed, neigh.updated].map((at) =>
    Math.max(0, Math.floor((now - at) / MS_PER_SECOND)),
  ) as [number, number, number];
  const { out } = context;
  out.fp(` used ${used}/${confirmed}/${updated}`);
  out.json('used', used);
  out.json('confirmed', confirmed);
  out.json('updated', updated);
  out.any('probes', `probes ${neigh.probes} `, neigh.probes);
}

/** `ip neigh show` */
export function showNeighbours(context: IpContext, words: readonly string[]): void {
  const filter = readFilter(context, words, false);
  context.out.begin();
  const dump = filter.proxy ? pneighDump(context.net) : neighDump(context.net);
  for (const message of dump) if (passes(context, filter, message)) print(context, filter, message);
}

/** `ip neigh flush` */
export function flushNeighbours(context: IpContext, words: readonly string[]): void {
  if (words.length === 0) context.fail(1, 'Flush requires arguments.');
  const filter = readFilter(context, words, true);
  const { out, options, net } = context;
  const doomed = neighDump(net).filter((message) => passes(context, filter, message));
  for (const message of doomed) {
    if (options.stats > 1) print(context, filter, message);
    neighDelete(net, message);
  }
  if (options.stats === 0) return;
  out.raw(
    doomed.length === 0
      ? 'Nothing to flush.\n'
      : `\n*** Round 1, deleting ${doomed.length} entries ***\n*** Flush is complete after 1 round ***\n`,
  );
}

interface Get {
  dst: InetPrefix | null;
  dev: string | null;
  proxy: boolean;
}

const GET: readonly Keyword<Get>[] = [
  {
    is: ['dev'],
    read(args, state) {
      state.dev = args.next();
    },
  },
  {
    matches: ['proxy'],
    read(args, state, context) {
      const word = args.next();
      if (matches(word, 'help')) neighUsage(context);
      if (state.dst !== null) context.duparg('address', word);
      state.dst = getAddr(context, word, context.options.family);
      state.proxy = true;
    },
  },
];

/** `ip neigh get` */
export function getNeighbour(context: IpContext, words: readonly string[]): void {
  const state: Get = { dst: null, dev: null, proxy: false };
  readKeywords(context, new Args(context, words), GET, state, (args) => {
    if (args.word === 'to') args.next();
    if (matches(args.word, 'help')) neighUsage(context);
    if (state.dst !== null) context.duparg2('to', args.word);
    state.dst = getAddr(context, args.word, context.options.family);
  });
  const { dst } = state;
  if (dst === null || (!state.proxy && state.dev === null))
    context.fail(1, 'Device and address are required arguments.');
  const ifindex = state.dev === null ? 0 : context.device(state.dev).ifindex;
  if (dst.family !== AF_INET) context.refuse(EINVAL);
  const dump = state.proxy ? pneighDump(context.net) : neighDump(context.net);
  const message = dump.find((m) => m.dst === dst.addr && m.ifindex === ifindex);
  if (message === undefined)
    context.refuse(ENOENT, state.proxy ? 'Proxy neighbour entry not found' : 'Neighbour entry not found');
  context.out.begin();
  print(context, { ifindex: 0 }, message);
}
