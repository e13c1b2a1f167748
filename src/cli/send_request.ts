/** From the flags of `send` to what has to be done. Pure: nothing is opened, flags that contradict each other are refused. */
import { KERNEL_PROFILES, type KernelProfile } from '../core/profile.js';
import {
  formatIPv4,
  IP_MTU_DISCOVER,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IP_OPTIONS,
  IP_PKTINFO,
  IP_TOS,
  IP_TTL,
  IP_UNICAST_IF,
  inetMakeMask,
  UDP_SEGMENT,
  UDPLITE_SEND_CSCOV,
} from '../uapi/in.js';
import {
  SO_BINDTODEVICE,
  SO_BROADCAST,
  SO_MARK,
  SO_NO_CHECK,
  SO_PRIORITY,
  SOL_IP,
  SOL_SOCKET,
  SOL_UDP,
  SOL_UDPLITE,
} from '../uapi/socket.js';
import { UsageError } from './exit.js';
import { parseIpOptions } from './ip_options.js';
import type { SendFlags } from './send_options.js';
import {
  type Endpoint,
  int32,
  type LevelTypeValue,
  packed,
  parseAddress,
  parseBind,
  parseDscp,
  parseHex,
  parseInteger,
  parseInterval,
  parseLevelTypeValue,
  parseMulticastInterface,
  parsePktinfo,
  parsePmtudisc,
  parseRate,
  parseTarget,
  type Value,
} from './values.js';

/** A setsockopt, and the flag that asked for it. */
export interface Sockopt extends LevelTypeValue {
  readonly flag: string;
}

export type Payload =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'file'; readonly path: string };

/** Where frames go: a TAP, a device in memory, or this host's raw socket. */
export type Medium = 'tap' | 'memory' | 'raw';

export interface Network {
  /** The host's end, `10.9.0.1/24`. */
  readonly host: string;
  /** Our addresses in the words of `ip addr add`, without a device. */
  readonly ours: readonly string[];
  readonly gateway: string | null;
}

export interface SendRequest {
  readonly to: Endpoint;
  readonly payload: Payload;
  /** Infinity: until interrupted. */
  readonly count: number;
  readonly intervalMs: number;
  /** Negative: do not wait. */
  readonly waitMs: number;
  readonly medium: Medium;
  /** The TAP's name; null lets the kernel choose the first free tapN. */
  readonly tap: string | null;
  readonly netns: string | null;
  readonly network: Network;
  /** The user asked for this network; else an existing TAP's own is taken. */
  readonly networkGiven: boolean;
  /** `ip` commands for our side, after the addresses. */
  readonly ip: readonly string[];
  readonly mtu: number | null;
  readonly offload: boolean;
  /** Null: 6.18, or with `fromHost` what is nearest to the host's. */
  readonly kernel: KernelProfile['name'] | null;
  /** Start with the network of a host: of this one (empty), a namespace's, a folder's. */
  readonly fromHost: string | null;
  readonly udplite: boolean;
  readonly sockopts: readonly Sockopt[];
  readonly cmsgs: readonly LevelTypeValue[];
  readonly bind: Endpoint | null;
  readonly connect: boolean;
  readonly more: boolean;
  readonly capture: string | null;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly hex: boolean;
  readonly json: boolean;
  readonly explain: boolean;
}

const MAX_PAYLOAD_BYTES = 0x10ffff;

/** Flags of which at most one may be given. */
const EXCLUSIVE: readonly (readonly (keyof SendFlags)[])[] = [
  ['data', 'dataString', 'dataLength', 'dataFile'],
  ['interval', 'rate'],
  ['quiet', 'verbose'],
  ['quiet', 'hex'],
  ['quiet', 'json'],
  ['tos', 'dscp'],
  ['sourceIp', 'bind'],
  ['sourcePort', 'bind'],
  ['dryRun', 'raw', 'tap'],
  ['dryRun', 'netns'],
  ['raw', 'netns'],
  ['raw', 'offload'],
  ['raw', 'mtu'],
  ['raw', 'net'],
  ['raw', 'neigh'],
  ['fromHost', 'raw', 'tap'],
  ['fromHost', 'netns'],
  ['fromHost', 'net'],
  ['fromHost', 'mtu'],
];

function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
}

function isGiven(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
}

