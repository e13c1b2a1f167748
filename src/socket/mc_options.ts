/** Multicast memberships by setsockopt: IP_ADD_MEMBERSHIP and its relatives, and the protocol-independent MCAST_* (MC-20). */
import { EADDRINUSE, EADDRNOTAVAIL, EFAULT, EINVAL, ENOBUFS } from '../uapi/errno.js';
import * as ip from '../uapi/in.js';
import { MCAST_EXCLUDE, MCAST_INCLUDE } from '../uapi/in.js';
import { AF_INET } from '../uapi/socket.js';
import { ipMcJoinGroup, ipMcLeaveGroup, ipMcMsfilter, ipMcSource } from '../udp/mcast.js';
import type { UdpNet } from '../udp/netns.js';
import type { UdpSock } from '../udp/sock.js';
import { get16le, get32, get32le } from '../wire/bytes.js';
import { type Pointer, readUser } from './memory.js';

const IP_MREQ_BYTES = 8;
const IP_MREQN_BYTES = 12;
const IP_MREQ_SOURCE_BYTES = 12;
/** `struct group_req`, `struct group_source_req`: index, padding, one or two 128-byte addresses. */
const GROUP_REQ_BYTES = 136;
const GROUP_SOURCE_REQ_BYTES = 264;
const MSFILTER_BYTES = 16;

export function isMembershipOption(name: number): boolean {
  return name >= ip.IP_ADD_MEMBERSHIP && name <= ip.MCAST_MSFILTER;
}

export function membershipOption(
  net: UdpNet,
  sk: UdpSock,
  name: number,
  optval: Pointer,
  optlen: number,
): number {
  switch (name) {
    case ip.IP_ADD_MEMBERSHIP:
    case ip.IP_DROP_MEMBERSHIP: {
      if (optlen < IP_MREQ_BYTES) return -EINVAL;
      const b = readUser(optval, optlen >= IP_MREQN_BYTES ? IP_MREQN_BYTES : IP_MREQ_BYTES);
      if (b === null) return -EFAULT;
      const mreq = {
        multiaddr: get32(b, 0),
        address: get32(b, 4),
        ifindex: b.length === IP_MREQN_BYTES ? get32le(b, 8) | 0 : 0,
      };
      return name === ip.IP_ADD_MEMBERSHIP
        ? ipMcJoinGroup(net, sk, mreq, MCAST_EXCLUDE)
        : ipMcLeaveGroup(net, sk, mreq);
    }
    case ip.IP_BLOCK_SOURCE:
    case ip.IP_UNBLOCK_SOURCE:
    case ip.IP_ADD_SOURCE_MEMBERSHIP:
    case ip.IP_DROP_SOURCE_MEMBERSHIP: {
      if (optlen !== IP_MREQ_SOURCE_BYTES) return -EINVAL;
      const b = readUser(optval, IP_MREQ_SOURCE_BYTES);
      if (b === null) return -EFAULT;
      const mreq = { multiaddr: get32(b, 0), address: get32(b, 4), ifindex: 0 };
      return sourceOption(net, sk, name, mreq, get32(b, 8));
    }
    case ip.IP_MSFILTER:
      return msfilterOption(net, sk, optval, optlen);
    case ip.MCAST_JOIN_GROUP:
    case ip.MCAST_LEAVE_GROUP: {
      if (optlen < GROUP_REQ_BYTES) return -EINVAL;
      const b = readUser(optval, GROUP_REQ_BYTES);
      if (b === null) return -EFAULT;
      if (get16le(b, 8) !== AF_INET) return -EINVAL;
      const mreq = { multiaddr: get32(b, 12), address: 0, ifindex: get32le(b, 0) | 0 };
      return name === ip.MCAST_JOIN_GROUP
        ? ipMcJoinGroup(net, sk, mreq, MCAST_EXCLUDE)
        : ipMcLeaveGroup(net, sk, mreq);
    }
    case ip.MCAST_BLOCK_SOURCE:
    case ip.MCAST_UNBLOCK_SOURCE:
    case ip.MCAST_JOIN_SOURCE_GROUP:
    case ip.MCAST_LEAVE_SOURCE_GROUP: {
      if (optlen !== GROUP_SOURCE_REQ_BYTES) return -EINVAL;
      const b = readUser(optval, GROUP_SOURCE_REQ_BYTES);
      if (b === null) return -EFAULT;
      if (get16le(b, 8) !== AF_INET || get16le(b, 136) !== AF_INET) return -EADDRNOTAVAIL;
      const mreq = { multiaddr: get32(b, 12), address: 0, ifindex: get32le(b, 0) | 0 };
      return sourceOption(net, sk, SAME_AS[name - ip.MCAST_BLOCK_SOURCE]!, mreq, get32(b, 140));
    }
    default:
      return -EINVAL;
  }
}

/** The IPv4 option that each MCAST_* source option means, from MCAST_BLOCK_SOURCE on. */
const SAME_AS: readonly number[] = [
  ip.IP_BLOCK_SOURCE,
  ip.IP_UNBLOCK_SOURCE,
  0,
  ip.IP_ADD_SOURCE_MEMBERSHIP,
  ip.IP_DROP_SOURCE_MEMBERSHIP,
];

interface Mreqn {
  readonly multiaddr: number;
  readonly address: number;
  readonly ifindex: number;
}

function sourceOption(net: UdpNet, sk: UdpSock, name: number, mreq: Mreqn, source: number): number {
  if (name === ip.IP_ADD_SOURCE_MEMBERSHIP) {
    const err = ipMcJoinGroup(net, sk, mreq, MCAST_INCLUDE);
    if (err !== 0 && err !== -EADDRINUSE) return err;
  }
  const include = name === ip.IP_ADD_SOURCE_MEMBERSHIP || name === ip.IP_DROP_SOURCE_MEMBERSHIP;
  const add = name === ip.IP_ADD_SOURCE_MEMBERSHIP || name === ip.IP_BLOCK_SOURCE;
  return ipMcSource(net, sk, add, include ? MCAST_INCLUDE : MCAST_EXCLUDE, mreq, source);
}

/** `struct ip_msfilter`: group, interface, mode, count, sources. */
function msfilterOption(net: UdpNet, sk: UdpSock, optval: Pointer, optlen: number): number {
  if (optlen < MSFILTER_BYTES) return -EINVAL;
  if (optlen > net.sysctl.core.optmemMax) return -ENOBUFS;
  const b = readUser(optval, optlen);
  if (b === null) return -EFAULT;
  const count = get32le(b, 12);
  if (count >= 0x1fffffff || count > net.sysctl.ipv4.igmpMaxMsf) return -ENOBUFS;
  if (MSFILTER_BYTES + count * 4 > optlen) return -EINVAL;
  const sources = Array.from({ length: count }, (_, i) => get32(b, MSFILTER_BYTES + i * 4));
  return ipMcMsfilter(
    net,
    sk,
    { multiaddr: get32(b, 0), address: get32(b, 4), ifindex: 0 },
    get32le(b, 8),
    sources,
  );
}
