/** Control messages that recvmsg gives (`ip_cmsg_recv_offset`, `__sock_recv_cmsgs`), in the kernel's order. */
import { CHECKSUM_COMPLETE } from '../dev/skbuff.js';
import {
  IP_CHECKSUM,
  IP_PKTINFO,
  IP_RECVFRAGSIZE,
  IP_RECVOPTS,
  IP_RECVORIGDSTADDR,
  IP_RETOPTS,
  IP_TOS,
  IP_TTL,
} from '../uapi/in.js';
import {
  AF_INET,
  MSG_CTRUNC,
  SO_TIMESTAMP,
  SO_TIMESTAMP_NEW,
  SO_TIMESTAMPING,
  SO_TIMESTAMPING_NEW,
  SO_TIMESTAMPNS,
  SO_TIMESTAMPNS_NEW,
  SOF_TIMESTAMPING_SOFTWARE,
  SOL_IP,
  SOL_SOCKET,
} from '../uapi/socket.js';
import { get16, get32, HOST_LITTLE_ENDIAN, put16, put32 } from '../wire/bytes.js';
import type { Cmsg } from '../wire/cmsg.js';
import { DADDR, HEADER_LEN, TOS, TTL } from '../wire/ipv4.js';
import { wsumPartial, wsumSub } from '../wire/wsum.js';

/** Bits of `UdpSock.cmsgFlags`: which IP-level control messages a socket wants (`IP_CMSG_*`). */
export const IP_CMSG_PKTINFO = 1;
export const IP_CMSG_TTL = 2;
export const IP_CMSG_TOS = 4;
export const IP_CMSG_RECVOPTS = 8;
export const IP_CMSG_RETOPTS = 0x10;
export const IP_CMSG_PASSSEC = 0x20;
export const IP_CMSG_ORIGDSTADDR = 0x40;
export const IP_CMSG_CHECKSUM = 0x80;
export const IP_CMSG_RECVFRAGSIZE = 0x100;

/** Bits of `UdpSock.rcvtstamp`. */
export const RCVTSTAMP_US = 1;
export const RCVTSTAMP_NS = 2;

/** `SOF_TIMESTAMPING_*` bits that only receiving reads. */
export const SOF_TIMESTAMPING_RX_SOFTWARE = 8;
export const SOF_TIMESTAMPING_OPT_RX_FILTER = 0x20000;

/** What the IP-level messages are read from: a received packet, or what an error-queue entry kept of one. */
export interface CmsgPacket {
  readonly buf: Uint8Array;
  /** Offsets of the IP header, of the transport header, and of the end of the bytes. */
  readonly nh: number;
  readonly th: number;
  readonly tail: number;
  readonly optLen: number;
  /** IPSKB_* */
  readonly cbFlags: number;
  readonly ipSummed: number;
  readonly csum: number;
  readonly fragMaxSize: number;
  readonly rxIif: number;
  readonly rxSpecDst: number;
}

/** The options of the answer to a packet (`ip_options_echo`), null where they make no sense. The ip room reads them. */
export type OptionsEcho = () => Uint8Array | null;

/**
 * The messages of `flags` for a packet (`ip_cmsg_recv_offset`).
 * @param tlen bytes of the transport header, 0 on the error queue
 * @param offset bytes of the payload that were peeked over
 * @returns MSG_CTRUNC where the answer's options make no sense, else 0
 */
export function ipCmsgRecvOffset(
  flags: number,
  packet: CmsgPacket,
  tlen: number,
  offset: number,
  echo: OptionsEcho,
  into: Cmsg[],
): number {
  const { buf, nh } = packet;
  let msgFlags = 0;
  if (flags & IP_CMSG_PKTINFO) {
    const info = new Uint8Array(12);
    putNative32(info, 0, packet.rxIif);
    put32(info, 4, packet.rxSpecDst);
    put32(info, 8, get32(buf, nh + DADDR));
    into.push({ level: SOL_IP, type: IP_PKTINFO, data: info });
  }
  if (flags & IP_CMSG_TTL) into.push({ level: SOL_IP, type: IP_TTL, data: native32(buf[nh + TTL]!) });
  if (flags & IP_CMSG_TOS) into.push({ level: SOL_IP, type: IP_TOS, data: Uint8Array.of(buf[nh + TOS]!) });
  if (flags & IP_CMSG_RECVOPTS && packet.optLen !== 0) {
    const at = nh + HEADER_LEN;
    into.push({ level: SOL_IP, type: IP_RECVOPTS, data: buf.slice(at, at + packet.optLen) });
  }
  if (flags & IP_CMSG_RETOPTS && packet.optLen !== 0) {
    const options = echo();
    if (options === null) msgFlags = MSG_CTRUNC;
    else into.push({ level: SOL_IP, type: IP_RETOPTS, data: options });
  }
  if (flags & IP_CMSG_ORIGDSTADDR && packet.th + 4 <= packet.tail) {
    const name = sockaddrIn(get32(buf, nh + DADDR), get16(buf, packet.th + 2));
    into.push({ level: SOL_IP, type: IP_RECVORIGDSTADDR, data: name });
  }
  if (flags & IP_CMSG_CHECKSUM && packet.ipSummed === CHECKSUM_COMPLETE) {
    let csum = packet.csum;
    if (offset !== 0) csum = wsumSub(csum, wsumPartial(buf, packet.th + tlen, offset));
    into.push({ level: SOL_IP, type: IP_CHECKSUM, data: native32(csum) });
  }
  if (flags & IP_CMSG_RECVFRAGSIZE && packet.fragMaxSize !== 0) {
    into.push({ level: SOL_IP, type: IP_RECVFRAGSIZE, data: native32(packet.fragMaxSize) });
  }
  return msgFlags;
}

