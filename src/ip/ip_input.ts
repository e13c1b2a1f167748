/** From a device to the protocols (`net/ipv4/ip_input.c`): header checks, routing, options, reassembly, delivery. */
import { l3mdevMasterDev } from '../dev/inet_select.js';
import type { NetDevice } from '../dev/net_device.js';
import type { SkBuff } from '../dev/skbuff.js';
import { deliverToTaps } from '../dev/xmit.js';
import { ipRouteInput } from '../route/input.js';
import { DST_INPUT_ERROR, DST_INPUT_LOCAL, type Rtable } from '../route/rtable.js';
import { EACCES, EHOSTUNREACH, ENETUNREACH } from '../uapi/errno.js';
import {
  ETH_HLEN,
  ETH_P_IP,
  PACKET_BROADCAST,
  PACKET_HOST,
  PACKET_LOOPBACK,
  PACKET_MULTICAST,
  PACKET_OTHERHOST,
} from '../uapi/if.js';
import { ipv4IsMulticast } from '../uapi/in.js';
import { RTN_BROADCAST, RTN_MULTICAST } from '../uapi/rtnetlink.js';
import { ipFastCsum } from '../wire/checksum.js';
import { ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, ICMP_NET_UNREACH, ICMP_PROT_UNREACH } from '../wire/icmp.js';
import * as ipv4 from '../wire/ipv4.js';
import { IpFragQueues } from './defrag.js';
import type { IpNet } from './netns.js';
import { InetPeers } from './peer.js';
import { hasSourceRoute, ipOptionsRcvCompile, ipOptionsRcvSrr } from './recv_options.js';

/** `SkBuff.cbFlags`: it came by a device that is in a VRF (`IPSKB_L3SLAVE`). */
export const IPSKB_L3SLAVE = 0x80000;

/** ICMP_PKT_FILTERED */
const ICMP_PKT_FILTERED = 13;

/** What IP's input keeps: datagrams that are not whole yet, and what it remembers of other hosts. */
export interface IpInput {
  readonly frags: IpFragQueues;
  readonly peers: InetPeers;
}

/** Makes a Net receive IPv4. */
export function ipInit(net: IpNet): IpInput {
  const peers = new InetPeers();
  const frags = new IpFragQueues(net, peers);
  net.devAddPack(ETH_P_IP, (skb) => ipRcv(net, frags, skb));
  return { frags, peers };
}

/**
 * What the memory of a frame from a TAP is charged with: small frames lie in a piece of a page, larger ones in a page and further ones
 * (measured).
 */
export function rxTruesize(frameBytes: number): number {
  if (frameBytes <= 3456) return 576 + ((frameBytes + 64 + 63) & ~63);
  return 4352 + 4096 * Math.ceil(Math.max(0, frameBytes - 3712) / 4096);
}

/** `inet_iif`: the device that a packet counts as having come by; for one of our own, the device that its sender asked for. */
export function inetIif(skb: SkBuff): number {
  const rt = skb.dst as Rtable;
  return !rt.isInput && rt.iif !== 0 ? rt.iif : skb.skbIif;
}

/** `inet_sdif`: the device in the VRF that it came by, 0 outside of one. */
export function inetSdif(skb: SkBuff): number {
  return (skb.cbFlags & IPSKB_L3SLAVE) !== 0 ? skb.rxIif : 0;
}

