/** The end of IP output: which MTU binds, and the step to the neighbour. */
import type { SkBuff } from '../dev/skbuff.js';
import { neighOutput } from '../neigh/output.js';
import { ipNeighForKey } from '../neigh/table.js';
import { dstMtu } from '../route/mtu.js';
import type { Rtable } from '../route/rtable.js';
import { EINVAL, ENOBUFS } from '../uapi/errno.js';
import { RTN_BROADCAST, RTN_MULTICAST } from '../uapi/rtnetlink.js';
import * as ipv4 from '../wire/ipv4.js';
import { IP_MAX_MTU } from './append.js';
import { type InetSock, ipSkUsePmtu } from './inet_sock.js';
import type { IpNet } from './netns.js';

/** IPCB flags: the packet has been through fragmentation. */
export const IPSKB_FRAG_COMPLETE = 1;

/** The MTU that binds a packet on its way out (`ip_skb_dst_mtu`). */
export function ipSkbDstMtu(sk: InetSock | null, rt: Rtable): number {
  if (sk === null || ipSkUsePmtu(sk)) return dstMtu(rt);
  return Math.min(rt.dev.mtu, IP_MAX_MTU);
}

/** Counters, next hop, link header (`ip_finish_output2`). 0 or a negative errno. */
export function ipFinishOutput2(net: IpNet, skb: SkBuff): number {
  const rt = skb.dst as Rtable;
  const dev = rt.dev;
  const ext = net.mib.IpExt;
  if (rt.type === RTN_MULTICAST) {
    ext.OutMcastPkts++;
    ext.OutMcastOctets += skb.len;
  } else if (rt.type === RTN_BROADCAST) {
    ext.OutBcastPkts++;
    ext.OutBcastOctets += skb.len;
  }
  if (net.profile.outTransmits) net.mib.Ip.OutTransmits++;
  ext.OutOctets += skb.len;
  skb.dev = dev;

  const key = rt.gateway !== 0 ? rt.gateway : ipv4.daddr(skb.buf, skb.nh);
  let neigh = rt.neigh;
  if (neigh === null || neigh.dead || neigh.key !== key || neigh.dev !== dev) {
    if (dev.ipPtr === null) {
      net.skbs.free(skb);
      return -EINVAL;
    }
    neigh = ipNeighForKey(net, dev, key);
    if (neigh === null) {
      // OUT-4: the neighbour table is full.
      net.skbs.free(skb);
      return -ENOBUFS;
    }
    rt.neigh = neigh;
  }
  return neighOutput(net, neigh, skb);
}
