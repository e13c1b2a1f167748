/** Sockets of AF_INET (`net/ipv4/af_inet.c`): creation, bind, autobind, connect, names, shutdown, release. */
import { ipFlushPendingFrames } from '../ip/append.js';
import { inetAddrTypeTable } from '../route/addr_type.js';
import { l3mdevFibTableByIndex } from '../route/l3mdev.js';
import {
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EAGAIN,
  EINVAL,
  ENOTCONN,
  EPERM,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT,
} from '../uapi/errno.js';
import { IPPROTO_ICMP, IPPROTO_MAX, IPPROTO_UDP, IPPROTO_UDPLITE } from '../uapi/in.js';
import { RT_TABLE_LOCAL, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST } from '../uapi/rtnetlink.js';
import {
  AF_INET,
  AF_UNSPEC,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_STREAM,
} from '../uapi/socket.js';
import { ip4DatagramConnect, udpDisconnect } from '../udp/datagram.js';
import { ipMcDropSocket } from '../udp/mcast.js';
import type { UdpNet } from '../udp/netns.js';
import { udpPurge } from '../udp/recvmsg.js';
import {
  CAP_NET_BIND_SERVICE,
  CAP_NET_RAW,
  RCV_SHUTDOWN,
  SEND_SHUTDOWN,
  SOCK_BINDADDR_LOCK,
  SOCK_BINDPORT_LOCK,
  TCP_CLOSE,
  TCP_ESTABLISHED,
  UdpSock,
} from '../udp/sock.js';
import { udpLibGetPort, udpLibUnhash } from '../udp/udp_table.js';
import { get16, get16le, get32, put16, put16le, put32 } from '../wire/bytes.js';

export const SOCKADDR_IN_BYTES = 16;
const SOCK_TYPE_MASK = 0xf;
const SOCK_MAX = 11;
const NPROTO = 46;
const EAFNOSUPPORT_FAMILIES_ABOVE = NPROTO;

/** A file of a socket: what `socket(2)` makes. */
export interface SocketFile {
  readonly sk: UdpSock;
  nonblock: boolean;
}

/**
 * `__sys_socket`, without the descriptor (SOCK-1, SOCK-2). Of the kernel's protocols there are UDP and UDP-Lite; for what a
 * kernel with more would give (TCP, raw, ping) the answer is ESOCKTNOSUPPORT or EPROTONOSUPPORT.
 */
