import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openCapture } from '../../src/capture/open.js';
import { PcapngWriter } from '../../src/capture/pcapng.js';
import { readCapture } from '../../src/capture/reader.js';
import { CaptureError, type CaptureSink } from '../../src/capture/sink.js';
import { FRAME, TAP0 } from './frames.js';
import { childCommand, has, scratch, spawnChild, tcpdump, tshark } from './lab.js';

const file = scratch();

interface Outcome {
  code: string | null;
  message: string | null;
  written: number;
  dropped: number;
  thrown: boolean;
}

/** Waits until the child says that it writes. */
async function ready(child: ReturnType<typeof spawnChild>): Promise<void> {
  let said = '';
  for await (const chunk of child.stderr!) {
    said += chunk;
    if (said.includes('ready')) return;
  }
  throw new Error(`the child ended: ${said}`);
}

function exited(child: ReturnType<typeof spawnChild>): Promise<void> {
  return new Promise((resolve) => child.on('exit', () => resolve()));
}

describe('a process that is killed', () => {
  async function killed(path: string) {
    const child = spawnChild(['ignore', 'ignore', 'pipe'], 'for-ever', path);
    const gone = exited(child);
    await ready(child);
    await sleep(60);
    child.kill('SIGKILL');
    await gone;
    return readCapture(readFileSync(path));
  }

  it.for(['pcap', 'pcapng'])(
    'leaves a whole %s while writing as fast as it can',
    async (format, { skip }) => {
      skip(!has('tshark') || !has('tcpdump'), 'tshark or tcpdump is not installed');
      const path = file(`killed.${format}`);
      let { records, restBytes } = await killed(path);
      // A kill may fall into the kernel's own copy of a block, on file systems that copy page by page; hardly twice.
      if (restBytes > 0) ({ records, restBytes } = await killed(path));
      expect(restBytes).toBe(0);
      expect(records.length).toBeGreaterThan(1000);
      // tshark is silent (it exits with an error on a record that is cut), and sees the same frames.
      expect(tshark(path, 'frame.len').length).toBe(records.length);
      expect(tcpdump(path).length).toBe(records.length);
    },
  );

  it('leaves its records although nothing more came to push them out', async () => {
    const path = file('quiet.pcapng');
    const child = spawnChild(['ignore', 'ignore', 'pipe'], 'then-wait', path, '3');
    const gone = exited(child);
    await ready(child);
    await sleep(400); // the timer is 100 ms
    child.kill('SIGKILL');
    await gone;
    expect(readCapture(readFileSync(path)).records.length).toBe(3);
  });

  it.each(['then-exit', 'then-end'])(
    'has written everything if it ended of itself without closing (%s)',
    async (how) => {
      const path = file(`${how}.pcapng`);
      const child = spawnChild(['ignore', 'ignore', 'pipe'], how, path, '1234');
      await exited(child); // an open capture does not keep it alive
      expect(readCapture(readFileSync(path))).toMatchObject({ restBytes: 0, records: { length: 1234 } });
    },
  );
});

describe('a full disk', () => {
  /** Runs the child on a file system of 256 KiB of its own, and brings back what it left there. */
  function onSmallDisk(what: string, name: string): Outcome {
    mkdirSync(file('disk'), { recursive: true });
    const command = childCommand(what, `${file('disk')}/${name}`, '20000').map((word) => `'${word}'`);
    const script = `mount -t tmpfs -o size=256k none '${file('disk')}' && ${command.join(' ')} && cp '${file('disk')}/${name}' '${file(name)}'`;
    const run = spawnSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8' });
    expect(run.status, run.stderr).toBe(0);
    return JSON.parse(run.stderr) as Outcome;
  }

  it.for([
    ['pcapng', 'close'],
    ['pcap', 'close'],
    ['pcapng', 'report'],
  ] as const)(
    '%s: the file ends with a whole record, and the error is told once (%s)',
    ([format, what], { skip }) => {
      skip(process.getuid?.() !== 0, 'a small file system of its own needs root');
      skip(!has('tshark'), 'tshark is not installed');
      const name = `full-${what}.${format}`;
      const outcome = onSmallDisk(what, name);
      expect(outcome.code).toBe('ENOSPC');
      expect(outcome.message).toMatch(/^capture to .*: ENOSPC: the disk is full/);
      expect(outcome.thrown).toBe(what === 'close');
      expect(outcome.written + outcome.dropped).toBe(20000);
      const { records, restBytes } = readCapture(readFileSync(file(name)));
      expect(restBytes).toBe(0);
      expect(records.length).toBe(outcome.written);
      // All that fits is there: less than a record is missing to 256 KiB.
      expect(readFileSync(file(name)).length).toBeGreaterThan(256 * 1024 - 120);
      expect(tshark(file(name), 'frame.len').length).toBe(records.length);
    },
  );

  it('/dev/full: nothing can be written, and the stack goes on', () => {
    const heard: CaptureError[] = [];
    const capture = openCapture('/dev/full', { onError: (error) => heard.push(error) });
    for (let i = 0; i < 10_000; i++) capture.packet(TAP0, FRAME, 0, FRAME.length, 4, 1, i);
    capture.close();
    capture.close();
    expect(heard.map((error) => error.code)).toEqual(['ENOSPC']);
    expect(capture).toMatchObject({ written: 0, dropped: 10_000, error: heard[0] });
  });
});

