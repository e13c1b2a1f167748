/**
 * The neighbour state machine (`net/core/neighbour.c`).
 *
 * An entry is born NONE. A packet makes it INCOMPLETE: the packet waits while requests go out, and an answer makes the entry
 * REACHABLE, silence makes it FAILED. What nobody has confirmed for a while is STALE: still good for sending, but the first packet
 * starts a DELAY in which upper layers may vouch for it (MSG_CONFIRM); then it is PROBEd by unicast, without holding up
 * packets. NOARP and PERMANENT entries take no part.
 */

import { randomBelow } from '../core/random.js';
import type { NeighParms } from '../core/sysctl.js';
import type { SkBuff } from '../dev/skbuff.js';
import { EINVAL, EPERM } from '../uapi/errno.js';
import { formatIPv4 } from '../uapi/in.js';
import {
  NTF_EXT_LEARNED,
  NTF_ROUTER,
  NUD_CONNECTED,
  NUD_DELAY,
  NUD_FAILED,
  NUD_IN_TIMER,
  NUD_INCOMPLETE,
  NUD_NOARP,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
  NUD_VALID,
} from '../uapi/neighbour.js';
import { NETLINK_OK, type NetlinkResult } from '../uapi/rtnetlink.js';
import { equalBytes } from '../wire/bytes.js';
import { neighHhInit } from './hh.js';
import { type Neighbour, nudStateName } from './neighbour.js';
import type { NeighNet } from './netns.js';
import { neighPurgeQueue, neighUpdateGcList } from './table.js';

/** `neighUpdate`: a new address replaces a known one. */
export const NEIGH_UPDATE_F_OVERRIDE = 0x1;
/** The administrator's word: changes PERMANENT and NOARP entries too. */
export const NEIGH_UPDATE_F_ADMIN = 0x80000000 | 0;
export const NEIGH_UPDATE_F_USE = 0x10000000;
export const NEIGH_UPDATE_F_EXT_LEARNED = 0x20000000;
export const NEIGH_UPDATE_F_ISROUTER = 0x40000000;

/** No timer is set for less than a hundredth of a second. */
const MIN_TIMER_MS = 10;
/** How long a drawn REACHABLE time is kept. */
const REACHABLE_REDRAW_MS = 300_000;

/** NEIGH-8: how long an entry of these parameters stays REACHABLE: [0.5, 1.5) of the base, in ms. */
export function reachableTimeOf(net: NeighNet, parms: NeighParms): number {
  const now = net.clock.now();
  const baseMs = parms.baseReachableTimeMs;
  const known = net.arpTbl.reachable.get(parms);
  if (known !== undefined && known.baseMs === baseMs && now <= known.drawnAt + REACHABLE_REDRAW_MS)
    return known.ms;
  const ms = baseMs === 0 ? 0 : randomBelow(net.random, baseMs) + Math.floor(baseMs / 2);
  net.arpTbl.reachable.set(parms, { baseMs, ms, drawnAt: now });
  return ms;
}

function retransMs(neigh: Neighbour): number {
  return Math.max(neigh.parms.retransTimeMs, MIN_TIMER_MS);
}

/** NEIGH-6, NEIGH-7: unicast probes come first in the count; an INCOMPLETE entry starts behind them. */
function neighMaxProbes(neigh: Neighbour): number {
  const p = neigh.parms;
  const multicast = (neigh.nudState & NUD_PROBE) !== 0 ? p.mcastResolicit : p.mcastSolicit;
  return p.ucastSolicit + p.appSolicit + multicast;
}

function setState(net: NeighNet, neigh: Neighbour, state: number, rule: string): void {
  if (net.tracer !== null && state !== neigh.nudState) {
    net.tracer.event({
      fn: 'neigh_update',
      step: 'state',
      text: `${formatIPv4(neigh.key)} dev ${neigh.dev.name}: ${nudStateName(neigh.nudState)} → ${nudStateName(state)}`,
      rule,
      data: { from: nudStateName(neigh.nudState), to: nudStateName(state) },
    });
  }
  neigh.nudState = state;
  neigh.fastOutput = (state & NUD_CONNECTED) !== 0 && (neigh.hhValid || neigh.noHeader);
}

/** Asks once more (`neigh_probe`): the newest waiting packet may lend its source address. */
function neighProbe(net: NeighNet, neigh: Neighbour): void {
  net.arpTbl.ops.solicit(neigh, neigh.queueTail);
  neigh.probes++;
}

/**
 * A packet is about to go to this neighbour (`neigh_event_send`); null asks for resolution without a packet.
 * @returns 0 where it may go now, 1 where it has been queued or dropped: it is no longer the caller's
 */
