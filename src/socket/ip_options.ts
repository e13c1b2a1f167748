/** Options of level SOL_IP (`do_ip_setsockopt`, `do_ip_getsockopt` of `net/ipv4/ip_sockglue.c`). */

import { l3mdevMasterIfindex } from '../dev/inet_select.js';
import { optionsContext, rtTos2priority } from '../ip/ip_cmsg.js';
import { ipOptionsGet, ipOptionsUndo } from '../ip/options.js';
import { ipDevFind } from '../route/addr_type.js';
import { dstMtu } from '../route/mtu.js';
import { EADDRNOTAVAIL, EFAULT, EINVAL, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP, EPERM } from '../uapi/errno.js';
import * as ip from '../uapi/in.js';
import { skbErrorQueuePurge } from '../udp/errqueue.js';
import type { UdpNet } from '../udp/netns.js';
import * as recv from '../udp/recv_cmsg.js';
import { CAP_NET_ADMIN, CAP_NET_RAW, type UdpSock } from '../udp/sock.js';
import { get32, get32le, put32, put32le } from '../wire/bytes.js';
import { isMembershipOption, membershipOption } from './mc_options.js';
import { type Pointer, readUser } from './memory.js';

const MAX_OPTION_BYTES = 40;
/** MRT_BASE .. MRT_MAX: multicast routing, for raw IGMP sockets only. */
const MRT_BASE = 200;
const MRT_MAX = 212;

/** Receive-side options and the control message that each asks for. */
const CMSG_FLAG: ReadonlyMap<number, number> = new Map([
  [ip.IP_PKTINFO, recv.IP_CMSG_PKTINFO],
  [ip.IP_RECVTTL, recv.IP_CMSG_TTL],
  [ip.IP_RECVTOS, recv.IP_CMSG_TOS],
  [ip.IP_RECVOPTS, recv.IP_CMSG_RECVOPTS],
  [ip.IP_RETOPTS, recv.IP_CMSG_RETOPTS],
  [ip.IP_PASSSEC, recv.IP_CMSG_PASSSEC],
  [ip.IP_RECVORIGDSTADDR, recv.IP_CMSG_ORIGDSTADDR],
  [ip.IP_CHECKSUM, recv.IP_CMSG_CHECKSUM],
  [ip.IP_RECVFRAGSIZE, recv.IP_CMSG_RECVFRAGSIZE],
]);

/** Options whose value is an int, or a single byte where the length is under 4. */
const INTEGER_OPTIONS = new Set<number>([
  ...CMSG_FLAG.keys(),
  ip.IP_TOS,
  ip.IP_TTL,
  ip.IP_HDRINCL,
  ip.IP_MTU_DISCOVER,
  ip.IP_RECVERR,
  ip.IP_ROUTER_ALERT,
  ip.IP_FREEBIND,
  ip.IP_TRANSPARENT,
  ip.IP_MINTTL,
  ip.IP_NODEFRAG,
  ip.IP_BIND_ADDRESS_NO_PORT,
  ip.IP_UNICAST_IF,
  ip.IP_MULTICAST_TTL,
  ip.IP_MULTICAST_ALL,
  ip.IP_MULTICAST_LOOP,
  ip.IP_RECVERR_RFC4884,
  ip.IP_LOCAL_PORT_RANGE,
]);

/** Reads an integer option's value as the kernel does; null is EFAULT. */
function integerValue(optval: Pointer, optlen: number): number | null {
  if (optlen >= 4) {
    const b = readUser(optval, 4);
    return b === null ? null : get32le(b, 0) | 0;
  }
  if (optlen < 1) return 0;
  const b = readUser(optval, 1);
  return b === null ? null : b[0]!;
}

/** 0 or a negative errno. */
export function ipSetsockopt(
  net: UdpNet,
  sk: UdpSock,
  name: number,
  optval: Pointer,
  optlen: number,
): number {
  if (name >= MRT_BASE && name <= MRT_MAX) return -EOPNOTSUPP;
  if (INTEGER_OPTIONS.has(name)) {
    const val = integerValue(optval, optlen);
    return val === null ? -EFAULT : setInteger(net, sk, name, val, optlen);
  }
  if (isMembershipOption(name)) return membershipOption(net, sk, name, optval, optlen);
  switch (name) {
    case ip.IP_OPTIONS: {
      if (optlen > MAX_OPTION_BYTES) return -EINVAL;
      const bytes = readUser(optval, optlen);
      if (bytes === null) return -EFAULT;
      const opt = ipOptionsGet(bytes, optionsContext(net, sk));
      if (typeof opt === 'number') return opt;
      sk.inetOpt = optlen === 0 ? null : opt;
      return 0;
    }
    case ip.IP_MULTICAST_IF:
      return setMulticastIf(net, sk, optval, optlen);
    case ip.IP_IPSEC_POLICY:
    case ip.IP_XFRM_POLICY:
      return sk.capable(CAP_NET_ADMIN) ? -EINVAL : -EPERM;
    default:
      return -ENOPROTOOPT;
  }
}