export function inetCreate(net: UdpNet, family: number, type: number, protocol: number): SocketFile | number {
  if ((type & ~SOCK_TYPE_MASK & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) return -EINVAL;
  if (family < 0 || family >= EAFNOSUPPORT_FAMILIES_ABOVE) return -EAFNOSUPPORT;
  const base = type & SOCK_TYPE_MASK;
  if (base >= SOCK_MAX) return -EINVAL;
  if (family !== AF_INET) return -EAFNOSUPPORT;
  if (protocol < 0 || protocol >= IPPROTO_MAX) return -EINVAL;
  if (base === SOCK_RAW) {
    if (protocol === 0) return -EPROTONOSUPPORT;
    return net.cred.capable(CAP_NET_RAW) ? -EPROTONOSUPPORT : -EPERM;
  }
  if (base === SOCK_STREAM) return -EPROTONOSUPPORT;
  if (base !== SOCK_DGRAM) return -ESOCKTNOSUPPORT;
  if (protocol === IPPROTO_ICMP) {
    const [lo, hi] = net.sysctl.pingGroupRange;
    return net.cred.gid >= lo && net.cred.gid <= hi ? -EPROTONOSUPPORT : -EACCES;
  }
  if (protocol !== 0 && protocol !== IPPROTO_UDP && protocol !== IPPROTO_UDPLITE) return -EPROTONOSUPPORT;
  const sk = new UdpSock(net, protocol === 0 ? IPPROTO_UDP : protocol, net.cred);
  return { sk, nonblock: (type & SOCK_NONBLOCK) !== 0 };
}

/** A `struct sockaddr_in` in memory. */
export function sockaddrIn(addr: number, port: number): Uint8Array {
  const b = new Uint8Array(SOCKADDR_IN_BYTES);
  put16le(b, 0, AF_INET);
  put16(b, 2, port);
  put32(b, 4, addr);
  return b;
}
export function sockaddrFamily(b: Uint8Array): number {
  return b.length < 2 ? 0 : get16le(b, 0);
}
export function sockaddrPort(b: Uint8Array): number {
  return get16(b, 2);
}
export function sockaddrAddr(b: Uint8Array): number {
  return get32(b, 4);
}

/** `inet_bind_sk` (BIND-1..7). @param b the address as copied from the user */
export function inetBind(net: UdpNet, sk: UdpSock, b: Uint8Array): number {
  if (b.length < SOCKADDR_IN_BYTES) return -EINVAL;
  const family = sockaddrFamily(b);
  const addr = sockaddrAddr(b);
  const snum = sockaddrPort(b);
  if (family !== AF_INET) {
    // Compatibility of old: AF_UNSPEC is AF_INET where the address is 0.0.0.0.
    if (family !== AF_UNSPEC || addr !== 0) return -EAFNOSUPPORT;
  }
  const table = l3mdevFibTableByIndex(net, sk.boundDevIf) || RT_TABLE_LOCAL;
  const type = addr === 0 ? RTN_LOCAL : inetAddrTypeTable(net, addr, table);
  const anyAddress = net.sysctl.ipv4.ipNonlocalBind !== 0 || sk.freebind || sk.transparent;
  if (addr !== 0 && !anyAddress && type !== RTN_LOCAL && type !== RTN_MULTICAST && type !== RTN_BROADCAST) {
    return -EADDRNOTAVAIL;
  }
  if (
    snum !== 0 &&
    snum < net.sysctl.ipv4.ipUnprivilegedPortStart &&
    !net.cred.capable(CAP_NET_BIND_SERVICE)
  ) {
    return -EACCES;
  }
  if (sk.state !== TCP_CLOSE || sk.num !== 0) return -EINVAL;
  sk.rcvSaddr = addr;
  // BIND-5: a group or broadcast address is no source.
  sk.saddr = type === RTN_MULTICAST || type === RTN_BROADCAST ? 0 : addr;
  if (snum !== 0 || !sk.bindAddressNoPort) {
    if (udpLibGetPort(net, sk, snum) !== 0) {
      sk.saddr = 0;
      sk.rcvSaddr = 0;
      return -EADDRINUSE;
    }
  }
  if (addr !== 0) sk.userlocks |= SOCK_BINDADDR_LOCK;
  if (snum !== 0) sk.userlocks |= SOCK_BINDPORT_LOCK;
  sk.daddr = 0;
  sk.dport = 0;
  sk.dstCache = null;
  return 0;
}

/** `inet_autobind`, before every send and connect (BIND-20). 0 or -EAGAIN. */
export function inetAutobind(net: UdpNet, sk: UdpSock): number {
  return sk.num === 0 && udpLibGetPort(net, sk, 0) !== 0 ? -EAGAIN : 0;
}

/** `inet_dgram_connect` (CONN-1). @param b the address as copied from the user */
export function inetDgramConnect(net: UdpNet, sk: UdpSock, b: Uint8Array): number {
  if (b.length < 2) return -EINVAL;
  if (sockaddrFamily(b) === AF_UNSPEC) {
    udpDisconnect(net, sk);
    return 0;
  }
  const bound = inetAutobind(net, sk);
  if (bound < 0) return bound;
  if (b.length < SOCKADDR_IN_BYTES) return -EINVAL;
  if (sockaddrFamily(b) !== AF_INET) return -EAFNOSUPPORT;
  return ip4DatagramConnect(net, sk, sockaddrAddr(b), sockaddrPort(b));
}

/** `inet_getname` (CONN-11): the name in memory, or -ENOTCONN. */
export function inetGetname(sk: UdpSock, peer: boolean): Uint8Array | number {
  if (!peer) return sockaddrIn(sk.rcvSaddr !== 0 ? sk.rcvSaddr : sk.saddr, sk.num);
  if (sk.dport === 0 || sk.state === TCP_CLOSE) return -ENOTCONN;
  return sockaddrIn(sk.daddr, sk.dport);
}

/** `inet_shutdown` (CONN-12): the flag is set even where the answer is ENOTCONN. */
export function inetShutdown(sk: UdpSock, how: number): number {
  if (how < 0 || how > 2) return -EINVAL;
  sk.shutdown |= (how + 1) & (RCV_SHUTDOWN | SEND_SHUTDOWN);
  if (sk.state === TCP_ESTABLISHED) {
    sk.onReadable?.();
    return 0;
  }
  return -ENOTCONN;
}

/** The last descriptor is closed (SOCK-9): corked data is discarded, memberships end, the port is free. */
export function inetRelease(net: UdpNet, sk: UdpSock): void {
  if (sk.closed) return;
  sk.closed = true;
  ipMcDropSocket(net, sk);
  sk.pending = 0;
  ipFlushPendingFrames(net, sk.cork);
  udpLibUnhash(net, sk);
  udpPurge(net, sk);
  sk.dstCache = null;
}
