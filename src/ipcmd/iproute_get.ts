/** `ip route get` (`iproute_get`): which way a datagram would take. */
import { inetRtmGetroute, type RouteGetAnswer, type RouteGetRequest } from '../route/getroute.js';
import { RTCF_BROADCAST, RTCF_DOREDIRECT, RTCF_LOCAL, RTCF_MULTICAST } from '../route/rtable.js';
import { EOPNOTSUPP } from '../uapi/errno.js';
import { formatIPv4 } from '../uapi/in.js';
import { AF_INET6, AF_PACKET, AF_UNSPEC } from '../uapi/socket.js';
import { getAddr, getPrefix, type InetPrefix } from './inet_addr.js';
import { NO_FILTER, printRoute } from './iproute_show.js';
import { dsfieldA2n, ipProtocolA2n } from './rt_names.js';
import { routeUsage } from './usage.js';
import { Args, getUnsigned, type IpContext, type Keyword, matches, readKeywords } from './utils.js';

interface Get {
  family: number;
  to: InetPrefix | null;
  from: InetPrefix | null;
  iif: string | null;
  oif: string | null;
  mark: number;
  tos: number;
  uid: number;
  ipproto: number;
  sport: number;
  dport: number;
  fibmatch: boolean;
  connected: boolean;
}

function readAddress(context: IpContext, state: Get, word: string): InetPrefix {
  const prefix = getPrefix(context, word, state.family);
  if (state.family === AF_UNSPEC) state.family = prefix.family;
  return prefix;
}

function readPort(context: IpContext, name: string, word: string): number {
  return getUnsigned(word, 0xffff) ?? context.invarg(`invalid ${name}\n`, word);
}

const GET: readonly Keyword<Get>[] = [
  {
    is: ['tos'],
    matches: ['dsfield'],
    read(args, state, context) {
      const word = args.next();
      state.tos = dsfieldA2n(word) ?? context.invarg('TOS value is invalid\n', word);
    },
  },
  {
    matches: ['from'],
    read(args, state, context) {
      if (matches(args.next(), 'help')) routeUsage(context);
      state.from = readAddress(context, state, args.word);
    },
  },
  {
    matches: ['iif'],
    read(args, state) {
      state.iif = args.next();
    },
  },
  {
    matches: ['mark'],
    // What is no number is no mark, silently.
    read(args, state) {
      state.mark = getUnsigned(args.next()) ?? 0;
    },
  },
  {
    is: ['dev'],
    matches: ['oif'],
    read(args, state) {
      state.oif = args.next();
    },
  },
  { matches: ['notify'], read() {} },
  {
    matches: ['connected'],
    read(_args, state) {
      state.connected = true;
    },
  },
  {
    is: ['vrf'],
    read(args, state, context) {
      const word = args.next();
      if (context.net.devGetByName(word)?.isL3Master !== true) context.invarg('Invalid VRF\n', word);
      state.oif = word;
    },
  },
  {
    matches: ['uid'],
    read(args, state, context) {
      const word = args.next();
      state.uid = getUnsigned(word) ?? context.invarg('invalid UID\n', word);
    },
  },
  {
    matches: ['fibmatch'],
    read(_args, state) {
      state.fibmatch = true;
    },
  },
  {
    is: ['as'],
    read(args, state, context) {
      if (args.next() === 'to') args.next();
      getAddr(context, args.word, state.family);
    },
  },
  {
    is: ['sport'],
    read(args, state, context) {
      state.sport = readPort(context, 'sport', args.next());
    },
  },
  {
    is: ['dport'],
    read(args, state, context) {
      state.dport = readPort(context, 'dport', args.next());
    },
  },
  {
    is: ['ipproto'],
    read(args, state, context) {
      const word = args.next();
      state.ipproto = ipProtocolA2n(word) ?? context.invarg('Invalid "ipproto" value\n', word);
    },
  },
];

