/** Options of level SOL_SOCKET (`sk_setsockopt`, `sk_getsockopt` of `net/core/sock.c`). */

import { skSetPrioAllowed } from '../ip/ip_cmsg.js';
import {
  EACCES,
  EDOM,
  EFAULT,
  EINVAL,
  ENODEV,
  ENOENT,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPERM,
} from '../uapi/errno.js';
import { IFNAMSIZ } from '../uapi/if.js';
import * as so from '../uapi/socket.js';
import type { UdpNet } from '../udp/netns.js';
import { CAP_NET_ADMIN, CAP_NET_RAW, SOCK_MIN_RCVBUF, SOCK_MIN_SNDBUF, type UdpSock } from '../udp/sock.js';
import { udpTableOf } from '../udp/udp_table.js';
import { get32le, put32le } from '../wire/bytes.js';
import { type Pointer, readUser } from './memory.js';

const INT_MAX = 0x7fffffff;
const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const CLOCK_TAI = 11;
/** CLOCK_AUX .. CLOCK_AUX_LAST */
const CLOCK_AUX_FIRST = 16;
const CLOCK_AUX_LAST = 23;
const SOF_TXTIME_FLAGS_MASK = 3;
const SOCK_BUF_LOCK_MASK = 3;
/** Key of the remembered time of SO_LINGER; no option has a negative number. */
const LINGER_SECONDS = -1;
const OPT_ID = so.SOF_TIMESTAMPING_OPT_ID;

/** Options that are only remembered: nothing on the send path asks for them. */
const REMEMBERED = new Set<number>([
  so.SO_KEEPALIVE,
  so.SO_OOBINLINE,
  so.SO_WIFI_STATUS,
  so.SO_NOFCS,
  so.SO_SELECT_ERR_QUEUE,
  so.SO_RCVMARK,
  so.SO_RCVPRIORITY,
]);

function recall(sk: UdpSock, name: number): number {
  return sk.otherOptions?.get(name) ?? 0;
}
function remember(sk: UdpSock, name: number, value: number): number {
  sk.otherOptions ??= new Map();
  sk.otherOptions.set(name, value);
  return 0;
}

