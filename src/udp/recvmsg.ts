/** Reading a socket (`udp_recvmsg`): the next datagram or the next error, with what the socket wants to know of it. */
import type { SkBuff } from '../dev/skbuff.js';
import { letTimePass } from '../ip/sock_mem.js';
import { EAGAIN } from '../uapi/errno.js';
import { UDP_GRO } from '../uapi/in.js';
import {
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_PEEK,
  MSG_TRUNC,
  SO_MARK,
  SO_PRIORITY,
  SO_RCVMARK,
  SO_RCVPRIORITY,
  SO_RXQ_OVFL,
  SOF_TIMESTAMPING_SOFTWARE,
  SOL_SOCKET,
  SOL_UDP,
} from '../uapi/socket.js';
import type { Cmsg } from '../wire/cmsg.js';
import * as ipv4 from '../wire/ipv4.js';
import * as udp from '../wire/udp.js';
import { ipRecvError, retOptions, skbErrorQueuePurge } from './errqueue.js';
import type { UdpNet } from './netns.js';
import { checksumComplete, UDP_CB_CSUM_VALID, UDP_CB_PEEKED } from './rcv.js';
import { ipCmsgRecvOffset, native32, rxTimestamp, sockRecvTimestamp } from './recv_cmsg.js';
import { RCV_SHUTDOWN, type UdpSock } from './sock.js';

export interface RecvRequest {
  /** Room for the data, bytes. */
  readonly len: number;
  /** MSG_*; MSG_DONTWAIT also where the descriptor is O_NONBLOCK. */
  readonly flags: number;
  /** Takes the data to where the caller wants it: 0, or -EFAULT, which costs the datagram. */
  readonly copyOut?: (data: Uint8Array) => number;
}

export interface RecvMessage {
  /** What the call returns: bytes copied, or with MSG_TRUNC the datagram's length. */
  readonly ret: number;
  readonly data: Uint8Array;
  /** Who sent it, or where the failed datagram went; null where the kernel gives no name. */
  readonly name: { readonly addr: number; readonly port: number } | null;
  /** `msg_flags` */
  readonly flags: number;
  readonly cmsgs: Cmsg[];
}

/**
 * Receives (`recvmsg` on a UDP socket).
 * @returns the message, or -EAGAIN, the pending error (consumed), -EFAULT from `copyOut`
 */
export function udpRecvmsg(net: UdpNet, sk: UdpSock, request: RecvRequest): RecvMessage | number {
  if ((request.flags & MSG_ERRQUEUE) !== 0) return ipRecvError(net, sk, request);
  for (;;) {
    const taken = skbRecvUdp(net, sk, request);
    if (typeof taken === 'number') {
      return taken === 0 ? { ret: 0, data: NOTHING, name: null, flags: 0, cmsgs: [] } : taken;
    }
    const message = readDatagram(net, sk, taken.skb, taken.off, request);
    if (message !== null) return message;
    // Its checksum is wrong: on to the next.
  }
}
const NOTHING = new Uint8Array(0);

interface Taken {
  readonly skb: SkBuff;
  /** Bytes that SO_PEEK_OFF skips. */
  readonly off: number;
}

/** `__skb_recv_udp`: the next datagram; 0 after shutdown, or a negative errno. */
function skbRecvUdp(net: UdpNet, sk: UdpSock, request: RecvRequest): Taken | number {
  const timeo = (request.flags & MSG_DONTWAIT) !== 0 ? 0 : sk.rcvtimeo;
  let deadline = -1;
  for (;;) {
    if (sk.err !== 0) {
      const err = sk.err;
      sk.err = 0;
      return -err;
    }
    const taken = tryRecvFromQueue(sk, request.flags);
    if (taken !== null) return taken;
    if (timeo === 0) return -EAGAIN;
    if ((sk.shutdown & RCV_SHUTDOWN) !== 0) return 0;
    if (deadline < 0) deadline = net.clock.now() + timeo;
    if (!letTimePass(net, deadline)) return -EAGAIN;
  }
}

/** `__skb_try_recv_from_queue`, from the reader's part of the queue first, then from the whole. */
function tryRecvFromQueue(sk: UdpSock, flags: number): Taken | null {
  const queue = sk.receiveQueue;
  if ((flags & MSG_PEEK) === 0) {
    if (sk.readerQueued === 0) sk.readerQueued = queue.length;
    const skb = queue.shift();
    if (skb === undefined) return null;
    sk.readerQueued--;
    rmemRelease(sk, skb.truesize);
    return { skb, off: 0 };
  }
  let off = Math.max(0, sk.peekOff);
  for (let at = 0; at < queue.length; at++) {
    if (at === sk.readerQueued) sk.readerQueued = queue.length;
    const skb = queue[at]!;
    if (sk.peekOff >= 0 && off >= skb.len && (off !== 0 || (skb.cbFlags & UDP_CB_PEEKED) !== 0)) {
      off -= skb.len;
      continue;
    }
    if (skb.len === 0) skb.cbFlags |= UDP_CB_PEEKED;
    return { skb, off };
  }
  return null;
}

/**
 * What was read leaves the receive buffer (`udp_rmem_release`): at once when the reader has emptied its part of the queue, else in steps of
 * a quarter of the buffer. A buffer can so refuse a datagram although there would be room.
 */
