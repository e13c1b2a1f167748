/**
 * The host's kernel as a machine: a fresh network namespace of the calling thread, TAPs whose other end is this process, and raw
 * system calls, so that every length and every bad pointer reaches the kernel as written. For a process of its own: what it does to
 * the thread (namespace, credentials) is not for any other code to live with.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type Addon, CLONE_NEWNET, loadAddon } from '../dev/addon.js';
import type { LenBox, Pointer } from '../socket/memory.js';
import { EBADF, errnoMessage } from '../uapi/errno.js';
import { restoreDefaults } from './host_defaults.js';
import { HostTap } from './host_tap.js';
import type { IpOutcome, Machine, Mmsghdr, Msghdr, SocketCalls } from './machine.js';
import {
  DEFAULT_TAP_NAME,
  type Frame,
  type Offload,
  ScenarioError,
  type Sysctls,
  type TapSpec,
} from './types.js';

const VNET_HDR_BYTES = 10;
const READ_BYTES = 70000;
const OFFLOAD_BITS: Readonly<Record<Offload, number>> = {
  CSUM: 1,
  TSO4: 2,
  TSO6: 4,
  TSO_ECN: 8,
  UFO: 0x10,
  USO4: 0x20,
  USO6: 0x40,
};
const NOBODY = 65534;
/** An address that is never mapped: the first page is not. */
const BAD_ADDRESS = 8;
const MSGHDR_BYTES = 56;
const MMSGHDR_BYTES = 64;

/** Keeps what a call's pointers point to alive until it returns. */
class Keep {
  readonly #kept: Uint8Array[] = [];
  constructor(readonly addon: Addon) {}

  address(pointer: Pointer): bigint {
    if (pointer === null) return 0n;
    if (!(pointer instanceof Uint8Array)) return BigInt(BAD_ADDRESS);
    const memory = pointer.length === 0 ? new Uint8Array(8) : pointer;
    this.#kept.push(memory);
    return this.addon.addressOf(memory as Uint8Array<ArrayBuffer>);
  }
  get count(): number {
    return this.#kept.length;
  }
}

class HostCalls implements SocketCalls {
  /** Every socket that a scenario left open. */
  readonly open = new Set<number>();

  constructor(readonly addon: Addon) {}

  #sys(name: keyof Addon['SYS'], ...args: (number | bigint)[]): number {
    return this.addon.syscall(this.addon.SYS[name], ...args);
  }
  /** Calls with pointers, which stay alive until the call has returned. */
  #with(call: (keep: Keep) => number): number {
    const keep = new Keep(this.addon);
    const result = call(keep);
    return keep.count < 0 ? 0 : result;
  }

  socket(domain: number, type: number, protocol: number): number {
    const fd = this.#sys('socket', domain, type, protocol);
    if (fd >= 0) this.open.add(fd);
    return fd;
  }
  bind(fd: number, addr: Pointer, addrlen: number): number {
    return this.#with((keep) => this.#sys('bind', fd, keep.address(addr), addrlen));
  }
  connect(fd: number, addr: Pointer, addrlen: number): number {
    return this.#with((keep) => this.#sys('connect', fd, keep.address(addr), addrlen));
  }
  sendto(fd: number, buf: Pointer, len: number, flags: number, addr: Pointer, addrlen: number): number {
    return this.#with((keep) =>
      this.#sys('sendto', fd, keep.address(buf), len, flags, keep.address(addr), addrlen),
    );
  }
  sendmsg(fd: number, msg: Msghdr, flags: number): number {
    return this.#with((keep) => {
      const header = new Uint8Array(MSGHDR_BYTES);
      writeMsghdr(new DataView(header.buffer), 0, msg, keep);
      return this.#sys('sendmsg', fd, keep.address(header), flags);
    });
  }
  sendmmsg(fd: number, msgs: readonly Mmsghdr[], flags: number): number {
    return this.#with((keep) => {
      const headers = new Uint8Array(MMSGHDR_BYTES * msgs.length);
      const view = new DataView(headers.buffer);
      msgs.forEach((m, i) => {
        writeMsghdr(view, i * MMSGHDR_BYTES, m.hdr, keep);
      });
      const result = this.#sys('sendmmsg', fd, keep.address(headers), msgs.length, flags);
      msgs.forEach((m, i) => {
        m.len = view.getUint32(i * MMSGHDR_BYTES + MSGHDR_BYTES, true);
      });
      return result;
    });
  }
  recvmsg(fd: number, msg: Msghdr, flags: number): number {
    return this.#with((keep) => {
      const header = new Uint8Array(MSGHDR_BYTES);
      const view = new DataView(header.buffer);
      writeMsghdr(view, 0, msg, keep);
      const result = this.#sys('recvmsg', fd, keep.address(header), flags);
      msg.namelen = view.getUint32(8, true);
      msg.controllen = view.getBigUint64(40, true);
      msg.flags = view.getInt32(48, true);
      return result;
    });
  }
  setsockopt(fd: number, level: number, name: number, value: Pointer, len: number): number {
    return this.#with((keep) => this.#sys('setsockopt', fd, level, name, keep.address(value), len));
  }
  getsockopt(fd: number, level: number, name: number, value: Pointer, box: LenBox): number {
    return this.#with((keep) =>
      withBox(box, keep, (lengthAt) =>
        this.#sys('getsockopt', fd, level, name, keep.address(value), lengthAt),
      ),
    );
  }
  getsockname(fd: number, addr: Pointer, box: LenBox): number {
    return this.#with((keep) =>
      withBox(box, keep, (lengthAt) => this.#sys('getsockname', fd, keep.address(addr), lengthAt)),
    );
  }
  getpeername(fd: number, addr: Pointer, box: LenBox): number {
    return this.#with((keep) =>
      withBox(box, keep, (lengthAt) => this.#sys('getpeername', fd, keep.address(addr), lengthAt)),
    );
  }
  shutdown(fd: number, how: number): number {
    return this.#sys('shutdown', fd, how);
  }
  ioctl(fd: number, request: number, arg: Pointer): number {
    return this.#with((keep) => this.#sys('ioctl', fd, request, keep.address(arg)));
  }
  /** Only a scenario's own sockets, or a number that is open nowhere, reach the kernel: others are this process's. */
  close(fd: number): number {
    if (fd >= 0 && fd < 1024 && !this.open.has(fd)) return -EBADF;
    this.open.delete(fd);
    return this.#sys('close', fd);
  }
}

