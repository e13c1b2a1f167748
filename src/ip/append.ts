/**
 * Cutting a payload into packets (`ip_setup_cork`, `__ip_append_data`): each packet of the queue is one future frame.
 *
 * With segment offload (UDP_SEGMENT) the kernel makes one large packet that the device layer cuts later. So do we for a device that
 * takes such packets; for any other the bytes are laid out at once as the segments that they will become, with room for headers before
 * each, so that they are written once. The memory charge, limits and errors are those of the one large packet.
 */
import { NETIF_F_GSO_UDP_L4, NETIF_F_HW_CSUM, NETIF_F_SG } from '../dev/net_device.js';
import {
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  SKBTX_SCHED_TSTAMP,
  SKBTX_SW_TSTAMP,
  type SkBuff,
} from '../dev/skbuff.js';
import type { Flowi4 } from '../route/flow.js';
import { dstMtu } from '../route/mtu.js';
import type { Rtable } from '../route/rtable.js';
import { EFAULT, EMSGSIZE, ENETUNREACH, ENOBUFS } from '../uapi/errno.js';
import {
  MSG_CONFIRM,
  MSG_DONTWAIT,
  MSG_MORE,
  MSG_ZEROCOPY,
  SOF_TIMESTAMPING_OPT_ID,
  SOF_TIMESTAMPING_TX_SCHED,
  SOF_TIMESTAMPING_TX_SOFTWARE,
} from '../uapi/socket.js';
import type { CorkState, IpcmCookie } from './cork.js';
import { type InetSock, ipSkIgnoreDf, ipSkUsePmtu, type ZerocopyUbuf } from './inet_sock.js';
import type { MsgIter } from './msg_iter.js';
import type { IpNet } from './netns.js';
import { SKB_MAX_ALLOC, skbTruesize, sockWaitForSend } from './sock_mem.js';

export const IP_MAX_MTU = 65535;
const IP_HEADER_BYTES = 20;
/** `hh_len + 15` for Ethernet: what an allocation adds to its bytes. */
const ALLOC_EXTRA_BYTES = 31;

/** Fixes what the first piece decides (CORK-1). 0, or -ENETUNREACH for a path MTU under 68 (CORK-3). */
export function ipSetupCork(sk: InetSock, cork: CorkState, ipc: IpcmCookie, rt: Rtable): number {
  cork.fragsize = ipSkUsePmtu(sk) ? dstMtu(rt) : rt.dev.mtu;
  if (cork.fragsize < 68) return -ENETUNREACH;
  cork.hasOpt = ipc.opt !== null;
  if (ipc.opt !== null) {
    cork.opt.assign(ipc.opt);
    cork.addr = ipc.addr;
  }
  cork.gsoSize = ipc.gsoSize;
  cork.dst = rt;
  cork.length = 0;
  cork.ttl = ipc.ttl;
  cork.tos = ipc.tos;
  cork.mark = ipc.mark;
  cork.priority = ipc.priority;
  cork.transmitTime = ipc.transmitTime;
  cork.tsOptId = ipc.tsOptId;
  cork.txFlags = ipc.tsflags === 0 ? 0 : sockTxFlags(ipc.tsflags);
  return 0;
}

/** `sock_tx_timestamp` */
function sockTxFlags(tsflags: number): number {
  return (
    ((tsflags & SOF_TIMESTAMPING_TX_SOFTWARE) !== 0 ? SKBTX_SW_TSTAMP : 0) |
    ((tsflags & SOF_TIMESTAMPING_TX_SCHED) !== 0 ? SKBTX_SCHED_TSTAMP : 0)
  );
}

/**
 * Adds bytes to the queue of a cork (`__ip_append_data`).
 * @param length bytes to add, the transport header included with the first piece
 * @param transhdrlen 8 with the first piece, else 0
 * @returns 0, or -EMSGSIZE, -EFAULT, -ENOBUFS, -EAGAIN, -EPIPE, a pending error
 */
