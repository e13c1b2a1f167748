/** What growth is measured on: a stack over a device that takes every frame and forgets it, so that only our own cost grows. */
import { NETDEV_TX_OK, NetDevice } from '../../dev/net_device.js';
import type { SkBuff } from '../../dev/skbuff.js';
import { Net } from '../../net/net.js';
import { timeRound } from './programs.js';
import { median } from './stats.js';

/** Takes frames, and keeps none. */
export class NullDevice extends NetDevice {
  frames = 0;
  override startXmit(skb: SkBuff): number {
    this.frames++;
    this.net!.skbs.free(skb);
    return NETDEV_TX_OK;
  }
}

export interface Lab {
  readonly net: Net;
  readonly dev: NullDevice;
}

/** A stack with 10.0.0.1/8 on a device named null0. */
export function openLab(mtu = 1500): Lab {
  const net = new Net();
  const dev = new NullDevice('null0');
  dev.addr = Uint8Array.of(2, 0, 0, 0, 0, 1);
  dev.mtu = mtu;
  net.addDevice(dev);
  net.ip('link set lo up');
  net.ip('addr add 10.0.0.1/8 dev null0');
  net.ip('link set null0 up');
  return { net, dev };
}

/** A number that looks random and is the same in every run. */
export class Dice {
  #state = 0x9e3779b9;
  /** From 0 to `below` - 1. */
  next(below: number): number {
    // xorshift32
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % below;
  }
}

const ROUNDS = 15;
const MAX_ROUNDS = 60;
/** Long enough for the optimizing compiler. */
const WARM_UP_MS = 300;
const ROUND_NS = 800_000;

/** Median of undisturbed short rounds. @param run does `count` operations @returns nanoseconds an operation */
export async function cost(run: (count: number) => void, least = 1): Promise<number> {
  let count = least;
  const end = performance.now() + WARM_UP_MS;
  do {
    const { ns } = await timeRound(count, () => run(count));
    count = Math.max(least, Math.min(count * 4, Math.round(ROUND_NS / ns)));
  } while (performance.now() < end);
  const quiet: number[] = [];
  const all: number[] = [];
  while (quiet.length < ROUNDS && all.length < MAX_ROUNDS) {
    const { ns, disturbed } = await timeRound(count, () => run(count));
    all.push(ns);
    if (!disturbed) quiet.push(ns);
  }
  return median(quiet.length > 2 ? quiet : all);
}

/** Batches of a building, so that a disturbed one can be left out. */
const BATCHES = 50;

/**
 * Builds up to `size` things, one at a time, and tells what the last half of them cost each: the things that were built
 * when there were about so many. @returns nanoseconds, a median of undisturbed batches
 */
export async function costOfBuilding(size: number, build: (i: number) => void): Promise<number> {
  const batch = Math.max(1, Math.ceil(size / BATCHES));
  const quiet: number[] = [];
  const all: number[] = [];
  for (let from = 0; from < size; from += batch) {
    const to = Math.min(size, from + batch);
    const { ns, disturbed } = await timeRound(to - from, () => {
      for (let i = from; i < to; i++) build(i);
    });
    if (from < size / 2) continue;
    all.push(ns);
    if (!disturbed) quiet.push(ns);
  }
  return median(quiet.length > 2 ? quiet : all);
}

/** Bytes that `build` leaves in use, heap and array buffers. */
export async function weigh(build: () => void | Promise<void>): Promise<number> {
  const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});
  const inUse = () => {
    collect();
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = inUse();
  await build();
  return inUse() - before;
}
