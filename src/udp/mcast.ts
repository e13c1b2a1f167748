/** The groups of a socket and its source filters (`net/ipv4/igmp.c`, the ip_mc_* functions; MC-20, MC-30). */
import type { InDevice } from '../dev/in_device.js';
import type { FilterMode } from '../ip/igmp_state.js';
import { ipMcAddSrc, ipMcDecGroup, ipMcDelSrc, ipMcIncGroup } from '../ip/mcast.js';
import { ipDevFind } from '../route/addr_type.js';
import { Flowi4 } from '../route/flow.js';
import { ipRouteOutputFlow } from '../route/output.js';
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOBUFS, ENODEV } from '../uapi/errno.js';
import { ipv4IsMulticast, MCAST_EXCLUDE, MCAST_INCLUDE } from '../uapi/in.js';
import type { IpMcSocklist, McSock } from './mc_socklist.js';
import type { UdpNet } from './netns.js';

/** What memberships cost of option memory (`sock_kmalloc`): bytes of a membership, of a filter, of a source in it. */
const SOCKLIST_BYTES = 48;
const SFLIST_BYTES = 24;
const SOURCE_BYTES = 4;
/** A filter grows by this many places (IP_SFBLOCK). */
const SFBLOCK = 10;

const NO_SOURCES: readonly number[] = [];

/** `struct ip_mreqn`. The interface is found by ifindex, else by one of its addresses, else by the route to the group. */
export interface IpMreqn {
  readonly multiaddr: number;
  readonly address: number;
  readonly ifindex: number;
}

interface Found {
  readonly inDev: InDevice | null;
  readonly ifindex: number;
}

/** `ip_mc_find_dev` */
function ipMcFindDev(net: UdpNet, { multiaddr, address, ifindex }: IpMreqn): Found {
  if (ifindex !== 0) return { inDev: net.devGetByIndex(ifindex)?.ipPtr ?? null, ifindex };
  let dev = null;
  if (address !== 0) {
    dev = ipDevFind(net, address);
    if (dev === null) return { inDev: null, ifindex };
  } else {
    const fl4 = new Flowi4();
    fl4.daddr = multiaddr;
    const rt = ipRouteOutputFlow(net, fl4);
    if (typeof rt !== 'number') dev = rt.dev;
  }
  return dev === null ? { inDev: null, ifindex } : { inDev: dev.ipPtr, ifindex: dev.ifindex };
}

/** Takes option memory; false where the socket has none left. */
function charge(net: UdpNet, sk: McSock, bytes: number): boolean {
  const limit = net.sysctl.core.optmemMax;
  if (bytes > limit || sk.omemAlloc + bytes >= limit) return false;
  sk.omemAlloc += bytes;
  return true;
}

function sflistBytes(places: number): number {
  return SFLIST_BYTES + SOURCE_BYTES * places;
}

function find(sk: McSock, multiaddr: number, ifindex: number): IpMcSocklist | null {
  return sk.mcList.find((iml) => iml.multiaddr === multiaddr && iml.ifindex === ifindex) ?? null;
}

/**
 * Joins a group (`ip_mc_join_group`, `ip_mc_join_group_ssm`).
 * @param mode MCAST_EXCLUDE for every source, MCAST_INCLUDE for none until one is added
 * @returns 0, -EINVAL, -ENODEV, -EADDRINUSE, or -ENOBUFS (MC-20)
 */
export function ipMcJoinGroup(net: UdpNet, sk: McSock, mreqn: IpMreqn, mode: FilterMode): number {
  const { multiaddr, address } = mreqn;
  if (!ipv4IsMulticast(multiaddr)) return -EINVAL;
  const { inDev, ifindex } = ipMcFindDev(net, mreqn);
  if (inDev === null) return -ENODEV;
  if (find(sk, multiaddr, ifindex) !== null) return -EADDRINUSE;
  if (sk.mcList.length >= net.sysctl.ipv4.igmpMaxMemberships) return -ENOBUFS;
  if (!charge(net, sk, SOCKLIST_BYTES)) return -ENOBUFS;
  sk.mcList.unshift({ multiaddr, address, ifindex, sfmode: mode, sources: null, places: 0 });
  ipMcIncGroup(net, inDev, multiaddr, mode);
  return 0;
}

