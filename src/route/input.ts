/** Routing of what we receive (`net/ipv4/route.c`): for us, or not. We are a host: nothing is forwarded. */
import {
  inDevAcceptLocal,
  inDevForward,
  inDevRouteLocalnet,
  inDevRpfilter,
  inDevSharedMedia,
  inDevSrcVmark,
  inDevTxRedirects,
} from '../dev/devconf.js';
import type { InDevice } from '../dev/in_device.js';
import {
  inetAddrOnlink,
  inetLookupIfaddr,
  ipCheckMc,
  l3mdevMasterDev,
  l3mdevMasterIfindex,
} from '../dev/inet_select.js';
import type { NetDevice } from '../dev/net_device.js';
import type { SkBuff } from '../dev/skbuff.js';
import { EHOSTUNREACH, EINVAL, EXDEV } from '../uapi/errno.js';
import { ETH_P_IP, LOOPBACK_IFINDEX } from '../uapi/if.js';
import {
  formatIPv4,
  IPPROTO_IGMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipv4IsLbcast,
  ipv4IsLocalMulticast,
  ipv4IsLoopback,
  ipv4IsMulticast,
  ipv4IsZeronet,
} from '../uapi/in.js';
import {
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_UNICAST,
  RTN_UNREACHABLE,
} from '../uapi/rtnetlink.js';
import { get16 } from '../wire/bytes.js';
import { fibLookup } from './fib_lookup.js';
import { FIB_LOOKUP_IGNORE_LINKSTATE, type FibInfo, FibResult } from './fib_types.js';
import { Flowi4 } from './flow.js';
import type { RouteNet } from './netns.js';
import { rtCacheValid, rtDstAlloc, rtSetNexthop } from './output.js';
import {
  DST_INPUT_ERROR,
  DST_INPUT_FORWARD,
  DST_OUTPUT_DISCARD,
  RTCF_BROADCAST,
  RTCF_DOREDIRECT,
  RTCF_LOCAL,
  RTCF_MULTICAST,
  type Rtable,
} from './rtable.js';

/** A received packet, as far as routing looks at it. */
export interface InputPacket {
  readonly daddr: number;
  readonly saddr: number;
  readonly tos: number;
  readonly dev: NetDevice;
  /** It is an IP packet: ARP asks for routes too, and gets none to a broadcast address. */
  readonly isIp: boolean;
  readonly proto: number;
  readonly mark: number;
  readonly sport?: number;
  readonly dport?: number;
}

/**
 * Finds the input route of a packet (`ip_route_input_noref`) and puts it into `skb.dst`.
 * @param tos the packet's TOS byte
 * @returns 0, or -EINVAL for a martian, -EXDEV where the reverse path filter drops it, -EHOSTUNREACH
 */
export function ipRouteInput(
  net: RouteNet,
  skb: SkBuff,
  daddr: number,
  saddr: number,
  tos: number,
  dev: NetDevice,
): number {
  const b = skb.buf;
  const proto = b[skb.nh + 9]!;
  const at = skb.nh + (b[skb.nh]! & 15) * 4;
  const ports =
    (proto === IPPROTO_UDP || proto === IPPROTO_TCP) &&
    (get16(b, skb.nh + 6) & 0x1fff) === 0 &&
    at + 4 <= skb.tail;
  const rt = ipRouteInputFor(net, {
    daddr,
    saddr,
    tos,
    dev,
    isIp: skb.protocol === ETH_P_IP,
    proto,
    mark: skb.mark,
    sport: ports ? get16(b, at) : 0,
    dport: ports ? get16(b, at + 2) : 0,
  });
  if (typeof rt === 'number') return rt;
  skb.dst = rt;
  return 0;
}

function martian(net: RouteNet, packet: InputPacket, what: string): number {
  net.tracer?.event({
    fn: 'ip_route_input_slow',
    step: 'martian',
    text: `martian ${what}: ${formatIPv4(packet.saddr)} to ${formatIPv4(packet.daddr)} on ${packet.dev.name}`,
    depth: 1,
  });
  return -EINVAL;
}

