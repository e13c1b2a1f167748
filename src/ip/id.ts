/** IP identification (`__ip_select_ident`): what an unconnected socket's datagrams are numbered by (IPID-3). */

import type { NetCore } from '../core/netns.js';
import { randomBelow } from '../core/random.js';

/** IP_IDENTS_SZ */
const BUCKETS = 2048;
/** Jiffies of this kind of kernel are 4 ms. */
const JIFFY_MS = 4;

/** The shared generator: a counter per hash of destination, source and protocol that also jumps with the time since its last use. */
export class IpIdents {
  readonly #ids: Uint32Array;
  readonly #stamps = new Float64Array(BUCKETS);
  readonly #key: number;

  constructor(net: NetCore) {
    this.#ids = Uint32Array.from({ length: BUCKETS }, () => net.random.u32());
    this.#key = net.random.u32();
  }

  /** Reserves `segs` numbers and gives the first (`ip_idents_reserve`). */
  reserve(net: NetCore, daddr: number, saddr: number, protocol: number, segs: number): number {
    let hash = Math.imul(daddr ^ this.#key, 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15) ^ saddr, 0x85ebca77);
    hash = Math.imul(hash ^ (hash >>> 13) ^ protocol, 0xc2b2ae3d);
    const bucket = (hash ^ (hash >>> 16)) & (BUCKETS - 1);
    const now = Math.floor(net.jiffies / JIFFY_MS);
    const idle = now - this.#stamps[bucket]!;
    let delta = 0;
    if (idle > 0) {
      this.#stamps[bucket] = now;
      delta = randomBelow(net.random, idle);
    }
    const old = this.#ids[bucket]!;
    this.#ids[bucket] = old + segs + delta;
    return (old + delta) & 0xffff;
  }
}
