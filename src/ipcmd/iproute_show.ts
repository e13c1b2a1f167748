/** `ip route show` and `flush`: which routes pass (`filter_nlmsg`), and their two forms (`print_route`). */
import { formatIPv4 } from '../uapi/in.js';
import {
  type RouteMessage,
  type RouteNexthop,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RTN_UNICAST,
  RTNH_F_DEAD,
  RTNH_F_LINKDOWN,
  RTNH_F_OFFLOAD,
  RTNH_F_ONLINK,
  RTNH_F_PERVASIVE,
  RTPROT_BOOT,
} from '../uapi/rtnetlink.js';
import { AF_INET, AF_UNSPEC } from '../uapi/socket.js';
import { addrMatch, getPrefix, type InetPrefix } from './inet_addr.js';
import { printMetrics } from './iproute_metrics.js';
import { vrfTable } from './iproute_modify.js';
import {
  dsfieldA2n,
  dsfieldN2a,
  protocolA2n,
  protocolN2a,
  routeTypeA2n,
  routeTypeN2a,
  scopeA2n,
  scopeN2a,
  tableA2n,
  tableN2a,
} from './rt_names.js';
import { isRealms } from './rule_selectors.js';
import { routeUsage } from './usage.js';
import { Args, type IpContext, type Keyword, matches, needUnsigned, readKeywords } from './utils.js';

/** null: not asked for. What is asked for is not printed again. */
export interface RouteFilter {
  /** 0: every table. */
  table: number;
  /** Cached routes, of which there are none to list. */
  cached: boolean;
  protocol: number | null;
  scope: number | null;
  type: number | null;
  tos: number | null;
  metric: number | null;
  dev: string | null;
  oif: number | null;
  via: InetPrefix | null;
  prefsrc: InetPrefix | null;
  /** Destinations that contain at least this prefix (`root`), at most this one (`match`). */
  root: InetPrefix | null;
  match: InetPrefix | null;
}

export const NO_FILTER: Readonly<RouteFilter> = {
  table: 0,
  cached: false,
  protocol: null,
  scope: null,
  type: null,
  tos: null,
  metric: null,
  dev: null,
  oif: null,
  via: null,
  prefsrc: null,
  root: null,
  match: null,
};

function family(context: IpContext): number {
  return context.options.family === AF_UNSPEC ? AF_INET : context.options.family;
}

/** Reads `root P`, `match P`, `[exact] P`. */
function readScope(args: Args, context: IpContext): { root: InetPrefix | null; match: InetPrefix | null } {
  const prefix = (): InetPrefix => getPrefix(context, args.word, context.options.family);
  if (matches(args.word, 'root')) {
    args.next();
    return { root: prefix(), match: null };
  }
  if (matches(args.word, 'match')) {
    args.next();
    return { root: null, match: prefix() };
  }
  if (matches(args.word, 'exact')) args.next();
  return { root: prefix(), match: prefix() };
}

