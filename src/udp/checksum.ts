/** The sum over a packet in pieces (`skb_checksum`). */
import type { SkBuff } from '../dev/skbuff.js';
import { csumPartial } from '../wire/checksum.js';
import type { UdpNet } from './netns.js';

/** Sum over `len` bytes from an offset of the first piece on, through the fragment list. */
export function skbChecksum(net: UdpNet, skb: SkBuff, from: number, len: number): number {
  const here = Math.min(len, skb.tail - from);
  let sum = skb.slot >= 0 ? net.arena.checksum(from, here) : csumPartial(skb.buf, from, here, 0);
  let left = len - here;
  // Every piece but the last is a multiple of 8 behind the header, so the sums join without a swap.
  for (let frag = skb.fragList; frag !== null && left > 0; frag = frag.next) {
    const bytes = Math.min(left, frag.tail - frag.data);
    sum += frag.slot >= 0 ? net.arena.checksum(frag.data, bytes) : csumPartial(frag.buf, frag.data, bytes, 0);
    left -= bytes;
  }
  return sum;
}