function withBox(box: LenBox, keep: Keep, call: (lengthAt: bigint) => number): number {
  const length = new Uint8Array(4);
  const view = new DataView(length.buffer);
  view.setInt32(0, box.len, true);
  const result = call(keep.address(length));
  box.len = view.getInt32(0, true);
  return result;
}

function writeMsghdr(view: DataView, at: number, msg: Msghdr, keep: Keep): void {
  const iov = new Uint8Array(16 * msg.iov.length);
  const iovView = new DataView(iov.buffer);
  msg.iov.forEach(({ base, len }, i) => {
    iovView.setBigUint64(i * 16, keep.address(base), true);
    iovView.setBigUint64(i * 16 + 8, BigInt.asUintN(64, BigInt(len)), true);
  });
  view.setBigUint64(at, keep.address(msg.name), true);
  view.setInt32(at + 8, msg.namelen, true);
  view.setBigUint64(at + 16, keep.address(iov), true);
  view.setBigUint64(at + 24, BigInt(msg.iovlen), true);
  view.setBigUint64(at + 32, keep.address(msg.control), true);
  view.setBigUint64(at + 40, BigInt(msg.controllen), true);
  view.setInt32(at + 48, msg.flags, true);
}

export class HostMachine implements Machine {
  readonly calls: HostCalls;
  readonly #addon: Addon;
  readonly #taps: HostTap[] = [];
  readonly #ifindexes = new Map<string, number>();
  readonly #read = new Uint8Array(READ_BYTES);
  #dropped = false;

