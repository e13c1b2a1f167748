/** What users type on the command line, turned into numbers and bytes. Pure; wrong input is a UsageError that says why. */
import * as inNumbers from '../uapi/in.js';
import { parseIPv4 } from '../uapi/in.js';
import * as socketNumbers from '../uapi/socket.js';
import { UsageError } from './exit.js';

/** Numbers by their names in Linux's headers: `IP_TOS`, `SO_MARK`, `MSG_MORE`, `IP_PMTUDISC_DO`. */
function constant(name: string): number | null {
  if (!/^[A-Z][A-Z0-9_]+$/.test(name)) return null;
  for (const numbers of [inNumbers, socketNumbers] as unknown as Record<string, unknown>[]) {
    const value = numbers[name];
    if (typeof value === 'number') return value;
  }
  return null;
}

/** A whole number, decimal or 0x-hexadecimal. */
export function parseInteger(text: string, what: string, min: number, max: number): number {
  const value = /^-?(\d+|0[xX][0-9a-fA-F]+)$/.test(text)
    ? (text.startsWith('-') ? -1 : 1) * Number(text.replace('-', ''))
    : Number.NaN;
  if (!Number.isInteger(value)) throw new UsageError(`${what}: "${text}" is no number`);
  if (value < min || value > max) throw new UsageError(`${what}: ${text} is not within ${min} to ${max}`);
  return value;
}

/** A dotted quad, as an unsigned number. */
export function parseAddress(text: string, what: string): number {
  const address = parseIPv4(text);
  if (address === null)
    throw new UsageError(`${what}: "${text}" is no IPv4 address (four numbers with dots)`);
  return address;
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** `HOST:PORT` with a dotted quad and a port of 1 to 65535. */
export function parseTarget(text: string): Endpoint {
  const colon = text.lastIndexOf(':');
  if (colon < 0) throw new UsageError(`"${text}": the destination is HOST:PORT, such as 10.9.0.1:9000`);
  const [host, port] = [text.slice(0, colon), text.slice(colon + 1)];
  if (host.includes(':') || host.startsWith('[')) {
    throw new UsageError(`"${text}": this is IPv6, and udptap sends IPv4`);
  }
  if (parseIPv4(host) === null) {
    throw new UsageError(
      `"${host}" is no IPv4 address. Names are not looked up: "getent ahostsv4 ${host || 'NAME'}" shows a name's address`,
    );
  }
  return { address: host, port: parseInteger(port, 'port', 1, 65535) };
}

/** `ADDRESS`, `:PORT` or `ADDRESS:PORT` of our own end. */
export function parseBind(text: string): Endpoint {
  const [address = '', port, ...rest] = text.split(':');
  if (rest.length > 0) throw new UsageError(`--bind: "${text}" is neither ADDRESS nor ADDRESS:PORT`);
  if (address !== '') parseAddress(address, '--bind');
  return {
    address: address || '0.0.0.0',
    port: port === undefined ? 0 : parseInteger(port, '--bind', 0, 65535),
  };
}

/** An even number of hex digits; spaces, colons and a leading 0x are ignored. */
export function parseHex(text: string, what: string): Uint8Array {
  const digits = text.replace(/^0x/i, '').replace(/[\s:]/g, '');
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) {
    throw new UsageError(`${what}: "${text}" is not hexadecimal (pairs of 0-9, a-f)`);
  }
  return new Uint8Array(Buffer.from(digits, 'hex'));
}

/** Milliseconds from `200ms`, `1.5s`, `50us`; a plain number is seconds, as in ping. */
export function parseInterval(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)(us|ms|s)?$/.exec(text);
  if (match === null) throw new UsageError(`${what}: "${text}" is no time (1, 0.2, 200ms, 50us)`);
  const unit = { us: 0.001, ms: 1, s: 1000 }[match[2] ?? 's'] ?? 1000;
  return Number(match[1]) * unit;
}

