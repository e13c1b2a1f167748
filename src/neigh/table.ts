/** The ARP table (`arp_tbl`): finding, making, collecting and flushing entries. */
import type { NeighParms } from '../core/sysctl.js';
import { Timer } from '../core/timers.js';
import type { NetDevice } from '../dev/net_device.js';
import type { SkBuff } from '../dev/skbuff.js';
import { ARPHRD_ETHER, IFF_LOOPBACK, IFF_NOARP, IFF_POINTOPOINT } from '../uapi/if.js';
import { ipv4IsMulticast } from '../uapi/in.js';
import { NTF_EXT_LEARNED, NUD_FAILED, NUD_IN_TIMER, NUD_NOARP, NUD_PERMANENT } from '../uapi/neighbour.js';
import { RTN_BROADCAST, RTN_MULTICAST } from '../uapi/rtnetlink.js';
import { writeMulticastAddress } from '../wire/ethernet.js';
import { Neighbour } from './neighbour.js';
import type { NeighNet } from './netns.js';
import { PneighTable, pneighIfdown } from './proxy.js';

/** Forced collection spares entries that changed within this time, and does not run more often. */
const GC_GRACE_MS = 5000;

/** What the state machine needs of the protocol above it (`struct neigh_ops`). */
export interface NeighOps {
  /** Asks for the address; a waiting packet may lend its source. */
  solicit(neigh: Neighbour, skb: SkBuff | null): void;
  /** Sends a packet that has waited. Consumes it. */
  output(neigh: Neighbour, skb: SkBuff): void;
  /** The entry's timer has fired. */
  timer(neigh: Neighbour): void;
  /** A request has waited for its time to be answered by proxy. Consumes it. */
  proxyRedo(skb: SkBuff): void;
}

export class ArpTable {
  /** By device, then by `key | 0`: a small integer in V8, so that the lookup boxes nothing. */
  readonly byDev = new Map<NetDevice, Map<number, Neighbour>>();
  /** Every entry, permanent ones too. */
  entries = 0;
  /** Those that may be collected, oldest first. */
  readonly gcList = new Set<Neighbour>();
  lastFlush = -Infinity;
  /** The time that a device's entries stay REACHABLE: drawn anew every five minutes (NEIGH-8). */
  readonly reachable = new Map<NeighParms, { baseMs: number; ms: number; drawnAt: number }>();
  gcTimer: Timer | null = null;
  readonly proxy = new PneighTable();
  /** `/proc/net/stat/arp_cache` */
  readonly stats = { resFailed: 0, unresDiscards: 0, tableFulls: 0, forcedGcRuns: 0 };

  constructor(readonly ops: NeighOps) {}
}

/** The entry of an address on a device, null where there is none. The key is as given: see `ipNeighForKey`. */
export function neighLookup(net: NeighNet, dev: NetDevice, key: number): Neighbour | null {
  const entries = net.arpTbl.byDev.get(dev);
  if (entries === undefined) return null;
  return entries.get(key | 0) ?? null;
}

/** NEIGH-1: point-to-point and loopback devices have one neighbour, 0.0.0.0. */
export function neighKey(dev: NetDevice, addr: number): number {
  return (dev.flags & (IFF_LOOPBACK | IFF_POINTOPOINT)) !== 0 ? 0 : addr;
}

/**
 * The neighbour that a packet to `addr` (gateway or destination) leaves by (`ip_neigh_gw4`).
 * @returns null where the table is full, or the device has no IPv4 (NEIGH-12)
 */
export function ipNeighForKey(net: NeighNet, dev: NetDevice, addr: number): Neighbour | null {
  const key = neighKey(dev, addr);
  return neighLookup(net, dev, key) ?? neighCreate(net, dev, key, false);
}

/**
 * Makes an entry (`__neigh_create`).
 * @param exempt permanent or learned by others: not counted against the limits, never collected
 * @returns null where the table is full or the device has no IPv4
 */
