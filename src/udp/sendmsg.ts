/** `udp_sendmsg`: from a message to a datagram, in the kernel's order. */
import { ipAppendDataToQueue, ipFlushPendingFrames, ipSetupCork } from '../ip/append.js';
import { dstConfirmNeigh } from '../ip/confirm.js';
import type { IpcmCookie } from '../ip/cork.js';
import { ipCmsgSend } from '../ip/ip_cmsg.js';
import { ipMakeSkbFromQueue } from '../ip/ip_output.js';
import type { MsgIter } from '../ip/msg_iter.js';
import { FLOWI_FLAG_ANYSRC, type Flowi4 } from '../route/flow.js';
import { l3mdevMasterIfindexByIndex, netifIndexIsL3Master } from '../route/l3mdev.js';
import { ipRouteOutputFlow, ipv4DstCheck } from '../route/output.js';
import { RTCF_BROADCAST, type Rtable } from '../route/rtable.js';
import {
  EACCES,
  EAFNOSUPPORT,
  EDESTADDRREQ,
  EINVAL,
  EMSGSIZE,
  ENETUNREACH,
  ENOBUFS,
  EOPNOTSUPP,
} from '../uapi/errno.js';
import { ipv4IsLbcast, ipv4IsMulticast } from '../uapi/in.js';
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE } from '../uapi/rtnetlink.js';
import {
  AF_INET,
  AF_UNSPEC,
  MSG_CONFIRM,
  MSG_DONTROUTE,
  MSG_MORE,
  MSG_OOB,
  MSG_PROBE,
} from '../uapi/socket.js';
import { udpCmsgSend } from './cmsg.js';
import type { UdpMsg, UdpNet } from './netns.js';
import { NOT_PLAIN, udpSendFrame } from './send_frame.js';
import { udpSendSkb } from './send_skb.js';
import { TCP_ESTABLISHED, type UdpSock } from './sock.js';
import {
  traceAppend,
  traceControl,
  traceCorked,
  traceDestination,
  traceError,
  traceInterface,
  traceOptions,
  traceRoute,
  traceTos,
} from './trace.js';

const SOCKADDR_IN_BYTES = 16;
const UDP_HEADER_BYTES = 8;
const MAX_LENGTH = 0xffff;

/**
 * Sends one message on a socket that is bound to a port.
 * @param msg address, control data, flags, as copied from the user
 * @param iter the payload, `len` bytes
 * @returns `len`, or a negative errno
 */
