/** `ip addr add`, `change`, `replace`, `del` (`ipaddr_modify`), and the commands of `ip addr`. */
import { inetRtmDeladdr, inetRtmNewaddr } from '../dev/devinet.js';
import { INFINITY_LIFE_TIME } from '../dev/ifa_lifetime.js';
import { EOPNOTSUPP, ERANGE } from '../uapi/errno.js';
import { IFNAMSIZ } from '../uapi/if.js';
import { inetMakeMask, ipv4IsLoopback, ipv4IsMulticast } from '../uapi/in.js';
import {
  type AddrMessage,
  IFA_F_MCAUTOJOIN,
  IFA_F_NOPREFIXROUTE,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  RT_SCOPE_HOST,
  RT_SCOPE_UNIVERSE,
} from '../uapi/rtnetlink.js';
import { AF_INET, AF_UNSPEC } from '../uapi/socket.js';
import { getAddr, getPrefix, type InetPrefix } from './inet_addr.js';
import { flushAddresses, showAddresses } from './ipaddress_show.js';
import { scopeA2n } from './rt_names.js';
import { addressUsage } from './usage.js';
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
} from './utils.js';

interface Modify {
  family: number;
  local: InetPrefix | null;
  /** How the address was written, for the warning about wildcard deletion. */
  localWord: string;
  peer: InetPrefix | null;
  broadcast: InetPrefix | '+' | '-' | null;
  anycast: boolean;
  scope: number | null;
  dev: string | null;
  label: string | null;
  metric: number | null;
  validLft: number | null;
  preferredLft: number | null;
  flags: number;
}

/** Seconds, or `forever`; null where it is neither. */
function lifetime(text: string): number | null {
  return text === 'forever' ? INFINITY_LIFE_TIME : getUnsigned(text);
}

function learnFamily(state: Modify, prefix: InetPrefix): InetPrefix {
  if (state.family === AF_UNSPEC) state.family = prefix.family;
  return prefix;
}

/** A flag of IPv6 addresses, which an IPv4 address takes with a warning. */
function inet6Flag(name: string): Keyword<Modify> {
  return {
    is: [name],
    read: (_args, state, context) => {
      if (state.family !== AF_INET) return;
      context.warn(`Warning: ${name} option can be set only for IPv6 addresses`);
    },
  };
}

const MODIFY: readonly Keyword<Modify>[] = [
  {
    is: ['peer', 'remote'],
    read(args, state, context) {
      const word = args.next();
      if (state.peer !== null) context.duparg('peer', word);
      state.peer = learnFamily(state, getPrefix(context, word, state.family));
    },
  },
  {
    is: ['brd'],
    matches: ['broadcast'],
    read(args, state, context) {
      const word = args.next();
      if (state.broadcast !== null) context.duparg('broadcast', word);
      state.broadcast =
        word === '+' || word === '-' ? word : learnFamily(state, getAddr(context, word, state.family));
    },
  },
  {
    is: ['anycast'],
    read(args, state, context) {
      const word = args.next();
      if (state.anycast) context.duparg('anycast', word);
      learnFamily(state, getAddr(context, word, state.family));
      state.anycast = true;
    },
  },
  {
    is: ['scope'],
    read(args, state, context) {
      const word = args.next();
      state.scope = scopeA2n(word) ?? context.invarg('invalid scope value.', word);
    },
  },
  {
    is: ['dev'],
    read(args, state) {
      state.dev = args.next();
    },
  },
  {
    is: ['label'],
    read(args, state) {
      state.label = args.next();
    },
  },
  {
    is: ['preference'],
    matches: ['metric', 'priority'],
    read(args, state, context) {
      state.metric = needUnsigned(context, args.next(), '"metric" value is invalid\n');
    },
  },
  {
    matches: ['valid_lft'],
    read(args, state, context) {
      if (state.validLft !== null) context.duparg('valid_lft', args.word);
      const word = args.next();
      state.validLft = lifetime(word) ?? context.invarg('valid_lft value', word);
    },
  },
  {
    matches: ['preferred_lft'],
    read(args, state, context) {
      if (state.preferredLft !== null) context.duparg('preferred_lft', args.word);
      const word = args.next();
      state.preferredLft = lifetime(word) ?? context.invarg('preferred_lft value', word);
    },
  },
  inet6Flag('nodad'),
  inet6Flag('optimistic'),
  inet6Flag('home'),
  inet6Flag('mngtmpaddr'),
  {
    is: ['noprefixroute'],
    read(_args, state) {
      state.flags |= IFA_F_NOPREFIXROUTE;
    },
  },
  {
    is: ['autojoin'],
    read(_args, state) {
      state.flags |= IFA_F_MCAUTOJOIN;
    },
  },
];

function readLocal(args: Args, state: Modify, context: IpContext): void {
  if (args.word === 'local') args.next();
  if (matches(args.word, 'help')) addressUsage(context);
  if (state.local !== null) context.duparg2('local', args.word);
  state.localWord = args.word;
  state.local = learnFamily(state, getPrefix(context, args.word, state.family));
}

