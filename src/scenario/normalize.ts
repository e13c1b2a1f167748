/**
 * Results as they are compared: what the kernel draws at random or reads from a clock is replaced by what it means.
 *
 * - The IP identification becomes 0 where it is zero and else 1 + its distance from the first one of its kind: of the same
 *   flow within one call, or of the same connected socket since its `connect`.
 * - The times in timestamp options, and in control messages that hold nothing else, become 0.
 * - A source port that the scenario does not name and that lies in the ephemeral range becomes the first of that range, the next such port
 *   the second; the checksum is adjusted by the difference, so that a wrong one stays wrong.
 * - IGMP messages leave their places: they come at random times, so each run's are compared as a set, in scenarios that sleep long enough for
 *   them to come at all.
 * - The IP header checksum is recomputed, but a wrong one stays wrong.
 * - The sum that IP_CHECKSUM shows is compared folded to 16 bits.
 */

import { MSG_ERRQUEUE } from '../uapi/socket.js';
import { get16, put16 } from '../wire/bytes.js';
import { csumFold16, csumTcpudpMagic } from '../wire/checksum.js';
import * as icmp from '../wire/icmp.js';
import * as ipv4 from '../wire/ipv4.js';
import { resolveC } from './constants.js';
import type { Addr, Call, CallResult, Frame, ReceivedCmsg, Scenario, ScenarioRun } from './types.js';
import { valueBytes } from './values.js';

const ETH_LEN = 14;
/** Shorter scenarios end before the reports' random delays do. */
const REPORTS_MS = 1000;
const PROTO_ICMP = 1;
const PROTO_IGMP = 2;
const PROTO_UDP = 17;
const PROTO_UDPLITE = 136;
const IPOPT_END = 0;
const IPOPT_NOOP = 1;
const IPOPT_TS = 0x44;
const SOL_IP = 0;
const SOL_SOCKET = 1;
const AF_UNSPEC = 0;
/** SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TIMESTAMPING, old and new. */
const TIMESTAMP_CMSGS: ReadonlySet<number> = new Set([29, 35, 37, 63, 64, 65]);
/** SO_TIMESTAMPING, old and new. */
const TIMESTAMPING: ReadonlySet<number> = new Set([37, 65]);
const SOF_TIMESTAMPING_RX_SOFTWARE = 8;
const IP_RECVOPTS = 6;
const IP_CHECKSUM = 23;
const IP_RETOPTS = 7;
const IP_PROTOCOL = 52;
const DEFAULT_PORT_RANGE: readonly [number, number] = [32768, 60999];

/** A frame as compared, its bytes normalised. */
export interface NormalFrame {
  readonly dev: string;
  readonly vnetHdr: string | null;
  readonly bytes: Uint8Array;
}

export interface NormalCall extends Omit<CallResult, 'frames'> {
  readonly frames: readonly NormalFrame[];
}

export interface NormalRun {
  readonly setup: readonly NormalFrame[];
  readonly calls: readonly NormalCall[];
  readonly late: readonly NormalFrame[];
  /** Every membership report of the run, each one once; null where the scenario gives them no time. */
  readonly reports: readonly string[] | null;
}

/** A result in the form in which two machines' results must be equal. */
export function normalize(scenario: Scenario, run: ScenarioRun): NormalRun {
  const normalizer = new Normalizer(scenario);
  const sleptMs = scenario.calls.reduce(
    (sum, call) => sum + (call.call === 'sleep' ? (call.ms ?? 10) : 0),
    0,
  );
  const setup = normalizer.frames(run.setup_frames, null);
  const calls = run.calls.map((result) => normalizer.call(scenario.calls[result.i]!, result));
  const late = normalizer.frames(run.late_frames, null);
  const reports = [...normalizer.reports].sort();
  return { setup, calls, late, reports: sleptMs >= REPORTS_MS ? reports : null };
}

/** The identifications of one kind: the first that was seen is their base. */
class Ids {
  #base: number | null = null;
  readonly #seen: number[] = [];

  /** `released`: the frames waited for a neighbour, and time went by between them: each other identification is one step. */
  constructor(readonly released: boolean) {}

