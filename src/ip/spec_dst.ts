import { inetSelectAddr, l3mdevMasterIfindex } from '../dev/inet_select.js';
import type { SkBuff } from '../dev/skbuff.js';
import { fibLookup } from '../route/fib_lookup.js';
import { fibResultPrefsrc } from '../route/fib_semantics.js';
import { FibResult } from '../route/fib_types.js';
import { Flowi4 } from '../route/flow.js';
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, type Rtable } from '../route/rtable.js';
import { LOOPBACK_IFINDEX } from '../uapi/if.js';
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE } from '../uapi/rtnetlink.js';
import { daddr, saddr, tos } from '../wire/ipv4.js';
import type { IpNet } from './netns.js';

const fl4 = new Flowi4();
const res = new FibResult();

/**
 * The address of ours that a packet was for, or that its sender would hear from if it was for many (`fib_compute_spec_dst`).
 * The packet is routed.
 */
export function fibComputeSpecDst(net: IpNet, skb: SkBuff): number {
  const rt = skb.dst as Rtable;
  const to = daddr(skb.buf, skb.nh);
  if ((rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST | RTCF_LOCAL)) === RTCF_LOCAL) return to;
  const from = saddr(skb.buf, skb.nh);
  const dev = skb.dev!;
  if (from === 0) return inetSelectAddr(net, dev, from, RT_SCOPE_LINK);
  fl4.daddr = from;
  fl4.iif = LOOPBACK_IFINDEX;
  fl4.l3mdev = l3mdevMasterIfindex(dev);
  fl4.tos = tos(skb.buf, skb.nh) & 0xfc;
  fl4.mark =
    dev.ipPtr !== null && (dev.ipPtr.cnf.srcValidMark | net.sysctl.confAll.srcValidMark) !== 0 ? skb.mark : 0;
  if (fibLookup(net, fl4, res, 0) === 0) return fibResultPrefsrc(net, res);
  return inetSelectAddr(net, dev, from, RT_SCOPE_UNIVERSE);
}
