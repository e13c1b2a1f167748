/**
 * Routing of what we send (`net/ipv4/route.c`, ROUTE-1..27, ROUTE-50), in the kernel's order.
 *
 * A resolved route (`Rtable`) is made once for a nexthop and kept there: all flows by that nexthop share it, so that a repeated send makes
 * nothing. A destination with something learned (a path MTU, a redirect) has an exception at the nexthop, and the exception keeps a
 * route of its own. A connected socket holds on to its route and asks `ipv4DstCheck` before each send. Two things make a route stale: the
 * namespace's generation, which nearly every change of routes, rules, addresses and devices moves on; and `killed`, when an exception
 * comes into being or goes, or the route's fib_info goes. What changes an existing exception changes its route in place (ROUTE-51).
 */
import { inDevRouteLocalnet } from '../dev/devconf.js';
import { inetSelectAddr, ipCheckMc, l3mdevMasterDev } from '../dev/inet_select.js';
import type { NetDevice } from '../dev/net_device.js';
import { EINVAL, ENETUNREACH, ENODEV } from '../uapi/errno.js';
import { LOOPBACK_IFINDEX } from '../uapi/if.js';
import {
  formatIPv4,
  INADDR_LOOPBACK,
  IPPROTO_IGMP,
  ipv4IsLbcast,
  ipv4IsLocalMulticast,
  ipv4IsLoopback,
  ipv4IsMulticast,
  ipv4IsZeronet,
} from '../uapi/in.js';
import {
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RTAX_HOPLIMIT,
  RTAX_LOCK,
  RTAX_MTU,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_UNICAST,
} from '../uapi/rtnetlink.js';
import { ipDevFind } from './addr_type.js';
import { type FibNhException, findException, rtBindException } from './exceptions.js';
import { fibLookup } from './fib_lookup.js';
import type { FibInfo, FibResult } from './fib_types.js';
import { FLOWI_FLAG_ANYSRC, FLOWI_FLAG_KNOWN_NH, type Flowi4 } from './flow.js';
import type { RouteNet } from './netns.js';
import {
  DST_INPUT_FORWARD,
  DST_INPUT_LOCAL,
  DST_OUTPUT_MC,
  RTCF_BROADCAST,
  RTCF_LOCAL,
  RTCF_MULTICAST,
  Rtable,
} from './rtable.js';
import { fibSelectPath } from './select.js';
import { traceFlow, traceStep } from './trace.js';

/**
 * The route of a flow of ours (`ip_route_output_flow`). The flow gets the source, destination and interface that were chosen.
 * @returns the route, shared with other flows of the same nexthop, or -EINVAL, -ENETUNREACH, -ENODEV, -EHOSTUNREACH, -EACCES
 */
export function ipRouteOutputFlow(net: RouteNet, fl4: Flowi4): Rtable | number {
  if (net.tracer !== null) traceFlow(net, fl4);
  const rt = ipRouteOutputKeyHash(net, fl4, net.fib.outputResult);
  if (typeof rt !== 'number' && fl4.proto !== 0) fl4.oif = rt.dev.ifindex;
  return rt;
}

/** A cached route still says what a new lookup would (`ipv4_dst_check`, ROUTE-50). */
export function ipv4DstCheck(net: RouteNet, rt: Rtable): boolean {
  return !rt.killed && rt.genid === net.rtGenid;
}

