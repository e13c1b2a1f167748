/** Where a datagram's payload comes from (`struct iov_iter`): one buffer or many, some perhaps unreadable. */

import { type FrameArena, LARGE_SLOT_BYTES } from '../core/arena.js';

/** Below this many bytes a loop beats `set`. */
const LOOP_BYTES = 40;
/** Pieces up to this many bytes are worth a copy of the whole before: `copyWithin` needs no view of the piece, which `set` does. */
const STAGED_BYTES = 512;

export class MsgIter {
  /** Total length, bytes. */
  length = 0;
  #single: Uint8Array | null = null;
  #buffers: readonly (Uint8Array | null)[] | null = null;
  #lengths: readonly number[] = [];
  readonly #arena: FrameArena | null;
  /** Where in the arena the whole of a buffer lies that is taken in small pieces; -1 before the first. */
  #stage = -1;
  #staged = false;

  /** @param arena where most of the copies go */
  constructor(arena: FrameArena | null = null) {
    this.#arena = arena;
  }

  /** One readable buffer. */
  set(buffer: Uint8Array): this {
    this.#single = buffer;
    this.#buffers = null;
    this.#staged = false;
    this.length = buffer.length;
    return this;
  }

  /** Many buffers; null is memory that cannot be read. */
  setVector(buffers: readonly (Uint8Array | null)[], lengths: readonly number[]): this {
    this.#single = null;
    this.#buffers = buffers;
    this.#lengths = lengths;
    let total = 0;
    for (const length of lengths) total += length;
    this.length = total;
    return this;
  }

  /** Copies `len` bytes from `offset` on; false where memory cannot be read (EFAULT). */
  copy(to: Uint8Array, at: number, offset: number, len: number): boolean {
    const single = this.#single;
    if (single !== null) {
      if (
        len > LOOP_BYTES &&
        len <= STAGED_BYTES &&
        len < single.length &&
        this.#copyStaged(to, at, single, offset, len)
      )
        return true;
      copyBytes(to, at, single, offset, len);
      return true;
    }
    return this.#copyVector(to, at, offset, len);
  }

  #copyStaged(to: Uint8Array, at: number, single: Uint8Array, offset: number, len: number): boolean {
    const arena = this.#arena;
    if (arena === null || to !== arena.u8 || single.length > LARGE_SLOT_BYTES) return false;
    if (this.#stage < 0) this.#stage = arena.reserve(LARGE_SLOT_BYTES);
    if (!this.#staged) {
      to.set(single, this.#stage);
      this.#staged = true;
    }
    const from = this.#stage + offset;
    to.copyWithin(at, from, from + len);
    return true;
  }

  #copyVector(to: Uint8Array, at: number, offset: number, len: number): boolean {
    const buffers = this.#buffers ?? [];
    let skip = offset;
    let left = len;
    let out = at;
    for (let i = 0; i < buffers.length && left > 0; i++) {
      const has = this.#lengths[i]!;
      if (skip >= has) {
        skip -= has;
        continue;
      }
      const take = Math.min(has - skip, left);
      const buffer = buffers[i]!;
      if (buffer === null || buffer.length < skip + take) return false;
      copyBytes(to, out, buffer, skip, take);
      out += take;
      left -= take;
      skip = 0;
    }
    return true;
  }

  /** Lets go of the caller's memory. */
  clear(): void {
    this.#single = null;
    this.#buffers = null;
  }
}

function copyBytes(to: Uint8Array, at: number, from: Uint8Array, offset: number, len: number): void {
  if (len <= LOOP_BYTES) for (let i = 0; i < len; i++) to[at + i] = from[offset + i]!;
  else if (len === from.length) to.set(from, at);
  else to.set(from.subarray(offset, offset + len), at);
}