/** 0 or a negative errno. `optlen` is not negative. */
export function sockSetsockopt(
  net: UdpNet,
  sk: UdpSock,
  name: number,
  optval: Pointer,
  optlen: number,
): number {
  if (name === so.SO_BINDTODEVICE) return sockSetbindtodevice(net, sk, optval, optlen);
  if (optlen < 4) return -EINVAL;
  const bytes = readUser(optval, 4);
  if (bytes === null) return -EFAULT;
  const val = get32le(bytes, 0) | 0;
  const on = val !== 0;
  if (REMEMBERED.has(name)) return remember(sk, name, on ? 1 : 0);
  switch (name) {
    case so.SO_PRIORITY:
      if (!skSetPrioAllowed(sk, val)) return -EPERM;
      sk.priority = val;
      return 0;
    case so.SO_DEBUG:
      if (on && !sk.capable(CAP_NET_ADMIN)) return -EACCES;
      sk.debug = on;
      return 0;
    case so.SO_REUSEADDR:
      sk.reuse = on;
      udpTableOf(sk.net, sk).reuseChanged(sk);
      return 0;
    case so.SO_REUSEPORT:
      sk.reuseport = on;
      return 0;
    case so.SO_DONTROUTE:
      sk.localroute = on;
      sk.dstCache = null;
      return 0;
    case so.SO_BROADCAST:
      sk.broadcast = on;
      return 0;
    case so.SO_SNDBUF:
      // BUF-1: the value counts as unsigned, so that a negative one is the maximum.
      return setSndbuf(sk, Math.min(val >>> 0, net.sysctl.core.wmemMax));
    case so.SO_SNDBUFFORCE:
      if (!sk.capable(CAP_NET_ADMIN)) return -EPERM;
      return setSndbuf(sk, Math.max(val, 0));
    case so.SO_RCVBUF:
      return setRcvbuf(sk, Math.min(val >>> 0, net.sysctl.core.rmemMax));
    case so.SO_RCVBUFFORCE:
      if (!sk.capable(CAP_NET_ADMIN)) return -EPERM;
      return setRcvbuf(sk, Math.max(val, 0));
    case so.SO_NO_CHECK:
      sk.noCheckTx = on;
      return 0;
    case so.SO_LINGER: {
      if (optlen < 8) return -EINVAL;
      const linger = readUser(optval, 8);
      if (linger === null) return -EFAULT;
      // The time is kept from the last setting that was on.
      if (on) remember(sk, LINGER_SECONDS, get32le(linger, 4));
      return remember(sk, name, on ? 1 : 0);
    }
    case so.SO_PASSCRED:
    case so.SO_PASSSEC:
      return net.profile.passcredOfUnixOnly ? -EOPNOTSUPP : remember(sk, name, on ? 1 : 0);
    case so.SO_PASSPIDFD:
    case so.SO_PASSRIGHTS:
      return net.profile.passcredOfUnixOnly ? -EOPNOTSUPP : -ENOPROTOOPT;
    case so.SO_DETACH_FILTER:
    case so.SO_DETACH_REUSEPORT_BPF:
      return -ENOENT;
    case so.SO_CNX_ADVICE:
      if (val === 1) sk.dstCache = null;
      return 0;
    case so.SO_TIMESTAMP:
    case so.SO_TIMESTAMP_NEW:
      sk.rcvtstamp = on ? 1 : 0;
      sk.tstampNew = on && name === so.SO_TIMESTAMP_NEW;
      return 0;
    case so.SO_TIMESTAMPNS:
    case so.SO_TIMESTAMPNS_NEW:
      sk.rcvtstamp = on ? 2 : 0;
      sk.tstampNew = on && name === so.SO_TIMESTAMPNS_NEW;
      return 0;
    case so.SO_TIMESTAMPING:
    case so.SO_TIMESTAMPING_NEW:
      sk.tstampNew = name === so.SO_TIMESTAMPING_NEW;
      return setTimestamping(net, sk, val, optlen, optval);
    case so.SO_RCVLOWAT:
      sk.rcvlowat = val < 0 ? INT_MAX : val === 0 ? 1 : val;
      return 0;
    case so.SO_SNDTIMEO:
    case so.SO_SNDTIMEO_NEW:
    case so.SO_RCVTIMEO:
    case so.SO_RCVTIMEO_NEW:
      return setTimeout64(sk, name === so.SO_SNDTIMEO || name === so.SO_SNDTIMEO_NEW, optval, optlen);
    case so.SO_MARK:
      if (!sk.capable(CAP_NET_RAW) && !sk.capable(CAP_NET_ADMIN)) return -EPERM;
      if (sk.mark !== val >>> 0) {
        sk.mark = val >>> 0;
        sk.dstCache = null;
      }
      return 0;
    case so.SO_RXQ_OVFL:
      sk.rxqOvfl = on;
      return 0;
    case so.SO_PEEK_OFF:
      sk.peekOff = val;
      return 0;
    case so.SO_LOCK_FILTER:
      if (recall(sk, name) !== 0 && !on) return -EPERM;
      return remember(sk, name, on ? 1 : 0);
    case so.SO_BUSY_POLL:
      return val < 0 ? -EINVAL : remember(sk, name, val);
    case so.SO_PREFER_BUSY_POLL:
      return on && !sk.capable(CAP_NET_ADMIN) ? -EPERM : remember(sk, name, on ? 1 : 0);
    case so.SO_BUSY_POLL_BUDGET:
      if (val > recall(sk, name) && !sk.capable(CAP_NET_ADMIN)) return -EPERM;
      return val < 0 || val > 0xffff ? -EINVAL : remember(sk, name, val);
    case so.SO_MAX_PACING_RATE:
      return remember(sk, name, val);
    case so.SO_INCOMING_CPU:
      return remember(sk, name, val);
    case so.SO_TXREHASH:
      return -EOPNOTSUPP;
    case so.SO_ZEROCOPY:
      if (sk.isUdplite) return -EOPNOTSUPP;
      if (val < 0 || val > 1) return -EINVAL;
      sk.zerocopy = on;
      return 0;
    case so.SO_TXTIME:
      return setTxtime(net, sk, optval, optlen);
    case so.SO_BINDTOIFINDEX:
      return sockBindtoindex(net, sk, val);
    case so.SO_BUF_LOCK:
      return (val & ~SOCK_BUF_LOCK_MASK) !== 0 ? -EINVAL : remember(sk, name, val);
    case so.SO_RESERVE_MEM:
      return val < 0 ? -EINVAL : -EOPNOTSUPP;
    default:
      return -ENOPROTOOPT;
  }
}

function setSndbuf(sk: UdpSock, value: number): number {
  sk.sndbuf = Math.max(Math.min(value, INT_MAX >> 1) * 2, SOCK_MIN_SNDBUF);
  return 0;
}
function setRcvbuf(sk: UdpSock, value: number): number {
  sk.rcvbuf = Math.max(Math.min(value, INT_MAX >> 1) * 2, SOCK_MIN_RCVBUF);
  return 0;
}

