/**
 * UDP segmentation in software (`__udp_gso_segment`, `inet_gso_segment`): one large datagram becomes datagrams of `gsoSize` bytes.
 *
 * Every segment has a copy of the IP header, options included, with its own length, the next identification, and a UDP header with its
 * own length and checksum (GSO-21). A packet that was laid out in segments from the start is only given its headers here; one in a
 * single piece (made for a device that segments, and then sent by one that does not) is copied apart.
 */
import { NETIF_F_HW_CSUM } from '../dev/net_device.js';
import { CHECKSUM_NONE, CHECKSUM_PARTIAL, type SkBuff } from '../dev/skbuff.js';
import { get32 } from '../wire/bytes.js';
import { csumFold, csumFold16, csumPartial, csumTcpudpNofold } from '../wire/checksum.js';
import * as ipv4 from '../wire/ipv4.js';
import * as udp from '../wire/udp.js';
import type { IpNet } from './netns.js';
import { ipSendCheckSkb } from './send_check.js';

/** Each segment with its headers fits the MTU (`skb_gso_validate_network_len`). */
export function gsoValidateNetworkLen(skb: SkBuff, mtu: number): boolean {
  return skb.th - skb.nh + udp.HEADER_LEN + skb.gsoSize <= mtu;
}

/**
 * Cuts a UDP GSO packet whose `data` is at its first header, link or IP.
 * @returns the segments linked by `next`; the packet itself becomes the first
 */
export function gsoSegment(net: IpNet, skb: SkBuff): SkBuff | null {
  const gsoSize = skb.gsoSize;
  const payloadBytes = skb.len - (skb.th - skb.data) - udp.HEADER_LEN;
  if (gsoSize === 0 || payloadBytes <= gsoSize) {
    skb.gsoSize = 0;
    return skb;
  }
  if (skb.fragList === null) splitPayload(net, skb, gsoSize);
  const headerBytes = skb.th - skb.data + udp.HEADER_LEN;
  const firstId = ipv4.id(skb.buf, skb.nh);
  let segment = skb.fragList;
  skb.fragList = null;
  skb.next = segment;
  skb.gsoSize = 0;
  skb.gsoSegs = 0;
  skb.len = headerBytes + gsoSize;
  skb.dataLen = 0;
  const sk = skb.sk;
  for (let k = 1; segment !== null; k++) {
    const bytes = segment.tail - segment.data;
    segment.data -= headerBytes;
    copyHeaders(net, skb, segment, headerBytes);
    const shift = segment.data - skb.data;
    segment.mac = skb.mac + shift;
    segment.nh = skb.nh + shift;
    segment.th = skb.th + shift;
    segment.len = headerBytes + bytes;
    segment.dev = skb.dev;
    segment.dst = skb.dst;
    segment.protocol = skb.protocol;
    segment.priority = skb.priority;
    segment.mark = skb.mark;
    segment.ignoreDf = skb.ignoreDf;
    segment.optLen = skb.optLen;
    finishSegment(net, segment, (firstId + k) & 0xffff);
    segment = segment.next;
  }
  finishSegment(net, skb, firstId);
  // The memory of the whole is charged until its last segment is gone; here they go together.
  if (sk !== null) {
    let last = skb;
    while (last.next !== null) last = last.next;
    if (last !== skb) {
      last.sk = sk;
      last.truesize = skb.truesize;
      // A device without checksums makes the segments copies: the user's pages are free before the first is sent (ERRQ-10).
      if ((skb.dev!.features & NETIF_F_HW_CSUM) === 0) skb.ubuf?.put();
      else last.ubuf = skb.ubuf;
      // Timestamps are the first segment's, which finds the socket for them.
      if (skb.txFlags === 0) skb.sk = null;
      skb.ubuf = null;
      skb.truesize = 0;
    }
  }
  return skb;
}

/** Copies link, IP and UDP headers in front of a segment's payload: in the arena by words, the first two bytes apart. */
function copyHeaders(net: IpNet, from: SkBuff, to: SkBuff, bytes: number): void {
  if (from.slot < 0 || to.slot < 0 || ((from.data ^ to.data) & 3) !== 0) {
    to.buf.set(from.buf.subarray(from.data, from.data + bytes), to.data);
    return;
  }
  const { u16, u32 } = net.arena;
  let at = from.data;
  let out = to.data;
  const end = at + bytes;
  if ((at & 2) !== 0) {
    u16[out >> 1] = u16[at >> 1]!;
    at += 2;
    out += 2;
  }
  for (; at < end; at += 4, out += 4) u32[out >> 2] = u32[at >> 2]!;
}

/** Length, identification, and both checksums of one segment; a sum of 0 is sent as 0xffff. */
function finishSegment(net: IpNet, skb: SkBuff, id: number): void {
  const b = skb.buf;
  const { nh, th } = skb;
  const udpBytes = skb.tail - th;
  ipv4.setTotLen(b, nh, skb.tail - nh);
  ipv4.setId(b, nh, id);
  ipSendCheckSkb(net, skb);
  udp.setLen(b, th, udpBytes);
  // Signed addresses: small integers, which no call has to allocate for.
  const pseudo = csumTcpudpNofold(get32(b, nh + 12) | 0, get32(b, nh + 16) | 0, udpBytes, b[nh + 9]!, 0);
  if ((skb.dev!.features & NETIF_F_HW_CSUM) !== 0) {
    // GSO-23: a device that sums but does not segment gets each segment with a partial checksum.
    udp.setCheck(b, th, csumFold16(pseudo));
    skb.ipSummed = CHECKSUM_PARTIAL;
    skb.csumStart = th;
    skb.csumOffset = udp.CHECK;
    return;
  }
  udp.setCheck(b, th, 0);
  const sum = skb.slot >= 0 ? net.arena.checksum(th, udpBytes) : csumPartial(b, th, udpBytes, 0);
  const check = csumFold(csumFold16(pseudo) + sum);
  udp.setCheck(b, th, check === 0 ? 0xffff : check);
  skb.ipSummed = CHECKSUM_NONE;
}

/** Moves the payload behind the first segment into packets of their own. */
function splitPayload(net: IpNet, skb: SkBuff, gsoSize: number): void {
  const headerBytes = skb.th - skb.nh + udp.HEADER_LEN;
  let tail: SkBuff | null = null;
  for (let at = skb.th + udp.HEADER_LEN + gsoSize; at < skb.tail; at += gsoSize) {
    const bytes = Math.min(gsoSize, skb.tail - at);
    const piece = net.skbs.alloc(headerBytes + bytes);
    piece.data = piece.nh + headerBytes;
    piece.tail = piece.data + bytes;
    piece.buf.set(skb.buf.subarray(at, at + bytes), piece.data);
    piece.len = bytes;
    if (tail === null) skb.fragList = piece;
    else tail.next = piece;
    tail = piece;
  }
  skb.tail = skb.th + udp.HEADER_LEN + gsoSize;
}
