/** A NeighNet with memory devices, a virtual clock, and a routing room of a few lines behind ARP. */
import { VirtualClock } from '../../src/core/clock.js';
import { SeededRandom } from '../../src/core/random.js';
import type { InDevice, InIfaddr } from '../../src/dev/in_device.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import type { NetDevice } from '../../src/dev/net_device.js';
import type { SkBuff, SkbOwner } from '../../src/dev/skbuff.js';
import { nudStateName } from '../../src/neigh/neighbour.js';
import { type ArpHost, type ArpRoute, NeighNet } from '../../src/neigh/netns.js';
import { neighOutput } from '../../src/neigh/output.js';
import { ipNeighForKey, neighLookup } from '../../src/neigh/table.js';
import type { TraceEvent } from '../../src/trace/tracer.js';
import { EINVAL } from '../../src/uapi/errno.js';
import { parseMac } from '../../src/uapi/if.js';
import { formatIPv4, inetMakeMask, ipv4IsMulticast, parseIPv4 } from '../../src/uapi/in.js';
import { RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST } from '../../src/uapi/rtnetlink.js';
import * as arp from '../../src/wire/arp.js';
import { put32 } from '../../src/wire/bytes.js';
import { ETHERTYPE, etherType, formatMac, writeHeader } from '../../src/wire/ethernet.js';

export const ip = (text: string): number => parseIPv4(text)!;
export const mac = (text: string): Uint8Array => parseMac(text)!;
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
/** The MAC of the neighbour 10.0.0.n in every test. */
export const peerMac = (n: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, n);

/** Addresses and routes as the local and main tables of a host with on-link subnets have them. */
class SubnetHost implements ArpHost {
  constructor(private readonly net: NeighNet) {}

