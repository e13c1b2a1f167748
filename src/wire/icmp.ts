/** ICMP for IPv4 (RFC 792, 1191, 1256, 4884). The second word's meaning depends on the type. */
import { get16, get32, type Malformed, put16, put32 } from './bytes.js';
import { csumFold, csumPartial } from './checksum.js';

// Field ranges: first byte (the range ends where the next begins).
export const TYPE = 0; // 0..1
export const CODE = 1; // 1..2
export const CHECKSUM = 2; // 2..4
export const REST = 4; // 4..8: one of the next
export const ECHO_ID = 4; // 4..6
export const ECHO_SEQUENCE = 6; // 6..8
export const GATEWAY = 4; // 4..8
export const POINTER = 4; // 4..5
export const UNUSED_LENGTH = 5; // 5..6: RFC 4884, length of the quote in 32-bit words
export const MTU = 6; // 6..8
export const DATA = 8; // 8..

export const HEADER_LEN = 8;

export const ICMP_ECHOREPLY = 0;
export const ICMP_DEST_UNREACH = 3;
export const ICMP_SOURCE_QUENCH = 4;
export const ICMP_REDIRECT = 5;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETERPROB = 12;
export const ICMP_TIMESTAMP = 13;
export const ICMP_TIMESTAMPREPLY = 14;

// Codes of ICMP_DEST_UNREACH.
export const ICMP_NET_UNREACH = 0;
export const ICMP_HOST_UNREACH = 1;
export const ICMP_PROT_UNREACH = 2;
export const ICMP_PORT_UNREACH = 3;
export const ICMP_FRAG_NEEDED = 4;
export const ICMP_SR_FAILED = 5;

export function type(b: Uint8Array, off: number): number {
  return b[off + TYPE]!;
}

export function code(b: Uint8Array, off: number): number {
  return b[off + CODE]!;
}

export function checksum(b: Uint8Array, off: number): number {
  return get16(b, off + CHECKSUM);
}

/** Echo: the sender's identifier. */
export function echoId(b: Uint8Array, off: number): number {
  return get16(b, off + ECHO_ID);
}

/** Echo: the sequence number. */
export function echoSequence(b: Uint8Array, off: number): number {
  return get16(b, off + ECHO_SEQUENCE);
}

/** Redirect: the better gateway. */
export function gateway(b: Uint8Array, off: number): number {
  return get32(b, off + GATEWAY);
}

/** Fragmentation needed: the next hop's MTU in bytes, 0 from routers older than RFC 1191. */
export function mtu(b: Uint8Array, off: number): number {
  return get16(b, off + MTU);
}

/** Parameter problem: the byte that is wrong. */
export function pointer(b: Uint8Array, off: number): number {
  return b[off + POINTER]!;
}

/** RFC 4884: length in bytes of the quoted datagram; 0 when there are no extensions. */
export function quoteLenBytes(b: Uint8Array, off: number): number {
  return b[off + UNUSED_LENGTH]! << 2;
}

/** True for the messages that report an error and quote a datagram. */
export function isError(messageType: number): boolean {
  return (
    messageType === ICMP_DEST_UNREACH ||
    messageType === ICMP_SOURCE_QUENCH ||
    messageType === ICMP_REDIRECT ||
    messageType === ICMP_TIME_EXCEEDED ||
    messageType === ICMP_PARAMETERPROB
  );
}

/** What the checksum field of a message of `len` bytes should hold, whatever it does hold. */
export function expectedCheck(b: Uint8Array, off: number, len: number): number {
  return csumFold(csumPartial(b, off + 4, len - 4, csumPartial(b, off, CHECKSUM, 0)));
}

/** Computes the checksum of a message of `len` bytes and writes it. */
export function sendCheck(b: Uint8Array, off: number, len: number): void {
  put16(b, off + CHECKSUM, expectedCheck(b, off, len));
}

/** A message as a value; `rest` is the second word as on the wire. */
export interface IcmpRepr {
  readonly type: number;
  readonly code: number;
  readonly rest: number;
  readonly data: Uint8Array;
}

/** Reads a message of `len` bytes; the data are a copy. Any type passes. */
export function parse(b: Uint8Array, off: number, len: number): IcmpRepr | Malformed {
  if (len < HEADER_LEN) return 'truncated';
  if (csumFold(csumPartial(b, off, len, 0)) !== 0) return 'bad-checksum';
  return {
    type: type(b, off),
    code: code(b, off),
    rest: get32(b, off + REST),
    data: b.slice(off + DATA, off + len),
  };
}

/** Writes the message, checksum last; returns its length. */
export function emit(repr: IcmpRepr, b: Uint8Array, off: number): number {
  b[off + TYPE] = repr.type;
  b[off + CODE] = repr.code;
  put32(b, off + REST, repr.rest);
  b.set(repr.data, off + DATA);
  const len = HEADER_LEN + repr.data.length;
  sendCheck(b, off, len);
  return len;
}
