/**
 * Time of a Net, in milliseconds since an arbitrary start (`jiffies`), and its timers. A Net is given its clock, so that a test
 * can fix it: on the virtual one a sleep costs nothing and timers fire at their exact time.
 */

export interface Clock {
  /** Monotonic milliseconds, fractions allowed. */
  now(): number;
  /**
   * The same in whole milliseconds (a small integer costs no memory), cheaply and coarsely, as jiffies are: a few milliseconds old at most while the event loop turns; in a loop that never
   * yields it moves on every 64th reading.
   */
  coarse(): number;
  /** Wall-clock milliseconds since the epoch (timestamp options, captures). */
  wall(): number;
  /** Asks for `fire()` at or after `atMs`; replaces the previous request. Infinity withdraws it. */
  arm(atMs: number, fire: () => void): void;
  /** True where the stack may let time pass inside a call (a blocking send). */
  readonly virtual: boolean;
}

const JIFFY_MS = 4;
const COARSE_READINGS = 64;

/** The machine's clock. Its timer never keeps the process alive. */
export class SystemClock implements Clock {
  readonly virtual = false;
  #timer: NodeJS.Timeout | null = null;
  #coarse = 0;
  #left = 0;
  #ticking = false;

  now(): number {
    return performance.now();
  }
  coarse(): number {
    // Reading the machine's clock costs more than the rest of a system call's entry.
    if (this.#left > 0) {
      this.#left--;
      return this.#coarse;
    }
    return this.#read();
  }
  #read(): number {
    this.#coarse = Math.floor(performance.now());
    this.#left = COARSE_READINGS;
    if (!this.#ticking) {
      this.#ticking = true;
      setTimeout(() => {
        this.#ticking = false;
        this.#left = 0;
      }, JIFFY_MS).unref();
    }
    return this.#coarse;
  }
  wall(): number {
    return performance.timeOrigin + performance.now();
  }
  arm(atMs: number, fire: () => void): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (atMs === Infinity) return;
    const delayMs = Math.min(Math.max(0, Math.ceil(atMs - performance.now())), 0x7fffffff);
    this.#timer = setTimeout(fire, delayMs);
    this.#timer.unref();
  }
}

/** A clock that stands still until it is told to move. */
export class VirtualClock implements Clock {
  readonly virtual = true;
  #nowMs = 0;
  readonly #wallStartMs: number;

  constructor(wallStartMs: number = Date.UTC(2026, 0, 1)) {
    this.#wallStartMs = wallStartMs;
  }
  now(): number {
    return this.#nowMs;
  }
  coarse(): number {
    return Math.floor(this.#nowMs);
  }
  wall(): number {
    return this.#wallStartMs + this.#nowMs;
  }
  arm(): void {}
  /** Used by `Timers.advanceTo`: timers move the clock, not its holder. */
  set(ms: number): void {
    this.#nowMs = ms;
  }
}
