/** `ip rule add`, `del`, `flush` (`iprule.c`). */
import { fibNlDelrule, fibNlDumprule, fibNlNewrule } from '../route/fib_rules.js';
import { EOPNOTSUPP } from '../uapi/errno.js';
import {
  FIB_RULE_INVERT,
  FR_ACT_GOTO,
  FR_ACT_NOP,
  FR_ACT_TO_TBL,
  NLM_F_CREATE,
  NLM_F_EXCL,
  RT_TABLE_MAIN,
  RTN_NAT,
  type RuleMessage,
} from '../uapi/rtnetlink.js';
import { AF_INET, AF_INET6, AF_PACKET, AF_UNSPEC } from '../uapi/socket.js';
import { getAddr, getPrefix } from './inet_addr.js';
import { passesRuleFilter, readRuleFilter, showRules } from './iprule_show.js';
import {
  dscpA2n,
  dsfieldA2n,
  groupA2n,
  ipProtocolA2n,
  protocolA2n,
  routeTypeA2n,
  tableA2n,
} from './rt_names.js';
import { isRealms, readMark, readPorts, readUidRange } from './rule_selectors.js';
import { ruleUsage } from './usage.js';
import {
  Args,
  type Command,
  dispatch,
  getUnsigned,
  type IpContext,
  type Keyword,
  matches,
  needUnsigned,
  readKeywords,
  strtol,
} from './utils.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A rule while its words are read: the message, and what was said that the message does not tell. */
interface Modify {
  readonly message: Mutable<RuleMessage>;
  family: number;
  tableGiven: boolean;
  tableNamed: boolean;
}

function readPrefix(
  context: IpContext,
  state: Modify,
  word: string,
): readonly [addr: number, bitlen: number] {
  const prefix = getPrefix(context, word, state.family);
  if (state.family === AF_UNSPEC) state.family = prefix.family;
  return [prefix.addr, prefix.bitlen];
}

const MODIFY: readonly Keyword<Modify>[] = [
  {
    is: ['not'],
    read(_args, { message }) {
      message.flags = (message.flags ?? 0) | FIB_RULE_INVERT;
    },
  },
  {
    is: ['from'],
    read(args, state, context) {
      [state.message.src, state.message.srcLen] = readPrefix(context, state, args.next());
    },
  },
  {
    is: ['to'],
    read(args, state, context) {
      [state.message.dst, state.message.dstLen] = readPrefix(context, state, args.next());
    },
  },
  {
    matches: ['preference', 'order', 'priority'],
    read(args, { message }, context) {
      message.priority = needUnsigned(context, args.next(), 'preference value is invalid\n');
    },
  },
  {
    is: ['tos'],
    matches: ['dsfield'],
    read(args, { message }, context) {
      const word = args.next();
      message.tos = dsfieldA2n(word) ?? context.invarg('TOS value is invalid\n', word);
    },
  },
  {
    is: ['dscp'],
    read(args, { message }, context) {
      const word = args.next();
      message.dscp = dscpA2n(word) ?? context.invarg('invalid dscp value\n', word);
    },
  },
  {
    is: ['fwmark'],
    read(args, { message }, context) {
      const [mark, mask] = readMark(context, args.next());
      message.fwmark = mark;
      if (mask !== null) message.fwmask = mask;
    },
  },
  {
    matches: ['realms'],
    // A kernel without route classes takes the attribute and has no use for it.
    read(args, _state, context) {
      const word = args.next();
      if (!isRealms(word)) context.invarg('invalid realms\n', word);
    },
  },
  {
    matches: ['protocol'],
    read(args, { message }, context) {
      const word = args.next();
      message.protocol = protocolA2n(word) ?? context.invarg('"protocol" value is invalid\n', word);
    },
  },
  {
    is: ['tun_id'],
    read(args, { message }, context) {
      const word = args.next();
      const id = strtol(word, 0);
      if (id === null || id < 0n || id > 0xffff_ffff_ffff_ffffn)
        return context.invarg('"tun_id" value is invalid\n', word);
      message.tunId = id;
    },
  },
  {
    is: ['lookup'],
    matches: ['table'],
    read(args, state, context) {
      const word = args.next();
      state.message.table = tableA2n(word) ?? context.invarg('invalid table ID\n', word);
      state.tableGiven = true;
      state.tableNamed = true;
    },
  },
  {
    is: ['sup_pl'],
    matches: ['suppress_prefixlength'],
    read(args, { message }, context) {
      const word = args.next();
      const length = strtol(word, 0);
      if (length === null || length < 0n || length > 0x7fffffffn)
        context.invarg('suppress_prefixlength value is invalid\n', word);
      message.suppressPrefixlength = Number(length);
    },
  },
  {
    is: ['sup_group'],
    matches: ['suppress_ifgroup'],
    read(args, { message }, context) {
      const word = args.next();
      message.suppressIfgroup = groupA2n(word) ?? context.invarg('Invalid "suppress_ifgroup" value\n', word);
    },
  },
  {
    is: ['dev', 'iif'],
    read(args, { message }) {
      message.iifname = args.next();
    },
  },
  {
    is: ['oif'],
    read(args, { message }) {
      message.oifname = args.next();
    },
  },
  {
    is: ['l3mdev'],
    read(_args, state) {
      state.message.l3mdev = true;
      state.tableGiven = true;
    },
  },
  {
    is: ['uidrange'],
    read(args, { message }, context) {
      message.uidRange = readUidRange(context, args.next());
    },
  },
  {
    is: ['nat'],
    matches: ['map-to'],
    read(args, { message }, context) {
      context.warn('Warning: route NAT is deprecated');
      getAddr(context, args.next(), AF_INET);
      message.action = RTN_NAT;
    },
  },
  {
    is: ['ipproto'],
    read(args, { message }, context) {
      const word = args.next();
      message.ipproto = ipProtocolA2n(word) ?? context.invarg('Invalid "ipproto" value\n', word);
    },
  },
  {
    is: ['sport'],
    read(args, { message }, context) {
      const { range, mask } = readPorts(context, args.next());
      message.sportRange = range;
      if (mask !== null) message.sportMask = mask;
    },
  },
  {
    is: ['dport'],
    read(args, { message }, context) {
      const { range, mask } = readPorts(context, args.next());
      message.dportRange = range;
      if (mask !== null) message.dportMask = mask;
    },
  },
];

