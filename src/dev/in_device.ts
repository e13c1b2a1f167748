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
  readonly label: string;
  readonly metric: number;
  readonly protocol: number;
  /** Seconds, 0xffffffff is forever. */
  validLft: number;
  preferredLft: number;
}

/** One multicast group of a device (`struct ip_mc_list`); the IGMP code keeps its own state beside it. */
export interface IpMcList {
  readonly multiaddr: number;
  /** How many sockets joined it. */
  users: number;
  /** MCAST_EXCLUDE (0) or MCAST_INCLUDE (1) for the device as a whole, with the number of sockets in each mode per source. */
  sfmode: number;
  readonly sfcount: [exclude: number, include: number];
  readonly sources: Map<number, [exclude: number, include: number]>;
}

export class InDevice {
  /** In the kernel's order: primaries by scope, then their secondaries. */
  readonly ifaList: InIfaddr[] = [];
  readonly mcList = new Map<number, IpMcList>();
  /** False once the device is going away. */
  dead = false;
  constructor(
    readonly dev: NetDevice,
    readonly cnf: Ipv4Devconf,
    readonly arpParms: NeighParms,
  ) {}
}