function setTimestamping(net: UdpNet, sk: UdpSock, flags: number, optlen: number, optval: Pointer): number {
  if (optlen === 8 && readUser(optval, 8) === null) return -EFAULT;
  if ((flags & ~net.profile.timestampingMask) !== 0) return -EINVAL;
  if ((flags & so.SOF_TIMESTAMPING_OPT_ID_TCP) !== 0 && (flags & OPT_ID) === 0) return -EINVAL;
  if ((flags & OPT_ID) !== 0 && (sk.tsflags & OPT_ID) === 0) sk.tskey = 0;
  if ((flags & so.SOF_TIMESTAMPING_OPT_STATS) !== 0 && (flags & so.SOF_TIMESTAMPING_OPT_TSONLY) === 0)
    return -EINVAL;
  if ((flags & so.SOF_TIMESTAMPING_BIND_PHC) !== 0) {
    // A clock of the bound device's hardware, of which no device here has one.
    return net.devGetByIndex(sk.boundDevIf) === null ? -EOPNOTSUPP : -EINVAL;
  }
  sk.tsflags = flags;
  return 0;
}

function setTimeout64(sk: UdpSock, send: boolean, optval: Pointer, optlen: number): number {
  if (optlen < 16) return -EINVAL;
  const b = readUser(optval, 16);
  if (b === null) return -EFAULT;
  const sec = (get32le(b, 4) | 0) * 0x1_0000_0000 + get32le(b, 0);
  const usec = (get32le(b, 12) | 0) * 0x1_0000_0000 + get32le(b, 8);
  if (usec < 0 || usec >= 1_000_000) return -EDOM;
  let ms = Infinity;
  if (sec < 0) ms = 0;
  else if (sec !== 0 || usec !== 0) ms = sec * 1000 + usec / 1000;
  if (send) sk.sndtimeo = ms;
  else sk.rcvtimeo = ms;
  return 0;
}

function setTxtime(net: UdpNet, sk: UdpSock, optval: Pointer, optlen: number): number {
  if (optlen !== 8) return -EINVAL;
  const b = readUser(optval, 8);
  if (b === null) return -EFAULT;
  const clockid = get32le(b, 0) | 0;
  const flags = get32le(b, 4);
  if ((flags & ~SOF_TXTIME_FLAGS_MASK) !== 0) return -EINVAL;
  if (clockid !== CLOCK_MONOTONIC && !sk.capable(CAP_NET_ADMIN)) return -EPERM;
  const known =
    clockid === CLOCK_REALTIME ||
    clockid === CLOCK_MONOTONIC ||
    clockid === CLOCK_TAI ||
    (clockid >= CLOCK_AUX_FIRST && clockid <= CLOCK_AUX_LAST);
  if (!known && net.profile.txtimeClockChecked) return -EINVAL;
  sk.txtime = true;
  sk.txtimeClockid = clockid;
  sk.txtimeFlags = flags;
  return 0;
}

/** SOPT-5: binds to a device by name; the first 15 bytes count, an empty name unbinds. */
function sockSetbindtodevice(net: UdpNet, sk: UdpSock, optval: Pointer, optlen: number): number {
  const bytes = readUser(optval, Math.min(optlen, IFNAMSIZ - 1));
  if (bytes === null) return -EFAULT;
  const end = bytes.indexOf(0);
  const name = Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1');
  let index = 0;
  if (name !== '') {
    const dev = net.devGetByName(name);
    if (dev === null) return -ENODEV;
    index = dev.ifindex;
  }
  return sockBindtoindex(net, sk, index);
}

function sockBindtoindex(net: UdpNet, sk: UdpSock, ifindex: number): number {
  // Binding anew, or unbinding, needs CAP_NET_RAW; the first binding does not.
  if (sk.boundDevIf !== 0 && !net.cred.capable(CAP_NET_RAW)) return -EPERM;
  if (ifindex < 0) return -EINVAL;
  sk.boundDevIf = ifindex;
  sk.dstCache = null;
  return 0;
}

function int(value: number): Uint8Array {
  const b = new Uint8Array(4);
  put32le(b, 0, value);
  return b;
}
function two(a: number, b: number): Uint8Array {
  return Buffer.concat([int(a), int(b)]);
}

/**
 * The value's bytes, to be cut to `len`, or a negative errno.
 * @param len the caller's length, not negative
 */
