import type { InIfaddr } from './in_device.js';

/** What a Net knows of its addresses as a whole, and what address changes ask of the routing above (`fib_add_ifaddr`, `fib_del_ifaddr`). */
export class InetState {
  /** Every configured address by its local part (`inet_addr_lst`); newest first, as the kernel's hash chain. */
  readonly addrHash = new Map<number, InIfaddr[]>();
  /** Set by the routing room: puts the routes of an address back in place when a secondary is promoted. */
  fibAddIfaddr: (ifa: InIfaddr) => void = () => {};
  /** Set by the routing room: takes the routes of a secondary away whose primary `iprim` goes. */
  fibDelIfaddr: (ifa: InIfaddr, iprim: InIfaddr) => void = () => {};
  /** Set by the routing room: gives the connected route of an address another metric. */
  fibModifyPrefixMetric: (ifa: InIfaddr, metric: number) => void = () => {};
}
