/** The UDP header (RFC 768), and UDP-Lite's (RFC 3828), which puts the checksum coverage where UDP has the length. */
import { get16, type Malformed, put16 } from './bytes.js';
import { csumPartial, csumTcpudpMagic } from './checksum.js';

// Field ranges: first byte (the range ends where the next begins).
export const SOURCE = 0; // 0..2
export const DEST = 2; // 2..4
export const LEN = 4; // 4..6
export const CHECK = 6; // 6..8

export const HEADER_LEN = 8;

/** The protocol numbers whose headers have this form. */
export const PROTO_UDP = 17;
export const PROTO_UDPLITE = 136;

export function source(b: Uint8Array, off: number): number {
  return get16(b, off + SOURCE);
}

export function setSource(b: Uint8Array, off: number, port: number): void {
  put16(b, off + SOURCE, port);
}

export function dest(b: Uint8Array, off: number): number {
  return get16(b, off + DEST);
}

export function setDest(b: Uint8Array, off: number, port: number): void {
  put16(b, off + DEST, port);
}

/** Length of header and payload; for UDP-Lite the coverage, 0 meaning everything. */
export function len(b: Uint8Array, off: number): number {
  return get16(b, off + LEN);
}

export function setLen(b: Uint8Array, off: number, value: number): void {
  put16(b, off + LEN, value);
}

export function check(b: Uint8Array, off: number): number {
  return get16(b, off + CHECK);
}

export function setCheck(b: Uint8Array, off: number, value: number): void {
  put16(b, off + CHECK, value);
}

/** What a datagram's checksum is computed with besides its own bytes. */
export interface PseudoHeader {
  readonly saddr: number;
  readonly daddr: number;
  readonly protocol: typeof PROTO_UDP | typeof PROTO_UDPLITE;
}

/** A datagram as a value. */
export interface UdpRepr {
  readonly source: number;
  readonly dest: number;
  readonly payload: Uint8Array;
  /** False: the checksum field is 0, nothing was computed (UDP only). */
  readonly checksum: boolean;
  /** UDP-Lite: the coverage field as sent (0, or 8 up to the whole length). Ignored for UDP. */
  readonly coverage: number;
}

/**
 * What the checksum field of an unfragmented datagram of `length` bytes should hold, whatever it does hold (0, for "not
 * computed", is a choice and never the answer). Null where the length or coverage field makes no sense.
 */
export function expectedCheck(
  b: Uint8Array,
  off: number,
  length: number,
  pseudo: PseudoHeader,
): number | null {
  if (length < HEADER_LEN) return null;
  const field = len(b, off);
  const lite = pseudo.protocol === PROTO_UDPLITE;
  const total = lite ? length : field;
  const covered = lite && field !== 0 ? field : total;
  if (total > length || covered > total || covered < HEADER_LEN) return null;
  const sum = csumPartial(b, off + HEADER_LEN, covered - HEADER_LEN, csumPartial(b, off, CHECK, 0));
  // CSUM-1: 0 would say "no checksum", so the other zero of one's complement goes out.
  return csumTcpudpMagic(pseudo.saddr, pseudo.daddr, total, pseudo.protocol, sum) || 0xffff;
}

/** Reads an unfragmented datagram that fills `length` bytes (more for UDP: cut to the length field). */
export function parse(b: Uint8Array, off: number, length: number, pseudo: PseudoHeader): UdpRepr | Malformed {
  if (length < HEADER_LEN) return 'truncated';
  const lite = pseudo.protocol === PROTO_UDPLITE;
  const total = lite ? length : len(b, off);
  if (total > length) return 'truncated';
  const expected = expectedCheck(b, off, length, pseudo);
  if (expected === null) return 'bad-length';
  const field = check(b, off);
  if (field === 0 ? lite : field !== expected) return 'bad-checksum';
  return {
    source: source(b, off),
    dest: dest(b, off),
    payload: b.slice(off + HEADER_LEN, off + total),
    checksum: field !== 0,
    coverage: lite ? len(b, off) : 0,
  };
}

/** Writes header and payload, checksum last; returns their length. */
export function emit(repr: UdpRepr, b: Uint8Array, off: number, pseudo: PseudoHeader): number {
  const total = HEADER_LEN + repr.payload.length;
  const lite = pseudo.protocol === PROTO_UDPLITE;
  setSource(b, off, repr.source);
  setDest(b, off, repr.dest);
  setLen(b, off, lite ? repr.coverage : total);
  b.set(repr.payload, off + HEADER_LEN);
  setCheck(b, off, repr.checksum ? (expectedCheck(b, off, total, pseudo) ?? 0) : 0);
  return total;
}