describe('a pipe', () => {
  it('is written to while its reader reads, in whole records', async () => {
    const child = spawnChild(['ignore', 'pipe', 'pipe'], 'close', '-', '30000');
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout!) {
      chunks.push(chunk as Buffer);
      if (chunks.length % 16 === 0) await sleep(2); // a slow reader slows the writer down, nothing is lost
    }
    expect(readCapture(Buffer.concat(chunks))).toMatchObject({ restBytes: 0, records: { length: 30_000 } });
    expect(JSON.parse(await text(child.stderr!))).toMatchObject({ code: null, written: 30_000, dropped: 0 });
  });

  it('can be read live', async ({ skip }) => {
    skip(!has('tcpdump'), 'tcpdump is not installed');
    const child = spawnChild(['ignore', 'pipe', 'ignore'], 'then-wait', '-', '2');
    const reader = spawn('tcpdump', ['-n', '-t', '-c', '2', '-r', '-'], {
      stdio: [child.stdout, 'pipe', 'ignore'],
    });
    const printed = await text(reader.stdout!);
    child.kill('SIGKILL');
    expect(printed).toBe('IP 10.0.0.1.5000 > 10.0.0.2.9: UDP, length 3\n'.repeat(2));
  });

  it('that its reader has closed is an error, not a death', async () => {
    const child = spawnChild(['ignore', 'pipe', 'pipe'], 'close', '-', '30000');
    child.stdout!.once('readable', () => child.stdout!.destroy());
    const outcome = JSON.parse(await text(child.stderr!)) as Outcome;
    expect(outcome.code).toBe('EPIPE');
    expect(outcome.message).toBe(
      'capture to standard output: EPIPE: the program that reads the pipe has gone',
    );
    expect(outcome.written + outcome.dropped).toBe(30_000);
  });
});

describe('opening', () => {
  it.each([
    ['a directory', '/tmp', 'EISDIR', 'it is a directory'],
    ['a directory that is not there', '/nonexistent/x.pcap', 'ENOENT', 'no such directory'],
    ['a file as a directory', '/etc/passwd/x.pcap', 'ENOTDIR', 'no such directory'],
  ])('%s fails at once, with the reason', (_, path, code, reason) => {
    expect(() => openCapture(path)).toThrow(CaptureError);
    expect(() => openCapture(path)).toThrow(`capture to ${path}: ${code}: ${reason}`);
  });

  it('a descriptor stays open for its owner', () => {
    const fd = openSync(file('fd.pcapng'), 'w');
    const capture = new PcapngWriter({ fd });
    capture.packet(TAP0, FRAME, 0, FRAME.length, 4, 1, 0);
    capture.close();
    closeSync(fd);
    expect(readCapture(readFileSync(file('fd.pcapng'))).records.length).toBe(1);
    const late: CaptureError[] = [];
    new PcapngWriter({ fd, onError: (error) => late.push(error) }).close();
    expect(late.map((error) => error.code)).toEqual(['EBADF']);
  });
});

describe('when records are written', () => {
  function counting(): CaptureSink & { sizes: number[] } {
    const sizes: number[] = [];
    return { sizes, write: (bytes) => void sizes.push(bytes.length) };
  }
  const send = (capture: PcapngWriter, frames = 1) => {
    for (let i = 0; i < frames; i++) capture.packet(TAP0, FRAME, 0, FRAME.length, 4, 1, i);
  };

  it('at once with flushMs 0, with the timer else, and on flush', async () => {
    const at = counting();
    const now = new PcapngWriter({ sink: at, flushMs: 0 });
    send(now, 2);
    expect(at.sizes.length).toBe(4); // the section, the interface, two frames
    now.close();

    const later = counting();
    const timed = new PcapngWriter({ sink: later, flushMs: 20 });
    send(timed, 3);
    expect(later.sizes.length).toBe(1);
    expect(timed.written).toBe(0);
    await sleep(60);
    expect([later.sizes.length, timed.written]).toEqual([2, 3]);
    send(timed);
    timed.flush();
    expect([later.sizes.length, timed.written]).toEqual([3, 4]);
    timed.close();
    send(timed);
    expect(timed.dropped).toBe(1);
  });

  it('at the block size, so that memory is bounded', () => {
    const sink = counting();
    const capture = new PcapngWriter({ sink, flushBytes: 4096, flushMs: 60_000 });
    send(capture, 10_000);
    capture.close();
    for (const size of sink.sizes.slice(1, -1)) {
      expect(size).toBeGreaterThanOrEqual(4000);
      expect(size).toBeLessThan(4096 + 200);
    }
  });

  it('a sink that fails is told of as any other', () => {
    const sink: CaptureSink = {
      write: () => {
        throw new Error('out of ink');
      },
    };
    const capture = new PcapngWriter({ sink });
    send(capture);
    expect(() => capture.flush()).toThrow('out of ink');
    expect(() => capture.close()).not.toThrow();
    expect(capture.dropped).toBe(1);
  });
});