/** `ip_route_output_key_hash`; `res` tells of the found FIB entry afterwards. */
export function ipRouteOutputKeyHash(net: RouteNet, fl4: Flowi4, res: FibResult): Rtable | number {
  // ROUTE-1
  fl4.iif = LOOPBACK_IFINDEX;
  fl4.tos &= net.profile.routingTosMask;
  res.reset();
  let devOut: NetDevice | null = null;
  let origOif = fl4.oif;
  let flags = 0;

  if (fl4.saddr !== 0) {
    // ROUTE-2
    if (ipv4IsMulticast(fl4.saddr) || ipv4IsLbcast(fl4.saddr)) return -EINVAL;
    if (fl4.oif === 0 && (ipv4IsMulticast(fl4.daddr) || ipv4IsLbcast(fl4.daddr))) {
      // ROUTE-3: the source names the interface, and no table is asked.
      devOut = ipDevFind(net, fl4.saddr);
      if (devOut === null) return refuse(net, fl4, net.profile.nonlocalSourceErrno, 'ROUTE-3');
      fl4.oif = devOut.ifindex;
      if (net.tracer !== null) traceStep(net, 'oif', `${devOut.name}, which has the source`, 'ROUTE-3');
      return mkrouteOutput(net, res, fl4, origOif, devOut, flags);
    }
    // ROUTE-4
    if ((fl4.flags & FLOWI_FLAG_ANYSRC) === 0 && ipDevFind(net, fl4.saddr) === null) {
      return refuse(net, fl4, net.profile.nonlocalSourceErrno, 'ROUTE-4');
    }
  }

  if (fl4.oif !== 0) {
    // ROUTE-10
    devOut = net.devGetByIndex(fl4.oif);
    if (devOut === null) return -ENODEV;
    if (!devOut.isUp || devOut.ipPtr === null) return -ENETUNREACH;
    if (ipv4IsLocalMulticast(fl4.daddr) || ipv4IsLbcast(fl4.daddr) || fl4.proto === IPPROTO_IGMP) {
      if (fl4.saddr === 0) fl4.saddr = inetSelectAddr(net, devOut, 0, RT_SCOPE_LINK);
      if (net.tracer !== null) traceStep(net, 'onlink', `out of ${devOut.name}, no table asked`, 'ROUTE-10');
      return mkrouteOutput(net, res, fl4, origOif, devOut, flags);
    }
    if (fl4.saddr === 0) {
      if (ipv4IsMulticast(fl4.daddr)) fl4.saddr = inetSelectAddr(net, devOut, 0, fl4.scope);
      else if (fl4.daddr === 0) fl4.saddr = inetSelectAddr(net, devOut, 0, RT_SCOPE_HOST);
    }
  }

  if (fl4.daddr === 0) {
    // ROUTE-11
    fl4.daddr = fl4.saddr;
    if (fl4.daddr === 0) {
      fl4.daddr = INADDR_LOOPBACK;
      fl4.saddr = INADDR_LOOPBACK;
    }
    fl4.oif = LOOPBACK_IFINDEX;
    res.type = RTN_LOCAL;
    if (net.tracer !== null) {
      traceStep(net, 'self', `0.0.0.0 is ourselves, ${formatIPv4(fl4.daddr)}`, 'ROUTE-11');
    }
    return mkrouteOutput(net, res, fl4, origOif, net.devGetByIndex(LOOPBACK_IFINDEX)!, RTCF_LOCAL);
  }

  // ROUTE-12
  const err = fibLookup(net, fl4, res, 0);
  if (err !== 0) {
    res.fi = null;
    res.table = null;
    if (fl4.oif !== 0 && (ipv4IsMulticast(fl4.daddr) || fl4.l3mdev === 0)) {
      if (fl4.saddr === 0) fl4.saddr = inetSelectAddr(net, devOut!, 0, RT_SCOPE_LINK);
      res.type = RTN_UNICAST;
      if (net.tracer !== null)
        traceStep(net, 'onlink', `on-link of ${devOut!.name}, as it was asked for`, 'ROUTE-12');
      return mkrouteOutput(net, res, fl4, origOif, devOut!, flags);
    }
    return err;
  }

  if (res.type === RTN_LOCAL) {
    // ROUTE-13
    if (fl4.saddr === 0) fl4.saddr = res.fi!.prefsrc !== 0 ? res.fi!.prefsrc : fl4.daddr;
    const dev = res.nhc!.dev!;
    // VRF-4
    devOut = l3mdevMasterDev(dev) ?? net.devGetByIndex(LOOPBACK_IFINDEX)!;
    origOif = res.nhc!.oif;
    fl4.oif = devOut.ifindex;
    flags |= RTCF_LOCAL;
  } else {
    // ROUTE-14
    const unset = fl4.saddr === 0;
    fibSelectPath(net, res, fl4);
    devOut = res.nhc!.dev!;
    if (unset && net.tracer !== null) traceSource(net, res, fl4);
  }
  return mkrouteOutput(net, res, fl4, origOif, devOut, flags);
}

function refuse(net: RouteNet, fl4: Flowi4, errno: number, rule: string): number {
  if (net.tracer !== null) {
    traceStep(net, 'source', `${formatIPv4(fl4.saddr)} is not an address of ours`, rule);
  }
  return -errno;
}

function traceSource(net: RouteNet, res: FibResult, fl4: Flowi4): void {
  const why =
    res.fi!.prefsrc !== 0
      ? "the route's preferred source"
      : res.nhc!.gw !== 0
        ? "the one in the gateway's subnet"
        : "the device's first";
  traceStep(net, 'source', `${formatIPv4(fl4.saddr)}, ${why}`, 'SADDR-1');
}

