/** A socket as programs hold it: the system calls with JavaScript's values, and exceptions for errors. */
import { EAGAIN } from '../uapi/errno.js';
import { formatIPv4, parseIPv4 } from '../uapi/in.js';
import { AF_INET, MSG_DONTWAIT } from '../uapi/socket.js';
import type { UdpNet } from '../udp/netns.js';
import { udpRecvmsg } from '../udp/recvmsg.js';
import type { UdpSock } from '../udp/sock.js';
import { get32le, put32le } from '../wire/bytes.js';
import { type Cmsg, cmsgPack } from '../wire/cmsg.js';
import { inetGetname, type SocketFile, sockaddrAddr, sockaddrIn, sockaddrPort } from './af_inet.js';
import { SocketError } from './error.js';
import { type Syscalls, sockSendmsg } from './syscalls.js';

/** An IPv4 address in dotted form, and a port. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** A message to send. */
export interface Message {
  /** One buffer or several, sent as one datagram. */
  readonly iov: Uint8Array | readonly Uint8Array[];
  /** Where to; the connected peer where absent. */
  readonly name?: SocketAddress | null;
  /** Control messages: bytes as in msg_control, or a list. */
  readonly control?: Uint8Array | readonly Cmsg[];
  /** MSG_*; with `sendmmsg` only MSG_EOR counts. */
  readonly flags?: number;
}

/** A received message. */
export interface ReceivedMessage {
  readonly data: Uint8Array;
  readonly name: SocketAddress | null;
  readonly control: readonly Cmsg[];
  /** MSG_* */
  readonly flags: number;
}

const MAX_DATAGRAM_BYTES = 65535;

export class UdpSocket {
  readonly #net: UdpNet;
  readonly #syscalls: Syscalls;
  readonly #file: SocketFile;
  readonly #sk: UdpSock;
  /** The descriptor in `net.syscalls`. */
  readonly fd: number;
  #lastAddress = '';
  #lastAddressNumber = 0;
  #readers: (() => void)[] = [];

  /** @throws SocketError as `socket(2)` */
  constructor(net: UdpNet, syscalls: Syscalls, domain: number, type: number, protocol: number) {
    const fd = syscalls.socket(domain, type, protocol);
    if (fd < 0) throw new SocketError('socket', fd);
    this.#net = net;
    this.#syscalls = syscalls;
    this.fd = fd;
    this.#file = syscalls.file(fd)!;
    this.#sk = this.#file.sk;
    this.#sk.onReadable = () => this.#wakeReaders();
  }

  /** Sends a datagram. @returns its length @throws SocketError */
  sendto(data: Uint8Array, flags: number, to: SocketAddress | null): number {
    this.#begin('sendto', to, flags);
    return this.#end('sendto', this.#sendOne(data));
  }

  /** Sends a datagram to the connected peer. @returns its length @throws SocketError */
  send(data: Uint8Array, flags = 0): number {
    this.#begin('send', null, flags);
    return this.#end('send', this.#sendOne(data));
  }

  /** Sends one message. @returns its length @throws SocketError */
  sendmsg(message: Message): number {
    this.#begin('sendmsg', message.name ?? null, message.flags ?? 0);
    return this.#end('sendmsg', this.#sendMessage(message));
  }

  /**
   * Sends messages in one trip to the device. @returns how many were sent
   * @throws SocketError where the first fails; the error that stops a later one is lost, as in the kernel (SYS-8)
   */
  sendmmsg(messages: readonly Message[], flags = 0): number {
    let sent = 0;
    let result = 0;
    this.#net.jiffies = this.#net.clock.coarse();
    for (; sent < messages.length; sent++) {
      const message = messages[sent]!;
      this.#prepare('sendmmsg', message.name ?? null, flags);
      result = this.#sendMessage(message);
      if (result < 0) break;
    }
    this.#net.flush();
    if (sent === 0 && result < 0) this.#throw('sendmmsg', result);
    return sent;
  }

  #sendOne(data: Uint8Array): number {
    const iter = this.#net.oneIter.set(data);
    const result = sockSendmsg(this.#net, this.#file, iter, data.length);
    iter.clear();
    return result;
  }

