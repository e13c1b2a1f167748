/** VRF questions by interface index (`net/l3mdev.h`). */
import { l3mdevFibTable, l3mdevMasterIfindex } from '../dev/inet_select.js';
import type { RouteNet } from './netns.js';

/** The device is a VRF (`netif_index_is_l3_master`). */
export function netifIndexIsL3Master(net: RouteNet, ifindex: number): boolean {
  return ifindex !== 0 && (net.devGetByIndex(ifindex)?.isL3Master ?? false);
}
/** ifindex of the VRF that a device is or belongs to, 0 for none (`l3mdev_master_ifindex_by_index`). */
export function l3mdevMasterIfindexByIndex(net: RouteNet, ifindex: number): number {
  const dev = ifindex === 0 ? null : net.devGetByIndex(ifindex);
  return dev === null ? 0 : l3mdevMasterIfindex(dev);
}
/** Routing table of the VRF that a device is or belongs to, 0 for none (`l3mdev_fib_table_by_index`). */
export function l3mdevFibTableByIndex(net: RouteNet, ifindex: number): number {
  const dev = ifindex === 0 ? null : net.devGetByIndex(ifindex);
  return dev === null ? 0 : l3mdevFibTable(dev);
}
