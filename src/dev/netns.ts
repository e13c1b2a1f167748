/** The devices of a Net (`net/core/dev.c`): registration, state, notifications, and the frames in both directions. */
import { NetCore } from '../core/netns.js';
import { EBUSY, EEXIST, EINVAL, ENODEV } from '../uapi/errno.js';
import { IFF_UP, IFNAMSIZ } from '../uapi/if.js';
import { InDevice, type InIfaddr } from './in_device.js';
import { InetState } from './inet_state.js';
import type { NetDevice } from './net_device.js';
import { type SkBuff, SkbPool } from './skbuff.js';

/** What happens to devices (`netdev_event`). `goingDown` comes before, `down` after a device loses IFF_UP. */
export type NetdevEvent =
  | 'register'
  | 'up'
  | 'goingDown'
  | 'down'
  | 'change'
  | 'changeMtu'
  | 'changeAddr'
  | 'changeName'
  | 'changeUpper'
  | 'unregister';

/** What happens to addresses (`inetaddr_chain`). */
export type InetaddrEvent = 'up' | 'down';

/** Takes received packets of one EtherType (`struct packet_type`); `data` is behind the link header. */
export type PacketHandler = (skb: SkBuff) => void;

export class DevNet extends NetCore {
  readonly skbs = new SkbPool(this.arena);
  readonly inet = new InetState();
  readonly #byIndex = new Map<number, NetDevice>();
  readonly #byName = new Map<string, NetDevice>();
  /** Sorted by ifindex, as the kernel walks them. */
  #list: readonly NetDevice[] = [];
  #lastIfindex = 0;
  readonly #netdevChain: ((event: NetdevEvent, dev: NetDevice) => void)[] = [];
  readonly #inetaddrChain: ((event: InetaddrEvent, ifa: InIfaddr) => void)[] = [];
  readonly #packetTypes = new Map<number, PacketHandler>();
  /** Packets that wait for the stack's own input, and whether input is being processed (`softnet_data`). */
  readonly backlog: SkBuff[] = [];
  inSoftirq = false;
  /** When the present trip's frames were captured, wall-clock; -1 until the first one. They leave together. */
  captureSec = -1;
  captureNsec = 0;
  /** Devices that hold frames for the next flush. */
  readonly #dirty: NetDevice[] = [];
  /**
   * Cuts a GSO packet into frames (`skb_gso_segment`): a list linked by `next`, the packet itself consumed.
   * The protocols own it; a device layer without protocols has nothing to cut.
   */
  gsoSegment: (skb: SkBuff) => SkBuff | null = (skb) => skb;

  /** Every device, by ifindex. */
  get devices(): readonly NetDevice[] {
    return this.#list;
  }
  devGetByIndex(ifindex: number): NetDevice | null {
    return this.#byIndex.get(ifindex) ?? null;
  }
  devGetByName(name: string): NetDevice | null {
    return this.#byName.get(name) ?? null;
  }

  /** The IPv4 state of a device, which a device of this stack always has while registered (`__in_dev_get_rcu`). */
  inDev(dev: NetDevice): InDevice | null {
    return dev.ipPtr;
  }