export function udpSendmsg(net: UdpNet, sk: UdpSock, msg: UdpMsg, iter: MsgIter, len: number): number {
  const tracing = net.tracer !== null;
  const corkreq = sk.corkflag || (msg.flags & MSG_MORE) !== 0;

  if (len > MAX_LENGTH) return traceError(net, 'length', `${len} bytes exceed 65535`, 'SEND-1', -EMSGSIZE);
  if ((msg.flags & MSG_OOB) !== 0) return traceError(net, 'flags', 'MSG_OOB', 'SEND-2', -EOPNOTSUPP);

  if (sk.pending !== 0) {
    // SEND-4: with data pending, everything but the bytes is ignored.
    if (tracing) traceCorked(net, sk, len);
    const err = appendPending(net, sk, sk.cork.fl, iter, len, 0, null, null, corkreq, msg.flags);
    return err === 0 ? len : sendmsgError(net, sk, err);
  }
  const ulen = len + UDP_HEADER_BYTES;

  // SEND-5, SEND-6: the destination.
  let daddr: number;
  let dport: number;
  let connected = false;
  if (msg.hasName) {
    if (msg.namelen < SOCKADDR_IN_BYTES)
      return traceError(net, 'destination', `address of ${msg.namelen} bytes`, 'SEND-5', -EINVAL);
    if (msg.family !== AF_INET && msg.family !== AF_UNSPEC) {
      return traceError(net, 'destination', `family ${msg.family}`, 'SEND-5', -EAFNOSUPPORT);
    }
    daddr = msg.addr;
    dport = msg.port;
    if (dport === 0) return traceError(net, 'destination', 'port 0', 'SEND-5', -EINVAL);
  } else {
    if (sk.state !== TCP_ESTABLISHED) {
      return traceError(net, 'destination', 'none named, and not connected', 'SEND-6', -EDESTADDRREQ);
    }
    daddr = sk.daddr;
    dport = sk.dport;
    connected = true;
  }
  if (tracing) traceDestination(net, len, daddr, dport, connected);

  // SEND-8..10: what the socket wants, what the control messages want, the options.
  const ipc = net.oneCookie;
  ipcmInitSk(net, sk, ipc);
  if (msg.control !== null) {
    let err = udpCmsgSend(msg.control, ipc);
    if (err > 0) {
      err = ipCmsgSend(net, sk, msg.control, ipc);
      connected = false;
    } else if (net.profile.anyCmsgLeavesFastPath) connected = false;
    if (tracing) traceControl(net, msg.control, err, connected);
    if (err < 0) return err;
  }
  ipc.opt ??= sk.inetOpt;

  if (net.hooks !== null && !connected && net.hooks.sendmsg4 !== undefined) {
    const address = { daddr, dport, saddr: ipc.addr };
    const err = net.hooks.sendmsg4(sk, address);
    if (err < 0) return sendmsgError(net, sk, err);
    ipc.addr = address.saddr;
    if (msg.hasName) {
      if (address.dport === 0) return sendmsgError(net, sk, -EINVAL);
      daddr = address.daddr;
      dport = address.dport;
    }
  }

  let saddr = ipc.addr;
  let faddr = daddr;
  ipc.addr = daddr;
  if (ipc.opt !== null && ipc.opt.srr !== 0) {
    // SEND-20: routed to the first hop; the real destination goes into the option.
    if (daddr === 0)
      return traceError(
        net,
        'options',
        'a source route to 0.0.0.0',
        'SEND-20',
        sendmsgError(net, sk, -EINVAL),
      );
    faddr = ipc.opt.faddr;
    connected = false;
  }
  if (tracing && ipc.opt !== null) traceOptions(net, ipc.opt, faddr);
  const scope = ipSendmsgScope(sk, ipc, msg.flags);
  if (scope === RT_SCOPE_LINK) connected = false;
  if (tracing) traceTos(net, sk, ipc, scope);

  // SEND-23: interface and source.
  if (ipv4IsMulticast(daddr)) {
    if (ipc.oif === 0 || netifIndexIsL3Master(net, ipc.oif)) ipc.oif = sk.mcIndex;
    if (saddr === 0) saddr = sk.mcAddr;
    connected = false;
  } else if (ipc.oif === 0) {
    ipc.oif = sk.ucIndex;
  } else if (ipv4IsLbcast(daddr) && sk.ucIndex !== 0) {
    if (ipc.oif !== sk.ucIndex && ipc.oif === l3mdevMasterIfindexByIndex(net, sk.ucIndex))
      ipc.oif = sk.ucIndex;
  }
  if (tracing) traceInterface(net, ipc.oif, saddr);

  // SEND-25..29: the route. The fast path's flow is the one that lies in the socket (CORK-20).
  let fl4: Flowi4 = sk.cork.fl;
  let rt: Rtable | null = connected ? skDstCheck(net, sk) : null;
  if (tracing && rt !== null) traceRoute(net, rt, fl4, true);
  if (rt === null) {
    fl4 = net.oneFlow;
    flowi4InitOutput(fl4, sk, ipc.oif, ipc.mark, routingTos(net, sk, ipc), scope, faddr, saddr, dport);
    net.hooks?.skClassifyFlow?.(sk, fl4);
    const found = ipRouteOutputFlow(net, fl4);
    if (typeof found === 'number') {
      if (found === -ENETUNREACH) net.mib.Ip.OutNoRoutes++;
      return traceError(net, 'route', 'no route', 'SEND-27', sendmsgError(net, sk, found));
    }
    rt = found;
    if (tracing) traceRoute(net, rt, fl4, false);
    if ((rt.flags & RTCF_BROADCAST) !== 0 && !sk.broadcast) {
      return traceError(
        net,
        'broadcast',
        'SO_BROADCAST is not set',
        'SEND-28',
        sendmsgError(net, sk, -EACCES),
      );
    }
    if (connected) sk.dstCache = rt;
  }

  if ((msg.flags & MSG_CONFIRM) !== 0 && (msg.flags & MSG_PROBE) !== 0) {
    dstConfirmNeigh(net, rt, fl4.daddr);
    if (len === 0) return 0;
  }
  saddr = fl4.saddr;
  if (ipc.addr === 0) {
    daddr = fl4.daddr;
    ipc.addr = daddr;
  }

  let err: number;
  if (!corkreq) {
    err = (msg.flags & MSG_PROBE) !== 0 ? 0 : udpSendFrame(net, sk, fl4, rt, ipc, iter, len, msg.flags);
    if (err === NOT_PLAIN) err = sendUncorked(net, sk, fl4, rt, ipc, iter, ulen, msg.flags);
  } else {
    const fl = sk.cork.fl;
    fl.daddr = daddr;
    fl.saddr = saddr;
    fl.dport = dport;
    fl.sport = sk.num;
    sk.pending = AF_INET;
    if (tracing) traceAppend(net, sk, len);
    err = appendPending(net, sk, fl, iter, ulen, UDP_HEADER_BYTES, ipc, rt, true, msg.flags);
  }
  return err === 0 ? len : sendmsgError(net, sk, err);
}

