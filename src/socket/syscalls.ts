/**
 * The system calls on sockets (`net/socket.c`): file descriptors, raw memory, and the order in which a call's arguments are looked at.
 * Every call answers as the kernel does: a number from 0 up, or a negative errno.
 */
import type { MsgIter } from '../ip/msg_iter.js';
import {
  EBADF,
  EFAULT,
  EINVAL,
  EMFILE,
  EMSGSIZE,
  ENOBUFS,
  ENOPROTOOPT,
  ENOTSOCK,
  EOPNOTSUPP,
} from '../uapi/errno.js';
import {
  MSG_CMSG_COMPAT,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_PROBE,
  MSG_SPLICE_PAGES,
  SIOCINQ,
  SIOCOUTQ,
  SOL_IP,
  SOL_SOCKET,
  SOL_UDP,
  SOL_UDPLITE,
} from '../uapi/socket.js';
import type { UdpNet } from '../udp/netns.js';
import { udpInq } from '../udp/recvmsg.js';
import { udpSendmsg } from '../udp/sendmsg.js';
import type { Cred } from '../udp/sock.js';
import { put32le } from '../wire/bytes.js';
import {
  inetAutobind,
  inetBind,
  inetCreate,
  inetDgramConnect,
  inetGetname,
  inetRelease,
  inetShutdown,
  type SocketFile,
  sockaddrAddr,
  sockaddrFamily,
  sockaddrPort,
} from './af_inet.js';
import { ipGetsockopt, ipSetsockopt } from './ip_options.js';
import { BadPointer, type LenBox, type Pointer, readUser, writeUser } from './memory.js';
import { recvmsgInto } from './recvmsg.js';
import { releaseAfterGet, releaseAfterSet, releaseSock } from './release.js';
import { sockGetsockopt, sockSetsockopt } from './sock_options.js';
import { udpGetsockopt, udpSetsockopt } from './udp_options.js';

const MAX_SOCKADDR_BYTES = 128;
const MAX_RW_COUNT = 0x7ffff000;
const UIO_MAXIOV = 1024;
const INT_MAX = 0x7fffffff;
/** Control data up to this many bytes needs no option memory. */
const STACK_CONTROL_BYTES = 36;
/** Flags that only the kernel itself may set. */
const INTERNAL_FLAGS = MSG_SPLICE_PAGES | 0x10000 | 0x100000 | 0x200000;
/** Descriptors that a process may have (`RLIMIT_NOFILE`'s usual hard limit). */
const MAX_FILES = 1_048_576;
const FIRST_FD = 3;

/** `struct iovec` */
export interface RawIovec {
  readonly base: Pointer;
  /** A size_t: negative numbers and those from 2^63 up are what a signed length would be. */
  readonly len: number | bigint;
}

/** `struct msghdr`; for recvmsg, `namelen`, `controllen` and `flags` are written back. */
export interface RawMsghdr {
  readonly name: Pointer;
  namelen: number;
  readonly iov: readonly RawIovec[] | BadPointer;
  readonly iovlen: number;
  readonly control: Pointer;
  controllen: number | bigint;
  flags: number;
}

/** `struct mmsghdr` */
export interface RawMmsghdr {
  readonly hdr: RawMsghdr;
  /** Bytes sent, written for each message that was. */
  len: number;
}

export class Syscalls {
  readonly #net: UdpNet;
  readonly #files = new Map<number, SocketFile>();
  #nextFd = FIRST_FD;

  constructor(net: UdpNet) {
    this.#net = net;
  }

  /** Who makes the calls. */
  get cred(): Cred {
    return this.#net.cred;
  }
  set cred(cred: Cred) {
    this.#net.cred = cred;
  }

  /** The socket behind a descriptor: what the library's objects hold. */
  file(fd: number): SocketFile | null {
    return this.#files.get(fd) ?? null;
  }

