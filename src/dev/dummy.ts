import { randomBytes } from 'node:crypto';
import { IFF_BROADCAST, IFF_NOARP } from '../uapi/if.js';
import { NETDEV_TX_OK, NETIF_F_GSO_UDP_L4, NETIF_F_HW_CSUM, NETIF_F_SG, NetDevice } from './net_device.js';
import type { SkBuff } from './skbuff.js';

/** `ip link add NAME type dummy`: a device that is always there and sends nowhere, a place for addresses. */
export class DummyDevice extends NetDevice {
  override kind = 'dummy';

  constructor(name: string) {
    super(name);
    this.flags = IFF_BROADCAST | IFF_NOARP;
    this.addr = Uint8Array.from(randomBytes(6));
    // Locally administered, not a group.
    this.addr[0] = (this.addr[0]! & 0xfe) | 0x02;
    this.minMtu = 0;
    this.maxMtu = 0;
    this.features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_GSO_UDP_L4;
    this.noqueue = true;
  }

  override startXmit(skb: SkBuff): number {
    this.stats.txPackets++;
    this.stats.txBytes += skb.len;
    this.net!.skbs.free(skb);
    return NETDEV_TX_OK;
  }
}
