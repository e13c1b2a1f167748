/** Sums as the kernel keeps them, where it shows them. */
import { HOST_LITTLE_ENDIAN } from './bytes.js';

/**
 * The kernel's own partial sum (`__wsum`): 32-bit words in the machine's order added with end-around carry. IP_CHECKSUM shows
 * it raw, so the 16-bit sums of `wire/` would not do. An odd tail counts as if zero bytes followed.
 */
export function wsumPartial(b: Uint8Array, off: number, len: number): number {
  let sum = 0;
  const end = off + (len & ~3);
  for (let at = off; at < end; at += 4) sum += word(b[at]!, b[at + 1]!, b[at + 2]!, b[at + 3]!);
  const left = len & 3;
  if (left > 0) sum += word(b[end]!, left > 1 ? b[end + 1]! : 0, left > 2 ? b[end + 2]! : 0, 0);
  return wsumFold(sum);
}
export function wsumAdd(a: number, b: number): number {
  return wsumFold(a + b);
}
export function wsumSub(a: number, b: number): number {
  return wsumFold(a + (~b >>> 0));
}
function wsumFold(sum: number): number {
  let s = sum;
  while (s > 0xffffffff) s = Math.floor(s / 0x1_0000_0000) + (s % 0x1_0000_0000);
  return s;
}
function word(a: number, b: number, c: number, d: number): number {
  return HOST_LITTLE_ENDIAN
    ? (a | (b << 8) | (c << 16) | (d << 24)) >>> 0
    : ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
