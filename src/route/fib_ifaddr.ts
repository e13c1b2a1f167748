/** The routes that follow from addresses and from the state of devices (`net/ipv4/fib_frontend.c`, FIB-8, FIB-9). */

import { inetIfaMatch } from '../dev/devinet.js';
import type { InIfaddr } from '../dev/in_device.js';
import { inetIfaByprefix, l3mdevFibTable } from '../dev/inet_select.js';
import type { NetDevice } from '../dev/net_device.js';
import type { NetdevEvent } from '../dev/netns.js';
import { ipv4IsZeronet } from '../uapi/in.js';
import {
  IFA_F_NOPREFIXROUTE,
  IFA_F_SECONDARY,
  NLM_F_APPEND,
  NLM_F_CREATE,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_UNICAST,
  RTNH_F_DEAD,
  RTNH_F_LINKDOWN,
  RTPROT_KERNEL,
} from '../uapi/rtnetlink.js';
import { inetAddrTypeDevTable } from './addr_type.js';
import { fibSyncMtu } from './exceptions.js';
import { fibRulesEvent } from './fib_rules.js';
import { fibSyncDownAddr, fibSyncDownDev, fibSyncUp } from './fib_sync.js';
import { fibFlush, fibTableDelete, fibTableInsert } from './fib_table.js';
import type { FibConfig } from './fib_types.js';
import { rtCacheFlush, rtCacheFlushAll } from './genid.js';
import type { RouteNet } from './netns.js';

/** Sysctls whose writing makes cached routes stale. */
const FLUSHING =
  /^net\.ipv4\.(ip_forward|conf\..+\.(forwarding|bc_forwarding|route_localnet|accept_local|promote_secondaries|disable_policy|disable_xfrm|drop_unicast_in_l2_multicast))$/;

/** Makes a Net keep the automatic routes of its addresses and devices (`ip_fib_init`). */
export function fibFrontendInit(net: RouteNet): void {
  const mtus = new Map<NetDevice, number>();
  net.onNetdev((event, dev) => {
    const orig = mtus.get(dev) ?? dev.mtu;
    mtus.set(dev, dev.mtu);
    if (event === 'unregister') mtus.delete(dev);
    fibRulesEvent(net, event, dev);
    fibNetdevEvent(net, event, dev, orig);
  });
  net.onInetaddr((event, ifa) => {
    if (event === 'up') {
      fibAddIfaddr(net, ifa);
      fibSyncUp(net, ifa.inDev.dev, RTNH_F_DEAD);
      net.devAddrGenid++;
      rtCacheFlush(net);
    } else {
      fibDelIfaddr(net, ifa, null);
      net.devAddrGenid++;
      // The last address takes IP off the device.
      if (ifa.inDev.ifaList.length === 0) fibDisableIp(net, ifa.inDev.dev, 'down', true);
      else rtCacheFlush(net);
    }
  });
  net.inet.fibAddIfaddr = (ifa) => fibAddIfaddr(net, ifa);
  net.inet.fibDelIfaddr = (ifa, iprim) => fibDelIfaddr(net, ifa, iprim);
  net.inet.fibModifyPrefixMetric = (ifa, metric) => fibModifyPrefixMetric(net, ifa, metric);
  net.sysctl.onChange((name) => {
    if (name === 'net.ipv4.route.flush') rtCacheFlushAll(net);
    else if (FLUSHING.test(name)) rtCacheFlush(net);
  });
}

function fibNetdevEvent(net: RouteNet, event: NetdevEvent, dev: NetDevice, origMtu: number): void {
  if (event === 'unregister') {
    fibDisableIp(net, dev, 'unregister', true);
    return;
  }
  const inDev = dev.ipPtr;
  if (inDev === null) return;
  if (event === 'up') {
    for (const ifa of inDev.ifaList) fibAddIfaddr(net, ifa);
    fibSyncUp(net, dev, RTNH_F_DEAD);
    net.devAddrGenid++;
    rtCacheFlush(net);
  } else if (event === 'down') {
    fibDisableIp(net, dev, 'down', false);
  } else if (event === 'change') {
    if (dev.isUp && dev.carrier) fibSyncUp(net, dev, RTNH_F_LINKDOWN);
    else fibSyncDownDev(net, dev, 'change', false);
    rtCacheFlush(net);
  } else if (event === 'changeMtu') {
    fibSyncMtu(net, dev, origMtu);
    rtCacheFlush(net);
  } else if (event === 'changeUpper') {
    // VRF-8: a device that enters or leaves a VRF loses its routes; going down and up again gives it those of its addresses.
    fibDisableIp(net, dev, 'down', true);
  }
}