/** IP_DROP_MEMBERSHIP (`ip_mc_leave_group`): 0, -EADDRNOTAVAIL, or -ENODEV where no interface is named and none routes. */
export function ipMcLeaveGroup(net: UdpNet, sk: McSock, mreqn: IpMreqn): number {
  const { inDev, ifindex } = ipMcFindDev(net, mreqn);
  if (ifindex === 0 && mreqn.address === 0 && inDev === null) return -ENODEV;
  const at = sk.mcList.findIndex((iml) => {
    if (iml.multiaddr !== mreqn.multiaddr) return false;
    if (ifindex !== 0) return iml.ifindex === ifindex;
    return mreqn.address === 0 || mreqn.address === iml.address;
  });
  if (at < 0) return -EADDRNOTAVAIL;
  const [iml] = sk.mcList.splice(at, 1);
  leave(net, sk, iml!, inDev);
  return 0;
}

function leave(net: UdpNet, sk: McSock, iml: IpMcSocklist, inDev: InDevice | null): void {
  ipMcDelSrc(net, inDev, iml.multiaddr, iml.sfmode, iml.sources ?? NO_SOURCES, false);
  releaseSources(sk, iml);
  if (inDev !== null) ipMcDecGroup(net, inDev, iml.multiaddr);
  sk.omemAlloc -= SOCKLIST_BYTES;
}

function releaseSources(sk: McSock, iml: IpMcSocklist): void {
  if (iml.sources !== null) sk.omemAlloc -= sflistBytes(iml.places);
  iml.sources = null;
  iml.places = 0;
}

/**
 * Adds one source to a membership's filter, or takes it out (`ip_mc_source`): IP_ADD_SOURCE_MEMBERSHIP and IP_DROP_SOURCE_MEMBERSHIP with
 * MCAST_INCLUDE, IP_BLOCK_SOURCE and IP_UNBLOCK_SOURCE with MCAST_EXCLUDE.
 * @returns 0, -EINVAL (no group, not joined, or a filter of the other mode), -ENODEV, -EADDRNOTAVAIL (nothing to do), or -ENOBUFS
 *   (`igmp_max_msf`)
 */
export function ipMcSource(
  net: UdpNet,
  sk: McSock,
  add: boolean,
  mode: FilterMode,
  mreqn: IpMreqn,
  source: number,
): number {
  const { multiaddr } = mreqn;
  if (!ipv4IsMulticast(multiaddr)) return -EINVAL;
  const { inDev, ifindex } = ipMcFindDev(net, mreqn);
  if (inDev === null) return -ENODEV;
  const iml = find(sk, multiaddr, ifindex);
  if (iml === null) return -EINVAL;
  if (iml.sfmode !== mode) {
    // The mode of a membership may change as long as it has no filter.
    if (iml.sources !== null) return -EINVAL;
    ipMcAddSrc(net, inDev, multiaddr, mode, NO_SOURCES, false);
    ipMcDelSrc(net, inDev, multiaddr, iml.sfmode, NO_SOURCES, false);
    iml.sfmode = mode;
  }
  if (!add) return dropSource(net, sk, iml, source, inDev);
  return addSource(net, sk, iml, source, inDev);
}

function dropSource(net: UdpNet, sk: McSock, iml: IpMcSocklist, source: number, inDev: InDevice): number {
  const at = iml.sources?.indexOf(source) ?? -1;
  if (iml.sources === null || at < 0) return -EADDRNOTAVAIL;
  // Including nothing is the same as having left.
  if (iml.sources.length === 1 && iml.sfmode === MCAST_INCLUDE) {
    return ipMcLeaveGroup(net, sk, iml);
  }
  ipMcDelSrc(net, inDev, iml.multiaddr, iml.sfmode, [source], true);
  iml.sources.splice(at, 1);
  return 0;
}

