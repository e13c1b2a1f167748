/**
 * What was learned about single destinations (`struct fib_nh_exception` in `net/ipv4/route.c`): path MTUs and redirects. They hang
 * off the nexthop that the destination's route uses, and so go with the fib_info that owns it (ROUTE-40, ROUTE-41).
 */
import { randomBelow } from '../core/random.js';
import { inDevRxRedirects, inDevSecRedirects, inDevSharedMedia } from '../dev/devconf.js';
import { inetAddrOnlink } from '../dev/inet_select.js';
import type { NetDevice } from '../dev/net_device.js';
import { neighEventSend } from '../neigh/state.js';
import { ipNeighForKey, neighLookup } from '../neigh/table.js';
import { ipv4IsLbcast, ipv4IsMulticast, ipv4IsZeronet } from '../uapi/in.js';
import { NUD_VALID } from '../uapi/neighbour.js';
import { RT_SCOPE_LINK, RT_TABLE_MAIN, RTN_UNICAST } from '../uapi/rtnetlink.js';
import { inetAddrType } from './addr_type.js';
import { fibLookup } from './fib_lookup.js';
import { type FibNh, FibResult } from './fib_types.js';
import type { Flowi4 } from './flow.js';
import { dstMtu, dstMtuLocked } from './mtu.js';
import type { RouteNet } from './netns.js';
import { RTCF_REDIRECTED, type Rtable } from './rtable.js';
import { fibSelectPath } from './select.js';

const FNHE_HASH_SIZE = 2048;
const FNHE_RECLAIM_DEPTH = 5;

/** One destination's exception from its nexthop. */
export class FibNhException {
  /** `ip route flush cache` voids it. */
  genid = 0;
  /** Learned path MTU, 0 for none. */
  pmtu = 0;
  mtuLocked = false;
  /** Redirected to this gateway, 0 for none. */
  gw = 0;
  /** ms on the Net's clock. */
  expires = 0;
  /** When it was last written or bound, as a running number. */
  stamp = 0;
  rthInput: Rtable | null = null;
  rthOutput: Rtable | null = null;
  constructor(readonly daddr: number) {}

  /** Who holds a route with it must look again. */
  flushRoutes(): void {
    if (this.rthInput !== null) this.rthInput.killed = true;
    if (this.rthOutput !== null) this.rthOutput.killed = true;
    this.rthInput = null;
    this.rthOutput = null;
  }
}

function bucketOf(daddr: number): number {
  return (Math.imul(daddr, 0x61c88647) >>> 21) & (FNHE_HASH_SIZE - 1);
}

/** The exception of a destination, null for none or an expired one, which goes (`find_exception`). */
export function findException(net: RouteNet, nhc: FibNh, daddr: number): FibNhException | null {
  if (nhc.exceptions === null) return null;
  const bucket = nhc.exceptions.get(bucketOf(daddr));
  if (bucket === undefined) return null;
  for (const fnhe of bucket) {
    if (fnhe.daddr !== daddr) continue;
    if (fnhe.expires !== 0 && net.clock.now() > fnhe.expires) {
      bucket.splice(bucket.indexOf(fnhe), 1);
      fnhe.flushRoutes();
      return null;
    }
    return fnhe;
  }
  return null;
}

function fillRouteFromFnhe(rt: Rtable, fnhe: FibNhException): void {
  rt.pmtu = fnhe.pmtu;
  rt.mtuLocked = fnhe.mtuLocked;
  rt.expires = fnhe.expires;
  if (fnhe.gw !== 0) {
    rt.flags |= RTCF_REDIRECTED;
    rt.usesGateway = true;
    rt.gateway = fnhe.gw;
    rt.neigh = null;
  }
}

/** Lets a new route have its destination's exception, and the exception have the route (`rt_bind_exception`). */
export function rtBindException(
  net: RouteNet,
  rt: Rtable,
  fnhe: FibNhException,
  daddr: number,
  doCache: boolean,
): void {
  if (fnhe.genid !== net.fnheGenid) {
    fnhe.genid = net.fnheGenid;
    fnhe.gw = 0;
    fnhe.pmtu = 0;
    fnhe.expires = 0;
    fnhe.mtuLocked = false;
    fnhe.flushRoutes();
  }
  fillRouteFromFnhe(rt, fnhe);
  if (rt.gateway === 0) rt.gateway = daddr;
  if (doCache) {
    if (rt.isInput) {
      if (fnhe.rthInput !== null) fnhe.rthInput.killed = true;
      fnhe.rthInput = rt;
    } else {
      if (fnhe.rthOutput !== null) fnhe.rthOutput.killed = true;
      fnhe.rthOutput = rt;
    }
  }
  fnhe.stamp = ++net.fib.fnheStamps;
}

