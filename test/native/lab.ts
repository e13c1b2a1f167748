/** A network namespace for the tests of the addon: TAPs, the host's end of them, and datagrams that the host sends. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { vi } from 'vitest';
import { type Addon, CLONE_NEWNET, loadAddon, type NativeTap } from '../../src/dev/addon.js';
import { restoreDefaults } from '../../src/scenario/host_defaults.js';

// Interfaces come and go slowly on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

/** Why TAP tests cannot run here, or null. */
export const NO_TAP = process.getuid?.() === 0 ? null : 'needs root for TAP devices and network namespaces';

/** A title that says why its tests are skipped, where they are. */
export function because(title: string, reason: string | null): string {
  return reason === null ? title : `${title} [not run here: ${reason}]`;
}

/** Puts this thread into a new network namespace without IPv6, whose chatter would disturb what tests count. */
export function enterNamespace(): Addon {
  const addon = loadAddon();
  check(addon.unshare(CLONE_NEWNET));
  restoreDefaults();
  for (const which of ['all', 'default']) writeFileSync(`/proc/sys/net/ipv6/conf/${which}/disable_ipv6`, '1');
  return addon;
}

/** Back to the namespace of the process that started this one. */
export function leaveNamespace(): void {
  check(loadAddon().setns(`/proc/${process.ppid}/ns/net`, CLONE_NEWNET));
}

export function check(result: number): number {
  if (result < 0) throw new Error(`errno ${-result}`);
  return result;
}

export function openTap(name = 'tap%d', flags = 0): NativeTap {
  const tap = loadAddon().tapOpen(name, flags);
  if (typeof tap === 'number') throw new Error(`tapOpen ${name}: errno ${-tap}`);
  return tap;
}

export function ip(command: string): string {
  return execFileSync('ip', command.split(' '), { encoding: 'utf8' });
}

let networks = 0;

/** Brings the host's end up, with an address and a neighbour whose MAC is known; returns the neighbour's address. */
export function hostEnd(name: string, mtu = 1500): string {
  const net = `10.77.${++networks & 255}`;
  ip(`link set ${name} mtu ${mtu} up`);
  ip(`addr add ${net}.1/24 dev ${name}`);
  ip(`neigh add ${net}.2 lladdr 02:00:00:00:00:02 dev ${name}`);
  return `${net}.2`;
}

/** Sends datagrams from the host's kernel, at once: payload i is `bytes` long and begins with i as a 32-bit number. */
export function hostSends(to: string, count: number, bytes = 8): void {
  const addon = loadAddon();
  const fd = check(addon.syscall(addon.SYS.socket, 2, 2, 0));
  const name = Uint8Array.from([2, 0, 0, 9, ...to.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0]);
  const payload = new Uint8Array(bytes);
  for (let i = 0; i < count; i++) {
    new DataView(payload.buffer).setUint32(0, i);
    check(addon.syscall(addon.SYS.sendto, fd, payload, bytes, 0, name, name.length));
  }
  check(addon.syscall(addon.SYS.close, fd));
}

export interface Receiver {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
  frame(i: number): Uint8Array;
}

/** Registers receive memory of `slots` frames. */
export function receive(tap: NativeTap, slots: number, strideBytes = 2048): Receiver {
  const buffer = new Uint8Array(slots * strideBytes);
  const lengths = new Uint32Array(slots);
  loadAddon().registerReceive(tap.id, buffer, strideBytes, lengths);
  return {
    buffer,
    lengths,
    frame: (i) => buffer.slice(i * strideBytes, i * strideBytes + lengths[i]!),
  };
}

export interface Sender {
  readonly arena: ArrayBuffer;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly status: Int32Array<ArrayBuffer>;
  readonly descriptors: Uint32Array<ArrayBuffer>;
  /** Flushes `count` descriptors: frames taken and errno. */
  flush(count: number): { taken: number; errno: number };
}

/** Registers an arena of `frames` slots of 2048 bytes, each with a frame of 60 bytes to nobody. */
export function sending(tap: NativeTap, frames: number): Sender {
  const statusOffset = frames * 2048;
  const arena = new ArrayBuffer(statusOffset + 8 + 8 * frames);
  const bytes = new Uint8Array(arena);
  const status = new Int32Array(arena, statusOffset, 2);
  const descriptors = new Uint32Array(arena, statusOffset + 8, 2 * frames);
  for (let i = 0; i < frames; i++) {
    bytes.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2, 8, 0], 2048 * i);
    descriptors.set([2048 * i, 60], 2 * i);
  }
  loadAddon().registerDescriptors(tap.id, statusOffset, statusOffset + 8, frames);
  const flush = (count: number) => {
    status[0] = count;
    tap.flush(arena);
    return { taken: status[0]!, errno: status[1]! };
  };
  return { arena, bytes, status, descriptors, flush };
}

/** The number of frames that the host got from a TAP, from its statistics. */
export function framesIn(name: string): number {
  const [link] = JSON.parse(ip(`-s -j link show ${name}`)) as { stats64: { rx: { packets: number } } }[];
  return link!.stats64.rx.packets;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
