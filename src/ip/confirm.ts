import { neighConfirm } from '../neigh/output.js';
import { neighKey, neighLookup } from '../neigh/table.js';
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, type Rtable } from '../route/rtable.js';
import type { IpNet } from './netns.js';

/** Confirms the neighbour of a route's next hop now (`dst_confirm_neigh`, `ipv4_confirm_neigh`, NEIGH-20). */
export function dstConfirmNeigh(net: IpNet, rt: Rtable, daddr: number): void {
  let key = daddr;
  if (rt.gateway !== 0) key = rt.gateway;
  else if (daddr === 0 || (rt.flags & (RTCF_MULTICAST | RTCF_BROADCAST | RTCF_LOCAL)) !== 0) return;
  const neigh = neighLookup(net, rt.dev, neighKey(rt.dev, key));
  if (neigh !== null) neighConfirm(net, neigh);
}
