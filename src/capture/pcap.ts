/** The classic capture format of libpcap, with microseconds or nanoseconds. */
import { get32le, put16le, put32le } from '../wire/bytes.js';
import { RecordBuffer, type RecordTarget } from './record_buffer.js';
import type { CaptureError } from './sink.js';

/** File magics, written in little-endian order; readers of both orders are told apart by them. */
export const PCAP_MAGIC_MICROSECONDS = 0xa1b2c3d4;
export const PCAP_MAGIC_NANOSECONDS = 0xa1b23c4d;

export const LINKTYPE_ETHERNET = 1;
/** IP packets without a link header, as a TUN device carries them. */
export const LINKTYPE_RAW = 101;

/** The largest snap length that libpcap accepts, and tcpdump's default. */
export const MAX_SNAP_LEN = 262144;

// Field ranges of the file header: first byte (the range ends where the next begins).
const VERSION_MAJOR = 4; // 4..6
const VERSION_MINOR = 6; // 6..8
const SNAPLEN = 16; // 16..20, after time zone and accuracy, which are always 0
const LINKTYPE = 20; // 20..24
const FILE_HEADER_BYTES = 24;
// Of a record:
const SECONDS = 0; // 0..4
const FRACTION = 4; // 4..8
const CAPTURED_LEN = 8; // 8..12
const ORIGINAL_LEN = 12; // 12..16
const RECORD_HEADER_BYTES = 16;

export interface PcapWriterOptions extends RecordTarget {
  /** Nanosecond timestamps, which need libpcap 1.5 (2013) to be read; false where absent. */
  readonly nanoseconds?: boolean | undefined;
  /** Bytes kept of each frame; 262144 where absent. */
  readonly snapLen?: number | undefined;
  /** LINKTYPE_ETHERNET where absent. */
  readonly linkType?: number | undefined;
}

const FORMAT = {
  recordLength: (bytes: Uint8Array, at: number): number =>
    RECORD_HEADER_BYTES + get32le(bytes, at + CAPTURED_LEN),
  isPacket: (): boolean => true,
};

/** A snap length that fits the format. */
export function checkSnapLen(snapLen: number = MAX_SNAP_LEN): number {
  if (Number.isInteger(snapLen) && snapLen >= 1 && snapLen <= MAX_SNAP_LEN) return snapLen;
  throw new RangeError(`snap length ${snapLen} is not in 1..${MAX_SNAP_LEN}`);
}

/**
 * Writes the frames of one or more devices (of the same link type) as a pcap file. The format knows neither directions
 * nor interfaces nor comments: `PcapngWriter` keeps them. Opening errors are thrown; later ones go to `onError`, or are
 * thrown by `flush` and `close`.
 */
export class PcapWriter {
  readonly #out: RecordBuffer;
  readonly #snapLen: number;
  readonly #nanoseconds: boolean;

  constructor(target: string | PcapWriterOptions) {
    const options = typeof target === 'string' ? { path: target } : target;
    this.#snapLen = checkSnapLen(options.snapLen);
    this.#nanoseconds = options.nanoseconds ?? false;
    this.#out = new RecordBuffer(options, FORMAT);
    this.#header(options.linkType ?? LINKTYPE_ETHERNET);
  }

  /** Frames written so far (those in the buffer are not). */
  get written(): number {
    return this.#out.written;
  }

  /** Frames lost because the capture had failed or was closed. */
  get dropped(): number {
    return this.#out.dropped;
  }

  /** Why the capture failed, or null. */
  get error(): CaptureError | null {
    return this.#out.error;
  }

  /** One frame; see PacketTap. */
  packet(
    _device: { readonly name: string },
    buf: Uint8Array,
    off: number,
    len: number,
    _dir: 0 | 4,
    tsSec: number,
    tsNsec: number,
  ): void {
    const out = this.#out;
    const kept = Math.min(len, this.#snapLen);
    const at = out.reserve(RECORD_HEADER_BYTES + kept);
    if (at < 0) {
      out.drop();
      return;
    }
    const b = out.bytes;
    put32le(b, at + SECONDS, tsSec);
    put32le(b, at + FRACTION, this.#nanoseconds ? tsNsec : Math.floor(tsNsec / 1000));
    put32le(b, at + CAPTURED_LEN, kept);
    put32le(b, at + ORIGINAL_LEN, len);
    out.copyIn(at + RECORD_HEADER_BYTES, buf, off, kept);
    out.commit(at + RECORD_HEADER_BYTES + kept, 1);
  }

  /** Writes what is buffered; throws a failure that `onError` has not had. */
  flush(): void {
    this.#out.flush();
  }

  /** Writes what is buffered and closes the file; throws a failure that `onError` has not had. */
  close(): void {
    this.#out.close();
  }

  #header(linkType: number): void {
    const at = this.#out.reserve(FILE_HEADER_BYTES);
    const b = this.#out.bytes;
    b.fill(0, at, at + FILE_HEADER_BYTES);
    put32le(b, at, this.#nanoseconds ? PCAP_MAGIC_NANOSECONDS : PCAP_MAGIC_MICROSECONDS);
    put16le(b, at + VERSION_MAJOR, 2);
    put16le(b, at + VERSION_MINOR, 4);
    put32le(b, at + SNAPLEN, this.#snapLen);
    put32le(b, at + LINKTYPE, linkType);
    this.#out.commit(at + FILE_HEADER_BYTES, 0);
    this.#out.flushQuietly();
  }
}
