/** How a device's own sysctl and the one of `all` make one value (`IN_DEV_ORCONF` and kin in `linux/inetdevice.h`). */
import type { InDevice } from './in_device.js';
import type { DevNet } from './netns.js';

/** `IN_DEV_ROUTE_LOCALNET` */
export function inDevRouteLocalnet(net: DevNet, inDev: InDevice): boolean {
  return (net.sysctl.confAll.routeLocalnet | inDev.cnf.routeLocalnet) !== 0;
}
/** `IN_DEV_RPFILTER`: 0 off, 1 strict, 2 loose. */
export function inDevRpfilter(net: DevNet, inDev: InDevice): number {
  return Math.max(net.sysctl.confAll.rpFilter, inDev.cnf.rpFilter);
}
/** `IN_DEV_ACCEPT_LOCAL` */
export function inDevAcceptLocal(net: DevNet, inDev: InDevice): boolean {
  return (net.sysctl.confAll.acceptLocal | inDev.cnf.acceptLocal) !== 0;
}
/** `IN_DEV_FORWARD` */
export function inDevForward(inDev: InDevice): boolean {
  return inDev.cnf.forwarding !== 0;
}
/** `IN_DEV_SRC_VMARK` */
export function inDevSrcVmark(net: DevNet, inDev: InDevice): boolean {
  return (net.sysctl.confAll.srcValidMark | inDev.cnf.srcValidMark) !== 0;
}
/** `IN_DEV_SHARED_MEDIA` */
export function inDevSharedMedia(net: DevNet, inDev: InDevice): boolean {
  return (net.sysctl.confAll.sharedMedia | inDev.cnf.sharedMedia) !== 0;
}
/** `IN_DEV_SEC_REDIRECTS` */
export function inDevSecRedirects(net: DevNet, inDev: InDevice): boolean {
  return (net.sysctl.confAll.secureRedirects | inDev.cnf.secureRedirects) !== 0;
}
/** `IN_DEV_RX_REDIRECTS`: a router wants both switches on, a host one of them (ICMP-30). */
export function inDevRxRedirects(net: DevNet, inDev: InDevice): boolean {
  const all = net.sysctl.confAll.acceptRedirects !== 0;
  const own = inDev.cnf.acceptRedirects !== 0;
  return inDevForward(inDev) ? all && own : all || own;
}
/** `IN_DEV_TX_REDIRECTS` */
export function inDevTxRedirects(net: DevNet, inDev: InDevice): boolean {
  return (net.sysctl.confAll.sendRedirects | inDev.cnf.sendRedirects) !== 0;
}
/** `IN_DEV_PROMOTE_SECONDARIES` */
export function inDevPromoteSecondaries(net: DevNet, inDev: InDevice): boolean {
  return (net.sysctl.confAll.promoteSecondaries | inDev.cnf.promoteSecondaries) !== 0;
}
