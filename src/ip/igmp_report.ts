/**
 * What IGMP says (`net/ipv4/igmp.c`): reports of version 3 record by record, and the single messages of the older versions.
 *
 * A version 3 report tells either the state of a group, as an answer (MODE_IS_INCLUDE, MODE_IS_EXCLUDE), or a change of it. A change of the
 * filter mode is one record with the whole new filter; while that is being told, changes of single sources are not told beside it
 * (RFC 3376 5.1). Each change is told `qrv` times: every record of a change has a counter, on the group for the mode, on the source for
 * the source. What has left the filter lies in a tomb until its counter has run out.
 */
import type { NetDevice } from '../dev/net_device.js';
import { Flowi4 } from '../route/flow.js';
import { ipRouteOutputFlow } from '../route/output.js';
import type { Rtable } from '../route/rtable.js';
import {
  formatIPv4,
  INADDR_ALLHOSTS_GROUP,
  IPPROTO_IGMP,
  ipv4IsLocalMulticast,
  MCAST_EXCLUDE,
  MCAST_INCLUDE,
} from '../uapi/in.js';
import * as igmp from '../wire/igmp.js';
import { IPOPT_RA } from '../wire/ipoptions.js';
import * as ipv4 from '../wire/ipv4.js';
import type { GroupRecords, IgmpDevice, SfSource } from './igmp_state.js';
import { ipLocalOut } from './ip_output.js';
import type { IpNet } from './netns.js';

/** 224.0.0.22, where version 3 reports go, and 224.0.0.2, where version 2 leaves go. */
const IGMPV3_ALL_MCR = 0xe0000016;
const IGMP_ALL_ROUTER = 0xe0000002;
const ROUTER_ALERT = Uint8Array.of(IPOPT_RA, 4, 0, 0);
const IP_HEADER_BYTES = ipv4.HEADER_LEN + ROUTER_ALERT.length;
const TC_PRIO_CONTROL = 7;
const IPV4_MIN_MTU = 68;
const SOURCE_BYTES = 4;
const NO_AUX = new Uint8Array(0);

/** IGMP-4: is the group ever spoken of? */
export function igmpIsReported(net: IpNet, group: number): boolean {
  if (group === INADDR_ALLHOSTS_GROUP) return false;
  return !ipv4IsLocalMulticast(group) || net.sysctl.ipv4.igmpLinkLocalMcastReports !== 0;
}

interface OpenRecord extends igmp.IgmpRecord {
  readonly sources: number[];
}

/** A version 3 report that is being filled. */
class Report {
  readonly records: OpenRecord[] = [];
  /** Bytes that still fit the device's MTU. */
  room: number;
  constructor(
    dev: NetDevice,
    readonly route: IgmpRoute,
  ) {
    this.room = dev.mtu - IP_HEADER_BYTES - igmp.HEADER_LEN;
  }
  open(type: number, group: number): OpenRecord {
    const record = { type, group, sources: [], aux: NO_AUX };
    this.records.push(record);
    this.room -= igmp.RECORD_LEN;
    return record;
  }
}

/** Does a source belong into a record of this type (`is_in`)? */
function isIn(pmc: GroupRecords, psf: SfSource, type: number, gdeleted: boolean, sdeleted: boolean): boolean {
  const [excluding, including] = psf.count;
  switch (type) {
    case igmp.V3_MODE_IS_INCLUDE:
    case igmp.V3_MODE_IS_EXCLUDE:
      if (gdeleted || sdeleted || (pmc.gsquery && !psf.gsresp)) return false;
      if (pmc.sfmode === MCAST_INCLUDE) return true;
      if (including !== 0) return type === igmp.V3_MODE_IS_INCLUDE;
      return pmc.sfcount[MCAST_EXCLUDE] === excluding;
    case igmp.V3_CHANGE_TO_INCLUDE:
      return !gdeleted && !sdeleted && including !== 0;
    case igmp.V3_CHANGE_TO_EXCLUDE:
      if (gdeleted || sdeleted || pmc.sfcount[MCAST_EXCLUDE] === 0 || including !== 0) return false;
      return pmc.sfcount[MCAST_EXCLUDE] === excluding;
    case igmp.V3_ALLOW_NEW_SOURCES:
      if (gdeleted || psf.crcount === 0) return false;
      return (pmc.sfmode === MCAST_INCLUDE) !== sdeleted;
    default:
      // BLOCK_OLD_SOURCES
      if (pmc.sfmode === MCAST_INCLUDE) return gdeleted || (psf.crcount !== 0 && sdeleted);
      return psf.crcount !== 0 && !gdeleted && !sdeleted;
  }
}

/** Writes the reports of one event on one device. */
class ReportWriter {
  #report: Report | null = null;
  constructor(
    private readonly net: IpNet,
    private readonly dev: NetDevice,
  ) {}

