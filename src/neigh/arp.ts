/** ARP (`net/ipv4/arp.c`): requests, answers, and what is learnt from both. */
import type { Ipv4Devconf } from '../core/sysctl.js';
import type { InDevice } from '../dev/in_device.js';
import type { NetDevice } from '../dev/net_device.js';
import type { NetdevEvent } from '../dev/netns.js';
import type { SkBuff } from '../dev/skbuff.js';
import { devQueueXmit } from '../dev/xmit.js';
import {
  ARPHRD_ETHER,
  ETH_HLEN,
  ETH_P_ARP,
  formatMac,
  IFF_NOARP,
  PACKET_HOST,
  PACKET_LOOPBACK,
  PACKET_OTHERHOST,
} from '../uapi/if.js';
import { formatIPv4, ipv4IsLoopback, ipv4IsMulticast } from '../uapi/in.js';
import { NUD_REACHABLE, NUD_STALE } from '../uapi/neighbour.js';
import { RT_SCOPE_HOST, RT_SCOPE_LINK, RTN_LOCAL, RTN_UNICAST } from '../uapi/rtnetlink.js';
import * as arp from '../wire/arp.js';
import { get32 } from '../wire/bytes.js';
import { writeHeader } from '../wire/ethernet.js';
import type { Neighbour } from './neighbour.js';
import type { ArpRoute, NeighNet } from './netns.js';
import { pneighEnqueue, pneighLookup, USER_HZ_MS } from './proxy.js';
import { NEIGH_UPDATE_F_OVERRIDE, neighUpdate } from './state.js';
import {
  ipNeighForKey,
  neighCarrierDown,
  neighFlushDev,
  neighForgetDev,
  neighIfdown,
  neighKey,
  neighLookup,
} from './table.js';

const NO_MAC = new Uint8Array(6);
/** Offset of the source address in an IPv4 header. */
const IP_SADDR = 12;

/** Sysctls of which the larger of `all` and the device's counts (IN_DEV_MAXCONF). */
function maxConf(net: NeighNet, inDev: InDevice, key: keyof Ipv4Devconf): number {
  return Math.max(net.sysctl.confAll[key], inDev.cnf[key]);
}
/** Sysctls that are on where either is (IN_DEV_ORCONF). */
function orConf(net: NeighNet, inDev: InDevice, key: keyof Ipv4Devconf): boolean {
  return net.sysctl.confAll[key] !== 0 || inDev.cnf[key] !== 0;
}

export interface ArpSend {
  readonly operation: number;
  /** The address asked for, or answered to. */
  readonly targetIp: number;
  readonly senderIp: number;
  /** Where the frame goes; the device's broadcast address where absent (ARP-1). */
  readonly to?: Uint8Array | null;
  /** What the packet says of the target; zeros where absent. */
  readonly targetMac?: Uint8Array;
}

/** Sends one ARP packet (`arp_send`): 42 bytes, no padding. A device that does no ARP sends none. */
export function arpSend(net: NeighNet, dev: NetDevice, send: ArpSend): void {
  if ((dev.flags & IFF_NOARP) !== 0 || dev.hardHeaderLen === 0) return;
  const skb = net.skbs.alloc(arp.PACKET_LEN);
  const repr = {
    htype: arp.HTYPE_ETHER,
    operation: send.operation,
    senderMac: dev.addr,
    senderIp: send.senderIp,
    targetMac: send.targetMac ?? NO_MAC,
    targetIp: send.targetIp,
  };
  skb.tail = skb.data + arp.emit(repr, skb.buf, skb.data);
  skb.mac = skb.data - ETH_HLEN;
  writeHeader(skb.buf, skb.mac, send.to ?? dev.broadcast, dev.addr, ETH_P_ARP);
  skb.data = skb.mac;
  skb.len = skb.tail - skb.data;
  skb.protocol = ETH_P_ARP;
  skb.dev = dev;
  if (net.tracer !== null) {
    const request = send.operation === arp.OP_REQUEST;
    const from = formatIPv4(send.senderIp);
    net.tracer.event({
      fn: 'arp_send',
      step: request ? 'request' : 'reply',
      text: request
        ? `who-has ${formatIPv4(send.targetIp)} tell ${from}`
        : `${from} is-at ${formatMac(dev.addr)}`,
      rule: request ? 'ARP-1' : 'ARP-4',
    });
  }
  devQueueXmit(net, skb);
}

