/** The parts of a routing table (`net/ip_fib.h`): nexthops, what routes share, what a lookup answers. */
import type { NetDevice } from '../dev/net_device.js';
import { EACCES, EAGAIN, EHOSTUNREACH, EINVAL } from '../uapi/errno.js';
import {
  type RouteNexthop,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RTAX_MAX,
} from '../uapi/rtnetlink.js';
import type { FibNhException } from './exceptions.js';
import type { FibTrie } from './fib_trie.js';
import type { Rtable } from './rtable.js';

/** By RTN_*: the errno that a route of this type answers, and the widest scope that it may have (`fib_props`, FIB-3, FIB-4). */
export const FIB_PROPS: readonly { readonly error: number; readonly scope: number }[] = [
  { error: 0, scope: RT_SCOPE_NOWHERE },
  { error: 0, scope: RT_SCOPE_UNIVERSE },
  { error: 0, scope: RT_SCOPE_HOST },
  { error: 0, scope: RT_SCOPE_LINK },
  { error: 0, scope: RT_SCOPE_LINK },
  { error: 0, scope: RT_SCOPE_UNIVERSE },
  { error: -EINVAL, scope: RT_SCOPE_UNIVERSE },
  { error: -EHOSTUNREACH, scope: RT_SCOPE_UNIVERSE },
  { error: -EACCES, scope: RT_SCOPE_UNIVERSE },
  { error: -EAGAIN, scope: RT_SCOPE_UNIVERSE },
  { error: -EINVAL, scope: RT_SCOPE_NOWHERE },
  { error: -EINVAL, scope: RT_SCOPE_NOWHERE },
];

/** RTAX_* values of a route; index RTAX_LOCK is the bit set of locked ones. */
export type FibMetrics = Uint32Array;
export const FIB_METRICS_LENGTH = RTAX_MAX + 1;

/** A lookup that takes nexthops whose link is down, whatever `ignore_routes_with_linkdown` says. */
export const FIB_LOOKUP_IGNORE_LINKSTATE = 2;

/** One nexthop (`struct fib_nh`). */
export class FibNh {
  dev: NetDevice | null = null;
  oif = 0;
  /** RTNH_F_* */
  flags = 0;
  /** 0 for none. */
  gw = 0;
  /** RT_SCOPE_* of the way to the gateway; a gateway is used where it is LINK. */
  scope = 0;
  weight = 1;
  /** FIB-21: the highest 31-bit hash that is its own; -1 for none. */
  upperBound = 0;
  /** SADDR-1: the source for this nexthop, valid while `saddrGenid` is the namespace's. */
  saddr = 0;
  saddrGenid = -1;
  /** The resolved routes of this nexthop (`nhc_pcpu_rth_output`, `nhc_rth_input`). */
  rthOutput: Rtable | null = null;
  rthInput: Rtable | null = null;
  /** ROUTE-40, by bucket of the destination's hash. */
  exceptions: Map<number, FibNhException[]> | null = null;
}

/** What routes share (`struct fib_info`). */
export class FibInfo {
  /** Place in the namespace's list; 0 until it is there. */
  index = 0;
  /** How many routes use it. */
  treeref = 0;
  dead = false;
  /** The route's preferred source was removed (`pfsrc_removed`). */
  pfsrcRemoved = false;
  hash = 0;
  constructor(
    readonly protocol: number,
    readonly scope: number,
    /** RTNH_F_* */
    public flags: number,
    readonly priority: number,
    readonly prefsrc: number,
    readonly type: number,
    readonly tbId: number,
    readonly metrics: FibMetrics | null,
    readonly nhs: readonly FibNh[],
  ) {}
}

/** A request to make or remove a route (`struct fib_config`). */
export interface FibConfig {
  dst: number;
  dstLen: number;
  dscp: number;
  table: number;
  protocol: number;
  scope: number;
  type: number;
  flags: number;
  priority: number;
  prefsrc: number;
  oif: number;
  /** 0 for none. */
  gw: number;
  mp: readonly RouteNexthop[] | null;
  metrics: ReadonlyMap<number, number> | null;
  /** NLM_F_* */
  nlflags: number;
}

/** One routing table. Local and main share a trie until there are rules of one's own (RULE-1). */
export class FibTable {
  /** Routes to 0.0.0.0/0. */
  numDefault = 0;
  constructor(
    readonly id: number,
    public trie: FibTrie,
  ) {}
}

/** What a lookup answers (`struct fib_result`); reused, valid until the next lookup with it. */
export class FibResult {
  prefix = 0;
  prefixlen = 0;
  nhSel = 0;
  /** RTN_* */
  type = 0;
  scope = 0;
  dscp = 0;
  fi: FibInfo | null = null;
  nhc: FibNh | null = null;
  table: FibTable | null = null;
  /** First alias of the matched prefix in the table's trie; 0 where it is the only one. */
  faHead = 0;

  reset(): void {
    this.prefixlen = 0;
    this.type = 0;
    this.fi = null;
    this.nhc = null;
    this.table = null;
  }
}
