/** What IGMP keeps: of a device (`struct in_device`'s mr_* fields), of a group, of a source. */
import { Timer } from '../core/timers.js';
import type { IpMcList, IpSfList } from '../dev/in_device.js';
import { MCAST_EXCLUDE, type MCAST_INCLUDE } from '../uapi/in.js';

export type FilterMode = typeof MCAST_EXCLUDE | typeof MCAST_INCLUDE;

/** A tick of the kernel that is held against us (HZ 250): timers of IGMP are set for two of them at least. */
export const JIFFY_MS = 4;
/** IGMP_QUERY_INTERVAL, IGMP_QUERY_RESPONSE_INTERVAL: RFC 3376 8.2, 8.3. */
export const QUERY_INTERVAL_MS = 125_000;
export const QUERY_RESPONSE_INTERVAL_MS = 10_000;
/** Left groups and sources that still wait to be reported, of one device; the kernel has no bound here. */
export const MAX_TOMBS = 4096;

export class SfSource implements IpSfList {
  readonly count: [exclude: number, include: number] = [0, 0];
  /** How many more reports tell of its change. */
  crcount = 0;
  /** A group-and-source query asked for it. */
  gsresp = false;
  /** It was part of the filter before the present change. */
  oldin = false;
  constructor(readonly inaddr: number) {}
}

/** What reports tell of a group, joined or left. */
export class GroupRecords {
  /** Filter mode of the device as a whole, and the number of sockets in each. */
  sfmode: FilterMode = MCAST_EXCLUDE;
  readonly sfcount: [exclude: number, include: number] = [0, 0];
  /** In the order that they were added. */
  sources = new Map<number, SfSource>();
  /** Sources that left the filter and are still to be reported, oldest first. */
  tomb = new Map<number, SfSource>();
  /** How many more reports tell of the change of mode. */
  crcount = 0;
  /** The pending answer is about some sources only. */
  gsquery = false;
  constructor(readonly multiaddr: number) {}
}

/** A joined group (`struct ip_mc_list`). */
export class Group extends GroupRecords implements IpMcList {
  users = 1;
  readonly timer: Timer;
  /** We sent the last report: the one who leaves, then, must say so (RFC 2236). */
  reporter = false;
  unsolicitCount = 0;
  constructor(multiaddr: number, mode: FilterMode, onTimer: (group: Group) => void) {
    super(multiaddr);
    this.sfmode = mode;
    this.sfcount[mode] = 1;
    this.timer = new Timer(() => onTimer(this));
  }
}

export class IgmpDevice {
  /** Oldest first. */
  readonly groups = new Map<number, Group>();
  /** Left groups that are still to be reported, oldest first. */
  readonly mcTomb = new Map<number, GroupRecords>();
  /** Robustness, query interval: as the last querier said. */
  qrv = 2;
  queryIntervalMs = QUERY_INTERVAL_MS;
  queryResponseMs = QUERY_RESPONSE_INTERVAL_MS;
  maxDelayMs = QUERY_RESPONSE_INTERVAL_MS;
  /** Until when an older querier counts as present: ms on the Net's clock, 0 for none. */
  v1SeenUntil = 0;
  v2SeenUntil = 0;
  /** Change reports still to send. */
  ifcCount = 0;
  readonly ifcTimer: Timer;
  readonly gqTimer: Timer;
  constructor(onIfc: (idev: IgmpDevice) => void, onGeneralQuery: (idev: IgmpDevice) => void) {
    this.ifcTimer = new Timer(() => onIfc(this));
    this.gqTimer = new Timer(() => onGeneralQuery(this));
  }
}

/** Nothing of what has been left is told any more (`igmpv3_clear_delrec`). */
export function igmpv3ClearDelrec(idev: IgmpDevice): void {
  idev.mcTomb.clear();
  for (const group of idev.groups.values()) group.tomb.clear();
}

/** Each of these sources is to be told this many times. */
export function setCrcount(sources: Map<number, SfSource>, crcount: number): void {
  for (const psf of sources.values()) psf.crcount = crcount;
}
