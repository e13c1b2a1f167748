/** What a scenario writes as DATA, VALUE and ADDR, as bytes in memory or as a bad address. */

import { BadPointer, type Pointer } from '../socket/memory.js';
import { resolveBig, resolveC, resolveInt } from './constants.js';
import type { Iovec, Msghdr } from './machine.js';
import {
  type Addr,
  type Cmsg,
  type Data,
  type Int,
  type Interface,
  type Message,
  ScenarioError,
  type Value,
} from './types.js';

/** Memory of a call with the length that goes with it. */
export interface Memory {
  readonly pointer: Pointer;
  readonly length: number;
}

/** Answers an interface's index. */
export type IfindexOf = (name: string) => number;

const AF_INET = 2;
const CMSG_HEADER_BYTES = 16;
const IOV_MAX_SHOWN = 1024;
/** Memory behind a value, of a length that lies, is zeroes up to here. */
const MAX_PADDING_BYTES = 1 << 17;

/** Bytes of hex digits; blanks between bytes are allowed. */
export function hexBytes(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, '');
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) throw new ScenarioError(`not hex: '${text}'`);
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

/** An IPv4 address as `inet_aton` reads it (parts may be missing, octal or hex), as four bytes. */
export function inetAton(text: string): Uint8Array {
  const parts = text.split('.');
  const numbers = parts.map((part) =>
    /^(0[xX][0-9a-fA-F]+|\d+)$/.test(part)
      ? /^0\d/.test(part)
        ? /[89]/.test(part)
          ? Number.NaN
          : Number.parseInt(part, 8)
        : Number(part)
      : Number.NaN,
  );
  const last = numbers.pop() ?? Number.NaN;
  const lastLimit = 2 ** (8 * (4 - numbers.length));
  if (parts.length > 4 || !(last < lastLimit) || numbers.some((n) => !(n < 256))) {
    throw new ScenarioError(`not an IPv4 address: '${text}'`);
  }
  const bytes = new Uint8Array(4);
  bytes.set(numbers);
  for (let i = 3, rest = last; i >= numbers.length; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
  return bytes;
}

function isBad(value: unknown): value is { readonly bad: number } {
  return typeof value === 'object' && value !== null && 'bad' in value;
}

function bad(length: number): Memory {
  return { pointer: new BadPointer(length), length };
}

function memory(bytes: Uint8Array): Memory {
  return { pointer: bytes, length: bytes.length };
}

/** The memory of a payload. */
export function data(d: Data): Memory {
  return isBad(d) ? bad(d.bad) : memory(dataBytes(d));
}

function dataBytes(d: Data): Uint8Array {
  if (typeof d === 'string') return hexBytes(d);
  if (Array.isArray(d)) return Buffer.concat((d as readonly Data[]).map(dataBytes));
  if ('fill' in d) return new Uint8Array(d.len).fill(d.fill);
  if ('seq' in d) return Uint8Array.from({ length: d.seq }, (_, i) => i & 255);
  if ('ascii' in d) return new TextEncoder().encode(d.ascii);
  throw new ScenarioError('a bad address must be the whole of a payload, not a part');
}

/** Little endian, the byte order of every machine this runs on. */
function fixed(value: Int, bytes: number, signed: boolean, bigEndian = false): Uint8Array {
  const number = resolveBig(value);
  const wrapped = signed ? BigInt.asIntN(bytes * 8, number) : BigInt.asUintN(bytes * 8, number);
  if (wrapped !== number) {
    throw new ScenarioError(`${number} does not fit ${signed ? 'i' : 'u'}${bytes * 8}`);
  }
  const out = new Uint8Array(bytes);
  for (let i = 0, rest = BigInt.asUintN(64, number); i < bytes; i++, rest >>= 8n) {
    out[bigEndian ? bytes - 1 - i : i] = Number(rest & 255n);
  }
  return out;
}

function interfaceBytes(which: Interface, ifindex: IfindexOf): Uint8Array {
  return fixed(typeof which === 'string' ? ifindex(which) : which, 4, true);
}

/** The bytes of a value that is no bad address. */
export function valueBytes(v: Value, ifindex: IfindexOf): Uint8Array {
  if (typeof v !== 'object') {
    const number = resolveBig(v);
    return fixed(v, 4, number < 1n << 31n);
  }
  if (Array.isArray(v))
    return Buffer.concat((v as readonly Value[]).map((part) => valueBytes(part, ifindex)));
  const value = v as Exclude<Value, number | boolean | string | readonly Value[]>;
  if ('u8' in value) return fixed(value.u8, 1, false);
  if ('u16' in value) return fixed(value.u16, 2, false);
  if ('i32' in value) return fixed(value.i32, 4, true);
  if ('u32' in value) return fixed(value.u32, 4, false);
  if ('u64' in value) return fixed(value.u64, 8, false);
  if ('be16' in value) return fixed(value.be16, 2, false, true);
  if ('be32' in value) return fixed(value.be32, 4, false, true);
  if ('hex' in value) return hexBytes(value.hex);
  if ('str' in value) return new TextEncoder().encode(value.str);
  if ('ip' in value) return inetAton(value.ip);
  if ('ifindex' in value) return interfaceBytes(value.ifindex, ifindex);
  if ('pktinfo' in value) {
    const { ifindex: index = 0, spec_dst = '0.0.0.0', addr: to = '0.0.0.0' } = value.pktinfo;
    return Buffer.concat([interfaceBytes(index, ifindex), inetAton(spec_dst), inetAton(to)]);
  }
  if ('mreqn' in value) {
    const { multiaddr = '0.0.0.0', address = '0.0.0.0', ifindex: index = 0 } = value.mreqn;
    return Buffer.concat([inetAton(multiaddr), inetAton(address), interfaceBytes(index, ifindex)]);
  }
  throw new ScenarioError('a bad address must be the whole of a value, not a part');
}

/** The memory of an option's value; absent or null is a null pointer. */
export function value(v: Value | null | undefined, ifindex: IfindexOf): Memory {
  if (v === null || v === undefined) return { pointer: null, length: 0 };
  return isBad(v) ? bad(v.bad) : memory(valueBytes(v, ifindex));
}

/** The memory of a socket address. */
export function addr(a: Addr | undefined): Memory {
  if (a === null || a === undefined) return { pointer: null, length: 0 };
  if (isBad(a)) return bad(a.bad);
  if (typeof a === 'string') {
    const colon = a.lastIndexOf(':');
    const port = a.slice(colon + 1).trim();
    if (colon < 0 || !/^\d+$/.test(port)) throw new ScenarioError(`not an address and port: '${a}'`);
    return sockaddrIn(AF_INET, Number(port), a.slice(0, colon));
  }
  if ('hex' in a) return memory(hexBytes(a.hex));
  return sockaddrIn(a.family ?? AF_INET, a.port, a.ip);
}

function sockaddrIn(family: Int, port: number, ip: string): Memory {
  return memory(
    Buffer.concat([fixed(family, 2, false), fixed(port, 2, false, true), inetAton(ip), new Uint8Array(8)]),
  );
}

/** A socket address as text: `1.2.3.4:port`, hex for another family or length, null for none. */
export function showAddr(bytes: Uint8Array): string | null {
  if (bytes.length >= 8 && (bytes[0]! | (bytes[1]! << 8)) === AF_INET) {
    return `${bytes.subarray(4, 8).join('.')}:${(bytes[2]! << 8) | bytes[3]!}`;
  }
  return bytes.length === 0 ? null : Buffer.from(bytes).toString('hex');
}

/** A buffer of control messages, each padded to 8 bytes. */
export function cmsgsBytes(cmsgs: readonly Cmsg[], ifindex: IfindexOf): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const cmsg of cmsgs) {
    const body = cmsg.data === undefined ? new Uint8Array(0) : valueBytes(cmsg.data, ifindex);
    parts.push(
      fixed(cmsg.len ?? CMSG_HEADER_BYTES + body.length, 8, false),
      fixed(resolveC(cmsg.level), 4, true),
      fixed(resolveC(cmsg.type), 4, true),
      body,
      new Uint8Array(-body.length & 7),
    );
  }
  return Buffer.concat(parts);
}