export function sockGetsockopt(net: UdpNet, sk: UdpSock, name: number, len: number): Uint8Array | number {
  if (REMEMBERED.has(name)) return int(recall(sk, name));
  switch (name) {
    case so.SO_DEBUG:
      return int(sk.debug ? 1 : 0);
    case so.SO_DONTROUTE:
      return int(sk.localroute ? 1 : 0);
    case so.SO_BROADCAST:
      return int(sk.broadcast ? 1 : 0);
    case so.SO_SNDBUF:
      return int(sk.sndbuf);
    case so.SO_RCVBUF:
      return int(sk.rcvbuf);
    case so.SO_REUSEADDR:
      return int(sk.reuse ? 1 : 0);
    case so.SO_REUSEPORT:
      return int(sk.reuseport ? 1 : 0);
    case so.SO_TYPE:
      return int(so.SOCK_DGRAM);
    case so.SO_PROTOCOL:
      return int(sk.protocol);
    case so.SO_DOMAIN:
      return int(so.AF_INET);
    case so.SO_ERROR: {
      // ERR-1
      const err = sk.err !== 0 ? sk.err : sk.errSoft;
      if (sk.err !== 0) sk.err = 0;
      else sk.errSoft = 0;
      return int(err);
    }
    case so.SO_NO_CHECK:
      return int(sk.noCheckTx ? 1 : 0);
    case so.SO_PRIORITY:
      return int(sk.priority);
    case so.SO_LINGER:
      return two(recall(sk, name), recall(sk, LINGER_SECONDS));
    case so.SO_TIMESTAMP:
      return int(sk.rcvtstamp === 1 && !sk.tstampNew ? 1 : 0);
    case so.SO_TIMESTAMP_NEW:
      return int(sk.rcvtstamp !== 0 && sk.tstampNew ? 1 : 0);
    case so.SO_TIMESTAMPNS:
    case so.SO_TIMESTAMPNS_NEW:
      return int(sk.rcvtstamp === 2 && sk.tstampNew === (name === so.SO_TIMESTAMPNS_NEW) ? 1 : 0);
    case so.SO_TIMESTAMPING:
    case so.SO_TIMESTAMPING_NEW:
      return two(sk.tsflags, 0);
    case so.SO_RCVLOWAT:
      return int(sk.rcvlowat);
    case so.SO_SNDLOWAT:
      return int(1);
    case so.SO_SNDTIMEO:
    case so.SO_SNDTIMEO_NEW:
      return timeval(sk.sndtimeo);
    case so.SO_RCVTIMEO:
    case so.SO_RCVTIMEO_NEW:
      return timeval(sk.rcvtimeo);
    case so.SO_PASSCRED:
    case so.SO_PASSSEC:
      return net.profile.passcredOfUnixOnly ? -EOPNOTSUPP : int(recall(sk, name));
    case so.SO_PASSPIDFD:
    case so.SO_PASSRIGHTS:
      return net.profile.passcredOfUnixOnly ? -EOPNOTSUPP : -ENOPROTOOPT;
    case so.SO_PEERCRED:
      return Buffer.concat([int(0), int(-1), int(-1)]);
    case so.SO_ACCEPTCONN:
      return int(0);
    case so.SO_MARK:
      return int(sk.mark);
    case so.SO_RXQ_OVFL:
      return int(sk.rxqOvfl ? 1 : 0);
    case so.SO_PEEK_OFF:
      return int(sk.peekOff);
    case so.SO_BINDTODEVICE: {
      const dev = sk.boundDevIf === 0 ? null : net.devGetByIndex(sk.boundDevIf);
      if (sk.boundDevIf === 0) return new Uint8Array(0);
      if (len < IFNAMSIZ) return -EINVAL;
      return dev === null ? -ENODEV : Buffer.from(`${dev.name}\0`);
    }
    case so.SO_LOCK_FILTER:
    case so.SO_BUSY_POLL:
    case so.SO_PREFER_BUSY_POLL:
    case so.SO_BUSY_POLL_BUDGET:
    case so.SO_BUF_LOCK:
      return int(recall(sk, name));
    case so.SO_INCOMING_CPU:
      return int(sk.otherOptions?.get(name) ?? -1);
    case so.SO_INCOMING_NAPI_ID:
      return int(0);
    case so.SO_MAX_PACING_RATE:
      return len >= 8 ? two(-1, -1) : int(-1);
    case so.SO_COOKIE:
      return len < 8 ? -EINVAL : two(sk.order + 1, 0);
    case so.SO_ZEROCOPY:
      return int(sk.zerocopy ? 1 : 0);
    case so.SO_TXTIME:
      return two(sk.txtimeClockid, sk.txtimeFlags);
    case so.SO_BINDTOIFINDEX:
      return int(sk.boundDevIf);
    case so.SO_TXREHASH:
      return int(-1);
    default:
      return -ENOPROTOOPT;
  }
}

function timeval(ms: number): Uint8Array {
  const us = ms === Infinity ? 0 : Math.round(ms * 1000);
  const sec = Math.floor(us / 1_000_000);
  return Buffer.concat([two(sec, Math.floor(sec / 0x1_0000_0000)), two(us % 1_000_000, 0)]);
}
