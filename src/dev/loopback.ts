import { ARPHRD_LOOPBACK, IFF_LOOPBACK } from '../uapi/if.js';
import { NETDEV_TX_OK, NETIF_F_GSO_UDP_L4, NETIF_F_HW_CSUM, NETIF_F_SG, NetDevice } from './net_device.js';
import { ethTypeTrans, netifRx } from './receive.js';
import type { SkBuff } from './skbuff.js';

/** `lo`: what is sent comes in again, unfragmented and without a checksum (DEV-6). */
export class LoopbackDevice extends NetDevice {
  constructor() {
    super('lo');
    this.type = ARPHRD_LOOPBACK;
    this.flags = IFF_LOOPBACK;
    this.mtu = 65536;
    this.maxMtu = 0;
    this.minMtu = 0;
    this.broadcast = new Uint8Array(6);
    this.features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_GSO_UDP_L4;
    this.noqueue = true;
  }

  override startXmit(skb: SkBuff): number {
    const net = this.net!;
    net.skbs.orphan(skb);
    this.stats.txPackets++;
    this.stats.txBytes += skb.len;
    ethTypeTrans(skb, this);
    netifRx(net, skb);
    return NETDEV_TX_OK;
  }
}
