import { randomFillSync } from 'node:crypto';

/** Source of a Net's random numbers. */
export interface Random {
  /** A uniform unsigned 32-bit number. */
  u32(): number;
}

/** The machine's generator, drawn in blocks. */
export class SystemRandom implements Random {
  readonly #block = new Uint32Array(256);
  #next = 256;
  u32(): number {
    if (this.#next === 256) {
      randomFillSync(this.#block);
      this.#next = 0;
    }
    return this.#block[this.#next++]!;
  }
}

/** A repeatable generator (sfc32-like mulberry32): the same seed, the same numbers. */
export class SeededRandom implements Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
}

/** A uniform number in [0, ceil) (`get_random_u32_below`). */
export function randomBelow(random: Random, ceil: number): number {
  return Math.floor((random.u32() / 0x1_0000_0000) * ceil);
}
