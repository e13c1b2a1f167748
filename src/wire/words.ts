/** The numbers of headers in words, shared by `decode.ts` and `dissect.ts`. */
import * as arp from './arp.js';
import * as icmp from './icmp.js';
import * as igmp from './igmp.js';

/** How the bytes begin: an Ethernet header, or (TUN) the IP header at once. */
export type LinkType = 'ethernet' | 'ip';

export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;

const ETHER_TYPES: Readonly<Record<number, string>> = {
  [ETH_P_IP]: 'IPv4',
  [ETH_P_ARP]: 'ARP',
  34525: 'IPv6',
  33024: 'VLAN',
};

export const PROTO_ICMP = 1;
export const PROTO_IGMP = 2;

const PROTOCOLS: Readonly<Record<number, string>> = {
  [PROTO_ICMP]: 'icmp',
  [PROTO_IGMP]: 'igmp',
  6: 'tcp',
  17: 'udp',
  136: 'udplite',
};

const UNREACHABLE = [
  'net unreachable',
  'host unreachable',
  'protocol unreachable',
  'port unreachable',
  'fragmentation needed',
  'source route failed',
  'net unknown',
  'host unknown',
  'host isolated',
  'net prohibited',
  'host prohibited',
  'net unreachable for tos',
  'host unreachable for tos',
  'administratively prohibited',
  'host precedence violation',
  'precedence cutoff',
];
const REDIRECT = ['redirect net', 'redirect host', 'redirect tos net', 'redirect tos host'];
const EXCEEDED = ['ttl exceeded', 'reassembly time exceeded'];
const PARAMETER = ['parameter problem', 'required option missing', 'bad length'];

const ICMP_TYPES: Readonly<Record<number, string>> = {
  [icmp.ICMP_ECHOREPLY]: 'echo reply',
  [icmp.ICMP_SOURCE_QUENCH]: 'source quench',
  [icmp.ICMP_ECHO]: 'echo request',
  [icmp.ICMP_TIMESTAMP]: 'timestamp request',
  [icmp.ICMP_TIMESTAMPREPLY]: 'timestamp reply',
};

const RECORD_TYPES: Readonly<Record<number, string>> = {
  [igmp.V3_MODE_IS_INCLUDE]: 'is-in',
  [igmp.V3_MODE_IS_EXCLUDE]: 'is-ex',
  [igmp.V3_CHANGE_TO_INCLUDE]: 'to-in',
  [igmp.V3_CHANGE_TO_EXCLUDE]: 'to-ex',
  [igmp.V3_ALLOW_NEW_SOURCES]: 'allow',
  [igmp.V3_BLOCK_OLD_SOURCES]: 'block',
};

/** `0x0800`, with as many digits as asked for. */
export function hexNumber(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

/** `IPv4`, or null where the type has no name here. */
export function etherTypeName(type: number): string | null {
  return ETHER_TYPES[type] ?? null;
}

/** `udp`, or `proto 50`. */
export function protocolName(protocol: number): string {
  return PROTOCOLS[protocol] ?? `proto ${protocol}`;
}

/** `who-has`, `is-at`, or `op 3`. */
export function arpOperationName(operation: number): string {
  if (operation === arp.OP_REQUEST) return 'who-has';
  return operation === arp.OP_REPLY ? 'is-at' : `op ${operation}`;
}

/** `port unreachable`, `echo request`, or the numbers. */
export function icmpName(type: number, code: number): string {
  const codes = {
    [icmp.ICMP_DEST_UNREACH]: UNREACHABLE,
    [icmp.ICMP_REDIRECT]: REDIRECT,
    [icmp.ICMP_TIME_EXCEEDED]: EXCEEDED,
    [icmp.ICMP_PARAMETERPROB]: PARAMETER,
  }[type];
  const named = codes === undefined ? (code === 0 ? ICMP_TYPES[type] : undefined) : codes[code];
  return named ?? `type ${type} code ${code}`;
}

/** tcpdump's short names of a version 3 record's type. */
export function igmpRecordName(type: number): string {
  return RECORD_TYPES[type] ?? `record ${type}`;
}