/** Datagrams a second; `10k` and `1M` are understood. */
export function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kM])?$/.exec(text);
  const rate = match === null ? 0 : Number(match[1]) * { k: 1e3, M: 1e6, '': 1 }[match[2] ?? '']!;
  if (!(rate > 0))
    throw new UsageError(`--rate: "${text}" is no number of datagrams a second (100, 10k, 1M)`);
  return rate;
}

const DSCP_NAMES: Readonly<Record<string, number>> = {
  BE: 0,
  DF: 0,
  LE: 1,
  VA: 44,
  EF: 46,
  ...Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`CS${n}`, n << 3])),
  ...Object.fromEntries(
    [1, 2, 3, 4].flatMap((c) => [1, 2, 3].map((d) => [`AF${c}${d}`, (c << 3) | (d << 1)] as const)),
  ),
};

/** A codepoint's name (EF, AF11 … AF43, CS0 … CS7, LE, VA) or number 0 to 63, as the TOS byte. */
export function parseDscp(text: string): number {
  const named = DSCP_NAMES[text.toUpperCase()];
  return (named ?? parseInteger(text, '--dscp', 0, 63)) << 2;
}

const PMTUDISC: Readonly<Record<string, number>> = {
  dont: inNumbers.IP_PMTUDISC_DONT,
  want: inNumbers.IP_PMTUDISC_WANT,
  do: inNumbers.IP_PMTUDISC_DO,
  probe: inNumbers.IP_PMTUDISC_PROBE,
  interface: inNumbers.IP_PMTUDISC_INTERFACE,
  omit: inNumbers.IP_PMTUDISC_OMIT,
};
const PMTUDISC_MODES = Object.keys(PMTUDISC);

/** `do`, `want`, `dont`, `probe`, `interface` or `omit`, as IP_MTU_DISCOVER's number. */
export function parsePmtudisc(text: string): number {
  const mode = PMTUDISC[text];
  if (mode === undefined)
    throw new UsageError(`--pmtudisc: "${text}" is none of ${PMTUDISC_MODES.join(', ')}`);
  return mode;
}

/** Finds an interface's index; throws where there is none of that name. */
export type IfindexOf = (name: string) => number;
/** Bytes that may hold the index of an interface that does not exist yet. */
export type Value = (ifindexOf: IfindexOf) => Uint8Array;

/** A number in so many bytes, as the machine or the network orders it. */
export function packed(value: number | bigint, bytes: number, bigEndian = false): Uint8Array {
  const out = new Uint8Array(bytes);
  let left = BigInt.asUintN(64, BigInt(value));
  for (let i = 0; i < bytes; i++, left >>= 8n) out[bigEndian ? bytes - 1 - i : i] = Number(left & 255n);
  return out;
}
/** An `int` of C. */
export function int32(value: number): Value {
  const bytes = packed(value, 4);
  return () => bytes;
}

const WIDTHS: Readonly<Record<string, readonly [bytes: number, bigEndian: boolean]>> = {
  u8: [1, false],
  u16: [2, false],
  i32: [4, false],
  u32: [4, false],
  u64: [8, false],
  be16: [2, true],
  be32: [4, true],
};

function symbolOrInteger(text: string, what: string): number {
  let value = 0;
  for (const part of text.split('|')) {
    const number = constant(part) ?? parseInteger(part, what, -(2 ** 31), 2 ** 32 - 1);
    value = text.includes('|') ? value | number : number;
  }
  return value;
}

/**
 * The value of a socket option or a control message: a number or a name (4 bytes), or `hex:…`, `str:…`, `ip:…`,
 * `ifindex:NAME`, `u8:` `u16:` `i32:` `u32:` `u64:` `be16:` `be32:` and a number; several joined by `+`.
 */
export function parseValue(text: string, what: string): Value {
  const parts = text === '' ? [] : text.split('+').map((part) => parseOneValue(part, what));
  return (ifindexOf) => new Uint8Array(Buffer.concat(parts.map((part) => part(ifindexOf))));
}