const FILTER: readonly Keyword<RouteFilter>[] = [
  {
    matches: ['table'],
    read(args, filter, context) {
      const word = args.next();
      const table = tableA2n(word);
      if (table !== null) filter.table = table;
      else if (word === 'all') filter.table = 0;
      else if (word === 'cache') filter.cached = true;
      else if (word === 'help') routeUsage(context);
      else context.invarg('table id value is invalid\n', word);
    },
  },
  {
    is: ['vrf'],
    read(args, filter, context) {
      filter.table = vrfTable(context, args.next());
    },
  },
  {
    matches: ['cached', 'cloned'],
    read(_args, filter) {
      filter.cached = true;
    },
  },
  {
    is: ['tos'],
    matches: ['dsfield'],
    read(args, filter, context) {
      const word = args.next();
      filter.tos = dsfieldA2n(word) ?? context.invarg('TOS value is invalid\n', word);
    },
  },
  {
    matches: ['protocol'],
    read(args, filter, context) {
      const word = args.next();
      filter.protocol =
        word === 'all' ? null : (protocolA2n(word) ?? context.invarg('invalid "protocol"\n', word));
    },
  },
  {
    matches: ['scope'],
    read(args, filter, context) {
      const word = args.next();
      filter.scope = word === 'all' ? null : (scopeA2n(word) ?? context.invarg('invalid "scope"\n', word));
    },
  },
  {
    matches: ['type'],
    read(args, filter, context) {
      const word = args.next();
      filter.type = routeTypeA2n(word) ?? context.invarg('node type value is invalid\n', word);
    },
  },
  {
    is: ['dev', 'oif'],
    read(args, filter) {
      filter.dev = args.next();
    },
  },
  {
    is: ['iif'],
    read(args, _filter, context) {
      context.device(args.next());
    },
  },
  {
    is: ['mark'],
    read(args) {
      args.next();
    },
  },
  {
    is: ['preference'],
    matches: ['metric', 'priority'],
    read(args, filter, context) {
      filter.metric = needUnsigned(context, args.next(), '"metric" value is invalid\n');
    },
  },
  {
    is: ['via'],
    read(args, filter, context) {
      const named = args.next() === 'inet' || args.word === 'inet6';
      filter.via = getPrefix(context, named ? args.next() : args.word, family(context));
    },
  },
  {
    is: ['src'],
    read(args, filter, context) {
      filter.prefsrc = getPrefix(context, args.next(), family(context));
    },
  },
  {
    matches: ['realms'],
    read(args, _filter, context) {
      const word = args.next();
      if (!isRealms(word)) context.invarg('invalid realms\n', word);
    },
  },
  {
    matches: ['from'],
    // IPv4 routes have no source prefix: the filter matches every one or none, and iproute2's default is every one.
    read(args, _filter, context) {
      args.next();
      readScope(args, context);
    },
  },
];

export function readRouteFilter(context: IpContext, words: readonly string[]): RouteFilter {
  const filter: RouteFilter = { ...NO_FILTER, table: RT_TABLE_MAIN };
  readKeywords(context, new Args(context, words), FILTER, filter, (args) => {
    if (matches(args.word, 'to')) args.next();
    const { root, match } = readScope(args, context);
    filter.root = root;
    filter.match = match;
  });
  if (filter.dev !== null) filter.oif = context.device(filter.dev).ifindex;
  return filter;
}

function only(route: RouteMessage): RouteNexthop | undefined {
  const nexthops = route.nexthops ?? [];
  return nexthops.length === 1 ? nexthops[0] : undefined;
}

function inside(filter: InetPrefix | null, addr: number | undefined): boolean {
  return filter === null || filter.wildcard || addrMatch(addr ?? 0, filter.addr, filter.bitlen);
}

export function passesRouteFilter(context: IpContext, filter: RouteFilter, route: RouteMessage): boolean {
  const length = route.dstLen ?? 0;
  const nexthop = only(route);
  const { root, match } = filter;
  return (
    family(context) === AF_INET &&
    !filter.cached &&
    (filter.table === 0 || filter.table === (route.table ?? RT_TABLE_MAIN)) &&
    (filter.protocol === null || filter.protocol === (route.protocol ?? 0)) &&
    (filter.scope === null || filter.scope === (route.scope ?? 0)) &&
    (filter.type === null || filter.type === (route.type ?? 0)) &&
    (filter.tos === null || filter.tos === (route.tos ?? 0)) &&
    (filter.metric === null || filter.metric === (route.priority ?? 0)) &&
    (root === null || (root.bitlen <= length && inside(root, route.dst))) &&
    (match === null || (match.bitlen >= length && addrMatch(route.dst ?? 0, match.addr, length))) &&
    inside(filter.via, nexthop?.gateway) &&
    inside(filter.prefsrc, route.prefsrc) &&
    (filter.oif === null || filter.oif === (nexthop?.ifindex ?? 0))
  );
}

const FLAG_NAMES: readonly (readonly [flag: number, name: string])[] = [
  [RTNH_F_DEAD, 'dead'],
  [RTNH_F_ONLINK, 'onlink'],
  [RTNH_F_PERVASIVE, 'pervasive'],
  [RTNH_F_OFFLOAD, 'offload'],
  [RTNH_F_LINKDOWN, 'linkdown'],
];

export function printRouteFlags(context: IpContext, flags: number): void {
  const { out } = context;
  out.openArray('flags');
  for (const [flag, name] of FLAG_NAMES) if ((flags & flag) !== 0) out.element(`${name} `, name);
  out.closeArray();
}

