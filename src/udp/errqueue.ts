/**
 * The error queue of a socket (`MSG_ERRQUEUE`): errors of our own, ICMP errors, timestamps of sent frames and completions of
 * zero-copy sends. Entries are charged to the receive buffer, so a peer that sends errors fills that and no more (ERRQ-5).
 */
import type { SkBuff } from '../dev/skbuff.js';
import { ipOptionsUndo } from '../ip/options.js';
import { ipOptionsEcho } from '../ip/recv_options.js';
import { EAGAIN, ENOMEM, ENOMSG } from '../uapi/errno.js';
import { IP_RECVERR } from '../uapi/in.js';
import {
  MSG_ERRQUEUE,
  MSG_TRUNC,
  SO_EE_CODE_ZEROCOPY_COPIED,
  SO_EE_ORIGIN_ICMP,
  SO_EE_ORIGIN_LOCAL,
  SO_EE_ORIGIN_TIMESTAMPING,
  SO_EE_ORIGIN_ZEROCOPY,
  SOF_TIMESTAMPING_OPT_CMSG,
  SOF_TIMESTAMPING_OPT_ID,
  SOF_TIMESTAMPING_OPT_TSONLY,
  SOF_TIMESTAMPING_SOFTWARE,
  SOL_IP,
} from '../uapi/socket.js';
import { get16, get32 } from '../wire/bytes.js';
import type { Cmsg } from '../wire/cmsg.js';
import { DADDR, HEADER_LEN, SADDR } from '../wire/ipv4.js';
import type { UdpNet } from './netns.js';
import {
  type CmsgPacket,
  ipCmsgRecvOffset,
  putNative32,
  rxTimestamp,
  sockaddrIn,
  sockRecvTimestamp,
} from './recv_cmsg.js';
import type { RecvMessage, RecvRequest } from './recvmsg.js';
import type { ErrQueueEntry, UdpSock } from './sock.js';

/** What an empty packet costs (BUF-2). */
const EMPTY_SKB_TRUESIZE = 832;
const SOCK_EXTENDED_ERR_BYTES = 16;

/** SCM_TSTAMP_*: `info` of a timestamp entry. */
export const SCM_TSTAMP_SND = 0;
export const SCM_TSTAMP_SCHED = 1;

const NO_PAYLOAD = new Uint8Array(0);
/** Zero-copy completions wait without being charged: as many calls as one entry can tell of. */
const MAX_ZEROCOPY_RANGE = 0x1_0000_0000;
/** They are bounded in the kernel by the option memory that each holds until it is read. */
const ZEROCOPY_ENTRY_BYTES = 832;

/** Queues an entry (`sock_queue_err_skb`): 0, or -ENOMEM where the receive buffer is full. */
export function sockQueueErrSkb(sk: UdpSock, entry: ErrQueueEntry): number {
  if (sk.rmemAlloc + entry.truesize >= sk.rcvbuf) return -ENOMEM;
  sk.rmemAlloc += entry.truesize;
  sk.errorQueue.push(entry);
  if (!sk.closed) sk.onReadable?.();
  return 0;
}

/**
 * An error that we found ourselves, such as a datagram over the path MTU (`ip_local_error`, ERRQ-3). Nothing without IP_RECVERR.
 * @param errno positive
 */
export function ipLocalError(sk: UdpSock, errno: number, daddr: number, port: number, info: number): void {
  if (!sk.recverr) return;
  sockQueueErrSkb(sk, {
    errno,
    origin: SO_EE_ORIGIN_LOCAL,
    type: 0,
    code: 0,
    info,
    data: 0,
    addr: daddr,
    port,
    offender: null,
    payload: NO_PAYLOAD,
    tstampMs: 0,
    truesize: EMPTY_SKB_TRUESIZE,
    packet: null,
  });
}

/** An ICMP message, as far as the error queue tells of it. */
export interface QueuedIcmpError {
  /** Positive errno. */
  readonly errno: number;
  /** Destination port of the datagram that failed. */
  readonly port: number;
  readonly info: number;
  /** Offset in the packet's memory of the quoted payload. */
  readonly payload: number;
}

/**
 * Queues an ICMP error (`ip_icmp_error`, ERRQ-2).
 * @param skb the ICMP packet: `nh` at its IP header, `data` at the quoted IP header, the ICMP header at the 8 bytes before
 */
export function ipIcmpError(sk: UdpSock, skb: SkBuff, { errno, port, info, payload }: QueuedIcmpError): void {
  if (payload > skb.tail) return;
  const { buf } = skb;
  const icmph = skb.data - 8;
  sockQueueErrSkb(sk, {
    errno,
    origin: SO_EE_ORIGIN_ICMP,
    type: buf[icmph]!,
    code: buf[icmph + 1]!,
    info,
    data: sk.recverrRfc4884 ? rfc4884Length(skb, icmph, payload) : 0,
    addr: get32(buf, skb.data + DADDR),
    port,
    offender: get32(buf, skb.nh + SADDR),
    payload: buf.slice(payload, skb.tail),
    tstampMs: rxTimestamp(sk, skb.tstampMs),
    truesize: skb.truesize,
    packet: keepPacket(skb, payload),
  });
}

