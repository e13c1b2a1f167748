/** The routing of a Net: its tables and rules, its generations, and what ARP below asks of them. */
import type { NetOptions } from '../core/netns.js';
import { devinetInit } from '../dev/devinet.js';
import type { SkBuff } from '../dev/skbuff.js';
import { NeighNet } from '../neigh/netns.js';
import { arpHostOf } from './arp_host.js';
import { Fib } from './fib.js';
import { fibFrontendInit } from './fib_ifaddr.js';
import { FibRules } from './fib_lookup.js';
import type { FibTable } from './fib_types.js';
import { vrfDevEvent, vrfProcessV4Outbound } from './vrf.js';

export class RouteNet extends NeighNet {
  readonly fib = new Fib();
  readonly fibRules = new FibRules();
  /** ROUTE-50: a resolved route of another generation is stale (`rt_genid`). */
  rtGenid = 0;
  /** An exception of another generation is void (`fnhe_genid`). */
  fnheGenid = 0;
  /** A nexthop's cached source of another generation is chosen anew (`dev_addr_genid`). */
  devAddrGenid = 0;
  /** Key of the multipath hash, drawn when it is first needed. */
  multipathSeed: readonly [number, number] | null = null;

  /** There was a VRF once: its rule has been made. */
  hadVrf = false;
  /** Sends a routed packet, `data` at its IP header (`dst_output`); set by the ip room. Consumes it. */
  dstOutput: (skb: SkBuff) => number = (skb) => {
    this.skbs.free(skb);
    return 0;
  };

  constructor(options: NetOptions = {}) {
    super(options);
    devinetInit(this);
    fibFrontendInit(this);
    this.arpHost = arpHostOf(this);
    this.onNetdev((event, dev) => vrfDevEvent(this, event, dev));
    this.inet.vrfOutbound = (skb, vrf) => vrfProcessV4Outbound(this, skb, vrf);
  }

  /** `fib_get_table`: null where the table has never been used. */
  fibGetTable(id: number): FibTable | null {
    return this.fib.getTable(id);
  }
}
