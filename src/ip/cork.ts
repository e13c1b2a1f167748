/**
 * Corking: a datagram that is assembled from several calls (`struct inet_cork_full`).
 *
 * With UDP_CORK or MSG_MORE a send only appends. What the first piece decided stays: route, MTU, options, segment size, TTL and TOS
 * given by control message, mark, priority (CORK-1). What is read only when the datagram is finished: the mode of path MTU discovery, the
 * socket's own TTL, SO_NO_CHECK, the source port (CORK-4). Later pieces say nothing but their bytes: their address, their control
 * messages, even the lack of an address are ignored (SEND-4). Any error in a piece throws the whole datagram away (CORK-12).
 *
 * A send without corking goes through the same state, one that belongs to the Net and lives for one call.
 */
import type { SkBuff } from '../dev/skbuff.js';
import { Flowi4 } from '../route/flow.js';
import type { Rtable } from '../route/rtable.js';
import { IpOptions } from './options.js';

export class CorkState {
  /** Addresses and ports of the datagram. A connected socket's cached route uses this flow too (CORK-20). */
  readonly fl = new Flowi4();
  /** Route; null when nothing is corked. */
  dst: Rtable | null = null;
  /** The copy of the options, valid while `hasOpt` (IPCORK_OPT). */
  readonly opt = new IpOptions();
  hasOpt = false;
  /** Final destination, for the options. */
  addr = 0;
  /** Largest packet, bytes with IP header (CORK-2). */
  fragsize = 0;
  /** Bytes behind the IP header so far. */
  length = 0;
  gsoSize = 0;
  /** 0: not given by a control message. */
  ttl = 0;
  /** -1: read at assembly (kernels before 6.15). */
  tos = 0;
  mark = 0;
  priority = 0;
  /** SO_TXTIME, ns; 0 for none. */
  transmitTime = 0;
  txFlags = 0;
  /** SCM_TS_OPT_ID, or -1. */
  tsOptId = -1;
  /** `sk_write_queue`: the future fragments, linked by `next`. */
  head: SkBuff | null = null;
  tail: SkBuff | null = null;
}

/** The per-call wishes of a send (`struct ipcm_cookie`, `struct sockcm_cookie`). */
export class IpcmCookie {
  addr = 0;
  oif = 0;
  opt: IpOptions | null = null;
  protocol = 0;
  /** 0: not given. */
  ttl = 0;
  tos = 0;
  gsoSize = 0;
  mark = 0;
  priority = 0;
  tsflags = 0;
  transmitTime = 0;
  tsOptId = -1;
}
