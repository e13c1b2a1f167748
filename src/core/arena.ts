/**
 * The memory that frames live in. One fixed `WebAssembly.Memory`, cut into slots: the device's addon is given it once and
 * writes frames from it, and the checksum runs over it in place, so a frame's bytes are written once and never copied.
 *
 * A slot has room in front of the IP header (which begins 32-aligned) for the Ethernet header and a virtio_net_hdr. When the slots
 * run out, packets live in ordinary arrays instead and are copied once on their way to the device: slower, never wrong.
 */
import { type ArenaChecksum, createArenaChecksum } from '../wire/checksum_wasm.js';
import { createMemory, type WasmMemory } from '../wire/wasm.js';

/** Bytes of a small slot: one frame of an Ethernet MTU. */
export const SMALL_SLOT_BYTES = 2048;
/** Bytes of a large slot: the largest IPv4 packet. */
export const LARGE_SLOT_BYTES = 67584;
/** Where the IP header begins in a slot; the Ethernet header is in front of it. */
export const SLOT_HEADROOM = 32;

/** Memory beside the slots that drivers keep their descriptors in. */
const DRIVER_BYTES = 128 * 1024;

export interface ArenaOptions {
  /** Number of 2048-byte slots. */
  readonly smallSlots?: number;
  /** Number of 67584-byte slots. */
  readonly largeSlots?: number;
}

export class FrameArena {
  readonly memory: WasmMemory;
  /** All of the memory. */
  readonly u8: Uint8Array;
  /** Sum over `[off, off + len)` of the memory, in the convention of `csumPartial`. */
  readonly checksum: ArenaChecksum;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly smallSlots: number;
  readonly largeSlots: number;
  readonly #largeBase: number;
  readonly #free: Int32Array;
  readonly #freeLarge: Int32Array;
  #freeCount: number;
  #reserved: number;
  readonly #reservable: number;
  #freeLargeCount: number;

  constructor({ smallSlots = 4096, largeSlots = 64 }: ArenaOptions = {}) {
    this.smallSlots = smallSlots;
    this.largeSlots = largeSlots;
    this.#largeBase = smallSlots * SMALL_SLOT_BYTES;
    this.#reserved = this.#largeBase + largeSlots * LARGE_SLOT_BYTES;
    this.#reservable = this.#reserved + DRIVER_BYTES;
    this.memory = createMemory(this.#reservable);
    this.checksum = createArenaChecksum(this.memory);
    this.u8 = new Uint8Array(this.memory.buffer);
    this.u16 = new Uint16Array(this.memory.buffer);
    this.u32 = new Uint32Array(this.memory.buffer);
    // The lowest slot is handed out first, and the last one returned again next: few slots stay warm in the cache.
    this.#free = Int32Array.from({ length: smallSlots }, (_, i) => smallSlots - 1 - i);
    this.#freeLarge = Int32Array.from({ length: largeSlots }, (_, i) => smallSlots + largeSlots - 1 - i);
    this.#freeCount = smallSlots;
    this.#freeLargeCount = largeSlots;
  }

  get free(): number {
    return this.#freeCount + this.#freeLargeCount;
  }

  /** A slot of at least `bytes`, headroom included; -1 where none is left or none is so large. */
  alloc(bytes: number): number {
    if (bytes <= SMALL_SLOT_BYTES) {
      if (this.#freeCount > 0) return this.#free[--this.#freeCount]!;
      return -1;
    }
    if (bytes <= LARGE_SLOT_BYTES && this.#freeLargeCount > 0)
      return this.#freeLarge[--this.#freeLargeCount]!;
    return -1;
  }

  /** Offset of a slot in the memory. */
  offset(slot: number): number {
    const large = slot - this.smallSlots;
    return large < 0 ? slot * SMALL_SLOT_BYTES : this.#largeBase + large * LARGE_SLOT_BYTES;
  }

  sizeOf(slot: number): number {
    return slot < this.smallSlots ? SMALL_SLOT_BYTES : LARGE_SLOT_BYTES;
  }

  /**
   * Memory of a driver's own, 8-aligned, for the life of the arena. @returns its offset
   * @throws RangeError once the drivers' 128 KB are given out
   */
  reserve(bytes: number): number {
    const at = this.#reserved;
    this.#reserved += (bytes + 7) & ~7;
    if (this.#reserved > this.#reservable) throw new RangeError("the arena's memory for drivers is used up");
    return at;
  }

  release(slot: number): void {
    if (slot < this.smallSlots) this.#free[this.#freeCount++] = slot;
    else this.#freeLarge[this.#freeLargeCount++] = slot;
  }
}