/** A destination, `default`, or a prefix. */
function printDestination(context: IpContext, route: RouteMessage): void {
  const length = route.dstLen ?? 0;
  const addr = formatIPv4(route.dst ?? 0);
  const text = length === 32 ? addr : length === 0 ? 'default' : `${addr}/${length}`;
  context.out.any('dst', `${text} `, text);
}

/** Whether an address of the route is told by the filter already, all of it. */
function isWhole(filter: InetPrefix | null): boolean {
  return filter !== null && filter.bitlen === 32;
}

/** What a route's own line says up to its metrics. `between` prints what only `route get` has. */
export function printRoute(
  context: IpContext,
  filter: RouteFilter,
  route: RouteMessage,
  got: {
    readonly from?: string;
    readonly isClone: boolean;
    readonly print: () => void;
    readonly printEnd: () => void;
  } | null,
): void {
  const { out, options } = context;
  const { numeric, details } = options;
  const nexthop = only(route);
  out.openObject();
  const type = route.type ?? RTN_UNICAST;
  if (type !== RTN_UNICAST || details > 0) {
    const name = routeTypeN2a(type, numeric);
    out.any('type', `${name} `, name);
  }
  printDestination(context, route);
  if (got?.from !== undefined) out.any('from', `from ${got.from} `, got.from);
  if ((route.tos ?? 0) !== 0 && filter.tos === null) {
    const tos = dsfieldN2a(route.tos!, numeric);
    out.any('tos', `tos ${tos} `, tos);
  }
  if (nexthop?.gateway !== undefined && nexthop.gateway !== 0 && !isWhole(filter.via)) {
    const gateway = formatIPv4(nexthop.gateway);
    out.any('gateway', `via ${gateway} `, gateway);
  }
  if (nexthop?.ifindex !== undefined && nexthop.ifindex !== 0 && filter.oif === null) {
    const name = context.deviceName(nexthop.ifindex);
    out.any('dev', `dev ${name} `, name);
  }
  const table = route.table ?? RT_TABLE_MAIN;
  if (table !== 0 && (table !== RT_TABLE_MAIN || details > 0) && filter.table === 0) {
    const name = tableN2a(table, numeric);
    out.any('table', `table ${name} `, name);
  }
  if (got?.isClone !== true) {
    const protocol = route.protocol ?? 0;
    if ((protocol !== RTPROT_BOOT || details > 0) && filter.protocol === null) {
      const name = protocolN2a(protocol, numeric);
      out.any('protocol', `proto ${name} `, name);
    }
    const scope = route.scope ?? RT_SCOPE_UNIVERSE;
    if ((scope !== RT_SCOPE_UNIVERSE || details > 0) && filter.scope === null) {
      const name = scopeN2a(scope, numeric);
      out.any('scope', `scope ${name} `, name);
    }
  }
  if (route.prefsrc !== undefined && route.prefsrc !== 0 && !isWhole(filter.prefsrc)) {
    const src = formatIPv4(route.prefsrc);
    out.any('prefsrc', `src ${src} `, src);
  }
  if ((route.priority ?? 0) !== 0 && filter.metric === null)
    out.any('metric', `metric ${route.priority} `, route.priority!);
  const singleFlags = nexthop?.flags ?? 0;
  printRouteFlags(context, (route.flags ?? 0) | singleFlags);
  got?.print();
  printMetrics(context, route.metrics);
  got?.printEnd();
  if ((route.nexthops?.length ?? 0) > 1) printMultipath(context, route.nexthops!);
  out.fp('\n');
  out.closeObject();
}

function printMultipath(context: IpContext, nexthops: readonly RouteNexthop[]): void {
  const { out } = context;
  out.openArray('nexthops');
  for (const nexthop of nexthops) {
    out.openObject();
    out.fp(`${out.lineBreak}\tnexthop `);
    if (nexthop.gateway !== undefined && nexthop.gateway !== 0) {
      const gateway = formatIPv4(nexthop.gateway);
      out.any('gateway', `via ${gateway} `, gateway);
    }
    const name = context.deviceName(nexthop.ifindex ?? 0);
    out.any('dev', `dev ${name} `, name);
    out.any('weight', `weight ${nexthop.weight ?? 1} `, nexthop.weight ?? 1);
    printRouteFlags(context, nexthop.flags ?? 0);
    out.closeObject();
  }
  out.closeArray();
}