/** SEND-35: no cork, one packet, sent at once. */
function sendUncorked(
  net: UdpNet,
  sk: UdpSock,
  fl4: Flowi4,
  rt: Rtable,
  ipc: IpcmCookie,
  iter: MsgIter,
  ulen: number,
  flags: number,
): number {
  const cork = net.oneCork;
  let err = ipSetupCork(sk, cork, ipc, rt);
  if (err !== 0) return err;
  err = ipAppendDataToQueue(net, sk, fl4, cork, iter, ulen, UDP_HEADER_BYTES, flags);
  if (err !== 0) {
    ipFlushPendingFrames(net, cork);
    return err;
  }
  const skb = ipMakeSkbFromQueue(net, sk, fl4, cork);
  return skb === null ? 0 : udpSendSkb(net, sk, skb, fl4, cork);
}

/** `do_append_data` (CORK-10..14). */
function appendPending(
  net: UdpNet,
  sk: UdpSock,
  fl4: Flowi4,
  iter: MsgIter,
  length: number,
  transhdrlen: number,
  ipc: IpcmCookie | null,
  rt: Rtable | null,
  corkreq: boolean,
  flags: number,
): number {
  const cork = sk.cork;
  let err = 0;
  if ((flags & MSG_PROBE) === 0) {
    if (cork.head === null && ipc !== null && rt !== null) err = ipSetupCork(sk, cork, ipc, rt);
    if (err === 0) {
      const withMore = corkreq ? flags | MSG_MORE : flags;
      err = ipAppendDataToQueue(
        net,
        sk,
        fl4,
        cork,
        iter,
        length,
        cork.head === null ? transhdrlen : 0,
        withMore,
      );
    }
  }
  if (err !== 0) udpFlushPendingFrames(net, sk);
  else if (!corkreq) err = udpPushPendingFrames(net, sk);
  else if (cork.head === null) sk.pending = 0;
  if (sk.dstCache !== null) ip4DatagramReleaseCb(net, sk);
  return err;
}

/** Sends what is pending as one datagram (`udp_push_pending_frames`). */
export function udpPushPendingFrames(net: UdpNet, sk: UdpSock): number {
  const fl4 = sk.cork.fl;
  const skb = ipMakeSkbFromQueue(net, sk, fl4, sk.cork);
  const err = skb === null ? 0 : udpSendSkb(net, sk, skb, fl4, sk.cork);
  sk.pending = 0;
  return err;
}