/** Asks for a neighbour's address (`arp_solicit`): by unicast while it is only doubted, else by broadcast. */
export function arpSolicit(net: NeighNet, neigh: Neighbour, skb: SkBuff | null): void {
  const { dev, key, parms } = neigh;
  const inDev = dev.ipPtr;
  if (inDev === null) return;
  const senderIp = solicitSource(net, inDev, key, skb) || net.arpHost.inetSelectAddr(dev, key, RT_SCOPE_LINK);
  const beyondUnicast = neigh.probes - parms.ucastSolicit;
  // app_solicit leaves these to a user-space daemon, which this stack does not have: they pass in silence.
  if (beyondUnicast >= 0 && beyondUnicast < parms.appSolicit) return;
  arpSend(net, dev, {
    operation: arp.OP_REQUEST,
    targetIp: key,
    senderIp,
    to: beyondUnicast < 0 ? neigh.ha.slice() : null,
  });
}

/** ARP-2: the waiting packet's source, where `arp_announce` lets it be told; else 0. */
function solicitSource(net: NeighNet, inDev: InDevice, target: number, skb: SkBuff | null): number {
  const announce = maxConf(net, inDev, 'arpAnnounce');
  if (skb === null || announce === 2) return 0;
  const saddr = get32(skb.buf, skb.nh + IP_SADDR);
  if (net.arpHost.inetAddrTypeDevTable(inDev.dev, saddr) !== RTN_LOCAL) return 0;
  if (announce === 1 && !net.arpHost.inetAddrOnlink(inDev, target, saddr)) return 0;
  return saddr;
}

/** Takes a received ARP packet, `data` behind the link header (`arp_rcv`). Consumes it. */
export function arpRcv(net: NeighNet, skb: SkBuff): void {
  const dev = skb.dev!;
  const ours =
    (dev.flags & IFF_NOARP) === 0 && skb.pktType !== PACKET_OTHERHOST && skb.pktType !== PACKET_LOOPBACK;
  // ARP-3; `parse` proves the lengths, the protocol and the hardware types 1 and 6.
  const packet =
    ours && dev.type === ARPHRD_ETHER ? arp.parse(skb.buf, skb.data, skb.tail - skb.data) : 'bad-type';
  if (typeof packet === 'string' || dev.ipPtr === null) {
    net.skbs.free(skb);
    return;
  }
  arpProcess(net, dev.ipPtr, packet, skb, false);
}

/** A request has waited for its proxy answer (`parp_redo`). Consumes it. */
export function parpRedo(net: NeighNet, skb: SkBuff): void {
  const inDev = skb.dev!.ipPtr;
  const packet = arp.parse(skb.buf, skb.data, skb.tail - skb.data);
  if (typeof packet === 'string' || inDev === null) net.skbs.free(skb);
  else arpProcess(net, inDev, packet, skb, true);
}

/** What a well-formed packet means for us (`arp_process`). Consumes `skb`. */
function arpProcess(net: NeighNet, inDev: InDevice, packet: arp.ArpRepr, skb: SkBuff, redone: boolean): void {
  const kept = arpUnderstood(net, inDev, packet) && arpAnswer(net, inDev, packet, skb, redone);
  if (!kept) net.skbs.free(skb);
}

/** ARP-3: only requests and replies, not about multicast or loopback addresses. */
function arpUnderstood(
  net: NeighNet,
  inDev: InDevice,
  { operation, senderIp, targetIp }: arp.ArpRepr,
): boolean {
  if (operation !== arp.OP_REQUEST && operation !== arp.OP_REPLY) return false;
  if (ipv4IsMulticast(targetIp)) return false;
  if (ipv4IsLoopback(targetIp) && !orConf(net, inDev, 'routeLocalnet')) return false;
  return senderIp !== targetIp || !orConf(net, inDev, 'dropGratuitousArp');
}

