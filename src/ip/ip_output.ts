/** From a queue of payload to the neighbour (`net/ipv4/ip_output.c`). */

import { netifRx } from '../dev/receive.js';
import { CHECKSUM_NONE, CHECKSUM_UNNECESSARY, type SkBuff } from '../dev/skbuff.js';
import type { Flowi4 } from '../route/flow.js';
import { dstMtu, dstMtuLocked } from '../route/mtu.js';
import {
  DST_OUTPUT_DISCARD,
  DST_OUTPUT_MC,
  RTCF_BROADCAST,
  RTCF_MULTICAST,
  type Rtable,
} from '../route/rtable.js';
import { l3mdevIpOut } from '../route/vrf.js';
import { ETH_P_IP, PACKET_LOOPBACK } from '../uapi/if.js';
import { IP_PMTUDISC_DO, IP_PMTUDISC_PROBE, IP_PMTUDISC_WANT } from '../uapi/in.js';
import { RTN_MULTICAST } from '../uapi/rtnetlink.js';
import { HOST_LITTLE_ENDIAN } from '../wire/bytes.js';
import * as ipv4 from '../wire/ipv4.js';
import { IP_MAX_MTU } from './append.js';
import type { CorkState } from './cork.js';
import { ipFinishOutput2, ipSkbDstMtu } from './finish_output.js';
import { ipFragment } from './fragment.js';
import { gsoValidateNetworkLen } from './gso.js';
import { type InetSock, ipSkIgnoreDf } from './inet_sock.js';
import type { IpNet } from './netns.js';
import { ipOptionsBuild } from './options.js';
import { ipSendCheckSkb } from './send_check.js';

/**
 * Makes one packet of a cork's queue and writes its IP header (`__ip_make_skb`). The cork is empty afterwards.
 * @returns null where nothing was queued
 */
export function ipMakeSkbFromQueue(net: IpNet, sk: InetSock, fl4: Flowi4, cork: CorkState): SkBuff | null {
  const skb = cork.head;
  if (skb === null) return null;
  const rt = cork.dst!;
  let rest = skb.next;
  skb.next = null;
  cork.head = null;
  cork.tail = null;
  cork.dst = null;
  if (rest !== null) {
    skb.fragList = rest;
    for (; rest !== null; rest = rest.next) {
      // A later fragment's bytes start behind the room for its header, which is written when it is sent.
      rest.data = rest.th;
      rest.len = rest.tail - rest.data;
      skb.len += rest.len;
      skb.dataLen += rest.len;
      skb.truesize += rest.truesize;
      rest.sk = null;
    }
  }
  skb.ignoreDf = ipSkIgnoreDf(sk);

  // CORK-4: the mode and the socket's own TTL are read now, not at the first piece.
  const mtu = dstMtu(rt);
  const df = ipSelectDf(sk, rt, skb.len, mtu);
  let ttl = cork.ttl;
  if (ttl === 0) ttl = rt.type === RTN_MULTICAST ? sk.mcTtl : ipSelectTtl(net, sk, rt);
  const tos = cork.tos >= 0 ? cork.tos : sk.tos;
  const optlen = cork.hasOpt ? cork.opt.optlen : 0;

  const id = ipSelectIdent(net, sk, fl4, df);

  if (net.tracer !== null) {
    net.tracer.event({
      fn: 'ip_make_skb',
      step: 'header',
      text: `${skb.len} bytes, path MTU ${mtu}; ttl ${ttl}, tos 0x${tos.toString(16).padStart(2, '0')}${df !== 0 ? ', DF' : ''}`,
      rule: df !== 0 || sk.pmtudisc === IP_PMTUDISC_WANT ? 'IPH-10' : 'PMTU-2',
      depth: 1,
      data: { len: skb.len, mtu, ttl, tos, df: df !== 0, pmtudisc: sk.pmtudisc },
    });
    net.tracer.event({
      fn: 'ip_select_ident',
      step: 'id',
      text: `0x${id.toString(16).padStart(4, '0')}, ${sk.daddr !== 0 ? "the connected socket's counter" : id === 0 ? 'none: DF and no local fragmentation' : 'from the generator of this address pair'}`,
      rule: sk.daddr !== 0 ? 'IPID-1' : id === 0 ? 'IPID-2' : 'IPID-3',
      depth: 2,
      data: { id },
    });
  }
  writeIpHeader(
    net,
    skb,
    5 + (optlen >> 2),
    tos,
    skb.len,
    id,
    df,
    ttl,
    sk.protocol,
    fl4.saddr | 0,
    fl4.daddr | 0,
  );
  if (optlen !== 0) {
    skb.optLen = optlen;
    ipOptionsBuild(skb.buf, skb.nh, cork.opt, cork.addr, net.clock);
  }
  cork.hasOpt = false;
  // Before 6.15 a priority that no control message gave was the socket's at this moment.
  skb.priority = cork.tos >= 0 || net.profile.tosTakenAtStart ? cork.priority : sk.priority;
  skb.mark = cork.mark;
  skb.tstampMs = cork.transmitTime;
  skb.dst = rt;
  return skb;
}

