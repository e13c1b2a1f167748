/** A Net for hostile input: small memory, a virtual clock, and the counts that must come back to where they were. */
import { FrameArena } from '../../src/core/arena.js';
import { VirtualClock } from '../../src/core/clock.js';
import { randomBelow, SeededRandom } from '../../src/core/random.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { Net } from '../../src/net/net.js';

export class Dice {
  readonly #random: SeededRandom;
  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }
  below(n: number): number {
    return randomBelow(this.#random, n);
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

export interface HostileLab {
  readonly net: Net;
  readonly dev: MemoryDevice;
  readonly arena: FrameArena;
  readonly freeSlots: number;
}

export function hostileLab(seed: number): HostileLab {
  const arena = new FrameArena({ smallSlots: 512, largeSlots: 16 });
  const net = new Net({ clock: new VirtualClock(), random: new SeededRandom(seed), arena });
  const dev = new MemoryDevice({ name: 'tap0', mac: Uint8Array.of(2, 0, 0, 0, 9, 2) });
  net.addDevice(dev);
  net.ip('link set lo up');
  net.ip('addr add 10.9.0.2/24 brd + dev tap0');
  net.ip('link set tap0 up');
  net.ip('neigh add 10.9.0.1 lladdr 02:00:00:00:09:01 dev tap0 nud permanent');
  net.ip('route add default via 10.9.0.1');
  return { net, dev, arena, freeSlots: arena.free };
}

/** Lets every timer run out: neighbours fail, reassembly gives up. */
export function settle({ net, dev }: HostileLab): void {
  net.timers.advanceTo(net.clock.now() + 200_000);
  net.flush();
  dev.drain();
}