  onNetdev(handler: (event: NetdevEvent, dev: NetDevice) => void): void {
    this.#netdevChain.push(handler);
  }
  onInetaddr(handler: (event: InetaddrEvent, ifa: InIfaddr) => void): void {
    this.#inetaddrChain.push(handler);
  }
  notifyNetdev(event: NetdevEvent, dev: NetDevice): void {
    for (const handler of this.#netdevChain) handler(event, dev);
  }
  notifyInetaddr(event: InetaddrEvent, ifa: InIfaddr): void {
    for (const handler of this.#inetaddrChain) handler(event, ifa);
  }

  /** `register_netdevice`: 0, -EEXIST for a name in use, -EINVAL for a bad one. A wanted ifindex may be given in `dev.ifindex`. */
  registerNetdevice(dev: NetDevice): number {
    if (dev.net !== null) return -EBUSY;
    if (!devValidName(dev.name)) return -EINVAL;
    if (this.#byName.has(dev.name)) return -EEXIST;
    if (dev.ifindex !== 0 && this.#byIndex.has(dev.ifindex)) return -EEXIST;
    if (dev.ifindex === 0) {
      do this.#lastIfindex++;
      while (this.#byIndex.has(this.#lastIfindex));
      dev.ifindex = this.#lastIfindex;
    }
    dev.net = this;
    const { conf, neigh } = this.sysctl.addDevice(dev.name);
    dev.ipPtr = new InDevice(dev, conf, neigh);
    this.#byIndex.set(dev.ifindex, dev);
    this.#byName.set(dev.name, dev);
    this.#list = [...this.#byIndex.values()].sort((a, b) => a.ifindex - b.ifindex);
    this.notifyNetdev('register', dev);
    return 0;
  }

  /** `unregister_netdevice`: everything that hangs on the device goes with it. */
  unregisterNetdevice(dev: NetDevice): void {
    if (dev.net !== this) return;
    this.devClose(dev);
    this.flush();
    if (dev.ipPtr !== null) dev.ipPtr.dead = true;
    this.notifyNetdev('unregister', dev);
    this.#byIndex.delete(dev.ifindex);
    this.#byName.delete(dev.name);
    this.#list = this.#list.filter((d) => d !== dev);
    this.sysctl.removeDevice(dev.name);
    dev.ipPtr = null;
    dev.net = null;
  }

  /** `dev_open`: sets IFF_UP; 0 or the driver's errno. */
  devOpen(dev: NetDevice): number {
    if (dev.isUp) return 0;
    const error = dev.open();
    if (error < 0) return error;
    dev.flags |= IFF_UP;
    dev.qdiscAttached = true;
    this.notifyNetdev('up', dev);
    return 0;
  }

  /** `dev_close` */
  devClose(dev: NetDevice): void {
    if (!dev.isUp) return;
    this.notifyNetdev('goingDown', dev);
    dev.stop();
    dev.flags &= ~IFF_UP;
    this.notifyNetdev('down', dev);
  }

  /** `netif_carrier_on`, `netif_carrier_off` */
  setCarrier(dev: NetDevice, on: boolean): void {
    if (dev.carrier === on) return;
    dev.carrier = on;
    dev.carrierChanges++;
    if (dev.net === this && dev.isUp) this.notifyNetdev('change', dev);
  }

  /** `dev_set_mtu`: 0, or -EINVAL outside the driver's range. */
  devSetMtu(dev: NetDevice, mtu: number): number {
    if (dev.mtu === mtu) return 0;
    if (mtu < dev.minMtu || (dev.maxMtu !== 0 && mtu > dev.maxMtu)) return -EINVAL;
    dev.mtu = mtu;
    this.notifyNetdev('changeMtu', dev);
    return 0;
  }

  /** `dev_set_mac_address`: 0 or -EINVAL (length). */
  devSetMacAddress(dev: NetDevice, addr: Uint8Array): number {
    if (addr.length !== dev.addr.length) return -EINVAL;
    dev.addr = addr.slice();
    this.notifyNetdev('changeAddr', dev);
    return 0;
  }

  /** `dev_change_name`: 0, -EBUSY while up, -EEXIST, -EINVAL. */
  devChangeName(dev: NetDevice, name: string): number {
    if (dev.net !== this) return -ENODEV;
    if (dev.name === name) return 0;
    if (!devValidName(name)) return -EINVAL;
    if (this.#byName.has(name)) return -EEXIST;
    this.#byName.delete(dev.name);
    this.sysctl.renameDevice(dev.name, name);
    dev.name = name;
    this.#byName.set(name, dev);
    this.notifyNetdev('changeName', dev);
    return 0;
  }

  /** Puts a device under a VRF, or takes it out (`master` null). */
  devSetMaster(dev: NetDevice, master: NetDevice | null): number {
    if (dev.master === master) return 0;
    if (master !== null && !master.isL3Master) return -EINVAL;
    if (master === dev || dev.isL3Master || dev.isLoopback) return -EINVAL;
    dev.master = master;
    this.notifyNetdev('changeUpper', dev);
    if (dev.isUp) {
      // Its addresses get their routes in the other table (`cycle_netdev`, VRF-8).
      this.devClose(dev);
      return this.devOpen(dev);
    }
    return 0;
  }

  /** `dev_add_pack` */
  devAddPack(etherType: number, handler: PacketHandler): void {
    this.#packetTypes.set(etherType, handler);
  }
  packetHandler(etherType: number): PacketHandler | undefined {
    return this.#packetTypes.get(etherType);
  }

  /** A driver that batches says that it holds frames. */
  markDirty(dev: NetDevice): void {
    this.#dirty.push(dev);
  }
  /** The end of a trip into the stack: batching drivers hand their frames to the device. */
  flush(): void {
    this.captureSec = -1;
    while (this.#dirty.length > 0) this.#dirty.pop()!.flush();
  }

  /** Takes every device down and lets go of it. */
  close(): void {
    for (const dev of [...this.#list].reverse()) {
      this.unregisterNetdevice(dev);
      dev.close();
    }
    this.timers.close();
  }
}

/** `dev_valid_name` */
export function devValidName(name: string): boolean {
  return (
    name !== '' && Buffer.byteLength(name) < IFNAMSIZ && name !== '.' && name !== '..' && !/[/:\s]/.test(name)
  );
}