/**
 * Writes the 20 fixed bytes, the checksum left zero; four bytes at a time where the packet lies aligned in the arena. Addresses may be
 * signed: as small integers they cost no memory on the way here.
 */
export function writeIpHeader(
  net: IpNet,
  skb: SkBuff,
  ihl: number,
  tos: number,
  totLen: number,
  id: number,
  fragOff: number,
  ttl: number,
  protocol: number,
  saddr: number,
  daddr: number,
): void {
  const at = skb.nh;
  const total = totLen <= IP_MAX_MTU ? totLen : 0;
  if (HOST_LITTLE_ENDIAN && skb.slot >= 0 && (at & 3) === 0) {
    const w = net.arena.u32;
    const i = at >> 2;
    w[i] = 0x40 | ihl | (tos << 8) | ((total >> 8) << 16) | (total << 24);
    w[i + 1] = (id >> 8) | ((id & 255) << 8) | ((fragOff >> 8) << 16) | (fragOff << 24);
    w[i + 2] = ttl | (protocol << 8);
    w[i + 3] = (saddr >>> 24) | ((saddr >>> 8) & 0xff00) | ((saddr & 0xff00) << 8) | (saddr << 24);
    w[i + 4] = (daddr >>> 24) | ((daddr >>> 8) & 0xff00) | ((daddr & 0xff00) << 8) | (daddr << 24);
    return;
  }
  const b = skb.buf;
  b[at] = 0x40 | ihl;
  ipv4.setTos(b, at, tos);
  ipv4.setTotLen(b, at, total);
  ipv4.setId(b, at, id);
  ipv4.setFragOff(b, at, fragOff);
  ipv4.setTtl(b, at, ttl);
  ipv4.setProtocol(b, at, protocol);
  ipv4.setCheck(b, at, 0);
  ipv4.setSaddr(b, at, saddr);
  ipv4.setDaddr(b, at, daddr);
}

/** The DF bit of a datagram of `len` bytes (IPH-10). */
export function ipSelectDf(sk: InetSock, rt: Rtable, len: number, mtu: number): number {
  const { pmtudisc } = sk;
  return pmtudisc === IP_PMTUDISC_DO ||
    pmtudisc === IP_PMTUDISC_PROBE ||
    (pmtudisc === IP_PMTUDISC_WANT && len <= mtu && !dstMtuLocked(rt))
    ? ipv4.IP_DF
    : 0;
}

/** `ip_select_ident` (IPID-1..3) */
export function ipSelectIdent(net: IpNet, sk: InetSock, fl4: Flowi4, df: number): number {
  if (sk.daddr !== 0) {
    sk.inetId = (sk.inetId + 1) & 0xffff;
    return sk.inetId;
  }
  if (df !== 0 && !ipSkIgnoreDf(sk)) return 0;
  return net.idents.reserve(net, fl4.daddr | 0, fl4.saddr | 0, sk.protocol, 1);
}

/** `ip_select_ttl` (IPH-2) */
export function ipSelectTtl(net: IpNet, sk: InetSock, rt: Rtable): number {
  if (sk.ucTtl >= 0) return sk.ucTtl;
  return rt.metricHoplimit !== 0 ? rt.metricHoplimit : net.sysctl.ipv4.ipDefaultTtl;
}

