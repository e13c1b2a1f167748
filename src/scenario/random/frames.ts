/** Frames that a neighbour puts on the wire, as hex for `inject`. */

import { parseIPv4 } from '../../uapi/in.js';
import { put16, put32 } from '../../wire/bytes.js';
import { csumFold, csumPartial, csumTcpudpMagic } from '../../wire/checksum.js';

export const OUR_MAC = '020000000902';
export const GATEWAY_MAC = '020000000901';
export const BROADCAST_MAC = 'ffffffffffff';

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
function addr(text: string): number {
  return parseIPv4(text) ?? 0;
}

/** The MAC that multicast of a group goes to. */
export function multicastMac(group: string): string {
  return `01005e${(addr(group) & 0x7fffff).toString(16).padStart(6, '0')}`;
}

export function ethernet(type: number, payload: string, dst = OUR_MAC, src = GATEWAY_MAC): string {
  return dst + src + type.toString(16).padStart(4, '0') + payload;
}

export interface ArpFields {
  readonly op: number;
  readonly senderMac?: string;
  readonly sender: string;
  readonly targetMac?: string;
  readonly target: string;
  readonly dst?: string;
}

export function arp(f: ArpFields): string {
  const senderMac = f.senderMac ?? GATEWAY_MAC;
  const ips = [f.sender, f.target].map((ip) => addr(ip).toString(16).padStart(8, '0'));
  const body = `000108000604${f.op.toString(16).padStart(4, '0')}${senderMac}${ips[0]}${f.targetMac ?? '000000000000'}${ips[1]}`;
  return ethernet(0x0806, body, f.dst ?? (f.op === 1 ? BROADCAST_MAC : OUR_MAC), senderMac);
}

export interface IpFields {
  readonly saddr: string;
  readonly daddr: string;
  readonly protocol: number;
  /** Hex. */
  readonly payload: string;
  readonly tos?: number;
  readonly ttl?: number;
  readonly id?: number;
  /** The word of flags and offset. */
  readonly fragOff?: number;
  /** Hex, a multiple of four bytes. */
  readonly options?: string;
  /** Total length, where it is to lie. */
  readonly totLen?: number;
  /** Added to the right checksum. */
  readonly checkError?: number;
}

export function ipv4Packet(f: IpFields): Uint8Array {
  const options = Buffer.from(f.options ?? '', 'hex');
  const payload = Buffer.from(f.payload, 'hex');
  const headerLen = 20 + options.length;
  const b = new Uint8Array(headerLen + payload.length);
  b[0] = 0x40 | (headerLen / 4);
  b[1] = f.tos ?? 0;
  put16(b, 2, f.totLen ?? b.length);
  put16(b, 4, f.id ?? 0x1234);
  put16(b, 6, f.fragOff ?? 0);
  b[8] = f.ttl ?? 64;
  b[9] = f.protocol;
  put32(b, 12, addr(f.saddr));
  put32(b, 16, addr(f.daddr));
  b.set(options, 20);
  b.set(payload, headerLen);
  put16(b, 10, (csumFold(csumPartial(b, 0, headerLen, 0)) + (f.checkError ?? 0)) & 0xffff);
  return b;
}

export function ipv4Frame(f: IpFields, dst = OUR_MAC, src = GATEWAY_MAC): string {
  return ethernet(0x0800, toHex(ipv4Packet(f)), dst, src);
}

export interface UdpFields {
  readonly saddr: string;
  readonly daddr: string;
  readonly sport: number;
  readonly dport: number;
  /** Hex. */
  readonly payload: string;
  readonly protocol?: 17 | 136;
  readonly check?: 'right' | 'wrong' | 'none';
  /** The length (or coverage) field, where it is not the whole. */
  readonly len?: number;
}

/** A UDP or UDP-Lite header and payload, as hex. */
export function udpDatagram(f: UdpFields): string {
  const payload = Buffer.from(f.payload, 'hex');
  const b = new Uint8Array(8 + payload.length);
  put16(b, 0, f.sport);
  put16(b, 2, f.dport);
  put16(b, 4, f.len ?? b.length);
  b.set(payload, 8);
  if (f.check === 'none') return toHex(b);
  const protocol = f.protocol ?? 17;
  const covered =
    protocol === 136 && f.len !== undefined && f.len >= 8 ? Math.min(f.len, b.length) : b.length;
  const sum = csumPartial(b, 0, covered, 0);
  const check = csumTcpudpMagic(addr(f.saddr), addr(f.daddr), b.length, protocol, sum) || 0xffff;
  put16(b, 6, f.check === 'wrong' ? check ^ 0x0101 : check);
  return toHex(b);
}

export function udpFrame(f: UdpFields, ip: Partial<IpFields> = {}, dst = OUR_MAC): string {
  const packet = {
    saddr: f.saddr,
    daddr: f.daddr,
    protocol: f.protocol ?? 17,
    payload: udpDatagram(f),
    ...ip,
  };
  return ipv4Frame(packet, dst);
}

/** An ICMP message as hex: `rest` is the second word, `data` what follows it. */
export function icmpMessage(type: number, code: number, rest: number, data: string, checkError = 0): string {
  const body = Buffer.from(data, 'hex');
  const b = new Uint8Array(8 + body.length);
  b[0] = type;
  b[1] = code;
  put32(b, 4, rest >>> 0);
  b.set(body, 8);
  put16(b, 2, (csumFold(csumPartial(b, 0, b.length, 0)) + checkError) & 0xffff);
  return toHex(b);
}

/** The start of one of our datagrams, as an ICMP error quotes it. */
export function quoteUdp(f: UdpFields, quotedBytes: number, ip: Partial<IpFields> = {}): string {
  const payload = udpDatagram({ check: 'none', ...f });
  const packet = ipv4Packet({
    saddr: f.saddr,
    daddr: f.daddr,
    protocol: f.protocol ?? 17,
    payload,
    fragOff: 0x4000,
    ...ip,
  });
  return toHex(packet.subarray(0, Math.min(packet.length, quotedBytes)));
}

/** An IGMP query as hex: `rest` is what version 3 has behind the group. */
export function igmpQuery(group: string, maxResponse: number, rest: string): string {
  const tail = Buffer.from(rest, 'hex');
  const b = new Uint8Array(8 + tail.length);
  b[0] = 0x11;
  b[1] = maxResponse;
  put32(b, 4, addr(group));
  b.set(tail, 8);
  put16(b, 2, csumFold(csumPartial(b, 0, b.length, 0)));
  return toHex(b);
}
