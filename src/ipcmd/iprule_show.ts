/** `ip rule show`: the filter and the two forms of a rule (`print_rule`). */
import { fibNlDumprule } from '../route/fib_rules.js';
import { formatIPv4 } from '../uapi/in.js';
import {
  FIB_RULE_INVERT,
  FIB_RULE_UNRESOLVED,
  FR_ACT_GOTO,
  FR_ACT_NOP,
  FR_ACT_TO_TBL,
  RTN_NAT,
  RTPROT_KERNEL,
  RTPROT_UNSPEC,
  type RuleMessage,
} from '../uapi/rtnetlink.js';
import { AF_INET, AF_UNSPEC } from '../uapi/socket.js';
import { addrMatch, getPrefix, type InetPrefix } from './inet_addr.js';
import {
  dscpN2a,
  dsfieldA2n,
  dsfieldN2a,
  groupN2a,
  ipProtocolA2n,
  ipProtocolN2a,
  protocolA2n,
  protocolN2a,
  routeTypeN2a,
  tableA2n,
  tableN2a,
} from './rt_names.js';
import { readMark, readPorts, readUidRange } from './rule_selectors.js';
import {
  Args,
  getUnsigned,
  type IpContext,
  type Keyword,
  matches,
  needUnsigned,
  readKeywords,
} from './utils.js';

export interface RuleFilter {
  priority: number | null;
  not: boolean;
  tos: number | null;
  fwmark: number;
  fwmask: number;
  iif: string | null;
  oif: string | null;
  l3mdev: boolean;
  uidRange: readonly [number, number] | null;
  tunId: number | null;
  table: number;
  src: InetPrefix | null;
  dst: InetPrefix | null;
  ipproto: number | null;
  sport: readonly [number, number] | null;
  dport: readonly [number, number] | null;
  /** Heeded by `flush` only. */
  protocol: number | null;
}

function family(context: IpContext): number {
  return context.options.family === AF_UNSPEC ? AF_INET : context.options.family;
}