function addSource(net: UdpNet, sk: McSock, iml: IpMcSocklist, source: number, inDev: InDevice): number {
  const count = iml.sources?.length ?? 0;
  if (iml.sources !== null && count >= net.sysctl.ipv4.igmpMaxMsf) return -ENOBUFS;
  if (iml.sources === null || count === iml.places) {
    const places = iml.places + SFBLOCK;
    if (!charge(net, sk, sflistBytes(places))) return -ENOBUFS;
    if (iml.sources !== null) sk.omemAlloc -= sflistBytes(iml.places);
    iml.sources ??= [];
    iml.places = places;
  }
  if (iml.sources.includes(source)) return -EADDRNOTAVAIL;
  iml.sources.push(source);
  ipMcAddSrc(net, inDev, iml.multiaddr, iml.sfmode, [source], true);
  return 0;
}

/** IP_MSFILTER, MCAST_MSFILTER (`ip_mc_msfilter`): the whole filter at once. 0, -EINVAL, -ENODEV, -ENOBUFS, -EADDRNOTAVAIL. */
export function ipMcMsfilter(
  net: UdpNet,
  sk: McSock,
  mreqn: IpMreqn,
  fmode: number,
  sources: readonly number[],
): number {
  const { multiaddr } = mreqn;
  if (!ipv4IsMulticast(multiaddr)) return -EINVAL;
  if (fmode !== MCAST_INCLUDE && fmode !== MCAST_EXCLUDE) return -EINVAL;
  const { inDev, ifindex } = ipMcFindDev(net, mreqn);
  if (inDev === null) return -ENODEV;
  if (fmode === MCAST_INCLUDE && sources.length === 0) return ipMcLeaveGroup(net, sk, { ...mreqn, ifindex });
  const iml = find(sk, multiaddr, ifindex);
  if (iml === null) return -EINVAL;
  if (sources.length > 0 && !charge(net, sk, sflistBytes(sources.length))) return -ENOBUFS;
  ipMcAddSrc(net, inDev, multiaddr, fmode, sources, false);
  ipMcDelSrc(net, inDev, multiaddr, iml.sfmode, iml.sources ?? NO_SOURCES, false);
  releaseSources(sk, iml);
  iml.sources = sources.length > 0 ? [...sources] : null;
  iml.places = sources.length;
  iml.sfmode = fmode;
  return 0;
}

/** Reads a filter (`ip_mc_msfget`, `ip_mc_gsfget`): -EINVAL, -ENODEV, or -EADDRNOTAVAIL where not joined. */
export function ipMcMsfget(
  net: UdpNet,
  sk: McSock,
  mreqn: IpMreqn,
): { readonly fmode: FilterMode; readonly sources: readonly number[] } | number {
  if (!ipv4IsMulticast(mreqn.multiaddr)) return -EINVAL;
  const { inDev, ifindex } = ipMcFindDev(net, mreqn);
  // MCAST_MSFILTER names its interface and does not look it up.
  if (inDev === null && mreqn.ifindex === 0) return -ENODEV;
  const iml = find(sk, mreqn.multiaddr, ifindex);
  if (iml === null) return -EADDRNOTAVAIL;
  return { fmode: iml.sfmode, sources: iml.sources ?? NO_SOURCES };
}

/** The socket closes: it leaves every group (`ip_mc_drop_socket`, MC-30). */
export function ipMcDropSocket(net: UdpNet, sk: McSock): void {
  for (;;) {
    const iml = sk.mcList.shift();
    if (iml === undefined) return;
    leave(net, sk, iml, net.devGetByIndex(iml.ifindex)?.ipPtr ?? null);
  }
}