export function neighEventSend(net: NeighNet, neigh: Neighbour, skb: SkBuff | null): 0 | 1 {
  const now = net.clock.now();
  neigh.used = now;
  const state = neigh.nudState;
  if ((state & (NUD_CONNECTED | NUD_DELAY | NUD_PROBE)) !== 0) return 0;
  if (neigh.dead) {
    if ((state & NUD_STALE) !== 0) return 0;
    if (skb !== null) net.skbs.free(skb);
    return 1;
  }
  if ((state & NUD_STALE) !== 0) {
    // NEIGH-4: good enough to send to, but the clock ticks.
    setState(net, neigh, NUD_DELAY, 'NEIGH-4');
    neigh.updated = now;
    net.timers.mod(neigh.timer, now + neigh.parms.delayFirstProbeTime * 1000);
    return 0;
  }
  let probeNow = false;
  if ((state & NUD_INCOMPLETE) === 0) {
    neigh.updated = now;
    if (neigh.parms.mcastSolicit + neigh.parms.appSolicit === 0) {
      setState(net, neigh, NUD_FAILED, 'NEIGH-6');
      if (skb !== null) net.skbs.free(skb);
      return 1;
    }
    // NEIGH-5: the first request goes out at once.
    neigh.probes = neigh.parms.ucastSolicit;
    setState(net, neigh, NUD_INCOMPLETE, 'NEIGH-5');
    net.timers.mod(neigh.timer, now + retransMs(neigh));
    probeNow = true;
  }
  if (skb !== null) neighEnqueue(net, neigh, skb);
  if (probeNow) neighProbe(net, neigh);
  return 1;
}

/** NEIGH-9: queues a packet; the oldest make room. */
function neighEnqueue(net: NeighNet, neigh: Neighbour, skb: SkBuff): void {
  const limit = neigh.parms.unresQlenBytes;
  while (neigh.queueHead !== null && neigh.queueBytes + skb.truesize > limit) {
    net.skbs.free(neighDequeue(neigh)!);
    net.arpTbl.stats.unresDiscards++;
  }
  skb.next = null;
  if (neigh.queueTail === null) neigh.queueHead = skb;
  else neigh.queueTail.next = skb;
  neigh.queueTail = skb;
  neigh.queueBytes += skb.truesize;
  if (net.tracer !== null) {
    net.tracer.event({
      fn: '__neigh_event_send',
      step: 'queue',
      text: `${formatIPv4(neigh.key)} is not resolved yet: the packet waits (${neigh.queueBytes} of ${limit} bytes)`,
      rule: 'NEIGH-5',
      data: { queueBytes: neigh.queueBytes, limitBytes: limit },
    });
  }
}

function neighDequeue(neigh: Neighbour): SkBuff | null {
  const skb = neigh.queueHead;
  if (skb === null) return null;
  neigh.queueHead = skb.next;
  if (neigh.queueHead === null) neigh.queueTail = null;
  neigh.queueBytes -= skb.truesize;
  skb.next = null;
  return skb;
}

/** NEIGH-10: resolution failed; each waiting packet is reported. */
function neighInvalidate(net: NeighNet, neigh: Neighbour): void {
  net.arpTbl.stats.resFailed++;
  neigh.updated = net.clock.now();
  // Reporting may send, and so hit this very entry: then it is FAILED no longer, and the rest is dropped.
  while (neigh.nudState === NUD_FAILED) {
    const skb = neighDequeue(neigh);
    if (skb === null) break;
    net.neighErrorReport(neigh, skb);
  }
  neighPurgeQueue(net, neigh);
}

/**
 * The entry's timer has fired (`neigh_timer_handler`). The kernel's timer wheel fires after the time it was set for, never at it, and ours
 * at it: so where the kernel asks whether a time "has not passed", equality counts as passed here.
 */
export function neighTimerHandler(net: NeighNet, neigh: Neighbour): void {
  const state = neigh.nudState;
  if ((state & NUD_IN_TIMER) === 0) return;
  const now = net.clock.now();
  const delayMs = neigh.parms.delayFirstProbeTime * 1000;
  let next = now + retransMs(neigh);
  if ((state & NUD_REACHABLE) !== 0) {
    const reachableMs = reachableTimeOf(net, neigh.parms);
    if (now < neigh.confirmed + reachableMs) {
      next = neigh.confirmed + reachableMs;
    } else {
      // NEIGH-8: who has used it lately will use it again.
      const inUse = now < neigh.used + delayMs;
      neigh.updated = now;
      setState(net, neigh, inUse ? NUD_DELAY : NUD_STALE, 'NEIGH-8');
      next = now + delayMs;
    }
  } else if ((state & NUD_DELAY) !== 0) {
    neigh.updated = now;
    if (now < neigh.confirmed + delayMs) {
      setState(net, neigh, NUD_REACHABLE, 'NEIGH-7');
      next = neigh.confirmed + reachableTimeOf(net, neigh.parms);
    } else {
      neigh.probes = 0;
      setState(net, neigh, NUD_PROBE, 'NEIGH-7');
    }
  }
  if ((neigh.nudState & (NUD_INCOMPLETE | NUD_PROBE)) !== 0 && neigh.probes >= neighMaxProbes(neigh)) {
    setState(net, neigh, NUD_FAILED, 'NEIGH-6');
    neighInvalidate(net, neigh);
    net.flush();
    return;
  }
  if ((neigh.nudState & NUD_IN_TIMER) !== 0) net.timers.mod(neigh.timer, Math.max(next, now + MIN_TIMER_MS));
  if ((neigh.nudState & (NUD_INCOMPLETE | NUD_PROBE)) !== 0) {
    neighProbe(net, neigh);
    net.flush();
  }
}

