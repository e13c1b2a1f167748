/** What `ip link` does to devices, in the kernel's order (`net/core/rtnetlink.c`, `do_setlink`, `rtnl_newlink`). */
import { DummyDevice } from '../dev/dummy.js';
import type { NetDevice } from '../dev/net_device.js';
import { VrfDevice } from '../dev/vrf.js';
import { neighFlushDev } from '../neigh/table.js';
import type { RouteNet } from '../route/netns.js';
import { EADDRNOTAVAIL, EBUSY, EEXIST, EINVAL, EOPNOTSUPP } from '../uapi/errno.js';
import { IFF_ALLMULTI, IFF_NOARP, IFF_PROMISC, IFF_UP } from '../uapi/if.js';
import type { IpContext } from './utils.js';

/** Changes to one device; what is absent stays. */
export interface LinkRequest {
  readonly name?: string;
  readonly address?: Uint8Array;
  readonly broadcast?: Uint8Array;
  readonly mtu?: number;
  readonly group?: number | null;
  readonly alias?: string;
  /** null: no master. */
  readonly master?: NetDevice | null;
  /** IFF_* that `flagMask` names. */
  readonly flags?: number;
  readonly flagMask?: number;
  readonly carrier?: boolean;
  readonly txQueueLen?: number;
  readonly kind?: string;
}

/** A device that is to be made. */
export interface NewLink extends Omit<LinkRequest, 'name' | 'kind' | 'group'> {
  /** null: the kind's name and the first number that is free. */
  readonly name: string | null;
  readonly kind: string;
  readonly index: number | null;
  /** Of a VRF. */
  readonly table: number | null;
  readonly group: number;
}

/** Bytes of an alias and its end. */
const IFALIASZ = 256;
/** Drivers that let their carrier be set by hand. */
const CARRIER_KINDS: readonly string[] = ['tun', 'dummy'];

function check(context: IpContext, error: number, extack?: string): void {
  if (error < 0) context.refuse(-error, extack);
}

function setMtu(context: IpContext, net: RouteNet, dev: NetDevice, mtu: number): void {
  if (mtu === dev.mtu) return;
  if (mtu < 0 || mtu < dev.minMtu) context.refuse(EINVAL, 'mtu less than device minimum');
  if (dev.maxMtu > 0 && mtu > dev.maxMtu) context.refuse(EINVAL, 'mtu greater than device maximum');
  check(context, net.devSetMtu(dev, mtu));
}

/** A device's address is one of a single station: not a group, not zero; lo takes what it is given. */
function setAddress(context: IpContext, net: RouteNet, dev: NetDevice, address: Uint8Array): void {
  const own = address.subarray(0, dev.addr.length);
  if ((own[0]! & 1) !== 0 || own.every((byte) => byte === 0)) context.refuse(EADDRNOTAVAIL);
  check(context, net.devSetMacAddress(dev, own));
}

/** `do_set_master` */
function setMaster(context: IpContext, net: RouteNet, dev: NetDevice, master: NetDevice | null): void {
  if (dev.master === master && master === null) return;
  if (master !== null) {
    if (!master.isL3Master) context.refuse(EOPNOTSUPP);
    if (dev.isLoopback) context.refuse(EOPNOTSUPP);
    if (dev.isL3Master) context.refuse(EINVAL, 'Can not enslave an L3 master device to a VRF');
    // Leaving the old master comes first, also where it is the same.
    if (dev.master !== null) check(context, net.devSetMaster(dev, null));
  }
  check(context, net.devSetMaster(dev, master));
}

/** `dev_change_flags` */
function setFlags(context: IpContext, net: RouteNet, dev: NetDevice, flags: number, mask: number): void {
  const before = dev.flags;
  dev.flags = (dev.flags & ~(mask & ~IFF_UP)) | (flags & mask & ~IFF_UP);
  if ((mask & IFF_UP) !== 0) {
    if ((flags & IFF_UP) !== 0) check(context, net.devOpen(dev));
    else net.devClose(dev);
  }
  const changed = before ^ dev.flags;
  if (!dev.isUp || (changed & ~(IFF_UP | IFF_PROMISC | IFF_ALLMULTI)) === 0) return;
  // Whether a link answers ARP changes what every neighbour on it is.
  if ((changed & IFF_NOARP) !== 0) neighFlushDev(net, dev, false);
  net.notifyNetdev('change', dev);
}

