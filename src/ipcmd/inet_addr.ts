/** How the `ip` language writes addresses: shorthand IPv4 prefixes, IPv6 as far as it must be told apart, link-layer addresses. */
import { isIPv6 } from 'node:net';
import { AF_INET, AF_INET6, AF_PACKET, AF_UNSPEC } from '../uapi/socket.js';
import { getUnsigned, type IpContext } from './utils.js';

/** An address or a prefix (`inet_prefix`). */
export interface InetPrefix {
  /** AF_UNSPEC for `default` where no family was named. */
  readonly family: number;
  /** IPv4 address, host order; 0 for IPv6, which this stack only recognizes. */
  readonly addr: number;
  readonly bitlen: number;
  /** No address at all: `default`, `any`, `all`. */
  readonly wildcard: boolean;
  /** The prefix length was written. */
  readonly explicitLength: boolean;
}

/** Four numbers of any base, the last ones left out where they are zero: `10`, `10.9`, `0x0a.9.0.2`. */
export function parseInet4(text: string): number | null {
  const parts = text.split('.');
  if (parts.length > 4) return null;
  let addr = 0;
  for (let i = 0; i < 4; i++) {
    const part = parts[i];
    const n = part === undefined ? 0 : getUnsigned(part, 255);
    if (n === null) return null;
    addr = ((addr << 8) | n) >>> 0;
  }
  return addr;
}

function bitsOf(family: number): number {
  return family === AF_INET6 ? 128 : 32;
}

/** Bits of a netmask, null where its ones are not in front. */
function maskBits(mask: number): number | null {
  const bits = Math.clz32(~mask >>> 0);
  return (mask << bits) >>> 0 === 0 || bits === 32 ? bits : null;
}

/** `24`, or `255.255.255.0`. */
function prefixLength(text: string): number | null {
  const length = getUnsigned(text);
  if (length !== null) return length;
  const mask = parseInet4(text);
  return mask === null ? null : maskBits(mask);
}

function parseAddress(text: string, family: number): { family: number; addr: number } | null {
  if (text.includes(':')) {
    if (family !== AF_UNSPEC && family !== AF_INET6) return null;
    return isIPv6(text) ? { family: AF_INET6, addr: 0 } : null;
  }
  if (family !== AF_UNSPEC && family !== AF_INET) return null;
  const addr = parseInet4(text);
  return addr === null ? null : { family: AF_INET, addr };
}

const WILDCARDS: readonly string[] = ['default', 'any', 'all'];

/** An address with or without a prefix length; null where it is none (`get_prefix_1`). */
export function parsePrefix(text: string, family: number): InetPrefix | null {
  if (WILDCARDS.includes(text)) return { family, addr: 0, bitlen: 0, wildcard: true, explicitLength: true };
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  if (WILDCARDS.includes(host)) {
    const length = prefixLength(text.slice(slash + 1));
    return length === null || length > bitsOf(family)
      ? null
      : { family, addr: 0, bitlen: length, wildcard: true, explicitLength: true };
  }
  const address = parseAddress(host, family);
  if (address === null) return null;
  const bits = bitsOf(address.family);
  if (slash < 0) return { ...address, bitlen: bits, wildcard: false, explicitLength: false };
  const length = prefixLength(text.slice(slash + 1));
  return length === null || length > bits
    ? null
    : { ...address, bitlen: length, wildcard: false, explicitLength: true };
}

function familyName(family: number): string {
  if (family === AF_UNSPEC) return 'any valid';
  return family === AF_INET ? 'inet' : family === AF_INET6 ? 'inet6' : family === AF_PACKET ? 'link' : '???';
}

/** A prefix that must be one (`get_prefix`). */
export function getPrefix(context: IpContext, text: string, family: number): InetPrefix {
  return (
    (family === AF_PACKET ? null : parsePrefix(text, family)) ??
    context.fail(1, `Error: ${familyName(family)} prefix is expected rather than "${text}".`)
  );
}

/** An address that must be one (`get_addr`). */
export function getAddr(context: IpContext, text: string, family: number): InetPrefix {
  const address = WILDCARDS.includes(text)
    ? { family, addr: 0 }
    : family === AF_PACKET
      ? null
      : parseAddress(text, family);
  if (address === null)
    return context.fail(1, `Error: ${familyName(family)} address is expected rather than "${text}".`);
  return {
    ...address,
    bitlen: bitsOf(address.family),
    wildcard: WILDCARDS.includes(text),
    explicitLength: false,
  };
}

/** Whether the first `bitlen` bits are equal. */
export function addrMatch(a: number, b: number, bitlen: number): boolean {
  return bitlen === 0 || (a ^ b) >>> (32 - bitlen) === 0;
}

/** A link-layer address of up to `max` bytes, or the four bytes of a dotted address (`ll_addr_a2n`). */
export function llAddrA2n(context: IpContext, text: string, max = 32): Uint8Array {
  const invalid = (part: string) => context.fail(1, `"${part}" is invalid lladdr.`);
  if (text.includes('.')) {
    const addr = parseInet4(text) ?? invalid(text);
    return Uint8Array.of(addr >>> 24, addr >>> 16, addr >>> 8, addr);
  }
  const parts = text.split(':').slice(0, max);
  // Each part is read as sscanf("%x") does: blanks and 0x may stand in front, anything may follow.
  return Uint8Array.from(parts, (part) => {
    const digits = /^\s*(?:0[xX])?([0-9a-fA-F]+)/.exec(part)?.[1];
    const value = digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
    return value <= 255 ? value : invalid(part);
  });
}

export function llAddrN2a(addr: Uint8Array): string {
  return Array.from(addr, (b) => b.toString(16).padStart(2, '0')).join(':');
}
