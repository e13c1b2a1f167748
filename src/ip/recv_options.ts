/**
 * IP options of received packets (`net/ipv4/ip_options.c`): filled in on arrival, and turned around for an answer.
 *
 * A received header is completed in place: our address goes into a record route, the time into a timestamp. Of what was done only three
 * bits are kept with the packet (`cbFlags`); where an option lies is found by walking again, for few packets carry any.
 */
import type { NetDevice } from '../dev/net_device.js';
import type { SkBuff } from '../dev/skbuff.js';
import { inetAddrType } from '../route/addr_type.js';
import { ipRouteInput } from '../route/input.js';
import { DST_INPUT_LOCAL, type Rtable } from '../route/rtable.js';
import { PACKET_HOST } from '../uapi/if.js';
import { RTN_LOCAL, RTN_UNICAST } from '../uapi/rtnetlink.js';
import { get32, put32 } from '../wire/bytes.js';
import { ICMP_PARAMETERPROB } from '../wire/icmp.js';
import {
  IPOPT_CIPSO,
  IPOPT_END,
  IPOPT_LSRR,
  IPOPT_NOOP,
  IPOPT_RA,
  IPOPT_RR,
  IPOPT_SSRR,
  IPOPT_TIMESTAMP,
  IPOPT_TS_PRESPEC,
  IPOPT_TS_TSANDADDR,
  IPOPT_TS_TSONLY,
} from '../wire/ipoptions.js';
import { HEADER_LEN, saddr, setDaddr, tos } from '../wire/ipv4.js';
import type { IpNet } from './netns.js';
import { IpOptions, inetCurrentTimestamp } from './options.js';
import { fibComputeSpecDst } from './spec_dst.js';

/** `SkBuff.cbFlags`: what arrival did to the options, which an echo must know. */
export const IPSKB_OPT_RR_NEEDADDR = 0x10000;
export const IPSKB_OPT_TS_NEEDADDR = 0x20000;
export const IPSKB_OPT_TS_NEEDTIME = 0x40000;

const CIPSO_MIN_BYTES = 8;

/** Offsets from the IP header of the options that count; 0 for none. */
interface OptionPlaces {
  srr: number;
  rr: number;
  ts: number;
  cipso: number;
}

/** Finds the options that an answer cares for, in a header that was checked on arrival. */
function findOptions(buf: Uint8Array, nh: number, optLen: number): OptionPlaces {
  const places: OptionPlaces = { srr: 0, rr: 0, ts: 0, cipso: 0 };
  let at = nh + HEADER_LEN;
  const end = at + optLen;
  while (at < end) {
    const type = buf[at]!;
    if (type === IPOPT_END) break;
    if (type === IPOPT_NOOP) {
      at++;
      continue;
    }
    const len = at + 1 < end ? buf[at + 1]! : 0;
    if (len < 2 || at + len > end) break;
    if (type === IPOPT_LSRR || type === IPOPT_SSRR) places.srr = at - nh;
    else if (type === IPOPT_RR) places.rr = at - nh;
    else if (type === IPOPT_TIMESTAMP) places.ts = at - nh;
    else if (type === IPOPT_CIPSO) places.cipso = at - nh;
    at += len;
  }
  return places;
}

/**
 * Checks and completes the options of a routed packet (`ip_options_compile`). A bad one is answered with a parameter problem that points
 * at the byte. @returns false to drop the packet
 */
export function ipOptionsRcvCompile(net: IpNet, skb: SkBuff): boolean {
  const bad = compile(net, skb);
  if (bad < 0) return true;
  net.icmpSend(skb, ICMP_PARAMETERPROB, 0, ((bad - skb.nh) << 24) >>> 0);
  return false;
}

/** The same for a packet of our own that comes back to its sender; false where its options are bad. Nobody is told. */
export function ipOptionsRecompile(net: IpNet, skb: SkBuff): boolean {
  return compile(net, skb) < 0;
}

/**
 * @returns -1, or the offset in memory of the byte that is wrong. The options from there on are forgotten: an answer
 * echoes only those before, and the label that was refused.
 */
function compile(net: IpNet, skb: SkBuff): number {
  const b = skb.buf;
  let at = skb.nh + HEADER_LEN;
  const end = at + skb.optLen;
  const seen = new Set<number>();
  while (at < end) {
    const type = b[at]!;
    if (type === IPOPT_END) {
      b.fill(IPOPT_END, at, end);
      return -1;
    }
    if (type === IPOPT_NOOP) {
      at++;
      continue;
    }
    const len = at + 1 < end ? b[at + 1]! : 0;
    const bad = len < 2 || at + len > end ? at : compileOne(net, skb, at, len, seen);
    if (bad >= 0) {
      const kept = type === IPOPT_CIPSO && bad > at ? at + len : at;
      skb.optLen = kept - skb.nh - HEADER_LEN;
      return bad;
    }
    at += len;
  }
  return -1;
}

