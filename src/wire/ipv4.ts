/** The IPv4 header (RFC 791). Accessors bear the names of the kernel's `struct iphdr`. */
import { get16, get32, type Malformed, put16, put32 } from './bytes.js';
import { ipFastCsum } from './checksum.js';

// Field ranges: first byte (the range ends where the next begins).
export const VERSION_IHL = 0; // 0..1
export const TOS = 1; // 1..2
export const TOT_LEN = 2; // 2..4
export const ID = 4; // 4..6
export const FRAG_OFF = 6; // 6..8
export const TTL = 8; // 8..9
export const PROTOCOL = 9; // 9..10
export const CHECK = 10; // 10..12
export const SADDR = 12; // 12..16
export const DADDR = 16; // 16..20
export const OPTIONS = 20; // 20..ihl * 4

/** The header without options. */
export const HEADER_LEN = 20;
export const MAX_OPTIONS_LEN = 40;

// The frag_off word: three flags, then the offset in units of 8 bytes.
/** Reserved; must be zero. */
export const IP_CE = 0x8000;
/** Don't fragment. */
export const IP_DF = 0x4000;
/** More fragments follow. */
export const IP_MF = 0x2000;
/** The offset's bits. */
export const IP_OFFSET = 0x1fff;

export function version(b: Uint8Array, off: number): number {
  return b[off]! >>> 4;
}

/** Header length in 32-bit words. */
export function ihl(b: Uint8Array, off: number): number {
  return b[off]! & 15;
}

/** Header length in bytes. */
export function headerLen(b: Uint8Array, off: number): number {
  return (b[off]! & 15) << 2;
}

/** Sets version 4 and the header length in 32-bit words. */
export function setVersionIhl(b: Uint8Array, off: number, words: number): void {
  b[off] = 0x40 | words;
}

export function tos(b: Uint8Array, off: number): number {
  return b[off + TOS]!;
}

export function setTos(b: Uint8Array, off: number, value: number): void {
  b[off + TOS] = value;
}

export function totLen(b: Uint8Array, off: number): number {
  return get16(b, off + TOT_LEN);
}

export function setTotLen(b: Uint8Array, off: number, value: number): void {
  put16(b, off + TOT_LEN, value);
}

export function id(b: Uint8Array, off: number): number {
  return get16(b, off + ID);
}

export function setId(b: Uint8Array, off: number, value: number): void {
  put16(b, off + ID, value);
}

/** The whole flags-and-offset word. */
export function fragOff(b: Uint8Array, off: number): number {
  return get16(b, off + FRAG_OFF);
}

export function setFragOff(b: Uint8Array, off: number, value: number): void {
  put16(b, off + FRAG_OFF, value);
}

/** The fragment's place in the datagram, in bytes. */
export function fragOffsetBytes(b: Uint8Array, off: number): number {
  return (get16(b, off + FRAG_OFF) & IP_OFFSET) << 3;
}

/** True for every piece of a fragmented datagram. */
export function isFragment(b: Uint8Array, off: number): boolean {
  return (get16(b, off + FRAG_OFF) & (IP_MF | IP_OFFSET)) !== 0;
}

export function ttl(b: Uint8Array, off: number): number {
  return b[off + TTL]!;
}

export function setTtl(b: Uint8Array, off: number, value: number): void {
  b[off + TTL] = value;
}

export function protocol(b: Uint8Array, off: number): number {
  return b[off + PROTOCOL]!;
}

export function setProtocol(b: Uint8Array, off: number, value: number): void {
  b[off + PROTOCOL] = value;
}

export function check(b: Uint8Array, off: number): number {
  return get16(b, off + CHECK);
}

export function setCheck(b: Uint8Array, off: number, value: number): void {
  put16(b, off + CHECK, value);
}

export function saddr(b: Uint8Array, off: number): number {
  return get32(b, off + SADDR);
}

export function setSaddr(b: Uint8Array, off: number, addr: number): void {
  put32(b, off + SADDR, addr);
}

export function daddr(b: Uint8Array, off: number): number {
  return get32(b, off + DADDR);
}

export function setDaddr(b: Uint8Array, off: number, addr: number): void {
  put32(b, off + DADDR, addr);
}

/** Computes the header checksum and writes it (the kernel's `ip_send_check`). */
export function sendCheck(b: Uint8Array, off: number): void {
  b[off + CHECK] = 0;
  b[off + CHECK + 1] = 0;
  put16(b, off + CHECK, ipFastCsum(b, off, b[off]! & 15));
}

/** What the checksum field should hold, whatever it does hold. */
export function expectedCheck(b: Uint8Array, off: number): number {
  const header = b.slice(off, off + headerLen(b, off));
  sendCheck(header, 0);
  return check(header, 0);
}

/** An IPv4 header as a value. The checksum follows from the rest, so it is not part of it. */
export interface Ipv4Repr {
  readonly tos: number;
  readonly totLen: number;
  readonly id: number;
  /** Flags and offset as on the wire. */
  readonly fragOff: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly saddr: number;
  readonly daddr: number;
  /** The bytes of the options, a multiple of four. */
  readonly options: Uint8Array;
}

/**
 * Proves the bounds of a packet of `len` bytes (it may be longer than its header says: padding), in the order of the
 * kernel's `ip_rcv_core`. After 'ok' no accessor reads outside, and `headerLen` ≤ `totLen` ≤ `len`.
 */
export function checkBounds(b: Uint8Array, off: number, len: number): 'ok' | Malformed {
  if (len < HEADER_LEN) return 'truncated';
  if (version(b, off) !== 4) return 'bad-version';
  const header = headerLen(b, off);
  if (header < HEADER_LEN) return 'bad-length';
  if (len < header) return 'truncated';
  if (ipFastCsum(b, off, header >>> 2) !== 0) return 'bad-checksum';
  const total = totLen(b, off);
  if (len < total) return 'truncated';
  if (total < header) return 'bad-length';
  return 'ok';
}

/** Reads the header of a packet of `len` bytes; the options are a copy. */
export function parse(b: Uint8Array, off: number, len: number): Ipv4Repr | Malformed {
  const verdict = checkBounds(b, off, len);
  if (verdict !== 'ok') return verdict;
  return {
    tos: tos(b, off),
    totLen: totLen(b, off),
    id: id(b, off),
    fragOff: fragOff(b, off),
    ttl: ttl(b, off),
    protocol: protocol(b, off),
    saddr: saddr(b, off),
    daddr: daddr(b, off),
    options: b.slice(off + OPTIONS, off + headerLen(b, off)),
  };
}

/** Writes the header, checksum last; returns its length. */
export function emit(repr: Ipv4Repr, b: Uint8Array, off: number): number {
  const header = HEADER_LEN + repr.options.length;
  setVersionIhl(b, off, header >>> 2);
  setTos(b, off, repr.tos);
  setTotLen(b, off, repr.totLen);
  setId(b, off, repr.id);
  setFragOff(b, off, repr.fragOff);
  setTtl(b, off, repr.ttl);
  setProtocol(b, off, repr.protocol);
  setSaddr(b, off, repr.saddr);
  setDaddr(b, off, repr.daddr);
  b.set(repr.options, off + OPTIONS);
  sendCheck(b, off);
  return header;
}
