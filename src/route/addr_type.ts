/** What kind of address an address is (`inet_addr_type` and kin in `net/ipv4/fib_frontend.c`, ROUTE-6, BIND-2). */
import { inetLookupIfaddr, l3mdevFibTable } from '../dev/inet_select.js';
import type { NetDevice } from '../dev/net_device.js';
import { ipv4IsLbcast, ipv4IsMulticast, ipv4IsZeronet } from '../uapi/in.js';
import { RT_TABLE_LOCAL, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST } from '../uapi/rtnetlink.js';
import type { RouteNet } from './netns.js';

function addrType(net: RouteNet, dev: NetDevice | null, addr: number, tbId: number): number {
  if (ipv4IsZeronet(addr) || ipv4IsLbcast(addr)) return RTN_BROADCAST;
  if (ipv4IsMulticast(addr)) return RTN_MULTICAST;
  const table = net.fib.getTable(tbId);
  if (table === null) return RTN_BROADCAST;
  const { addrFlow: fl4, addrResult: res } = net.fib;
  fl4.daddr = addr;
  if (table.trie.lookup(table, fl4, res, 0) !== 0) return RTN_UNICAST;
  return dev === null || res.fi!.nhs[0]!.dev === dev ? res.type : RTN_UNICAST;
}

/** RTN_* of an address by one table (`inet_addr_type_table`). */
export function inetAddrTypeTable(net: RouteNet, addr: number, tbId: number): number {
  return addrType(net, null, addr, tbId);
}
/** RTN_* of an address by the local table (`inet_addr_type`). */
export function inetAddrType(net: RouteNet, addr: number): number {
  return addrType(net, null, addr, RT_TABLE_LOCAL);
}
/** RTN_* of an address by the local table, if it is one of this device's (`inet_dev_addr_type`). */
export function inetDevAddrType(net: RouteNet, dev: NetDevice, addr: number): number {
  return addrType(net, dev, addr, l3mdevFibTable(dev) || RT_TABLE_LOCAL);
}
/** RTN_* of an address by the local table of a device's domain: its VRF's, or the namespace's (`inet_addr_type_dev_table`). */
export function inetAddrTypeDevTable(net: RouteNet, dev: NetDevice | null, addr: number): number {
  return addrType(net, null, addr, (dev !== null && l3mdevFibTable(dev)) || RT_TABLE_LOCAL);
}

/**
 * The device that an address of ours belongs to (`__ip_dev_find`, ROUTE-6): one that has it, or that of a `local` route to it.
 * Null where it is not ours.
 */
export function ipDevFind(net: RouteNet, addr: number): NetDevice | null {
  const ifa = inetLookupIfaddr(net, addr);
  if (ifa !== null) return ifa.inDev.dev;
  const local = net.fib.getTable(RT_TABLE_LOCAL);
  if (local === null) return null;
  const { addrFlow: fl4, addrResult: res } = net.fib;
  fl4.daddr = addr;
  if (local.trie.lookup(local, fl4, res, 0) !== 0 || res.type !== RTN_LOCAL) return null;
  return res.nhc!.dev;
}
