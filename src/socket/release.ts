/**
 * The end of a call that held the socket's lock. The kernel looks after the cached route there (`ip4_datagram_release_cb`): one that
 * is no longer good is looked up anew for the peer. It shows where the socket's flow is not the peer's (CORK-20), and in IP_MTU.
 */

import * as ip from '../uapi/in.js';
import * as so from '../uapi/socket.js';
import { SOL_IP, SOL_SOCKET } from '../uapi/socket.js';
import type { UdpNet } from '../udp/netns.js';
import { ip4DatagramReleaseCb } from '../udp/sendmsg.js';
import type { UdpSock } from '../udp/sock.js';

/** SOL_SOCKET options that 6.18 sets without the lock. */
const UNLOCKED_SOCKET: ReadonlySet<number> = new Set([
  so.SO_PRIORITY,
  so.SO_TYPE,
  so.SO_PROTOCOL,
  so.SO_DOMAIN,
  so.SO_ERROR,
  so.SO_SNDTIMEO,
  so.SO_RCVTIMEO,
  so.SO_SNDTIMEO_NEW,
  so.SO_RCVTIMEO_NEW,
  so.SO_BUSY_POLL,
  so.SO_PREFER_BUSY_POLL,
  so.SO_BUSY_POLL_BUDGET,
  so.SO_MAX_PACING_RATE,
  so.SO_TXREHASH,
  so.SO_PEEK_OFF,
]);
/** SOL_IP options that 6.18 sets with the lock, besides those that it does not know. */
const LOCKED_IP: ReadonlySet<number> = new Set([
  ip.IP_TOS,
  ip.IP_OPTIONS,
  ip.IP_UNICAST_IF,
  ip.IP_CHECKSUM,
  ip.IP_MULTICAST_IF,
]);
/** IP_ADD_MEMBERSHIP to MCAST_MSFILTER, of which IP_MULTICAST_ALL comes behind. */
const FIRST_MEMBERSHIP = 35;
const LAST_MEMBERSHIP = 48;
const IP_MSFILTER = 41;

/** After `bind`, `shutdown`, `getsockname`. */
export function releaseSock(net: UdpNet, sk: UdpSock): void {
  if (sk.dstCache !== null) ip4DatagramReleaseCb(net, sk);
}

/** After `setsockopt`. */
export function releaseAfterSet(net: UdpNet, sk: UdpSock, level: number, name: number): void {
  if (sk.dstCache !== null && setTakesLock(net, sk, level, name)) ip4DatagramReleaseCb(net, sk);
}

/** After `getsockopt` of SOL_IP: older kernels hold the lock for every option of SOL_IP. */
export function releaseAfterGet(net: UdpNet, sk: UdpSock, name: number): void {
  if (sk.dstCache === null) return;
  const locked = net.profile.everyOptionLocks || name === IP_MSFILTER || name === LAST_MEMBERSHIP;
  if (locked) ip4DatagramReleaseCb(net, sk);
}

function setTakesLock(net: UdpNet, sk: UdpSock, level: number, name: number): boolean {
  const { everyOptionLocks } = net.profile;
  if (level === SOL_SOCKET) return everyOptionLocks || !UNLOCKED_SOCKET.has(name);
  if (level !== SOL_IP) {
    if (name === ip.UDP_CORK) return !sk.corkflag;
    return !everyOptionLocks && (name === ip.UDP_GRO || name === ip.UDP_ENCAP);
  }
  if (name === ip.IP_ROUTER_ALERT) return false;
  return (
    everyOptionLocks ||
    LOCKED_IP.has(name) ||
    (name >= FIRST_MEMBERSHIP && name <= LAST_MEMBERSHIP) ||
    name > ip.IP_PROTOCOL
  );
}