  #sendMessage(message: Message): number {
    const { control, iov } = message;
    if (control !== undefined && control.length > 0) {
      this.#net.oneMsg.control = control instanceof Uint8Array ? control : cmsgPack(control);
    }
    if (iov instanceof Uint8Array) return this.#sendOne(iov);
    if (iov.length === 1) return this.#sendOne(iov[0]!);
    const iter = this.#net.oneIter.setVector(
      iov,
      iov.map((b) => b.length),
    );
    const result = sockSendmsg(this.#net, this.#file, iter, iter.length);
    iter.clear();
    return result;
  }

  #begin(syscall: string, to: SocketAddress | null, flags: number): void {
    this.#net.jiffies = this.#net.clock.coarse();
    this.#prepare(syscall, to, flags);
  }

  #prepare(syscall: string, to: SocketAddress | null, flags: number): void {
    const net = this.#net;
    net.reason = null;
    const msg = net.oneMsg;
    msg.control = null;
    msg.flags = this.#file.nonblock ? flags | MSG_DONTWAIT : flags;
    msg.hasName = to !== null;
    if (to === null) return;
    if (to.address !== this.#lastAddress) this.#parse(syscall, to.address);
    msg.namelen = 16;
    msg.family = AF_INET;
    msg.addr = this.#lastAddressNumber;
    msg.port = checkPort(syscall, to.port);
  }

  #parse(syscall: string, address: string): void {
    this.#lastAddressNumber = parseAddress(syscall, address);
    this.#lastAddress = address;
  }

  #end(syscall: string, result: number): number {
    this.#net.flush();
    if (result < 0) this.#throw(syscall, result);
    return result;
  }

  #throw(syscall: string, errno: number): never {
    throw new SocketError(syscall, errno, this.#net.reason);
  }

  #check(syscall: string, result: number): number {
    if (result < 0) throw new SocketError(syscall, result, this.#net.reason);
    return result;
  }

  /** @throws SocketError: EADDRINUSE, EADDRNOTAVAIL, EACCES, EINVAL (BIND-1) */
  bind(to: SocketAddress): void {
    this.#net.reason = null;
    const b = sockaddrIn(parseAddress('bind', to.address), checkPort('bind', to.port));
    this.#check('bind', this.#syscalls.bind(this.fd, b, b.length));
  }

  /** @throws SocketError: route errors, EACCES for a broadcast address without SO_BROADCAST, EAGAIN without a free port (CONN-1) */
  connect(to: SocketAddress): void {
    this.#net.reason = null;
    const b = sockaddrIn(parseAddress('connect', to.address), checkPort('connect', to.port));
    this.#check('connect', this.#syscalls.connect(this.fd, b, b.length));
  }

  /** Takes the peer away (`connect(2)` with AF_UNSPEC). */
  disconnect(): void {
    this.#check('connect', this.#syscalls.connect(this.fd, new Uint8Array(2), 2));
  }

  /**
   * Sets an option. A number is a native int, a boolean 0 or 1, bytes and text as they are.
   * @throws SocketError
   */
  setsockopt(level: number, name: number, value: number | boolean | string | Uint8Array): void {
    let bytes: Uint8Array;
    if (value instanceof Uint8Array) bytes = value;
    else if (typeof value === 'string') bytes = Buffer.from(value);
    else {
      bytes = new Uint8Array(4);
      put32le(bytes, 0, Number(value));
    }
    this.#net.reason = null;
    this.#check('setsockopt', this.#syscalls.setsockopt(this.fd, level, name, bytes, bytes.length));
  }

  /** An option's bytes. @throws SocketError */
  getsockoptBytes(level: number, name: number, lengthBytes = 256): Uint8Array {
    const bytes = new Uint8Array(lengthBytes);
    const box = { len: lengthBytes };
    this.#check('getsockopt', this.#syscalls.getsockopt(this.fd, level, name, bytes, box));
    return bytes.subarray(0, box.len);
  }

  /** An integer option. @throws SocketError */
  getsockopt(level: number, name: number): number {
    const bytes = this.getsockoptBytes(level, name);
    return bytes.length >= 4 ? get32le(bytes, 0) | 0 : (bytes[0] ?? 0);
  }

  getsockname(): SocketAddress {
    return fromSockaddr(inetGetname(this.#sk, false) as Uint8Array);
  }

  /** @throws SocketError ENOTCONN */
  getpeername(): SocketAddress {
    const name = inetGetname(this.#sk, true);
    if (typeof name === 'number') throw new SocketError('getpeername', name);
    return fromSockaddr(name);
  }

  /** @throws SocketError ENOTCONN (the flag is set all the same, CONN-12) */
  shutdown(how: number): void {
    this.#check('shutdown', this.#syscalls.shutdown(this.fd, how));
  }

  /** Takes what has arrived; null where nothing has. @throws SocketError for a pending error */
  recvmsg(flags = 0, lengthBytes = MAX_DATAGRAM_BYTES): ReceivedMessage | null {
    const got = udpRecvmsg(this.#net, this.#sk, { len: lengthBytes, flags: flags | MSG_DONTWAIT });
    this.#net.flush();
    if (typeof got === 'number') {
      if (got === -EAGAIN) return null;
      throw new SocketError('recvmsg', got);
    }
    return {
      data: got.data,
      name: got.name === null ? null : { address: formatIPv4(got.name.addr), port: got.name.port },
      control: got.cmsgs,
      flags: got.flags,
    };
  }

  /** Messages as they arrive, until the socket is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage, void, void> {
    for (;;) {
      const message = this.#sk.closed ? null : this.recvmsg();
      if (message !== null) {
        yield message;
        continue;
      }
      if (this.#sk.closed) return;
      await new Promise<void>((resolve) => this.#readers.push(resolve));
    }
  }

  #wakeReaders(): void {
    const readers = this.#readers;
    this.#readers = [];
    for (const wake of readers) wake();
  }

  /** Corked data is discarded, memberships end, the port is free (SOCK-9). */
  close(): void {
    if (this.#sk.closed) return;
    this.#syscalls.close(this.fd);
    this.#wakeReaders();
  }
}

function parseAddress(syscall: string, address: string): number {
  const number = parseIPv4(address);
  if (number === null) throw new TypeError(`${syscall}: "${address}" is not an IPv4 address in dotted form`);
  return number;
}

function checkPort(syscall: string, port: number): number {
  if ((port & 0xffff) !== port)
    throw new RangeError(`${syscall}: port ${port} is not a whole number from 0 to 65535`);
  return port;
}

function fromSockaddr(b: Uint8Array): SocketAddress {
  return { address: formatIPv4(sockaddrAddr(b)), port: sockaddrPort(b) };
}
