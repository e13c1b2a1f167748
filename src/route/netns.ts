/** The routing of a Net: its tables and rules, its generations, and what ARP below asks of them. */
import type { NetOptions } from '../core/netns.js';
import { devinetInit } from '../dev/devinet.js';
import { NeighNet } from '../neigh/netns.js';
import { arpHostOf } from './arp_host.js';
import { Fib } from './fib.js';
import { fibFrontendInit } from './fib_ifaddr.js';
import { FibRules } from './fib_lookup.js';
import type { FibTable } from './fib_types.js';

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

  constructor(options: NetOptions = {}) {
    super(options);
    devinetInit(this);
    fibFrontendInit(this);
    this.arpHost = arpHostOf(this);
  }

  /** `fib_get_table`: null where the table has never been used. */
  fibGetTable(id: number): FibTable | null {
    return this.fib.getTable(id);
  }
}
