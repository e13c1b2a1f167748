/** The part of a socket that IP reads and charges (`struct inet_sock`): the protocol above owns the socket. */
import type { SkbOwner } from '../dev/skbuff.js';
import type { CorkState } from './cork.js';

export interface InetSock extends SkbOwner {
  readonly protocol: number;
  pmtudisc: number;
  recverr: boolean;
  /** -1: the route's hop limit or the sysctl. */
  ucTtl: number;
  mcTtl: number;
  mcLoop: boolean;
  tos: number;
  priority: number;
  saddr: number;
  /** Peer of a connected socket, 0 for none. */
  daddr: number;
  dport: number;
  /** Counter of the IP identification. */
  inetId: number;
  boundDevIf: number;
  mark: number;
  localroute: boolean;
  transparent: boolean;
  readonly cork: CorkState;
  // memory and errors
  wmemAlloc: number;
  sndbuf: number;
  /** Pending error, positive. */
  err: number;
  shutdown: number;
  /** ms; Infinity waits for ever. */
  sndtimeo: number;
  nospace: boolean;
  // notifications
  zerocopy: boolean;
  tsflags: number;
  tskey: number;
  txtime: boolean;
  /** Queues an error of our own on the error queue, if the socket wants such (`ip_local_error`). */
  localError(errno: number, daddr: number, port: number, info: number): void;
  /** A notification for one MSG_ZEROCOPY call (`msg_zerocopy_realloc`); null: no memory for it (ENOBUFS). */
  zerocopyRealloc(length: number, pending: object | null): ZerocopyUbuf | null;
  capable(cap: number): boolean;
}

/** A zerocopy notification: counted by the packets that carry it. */
export interface ZerocopyUbuf {
  get(): void;
  put(): void;
  /** The call failed: nothing will be reported. */
  abort(): void;
}

export const SEND_SHUTDOWN = 2;
export const CAP_NET_ADMIN = 12;
export const CAP_NET_RAW = 13;

/** The modes in which the path MTU counts (`ip_sk_use_pmtu`): DONT, WANT, DO. */
export function ipSkUsePmtu(sk: InetSock): boolean {
  return sk.pmtudisc < 3;
}
/** The modes in which a datagram may be fragmented here (`ip_sk_ignore_df`): DONT, WANT, OMIT. */
export function ipSkIgnoreDf(sk: InetSock): boolean {
  return sk.pmtudisc < 2 || sk.pmtudisc === 5;
}
