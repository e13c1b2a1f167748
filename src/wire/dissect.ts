/** A frame as a flat list of its header fields, in wire order: what a comparison shows side by side. */
import { formatIPv4 } from '../uapi/in.js';
import * as arp from './arp.js';
import { get16, get32 } from './bytes.js';
import type { DecodeOptions } from './decode.js';
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
  PROTO_ICMP,
  PROTO_IGMP,
  protocolName,
} from './words.js';

/** One field. Fields that share a byte (version and header length) both name it. */
export interface FieldNode {
  /** `ip.tos`, `udp.check`, `payload`; inside the datagram quoted by an ICMP error `quote.ip.tos`. */
  readonly name: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly text: string;
}

/** Payloads show this many bytes in their text; `diffFrames` shows all that differ. */
const PAYLOAD_TEXT_BYTES = 16;
/** An ICMP error may quote an ICMP error that quotes …; what is deeper is shown as payload. */
const MAX_QUOTES = 2;

/** The fields collected so far, and the bytes that are still unexplained. */
class Walk {
  readonly nodes: FieldNode[] = [];
  prefix = '';
  quotes = 0;

  constructor(
    readonly b: Uint8Array,
    public at: number,
    public end: number,
    readonly partialChecksum: boolean,
  ) {}

  /** True if `lengthBytes` are left; if not, what is left becomes the field `NAME.truncated`. */
  fits(name: string, lengthBytes: number): boolean {
    if (this.at + lengthBytes <= this.end) return true;
    this.rest(`${name}.truncated`);
    return false;
  }

  /** The next field. */
  add(name: string, lengthBytes: number, text: string): void {
    this.nodes.push({ name: this.prefix + name, offsetBytes: this.at, lengthBytes, text });
    this.at += lengthBytes;
  }

  /** Part of the next byte(s), which another field will consume. */
  part(name: string, lengthBytes: number, text: string): void {
    this.nodes.push({ name: this.prefix + name, offsetBytes: this.at, lengthBytes, text });
  }

  byte(name: string): void {
    this.add(name, 1, String(this.b[this.at]!));
  }

  number(name: string): void {
    this.add(name, 2, String(get16(this.b, this.at)));
  }

  hex16(name: string): void {
    this.add(name, 2, hexNumber(get16(this.b, this.at), 4));
  }

  address(name: string): void {
    this.add(name, 4, formatIPv4(get32(this.b, this.at)));
  }

  mac(name: string): void {
    this.add(name, 6, ethernet.formatMac(this.b, this.at));
  }

  /** A checksum field; `expected` null: not judged. */
  check(name: string, expected: number | null): void {
    const is = get16(this.b, this.at);
    const verdict =
      expected === null ? '' : is === expected ? ' right' : ` WRONG, ${hexNumber(expected, 4)} is right`;
    this.add(name, 2, hexNumber(is, 4) + verdict);
  }

  /** All that is left, as bytes. */
  rest(name: string): void {
    const length = this.end - this.at;
    if (length <= 0) return;
    const shown = Buffer.from(this.b.subarray(this.at, Math.min(this.end, this.at + PAYLOAD_TEXT_BYTES)));
    this.add(
      name,
      length,
      `${length} bytes ${shown.toString('hex')}${length > PAYLOAD_TEXT_BYTES ? '…' : ''}`,
    );
  }
}

/** Every field of a frame; the list covers every byte. Never throws. */
export function dissect(
  bytes: Uint8Array,
  { link = 'ethernet', partialChecksum = false }: DecodeOptions = {},
): FieldNode[] {
  const walk = new Walk(bytes, 0, bytes.length, partialChecksum);
  if (link === 'ip') ip(walk);
  else eth(walk);
  walk.rest('trailer');
  return walk.nodes;
}