/** Throws what is pending away (`udp_flush_pending_frames`). */
export function udpFlushPendingFrames(net: UdpNet, sk: UdpSock): void {
  if (sk.pending === 0) return;
  sk.pending = 0;
  ipFlushPendingFrames(net, sk.cork);
}

/** SEND-41: ENOBUFS, or any error while the socket lacks room, counts as a send buffer error. */
function sendmsgError(net: UdpNet, sk: UdpSock, err: number): number {
  if (err === -ENOBUFS || sk.nospace) (sk.isUdplite ? net.mib.UdpLite : net.mib.Udp).SndbufErrors++;
  return err;
}

/** `ipcm_init_sk` (SEND-8) */
function ipcmInitSk(net: UdpNet, sk: UdpSock, ipc: IpcmCookie): void {
  ipc.oif = sk.boundDevIf;
  ipc.addr = sk.saddr;
  ipc.opt = null;
  ipc.ttl = 0;
  ipc.tos = net.profile.tosTakenAtStart ? sk.tos : -1;
  ipc.gsoSize = sk.gsoSize;
  ipc.mark = sk.mark;
  ipc.priority = sk.priority;
  ipc.tsflags = sk.tsflags;
  ipc.transmitTime = 0;
  ipc.tsOptId = -1;
}

/** SEND-21 */
function ipSendmsgScope(sk: UdpSock, ipc: IpcmCookie, flags: number): number {
  if (
    sk.localroute ||
    (flags & MSG_DONTROUTE) !== 0 ||
    (ipc.opt !== null && ipc.opt.srr !== 0 && ipc.opt.isStrictroute)
  ) {
    return RT_SCOPE_LINK;
  }
  return RT_SCOPE_UNIVERSE;
}

/** SEND-22 */
function routingTos(net: UdpNet, sk: UdpSock, ipc: IpcmCookie): number {
  return (ipc.tos >= 0 ? ipc.tos : sk.tos) & net.profile.routingTosMask;
}

/** The cached route of a connected socket, if it is still good (`sk_dst_check`, ROUTE-50). */
export function skDstCheck(net: UdpNet, sk: UdpSock): Rtable | null {
  const rt = sk.dstCache;
  if (rt === null || ipv4DstCheck(net, rt)) return rt;
  sk.dstCache = null;
  return null;
}

/**
 * ROUTE-50, at the end of every call that held the socket's lock: a cached route that is no longer good is looked up anew, for the peer
 * and with what the socket says now. Where there is none, none is cached.
 */
export function ip4DatagramReleaseCb(net: UdpNet, sk: UdpSock): void {
  if (sk.dstCache === null || ipv4DstCheck(net, sk.dstCache)) return;
  const opt = sk.inetOpt;
  const daddr = opt !== null && opt.srr !== 0 ? opt.faddr : sk.daddr;
  const scope = sk.localroute ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  const tos = sk.tos & net.profile.routingTosMask;
  const fl4 = net.releaseFlow;
  flowi4InitOutput(fl4, sk, sk.boundDevIf, sk.mark, tos, scope, daddr, sk.saddr, sk.dport);
  const rt = ipRouteOutputFlow(net, fl4);
  sk.dstCache = typeof rt === 'number' ? null : rt;
}

/** `flowi4_init_output` with what the socket says of itself. */
export function flowi4InitOutput(
  fl4: Flowi4,
  sk: UdpSock,
  oif: number,
  mark: number,
  tos: number,
  scope: number,
  daddr: number,
  saddr: number,
  dport: number,
): void {
  fl4.oif = oif;
  fl4.iif = 1;
  fl4.mark = mark;
  fl4.tos = tos;
  fl4.scope = scope;
  fl4.proto = sk.protocol;
  fl4.flags = sk.transparent ? FLOWI_FLAG_ANYSRC : 0;
  fl4.uid = sk.cred.uid;
  fl4.daddr = daddr;
  fl4.saddr = saddr;
  fl4.dport = dport;
  fl4.sport = sk.num;
  fl4.l3mdev = 0;
  fl4.multipathHash = 0;
}
