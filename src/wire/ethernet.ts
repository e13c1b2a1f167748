/** Ethernet II frames. */
import { copyBytes, get16, type Malformed, put16 } from './bytes.js';

// Field ranges: first byte (the range ends where the next begins).
export const DESTINATION = 0; // 0..6
export const SOURCE = 6; // 6..12
export const ETHERTYPE = 12; // 12..14

export const HEADER_LEN = 14;
export const ADDRESS_LEN = 6;

/** ff:ff:ff:ff:ff:ff. */
export const BROADCAST: Uint8Array = new Uint8Array([255, 255, 255, 255, 255, 255]);

/** The EtherType (or, below 0x600, an 802.3 length). */
export function etherType(b: Uint8Array, off: number): number {
  return get16(b, off + ETHERTYPE);
}

export function setEtherType(b: Uint8Array, off: number, value: number): void {
  put16(b, off + ETHERTYPE, value);
}

/** The destination address, as a view. */
export function destination(b: Uint8Array, off: number): Uint8Array {
  return b.subarray(off + DESTINATION, off + DESTINATION + ADDRESS_LEN);
}

export function setDestination(b: Uint8Array, off: number, mac: Uint8Array): void {
  copyBytes(b, off + DESTINATION, mac, 0, ADDRESS_LEN);
}

/** The source address, as a view. */
export function source(b: Uint8Array, off: number): Uint8Array {
  return b.subarray(off + SOURCE, off + SOURCE + ADDRESS_LEN);
}

export function setSource(b: Uint8Array, off: number, mac: Uint8Array): void {
  copyBytes(b, off + SOURCE, mac, 0, ADDRESS_LEN);
}

/** True if the group bit of the destination is set: multicast or broadcast. */
export function isGroup(b: Uint8Array, off: number): boolean {
  return (b[off]! & 1) !== 0;
}

/** True if the destination is ff:ff:ff:ff:ff:ff. */
export function isBroadcast(b: Uint8Array, off: number): boolean {
  for (let i = 0; i < ADDRESS_LEN; i++) if (b[off + i] !== 255) return false;
  return true;
}

/** Writes a whole header. */
export function writeHeader(
  b: Uint8Array,
  off: number,
  dst: Uint8Array,
  src: Uint8Array,
  type: number,
): void {
  copyBytes(b, off + DESTINATION, dst, 0, ADDRESS_LEN);
  copyBytes(b, off + SOURCE, src, 0, ADDRESS_LEN);
  put16(b, off + ETHERTYPE, type);
}

/** Writes the address that carries an IPv4 group: 01:00:5e and the group's low 23 bits (MC-1). */
export function writeMulticastAddress(b: Uint8Array, off: number, group: number): void {
  b[off] = 0x01;
  b[off + 1] = 0x00;
  b[off + 2] = 0x5e;
  b[off + 3] = (group >>> 16) & 0x7f;
  b[off + 4] = group >>> 8;
  b[off + 5] = group;
}

/** A frame's header as a value. */
export interface EthernetRepr {
  readonly destination: Uint8Array;
  readonly source: Uint8Array;
  readonly etherType: number;
}

/** Reads the header of a frame of `len` bytes; the addresses are copies. */
export function parse(b: Uint8Array, off: number, len: number): EthernetRepr | Malformed {
  if (len < HEADER_LEN) return 'truncated';
  return {
    destination: destination(b, off).slice(),
    source: source(b, off).slice(),
    etherType: etherType(b, off),
  };
}

/** Writes the header; returns its length. */
export function emit(repr: EthernetRepr, b: Uint8Array, off: number): number {
  writeHeader(b, off, repr.destination, repr.source, repr.etherType);
  return HEADER_LEN;
}

/** `02:00:00:00:00:01`. */
export function formatMac(b: Uint8Array, off = 0): string {
  let text = '';
  for (let i = 0; i < ADDRESS_LEN; i++)
    text += `${i === 0 ? '' : ':'}${b[off + i]!.toString(16).padStart(2, '0')}`;
  return text;
}