  #lookup(fd: number): SocketFile | number {
    const file = this.#files.get(fd);
    if (file !== undefined) return file;
    // Descriptors 0 to 2 are the process's own, and no sockets.
    return fd >= 0 && fd < FIRST_FD ? -ENOTSOCK : -EBADF;
  }

  /** The descriptor, or -EAFNOSUPPORT, -EINVAL, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -EPERM, -EACCES, -EMFILE (SOCK-1). */
  socket(domain: number, type: number, protocol: number): number {
    const file = inetCreate(this.#net, domain, type, protocol);
    if (typeof file === 'number') return file;
    if (this.#files.size >= MAX_FILES) return -EMFILE;
    // SOCK-4: the lowest free number.
    let fd = this.#nextFd;
    while (this.#files.has(fd)) fd++;
    this.#nextFd = fd + 1;
    this.#files.set(fd, file);
    return fd;
  }

  close(fd: number): number {
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file === -ENOTSOCK ? 0 : file;
    this.#files.delete(fd);
    this.#nextFd = Math.min(this.#nextFd, fd);
    this.#enter();
    inetRelease(this.#net, file.sk);
    return this.#leave(0);
  }

  bind(fd: number, addr: Pointer, addrlen: number): number {
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file;
    const b = moveAddrToKernel(addr, addrlen);
    if (typeof b === 'number') return b;
    this.#enter();
    const result = inetBind(this.#net, file.sk, b);
    releaseSock(this.#net, file.sk);
    return this.#leave(result);
  }

  connect(fd: number, addr: Pointer, addrlen: number): number {
    if (typeof this.#lookup(fd) === 'number' && (fd < 0 || fd >= FIRST_FD)) return -EBADF;
    const b = moveAddrToKernel(addr, addrlen);
    if (typeof b === 'number') return b;
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file;
    this.#enter();
    return this.#leave(inetDgramConnect(this.#net, file.sk, b));
  }

  getsockname(fd: number, addr: Pointer, addrlen: LenBox | BadPointer): number {
    return this.#getname(fd, addr, addrlen, false);
  }
  getpeername(fd: number, addr: Pointer, addrlen: LenBox | BadPointer): number {
    return this.#getname(fd, addr, addrlen, true);
  }

  #getname(fd: number, addr: Pointer, addrlen: LenBox | BadPointer, peer: boolean): number {
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file;
    const name = inetGetname(file.sk, peer);
    releaseSock(this.#net, file.sk);
    if (typeof name === 'number') return name;
    if (addrlen instanceof BadPointer) return -EFAULT;
    if ((addrlen.len | 0) < 0) return -EINVAL;
    if (!writeUser(addr, name, Math.min(addrlen.len, name.length))) return -EFAULT;
    addrlen.len = name.length;
    return 0;
  }

  shutdown(fd: number, how: number): number {
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file;
    const result = inetShutdown(file.sk, how);
    releaseSock(this.#net, file.sk);
    return result;
  }

  /** SYS-1. `len` is the caller's size_t. */
  sendto(fd: number, buf: Pointer, len: number, flags: number, addr: Pointer, addrlen: number): number {
    if (buf instanceof BadPointer && buf.kind === 'kernel') return -EFAULT;
    const file = this.#files.get(fd);
    if (file === undefined) return this.#lookup(fd) as number;
    const net = this.#net;
    const msg = net.oneMsg;
    msg.hasName = addr !== null;
    msg.control = null;
    if (addr !== null) {
      const b = moveAddrToKernel(addr, addrlen);
      if (typeof b === 'number') return b;
      msg.namelen = b.length;
      msg.family = sockaddrFamily(b);
      if (b.length >= 8) {
        msg.port = sockaddrPort(b);
        msg.addr = sockaddrAddr(b);
      }
    }
    msg.flags = (flags & ~INTERNAL_FLAGS) | (file.nonblock ? MSG_DONTWAIT : 0);
    const count = Math.min(len, MAX_RW_COUNT);
    const iter = net.oneIter;
    if (buf instanceof Uint8Array && buf.length >= count)
      iter.set(buf.length === count ? buf : buf.subarray(0, count));
    else iter.setVector([buf instanceof Uint8Array ? buf : null], [count]);
    this.#enter();
    const result = sockSendmsg(net, file, iter, count);
    iter.clear();
    return this.#leave(result);
  }

  /** SYS-5..7 */
  sendmsg(fd: number, msg: RawMsghdr | BadPointer, flags: number): number {
    if ((flags & MSG_CMSG_COMPAT) !== 0) return -EINVAL;
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file;
    this.#enter();
    return this.#leave(this.#sendOne(file, msg, flags));
  }

  /** SYS-8: how many were sent, or the first one's error; the error that stops a later one is lost. */
  sendmmsg(fd: number, msgs: readonly RawMmsghdr[] | BadPointer, vlen: number, flags: number): number {
    if ((flags & MSG_CMSG_COMPAT) !== 0) return -EINVAL;
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file;
    const count = Math.min(vlen >>> 0, UIO_MAXIOV);
    let sent = 0;
    let err = 0;
    this.#enter();
    while (sent < count) {
      const one = msgs instanceof BadPointer ? undefined : msgs[sent];
      if (one === undefined) {
        err = -EFAULT;
        break;
      }
      err = this.#sendOne(file, one.hdr, flags | (one.hdr.flags & MSG_EOR));
      if (err < 0) break;
      one.len = err;
      sent++;
      // SYS-8: a message whose bytes were not all taken is the last; a probe takes none.
      if (err > 0 && (flags & MSG_PROBE) !== 0) break;
    }
    return this.#leave(sent > 0 ? sent : Math.min(err, 0));
  }

  #sendOne(file: SocketFile, raw: RawMsghdr | BadPointer, flags: number): number {
    if (raw instanceof BadPointer) return -EFAULT;
    const net = this.#net;
    const msg = net.oneMsg;
    const nameErr = copyName(raw, msg);
    if (nameErr !== 0) return nameErr;
    if (raw.iovlen > UIO_MAXIOV) return -EMSGSIZE;
    const iter = net.oneIter;
    const total = importIovec(raw, iter);
    if (total < 0) return total;

    const controllen = Number(raw.controllen);
    if (controllen > INT_MAX || controllen < 0) return -ENOBUFS;
    msg.control = null;
    const { sk } = file;
    const optmem = controllen > STACK_CONTROL_BYTES ? controllen : 0;
    if (controllen > 0) {
      // SYS-6: more than the stack holds is charged to option memory.
      const max = net.sysctl.core.optmemMax;
      if (optmem !== 0 && (optmem >= max || sk.omemAlloc + optmem >= max)) return -ENOBUFS;
      const control = readUser(raw.control, controllen);
      if (control === null) return -EFAULT;
      msg.control = control;
    }
    msg.flags = (flags & ~INTERNAL_FLAGS) | (file.nonblock ? MSG_DONTWAIT : 0);
    sk.omemAlloc += optmem;
    const result = sockSendmsg(net, file, iter, total);
    sk.omemAlloc -= optmem;
    iter.clear();
    return result;
  }

  recvmsg(fd: number, msg: RawMsghdr | BadPointer, flags: number): number {
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file;
    if (msg instanceof BadPointer) return -EFAULT;
    this.#enter();
    return this.#leave(recvmsgInto(this.#net, file, msg, flags));
  }

  setsockopt(fd: number, level: number, name: number, value: Pointer, len: number): number {
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file;
    const optlen = len | 0;
    if (optlen < 0) return -EINVAL;
    const { sk } = file;
    this.#enter();
    let result = -ENOPROTOOPT;
    if (level === SOL_SOCKET) result = sockSetsockopt(this.#net, sk, name, value, optlen);
    else if (level === SOL_UDP || level === SOL_UDPLITE)
      result = udpSetsockopt(this.#net, sk, name, value, optlen);
    else if (level === SOL_IP) result = ipSetsockopt(this.#net, sk, name, value, optlen);
    releaseAfterSet(this.#net, sk, level, name);
    return this.#leave(result);
  }

  getsockopt(fd: number, level: number, name: number, value: Pointer, lenBox: LenBox | BadPointer): number {
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file;
    const { sk } = file;
    if (level !== SOL_SOCKET && level !== SOL_UDP && level !== SOL_UDPLITE && level !== SOL_IP)
      return -EOPNOTSUPP;
    if (lenBox instanceof BadPointer) return -EFAULT;
    const len = lenBox.len | 0;
    if (len < 0) return -EINVAL;
    let bytes: Uint8Array;
    if (level === SOL_SOCKET) {
      const got = sockGetsockopt(this.#net, sk, name, len);
      if (typeof got === 'number') return got;
      bytes = got;
    } else if (level === SOL_IP) {
      const got = ipGetsockopt(this.#net, sk, name);
      releaseAfterGet(this.#net, sk, name);
      if ('error' in got) return got.error;
      bytes = 'bytes' in got ? got.bytes : ipInteger(got.int, len);
    } else {
      const got = udpGetsockopt(sk, name);
      if (typeof got !== 'number') return got.error;
      bytes = integer(got);
    }
    const count = Math.min(len, bytes.length);
    if (!writeUser(value, bytes, count)) return -EFAULT;
    lenBox.len = count;
    return 0;
  }

  /** SIOCOUTQ, SIOCINQ (SOCK-10). */
  ioctl(fd: number, request: number, arg: Pointer): number {
    const file = this.#lookup(fd);
    if (typeof file === 'number') return file;
    if (request !== SIOCOUTQ && request !== SIOCINQ) return -EINVAL;
    const value = request === SIOCOUTQ ? file.sk.wmemAlloc : udpInq(this.#net, file.sk);
    return writeUser(arg, integer(value)) ? 0 : -EFAULT;
  }

  #enter(): void {
    this.#net.jiffies = this.#net.clock.coarse();
  }
  #leave(result: number): number {
    this.#net.flush();
    return result;
  }
}

/** `sock_sendmsg`: the security hook, autobind, the protocol. */
export function sockSendmsg(net: UdpNet, file: SocketFile, iter: MsgIter, len: number): number {
  const { sk } = file;
  if (net.hooks?.socketSendmsg !== undefined) {
    const verdict = net.hooks.socketSendmsg(sk, len);
    if (verdict < 0) return verdict;
  }
  if (sk.num === 0) {
    const bound = inetAutobind(net, sk);
    if (bound < 0) return bound;
  }
  return udpSendmsg(net, sk, net.oneMsg, iter, len);
}

/** `move_addr_to_kernel` */
function moveAddrToKernel(addr: Pointer, addrlen: number): Uint8Array | number {
  const len = addrlen | 0;
  if (len < 0 || len > MAX_SOCKADDR_BYTES) return -EINVAL;
  return readUser(addr, len) ?? -EFAULT;
}

/** The name's part of `__copy_msghdr`: a length over 128 is cut, a length of 0 is no name (SYS-5). */
function copyName(raw: RawMsghdr, msg: UdpNet['oneMsg']): number {
  const namelen = raw.name === null ? 0 : raw.namelen | 0;
  if (namelen < 0) return -EINVAL;
  msg.hasName = namelen > 0;
  if (namelen === 0) return 0;
  const b = readUser(raw.name, Math.min(namelen, MAX_SOCKADDR_BYTES));
  if (b === null) return -EFAULT;
  msg.namelen = b.length;
  msg.family = sockaddrFamily(b);
  if (b.length >= 8) {
    msg.port = sockaddrPort(b);
    msg.addr = sockaddrAddr(b);
  }
  return 0;
}

/** `import_iovec`: the total length, cut to MAX_RW_COUNT, or -EFAULT, -EINVAL. */
function importIovec(raw: RawMsghdr, iter: MsgIter): number {
  if (raw.iovlen === 0) {
    iter.setVector([], []);
    return 0;
  }
  if (raw.iov instanceof BadPointer || raw.iov.length < raw.iovlen) return -EFAULT;
  const buffers: (Uint8Array | null)[] = [];
  const lengths: number[] = [];
  let total = 0;
  for (let i = 0; i < raw.iovlen; i++) {
    const { base, len } = raw.iov[i]!;
    const bytes = Number(BigInt.asIntN(64, BigInt(len)));
    if (bytes < 0) return -EINVAL;
    if (base instanceof BadPointer && base.kind === 'kernel') return -EFAULT;
    const take = Math.min(bytes, MAX_RW_COUNT - total);
    buffers.push(base instanceof Uint8Array ? base : null);
    lengths.push(take);
    total += take;
  }
  iter.setVector(buffers, lengths);
  return total;
}

function integer(value: number): Uint8Array {
  const b = new Uint8Array(4);
  put32le(b, 0, value);
  return b;
}
/** SOL_IP: a short buffer takes one byte, if the value fits. */
function ipInteger(value: number, len: number): Uint8Array {
  return len > 0 && len < 4 && value >= 0 && value <= 255 ? Uint8Array.of(value) : integer(value);
}
