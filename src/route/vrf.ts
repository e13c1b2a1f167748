/** What a VRF does to packets and devices (`drivers/net/vrf.c`, VRF-4, VRF-6, VRF-8). */
import type { VrfVerdict } from '../dev/inet_state.js';
import type { NetDevice } from '../dev/net_device.js';
import type { NetdevEvent } from '../dev/netns.js';
import type { SkBuff } from '../dev/skbuff.js';
import { ETH_P_IP } from '../uapi/if.js';
import { ipv4IsLbcast, ipv4IsMulticast } from '../uapi/in.js';
import * as ipv4 from '../wire/ipv4.js';
import { fibRulesAddL3mdev } from './fib_rules.js';
import { FLOWI_FLAG_ANYSRC, Flowi4 } from './flow.js';
import type { RouteNet } from './netns.js';
import { ipRouteOutputFlow } from './output.js';

/** Routes what was sent to a VRF device once more, in its domain (`vrf_process_v4_outbound`). */
export function vrfProcessV4Outbound(net: RouteNet, skb: SkBuff, vrf: NetDevice): VrfVerdict {
  if (skb.protocol !== ETH_P_IP || skb.tail - skb.nh < ipv4.HEADER_LEN) {
    net.skbs.free(skb);
    return 'error';
  }
  const fl4 = new Flowi4();
  fl4.l3mdev = vrf.ifindex;
  fl4.tos = ipv4.tos(skb.buf, skb.nh) & 0x1e;
  fl4.flags = FLOWI_FLAG_ANYSRC;
  fl4.proto = ipv4.protocol(skb.buf, skb.nh);
  fl4.daddr = ipv4.daddr(skb.buf, skb.nh);
  fl4.saddr = ipv4.saddr(skb.buf, skb.nh);
  const rt = ipRouteOutputFlow(net, fl4);
  if (typeof rt === 'number') {
    net.skbs.free(skb);
    return 'error';
  }
  skb.dst = rt;
  if (rt.dev === vrf) return 'local';
  // The link header was for the way through the VRF.
  skb.len -= skb.nh - skb.data;
  skb.data = skb.nh;
  return net.dstOutput(skb) < 0 ? 'error' : 'sent';
}

/**
 * A packet that leaves by a slave passes its VRF (`l3mdev_ip_out`). @returns false where the VRF is down and has swallowed
 * the packet (VRF-8)
 */
export function l3mdevIpOut(net: RouteNet, skb: SkBuff, dev: NetDevice): boolean {
  const { master } = dev;
  if (master === null || !master.isL3Master || master.isUp) return true;
  const daddr = ipv4.daddr(skb.buf, skb.nh);
  if (ipv4IsMulticast(daddr) || ipv4IsLbcast(daddr)) return true;
  master.stats.txDropped++;
  net.skbs.free(skb);
  return false;
}

/** VRF-1: the first VRF brings the rule for all of them; a VRF that goes lets go of its slaves. */
export function vrfDevEvent(net: RouteNet, event: NetdevEvent, dev: NetDevice): void {
  if (!dev.isL3Master) return;
  if (event === 'register' && !net.hadVrf) {
    net.hadVrf = true;
    fibRulesAddL3mdev(net);
  } else if (event === 'unregister') {
    for (const slave of net.devices) if (slave.master === dev) net.devSetMaster(slave, null);
  }
}
