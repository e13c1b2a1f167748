/** The capture format of Wireshark (pcapng): nanoseconds, interfaces, directions, comments. */
import { arch, type as osType, release } from 'node:os';
import { get32le, put16le, put32le } from '../wire/bytes.js';
import { checkSnapLen, LINKTYPE_ETHERNET } from './pcap.js';
import { RecordBuffer, type RecordTarget } from './record_buffer.js';
import type { CaptureError } from './sink.js';

export const BLOCK_SECTION_HEADER = 0x0a0d0d0a;
export const BLOCK_INTERFACE = 1;
export const BLOCK_SIMPLE_PACKET = 3;
export const BLOCK_ENHANCED_PACKET = 6;
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

export const OPT_END = 0;
export const OPT_COMMENT = 1;
export const OPT_SHB_HARDWARE = 2;
export const OPT_SHB_OS = 3;
export const OPT_SHB_USERAPPL = 4;
export const OPT_IF_NAME = 2;
export const OPT_IF_DESCRIPTION = 3;
export const OPT_IF_TSRESOL = 9;
export const OPT_EPB_FLAGS = 2;

/** The low bits of epb_flags: direction, and in the next three how the frame was addressed. */
export const EPB_INBOUND = 1;
export const EPB_OUTBOUND = 2;
export const EPB_UNICAST = 1 << 2;
export const EPB_MULTICAST = 2 << 2;
export const EPB_BROADCAST = 3 << 2;

// Field ranges of an enhanced packet block: first byte (the range ends where the next begins).
const BLOCK_TYPE = 0; // 0..4
const BLOCK_LENGTH = 4; // 4..8, and again in the block's last four bytes
const INTERFACE_ID = 8; // 8..12
const TIMESTAMP_HIGH = 12; // 12..16
const TIMESTAMP_LOW = 16; // 16..20
const CAPTURED_LEN = 20; // 20..24
const ORIGINAL_LEN = 24; // 24..28
const PACKET_DATA = 28; // 28..

/** epb_flags, the end of the options, and the repeated length. */
const TRAILER_BYTES = 8 + 4 + 4;
/** Longer comments are cut. */
const MAX_COMMENT_BYTES = 32768;
/** More devices than this in one capture share the last interface. */
const MAX_INTERFACES = 65536;

/** What the format records of a device. */
export interface CapturedDevice {
  readonly name: string;
  readonly ifindex: number;
  readonly mtu: number;
}

export interface PcapngWriterOptions extends RecordTarget {
  /** Bytes kept of each frame; 262144 where absent. */
  readonly snapLen?: number | undefined;
  /** The program that is named as the file's author; `udptap` where absent. */
  readonly application?: string | undefined;
  /** A comment for the whole capture. */
  readonly comment?: string | undefined;
  /** A device's description; `ifindex 2, MTU 1500` where absent. */
  readonly describe?: ((device: CapturedDevice) => string) | undefined;
  /** A device's link type; LINKTYPE_ETHERNET where absent. */
  readonly linkType?: ((device: CapturedDevice) => number) | undefined;
}

const FORMAT = {
  recordLength: (bytes: Uint8Array, at: number): number => get32le(bytes, at + BLOCK_LENGTH),
  isPacket: (bytes: Uint8Array, at: number): boolean => get32le(bytes, at) === BLOCK_ENHANCED_PACKET,
};

/**
 * Writes the frames of any number of devices; each device is described when its first frame comes. Opening errors are
 * thrown; later ones go to `onError`, or are thrown by `flush` and `close`. A short frame costs no allocation.
 */
export class PcapngWriter {
  readonly #out: RecordBuffer;
  readonly #snapLen: number;
  readonly #options: PcapngWriterOptions;
  readonly #interfaces = new Map<CapturedDevice, number>();
  #lastDevice: CapturedDevice | null = null;
  #lastId = 0;
  #second = -1;
  #secondHigh = 0;
  #secondLow = 0;