function eth(walk: Walk): void {
  if (!walk.fits('eth', ethernet.HEADER_LEN)) return;
  const type = ethernet.etherType(walk.b, walk.at);
  walk.mac('eth.dst');
  walk.mac('eth.src');
  walk.add('eth.type', 2, `${hexNumber(type, 4)} ${etherTypeName(type) ?? ''}`.trim());
  if (type === ETH_P_ARP) arpPacket(walk);
  else if (type === ETH_P_IP) ip(walk);
  else walk.rest('payload');
}

function arpPacket(walk: Walk): void {
  if (!walk.fits('arp', arp.PACKET_LEN)) return;
  const { b, at } = walk;
  const usual = typeof arp.parse(b, at, arp.PACKET_LEN) !== 'string';
  walk.number('arp.htype');
  walk.hex16('arp.ptype');
  walk.byte('arp.hlen');
  walk.byte('arp.plen');
  walk.add('arp.op', 2, `${arp.operation(b, at)} ${arpOperationName(arp.operation(b, at))}`);
  if (!usual) {
    walk.rest('arp.addresses');
    return;
  }
  walk.mac('arp.sha');
  walk.address('arp.spa');
  walk.mac('arp.tha');
  walk.address('arp.tpa');
}

function ip(walk: Walk): void {
  if (!walk.fits('ip', ipv4.HEADER_LEN)) return;
  const { b, at: off } = walk;
  const header = ipv4.headerLen(b, off);
  walk.part('ip.version', 1, String(ipv4.version(b, off)));
  walk.add('ip.ihl', 1, `${ipv4.ihl(b, off)} (${header} bytes)`);
  if (ipv4.version(b, off) !== 4 || header < ipv4.HEADER_LEN || off + header > walk.end) {
    walk.rest('ip.malformed');
    return;
  }
  walk.add('ip.tos', 1, hexNumber(ipv4.tos(b, off), 2));
  walk.number('ip.tot_len');
  walk.hex16('ip.id');
  const word = ipv4.fragOff(b, off);
  const flags = [word & ipv4.IP_CE ? 'CE' : '', word & ipv4.IP_DF ? 'DF' : '', word & ipv4.IP_MF ? 'MF' : ''];
  walk.part('ip.flags', 2, flags.filter((f) => f !== '').join(' ') || '-');
  walk.add('ip.frag_off', 2, String(ipv4.fragOffsetBytes(b, off)));
  walk.byte('ip.ttl');
  walk.add('ip.protocol', 1, `${ipv4.protocol(b, off)} ${protocolName(ipv4.protocol(b, off))}`);
  walk.check('ip.check', ipv4.expectedCheck(b, off));
  walk.address('ip.saddr');
  walk.address('ip.daddr');
  for (const option of ipoptions.list(b, walk.at, header - ipv4.HEADER_LEN)) {
    walk.add(`ip.opt.${ipoptions.name(option.type)}`, option.lengthBytes, ipoptions.format(b, option));
  }
  transport(walk, off, header);
}

/** What the IP header at `off` carries, as far as its total length; bytes behind stay for the trailer. */
function transport(walk: Walk, off: number, header: number): void {
  const { b, end } = walk;
  const total = ipv4.totLen(b, off);
  const complete = total >= header && off + total <= end;
  if (complete) walk.end = off + total;
  const protocol = ipv4.protocol(b, off);
  const judged = complete && !ipv4.isFragment(b, off);
  if (ipv4.fragOffsetBytes(b, off) !== 0) walk.rest('payload');
  else if (protocol === udp.PROTO_UDP || protocol === udp.PROTO_UDPLITE)
    datagram(walk, off, protocol, judged);
  else if (protocol === PROTO_ICMP) icmpMessage(walk, judged);
  else if (protocol === PROTO_IGMP) igmpMessage(walk, judged);
  else walk.rest('payload');
  walk.end = end;
}

