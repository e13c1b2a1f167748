import { execFile, execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Addon, MAX_TAP_FRAME_BYTES, type NativeTap } from '../../src/dev/addon.js';
import { IFF_VNET_HDR } from '../../src/uapi/if_tun.js';
import {
  because,
  enterNamespace,
  hostEnd,
  hostSends,
  ip,
  leaveNamespace,
  NO_TAP,
  openTap,
  type Receiver,
  receive,
  sending,
  sleep,
} from './lab.js';

const EFAULT = 14;
const EBADFD = 77;
const UDP_PAYLOAD = 14 + 20 + 8;

/** The number that `hostSends` put into a frame. */
function numberOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint32(UDP_PAYLOAD);
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

describe.skipIf(NO_TAP)(because('reading from a TAP', NO_TAP), () => {
  let addon: Addon;
  let tap: NativeTap;
  let neighbour: string;
  beforeAll(() => {
    addon = enterNamespace();
    tap = openTap('read0');
    neighbour = hostEnd('read0');
  });
  afterAll(() => {
    addon.tapClose(tap.id);
    leaveNamespace();
  });

  /** Reads until `count` frames have come: their numbers, and how many came with each callback. */
  async function collect(device: NativeTap, into: Receiver, count: number) {
    const got: number[] = [];
    const batches: number[] = [];
    await new Promise<void>((resolve) => {
      addon.startRead(device.id, (frames) => {
        batches.push(frames);
        for (let i = 0; i < frames; i++) got.push(numberOf(into.frame(i)));
        if (got.length >= count) resolve();
      });
      addon.setRef(device.id, true);
    });
    addon.stopRead(device.id);
    return { got, batches };
  }

  it('drains what is there at once, in order, as many as there are slots', () => {
    const into = receive(tap, 8);
    expect(addon.readNow(tap.id)).toBe(0);
    hostSends(neighbour, 20);
    const got: number[] = [];
    for (const expected of [8, 8, 4, 0]) {
      const count = addon.readNow(tap.id);
      expect(count).toBe(expected);
      for (let i = 0; i < count; i++) got.push(numberOf(into.frame(i)));
    }
    expect(got).toEqual(numbers(0, 20));
    expect(into.lengths[0]).toBe(UDP_PAYLOAD + 8);
  });

  it('calls back when frames come, many a call', async () => {
    const into = receive(tap, 64);
    setTimeout(() => hostSends(neighbour, 500), 20);
    const { got, batches } = await collect(tap, into, 500);
    expect(got).toEqual(numbers(0, 500));
    expect(batches).toEqual([64, 64, 64, 64, 64, 64, 64, 52]);
  });

  it('reads a frame of the largest IP packet whole, and cuts one at the stride', () => {
    const big = openTap('read1', IFF_VNET_HDR);
    const other = hostEnd('read1', 65521);
    const into = receive(big, 2, MAX_TAP_FRAME_BYTES);
    hostSends(other, 1, 65507 - 14);
    expect(addon.readNow(big.id)).toBe(1);
    expect(into.lengths[0]).toBe(10 + UDP_PAYLOAD + 65507 - 14);
    const small = receive(big, 2, 100);
    hostSends(other, 2, 500);
    expect(addon.readNow(big.id)).toBe(2);
    expect([...small.lengths]).toEqual([100, 100]);
    addon.tapClose(big.id);
  });

  it('stops inside its own callback, and goes on when asked again', async () => {
    const into = receive(tap, 4);
    hostSends(neighbour, 10);
    let calls = 0;
    await new Promise<void>((resolve) => {
      addon.startRead(tap.id, () => {
        calls++;
        addon.stopRead(tap.id);
        setTimeout(resolve, 30);
      });
      addon.setRef(tap.id, true);
    });
    expect(calls).toBe(1);
    expect((await collect(tap, into, 6)).got).toEqual(numbers(4, 10));
  });

  it('may be closed, and another opened, inside its own callback', async () => {
    const victim = openTap('read2');
    const other = hostEnd('read2');
    receive(victim, 2);
    hostSends(other, 10);
    let calls = 0;
    await new Promise<void>((resolve) => {
      addon.startRead(victim.id, () => {
        calls++;
        addon.tapClose(victim.id);
        addon.tapClose(openTap('read3').id);
        setTimeout(resolve, 30);
      });
      addon.setRef(victim.id, true);
    });
    expect(calls).toBe(1);
    expect(addon.ifNameToIndex('read2')).toBe(-19);
  });

  it('may have its buffers replaced inside its own callback', async () => {
    receive(tap, 2);
    hostSends(neighbour, 7);
    const seen: number[] = [];
    await new Promise<void>((resolve) => {
      addon.startRead(tap.id, (frames) => {
        seen.push(frames);
        receive(tap, 3);
        if (seen.reduce((a, b) => a + b) === 7) resolve();
      });
      addon.setRef(tap.id, true);
    });
    addon.stopRead(tap.id);
    expect(seen).toEqual([2, 3, 2]);
  });

  it('sends from inside the callback', async () => {
    receive(tap, 4);
    const frames = sending(tap, 4);
    hostSends(neighbour, 1);
    const result = await new Promise((resolve) => {
      addon.startRead(tap.id, () => resolve(frames.flush(4)));
      addon.setRef(tap.id, true);
    });
    addon.stopRead(tap.id);
    expect(result).toEqual({ taken: 4, errno: 0 });
  });

  it('reports once, and stops, when the interface is deleted', async () => {
    const victim = openTap('read4');
    hostEnd('read4');
    receive(victim, 2);
    const reports: number[] = [];
    addon.startRead(victim.id, (result) => reports.push(result));
    addon.setRef(victim.id, true);
    ip('link del read4');
    await sleep(60);
    expect(reports).toEqual([-EBADFD]);
    expect(addon.readNow(victim.id)).toBe(-EBADFD);
    addon.tapClose(victim.id);
  });

  it('reports that its buffer was transferred away, instead of writing into it', async () => {
    const into = receive(tap, 2);
    const report = new Promise<number>((resolve) => {
      addon.startRead(tap.id, resolve);
      addon.setRef(tap.id, true);
    });
    structuredClone(into.buffer, { transfer: [into.buffer.buffer] });
    hostSends(neighbour, 1);
    expect(await report).toBe(-EFAULT);
    expect(() => addon.readNow(tap.id)).toThrow(/register it again/);
    receive(tap, 2);
    expect(addon.readNow(tap.id)).toBe(1);
  });

  it('throws for receive memory that cannot be used', () => {
    const { id } = tap;
    const buffer = new Uint8Array(4096);
    const lengths = new Uint32Array(2);
    // Node 20 has resizable buffers, this project's TypeScript library not yet.
    const resizable = Reflect.construct(ArrayBuffer, [4096, { maxByteLength: 8192 }]) as ArrayBuffer;
    const register = addon.registerReceive as (...args: unknown[]) => void;
    for (const [memory, stride, counts, kind] of [
      [buffer, 2049, lengths, RangeError],
      [buffer, 13, lengths, RangeError],
      [buffer, 0, lengths, RangeError],
      [buffer, Number.NaN, lengths, RangeError],
      [buffer, 2 ** 31 - 1, lengths, RangeError],
      [buffer, 2048, new Uint32Array(0), RangeError],
      [buffer, 2048, new Int32Array(2), TypeError],
      [new Uint32Array(4096), 2048, lengths, TypeError],
      [new Uint8Array(new SharedArrayBuffer(4096)), 2048, lengths, TypeError],
      [new Uint8Array(resizable), 2048, lengths, TypeError],
      [null, 2048, lengths, TypeError],
      [buffer, '2048', lengths, TypeError],
      [buffer, 2048, undefined, TypeError],
    ] as const) {
      expect(() => register(id, memory, stride, counts)).toThrow(kind);
    }
    expect(() => addon.startRead(id, null as unknown as () => void)).toThrow(TypeError);
    const fresh = openTap('read5');
    expect(() => addon.startRead(fresh.id, () => {})).toThrow(/no receive buffer/);
    expect(() => addon.readNow(fresh.id)).toThrow(/no receive buffer/);
    addon.tapClose(fresh.id);
  });

  it('leaves file reads alone with eight devices open and reading', async () => {
    const devices = numbers(0, 8).map(() => openTap('many%d'));
    const neighbours = devices.map((device) => hostEnd(device.name));
    const counts = devices.map(() => 0);
    for (const [i, device] of devices.entries()) {
      receive(device, 16);
      addon.startRead(device.id, (frames) => {
        counts[i]! += frames;
      });
      addon.setRef(device.id, true);
    }
    // Blocked readers in the pool of four threads would keep every one of these waiting for ever.
    const start = performance.now();
    for (let round = 0; round < 10; round++) {
      for (const to of neighbours) hostSends(to, 5);
      await Promise.all(numbers(0, 16).map(() => readFile('/proc/self/status')));
    }
    expect(performance.now() - start).toBeLessThan(2000);
    await sleep(20);
    expect(counts).toEqual(counts.map(() => 50));
    for (const device of devices) addon.tapClose(device.id);
  });
});

