/**
 * How near the addon's flush comes to a C loop that writes the same prebuilt frame to the same descriptor of the same TAP:
 * short rounds that alternate, medians, in one run and in a network namespace of its own.
 * Usage: tsx bench/tap_flush.ts [rounds]
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Addon, CLONE_NEWNET, loadAddon, type NativeTap } from '../src/dev/addon.js';
import { createMemory } from '../src/wire/wasm.js';

const FRAMES_A_ROUND = 8192;
const SLOT_BYTES = 2048;
const SLOTS = 256;
const BATCHES = [1, 8, 64, 256];

const STATUS_OFFSET = SLOTS * SLOT_BYTES;
const DESCRIPTORS_OFFSET = STATUS_OFFSET + 8;

/** A WebAssembly memory of slots, each with a prebuilt frame, and status and descriptors behind them. */
function prepare(addon: Addon, tap: NativeTap): (frameBytes: number, batch: number) => void {
  const { buffer } = createMemory(DESCRIPTORS_OFFSET + 8 * SLOTS);
  const bytes = new Uint8Array(buffer);
  const status = new Int32Array(buffer, STATUS_OFFSET, 2);
  const descriptors = new Uint32Array(buffer, DESCRIPTORS_OFFSET, 2 * SLOTS);
  for (let slot = 0; slot < SLOTS; slot++) {
    bytes.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0], slot * SLOT_BYTES + 2);
  }
  addon.registerDescriptors(tap.id, STATUS_OFFSET, DESCRIPTORS_OFFSET, SLOTS);
  return (frameBytes, batch) => {
    for (let sent = 0; sent < FRAMES_A_ROUND; sent += batch) {
      for (let i = 0; i < batch; i++) {
        descriptors[2 * i] = ((sent + i) & (SLOTS - 1)) * SLOT_BYTES + 2;
        descriptors[2 * i + 1] = frameBytes;
      }
      status[0] = batch;
      tap.flush(buffer);
      if (status[0] !== batch) throw new Error(`flush: errno ${-status[1]!}`);
    }
  };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}

/** The descriptor of the only TAP that this process has open. */
function tapDescriptor(): number {
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === '/dev/net/tun') return Number(fd);
    } catch {} // the descriptor of the listing itself is gone by now
  }
  throw new Error('no TAP is open');
}

const addon = loadAddon();
if (addon.unshare(CLONE_NEWNET) < 0) throw new Error('a network namespace needs root');
const tap = addon.tapOpen('bench0', 0);
if (typeof tap === 'number') throw new Error(`tapOpen: errno ${-tap}`);
execFileSync('ip', ['link', 'set', 'bench0', 'up']);
const writeFrames = prepare(addon, tap);
const rounds = Number(process.argv[2] ?? 60);
const folder = mkdtempSync(join(tmpdir(), 'tap-flush-'));

/** A C loop on our descriptor; each call is one round, and resolves to nanoseconds a frame. */
function cLoop(program: string, frameBytes: number, threads: 'single' | 'threads') {
  const child = spawn(program, ['--fd', '3', threads, String(frameBytes), String(FRAMES_A_ROUND)], {
    stdio: ['pipe', 'pipe', 'inherit', tapDescriptor()],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    round: async () => {
      child.stdin!.write('\n');
      return Number((await lines.next()).value);
    },
    end: () => child.stdin!.end(),
  };
}

try {
  const program = join(folder, 'write_loop');
  const source = fileURLToPath(new URL('c/write_loop.c', import.meta.url));
  execFileSync('gcc', ['-O2', '-pthread', '-o', program, source]);
  for (const frameBytes of [42 + 64, 42 + 1472]) {
    // A process with threads pays for each use of a descriptor, whatever its language: two bases.
    const single = cLoop(program, frameBytes, 'single');
    const threaded = cLoop(program, frameBytes, 'threads');
    console.log(`${frameBytes} bytes: ratio to C | to C in a process with threads, as Node is`);
    for (const batch of BATCHES) {
      const toSingle: number[] = [];
      const toThreaded: number[] = [];
      const times: [number[], number[], number[]] = [[], [], []];
      for (let round = -5; round < rounds; round++) {
        const c = await single.round();
        const start = process.hrtime.bigint();
        writeFrames(frameBytes, batch);
        const ns = Number(process.hrtime.bigint() - start) / FRAMES_A_ROUND;
        const ct = await threaded.round();
        if (round < 0) continue; // compiling
        for (const [i, value] of [c, ct, ns].entries()) times[i]!.push(value);
        toSingle.push(c / ns);
        toThreaded.push(ct / ns);
      }
      const [c, ct, ns] = times.map((values) => median(values).toFixed(0));
      const ratios = `${median(toSingle).toFixed(3)} | ${median(toThreaded).toFixed(3)}`;
      console.log(
        `  batches of ${String(batch).padStart(3)}  ${ratios}   C ${c} | ${ct} ns, addon ${ns} ns a frame`,
      );
    }
    single.end();
    threaded.end();
  }
} finally {
  rmSync(folder, { recursive: true });
  addon.tapClose(tap.id);
}
