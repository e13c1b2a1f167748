/** The groups of a device and their source filters (`net/ipv4/igmp.c`): what sockets join together. */
import type { InDevice } from '../dev/in_device.js';
import { rtCacheFlush } from '../route/genid.js';
import { EINVAL, ENODEV, ESRCH } from '../uapi/errno.js';
import { INADDR_ALLHOSTS_GROUP, MCAST_EXCLUDE, MCAST_INCLUDE } from '../uapi/in.js';
import { igmpIsReported, igmpSendOld } from './igmp_report.js';
import {
  type FilterMode,
  Group,
  GroupRecords,
  type IgmpDevice,
  igmpv3ClearDelrec,
  MAX_TOMBS,
  QUERY_INTERVAL_MS,
  QUERY_RESPONSE_INTERVAL_MS,
  SfSource,
  setCrcount,
} from './igmp_state.js';
import {
  igmpDevice,
  igmpIfcEvent,
  igmpStartTimer,
  igmpStopTimer,
  igmpTimerExpire,
  igmpVersion,
  newestFirst,
  robustness,
} from './igmp_timers.js';
import type { IpNet } from './netns.js';

const NO_SOURCES: readonly number[] = [];

/** A socket has joined a group on a device (`__ip_mc_inc_group`, MC-21). */
export function ipMcIncGroup(
  net: IpNet,
  inDev: InDevice,
  multiaddr: number,
  mode: FilterMode = MCAST_EXCLUDE,
): void {
  const idev = igmpDevice(net, inDev);
  const known = idev.groups.get(multiaddr);
  if (known !== undefined) {
    known.users++;
    ipMcAddSrc(net, inDev, multiaddr, mode, NO_SOURCES, false);
    return;
  }
  const group = new Group(multiaddr, mode, (self) => igmpTimerExpire(net, inDev, self));
  idev.groups.set(multiaddr, group);
  inDev.mcList.set(multiaddr, group);
  igmpv3DelDelrec(net, idev, group);
  igmpGroupAdded(net, inDev, idev, group);
  if (!inDev.dead) rtCacheFlush(net);
}

/** A socket has left a group on a device (`ip_mc_dec_group`). */
export function ipMcDecGroup(net: IpNet, inDev: InDevice, multiaddr: number): void {
  const idev = igmpDevice(net, inDev);
  const group = idev.groups.get(multiaddr);
  if (group === undefined || --group.users > 0) return;
  idev.groups.delete(multiaddr);
  inDev.mcList.delete(multiaddr);
  igmpGroupDropped(net, inDev, idev, group);
  if (!inDev.dead) rtCacheFlush(net);
}

function igmpGroupAdded(net: IpNet, inDev: InDevice, idev: IgmpDevice, group: Group): void {
  if (!igmpIsReported(net, group.multiaddr) || inDev.dead) return;
  group.unsolicitCount = net.sysctl.ipv4.igmpQrv;
  if (igmpVersion(net, inDev) !== 3) {
    igmpStartTimer(net, group, 1);
    return;
  }
  // IGMP-3: a filter that starts with sources tells those, not its mode.
  if (group.sfmode === MCAST_EXCLUDE) group.crcount = robustness(net, idev);
  igmpIfcEvent(net, inDev);
}

function igmpGroupDropped(net: IpNet, inDev: InDevice, idev: IgmpDevice, group: Group): void {
  if (!igmpIsReported(net, group.multiaddr)) return;
  const { reporter } = group;
  igmpStopTimer(net, group);
  if (inDev.dead) return;
  const version = igmpVersion(net, inDev);
  if (version === 3) {
    igmpv3AddDelrec(net, idev, group);
    igmpIfcEvent(net, inDev);
  } else if (version === 2 && reporter) igmpSendOld(net, inDev.dev, group.multiaddr, 'leave');
}

