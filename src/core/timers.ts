import { type Clock, VirtualClock } from './clock.js';

/** A timer of the stack (`struct timer_list`): one callback, pending at most once. */
export class Timer {
  /** Milliseconds on the Net's clock; meaningful while `index >= 0`. */
  expires = 0;
  /** Place in the heap, -1 when not pending. */
  index = -1;
  order = 0;
  constructor(readonly fn: () => void) {}
  get pending(): boolean {
    return this.index >= 0;
  }
}

/** The pending timers of a Net: a binary heap by time, then by order of arming. */
export class Timers {
  readonly #clock: Clock;
  readonly #heap: Timer[] = [];
  #order = 0;
  #armedFor = Infinity;
  #running = false;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds until the next timer, Infinity where there is none. */
  get nextExpiry(): number {
    return this.#heap[0]?.expires ?? Infinity;
  }
  get size(): number {
    return this.#heap.length;
  }

  /** Arms or re-arms a timer for an absolute time (`mod_timer`). */
  mod(timer: Timer, expires: number): void {
    if (this.#closed) return;
    if (timer.index >= 0) this.del(timer);
    timer.expires = expires;
    timer.order = this.#order++;
    timer.index = this.#heap.length;
    this.#heap.push(timer);
    this.#up(timer.index);
    this.#rearm();
  }

  /** Disarms a timer (`timer_delete`); true when it was pending. */
  del(timer: Timer): boolean {
    const at = timer.index;
    if (at < 0) return false;
    const last = this.#heap.pop()!;
    timer.index = -1;
    if (last !== timer) {
      this.#heap[at] = last;
      last.index = at;
      this.#down(at);
      this.#up(last.index);
    }
    return true;
  }

  /** Runs what is due at the clock's present time. */
  run(): void {
    if (this.#running) return;
    this.#running = true;
    try {
      const now = this.#clock.now();
      // A callback may arm a timer for now: bounded by what was due plus one round each.
      for (let budget = this.#heap.length * 2 + 16; budget > 0; budget--) {
        const first = this.#heap[0];
        if (first === undefined || first.expires > now) break;
        this.del(first);
        first.fn();
      }
    } finally {
      this.#running = false;
      this.#armedFor = Infinity;
      this.#rearm();
    }
  }

  /** Virtual clock only: lets time pass up to `ms`, firing each timer at its exact time. */
  advanceTo(ms: number): void {
    const clock = this.#clock;
    if (!(clock instanceof VirtualClock)) throw new TypeError('only a virtual clock can be advanced');
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.expires > ms) break;
      if (first.expires > clock.now()) clock.set(first.expires);
      this.del(first);
      first.fn();
    }
    if (ms > clock.now()) clock.set(ms);
  }

  /** Disarms everything; later arming is ignored. */
  close(): void {
    for (const timer of this.#heap) timer.index = -1;
    this.#heap.length = 0;
    this.#closed = true;
    this.#clock.arm(Infinity, () => {});
  }

  #rearm(): void {
    if (this.#running) return;
    const next = this.nextExpiry;
    if (next === this.#armedFor) return;
    this.#armedFor = next;
    this.#clock.arm(next, () => this.run());
  }
  #before(a: Timer, b: Timer): boolean {
    return a.expires < b.expires || (a.expires === b.expires && a.order < b.order);
  }
  #place(timer: Timer, at: number): void {
    this.#heap[at] = timer;
    timer.index = at;
  }
  #up(from: number): void {
    const timer = this.#heap[from]!;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(timer, this.#heap[parent]!)) break;
      this.#place(this.#heap[parent]!, at);
      at = parent;
    }
    this.#place(timer, at);
  }
  #down(from: number): void {
    const timer = this.#heap[from]!;
    const length = this.#heap.length;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#before(this.#heap[child + 1]!, this.#heap[child]!)) child++;
      if (!this.#before(this.#heap[child]!, timer)) break;
      this.#place(this.#heap[child]!, at);
      at = child;
    }
    this.#place(timer, at);
  }
}