  /** 1 for the first, 1 + the distance from it for each other. */
  number(id: number): number {
    if (this.released) {
      if (!this.#seen.includes(id)) this.#seen.push(id);
      return 1 + this.#seen.indexOf(id);
    }
    this.#base ??= id;
    return (1 + ((id - this.#base) & 0xffff)) & 0xffff;
  }
}

/** What a frame's identification is counted in, and whether its checksum is left to the device. */
interface FrameContext {
  readonly flows: Map<string, Ids>;
  readonly connected: Ids | null;
  readonly released: boolean;
  readonly partial: boolean;
}

class Normalizer {
  readonly reports = new Set<string>();
  /** The fd labels of sockets that have asked for stamps on receipt. */
  readonly #stamped = new Set<string | number>();
  /** By fd label: the identifications since the socket was connected. */
  readonly #connected = new Map<string | number, Ids>();
  readonly #text: string;
  readonly #named: ReadonlySet<number>;
  readonly #range: readonly [number, number];
  readonly #ports = new Map<number, number>();

  constructor(scenario: Scenario) {
    this.#text = JSON.stringify(scenario).toLowerCase();
    this.#named = new Set((this.#text.match(/\d+/g) ?? []).map(Number));
    const range = scenario.sysctl?.['net.ipv4.ip_local_port_range'];
    const [lo, hi] = range === undefined ? [] : String(range).trim().split(/\s+/).map(Number);
    this.#range = lo !== undefined && hi !== undefined ? [lo, hi] : DEFAULT_PORT_RANGE;
  }

  call(call: Call, result: CallResult): NormalCall {
    const label = call.fd ?? 's';
    this.#track(call, label, result);
    const sends = ['sendto', 'send', 'sendmsg', 'sendmmsg', 'setsockopt'].includes(call.call);
    const connected = sends ? (this.#connected.get(label) ?? null) : null;
    const { frames, ...rest } = result;
    const read = result.data_hex === undefined ? null : this.#readFrame(label, result.data_hex);
    return {
      ...rest,
      ...(read !== null && { data_hex: read }),
      ...(this.#isPort(call) && result.errno === 0 && { value_hex: '', int: this.#port(result.int ?? 0) }),
      ...(result.addr !== undefined && { addr: this.#address(result.addr) }),
      ...(result.from !== undefined && { from: this.#address(result.from) }),
      ...(result.cmsgs !== undefined && { cmsgs: this.#ownCmsgs(call, label, result.cmsgs).map(normalCmsg) }),
      ...(result.stdout !== undefined && { stdout: normalIpText(call, result.stdout) }),
      frames: this.frames(frames, connected, !sends),
    };
  }

  /** The error queue gives back whole frames as they were sent: those are compared as frames are. */
  #readFrame(label: string | number, data: string): string | null {
    const bytes = Uint8Array.from(Buffer.from(data, 'hex'));
    if (!isIpv4(bytes)) return null;
    this.#ip(bytes, {
      flows: new Map(),
      connected: this.#connected.get(label) ?? null,
      released: false,
      partial: false,
    });
    return Buffer.from(bytes).toString('hex');
  }

  /** IP_PROTOCOL of a UDP socket reads the field that holds its port. */
  #isPort(call: Call): boolean {
    return (
      call.call === 'getsockopt' && resolveC(call.level) === SOL_IP && resolveC(call.name) === IP_PROTOCOL
    );
  }

  /**
   * A socket that wants no stamps on receipt, but is to be told of those that are there, is told of them while any socket of the
   * whole host wants them: that is not the scenario's.
   */
  #ownCmsgs(call: Call, label: string | number, cmsgs: readonly ReceivedCmsg[]): readonly ReceivedCmsg[] {
    if (
      call.call !== 'recvmsg' ||
      (resolveC(call.flags ?? 0) & MSG_ERRQUEUE) !== 0 ||
      this.#stamped.has(label)
    )
      return cmsgs;
    return cmsgs.filter((c) => c.level !== SOL_SOCKET || !TIMESTAMPING.has(c.type));
  }

  #trackStamps(call: Call, label: string | number): void {
    if (call.call !== 'setsockopt' || call.value === null || call.value === undefined) return;
    if (resolveC(call.level) !== SOL_SOCKET || !TIMESTAMPING.has(resolveC(call.name))) return;
    const [flags = 0] = valueBytes(call.value, () => 0);
    if ((flags & SOF_TIMESTAMPING_RX_SOFTWARE) !== 0) this.#stamped.add(label);
    else this.#stamped.delete(label);
  }

  #track(call: Call, label: string | number, result: CallResult): void {
    if (call.call === 'socket' || call.call === 'close') {
      this.#connected.delete(label);
      this.#stamped.delete(label);
    }
    if (result.errno === 0) this.#trackStamps(call, label);
    if (call.call !== 'connect' || result.errno !== 0) return;
    const family = familyOf(call.addr);
    if (family === AF_UNSPEC) this.#connected.delete(label);
    else this.#connected.set(label, new Ids(false));
  }

  frames(frames: readonly Frame[], connected: Ids | null, released = false): NormalFrame[] {
    const flows = new Map<string, Ids>();
    const normal = frames.map((frame) => {
      const bytes = Uint8Array.from(Buffer.from(frame.hex, 'hex'));
      const vnetHdr = frame.vnet_hdr ?? null;
      if (isIpv4(bytes))
        this.#ip(bytes, { flows, connected, released, partial: vnetHdr?.startsWith('01') === true });
      return { dev: frame.dev, vnetHdr, bytes };
    });
    const isReport = ({ bytes }: NormalFrame) => isIpv4(bytes) && bytes[ETH_LEN + 9] === PROTO_IGMP;
    for (const frame of normal.filter(isReport)) {
      put16(frame.bytes, ETH_LEN + 4, 0);
      put16(frame.bytes, ETH_LEN + 10, 0);
      this.reports.add(`${frame.dev} ${Buffer.from(frame.bytes).toString('hex')}`);
    }
    return normal.filter((frame) => !isReport(frame));
  }

  #ip(b: Uint8Array, { flows, connected, released, partial }: FrameContext): void {
    const headerLen = (b[ETH_LEN]! & 15) * 4;
    const right = ipv4.check(b, ETH_LEN) === ipv4.expectedCheck(b, ETH_LEN);
    const protocol = b[ETH_LEN + 9]!;
    const isUdp = protocol === PROTO_UDP || protocol === PROTO_UDPLITE;
    const id = get16(b, ETH_LEN + 4);
    if (id !== 0) {
      const flow = `${protocol} ${Buffer.from(b.subarray(ETH_LEN + 12, ETH_LEN + 20)).toString('hex')}`;
      let ids = isUdp ? connected : null;
      if (ids === null) {
        ids = flows.get(flow) ?? new Ids(released);
        flows.set(flow, ids);
      }
      put16(b, ETH_LEN + 4, ids.number(id));
    }
    maskTimes(b, ETH_LEN + 20, ETH_LEN + headerLen);
    if (protocol === PROTO_ICMP)
      maskIcmp(b, ETH_LEN + headerLen, ETH_LEN + ipv4.totLen(b, ETH_LEN), this.#text);
    const firstPiece = (get16(b, ETH_LEN + 6) & 0x1fff) === 0;
    if (isUdp && firstPiece && b.length >= ETH_LEN + headerLen + 8) {
      this.#sourcePort(b, ETH_LEN + headerLen, partial || isPseudoSum(b, ETH_LEN + headerLen));
    }
    // No header has this checksum by right: a sum of zero would need a header of zeroes.
    put16(b, ETH_LEN + 10, right ? ipv4.expectedCheck(b, ETH_LEN) : 0xffff);
  }

  /** Replaces a random port; the checksum follows by the difference alone (RFC 1624). */
  #sourcePort(b: Uint8Array, at: number, partial: boolean): void {
    const port = get16(b, at);
    const replaced = this.#port(port);
    if (replaced === port) return;
    put16(b, at, replaced);
    const check = get16(b, at + 6);
    if (check === 0 || partial) return;
    let sum = (~check & 0xffff) + (~port & 0xffff) + replaced;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    const adjusted = ~sum & 0xffff;
    put16(b, at + 6, adjusted === 0 ? 0xffff : adjusted);
  }

  #port(port: number): number {
    const [lo, hi] = this.#range;
    if (port < lo || port > hi || this.#named.has(port)) return port;
    let replaced = this.#ports.get(port);
    if (replaced === undefined) {
      replaced = Math.min(hi, lo + this.#ports.size);
      this.#ports.set(port, replaced);
    }
    return replaced;
  }

  #address(address: string | null): string | null {
    const match = address === null ? null : /^([\d.]+):(\d+)$/.exec(address);
    return match === null ? address : `${match[1]}:${this.#port(Number(match[2]))}`;
  }
}

function familyOf(addr: Addr | undefined): number | null {
  if (addr === null || addr === undefined) return null;
  if (typeof addr === 'string') return 2;
  if ('hex' in addr) return Number.parseInt(addr.hex.slice(2, 4) + addr.hex.slice(0, 2), 16);
  if ('bad' in addr) return null;
  return addr.family === undefined ? 2 : resolveC(addr.family);
}

function isIpv4(b: Uint8Array): boolean {
  return (
    b.length >= ETH_LEN + 20 &&
    get16(b, 12) === 0x0800 &&
    b[ETH_LEN]! >>> 4 === 4 &&
    (b[ETH_LEN]! & 15) >= 5 &&
    b.length >= ETH_LEN + (b[ETH_LEN]! & 15) * 4
  );
}

/** The checksum of a UDP header is yet to be finished: it is the pseudo header's sum, which no port is part of. */
function isPseudoSum(b: Uint8Array, at: number): boolean {
  const [saddr, daddr] = [ipv4.saddr(b, ETH_LEN), ipv4.daddr(b, ETH_LEN)];
  const magic = csumTcpudpMagic(saddr, daddr, get16(b, at + 4), b[ETH_LEN + 9]!, 0);
  return get16(b, at + 6) === (~magic & 0xffff);
}

/** Zeroes the times that were filled in, up to the pointer, in the timestamp options of `at` to `end`. */
function maskTimes(b: Uint8Array, at: number, end: number): void {
  let i = at;
  while (i < end && b[i] !== IPOPT_END) {
    if (b[i] === IPOPT_NOOP) {
      i++;
      continue;
    }
    const length = b[i + 1] ?? 0;
    if (length < 2) return;
    if (b[i] === IPOPT_TS && length >= 4) {
      const step = (b[i + 3]! & 15) === 0 ? 4 : 8;
      const filled = i + Math.min(b[i + 2]! - 1, length);
      for (let word = i + 4; word < filled; word += step) {
        b.fill(0, Math.min(end, word + step - 4), Math.min(end, word + step));
      }
    }
    i += length;
  }
}

/**
 * The times in a timestamp reply, and of a header that an error quotes the times in its options and, where no injected frame holds it,
 * the identification; the checksums stay as right or wrong as they were.
 */
function maskIcmp(b: Uint8Array, at: number, end: number, scenarioText: string): void {
  if (end > b.length || at + icmp.HEADER_LEN > end) return;
  const right = icmp.checksum(b, at) === icmp.expectedCheck(b, at, end - at);
  if (icmp.type(b, at) === icmp.ICMP_TIMESTAMPREPLY)
    b.fill(0, Math.min(end, at + 12), Math.min(end, at + 20));
  else if (icmp.isError(icmp.type(b, at)) && at + icmp.DATA + ipv4.HEADER_LEN <= end) {
    const quote = at + icmp.DATA;
    const quoteEnd = quote + ipv4.headerLen(b, quote);
    maskTimes(b, quote + ipv4.HEADER_LEN, Math.min(end, quoteEnd));
    const start = Buffer.from(b.subarray(quote, quote + 8)).toString('hex');
    if (quoteEnd <= end && ipv4.id(b, quote) !== 0 && !scenarioText.includes(start)) {
      const quoteRight = ipv4.check(b, quote) === ipv4.expectedCheck(b, quote);
      put16(b, quote + ipv4.ID, 1);
      put16(b, quote + ipv4.CHECK, quoteRight ? ipv4.expectedCheck(b, quote) : 0xffff);
    }
  } else return;
  put16(b, at + 2, right ? icmp.expectedCheck(b, at, end - at) : 0xffff);
}

function normalCmsg(cmsg: ReceivedCmsg): ReceivedCmsg {
  if (cmsg.level === SOL_SOCKET && TIMESTAMP_CMSGS.has(cmsg.type)) {
    return { ...cmsg, hex: '0'.repeat(cmsg.hex.length) };
  }
  if (cmsg.level === SOL_IP && (cmsg.type === IP_RECVOPTS || cmsg.type === IP_RETOPTS)) {
    const bytes = Uint8Array.from(Buffer.from(cmsg.hex, 'hex'));
    maskTimes(bytes, 0, bytes.length);
    return { ...cmsg, hex: Buffer.from(bytes).toString('hex') };
  }
  if (cmsg.level === SOL_IP && cmsg.type === IP_CHECKSUM && cmsg.hex.length === 8) {
    // Which of the forms of one sum the kernel shows depends on where in memory the pieces of a corked payload met.
    const sum = Buffer.from(cmsg.hex, 'hex').readUInt32LE();
    return { ...cmsg, hex: csumFold16(sum).toString(16).padStart(8, '0') };
  }
  return cmsg;
}

/** The seconds that a cached route has left are the clock's; neighbours come in the order of a hash with a random key. */
function normalIpText(call: Call, text: string): string {
  const lines = text
    .replace(/expires \d+sec/g, 'expires Nsec')
    .replace(/[ \t]+$/gm, '')
    .split('\n');
  const args = call.call === 'ip' ? [call.args].flat().join(' ') : '';
  return (/^(-\S+ +)*n(eigh\w*)?\b/.test(args) ? lines.sort() : lines).join('\n');
}
