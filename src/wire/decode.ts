/** One line of text a frame, for people. It never throws, whatever the bytes are. */
import { formatIPv4 } from '../uapi/in.js';
import * as arp from './arp.js';
import { get16, get32 } from './bytes.js';
import * as ethernet from './ethernet.js';
import * as icmp from './icmp.js';
import * as igmp from './igmp.js';
import * as ipoptions from './ipoptions.js';
import * as ipv4 from './ipv4.js';
import * as udp from './udp.js';
import {
  arpOperationName,
  ETH_P_ARP,
  ETH_P_IP,
  etherTypeName,
  hexNumber,
  icmpName,
  igmpRecordName,
  type LinkType,
  PROTO_ICMP,
  PROTO_IGMP,
  protocolName,
} from './words.js';

/** How to read the bytes. */
export interface DecodeOptions {
  /** `ethernet` where absent. */
  readonly link?: LinkType;
  /** The UDP checksum was left to the device (CSUM-2): the field is not judged. */
  readonly partialChecksum?: boolean;
}

/** Lists longer than this end in `…`; hostile frames can hold thousands of sources. */
const MAX_LISTED = 8;

/**
 * Describes a frame in one line, e.g. `udp  10.9.0.2:40112 > 10.9.0.1:9000  len 5  tos 0x10 ttl 64 id 0x41a2 DF`.
 * TOS is left out when 0; wrong checksums, bytes behind the packet and malformed headers are named.
 */
export function decodeFrame(
  bytes: Uint8Array,
  { link = 'ethernet', partialChecksum = false }: DecodeOptions = {},
): string {
  if (link === 'ip') return decodeIp(bytes, 0, bytes.length, partialChecksum);
  const len = bytes.length;
  if (len < ethernet.HEADER_LEN) return `eth  truncated: ${len} bytes`;
  const type = ethernet.etherType(bytes, 0);
  const at = ethernet.HEADER_LEN;
  if (type === ETH_P_ARP) return decodeArp(bytes, at, len - at);
  if (type === ETH_P_IP) return decodeIp(bytes, at, len - at, partialChecksum);
  const name = etherTypeName(type) ?? `type ${hexNumber(type, 4)}`;
  const [src, dst] = [
    ethernet.formatMac(bytes, ethernet.SOURCE),
    ethernet.formatMac(bytes, ethernet.DESTINATION),
  ];
  return `eth  ${src} > ${dst}  ${name} len ${len - at}`;
}

function decodeArp(b: Uint8Array, off: number, len: number): string {
  const repr = arp.parse(b, off, len);
  if (typeof repr === 'string') return `arp  ${repr}: ${len} bytes`;
  const sender = formatIPv4(repr.senderIp);
  const target = formatIPv4(repr.targetIp);
  if (repr.operation === arp.OP_REQUEST) return `arp  who-has ${target} tell ${sender}`;
  const is =
    repr.operation === arp.OP_REPLY ? 'is-at' : `${arpOperationName(repr.operation)} target ${target} from`;
  return `arp  ${sender} ${is} ${ethernet.formatMac(repr.senderMac)}`;
}

function decodeIp(b: Uint8Array, off: number, len: number, partial: boolean): string {
  const verdict = ipv4.checkBounds(b, off, len);
  if (verdict !== 'ok' && verdict !== 'bad-checksum') return `ip   ${verdict}: ${len} bytes`;
  // A wrong checksum is no reason to hide the rest, but then the lengths are yet unproven.
  if (verdict !== 'ok') {
    const total = ipv4.totLen(b, off);
    if (total > len || total < ipv4.headerLen(b, off)) return `ip   ${verdict}: ${len} bytes`;
  }
  const header = ipv4.headerLen(b, off);
  const total = ipv4.totLen(b, off);
  let tail = describeHeader(b, off);
  if (verdict !== 'ok') tail += `  ip checksum ${wrong(ipv4.check(b, off), ipv4.expectedCheck(b, off))}`;
  if (total < len) tail += `  +${len - total} bytes`;
  return `${decodeTransport(b, off, off + header, total - header, partial)}  ${tail}`;
}

/** `tos 0x10 ttl 64 id 0x41a2 DF  options RR ^0.0.0.0`. */
function describeHeader(b: Uint8Array, off: number): string {
  const tos = ipv4.tos(b, off);
  const flags = ipv4.fragOff(b, off);
  let text = tos === 0 ? '' : `tos ${hexNumber(tos, 2)} `;
  text += `ttl ${ipv4.ttl(b, off)} id ${hexNumber(ipv4.id(b, off), 4)}`;
  if (flags & ipv4.IP_CE) text += ' CE';
  if (flags & ipv4.IP_DF) text += ' DF';
  if (ipv4.isFragment(b, off)) {
    text += `  frag @${ipv4.fragOffsetBytes(b, off)}${flags & ipv4.IP_MF ? '+' : ' last'}`;
  }
  const optionsLen = ipv4.headerLen(b, off) - ipv4.HEADER_LEN;
  if (optionsLen > 0) text += `  options ${ipoptions.formatAll(b, off + ipv4.OPTIONS, optionsLen)}`;
  return text;
}

function wrong(is: number, should: number): string {
  return `${hexNumber(is, 4)} wrong, should be ${hexNumber(should, 4)}`;
}

