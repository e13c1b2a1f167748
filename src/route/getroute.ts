/** `ip route get` (`inet_rtm_getroute`): which way a datagram would take. */
import { EHOSTUNREACH, EINVAL, ENODEV, EOPNOTSUPP } from '../uapi/errno.js';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from '../uapi/in.js';
import {
  type NetlinkResult,
  type RouteMessage,
  RT_TABLE_MAIN,
  RTAX_LOCK,
  RTAX_MTU,
} from '../uapi/rtnetlink.js';
import { fibDumpInfo } from './fib_frontend.js';
import { FIB_PROPS, FibResult } from './fib_types.js';
import { Flowi4 } from './flow.js';
import { ipRouteInputFor } from './input.js';
import type { RouteNet } from './netns.js';
import { ipRouteOutputKeyHash } from './output.js';
import type { Rtable } from './rtable.js';

/** RTM_GETROUTE; 0 where not asked for. */
export interface RouteGetRequest {
  readonly dst: number;
  readonly src: number;
  readonly iif: number;
  readonly oif: number;
  readonly mark: number;
  readonly tos: number;
  readonly uid: number;
  readonly ipproto: number;
  readonly sport: number;
  readonly dport: number;
  /** Answers the FIB entry instead of the resolved route. */
  readonly fibmatch: boolean;
}

export interface RouteGetAnswer {
  readonly route: RouteMessage;
  /** RTCF_* */
  readonly cacheFlags: number;
  /** What is left of a learned MTU's or gateway's life, 0 for none. */
  readonly expiresSeconds: number;
  /** Errno that the route answers, 0 for none. */
  readonly error: number;
  readonly from?: number;
  readonly mark?: number;
  readonly uid?: number;
  readonly iif?: number;
}

/** Resolves a route as a datagram's would be: -ENODEV, -EINVAL, -EOPNOTSUPP, and the errnos of `ip_route_output_flow`. */
export function inetRtmGetroute(net: RouteNet, request: RouteGetRequest): RouteGetAnswer | NetlinkResult {
  const { dst, src, iif, ipproto } = request;
  if (ipproto !== 0 && ipproto !== IPPROTO_TCP && ipproto !== IPPROTO_UDP && ipproto !== IPPROTO_ICMP) {
    return { error: -EOPNOTSUPP, extack: 'Unsupported ip proto' };
  }
  const fl4 = new Flowi4();
  fl4.daddr = dst;
  fl4.saddr = src;
  fl4.oif = request.oif;
  fl4.mark = request.mark;
  fl4.tos = request.tos & 0xfc;
  fl4.uid = request.uid;
  fl4.proto = ipproto === 0 ? IPPROTO_UDP : ipproto;
  fl4.sport = request.sport;
  fl4.dport = request.dport;
  const res = new FibResult();
  let rt: Rtable | number;
  if (iif !== 0) {
    const dev = net.devGetByIndex(iif);
    if (dev === null) return { error: -ENODEV };
    const proto = ipproto === 0 ? IPPROTO_UDP : ipproto;
    const packet = { daddr: dst, saddr: src, tos: fl4.tos, dev, isIp: true, proto, mark: request.mark };
    rt = ipRouteInputFor(net, { ...packet, sport: request.sport, dport: request.dport }, res);
    if (typeof rt === 'number') return { error: -EINVAL };
    if (rt.error !== 0) return { error: rt.error };
  } else {
    rt = ipRouteOutputKeyHash(net, fl4, res);
    if (typeof rt === 'number') return { error: rt };
  }
  // Without a table, a route out of an interface that was asked for is shown as main's.
  const tableId = res.table?.id ?? RT_TABLE_MAIN;
  if (request.fibmatch) return fibmatch(res, rt, tableId);
  return fillInfo(net, request, { fl4, res, rt, tableId });
}

function fibmatch(res: FibResult, rt: Rtable, tableId: number): RouteGetAnswer | NetlinkResult {
  if (res.fi === null) return { error: FIB_PROPS[res.type]!.error || -EHOSTUNREACH };
  const { prefix: dst, prefixlen: dstLen, dscp: tos } = res;
  const route = { ...fibDumpInfo(res.fi), table: tableId, type: rt.type, dst, dstLen, tos };
  return { route, cacheFlags: 0, expiresSeconds: 0, error: 0 };
}

interface Found {
  readonly fl4: Flowi4;
  readonly res: FibResult;
  readonly rt: Rtable;
  readonly tableId: number;
}

/** `rt_fill_info` */
function fillInfo(net: RouteNet, request: RouteGetRequest, { fl4, res, rt, tableId }: Found): RouteGetAnswer {
  const expiresMs = rt.expires === 0 ? 0 : Math.max(0, rt.expires - net.clock.now());
  const metrics = new Map<number, number>();
  rt.metrics?.forEach((value, type) => {
    if (value !== 0) metrics.set(type, value);
  });
  if (rt.pmtu !== 0 && expiresMs > 0) metrics.set(RTAX_MTU, rt.pmtu);
  if (rt.mtuLocked && expiresMs > 0) metrics.set(RTAX_LOCK, (metrics.get(RTAX_LOCK) ?? 0) | (1 << RTAX_MTU));
  return {
    route: {
      type: rt.type,
      table: tableId,
      dst: request.dst,
      dstLen: 32,
      tos: res.dscp,
      scope: 0,
      protocol: 0,
      nexthops: [{ ifindex: rt.dev.ifindex, ...(rt.usesGateway ? { gateway: rt.gateway } : {}) }],
      ...(!rt.isInput && fl4.saddr !== request.src ? { prefsrc: fl4.saddr } : {}),
      ...(metrics.size === 0 ? {} : { metrics }),
      flags: 0,
    },
    cacheFlags: rt.flags,
    expiresSeconds: Math.floor(expiresMs / 1000),
    error: -rt.error,
    ...(request.src === 0 ? {} : { from: request.src }),
    ...(request.mark === 0 ? {} : { mark: request.mark }),
    ...(request.iif === 0 || request.uid !== 0 ? { uid: request.uid } : {}),
    ...(rt.isInput ? { iif: request.iif } : {}),
  };
}