/** Answers a request that is ours to answer, else learns from the packet. True where `skb` is kept. */
function arpAnswer(
  net: NeighNet,
  inDev: InDevice,
  packet: arp.ArpRepr,
  skb: SkBuff,
  redone: boolean,
): boolean {
  const dev = inDev.dev;
  const { senderIp: sip, targetIp: tip, senderMac: sha } = packet;
  const request = packet.operation === arp.OP_REQUEST;
  if (sip === 0) {
    // ARP-4: duplicate address detection (RFC 2131) is answered, and teaches nothing.
    const local = request && net.arpHost.inetAddrTypeDevTable(dev, tip) === RTN_LOCAL;
    if (local && !arpIgnore(net, inDev, sip, tip)) arpReply(net, dev, packet);
    return false;
  }
  if (request) {
    // ARP-4, ARP-7: the request is routed as a packet from its sender would be. R-5: one that claims to come from ourselves
    // is refused by that, as a martian.
    const route = net.arpHost.ipRouteInput(tip, sip, dev);
    if (typeof route !== 'number' && route.type === RTN_LOCAL) {
      const silent =
        arpIgnore(net, inDev, sip, tip) || (orConf(net, inDev, 'arpFilter') && arpFilter(net, sip, tip, dev));
      if (!silent && neighEventNs(net, sha, sip, dev)) arpReply(net, dev, packet);
      return false;
    }
    if (typeof route !== 'number' && arpIsProxied(net, inDev, packet, route)) {
      neighEventNs(net, sha, sip, dev);
      if (redone || skb.pktType === PACKET_HOST || inDev.arpParms.proxyDelay === 0) {
        arpReply(net, dev, packet);
        return false;
      }
      pneighEnqueue(net, dev, skb);
      return true;
    }
  }
  arpLearn(net, inDev, packet, skb.pktType === PACKET_HOST);
  return false;
}

function arpReply(net: NeighNet, dev: NetDevice, { senderIp, targetIp, senderMac }: arp.ArpRepr): void {
  arpSend(net, dev, {
    operation: arp.OP_REPLY,
    targetIp: senderIp,
    senderIp: targetIp,
    to: senderMac,
    targetMac: senderMac,
  });
}

/** ARP-4: a requester's address is known from now on, as STALE (`neigh_event_ns`); false where the table is full. */
function neighEventNs(net: NeighNet, lladdr: Uint8Array, saddr: number, dev: NetDevice): boolean {
  const neigh = ipNeighForKey(net, dev, saddr);
  if (neigh === null) return false;
  neighUpdate(net, neigh, lladdr, NUD_STALE, NEIGH_UPDATE_F_OVERRIDE);
  return true;
}

/** ARP-5, ARP-6: what the packet says of its sender updates an entry that exists, or that `arp_accept` lets it make. */
function arpLearn(net: NeighNet, inDev: InDevice, packet: arp.ArpRepr, toUs: boolean): void {
  const dev = inDev.dev;
  const { senderIp: sip, senderMac: sha } = packet;
  const reply = packet.operation === arp.OP_REPLY;
  let neigh = neighLookup(net, dev, neighKey(dev, sip));
  const accept = arpAccept(net, inDev, sip);
  if (neigh === null && !accept) return;
  const gratuitous = arpIsGarp(net, dev, packet);
  if (neigh === null) {
    if (!gratuitous && !(reply && net.arpHost.inetAddrTypeDevTable(dev, sip) === RTN_UNICAST)) return;
    neigh = ipNeighForKey(net, dev, sip);
    if (neigh === null) return;
  }
  // The first of several answers wins: a later one must wait for locktime, unless it is gratuitous.
  const override = gratuitous || net.clock.now() > neigh.updated + neigh.parms.locktime * USER_HZ_MS;
  const state = reply && toUs ? NUD_REACHABLE : NUD_STALE;
  neighUpdate(net, neigh, sha, state, override ? NEIGH_UPDATE_F_OVERRIDE : 0);
}