/** What a socket asks for of timestamps. */
export interface TimestampWishes {
  /** 0, RCVTSTAMP_US or RCVTSTAMP_NS. */
  readonly rcvtstamp: number;
  /** SOF_TIMESTAMPING_* */
  readonly tsflags: number;
  /** Under the names that came with 64-bit time. */
  readonly tstampNew: boolean;
}

/** The time that a received packet carries for a socket: 0 where the socket has not asked for packets to be timed. */
export function rxTimestamp({ rcvtstamp, tsflags }: TimestampWishes, wallMs: number): number {
  return rcvtstamp !== 0 || (tsflags & SOF_TIMESTAMPING_RX_SOFTWARE) !== 0 ? wallMs : 0;
}

/** SO_TIMESTAMP, SO_TIMESTAMPNS, SCM_TIMESTAMPING (`__sock_recv_timestamp`). `wallMs` 0: the packet carries no time. */
export function sockRecvTimestamp(
  wishes: TimestampWishes,
  wallMs: number,
  nowMs: number,
  errQueue: boolean,
  into: Cmsg[],
): void {
  const { rcvtstamp, tsflags, tstampNew } = wishes;
  if (rcvtstamp !== 0) {
    const ns = rcvtstamp === RCVTSTAMP_NS;
    const nsType = tstampNew ? SO_TIMESTAMPNS_NEW : SO_TIMESTAMPNS;
    const usType = tstampNew ? SO_TIMESTAMP_NEW : SO_TIMESTAMP;
    const time = new Uint8Array(16);
    putTime(time, 0, wallMs === 0 ? nowMs : wallMs, ns ? 1e6 : 1e3);
    into.push({ level: SOL_SOCKET, type: ns ? nsType : usType, data: time });
  }
  if ((tsflags & SOF_TIMESTAMPING_SOFTWARE) === 0 || wallMs === 0) return;
  const filtered =
    (tsflags & SOF_TIMESTAMPING_OPT_RX_FILTER) !== 0 && (tsflags & SOF_TIMESTAMPING_RX_SOFTWARE) === 0;
  if (filtered && !errQueue) return;
  const stamps = new Uint8Array(48);
  putTime(stamps, 0, wallMs, 1e6);
  into.push({ level: SOL_SOCKET, type: tstampNew ? SO_TIMESTAMPING_NEW : SO_TIMESTAMPING, data: stamps });
}

/** A `sockaddr_in` of 16 bytes. */
export function sockaddrIn(addr: number, port: number): Uint8Array {
  const name = new Uint8Array(16);
  putNative16(name, 0, AF_INET);
  put16(name, 2, port);
  put32(name, 4, addr);
  return name;
}

export function putNative16(b: Uint8Array, off: number, value: number): void {
  put16(b, off, HOST_LITTLE_ENDIAN ? ((value & 0xff) << 8) | ((value >>> 8) & 0xff) : value);
}
export function putNative32(b: Uint8Array, off: number, value: number): void {
  if (!HOST_LITTLE_ENDIAN) {
    put32(b, off, value);
    return;
  }
  b[off] = value;
  b[off + 1] = value >>> 8;
  b[off + 2] = value >>> 16;
  b[off + 3] = value >>> 24;
}
/** Four bytes in the machine's order. */
export function native32(value: number): Uint8Array {
  const b = new Uint8Array(4);
  putNative32(b, 0, value);
  return b;
}

/** Two 64-bit words: seconds, and the rest in units of `perMs` a millisecond. */
function putTime(b: Uint8Array, off: number, wallMs: number, perMs: number): void {
  const seconds = Math.floor(wallMs / 1000);
  const rest = Math.floor((wallMs - seconds * 1000) * perMs);
  const low = HOST_LITTLE_ENDIAN ? 0 : 4;
  putNative32(b, off + low, seconds >>> 0);
  putNative32(b, off + (low ^ 4), Math.floor(seconds / 0x1_0000_0000));
  putNative32(b, off + 8 + low, rest);
}
