/**
 * A process that captures, and is killed, or whose disk or pipe fails. Arguments: what to do, where to write, and how
 * many frames. On stderr: `ready` once frames are being written, at the end what became of the capture, as JSON.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openCapture } from '../../src/capture/open.js';
import type { CaptureError } from '../../src/capture/sink.js';
import { FRAME, TAP0 } from './frames.js';

const [what = '', path = '', count = '0'] = process.argv.slice(2);
let heard: CaptureError | null = null;
const capture = openCapture(path, what === 'report' ? { onError: (error) => (heard = error) } : {});

function write(frames: number): void {
  for (let i = 0; i < frames; i++) capture.packet(TAP0, FRAME, 0, FRAME.length, 4, 1_790_000_000, i);
}

function tell(thrown: unknown): void {
  const error = (heard ?? thrown) as CaptureError | null;
  const { written, dropped } = capture;
  const { code, message } = error ?? { code: null, message: null };
  process.stderr.write(`${JSON.stringify({ code, message, written, dropped, thrown: thrown !== null })}\n`);
}

switch (what) {
  case 'for-ever':
    process.stderr.write('ready\n');
    for (;;) {
      write(2000);
      await sleep(0);
    }
  case 'then-wait':
    write(Number(count));
    process.stderr.write('ready\n');
    await sleep(60_000);
    break;
  case 'then-exit':
    write(Number(count));
    process.exit(0);
    break;
  case 'then-end':
    write(Number(count));
    break;
  case 'report':
  case 'close': {
    let thrown: unknown = null;
    write(Number(count));
    try {
      capture.close();
    } catch (error) {
      thrown = error;
    }
    tell(thrown);
  }
}