/** Sends a finished datagram of a socket (`ip_send_skb`): 0 or a negative errno, counted as OutDiscards. */
export function ipSendSkb(net: IpNet, sk: InetSock | null, skb: SkBuff): number {
  const err = ipLocalOut(net, sk, skb);
  if (err !== 0) net.mib.Ip.OutDiscards++;
  return err;
}

/** Sends a packet whose header lacks only length and checksum (`ip_local_out`). Consumes it. */
export function ipLocalOut(net: IpNet, sk: InetSock | null, skb: SkBuff): number {
  net.mib.Ip.OutRequests++;
  ipv4.setTotLen(skb.buf, skb.nh, skb.len <= IP_MAX_MTU ? skb.len : 0);
  ipSendCheckSkb(net, skb);
  skb.protocol = ETH_P_IP;
  if (skb.dst!.dev.master !== null && !l3mdevIpOut(net, skb, skb.dst!.dev)) return 0;
  if (net.localOutHook !== null) {
    const verdict = net.localOutHook(skb);
    if (verdict < 0) {
      net.skbs.free(skb);
      return verdict;
    }
  }
  return dstOutput(net, sk, skb);
}

/** `dst_output` */
export function dstOutput(net: IpNet, sk: InetSock | null, skb: SkBuff): number {
  const rt = skb.dst as Rtable;
  if (rt.output === DST_OUTPUT_MC) return ipMcOutput(net, sk, skb, rt);
  if (rt.output === DST_OUTPUT_DISCARD) {
    net.skbs.free(skb);
    return 0;
  }
  return ipFinishOutput(net, sk, skb, rt);
}

/** Multicast that we are a member of, and broadcast: a copy comes back to ourselves (`ip_mc_output`, MC-4..6). */
function ipMcOutput(net: IpNet, sk: InetSock | null, skb: SkBuff, rt: Rtable): number {
  skb.dev = rt.dev;
  if ((rt.flags & RTCF_MULTICAST) !== 0) {
    if (sk === null || sk.mcLoop) devLoopbackXmit(net, skb);
    // MC-5: TTL 0 stays inside the host, but only here, where the group is joined.
    if (ipv4.ttl(skb.buf, skb.nh) === 0) {
      net.skbs.free(skb);
      return 0;
    }
  }
  if ((rt.flags & RTCF_BROADCAST) !== 0) devLoopbackXmit(net, skb);
  return ipFinishOutput(net, sk, skb, rt);
}

/** `dev_loopback_xmit`: a copy into our own input, routed already. */
function devLoopbackXmit(net: IpNet, skb: SkBuff): void {
  const copy = net.skbs.copy(skb);
  copy.pktType = PACKET_LOOPBACK;
  if (copy.ipSummed === CHECKSUM_NONE) copy.ipSummed = CHECKSUM_UNNECESSARY;
  netifRx(net, copy);
}

/** `__ip_finish_output`: a GSO packet whole, a long one in fragments, the rest as it is. */
function ipFinishOutput(net: IpNet, sk: InetSock | null, skb: SkBuff, rt: Rtable): number {
  skb.dev = rt.dev;
  const mtu = ipSkbDstMtu(sk, rt);
  if (skb.gsoSize !== 0) return ipFinishOutputGso(net, sk, skb, mtu);
  if (skb.len > mtu || skb.fragMaxSize !== 0) return ipFragment(net, sk, skb, mtu);
  return ipFinishOutput2(net, skb);
}

function ipFinishOutputGso(net: IpNet, sk: InetSock | null, skb: SkBuff, mtu: number): number {
  if (gsoValidateNetworkLen(skb, mtu)) return ipFinishOutput2(net, skb);
  // The MTU shrank while the datagram was corked: cut here, then fragment each segment.
  let result = 0;
  let segment = net.gsoSegment(skb);
  while (segment !== null) {
    const next: SkBuff | null = segment.next;
    segment.next = null;
    const err = ipFragment(net, sk, segment, mtu);
    if (err !== 0 && result === 0) result = err;
    segment = next;
  }
  return result;
}