/** A `struct msghdr` of a message to send. */
export function msghdr(m: Message, ifindex: IfindexOf): Msghdr {
  const iov: Iovec[] = (m.iov ?? []).map((d) => {
    const { pointer, length } = data(d);
    return { base: pointer, len: length };
  });
  const iovlen = m.iovlen === undefined ? iov.length : exact(m.iovlen);
  while (iov.length < iovlen && iov.length < IOV_MAX_SHOWN) iov.push({ base: null, len: 0 });
  const name = addr(m.name);
  const namelen = m.namelen === undefined ? name.length : resolveC(m.namelen);
  const control = m.control_hex === undefined ? cmsgsBytes(m.cmsgs ?? [], ifindex) : hexBytes(m.control_hex);
  const controllen = m.controllen === undefined ? control.length : exact(m.controllen);
  return {
    name: padded(name.pointer, namelen),
    namelen,
    iov,
    iovlen,
    control: controllen === 0 ? null : padded(control, Number(controllen)),
    controllen,
    flags: 0,
  };
}

/** A `size_t` of a message: unsigned, a bigint past 53 bits. */
function exact(length: Int): number | bigint {
  const number = resolveBig(length);
  if (BigInt.asUintN(64, number) !== number) throw new ScenarioError(`${number} does not fit u64`);
  return number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : number;
}

/** Memory for a call whose length says more than there is: zeroes follow. */
export function padded(pointer: Pointer, length: number): Pointer {
  if (!(pointer instanceof Uint8Array) || length <= pointer.length) return pointer;
  const longer = new Uint8Array(Math.min(length, Math.max(MAX_PADDING_BYTES, pointer.length)));
  longer.set(pointer);
  return longer;
}

/** A length argument of a call. */
export function lengthOr(len: Int | undefined, otherwise: number): number {
  return len === undefined ? otherwise : resolveInt(len);
}
