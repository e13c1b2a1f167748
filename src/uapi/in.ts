/** IPv4 numbers and addresses: `linux/in.h`, `linux/udp.h`. An address is an unsigned 32-bit number in host order. */
import ipaddr from 'ipaddr.js';

export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_IGMP = 2;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_UDPLITE = 136;
export const IPPROTO_RAW = 255;
export const IPPROTO_MPTCP = 262;
export const IPPROTO_MAX = 263;

export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_HDRINCL = 3;
export const IP_OPTIONS = 4;
export const IP_ROUTER_ALERT = 5;
export const IP_RECVOPTS = 6;
export const IP_RETOPTS = 7;
export const IP_PKTINFO = 8;
export const IP_PKTOPTIONS = 9;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVERR = 11;
export const IP_RECVTTL = 12;
export const IP_RECVTOS = 13;
export const IP_MTU = 14;
export const IP_FREEBIND = 15;
export const IP_IPSEC_POLICY = 16;
export const IP_XFRM_POLICY = 17;
export const IP_PASSSEC = 18;
export const IP_TRANSPARENT = 19;
export const IP_RECVORIGDSTADDR = 20;
export const IP_MINTTL = 21;
export const IP_NODEFRAG = 22;
export const IP_CHECKSUM = 23;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IP_RECVFRAGSIZE = 25;
export const IP_RECVERR_RFC4884 = 26;
export const IP_MULTICAST_IF = 32;
export const IP_MULTICAST_TTL = 33;
export const IP_MULTICAST_LOOP = 34;
export const IP_ADD_MEMBERSHIP = 35;
export const IP_DROP_MEMBERSHIP = 36;
export const IP_UNBLOCK_SOURCE = 37;
export const IP_BLOCK_SOURCE = 38;
export const IP_ADD_SOURCE_MEMBERSHIP = 39;
export const IP_DROP_SOURCE_MEMBERSHIP = 40;
export const IP_MSFILTER = 41;
export const MCAST_JOIN_GROUP = 42;
export const MCAST_BLOCK_SOURCE = 43;
export const MCAST_UNBLOCK_SOURCE = 44;
export const MCAST_LEAVE_GROUP = 45;
export const MCAST_JOIN_SOURCE_GROUP = 46;
export const MCAST_LEAVE_SOURCE_GROUP = 47;
export const MCAST_MSFILTER = 48;
export const IP_MULTICAST_ALL = 49;
export const IP_UNICAST_IF = 50;
export const IP_LOCAL_PORT_RANGE = 51;
export const IP_PROTOCOL = 52;

/** Filter modes of a multicast membership. */
export const MCAST_EXCLUDE = 0;
export const MCAST_INCLUDE = 1;

export const IP_PMTUDISC_DONT = 0;
export const IP_PMTUDISC_WANT = 1;
export const IP_PMTUDISC_DO = 2;
export const IP_PMTUDISC_PROBE = 3;
export const IP_PMTUDISC_INTERFACE = 4;
export const IP_PMTUDISC_OMIT = 5;

export const UDP_CORK = 1;
export const UDP_ENCAP = 100;
export const UDP_NO_CHECK6_TX = 101;
export const UDP_NO_CHECK6_RX = 102;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;
export const UDPLITE_SEND_CSCOV = 10;
export const UDPLITE_RECV_CSCOV = 11;

export const INADDR_ANY = 0;
export const INADDR_LOOPBACK = 0x7f000001;
export const INADDR_BROADCAST = 0xffffffff;
export const INADDR_ALLHOSTS_GROUP = 0xe0000001;

/** 224.0.0.0/4 */
export function ipv4IsMulticast(addr: number): boolean {
  return addr >>> 28 === 0xe;
}
/** 224.0.0.0/24 */
export function ipv4IsLocalMulticast(addr: number): boolean {
  return addr >>> 8 === 0xe00000;
}
/** 127.0.0.0/8 */
export function ipv4IsLoopback(addr: number): boolean {
  return addr >>> 24 === 127;
}
/** 255.255.255.255 */
export function ipv4IsLbcast(addr: number): boolean {
  return addr === INADDR_BROADCAST;
}
/** Exactly 0.0.0.0: the class 0/8 has been ordinary unicast since 5.3. */
export function ipv4IsZeronet(addr: number): boolean {
  return addr === 0;
}

/** Netmask of a prefix length 0..32, as an unsigned number. */
export function inetMakeMask(prefixLen: number): number {
  return prefixLen === 0 ? 0 : (0xffffffff << (32 - prefixLen)) >>> 0;
}

const DOT = 46;
const DIGIT_0 = 48;

/** Parses a dotted quad; null when it is none. */
export function parseIPv4(text: string): number | null {
  const plain = plainQuad(text);
  if (plain >= 0) return plain;
  if (!ipaddr.IPv4.isValidFourPartDecimal(text)) return null;
  const part = text.split('.');
  return ((Number(part[0]) << 24) | (Number(part[1]) << 16) | (Number(part[2]) << 8) | Number(part[3])) >>> 0;
}

/** A dotted quad of four plain numbers; -1 for all else. Senders name an address with every datagram. */
function plainQuad(text: string): number {
  const length = text.length;
  let address = 0;
  let part = -1;
  let dots = 0;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (part < 0 || ++dots > 3) return -1;
      address = address * 256 + part;
      part = -1;
      continue;
    }
    const digit = code - DIGIT_0;
    // A leading zero would be octal to some.
    if (digit < 0 || digit > 9 || part === 0) return -1;
    part = part < 0 ? digit : part * 10 + digit;
    if (part > 255) return -1;
  }
  return dots === 3 && part >= 0 ? address * 256 + part : -1;
}

/** A dotted quad. */
export function formatIPv4(addr: number): string {
  return `${addr >>> 24}.${(addr >>> 16) & 255}.${(addr >>> 8) & 255}.${addr & 255}`;
}
