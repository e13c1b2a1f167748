/** Hears every frame on the line: counts, hands on to the capture, and keeps what is to be printed until its fate is known. */
import type { PacketTap } from '../dev/tap_point.js';
import { ETH_P_ARP, ETH_P_IP } from '../uapi/if.js';
import { IPPROTO_UDP, IPPROTO_UDPLITE } from '../uapi/in.js';
import * as arp from '../wire/arp.js';
import * as ethernet from '../wire/ethernet.js';
import * as ipv4 from '../wire/ipv4.js';

export interface WatchedFrame {
  /** Wall-clock milliseconds. */
  readonly wallMs: number;
  readonly dev: string;
  readonly direction: 'out' | 'in';
  readonly bytes: Uint8Array;
}

type PacketArguments = Parameters<PacketTap['packet']>;

/** Frames kept before the capture is open, and between two looks at them. */
const MAX_KEPT = 65536;

function isDatagram(buf: Uint8Array, off: number, len: number): boolean {
  if (len < ipv4.HEADER_LEN) return false;
  const protocol = ipv4.protocol(buf, off);
  return protocol === IPPROTO_UDP || protocol === IPPROTO_UDPLITE;
}

export class FrameWatch implements PacketTap {
  /** Frames of datagrams that went out since the last `take`; ICMP and IGMP are the stack's own. */
  ipFrames = 0;
  ipBytes = 0;
  arpRequests = 0;
  /** Frames of the line's own device that went out since the last `take`. */
  outFrames = 0;
  /** Wakes whoever waits for something to come in. */
  onReceived: (() => void) | null = null;
  /** Whether frames are kept for printing. */
  keep = true;
  #capture: PacketTap | null = null;
  #early: (readonly [PacketArguments, Uint8Array])[] = [];
  #kept: WatchedFrame[] = [];

  packet(...args: PacketArguments): void {
    const [device, buf, off, len, dir, tsSec, tsNsec] = args;
    if (this.#capture !== null) this.#capture.packet(...args);
    else if (this.#early.length < MAX_KEPT) this.#early.push([args, buf.slice(off, off + len)]);
    const isLoopback = device.name === 'lo';
    if (dir === 4) {
      const type = len >= ethernet.HEADER_LEN ? ethernet.etherType(buf, off) : 0;
      if (type === ETH_P_IP && isDatagram(buf, off + ethernet.HEADER_LEN, len - ethernet.HEADER_LEN)) {
        this.ipFrames++;
        this.ipBytes += len;
      } else if (type === ETH_P_ARP && arp.operation(buf, off + ethernet.HEADER_LEN) === arp.OP_REQUEST) {
        this.arpRequests++;
      }
      if (!isLoopback) this.outFrames++;
    } else this.onReceived?.();
    // What lo sends, it receives: once is enough.
    if (!this.keep || this.#kept.length >= MAX_KEPT || (isLoopback && dir === 0)) return;
    this.#kept.push({
      wallMs: tsSec * 1000 + tsNsec / 1e6,
      dev: device.name,
      direction: dir === 4 ? 'out' : 'in',
      bytes: buf.slice(off, off + len),
    });
  }

  /** From now on frames go to `capture`; those that were heard before come first. */
  captureTo(capture: PacketTap | null): void {
    for (const [[device, , , len, dir, tsSec, tsNsec], bytes] of this.#early) {
      capture?.packet(device, bytes, 0, len, dir, tsSec, tsNsec);
    }
    this.#early = [];
    this.#capture = capture ?? { packet: () => {} };
  }

  /** What was heard since the last call. */
  take(): {
    frames: WatchedFrame[];
    ipFrames: number;
    ipBytes: number;
    outFrames: number;
    arpRequests: number;
  } {
    const { ipFrames, ipBytes, outFrames, arpRequests } = this;
    const frames = this.#kept;
    this.#kept = [];
    this.ipFrames = 0;
    this.ipBytes = 0;
    this.outFrames = 0;
    this.arpRequests = 0;
    return { frames, ipFrames, ipBytes, outFrames, arpRequests };
  }
}
