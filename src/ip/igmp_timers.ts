/** When IGMP reports go out, and in which version (`net/ipv4/igmp.c`). */
import { randomBelow } from '../core/random.js';
import type { InDevice } from '../dev/in_device.js';
import { igmpSendOld, igmpv3SendCr, igmpv3SendReport } from './igmp_report.js';
import { type Group, IgmpDevice, JIFFY_MS } from './igmp_state.js';
import type { IpNet } from './netns.js';

/** The IGMP state of a device; made when it is first asked for. */
export function igmpDevice(net: IpNet, inDev: InDevice): IgmpDevice {
  let idev = net.igmp.get(inDev);
  if (idev === undefined) {
    const dev = inDev.dev;
    idev = new IgmpDevice(
      (self) => igmpIfcTimerExpire(net, inDev, self),
      (self) => {
        igmpv3SendReport(net, dev, newestFirst(self));
        net.flush();
      },
    );
    idev.qrv = net.sysctl.ipv4.igmpQrv;
    net.igmp.set(inDev, idev);
  }
  return idev;
}

/** In the order that the kernel walks them. */
export function newestFirst(idev: IgmpDevice): Group[] {
  return [...idev.groups.values()].reverse();
}

function seen(net: IpNet, inDev: InDevice, version: 1 | 2, until: number): boolean {
  const forced = net.sysctl.confAll.forceIgmpVersion === version || inDev.cnf.forceIgmpVersion === version;
  return forced || (until !== 0 && net.clock.now() < until);
}

/** The version to speak: an older querier's, or the one that `force_igmp_version` says (IGMP-5). */
export function igmpVersion(net: IpNet, inDev: InDevice): 1 | 2 | 3 {
  const idev = igmpDevice(net, inDev);
  if (seen(net, inDev, 1, idev.v1SeenUntil)) return 1;
  return seen(net, inDev, 2, idev.v2SeenUntil) ? 2 : 3;
}

function unsolicitedReportInterval(net: IpNet, inDev: InDevice): number {
  const { igmpv2UnsolicitedReportInterval: v2, igmpv3UnsolicitedReportInterval: v3 } = inDev.cnf;
  return Math.max(1, igmpVersion(net, inDev) === 3 ? v3 : v2);
}

/** Reports are spread over `maxDelayMs`, so that the hosts of a link do not all speak at once; two ticks are the least. */
export function spread(net: IpNet, maxDelayMs: number): number {
  return net.clock.now() + randomBelow(net.random, maxDelayMs) + 2 * JIFFY_MS;
}

export function igmpStartTimer(net: IpNet, group: Group, maxDelayMs: number): void {
  net.timers.mod(group.timer, spread(net, maxDelayMs));
}

export function igmpStopTimer(net: IpNet, group: Group): void {
  net.timers.del(group.timer);
  group.reporter = false;
  group.unsolicitCount = 0;
}

/** Something changed: it is told soon, and again (`igmp_ifc_event`, IGMP-1). */
export function igmpIfcEvent(net: IpNet, inDev: InDevice): void {
  if (igmpVersion(net, inDev) !== 3) return;
  const idev = igmpDevice(net, inDev);
  idev.ifcCount = robustness(net, idev);
  net.timers.mod(idev.ifcTimer, spread(net, 1));
}

/** How many times each change is told. */
export function robustness(net: IpNet, idev: IgmpDevice): number {
  return idev.qrv || net.sysctl.ipv4.igmpQrv;
}

function igmpIfcTimerExpire(net: IpNet, inDev: InDevice, idev: IgmpDevice): void {
  igmpv3SendCr(net, inDev.dev, idev);
  if (idev.ifcCount > 0) {
    idev.ifcCount--;
    net.timers.mod(idev.ifcTimer, spread(net, unsolicitedReportInterval(net, inDev)));
  }
  net.flush();
}

/** A group's report is due: an answer, or a repeated announcement of version 1 or 2 (`igmp_timer_expire`). */
export function igmpTimerExpire(net: IpNet, inDev: InDevice, group: Group): void {
  if (group.unsolicitCount > 0 && --group.unsolicitCount > 0) {
    igmpStartTimer(net, group, unsolicitedReportInterval(net, inDev));
  }
  group.reporter = true;
  const version = igmpVersion(net, inDev);
  if (version === 3) igmpv3SendReport(net, inDev.dev, [group]);
  else igmpSendOld(net, inDev.dev, group.multiaddr, version === 1 ? 'report1' : 'report2');
  net.flush();
}