  /** Adds what one record type has to say of a group (`add_grec`). */
  add(pmc: GroupRecords, type: number, gdeleted: boolean, sdeleted: boolean): void {
    if (!igmpIsReported(this.net, pmc.multiaddr) || this.dev.mtu < IPV4_MIN_MTU) return;
    const query = type === igmp.V3_MODE_IS_INCLUDE || type === igmp.V3_MODE_IS_EXCLUDE;
    const change = type === igmp.V3_ALLOW_NEW_SOURCES || type === igmp.V3_BLOCK_OLD_SOURCES;
    const written = this.#addSources(pmc, type, gdeleted, sdeleted);
    if (written < 0 || (written === 0 && change)) return;
    if (written === 0 && (pmc.crcount !== 0 || query)) {
      this.#roomFor(igmp.RECORD_LEN)?.open(type, pmc.multiaddr);
    }
    if (query) pmc.gsquery = false;
  }

  /** The number of sources written, -1 where the device cannot send: they stay to be told. */
  #addSources(pmc: GroupRecords, type: number, gdeleted: boolean, sdeleted: boolean): number {
    const list = sdeleted ? pmc.tomb : pmc.sources;
    if (list.size === 0) return 0;
    const query = type === igmp.V3_MODE_IS_INCLUDE || type === igmp.V3_MODE_IS_EXCLUDE;
    const change = type === igmp.V3_ALLOW_NEW_SOURCES || type === igmp.V3_BLOCK_OLD_SOURCES;
    const truncate = type === igmp.V3_MODE_IS_EXCLUDE || type === igmp.V3_CHANGE_TO_EXCLUDE;
    // EXCLUDE filters must not be told in pieces: they get a fresh packet where they do not fit, and are cut where they still do not.
    if (truncate) this.#freshFor(pmc, type, gdeleted, sdeleted);
    // A change of mode tells the whole filter: sources need not be told beside it.
    const modeChange = gdeleted ? pmc.sfmode === MCAST_EXCLUDE : pmc.crcount !== 0;
    const sources = sdeleted ? [...list.values()].reverse() : [...list.values()];
    let record: OpenRecord | null = null;
    let written = 0;
    for (const psf of sources) {
      if (!isIn(pmc, psf, type, gdeleted, sdeleted)) continue;
      if (!(modeChange && change && psf.crcount !== 0)) {
        if (query) psf.gsresp = false;
        const need = SOURCE_BYTES + (record === null ? igmp.RECORD_LEN : 0);
        if (record !== null && this.#report!.room < need) {
          if (truncate) break;
          record = null;
        }
        record ??= this.#roomFor(igmp.RECORD_LEN + SOURCE_BYTES)?.open(type, pmc.multiaddr) ?? null;
        if (record === null) return -1;
        record.sources.push(psf.inaddr);
        this.#report!.room -= SOURCE_BYTES;
        written++;
      }
      if (change && psf.crcount !== 0 && --psf.crcount === 0 && (sdeleted || gdeleted))
        list.delete(psf.inaddr);
    }
    return written;
  }

  #freshFor(pmc: GroupRecords, type: number, gdeleted: boolean, sdeleted: boolean): void {
    const report = this.#report;
    if (report === null || report.records.length === 0) return;
    let bytes = igmp.RECORD_LEN;
    for (const psf of pmc.sources.values())
      if (isIn(pmc, psf, type, gdeleted, sdeleted)) bytes += SOURCE_BYTES;
    if (report.room < bytes) this.send();
  }

  /** The report, or a new one where it lacks room; null where the device cannot send. */
  #roomFor(bytes: number): Report | null {
    if (this.#report !== null && this.#report.room < bytes) this.send();
    if (this.#report !== null) return this.#report;
    const route = igmpRoute(this.net, this.dev, IGMPV3_ALL_MCR);
    if (route !== null) this.#report = new Report(this.dev, route);
    return this.#report;
  }

  /** Sends what has been gathered (`igmpv3_sendpack`). */
  send(): void {
    const report = this.#report;
    this.#report = null;
    if (report === null) return;
    igmpXmit(this.net, this.dev, report.route, { kind: 'report3', records: report.records });
  }
}

/** Answers a query with the state of one group, or of all, newest first (`igmpv3_send_report`). */
export function igmpv3SendReport(net: IpNet, dev: NetDevice, groups: Iterable<GroupRecords>): void {
  const writer = new ReportWriter(net, dev);
  for (const pmc of groups) {
    const type = pmc.sfcount[MCAST_EXCLUDE] !== 0 ? igmp.V3_MODE_IS_EXCLUDE : igmp.V3_MODE_IS_INCLUDE;
    writer.add(pmc, type, false, false);
  }
  writer.send();
}