export function neighCreate(net: NeighNet, dev: NetDevice, addr: number, exempt: boolean): Neighbour | null {
  const inDev = dev.ipPtr;
  if (inDev === null || dev.net !== net || !admit(net, exempt)) return null;
  const key = neighKey(dev, addr);
  const known = neighLookup(net, dev, key);
  if (known !== null) return known;
  const neigh = new Neighbour(key, dev, inDev.arpParms, net.arpTbl.ops.timer);
  const now = net.clock.now();
  neigh.used = now;
  neigh.updated = now;
  neigh.confirmed = now - 2 * inDev.arpParms.baseReachableTimeMs;
  arpConstructor(net, neigh);
  const tbl = net.arpTbl;
  let entries = tbl.byDev.get(dev);
  if (entries === undefined) {
    entries = new Map();
    tbl.byDev.set(dev, entries);
  }
  entries.set(key | 0, neigh);
  tbl.entries++;
  if (!exempt) tbl.gcList.add(neigh);
  if (tbl.entries >= net.sysctl.neighTable.gcThresh1) armGc(net);
  return neigh;
}

/** NEIGH-12: is there room for one more? Collects where the limits ask for it. */
function admit(net: NeighNet, exempt: boolean): boolean {
  if (exempt) return true;
  const tbl = net.arpTbl;
  const entries = tbl.gcList.size;
  const { gcThresh2, gcThresh3 } = net.sysctl.neighTable;
  const full = entries >= gcThresh3;
  if (!full && (entries < gcThresh2 || net.clock.now() <= tbl.lastFlush + GC_GRACE_MS)) return true;
  if (neighForcedGc(net) > 0 || !full) return true;
  tbl.stats.tableFulls++;
  if (net.tracer !== null) {
    net.tracer.event({
      fn: 'neigh_alloc',
      step: 'full',
      text: `neighbor table overflow: ${entries} entries, gc_thresh3 is ${gcThresh3}`,
      rule: 'NEIGH-12',
    });
  }
  return false;
}

/** NEIGH-2: the state that follows from the address and the device alone (`arp_constructor`). */
function arpConstructor(net: NeighNet, neigh: Neighbour): void {
  const dev = neigh.dev;
  neigh.type = net.arpHost.inetAddrTypeDevTable(dev, neigh.key);
  if (neigh.noHeader) {
    neigh.nudState = NUD_NOARP;
    neigh.fastOutput = true;
  } else if (neigh.type === RTN_MULTICAST) {
    neigh.nudState = NUD_NOARP;
    // MC-1: only Ethernet maps groups to addresses.
    if (dev.type === ARPHRD_ETHER) writeMulticastAddress(neigh.ha, 0, neigh.key);
    else neigh.ha.set(dev.broadcast);
  } else if ((dev.flags & (IFF_NOARP | IFF_LOOPBACK)) !== 0) {
    neigh.nudState = NUD_NOARP;
    neigh.ha.set(dev.addr);
  } else if (neigh.type === RTN_BROADCAST || (dev.flags & IFF_POINTOPOINT) !== 0) {
    neigh.nudState = NUD_NOARP;
    neigh.ha.set(dev.broadcast);
  }
}

/** Takes an entry out of the table; what waits on it is dropped silently (`neigh_remove_one`). */
export function neighRemove(net: NeighNet, neigh: Neighbour): void {
  if (neigh.dead) return;
  const tbl = net.arpTbl;
  tbl.byDev.get(neigh.dev)?.delete(neigh.key | 0);
  tbl.entries--;
  tbl.gcList.delete(neigh);
  net.timers.del(neigh.timer);
  neigh.dead = true;
  neigh.fastOutput = false;
  neighPurgeQueue(net, neigh);
}

/** Drops what waits for resolution. */
export function neighPurgeQueue(net: NeighNet, neigh: Neighbour): void {
  const queue = neigh.queueHead;
  neigh.queueHead = null;
  neigh.queueTail = null;
  neigh.queueBytes = 0;
  net.skbs.freeList(queue);
}

