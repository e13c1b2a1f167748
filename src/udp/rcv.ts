/** UDP coming in (`__udp4_lib_rcv`): lengths, checksum, whom it is for, and onto the receive queue. */
import {
  CHECKSUM_COMPLETE,
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  CHECKSUM_UNNECESSARY,
  type SkBuff,
} from '../dev/skbuff.js';
import { inetIif, inetSdif } from '../ip/ip_input.js';
import { skbTruesize } from '../ip/sock_mem.js';
import { fibComputeSpecDst } from '../ip/spec_dst.js';
import { RTCF_BROADCAST, RTCF_MULTICAST, type Rtable } from '../route/rtable.js';
import { LOOPBACK_IFINDEX } from '../uapi/if.js';
import { IPPROTO_UDP, IPPROTO_UDPLITE } from '../uapi/in.js';
import { csumFold, csumPartial, csumTcpudpNofold } from '../wire/checksum.js';
import { ICMP_DEST_UNREACH, ICMP_PORT_UNREACH } from '../wire/icmp.js';
import * as ipv4 from '../wire/ipv4.js';
import * as udp from '../wire/udp.js';
import { wsumPartial, wsumSub } from '../wire/wsum.js';
import { ipMcSfAllow } from './mc_sf.js';
import type { UdpNet } from './netns.js';
import { IP_CMSG_PKTINFO } from './recv_cmsg.js';
import type { UdpSock } from './sock.js';
import { udpErr } from './udp_err.js';
import { type UdpTable, udp4LibLookup, udpSkBoundDevEq } from './udp_table.js';

/** `SkBuff.cbFlags` of a datagram: its checksum covers a part of it; it is known to be right; MSG_PEEK has shown it. */
export const UDP_CB_PARTIAL_COV = 0x100000;
export const UDP_CB_CSUM_VALID = 0x200000;
export const UDP_CB_PEEKED = 0x400000;

/** Up to this many bytes a checksum is verified on arrival, above it when the datagram is read (CHECKSUM_BREAK). */
const CHECKSUM_BREAK = 76;

/** Makes a Net receive UDP and UDP-Lite. */
export function udpInit(net: UdpNet): void {
  for (const [proto, table] of [
    [IPPROTO_UDP, net.udpTable],
    [IPPROTO_UDPLITE, net.udpliteTable],
  ] as const) {
    net.inetProtos.set(proto, {
      rcv: (skb) => udpRcv(net, table, proto, skb),
      err: (skb, error) => udpErr(net, table, skb, error),
    });
  }
}

type Proto = typeof IPPROTO_UDP | typeof IPPROTO_UDPLITE;

function mibOf(net: UdpNet, proto: Proto): UdpNet['mib']['Udp'] {
  return proto === IPPROTO_UDPLITE ? net.mib.UdpLite : net.mib.Udp;
}