function fibDisableIp(net: RouteNet, dev: NetDevice, event: 'down' | 'unregister', force: boolean): void {
  if (fibSyncDownDev(net, dev, event, force) > 0) fibFlush(net);
  else rtCacheFlush(net);
}

interface Magic {
  readonly type: number;
  readonly dst: number;
  readonly dstLen: number;
  /** The primary address, whose local part the route prefers as source. */
  readonly prim: InIfaddr;
  readonly priority?: number;
}

/** An automatic route (`fib_magic`). */
function fibMagic(
  net: RouteNet,
  command: 'new' | 'del',
  { type, dst, dstLen, prim, priority = 0 }: Magic,
): void {
  const { dev } = prim.inDev;
  const table = l3mdevFibTable(dev) || (type === RTN_UNICAST ? RT_TABLE_MAIN : RT_TABLE_LOCAL);
  const cfg: FibConfig = {
    dst,
    dstLen,
    dscp: 0,
    table,
    protocol: RTPROT_KERNEL,
    scope: type === RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK,
    type,
    flags: 0,
    priority,
    prefsrc: prim.local,
    oif: dev.ifindex,
    gw: 0,
    mp: null,
    metrics: null,
    nlflags: NLM_F_CREATE | NLM_F_APPEND,
  };
  const tb = net.fib.newTable(table);
  if (command === 'new') fibTableInsert(net, tb, cfg);
  else fibTableDelete(net, tb, cfg);
}

/** FIB-8: the routes of an address (`fib_add_ifaddr`). */
export function fibAddIfaddr(net: RouteNet, ifa: InIfaddr): void {
  const { inDev, mask } = ifa;
  const { dev } = inDev;
  const prefix = (ifa.address & mask) >>> 0;
  const secondary = (ifa.flags & IFA_F_SECONDARY) !== 0;
  const prim = secondary ? inetIfaByprefix(inDev, prefix, mask) : ifa;
  if (prim === null) return;
  fibMagic(net, 'new', { type: RTN_LOCAL, dst: ifa.local, dstLen: 32, prim });
  if (!dev.isUp) return;
  if (ifa.broadcast !== 0 && ifa.broadcast !== 0xffffffff) {
    fibMagic(net, 'new', { type: RTN_BROADCAST, dst: ifa.broadcast, dstLen: 32, prim });
  }
  if (ipv4IsZeronet(prefix) || secondary || (prefix === ifa.local && ifa.prefixLen === 32)) return;
  if ((ifa.flags & IFA_F_NOPREFIXROUTE) === 0) {
    const type = dev.isLoopback ? RTN_LOCAL : RTN_UNICAST;
    fibMagic(net, 'new', { type, dst: prefix, dstLen: ifa.prefixLen, prim, priority: ifa.metric });
  }
  if (ifa.prefixLen >= 31) return;
  // BIND-2: before 5.14 the subnet's own address was a broadcast address too.
  if (net.profile.subnetZeroBroadcast)
    fibMagic(net, 'new', { type: RTN_BROADCAST, dst: prefix, dstLen: 32, prim });
  fibMagic(net, 'new', { type: RTN_BROADCAST, dst: (prefix | ~mask) >>> 0, dstLen: 32, prim });
}

/** The connected route of an address gets another metric (`fib_modify_prefix_metric`). */
function fibModifyPrefixMetric(net: RouteNet, ifa: InIfaddr, metric: number): void {
  const { dev } = ifa.inDev;
  const prefix = (ifa.address & ifa.mask) >>> 0;
  if (!dev.isUp || (ifa.flags & (IFA_F_SECONDARY | IFA_F_NOPREFIXROUTE)) !== 0) return;
  if (ipv4IsZeronet(prefix) || (prefix === ifa.local && ifa.prefixLen === 32)) return;
  const type = dev.isLoopback ? RTN_LOCAL : RTN_UNICAST;
  const route = { type, dst: prefix, dstLen: ifa.prefixLen, prim: ifa };
  fibMagic(net, 'new', { ...route, priority: metric });
  fibMagic(net, 'del', { ...route, priority: ifa.metric });
}

/** What of an address's routes other addresses of the device still need. */
interface StillNeeded {
  local: boolean;
  /** The address's own `brd`, the subnet's last address, and its first. */
  brd: boolean;
  last: boolean;
  any: boolean;
}