interface Learned {
  readonly gw: number;
  readonly pmtu: number;
  readonly lock: boolean;
  /** ms on the Net's clock */
  readonly expires: number;
}

/** `update_or_create_fnhe`: an existing exception changes in place, a new one makes the nexthop's routes stale (ROUTE-51). */
export function updateOrCreateFnhe(net: RouteNet, nhc: FibNh, daddr: number, learned: Learned): void {
  nhc.exceptions ??= new Map();
  const hash = bucketOf(daddr);
  let bucket = nhc.exceptions.get(hash);
  if (bucket === undefined) {
    bucket = [];
    nhc.exceptions.set(hash, bucket);
  }
  let fnhe = bucket.find((other) => other.daddr === daddr);
  if (fnhe !== undefined) {
    fnhe.genid = net.fnheGenid;
    if (learned.gw !== 0) fnhe.gw = learned.gw;
    if (learned.pmtu !== 0) {
      fnhe.pmtu = learned.pmtu;
      fnhe.mtuLocked = learned.lock;
    }
    fnhe.expires = Math.max(1, learned.expires);
    if (fnhe.rthInput !== null) fillRouteFromFnhe(fnhe.rthInput, fnhe);
    if (fnhe.rthOutput !== null) fillRouteFromFnhe(fnhe.rthOutput, fnhe);
  } else {
    const maxDepth = FNHE_RECLAIM_DEPTH + randomBelow(net.random, FNHE_RECLAIM_DEPTH);
    while (bucket.length > maxDepth) removeOldest(bucket);
    fnhe = new FibNhException(daddr);
    fnhe.genid = net.fnheGenid;
    fnhe.gw = learned.gw;
    fnhe.pmtu = learned.pmtu;
    fnhe.mtuLocked = learned.lock;
    fnhe.expires = Math.max(1, learned.expires);
    bucket.unshift(fnhe);
    if (nhc.rthInput !== null) nhc.rthInput.killed = true;
    if (nhc.rthOutput !== null) nhc.rthOutput.killed = true;
  }
  fnhe.stamp = ++net.fib.fnheStamps;
}

function removeOldest(bucket: FibNhException[]): void {
  let oldest = 0;
  for (let i = 1; i < bucket.length; i++) if (bucket[i]!.stamp < bucket[oldest]!.stamp) oldest = i;
  bucket[oldest]!.flushRoutes();
  bucket.splice(oldest, 1);
}

/**
 * Learns a path MTU from an ICMP "fragmentation needed" (`__ip_rt_update_pmtu`, ICMP-22).
 * @param fl4 the flow to the quoted destination
 * @param mtu next-hop MTU of the message, 0 where it had none
 */
export function ipRtUpdatePmtu(net: RouteNet, rt: Rtable, fl4: Flowi4, mtu: number): void {
  const say = (text: string): void =>
    net.tracer?.event({ fn: '__ip_rt_update_pmtu', step: 'pmtu', text, rule: 'ICMP-22', depth: 1 });
  if (dstMtuLocked(rt)) {
    say('the route locks its MTU: ignored');
    return;
  }
  const oldMtu = dstMtu(rt);
  if (oldMtu < mtu) {
    say(`${mtu} is more than ${oldMtu}: ignored`);
    return;
  }
  const { minPmtu, mtuExpires } = net.sysctl.route;
  const lock = mtu < minPmtu;
  const value = lock ? Math.min(oldMtu, minPmtu) : mtu;
  const now = net.clock.now();
  const lifeMs = mtuExpires * 1000;
  if (rt.pmtu === value && !lock && now < rt.expires - lifeMs / 2) {
    say(`${value} is known already`);
    return;
  }
  const res = new FibResult();
  if (fibLookup(net, fl4, res, 0) !== 0) return;
  fibSelectPath(net, res, fl4);
  const learned = { gw: 0, pmtu: value, lock, expires: now + lifeMs };
  // ICMP-23: any of the nexthops may be the one.
  const nhs = res.fi!.nhs.length > 1 ? res.fi!.nhs : [res.nhc!];
  for (const nhc of nhs) updateOrCreateFnhe(net, nhc, fl4.daddr, learned);
  say(`path MTU ${value}${lock ? ', locked' : ''}`);
}