/** Tells what has changed since the last time (`igmpv3_send_cr`), newest groups first (IGMP-1). */
export function igmpv3SendCr(net: IpNet, dev: NetDevice, idev: IgmpDevice): void {
  const writer = new ReportWriter(net, dev);
  for (const pmc of [...idev.mcTomb.values()].reverse()) {
    if (pmc.sfmode === MCAST_INCLUDE) {
      writer.add(pmc, igmp.V3_BLOCK_OLD_SOURCES, true, false);
      writer.add(pmc, igmp.V3_BLOCK_OLD_SOURCES, true, true);
    }
    if (pmc.crcount !== 0) {
      // IGMP-2
      if (pmc.sfmode === MCAST_EXCLUDE) writer.add(pmc, igmp.V3_CHANGE_TO_INCLUDE, true, false);
      if (--pmc.crcount === 0) {
        clearZeros(pmc.tomb);
        clearZeros(pmc.sources);
      }
    }
    if (pmc.crcount === 0 && pmc.tomb.size === 0 && pmc.sources.size === 0) idev.mcTomb.delete(pmc.multiaddr);
  }
  for (const pmc of [...idev.groups.values()].reverse()) {
    const excluding = pmc.sfcount[MCAST_EXCLUDE] !== 0;
    writer.add(pmc, excluding ? igmp.V3_BLOCK_OLD_SOURCES : igmp.V3_ALLOW_NEW_SOURCES, false, false);
    writer.add(pmc, excluding ? igmp.V3_ALLOW_NEW_SOURCES : igmp.V3_BLOCK_OLD_SOURCES, false, true);
    if (pmc.crcount !== 0) {
      const exclude = pmc.sfmode === MCAST_EXCLUDE;
      writer.add(pmc, exclude ? igmp.V3_CHANGE_TO_EXCLUDE : igmp.V3_CHANGE_TO_INCLUDE, false, false);
      pmc.crcount--;
    }
  }
  writer.send();
}

function clearZeros(sources: Map<number, SfSource>): void {
  for (const psf of sources.values()) if (psf.crcount === 0) sources.delete(psf.inaddr);
}

/** Sends a message of version 1 or 2 about one group (`igmp_send_report`, IGMP-5). */
export function igmpSendOld(
  net: IpNet,
  dev: NetDevice,
  group: number,
  message: 'report1' | 'report2' | 'leave',
): void {
  if (!igmpIsReported(net, group)) return;
  const route = igmpRoute(net, dev, message === 'leave' ? IGMP_ALL_ROUTER : group);
  if (route === null) return;
  if (message === 'leave') igmpXmit(net, dev, route, { kind: 'leave', group });
  else igmpXmit(net, dev, route, { kind: 'report', version: message === 'report1' ? 1 : 2, group });
}

/** How a message leaves: its route, with destination and source. */
interface IgmpRoute {
  readonly rt: Rtable;
  readonly daddr: number;
  readonly saddr: number;
}

function igmpRoute(net: IpNet, dev: NetDevice, daddr: number): IgmpRoute | null {
  const fl4 = new Flowi4();
  fl4.daddr = daddr;
  fl4.proto = IPPROTO_IGMP;
  fl4.oif = dev.ifindex;
  const rt = ipRouteOutputFlow(net, fl4);
  return typeof rt === 'number' ? null : { rt, daddr, saddr: fl4.saddr };
}

/** IGMP-1: TOS 0xC0, TTL 1, DF, id 0, Router Alert. */
function igmpXmit(net: IpNet, dev: NetDevice, route: IgmpRoute, message: igmp.IgmpRepr): void {
  const totLen = IP_HEADER_BYTES + igmp.emitLen(message);
  const skb = net.skbs.alloc(totLen);
  skb.th = skb.data + IP_HEADER_BYTES;
  skb.tail = skb.data + totLen;
  skb.len = totLen;
  skb.dst = route.rt;
  skb.dev = dev;
  skb.priority = TC_PRIO_CONTROL;
  skb.optLen = ROUTER_ALERT.length;
  const header = {
    tos: 0xc0,
    totLen,
    id: 0,
    fragOff: ipv4.IP_DF,
    ttl: 1,
    protocol: IPPROTO_IGMP,
    daddr: route.daddr,
    options: ROUTER_ALERT,
  };
  ipv4.emit({ ...header, saddr: igmpSource(dev, route.saddr, message.kind === 'report3') }, skb.buf, skb.nh);
  igmp.emit(message, skb.buf, skb.th);
  if (net.tracer !== null) {
    net.tracer.event({
      fn: message.kind === 'report3' ? 'igmpv3_sendpack' : 'igmp_send_report',
      step: message.kind,
      text: `${dev.name}: ${describe(message)}`,
      rule: message.kind === 'report3' ? 'IGMP-1' : 'IGMP-5',
    });
  }
  ipLocalOut(net, null, skb);
}

/** IGMP-6: version 3 takes no address of another device (RFC 3376 4.2.13). */
function igmpSource(dev: NetDevice, routed: number, v3: boolean): number {
  const own = dev.ipPtr?.ifaList.some((ifa) => ifa.local === routed) ?? false;
  return own || !v3 ? routed : 0;
}

function describe(message: igmp.IgmpRepr): string {
  if (message.kind !== 'report3') return `${message.kind} ${formatIPv4(message.group)}`;
  return message.records
    .map((r) => `${formatIPv4(r.group)} record ${r.type} with ${r.sources.length} sources`)
    .join(', ');
}