function refuseContradictions(flags: SendFlags, data: string | undefined): void {
  for (const group of EXCLUSIVE) {
    const given = group.filter((key) => isGiven(flags[key]));
    if (given.length > 1) throw new UsageError(`${given.map(flagName).join(' and ')} contradict each other`);
  }
  const source = EXCLUSIVE[0]!.find((key) => flags[key] !== undefined);
  if (data !== undefined && source !== undefined) {
    throw new UsageError(`the data is given twice: "${data}" and ${flagName(source)}`);
  }
  if (flags.write === '-' && flags.json === true) {
    throw new UsageError('-w - and --json contradict each other: both are written to standard output');
  }
}

/**
 * @param target `HOST:PORT`
 * @param data the second argument: text, or `-` for standard input
 * @throws UsageError
 */
export function sendRequest(target: string, data: string | undefined, flags: SendFlags): SendRequest {
  refuseContradictions(flags, data);
  const number = (key: keyof SendFlags, min: number, max: number): number | null => {
    const text = flags[key];
    return typeof text === 'string' ? parseInteger(text, flagName(key), min, max) : null;
  };
  const count = number('count', 0, Number.MAX_SAFE_INTEGER) ?? 1;
  return {
    to: parseTarget(target),
    payload: parsePayload(data, flags, number),
    count: count === 0 ? Number.POSITIVE_INFINITY : count,
    intervalMs: flags.rate === undefined ? intervalOf(flags) : 1000 / parseRate(flags.rate),
    waitMs: number('wait', 0, 2 ** 31 - 1) ?? -1,
    medium: flags.raw === true ? 'raw' : inMemory(flags) ? 'memory' : 'tap',
    tap: tapName(flags),
    netns: flags.netns ?? null,
    network: networkOf(flags),
    networkGiven: flags.net !== undefined || flags.addr.length > 0,
    ip: [
      ...flags.neigh.map((args) => `neigh add ${args}`),
      ...flags.ip,
      ...flags.route.map((args) => `route add ${args}`),
    ],
    mtu: number('mtu', 68, 65521),
    offload: flags.offload === true,
    kernel: flags.kernel === undefined ? null : kernelOf(flags.kernel),
    fromHost: flags.fromHost === undefined ? null : flags.fromHost === true ? '' : flags.fromHost,
    udplite: flags.udplite !== undefined,
    sockopts: sockoptsOf(flags, number),
    cmsgs: [
      ...(flags.pktinfo === undefined
        ? []
        : [{ level: SOL_IP, type: IP_PKTINFO, value: parsePktinfo(flags.pktinfo) }]),
      ...flags.cmsg.map((text) => parseLevelTypeValue(text, '--cmsg')),
    ],
    bind: bindOf(flags, number),
    connect: flags.connect === true,
    more: flags.more === true,
    capture: flags.write ?? null,
    quiet: flags.quiet === true,
    verbose: flags.verbose === true,
    hex: flags.hex === true,
    json: flags.json === true,
    explain: flags.explain === true,
  };
}

function inMemory(flags: SendFlags): boolean {
  return flags.dryRun === true || flags.fromHost !== undefined;
}

type NumberFlag = (key: keyof SendFlags, min: number, max: number) => number | null;

function intervalOf(flags: SendFlags): number {
  return flags.interval === undefined ? 0 : parseInterval(flags.interval, '--interval');
}

function parsePayload(data: string | undefined, flags: SendFlags, number: NumberFlag): Payload {
  if (data === '-' || flags.dataFile === '-' || flags.data === '-') return { kind: 'file', path: '-' };
  if (flags.dataFile !== undefined) return { kind: 'file', path: flags.dataFile };
  const lengthBytes = number('dataLength', 0, MAX_PAYLOAD_BYTES);
  if (lengthBytes !== null) return { kind: 'bytes', bytes: new Uint8Array(lengthBytes).map((_, i) => i) };
  if (flags.data !== undefined) return { kind: 'bytes', bytes: parseHex(flags.data, '--data') };
  return { kind: 'bytes', bytes: new Uint8Array(Buffer.from(data ?? flags.dataString ?? '', 'utf8')) };
}

function kernelOf(kernel: string): KernelProfile['name'] {
  if (Object.hasOwn(KERNEL_PROFILES, kernel)) return kernel as KernelProfile['name'];
  throw new UsageError(`--kernel: "${kernel}" is none of ${Object.keys(KERNEL_PROFILES).join(', ')}`);
}

