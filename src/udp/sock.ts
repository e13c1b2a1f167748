/** A UDP socket: `struct sock`, `inet_sock` and `udp_sock` in one, with the kernel's defaults (SOCK-5..7). */

import { SKBTX_SCHED_TSTAMP, type SkBuff } from '../dev/skbuff.js';
import { CorkState } from '../ip/cork.js';
import type { InetSock, ZerocopyUbuf } from '../ip/inet_sock.js';
import type { IpOptions } from '../ip/options.js';
import type { Rtable } from '../route/rtable.js';
import { IP_PMTUDISC_DONT, IP_PMTUDISC_WANT, IPPROTO_UDP } from '../uapi/in.js';
import { AF_INET, SOCK_DGRAM } from '../uapi/socket.js';
import { ipLocalError, SCM_TSTAMP_SCHED, SCM_TSTAMP_SND, skbTstampTx } from './errqueue.js';
import type { IpMcSocklist } from './mc_socklist.js';
import type { UdpNet } from './netns.js';
import type { CmsgPacket } from './recv_cmsg.js';
import { msgZerocopyRealloc } from './zerocopy.js';

/** `sk_state` */
export const TCP_ESTABLISHED = 1;
export const TCP_CLOSE = 7;

export const RCV_SHUTDOWN = 1;
export const SEND_SHUTDOWN = 2;

/** SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF: bytes of truesize. */
export const SOCK_MIN_SNDBUF = 4608;
export const SOCK_MIN_RCVBUF = 2304;

/** `sk_userlocks` */
export const SOCK_BINDADDR_LOCK = 4;
export const SOCK_BINDPORT_LOCK = 8;

export const CAP_NET_BIND_SERVICE = 10;
export const CAP_NET_ADMIN = 12;
export const CAP_NET_RAW = 13;

/** Who makes a call: user, group, and which capabilities they hold in the Net. */
export interface Cred {
  readonly uid: number;
  readonly gid: number;
  capable(cap: number): boolean;
}
export const ROOT_CRED: Cred = { uid: 0, gid: 0, capable: () => true };
/** uid 65534 without capabilities. */
export const NOBODY_CRED: Cred = { uid: 65534, gid: 65534, capable: () => false };

/** One entry of the error queue (`struct sock_exterr_skb`). */
export interface ErrQueueEntry {
  errno: number;
  /** SO_EE_ORIGIN_* */
  origin: number;
  type: number;
  code: number;
  info: number;
  data: number;
  /** Where the failing datagram went; null where the kernel gives no name. */
  readonly addr: number;
  readonly port: number;
  /** Who reported it; family 0 (local) where null. */
  readonly offender: number | null;
  readonly payload: Uint8Array;
  /** Software timestamp in wall-clock ms for origin TIMESTAMPING, else 0. */
  readonly tstampMs: number;
  /** What the entry is charged to the receive buffer with. */
  readonly truesize: number;
  /** The packet that control messages speak of, null where none do. */
  readonly packet: CmsgPacket | null;
}

export class UdpSock implements InetSock {
  readonly family = AF_INET;
  readonly type = SOCK_DGRAM;
  readonly isUdplite: boolean;

  // struct sock
  state = TCP_CLOSE;
  boundDevIf = 0;
  sndbuf: number;
  rcvbuf: number;
  /** Bytes of truesize charged: send memory, receive memory (with the error queue), option memory. */
  wmemAlloc = 0;
  rmemAlloc = 0;
  omemAlloc = 0;
  /** Pending hard error, positive errno. */
  err = 0;
  errSoft = 0;
  shutdown = 0;
  priority = 0;
  mark = 0;
  userlocks = 0;
  reuse = false;
  reuseport = false;
  broadcast = false;
  localroute = false;
  noCheckTx = false;
  debug = false;
  /** SOCK_NOSPACE (SEND-41) */
  nospace = false;
  zerocopy = false;
  zckey = 0;
  txtimeClockid = 0;
  txtimeFlags = 0;
  txtime = false;
  /** SOF_TIMESTAMPING_* */
  tsflags = 0;
  tskey = 0;
  /** SO_TIMESTAMP 1, SO_TIMESTAMPNS 2 for received datagrams, 0 off. */
  rcvtstamp = 0;
  /** The names of the timestamp options are those of 64-bit time (`SOCK_TSTAMP_NEW`). */
  tstampNew = false;
  rxqOvfl = false;
  peekOff = -1;
  /** ms; Infinity waits for ever, 0 never waits. */
  sndtimeo = Infinity;
  rcvtimeo = Infinity;
  rcvlowat = 1;
  drops = 0;
  /** The cached route of a connected socket (`sk_dst_cache`), with MSG_CONFIRM's wish. */
  dstCache: Rtable | null = null;
  closed = false;
  /** SOL_SOCKET options that are only remembered, by name; null while none was set. */
  otherOptions: Map<number, number> | null = null;