/** Takes a packet of EtherType IPv4 (`ip_rcv`); `data` is at the IP header. Consumes it. */
export function ipRcv(net: IpNet, frags: IpFragQueues, packet: SkBuff): void {
  // A frame for another station was taken only because the device is promiscuous.
  if (packet.pktType === PACKET_OTHERHOST) {
    net.skbs.free(packet);
    return;
  }
  const skb = packet.fragList === null ? packet : linear(net, packet);
  net.mib.Ip.InReceives++;
  net.mib.IpExt.InOctets += skb.len;
  skb.nh = skb.data;
  if (!checkHeader(net, skb)) {
    net.skbs.free(skb);
    return;
  }
  if (skb.truesize === 0) skb.truesize = rxTruesize(skb.len + ETH_HLEN);
  const b = skb.buf;
  const nh = skb.nh;
  const total = ipv4.totLen(b, nh);
  // The medium may have padded the frame.
  skb.tail = nh + total;
  skb.len = total;
  const headerBytes = ipv4.headerLen(b, nh);
  skb.th = nh + headerBytes;
  skb.optLen = headerBytes - ipv4.HEADER_LEN;
  skb.cbFlags = 0;
  skb.fragMaxSize = 0;
  skb.rxIif = skb.skbIif;
  skb.rxSpecDst = 0;
  net.skbs.orphan(skb);
  // In a VRF the packet belongs to the VRF's device from here on; routing still asks for the one that it came by.
  const dev = skb.dev!;
  l3mdevIpRcv(net, skb);
  if (!ipRcvFinish(net, skb, dev)) {
    net.skbs.free(skb);
    return;
  }
  const rt = skb.dst as Rtable;
  if (rt.input === DST_INPUT_LOCAL) ipLocalDeliver(net, frags, skb);
  else if (rt.input === DST_INPUT_ERROR) ipError(net, skb, rt);
  else net.skbs.free(skb);
}

function linear(net: IpNet, skb: SkBuff): SkBuff {
  const whole = net.skbs.copy(skb);
  net.skbs.free(skb);
  return whole;
}

/** The checks of `ip_rcv_core`, in its order, each with its counter. */
function checkHeader(net: IpNet, skb: SkBuff): boolean {
  const { Ip, IpExt } = net.mib;
  const b = skb.buf;
  const nh = skb.nh;
  if (
    skb.len < ipv4.HEADER_LEN ||
    ipv4.ihl(b, nh) < 5 ||
    ipv4.version(b, nh) !== 4 ||
    skb.len < ipv4.headerLen(b, nh)
  ) {
    Ip.InHdrErrors++;
    return false;
  }
  if (ipFastCsum(b, nh, ipv4.ihl(b, nh)) !== 0) {
    IpExt.InCsumErrors++;
    Ip.InHdrErrors++;
    return false;
  }
  const total = ipv4.totLen(b, nh);
  if (skb.len < total) {
    IpExt.InTruncatedPkts++;
    return false;
  }
  if (total < ipv4.headerLen(b, nh)) {
    Ip.InHdrErrors++;
    return false;
  }
  return true;
}

/** A device in a VRF hands its packets to the VRF (`vrf_ip_rcv`), which takes what it looped back itself in the same way. */
function l3mdevIpRcv(net: IpNet, skb: SkBuff): void {
  const dev = skb.dev!;
  const master = dev.isL3Master ? dev : l3mdevMasterDev(dev);
  if (master === null) return;
  skb.dev = master;
  skb.skbIif = master.ifindex;
  skb.cbFlags |= IPSKB_L3SLAVE;
  if (ipv4IsMulticast(ipv4.daddr(skb.buf, skb.nh))) return;
  if (skb.pktType === PACKET_LOOPBACK) {
    skb.pktType = PACKET_HOST;
    return;
  }
  master.stats.rxPackets++;
  master.stats.rxBytes += skb.len;
  if (master.taps !== null) deliverToTaps(net, master, skb, skb.mac, 0);
}

