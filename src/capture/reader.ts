/** Reads pcap and pcapng files back, of either byte order: for tests and tools, not for speed. */

import { PCAP_MAGIC_MICROSECONDS, PCAP_MAGIC_NANOSECONDS } from './pcap.js';
import {
  BLOCK_ENHANCED_PACKET,
  BLOCK_INTERFACE,
  BLOCK_SECTION_HEADER,
  BLOCK_SIMPLE_PACKET,
  BYTE_ORDER_MAGIC,
  OPT_COMMENT,
  OPT_END,
  OPT_EPB_FLAGS,
  OPT_IF_DESCRIPTION,
  OPT_IF_NAME,
  OPT_IF_TSRESOL,
  OPT_SHB_HARDWARE,
  OPT_SHB_OS,
  OPT_SHB_USERAPPL,
} from './pcapng.js';

/** A device that frames were captured on; pcap has exactly one, without a name. */
export interface CaptureInterface {
  readonly name: string;
  readonly description: string;
  readonly linkType: number;
  readonly snapLen: number;
  /** Units of the file's timestamps in a second. */
  readonly unitsPerSecond: bigint;
}

/** One frame. */
export interface CaptureRecord {
  readonly interfaceId: number;
  /** Since 1970, in nanoseconds. */
  readonly timestampNs: bigint;
  readonly data: Uint8Array;
  /** Bytes that the frame had on the wire. */
  readonly originalLength: number;
  readonly direction: 'in' | 'out' | null;
  /** epb_flags as stored, 0 where there are none. */
  readonly flags: number;
  readonly comments: readonly string[];
}

/** A whole file. */
export interface Capture {
  readonly format: 'pcap' | 'pcapng';
  readonly hardware: string | null;
  readonly os: string | null;
  readonly application: string | null;
  readonly comments: readonly string[];
  readonly interfaces: readonly CaptureInterface[];
  readonly records: readonly CaptureRecord[];
  /** Bytes at the end that are no whole record: 0 unless the file was cut. */
  readonly restBytes: number;
}

/** Reads a capture; throws if the bytes are neither format or a block contradicts itself. */
export function readCapture(bytes: Uint8Array): Capture {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 24) {
    for (const little of [true, false]) {
      const magic = view.getUint32(0, little);
      if (magic === PCAP_MAGIC_MICROSECONDS) return readPcap(bytes, view, little, 1000n);
      if (magic === PCAP_MAGIC_NANOSECONDS) return readPcap(bytes, view, little, 1n);
    }
  }
  if (bytes.length >= 28 && view.getUint32(0, true) === BLOCK_SECTION_HEADER) return readPcapng(bytes, view);
  throw new Error('neither pcap nor pcapng');
}

function readPcap(bytes: Uint8Array, view: DataView, little: boolean, unitNs: bigint): Capture {
  const records: CaptureRecord[] = [];
  let at = 24;
  while (at + 16 <= bytes.length) {
    const captured = view.getUint32(at + 8, little);
    if (at + 16 + captured > bytes.length) break;
    records.push({
      interfaceId: 0,
      timestampNs:
        BigInt(view.getUint32(at, little)) * 1_000_000_000n + BigInt(view.getUint32(at + 4, little)) * unitNs,
      data: bytes.slice(at + 16, at + 16 + captured),
      originalLength: view.getUint32(at + 12, little),
      direction: null,
      flags: 0,
      comments: [],
    });
    at += 16 + captured;
  }
  const only = {
    name: '',
    description: '',
    linkType: view.getUint32(20, little),
    snapLen: view.getUint32(16, little),
    unitsPerSecond: 1_000_000_000n / unitNs,
  };
  const none = { hardware: null, os: null, application: null, comments: [] };
  return { format: 'pcap', ...none, interfaces: [only], records, restBytes: bytes.length - at };
}

/** The options of a block: every value of every code. */
type Options = ReadonlyMap<number, readonly Uint8Array[]>;

function readOptions(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  little: boolean,
): Options {
  const options = new Map<number, Uint8Array[]>();
  let at = start;
  while (at + 4 <= end) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === OPT_END) break;
    if (at + 4 + length > end) throw new Error(`option ${code} at byte ${at} passes the end of its block`);
    options.set(code, [...(options.get(code) ?? []), bytes.slice(at + 4, at + 4 + length)]);
    at += 4 + ((length + 3) & ~3);
  }
  return options;
}

