/** Routes follow their devices and addresses (`fib_sync_up`, `fib_sync_down_dev`, `fib_sync_down_addr` in `fib_semantics.c`). */
import { l3mdevFibTable } from '../dev/inet_select.js';
import type { NetDevice } from '../dev/net_device.js';
import { RT_SCOPE_NOWHERE, RT_TABLE_MAIN, RTNH_F_DEAD, RTNH_F_LINKDOWN } from '../uapi/rtnetlink.js';
import { fibRebalance } from './multipath.js';
import type { RouteNet } from './netns.js';

/** A device, or its link, is up: its nexthops work again. */
export function fibSyncUp(net: RouteNet, dev: NetDevice, nhFlags: number): void {
  if (!dev.isUp) return;
  const flags = (nhFlags & RTNH_F_DEAD) !== 0 && dev.carrier ? nhFlags | RTNH_F_LINKDOWN : nhFlags;
  for (const fi of net.fib.infosOf(dev)) {
    let alive = 0;
    for (const nh of fi.nhs) {
      if ((nh.flags & flags) === 0) alive++;
      else if (nh.dev === dev && dev.ipPtr !== null) {
        alive++;
        nh.flags &= ~flags;
      }
    }
    if (alive > 0) fi.flags &= ~flags;
    fibRebalance(fi);
  }
}

/**
 * A device goes down, away, or loses its link: its nexthops are dead, or linkdown. Routes to our own addresses stay (FIB-9), unless
 * `force`. @returns how many fib_infos have no living nexthop left
 */
export function fibSyncDownDev(
  net: RouteNet,
  dev: NetDevice,
  event: 'down' | 'unregister' | 'change',
  force: boolean,
): number {
  const spared = force ? -1 : RT_SCOPE_NOWHERE;
  const mark = event === 'change' ? RTNH_F_LINKDOWN : RTNH_F_DEAD | RTNH_F_LINKDOWN;
  let count = 0;
  for (const fi of net.fib.infosOf(dev)) {
    let dead = 0;
    for (const nh of fi.nhs) {
      if ((nh.flags & RTNH_F_DEAD) !== 0) dead++;
      else if (nh.dev === dev && nh.scope !== spared) {
        nh.flags |= mark;
        dead++;
      }
      // A multipath route does not outlive any of its devices.
      if (event === 'unregister' && nh.dev === dev) {
        dead = fi.nhs.length;
        break;
      }
    }
    if (dead === fi.nhs.length) {
      fi.flags |= mark;
      count++;
    }
    fibRebalance(fi);
  }
  return count;
}

/** An address is gone: routes that prefer it as source are dead. @returns how many */
export function fibSyncDownAddr(net: RouteNet, dev: NetDevice, local: number): number {
  if (local === 0) return 0;
  const table = l3mdevFibTable(dev) || RT_TABLE_MAIN;
  let count = 0;
  for (const fi of net.fib.infos) {
    if (fi === undefined || fi.tbId !== table || fi.prefsrc !== local) continue;
    fi.flags |= RTNH_F_DEAD;
    fi.pfsrcRemoved = true;
    count++;
  }
  return count;
}
