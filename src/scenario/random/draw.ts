/** Random choices that repeat with their seed. */
import { SeededRandom } from '../../core/random.js';

export class Draw {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    // Neighbouring seeds start apart.
    for (let i = 0; i < 4; i++) this.#random.u32();
  }

  u32(): number {
    return this.#random.u32();
  }
  /** 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * count);
  }
  /** `low` to `high`, both possible. */
  int(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }
  chance(probability: number): boolean {
    return this.u32() / 0x1_0000_0000 < probability;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
  /** One of the values, each as often as its weight says. */
  weighted<T>(choices: readonly (readonly [weight: number, value: T])[]): T {
    let at = (this.u32() / 0x1_0000_0000) * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of choices) {
      at -= weight;
      if (at < 0) return value;
    }
    return choices.at(-1)![1];
  }
  /** Each of the values with this probability, in their order. */
  some<T>(from: readonly T[], probability: number): T[] {
    return from.filter(() => this.chance(probability));
  }
  /** `low` to `high` results of `make`. */
  list<T>(low: number, high: number, make: (i: number) => T): T[] {
    return Array.from({ length: this.int(low, high) }, (_, i) => make(i));
  }
  hex(lengthBytes: number): string {
    let text = '';
    for (let i = 0; i < lengthBytes; i++) text += this.below(256).toString(16).padStart(2, '0');
    return text;
  }
}

/** The seed of the n-th scenario of a run. */
export function scenarioSeed(seed: number, index: number): number {
  let h = (seed ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
}