/** BUILD: the flow's route out of a device (`__mkroute_output`, ROUTE-20..26). */
function mkrouteOutput(
  net: RouteNet,
  res: FibResult,
  fl4: Flowi4,
  origOif: number,
  devOut: NetDevice,
  givenFlags: number,
): Rtable | number {
  let { fi, type } = res;
  let flags = givenFlags;
  const inDev = devOut.ipPtr;
  // ROUTE-20
  if (inDev === null) return -EINVAL;
  if (
    ipv4IsLoopback(fl4.saddr) &&
    !devOut.isLoopback &&
    !devOut.isL3Master &&
    !inDevRouteLocalnet(net, inDev)
  )
    return -EINVAL;
  // ROUTE-21
  if (ipv4IsLbcast(fl4.daddr)) {
    type = RTN_BROADCAST;
    fi = null;
  } else if (ipv4IsMulticast(fl4.daddr)) type = RTN_MULTICAST;
  else if (ipv4IsZeronet(fl4.daddr)) return -EINVAL;
  // ROUTE-22
  if (devOut.isLoopback) flags |= RTCF_LOCAL;

  let doCache = true;
  if (type === RTN_BROADCAST) {
    // ROUTE-23
    flags |= RTCF_BROADCAST | RTCF_LOCAL;
    if (!net.profile.broadcastRouteMetrics) fi = null;
  } else if (type === RTN_MULTICAST) {
    // ROUTE-24
    flags |= RTCF_MULTICAST | RTCF_LOCAL;
    if (!ipCheckMc(inDev, fl4.daddr, fl4.saddr, fl4.proto)) flags &= ~RTCF_LOCAL;
    else doCache = false;
    if (fi !== null && res.prefixlen < 4) fi = null;
  } else if (type === RTN_LOCAL && origOif !== 0 && origOif !== devOut.ifindex) {
    doCache = false;
  }

  let fnhe: FibNhException | null = null;
  if (fi === null) doCache = false;
  else {
    const nhc = res.nhc!;
    fnhe = findException(net, nhc, fl4.daddr);
    if (doCache) {
      let cached: Rtable | null = null;
      if (fnhe !== null) cached = fnhe.rthOutput;
      else if ((fl4.flags & FLOWI_FLAG_KNOWN_NH) !== 0 && !(nhc.gw !== 0 && nhc.scope === RT_SCOPE_LINK))
        doCache = false;
      else cached = nhc.rthOutput;
      // Nothing is made for a flow whose nexthop has been used before.
      if (doCache && cached !== null && rtCacheValid(net, cached)) return cached;
    }
  }

  const rt = rtDstAlloc(net, devOut, flags, type);
  rt.iif = origOif;
  // ROUTE-25
  if ((flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0 && (flags & RTCF_LOCAL) !== 0 && !devOut.isLoopback) {
    rt.output = DST_OUTPUT_MC;
  }
  rtSetNexthop(net, rt, { res, fi, fnhe, daddr: fl4.daddr, doCache });
  return rt;
}

/** `rt_cache_valid` */
export function rtCacheValid(net: RouteNet, rt: Rtable): boolean {
  return !rt.killed && rt.genid === net.rtGenid;
}

/** `rt_dst_alloc` */
export function rtDstAlloc(net: RouteNet, dev: NetDevice, flags: number, type: number): Rtable {
  const rt = new Rtable(dev);
  rt.flags = flags;
  rt.type = type;
  rt.genid = net.rtGenid;
  rt.input = (flags & RTCF_LOCAL) !== 0 ? DST_INPUT_LOCAL : DST_INPUT_FORWARD;
  rt.uncached = true;
  return rt;
}

interface NexthopOf {
  readonly res: FibResult;
  readonly fi: FibInfo | null;
  readonly fnhe: FibNhException | null;
  readonly daddr: number;
  readonly doCache: boolean;
}

/** ROUTE-26: gateway, metrics, exception, and the nexthop's cache (`rt_set_nexthop`). */
export function rtSetNexthop(net: RouteNet, rt: Rtable, { res, fi, fnhe, daddr, doCache }: NexthopOf): void {
  if (fi === null) return;
  const nhc = res.nhc!;
  if (nhc.gw !== 0 && nhc.scope === RT_SCOPE_LINK) {
    rt.usesGateway = true;
    rt.gateway = nhc.gw;
  }
  const { metrics } = fi;
  if (metrics !== null) {
    rt.metrics = metrics;
    rt.metricMtu = metrics[RTAX_MTU]!;
    rt.metricHoplimit = metrics[RTAX_HOPLIMIT]!;
    rt.metricMtuLocked = (metrics[RTAX_LOCK]! & (1 << RTAX_MTU)) !== 0;
  }
  if (fnhe !== null) rtBindException(net, rt, fnhe, daddr, doCache);
  else if (doCache) {
    if (rt.isInput) nhc.rthInput = rt;
    else nhc.rthOutput = rt;
  }
  if (doCache) rt.uncached = false;
  else if (rt.gateway === 0) rt.gateway = daddr;
}
