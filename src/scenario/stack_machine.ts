/** Our stack as a machine: a fresh Net on a virtual clock, with a memory device where the host has a TAP. */
import { FrameArena } from '../core/arena.js';
import { VirtualClock } from '../core/clock.js';
import { KERNEL_PROFILES, type KernelProfile } from '../core/profile.js';
import { SeededRandom } from '../core/random.js';
import { MemoryDevice } from '../dev/memory.js';
import { ipCommand } from '../ipcmd/ip.js';
import { Net } from '../net/net.js';
import type { Pointer } from '../socket/memory.js';
import type { Syscalls } from '../socket/syscalls.js';
import { EINVAL, EIO, errnoMessage } from '../uapi/errno.js';
import { ETH_HLEN } from '../uapi/if.js';
import { NOBODY_CRED } from '../udp/sock.js';
import type { IpOutcome, Machine, Mmsghdr, Msghdr, SocketCalls } from './machine.js';
import {
  DEFAULT_TAP_NAME,
  DEFAULT_TIMEOUT_S,
  type Frame,
  type Scenario,
  ScenarioError,
  type Sysctls,
  type TapSpec,
} from './types.js';

const RANDOM_SEED = 20;
const VNET_HDR_BYTES = 10;
/** `ip` commands that anyone may give. */
const READING = /^(?:-\S+\s+)*\S+(?:\s+(?:s|sh|sho|show|l|li|lis|list|ls|lst|g|ge|get|he?l?p?)\b|\s*$)/;

export interface StackOptions {
  /** Which kernel to be; 6.18 where absent. */
  readonly kernel?: KernelProfile['name'];
  /** Hears each frame as it is taken from its device. */
  readonly onFrame?: (frame: Frame) => void;
}

class StackCalls implements SocketCalls {
  readonly #sys: Syscalls;
  constructor(net: Net) {
    this.#sys = net.syscalls;
  }
  socket(domain: number, type: number, protocol: number): number {
    return this.#sys.socket(domain, type, protocol);
  }
  bind(fd: number, addr: Pointer, addrlen: number): number {
    return this.#sys.bind(fd, addr, addrlen);
  }
  connect(fd: number, addr: Pointer, addrlen: number): number {
    return this.#sys.connect(fd, addr, addrlen);
  }
  sendto(fd: number, buf: Pointer, len: number, flags: number, addr: Pointer, addrlen: number): number {
    // A negative length is a size_t past any limit.
    return this.#sys.sendto(fd, buf, len < 0 ? Number.MAX_SAFE_INTEGER : len, flags, addr, addrlen);
  }
  sendmsg(fd: number, msg: Msghdr, flags: number): number {
    return this.#sys.sendmsg(fd, raw(msg), flags);
  }
  sendmmsg(fd: number, msgs: readonly Mmsghdr[], flags: number): number {
    const headers = msgs.map((m) => ({ hdr: raw(m.hdr), len: m.len }));
    const result = this.#sys.sendmmsg(fd, headers, headers.length, flags);
    msgs.forEach((m, i) => {
      m.len = headers[i]!.len;
    });
    return result;
  }
  recvmsg(fd: number, msg: Msghdr, flags: number): number {
    const header = raw(msg);
    const result = this.#sys.recvmsg(fd, header, flags);
    msg.namelen = header.namelen;
    msg.controllen = header.controllen;
    msg.flags = header.flags;
    return result;
  }
  setsockopt(fd: number, level: number, name: number, value: Pointer, len: number): number {
    return this.#sys.setsockopt(fd, level, name, value, len);
  }
  getsockopt(fd: number, level: number, name: number, value: Pointer, box: { len: number }): number {
    return this.#sys.getsockopt(fd, level, name, value, box);
  }
  getsockname(fd: number, addr: Pointer, box: { len: number }): number {
    return this.#sys.getsockname(fd, addr, box);
  }
  getpeername(fd: number, addr: Pointer, box: { len: number }): number {
    return this.#sys.getpeername(fd, addr, box);
  }
  shutdown(fd: number, how: number): number {
    return this.#sys.shutdown(fd, how);
  }
  ioctl(fd: number, request: number, arg: Pointer): number {
    return this.#sys.ioctl(fd, request, arg);
  }
  close(fd: number): number {
    return this.#sys.close(fd);
  }
}

function raw(msg: Msghdr): Msghdr & { iovlen: number } {
  return { ...msg, iovlen: Number(msg.iovlen) };
}

