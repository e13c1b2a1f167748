/**
 * IGMP versions 1 to 3 (RFC 1112, 2236, 3376). Queries of all versions share one type: a length of 8 and a response
 * time of 0 is version 1, another time version 2, 12 bytes and more version 3.
 */
import { get16, get32, type Malformed, put16, put32 } from './bytes.js';
import { csumFold, csumPartial } from './checksum.js';

// Field ranges: first byte (the range ends where the next begins). Common to all:
export const TYPE = 0; // 0..1
export const MAX_RESP_CODE = 1; // 1..2
export const CHECKSUM = 2; // 2..4
export const GROUP = 4; // 4..8, not in version 3 reports
// Version 3 queries:
export const S_QRV = 8; // 8..9
export const QQIC = 9; // 9..10
export const QUERY_NSRCS = 10; // 10..12
export const QUERY_SOURCES = 12; // 12..
// Version 3 reports:
export const REPORT_RESERVED = 4; // 4..6
export const NGREC = 6; // 6..8
export const RECORDS = 8; // 8..
// Within a group record:
export const RECORD_TYPE = 0; // 0..1
export const RECORD_AUXWORDS = 1; // 1..2
export const RECORD_NSRCS = 2; // 2..4
export const RECORD_GROUP = 4; // 4..8
export const RECORD_SOURCES = 8; // 8..

export const HEADER_LEN = 8;
export const V3_QUERY_LEN = 12;
export const RECORD_LEN = 8;

export const HOST_MEMBERSHIP_QUERY = 0x11;
export const HOST_MEMBERSHIP_REPORT = 0x12;
export const V2_MEMBERSHIP_REPORT = 0x16;
export const HOST_LEAVE_MESSAGE = 0x17;
export const V3_MEMBERSHIP_REPORT = 0x22;

export const V3_MODE_IS_INCLUDE = 1;
export const V3_MODE_IS_EXCLUDE = 2;
export const V3_CHANGE_TO_INCLUDE = 3;
export const V3_CHANGE_TO_EXCLUDE = 4;
export const V3_ALLOW_NEW_SOURCES = 5;
export const V3_BLOCK_OLD_SOURCES = 6;

export function type(b: Uint8Array, off: number): number {
  return b[off + TYPE]!;
}

export function maxRespCode(b: Uint8Array, off: number): number {
  return b[off + MAX_RESP_CODE]!;
}

export function checksum(b: Uint8Array, off: number): number {
  return get16(b, off + CHECKSUM);
}

export function group(b: Uint8Array, off: number): number {
  return get32(b, off + GROUP);
}

/** Version 3 query: number of sources. */
export function queryNsrcs(b: Uint8Array, off: number): number {
  return get16(b, off + QUERY_NSRCS);
}

/** Version 3 report: number of group records. */
export function ngrec(b: Uint8Array, off: number): number {
  return get16(b, off + NGREC);
}

/** The value of a max resp code or QQIC of version 3: from 128 up a 3-bit exponent and a 4-bit mantissa. */
export function v3Code(code: number): number {
  return code < 0x80 ? code : ((code & 15) | 16) << (((code >>> 4) & 7) + 3);
}

/** One group of a version 3 report. */
export interface IgmpRecord {
  readonly type: number;
  readonly group: number;
  readonly sources: readonly number[];
  /** Auxiliary data, a multiple of four bytes; Linux sends none. */
  readonly aux: Uint8Array;
}

/** A message as a value. */
export type IgmpRepr =
  | {
      readonly kind: 'query';
      readonly version: 1 | 2 | 3;
      readonly group: number;
      /** As on the wire: tenths of a second (version 3: see `v3Code`), 0 in version 1. */
      readonly maxRespCode: number;
      readonly suppress: boolean;
      readonly qrv: number;
      readonly qqic: number;
      readonly sources: readonly number[];
    }
  | { readonly kind: 'report'; readonly version: 1 | 2; readonly group: number }
  | { readonly kind: 'leave'; readonly group: number }
  | { readonly kind: 'report3'; readonly records: readonly IgmpRecord[] };

/** What the checksum field of a message of `len` bytes should hold, whatever it does hold. */
export function expectedCheck(b: Uint8Array, off: number, len: number): number {
  return csumFold(csumPartial(b, off + 4, len - 4, csumPartial(b, off, CHECKSUM, 0)));
}

/** Computes the checksum of a message of `len` bytes and writes it. */
export function sendCheck(b: Uint8Array, off: number, len: number): void {
  put16(b, off + CHECKSUM, expectedCheck(b, off, len));
}

/** Reads a message of `len` bytes. */
export function parse(b: Uint8Array, off: number, len: number): IgmpRepr | Malformed {
  if (len < HEADER_LEN) return 'truncated';
  if (csumFold(csumPartial(b, off, len, 0)) !== 0) return 'bad-checksum';
  switch (type(b, off)) {
    case HOST_MEMBERSHIP_QUERY:
      return parseQuery(b, off, len);
    case HOST_MEMBERSHIP_REPORT:
      return { kind: 'report', version: 1, group: group(b, off) };
    case V2_MEMBERSHIP_REPORT:
      return { kind: 'report', version: 2, group: group(b, off) };
    case HOST_LEAVE_MESSAGE:
      return { kind: 'leave', group: group(b, off) };
    case V3_MEMBERSHIP_REPORT:
      return parseReport3(b, off, len);
    default:
      return 'bad-type';
  }
}

