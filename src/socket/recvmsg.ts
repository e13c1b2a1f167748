/** `recvmsg(2)` into the caller's memory (`____sys_recvmsg`): data, name, control messages, flags. */
import { EFAULT, EINVAL, EMSGSIZE } from '../uapi/errno.js';
import { MSG_CTRUNC, MSG_DONTWAIT } from '../uapi/socket.js';
import type { UdpNet } from '../udp/netns.js';
import { udpRecvmsg } from '../udp/recvmsg.js';
import { put32le } from '../wire/bytes.js';
import { CMSG_HDR_BYTES, type Cmsg, cmsgAlign, cmsgLen } from '../wire/cmsg.js';
import { type SocketFile, sockaddrIn } from './af_inet.js';
import { BadPointer, type Pointer, writeUser } from './memory.js';
import type { RawIovec, RawMsghdr } from './syscalls.js';

const UIO_MAXIOV = 1024;
const MAX_SOCKADDR_BYTES = 128;

/** Receives; `msg`'s namelen, controllen and flags are written back. @returns bytes, or a negative errno */
export function recvmsgInto(net: UdpNet, file: SocketFile, msg: RawMsghdr, flags: number): number {
  const namelen = msg.name === null ? 0 : msg.namelen | 0;
  if (namelen < 0) return -EINVAL;
  if (msg.iovlen > UIO_MAXIOV) return -EMSGSIZE;
  if (msg.iovlen > 0 && (msg.iov instanceof BadPointer || msg.iov.length < msg.iovlen)) return -EFAULT;
  const iov = msg.iov instanceof BadPointer ? [] : msg.iov.slice(0, msg.iovlen);
  let room = 0;
  for (const { len } of iov) {
    const bytes = Number(BigInt.asIntN(64, BigInt(len)));
    if (bytes < 0) return -EINVAL;
    room += bytes;
  }
  const got = udpRecvmsg(net, file.sk, {
    len: room,
    flags: file.nonblock ? flags | MSG_DONTWAIT : flags,
    copyOut: (data) => (scatter(iov, data) ? 0 : -EFAULT),
  });
  if (typeof got === 'number') return got;
  let msgFlags = got.flags;
  if (msg.name !== null) {
    const name = got.name === null ? new Uint8Array(0) : sockaddrIn(got.name.addr, got.name.port);
    if (!writeUser(msg.name, name, Math.min(name.length, namelen, MAX_SOCKADDR_BYTES))) return -EFAULT;
    msg.namelen = name.length;
  }
  const put = putCmsgs(msg.control, Number(msg.controllen), got.cmsgs);
  if (put.truncated) msgFlags |= MSG_CTRUNC;
  msg.controllen = put.used;
  msg.flags = msgFlags;
  return got.ret;
}

/** Copies data over the buffers; false for EFAULT. */
function scatter(iov: readonly RawIovec[], data: Uint8Array): boolean {
  let at = 0;
  for (const { base, len } of iov) {
    const take = Math.min(Number(len), data.length - at);
    if (take > 0 && !writeUser(base, data.subarray(at, at + take))) return false;
    at += take;
  }
  return true;
}

/** `put_cmsg` for each message: what does not fit is cut, and said so. */
function putCmsgs(
  control: Pointer,
  controllen: number,
  cmsgs: readonly Cmsg[],
): { used: number; truncated: boolean } {
  let used = 0;
  let truncated = false;
  for (const { level, type, data } of cmsgs) {
    const left = controllen - used;
    if (control === null || left < CMSG_HDR_BYTES) {
      truncated = true;
      continue;
    }
    const wanted = cmsgLen(data.length);
    const len = Math.min(wanted, left);
    if (len < wanted) truncated = true;
    // Memory that cannot be written loses the message, and the call goes on.
    if (control instanceof BadPointer || used + len > control.length) continue;
    put32le(control, used, len);
    put32le(control, used + 4, 0);
    put32le(control, used + 8, level);
    put32le(control, used + 12, type);
    control.set(data.subarray(0, len - CMSG_HDR_BYTES), used + CMSG_HDR_BYTES);
    used += Math.min(cmsgAlign(wanted), left);
  }
  return { used, truncated };
}
