/**
 * Fragmentation (`ip_fragment`, `ip_do_fragment`; RFC 791).
 *
 * A datagram longer than the MTU leaves in fragments of a multiple of 8 bytes each but the last. All carry the same identification;
 * the first has all options, later ones only those with the copied bit, the others overwritten by NOPs so that the header keeps its length.
 *
 * Appending has cut the payload into packets of the right size already, each with room for a header: the fast path gives them their headers
 * and sends them. Where the geometry no longer fits (the MTU changed since, or the bytes lie in one piece) the slow path copies.
 */
import { CHECKSUM_PARTIAL, type SkBuff } from '../dev/skbuff.js';
import { skbChecksumHelp } from '../dev/xmit.js';
import type { Rtable } from '../route/rtable.js';
import { EMSGSIZE } from '../uapi/errno.js';
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED } from '../wire/icmp.js';
import * as ipv4 from '../wire/ipv4.js';
import { IPSKB_FRAG_COMPLETE, ipFinishOutput2, ipSkbDstMtu } from './finish_output.js';
import type { InetSock } from './inet_sock.js';
import type { IpNet } from './netns.js';
import { ipOptionsFragment } from './options.js';
import { ipSendCheck } from './send_check.js';
import { skbSetOwnerW } from './sock_mem.js';