/** Keeps what is to be told of a group that was left (`igmpv3_add_delrec`). */
function igmpv3AddDelrec(net: IpNet, idev: IgmpDevice, group: Group): void {
  const left = new GroupRecords(group.multiaddr);
  left.crcount = robustness(net, idev);
  left.sfmode = group.sfmode;
  if (left.sfmode === MCAST_INCLUDE) {
    left.tomb = group.tomb;
    left.sources = group.sources;
    group.tomb = new Map();
    group.sources = new Map();
    setCrcount(left.sources, left.crcount);
  }
  idev.mcTomb.delete(left.multiaddr);
  idev.mcTomb.set(left.multiaddr, left);
  if (idev.mcTomb.size > MAX_TOMBS) idev.mcTomb.delete(idev.mcTomb.keys().next().value!);
}

/** A group that was left is joined again before all was told (`igmpv3_del_delrec`). */
function igmpv3DelDelrec(net: IpNet, idev: IgmpDevice, group: Group): void {
  const left = idev.mcTomb.get(group.multiaddr);
  if (left === undefined) return;
  idev.mcTomb.delete(group.multiaddr);
  if (group.sfmode === MCAST_INCLUDE) {
    group.tomb = left.tomb;
    group.sources = left.sources;
    setCrcount(group.sources, robustness(net, idev));
  } else group.crcount = robustness(net, idev);
}

/**
 * Adds sources to a device's filter (`ip_mc_add_src`).
 * @param delta the socket is counted in this mode already
 * @returns 0, -ENODEV, or -ESRCH where the group is not joined
 */
export function ipMcAddSrc(
  net: IpNet,
  inDev: InDevice | null,
  multiaddr: number,
  mode: FilterMode,
  sources: readonly number[],
  delta: boolean,
): number {
  if (inDev === null) return -ENODEV;
  const idev = igmpDevice(net, inDev);
  const group = idev.groups.get(multiaddr);
  if (group === undefined) return -ESRCH;
  sfMarkstate(group);
  const wasExclude = group.sfmode === MCAST_EXCLUDE;
  if (!delta) group.sfcount[mode]++;
  for (const source of sources) add1Src(net, group, mode, source);
  if (wasExclude !== (group.sfcount[MCAST_EXCLUDE] !== 0)) {
    if (group.sfcount[MCAST_EXCLUDE] !== 0) group.sfmode = MCAST_EXCLUDE;
    else if (group.sfcount[MCAST_INCLUDE] !== 0) group.sfmode = MCAST_INCLUDE;
    modeChanged(net, inDev, idev, group);
  } else if (sfSetstate(idev, group)) igmpIfcEvent(net, inDev);
  return 0;
}

/** Takes sources out of a device's filter (`ip_mc_del_src`); -EINVAL where nobody is in that mode, -ESRCH for a source unknown. */
export function ipMcDelSrc(
  net: IpNet,
  inDev: InDevice | null,
  multiaddr: number,
  mode: FilterMode,
  sources: readonly number[],
  delta: boolean,
): number {
  if (inDev === null) return -ENODEV;
  const idev = igmpDevice(net, inDev);
  const group = idev.groups.get(multiaddr);
  if (group === undefined) return -ESRCH;
  sfMarkstate(group);
  if (!delta) {
    if (group.sfcount[mode] === 0) return -EINVAL;
    group.sfcount[mode]--;
  }
  let error = 0;
  let told = false;
  for (const source of sources) {
    const result = del1Src(net, inDev, idev, group, mode, source);
    if (result > 0) told = true;
    else if (result < 0 && error === 0) error = result;
  }
  const [excluding, including] = group.sfcount;
  if (group.sfmode === MCAST_EXCLUDE && excluding === 0 && including !== 0) {
    group.sfmode = MCAST_INCLUDE;
    modeChanged(net, inDev, idev, group);
  } else {
    const changed = sfSetstate(idev, group);
    if (changed || told) igmpIfcEvent(net, inDev);
  }
  return error;
}

/** The whole filter is told, which single sources need no more. */
function modeChanged(net: IpNet, inDev: InDevice, idev: IgmpDevice, group: Group): void {
  group.crcount = robustness(net, idev);
  idev.ifcCount = group.crcount;
  setCrcount(group.sources, 0);
  igmpIfcEvent(net, inDev);
}

function add1Src(net: IpNet, group: Group, mode: FilterMode, source: number): void {
  let psf = group.sources.get(source);
  if (psf === undefined) {
    psf = new SfSource(source);
    group.sources.set(source, psf);
  }
  if (++psf.count[mode] === 1) rtCacheFlush(net);
}