function rmemRelease(sk: UdpSock, truesize: number): void {
  sk.forwardDeficit += truesize;
  if (sk.forwardDeficit < sk.rcvbuf >> 2 && sk.readerQueued > 0) return;
  sk.rmemAlloc -= sk.forwardDeficit;
  sk.forwardDeficit = 0;
}

/** Copies one datagram out with its control messages; null where its checksum turns out to be wrong. */
function readDatagram(
  net: UdpNet,
  sk: UdpSock,
  skb: SkBuff,
  off: number,
  request: RecvRequest,
): RecvMessage | number | null {
  const mib = sk.isUdplite ? net.mib.UdpLite : net.mib.Udp;
  const peeking = (request.flags & MSG_PEEK) !== 0;
  const ulen = skb.len;
  const copied = Math.min(request.len, ulen - off);
  if ((skb.cbFlags & UDP_CB_CSUM_VALID) === 0) {
    const { csum, ipSummed, cbFlags } = skb;
    if (!checksumComplete(skb)) return dropBadChecksum(net, sk, skb);
    // The sum stays with a datagram that is cut, as it was verified on its own; copied whole it is verified on the way, and a
    // peeked one is shared with the queue: both leave no trace.
    if (peeking || copied === ulen) {
      skb.csum = csum;
      skb.ipSummed = ipSummed;
      skb.cbFlags = cbFlags;
    }
  }
  const data = skb.buf.slice(skb.data + off, skb.data + off + copied);
  const error = request.copyOut?.(data) ?? 0;
  if (error < 0) {
    if (!peeking) {
      sk.drops++;
      mib.InErrors++;
      net.skbs.free(skb);
    }
    return error;
  }
  if (!peeking) mib.InDatagrams++;
  let flags = request.len <= ulen - off && request.len < ulen ? MSG_TRUNC : 0;
  const cmsgs: Cmsg[] = [];
  sockRecvCmsgs(net, sk, skb, cmsgs);
  if (sk.groEnabled && skb.gsoSize !== 0)
    cmsgs.push({ level: SOL_UDP, type: UDP_GRO, data: native32(skb.gsoSize) });
  if (sk.cmsgFlags !== 0) {
    flags |= ipCmsgRecvOffset(sk.cmsgFlags, skb, udp.HEADER_LEN, off, () => retOptions(net, skb), cmsgs);
  }
  const name = { addr: ipv4.saddr(skb.buf, skb.nh), port: udp.source(skb.buf, skb.th) };
  const ret = (request.flags & MSG_TRUNC) !== 0 ? ulen : copied;
  if (sk.peekOff >= 0) sk.peekOff = Math.max(sk.peekOff + (peeking ? ret : -ret), 0);
  if (!peeking) net.skbs.free(skb);
  return { ret, data, name, flags, cmsgs };
}

function dropBadChecksum(net: UdpNet, sk: UdpSock, skb: SkBuff): null {
  const mib = sk.isUdplite ? net.mib.UdpLite : net.mib.Udp;
  // Peeked at, it is still in the queue.
  const at = sk.receiveQueue.indexOf(skb);
  if (at >= 0) {
    sk.receiveQueue.splice(at, 1);
    sk.readerQueued--;
    rmemRelease(sk, skb.truesize);
  }
  mib.InCsumErrors++;
  mib.InErrors++;
  net.skbs.free(skb);
  return null;
}

/** `__sock_recv_cmsgs` */
function sockRecvCmsgs(net: UdpNet, sk: UdpSock, skb: SkBuff, into: Cmsg[]): void {
  const wallMs = rxTimestamp(sk, skb.tstampMs);
  if (sk.rcvtstamp !== 0 || (wallMs !== 0 && (sk.tsflags & SOF_TIMESTAMPING_SOFTWARE) !== 0)) {
    sockRecvTimestamp(sk, wallMs, net.clock.wall(), false, into);
  }
  if (sk.rxqOvfl && skb.rxDropcount !== 0) {
    into.push({ level: SOL_SOCKET, type: SO_RXQ_OVFL, data: native32(skb.rxDropcount) });
  }
  const { otherOptions } = sk;
  if (otherOptions === null) return;
  if ((otherOptions.get(SO_RCVMARK) ?? 0) !== 0)
    into.push({ level: SOL_SOCKET, type: SO_MARK, data: native32(skb.mark) });
  if ((otherOptions.get(SO_RCVPRIORITY) ?? 0) !== 0) {
    into.push({ level: SOL_SOCKET, type: SO_PRIORITY, data: native32(skb.priority) });
  }
}

/** Length of the next datagram (SIOCINQ, `first_packet_length`), 0 where there is none; those with a bad checksum are dropped on the way. */
export function udpInq(net: UdpNet, sk: UdpSock): number {
  for (;;) {
    const skb = sk.receiveQueue[0];
    if (skb === undefined) return 0;
    if (sk.readerQueued === 0) sk.readerQueued = sk.receiveQueue.length;
    if (checksumComplete(skb)) return skb.len;
    sk.drops++;
    dropBadChecksum(net, sk, skb);
  }
}

/** Frees all that waits: the socket closes. */
export function udpPurge(net: UdpNet, sk: UdpSock): void {
  for (const skb of sk.receiveQueue.splice(0)) {
    sk.rmemAlloc -= skb.truesize;
    net.skbs.free(skb);
  }
  sk.rmemAlloc -= sk.forwardDeficit;
  sk.forwardDeficit = 0;
  sk.readerQueued = 0;
  skbErrorQueuePurge(sk);
}
