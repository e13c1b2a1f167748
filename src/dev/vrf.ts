/** `ip link add NAME type vrf table N` (`drivers/net/vrf.c`, VRF-1): a routing table with a name, and the loopback of its domain. */
import { randomBytes } from 'node:crypto';
import { IFF_MASTER, IFF_NOARP, PACKET_HOST, PACKET_LOOPBACK } from '../uapi/if.js';
import { NETDEV_TX_OK, NETIF_F_GSO_UDP_L4, NETIF_F_HW_CSUM, NETIF_F_SG, NetDevice } from './net_device.js';
import { ethTypeTrans, netifRx } from './receive.js';
import type { SkBuff } from './skbuff.js';

/** A VRF has no MTU of its own: as large as IPv6 can be. */
const VRF_MTU = 65535 + 40;
/** Less would switch the protocols off on it. */
const IPV6_MIN_MTU = 1280;

export class VrfDevice extends NetDevice {
  override kind = 'vrf';

  /** @param table number of the routing table, not 0 */
  constructor(name: string, table: number) {
    super(name);
    this.l3mdevTable = table;
    this.flags = IFF_MASTER | IFF_NOARP;
    this.addr = Uint8Array.from(randomBytes(6));
    // Locally administered, not a group.
    this.addr[0] = (this.addr[0]! & 0xfe) | 0x02;
    this.mtu = VRF_MTU;
    this.minMtu = IPV6_MIN_MTU;
    this.maxMtu = VRF_MTU;
    this.features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_GSO_UDP_L4;
    this.noqueue = true;
  }

  /**
   * What is routed to the VRF itself is routed once more (`vrf_process_v4_outbound`): to a slave, or to ourselves. The routing room
   * does it.
   */
  override startXmit(skb: SkBuff): number {
    this.stats.txPackets++;
    this.stats.txBytes += skb.len;
    const net = this.net!;
    const verdict = net.inet.vrfOutbound(skb, this);
    if (verdict === 'local') {
      net.skbs.orphan(skb);
      ethTypeTrans(skb, this);
      // Captures have seen it on its way out.
      if (skb.pktType === PACKET_HOST) skb.pktType = PACKET_LOOPBACK;
      netifRx(net, skb);
    } else if (verdict === 'error') this.stats.txErrors++;
    return NETDEV_TX_OK;
  }
}
