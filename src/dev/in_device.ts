/** A device's IPv4 state (`struct in_device`) and its addresses (`struct in_ifaddr`). */
import type { Ipv4Devconf, NeighParms } from '../core/sysctl.js';
import type { NetDevice } from './net_device.js';

/** One address of a device. `address` is the peer on a point-to-point link, else the same as `local`. */
export interface InIfaddr {
  readonly inDev: InDevice;
  readonly local: number;
  readonly address: number;
  readonly mask: number;
  readonly prefixLen: number;
  readonly broadcast: number;
  readonly scope: number;
  /** IFA_F_* */
  flags: number;
  label: string;
  metric: number;
  protocol: number;
  /** Seconds from `tstamp` on, 0xffffffff is forever. */
  validLft: number;
  preferredLft: number;
  /** When the lifetimes were set, in ms on the Net's clock. */
  tstamp: number;
}

/** One source in the filters of a group (`struct ip_sf_list`). */
export interface IpSfList {
  readonly inaddr: number;
  /** How many sockets exclude it, and how many include it. */
  readonly count: readonly [exclude: number, include: number];
}

/** One multicast group of a device (`struct ip_mc_list`); the IGMP code keeps its own state beside it. */
export interface IpMcList {
  readonly multiaddr: number;
  /** How many sockets joined it. */
  readonly users: number;
  /** MCAST_EXCLUDE (0) or MCAST_INCLUDE (1) for the device as a whole, with the number of sockets in each mode. */
  readonly sfmode: number;
  readonly sfcount: readonly [exclude: number, include: number];
  readonly sources: ReadonlyMap<number, IpSfList>;
}

export class InDevice {
  /** In the kernel's order: primaries by scope, then their secondaries. */
  readonly ifaList: InIfaddr[] = [];
  /** Oldest first. */
  readonly mcList = new Map<number, IpMcList>();
  /** False once the device is going away. */
  dead = false;
  constructor(
    readonly dev: NetDevice,
    readonly cnf: Ipv4Devconf,
    readonly arpParms: NeighParms,
  ) {}
}
