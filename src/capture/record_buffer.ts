/**
 * Where capture records wait until they are written, in whole records.
 *
 * A writer reserves room, fills it in and commits it; the block goes to the file when it holds `flushBytes`, when
 * `flushMs` have passed since its first record, on `flush`, on `close`, and when the process exits. Each write begins
 * and ends between two records, so what a killed process leaves is a whole file: at most the last `flushMs` are missing.
 * (One thing is the kernel's: a SIGKILL during the write call itself can stop its copy between two pages on file systems
 * that copy page by page, tmpfs for one. The last record is then cut, those before it are whole.)
 * Writes are synchronous, and that is the backpressure: a slow reader of a pipe slows the sender down, as it does
 * tcpdump, and nothing piles up beyond the block.
 */
import { CaptureError, type CaptureSink, FileSink } from './sink.js';

/** Where the bytes go (a path, `-` for stdout; a file descriptor; or a sink) and when. */
export interface RecordTarget {
  readonly path?: string | undefined;
  readonly fd?: number | undefined;
  readonly sink?: CaptureSink | undefined;
  /** Block size in bytes at which it is written; 131072 where absent. */
  readonly flushBytes?: number | undefined;
  /** Milliseconds after which a record is written at the latest; 0: at once; 100 where absent. */
  readonly flushMs?: number | undefined;
  /**
   * Hears of the first failure, once. With it, `flush` and `close` do not throw. A failed capture stays failed: later
   * records are counted as dropped, the stack goes on.
   */
  readonly onError?: ((error: CaptureError) => void) | undefined;
}

/** What a writer knows about its records' form. */
export interface RecordFormat {
  /** Length of the record (or other block) that begins at `at`. */
  recordLength(bytes: Uint8Array, at: number): number;
  /** True if a frame begins at `at`, not a description of something. */
  isPacket(bytes: Uint8Array, at: number): boolean;
}

/** A record may be as long as the largest snap length, its headers, and a comment. */
const MAX_RECORD_BYTES = 262144 + 65536 + 256;
/**
 * Frames lie 2 bytes past a multiple of four, so that their IP header is aligned. The block begins at 2 as well: then
 * record data, whose place in the file is a multiple of four, and frames are aligned alike and can be copied by words.
 */
const BASE = 2;
/** From here on the engine's own copy is faster, for all that it makes a view. */
const LONG_COPY_BYTES = 512;
/** Buffers shorter than this are not worth a word view: they are not an arena, and will not come again. */
const ARENA_BYTES = 65536;

/** Written when the process exits without closing its captures. */
const open = new Set<RecordBuffer>();

function flushAll(): void {
  for (const buffer of open) buffer.flushQuietly();
}

export class RecordBuffer {
  /** The block; records are filled in at what `reserve` returns. */
  readonly bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #sink: CaptureSink;
  readonly #format: RecordFormat;
  readonly #flushBytes: number;
  readonly #flushMs: number;
  readonly #onError: ((error: CaptureError) => void) | null;
  readonly #what: string;
  #end = BASE;
  #pending = 0;
  #written = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | null = null;
  #error: CaptureError | null = null;
  #reported = false;
  #closed = false;
  #source: Uint8Array | null = null;
  #sourceWords: Uint32Array | null = null;