/** One option of `len` bytes; -1, or the byte that is wrong. */
function compileOne(net: IpNet, skb: SkBuff, at: number, len: number, seen: Set<number>): number {
  const b = skb.buf;
  const type = b[at]!;
  switch (type) {
    case IPOPT_SSRR:
    case IPOPT_LSRR:
      if (len < 3) return at + 1;
      if (b[at + 2]! < 4) return at + 2;
      if (seen.has(IPOPT_LSRR)) return at;
      seen.add(IPOPT_LSRR);
      return -1;
    case IPOPT_RR:
    case IPOPT_TIMESTAMP:
      if (seen.has(type)) return at;
      seen.add(type);
      return type === IPOPT_RR ? receiveRecordRoute(net, skb, at, len) : receiveTimestamp(net, skb, at, len);
    case IPOPT_RA:
      return len < 4 ? at + 1 : -1;
    case IPOPT_CIPSO:
      // A label needs a domain of interpretation, and there is none: wrong is its length, or the domain's number.
      return len < CIPSO_MIN_BYTES ? at + 1 : at + 2;
    default:
      return -1;
  }
}

function receiveRecordRoute(net: IpNet, skb: SkBuff, at: number, len: number): number {
  const b = skb.buf;
  if (len < 3) return at + 1;
  const pointer = b[at + 2]!;
  if (pointer < 4) return at + 2;
  if (pointer > len) return -1;
  if (pointer + 3 > len) return at + 2;
  put32(b, at + pointer - 1, fibComputeSpecDst(net, skb));
  b[at + 2] = pointer + 4;
  skb.cbFlags |= IPSKB_OPT_RR_NEEDADDR;
  return -1;
}

function receiveTimestamp(net: IpNet, skb: SkBuff, at: number, len: number): number {
  const b = skb.buf;
  if (len < 4) return at + 1;
  const pointer = b[at + 2]!;
  if (pointer < 5) return at + 2;
  const flag = b[at + 3]! & 0xf;
  if (pointer > len) {
    if (flag === IPOPT_TS_PRESPEC) return -1;
    const overflow = b[at + 3]! >>> 4;
    if (overflow === 15) return at + 3;
    b[at + 3] = flag | ((overflow + 1) << 4);
    return -1;
  }
  if (pointer + 3 > len) return at + 2;
  let timeAt = -1;
  if (flag === IPOPT_TS_TSONLY) {
    timeAt = at + pointer - 1;
    b[at + 2] = pointer + 4;
  } else if (flag === IPOPT_TS_TSANDADDR) {
    if (pointer + 7 > len) return at + 2;
    put32(b, at + pointer - 1, fibComputeSpecDst(net, skb));
    timeAt = at + pointer + 3;
    skb.cbFlags |= IPSKB_OPT_TS_NEEDADDR;
    b[at + 2] = pointer + 8;
  } else if (flag === IPOPT_TS_PRESPEC) {
    if (pointer + 7 > len) return at + 2;
    if (inetAddrType(net, get32(b, at + pointer - 1)) === RTN_UNICAST) return -1;
    timeAt = at + pointer + 3;
    b[at + 2] = pointer + 8;
  }
  if (timeAt >= 0) {
    skb.cbFlags |= IPSKB_OPT_TS_NEEDTIME;
    put32(b, timeAt, inetCurrentTimestamp(net.clock.wall()));
  }
  return -1;
}

/** True where the header carries a source route. */
export function hasSourceRoute(skb: SkBuff): boolean {
  return findOptions(skb.buf, skb.nh, skb.optLen).srr !== 0;
}

/**
 * Follows a source route that names us (`ip_options_rcv_srr`): hops that are ourselves are passed at once, a hop that is not makes the
 * packet one to forward. @returns false to drop the packet
 */
export function ipOptionsRcvSrr(net: IpNet, skb: SkBuff, dev: NetDevice): boolean {
  const b = skb.buf;
  const { srr } = findOptions(b, skb.nh, skb.optLen);
  const rt = skb.dst as Rtable;
  if (srr === 0) return true;
  if (skb.pktType !== PACKET_HOST) return false;
  const at = skb.nh + srr;
  if (rt.type === RTN_UNICAST) {
    if (b[at] !== IPOPT_SSRR) return true;
    net.icmpSend(skb, ICMP_PARAMETERPROB, 0, 16 << 24);
    return false;
  }
  if (rt.type !== RTN_LOCAL) return false;
  const len = b[at + 1]!;
  for (let pointer = b[at + 2]!; pointer <= len; pointer += 4) {
    if (pointer + 3 > len) {
      net.icmpSend(skb, ICMP_PARAMETERPROB, 0, ((srr + 2) << 24) >>> 0);
      return false;
    }
    const nexthop = get32(b, at + pointer - 1);
    skb.dst = null;
    const error = ipRouteInput(net, skb, nexthop, saddr(b, skb.nh), tos(b, skb.nh), dev);
    const next = skb.dst as Rtable | null;
    if (error !== 0 || next === null || (next.type !== RTN_UNICAST && next.type !== RTN_LOCAL)) {
      skb.dst = rt;
      return false;
    }
    if (next.type !== RTN_LOCAL || next.input !== DST_INPUT_LOCAL) return true;
    setDaddr(b, skb.nh, nexthop);
  }
  return true;
}

