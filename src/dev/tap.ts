/** A TAP as a device of the stack: we are the other end of the host's cable. */
import { randomBytes } from 'node:crypto';
import { SLOT_HEADROOM } from '../core/arena.js';
import { EAGAIN, EBADFD, EIO, errnoMessage, errnoName } from '../uapi/errno.js';
import { ETH_ALEN } from '../uapi/if.js';
import { IFF_MULTI_QUEUE, IFF_TUN_EXCL, IFF_VNET_HDR } from '../uapi/if_tun.js';
import { VIRTIO_NET_HDR_BYTES } from '../wire/virtio_net_hdr.js';
import { type Addon, loadAddon, MAX_TAP_FRAME_BYTES, type NativeTap } from './addon.js';
import { virtioNetHdrFromSkb } from './memory.js';
import {
  NET_XMIT_DROP,
  NETDEV_TX_OK,
  NETIF_F_GSO_UDP_L4,
  NETIF_F_HW_CSUM,
  NETIF_F_SG,
  NetDevice,
} from './net_device.js';
import { devReceiveFrame } from './receive.js';
import type { SkBuff } from './skbuff.js';
import { devQueueXmit } from './xmit.js';

/** Frames of one trip to the device. */
const TX_BATCH = 128;
const NONE: readonly SkBuff[] = [];
/** Frames of one trip from the device. */
const RX_BATCH = 16;
const RX_STRIDE_BYTES = (MAX_TAP_FRAME_BYTES + 7) & ~7;

export interface TapOptions {
  /** Interface name, at most 15 bytes, or a template such as `tap%d`; empty lets the kernel choose. */
  readonly name?: string;
  /** Our MAC address, not the host's end's; a locally administered random one where absent. */
  readonly mac?: Uint8Array;
  /** Our MTU; 1500 where absent. */
  readonly mtu?: number;
  /** Frames carry a virtio_net_hdr, so that UDP_SEGMENT sends leave as one super-frame with the checksum left to the host. */
  readonly offload?: boolean;
  /** Several queues may attach to the interface. */
  readonly multiQueue?: boolean;
  /** Fails with EBUSY where the interface exists. */
  readonly exclusive?: boolean;
}

/** An error with Node's fields: `code` (errno name), `errno` (negative), `syscall`. */
export class TapError extends Error {
  override readonly name = 'TapError';
  readonly code: string;
  constructor(
    readonly syscall: string,
    readonly errno: number,
    what: string,
  ) {
    super(`${syscall}: ${errnoName(-errno)}: ${errnoMessage(-errno)}, ${what}`);
    this.code = errnoName(-errno);
  }
}

/**
 * Opens a TAP, new or existing. It goes away with its last descriptor unless it is persistent.
 * @throws TapError with ENOENT (no /dev/net/tun), EPERM, EACCES, EBUSY (in use), EINVAL (an existing TAP of another kind);
 *   AddonMissingError where the addon could not be built; TypeError, RangeError for a bad name
 */
export async function openTap(options: TapOptions = {}): Promise<TapDevice> {
  const addon = loadAddon();
  const flags =
    (options.offload === true ? IFF_VNET_HDR : 0) |
    (options.multiQueue === true ? IFF_MULTI_QUEUE : 0) |
    (options.exclusive === true ? IFF_TUN_EXCL : 0);
  const native = addon.tapOpen(options.name ?? '', flags);
  if (typeof native === 'number') throw new TapError('TUNSETIFF', native, `TAP ${options.name ?? ''}`);
  return new TapDevice(addon, native, options);
}

/** What became of a frame that was given to the device: 0, or the negative errno. */
export type TransmitListener = (frame: Uint8Array, errno: number) => void;

