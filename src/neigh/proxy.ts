/** Addresses that are answered for by proxy (`struct pneigh_entry`), and the requests that wait for their answer. */
import { randomBelow } from '../core/random.js';
import { Timer } from '../core/timers.js';
import type { NetDevice } from '../dev/net_device.js';
import type { SkBuff } from '../dev/skbuff.js';
import { ENOENT } from '../uapi/errno.js';
import type { NeighNet } from './netns.js';

/** Milliseconds in one unit of `proxy_delay` and `locktime` (USER_HZ). */
export const USER_HZ_MS = 10;

export interface PneighEntry {
  readonly key: number;
  /** null: on every device. */
  readonly dev: NetDevice | null;
  flags: number;
  protocol: number;
  /** Made with NUD_PERMANENT: outlives the loss of the carrier. */
  permanent: boolean;
}

export class PneighTable {
  readonly entries: PneighEntry[] = [];
  /** Requests that are answered after a random delay, and when. */
  readonly queue: { readonly skb: SkBuff; readonly dev: NetDevice; readonly at: number }[] = [];
  timer: Timer | null = null;
}

/** The entry for an address, one for all devices included (`pneigh_lookup`). */
export function pneighLookup(net: NeighNet, key: number, dev: NetDevice | null): PneighEntry | null {
  for (const entry of net.arpTbl.proxy.entries) {
    if (entry.key === key && (entry.dev === dev || entry.dev === null)) return entry;
  }
  return null;
}

/** `pneigh_create`: makes an entry, or changes the one there is. */
export function pneighCreate(
  net: NeighNet,
  key: number,
  dev: NetDevice | null,
  flags: number,
  permanent: boolean,
  protocol: number,
): void {
  const known = pneighLookup(net, key, dev);
  if (known === null) {
    net.arpTbl.proxy.entries.push({ key, dev, flags, permanent, protocol });
    return;
  }
  known.flags = flags;
  known.permanent = permanent;
  if (protocol !== 0) known.protocol = protocol;
}

/** `pneigh_delete`: 0 or -ENOENT. */
export function pneighDelete(net: NeighNet, key: number, dev: NetDevice | null): number {
  const entries = net.arpTbl.proxy.entries;
  const at = entries.findIndex((entry) => entry.key === key && entry.dev === dev);
  if (at < 0) return -ENOENT;
  entries.splice(at, 1);
  return 0;
}

/** Drops a device's entries, all or those that are not permanent, and what waits on it. */
export function pneighIfdown(net: NeighNet, dev: NetDevice, skipPermanent: boolean): void {
  const proxy = net.arpTbl.proxy;
  for (let i = proxy.entries.length - 1; i >= 0; i--) {
    const entry = proxy.entries[i]!;
    if (entry.dev === dev && !(skipPermanent && entry.permanent)) proxy.entries.splice(i, 1);
  }
  for (let i = proxy.queue.length - 1; i >= 0; i--) {
    if (proxy.queue[i]!.dev === dev) net.skbs.free(proxy.queue.splice(i, 1)[0]!.skb);
  }
}

/** Lets a request wait for up to `proxy_delay` (`pneigh_enqueue`); dropped where `proxy_qlen` are waiting. Consumes it. */
export function pneighEnqueue(net: NeighNet, dev: NetDevice, skb: SkBuff): void {
  const proxy = net.arpTbl.proxy;
  const parms = dev.ipPtr!.arpParms;
  let waiting = 0;
  for (const entry of proxy.queue) if (entry.dev === dev) waiting++;
  if (waiting > parms.proxyQlen) {
    net.skbs.free(skb);
    return;
  }
  const at = net.clock.now() + randomBelow(net.random, parms.proxyDelay) * USER_HZ_MS;
  proxy.queue.push({ skb, dev, at });
  armProxy(net);
}

function armProxy(net: NeighNet): void {
  const proxy = net.arpTbl.proxy;
  let next = Infinity;
  for (const entry of proxy.queue) next = Math.min(next, entry.at);
  if (next === Infinity) return;
  proxy.timer ??= new Timer(() => neighProxyProcess(net));
  net.timers.mod(proxy.timer, next);
}

/** The requests whose time has come (`neigh_proxy_process`). */
function neighProxyProcess(net: NeighNet): void {
  const now = net.clock.now();
  const proxy = net.arpTbl.proxy;
  const due = proxy.queue.filter((entry) => entry.at <= now);
  for (const entry of due) proxy.queue.splice(proxy.queue.indexOf(entry), 1);
  for (const { skb, dev } of due) {
    if (dev.isUp) net.arpTbl.ops.proxyRedo(skb);
    else net.skbs.free(skb);
  }
  armProxy(net);
  net.flush();
}
