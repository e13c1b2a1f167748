import type { Tracer } from '../trace/tracer.js';
import { FrameArena } from './arena.js';
import { type Clock, SystemClock } from './clock.js';
import { Mib } from './mib.js';
import { DEFAULT_PROFILE, type KernelProfile } from './profile.js';
import { type Random, SystemRandom } from './random.js';
import { Sysctl } from './sysctl.js';
import { Timers } from './timers.js';

export interface NetOptions {
  /** Time; the machine's where absent. */
  readonly clock?: Clock;
  /** Randomness; the machine's where absent. */
  readonly random?: Random;
  /** Which kernel to be; 6.18 where absent. */
  readonly profile?: KernelProfile;
  /** Memory for frames; a default arena of about 13 MB where absent. */
  readonly arena?: FrameArena;
  /** Hears every decision; null for none. */
  readonly tracer?: Tracer | null;
}

/** The part of a network namespace (`struct net`) that every room may use. Each room above extends it by its own. */
export class NetCore {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly profile: KernelProfile;
  readonly arena: FrameArena;
  readonly sysctl: Sysctl;
  readonly mib = new Mib();
  tracer: Tracer | null;
  /** Time of the present trip into the stack, ms on the clock: read once a trip, as coarse as the kernel's own. */
  jiffies = 0;
  /** Why the last call failed, in words, where a room had more to say than its errno. */
  reason: string | null = null;

  constructor(options: NetOptions = {}) {
    this.clock = options.clock ?? new SystemClock();
    this.timers = new Timers(this.clock);
    this.random = options.random ?? new SystemRandom();
    this.profile = options.profile ?? DEFAULT_PROFILE;
    this.arena = options.arena ?? new FrameArena();
    this.sysctl = new Sysctl(this.profile);
    this.tracer = options.tracer ?? null;
  }
}
