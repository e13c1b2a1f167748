/** Control messages of a send below the UDP level (`ip_cmsg_send`, `__sock_cmsg_send`). */

import { inetAddrType } from '../route/addr_type.js';
import { EINVAL, EPERM } from '../uapi/errno.js';
import { IP_PKTINFO, IP_PROTOCOL, IP_RETOPTS, IP_TOS, IP_TTL } from '../uapi/in.js';
import { RTN_UNICAST } from '../uapi/rtnetlink.js';
import {
  SCM_CREDENTIALS,
  SCM_DEVMEM_DMABUF,
  SCM_RIGHTS,
  SCM_TS_OPT_ID,
  SCM_TXTIME,
  SO_MARK,
  SO_PRIORITY,
  SO_TIMESTAMPING,
  SO_TIMESTAMPING_NEW,
  SOF_TIMESTAMPING_OPT_ID,
  SOF_TIMESTAMPING_TX_RECORD_MASK,
  SOL_IP,
  SOL_SOCKET,
} from '../uapi/socket.js';
import { get32, get32le } from '../wire/bytes.js';
import {
  CMSG_HDR_BYTES,
  cmsgFirst,
  cmsgLen,
  cmsgLenAt,
  cmsgLevelAt,
  cmsgNext,
  cmsgOk,
  cmsgTypeAt,
} from '../wire/cmsg.js';
import type { IpcmCookie } from './cork.js';
import { CAP_NET_ADMIN, CAP_NET_RAW, type InetSock } from './inet_sock.js';
import type { IpNet } from './netns.js';
import { ipOptionsGet, type OptionsContext } from './options.js';

const IP_TOS2PRIO = [0, 0, 0, 0, 2, 2, 2, 2, 6, 6, 6, 6, 4, 4, 4, 4] as const;
const MAX_OPTION_BYTES = 40;

/** `rt_tos2priority` (IPH-12) */
export function rtTos2priority(tos: number): number {
  return IP_TOS2PRIO[(tos & 0x1e) >> 1]!;
}

/** What compiling options asks of the Net and of the caller. */
export function optionsContext(net: IpNet, sk: InetSock): OptionsContext {
  return {
    netRaw: sk.capable(CAP_NET_RAW),
    isUnicast: (addr) => inetAddrType(net, addr) === RTN_UNICAST,
    sourceRouteNeedsNetRaw: net.profile.sourceRouteNeedsNetRaw,
  };
}

/** `sk_set_prio_allowed` */
export function skSetPrioAllowed(sk: InetSock, priority: number): boolean {
  return (priority >= 0 && priority <= 6) || sk.capable(CAP_NET_RAW) || sk.capable(CAP_NET_ADMIN);
}

/** Pass 2 over the control data; 0 or -EINVAL, -EPERM (CMSG-4..6). */
export function ipCmsgSend(net: IpNet, sk: InetSock, control: Uint8Array, ipc: IpcmCookie): number {
  for (let at = cmsgFirst(control); at >= 0; at = cmsgNext(control, at)) {
    if (!cmsgOk(control, at)) return -EINVAL;
    const level = cmsgLevelAt(control, at);
    let err = 0;
    if (level === SOL_SOCKET) err = sockCmsgSend(net, sk, control, at, ipc);
    else if (level === SOL_IP) err = ipCmsgOne(net, sk, control, at, ipc);
    if (err !== 0) return err;
  }
  return 0;
}

function ipCmsgOne(net: IpNet, sk: InetSock, control: Uint8Array, at: number, ipc: IpcmCookie): number {
  const len = cmsgLenAt(control, at);
  const data = at + CMSG_HDR_BYTES;
  switch (cmsgTypeAt(control, at)) {
    case IP_RETOPTS: {
      // Longer options are silently cut (CMSG-5); a later message replaces an earlier one.
      const bytes = control.subarray(data, data + Math.min(len - CMSG_HDR_BYTES, MAX_OPTION_BYTES));
      const opt = ipOptionsGet(bytes, optionsContext(net, sk));
      if (typeof opt === 'number') return opt;
      ipc.opt = opt;
      return 0;
    }
    case IP_PKTINFO: {
      if (len !== cmsgLen(12)) return -EINVAL;
      const ifindex = get32le(control, data) | 0;
      if (ifindex !== 0) ipc.oif = ifindex;
      ipc.addr = get32(control, data + 4);
      return 0;
    }
    case IP_TTL: {
      if (len !== cmsgLen(4)) return -EINVAL;
      const value = get32le(control, data) | 0;
      if (value < 1 || value > 255) return -EINVAL;
      ipc.ttl = value;
      return 0;
    }
    case IP_TOS: {
      if (len !== cmsgLen(4) && len !== cmsgLen(1)) return -EINVAL;
      const value = len === cmsgLen(4) ? get32le(control, data) | 0 : control[data]!;
      if (value < 0 || value > 255) return -EINVAL;
      ipc.tos = value;
      ipc.priority = rtTos2priority(value);
      return 0;
    }
    case IP_PROTOCOL: {
      if (len !== cmsgLen(4)) return -EINVAL;
      const value = get32le(control, data) | 0;
      if (value < 1 || value > 255) return -EINVAL;
      ipc.protocol = value;
      return 0;
    }
    default:
      return -EINVAL;
  }
}

function sockCmsgSend(net: IpNet, sk: InetSock, control: Uint8Array, at: number, ipc: IpcmCookie): number {
  const len = cmsgLenAt(control, at);
  const data = at + CMSG_HDR_BYTES;
  switch (cmsgTypeAt(control, at)) {
    case SO_MARK:
      // Privilege is looked at before the length.
      if (!sk.capable(CAP_NET_RAW) && !sk.capable(CAP_NET_ADMIN)) return -EPERM;
      if (len !== cmsgLen(4)) return -EINVAL;
      ipc.mark = get32le(control, data);
      return 0;
    case SO_TIMESTAMPING:
    case SO_TIMESTAMPING_NEW: {
      if (len !== cmsgLen(4)) return -EINVAL;
      const flags = get32le(control, data);
      if ((flags & ~(SOF_TIMESTAMPING_TX_RECORD_MASK & net.profile.timestampingMask)) !== 0) return -EINVAL;
      ipc.tsflags = (ipc.tsflags & ~SOF_TIMESTAMPING_TX_RECORD_MASK) | flags;
      return 0;
    }
    case SCM_TXTIME:
      if (!sk.txtime || len !== cmsgLen(8)) return -EINVAL;
      ipc.transmitTime = get32le(control, data + 4) * 0x1_0000_0000 + get32le(control, data);
      return 0;
    case SCM_TS_OPT_ID:
      if (!net.profile.cmsgTsOptId) return -EINVAL;
      if ((sk.tsflags & SOF_TIMESTAMPING_OPT_ID) === 0 || len !== cmsgLen(4)) return -EINVAL;
      ipc.tsOptId = get32le(control, data);
      return 0;
    case SCM_RIGHTS:
    case SCM_CREDENTIALS:
      return 0;
    case SO_PRIORITY: {
      if (!net.profile.cmsgPriority || len !== cmsgLen(4)) return -EINVAL;
      const priority = get32le(control, data) | 0;
      if (!skSetPrioAllowed(sk, priority)) return -EPERM;
      ipc.priority = priority;
      return 0;
    }
    case SCM_DEVMEM_DMABUF:
      return net.profile.cmsgDevmem && len === cmsgLen(4) ? 0 : -EINVAL;
    default:
      return -EINVAL;
  }
}