/** What an echo reads of a packet. */
export interface EchoSource {
  readonly buf: Uint8Array;
  readonly nh: number;
  readonly optLen: number;
  readonly cbFlags: number;
}

/**
 * The options of an answer to a packet (`__ip_options_echo`): its record route and timestamps continued, its source route turned around.
 * @returns null where that makes no sense (the packet is then not answered)
 */
export function ipOptionsEcho(net: IpNet, packet: EchoSource): IpOptions | null {
  const opt = new IpOptions();
  if (packet.optLen === 0) return opt;
  const { buf, nh } = packet;
  const places = findOptions(buf, nh, packet.optLen);
  if (places.rr !== 0 && !echoRecordRoute(opt, packet, nh + places.rr)) return null;
  if (places.ts !== 0 && !echoTimestamp(net, opt, packet, nh + places.ts)) return null;
  if (places.srr !== 0) echoSourceRoute(opt, packet, nh + places.srr);
  if (places.cipso !== 0) {
    const at = nh + places.cipso;
    opt.cipso = opt.optlen + HEADER_LEN;
    opt.data.set(buf.subarray(at, at + buf[at + 1]!), opt.optlen);
    opt.optlen += buf[at + 1]!;
  }
  while (opt.optlen & 3) opt.data[opt.optlen++] = IPOPT_END;
  return opt;
}

function echoRecordRoute(opt: IpOptions, { buf, cbFlags }: EchoSource, at: number): boolean {
  const len = buf[at + 1]!;
  const pointer = buf[at + 2]!;
  const to = opt.optlen;
  opt.rr = to + HEADER_LEN;
  opt.data.set(buf.subarray(at, at + len), to);
  if ((cbFlags & IPSKB_OPT_RR_NEEDADDR) !== 0 && pointer <= len) {
    if (pointer + 3 > len) return false;
    opt.data[to + 2] = pointer + 4;
    opt.rrNeedaddr = true;
  }
  opt.optlen += len;
  return true;
}

function echoTimestamp(net: IpNet, opt: IpOptions, { buf, cbFlags }: EchoSource, at: number): boolean {
  const len = buf[at + 1]!;
  let pointer = buf[at + 2]!;
  const to = opt.optlen;
  opt.ts = to + HEADER_LEN;
  opt.data.set(buf.subarray(at, at + len), to);
  if (pointer <= len) {
    if ((cbFlags & IPSKB_OPT_TS_NEEDADDR) !== 0) {
      if (pointer + 3 > len) return false;
      opt.tsNeedaddr = true;
      pointer += 4;
    }
    if ((cbFlags & IPSKB_OPT_TS_NEEDTIME) !== 0) {
      if (pointer + 3 > len) return false;
      if ((opt.data[to + 3]! & 0xf) !== IPOPT_TS_PRESPEC) {
        opt.tsNeedtime = true;
        pointer += 4;
      } else if (pointer + 7 <= len && inetAddrType(net, get32(opt.data, to + pointer - 1)) !== RTN_UNICAST) {
        opt.tsNeedtime = true;
        pointer += 8;
      }
    }
    opt.data[to + 2] = pointer;
  }
  opt.optlen += len;
  return true;
}

function echoSourceRoute(opt: IpOptions, { buf, nh }: EchoSource, at: number): void {
  const len = buf[at + 1]!;
  let from = Math.min(buf[at + 2]!, len + 1) - 4;
  if (from <= 3) return;
  const to = opt.optlen;
  const faddr = get32(buf, at + from - 1);
  let used = 0;
  for (from -= 4, used = 4; from > 3; from -= 4, used += 4)
    put32(opt.data, to + used - 1, get32(buf, at + from - 1));
  // RFC 1812: the sender itself is not a hop of the way back.
  if (saddr(buf, nh) === get32(buf, at + from + 3)) used -= 4;
  if (used <= 3) return;
  opt.faddr = faddr;
  opt.data[to] = buf[at]!;
  opt.data[to + 1] = used + 3;
  opt.data[to + 2] = 4;
  opt.srr = to + HEADER_LEN;
  opt.optlen += used + 3;
  opt.isStrictroute = buf[at] === IPOPT_SSRR;
}
