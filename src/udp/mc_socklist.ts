/** MCAST_EXCLUDE, MCAST_INCLUDE: `sfmode` of a membership. */
export const MCAST_EXCLUDE = 0;
export const MCAST_INCLUDE = 1;

/** One multicast membership of a socket (`struct ip_mc_socklist`). */
export interface IpMcSocklist {
  readonly multiaddr: number;
  /** Interface address as the user gave it, and the device that it came to. */
  readonly address: number;
  readonly ifindex: number;
  sfmode: number;
  /** Source filter, in the order of insertion. */
  sources: number[];
}

/** The part of a socket that memberships concern. */
export interface McSock {
  mcList: IpMcSocklist[];
  mcAll: boolean;
}