export function ipAppendDataToQueue(
  net: IpNet,
  sk: InetSock,
  fl4: Flowi4,
  cork: CorkState,
  from: MsgIter,
  length: number,
  transhdrlen: number,
  flags: number,
): number {
  const dev = cork.dst!.dev;
  const optlen = cork.hasOpt ? cork.opt.optlen : 0;
  const mtu = cork.gsoSize !== 0 ? IP_MAX_MTU : cork.fragsize;
  const fragheaderlen = IP_HEADER_BYTES + optlen;
  const maxfraglen = ((mtu - fragheaderlen) & ~7) + fragheaderlen;
  const maxnonfragsize = ipSkIgnoreDf(sk) ? IP_MAX_MTU : mtu;

  if (cork.length + length > maxnonfragsize - fragheaderlen) {
    // APP-2: the entry names the flow's destination and the connected port; no counter moves.
    net.reason =
      maxnonfragsize === mtu && cork.gsoSize === 0
        ? `${cork.length + length - 8} bytes do not fit the path MTU of ${mtu} with DF set`
        : `${cork.length + length - 8} bytes exceed what one IPv4 datagram holds`;
    sk.localError(EMSGSIZE, fl4.daddr, sk.dport, mtu - optlen);
    return -EMSGSIZE;
  }

  let csummode = CHECKSUM_NONE;
  if (
    transhdrlen !== 0 &&
    length + fragheaderlen <= mtu &&
    (dev.features & NETIF_F_HW_CSUM) !== 0 &&
    ((flags & MSG_MORE) === 0 || cork.gsoSize !== 0)
  ) {
    csummode = CHECKSUM_PARTIAL;
  }

  let paged = cork.gsoSize !== 0;
  let ubuf: ZerocopyUbuf | null = null;
  if ((flags & MSG_ZEROCOPY) !== 0 && length !== 0 && sk.zerocopy) {
    ubuf = sk.zerocopyRealloc(length, cork.tail === null ? null : cork.tail.ubuf);
    if (ubuf === null) return -ENOBUFS;
    if (csummode === CHECKSUM_PARTIAL) paged = true;
    else if (cork.tail !== null && cork.tail.ubuf === null) attachUbuf(cork.tail, ubuf);
  }

  cork.length += length;
  let tskey = 0;
  let heldTskey = false;
  if (cork.txFlags !== 0 && (sk.tsflags & SOF_TIMESTAMPING_OPT_ID) !== 0) {
    if (cork.tsOptId >= 0) tskey = cork.tsOptId;
    else {
      tskey = sk.tskey++;
      heldTskey = true;
    }
  }

  const growable = cork === sk.cork;
  const segmentBytes = cork.gsoSize !== 0 && (dev.features & NETIF_F_GSO_UDP_L4) === 0 ? cork.gsoSize : 0;
  let left = length;
  let offset = 0;
  let err = 0;
  let transport = transhdrlen;
  let skb = cork.tail;
  while (left > 0 || skb === null) {
    let copy = 0;
    if (skb !== null) {
      copy = mtu - skb.len;
      if (copy < left) copy = maxfraglen - skb.len;
    }
    if (skb === null || copy <= 0) {
      const previous: SkBuff | null = skb;
      // APP-5: what an earlier piece put beyond the last multiple of 8 moves on.
      const fraggap = previous === null ? 0 : previous.len - maxfraglen;
      let datalen = left + fraggap;
      if (datalen > mtu - fragheaderlen) datalen = maxfraglen - fragheaderlen;
      const fraglen = datalen + fragheaderlen;
      let alloclen = fraglen;
      if (paged || (fraglen + ALLOC_EXTRA_BYTES >= SKB_MAX_ALLOC && (dev.features & NETIF_F_SG) !== 0)) {
        alloclen = fragheaderlen + transport;
      }
      if (transport !== 0) err = sockWaitForSend(net, sk, (flags & MSG_DONTWAIT) !== 0);
      else if (sk.wmemAlloc > 2 * sk.sndbuf) err = -ENOBUFS;
      if (err !== 0) break;

      const capacity = growable ? (segmentBytes !== 0 ? fragheaderlen + 8 + segmentBytes : mtu) : fraglen;
      const fresh: SkBuff = net.skbs.alloc(
        segmentBytes !== 0 ? Math.min(capacity, fragheaderlen + 8 + segmentBytes) : capacity,
      );
      fresh.ipSummed = csummode;
      fresh.th = fresh.nh + fragheaderlen;
      fresh.tail = fresh.th + transport;
      fresh.len = fragheaderlen + transport;
      if (fraggap !== 0) {
        fresh.buf.set(previous!.buf.subarray(previous!.tail - fraggap, previous!.tail), fresh.tail);
        fresh.tail += fraggap;
        fresh.len += fraggap;
        previous!.tail -= fraggap;
        previous!.len -= fraggap;
      }
      copy = datalen - transport - fraggap;
      if (copy > 0 && !appendBytes(net, fresh, from, offset, copy, segmentBytes, fragheaderlen)) {
        net.skbs.free(fresh);
        err = -EFAULT;
        break;
      }
      offset += copy;
      left -= copy + transport;
      transport = 0;
      csummode = CHECKSUM_NONE;
      fresh.txFlags = cork.txFlags;
      cork.txFlags = 0;
      fresh.tskey = tskey;
      tskey = 0;
      if (ubuf !== null) attachUbuf(fresh, ubuf);
      if ((flags & MSG_CONFIRM) !== 0 && previous === null) fresh.dstPendingConfirm = true;
      fresh.truesize = skbTruesize(net, alloclen + ALLOC_EXTRA_BYTES) + (fraglen - alloclen);
      fresh.sk = sk;
      sk.wmemAlloc += fresh.truesize;
      if (cork.tail === null) cork.head = fresh;
      else cork.tail.next = fresh;
      cork.tail = fresh;
      skb = fresh;
      continue;
    }
    if (copy > left) copy = left;
    if (!appendBytes(net, skb, from, offset, copy, segmentBytes, fragheaderlen)) {
      err = -EFAULT;
      break;
    }
    // BUF-2: bytes added to a packet that exists are charged as they are.
    skb.truesize += copy;
    sk.wmemAlloc += copy;
    offset += copy;
    left -= copy;
  }
  if (err !== 0) ubuf?.abort();
  ubuf?.put();
  if (err === 0) return 0;
  cork.length -= left;
  net.mib.Ip.OutDiscards++;
  if (heldTskey) sk.tskey--;
  return err;
}

