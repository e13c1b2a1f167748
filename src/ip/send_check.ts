/** The IP header checksum (`ip_send_check`). */
import type { SkBuff } from '../dev/skbuff.js';
import { ipFastCsum } from '../wire/checksum.js';
import * as ipv4 from '../wire/ipv4.js';
import type { IpNet } from './netns.js';

/** Writes the checksum of a header anywhere in memory. */
export function ipSendCheck(b: Uint8Array, nh: number): void {
  ipv4.setCheck(b, nh, 0);
  ipv4.setCheck(b, nh, ipFastCsum(b, nh, b[nh]! & 15));
}

/** Writes the checksum of a packet's header: without options and in the arena, over ten native words. */
export function ipSendCheckSkb(net: IpNet, skb: SkBuff): void {
  if (skb.slot < 0 || skb.optLen !== 0) {
    ipSendCheck(skb.buf, skb.nh);
    return;
  }
  // The sum does not care for the order of bytes (RFC 1071).
  const w = net.arena.u16;
  const i = skb.nh >> 1;
  let sum =
    w[i]! + w[i + 1]! + w[i + 2]! + w[i + 3]! + w[i + 4]! + w[i + 6]! + w[i + 7]! + w[i + 8]! + w[i + 9]!;
  sum = (sum >>> 16) + (sum & 0xffff);
  w[i + 5] = ~(sum + (sum >>> 16));
}
