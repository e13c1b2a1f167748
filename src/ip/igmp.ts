/** IGMP as a host hears it (`net/ipv4/igmp.c`): what queries and reports of others mean, and what happens to devices. */
import type { InDevice } from '../dev/in_device.js';
import type { NetDevice } from '../dev/net_device.js';
import type { NetdevEvent } from '../dev/netns.js';
import type { SkBuff } from '../dev/skbuff.js';
import type { Rtable } from '../route/rtable.js';
import { PACKET_BROADCAST, PACKET_LOOPBACK, PACKET_MULTICAST } from '../uapi/if.js';
import { IPPROTO_IGMP, MCAST_EXCLUDE, MCAST_INCLUDE } from '../uapi/in.js';
import * as igmp from '../wire/igmp.js';
import { igmpIsReported } from './igmp_report.js';
import {
  type Group,
  type IgmpDevice,
  igmpv3ClearDelrec,
  QUERY_INTERVAL_MS,
  QUERY_RESPONSE_INTERVAL_MS,
} from './igmp_state.js';
import {
  igmpDevice,
  igmpStartTimer,
  igmpStopTimer,
  igmpVersion,
  newestFirst,
  spread,
} from './igmp_timers.js';
import { ipMcDestroyDev, ipMcDown, ipMcUp } from './mcast.js';
import type { IpNet } from './netns.js';

/** Takes an IGMP message, `data` behind the IP header (`igmp_rcv`). Consumes it. */
export function igmpRcv(net: IpNet, skb: SkBuff): void {
  const dev = ingress(net, skb);
  const b = skb.buf;
  const at = skb.data;
  const len = skb.tail - at;
  const inDev = dev?.ipPtr ?? null;
  if (inDev !== null && len >= igmp.HEADER_LEN && igmp.expectedCheck(b, at, len) === igmp.checksum(b, at)) {
    const type = igmp.type(b, at);
    if (type === igmp.HOST_MEMBERSHIP_QUERY) igmpHeardQuery(net, inDev, b, at, len);
    else if (type === igmp.HOST_MEMBERSHIP_REPORT || type === igmp.V2_MEMBERSHIP_REPORT) {
      // A report of our own that came back to us tells nothing.
      const own = skb.pktType === PACKET_LOOPBACK || (skb.dst !== null && !(skb.dst as Rtable).isInput);
      const toGroup = skb.pktType === PACKET_MULTICAST || skb.pktType === PACKET_BROADCAST;
      if (!own && toGroup) igmpHeardReport(net, inDev, igmp.group(b, at));
    }
  }
  net.skbs.free(skb);
}

/** The device that a packet came in by, not the VRF that took it over. */
function ingress(net: IpNet, skb: SkBuff): NetDevice | null {
  const dev = skb.dev;
  return dev?.isL3Master ? net.devGetByIndex(skb.skbIif) : dev;
}

/** Somebody else reported the group: we need not (`igmp_heard_report`). */
function igmpHeardReport(net: IpNet, inDev: InDevice, multiaddr: number): void {
  if (!igmpIsReported(net, multiaddr)) return;
  const group = igmpDevice(net, inDev).groups.get(multiaddr);
  if (group !== undefined) igmpStopTimer(net, group);
}

/** A router asks (`igmp_heard_query`). */
function igmpHeardQuery(net: IpNet, inDev: InDevice, b: Uint8Array, at: number, len: number): void {
  const idev = igmpDevice(net, inDev);
  const code = igmp.maxRespCode(b, at);
  let multiaddr = igmp.group(b, at);
  let maxDelayMs = Math.max(1, igmp.v3Code(code) * 100);
  let sources: number[] | null = null;
  if (len === igmp.HEADER_LEN) {
    if (code === 0) {
      multiaddr = 0;
      maxDelayMs = QUERY_RESPONSE_INTERVAL_MS;
    } else maxDelayMs = code * 100;
    igmpOldQuerier(net, idev, code === 0 ? 1 : 2);
  } else if (len < igmp.V3_QUERY_LEN) return;
  else {
    const version = igmpVersion(net, inDev);
    if (version === 1) {
      multiaddr = 0;
      maxDelayMs = QUERY_RESPONSE_INTERVAL_MS;
    } else if (version === 3) {
      const query = igmp.parse(b, at, len);
      if (typeof query === 'string' || query.kind !== 'query') return;
      igmpTakeParameters(net, idev, query.qrv, query.qqic, maxDelayMs);
      if (multiaddr === 0) {
        // A general query names no sources.
        if (query.sources.length === 0) igmpGqStartTimer(net, idev);
        return;
      }
      if (query.sources.length > 0) sources = [...query.sources];
    }
  }
  for (const group of newestFirst(idev)) {
    if (multiaddr !== 0 && multiaddr !== group.multiaddr) continue;
    if (igmpIsReported(net, group.multiaddr)) igmpAnswer(net, group, sources, maxDelayMs);
  }
}

