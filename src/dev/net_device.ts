/** `struct net_device`: what the stack knows of a device. Drivers extend it. */
import {
  ARPHRD_ETHER,
  ETH_ALEN,
  ETH_HLEN,
  IFF_BROADCAST,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_MULTICAST,
  IFF_RUNNING,
  IFF_UP,
} from '../uapi/if.js';
import type { InDevice } from './in_device.js';
import type { DevNet } from './netns.js';
import type { SkBuff } from './skbuff.js';
import type { PacketTap } from './tap_point.js';

/** Device features (`NETIF_F_*`): what the device does by itself. */
export const NETIF_F_SG = 1;
export const NETIF_F_HW_CSUM = 2;
export const NETIF_F_GSO_UDP_L4 = 4;

/** What `startXmit` answers. */
export const NETDEV_TX_OK = 0;
export const NET_XMIT_DROP = 1;
export const NET_XMIT_CN = 2;

export interface NetDeviceStats {
  rxPackets: number;
  rxBytes: number;
  rxDropped: number;
  txPackets: number;
  txBytes: number;
  txDropped: number;
  txErrors: number;
}

export abstract class NetDevice {
  /** The namespace that it belongs to; null until `addDevice`. */
  net: DevNet | null = null;
  ifindex = 0;
  /** `ether`, `loopback`, `none` by ARPHRD_*. */
  type = ARPHRD_ETHER;
  /** IFF_* without RUNNING and LOWER_UP, which follow from the carrier. */
  flags = IFF_BROADCAST | IFF_MULTICAST;
  mtu = 1500;
  minMtu = 68;
  maxMtu = 65535;
  addr: Uint8Array = new Uint8Array(ETH_ALEN);
  broadcast: Uint8Array = new Uint8Array(ETH_ALEN).fill(0xff);
  hardHeaderLen = ETH_HLEN;
  /** NETIF_F_* */
  features = NETIF_F_SG;
  gsoMaxSize = 65536;
  /** The device has been up: it has its queueing discipline, and keeps it. */
  qdiscAttached = false;
  gsoMaxSegs = 65535;
  txQueueLen = 1000;
  /** `netif_carrier_ok` */
  carrier = true;
  /** How often it came or went. */
  carrierChanges = 0;
  /** No queueing discipline: the driver's verdict reaches the sender (DEV-3). */
  noqueue = false;
  /** The VRF that it is enslaved to. */
  master: NetDevice | null = null;
  /** A VRF device's routing table, 0 for every other device. */
  l3mdevTable = 0;
  group = 0;
  /** `ip link`'s kind: `tun`, `vrf`, `dummy` ...; empty for lo. */
  kind = '';
  /** A name that says what the device is for (`ip link set alias`). */
  ifalias = '';
  /** Link-layer addresses that were added by hand (`ip maddr add`), as `aa:bb:cc:dd:ee:ff`. */
  readonly staticMcast = new Set<string>();
  ipPtr: InDevice | null = null;
  /** Captures; null when there are none, so that the hot path tests one field. */
  taps: PacketTap[] | null = null;
  readonly stats: NetDeviceStats = {
    rxPackets: 0,
    rxBytes: 0,
    rxDropped: 0,
    txPackets: 0,
    txBytes: 0,
    txDropped: 0,
    txErrors: 0,
  };

  constructor(public name: string) {}

  /**
   * Takes a packet whose bytes are the whole frame (`ndo_start_xmit`); it is the driver's from here. Drivers that batch hand
   * frames on at `flush`. @returns NETDEV_TX_OK, NET_XMIT_DROP, or a negative errno
   */
  abstract startXmit(skb: SkBuff): number;

  /** Hands what `startXmit` gathered to the device. Called at the end of every trip into the stack. */
  flush(): void {}
  /** `ndo_open`: the device is set up; 0 or a negative errno. */
  open(): number {
    return 0;
  }
  /** `ndo_stop` */
  stop(): void {}
  /** The device leaves its Net, or the Net closes. */
  close(): void {}

  get isUp(): boolean {
    return (this.flags & IFF_UP) !== 0;
  }
  get isLoopback(): boolean {
    return (this.flags & IFF_LOOPBACK) !== 0;
  }
  get isL3Master(): boolean {
    return this.l3mdevTable !== 0;
  }
  /** `netif_is_l3_slave` */
  get isL3Slave(): boolean {
    return this.master?.isL3Master ?? false;
  }
  /** Flags as `ip link` shows them. */
  get visibleFlags(): number {
    return this.isUp && this.carrier ? this.flags | IFF_RUNNING | IFF_LOWER_UP : this.flags;
  }

  /**
   * Listens on the device, as a packet socket does. @returns a function that ends it
   */
  capture(tap: PacketTap): () => void {
    this.taps = [...(this.taps ?? []), tap];
    return () => {
      const left = (this.taps ?? []).filter((t) => t !== tap);
      this.taps = left.length > 0 ? left : null;
    };
  }
}