const FILTER: readonly Keyword<RuleFilter>[] = [
  {
    matches: ['preference', 'order', 'priority'],
    read(args, filter, context) {
      filter.priority = needUnsigned(context, args.next(), 'preference value is invalid\n');
    },
  },
  {
    is: ['not'],
    read(_args, filter) {
      filter.not = true;
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
    is: ['fwmark'],
    read(args, filter, context) {
      const [mark, mask] = readMark(context, args.next());
      filter.fwmark = mark;
      filter.fwmask = mask ?? 0;
    },
  },
  {
    is: ['dev', 'iif'],
    read(args, filter) {
      filter.iif = args.next();
    },
  },
  {
    is: ['oif'],
    read(args, filter) {
      filter.oif = args.next();
    },
  },
  {
    is: ['l3mdev'],
    read(_args, filter) {
      filter.l3mdev = true;
    },
  },
  {
    is: ['uidrange'],
    read(args, filter, context) {
      filter.uidRange = readUidRange(context, args.next());
    },
  },
  {
    matches: ['tun_id'],
    read(args, filter, context) {
      const word = args.next();
      filter.tunId = getUnsigned(word) ?? context.invarg('"tun_id" value is invalid\n', word);
    },
  },
  {
    matches: ['lookup', 'table'],
    read(args, filter, context) {
      const word = args.next();
      filter.table = tableA2n(word) ?? context.invarg('table id value is invalid\n', word);
    },
  },
  {
    matches: ['from', 'src'],
    read(args, filter, context) {
      filter.src = getPrefix(context, args.next(), family(context));
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
  {
    is: ['ipproto'],
    read(args, filter, context) {
      const word = args.next();
      filter.ipproto = ipProtocolA2n(word) ?? context.invarg('Invalid "ipproto" value\n', word);
    },
  },
  {
    is: ['sport'],
    read(args, filter, context) {
      filter.sport = readPorts(context, args.next()).range;
    },
  },
  {
    is: ['dport'],
    read(args, filter, context) {
      filter.dport = readPorts(context, args.next()).range;
    },
  },
];

export function readRuleFilter(context: IpContext, words: readonly string[]): RuleFilter {
  const filter: RuleFilter = {
    priority: null,
    not: false,
    tos: null,
    fwmark: 0,
    fwmask: 0,
    iif: null,
    oif: null,
    l3mdev: false,
    uidRange: null,
    tunId: null,
    table: 0,
    src: null,
    dst: null,
    ipproto: null,
    sport: null,
    dport: null,
    protocol: null,
  };
  readKeywords(context, new Args(context, words), FILTER, filter, (args) => {
    if (matches(args.word, 'dst') || matches(args.word, 'to')) args.next();
    filter.dst = getPrefix(context, args.word, family(context));
  });
  return filter;
}

function inPrefix(filter: InetPrefix | null, addr = 0, length = 0): boolean {
  return filter === null || (filter.bitlen <= length && addrMatch(addr, filter.addr, filter.bitlen));
}

function sameRange(filter: readonly [number, number] | null, range?: readonly [number, number]): boolean {
  return filter === null || (range !== undefined && filter[0] === range[0] && filter[1] === range[1]);
}

export function passesRuleFilter(context: IpContext, filter: RuleFilter, rule: RuleMessage): boolean {
  return (
    (context.options.family === AF_UNSPEC || context.options.family === AF_INET) &&
    (filter.priority === null || filter.priority === (rule.priority ?? 0)) &&
    (!filter.not || ((rule.flags ?? 0) & FIB_RULE_INVERT) !== 0) &&
    inPrefix(filter.src, rule.src, rule.srcLen) &&
    inPrefix(filter.dst, rule.dst, rule.dstLen) &&
    (filter.tos === null || filter.tos === (rule.tos ?? 0)) &&
    (filter.fwmark === 0 || filter.fwmark === (rule.fwmark ?? 0)) &&
    (filter.fwmask === 0 || filter.fwmask === (rule.fwmask ?? 0)) &&
    (filter.iif === null || filter.iif === rule.iifname) &&
    (filter.oif === null || filter.oif === rule.oifname) &&
    (!filter.l3mdev || rule.l3mdev === true) &&
    sameRange(filter.uidRange, rule.uidRange) &&
    (filter.ipproto === null || filter.ipproto === (rule.ipproto ?? 0)) &&
    sameRange(filter.sport, rule.sportRange) &&
    sameRange(filter.dport, rule.dportRange) &&
    (filter.tunId === null || BigInt(filter.tunId) === (rule.tunId ?? 0n)) &&
    (filter.table === 0 || filter.table === (rule.table ?? 0))
  );
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function printSelectors(context: IpContext, rule: RuleMessage): void {
  const { out, options } = context;
  if (((rule.flags ?? 0) & FIB_RULE_INVERT) !== 0) out.any('not', 'not ', null);
  if ((rule.srcLen ?? 0) > 0) {
    const src = formatIPv4(rule.src ?? 0);
    out.any('src', `from ${src}`, src);
    if (rule.srcLen !== 32) out.any('srclen', `/${rule.srcLen}`, rule.srcLen!);
  } else out.any('src', 'from all', 'all');
  if ((rule.dstLen ?? 0) > 0) {
    const dst = formatIPv4(rule.dst ?? 0);
    out.any('dst', ` to ${dst}`, dst);
    if (rule.dstLen !== 32) out.any('dstlen', `/${rule.dstLen}`, rule.dstLen!);
  }
  if ((rule.tos ?? 0) !== 0) {
    const tos = dsfieldN2a(rule.tos!, options.numeric);
    out.any('tos', ` tos ${tos}`, tos);
  }
  if (rule.dscp !== undefined) {
    const dscp = dscpN2a(rule.dscp, options.numeric);
    out.any('dscp', ` dscp ${dscp}`, dscp);
  }
  const mark = rule.fwmark ?? 0;
  const mask = rule.fwmask ?? (mark === 0 ? 0 : 0xffffffff);
  if (mark !== 0 || mask !== 0) {
    out.any('fwmark', ` fwmark ${hex(mark)}`, hex(mark));
    if (mask !== 0xffffffff) out.any('fwmask', `/${hex(mask)}`, hex(mask));
  }
  if (rule.iifname !== undefined) {
    out.any('iif', ` iif ${rule.iifname}`, rule.iifname);
    if (context.net.devGetByName(rule.iifname) === null) out.any('iif_detached', ' [detached]', null);
  }
  if (rule.oifname !== undefined) {
    out.any('oif', ` oif ${rule.oifname}`, rule.oifname);
    if (context.net.devGetByName(rule.oifname) === null) out.any('oif_detached', ' [detached]', null);
  }
  if (rule.l3mdev === true) out.any('l3mdev', ' lookup [l3mdev-table]', null);
  if (rule.uidRange !== undefined) {
    out.any('uid_start', ` uidrange ${rule.uidRange[0]}`, rule.uidRange[0]);
    out.any('uid_end', `-${rule.uidRange[1]}`, rule.uidRange[1]);
  }
  if ((rule.ipproto ?? 0) !== 0) {
    const name = ipProtocolN2a(rule.ipproto!, options.numeric);
    out.any('ipproto', ` ipproto ${name}`, name);
  }
  printPorts(context, 'sport', rule.sportRange, rule.sportMask);
  printPorts(context, 'dport', rule.dportRange, rule.dportMask);
  if ((rule.tunId ?? 0n) !== 0n) out.any('tun_id', ` tun_id ${rule.tunId}`, rule.tunId!);
}

function printPorts(
  context: IpContext,
  key: 'sport' | 'dport',
  range: readonly [number, number] | undefined,
  mask = 0xffff,
): void {
  if (range === undefined || (range[0] === 0 && range[1] === 0)) return;
  const { out } = context;
  if (range[0] !== range[1]) {
    out.any(`${key}_start`, ` ${key} ${range[0]}`, range[0]);
    out.any(`${key}_end`, `-${range[1]}`, range[1]);
  } else if (mask !== 0xffff) {
    out.any(key, ` ${key} ${hex(range[0])}`, hex(range[0]));
    out.any(`${key}_mask`, `/${hex(mask)}`, hex(mask));
  } else out.any(key, ` ${key} ${range[0]}`, range[0]);
}

function printAction(context: IpContext, rule: RuleMessage): void {
  const { out, options } = context;
  if ((rule.table ?? 0) !== 0) {
    const table = tableN2a(rule.table!, options.numeric);
    out.any('table', ` lookup ${table}`, table);
    const length = rule.suppressPrefixlength ?? -1;
    if (length >= 0) out.any('suppress_prefixlen', ` suppress_prefixlength ${length}`, length);
    const group = rule.suppressIfgroup ?? -1;
    if (group >= 0) {
      const name = groupN2a(group, options.numeric);
      out.any('suppress_ifgroup', ` suppress_ifgroup ${name}`, name);
    }
  }
  const action = rule.action ?? 0;
  if (action === RTN_NAT) out.any('masquerade', ' masquerade', null);
  else if (action === FR_ACT_GOTO) {
    const target = rule.gotoTarget;
    if (target === undefined) out.any('goto', ' goto none', 'none');
    else out.any('goto', ` goto ${target}`, target);
    if (((rule.flags ?? 0) & FIB_RULE_UNRESOLVED) !== 0) out.any('unresolved', ' [unresolved]', null);
  } else if (action === FR_ACT_NOP) out.any('nop', ' nop', null);
  else if (action !== FR_ACT_TO_TBL) {
    const name = routeTypeN2a(action, options.numeric);
    out.any('action', ` ${name}`, name);
  }
  const protocol = rule.protocol ?? RTPROT_UNSPEC;
  if ((protocol !== RTPROT_UNSPEC && protocol !== RTPROT_KERNEL) || options.details > 0) {
    const name = protocolN2a(protocol, options.numeric);
    out.any('protocol', ` proto ${name}`, name);
  }
}

/** `ip rule show` */
export function showRules(context: IpContext, words: readonly string[]): void {
  const filter = readRuleFilter(context, words);
  const { out } = context;
  out.begin();
  for (const rule of fibNlDumprule(context.net)) {
    if (!passesRuleFilter(context, filter, rule)) continue;
    out.openObject();
    out.any('priority', `${rule.priority ?? 0}:\t`, rule.priority ?? 0);
    printSelectors(context, rule);
    printAction(context, rule);
    out.fp('\n');
    out.closeObject();
  }
}