function setInteger(net: UdpNet, sk: UdpSock, name: number, val: number, optlen: number): number {
  const flag = CMSG_FLAG.get(name);
  if (flag !== undefined) {
    sk.cmsgFlags = val !== 0 ? sk.cmsgFlags | flag : sk.cmsgFlags & ~flag;
    return 0;
  }
  switch (name) {
    case ip.IP_TOS:
      if (sk.tos !== (val & 0xff)) {
        // SOPT-20: only a change touches priority and route.
        sk.tos = val & 0xff;
        sk.priority = rtTos2priority(sk.tos);
        sk.dstCache = null;
      }
      return 0;
    case ip.IP_TTL:
      if (optlen < 1 || (val !== -1 && (val < 1 || val > 255))) return -EINVAL;
      sk.ucTtl = val;
      return 0;
    case ip.IP_MULTICAST_TTL:
      if (optlen < 1 || val < -1 || val > 255) return -EINVAL;
      sk.mcTtl = val === -1 ? 1 : val;
      return 0;
    case ip.IP_MINTTL:
      if (optlen < 1 || val < 0 || val > 255) return -EINVAL;
      sk.minTtl = val;
      return 0;
    case ip.IP_MTU_DISCOVER:
      if (val < ip.IP_PMTUDISC_DONT || val > ip.IP_PMTUDISC_OMIT) return -EINVAL;
      sk.pmtudisc = val;
      return 0;
    case ip.IP_RECVERR:
      sk.recverr = val !== 0;
      if (val === 0) skbErrorQueuePurge(sk);
      return 0;
    case ip.IP_RECVERR_RFC4884:
      if (val < 0 || val > 1) return -EINVAL;
      sk.recverrRfc4884 = val === 1;
      return 0;
    case ip.IP_FREEBIND:
      if (optlen < 1) return -EINVAL;
      sk.freebind = val !== 0;
      return 0;
    case ip.IP_TRANSPARENT:
      if (val !== 0 && !sk.capable(CAP_NET_RAW) && !sk.capable(CAP_NET_ADMIN)) return -EPERM;
      if (optlen < 1) return -EINVAL;
      sk.transparent = val !== 0;
      return 0;
    case ip.IP_MULTICAST_LOOP:
      if (optlen < 1) return -EINVAL;
      sk.mcLoop = val !== 0;
      return 0;
    case ip.IP_MULTICAST_ALL:
      if (optlen < 1 || (val !== 0 && val !== 1)) return -EINVAL;
      sk.mcAll = val === 1;
      return 0;
    case ip.IP_BIND_ADDRESS_NO_PORT:
      sk.bindAddressNoPort = val !== 0;
      return 0;
    case ip.IP_UNICAST_IF:
      return setUnicastIf(net, sk, val, optlen);
    case ip.IP_LOCAL_PORT_RANGE: {
      if (!net.profile.localPortRange) return -ENOPROTOOPT;
      const lo = val & 0xffff;
      const hi = val >>> 16;
      if (optlen !== 4 || (lo !== 0 && hi !== 0 && lo > hi)) return -EINVAL;
      sk.localPortRangeLo = lo;
      sk.localPortRangeHi = hi;
      return 0;
    }
    case ip.IP_ROUTER_ALERT:
      // For raw sockets only (ip_ra_control).
      return -EINVAL;
    default:
      // IP_HDRINCL, IP_NODEFRAG: raw sockets only (SOPT-31).
      return -ENOPROTOOPT;
  }
}

/** SOPT-25: the index is in network order. */
function setUnicastIf(net: UdpNet, sk: UdpSock, val: number, optlen: number): number {
  if (optlen !== 4) return -EINVAL;
  const b = new Uint8Array(4);
  put32le(b, 0, val);
  const ifindex = get32(b, 0) | 0;
  if (ifindex === 0) {
    sk.ucIndex = 0;
    return 0;
  }
  const dev = net.devGetByIndex(ifindex);
  if (dev === null) return -EADDRNOTAVAIL;
  if (sk.boundDevIf !== 0 && l3mdevMasterIfindex(dev) !== sk.boundDevIf) return -EINVAL;
  sk.ucIndex = ifindex;
  return 0;
}

