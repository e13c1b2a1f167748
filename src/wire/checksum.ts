/**
 * The Internet checksum (RFC 1071), with the kernel's function names.
 *
 * A *partial sum* is a plain sum of big-endian 16-bit words, not complemented, of which only the value modulo 0xffff
 * (and whether it is zero at all) matters. The functions below keep partial sums small integers: each piece adds at
 * most 0xffff, so thirty thousand pieces can be chained before a sum would leave the 31 bits that V8 keeps unboxed.
 * Pieces of even length are chained by passing the sum on; after a piece of odd length the next one is rotated,
 * which is what `csumBlockAdd` is for.
 */
import { get16, HOST_LITTLE_ENDIAN } from './bytes.js';

/** Below this, byte loads are cheaper than finding an aligned word view. */
const SHORT_BYTES = 80;

// The word view of the buffer summed last. A buffer's views cannot be enumerated, and making one costs more than
// summing a small frame; sums come in runs over the same arena, so one entry is enough.
let wordsOf: ArrayBufferLike | null = null;
let words: Uint32Array = new Uint32Array(0);

/** The same sum in 16 bits. */
export function csumFold16(sum: number): number {
  const once = (sum >>> 16) + (sum & 0xffff);
  return (once >>> 16) + (once & 0xffff);
}

/** Folds a partial sum to 16 bits and complements it: the value of a checksum field. */
export function csumFold(sum: number): number {
  return ~csumFold16(sum) & 0xffff;
}

/** Exchanges the two bytes of a 16-bit value. */
export function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

/** The partial sum of fewer than 2^15 words, read byte by byte: a 31-bit number. */
function sumBytes(buf: Uint8Array, off: number, len: number): number {
  let sum = 0;
  let i = off;
  const end = off + len;
  for (const end8 = end - 7; i < end8; i += 8) {
    sum +=
      ((buf[i]! + buf[i + 2]! + buf[i + 4]! + buf[i + 6]!) << 8) +
      (buf[i + 1]! + buf[i + 3]! + buf[i + 5]! + buf[i + 7]!);
  }
  for (const end2 = end - 1; i < end2; i += 2) sum += (buf[i]! << 8) | buf[i + 1]!;
  if (i < end) sum += buf[i]! << 8; // an odd last byte counts as the high half of a word that ends in zero
  return sum;
}

/** The 16-bit partial sum of whole native words `w[first .. last)`, in this machine's byte order. */
function sumWords(w: Uint32Array, first: number, last: number): number {
  // A double holds the sum of 2^21 words exactly: 8 MiB, more than any frame.
  let sum = 0;
  let i = first;
  for (const last8 = last - 7; i < last8; i += 8) {
    sum += w[i]! + w[i + 1]! + w[i + 2]! + w[i + 3]! + (w[i + 4]! + w[i + 5]! + w[i + 6]! + w[i + 7]!);
  }
  for (; i < last; i++) sum += w[i]!;
  return csumFold16(csumFold16(sum >>> 0) + csumFold16(Math.floor(sum / 4294967296)));
}

/** The 16-bit partial sum over `w`, a word view whose byte 0 is byte `-base` of `buf`. */
function sumAligned(buf: Uint8Array, off: number, len: number, w: Uint32Array, base: number): number {
  const lead = -(base + off) & 3;
  const body = (len - lead) & ~3;
  const first = (base + off + lead) >>> 2;
  let sum = sumWords(w, first, first + (body >>> 2));
  if (HOST_LITTLE_ENDIAN) sum = swap16(sum); // RFC 1071 2(B): summing in the other order swaps the result, no more
  const tail = sumBytes(buf, off + lead + body, len - lead - body);
  const all = csumFold16(sum + tail);
  if (lead === 0) return all;
  return csumFold16(csumBlockAdd(sumBytes(buf, off, lead), all, lead));
}

/**
 * Adds `len` bytes at `off` to the partial sum `sum`. Any alignment, any length up to 8 MiB; an odd last byte is
 * padded with zero.
 */
export function csumPartial(buf: Uint8Array, off: number, len: number, sum: number): number {
  if (len < SHORT_BYTES) return sum + csumFold16(sumBytes(buf, off, len));
  const backing = buf.buffer;
  if (backing !== wordsOf || words.length === 0) {
    wordsOf = backing;
    words = new Uint32Array(backing, 0, backing.byteLength >>> 2);
  }
  return sum + sumAligned(buf, off, len, words, buf.byteOffset);
}

/** Adds the partial sum `sum2` of a piece that starts `offset` bytes into the whole. */
export function csumBlockAdd(sum: number, sum2: number, offset: number): number {
  const piece = csumFold16(sum2);
  return sum + (offset & 1 ? swap16(piece) : piece);
}

/** The partial sum of a UDP pseudo header added to `sum`. `len` is the UDP length, addresses are unsigned numbers. */
export function csumTcpudpNofold(
  saddr: number,
  daddr: number,
  len: number,
  proto: number,
  sum: number,
): number {
  return (
    csumFold16(sum) +
    (saddr >>> 16) +
    (saddr & 0xffff) +
    (daddr >>> 16) +
    (daddr & 0xffff) +
    csumFold16(len) +
    proto
  );
}

/** The finished checksum over a pseudo header and the partial sum of what follows it (0 is not turned into 0xffff). */
export function csumTcpudpMagic(
  saddr: number,
  daddr: number,
  len: number,
  proto: number,
  sum: number,
): number {
  return csumFold(csumTcpudpNofold(saddr, daddr, len, proto, sum));
}

/**
 * The checksum of an IPv4 header of `ihl` 32-bit words. With the checksum field zeroed this is the field's value;
 * over a received header, 0 means that it is right.
 */
export function ipFastCsum(buf: Uint8Array, off: number, ihl: number): number {
  let sum =
    get16(buf, off) +
    get16(buf, off + 2) +
    get16(buf, off + 4) +
    get16(buf, off + 6) +
    get16(buf, off + 8) +
    get16(buf, off + 10) +
    get16(buf, off + 12) +
    get16(buf, off + 14) +
    get16(buf, off + 16) +
    get16(buf, off + 18);
  const end = off + ihl * 4;
  for (let i = off + 20; i < end; i += 2) sum += get16(buf, i);
  return csumFold(sum);
}