/** Takes one datagram, `data` at its UDP header. Consumes it. */
function udpRcv(net: UdpNet, table: UdpTable, proto: Proto, skb: SkBuff): void {
  const mib = mibOf(net, proto);
  const b = skb.buf;
  const uh = skb.data;
  const lengthOk = skb.len >= udp.HEADER_LEN && trimToLength(skb, proto);
  if (!lengthOk || !csumInit(skb, proto)) {
    if (lengthOk) mib.InCsumErrors++;
    mib.InErrors++;
    net.skbs.free(skb);
    return;
  }
  const rt = skb.dst as Rtable;
  if ((rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0) {
    mcastDeliver(net, table, proto, skb);
    return;
  }
  const saddr = ipv4.saddr(b, skb.nh);
  const daddr = ipv4.daddr(b, skb.nh);
  const sk = udp4LibLookup(
    net,
    table,
    saddr,
    udp.source(b, uh),
    daddr,
    udp.dest(b, uh),
    inetIif(skb),
    inetSdif(skb),
  );
  if (sk !== null) {
    udpQueueRcvSkb(net, sk, skb);
    return;
  }
  // Nobody there: a datagram with a bad checksum is not worth an answer.
  if (!checksumComplete(skb)) {
    mib.InCsumErrors++;
    mib.InErrors++;
  } else {
    mib.NoPorts++;
    net.icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
  }
  net.skbs.free(skb);
}

/** UDP's length field may be less than what IP delivers, never more; UDP-Lite's is the coverage. */
function trimToLength(skb: SkBuff, proto: Proto): boolean {
  const ulen = udp.len(skb.buf, skb.data);
  if (ulen > skb.len) return false;
  if (proto === IPPROTO_UDPLITE) return true;
  if (ulen < udp.HEADER_LEN) return false;
  skb.tail = skb.data + ulen;
  skb.len = ulen;
  return true;
}

/** `udp4_csum_init`: what can be told of the checksum now; false where it is wrong. */
function csumInit(skb: SkBuff, proto: Proto): boolean {
  const b = skb.buf;
  const uh = skb.data;
  skb.rxCscov = skb.len;
  if (proto === IPPROTO_UDPLITE) {
    // RFC 3828: without a checksum it is no UDP-Lite.
    if (udp.check(b, uh) === 0) return false;
    const cscov = udp.len(b, uh);
    if (cscov !== 0 && cscov < udp.HEADER_LEN) return false;
    if (cscov !== 0 && cscov < skb.len) {
      skb.cbFlags |= UDP_CB_PARTIAL_COV;
      skb.rxCscov = cscov;
      if (skb.ipSummed === CHECKSUM_COMPLETE) skb.ipSummed = CHECKSUM_NONE;
    }
  }
  if (skb.ipSummed === CHECKSUM_UNNECESSARY || skb.ipSummed === CHECKSUM_PARTIAL) {
    skb.cbFlags |= UDP_CB_CSUM_VALID;
    return true;
  }
  skb.csum = csumTcpudpNofold(ipv4.saddr(b, skb.nh), ipv4.daddr(b, skb.nh), skb.len, proto, 0);
  if ((skb.cbFlags & UDP_CB_PARTIAL_COV) !== 0) return true;
  if (proto === IPPROTO_UDP && udp.check(b, uh) === 0) {
    skb.cbFlags |= UDP_CB_CSUM_VALID;
    return true;
  }
  return skb.len > CHECKSUM_BREAK || checksumComplete(skb);
}

/**
 * Verifies a checksum that was left open (`udp_lib_checksum_complete`): `csum` holds the sum of all that is covered before `data`. A sum over
 * the whole rest is kept, raw, for IP_CHECKSUM.
 */
export function checksumComplete(skb: SkBuff): boolean {
  if ((skb.cbFlags & UDP_CB_CSUM_VALID) !== 0) return true;
  if (csumFold(csumPartial(skb.buf, skb.data, skb.rxCscov, skb.csum)) !== 0) return false;
  skb.cbFlags |= UDP_CB_CSUM_VALID;
  if ((skb.cbFlags & UDP_CB_PARTIAL_COV) === 0) {
    skb.csum = wsumPartial(skb.buf, skb.data, skb.len);
    skb.ipSummed = CHECKSUM_COMPLETE;
  }
  return true;
}

/** To every socket that wants it (`__udp4_lib_mcast_deliver`, MC-4). */
function mcastDeliver(net: UdpNet, table: UdpTable, proto: Proto, skb: SkBuff): void {
  const b = skb.buf;
  const uh = skb.data;
  const saddr = ipv4.saddr(b, skb.nh);
  const daddr = ipv4.daddr(b, skb.nh);
  const sport = udp.source(b, uh);
  const dport = udp.dest(b, uh);
  const dif = skb.dev!.ifindex;
  const sdif = inetSdif(skb);
  let first: UdpSock | null = null;
  for (const bound of [daddr, 0]) {
    for (let node = table.bound(bound, dport); node !== null; node = node.next) {
      const sk = node.value;
      if ((sk.daddr !== 0 && sk.daddr !== saddr) || (sk.dport !== 0 && sk.dport !== sport)) continue;
      if (!udpSkBoundDevEq(net, sk.boundDevIf, dif, sdif) || !ipMcSfAllow(sk, daddr, saddr, dif, sdif))
        continue;
      if (first === null) first = sk;
      else udpQueueRcvSkb(net, sk, cloneReceived(net, skb));
    }
  }
  if (first !== null) {
    udpQueueRcvSkb(net, first, skb);
    return;
  }
  mibOf(net, proto).IgnoredMulti++;
  net.skbs.free(skb);
}

function cloneReceived(net: UdpNet, skb: SkBuff): SkBuff {
  const copy = net.skbs.copy(skb);
  copy.rxIif = skb.rxIif;
  copy.rxSpecDst = skb.rxSpecDst;
  copy.rxCscov = skb.rxCscov;
  return copy;
}

/** A GSO packet of our own is one message to a socket with UDP_GRO, and single datagrams to any other (`udp_queue_rcv_skb`). */
function udpQueueRcvSkb(net: UdpNet, sk: UdpSock, skb: SkBuff): void {
  if (skb.gsoSize === 0 || sk.groEnabled) {
    udpQueueRcvOneSkb(net, sk, skb);
    return;
  }
  const payload = skb.data + udp.HEADER_LEN;
  for (let at = payload; at < skb.tail; at += skb.gsoSize) {
    udpQueueRcvOneSkb(net, sk, segment(net, skb, at, Math.min(skb.gsoSize, skb.tail - at)));
  }
  net.skbs.free(skb);
}

/** One datagram of a GSO packet: its headers, and `bytes` of its payload from `at` on. */
function segment(net: UdpNet, skb: SkBuff, at: number, bytes: number): SkBuff {
  const headerBytes = skb.data + udp.HEADER_LEN - skb.nh;
  const seg = net.skbs.alloc(headerBytes + bytes);
  seg.buf.set(skb.buf.subarray(skb.nh, skb.nh + headerBytes), seg.nh);
  seg.buf.set(skb.buf.subarray(at, at + bytes), seg.nh + headerBytes);
  seg.th = seg.nh + skb.th - skb.nh;
  seg.data = seg.th;
  seg.tail = seg.nh + headerBytes + bytes;
  seg.len = udp.HEADER_LEN + bytes;
  // Its headers lie in memory of their own, its payload stays where it was.
  seg.truesize = skbTruesize(net, headerBytes) + bytes;
  seg.dev = skb.dev;
  seg.dst = skb.dst;
  seg.mark = skb.mark;
  seg.ipSummed = skb.ipSummed;
  seg.tstampMs = skb.tstampMs;
  seg.optLen = skb.optLen;
  seg.cbFlags = skb.cbFlags | UDP_CB_CSUM_VALID;
  seg.rxIif = skb.rxIif;
  seg.rxSpecDst = skb.rxSpecDst;
  seg.rxCscov = seg.len;
  return seg;
}

/** UDP-Lite's wishes, and what is lost when the route goes (`udp_queue_rcv_one_skb`). Consumes the packet. */
function udpQueueRcvOneSkb(net: UdpNet, sk: UdpSock, skb: SkBuff): void {
  const mib = mibOf(net, sk.isUdplite ? IPPROTO_UDPLITE : IPPROTO_UDP);
  if (sk.udpliteRecvCc && (skb.cbFlags & UDP_CB_PARTIAL_COV) !== 0) {
    if (sk.pcrlen === 0 || skb.rxCscov < sk.pcrlen) {
      mib.InErrors++;
      sk.drops++;
      net.skbs.free(skb);
      return;
    }
  }
  pullHeader(skb);
  pktinfoPrepare(net, sk, skb);
  if (!enqueue(net, sk, skb)) {
    mib.RcvbufErrors++;
    mib.InErrors++;
    sk.drops++;
    net.skbs.free(skb);
  }
}

/** `udp_csum_pull_header` */
function pullHeader(skb: SkBuff): void {
  const { buf, data } = skb;
  if (skb.ipSummed === CHECKSUM_COMPLETE)
    skb.csum = wsumSub(skb.csum, wsumPartial(buf, data, udp.HEADER_LEN));
  else if ((skb.cbFlags & UDP_CB_CSUM_VALID) === 0)
    skb.csum = csumPartial(buf, data, udp.HEADER_LEN, skb.csum);
  skb.data += udp.HEADER_LEN;
  skb.len -= udp.HEADER_LEN;
  skb.rxCscov -= udp.HEADER_LEN;
}

/** What IP_PKTINFO will say is settled on arrival, for sockets that ask by then (`ipv4_pktinfo_prepare`). */
function pktinfoPrepare(net: UdpNet, sk: UdpSock, skb: SkBuff): void {
  if ((sk.cmsgFlags & IP_CMSG_PKTINFO) === 0) {
    skb.rxIif = 0;
    skb.rxSpecDst = 0;
  } else {
    const rt = skb.dst as Rtable;
    // What came over loopback names the device that its sender was bound to.
    if (skb.rxIif === LOOPBACK_IFINDEX) skb.rxIif = inetIif(skb);
    else if (inetSdif(skb) !== 0 && !rt.isInput && rt.iif !== 0) skb.rxIif = rt.iif;
    skb.rxSpecDst = fibComputeSpecDst(net, skb);
  }
  skb.dst = null;
}

/** Charges the receive buffer (`__udp_enqueue_schedule_skb`): one datagram always fits an empty queue. */
function enqueue(net: UdpNet, sk: UdpSock, skb: SkBuff): boolean {
  if (sk.rmemAlloc + skb.truesize > sk.rcvbuf && (sk.rmemAlloc !== 0 || sk.rcvbuf > 0x3fffffff)) return false;
  sk.rmemAlloc += skb.truesize;
  skb.rxDropcount = sk.rxqOvfl ? sk.drops : 0;
  leaveArena(net, skb);
  sk.receiveQueue.push(skb);
  sk.onReadable?.();
  return true;
}

/** A datagram may lie unread for ever: where the arena runs low it moves to memory of its own. */
function leaveArena(net: UdpNet, skb: SkBuff): void {
  const { arena } = net;
  if (skb.slot < 0 || arena.free > arena.smallSlots / 2) return;
  const buf = skb.buf.slice(skb.nh, skb.tail);
  const shift = -skb.nh;
  arena.release(skb.slot);
  skb.slot = -1;
  skb.buf = buf;
  skb.head = 0;
  skb.end = buf.length;
  skb.mac = 0;
  skb.nh = 0;
  skb.th += shift;
  skb.data += shift;
  skb.tail += shift;
}