export class StackMachine implements Machine {
  readonly net: Net;
  readonly calls: StackCalls;
  readonly #taps: MemoryDevice[] = [];
  readonly #timeoutMs: number;
  readonly #onFrame: ((frame: Frame) => void) | null;
  #dropped = false;

  constructor(scenario: Scenario, options: StackOptions = {}) {
    const profile = KERNEL_PROFILES[options.kernel ?? '6.18'];
    // A scenario holds few frames at a time, and thousands of scenarios run one after the other.
    const arena = new FrameArena({ smallSlots: 128, largeSlots: 4 });
    this.net = new Net({ clock: new VirtualClock(), random: new SeededRandom(RANDOM_SEED), profile, arena });
    this.#onFrame = options.onFrame ?? null;
    this.calls = new StackCalls(this.net);
    this.#timeoutMs = (scenario.timeout ?? DEFAULT_TIMEOUT_S) * 1000;
  }

  sysctl(set: Sysctls): void {
    for (const [key, setting] of Object.entries(set)) {
      const error = this.#dropped ? -13 : this.net.sysctl.set(key, setting);
      if (error < 0) throw new ScenarioError(`sysctl ${key}=${setting}: ${errnoMessage(-error)}`);
    }
  }

  addTap(spec: TapSpec): void {
    const vnetHdr = spec.vnet_hdr === true;
    const offload = spec.offload ?? [];
    const csum = offload.includes('CSUM');
    if (offload.includes('USO4') !== offload.includes('USO6'))
      throw new ScenarioError('USO4 and USO6 go together');
    if (csum && offload.includes('USO4') && !this.net.profile.tunUso)
      throw new ScenarioError(`a TAP of Linux ${this.net.profile.name} does not take USO4`);
    const name = spec.name ?? DEFAULT_TAP_NAME;
    const tap = new MemoryDevice({
      name,
      vnetHdr,
      offloadCsum: csum,
      offloadUso: csum && offload.includes('USO4'),
    });
    const error = this.net.registerNetdevice(tap);
    if (error < 0) throw new ScenarioError(`tap ${name}: ${errnoMessage(-error)}`);
    this.#taps.push(tap);
  }

  ipBatch(lines: readonly string[]): void {
    for (const line of lines) {
      const { code, stderr } = this.ip(line);
      if (code !== 0) throw new ScenarioError(`ip ${line}: ${stderr.trim()}`);
    }
  }

  ip(args: string | readonly string[]): IpOutcome {
    if (this.#dropped && !READING.test(typeof args === 'string' ? args : args.join(' '))) {
      return { code: 2, stdout: '', stderr: 'RTNETLINK answers: Operation not permitted\n' };
    }
    this.net.jiffies = this.net.clock.now();
    return ipCommand(this.net, args, this.net.syscalls.cred.uid);
  }

  ifindex(name: string): number {
    const dev = this.net.devGetByName(name);
    if (dev === null) throw new ScenarioError(`no interface with this name: '${name}'`);
    return dev.ifindex;
  }

  /** As a TAP's `write` (TUN-5): a link that is down is EIO, less than an Ethernet header EINVAL. */
  inject(dev: string, frame: Uint8Array): number {
    const tap = this.#taps.find((t) => t.name === dev);
    if (tap === undefined) throw new ScenarioError(`no tap named '${dev}'`);
    if (!tap.isUp) return -EIO;
    if (frame.length < ETH_HLEN) return -EINVAL;
    this.net.jiffies = this.net.clock.now();
    tap.inject(frame);
    return frame.length + (tap.vnetHdr ? VNET_HDR_BYTES : 0);
  }

  sleep(ms: number): void {
    this.net.timers.advanceTo(this.net.clock.now() + ms);
    this.net.flush();
  }

  dropPrivileges(): void {
    this.net.syscalls.cred = NOBODY_CRED;
    this.#dropped = true;
  }

  drain(): Frame[] {
    // A call that waited longer than the scenario may take is one that would still be waiting.
    if (this.net.clock.now() > this.#timeoutMs) throw new ScenarioError('timeout (a call blocked?)');
    const frames = this.#taps.flatMap((tap) =>
      tap.drain().map(({ dev, bytes, vnetHdr }) => ({
        dev,
        ...(vnetHdr !== null && { vnet_hdr: Buffer.from(vnetHdr).toString('hex') }),
        hex: Buffer.from(bytes).toString('hex'),
      })),
    );
    if (this.#onFrame !== null) frames.forEach(this.#onFrame);
    return frames;
  }

  close(): void {
    this.net.close();
  }
}
