/**
 * Big-endian fields in a byte array. Every accessor of `wire/` is built from these four.
 * Nothing here checks bounds: a protocol's `parse` proves them once, and what reads behind it relies on that.
 */

/** Why `parse` of a protocol refused the bytes. */
export type Malformed =
  | 'truncated'
  | 'bad-version'
  | 'bad-length'
  | 'bad-checksum'
  | 'bad-type'
  | 'bad-field';

/** True if this machine keeps the low byte first; virtio_net_hdr and the word-wise checksum depend on it. */
export const HOST_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** A 16-bit value as it lies in memory in network order, read as a native word. */
export function htons(value: number): number {
  return HOST_LITTLE_ENDIAN ? ((value & 0xff) << 8) | ((value >>> 8) & 0xff) : value & 0xffff;
}

/** Reads a 16-bit field. */
export function get16(buf: Uint8Array, off: number): number {
  return (buf[off]! << 8) | buf[off + 1]!;
}

/** Writes a 16-bit field; higher bits of `value` are cut off. */
export function put16(buf: Uint8Array, off: number, value: number): void {
  buf[off] = value >>> 8;
  buf[off + 1] = value;
}

/** Reads a 32-bit field as an unsigned number. */
export function get32(buf: Uint8Array, off: number): number {
  // >>> 0: the shift by 24 would give a negative number for addresses from 128.0.0.0 up.
  return ((buf[off]! << 24) | (buf[off + 1]! << 16) | (buf[off + 2]! << 8) | buf[off + 3]!) >>> 0;
}

/** Writes a 32-bit field, signed or unsigned. */
export function put32(buf: Uint8Array, off: number, value: number): void {
  buf[off] = value >>> 24;
  buf[off + 1] = value >>> 16;
  buf[off + 2] = value >>> 8;
  buf[off + 3] = value;
}

/** Reads a 16-bit little-endian field (capture files). */
export function get16le(buf: Uint8Array, off: number): number {
  return buf[off]! | (buf[off + 1]! << 8);
}

/** Writes a 16-bit little-endian field. */
export function put16le(buf: Uint8Array, off: number, value: number): void {
  buf[off] = value;
  buf[off + 1] = value >>> 8;
}

/** Reads a 32-bit little-endian field as an unsigned number. */
export function get32le(buf: Uint8Array, off: number): number {
  return (buf[off]! | (buf[off + 1]! << 8) | (buf[off + 2]! << 16) | (buf[off + 3]! << 24)) >>> 0;
}

/** Writes a 32-bit little-endian field. */
export function put32le(buf: Uint8Array, off: number, value: number): void {
  buf[off] = value;
  buf[off + 1] = value >>> 8;
  buf[off + 2] = value >>> 16;
  buf[off + 3] = value >>> 24;
}

/** Copies `len` bytes; for the handful of bytes of an address a loop beats `set` and needs no view. */
export function copyBytes(
  dst: Uint8Array,
  dstOff: number,
  src: Uint8Array,
  srcOff: number,
  len: number,
): void {
  for (let i = 0; i < len; i++) dst[dstOff + i] = src[srcOff + i]!;
}

/** True if `len` bytes at both places are equal. */
export function equalBytes(a: Uint8Array, aOff: number, b: Uint8Array, bOff: number, len: number): boolean {
  for (let i = 0; i < len; i++) if (a[aOff + i] !== b[bOff + i]) return false;
  return true;
}
