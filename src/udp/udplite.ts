/** UDP-Lite (RFC 3828): the length field carries how much the checksum covers (CSUM-4). */
import { CHECKSUM_NONE, type SkBuff } from '../dev/skbuff.js';
import * as udp from '../wire/udp.js';
import { skbChecksum } from './checksum.js';
import type { UdpNet } from './netns.js';
import type { UdpSock } from './sock.js';

/** Sets the coverage field and sums what is covered (`udplite_csum`). @param len UDP-Lite length, bytes */
export function udpliteCsum(net: UdpNet, sk: UdpSock, skb: SkBuff, len: number): number {
  let cscov = len;
  if (sk.udpliteSendCc && sk.pcslen < len) {
    if (sk.pcslen > 0) cscov = sk.pcslen;
    udp.setLen(skb.buf, skb.th, sk.pcslen);
  }
  skb.ipSummed = CHECKSUM_NONE;
  return skbChecksum(net, skb, skb.th, cscov);
}
