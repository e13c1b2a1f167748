/** `ip route add` and its kin: the words of a route become a message (`iproute_modify`). */
import { inetRtmDelroute, inetRtmNewroute } from '../route/fib_frontend.js';
import { EINVAL, EOPNOTSUPP } from '../uapi/errno.js';
import {
  type RouteMessage,
  type RouteNexthop,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTAX_LOCK,
  RTN_ANYCAST,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_NAT,
  RTN_UNICAST,
  RTN_UNSPEC,
  RTNH_F_ONLINK,
  RTPROT_BOOT,
} from '../uapi/rtnetlink.js';
import { AF_INET, AF_INET6, AF_PACKET, AF_UNSPEC } from '../uapi/socket.js';
import { getAddr, getPrefix, type InetPrefix } from './inet_addr.js';
import { METRIC_KEYWORDS, type Metrics } from './iproute_metrics.js';
import { dsfieldA2n, protocolA2n, routeTypeA2n, scopeA2n, tableA2n } from './rt_names.js';
import { isRealms } from './rule_selectors.js';
import { routeUsage } from './usage.js';
import {
  Args,
  getUnsigned,
  type IpContext,
  type Keyword,
  matches,
  needUnsigned,
  readKeywords,
} from './utils.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Modify extends Metrics {
  readonly message: Mutable<RouteMessage>;
  family: number;
  dst: InetPrefix | null;
  gateway: InetPrefix | null;
  dev: string | null;
  table: number | null;
  nhid: number | null;
  /** `encap` was asked for. */
  encap: boolean;
  /** The words from the first `nexthop` on. */
  nexthops: readonly string[] | null;
}

const ADDRESS_FAMILIES: ReadonlyMap<string, number> = new Map([
  ['inet', AF_INET],
  ['inet6', AF_INET6],
]);

/** `via [FAMILY] ADDRESS`: the arguments stand at `via`. */
function readVia(args: Args, context: IpContext, family: number): InetPrefix {
  const named = ADDRESS_FAMILIES.get(args.next());
  return getAddr(context, named === undefined ? args.word : args.next(), named ?? family);
}

function readTable(context: IpContext, word: string): number {
  return tableA2n(word) ?? context.invarg('"table" value is invalid\n', word);
}

/** The table of a VRF, by the VRF's name. */
export function vrfTable(context: IpContext, word: string): number {
  const table = context.net.devGetByName(word)?.l3mdevTable ?? 0;
  return table === 0 ? context.invarg('Invalid VRF\n', word) : table;
}

/** Address options of IPv4 routes that the kernel reads and leaves alone. */
const IGNORED: readonly Keyword<Modify>[] = [
  {
    is: ['as'],
    read(args, state, context) {
      if (args.next() === 'to') args.next();
      getAddr(context, args.word, state.family);
    },
  },
  {
    is: ['from'],
    read(args, state, context) {
      getPrefix(context, args.next(), state.family);
    },
  },
];

