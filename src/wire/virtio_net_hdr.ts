/**
 * The header that a TAP with IFF_VNET_HDR puts before each frame (`linux/virtio_net.h`). Its numbers are in the
 * machine's own byte order, unlike everything behind it (TUN-10).
 */
import { HOST_LITTLE_ENDIAN, type Malformed } from './bytes.js';

// Field ranges: first byte (the range ends where the next begins).
export const FLAGS = 0; // 0..1
export const GSO_TYPE = 1; // 1..2
export const HDR_LEN = 2; // 2..4
export const GSO_SIZE = 4; // 4..6
export const CSUM_START = 6; // 6..8
export const CSUM_OFFSET = 8; // 8..10
export const NUM_BUFFERS = 10; // 10..12, only in the 12-byte form

export const VIRTIO_NET_HDR_BYTES = 10;
/** With num_buffers, as vhost and newer virtio use it. */
export const VIRTIO_NET_HDR_MRG_BYTES = 12;

export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
export const VIRTIO_NET_HDR_F_DATA_VALID = 2;

export const VIRTIO_NET_HDR_GSO_NONE = 0;
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
/** UFO: IP fragmentation by the device. */
export const VIRTIO_NET_HDR_GSO_UDP = 3;
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
/** USO: one UDP datagram a segment. */
export const VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
/** Or-ed to a TCP type. */
export const VIRTIO_NET_HDR_GSO_ECN = 0x80;

const LOW = HOST_LITTLE_ENDIAN ? 0 : 1;
const HIGH = HOST_LITTLE_ENDIAN ? 1 : 0;

function getNative16(b: Uint8Array, off: number): number {
  return b[off + LOW]! | (b[off + HIGH]! << 8);
}

function putNative16(b: Uint8Array, off: number, value: number): void {
  b[off + LOW] = value;
  b[off + HIGH] = value >>> 8;
}

export function flags(b: Uint8Array, off: number): number {
  return b[off + FLAGS]!;
}

export function gsoType(b: Uint8Array, off: number): number {
  return b[off + GSO_TYPE]!;
}

/** Bytes of Ethernet, IP and transport header before the first segment's payload. */
export function hdrLen(b: Uint8Array, off: number): number {
  return getNative16(b, off + HDR_LEN);
}

/** Payload bytes a segment. */
export function gsoSize(b: Uint8Array, off: number): number {
  return getNative16(b, off + GSO_SIZE);
}

/** Where in the frame the checksum begins. */
export function csumStart(b: Uint8Array, off: number): number {
  return getNative16(b, off + CSUM_START);
}

/** Where after `csumStart` the checksum field lies. */
export function csumOffset(b: Uint8Array, off: number): number {
  return getNative16(b, off + CSUM_OFFSET);
}

/** The header as a value; num_buffers is always 0 on a TAP. */
export interface VirtioNetHdr {
  readonly flags: number;
  readonly gsoType: number;
  readonly hdrLen: number;
  readonly gsoSize: number;
  readonly csumStart: number;
  readonly csumOffset: number;
}

/** Reads a header of `headerLen` bytes (10 or 12) in front of a buffer of `len` bytes. */
export function parse(
  b: Uint8Array,
  off: number,
  len: number,
  headerLen = VIRTIO_NET_HDR_BYTES,
): VirtioNetHdr | Malformed {
  if (len < headerLen || headerLen < VIRTIO_NET_HDR_BYTES) return 'truncated';
  return {
    flags: flags(b, off),
    gsoType: gsoType(b, off),
    hdrLen: hdrLen(b, off),
    gsoSize: gsoSize(b, off),
    csumStart: csumStart(b, off),
    csumOffset: csumOffset(b, off),
  };
}

/** Writes `headerLen` bytes, those beyond the tenth zero; returns their number. */
export function emit(
  repr: VirtioNetHdr,
  b: Uint8Array,
  off: number,
  headerLen = VIRTIO_NET_HDR_BYTES,
): number {
  write(b, off, repr.flags, repr.gsoType, repr.hdrLen, repr.gsoSize, repr.csumStart, repr.csumOffset);
  for (let i = VIRTIO_NET_HDR_BYTES; i < headerLen; i++) b[off + i] = 0;
  return headerLen;
}

/** Writes the ten bytes from plain numbers, in the order of the struct. */
export function write(
  b: Uint8Array,
  off: number,
  flagBits: number,
  type: number,
  headersBytes: number,
  segmentBytes: number,
  start: number,
  offset: number,
): void {
  b[off + FLAGS] = flagBits;
  b[off + GSO_TYPE] = type;
  putNative16(b, off + HDR_LEN, headersBytes);
  putNative16(b, off + GSO_SIZE, segmentBytes);
  putNative16(b, off + CSUM_START, start);
  putNative16(b, off + CSUM_OFFSET, offset);
}
