/** The path MTU of a resolved route (PMTU-1). */
import type { Rtable } from './rtable.js';

export const IP_MAX_MTU = 0xffff;

/** The MTU must not be raised, and is too small to forbid fragmentation (`ip_mtu_locked`). */
export function dstMtuLocked(rt: Rtable): boolean {
  return rt.mtuLocked || rt.metricMtuLocked;
}

/** `ip_dst_mtu_maybe_forward`, not forwarding: the learned MTU while it lasts, else the route's, else the device's. */
export function dstMtu(rt: Rtable): number {
  const { pmtu } = rt;
  if (pmtu !== 0 && rt.dev.net !== null && rt.dev.net.clock.now() < rt.expires)
    return Math.min(pmtu, IP_MAX_MTU);
  let mtu = rt.metricMtu;
  if (mtu === 0) {
    mtu = rt.dev.mtu;
    if (dstMtuLocked(rt) && rt.usesGateway && mtu > 576) mtu = 576;
  }
  return Math.min(mtu, IP_MAX_MTU);
}