  #ifas(): InIfaddr[] {
    return this.net.devices.flatMap((dev) => dev.ipPtr?.ifaList ?? []);
  }
  #type(addr: number): number {
    if (addr === 0 || addr === 0xffffffff) return RTN_BROADCAST;
    if (ipv4IsMulticast(addr)) return RTN_MULTICAST;
    for (const ifa of this.#ifas()) {
      if (ifa.local === addr) return RTN_LOCAL;
      if (ifa.broadcast === addr) return RTN_BROADCAST;
    }
    return RTN_UNICAST;
  }
  inetAddrTypeDevTable(_dev: NetDevice, addr: number): number {
    return this.#type(addr);
  }
  inetSelectAddr(dev: NetDevice, dst: number, _scope: number): number {
    const list = dev.ipPtr?.ifaList ?? [];
    return (list.find((ifa) => this.#within(ifa, dst)) ?? list[0])?.local ?? 0;
  }
  #within(ifa: InIfaddr, addr: number): boolean {
    return ((ifa.address ^ addr) & ifa.mask) === 0;
  }
  inetAddrOnlink(inDev: InDevice, a: number, b: number): boolean {
    return inDev.ifaList.some((ifa) => this.#within(ifa, a) && (b === 0 || this.#within(ifa, b)));
  }
  inetConfirmAddr(inDev: InDevice | null, dst: number, local: number, scope: number): number {
    const list = inDev?.ifaList ?? this.#ifas();
    const ifa = list.find(
      (i) => (local === 0 || i.local === local) && i.scope <= scope && (dst === 0 || this.#within(i, dst)),
    );
    return ifa?.local ?? 0;
  }
  ipRouteInput(daddr: number, saddr: number, dev: NetDevice): ArpRoute | number {
    // A source of ours is a martian, and so is a group (fib_validate_source, ip_route_input_slow).
    if (this.#type(saddr) !== RTN_UNICAST) return -EINVAL;
    const type = this.#type(daddr);
    if (type === RTN_LOCAL) return { type, dev: this.net.devGetByName('tap0')! };
    const out = this.#out(daddr);
    return out === null ? -EINVAL : { type, dev: type === RTN_UNICAST ? out : dev };
  }
  ipRouteOutput(daddr: number, _saddr: number): ArpRoute | number {
    const dev = this.#out(daddr);
    return dev === null ? -EINVAL : { type: RTN_UNICAST, dev };
  }
  #out(addr: number): NetDevice | null {
    return this.#ifas().find((ifa) => this.#within(ifa, addr))?.inDev.dev ?? null;
  }
}

/** Counts the memory that packets hold. */
export class Account implements SkbOwner {
  bytes = 0;
  wfree(truesize: number): void {
    this.bytes -= truesize;
  }
  txTimestamp(): void {}
}

export class Lab {
  readonly clock = new VirtualClock();
  readonly net: NeighNet;
  readonly tap: MemoryDevice;
  readonly events: TraceEvent[] = [];
  readonly failed: string[] = [];
  readonly account = new Account();

  constructor(seed = 1) {
    this.net = new NeighNet({
      clock: this.clock,
      random: new SeededRandom(seed),
      tracer: { event: (event) => this.events.push(event) },
    });
    this.net.arpHost = new SubnetHost(this.net);
    this.net.neighErrorReport = (neigh, skb) => {
      this.failed.push(`${formatIPv4(neigh.key)} ${skb.buf[skb.nh + 20]}`);
      this.net.skbs.free(skb);
    };
    this.tap = this.addDevice('tap0', '02:00:00:00:00:01', '10.0.0.1/24');
  }

  addDevice(name: string, macText: string, ...addresses: string[]): MemoryDevice {
    const dev = new MemoryDevice({ name, mac: mac(macText) });
    this.net.registerNetdevice(dev);
    this.net.devOpen(dev);
    for (const address of addresses) this.addAddress(dev, address);
    return dev;
  }

  addAddress(dev: NetDevice, text: string, scope = 0): InIfaddr {
    const [address, length] = text.split('/');
    const prefixLen = Number(length);
    const local = ip(address!);
    const mask = inetMakeMask(prefixLen);
    const ifa: InIfaddr = {
      inDev: dev.ipPtr!,
      local,
      address: local,
      mask,
      prefixLen,
      broadcast: prefixLen < 31 ? (local | ~mask) >>> 0 : 0,
      scope,
      flags: 0x80,
      label: dev.name,
      metric: 0,
      protocol: 0,
      validLft: 0xffffffff,
      preferredLft: 0xffffffff,
      tstamp: 0,
    };
    dev.ipPtr!.ifaList.push(ifa);
    return ifa;
  }

  /** Sends an IP packet of 21 bytes whose last byte is `mark`. */
  send(
    to: string,
    mark = 0,
    options: { from?: string; truesize?: number; confirm?: boolean; dev?: NetDevice } = {},
  ): number {
    const skb = this.packet(mark, options);
    const neigh = ipNeighForKey(this.net, options.dev ?? this.tap, ip(to));
    if (neigh === null) {
      this.net.skbs.free(skb);
      return -105;
    }
    const error = neighOutput(this.net, neigh, skb);
    this.net.flush();
    return error;
  }

  packet(mark = 0, { from = '10.0.0.1', truesize = 768, confirm = false } = {}): SkBuff {
    const skb = this.net.skbs.alloc(21);
    skb.buf.fill(0, skb.data, skb.data + 21);
    skb.buf[skb.data] = 0x45;
    put32(skb.buf, skb.data + 12, ip(from));
    skb.buf[skb.data + 20] = mark;
    skb.tail = skb.data + 21;
    skb.len = 21;
    skb.protocol = 0x0800;
    skb.truesize = truesize;
    skb.sk = this.account;
    this.account.bytes += truesize;
    skb.dstPendingConfirm = confirm;
    return skb;
  }

  /** An ARP packet comes in on a device. */
  arp(
    operation: number,
    sender: readonly [macAddress: Uint8Array, address: string],
    target: readonly [macAddress: Uint8Array, address: string],
    to: 'us' | 'all' = operation === 1 ? 'all' : 'us',
    dev: MemoryDevice = this.tap,
  ): void {
    const frame = new Uint8Array(42);
    writeHeader(frame, 0, to === 'us' ? dev.addr : dev.broadcast, sender[0], 0x0806);
    const repr = {
      htype: 1,
      operation,
      senderMac: sender[0],
      senderIp: ip(sender[1]),
      targetMac: target[0],
      targetIp: ip(target[1]),
    };
    arp.emit(repr, frame, 14);
    dev.inject(frame);
  }

  /** 10.0.0.n answers our request. */
  answer(n: number): void {
    this.arp(2, [peerMac(n), `10.0.0.${n}`], [this.tap.addr, '10.0.0.1']);
  }

  sleep(ms: number): void {
    this.net.timers.advanceTo(this.clock.now() + ms);
  }

  state(address: string, dev: NetDevice = this.tap): string {
    const neigh = neighLookup(this.net, dev, ip(address));
    return neigh === null ? '-' : nudStateName(neigh.nudState);
  }

  /** What has left a device since last asked, one line a frame. */
  sent(dev: MemoryDevice = this.tap): string[] {
    return dev.drain().map(({ bytes }) => describe(bytes));
  }
}

/** `who-has 10.0.0.2 tell 10.0.0.1 to ff:…` or `ip 7 to 02:…`. */
export function describe(frame: Uint8Array): string {
  const to = formatMac(frame, 0);
  if (etherType(frame, 0) !== 0x0806) return `ip ${frame[34]} to ${to}`;
  const packet = arp.parse(frame, ETHERTYPE + 2, frame.length - 14);
  if (typeof packet === 'string') return packet;
  const [sender, target] = [formatIPv4(packet.senderIp), formatIPv4(packet.targetIp)];
  return packet.operation === 1
    ? `who-has ${target} tell ${sender} to ${to}`
    : `${sender} is-at ${formatMac(packet.senderMac)} to ${to}`;
}