const MODIFY: readonly Keyword<Modify>[] = [
  {
    is: ['src'],
    read(args, state, context) {
      const addr = getAddr(context, args.next(), state.family);
      if (state.family === AF_UNSPEC) state.family = addr.family;
      state.message.prefsrc = addr.addr;
    },
  },
  ...IGNORED.slice(0, 1),
  {
    is: ['via'],
    read(args, state, context) {
      if (state.gateway !== null) context.invarg('use nexthop syntax to specify multiple via\n', args.word);
      state.gateway = readVia(args, context, state.family);
      if (state.family === AF_UNSPEC) state.family = state.gateway.family;
    },
  },
  ...IGNORED.slice(1),
  {
    is: ['tos'],
    matches: ['dsfield'],
    read(args, state, context) {
      const word = args.next();
      state.message.tos = dsfieldA2n(word) ?? context.invarg('"tos" value is invalid\n', word);
    },
  },
  {
    is: ['expires'],
    read(args, _state, context) {
      needUnsigned(context, args.next(), '"expires" value is invalid\n');
    },
  },
  {
    is: ['preference'],
    matches: ['metric', 'priority'],
    read(args, state, context) {
      state.message.priority = needUnsigned(context, args.next(), '"metric" value is invalid\n');
    },
  },
  {
    is: ['scope'],
    read(args, state, context) {
      const word = args.next();
      state.message.scope = scopeA2n(word) ?? context.invarg('invalid "scope" value\n', word);
    },
  },
  ...METRIC_KEYWORDS,
  {
    matches: ['realms'],
    read(args, _state, context) {
      const word = args.next();
      if (!isRealms(word) && getUnsigned(word) === null) context.invarg('"realm" value is invalid\n', word);
    },
  },
  {
    is: ['onlink'],
    read(_args, state) {
      state.message.flags = (state.message.flags ?? 0) | RTNH_F_ONLINK;
    },
  },
  {
    is: ['nexthop'],
    isLast: true,
    read(args, state) {
      state.nexthops = args.rest();
    },
  },
  {
    is: ['nhid'],
    read(args, state, context) {
      state.nhid = needUnsigned(context, args.next(), '"id" value is invalid\n');
    },
  },
  {
    matches: ['protocol'],
    read(args, state, context) {
      const word = args.next();
      state.message.protocol = protocolA2n(word) ?? context.invarg('"protocol" value is invalid\n', word);
    },
  },
  {
    matches: ['table'],
    read(args, state, context) {
      state.table = readTable(context, args.next());
    },
  },
  {
    is: ['vrf'],
    read(args, state, context) {
      state.table = vrfTable(context, args.next());
    },
  },
  {
    is: ['dev', 'oif'],
    read(args, state) {
      state.dev = args.next();
    },
  },
  {
    matches: ['pref'],
    read(args, _state, context) {
      const word = args.next();
      if (!['low', 'medium', 'high'].includes(word))
        needUnsigned(context, word, '"pref" value is invalid\n', 255);
    },
  },
  {
    is: ['encap'],
    isLast: true,
    read(args, state) {
      args.next();
      state.encap = true;
    },
  },
  {
    is: ['ttl-propagate'],
    read(args, _state, context) {
      const word = args.next();
      if (word !== 'enabled' && word !== 'disabled')
        context.invarg('"ttl-propagate" value is invalid\n', word);
    },
  },
];

/** `[ TYPE ] PREFIX` */
function readDestination(args: Args, state: Modify, context: IpContext): void {
  if (args.word === 'to') args.next();
  if (!/^[0-9]/.test(args.word)) {
    const type = routeTypeA2n(args.word);
    if (type !== null) {
      state.message.type = type;
      args.next();
    }
  }
  if (matches(args.word, 'help')) routeUsage(context);
  if (state.dst !== null) context.duparg2('to', args.word);
  state.dst = getPrefix(context, args.word, state.family);
  if (state.family === AF_UNSPEC) state.family = state.dst.family;
}

/** `nexthop NH [ nexthop NH ]...` */
function readNexthops(context: IpContext, words: readonly string[], family: number): RouteNexthop[] {
  const nexthops: RouteNexthop[] = [];
  const args = new Args(context, words);
  while (args.more) {
    if (args.word !== 'nexthop')
      context.fail(255, `Error: "nexthop" or end of line is expected instead of "${args.word}"`);
    if (args.left <= 1) context.fail(255, 'Error: unexpected end of line after "nexthop"');
    args.step();
    nexthops.push(readOneNexthop(context, args, family));
  }
  return nexthops;
}

function readOneNexthop(context: IpContext, args: Args, family: number): RouteNexthop {
  const nexthop: Mutable<RouteNexthop> = {};
  for (; args.more; args.step()) {
    if (args.word === 'via') nexthop.gateway = inet4Gateway(context, readVia(args, context, family));
    else if (args.word === 'dev') {
      const dev = context.net.devGetByName(args.next());
      if (dev === null) context.fail(255, `Cannot find device "${args.word}"\nError: cannot parse nexthop`);
      nexthop.ifindex = dev.ifindex;
    } else if (args.word === 'weight') {
      const word = args.next();
      const weight = getUnsigned(word);
      if (weight === null || weight === 0 || weight > 256) context.invarg('"weight" is invalid\n', word);
      nexthop.weight = weight!;
    } else if (args.word === 'onlink') nexthop.flags = (nexthop.flags ?? 0) | RTNH_F_ONLINK;
    else if (matches(args.word, 'realms')) {
      const word = args.next();
      if (!isRealms(word)) context.invarg('"realm" value is invalid\n', word);
    } else break;
  }
  return nexthop;
}

