import type { FilterMode } from '../ip/igmp_state.js';

/** One multicast membership of a socket (`struct ip_mc_socklist`). */
export interface IpMcSocklist {
  readonly multiaddr: number;
  /** Interface address as the user gave it, and the device that it came to. */
  readonly address: number;
  readonly ifindex: number;
  sfmode: FilterMode;
  /** Source filter, in the order of insertion; null as long as there never was one. */
  sources: number[] | null;
  /** Room for sources that option memory has been charged for. */
  places: number;
}

/** The part of a socket that memberships concern. */
export interface McSock {
  /** Newest first. */
  mcList: IpMcSocklist[];
  mcAll: boolean;
  /** Bytes of option memory. */
  omemAlloc: number;
}