/**
 * News of a neighbour (`neigh_update`): an ARP packet, or the administrator's word.
 * @param lladdr null where only the state is known
 * @param state NUD_*
 * @param flags NEIGH_UPDATE_F_*
 * @returns error -EPERM for an entry that only the administrator may change, -EINVAL where an address is lacking
 */
export function neighUpdate(
  net: NeighNet,
  neigh: Neighbour,
  lladdr: Uint8Array | null,
  state: number,
  flags: number,
): NetlinkResult {
  const old = neigh.nudState;
  const admin = (flags & NEIGH_UPDATE_F_ADMIN) !== 0;
  if (neigh.dead) return { error: -EPERM, extack: 'Neighbor entry is now dead' };
  if (!admin && (old & (NUD_NOARP | NUD_PERMANENT)) !== 0) return { error: -EPERM };
  if (admin) setFlag(neigh, NTF_EXT_LEARNED, (flags & NEIGH_UPDATE_F_EXT_LEARNED) !== 0);
  let result = NETLINK_OK;
  if ((flags & NEIGH_UPDATE_F_USE) !== 0) setState(net, neigh, old & ~NUD_PERMANENT, 'NEIGH-13');
  else if ((state & NUD_VALID) === 0) updateInvalid(net, neigh, state);
  else result = updateValid(net, neigh, lladdr, state, flags);
  if (admin && (flags & NEIGH_UPDATE_F_OVERRIDE) !== 0) {
    setFlag(neigh, NTF_ROUTER, (flags & NEIGH_UPDATE_F_ISROUTER) !== 0);
  }
  if (admin) neighUpdateGcList(net, neigh);
  return result;
}

function setFlag(neigh: Neighbour, flag: number, on: boolean): void {
  neigh.flags = on ? neigh.flags | flag : neigh.flags & ~flag;
}

/** The entry becomes NONE, INCOMPLETE or FAILED. R-5: no timer is set, so INCOMPLETE by decree asks nobody. */
function updateInvalid(net: NeighNet, neigh: Neighbour, state: number): void {
  const old = neigh.nudState;
  net.timers.del(neigh.timer);
  setState(net, neigh, state, 'NEIGH-13');
  if ((old & (NUD_INCOMPLETE | NUD_PROBE)) !== 0 && (state & NUD_FAILED) !== 0) neighInvalidate(net, neigh);
}

function updateValid(
  net: NeighNet,
  neigh: Neighbour,
  lladdr: Uint8Array | null,
  wanted: number,
  flags: number,
): NetlinkResult {
  const old = neigh.nudState;
  const now = net.clock.now();
  const admin = (flags & NEIGH_UPDATE_F_ADMIN) !== 0;
  const known = (old & NUD_VALID) !== 0;
  let state = wanted;
  if (lladdr === null && !known && !neigh.noHeader) {
    return { error: -EINVAL, extack: 'No link layer address given' };
  }
  const moved = lladdr !== null && !neigh.noHeader && !(known && equalBytes(lladdr, 0, neigh.ha, 0, 6));
  if ((state & NUD_CONNECTED) !== 0) neigh.confirmed = now;
  if (known) {
    // ARP-6: another address needs the right to override.
    if (moved && (flags & NEIGH_UPDATE_F_OVERRIDE) === 0) return NETLINK_OK;
    if (!moved && state === NUD_STALE && !admin) state = old;
  }
  if (state !== old || moved) neigh.updated = now;
  if (moved) {
    neigh.ha.set(lladdr!);
    if (neigh.hhValid) neighHhInit(neigh);
    if ((state & NUD_CONNECTED) === 0) neigh.confirmed = now - 2 * neigh.parms.baseReachableTimeMs;
  }
  if (state === old) return NETLINK_OK;
  if ((old & NUD_IN_TIMER) !== 0) net.timers.del(neigh.timer);
  if ((state & NUD_PROBE) !== 0) neigh.probes = 0;
  if ((state & NUD_IN_TIMER) !== 0) {
    const delay = (state & NUD_REACHABLE) !== 0 ? reachableTimeOf(net, neigh.parms) : 0;
    net.timers.mod(neigh.timer, now + delay);
  }
  setState(net, neigh, state, admin ? 'NEIGH-13' : 'ARP-6');
  if (!known) neighFlushQueue(net, neigh);
  return NETLINK_OK;
}

/** NEIGH-11: what waited goes out in order. */
function neighFlushQueue(net: NeighNet, neigh: Neighbour): void {
  while ((neigh.nudState & NUD_VALID) !== 0) {
    const skb = neighDequeue(neigh);
    if (skb === null) break;
    net.arpTbl.ops.output(neigh, skb);
  }
  neighPurgeQueue(net, neigh);
}