/** SOPT-24: an address, a `struct ip_mreq`, or a `struct ip_mreqn`, by the length. */
function setMulticastIf(net: UdpNet, sk: UdpSock, optval: Pointer, optlen: number): number {
  if (optlen < 4) return -EINVAL;
  const size = optlen >= 12 ? 12 : optlen >= 8 ? 8 : 4;
  const b = readUser(optval, size);
  if (b === null) return -EFAULT;
  const address = get32(b, size === 4 ? 0 : 4);
  let ifindex = size === 12 ? get32le(b, 8) | 0 : 0;
  if (ifindex === 0) {
    if (address === 0) {
      sk.mcIndex = 0;
      sk.mcAddr = 0;
      return 0;
    }
    ifindex = ipDevFind(net, address)?.ifindex ?? 0;
  }
  const dev = ifindex === 0 ? null : net.devGetByIndex(ifindex);
  if (dev === null) return -EADDRNOTAVAIL;
  if (sk.boundDevIf !== 0 && ifindex !== sk.boundDevIf && l3mdevMasterIfindex(dev) !== sk.boundDevIf)
    return -EINVAL;
  sk.mcIndex = ifindex;
  sk.mcAddr = address;
  return 0;
}

/** An integer, the value's own bytes, or an error. */
export type IpOptionValue = { int: number } | { bytes: Uint8Array } | { error: number };

/** Reads an option. The caller writes it by `do_ip_getsockopt`'s rule for integers, bytes as they are. */
export function ipGetsockopt(net: UdpNet, sk: UdpSock, name: number): IpOptionValue {
  if (name >= MRT_BASE && name <= MRT_MAX) return { error: -EOPNOTSUPP };
  const flag = CMSG_FLAG.get(name);
  if (flag !== undefined) return { int: (sk.cmsgFlags & flag) !== 0 ? 1 : 0 };
  switch (name) {
    case ip.IP_TOS:
      return { int: sk.tos };
    case ip.IP_TTL:
      return { int: sk.ucTtl < 0 ? net.sysctl.ipv4.ipDefaultTtl : sk.ucTtl };
    case ip.IP_HDRINCL:
    case ip.IP_NODEFRAG:
      return { int: 0 };
    case ip.IP_ROUTER_ALERT:
      return net.profile.getRouterAlert ? { int: 0 } : { error: -ENOPROTOOPT };
    case ip.IP_MTU_DISCOVER:
      return { int: sk.pmtudisc };
    case ip.IP_RECVERR:
      return { int: sk.recverr ? 1 : 0 };
    case ip.IP_RECVERR_RFC4884:
      return { int: sk.recverrRfc4884 ? 1 : 0 };
    case ip.IP_FREEBIND:
      return { int: sk.freebind ? 1 : 0 };
    case ip.IP_TRANSPARENT:
      return { int: sk.transparent ? 1 : 0 };
    case ip.IP_MINTTL:
      return { int: sk.minTtl };
    case ip.IP_BIND_ADDRESS_NO_PORT:
      return { int: sk.bindAddressNoPort ? 1 : 0 };
    case ip.IP_MULTICAST_TTL:
      return { int: sk.mcTtl };
    case ip.IP_MULTICAST_LOOP:
      return { int: sk.mcLoop ? 1 : 0 };
    case ip.IP_MULTICAST_ALL:
      return { int: sk.mcAll ? 1 : 0 };
    case ip.IP_PROTOCOL:
      return { int: sk.num };
    case ip.IP_LOCAL_PORT_RANGE:
      if (!net.profile.localPortRange) return { error: -ENOPROTOOPT };
      return { int: (sk.localPortRangeHi << 16) | sk.localPortRangeLo };
    case ip.IP_UNICAST_IF: {
      const b = new Uint8Array(4);
      put32(b, 0, sk.ucIndex);
      return { int: get32le(b, 0) | 0 };
    }
    case ip.IP_MTU: {
      const mtu = sk.dstCache === null ? 0 : dstMtu(sk.dstCache);
      return mtu === 0 ? { error: -ENOTCONN } : { int: mtu };
    }
    case ip.IP_OPTIONS:
      return { bytes: sk.inetOpt === null ? new Uint8Array(0) : ipOptionsUndo(sk.inetOpt) };
    case ip.IP_MULTICAST_IF: {
      const b = new Uint8Array(4);
      put32(b, 0, sk.mcAddr);
      return { bytes: b };
    }
    default:
      return { error: -ENOPROTOOPT };
  }
}
