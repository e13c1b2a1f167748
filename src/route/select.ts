/** What is left to choose once a route is found: nexthop, default route, source (`fib_select_path` in `net/ipv4/fib_semantics.c`). */
import { inetSelectAddr, l3mdevMasterDev } from '../dev/inet_select.js';
import { neighLookup } from '../neigh/table.js';
import { NUD_INCOMPLETE, NUD_REACHABLE, NUD_VALID } from '../uapi/neighbour.js';
import { RT_SCOPE_LINK, RTN_UNICAST, RTNH_F_DEAD } from '../uapi/rtnetlink.js';
import { fibResultPrefsrc } from './fib_semantics.js';
import type { FibInfo, FibResult } from './fib_types.js';
import type { Flowi4 } from './flow.js';
import { fibMultipathHash, fibSelectMultipath } from './multipath.js';
import type { RouteNet } from './netns.js';

/** ROUTE-14: the nexthop, and where the flow has no source yet, the source. */
export function fibSelectPath(net: RouteNet, res: FibResult, fl4: Flowi4): void {
  if (fl4.oif === 0) {
    if (res.fi!.nhs.length > 1) fibSelectMultipath(net, res, fibMultipathHash(net, fl4), fl4.saddr);
    else if (res.prefixlen === 0 && res.table!.numDefault > 1 && res.type === RTN_UNICAST)
      fibSelectDefault(net, fl4, res);
  }
  if (fl4.saddr !== 0) return;
  const vrf = fl4.l3mdev === 0 ? null : net.devGetByIndex(fl4.l3mdev);
  // VRF-5: a nexthop outside of the flow's VRF does not give the source.
  if (vrf === null || l3mdevMasterDev(res.nhc!.dev!) === vrf) fl4.saddr = fibResultPrefsrc(net, res);
  else fl4.saddr = inetSelectAddr(net, vrf, 0, RT_SCOPE_LINK);
}

function assign(res: FibResult, fi: FibInfo): void {
  res.fi = fi;
  res.nhSel = 0;
  res.nhc = fi.nhs[0]!;
}

/** What `fib_detect_death` remembers of the default routes before. */
interface LastResort {
  fi: FibInfo | null;
  index: number;
}

/**
 * Among several default routes of one priority, the first whose gateway is not known to be dead (`fib_select_default`): the one in
 * use stays in use while its neighbour is valid.
 */
function fibSelectDefault(net: RouteNet, fl4: Flowi4, res: FibResult): void {
  const tb = res.table!;
  const { trie } = tb;
  const last: LastResort = { fi: null, index: -1 };
  let fi: FibInfo | null = null;
  let first = 0;
  let order = -1;
  let lastPriority = res.fi!.priority;
  let lastDscp = 0;
  for (let alias = res.faHead; alias !== 0; alias = trie.aliasNext(alias)) {
    const dscp = trie.aliasDscp(alias);
    if (dscp !== 0 && dscp !== (fl4.tos & 0x1c)) continue;
    if (trie.aliasInfo(alias).tbId !== tb.id) continue;
    const next = trie.aliasInfo(alias);
    if (next.priority > lastPriority && dscp === lastDscp) {
      if (lastDscp !== 0) continue;
      break;
    }
    if ((next.flags & RTNH_F_DEAD) !== 0) continue;
    lastDscp = dscp;
    lastPriority = next.priority;
    if (next.scope !== res.scope || trie.aliasInfo(alias).type !== RTN_UNICAST) continue;
    const nh = next.nhs[0]!;
    if (nh.gw === 0 || nh.scope !== RT_SCOPE_LINK) continue;
    trie.setAccessed(alias);
    if (fi === null) {
      if (next !== res.fi) break;
      first = alias;
    } else if (!fibDetectDeath(net, fi, order, last, trie.faDefault.get(first) ?? -1)) {
      assign(res, fi);
      trie.faDefault.set(first, order);
      return;
    }
    fi = next;
    order++;
  }
  if (order <= 0 || fi === null) {
    if (first !== 0) trie.faDefault.delete(first);
    return;
  }
  if (!fibDetectDeath(net, fi, order, last, trie.faDefault.get(first) ?? -1)) {
    assign(res, fi);
    trie.faDefault.set(first, order);
    return;
  }
  if (last.index >= 0) assign(res, last.fi!);
  trie.faDefault.set(first, last.index);
}

/** True where a route's gateway is not to be taken now; remembers it as a last resort (`fib_detect_death`). */
function fibDetectDeath(net: RouteNet, fi: FibInfo, order: number, last: LastResort, inUse: number): boolean {
  const nh = fi.nhs[0]!;
  const neigh = nh.dev === null ? null : neighLookup(net, nh.dev, nh.gw);
  if (neigh === null) return false;
  const state = neigh.nudState;
  if (state === NUD_REACHABLE) return false;
  const valid = (state & NUD_VALID) !== 0;
  if (valid && order !== inUse) return false;
  if (valid || (last.index < 0 && order > inUse && state !== NUD_INCOMPLETE)) {
    last.fi = fi;
    last.index = order;
  }
  return true;
}