describe.skipIf(NO_TAP)(because('a process with an open TAP', NO_TAP), () => {
  const addonPath = new URL('../../build/Release/udptap.node', import.meta.url).pathname;
  const preamble = `
    const addon = require(${JSON.stringify(addonPath)});
    if (addon.unshare(0x40000000) < 0) throw new Error('unshare');
    const { execFileSync } = require('node:child_process');
    const tap = addon.tapOpen('exit0', 0);
    execFileSync('ip', ['link', 'set', 'exit0', 'up']);
    addon.registerReceive(tap.id, new Uint8Array(4096), 2048, new Uint32Array(2));
    // A datagram of the host's, and so an ARP request on the TAP.
    function send() {
      execFileSync('ip', ['addr', 'add', '10.78.0.1/24', 'dev', 'exit0']);
      const fd = addon.syscall(addon.SYS.socket, 2, 2, 0);
      addon.syscall(addon.SYS.sendto, fd, new Uint8Array(8), 8, 0, Uint8Array.of(2, 0, 0, 9, 10, 78, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0), 16);
    }
  `;
  const run = (body: string) =>
    promisify(execFile)(process.execPath, ['-e', preamble + body], { timeout: 20_000 });

  it('ends by itself with a device open and reading', async () => {
    await run('');
    await run('addon.startRead(tap.id, () => {});');
    await run('addon.startRead(tap.id, () => {}); addon.setRef(tap.id, true); addon.setRef(tap.id, false);');
    await run('addon.setRef(tap.id, true);');
  });

  it('stays while reading when asked to, until the device is closed or reading stops', async () => {
    const stay = 'addon.setRef(tap.id, true); addon.startRead(tap.id, () => {}); const start = Date.now();';
    const told = "process.on('exit', () => console.log(Date.now() - start >= 150));";
    for (const end of ['tapClose', 'stopRead']) {
      const { stdout } = await run(`${stay}${told}setTimeout(() => addon.${end}(tap.id), 150).unref();`);
      expect(stdout).toBe('true\n');
    }
  });

  it('ends at process.exit and at an exception, also from inside the read callback', async () => {
    await run('addon.startRead(tap.id, () => {}); addon.setRef(tap.id, true); process.exit(0);');
    await run(
      'addon.startRead(tap.id, () => process.exit(0)); setTimeout(() => process.exit(9), 3000); send();',
    );
    const failing = run(`addon.startRead(tap.id, () => { throw new Error('from the callback'); });
      setTimeout(() => {}, 3000); send();`);
    await expect(failing).rejects.toMatchObject({ stderr: expect.stringContaining('from the callback') });
    const { stdout } = await run(`
      process.once('uncaughtException', (e) => { console.log(e.message); addon.tapClose(tap.id); });
      addon.startRead(tap.id, () => { throw new Error('handled'); });
      addon.setRef(tap.id, true);
      send();`);
    expect(stdout).toBe('handled\n');
  });

  it('leaves nothing of the interface behind when it is killed', () => {
    const script = `${preamble} console.log(addon.ifNameToIndex('exit0') > 0); process.kill(process.pid, 'SIGKILL');`;
    expect(() => execFileSync(process.execPath, ['-e', script], { stdio: 'pipe' })).toThrow(
      expect.objectContaining({ signal: 'SIGKILL', stdout: Buffer.from('true\n') }),
    );
  });
});