function datagram(walk: Walk, ipOff: number, protocol: 17 | 136, judged: boolean): void {
  const name = protocolName(protocol);
  if (!walk.fits(name, udp.HEADER_LEN)) return;
  const { b, at } = walk;
  const pseudo = { saddr: ipv4.saddr(b, ipOff), daddr: ipv4.daddr(b, ipOff), protocol };
  const unchecked = protocol === udp.PROTO_UDP && udp.check(b, at) === 0;
  const judge = judged && !unchecked && !walk.partialChecksum;
  walk.number(`${name}.source`);
  walk.number(`${name}.dest`);
  walk.number(protocol === udp.PROTO_UDPLITE ? `${name}.coverage` : `${name}.len`);
  walk.check(`${name}.check`, judge ? udp.expectedCheck(b, at, walk.end - at, pseudo) : null);
  walk.rest('payload');
}

function icmpMessage(walk: Walk, judged: boolean): void {
  if (!walk.fits('icmp', icmp.HEADER_LEN)) return;
  const { b, at } = walk;
  const type = icmp.type(b, at);
  walk.byte('icmp.type');
  walk.add('icmp.code', 1, `${icmp.code(b, at)} (${icmpName(type, icmp.code(b, at))})`);
  walk.check('icmp.checksum', judged ? icmp.expectedCheck(b, at, walk.end - at) : null);
  switch (type) {
    case icmp.ICMP_ECHO:
    case icmp.ICMP_ECHOREPLY:
      walk.number('icmp.id');
      walk.number('icmp.sequence');
      break;
    case icmp.ICMP_REDIRECT:
      walk.address('icmp.gateway');
      break;
    default:
      walk.byte('icmp.pointer');
      walk.byte('icmp.length');
      walk.number('icmp.mtu');
  }
  if (!icmp.isError(type) || walk.quotes >= MAX_QUOTES) {
    walk.rest('payload');
    return;
  }
  const { prefix } = walk;
  walk.prefix = `${prefix}quote.`;
  walk.quotes++;
  ip(walk);
  walk.rest('trailer');
  walk.prefix = prefix;
}

function igmpMessage(walk: Walk, judged: boolean): void {
  if (!walk.fits('igmp', igmp.HEADER_LEN)) return;
  const { b, at } = walk;
  const type = igmp.type(b, at);
  walk.add('igmp.type', 1, hexNumber(type, 2));
  walk.byte('igmp.code');
  walk.check('igmp.csum', judged ? igmp.expectedCheck(b, at, walk.end - at) : null);
  if (type === igmp.V3_MEMBERSHIP_REPORT) {
    igmpRecords(walk);
    return;
  }
  walk.address('igmp.group');
  if (type === igmp.HOST_MEMBERSHIP_QUERY && walk.at + 4 <= walk.end) {
    walk.part('igmp.suppress', 1, String((b[walk.at]! >>> 3) & 1));
    walk.add('igmp.qrv', 1, String(b[walk.at]! & 7));
    walk.byte('igmp.qqic');
    walk.number('igmp.nsrcs');
    while (walk.at + 4 <= walk.end) walk.address('igmp.source');
  }
  walk.rest('payload');
}

function igmpRecords(walk: Walk): void {
  walk.hex16('igmp.resv');
  walk.number('igmp.ngrec');
  while (walk.at + igmp.RECORD_LEN <= walk.end) {
    const { b, at } = walk;
    const sources = get16(b, at + igmp.RECORD_NSRCS);
    const auxWords = b[at + igmp.RECORD_AUXWORDS]!;
    walk.add('igmp.grec.type', 1, `${b[at]!} ${igmpRecordName(b[at]!)}`);
    walk.byte('igmp.grec.auxwords');
    walk.number('igmp.grec.nsrcs');
    walk.address('igmp.grec.mca');
    for (let i = 0; i < sources && walk.at + 4 <= walk.end; i++) walk.address('igmp.grec.source');
    for (let i = 0; i < auxWords && walk.at + 4 <= walk.end; i++) {
      walk.add('igmp.grec.aux', 4, hexNumber(get32(b, walk.at), 8));
    }
  }
  walk.rest('igmp.rest');
}
