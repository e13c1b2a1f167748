/**
 * IP options (RFC 791, 2113) as they lie in a header: walking over them and putting them into words. What the stack
 * accepts from users and does to options is `ip/options.ts`; this file judges nothing but whether the bytes hang together.
 */
import { formatIPv4 } from '../uapi/in.js';
import { get32 } from './bytes.js';

export const IPOPT_END = 0;
export const IPOPT_NOOP = 1;
export const IPOPT_RR = 7;
export const IPOPT_TIMESTAMP = 0x44;
export const IPOPT_SEC = 0x82;
export const IPOPT_LSRR = 0x83;
export const IPOPT_CIPSO = 0x86;
export const IPOPT_SID = 0x88;
export const IPOPT_SSRR = 0x89;
export const IPOPT_RA = 0x94;

/** The bit of a type that says: goes into every fragment. */
export const IPOPT_COPY = 0x80;

// Low nibble of a timestamp option's fourth byte.
export const IPOPT_TS_TSONLY = 0;
export const IPOPT_TS_TSANDADDR = 1;
export const IPOPT_TS_PRESPEC = 3;

// Field ranges within an option of more than one byte.
export const LENGTH = 1; // 1..2
export const POINTER = 2; // 2..3, counted from 1
export const OVERFLOW_FLAG = 3; // 3..4, timestamp only
export const ROUTE = 3; // 3.., addresses of RR, LSRR, SSRR
export const STAMPS = 4; // 4.., words of a timestamp option

/** One option; END and NOOP are one byte long, an END takes all the rest. */
export interface IpOption {
  readonly type: number;
  readonly at: number;
  readonly lengthBytes: number;
}

/** The options of `len` bytes at `off`. Bytes that are no option (a bad length) end the walk as one of type -1. */
export function list(b: Uint8Array, off: number, len: number): IpOption[] {
  const options: IpOption[] = [];
  const end = off + len;
  let at = off;
  while (at < end) {
    const type = b[at]!;
    if (type === IPOPT_END) {
      options.push({ type, at, lengthBytes: end - at });
      break;
    }
    if (type === IPOPT_NOOP) {
      options.push({ type, at, lengthBytes: 1 });
      at++;
      continue;
    }
    const lengthBytes = at + 1 < end ? b[at + LENGTH]! : 0;
    if (lengthBytes < 2 || at + lengthBytes > end) {
      options.push({ type: -1, at, lengthBytes: end - at });
      break;
    }
    options.push({ type, at, lengthBytes });
    at += lengthBytes;
  }
  return options;
}

const NAMES: Readonly<Record<number, string>> = {
  [-1]: 'malformed',
  [IPOPT_END]: 'EOL',
  [IPOPT_NOOP]: 'NOP',
  [IPOPT_RR]: 'RR',
  [IPOPT_TIMESTAMP]: 'TS',
  [IPOPT_SEC]: 'SEC',
  [IPOPT_LSRR]: 'LSRR',
  [IPOPT_CIPSO]: 'CIPSO',
  [IPOPT_SID]: 'SID',
  [IPOPT_SSRR]: 'SSRR',
  [IPOPT_RA]: 'RA',
};

/** The usual short name of a type, or `opt-N`. */
export function name(type: number): string {
  return NAMES[type] ?? `opt-${type}`;
}

/** One option in words: `RR 10.0.0.1 ^0.0.0.0`, where ^ is the slot that the pointer names. */
export function format(b: Uint8Array, option: IpOption): string {
  switch (option.type) {
    case IPOPT_END:
      return hasNonZero(b, option) ? formatRaw(b, option) : 'EOL';
    case IPOPT_NOOP:
      return 'NOP';
    case IPOPT_RR:
    case IPOPT_LSRR:
    case IPOPT_SSRR:
      return `${name(option.type)}${formatRoute(b, option)}`;
    case IPOPT_TIMESTAMP:
      return option.lengthBytes < STAMPS ? formatRaw(b, option) : `TS${formatStamps(b, option)}`;
    default:
      return formatRaw(b, option);
  }
}

/** All options of a header in words, an END left out where it only pads. */
export function formatAll(b: Uint8Array, off: number, len: number): string {
  const options = list(b, off, len);
  const shown = options.filter((o, i) => o.type !== IPOPT_END || i === 0 || hasNonZero(b, o));
  return shown.map((o) => format(b, o)).join(', ');
}

function hasNonZero(b: Uint8Array, option: IpOption): boolean {
  for (let i = 0; i < option.lengthBytes; i++) if (b[option.at + i] !== 0) return true;
  return false;
}

function formatRaw(b: Uint8Array, option: IpOption): string {
  const bytes = b.subarray(option.at, option.at + option.lengthBytes);
  return `${name(option.type)} ${Buffer.from(bytes).toString('hex')}`;
}

/** ` 10.0.0.1 ^0.0.0.0 ptr 8`; the pointer is spelled out only where it names no slot and not the first byte after. */
function formatRoute(b: Uint8Array, { at, lengthBytes }: IpOption): string {
  if (lengthBytes < ROUTE) return ' too short';
  const pointer = b[at + POINTER]!;
  let text = '';
  let named = pointer === lengthBytes + 1;
  let slot = ROUTE;
  for (; slot + 4 <= lengthBytes; slot += 4) {
    const here = pointer === slot + 1;
    named ||= here;
    text += ` ${here ? '^' : ''}${formatIPv4(get32(b, at + slot))}`;
  }
  if (slot < lengthBytes) text += ` +${lengthBytes - slot} bytes`;
  return named ? text : `${text} ptr ${pointer}`;
}

/** ` tsonly ^0`, ` prespec ^10.0.0.2=0 1.1.1.1=5`. */
function formatStamps(b: Uint8Array, { at, lengthBytes }: IpOption): string {
  const pointer = b[at + POINTER]!;
  const flag = b[at + OVERFLOW_FLAG]! & 15;
  const overflow = b[at + OVERFLOW_FLAG]! >>> 4;
  const step = flag === IPOPT_TS_TSONLY ? 4 : 8;
  const kind = {
    [IPOPT_TS_TSONLY]: 'tsonly',
    [IPOPT_TS_TSANDADDR]: 'ts+addr',
    [IPOPT_TS_PRESPEC]: 'prespec',
  }[flag];
  let text = ` ${kind ?? `flag ${flag}`}`;
  let named = pointer === lengthBytes + 1;
  let slot = STAMPS;
  for (; slot + step <= lengthBytes; slot += step) {
    const here = pointer === slot + 1;
    named ||= here;
    const first = get32(b, at + slot);
    text += ` ${here ? '^' : ''}${step === 4 ? first : `${formatIPv4(first)}=${get32(b, at + slot + 4)}`}`;
  }
  if (slot < lengthBytes) text += ` +${lengthBytes - slot} bytes`;
  if (!named) text += ` ptr ${pointer}`;
  return overflow === 0 ? text : `${text} overflow ${overflow}`;
}
