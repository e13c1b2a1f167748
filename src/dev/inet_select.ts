/**
 * Choosing among the addresses of devices (`net/ipv4/devinet.c`, `net/l3mdev.h`, `net/ipv4/igmp.c`).
 *
 * Where a datagram's source comes from, in order of importance (SADDR-4): what the call says (IP_PKTINFO); what the socket is bound to or
 * was connected with; for a group, the address of IP_MULTICAST_IF; the address of the interface, where no table is asked (to everyone, or to
 * a group on a named interface); the found route's `src`; and last the choice below, which a nexthop remembers until an address
 * changes. It goes through the device's primaries in their order and takes the first in the subnet of the gateway, else the first; an
 * address of a narrower scope than the route's does not count. A device without any borrows: of its VRF, else of any device in order
 * of their numbers, so that lo comes first; and where nobody has one, the source is 0.0.0.0.
 */
import { IPPROTO_IGMP } from '../uapi/in.js';
import { IFA_F_SECONDARY, RT_SCOPE_HOST, RT_SCOPE_LINK } from '../uapi/rtnetlink.js';
import { inDevRouteLocalnet } from './devconf.js';
import { inetIfaMatch } from './devinet.js';
import type { InDevice, InIfaddr } from './in_device.js';
import type { NetDevice } from './net_device.js';
import type { DevNet } from './netns.js';

/** The VRF that a device is or belongs to, null for none (`l3mdev_master_dev`). */
export function l3mdevMasterDev(dev: NetDevice): NetDevice | null {
  if (dev.l3mdevTable !== 0) return dev;
  const master = dev.master;
  return master !== null && master.l3mdevTable !== 0 ? master : null;
}
/** Its ifindex, 0 for none (`l3mdev_master_ifindex`). */
export function l3mdevMasterIfindex(dev: NetDevice): number {
  return l3mdevMasterDev(dev)?.ifindex ?? 0;
}
/** The routing table of the VRF that a device is or belongs to, 0 for none (`l3mdev_fib_table`). */
export function l3mdevFibTable(dev: NetDevice): number {
  return l3mdevMasterDev(dev)?.l3mdevTable ?? 0;
}

/**
 * The source address for a destination out of a device (`inet_select_addr`, SADDR-2).
 * @param dst 0 for none in particular
 * @param scope the widest scope that the address must be good for, RT_SCOPE_*
 * @returns 0 where there is none in the whole namespace
 */
export function inetSelectAddr(net: DevNet, dev: NetDevice, dst: number, scope: number): number {
  const inDev = dev.ipPtr;
  let addr = 0;
  if (inDev !== null) {
    const localnetScope = inDevRouteLocalnet(net, inDev) ? RT_SCOPE_LINK : RT_SCOPE_HOST;
    for (const ifa of inDev.ifaList) {
      if ((ifa.flags & IFA_F_SECONDARY) !== 0) continue;
      if (Math.min(ifa.scope, localnetScope) > scope) continue;
      if (dst === 0 || inetIfaMatch(dst, ifa)) {
        addr = ifa.local;
        break;
      }
      if (addr === 0) addr = ifa.local;
    }
    if (addr !== 0) return addr;
  }
  // VRF-5: a VRF's own addresses stand where lo's do outside of it.
  const master = l3mdevMasterDev(dev);
  if (master !== null && master.ipPtr !== null) {
    addr = inDevSelectAddr(master.ipPtr, scope);
    if (addr !== 0) return addr;
  }
  const masterIfindex = master?.ifindex ?? 0;
  for (const other of net.devices) {
    if (l3mdevMasterIfindex(other) !== masterIfindex || other.ipPtr === null) continue;
    addr = inDevSelectAddr(other.ipPtr, scope);
    if (addr !== 0) return addr;
  }
  return 0;
}

function inDevSelectAddr(inDev: InDevice, scope: number): number {
  for (const ifa of inDev.ifaList) {
    if ((ifa.flags & IFA_F_SECONDARY) !== 0) continue;
    if (ifa.scope !== RT_SCOPE_LINK && ifa.scope <= scope) return ifa.local;
  }
  return 0;
}

/** A local address that fits a destination and may be used in a scope (`inet_confirm_addr`); 0 for none. `inDev` null: any device. */
export function inetConfirmAddr(
  net: DevNet,
  inDev: InDevice | null,
  dst: number,
  local: number,
  scope: number,
): number {
  if (inDev !== null) return confirmAddrIndev(net, inDev, dst, local, scope);
  for (const dev of net.devices) {
    if (dev.ipPtr === null) continue;
    const addr = confirmAddrIndev(net, dev.ipPtr, dst, local, scope);
    if (addr !== 0) return addr;
  }
  return 0;
}

function confirmAddrIndev(net: DevNet, inDev: InDevice, dst: number, local: number, scope: number): number {
  const localnetScope = inDevRouteLocalnet(net, inDev) ? RT_SCOPE_LINK : RT_SCOPE_HOST;
  let addr = 0;
  let same = false;
  for (const ifa of inDev.ifaList) {
    const minScope = Math.min(ifa.scope, localnetScope);
    if (addr === 0 && (local === ifa.local || local === 0) && minScope <= scope) {
      addr = ifa.local;
      if (same) break;
    }
    if (same) continue;
    same = (local === 0 || inetIfaMatch(local, ifa)) && (dst === 0 || inetIfaMatch(dst, ifa));
    if (!same || addr === 0) continue;
    if (local !== 0 || dst === 0 || inetIfaMatch(addr, ifa)) break;
    if (minScope <= scope) {
      addr = ifa.local;
      break;
    }
    same = false;
  }
  return same ? addr : 0;
}

/** Both addresses lie in one subnet of the device (`inet_addr_onlink`); `b` 0 matches any. */
export function inetAddrOnlink(inDev: InDevice, a: number, b: number): boolean {
  return inDev.ifaList.some((ifa) => inetIfaMatch(a, ifa) && (b === 0 || inetIfaMatch(b, ifa)));
}

/** The primary address of a subnet (`inet_ifa_byprefix`). */
export function inetIfaByprefix(inDev: InDevice, prefix: number, mask: number): InIfaddr | null {
  return inDev.ifaList.find((ifa) => ifa.mask === mask && inetIfaMatch(prefix, ifa)) ?? null;
}

/** The newest address entry with this local address, on any device (`inet_lookup_ifaddr_rcu`). */
export function inetLookupIfaddr(net: DevNet, addr: number): InIfaddr | null {
  return net.inet.addrHash.get(addr)?.[0] ?? null;
}

/** A group is joined on a device and its filters let the source through (`ip_check_mc_rcu`, ROUTE-24). `src` 0 is any. */
export function ipCheckMc(inDev: InDevice, group: number, src: number, proto: number): boolean {
  const im = inDev.mcList.get(group);
  if (im === undefined) return false;
  if (proto === IPPROTO_IGMP || src === 0) return true;
  const psf = im.sources.get(src);
  if (psf !== undefined) return psf.count[1] !== 0 || psf.count[0] !== im.sfcount[0];
  return im.sfcount[0] !== 0;
}