  /** Moves the calling thread into a fresh network namespace. @throws ScenarioError without privilege */
  constructor() {
    this.#addon = loadAddon();
    this.calls = new HostCalls(this.#addon);
    const error = this.#addon.unshare(CLONE_NEWNET);
    if (error < 0) throw new ScenarioError(`unshare(CLONE_NEWNET): ${errnoMessage(-error)}`);
    restoreDefaults();
    // IPv6 would send router solicitations and group reports of its own.
    for (const which of ['all', 'default']) {
      try {
        writeFileSync(`/proc/sys/net/ipv6/conf/${which}/disable_ipv6`, '1');
      } catch {
        // A kernel without IPv6 sends none.
      }
    }
  }

  sysctl(set: Sysctls): void {
    for (const [key, setting] of Object.entries(set)) {
      const path = `/proc/sys/${key.includes('/') ? key : key.replaceAll('.', '/')}`;
      try {
        writeFileSync(path, String(setting));
      } catch (error) {
        const errno = Math.abs((error as NodeJS.ErrnoException).errno ?? 0);
        throw new ScenarioError(`sysctl ${key}=${setting}: ${errnoMessage(errno)}`);
      }
    }
  }

  addTap(spec: TapSpec): void {
    const name = spec.name ?? DEFAULT_TAP_NAME;
    const tap = new HostTap(name, spec.vnet_hdr === true);
    this.#taps.push(tap);
    // The devices go with their namespace, many at a time; deleting each at its close would take a grace period each.
    tap.persist();
    if (spec.offload !== undefined && spec.offload.length > 0) {
      tap.offload(spec.offload.reduce((all, offload) => all | OFFLOAD_BITS[offload], 0));
    }
  }

  ipBatch(lines: readonly string[]): void {
    const { status, stderr } = spawnSync('ip', ['-batch', '-'], {
      input: `${lines.join('\n')}\n`,
      encoding: 'utf8',
    });
    if (status !== 0) throw new ScenarioError(`ip: ${stderr?.trim() ?? 'not found'}`);
  }

  ip(args: string | readonly string[]): IpOutcome {
    const words = typeof args === 'string' ? shellWords(args) : [...args];
    const { status, stdout, stderr } = spawnSync('ip', words, { encoding: 'utf8' });
    this.#ifindexes.clear();
    return { code: status ?? -1, stdout: stdout ?? '', stderr: stderr ?? '' };
  }

  ifindex(name: string): number {
    const known = this.#ifindexes.get(name);
    if (known !== undefined) return known;
    const index = name === '' ? -19 : this.#addon.ifNameToIndex(name);
    if (index < 0) throw new ScenarioError(`no interface with this name: '${name}'`);
    this.#ifindexes.set(name, index);
    return index;
  }

  inject(dev: string, frame: Uint8Array): number {
    const tap = this.#taps.find((t) => t.name === dev);
    if (tap === undefined) throw new ScenarioError(`no tap named '${dev}'`);
    const header = tap.vnetHdr ? VNET_HDR_BYTES : 0;
    const bytes = new Uint8Array(header + frame.length);
    bytes.set(frame, header);
    return tap.write(bytes);
  }

  sleep(ms: number): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  }

  /** The saved ids stay root's, for {@link close}; none of them counts in a check. */
  dropPrivileges(): void {
    const { SYS } = this.#addon;
    this.#dropped = true;
    this.#addon.syscall(SYS.setgroups, 0, null);
    this.#addon.syscall(SYS.setresgid, NOBODY, NOBODY, 0);
    const error = this.#addon.syscall(SYS.setresuid, NOBODY, NOBODY, 0);
    if (error < 0) throw new ScenarioError(`setresuid: ${errnoMessage(-error)}`);
    if (this.#addon.effectiveCapabilities() !== 0n) throw new ScenarioError('capabilities remain');
  }

  drain(): Frame[] {
    const frames: Frame[] = [];
    for (const tap of this.#taps) {
      for (let length = tap.read(this.#read); length > 0; length = tap.read(this.#read)) {
        const hex = Buffer.from(this.#read.buffer, 0, length).toString('hex');
        const header = tap.vnetHdr ? VNET_HDR_BYTES * 2 : 0;
        frames.push({
          dev: tap.name,
          ...(tap.vnetHdr && { vnet_hdr: hex.slice(0, header) }),
          hex: hex.slice(header),
        });
      }
    }
    return frames;
  }

  /** Closes what the scenario opened and takes the privileges back. */
  close(): void {
    const { SYS } = this.#addon;
    if (this.#dropped) {
      this.#addon.syscall(SYS.setresuid, 0, 0, 0);
      this.#addon.syscall(SYS.setresgid, 0, 0, 0);
    }
    for (const fd of this.calls.open) this.#addon.syscall(SYS.close, fd);
    for (const tap of this.#taps) tap.close();
  }
}

/** Splits a command line as a shell does: blanks separate, quotes and backslashes join. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (const [, single, double, escaped, plain, blank] of line.matchAll(
    /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)|(\s+)/gs,
  )) {
    if (blank !== undefined) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + (single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? plain ?? '');
    }
  }
  if (word !== null) words.push(word);
  return words;
}
