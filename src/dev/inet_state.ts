import type { Timer } from '../core/timers.js';
import type { InIfaddr } from './in_device.js';
import type { NetDevice } from './net_device.js';
import type { SkBuff } from './skbuff.js';

/** What became of a packet that a VRF device sent: it went on, it is for ourselves (not consumed), or it was dropped. */
export type VrfVerdict = 'sent' | 'local' | 'error';

/** What a Net knows of its addresses as a whole, and what devices and addresses ask of the routing above. */
export class InetState {
  /** Looks after addresses that do not live forever (`check_lifetime_work`); null until there is one. */
  lifetimeTimer: Timer | null = null;
  /** Every configured address by its local part (`inet_addr_lst`); newest first, as the kernel's hash chain. */
  readonly addrHash = new Map<number, InIfaddr[]>();
  /** Set by the routing room: puts the routes of an address back in place when a secondary is promoted. */
  fibAddIfaddr: (ifa: InIfaddr) => void = () => {};
  /** Set by the routing room: takes the routes of a secondary away whose primary `iprim` goes. */
  fibDelIfaddr: (ifa: InIfaddr, iprim: InIfaddr) => void = () => {};
  /** Set by the routing room: gives the connected route of an address another metric. */
  fibModifyPrefixMetric: (ifa: InIfaddr, metric: number) => void = () => {};
  /** Set by the routing room: routes a packet, `data` at its link header, that was sent to a VRF device. Consumes it but for 'local'. */
  vrfOutbound: (skb: SkBuff, vrf: NetDevice) => VrfVerdict = (skb, vrf) => {
    vrf.net?.skbs.free(skb);
    return 'error';
  };
}