function tapName(flags: SendFlags): string | null {
  const name = flags.tap ?? flags.interface ?? null;
  if (name === 'lo' && flags.tap === undefined) return null;
  if (name !== null && (Buffer.byteLength(name) > 15 || /[/:\s]/.test(name) || name === '')) {
    throw new UsageError(`"${name}" is no name for an interface: 1 to 15 bytes without /, : and spaces`);
  }
  // An interface that an `ip link add` makes is not the TAP.
  const made = flags.ip.some(
    (command) => /^link add\b/.test(command) && command.split(/\s+/).includes(name ?? ''),
  );
  return made && flags.tap === undefined ? null : name;
}

function networkOf(flags: SendFlags): Network {
  const text = flags.net ?? '10.9.0.0/24';
  const [base = '', length = ''] = text.split('/');
  const prefix = parseInteger(length, '--net', 1, 30);
  const first = (parseAddress(base, '--net') & inetMakeMask(prefix)) >>> 0;
  const gateway = formatIPv4(first + 1);
  const hasDefault = flags.route.some((route) => /^(default|0\.0\.0\.0\/0)\b/.test(route));
  return {
    host: `${gateway}/${prefix}`,
    ours: flags.addr.length > 0 ? flags.addr : [`${formatIPv4(first + 2)}/${prefix} brd +`],
    gateway: hasDefault ? null : gateway,
  };
}

function bindOf(flags: SendFlags, number: NumberFlag): Endpoint | null {
  if (flags.bind !== undefined) return parseBind(flags.bind);
  const port = number('sourcePort', 0, 65535);
  if (flags.sourceIp === undefined && port === null) return null;
  if (flags.sourceIp !== undefined) parseAddress(flags.sourceIp, '--source-ip');
  return { address: flags.sourceIp ?? '0.0.0.0', port: port ?? 0 };
}

/** In the order in which a program would call them: what `--sockopt` says comes last and wins. */
function sockoptsOf(flags: SendFlags, number: NumberFlag): Sockopt[] {
  const list: Sockopt[] = [];
  const add = (flag: string, level: number, type: number, value: Value) =>
    list.push({ flag, level, type, value });
  const addNumber = (key: keyof SendFlags, level: number, type: number, min: number, max: number) => {
    const value = number(key, min, max);
    if (value !== null) add(flagName(key), level, type, int32(value));
  };
  if (flags.interface !== undefined) {
    const name = new Uint8Array(Buffer.from(`${flags.interface}\0`));
    add('--interface', SOL_SOCKET, SO_BINDTODEVICE, () => name);
  }
  const { oif } = flags;
  if (oif !== undefined) add('--oif', SOL_IP, IP_UNICAST_IF, (ifindexOf) => packed(ifindexOf(oif), 4, true));
  addNumber('ttl', SOL_IP, IP_TTL, 1, 255);
  addNumber('tos', SOL_IP, IP_TOS, 0, 255);
  if (flags.dscp !== undefined) add('--dscp', SOL_IP, IP_TOS, int32(parseDscp(flags.dscp)));
  if (flags.pmtudisc !== undefined) {
    add('--pmtudisc', SOL_IP, IP_MTU_DISCOVER, int32(parsePmtudisc(flags.pmtudisc)));
  }
  if (flags.ipOptions !== undefined) {
    const bytes = parseIpOptions(flags.ipOptions);
    add('--ip-options', SOL_IP, IP_OPTIONS, () => bytes);
  }
  addNumber('gso', SOL_UDP, UDP_SEGMENT, 0, 65535);
  if (!flags.check) add('--no-check', SOL_SOCKET, SO_NO_CHECK, int32(1));
  addNumber('udplite', SOL_UDPLITE, UDPLITE_SEND_CSCOV, 0, 65535);
  if (flags.broadcast === true) add('--broadcast', SOL_SOCKET, SO_BROADCAST, int32(1));
  if (flags.mcastIf !== undefined) {
    add('--mcast-if', SOL_IP, IP_MULTICAST_IF, parseMulticastInterface(flags.mcastIf));
  }
  addNumber('mcastTtl', SOL_IP, IP_MULTICAST_TTL, 0, 255);
  if (!flags.loop) add('--no-loop', SOL_IP, IP_MULTICAST_LOOP, int32(0));
  addNumber('priority', SOL_SOCKET, SO_PRIORITY, 0, 2 ** 31 - 1);
  addNumber('mark', SOL_SOCKET, SO_MARK, 0, 2 ** 32 - 1);
  for (const text of flags.sockopt) {
    list.push({ flag: `--sockopt ${text}`, ...parseLevelTypeValue(text, '--sockopt') });
  }
  return list;
}