  constructor(target: string | PcapngWriterOptions) {
    this.#options = typeof target === 'string' ? { path: target } : target;
    this.#snapLen = checkSnapLen(this.#options.snapLen);
    this.#out = new RecordBuffer(this.#options, FORMAT);
    this.#sectionHeader();
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
    device: CapturedDevice,
    buf: Uint8Array,
    off: number,
    len: number,
    dir: 0 | 4,
    tsSec: number,
    tsNsec: number,
    comment?: string,
  ): void {
    const out = this.#out;
    const id = device === this.#lastDevice ? this.#lastId : this.#interfaceId(device);
    const kept = Math.min(len, this.#snapLen);
    const padded = (kept + 3) & ~3;
    const note = comment === undefined ? null : encodeText(comment);
    const total = PACKET_DATA + padded + TRAILER_BYTES + (note === null ? 0 : optionBytes(note));
    const at = out.reserve(total);
    if (at < 0) {
      out.drop();
      return;
    }
    if (tsSec !== this.#second) this.#setSecond(tsSec);
    // Both parts are below 2^32 and 2^30, so the sum is exact, and carries into the high word at most once.
    const low = this.#secondLow + tsNsec;
    const b = out.bytes;
    put32le(b, at + BLOCK_TYPE, BLOCK_ENHANCED_PACKET);
    put32le(b, at + BLOCK_LENGTH, total);
    put32le(b, at + INTERFACE_ID, id);
    put32le(b, at + TIMESTAMP_HIGH, low > 0xffffffff ? this.#secondHigh + 1 : this.#secondHigh);
    put32le(b, at + TIMESTAMP_LOW, low);
    put32le(b, at + CAPTURED_LEN, kept);
    put32le(b, at + ORIGINAL_LEN, len);
    out.copyIn(at + PACKET_DATA, buf, off, kept);
    let next = at + PACKET_DATA + kept;
    for (const end = at + PACKET_DATA + padded; next < end; next++) b[next] = 0;
    if (note !== null) next = putOption(b, next, OPT_COMMENT, note);
    put16le(b, next, OPT_EPB_FLAGS);
    put16le(b, next + 2, 4);
    put32le(b, next + 4, (dir === 4 ? EPB_OUTBOUND : EPB_INBOUND) | addressing(buf, off, len));
    put32le(b, next + 8, OPT_END);
    put32le(b, next + 12, total);
    out.commit(at + total, 1);
  }

  /**
   * Describes a device before its first frame, and writes that at once: readers of a pipe then know the link type
   * (tcpdump refuses a file without any interface).
   */
  addInterface(device: CapturedDevice): void {
    this.#interfaceId(device);
    this.#out.flushQuietly();
  }

  /** Writes what is buffered; throws a failure that `onError` has not had. */
  flush(): void {
    this.#out.flush();
  }

  /** Writes what is buffered and closes the file; throws a failure that `onError` has not had. */
  close(): void {
    this.#out.close();
  }

  /** The nanoseconds of a whole second since 1970 as two 32-bit words, without leaving the 53 bits of a double. */
  #setSecond(tsSec: number): void {
    const upper = Math.floor(tsSec / 65536) * 1e9; // in units of 2^16 ns
    const lower = (tsSec % 65536) * 1e9 + (upper % 65536) * 65536;
    this.#second = tsSec;
    this.#secondHigh = Math.floor(upper / 65536) + Math.floor(lower / 4294967296);
    this.#secondLow = lower % 4294967296;
  }

  #interfaceId(device: CapturedDevice): number {
    const known = this.#interfaces.get(device);
    const id = known ?? Math.min(this.#interfaces.size, MAX_INTERFACES - 1);
    if (known === undefined && this.#interfaces.size < MAX_INTERFACES) {
      this.#interfaces.set(device, id);
      this.#describeInterface(device);
    }
    this.#lastDevice = device;
    this.#lastId = id;
    return id;
  }

  #sectionHeader(): void {
    const { application = 'udptap', comment } = this.#options;
    const body = new Uint8Array(16);
    put32le(body, 0, BYTE_ORDER_MAGIC);
    put16le(body, 4, 1); // version 1.0
    body.fill(0xff, 8); // section length: unknown
    this.#block(BLOCK_SECTION_HEADER, body, [
      ...(comment === undefined ? [] : [[OPT_COMMENT, encodeText(comment)] as const]),
      [OPT_SHB_HARDWARE, encodeText(arch())],
      [OPT_SHB_OS, encodeText(`${osType()} ${release()}`)],
      [OPT_SHB_USERAPPL, encodeText(application)],
    ]);
    this.#out.flushQuietly();
  }

  #describeInterface(device: CapturedDevice): void {
    const { describe, linkType } = this.#options;
    const description = describe?.(device) ?? `ifindex ${device.ifindex}, MTU ${device.mtu}`;
    const body = new Uint8Array(8);
    put16le(body, 0, linkType?.(device) ?? LINKTYPE_ETHERNET);
    put32le(body, 4, this.#snapLen);
    this.#block(BLOCK_INTERFACE, body, [
      [OPT_IF_NAME, encodeText(device.name)],
      [OPT_IF_DESCRIPTION, encodeText(description)],
      [OPT_IF_TSRESOL, new Uint8Array([9])],
    ]);
  }

  /** Writes a block that is not a packet. */
  #block(type: number, body: Uint8Array, options: readonly (readonly [number, Uint8Array])[]): void {
    let total = 12 + body.length + 4;
    for (const [, value] of options) total += optionBytes(value);
    const at = this.#out.reserve(total);
    if (at < 0) return;
    const b = this.#out.bytes;
    put32le(b, at + BLOCK_TYPE, type);
    put32le(b, at + BLOCK_LENGTH, total);
    b.set(body, at + 8);
    let next = at + 8 + body.length;
    for (const [code, value] of options) next = putOption(b, next, code, value);
    put32le(b, next, OPT_END);
    put32le(b, next + 4, total);
    this.#out.commit(at + total, 0);
  }
}

function encodeText(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= MAX_COMMENT_BYTES) return bytes;
  let end = MAX_COMMENT_BYTES;
  while ((bytes[end]! & 0xc0) === 0x80) end--; // not in the middle of a character
  return bytes.subarray(0, end);
}

/** Bytes of an option with its header and padding. */
function optionBytes(value: Uint8Array): number {
  return 4 + ((value.length + 3) & ~3);
}

function putOption(b: Uint8Array, at: number, code: number, value: Uint8Array): number {
  put16le(b, at, code);
  put16le(b, at + 2, value.length);
  b.set(value, at + 4);
  const end = at + optionBytes(value);
  b.fill(0, at + 4 + value.length, end);
  return end;
}

/** The reception type of an Ethernet frame, from its destination. */
function addressing(buf: Uint8Array, off: number, len: number): number {
  if (len < 6) return 0;
  if ((buf[off]! & 1) === 0) return EPB_UNICAST;
  for (let i = 0; i < 6; i++) if (buf[off + i] !== 255) return EPB_MULTICAST;
  return EPB_BROADCAST;
}
