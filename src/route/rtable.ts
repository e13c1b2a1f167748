/** A resolved route (`struct rtable`): what a packet, or a connected socket, holds on to. */
import { DstEntry } from '../dev/dst.js';
import type { NetDevice } from '../dev/net_device.js';
import type { Neighbour } from '../neigh/neighbour.js';

/** The next hop comes from an ICMP redirect. */
export const RTCF_REDIRECTED = 0x00040000;
export const RTCF_NOTIFY = 0x00010000;
export const RTCF_DOREDIRECT = 0x01000000;
export const RTCF_DIRECTSRC = 0x04000000;
export const RTCF_BROADCAST = 0x10000000;
export const RTCF_MULTICAST = 0x20000000;
export const RTCF_LOCAL = 0x80000000 | 0;

/** `dst.output`: which function takes the packet. */
export const DST_OUTPUT_IP = 0;
export const DST_OUTPUT_MC = 1;
export const DST_OUTPUT_DISCARD = 2;
/** `dst.input` of a received packet. */
export const DST_INPUT_LOCAL = 0;
export const DST_INPUT_FORWARD = 1;
export const DST_INPUT_ERROR = 2;

export class Rtable extends DstEntry {
  /** RTCF_* */
  flags = 0;
  /** RTN_* */
  type = 0;
  /** DST_OUTPUT_*, DST_INPUT_* */
  output = DST_OUTPUT_IP;
  input = DST_INPUT_LOCAL;
  isInput = false;
  /**
   * The next hop where it is known (`rt_gw4`): the gateway, or the destination itself of a route with an exception; else 0.
   */
  gateway = 0;
  /** The next hop is a gateway (`rt_uses_gateway`). */
  usesGateway = false;
  iif = 0;
  /** Learned path MTU, 0 for none, with its lock and expiry (ms on the Net's clock, 0 for never). */
  pmtu = 0;
  mtuLocked = false;
  expires = 0;
  /** RTAX_MTU and RTAX_HOPLIMIT metrics of the route, 0 where unset. */
  metricMtu = 0;
  metricHoplimit = 0;
  /** RTAX_LOCK has the MTU bit. */
  metricMtuLocked = false;
  /** All metrics of the route, by RTAX_*; null where it has none. */
  metrics: Uint32Array | null = null;
  /** Generation of the namespace's routing that it was made in. */
  genid = 0;
  /** A new exception or redirect has made it stale (ROUTE-50). */
  killed = false;
  /** Errno that input with this route answers, as a negative number. */
  error = 0;
  /** Not shared: made for one flow. */
  uncached = false;
  /** The last neighbour that output resolved; valid while its key is the next hop and it is not dead. */
  neigh: Neighbour | null = null;

  constructor(dev: NetDevice) {
    super(dev);
  }
}
