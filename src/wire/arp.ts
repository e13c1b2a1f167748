/** ARP for IPv4 over Ethernet (RFC 826); other address families are refused by `parse`. */
import { copyBytes, get16, get32, type Malformed, put16, put32 } from './bytes.js';

// Field ranges: first byte (the range ends where the next begins).
export const HTYPE = 0; // 0..2
export const PTYPE = 2; // 2..4
export const HLEN = 4; // 4..5
export const PLEN = 5; // 5..6
export const OPERATION = 6; // 6..8
export const SENDER_MAC = 8; // 8..14
export const SENDER_IP = 14; // 14..18
export const TARGET_MAC = 18; // 18..24
export const TARGET_IP = 24; // 24..28

export const PACKET_LEN = 28;

export const HTYPE_ETHER = 1;
/** IEEE 802, which Linux takes for Ethernet (ARP-3). */
export const HTYPE_IEEE802 = 6;
export const PTYPE_IPV4 = 0x0800;
export const OP_REQUEST = 1;
export const OP_REPLY = 2;

export function htype(b: Uint8Array, off: number): number {
  return get16(b, off + HTYPE);
}

export function ptype(b: Uint8Array, off: number): number {
  return get16(b, off + PTYPE);
}

export function hlen(b: Uint8Array, off: number): number {
  return b[off + HLEN]!;
}

export function plen(b: Uint8Array, off: number): number {
  return b[off + PLEN]!;
}

export function operation(b: Uint8Array, off: number): number {
  return get16(b, off + OPERATION);
}

/** The sender's hardware address, as a view. */
export function senderMac(b: Uint8Array, off: number): Uint8Array {
  return b.subarray(off + SENDER_MAC, off + SENDER_MAC + 6);
}

export function senderIp(b: Uint8Array, off: number): number {
  return get32(b, off + SENDER_IP);
}

/** The target's hardware address, as a view. */
export function targetMac(b: Uint8Array, off: number): Uint8Array {
  return b.subarray(off + TARGET_MAC, off + TARGET_MAC + 6);
}

export function targetIp(b: Uint8Array, off: number): number {
  return get32(b, off + TARGET_IP);
}

/** An ARP packet as a value. `htype` is kept because both 1 and 6 mean Ethernet. */
export interface ArpRepr {
  readonly htype: number;
  readonly operation: number;
  readonly senderMac: Uint8Array;
  readonly senderIp: number;
  readonly targetMac: Uint8Array;
  readonly targetIp: number;
}

/** Reads a packet of at least 28 bytes; the addresses are copies. Any operation passes. */
export function parse(b: Uint8Array, off: number, len: number): ArpRepr | Malformed {
  if (len < PACKET_LEN) return 'truncated';
  if (htype(b, off) !== HTYPE_ETHER && htype(b, off) !== HTYPE_IEEE802) return 'bad-type';
  if (ptype(b, off) !== PTYPE_IPV4) return 'bad-type';
  if (hlen(b, off) !== 6 || plen(b, off) !== 4) return 'bad-length';
  return {
    htype: htype(b, off),
    operation: operation(b, off),
    senderMac: senderMac(b, off).slice(),
    senderIp: senderIp(b, off),
    targetMac: targetMac(b, off).slice(),
    targetIp: targetIp(b, off),
  };
}

/** Writes the 28 bytes of a packet; returns their number. */
export function emit(repr: ArpRepr, b: Uint8Array, off: number): number {
  put16(b, off + HTYPE, repr.htype);
  put16(b, off + PTYPE, PTYPE_IPV4);
  b[off + HLEN] = 6;
  b[off + PLEN] = 4;
  put16(b, off + OPERATION, repr.operation);
  copyBytes(b, off + SENDER_MAC, repr.senderMac, 0, 6);
  put32(b, off + SENDER_IP, repr.senderIp);
  copyBytes(b, off + TARGET_MAC, repr.targetMac, 0, 6);
  put32(b, off + TARGET_IP, repr.targetIp);
  return PACKET_LEN;
}