/** `ip link set`. What was done before a change that is refused stays done, and is told to those who watch devices. */
export function setLink(context: IpContext, dev: NetDevice, request: LinkRequest): void {
  const { net } = context;
  // Changes that have no notice of their own are told at the end (netdev_state_change).
  let untold = false;
  try {
    if (request.address !== undefined) setAddress(context, net, dev, request.address);
    if (request.mtu !== undefined) setMtu(context, net, dev, request.mtu);
    if (request.group !== undefined && request.group !== null) {
      dev.group = request.group;
      untold = true;
    }
    if (request.name !== undefined && request.name !== dev.name)
      check(context, net.devChangeName(dev, request.name));
    if (request.alias !== undefined) {
      if (Buffer.byteLength(request.alias) >= IFALIASZ) context.refuse(EINVAL);
      dev.ifalias = request.alias;
      untold = true;
    }
    if (request.broadcast !== undefined) {
      dev.broadcast = request.broadcast.slice(0, dev.addr.length);
      net.notifyNetdev('changeAddr', dev);
    }
    if (request.master !== undefined) setMaster(context, net, dev, request.master);
    if (request.flagMask !== undefined) setFlags(context, net, dev, request.flags ?? 0, request.flagMask);
    if (request.carrier !== undefined) {
      if (!CARRIER_KINDS.includes(dev.kind)) context.refuse(EOPNOTSUPP);
      net.setCarrier(dev, request.carrier);
    }
    if (request.txQueueLen !== undefined) {
      if (request.txQueueLen < 0) context.refuse(EINVAL);
      if (request.txQueueLen !== dev.txQueueLen) untold = true;
      dev.txQueueLen = request.txQueueLen;
    }
  } finally {
    if (untold && dev.isUp) net.notifyNetdev('change', dev);
  }
}

function freeName(net: RouteNet, kind: string): string {
  let number = 0;
  while (net.devGetByName(`${kind}${number}`) !== null) number++;
  return `${kind}${number}`;
}

function makeDevice(context: IpContext, name: string, link: NewLink): NetDevice {
  if (link.kind === 'dummy') return new DummyDevice(name);
  if (link.kind !== 'vrf') context.refuse(EOPNOTSUPP, 'Unknown device type');
  if (link.table === null) return context.refuse(EINVAL, 'VRF table id is missing');
  if (link.table === 0) context.refuse(EINVAL, 'Invalid VRF table id');
  return new VrfDevice(name, link.table);
}

/** `ip link add` */
export function addLink(context: IpContext, link: NewLink): void {
  const { net } = context;
  if (link.name !== null && net.devGetByName(link.name) !== null) context.refuse(EEXIST);
  const dev = makeDevice(context, link.name ?? freeName(net, link.kind), link);
  if (link.index !== null) {
    if (net.devGetByIndex(link.index) !== null) context.refuse(EBUSY);
    dev.ifindex = link.index;
  }
  if (link.mtu !== undefined) {
    if (link.mtu < dev.minMtu) context.refuse(EINVAL, 'mtu less than device minimum');
    if (dev.maxMtu > 0 && link.mtu > dev.maxMtu) context.refuse(EINVAL, 'mtu greater than device maximum');
    dev.mtu = link.mtu;
  }
  if (link.address !== undefined) {
    if (link.address.length < dev.addr.length) context.refuse(EINVAL);
    if ((link.address[0]! & 1) !== 0 || link.address.every((byte) => byte === 0))
      context.refuse(EADDRNOTAVAIL);
    dev.addr = link.address.slice(0, dev.addr.length);
  }
  if (link.broadcast !== undefined) dev.broadcast = link.broadcast.slice(0, dev.addr.length);
  dev.group = link.group;
  if (link.txQueueLen !== undefined) dev.txQueueLen = link.txQueueLen;
  check(context, net.registerNetdevice(dev));
  if (link.alias !== undefined) dev.ifalias = link.alias;
  if (link.master !== undefined) setMaster(context, net, dev, link.master);
  if (link.flagMask !== undefined) setFlags(context, net, dev, link.flags ?? 0, link.flagMask);
}

/** `ip link del` */
export function deleteLink(context: IpContext, dev: NetDevice, kind: string | null): void {
  if (dev.kind === '' || (kind !== null && kind !== dev.kind)) context.refuse(EOPNOTSUPP);
  context.net.unregisterNetdevice(dev);
  dev.close();
}