/** The input route of a packet, or a negative errno (`ip_route_input_rcu`). */
export function ipRouteInputFor(net: RouteNet, packet: InputPacket, res = new FibResult()): Rtable | number {
  const { daddr, saddr, dev } = packet;
  const inDev = dev.ipPtr;
  if (inDev === null) return -EINVAL;
  if (ipv4IsMulticast(daddr)) return ipRouteInputMc(net, packet, inDev);

  if (ipv4IsMulticast(saddr) || ipv4IsLbcast(saddr)) return martian(net, packet, 'source');
  if (ipv4IsLbcast(daddr) || (saddr === 0 && daddr === 0)) return brdInput(net, packet, inDev);
  if (ipv4IsZeronet(saddr)) return martian(net, packet, 'source');
  if (ipv4IsZeronet(daddr)) return martian(net, packet, 'destination');
  if (ipv4IsLoopback(daddr)) {
    if (!inDevRouteLocalnet(net, inDev)) return martian(net, packet, 'destination');
  } else if (ipv4IsLoopback(saddr) && !inDevRouteLocalnet(net, inDev)) return martian(net, packet, 'source');

  const fl4 = new Flowi4();
  fl4.iif = dev.ifindex;
  fl4.mark = packet.mark;
  fl4.tos = packet.tos & net.profile.routingTosMask;
  fl4.daddr = daddr;
  fl4.saddr = saddr;
  dissect(net, fl4, packet);
  const err = fibLookup(net, fl4, res, 0);
  if (err !== 0) return noRoute(net, dev, inDevForward(inDev) ? err : -EHOSTUNREACH);
  if (res.type === RTN_BROADCAST) return brdInput(net, packet, inDev, res);
  if (res.type === RTN_LOCAL) {
    if (fibValidateSource(net, packet, saddr, daddr, inDev) < 0) return martian(net, packet, 'source');
    return localInput(net, dev, res, 0);
  }
  if (!inDevForward(inDev)) return noRoute(net, dev, -EHOSTUNREACH);
  if (res.type !== RTN_UNICAST) return martian(net, packet, 'destination');
  return mkrouteInput(net, packet, inDev, res);
}

/** A packet that is not for us, on a device that forwards (`__mkroute_input`). */
function mkrouteInput(net: RouteNet, packet: InputPacket, inDev: InDevice, res: FibResult): Rtable | number {
  const nhc = res.nhc!;
  const outDev = nhc.dev!;
  const onlink = fibValidateSource(net, packet, packet.saddr, packet.daddr, inDev, nhc.oif);
  if (onlink < 0) return martian(net, packet, 'source');
  const rt = rtDstAlloc(net, outDev, 0, res.type);
  rt.isInput = true;
  if (outDev === packet.dev && onlink > 0 && inDevTxRedirects(net, inDev)) {
    // The sender could have gone there directly.
    const gateway = nhc.scope === RT_SCOPE_LINK ? nhc.gw : 0;
    if (inDevSharedMedia(net, inDev) || inetAddrOnlink(inDev, packet.saddr, gateway))
      rt.flags |= RTCF_DOREDIRECT;
  }
  rtSetNexthop(net, rt, { res, fi: res.fi, fnhe: null, daddr: packet.daddr, doCache: false });
  rt.input = DST_INPUT_FORWARD;
  return rt;
}

/** Rules may look at ports, also of what comes in (`fib4_rules_early_flow_dissect`). */
function dissect(net: RouteNet, fl4: Flowi4, packet: InputPacket): void {
  if (!net.fib.hasCustomRules || !packet.isIp) return;
  fl4.proto = packet.proto;
  fl4.sport = packet.sport ?? 0;
  fl4.dport = packet.dport ?? 0;
}

function brdInput(
  net: RouteNet,
  packet: InputPacket,
  inDev: InDevice,
  res = new FibResult(),
): Rtable | number {
  if (!packet.isIp) return -EINVAL;
  if (!ipv4IsZeronet(packet.saddr)) {
    const err = fibValidateSource(net, packet, packet.saddr, 0, inDev);
    if (err < 0) return martian(net, packet, 'source');
  }
  res.type = RTN_BROADCAST;
  return localInput(net, packet.dev, res, RTCF_BROADCAST);
}

/** A packet for us: its route is the nexthop's, shared by all such packets. */
function localInput(net: RouteNet, dev: NetDevice, res: FibResult, flags: number): Rtable {
  const nhc = res.fi === null ? null : res.nhc;
  if (nhc !== null && nhc.rthInput !== null && rtCacheValid(net, nhc.rthInput)) return nhc.rthInput;
  // VRF-4
  const from = nhc?.dev ?? dev;
  const rt = rtDstAlloc(
    net,
    l3mdevMasterDev(from) ?? net.devGetByIndex(LOOPBACK_IFINDEX)!,
    flags | RTCF_LOCAL,
    res.type,
  );
  rt.isInput = true;
  rt.output = DST_OUTPUT_DISCARD;
  if (nhc !== null) {
    nhc.rthInput = rt;
    rt.uncached = false;
  }
  return rt;
}

function noRoute(net: RouteNet, dev: NetDevice, err: number): Rtable {
  const res = new FibResult();
  res.type = RTN_UNREACHABLE;
  const rt = localInput(net, dev, res, 0);
  rt.flags &= ~RTCF_LOCAL;
  rt.input = DST_INPUT_ERROR;
  rt.error = err;
  return rt;
}