/** What an ICMP redirect says. */
export interface Redirect {
  /** Code 0..3 */
  readonly code: number;
  readonly newGw: number;
  /** Who sent it. */
  readonly oldGw: number;
  /** The device that it came in by. */
  readonly dev: NetDevice;
}

/** Takes or rejects an ICMP redirect for a flow that was just routed (`__ip_do_redirect`, ICMP-30). */
export function ipDoRedirect(
  net: RouteNet,
  rt: Rtable,
  fl4: Flowi4,
  redirect: Redirect,
  killRoute = false,
): void {
  const { newGw, oldGw, dev } = redirect;
  const say = (text: string): void =>
    net.tracer?.event({ fn: '__ip_do_redirect', step: 'redirect', text, rule: 'ICMP-30', depth: 1 });
  if ((redirect.code & 7) > 3) return;
  if (rt.gateway === 0 || rt.gateway !== oldGw) {
    say('not from the gateway in use: ignored');
    return;
  }
  const inDev = dev.ipPtr;
  if (inDev === null) return;
  if (newGw === oldGw || !inDevRxRedirects(net, inDev)) {
    say('not accepted');
    return;
  }
  if (ipv4IsMulticast(newGw) || ipv4IsLbcast(newGw) || ipv4IsZeronet(newGw)) {
    say('the new gateway is no host');
    return;
  }
  if (inDevSharedMedia(net, inDev)) {
    if (inetAddrType(net, newGw) !== RTN_UNICAST) {
      say('the new gateway is not a unicast address');
      return;
    }
  } else {
    if (!inetAddrOnlink(inDev, newGw, oldGw)) {
      say('the new gateway is in another subnet');
      return;
    }
    if (inDevSecRedirects(net, inDev) && !fibCheckDefault(net, newGw, dev)) {
      say('the new gateway is no default gateway');
      return;
    }
  }
  const neigh = neighLookup(net, rt.dev, newGw) ?? ipNeighForKey(net, rt.dev, newGw);
  if (neigh === null) return;
  if ((neigh.nudState & NUD_VALID) === 0) {
    neighEventSend(net, neigh, null);
    say('the new gateway is being resolved first');
    return;
  }
  const res = new FibResult();
  if (fibLookup(net, fl4, res, 0) === 0) {
    fibSelectPath(net, res, fl4);
    const expires = net.clock.now() + net.sysctl.route.gcTimeout * 1000;
    updateOrCreateFnhe(net, res.nhc!, fl4.daddr, { gw: newGw, pmtu: 0, lock: false, expires });
    say('taken');
  }
  if (killRoute) rt.killed = true;
}

/** The address is a gateway out of this device in table main (`ip_fib_check_default`). */
function fibCheckDefault(net: RouteNet, gw: number, dev: NetDevice): boolean {
  return net.fib
    .infosOf(dev)
    .some(
      (fi) =>
        fi.tbId === RT_TABLE_MAIN &&
        fi.nhs.some((nh) => nh.dev === dev && nh.gw === gw && nh.scope === RT_SCOPE_LINK),
    );
}

/** A device's MTU changed: what was learned follows where it was the device's or is more now (`fib_nhc_update_mtu`). */
export function fibSyncMtu(net: RouteNet, dev: NetDevice, orig: number): void {
  for (const fi of net.fib.infosOf(dev)) {
    for (const nh of fi.nhs) {
      if (nh.dev !== dev) continue;
      for (const bucket of nh.exceptions?.values() ?? []) {
        for (const fnhe of bucket) {
          if (fnhe.mtuLocked) {
            if (dev.mtu > fnhe.pmtu) continue;
            fnhe.pmtu = dev.mtu;
            fnhe.mtuLocked = false;
          } else if (dev.mtu < fnhe.pmtu || orig === fnhe.pmtu) fnhe.pmtu = dev.mtu;
        }
      }
    }
  }
}