/** Where a rule leads, by its type; the numbers of route types and rule actions are the same. */
function readAction(args: Args, state: Modify, context: IpContext): void {
  if (args.word === 'type') args.next();
  if (matches(args.word, 'help')) ruleUsage(context);
  const { message } = state;
  if (args.word === 'goto') {
    const word = args.next();
    message.action = FR_ACT_GOTO;
    message.gotoTarget = getUnsigned(word) ?? context.invarg('invalid target\n', word);
  } else if (args.word === 'nop') message.action = FR_ACT_NOP;
  else message.action = routeTypeA2n(args.word) ?? context.invarg('Failed to parse rule type', args.word);
  state.tableGiven = true;
}

function modify(context: IpContext, words: readonly string[], verb: 'add' | 'del'): void {
  if (words.length === 0) context.fail(1, `"ip rule ${verb}" requires arguments.`);
  const state: Modify = {
    message: verb === 'add' ? { action: FR_ACT_TO_TBL } : {},
    family: context.options.family,
    tableGiven: false,
    tableNamed: false,
  };
  readKeywords(context, new Args(context, words), MODIFY, state, readAction);
  const { message } = state;
  // The exit status is the errno here, an accident of iproute2.
  if (message.l3mdev === true && state.tableNamed)
    context.fail(22, 'table can not be specified for l3mdev rules');
  if (state.family === AF_INET6 || state.family === AF_PACKET) context.refuse(EOPNOTSUPP);
  if (!state.tableGiven && verb === 'add') message.table = RT_TABLE_MAIN;
  context.answer(
    verb === 'add'
      ? fibNlNewrule(context.net, message, NLM_F_CREATE | NLM_F_EXCL)
      : fibNlDelrule(context.net, message, 0),
  );
}

/** Deletes the rules that a filter lets pass; those of priority 0 stay, since the dump does not name their priority. */
function flush(context: IpContext, words: readonly string[]): void {
  const filter = readRuleFilter(context, words);
  for (const message of fibNlDumprule(context.net)) {
    if ((message.priority ?? 0) === 0 || !passesRuleFilter(context, filter, message)) continue;
    if (filter.protocol !== null && filter.protocol !== (message.protocol ?? 0)) continue;
    context.answer(fibNlDelrule(context.net, message, 0));
  }
}

const COMMANDS: readonly Command[] = [
  { matches: ['list', 'lst', 'show'], run: showRules },
  { matches: ['add'], run: (context, words) => modify(context, words, 'add') },
  { matches: ['delete'], run: (context, words) => modify(context, words, 'del') },
  { matches: ['flush'], run: flush },
  { matches: ['help'], run: ruleUsage },
];

/** `ip rule ...` */
export function doIprule(context: IpContext, words: readonly string[]): void {
  dispatch(context, 'rule', COMMANDS, words);
}