/** An older router is there: its version is spoken for some time, and nothing is left to tell of changes (RFC 3376 8.12). */
function igmpOldQuerier(net: IpNet, idev: IgmpDevice, version: 1 | 2): void {
  const until = net.clock.now() + idev.qrv * idev.queryIntervalMs + idev.queryResponseMs;
  if (version === 1) idev.v1SeenUntil = until;
  else idev.v2SeenUntil = until;
  idev.ifcCount = 0;
  net.timers.del(idev.ifcTimer);
  igmpv3ClearDelrec(idev);
}

function igmpTakeParameters(
  net: IpNet,
  idev: IgmpDevice,
  qrv: number,
  qqic: number,
  maxDelayMs: number,
): void {
  idev.maxDelayMs = maxDelayMs;
  idev.qrv = qrv || net.sysctl.ipv4.igmpQrv;
  idev.queryIntervalMs = igmp.v3Code(qqic) * 1000 || QUERY_INTERVAL_MS;
  if (idev.queryResponseMs >= idev.queryIntervalMs) idev.queryResponseMs = idev.queryIntervalMs - 1000;
}

function igmpGqStartTimer(net: IpNet, idev: IgmpDevice): void {
  const at = spread(net, idev.maxDelayMs);
  if (!idev.gqTimer.pending || at < idev.gqTimer.expires) net.timers.mod(idev.gqTimer, at);
}

/** Sets a group's timer for its answer; `sources` null asks for the group as a whole. */
function igmpAnswer(net: IpNet, group: Group, sources: number[] | null, maxDelayMs: number): void {
  const some = sources !== null;
  group.gsquery = group.timer.pending ? group.gsquery && some : some;
  if (group.gsquery && sources !== null && !igmpMarksources(group, sources)) return;
  igmpModTimer(net, group, maxDelayMs);
}

function igmpModTimer(net: IpNet, group: Group, maxDelayMs: number): void {
  group.unsolicitCount = 0;
  const { timer } = group;
  if (timer.pending && timer.expires - net.clock.now() < maxDelayMs) return;
  igmpStartTimer(net, group, maxDelayMs);
}

/** Marks the sources that were asked for; false where there is nothing to answer. */
function igmpMarksources(group: Group, asked: readonly number[]): boolean {
  if (group.sfmode === MCAST_EXCLUDE) {
    group.gsquery = false;
    let excluded = 0;
    for (const psf of group.sources.values()) {
      const active =
        psf.count[MCAST_INCLUDE] === 0 && psf.count[MCAST_EXCLUDE] === group.sfcount[MCAST_EXCLUDE];
      if (active && asked.includes(psf.inaddr)) excluded++;
    }
    return excluded !== asked.length;
  }
  let marked = 0;
  for (const psf of group.sources.values()) {
    if (!asked.includes(psf.inaddr)) continue;
    psf.gsresp = true;
    marked++;
  }
  group.gsquery = marked > 0;
  return marked > 0;
}

function igmpDevEvent(net: IpNet, event: NetdevEvent, dev: NetDevice): void {
  const inDev = dev.ipPtr;
  if (inDev === null) return;
  if (event === 'up') ipMcUp(net, inDev);
  else if (event === 'down') ipMcDown(net, inDev);
  else if (event === 'unregister') ipMcDestroyDev(net, inDev);
}

/** Joins IGMP to a Net: its protocol number, and what happens to devices. */
export function igmpInit(net: IpNet): void {
  net.inetProtos.set(IPPROTO_IGMP, { rcv: (skb: SkBuff) => igmpRcv(net, skb), err: () => {} });
  net.onNetdev((event, dev) => igmpDevEvent(net, event, dev));
}
