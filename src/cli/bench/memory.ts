/** Memory: what one TAP takes beside Node's own, and whether it grows under load. */
import { execFileSync } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { enterNamespace } from './lab.js';
import { openSender, openStack, type SideOptions } from './stack_side.js';

export interface MemoryTask {
  /** How long at full rate. */
  readonly seconds: number;
}

export interface MemorySample {
  readonly second: number;
  readonly frames: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
}

export interface MemoryResult {
  /** Resident memory of a Node that does nothing. */
  readonly nodeBytes: number;
  /** Resident memory with one TAP, when its first frames are sent. */
  readonly tapBytes: number;
  readonly samples: readonly MemorySample[];
}

const SAMPLES = 20;
const BATCHES_A_TURN = 64;

export async function runMemory({ seconds }: MemoryTask): Promise<MemoryResult> {
  const nodeBytes = Number(
    execFileSync(process.execPath, ['-e', 'console.log(process.memoryUsage.rss())'], { encoding: 'utf8' }),
  );
  enterNamespace();
  const side: SideOptions = {
    use: { call: 'sendmmsg', batch: 64 },
    tap: 'tap0',
    subnet: '10.9.0',
    payload: 1472,
    toHost: false,
  };
  const { net, tap } = await openStack(side);
  const sender = openSender(net, tap, side, '');
  sender.run(1);
  const tapBytes = process.memoryUsage.rss();
  const samples: MemorySample[] = [];
  const start = performance.now();
  let frames = 0;
  for (let next = 0; ; ) {
    const second = (performance.now() - start) / 1000;
    if (second >= next) {
      const { rss, heapUsed } = process.memoryUsage();
      samples.push({ second, frames, rssBytes: rss, heapBytes: heapUsed });
      next += seconds / SAMPLES;
    }
    if (second >= seconds) break;
    sender.run(BATCHES_A_TURN);
    frames += BATCHES_A_TURN * sender.framesPerCall;
    await turn();
  }
  net.close();
  return { nodeBytes, tapBytes, samples };
}
