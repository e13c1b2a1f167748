/**
 * IPv4 options (`net/ipv4/ip_options.c`): checked and compiled when the user gives them, completed when a header is built,
 * thinned out for fragments, and undone for getsockopt. Offsets are from the start of the IP header, as in the kernel; 0 is "none".
 */
import type { Clock } from '../core/clock.js';
import { EINVAL, EPERM } from '../uapi/errno.js';
import { get32, put32 } from '../wire/bytes.js';
import {
  IPOPT_CIPSO,
  IPOPT_COPY,
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
import { HEADER_LEN, MAX_OPTIONS_LEN } from '../wire/ipv4.js';

/** `struct ip_options` with its data. */
export class IpOptions {
  /** First hop of a source route. */
  faddr = 0;
  /** Bytes, a multiple of 4 up to 40. */
  optlen = 0;
  srr = 0;
  rr = 0;
  ts = 0;
  isStrictroute = false;
  rrNeedaddr = false;
  tsNeedtime = false;
  tsNeedaddr = false;
  routerAlert = 0;
  cipso = 0;
  readonly data = new Uint8Array(MAX_OPTIONS_LEN);

  /** Becomes a copy of another set. */
  assign(from: IpOptions): void {
    this.faddr = from.faddr;
    this.optlen = from.optlen;
    this.srr = from.srr;
    this.rr = from.rr;
    this.ts = from.ts;
    this.isStrictroute = from.isStrictroute;
    this.rrNeedaddr = from.rrNeedaddr;
    this.tsNeedtime = from.tsNeedtime;
    this.tsNeedaddr = from.tsNeedaddr;
    this.routerAlert = from.routerAlert;
    this.cipso = from.cipso;
    this.data.set(from.data);
  }
}

/** What compiling needs to know of its surroundings. */
export interface OptionsContext {
  /** The caller holds CAP_NET_RAW. */
  readonly netRaw: boolean;
  /** The address is not of ours nor otherwise special (`inet_addr_type() == RTN_UNICAST`), for prespecified timestamps. */
  isUnicast(addr: number): boolean;
  /** OPT-1: LSRR and SSRR need CAP_NET_RAW (EPERM). */
  readonly sourceRouteNeedsNetRaw: boolean;
}

/**
 * Makes an option set of what the user gave (`ip_options_get`).
 * @param bytes at most 40
 * @returns the compiled set, or -EINVAL, or -EPERM for a source route without CAP_NET_RAW (OPT-1)
 */
export function ipOptionsGet(bytes: Uint8Array, context: OptionsContext): IpOptions | number {
  const opt = new IpOptions();
  opt.data.set(bytes);
  opt.optlen = (bytes.length + 3) & ~3;
  if (opt.optlen > 0 && !ipOptionsCompile(opt, context)) return -EINVAL;
  if (opt.srr !== 0 && context.sourceRouteNeedsNetRaw && !context.netRaw) return -EPERM;
  return opt;
}

/** Walks and compiles the user's options in place (`__ip_options_compile` without a packet); false is EINVAL. */
function ipOptionsCompile(opt: IpOptions, context: OptionsContext): boolean {
  const b = opt.data;
  let at = 0;
  let left = opt.optlen;
  while (left > 0) {
    const type = b[at]!;
    if (type === IPOPT_END) {
      // OPT-2: whatever follows the end is rewritten to zero.
      b.fill(IPOPT_END, at, at + left);
      return true;
    }
    if (type === IPOPT_NOOP) {
      at++;
      left--;
      continue;
    }
    if (left < 2) return false;
    const optlen = b[at + 1]!;
    if (optlen < 2 || optlen > left) return false;
    if (!compileOne(opt, type, at, optlen, context)) return false;
    at += optlen;
    left -= optlen;
  }
  return true;
}

function compileOne(
  opt: IpOptions,
  type: number,
  at: number,
  optlen: number,
  context: OptionsContext,
): boolean {
  const b = opt.data;
  switch (type) {
    case IPOPT_SSRR:
    case IPOPT_LSRR:
      if (optlen < 3 || b[at + 2]! < 4 || opt.srr !== 0) return false;
      // OPT-3: the first address becomes the first hop, the others move up; the last slot is filled when sending.
      if (b[at + 2] !== 4 || optlen < 7 || ((optlen - 3) & 3) !== 0) return false;
      opt.faddr = get32(b, at + 3);
      if (optlen > 7) b.copyWithin(at + 3, at + 7, at + optlen);
      opt.isStrictroute = type === IPOPT_SSRR;
      opt.srr = HEADER_LEN + at;
      return true;
    case IPOPT_RR:
      if (opt.rr !== 0 || optlen < 3 || b[at + 2]! < 4) return false;
      if (b[at + 2]! <= optlen) {
        if (b[at + 2]! + 3 > optlen) return false;
        b[at + 2] = b[at + 2]! + 4;
        opt.rrNeedaddr = true;
      }
      opt.rr = HEADER_LEN + at;
      return true;
    case IPOPT_TIMESTAMP:
      return compileTimestamp(opt, at, optlen, context);
    case IPOPT_RA:
      if (optlen < 4) return false;
      if (b[at + 2] === 0 && b[at + 3] === 0) opt.routerAlert = HEADER_LEN + at;
      return true;
    case IPOPT_CIPSO:
      // OPT-7: valid only with a configured domain of interpretation, and there is none.
      return false;
    default:
      return context.netRaw;
  }
}

function compileTimestamp(opt: IpOptions, at: number, optlen: number, context: OptionsContext): boolean {
  const b = opt.data;
  if (opt.ts !== 0 || optlen < 4 || b[at + 2]! < 5) return false;
  const ptr = b[at + 2]!;
  const flag = b[at + 3]! & 0xf;
  if (ptr <= optlen) {
    if (ptr + 3 > optlen) return false;
    if (flag === IPOPT_TS_TSONLY) {
      opt.tsNeedtime = true;
      b[at + 2] = ptr + 4;
    } else if (flag === IPOPT_TS_TSANDADDR) {
      if (ptr + 7 > optlen) return false;
      opt.tsNeedaddr = true;
      opt.tsNeedtime = true;
      b[at + 2] = ptr + 8;
    } else if (flag === IPOPT_TS_PRESPEC) {
      if (ptr + 7 > optlen) return false;
      if (!context.isUnicast(get32(b, at + ptr - 1))) {
        opt.tsNeedtime = true;
        b[at + 2] = ptr + 8;
      }
    } else if (!context.netRaw) return false;
  } else if (flag !== IPOPT_TS_PRESPEC && b[at + 3]! >>> 4 === 15) return false;
  opt.ts = HEADER_LEN + at;
  return true;
}

/**
 * Writes the options behind a header that has its addresses already (`ip_options_build`, OPT-20).
 * @param iph offset of the IP header
 * @param daddr the datagram's final destination
 * @param clock read only where a timestamp is asked for: reading it costs as much as the rest
 */
export function ipOptionsBuild(
  buf: Uint8Array,
  iph: number,
  opt: IpOptions,
  daddr: number,
  clock: Clock,
): void {
  for (let i = 0; i < opt.optlen; i++) buf[iph + HEADER_LEN + i] = opt.data[i]!;
  if (opt.srr !== 0) put32(buf, iph + opt.srr + buf[iph + opt.srr + 1]! - 4, daddr);
  const saddr = get32(buf, iph + 12);
  if (opt.rrNeedaddr) put32(buf, iph + opt.rr + buf[iph + opt.rr + 2]! - 5, saddr);
  if (opt.tsNeedaddr) put32(buf, iph + opt.ts + buf[iph + opt.ts + 2]! - 9, saddr);
  if (opt.tsNeedtime)
    put32(buf, iph + opt.ts + buf[iph + opt.ts + 2]! - 5, inetCurrentTimestamp(clock.wall()));
}

/** Milliseconds since midnight UT (`inet_current_timestamp`). */
export function inetCurrentTimestamp(wallMs: number): number {
  return Math.floor(wallMs) % 86_400_000;
}

/** Options of the fragments after the first: those without the copied bit become NOPs (`ip_options_fragment`, OPT-30). */
export function ipOptionsFragment(buf: Uint8Array, iph: number, optlen: number): void {
  let at = iph + HEADER_LEN;
  let left = optlen;
  while (left > 0) {
    const type = buf[at]!;
    if (type === IPOPT_END) return;
    if (type === IPOPT_NOOP) {
      at++;
      left--;
      continue;
    }
    const len = buf[at + 1]!;
    if (len < 2 || len > left) return;
    if ((type & IPOPT_COPY) === 0) buf.fill(IPOPT_NOOP, at, at + len);
    at += len;
    left -= len;
  }
}

/** The options as the user gave them (`ip_options_undo`, SOPT-29). */
export function ipOptionsUndo(opt: IpOptions): Uint8Array {
  const b = opt.data.slice(0, opt.optlen);
  if (opt.srr !== 0) {
    const at = opt.srr - HEADER_LEN;
    b.copyWithin(at + 7, at + 3, at + b[at + 1]! - 4);
    put32(b, at + 3, opt.faddr);
  }
  if (opt.rrNeedaddr) takeBack(b, opt.rr - HEADER_LEN);
  if (opt.ts !== 0) {
    const at = opt.ts - HEADER_LEN;
    if (opt.tsNeedtime) {
      takeBack(b, at);
      if ((b[at + 3]! & 0xf) === IPOPT_TS_PRESPEC) b[at + 2] = b[at + 2]! - 4;
    }
    if (opt.tsNeedaddr) takeBack(b, at);
  }
  return b;
}

function takeBack(b: Uint8Array, at: number): void {
  b[at + 2] = b[at + 2]! - 4;
  put32(b, at + b[at + 2]! - 1, 0);
}