function inet4Gateway(context: IpContext, gateway: InetPrefix): number {
  if (gateway.family === AF_INET6) context.refuse(EINVAL, 'IPv6 support not enabled in kernel');
  return gateway.addr;
}

/** The scope of a route whose user named none. */
function defaultScope(type: number, verb: 'new' | 'del', hasNexthop: boolean): number {
  if (type === RTN_LOCAL || type === RTN_NAT) return RT_SCOPE_HOST;
  if (type === RTN_BROADCAST || type === RTN_MULTICAST || type === RTN_ANYCAST) return RT_SCOPE_LINK;
  if (verb === 'del') return RT_SCOPE_NOWHERE;
  if ((type === RTN_UNICAST || type === RTN_UNSPEC) && !hasNexthop) return RT_SCOPE_LINK;
  return RT_SCOPE_UNIVERSE;
}

const LOCAL_TYPES: readonly number[] = [RTN_LOCAL, RTN_BROADCAST, RTN_NAT, RTN_ANYCAST];

/**
 * Adds, changes, tests, or deletes a route.
 * @param nlmFlags NLM_F_*: what tells `add` from `append`, `replace` ...
 */
export function modifyRoute(
  context: IpContext,
  words: readonly string[],
  verb: 'new' | 'del',
  nlmFlags: number,
): void {
  const state: Modify = {
    message: verb === 'new' ? { type: RTN_UNICAST, protocol: RTPROT_BOOT } : {},
    family: context.options.family,
    dst: null,
    gateway: null,
    dev: null,
    table: null,
    nhid: null,
    encap: false,
    nexthops: null,
    metrics: new Map(),
    locks: 0,
  };
  readKeywords(context, new Args(context, words), MODIFY, state, readDestination);
  const { message, dst } = state;
  if (dst === null) routeUsage(context);
  const ifindex = state.dev === null ? undefined : context.device(state.dev).ifindex;
  const list = state.nexthops === null ? null : readNexthops(context, state.nexthops, state.family);
  if (state.family === AF_INET6 || state.family === AF_PACKET) context.refuse(EOPNOTSUPP);
  if (state.encap) context.refuse(EOPNOTSUPP, 'CONFIG_LWTUNNEL is not enabled in this kernel');
  if (state.nhid !== null && state.nhid !== 0) {
    const mixed = ifindex !== undefined || state.gateway !== null || list !== null;
    context.refuse(
      EINVAL,
      mixed ? 'Nexthop specification and nexthop id are mutually exclusive' : 'Nexthop id does not exist',
    );
  }
  if (!dst.wildcard) {
    message.dst = dst.addr;
    message.dstLen = dst.bitlen;
  }
  const type = message.type ?? RTN_UNSPEC;
  message.table = state.table ?? (LOCAL_TYPES.includes(type) ? RT_TABLE_LOCAL : RT_TABLE_MAIN);
  message.scope ??= defaultScope(type, verb, state.gateway !== null || list !== null || state.nhid !== null);
  if (list !== null) {
    message.nexthops = list;
    message.multipath = true;
  } else if (ifindex !== undefined || state.gateway !== null) {
    message.nexthops = [
      {
        ...(ifindex === undefined ? {} : { ifindex }),
        ...(state.gateway === null ? {} : { gateway: inet4Gateway(context, state.gateway) }),
      },
    ];
  }
  if (state.metrics.size > 0) {
    if (state.locks !== 0) state.metrics.set(RTAX_LOCK, state.locks);
    message.metrics = state.metrics;
  }
  context.answer(
    verb === 'new'
      ? inetRtmNewroute(context.net, message, nlmFlags)
      : inetRtmDelroute(context.net, message, nlmFlags),
  );
}
