/** An entry of the neighbour table (`struct neighbour`). The state machine is in `state.ts`. */
import type { NeighParms } from '../core/sysctl.js';
import { Timer } from '../core/timers.js';
import type { NetDevice } from '../dev/net_device.js';
import type { SkBuff } from '../dev/skbuff.js';
import {
  NUD_DELAY,
  NUD_FAILED,
  NUD_INCOMPLETE,
  NUD_NOARP,
  NUD_NONE,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
} from '../uapi/neighbour.js';

export class Neighbour {
  /** NUD_* */
  nudState = NUD_NONE;
  /** NTF_* */
  flags = 0;
  protocol = 0;
  /** RTN_* of the address on this device. */
  type = 0;
  /** Removed from its table: look it up anew. */
  dead = false;
  /** Link-layer address. */
  readonly ha = new Uint8Array(6);
  /**
   * The Ethernet header to this neighbour (`struct hh_cache`): the 14 bytes as native-endian words laid as they stand in
   * front of a 32-aligned IP header: two bytes, then three words. Valid once `hhValid`.
   */
  hh16 = 0;
  hh32a = 0;
  hh32b = 0;
  hh32c = 0;
  hhValid = false;
  /** Output needs nothing but the header: NUD_CONNECTED, and the header has been built. */
  fastOutput = false;
  /** No link header at all (a device without Ethernet). */
  readonly noHeader: boolean;
  /** ms on the Net's clock */
  used = 0;
  confirmed = 0;
  updated = 0;
  probes = 0;
  /** Packets that wait for resolution, oldest first, linked by `next`; their memory in bytes of truesize. */
  queueHead: SkBuff | null = null;
  queueTail: SkBuff | null = null;
  queueBytes = 0;
  readonly timer: Timer;

  constructor(
    /** IPv4 address, the next hop. */
    readonly key: number,
    readonly dev: NetDevice,
    /** The device's `net.ipv4.neigh.DEV.*`. */
    readonly parms: NeighParms,
    onTimer: (neigh: Neighbour) => void,
  ) {
    this.noHeader = dev.hardHeaderLen === 0;
    this.timer = new Timer(() => onTimer(this));
  }
}

const STATE_NAMES: ReadonlyMap<number, string> = new Map([
  [NUD_NONE, 'NONE'],
  [NUD_INCOMPLETE, 'INCOMPLETE'],
  [NUD_REACHABLE, 'REACHABLE'],
  [NUD_STALE, 'STALE'],
  [NUD_DELAY, 'DELAY'],
  [NUD_PROBE, 'PROBE'],
  [NUD_FAILED, 'FAILED'],
  [NUD_NOARP, 'NOARP'],
  [NUD_PERMANENT, 'PERMANENT'],
]);

/** `REACHABLE` …, as `ip neigh` shows it; the number of a state without a name. */
export function nudStateName(state: number): string {
  return STATE_NAMES.get(state) ?? String(state);
}