export class TapDevice extends NetDevice {
  override kind = 'tun';
  /** Hears of each frame when the device took it or refused it; the bytes are valid during the call. */
  onTransmit: TransmitListener | null = null;
  /** The host deleted the interface, or it can no longer be read: the negative errno. */
  onGone: ((errno: number) => void) | null = null;
  /** The last errno that a frame was refused with, negative; 0 for none. */
  lastError = 0;
  readonly #addon: Addon;
  readonly #native: NativeTap;
  readonly #vnetHdr: boolean;
  readonly #pending: (SkBuff | null)[] = new Array<SkBuff | null>(TX_BATCH).fill(null);
  #count = 0;
  #closed = false;
  /** Index in the arena's words of the descriptors, and of the two status words in front of them. */
  #words: Uint32Array = new Uint32Array(0);
  #status: Int32Array = new Int32Array(0);
  #descriptors = 0;
  #buffer = new ArrayBuffer(0);
  #rx: Uint8Array | null = null;
  readonly #rxLengths: Uint32Array<ArrayBuffer> = new Uint32Array(RX_BATCH);

  constructor(addon: Addon, native: NativeTap, options: TapOptions) {
    super(native.name);
    this.#addon = addon;
    this.#native = native;
    this.#vnetHdr = options.offload === true;
    this.addr = options.mac?.slice() ?? Uint8Array.of(2, ...randomBytes(ETH_ALEN - 1));
    this.mtu = options.mtu ?? 1500;
    this.maxMtu = 65521;
    this.features = NETIF_F_SG | (this.#vnetHdr ? NETIF_F_HW_CSUM | NETIF_F_GSO_UDP_L4 : 0);
    // TUN-21: the host takes 128 segments at most.
    this.gsoMaxSegs = 128;
  }

  /** The interface exists and its link is up at the host's end. */
  get hostUp(): boolean {
    return this.lastError !== -EIO && this.#addon.tapIsOpen(this.#native.id);
  }

  override open(): number {
    const arena = this.net!.arena;
    if (this.#descriptors === 0) {
      const statusOffset = arena.reserve(8 + TX_BATCH * 8);
      this.#addon.registerDescriptors(this.#native.id, statusOffset, statusOffset + 8, TX_BATCH);
      this.#buffer = arena.memory.buffer;
      this.#words = arena.u32;
      this.#status = new Int32Array(this.#buffer, statusOffset, 2);
      this.#descriptors = (statusOffset + 8) >>> 2;
    }
    if (this.#rx === null) {
      const rx: Uint8Array<ArrayBuffer> = new Uint8Array(RX_BATCH * RX_STRIDE_BYTES);
      this.#rx = rx;
      this.#addon.registerReceive(this.#native.id, rx, RX_STRIDE_BYTES, this.#rxLengths);
    }
    return Math.min(
      0,
      this.#addon.startRead(this.#native.id, (frames) => this.#receive(frames)),
    );
  }

  override stop(): void {
    this.flush();
    if (!this.#closed) this.#addon.stopRead(this.#native.id);
  }

  /** Closes the descriptor: a TAP that is not persistent goes away. */
  override close(): void {
    this.#closed = true;
    this.#addon.tapClose(this.#native.id);
  }

  /** While true, reading the device keeps the process alive. */
  setRef(on: boolean): void {
    if (!this.#closed) this.#addon.setRef(this.#native.id, on);
  }

  /** Takes the frames that are there without waiting for the event loop. @returns how many */
  readNow(): number {
    let total = 0;
    for (;;) {
      const frames = this.#addon.readNow(this.#native.id);
      if (frames <= 0) return total;
      total += frames;
      this.#receive(frames);
    }
  }

  #receive(frames: number): void {
    if (frames < 0) {
      this.onGone?.(frames);
      return;
    }
    const rx = this.#rx!;
    const skip = this.#vnetHdr ? VIRTIO_NET_HDR_BYTES : 0;
    for (let i = 0; i < frames; i++) {
      const len = this.#rxLengths[i]!;
      if (len > skip) devReceiveFrame(this, rx, i * RX_STRIDE_BYTES + skip, len - skip);
    }
    this.net?.flush();
  }

  override startXmit(skb: SkBuff): number {
    const net = this.net!;
    if (skb.sk !== null || skb.ubuf !== null) net.skbs.orphan(skb);
    let frame: SkBuff | null = skb;
    if (skb.slot < 0 || skb.fragList !== null) {
      frame = this.#intoArena(skb);
      if (frame === null) return NET_XMIT_DROP;
    }
    let off = frame.data;
    if (this.#vnetHdr) {
      off -= VIRTIO_NET_HDR_BYTES;
      virtioNetHdrFromSkb(frame, frame.buf, off);
    }
    const count = this.#count;
    const at = this.#descriptors + (count << 1);
    this.#words[at] = off;
    this.#words[at + 1] = frame.tail - off;
    this.#pending[count] = frame;
    this.#count = count + 1;
    if (count === 0) net.markDirty(this);
    if (count + 1 === TX_BATCH) this.flush();
    return NETDEV_TX_OK;
  }

  /** A packet with memory of its own is copied into a slot; null, and the packet freed, where none is to be had. */
  #intoArena(skb: SkBuff): SkBuff | null {
    const { skbs } = this.net!;
    let copy = skbs.copy(skb);
    if (copy.slot < 0) {
      skbs.free(copy);
      this.flush();
      copy = skbs.copy(skb);
    }
    skbs.free(skb);
    if (copy.slot >= 0 && copy.data - copy.head >= SLOT_HEADROOM - 22) return copy;
    skbs.free(copy);
    return null;
  }

  /** One trip to the device for everything that waits. Frames that it refuses are counted, and reported to `onTransmit`. */
  override flush(): void {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    const { skbs } = this.net!;
    let done = 0;
    let error = this.#closed ? -EBADFD : 0;
    let refusedSuperFrames = NONE;
    while (done < count && error === 0) {
      if (done > 0)
        this.#words.copyWithin(
          this.#descriptors,
          this.#descriptors + (done << 1),
          this.#descriptors + (count << 1),
        );
      this.#status[0] = count - done;
      this.#native.flush(this.#buffer);
      const taken = this.#status[0]!;
      if (this.onTransmit !== null) this.#report(done, taken, 0);
      done += taken;
      if (done === count) break;
      error = this.#status[1]!;
      this.lastError = error;
      if (error !== -EIO && error !== -EBADFD && error !== -EAGAIN) {
        // This frame alone is at fault; the rest may go.
        const skb = this.#pending[done]!;
        if (skb.gsoSize !== 0) {
          this.#pending[done] = null;
          this.stats.txPackets--;
          refusedSuperFrames = [...refusedSuperFrames, skb];
        } else this.#refuse(done, 1, error);
        done++;
        error = 0;
      }
    }
    if (error !== 0) {
      this.lastError = error;
      this.#refuse(done, count - done, error);
    }
    for (let i = 0; i < count; i++) {
      const skb = this.#pending[i]!;
      this.#pending[i] = null;
      if (skb !== null) skbs.free(skb);
    }
    if (refusedSuperFrames !== NONE) this.#resendSegmented(refusedSuperFrames);
  }

  /** A host that takes no super-frames (before 6.2, or of so many segments): they are cut here, now and from now on. */
  #resendSegmented(superFrames: readonly SkBuff[]): void {
    this.features &= ~NETIF_F_GSO_UDP_L4;
    for (const skb of superFrames) devQueueXmit(this.net!, skb);
    this.flush();
  }

  #refuse(from: number, frames: number, errno: number): void {
    this.stats.txErrors += frames;
    this.stats.txPackets -= frames;
    if (this.onTransmit !== null) this.#report(from, frames, errno);
  }

  #report(from: number, frames: number, errno: number): void {
    for (let i = from; i < from + frames; i++) {
      const skb = this.#pending[i]!;
      this.onTransmit!(skb.buf.subarray(skb.data, skb.tail), errno);
    }
  }
}