function readTo(args: Args, state: Get, context: IpContext): void {
  if (args.word === 'to') args.next();
  if (matches(args.word, 'help')) routeUsage(context);
  state.to = readAddress(context, state, args.word);
  const { bitlen, family, wildcard } = state.to;
  const whole = family === AF_INET6 ? 128 : 32;
  if (!wildcard && bitlen !== whole)
    context.warn(`Warning: /${bitlen} as prefix is invalid, only /${whole} (or none) is supported.`);
}

/** Of the flags that a cached route has, those with a name; what iproute2 reads into others is printed too. */
const CACHE_FLAGS: readonly (readonly [flag: number, name: string])[] = [
  [RTCF_LOCAL, 'local'],
  [RTCF_MULTICAST, 'mc'],
  [RTCF_BROADCAST, 'brd'],
  [RTCF_DOREDIRECT, 'redirect'],
];

function printCache(context: IpContext, answer: RouteGetAnswer): void {
  const { out } = context;
  const names = CACHE_FLAGS.filter(([flag]) => (answer.cacheFlags & flag) !== 0).map(([, name]) => name);
  out.fp(`${out.lineBreak}    cache `);
  out.any('cache', names.length > 0 ? `<${names.join(',')}> ` : '', names);
  if (answer.expiresSeconds !== 0)
    out.any('expires', `expires ${answer.expiresSeconds}sec `, answer.expiresSeconds);
  if (answer.error !== 0) out.any('error', `error ${answer.error} `, answer.error);
}

function printAnswer(context: IpContext, state: Get, answer: RouteGetAnswer): void {
  const { out } = context;
  if (state.fibmatch) {
    printRoute(context, NO_FILTER, answer.route, null);
    return;
  }
  // The flag of a multicast route is the bit of "offload failed" in newer listings.
  const offloadFailed = (answer.cacheFlags & RTCF_MULTICAST) !== 0;
  printRoute(context, NO_FILTER, answer.route, {
    ...(answer.from === undefined ? {} : { from: formatIPv4(answer.from) }),
    isClone: true,
    print() {
      if (offloadFailed) out.fp('rt_offload_failed ');
      const { mark, uid } = answer;
      if (mark !== undefined && mark !== 0)
        out.any('mark', `mark ${mark >= 16 ? `0x${mark.toString(16)}` : mark} `, mark);
      if (uid !== undefined) out.any('uid', `uid ${uid} `, uid);
      printCache(context, answer);
    },
    printEnd() {
      if (answer.iif === undefined) return;
      const name = context.deviceName(answer.iif);
      out.any('iif', `iif ${name} `, name);
    },
  });
}

/** `ip route get` */
export function getRoute(context: IpContext, words: readonly string[]): void {
  const state: Get = {
    family: context.options.family,
    to: null,
    from: null,
    iif: null,
    oif: null,
    mark: 0,
    tos: 0,
    uid: context.options.uid,
    ipproto: 0,
    sport: 0,
    dport: 0,
    fibmatch: false,
    connected: false,
  };
  readKeywords(context, new Args(context, words), GET, state, readTo);
  if (state.to === null || state.to.bitlen === 0) context.fail(1, 'need at least a destination address');
  const iif = state.iif === null ? 0 : context.device(state.iif).ifindex;
  const oif = state.oif === null ? 0 : context.device(state.oif).ifindex;
  if (state.family === AF_INET6 || state.family === AF_PACKET) context.refuse(EOPNOTSUPP);
  const request: RouteGetRequest = {
    dst: state.to.addr,
    src: state.from?.addr ?? 0,
    iif,
    oif,
    mark: state.mark,
    tos: state.tos,
    uid: state.uid,
    ipproto: state.ipproto,
    sport: state.sport,
    dport: state.dport,
    fibmatch: state.fibmatch,
  };
  const answer = inetRtmGetroute(context.net, request);
  if ('error' in answer && !('route' in answer)) context.answer(answer);
  context.out.begin();
  printAnswer(context, state, answer as RouteGetAnswer);
  // The question of a connected socket: the same again, with the source that was found.
  if (state.connected && state.from === null) printAnswer(context, state, answer as RouteGetAnswer);
}