function parseQuery(b: Uint8Array, off: number, len: number): IgmpRepr | Malformed {
  const code = maxRespCode(b, off);
  const base = { kind: 'query', group: group(b, off), maxRespCode: code } as const;
  if (len < V3_QUERY_LEN) {
    if (len !== HEADER_LEN) return 'bad-length';
    return { ...base, version: code === 0 ? 1 : 2, suppress: false, qrv: 0, qqic: 0, sources: [] };
  }
  const sources = readSources(b, off + QUERY_SOURCES, queryNsrcs(b, off), off + len);
  if (sources === null) return 'truncated';
  const flags = b[off + S_QRV]!;
  return { ...base, version: 3, suppress: (flags & 8) !== 0, qrv: flags & 7, qqic: b[off + QQIC]!, sources };
}

function parseReport3(b: Uint8Array, off: number, len: number): IgmpRepr | Malformed {
  const end = off + len;
  const records: IgmpRecord[] = [];
  let at = off + RECORDS;
  for (let left = ngrec(b, off); left > 0; left--) {
    if (at + RECORD_LEN > end) return 'truncated';
    const sources = readSources(b, at + RECORD_SOURCES, get16(b, at + RECORD_NSRCS), end);
    if (sources === null) return 'truncated';
    const aux = at + RECORD_SOURCES + sources.length * 4;
    const next = aux + b[at + RECORD_AUXWORDS]! * 4;
    if (next > end) return 'truncated';
    records.push({ type: b[at]!, group: get32(b, at + RECORD_GROUP), sources, aux: b.slice(aux, next) });
    at = next;
  }
  return { kind: 'report3', records };
}

/** `count` addresses at `at`, or null if they would pass `end`. */
function readSources(b: Uint8Array, at: number, count: number, end: number): number[] | null {
  if (at + count * 4 > end) return null;
  const sources: number[] = [];
  for (let i = 0; i < count; i++) sources.push(get32(b, at + i * 4));
  return sources;
}

/** Bytes that `emit` will write. */
export function emitLen(repr: IgmpRepr): number {
  if (repr.kind === 'query') return repr.version === 3 ? V3_QUERY_LEN + repr.sources.length * 4 : HEADER_LEN;
  if (repr.kind !== 'report3') return HEADER_LEN;
  let len = HEADER_LEN;
  for (const record of repr.records) len += RECORD_LEN + record.sources.length * 4 + record.aux.length;
  return len;
}

/** Writes the message, checksum last; returns its length. */
export function emit(repr: IgmpRepr, b: Uint8Array, off: number): number {
  const len = emitLen(repr);
  b.fill(0, off, off + HEADER_LEN);
  switch (repr.kind) {
    case 'query':
      b[off] = HOST_MEMBERSHIP_QUERY;
      b[off + MAX_RESP_CODE] = repr.maxRespCode;
      put32(b, off + GROUP, repr.group);
      if (repr.version === 3) {
        b[off + S_QRV] = (repr.suppress ? 8 : 0) | (repr.qrv & 7);
        b[off + QQIC] = repr.qqic;
        put16(b, off + QUERY_NSRCS, repr.sources.length);
        writeSources(b, off + QUERY_SOURCES, repr.sources);
      }
      break;
    case 'report':
      b[off] = repr.version === 1 ? HOST_MEMBERSHIP_REPORT : V2_MEMBERSHIP_REPORT;
      put32(b, off + GROUP, repr.group);
      break;
    case 'leave':
      b[off] = HOST_LEAVE_MESSAGE;
      put32(b, off + GROUP, repr.group);
      break;
    case 'report3':
      b[off] = V3_MEMBERSHIP_REPORT;
      put16(b, off + NGREC, repr.records.length);
      writeRecords(b, off + RECORDS, repr.records);
      break;
  }
  sendCheck(b, off, len);
  return len;
}

function writeRecords(b: Uint8Array, first: number, records: readonly IgmpRecord[]): void {
  let at = first;
  for (const record of records) {
    b[at + RECORD_TYPE] = record.type;
    b[at + RECORD_AUXWORDS] = record.aux.length >>> 2;
    put16(b, at + RECORD_NSRCS, record.sources.length);
    put32(b, at + RECORD_GROUP, record.group);
    writeSources(b, at + RECORD_SOURCES, record.sources);
    const aux = at + RECORD_SOURCES + record.sources.length * 4;
    b.set(record.aux, aux);
    at = aux + record.aux.length;
  }
}

function writeSources(b: Uint8Array, at: number, sources: readonly number[]): void {
  for (let i = 0; i < sources.length; i++) put32(b, at + i * 4, sources[i]!);
}