/** An entry became permanent, or ceased to be: only others are counted and collected (`neigh_update_gc_list`). */
export function neighUpdateGcList(net: NeighNet, neigh: Neighbour): void {
  if (neigh.dead) return;
  const exempt = (neigh.nudState & NUD_PERMANENT) !== 0 || (neigh.flags & NTF_EXT_LEARNED) !== 0;
  if (exempt) net.arpTbl.gcList.delete(neigh);
  else net.arpTbl.gcList.add(neigh);
}

/** Makes room when the table is over its limits; how many entries went. */
function neighForcedGc(net: NeighNet): number {
  const tbl = net.arpTbl;
  const now = net.clock.now();
  const most = tbl.gcList.size - net.sysctl.neighTable.gcThresh2;
  let removed = 0;
  tbl.stats.forcedGcRuns++;
  for (const neigh of tbl.gcList) {
    // A pending timer holds a reference: resolution in progress, or REACHABLE.
    if (neigh.timer.pending) continue;
    const idle =
      neigh.nudState === NUD_FAILED ||
      neigh.nudState === NUD_NOARP ||
      ipv4IsMulticast(neigh.key) ||
      neigh.updated < now - GC_GRACE_MS;
    if (!idle) continue;
    neighRemove(net, neigh);
    if (++removed >= most) break;
  }
  tbl.lastFlush = now;
  return removed;
}

function armGc(net: NeighNet): void {
  const tbl = net.arpTbl;
  tbl.gcTimer ??= new Timer(() => neighPeriodicWork(net));
  if (tbl.gcTimer.pending) return;
  net.timers.mod(
    tbl.gcTimer,
    net.clock.now() + Math.max(10, net.sysctl.neighDefault.baseReachableTimeMs / 2),
  );
}

/** NEIGH-12: from gc_thresh1 entries up, failed ones and those unused for gc_stale_time go. */
function neighPeriodicWork(net: NeighNet): void {
  const tbl = net.arpTbl;
  if (tbl.entries < net.sysctl.neighTable.gcThresh1) return;
  const now = net.clock.now();
  for (const entries of tbl.byDev.values()) {
    for (const neigh of entries.values()) {
      if ((neigh.nudState & (NUD_PERMANENT | NUD_IN_TIMER)) !== 0) continue;
      if ((neigh.flags & NTF_EXT_LEARNED) !== 0 || neigh.timer.pending) continue;
      if (neigh.used < neigh.confirmed && neigh.confirmed <= now) neigh.used = neigh.confirmed;
      const stale = now - neigh.used >= neigh.parms.gcStaleTime * 1000;
      if (neigh.nudState === NUD_FAILED || stale) neighRemove(net, neigh);
    }
  }
  armGc(net);
}

/** NEIGH-14: removes the entries of a device; carrier loss spares permanent ones. */
export function neighFlushDev(net: NeighNet, dev: NetDevice, skipPermanent: boolean): void {
  const entries = net.arpTbl.byDev.get(dev);
  if (entries === undefined) return;
  for (const neigh of [...entries.values()]) {
    const spared = (neigh.nudState & NUD_PERMANENT) !== 0 || (neigh.flags & NTF_EXT_LEARNED) !== 0;
    if (!skipPermanent || !spared) neighRemove(net, neigh);
  }
  if (entries.size === 0) net.arpTbl.byDev.delete(dev);
}

/** IP goes off a device: its entries and proxies with it (`neigh_ifdown`). */
export function neighIfdown(net: NeighNet, dev: NetDevice): void {
  neighFlushDev(net, dev, false);
  pneighIfdown(net, dev, false);
}

/** A device lost its carrier: what is not permanent goes (`neigh_carrier_down`). */
export function neighCarrierDown(net: NeighNet, dev: NetDevice): void {
  neighFlushDev(net, dev, true);
  pneighIfdown(net, dev, true);
}

/** A device leaves: nothing of it is kept. */
export function neighForgetDev(net: NeighNet, dev: NetDevice): void {
  neighIfdown(net, dev);
  if (dev.ipPtr !== null) net.arpTbl.reachable.delete(dev.ipPtr.arpParms);
}