function text(options: Options, code: number): string | null {
  const value = options.get(code)?.[0];
  return value === undefined ? null : new TextDecoder().decode(value);
}

function comments(options: Options): string[] {
  return (options.get(OPT_COMMENT) ?? []).map((value) => new TextDecoder().decode(value));
}

function readPcapng(bytes: Uint8Array, view: DataView): Capture {
  const records: CaptureRecord[] = [];
  const all: CaptureInterface[] = [];
  let head: Options = new Map();
  let little = true;
  let firstInterface = 0;
  let at = 0;
  while (at + 12 <= bytes.length) {
    const section = view.getUint32(at, true) === BLOCK_SECTION_HEADER;
    if (section) little = view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC;
    const type = view.getUint32(at, little);
    const length = view.getUint32(at + 4, little);
    if (length < 12 || length % 4 !== 0) throw new Error(`block at byte ${at} has a length of ${length}`);
    if (at + length > bytes.length) break;
    if (view.getUint32(at + length - 4, little) !== length)
      throw new Error(`block at byte ${at} has two lengths`);
    const end = at + length - 4;
    if (section) {
      if (at === 0) head = readOptions(bytes, view, at + 24, end, little);
      firstInterface = all.length; // interfaces are numbered within their section
    } else if (type === BLOCK_INTERFACE) {
      all.push(readInterface(bytes, view, at, end, little));
    } else if (type === BLOCK_ENHANCED_PACKET) {
      records.push(readEnhanced(bytes, view, at, end, little, all, firstInterface));
    } else if (type === BLOCK_SIMPLE_PACKET) {
      records.push(readSimple(bytes, view, at, little, all, firstInterface));
    }
    at += length;
  }
  return {
    format: 'pcapng',
    hardware: text(head, OPT_SHB_HARDWARE),
    os: text(head, OPT_SHB_OS),
    application: text(head, OPT_SHB_USERAPPL),
    comments: comments(head),
    interfaces: all,
    records,
    restBytes: bytes.length - at,
  };
}

function readInterface(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  little: boolean,
): CaptureInterface {
  const options = readOptions(bytes, view, at + 16, end, little);
  const resolution = options.get(OPT_IF_TSRESOL)?.[0]?.[0] ?? 6;
  return {
    name: text(options, OPT_IF_NAME) ?? '',
    description: text(options, OPT_IF_DESCRIPTION) ?? '',
    linkType: view.getUint16(at + 8, little),
    snapLen: view.getUint32(at + 12, little),
    unitsPerSecond: resolution & 0x80 ? 2n ** BigInt(resolution & 0x7f) : 10n ** BigInt(resolution),
  };
}

function readEnhanced(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  little: boolean,
  all: readonly CaptureInterface[],
  firstInterface: number,
): CaptureRecord {
  const interfaceId = firstInterface + view.getUint32(at + 8, little);
  const device = all[interfaceId];
  const captured = view.getUint32(at + 20, little);
  const after = at + 28 + ((captured + 3) & ~3);
  if (device === undefined)
    throw new Error(`packet at byte ${at} names interface ${interfaceId}, which is not described`);
  if (after > end) throw new Error(`packet at byte ${at} is longer than its block`);
  const options = readOptions(bytes, view, after, end, little);
  const units = (BigInt(view.getUint32(at + 12, little)) << 32n) | BigInt(view.getUint32(at + 16, little));
  const flagBytes = options.get(OPT_EPB_FLAGS)?.[0];
  const flags = flagBytes === undefined ? 0 : new DataView(flagBytes.buffer).getUint32(0, little);
  return {
    interfaceId,
    timestampNs: (units * 1_000_000_000n) / device.unitsPerSecond,
    data: bytes.slice(at + 28, at + 28 + captured),
    originalLength: view.getUint32(at + 24, little),
    direction: (flags & 3) === 1 ? 'in' : (flags & 3) === 2 ? 'out' : null,
    flags,
    comments: comments(options),
  };
}

function readSimple(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  little: boolean,
  all: readonly CaptureInterface[],
  firstInterface: number,
): CaptureRecord {
  const originalLength = view.getUint32(at + 8, little);
  const room = view.getUint32(at + 4, little) - 16;
  const kept = Math.min(originalLength, room, all[firstInterface]?.snapLen || room);
  return {
    interfaceId: firstInterface,
    timestampNs: 0n,
    data: bytes.slice(at + 12, at + 12 + kept),
    originalLength,
    direction: null,
    flags: 0,
    comments: [],
  };
}