/** The part before the IP header's own facts: who to whom, and what. `len` bytes of payload at `at`. */
function decodeTransport(b: Uint8Array, ip: number, at: number, len: number, partial: boolean): string {
  const protocol = ipv4.protocol(b, ip);
  const name = protocolName(protocol);
  const hosts = `${formatIPv4(ipv4.saddr(b, ip))} > ${formatIPv4(ipv4.daddr(b, ip))}`;
  if (ipv4.fragOffsetBytes(b, ip) !== 0) return `${name.padEnd(4)} ${hosts}  ${len} bytes`;
  if (protocol === udp.PROTO_UDP || protocol === udp.PROTO_UDPLITE) {
    return decodeUdp(b, ip, at, len, protocol, partial);
  }
  const whole = !ipv4.isFragment(b, ip);
  if (protocol === PROTO_ICMP) return `icmp ${hosts}  ${decodeIcmp(b, at, len, whole)}`;
  if (protocol === PROTO_IGMP) return `igmp ${hosts}  ${decodeIgmp(b, at, len)}`;
  return `ip   ${hosts}  ${name} len ${len}`;
}

function decodeUdp(
  b: Uint8Array,
  ip: number,
  at: number,
  len: number,
  protocol: 17 | 136,
  partial: boolean,
): string {
  const name = protocolName(protocol).padEnd(4);
  const [saddr, daddr] = [ipv4.saddr(b, ip), ipv4.daddr(b, ip)];
  if (len < udp.HEADER_LEN)
    return `${name} ${formatIPv4(saddr)} > ${formatIPv4(daddr)}  truncated: ${len} bytes`;
  const ends = `${formatIPv4(saddr)}:${udp.source(b, at)} > ${formatIPv4(daddr)}:${udp.dest(b, at)}`;
  const field = udp.len(b, at);
  const lite = protocol === udp.PROTO_UDPLITE;
  let text = `${name} ${ends}  len ${(lite ? len : field) - udp.HEADER_LEN}`;
  if (lite && field !== len) text += ` coverage ${field}`;
  if (ipv4.isFragment(b, ip)) return text;
  const check = udp.check(b, at);
  const expected = udp.expectedCheck(b, at, len, { saddr, daddr, protocol });
  if (expected === null) return `${text}  bad length: ${len} bytes are there`;
  if (!lite && field < len) text += ` (+${len - field} bytes)`;
  if (check === 0 && !lite) return `${text}  no checksum`;
  return check === expected || partial ? text : `${text}  checksum ${wrong(check, expected)}`;
}

function decodeIcmp(b: Uint8Array, at: number, len: number, whole: boolean): string {
  if (len < icmp.HEADER_LEN) return `truncated: ${len} bytes`;
  const type = icmp.type(b, at);
  const code = icmp.code(b, at);
  let text = icmpName(type, code);
  if (type === icmp.ICMP_ECHO || type === icmp.ICMP_ECHOREPLY) {
    text += ` id ${icmp.echoId(b, at)} seq ${icmp.echoSequence(b, at)} len ${len - icmp.HEADER_LEN}`;
  }
  if (type === icmp.ICMP_DEST_UNREACH && code === icmp.ICMP_FRAG_NEEDED) text += ` mtu ${icmp.mtu(b, at)}`;
  if (type === icmp.ICMP_REDIRECT) text += ` to ${formatIPv4(icmp.gateway(b, at))}`;
  if (type === icmp.ICMP_PARAMETERPROB) text += ` at byte ${icmp.pointer(b, at)}`;
  if (icmp.isError(type)) text += ` for ${describeQuote(b, at + icmp.DATA, len - icmp.HEADER_LEN)}`;
  if (!whole) return text;
  const expected = icmp.expectedCheck(b, at, len);
  return expected === icmp.checksum(b, at)
    ? text
    : `${text}  checksum ${wrong(icmp.checksum(b, at), expected)}`;
}

/** The datagram that an error is about, which is nearly always cut short. */
function describeQuote(b: Uint8Array, at: number, len: number): string {
  if (len < ipv4.HEADER_LEN || ipv4.version(b, at) !== 4) return `${len} bytes`;
  const protocol = ipv4.protocol(b, at);
  const header = ipv4.headerLen(b, at);
  const ports =
    (protocol === udp.PROTO_UDP || protocol === udp.PROTO_UDPLITE) &&
    header >= ipv4.HEADER_LEN &&
    len >= header + 4 &&
    ipv4.fragOffsetBytes(b, at) === 0;
  const [from, to] = ports ? [`:${get16(b, at + header)}`, `:${get16(b, at + header + 2)}`] : ['', ''];
  return `${protocolName(protocol)} ${formatIPv4(ipv4.saddr(b, at))}${from} > ${formatIPv4(ipv4.daddr(b, at))}${to}`;
}

function decodeIgmp(b: Uint8Array, at: number, len: number): string {
  const repr = igmp.parse(b, at, len);
  if (typeof repr === 'string')
    return `${repr}: ${len} bytes${len >= 8 ? ` of type ${hexNumber(b[at]!, 2)}` : ''}`;
  switch (repr.kind) {
    case 'query': {
      const about = repr.group === 0 ? 'general' : formatIPv4(get32(b, at + igmp.GROUP));
      const sources = repr.sources.length === 0 ? '' : ` ${formatList(repr.sources)}`;
      return `v${repr.version} query ${about}${sources}`;
    }
    case 'report':
      return `v${repr.version} report ${formatIPv4(repr.group)}`;
    case 'leave':
      return `leave ${formatIPv4(repr.group)}`;
    case 'report3': {
      const records = repr.records
        .slice(0, MAX_LISTED)
        .map((r) => `${formatIPv4(r.group)} ${igmpRecordName(r.type)} ${formatList(r.sources)}`);
      if (repr.records.length > MAX_LISTED) records.push(`… ${repr.records.length} records`);
      return `v3 report ${records.join(', ')}`;
    }
  }
}

function formatList(addresses: readonly number[]): string {
  const shown = addresses.slice(0, MAX_LISTED).map(formatIPv4).join(' ');
  return `{${shown}${addresses.length > MAX_LISTED ? ` … ${addresses.length} in all` : ''}}`;
}
