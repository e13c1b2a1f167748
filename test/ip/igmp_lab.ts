/** A Net with one memory device, a virtual clock, and sockets that are nothing but their memberships. */
import { VirtualClock } from '../../src/core/clock.js';
import { SeededRandom } from '../../src/core/random.js';
import { inetRtmNewaddr } from '../../src/dev/devinet.js';
import { LoopbackDevice } from '../../src/dev/loopback.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { igmpInit } from '../../src/ip/igmp.js';
import { ipInit } from '../../src/ip/ip_input.js';
import { formatIPv4, MCAST_EXCLUDE, MCAST_INCLUDE, parseIPv4 } from '../../src/uapi/in.js';
import type { McSock } from '../../src/udp/mc_socklist.js';
import {
  ipMcDropSocket,
  ipMcJoinGroup,
  ipMcLeaveGroup,
  ipMcMsfilter,
  ipMcSource,
} from '../../src/udp/mcast.js';
import { UdpNet } from '../../src/udp/netns.js';
import { writeHeader, writeMulticastAddress } from '../../src/wire/ethernet.js';
import * as igmp from '../../src/wire/igmp.js';
import * as ipv4 from '../../src/wire/ipv4.js';

export const ip = (text: string): number => parseIPv4(text)!;
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const ROUTER_MAC = Uint8Array.of(2, 0, 0, 0, 9, 1);

const RECORD = ['', 'is-in', 'is-ex', 'to-in', 'to-ex', 'allow', 'block'];

export class Lab {
  readonly clock = new VirtualClock();
  readonly net: UdpNet;
  readonly tap: MemoryDevice;

  constructor(seed = 1) {
    this.net = new UdpNet({ clock: this.clock, random: new SeededRandom(seed) });
    ipInit(this.net);
    igmpInit(this.net);
    const lo = new LoopbackDevice();
    this.net.registerNetdevice(lo);
    this.net.devOpen(lo);
    this.tap = this.addDevice('tap0', Uint8Array.of(2, 0, 0, 0, 9, 2), '10.9.0.2');
  }

  addDevice(name: string, mac: Uint8Array, address: string | null): MemoryDevice {
    const dev = new MemoryDevice({ name, mac });
    this.net.registerNetdevice(dev);
    if (address !== null) {
      inetRtmNewaddr(
        this.net,
        { ifindex: dev.ifindex, prefixLen: 24, local: ip(address), address: ip(address) },
        0x600,
      );
    }
    this.net.devOpen(dev);
    return dev;
  }

  socket(): Sock {
    return new Sock(this);
  }

  sysctl(name: string, value: number): void {
    if (this.net.sysctl.set(name, value) !== 0) throw new Error(name);
  }

  sleep(ms: number): void {
    this.net.timers.advanceTo(this.clock.now() + ms);
  }

  /** Frames that have left, as hex. */
  frames(dev: MemoryDevice = this.tap): Uint8Array[] {
    return dev.drain().map((frame) => frame.bytes);
  }

  /** What has been said since last asked, one line a message. */
  said(dev: MemoryDevice = this.tap): string[] {
    return this.frames(dev).map(describe);
  }

  /** A router, or another host, says something. */
  hear(message: igmp.IgmpRepr, to: string, options: { saddr?: string; bad?: boolean } = {}): void {
    const frame = new Uint8Array(14 + 24 + igmp.emitLen(message));
    const header = { tos: 0xc0, totLen: frame.length - 14, id: 0, fragOff: 0, ttl: 1, protocol: 2 };
    const options4 = Uint8Array.of(0x94, 4, 0, 0);
    ipv4.emit(
      { ...header, saddr: ip(options.saddr ?? '10.9.0.1'), daddr: ip(to), options: options4 },
      frame,
      14,
    );
    igmp.emit(message, frame, 38);
    if (options.bad === true) frame[frame.length - 1]! ^= 1;
    writeHeader(frame, 0, this.tap.addr, ROUTER_MAC, 0x0800);
    if (ip(to) >>> 28 === 14) writeMulticastAddress(frame, 0, ip(to));
    this.tap.inject(frame);
  }

  query(
    version: 1 | 2 | 3,
    group: string,
    maxRespCode: number,
    { sources = [] as string[], qrv = 0, qqic = 0, to = group === '0.0.0.0' ? '224.0.0.1' : group } = {},
  ): void {
    const more = { suppress: false, qrv, qqic, sources: sources.map(ip) };
    this.hear({ kind: 'query', version, group: ip(group), maxRespCode, ...more }, to);
  }
}

/** `to-ex 239.1.1.1 {10.0.0.1}, …` */
export function describe(frame: Uint8Array): string {
  const at = 14 + ipv4.headerLen(frame, 14);
  const message = igmp.parse(frame, at, frame.length - at);
  if (typeof message === 'string') return message;
  if (message.kind === 'report3') {
    return message.records
      .map((r) => {
        const sources = r.sources.length > 0 ? ` {${r.sources.map(formatIPv4).join(' ')}}` : '';
        return `${RECORD[r.type]} ${formatIPv4(r.group)}${sources}`;
      })
      .join(', ');
  }
  const to = formatIPv4(ipv4.daddr(frame, 14));
  return `${message.kind}${message.kind === 'report' ? message.version : ''} ${formatIPv4(message.group)} to ${to}`;
}

export class Sock implements McSock {
  mcList: McSock['mcList'] = [];
  mcAll = true;
  omemAlloc = 0;
  constructor(private readonly lab: Lab) {}

  #mreqn(group: string, dev: number | string) {
    const named = typeof dev === 'string';
    return { multiaddr: ip(group), address: named ? ip(dev) : 0, ifindex: named ? 0 : dev };
  }
  /** `dev` is an ifindex, or the address of a device. */
  join(group: string, dev: number | string = this.lab.tap.ifindex, mode: 0 | 1 = MCAST_EXCLUDE): number {
    return ipMcJoinGroup(this.lab.net, this, this.#mreqn(group, dev), mode);
  }
  leave(group: string, dev: number | string = this.lab.tap.ifindex): number {
    return ipMcLeaveGroup(this.lab.net, this, this.#mreqn(group, dev));
  }
  /** IP_ADD_SOURCE_MEMBERSHIP */
  allow(group: string, source: string): number {
    const error = this.join(group, this.lab.tap.ifindex, MCAST_INCLUDE);
    if (error !== 0 && error !== -98) return error;
    return this.#source(true, MCAST_INCLUDE, group, source);
  }
  disallow(group: string, source: string): number {
    return this.#source(false, MCAST_INCLUDE, group, source);
  }
  block(group: string, source: string): number {
    return this.#source(true, MCAST_EXCLUDE, group, source);
  }
  unblock(group: string, source: string): number {
    return this.#source(false, MCAST_EXCLUDE, group, source);
  }
  #source(add: boolean, mode: 0 | 1, group: string, source: string): number {
    return ipMcSource(this.lab.net, this, add, mode, this.#mreqn(group, this.lab.tap.ifindex), ip(source));
  }
  filter(group: string, mode: number, ...sources: string[]): number {
    return ipMcMsfilter(this.lab.net, this, this.#mreqn(group, this.lab.tap.ifindex), mode, sources.map(ip));
  }
  close(): void {
    ipMcDropSocket(this.lab.net, this);
  }
}