/**
 * `ee_data` with IP_RECVERR_RFC4884: where in the payload the extensions begin, and whether they are broken
 * (`sock_ee_data_rfc4884`: u16 length, u8 flags, u8 reserved).
 */
function rfc4884Length(skb: SkBuff, icmph: number, payload: number): number {
  const { buf } = skb;
  const type = buf[icmph]!;
  if (type !== 3 && type !== 11 && type !== 12) return 0;
  const quoteBytes = buf[icmph + 5]! * 4;
  // RFC 4884: a length counts from the quoted IP header on; under 128 bytes it is not compliant and tells nothing.
  if (quoteBytes === 0 || quoteBytes < 128) return 0;
  const headers = payload - skb.data;
  const off = quoteBytes - headers;
  if (off < 0 || skb.data + quoteBytes + 4 > skb.tail) return 0;
  const broken = !extensionsValid(buf, skb.data + quoteBytes, skb.tail);
  return nativeU32(off, broken ? 1 : 0);
}

function nativeU32(len: number, flags: number): number {
  const b = new Uint8Array(4);
  const view = new DataView(b.buffer);
  const little = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  view.setUint16(0, len, little);
  b[2] = flags;
  return view.getUint32(0, little);
}

/** Version 2: checksum right or absent, objects that fill the rest (`ip_icmp_error_rfc4884_validate`). */
function extensionsValid(buf: Uint8Array, off: number, end: number): boolean {
  // Another version is not ours to judge.
  if (buf[off]! >>> 4 !== 2) return true;
  if (get16(buf, off + 2) !== 0) {
    let sum = 0;
    for (let at = off; at < end; at += 2) sum += (buf[at]! << 8) | (at + 1 < end ? buf[at + 1]! : 0);
    while (sum > 0xffff) sum = (sum >>> 16) + (sum & 0xffff);
    if (sum !== 0xffff) return false;
  }
  let at = off + 4;
  while (at < end) {
    if (at + 4 > end) return false;
    const len = get16(buf, at);
    if (len < 4 || at + len > end) return false;
    at += len;
  }
  return true;
}

/** Keeps of a packet what control messages read: its IP header, and four bytes where the ports are looked for. */
function keepPacket(skb: SkBuff, th: number): CmsgPacket {
  const headerBytes = HEADER_LEN + skb.optLen;
  const tail = Math.min(skb.tail, th + 4);
  const buf = new Uint8Array(headerBytes + tail - th);
  buf.set(skb.buf.subarray(skb.nh, skb.nh + headerBytes));
  buf.set(skb.buf.subarray(th, tail), headerBytes);
  return {
    buf,
    nh: 0,
    th: headerBytes,
    tail: buf.length,
    optLen: skb.optLen,
    cbFlags: skb.cbFlags,
    ipSummed: skb.ipSummed,
    csum: skb.csum,
    fragMaxSize: skb.fragMaxSize,
    rxIif: skb.rxIif,
    rxSpecDst: 0,
  };
}

/**
 * The calls `lo .. lo + count - 1` of MSG_ZEROCOPY are through (`__msg_zerocopy_callback`, ERRQ-10). Adjacent ranges merge.
 * @param copied the data was copied after all
 */
export function sockQueueZerocopy(sk: UdpSock, lo: number, count: number, copied: boolean): void {
  if (count === 0 || sk.closed) return;
  const last = sk.errorQueue.at(-1);
  if (last?.origin === SO_EE_ORIGIN_ZEROCOPY && (last.data + 1) >>> 0 === lo) {
    if (((last.data - last.info) >>> 0) + 1 + count < MAX_ZEROCOPY_RANGE) {
      last.data = (last.data + count) >>> 0;
      sk.onReadable?.();
      return;
    }
  }
  sk.omemAlloc += ZEROCOPY_ENTRY_BYTES;
  sk.errorQueue.push({
    errno: 0,
    origin: SO_EE_ORIGIN_ZEROCOPY,
    type: 0,
    code: copied ? SO_EE_CODE_ZEROCOPY_COPIED : 0,
    info: lo,
    data: (lo + count - 1) >>> 0,
    addr: 0,
    port: 0,
    offender: null,
    payload: NO_PAYLOAD,
    tstampMs: 0,
    truesize: 0,
    packet: null,
  });
  sk.onReadable?.();
}

/**
 * A frame of the socket passes a point that it wants the time of (`__skb_tstamp_tx`, ERRQ-11).
 * @param skb the whole frame, `data` at its link header
 * @param tstype SCM_TSTAMP_*
 */