function parseOneValue(text: string, what: string): Value {
  const colon = text.indexOf(':');
  if (colon < 0) return int32(symbolOrInteger(text, what));
  const [kind, rest] = [text.slice(0, colon), text.slice(colon + 1)];
  const width = WIDTHS[kind];
  if (width !== undefined) {
    if (!/^-?(\d+|0[xX][0-9a-fA-F]+)$/.test(rest) && constant(rest) === null) {
      throw new UsageError(`${what}: "${rest}" is no number`);
    }
    const number = constant(rest) ?? (rest.startsWith('-') ? -BigInt(rest.slice(1)) : BigInt(rest));
    const bytes = packed(number, ...width);
    return () => bytes;
  }
  switch (kind) {
    case 'hex': {
      const bytes = parseHex(rest, what);
      return () => bytes;
    }
    case 'str': {
      const bytes = new Uint8Array(Buffer.from(rest, 'utf8'));
      return () => bytes;
    }
    case 'ip': {
      const bytes = packed(parseAddress(rest, what), 4, true);
      return () => bytes;
    }
    case 'ifindex':
      return (ifindexOf) => packed(ifindexOf(rest), 4);
    default:
      throw new UsageError(
        `${what}: "${kind}:" is none of hex:, str:, ip:, ifindex:, ${Object.keys(WIDTHS).join(':, ')}:`,
      );
  }
}

export interface LevelTypeValue {
  readonly level: number;
  readonly type: number;
  readonly value: Value;
}

const LEVELS: Readonly<Record<string, number>> = {
  IP: socketNumbers.SOL_IP,
  SOCKET: socketNumbers.SOL_SOCKET,
  UDP: socketNumbers.SOL_UDP,
  UDPLITE: socketNumbers.SOL_UDPLITE,
};

/** `LEVEL:TYPE:VALUE` of `--cmsg` and `--sockopt`, such as `SOL_IP:IP_TTL:9` or `ip:IP_TOS:u8:16`. */
export function parseLevelTypeValue(text: string, what: string): LevelTypeValue {
  const match = /^([^:]+):([^:]+):(.*)$/s.exec(text);
  if (match === null) {
    throw new UsageError(`${what}: "${text}" is not LEVEL:TYPE:VALUE, such as SOL_IP:IP_TTL:9`);
  }
  const [, level = '', type = '', value = ''] = match;
  return {
    level: LEVELS[level.toUpperCase()] ?? symbolOrInteger(level, what),
    type: symbolOrInteger(type, what),
    value: parseValue(value, what),
  };
}

/** `IFACE`, `ADDRESS` or `IFACE,ADDRESS`: the two fields of a struct in_pktinfo that sending looks at. */
export function parsePktinfo(text: string): Value {
  const [first = '', second, ...rest] = text.split(',');
  if (rest.length > 0 || text === '') throw new UsageError(`--pktinfo: "${text}" is not IFACE,ADDRESS`);
  const firstIsAddress = second === undefined && parseIPv4(first) !== null;
  const iface = firstIsAddress ? null : first;
  const source = firstIsAddress ? first : second;
  const address = source === undefined ? 0 : parseAddress(source, '--pktinfo');
  return (ifindexOf) => {
    const bytes = new Uint8Array(12);
    if (iface !== null && iface !== '') bytes.set(packed(ifindexOf(iface), 4));
    bytes.set(packed(address, 4, true), 4);
    return bytes;
  };
}

/** An interface's name or one of our addresses, as a struct ip_mreqn. */
export function parseMulticastInterface(text: string): Value {
  const address = parseIPv4(text);
  return (ifindexOf) => {
    const bytes = new Uint8Array(12);
    if (address !== null) bytes.set(packed(address, 4, true), 4);
    else bytes.set(packed(ifindexOf(text), 4), 8);
    return bytes;
  };
}
