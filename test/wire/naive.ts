/** The slow and obvious twins that the fast code is held against. */

/** RFC 1071 as written: one byte after another, folded at every step; 0..0xffff, not complemented. */
export function naiveSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) {
    sum += i % 2 === 0 ? bytes[i]! * 256 : bytes[i]!;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** The checksum field over some pieces laid end to end. */
export function naiveChecksum(...pieces: Uint8Array[]): number {
  return 0xffff - naiveSum(Uint8Array.from(pieces.flatMap((piece) => [...piece])));
}

/** The twelve bytes of a pseudo header. */
export function naivePseudoHeader(saddr: number, daddr: number, proto: number, len: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, saddr);
  view.setUint32(4, daddr);
  view.setUint8(9, proto);
  view.setUint16(10, len);
  return bytes;
}

/** Bytes from hex text; blanks are allowed between them. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
}

/** Hex text of bytes. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