function attachUbuf(skb: SkBuff, ubuf: ZerocopyUbuf): void {
  ubuf.get();
  skb.ubuf = ubuf;
}

/** Copies payload to the end of a packet, into further segments where it is laid out in such. False: EFAULT. */
function appendBytes(
  net: IpNet,
  skb: SkBuff,
  from: MsgIter,
  offset: number,
  copy: number,
  segmentBytes: number,
  fragheaderlen: number,
): boolean {
  if (segmentBytes === 0) {
    if (!from.copy(skb.buf, skb.tail, offset, copy)) return false;
    skb.tail += copy;
    skb.len += copy;
    return true;
  }
  let done = 0;
  let room = segmentBytes - (skb.tail - skb.th - 8);
  let piece: SkBuff = skb;
  if (skb.fragList !== null) {
    piece = lastOf(skb.fragList);
    room = segmentBytes - (piece.tail - piece.data);
  }
  while (done < copy) {
    if (room === 0) {
      const next = net.skbs.alloc(fragheaderlen + 8 + segmentBytes);
      next.th = next.nh + fragheaderlen;
      next.data = next.th + 8;
      next.tail = next.data;
      if (piece === skb) skb.fragList = next;
      else piece.next = next;
      piece = next;
      room = segmentBytes;
    }
    const take = Math.min(room, copy - done);
    if (!from.copy(piece.buf, piece.tail, offset + done, take)) return false;
    piece.tail += take;
    room -= take;
    done += take;
    skb.len += take;
    if (piece !== skb) {
      piece.len += take;
      skb.dataLen += take;
    }
  }
  return true;
}

function lastOf(list: SkBuff): SkBuff {
  let skb = list;
  while (skb.next !== null) skb = skb.next;
  return skb;
}

/** Throws everything pending away (`__ip_flush_pending_frames`, `ip_cork_release`). */
export function ipFlushPendingFrames(net: IpNet, cork: CorkState): void {
  net.skbs.freeList(cork.head);
  cork.head = null;
  cork.tail = null;
  cork.dst = null;
  cork.hasOpt = false;
}