/** `ip_route_input_mc`: groups that the device, or its VRF, has joined. */
function ipRouteInputMc(net: RouteNet, packet: InputPacket, inDev: InDevice): Rtable | number {
  const { daddr, saddr } = packet;
  const vrf = packet.dev.isL3Slave ? packet.dev.master!.ipPtr : null;
  const ours = ipCheckMc(inDev, daddr, saddr, packet.proto);
  if (!ours && (vrf === null || !ipCheckMc(vrf, daddr, saddr, packet.proto))) return -EINVAL;
  const err = ipMcValidateSource(net, packet, inDev);
  if (err < 0) return err;
  const rt = rtDstAlloc(
    net,
    net.devGetByIndex(LOOPBACK_IFINDEX)!,
    RTCF_MULTICAST | RTCF_LOCAL,
    RTN_MULTICAST,
  );
  rt.isInput = true;
  rt.output = DST_OUTPUT_DISCARD;
  return rt;
}

/** `ip_mc_validate_source` */
export function ipMcValidateSource(net: RouteNet, packet: InputPacket, inDev: InDevice): number {
  const { daddr, saddr } = packet;
  if (ipv4IsMulticast(saddr) || ipv4IsLbcast(saddr) || !packet.isIp) return -EINVAL;
  if (ipv4IsLoopback(saddr) && !inDevRouteLocalnet(net, inDev)) return -EINVAL;
  if (ipv4IsZeronet(saddr)) return ipv4IsLocalMulticast(daddr) || packet.proto === IPPROTO_IGMP ? 0 : -EINVAL;
  return Math.min(0, fibValidateSource(net, packet, saddr, 0, inDev));
}

/** The source of a packet is believable: not our own, and, by `rp_filter`, reached by the way that it came (`fib_validate_source`). `oif` 0: it is for us. */
function fibValidateSource(
  net: RouteNet,
  packet: InputPacket,
  src: number,
  dst: number,
  inDev: InDevice,
  oif = 0,
): number {
  const rpf = inDevRpfilter(net, inDev);
  // A packet that would go back by its device is looked at closely: its sender may be told of a better way.
  if (rpf === 0 && (packet.dev.ifindex !== oif || !inDevTxRedirects(net, inDev))) {
    if (inDevAcceptLocal(net, inDev)) return 0;
    if (!net.fib.hasCustomLocalRoutes && !net.fib.hasCustomRules)
      return inetLookupIfaddr(net, src) === null ? 0 : -EINVAL;
  }
  const { dev } = packet;
  const noAddr = inDev.ifaList.length === 0;
  const fl4 = new Flowi4();
  fl4.l3mdev = l3mdevMasterIfindex(dev);
  fl4.iif = oif || LOOPBACK_IFINDEX;
  fl4.daddr = src;
  fl4.saddr = dst;
  fl4.tos = packet.tos & net.profile.routingTosMask;
  fl4.mark = inDevSrcVmark(net, inDev) ? packet.mark : 0;
  if (net.fib.hasCustomRules && packet.isIp) {
    fl4.proto = packet.proto;
    fl4.sport = packet.dport ?? 0;
    fl4.dport = packet.sport ?? 0;
  }
  const lastResort = rpf !== 0 ? -EXDEV : 0;
  const res = new FibResult();
  if (fibLookup(net, fl4, res, 0) !== 0) return lastResort;
  if (res.type !== RTN_UNICAST && (res.type !== RTN_LOCAL || !inDevAcceptLocal(net, inDev))) return -EINVAL;
  if (fibInfoNhUsesDev(res.fi!, dev) || (res.type === RTN_LOCAL && dev.isLoopback))
    return res.nhc!.scope >= RT_SCOPE_HOST ? 1 : 0;
  if (noAddr) return lastResort;
  if (rpf === 1) return -EXDEV;
  fl4.oif = dev.ifindex;
  if (fibLookup(net, fl4, res, FIB_LOOKUP_IGNORE_LINKSTATE) === 0 && res.type === RTN_UNICAST) {
    return res.nhc!.scope >= RT_SCOPE_HOST ? 1 : 0;
  }
  return 0;
}

/** A nexthop leaves by this device, or by another of its VRF (`fib_info_nh_uses_dev`). */
function fibInfoNhUsesDev(fi: FibInfo, dev: NetDevice): boolean {
  return fi.nhs.some(
    (nh) =>
      nh.dev === dev || (nh.dev !== null && dev.ifindex !== 0 && l3mdevMasterIfindex(nh.dev) === dev.ifindex),
  );
}