/**
 * Takes the routes of an address away, except those that other addresses of its device need (`fib_del_ifaddr`).
 * @param iprim the primary that goes, where a secondary is being promoted
 */
export function fibDelIfaddr(net: RouteNet, ifa: InIfaddr, iprim: InIfaddr | null): void {
  const { inDev, mask } = ifa;
  const { dev } = inDev;
  const last = (ifa.address | ~mask) >>> 0;
  const any = (ifa.address & mask) >>> 0;
  let prim: InIfaddr | null = ifa;
  let subnet = false;
  if ((ifa.flags & IFA_F_SECONDARY) !== 0) {
    prim = inetIfaByprefix(inDev, any, mask);
    if (prim === null || (iprim !== null && iprim !== prim)) return;
  } else if (!ipv4IsZeronet(any) && (any !== ifa.local || ifa.prefixLen < 32)) {
    if ((ifa.flags & IFA_F_NOPREFIXROUTE) === 0) {
      fibMagic(net, 'del', {
        type: dev.isLoopback ? RTN_LOCAL : RTN_UNICAST,
        dst: any,
        dstLen: ifa.prefixLen,
        prim,
      });
    }
    subnet = true;
  }
  const gone = !inDev.ifaList.includes(ifa);
  const needed = inDev.dead
    ? { local: false, brd: false, last: false, any: false }
    : stillNeeded(ifa, prim, iprim, last, any);
  if (!needed.brd) fibMagic(net, 'del', { type: RTN_BROADCAST, dst: ifa.broadcast, dstLen: 32, prim });
  if (subnet && ifa.prefixLen < 31) {
    if (!needed.last) fibMagic(net, 'del', { type: RTN_BROADCAST, dst: last, dstLen: 32, prim });
    if (!needed.any) fibMagic(net, 'del', { type: RTN_BROADCAST, dst: any, dstLen: 32, prim });
  }
  if (needed.local) return;
  fibMagic(net, 'del', { type: RTN_LOCAL, dst: ifa.local, dstLen: 32, prim });
  // Routes that prefer an address which is not ours any more go too (E28).
  if (
    gone &&
    inetAddrTypeDevTable(net, dev, ifa.local) !== RTN_LOCAL &&
    fibSyncDownAddr(net, dev, ifa.local) > 0
  )
    fibFlush(net);
}

function stillNeeded(
  ifa: InIfaddr,
  prim: InIfaddr,
  iprim: InIfaddr | null,
  last: number,
  any: number,
): StillNeeded {
  const needed: StillNeeded = { local: false, brd: false, last: false, any: false };
  const { inDev } = ifa;
  const inSubnetOf = (other: InIfaddr, of: InIfaddr): boolean =>
    other.mask === of.mask && inetIfaMatch(other.address, of);
  let prim1: InIfaddr | null = null;
  let samePrefsrc = false;
  for (const ifa1 of inDev.ifaList) {
    if (ifa1 === ifa) continue;
    if (iprim !== null && inSubnetOf(ifa1, iprim)) continue;
    if ((ifa1.flags & IFA_F_SECONDARY) !== 0) {
      if (inSubnetOf(ifa1, prim)) prim1 = prim;
      else {
        if (!samePrefsrc) continue;
        if (prim1 === null || !inSubnetOf(ifa1, prim1))
          prim1 = inetIfaByprefix(inDev, ifa1.address, ifa1.mask);
        if (prim1 === null || prim1.local !== prim.local) continue;
      }
    } else {
      if (prim.local !== ifa1.local) continue;
      prim1 = ifa1;
      if (prim !== prim1) samePrefsrc = true;
    }
    if (ifa.local === ifa1.local) needed.local = true;
    if (ifa.broadcast === ifa1.broadcast) needed.brd = true;
    if (last === ifa1.broadcast) needed.last = true;
    if (any === ifa1.broadcast) needed.any = true;
    if (prim1 !== ifa1 || ifa1.prefixLen >= 31) continue;
    const last1 = (ifa1.address | ~ifa1.mask) >>> 0;
    const any1 = (ifa1.address & ifa1.mask) >>> 0;
    if (ipv4IsZeronet(any1)) continue;
    if (ifa.broadcast === last1 || ifa.broadcast === any1) needed.brd = true;
    if (last === last1 || last === any1) needed.last = true;
    if (any === last1 || any === any1) needed.any = true;
  }
  return needed;
}
