/** Addresses that do not live forever (`check_lifetime`): preferred for a while, deprecated for another, then gone. */
import { IFA_F_DEPRECATED, IFA_F_PERMANENT } from '../uapi/rtnetlink.js';
import type { InIfaddr } from './in_device.js';
import type { DevNet } from './netns.js';

/** A lifetime in seconds that never ends. */
export const INFINITY_LIFE_TIME = 0xffffffff;
export const MS_PER_SECOND = 1000;

/** `set_ifa_lifetime` */
export function setIfaLifetime(net: DevNet, ifa: InIfaddr, validLft: number, preferredLft: number): void {
  ifa.flags &= ~(IFA_F_PERMANENT | IFA_F_DEPRECATED);
  if (validLft === INFINITY_LIFE_TIME) ifa.flags |= IFA_F_PERMANENT;
  if (preferredLft === 0) ifa.flags |= IFA_F_DEPRECATED;
  ifa.validLft = validLft;
  ifa.preferredLft = preferredLft;
  ifa.tstamp = net.clock.now();
}

/** Whole seconds since its lifetimes were set. */
export function ageSeconds(net: DevNet, ifa: InIfaddr): number {
  return Math.floor((net.clock.now() - ifa.tstamp) / MS_PER_SECOND);
}

/** What is left of both lifetimes, in seconds; an address that stays has them forever. */
export function remainingLifetime(net: DevNet, ifa: InIfaddr): { validLft: number; preferredLft: number } {
  if ((ifa.flags & IFA_F_PERMANENT) !== 0)
    return { validLft: INFINITY_LIFE_TIME, preferredLft: INFINITY_LIFE_TIME };
  const age = ageSeconds(net, ifa);
  return { validLft: Math.max(0, ifa.validLft - age), preferredLft: Math.max(0, ifa.preferredLft - age) };
}