  // struct inet_sock; ports and addresses in host order, 0 unset
  /** Port (`inet_num`). */
  num = 0;
  /** Source address, receive address, peer. */
  saddr = 0;
  rcvSaddr = 0;
  daddr = 0;
  dport = 0;
  /** -1: the route's hop limit or the sysctl. */
  ucTtl = -1;
  mcTtl = 1;
  mcLoop = true;
  mcAll = true;
  mcIndex = 0;
  mcAddr = 0;
  mcList: IpMcSocklist[] = [];
  ucIndex = 0;
  tos = 0;
  rcvTos = 0;
  minTtl = 0;
  pmtudisc: number;
  recverr = false;
  recverrRfc4884 = false;
  freebind = false;
  transparent = false;
  bindAddressNoPort = false;
  localPortRangeLo = 0;
  localPortRangeHi = 0;
  inetOpt: IpOptions | null = null;
  /** Counter of the IP identification (IPID-1). */
  inetId = 0;
  /** IP_CMSG_*: which control messages recvmsg gives. */
  cmsgFlags = 0;

  // struct udp_sock
  /** AF_INET while a corked datagram is pending, else 0. */
  pending = 0;
  corkflag = false;
  gsoSize = 0;
  groEnabled = false;
  encapType = 0;
  noCheck6Tx = false;
  noCheck6Rx = false;
  pcslen = 0;
  pcrlen = 0;
  udpliteSendCc = false;
  udpliteRecvCc = false;
  /** The datagram that is being assembled; its flow is also what the connected fast path uses (CORK-20). */
  readonly cork = new CorkState();

  // receive side
  readonly receiveQueue: SkBuff[] = [];
  /** How many of them, from the front, a reader has taken over (`reader_queue`), and bytes read but not given back yet (BUF-2 of receiving). */
  readerQueued = 0;
  forwardDeficit = 0;
  readonly errorQueue: ErrQueueEntry[] = [];
  /** Told when something arrives (data, an error) or send space returns: the library's waiters. */
  onReadable: (() => void) | null = null;
  onWritable: (() => void) | null = null;
  /** Order of creation: the lookup prefers the newest among equals. */
  readonly order: number;

  constructor(
    readonly net: UdpNet,
    /** IPPROTO_UDP or IPPROTO_UDPLITE. */
    readonly protocol: number,
    readonly cred: Cred,
  ) {
    this.isUdplite = protocol !== IPPROTO_UDP;
    this.sndbuf = net.sysctl.core.wmemDefault;
    this.rcvbuf = net.sysctl.core.rmemDefault;
    // SOCK-6: sampled at creation.
    this.pmtudisc = net.sysctl.ipv4.ipNoPmtuDisc === 0 ? IP_PMTUDISC_WANT : IP_PMTUDISC_DONT;
    this.order = net.nextSockOrder++;
  }

  /** `sock_wfree`: send memory comes back. */
  wfree(truesize: number): void {
    this.wmemAlloc -= truesize;
    // BUF-6: the writer is woken, and NOSPACE forgotten, only when there is room again.
    if (this.nospace && this.wmemAlloc * 2 <= this.sndbuf) {
      this.nospace = false;
      this.onWritable?.();
    }
  }

  localError(errno: number, daddr: number, port: number, info: number): void {
    if (this.recverr) ipLocalError(this, errno, daddr, port, info);
  }

  zerocopyRealloc(length: number, pending: object | null): ZerocopyUbuf | null {
    return msgZerocopyRealloc(this, length, pending);
  }

  txTimestamp(skb: SkBuff, point: number): void {
    skbTstampTx(this.net, this, skb, point === SKBTX_SCHED_TSTAMP ? SCM_TSTAMP_SCHED : SCM_TSTAMP_SND);
  }

  /** Asks for the capability of who makes the present call, not of who made the socket. */
  capable(cap: number): boolean {
    return this.net.cred.capable(cap);
  }
}