/** Fragments a packet, or refuses to (FRAG-1, FRAG-2). Consumes it. 0 or a negative errno. */
export function ipFragment(net: IpNet, sk: InetSock | null, skb: SkBuff, mtu: number): number {
  const df = (ipv4.fragOff(skb.buf, skb.nh) & ipv4.IP_DF) !== 0;
  if (df && (!skb.ignoreDf || (skb.fragMaxSize !== 0 && skb.fragMaxSize > mtu))) {
    net.mib.Ip.FragFails++;
    net.icmpSend(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    net.skbs.free(skb);
    return -EMSGSIZE;
  }
  return ipDoFragment(net, sk, skb);
}

function ipDoFragment(net: IpNet, sk: InetSock | null, skb: SkBuff): number {
  if (skb.ipSummed === CHECKSUM_PARTIAL) skbChecksumHelp(skb);
  const rt = skb.dst as Rtable;
  let mtu = ipSkbDstMtu(sk, rt);
  if (skb.fragMaxSize !== 0 && skb.fragMaxSize < mtu) mtu = skb.fragMaxSize;
  const hlen = ipv4.headerLen(skb.buf, skb.nh);
  const space = mtu - hlen;
  skb.cbFlags |= IPSKB_FRAG_COMPLETE;
  if (net.tracer !== null) {
    net.tracer.event({
      fn: 'ip_do_fragment',
      step: 'fragment',
      text: `${skb.len} bytes exceed ${mtu}: fragments of ${space & ~7} bytes and a rest`,
      rule: 'FRAG-5',
      depth: 1,
      data: { len: skb.len, mtu, hlen },
    });
  }
  if (space < 8) {
    net.mib.Ip.FragFails++;
    net.skbs.free(skb);
    return -EMSGSIZE;
  }
  return geometryFits(skb, hlen, space) ? fastPath(net, skb, hlen) : slowPath(net, skb, hlen, space);
}

/** The list of the packet is a list of fragments as they should be (FRAG-3). */
function geometryFits(skb: SkBuff, hlen: number, space: number): boolean {
  if (skb.fragList === null) return false;
  const first = skb.headLen - hlen;
  if (first > space || (first & 7) !== 0 || ipv4.isFragment(skb.buf, skb.nh)) return false;
  for (let frag: SkBuff | null = skb.fragList; frag !== null; frag = frag.next) {
    const bytes = frag.tail - frag.data;
    if (bytes > space || ((bytes & 7) !== 0 && frag.next !== null) || frag.data - frag.head < hlen + 16)
      return false;
  }
  return true;
}

function fastPath(net: IpNet, skb: SkBuff, hlen: number): number {
  const nh = skb.nh;
  let frag = skb.fragList;
  skb.fragList = null;
  for (let f = frag; f !== null; f = f.next) skb.truesize -= f.truesize;
  skb.len = skb.headLen;
  skb.dataLen = 0;
  const ipHeader = net.oneHeader;
  const b = skb.buf;
  ipv4.setTotLen(b, nh, skb.len);
  ipv4.setFragOff(b, nh, ipv4.IP_MF);
  ipSendCheck(b, nh);
  for (let i = 0; i < hlen; i++) ipHeader[i] = b[nh + i]!;
  if (skb.optLen !== 0) ipOptionsFragment(ipHeader, 0, skb.optLen);
  const { sk, dst, priority, mark, protocol, ignoreDf, optLen, cbFlags } = skb;
  let offset = skb.len - hlen;

  let err = ipFinishOutput2(net, skb);
  if (err === 0) net.mib.Ip.FragCreates++;
  while (err === 0 && frag !== null) {
    const next: SkBuff | null = frag.next;
    frag.next = null;
    const bytes = frag.tail - frag.data;
    frag.data -= hlen;
    frag.nh = frag.data;
    frag.len = bytes + hlen;
    const to = frag.buf;
    for (let i = 0; i < hlen; i++) to[frag.nh + i] = ipHeader[i]!;
    ipv4.setTotLen(to, frag.nh, frag.len);
    ipv4.setFragOff(to, frag.nh, (offset >> 3) | (next !== null ? ipv4.IP_MF : 0));
    ipSendCheck(to, frag.nh);
    frag.sk = sk;
    frag.dst = dst;
    frag.priority = priority;
    frag.mark = mark;
    frag.protocol = protocol;
    frag.ignoreDf = ignoreDf;
    frag.optLen = optLen;
    frag.cbFlags = cbFlags;
    offset += bytes;
    err = ipFinishOutput2(net, frag);
    if (err === 0) net.mib.Ip.FragCreates++;
    frag = next;
  }
  if (err === 0) {
    net.mib.Ip.FragOKs++;
    return 0;
  }
  // FRAG-6: what has left has left; the rest is dropped, and its memory given back.
  for (let f = frag; f !== null; f = f.next) f.sk = sk;
  net.skbs.freeList(frag);
  net.mib.Ip.FragFails++;
  return err;
}

function slowPath(net: IpNet, skb: SkBuff, hlen: number, space: number): number {
  const whole = skb.fragList === null ? skb : linear(net, skb);
  const nh = whole.nh;
  const b = whole.buf;
  const original = ipv4.fragOff(b, nh);
  let offset = (original & ipv4.IP_OFFSET) << 3;
  const moreFollow = (original & ipv4.IP_MF) !== 0;
  let at = nh + hlen;
  let left = whole.tail - at;
  let err = 0;
  for (let first = true; left > 0; first = false) {
    let bytes = Math.min(left, space);
    if (bytes < left) bytes &= ~7;
    const frag = net.skbs.alloc(hlen + bytes);
    frag.th = frag.nh + hlen;
    const to = frag.buf;
    to.set(b.subarray(nh, nh + hlen), frag.nh);
    to.set(b.subarray(at, at + bytes), frag.th);
    frag.tail = frag.th + bytes;
    frag.len = hlen + bytes;
    frag.truesize = bytes + 512;
    if (whole.sk !== null) {
      skbSetOwnerW(frag, whole.sk as InetSock);
    }
    frag.dst = whole.dst;
    frag.priority = whole.priority;
    frag.mark = whole.mark;
    frag.protocol = whole.protocol;
    frag.optLen = whole.optLen;
    frag.cbFlags = whole.cbFlags;
    if (first && whole.optLen !== 0) ipOptionsFragment(b, nh, whole.optLen);
    left -= bytes;
    ipv4.setTotLen(to, frag.nh, frag.len);
    ipv4.setFragOff(to, frag.nh, (offset >> 3) | (left > 0 || moreFollow ? ipv4.IP_MF : 0));
    ipSendCheck(to, frag.nh);
    at += bytes;
    offset += bytes;
    err = ipFinishOutput2(net, frag);
    if (err !== 0) break;
    net.mib.Ip.FragCreates++;
  }
  net.skbs.free(whole);
  if (err === 0) net.mib.Ip.FragOKs++;
  else net.mib.Ip.FragFails++;
  return err;
}

/** The packet in one piece, its charge moved along. */
function linear(net: IpNet, skb: SkBuff): SkBuff {
  const whole = net.skbs.copy(skb);
  whole.sk = skb.sk;
  whole.truesize = skb.truesize;
  skb.sk = null;
  net.skbs.free(skb);
  return whole;
}
