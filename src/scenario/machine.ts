/** What a scenario needs of a machine, so that the same code drives our stack and the host's kernel. */
import type { LenBox, Pointer } from '../socket/memory.js';
import type { Frame, Sysctls, TapSpec } from './types.js';

export interface Iovec {
  readonly base: Pointer;
  readonly len: number;
}

/** `struct msghdr`; the last three are written by `recvmsg`. */
export interface Msghdr {
  readonly name: Pointer;
  namelen: number;
  readonly iov: readonly Iovec[];
  readonly iovlen: number | bigint;
  readonly control: Pointer;
  controllen: number | bigint;
  flags: number;
}

/** `struct mmsghdr` */
export interface Mmsghdr {
  readonly hdr: Msghdr;
  len: number;
}

/** System calls on sockets: each answers its result, or a negative errno. */
export interface SocketCalls {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, addr: Pointer, addrlen: number): number;
  connect(fd: number, addr: Pointer, addrlen: number): number;
  sendto(fd: number, buf: Pointer, len: number, flags: number, addr: Pointer, addrlen: number): number;
  sendmsg(fd: number, msg: Msghdr, flags: number): number;
  sendmmsg(fd: number, msgs: readonly Mmsghdr[], flags: number): number;
  recvmsg(fd: number, msg: Msghdr, flags: number): number;
  setsockopt(fd: number, level: number, name: number, value: Pointer, len: number): number;
  getsockopt(fd: number, level: number, name: number, value: Pointer, box: LenBox): number;
  getsockname(fd: number, addr: Pointer, box: LenBox): number;
  getpeername(fd: number, addr: Pointer, box: LenBox): number;
  shutdown(fd: number, how: number): number;
  ioctl(fd: number, request: number, arg: Pointer): number;
  close(fd: number): number;
}

/** What an `ip` command answered. */
export interface IpOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Machine {
  readonly calls: SocketCalls;
  /** @throws ScenarioError */
  sysctl(set: Sysctls): void;
  /** Makes a TAP; address and MTU are set by {@link ipBatch}. @throws ScenarioError */
  addTap(spec: TapSpec): void;
  /** `ip` commands of the set-up, in order. @throws ScenarioError at the first that fails */
  ipBatch(lines: readonly string[]): void;
  ip(args: string | readonly string[]): IpOutcome;
  /** The index of an interface. @throws ScenarioError where there is none */
  ifindex(name: string): number;
  /** A frame arrives from the wire: its length as a TAP's `write` answers it, or a negative errno. */
  inject(dev: string, frame: Uint8Array): number;
  sleep(ms: number): void;
  /** Calls from here on are made by uid 65534 without capabilities. */
  dropPrivileges(): void;
  /** The frames that left since the last time, device by device. */
  drain(): Frame[];
}
