/** Several nexthops of one route (FIB-20..24). */
import { neighLookup } from '../neigh/table.js';
import { NUD_VALID } from '../uapi/neighbour.js';
import { RT_SCOPE_LINK, RTNH_F_DEAD, RTNH_F_LINKDOWN } from '../uapi/rtnetlink.js';
import { ipIgnoreLinkdown } from './fib_trie.js';
import type { FibInfo, FibNh, FibResult } from './fib_types.js';
import type { Flowi4 } from './flow.js';
import type { RouteNet } from './netns.js';
import { traceStep } from './trace.js';

/** Fields of `net.ipv4.fib_multipath_hash_fields` that a flow of ours has. */
const FIELD_SRC_IP = 1;
const FIELD_DST_IP = 2;
const FIELD_IP_PROTO = 4;
const FIELD_SRC_PORT = 0x10;
const FIELD_DST_PORT = 0x20;

/** Gives each usable nexthop its share of the 31-bit hash, by weight (`fib_rebalance`, FIB-21). */
export function fibRebalance(fi: FibInfo): void {
  if (fi.nhs.length < 2) return;
  let total = 0;
  for (const nh of fi.nhs) if (nexthopCounts(nh)) total += nh.weight;
  let sum = 0;
  for (const nh of fi.nhs) {
    if (!nexthopCounts(nh)) {
      nh.upperBound = -1;
      continue;
    }
    sum += nh.weight;
    nh.upperBound = Math.floor((sum * 0x8000_0000 + Math.floor(total / 2)) / total) - 1;
  }
}

function nexthopCounts(nh: FibNh): boolean {
  if ((nh.flags & RTNH_F_DEAD) !== 0) return false;
  return (nh.flags & RTNH_F_LINKDOWN) === 0 || !ipIgnoreLinkdown(nh);
}

/** The 31-bit hash of a flow by `net.ipv4.fib_multipath_hash_policy` (`fib_multipath_hash`, FIB-20). */
export function fibMultipathHash(net: RouteNet, fl4: Flowi4): number {
  const seed = multipathSeed(net);
  const policy = net.sysctl.ipv4.fibMultipathHashPolicy;
  let fields = FIELD_SRC_IP | FIELD_DST_IP;
  if (policy === 1) fields |= FIELD_IP_PROTO | FIELD_SRC_PORT | FIELD_DST_PORT;
  if (policy === 3) fields = net.sysctl.ipv4.fibMultipathHashFields;
  let hash = seed[0];
  hash = mix(hash, (fields & FIELD_SRC_IP) !== 0 ? fl4.saddr : 0);
  hash = mix(hash, (fields & FIELD_DST_IP) !== 0 ? fl4.daddr : 0);
  hash = mix(hash, (fields & FIELD_IP_PROTO) !== 0 ? fl4.proto : 0);
  hash = mix(
    hash,
    ((fields & FIELD_SRC_PORT) !== 0 ? fl4.sport : 0) |
      ((fields & FIELD_DST_PORT) !== 0 ? fl4.dport << 16 : 0),
  );
  hash = finish(hash ^ seed[1]);
  if (fl4.multipathHash !== 0) hash = finish(mix(hash, fl4.multipathHash));
  return hash >>> 1;
}

function multipathSeed(net: RouteNet): readonly [number, number] {
  net.multipathSeed ??= [net.random.u32(), net.random.u32()];
  return net.multipathSeed;
}

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** FIB-22: a nexthop whose neighbour is known not to answer is passed over (`fib_good_nh`). */
function fibGoodNh(net: RouteNet, nh: FibNh): boolean {
  if (nh.scope !== RT_SCOPE_LINK || nh.gw === 0 || nh.dev === null) return true;
  const neigh = neighLookup(net, nh.dev, nh.gw);
  return neigh === null || (neigh.nudState & NUD_VALID) !== 0;
}

/** Takes the nexthop of a hash (`fib_select_multipath`). */
export function fibSelectMultipath(net: RouteNet, res: FibResult, hash: number, saddr: number): void {
  if (net.profile.multipathSourceAffinity) selectByScore(net, res, hash, saddr);
  else selectByHash(net, res, hash);
  if (net.tracer !== null) {
    const text = `nexthop ${res.nhSel + 1} of ${res.fi!.nhs.length}, hash 0x${hash.toString(16)}`;
    traceStep(net, 'multipath', text, 'FIB-21');
  }
}

/** FIB-23: a nexthop whose own source is the flow's counts more than the hash. */
function selectByScore(net: RouteNet, res: FibResult, hash: number, saddr: number): void {
  const useNeigh = net.sysctl.ipv4.fibMultipathUseNeigh !== 0;
  const { nhs } = res.fi!;
  let best = -1;
  for (let i = 0; i < nhs.length; i++) {
    const nh = nhs[i]!;
    if (nh.upperBound === -1 || (useNeigh && !fibGoodNh(net, nh))) continue;
    const score = (saddr !== 0 && nh.saddr === saddr ? 2 : 0) + (hash <= nh.upperBound ? 1 : 0);
    if (score <= best) continue;
    res.nhSel = i;
    res.nhc = nh;
    if (score === 3 || (saddr === 0 && score === 1)) return;
    best = score;
  }
}

/** Kernels before 6.15: the hash alone. */
function selectByHash(net: RouteNet, res: FibResult, hash: number): void {
  const useNeigh = net.sysctl.ipv4.fibMultipathUseNeigh !== 0;
  const { nhs } = res.fi!;
  let first = true;
  for (let i = 0; i < nhs.length; i++) {
    const nh = nhs[i]!;
    if (useNeigh) {
      if (!fibGoodNh(net, nh)) continue;
      if (first) {
        res.nhSel = i;
        res.nhc = nh;
        first = false;
      }
    }
    if (hash > nh.upperBound) continue;
    res.nhSel = i;
    res.nhc = nh;
    return;
  }
}
