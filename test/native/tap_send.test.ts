import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Addon, NativeTap } from '../../src/dev/addon.js';
import { IFF_VNET_HDR } from '../../src/uapi/if_tun.js';
import { createMemory } from '../../src/wire/wasm.js';
import { because, enterNamespace, framesIn, ip, leaveNamespace, NO_TAP, openTap, sending } from './lab.js';

const EIO = 5;
const EINVAL = 22;

describe.skipIf(NO_TAP)(because('sending from an arena', NO_TAP), () => {
  let addon: Addon;
  let tap: NativeTap;
  beforeAll(() => {
    addon = enterNamespace();
    tap = openTap('send0');
    ip('link set send0 up');
  });
  afterAll(() => {
    addon.tapClose(tap.id);
    leaveNamespace();
  });

  it('hands the device as many frames as are asked for', () => {
    const before = framesIn('send0');
    const frames = sending(tap, 64);
    expect(frames.flush(64)).toEqual({ taken: 64, errno: 0 });
    expect(frames.flush(0)).toEqual({ taken: 0, errno: 0 });
    expect(frames.flush(1)).toEqual({ taken: 1, errno: 0 });
    expect(framesIn('send0') - before).toBe(65);
  });

  it('stops at the first error and says which', () => {
    const frames = sending(tap, 4);
    const before = framesIn('send0');
    frames.descriptors[2 * 2 + 1] = 13;
    expect(frames.flush(4)).toEqual({ taken: 2, errno: -EINVAL });
    frames.descriptors[1] = 0;
    expect(frames.flush(4)).toEqual({ taken: 0, errno: -EINVAL });
    expect(framesIn('send0') - before).toBe(2);
  });

  it('says EIO while the link is down', () => {
    const frames = sending(tap, 1);
    ip('link set send0 down');
    expect(frames.flush(1)).toEqual({ taken: 0, errno: -EIO });
    ip('link set send0 up');
    expect(frames.flush(1)).toEqual({ taken: 1, errno: 0 });
  });

  it('sends the bytes that lie at the descriptor, whole up to the largest IP packet', async () => {
    const other = openTap('send1');
    ip('link set send1 up');
    const arena = createMemory(131072).buffer;
    const frame = new Uint8Array(arena, 64, 65549);
    frame.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
    for (let i = 14; i < frame.length; i++) frame[i] = i * 7;
    new Int32Array(arena, 0, 1)[0] = 1;
    new Uint32Array(arena, 8, 2).set([64, frame.length]);
    addon.registerDescriptors(other.id, 0, 8, 1);
    // AF_PACKET, SOCK_RAW, all protocols: the host's own view of what arrived.
    const { SYS } = addon;
    const fd = addon.syscall(SYS.socket, 17, 3, 0x0300);
    const got = new Uint8Array(131072);
    other.flush(arena);
    expect([...new Int32Array(arena, 0, 2)]).toEqual([1, 0]);
    expect(addon.syscall(SYS.recvfrom, fd, got, got.length, 0x40, null, null)).toBe(65549);
    expect(Buffer.compare(got.subarray(0, 65549), frame)).toBe(0);
    addon.syscall(SYS.close, fd);
    addon.tapClose(other.id);
  });

  it('takes a virtio_net_hdr in front of each frame, and refuses a frame without room for it', () => {
    const other = openTap('send2', IFF_VNET_HDR);
    ip('link set send2 up');
    const frames = sending(other, 1);
    frames.bytes.copyWithin(10, 0, 60);
    frames.bytes.fill(0, 0, 10);
    frames.descriptors[1] = 70;
    expect(frames.flush(1)).toEqual({ taken: 1, errno: 0 });
    frames.descriptors[1] = 9;
    expect(frames.flush(1)).toEqual({ taken: 0, errno: -EINVAL });
    frames.descriptors[1] = 23;
    expect(frames.flush(1)).toEqual({ taken: 0, errno: -EINVAL });
    addon.tapClose(other.id);
  });

  it('throws for a frame past the end of the arena, and has sent those before it', () => {
    const frames = sending(tap, 3);
    const before = framesIn('send0');
    for (const [offset, length] of [
      [frames.arena.byteLength, 1],
      [frames.arena.byteLength - 59, 60],
      [0xffffffff, 0xffffffff],
      [0, 0xffffffff],
      [0xffffffff, 60],
    ] as const) {
      frames.descriptors.set([offset, length], 2);
      expect(() => frames.flush(3)).toThrow(RangeError);
      expect(frames.status[0]).toBe(1);
    }
    expect(framesIn('send0') - before).toBe(5);
    // The last byte of the arena is still inside.
    frames.descriptors.set([frames.arena.byteLength - 60, 60], 2);
    expect(frames.flush(2)).toEqual({ taken: 2, errno: 0 });
  });

  it('throws for a count past the registered descriptors', () => {
    const frames = sending(tap, 2);
    for (const count of [3, -1, 0x7fffffff, -0x80000000])
      expect(() => frames.flush(count)).toThrow(RangeError);
  });

  it('throws for what is no arena: other types, too small, shared, transferred', () => {
    const frames = sending(tap, 1);
    const flush = tap.flush as (arena?: unknown) => void;
    for (const bad of [
      undefined,
      null,
      1,
      'x',
      {},
      [],
      frames.bytes,
      new DataView(frames.arena),
      new SharedArrayBuffer(4096),
    ]) {
      expect(() => flush(bad)).toThrow(TypeError);
    }
    expect(() => flush(new ArrayBuffer(0))).toThrow(RangeError);
    expect(() => flush(new ArrayBuffer(frames.arena.byteLength - 1))).toThrow(RangeError);
    structuredClone(frames.arena, { transfer: [frames.arena] });
    expect(() => flush(frames.arena)).toThrow(RangeError);
  });

  it('goes on after the arena has grown, with the buffer that is current', () => {
    const memory = createMemory(65536) as unknown as { buffer: ArrayBuffer; grow(pages: number): number };
    const old = memory.buffer;
    addon.registerDescriptors(tap.id, 0, 8, 1);
    new Uint32Array(old, 0, 4).set([1, 0, 1024, 60]);
    tap.flush(old);
    expect([...new Int32Array(old, 0, 2)]).toEqual([1, 0]);
    let grown = true;
    try {
      memory.grow(16);
    } catch {
      grown = false; // the arena's memory has a fixed maximum
    }
    if (grown) expect(() => tap.flush(old)).toThrow(RangeError);
    new Int32Array(memory.buffer)[0] = 1;
    tap.flush(memory.buffer);
    expect([...new Int32Array(memory.buffer, 0, 2)]).toEqual([1, 0]);
  });

  it('throws before descriptors are registered, and for offsets that cannot be', () => {
    const other = openTap('send3');
    expect(() => other.flush(new ArrayBuffer(4096))).toThrow(/no descriptors/);
    const bad: [number, number, number][] = [
      [1, 8, 1],
      [0, 6, 1],
      [-4, 8, 1],
      [0, 8, 0],
      [0, 2 ** 32, 1],
      [0, 8, 2 ** 31],
      [Number.NaN, 8, 1],
    ];
    for (const [status, descriptors, frames] of bad) {
      expect(() => addon.registerDescriptors(other.id, status, descriptors, frames)).toThrow(RangeError);
    }
    expect(() => other.flush(new ArrayBuffer(4096))).toThrow(/no descriptors/);
    addon.tapClose(other.id);
  });

  it('keeps the device open for who keeps only the function, and closes it when nobody does', async () => {
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const collect = async () => {
      for (let i = 0; i < 10; i++) {
        gc();
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    let flush: NativeTap['flush'] | null = openTap('garbage').flush;
    await collect();
    expect(() => flush?.(new ArrayBuffer(8))).toThrow(/no descriptors/);
    expect(addon.ifNameToIndex('garbage')).toBeGreaterThan(0);
    flush = null;
    await collect();
    expect(addon.ifNameToIndex('garbage')).toBe(-19);
  });

  it('is loaded by worker threads, each with devices of its own', async () => {
    const path = new URL('../../build/Release/udptap.node', import.meta.url).pathname;
    const source = `
      const { workerData, parentPort } = require('node:worker_threads');
      const addon = require(${JSON.stringify(path)});
      const tap = addon.tapOpen(workerData, 0);
      const buffer = new Uint8Array(4096), lengths = new Uint32Array(2);
      addon.registerReceive(tap.id, buffer, 2048, lengths);
      addon.startRead(tap.id, () => {});
      if (workerData === 'work1') addon.setRef(tap.id, true);
      parentPort.postMessage(tap.name);
    `;
    const messages = await Promise.all(
      ['work0', 'work1'].map(async (name) => {
        const worker = new Worker(source, { eval: true, workerData: name });
        const exited = new Promise<number>((resolve) => worker.once('exit', resolve));
        const message = await new Promise((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        });
        if (name === 'work1') await worker.terminate();
        await exited;
        return message;
      }),
    );
    expect(messages).toEqual(['work0', 'work1']);
    // A worker that ended has closed its device, whether it was still reading or terminated.
    expect(addon.ifNameToIndex('work0')).toBe(-19);
    expect(addon.ifNameToIndex('work1')).toBe(-19);
    expect(sending(tap, 1).flush(1)).toEqual({ taken: 1, errno: 0 });
  });
});
