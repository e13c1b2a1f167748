/** An entry of the neighbour table (`struct neighbour`). The state machine is in `state.ts`. */
import type { NetDevice } from '../dev/net_device.js';
import type { SkBuff } from '../dev/skbuff.js';
import { Timer } from '../core/timers.js';
import { NUD_NONE } from '../uapi/neighbour.js';

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
   * The Ethernet header to this neighbour, valid in NUD_VALID states (`struct hh_cache`): the 14 bytes as native-endian words
   * laid as they stand in front of a 32-aligned IP header: two bytes, then three words.
   */
  hh16 = 0;
  hh32a = 0;
  hh32b = 0;
  hh32c = 0;
  /** Output needs nothing but the header: NUD_CONNECTED, or DELAY and PROBE. */
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
    onTimer: (neigh: Neighbour) => void,
  ) {
    this.noHeader = dev.hardHeaderLen === 0;
    this.timer = new Timer(() => onTimer(this));
  }
}
