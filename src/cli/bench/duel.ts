/** One contestant against the base, round by round, on TAPs of one namespace. Runs in a process of its own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAddon } from '../../dev/addon.js';
import type { TapDevice } from '../../dev/tap.js';
import { CommandError } from '../exit.js';
import type { Contestant, StackUse } from './contestants.js';
import { openDgram } from './dgram.js';
import { type Consumer, enterNamespace, hostCounters, PORT, runIp, tapDescriptor } from './lab.js';
import { openPrebuilt } from './prebuilt.js';
import { LineChild, type Round, timeRound } from './programs.js';
import { SecondQueue } from './queues.js';
import { firstFrame, openSender, openStack, type SideOptions } from './stack_side.js';
import { openTool } from './tools.js';
import { openVeth } from './veth.js';

export interface DuelTask {
  readonly contestant: Contestant;
  /** Payload bytes of a frame. */
  readonly payload: number;
  readonly consumer: Consumer;
  readonly rounds: number;
  /** Has the compiled programs, and takes captures. */
  readonly folder: string;
}

export interface DuelResult {
  /** Nanoseconds a frame, round by round. */
  readonly ns: readonly number[];
  /** Nanoseconds a frame of the base, around the same round. */
  readonly baseNs: readonly number[];
  /** Rounds in which nothing else had the processor; where they are too few, the others count too. */
  readonly undisturbed: number;
}

/** Somebody who sends. */
export interface Side {
  /** Frames come in multiples of it. */
  readonly unit: number;
  /** Sends so many frames. */
  round(frames: number): Promise<Round>;
  /** Ends it. @throws Error where frames were lost on the way to the device */
  end(): Promise<void>;
}

/** Long enough for the optimizing compiler to be done with what is measured. */
const WARM_UP_MS = 400;
/** Short, so that most rounds of a busy machine are undisturbed. */
const ROUND_NS = 1_200_000;
/** Takes part in no rounds but carries the base's frames. */
const BASE_TAP = 'base0';
const TAP = 'tap0';

const PLAIN: StackUse = {};

/** A busy machine gets so many times the rounds, to find enough undisturbed ones. */
const MAX_TIMES_ROUNDS = 6;

/** Runs rounds until enough of them were undisturbed. @throws CommandError where a contestant cannot take part */
export async function runDuel(task: DuelTask): Promise<DuelResult> {
  enterNamespace();
  const base = await openBase(task);
  const side = await openSide(task, base);
  const quiet: Pair[] = [];
  const all: Pair[] = [];
  const frames = await warmUp(side, WARM_UP_MS);
  const baseFrames = await warmUp({ unit: 1, round: (count) => base.loop.round(count) }, WARM_UP_MS / 10);
  let before = await base.loop.round(baseFrames);
  while (quiet.length < task.rounds && all.length < MAX_TIMES_ROUNDS * task.rounds) {
    const own = await side.round(frames);
    const after = await base.loop.round(baseFrames);
    const pair = { ns: own.ns, baseNs: (before.ns + after.ns) / 2 };
    all.push(pair);
    if (!before.disturbed && !own.disturbed && !after.disturbed) quiet.push(pair);
    before = after;
  }
  await side.end();
  base.close();
  const used = quiet.length >= task.rounds / 4 ? quiet : all;
  return {
    ns: used.map((pair) => pair.ns),
    baseNs: used.map((pair) => pair.baseNs),
    undisturbed: quiet.length,
  };
}

/** @returns how many frames make a round of the right length */
async function warmUp(side: Pick<Side, 'unit' | 'round'>, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let frames = side.unit;
  let fastest = Infinity;
  while (performance.now() < end) {
    const { ns } = await side.round(frames);
    fastest = Math.min(fastest, ns);
    frames = side.unit * Math.max(1, Math.round(ROUND_NS / fastest / side.unit));
  }
  return frames;
}

interface Pair {
  readonly ns: number;
  readonly baseNs: number;
}

interface Base {
  readonly loop: LineChild;
  readonly fd: number;
  readonly frameFile: string;
  close(): void;
}

