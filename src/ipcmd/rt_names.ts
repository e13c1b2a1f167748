/** The names that iproute2 knows for numbers (`lib/rt_names.c` and the defaults of `/etc/iproute2`). */
import {
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_SITE,
  RT_SCOPE_UNIVERSE,
  RTN_ANYCAST,
  RTN_BLACKHOLE,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_NAT,
  RTN_PROHIBIT,
  RTN_THROW,
  RTN_UNICAST,
  RTN_UNREACHABLE,
} from '../uapi/rtnetlink.js';
import { getUnsigned, matches } from './utils.js';

type Names = readonly (readonly [name: string, number: number])[];

const TABLES: Names = [
  ['unspec', 0],
  ['default', 253],
  ['main', 254],
  ['local', 255],
];

const PROTOCOLS: Names = [
  ['unspec', 0],
  ['redirect', 1],
  ['kernel', 2],
  ['boot', 3],
  ['static', 4],
  ['gated', 8],
  ['ra', 9],
  ['mrt', 10],
  ['zebra', 11],
  ['bird', 12],
  ['dnrouted', 13],
  ['xorp', 14],
  ['ntk', 15],
  ['dhcp', 16],
  ['keepalived', 18],
  ['babel', 42],
  ['openr', 99],
  ['bgp', 186],
  ['isis', 187],
  ['ospf', 188],
  ['rip', 189],
  ['eigrp', 192],
];

const SCOPES: Names = [
  ['global', RT_SCOPE_UNIVERSE],
  ['site', RT_SCOPE_SITE],
  ['link', RT_SCOPE_LINK],
  ['host', RT_SCOPE_HOST],
  ['nowhere', RT_SCOPE_NOWHERE],
];

/** Names of the 6-bit code points; the DS field is four times as much. */
const DSCP: Names = [
  ['AF11', 10],
  ['AF12', 12],
  ['AF13', 14],
  ['AF21', 18],
  ['AF22', 20],
  ['AF23', 22],
  ['AF31', 26],
  ['AF32', 28],
  ['AF33', 30],
  ['AF41', 34],
  ['AF42', 36],
  ['AF43', 38],
  ['CS1', 8],
  ['CS2', 16],
  ['CS3', 24],
  ['CS4', 32],
  ['CS5', 40],
  ['CS6', 48],
  ['CS7', 56],
  ['EF', 46],
];
const DSFIELD: Names = [['default', 0], ...DSCP.map(([name, dscp]) => [name, dscp << 2] as const)];

const IP_PROTOCOLS: Names = [
  ['icmp', 1],
  ['igmp', 2],
  ['ipencap', 4],
  ['tcp', 6],
  ['egp', 8],
  ['udp', 17],
  ['dccp', 33],
  ['ipv6', 41],
  ['rsvp', 46],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['ipv6-icmp', 58],
  ['ospf', 89],
  ['ipip', 94],
  ['pim', 103],
  ['l2tp', 115],
  ['sctp', 132],
  ['udplite', 136],
];

const ROUTE_TYPES: Names = [
  ['unicast', RTN_UNICAST],
  ['local', RTN_LOCAL],
  ['broadcast', RTN_BROADCAST],
  ['anycast', RTN_ANYCAST],
  ['multicast', RTN_MULTICAST],
  ['blackhole', RTN_BLACKHOLE],
  ['unreachable', RTN_UNREACHABLE],
  ['prohibit', RTN_PROHIBIT],
  ['throw', RTN_THROW],
  ['nat', RTN_NAT],
  ['xresolve', 11],
];

function numberOf(names: Names, text: string): number | null {
  return names.find(([name]) => name === text)?.[1] ?? null;
}
function nameOf(names: Names, number: number): string | null {
  return names.find(([, n]) => n === number)?.[0] ?? null;
}

export function tableA2n(text: string): number | null {
  return numberOf(TABLES, text) ?? getUnsigned(text);
}
export function tableN2a(id: number, numeric: boolean): string {
  return (numeric || id === 0 ? null : nameOf(TABLES, id)) ?? String(id);
}

export function protocolA2n(text: string): number | null {
  return numberOf(PROTOCOLS, text) ?? getUnsigned(text, 255);
}
export function protocolN2a(id: number, numeric: boolean): string {
  return (numeric ? null : nameOf(PROTOCOLS, id)) ?? String(id);
}

export function scopeA2n(text: string): number | null {
  return numberOf(SCOPES, text) ?? getUnsigned(text, 255);
}
export function scopeN2a(id: number, numeric: boolean): string {
  return (numeric ? null : nameOf(SCOPES, id)) ?? String(id);
}

/** Numbers are hexadecimal here, with or without 0x. */
export function dsfieldA2n(text: string): number | null {
  return numberOf(DSFIELD, text) ?? getUnsigned(text, 255, 16);
}
export function dsfieldN2a(id: number, numeric: boolean): string {
  return (numeric ? null : nameOf(DSFIELD, id)) ?? `0x${id.toString(16).padStart(2, '0')}`;
}

export function dscpA2n(text: string): number | null {
  return numberOf([['CS0', 0], ...DSCP], text) ?? getUnsigned(text, 63);
}
export function dscpN2a(id: number, numeric: boolean): string {
  return (numeric ? null : nameOf([['CS0', 0], ...DSCP], id)) ?? String(id);
}

export function groupA2n(text: string): number | null {
  return text === 'default' ? 0 : getUnsigned(text, 0x7fffffff);
}
export function groupN2a(id: number, numeric: boolean): string {
  return !numeric && id === 0 ? 'default' : String(id);
}

/** A transport protocol for `ipproto`. */
export function ipProtocolA2n(text: string): number | null {
  return getUnsigned(text, 255) ?? numberOf(IP_PROTOCOLS, text);
}
export function ipProtocolN2a(id: number, numeric: boolean): string {
  return (numeric ? null : nameOf(IP_PROTOCOLS, id)) ?? `ipproto-${id}`;
}

/** A route type by name, some abbreviated, or by number. */
export function routeTypeA2n(text: string): number | null {
  if (text === 'local') return RTN_LOCAL;
  if (text === 'nat') return RTN_NAT;
  if (text === 'brd') return RTN_BROADCAST;
  if (text === 'throw') return RTN_THROW;
  const abbreviable = [
    'broadcast',
    'anycast',
    'multicast',
    'prohibit',
    'unreachable',
    'blackhole',
    'xresolve',
    'unicast',
  ];
  const name = abbreviable.find((n) => matches(text, n));
  return name !== undefined ? numberOf(ROUTE_TYPES, name) : getUnsigned(text, 255);
}
export function routeTypeN2a(type: number, numeric: boolean): string {
  if (type === 0) return 'none';
  return (numeric ? null : nameOf(ROUTE_TYPES, type)) ?? String(type);
}