/** 1 where the source must be told of, 0 where not, -ESRCH where it is not in the filter. */
function del1Src(
  net: IpNet,
  inDev: InDevice,
  idev: IgmpDevice,
  group: Group,
  mode: FilterMode,
  source: number,
): number {
  const psf = group.sources.get(source);
  if (psf === undefined || psf.count[mode] === 0) return -ESRCH;
  if (--psf.count[mode] === 0) rtCacheFlush(net);
  if (psf.count[MCAST_INCLUDE] !== 0 || psf.count[MCAST_EXCLUDE] !== 0) return 0;
  group.sources.delete(source);
  if (!psf.oldin || igmpVersion(net, inDev) !== 3) return 0;
  psf.crcount = robustness(net, idev);
  bury(group, psf);
  return 1;
}

function bury(group: Group, psf: SfSource): void {
  group.tomb.delete(psf.inaddr);
  group.tomb.set(psf.inaddr, psf);
  if (group.tomb.size > MAX_TOMBS) group.tomb.delete(group.tomb.keys().next().value!);
}

/** Does the filter of the device as a whole let the source in (INCLUDE), or keep it out (EXCLUDE)? */
function inFilter(group: Group, psf: SfSource): boolean {
  const excluding = group.sfcount[MCAST_EXCLUDE];
  if (excluding === 0) return psf.count[MCAST_INCLUDE] !== 0;
  return excluding === psf.count[MCAST_EXCLUDE] && psf.count[MCAST_INCLUDE] === 0;
}

function sfMarkstate(group: Group): void {
  for (const psf of group.sources.values()) psf.oldin = inFilter(group, psf);
}

/** Notes which sources came into the filter and which fell out of it; true where any did. */
function sfSetstate(idev: IgmpDevice, group: Group): boolean {
  let changed = false;
  for (const psf of group.sources.values()) {
    const now = inFilter(group, psf);
    if (now === psf.oldin) continue;
    changed = true;
    if (now) {
      group.tomb.delete(psf.inaddr);
      psf.crcount = idev.qrv;
      continue;
    }
    psf.crcount = 0;
    let dead = group.tomb.get(psf.inaddr);
    if (dead === undefined) {
      dead = new SfSource(psf.inaddr);
      bury(group, dead);
    }
    dead.crcount = idev.qrv;
  }
  return changed;
}

/** The device is up (`ip_mc_up`): 224.0.0.1 is joined silently, every other group is announced (IGMP-4, IGMP-6). */
export function ipMcUp(net: IpNet, inDev: InDevice): void {
  const idev = igmpDevice(net, inDev);
  idev.qrv = net.sysctl.ipv4.igmpQrv;
  idev.queryIntervalMs = QUERY_INTERVAL_MS;
  idev.queryResponseMs = QUERY_RESPONSE_INTERVAL_MS;
  ipMcIncGroup(net, inDev, INADDR_ALLHOSTS_GROUP);
  for (const group of newestFirst(idev)) {
    igmpv3DelDelrec(net, idev, group);
    igmpGroupAdded(net, inDev, idev, group);
  }
}

/** The device goes down (`ip_mc_down`): sockets keep their groups, nobody is told. */
export function ipMcDown(net: IpNet, inDev: InDevice): void {
  const idev = igmpDevice(net, inDev);
  for (const group of newestFirst(idev)) igmpGroupDropped(net, inDev, idev, group);
  idev.ifcCount = 0;
  net.timers.del(idev.ifcTimer);
  net.timers.del(idev.gqTimer);
  ipMcDecGroup(net, inDev, INADDR_ALLHOSTS_GROUP);
}

/** The device leaves. */
export function ipMcDestroyDev(net: IpNet, inDev: InDevice): void {
  const idev = igmpDevice(net, inDev);
  for (const group of idev.groups.values()) igmpStopTimer(net, group);
  net.timers.del(idev.ifcTimer);
  net.timers.del(idev.gqTimer);
  igmpv3ClearDelrec(idev);
  idev.groups.clear();
  inDev.mcList.clear();
  net.igmp.delete(inDev);
}