/** Routes a packet, unless it comes from ourselves and is routed already, and reads its options (`ip_rcv_finish_core`). */
function ipRcvFinish(net: IpNet, skb: SkBuff, dev: NetDevice): boolean {
  const b = skb.buf;
  const nh = skb.nh;
  if (skb.dst === null) {
    const error = ipRouteInput(net, skb, ipv4.daddr(b, nh), ipv4.saddr(b, nh), ipv4.tos(b, nh), dev);
    if (error !== 0 || skb.dst === null) return false;
  }
  if (skb.optLen !== 0 && !ipRcvOptions(net, skb, dev)) return false;
  const rt = skb.dst as Rtable;
  const { IpExt } = net.mib;
  if (rt.type === RTN_MULTICAST) {
    IpExt.InMcastPkts++;
    IpExt.InMcastOctets += skb.len;
  } else if (rt.type === RTN_BROADCAST) {
    IpExt.InBcastPkts++;
    IpExt.InBcastOctets += skb.len;
  } else if (skb.pktType === PACKET_BROADCAST || skb.pktType === PACKET_MULTICAST) {
    // RFC 1122 3.3.6: a frame for all must be a packet for all, where the administrator insists.
    const conf = dev.ipPtr?.cnf;
    if (
      conf !== undefined &&
      (conf.dropUnicastInL2Multicast | net.sysctl.confAll.dropUnicastInL2Multicast) !== 0
    )
      return false;
  }
  return true;
}

function ipRcvOptions(net: IpNet, skb: SkBuff, dev: NetDevice): boolean {
  if (!ipOptionsRcvCompile(net, skb)) {
    net.mib.Ip.InHdrErrors++;
    return false;
  }
  if (!hasSourceRoute(skb)) return true;
  const conf = dev.ipPtr?.cnf;
  if (conf !== undefined && (conf.acceptSourceRoute === 0 || net.sysctl.confAll.acceptSourceRoute === 0))
    return false;
  return ipOptionsRcvSrr(net, skb, dev);
}

/** A packet for an address of ours: reassembled, then to its protocol (`ip_local_deliver`). Consumes it. */
function ipLocalDeliver(net: IpNet, frags: IpFragQueues, packet: SkBuff): void {
  const skb = ipv4.isFragment(packet.buf, packet.nh) ? frags.defrag(packet) : packet;
  if (skb === null) return;
  const headerBytes = ipv4.headerLen(skb.buf, skb.nh);
  skb.data = skb.nh + headerBytes;
  skb.th = skb.data;
  skb.len -= headerBytes;
  ipProtocolDeliver(net, skb);
}

/** `ip_protocol_deliver_rcu`: there are no raw sockets, so a protocol that nobody registered is unreachable. */
function ipProtocolDeliver(net: IpNet, skb: SkBuff): void {
  const proto = net.inetProtos.get(ipv4.protocol(skb.buf, skb.nh));
  if (proto !== undefined) {
    net.mib.Ip.InDelivers++;
    proto.rcv(skb);
    return;
  }
  net.mib.Ip.InUnknownProtos++;
  net.icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0);
  net.skbs.free(skb);
}

/** A packet that routing refuses (`ip_error`): answered where the device forwards, counted otherwise. Consumes it. */
function ipError(net: IpNet, skb: SkBuff, rt: Rtable): void {
  const dev = (skb.cbFlags & IPSKB_L3SLAVE) !== 0 ? net.devGetByIndex(skb.rxIif) : skb.dev;
  const inDev = dev?.ipPtr ?? null;
  if (inDev !== null && inDev.cnf.forwarding === 0) {
    if (rt.error === -EHOSTUNREACH) net.mib.Ip.InAddrErrors++;
    else if (rt.error === -ENETUNREACH) net.mib.IpExt.InNoRoutes++;
  } else if (inDev !== null) {
    if (rt.error === -ENETUNREACH) net.mib.IpExt.InNoRoutes++;
    const code = unreachCode(rt.error);
    if (code >= 0) net.icmpSend(skb, ICMP_DEST_UNREACH, code, 0);
  }
  net.skbs.free(skb);
}

function unreachCode(error: number): number {
  if (error === -EHOSTUNREACH) return ICMP_HOST_UNREACH;
  if (error === -ENETUNREACH) return ICMP_NET_UNREACH;
  return error === -EACCES ? ICMP_PKT_FILTERED : -1;
}