export function skbTstampTx(net: UdpNet, sk: UdpSock, skb: SkBuff, tstype: number): void {
  const tsonly = (sk.tsflags & SOF_TIMESTAMPING_OPT_TSONLY) !== 0;
  const withPacket = !tsonly && (sk.tsflags & SOF_TIMESTAMPING_OPT_CMSG) !== 0 && skb.dev !== null;
  sockQueueErrSkb(sk, {
    errno: ENOMSG,
    origin: SO_EE_ORIGIN_TIMESTAMPING,
    type: 0,
    code: 0,
    info: tstype,
    data: (sk.tsflags & SOF_TIMESTAMPING_OPT_ID) !== 0 ? skb.tskey : 0,
    addr: 0,
    port: 0,
    offender: withPacket ? get32(skb.buf, skb.nh + SADDR) : null,
    payload: tsonly ? NO_PAYLOAD : wholeFrame(skb),
    tstampMs: net.clock.wall(),
    truesize: tsonly ? EMPTY_SKB_TRUESIZE : skb.truesize,
    packet: withPacket
      ? { ...keepPacket(skb, skb.th), rxIif: skb.dev!.ifindex, rxSpecDst: get32(skb.buf, skb.nh + SADDR) }
      : null,
  });
}

function wholeFrame(skb: SkBuff): Uint8Array {
  const frame = new Uint8Array(skb.len);
  let at = skb.tail - skb.data;
  frame.set(skb.buf.subarray(skb.data, skb.tail));
  for (let frag = skb.fragList; frag !== null; frag = frag.next) {
    frame.set(frag.buf.subarray(frag.data, frag.tail), at);
    at += frag.tail - frag.data;
  }
  return frame;
}

/** Takes the first entry; SO_ERROR becomes the next ICMP error, or none (`sock_dequeue_err_skb`, ERRQ-6). */
export function sockDequeueErrSkb(sk: UdpSock): ErrQueueEntry | null {
  const entry = sk.errorQueue.shift();
  if (entry === undefined) return null;
  sk.rmemAlloc -= entry.truesize;
  if (entry.origin === SO_EE_ORIGIN_ZEROCOPY) sk.omemAlloc -= ZEROCOPY_ENTRY_BYTES;
  const next = sk.errorQueue[0];
  if (next?.origin === SO_EE_ORIGIN_ICMP) sk.err = next.errno;
  else if (entry.origin === SO_EE_ORIGIN_ICMP) sk.err = 0;
  if (next !== undefined) sk.onReadable?.();
  return entry;
}

/** Empties the queue: IP_RECVERR was cleared, or the socket closes. SO_ERROR stays. */
export function skbErrorQueuePurge(sk: UdpSock): void {
  for (const entry of sk.errorQueue) {
    sk.rmemAlloc -= entry.truesize;
    if (entry.origin === SO_EE_ORIGIN_ZEROCOPY) sk.omemAlloc -= ZEROCOPY_ENTRY_BYTES;
  }
  sk.errorQueue.length = 0;
}

/** recvmsg with MSG_ERRQUEUE (`ip_recv_error`): never waits; -EAGAIN where the queue is empty, -EFAULT from `copyOut`. */
export function ipRecvError(net: UdpNet, sk: UdpSock, request: RecvRequest): RecvMessage | number {
  const entry = sockDequeueErrSkb(sk);
  if (entry === null) return -EAGAIN;
  const copied = Math.min(entry.payload.length, request.len);
  const data = entry.payload.subarray(0, copied);
  const error = request.copyOut?.(data) ?? 0;
  if (error < 0) return error;
  const cmsgs: Cmsg[] = [];
  let flags = MSG_ERRQUEUE | (copied < entry.payload.length ? MSG_TRUNC : 0);
  if (sk.rcvtstamp !== 0 || (entry.tstampMs !== 0 && (sk.tsflags & SOF_TIMESTAMPING_SOFTWARE) !== 0)) {
    sockRecvTimestamp(sk, entry.tstampMs, net.clock.wall(), true, cmsgs);
  }
  const named = entry.origin === SO_EE_ORIGIN_ICMP || entry.origin === SO_EE_ORIGIN_LOCAL || entry.port !== 0;
  const { packet } = entry;
  if (packet !== null && sk.cmsgFlags !== 0) {
    flags |= ipCmsgRecvOffset(sk.cmsgFlags, packet, 0, 0, () => retOptions(net, packet), cmsgs);
  }
  cmsgs.push({ level: SOL_IP, type: IP_RECVERR, data: extendedErr(entry) });
  return {
    ret: copied,
    data,
    name: named ? { addr: entry.addr, port: entry.port } : null,
    flags,
    cmsgs,
  };
}

/** What IP_RETOPTS shows: the options of an answer, as its sender would give them to us. */
export function retOptions(net: UdpNet, packet: CmsgPacket): Uint8Array | null {
  const opt = ipOptionsEcho(net, packet);
  return opt === null ? null : ipOptionsUndo(opt);
}

/** `struct sock_extended_err` and the offender behind it. */
function extendedErr(entry: ErrQueueEntry): Uint8Array {
  const b = new Uint8Array(SOCK_EXTENDED_ERR_BYTES + 16);
  putNative32(b, 0, entry.errno);
  b[4] = entry.origin;
  b[5] = entry.type;
  b[6] = entry.code;
  putNative32(b, 8, entry.info);
  putNative32(b, 12, entry.data);
  if (entry.offender !== null) b.set(sockaddrIn(entry.offender, 0), SOCK_EXTENDED_ERR_BYTES);
  return b;
}
