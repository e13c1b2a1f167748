/** The key of a route lookup (`struct flowi4`). Mutable: the lookup writes the source and destination that it chose. */
export class Flowi4 {
  oif = 0;
  iif = 0;
  mark = 0;
  /** DSCP bits of the TOS byte (ECN is masked off by the route code). */
  tos = 0;
  /** RT_SCOPE_* */
  scope = 0;
  proto = 0;
  /** FLOWI_FLAG_* */
  flags = 0;
  uid = 0;
  daddr = 0;
  saddr = 0;
  sport = 0;
  dport = 0;
  /** ifindex of the VRF that the flow belongs to, 0 for none. */
  l3mdev = 0;
  /** Hash that a multipath choice may use instead of its own, 0 for none. */
  multipathHash = 0;
}

/** The source need not be an address of ours (IP_TRANSPARENT). */
export const FLOWI_FLAG_ANYSRC = 1;
export const FLOWI_FLAG_KNOWN_NH = 2;
/** Set by the VRF code: the flow has been through the l3mdev rule already. */
export const FLOWI_FLAG_L3MDEV_OIF = 4;