/** The C loop, on a plain TAP of its own, writing the frame that our stack makes of such a datagram. */
async function openBase({ payload, consumer, folder }: DuelTask): Promise<Base> {
  const side: SideOptions = {
    use: PLAIN,
    tap: BASE_TAP,
    subnet: '10.9.1',
    payload,
    toHost: consumer !== 'drop',
  };
  const { net, tap } = await openStack(side);
  const sink = consumer === 'drop' ? null : await openSink(folder, consumer);
  const frameFile = join(folder, `frame-${process.pid}`);
  writeFileSync(frameFile, firstFrame(net, tap, side));
  const fd = tapDescriptor(BASE_TAP);
  const loop = new LineChild([join(folder, 'write_loop'), '3', 'single', frameFile], fd);
  const close = () => {
    loop.end();
    sink?.end();
    net.close();
  };
  return { loop, fd, frameFile, close };
}

async function openSink(folder: string, consumer: 'hold' | 'read'): Promise<LineChild> {
  const sink = new LineChild([join(folder, 'udp_sink'), consumer, String(PORT)]);
  await sink.line();
  return sink;
}

async function openSide(task: DuelTask, base: Base): Promise<Side> {
  const { contestant, payload, folder } = task;
  switch (contestant.kind) {
    case 'stack':
      return openStackSide(task, contestant.use);
    case 'prebuilt': {
      const tap = loadAddon().tapOpen(TAP, 0);
      if (typeof tap === 'number') throw new CommandError(`${TAP}: errno ${-tap}`);
      runIp(`link set ${TAP} up`);
      return openPrebuilt(tap, readFileSync(base.frameFile), contestant.batch);
    }
    case 'write': {
      const ways = contestant.threads ? 'threads' : 'single';
      return childSide([join(folder, 'write_loop'), '3', ways, base.frameFile], base.fd);
    }
    case 'build':
      return childSide([join(folder, 'build_write'), '3', base.frameFile], base.fd);
    case 'kernel': {
      const to = await openVeth(task, contestant.medium);
      const program = [
        join(folder, 'kernel_send'),
        contestant.way,
        to.address,
        String(PORT),
        String(payload),
      ];
      return childSide(program as [string, ...string[]], null, to.end);
    }
    case 'dgram':
      return openDgram(task, await openVeth(task, 'veth'), contestant.connected);
    case 'tool':
      return openTool(task, await openVeth(task, 'veth'), contestant.tool);
  }
}

function childSide(command: readonly [string, ...string[]], fd: number | null, end = () => {}): Side {
  const child = new LineChild(command, fd);
  return {
    unit: 64,
    round: (frames) => child.round(frames),
    end: async () => {
      child.end();
      end();
    },
  };
}

async function openStackSide(task: DuelTask, use: StackUse): Promise<Side> {
  const side: SideOptions = {
    use,
    tap: TAP,
    subnet: '10.9.0',
    payload: task.payload,
    toHost: task.consumer !== 'drop',
  };
  const { net, tap } = await openStack(side);
  const sender = openSender(net, tap, side, join(task.folder, `capture-${process.pid}`));
  const second = use.queues === 2 ? await SecondQueue.open({ ...side, queue: 1 }) : null;
  const unit = sender.framesPerCall * (second === null ? 1 : 2);
  let sent = 0;
  return {
    unit,
    round: async (frames) => {
      sender.prepare();
      const calls = frames / unit;
      sent += frames;
      return timeRound(frames, () => {
        second?.start(calls);
        sender.run(calls);
        second?.wait();
      });
    },
    end: async () => {
      await second?.close();
      checkArrival(tap, sent, use);
      sender.close();
      net.close();
    },
  };
}

/** Everything must have reached the host: a bench of frames that are lost measures nothing. */
function checkArrival(tap: TapDevice, frames: number, use: StackUse): void {
  const { received } = hostCounters(tap.name);
  // A super-frame is one frame to the device.
  if (use.offload === true ? received > 0 : received >= frames) return;
  throw new CommandError(`of ${frames} frames ${received} reached the host (errno ${tap.lastError})`);
}