/** Sender and target are one unicast address; of a reply, by hardware address too (`arp_is_garp`). */
function arpIsGarp(net: NeighNet, dev: NetDevice, packet: arp.ArpRepr): boolean {
  if (packet.senderIp !== packet.targetIp) return false;
  if (packet.operation === arp.OP_REPLY && !packet.targetMac.every((b, i) => b === packet.senderMac[i]))
    return false;
  return net.arpHost.inetAddrTypeDevTable(dev, packet.senderIp) === RTN_UNICAST;
}

function arpAccept(net: NeighNet, inDev: InDevice, sip: number): boolean {
  const accept = maxConf(net, inDev, 'arpAccept');
  if (accept === 1) return true;
  return accept === 2 && net.arpHost.inetConfirmAddr(inDev, sip, 0, RT_SCOPE_LINK) !== 0;
}

/** ARP-4: `arp_ignore` keeps us silent about some of our addresses. */
function arpIgnore(net: NeighNet, inDev: InDevice, sip: number, tip: number): boolean {
  switch (maxConf(net, inDev, 'arpIgnore')) {
    case 1:
      return net.arpHost.inetConfirmAddr(inDev, 0, tip, RT_SCOPE_HOST) === 0;
    case 2:
      return net.arpHost.inetConfirmAddr(inDev, sip, tip, RT_SCOPE_HOST) === 0;
    case 3:
      return net.arpHost.inetConfirmAddr(null, 0, tip, RT_SCOPE_LINK) === 0;
    case 8:
      return true;
    default:
      return false;
  }
}

/** `arp_filter`: only the device that we would answer the requester through may answer. */
function arpFilter(net: NeighNet, sip: number, tip: number, dev: NetDevice): boolean {
  const route = net.arpHost.ipRouteOutput(sip, tip);
  return typeof route === 'number' || route.dev !== dev;
}

/** ARP-5: do we answer for an address that we forward to? */
function arpIsProxied(net: NeighNet, inDev: InDevice, packet: arp.ArpRepr, route: ArpRoute): boolean {
  if (inDev.cnf.forwarding === 0 || route.type !== RTN_UNICAST) return false;
  if (route.dev === inDev.dev) {
    return packet.senderIp !== packet.targetIp && orConf(net, inDev, 'proxyArpPvlan');
  }
  return arpFwdProxy(net, inDev, route.dev) || pneighLookup(net, packet.targetIp, inDev.dev) !== null;
}

function arpFwdProxy(net: NeighNet, inDev: InDevice, out: NetDevice): boolean {
  if (!orConf(net, inDev, 'proxyArp')) return false;
  const medium = inDev.cnf.mediumId;
  if (medium === 0) return true;
  const outMedium = out.ipPtr?.cnf.mediumId ?? -1;
  return medium !== -1 && outMedium !== medium && outMedium !== -1;
}

/** What happens to a device happens to its neighbours (`arp_netdev_event`, NEIGH-14, VRF-8). */
export function arpDevEvent(net: NeighNet, event: NetdevEvent, dev: NetDevice): void {
  switch (event) {
    case 'changeAddr':
      neighFlushDev(net, dev, false);
      arpNotify(net, dev);
      break;
    case 'up':
      arpNotify(net, dev);
      break;
    case 'change': {
      const inDev = dev.ipPtr;
      const evict =
        inDev === null || (net.sysctl.confAll.arpEvictNocarrier !== 0 && inDev.cnf.arpEvictNocarrier !== 0);
      if (evict && !dev.carrier) neighCarrierDown(net, dev);
      break;
    }
    case 'down':
    case 'changeUpper':
      neighIfdown(net, dev);
      break;
    case 'unregister':
      neighForgetDev(net, dev);
      break;
    default:
  }
}

/** ARP-8: with `arp_notify`, one gratuitous request for each address. */
function arpNotify(net: NeighNet, dev: NetDevice): void {
  const inDev = dev.ipPtr;
  if (inDev === null || !dev.isUp || maxConf(net, inDev, 'arpNotify') === 0) return;
  for (const { local } of inDev.ifaList) {
    arpSend(net, dev, { operation: arp.OP_REQUEST, targetIp: local, senderIp: local });
  }
}