  /** Opens the target; an error of opening is thrown (`CaptureError`). */
  constructor(target: RecordTarget, format: RecordFormat) {
    const given = [target.path, target.fd, target.sink].filter((x) => x !== undefined);
    if (given.length !== 1) throw new TypeError('a capture needs exactly one of path, fd and sink');
    this.#format = format;
    this.#flushBytes = target.flushBytes ?? 131072;
    this.#flushMs = target.flushMs ?? 100;
    this.#onError = target.onError ?? null;
    this.#what =
      target.path === '-' || target.fd === 1 ? 'standard output' : (target.path ?? `fd ${target.fd}`);
    this.#sink = target.sink ?? FileSink.open(target.path ?? target.fd!, this.#what);
    const buffer = new ArrayBuffer(this.#flushBytes + MAX_RECORD_BYTES + 8);
    this.bytes = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
    if (open.size === 0) process.on('exit', flushAll);
    open.add(this);
  }

  /** Records that were written, headers and interface descriptions not counted. */
  get written(): number {
    return this.#written;
  }

  /** Records that were lost because the capture had failed or was closed. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Why the capture failed, or null. */
  get error(): CaptureError | null {
    return this.#error;
  }

  /** Where the next `length` bytes go, or -1 if the capture takes no more. */
  reserve(length: number): number {
    if (this.#error !== null || this.#closed) return -1;
    if (this.#end + length > this.bytes.length) {
      this.flushQuietly();
      if (this.#error !== null) return -1;
    }
    return this.#end;
  }

  /** Counts a record that `reserve` had no room for. */
  drop(): void {
    this.#dropped++;
  }

  /** Ends what was reserved at `end`; `records` is 0 for file headers and the like. */
  commit(end: number, records: number): void {
    this.#end = end;
    this.#pending += records;
    if (end >= this.#flushBytes || this.#flushMs === 0) this.flushQuietly();
    else if (this.#timer === null) this.#arm();
  }

  /** Copies frame bytes into the block. */
  copyIn(at: number, src: Uint8Array, off: number, len: number): void {
    if (len >= LONG_COPY_BYTES) {
      this.bytes.set(src.subarray(off, off + len), at);
      return;
    }
    const words = src === this.#source ? this.#sourceWords : this.#adopt(src);
    const bytes = this.bytes;
    let from = off;
    let to = at;
    const end = off + len;
    if (words !== null && ((src.byteOffset + off) & 3) === (at & 3)) {
      const lead = Math.min(end, off + (-at & 3));
      while (from < lead) bytes[to++] = src[from++]!;
      const into = this.#words;
      let j = (src.byteOffset + from) >>> 2;
      let i = to >>> 2;
      for (const last = i + ((end - from) >>> 2); i < last; i++, j++) into[i] = words[j]!;
      const whole = (end - from) & ~3;
      from += whole;
      to += whole;
    }
    while (from < end) bytes[to++] = src[from++]!;
  }

  /** Writes what waits; throws the first failure unless `onError` has had it. */
  flush(): void {
    this.flushQuietly();
    this.#throwOnce();
  }

  /** Writes what waits, as far as possible; a failure is kept for `flush` and `close`, or goes to `onError`. */
  flushQuietly(): void {
    this.#disarm();
    if (this.#end === BASE || this.#error !== null) return;
    const block = this.bytes.subarray(BASE, this.#end);
    const records = this.#pending;
    this.#end = BASE;
    this.#pending = 0;
    try {
      this.#sink.write(block);
      this.#written += records;
    } catch (cause) {
      this.#fail(cause, block, records);
    }
  }

  /** Writes the rest and closes the file; closing twice does nothing. */
  close(): void {
    if (this.#closed) return;
    this.flushQuietly();
    this.#closed = true;
    open.delete(this);
    if (open.size === 0) process.removeListener('exit', flushAll);
    try {
      this.#sink.close?.();
    } catch (cause) {
      this.#fail(cause, this.bytes.subarray(0, 0), 0);
    }
    this.#throwOnce();
  }

  /** A word view of a frame buffer, kept because all frames of a flow come from one arena. */
  #adopt(src: Uint8Array): Uint32Array | null {
    if (src.length < ARENA_BYTES) return null;
    this.#source = src;
    this.#sourceWords = new Uint32Array(src.buffer, 0, src.buffer.byteLength >>> 2);
    return this.#sourceWords;
  }

  #arm(): void {
    this.#timer = setTimeout(() => this.flushQuietly(), this.#flushMs).unref();
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Takes the record that was begun back out of the file, and remembers why nothing can be written any more. */
  #fail(cause: unknown, block: Uint8Array, records: number): void {
    const taken = cause instanceof CaptureError ? cause.bytesWritten : 0;
    let kept = 0;
    let at = 0;
    // A block without packets is a header, of which a part is of no use.
    while (records > 0 && at < taken) {
      const next = at + this.#format.recordLength(block, at);
      if (next > taken) break;
      if (this.#format.isPacket(block, at)) kept++;
      at = next;
    }
    if (taken > at) this.#sink.truncateTail?.(taken - at);
    this.#written += kept;
    this.#dropped += records - kept;
    this.#error =
      cause instanceof CaptureError ? cause : new CaptureError(this.#what, cause as NodeJS.ErrnoException, 0);
    if (this.#onError !== null) {
      this.#reported = true;
      this.#onError(this.#error);
    }
  }

  #throwOnce(): void {
    if (this.#error === null || this.#reported) return;
    this.#reported = true;
    throw this.#error;
  }
}
