/** The FIB as a list: every route is looked at, the best is kept. What the trie must equal (FIB-1, FIB-2). */

import { FIB_PROPS, type FibInfo } from '../../src/route/fib_types.js';
import type { Flowi4 } from '../../src/route/flow.js';
import { EAGAIN } from '../../src/uapi/errno.js';

export interface NaiveRoute {
  readonly key: number;
  readonly plen: number;
  readonly dscp: number;
  readonly info: FibInfo;
  readonly age: number;
}

export interface NaiveAnswer {
  readonly err: number;
  readonly route: NaiveRoute | null;
}

function covers(route: NaiveRoute, addr: number): boolean {
  return route.plen === 0 || (route.key ^ addr) >>> (32 - route.plen) === 0;
}

/** Longest prefix first; within one, higher TOS, lower priority, older. */
export function naiveOrder(a: NaiveRoute, b: NaiveRoute): number {
  return b.plen - a.plen || b.dscp - a.dscp || a.info.priority - b.info.priority || a.age - b.age;
}

export function naiveLookup(routes: readonly NaiveRoute[], fl4: Flowi4): NaiveAnswer {
  for (const route of routes.filter((r) => covers(r, fl4.daddr)).sort(naiveOrder)) {
    if (route.dscp !== 0 && route.dscp !== (fl4.tos & 0x1c)) continue;
    if (route.info.scope < fl4.scope) continue;
    const { error } = FIB_PROPS[route.info.type]!;
    if (error < 0) return { err: error, route: null };
    if (route.info.nhs.some((nh) => fl4.oif === 0 || fl4.oif === nh.oif)) return { err: 0, route };
  }
  return { err: -EAGAIN, route: null };
}