/** `brd +`: the host bits set; `brd -`: cleared. Subnets of two addresses and less have no broadcast address. */
function broadcastOf(peer: InetPrefix, sign: '+' | '-'): number | null {
  if (peer.bitlen > 30) return null;
  const mask = inetMakeMask(peer.bitlen);
  return (sign === '+' ? peer.addr | ~mask : peer.addr & mask) >>> 0;
}

function modify(context: IpContext, words: readonly string[], verb: 'new' | 'del', nlmFlags: number): void {
  const state: Modify = {
    family: context.options.family,
    local: null,
    localWord: '',
    peer: null,
    broadcast: null,
    anycast: false,
    scope: null,
    dev: null,
    label: null,
    metric: null,
    validLft: null,
    preferredLft: null,
    flags: 0,
  };
  readKeywords(context, new Args(context, words), MODIFY, state, readLocal);
  if (state.dev === null) context.fail(1, 'Not enough information: "dev" argument is required.');
  const local = state.local?.wildcard === true ? null : state.local;
  let peer = state.peer;
  if (peer === null && local !== null) {
    if (verb === 'del' && local.family === AF_INET && !local.explicitLength) {
      context.warn(
        `Warning: Executing wildcard deletion to stay compatible with old scripts.
         Explicitly specify the prefix length (${state.localWord}/32) to avoid this warning.
         This special behaviour is likely to disappear in further releases,
         fix your scripts!`,
      );
    } else peer = local;
  }
  const prefixLen = (state.peer?.bitlen ?? 0) || (local?.bitlen ?? 0);
  const broadcast = readBroadcast(context, state, peer, verb);
  const scope =
    state.scope ?? (local !== null && ipv4IsLoopback(local.addr) ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE);
  const ifindex = context.device(state.dev).ifindex;
  const { validLft, preferredLft } = state;
  if (validLft === 0) context.fail(1, 'valid_lft is zero');
  if ((preferredLft ?? INFINITY_LIFE_TIME) > (validLft ?? INFINITY_LIFE_TIME))
    context.fail(1, 'preferred_lft is greater than valid_lft');
  if ((state.flags & IFA_F_MCAUTOJOIN) !== 0 && (local === null || !ipv4IsMulticast(local.addr)))
    context.fail(1, 'autojoin needs multicast address');
  if (state.family !== AF_INET) context.refuse(EOPNOTSUPP);
  if (Buffer.byteLength(state.label ?? '') >= IFNAMSIZ)
    context.refuse(ERANGE, 'Attribute failed policy validation');
  const message: AddrMessage = {
    ifindex,
    prefixLen,
    ...(local === null ? {} : { local: local.addr }),
    ...(peer === null ? {} : { address: peer.addr }),
    ...(broadcast === null ? {} : { broadcast }),
    ...(verb === 'new' ? { scope } : {}),
    flags: state.flags,
    ...(state.label === null ? {} : { label: state.label }),
    ...(state.metric === null ? {} : { metric: state.metric }),
    ...(validLft === null && preferredLft === null
      ? {}
      : { validLft: validLft ?? INFINITY_LIFE_TIME, preferredLft: preferredLft ?? INFINITY_LIFE_TIME }),
  };
  context.answer(
    verb === 'new' ? inetRtmNewaddr(context.net, message, nlmFlags) : inetRtmDeladdr(context.net, message),
  );
}

function readBroadcast(
  context: IpContext,
  state: Modify,
  peer: InetPrefix | null,
  verb: 'new' | 'del',
): number | null {
  const { broadcast } = state;
  if (broadcast === null) return null;
  if (broadcast !== '+' && broadcast !== '-') return broadcast.addr;
  if (verb === 'del') return null;
  if (state.family !== AF_INET) context.fail(1, 'Broadcast can be set only for IPv4 addresses');
  return peer === null ? null : broadcastOf(peer, broadcast);
}

const COMMANDS: readonly Command[] = [
  { matches: ['add'], run: (context, words) => modify(context, words, 'new', NLM_F_CREATE | NLM_F_EXCL) },
  { is: ['chg'], matches: ['change'], run: (context, words) => modify(context, words, 'new', NLM_F_REPLACE) },
  {
    matches: ['replace'],
    run: (context, words) => modify(context, words, 'new', NLM_F_CREATE | NLM_F_REPLACE),
  },
  { matches: ['delete'], run: (context, words) => modify(context, words, 'del', 0) },
  { matches: ['show', 'lst', 'list'], run: showAddresses },
  { matches: ['flush'], run: flushAddresses },
  { matches: ['help'], run: addressUsage },
];

/** `ip addr ...` */
export function doIpaddr(context: IpContext, words: readonly string[]): void {
  dispatch(context, 'address', COMMANDS, words);
}
