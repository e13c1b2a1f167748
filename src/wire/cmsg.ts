/** Control messages as they lie in memory on 64-bit little-endian machines: `struct cmsghdr` {u64 len, i32 level, i32 type}. */
import { get32le, put32le } from './bytes.js';

export const CMSG_HDR_BYTES = 16;

/** CMSG_LEN */
export function cmsgLen(dataBytes: number): number {
  return CMSG_HDR_BYTES + dataBytes;
}
/** CMSG_ALIGN */
export function cmsgAlign(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** A control message for people: what the library takes instead of raw bytes. */
export interface Cmsg {
  readonly level: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** `cmsg_len` of the header at an offset; lengths that no buffer can have come out as Infinity. */
export function cmsgLenAt(control: Uint8Array, at: number): number {
  return get32le(control, at + 4) !== 0 ? Infinity : get32le(control, at);
}
export function cmsgLevelAt(control: Uint8Array, at: number): number {
  return get32le(control, at + 8) | 0;
}
export function cmsgTypeAt(control: Uint8Array, at: number): number {
  return get32le(control, at + 12) | 0;
}

/** Offset of the first header, -1 where there is none (CMSG-1). */
export function cmsgFirst(control: Uint8Array): number {
  return control.length >= CMSG_HDR_BYTES ? 0 : -1;
}
/** CMSG_OK (CMSG-2) */
export function cmsgOk(control: Uint8Array, at: number): boolean {
  const len = cmsgLenAt(control, at);
  return len >= CMSG_HDR_BYTES && len <= control.length - at;
}
/** Offset of the next header, -1 where no whole one follows (CMSG-2). */
export function cmsgNext(control: Uint8Array, at: number): number {
  const next = at + cmsgAlign(cmsgLenAt(control, at));
  return next + CMSG_HDR_BYTES > control.length ? -1 : next;
}

/** Lays control messages out in memory, each padded to 8 bytes. */
export function cmsgPack(messages: readonly Cmsg[]): Uint8Array {
  let bytes = 0;
  for (const m of messages) bytes += cmsgAlign(cmsgLen(m.data.length));
  const out = new Uint8Array(bytes);
  let at = 0;
  for (const m of messages) {
    put32le(out, at, cmsgLen(m.data.length));
    put32le(out, at + 8, m.level);
    put32le(out, at + 12, m.type);
    out.set(m.data, at + CMSG_HDR_BYTES);
    at += cmsgAlign(cmsgLen(m.data.length));
  }
  return out;
}
