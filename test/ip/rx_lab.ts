/** A Net with one memory device that frames are injected into, on a virtual clock, and builders of what a neighbour may send. */
import { VirtualClock } from '../../src/core/clock.js';
import { SeededRandom } from '../../src/core/random.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { Net } from '../../src/net/net.js';
import { parseIPv4 } from '../../src/uapi/in.js';
import { AF_INET, MSG_DONTWAIT, MSG_ERRQUEUE, SOCK_DGRAM } from '../../src/uapi/socket.js';
import { type RecvMessage, udpRecvmsg } from '../../src/udp/recvmsg.js';
import { ROOT_CRED, UdpSock } from '../../src/udp/sock.js';
import { udpLibGetPort } from '../../src/udp/udp_table.js';
import { decodeFrame } from '../../src/wire/decode.js';
import * as icmp from '../../src/wire/icmp.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import * as udp from '../../src/wire/udp.js';

export const ip = (text: string): number => parseIPv4(text)!;
export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
export const filled = (length: number, value = 0x78): Uint8Array => new Uint8Array(length).fill(value);
export const text = (data: Uint8Array): string => Buffer.from(data).toString();

export const US = '10.9.0.2';
export const PEER = '10.9.0.1';

export interface PacketOptions {
  readonly src?: string;
  readonly dst?: string;
  readonly mac?: string;
  readonly proto?: number;
  readonly tos?: number;
  readonly id?: number;
  readonly fragOff?: number;
  readonly options?: Uint8Array;
}

/** A frame with an IP packet around `payload`. */
export function frame(payload: Uint8Array, o: PacketOptions = {}): Uint8Array {
  const options = o.options ?? new Uint8Array(0);
  const b = new Uint8Array(34 + options.length + payload.length);
  b.set(Buffer.from(o.mac ?? '020000000902', 'hex'));
  b.set(Buffer.from('0200000009010800', 'hex'), 6);
  const header = {
    tos: o.tos ?? 0,
    totLen: 20 + options.length + payload.length,
    id: o.id ?? 1,
    fragOff: o.fragOff ?? 0,
    ttl: 64,
    protocol: o.proto ?? 17,
    saddr: ip(o.src ?? PEER),
    daddr: ip(o.dst ?? US),
    options,
  };
  b.set(payload, 14 + ipv4.emit(header, b, 14));
  return b;
}

export interface DatagramOptions extends PacketOptions {
  readonly sport?: number;
  readonly dport?: number;
  /** UDP-Lite coverage; the packet is UDP where absent. */
  readonly coverage?: number;
  readonly checksum?: boolean;
}

/** A UDP or UDP-Lite message. */
export function message(data: Uint8Array | string, o: DatagramOptions = {}): Uint8Array {
  const payload = typeof data === 'string' ? Buffer.from(data) : data;
  const b = new Uint8Array(8 + payload.length);
  const lite = o.coverage !== undefined;
  const repr = {
    source: o.sport ?? 1000,
    dest: o.dport ?? 9000,
    payload,
    checksum: o.checksum ?? true,
    coverage: o.coverage ?? 0,
  };
  udp.emit(repr, b, 0, { saddr: ip(o.src ?? PEER), daddr: ip(o.dst ?? US), protocol: lite ? 136 : 17 });
  return b;
}

/** A frame with a UDP or UDP-Lite datagram. */
export function datagram(data: Uint8Array | string, o: DatagramOptions = {}): Uint8Array {
  return frame(message(data, o), { proto: o.coverage === undefined ? 17 : 136, ...o });
}

/** An ICMP message. */
export function icmpMessage(type: number, code: number, rest: number, data: Uint8Array): Uint8Array {
  const b = new Uint8Array(8 + data.length);
  icmp.emit({ type, code, rest, data }, b, 0);
  return b;
}

/** An ICMP error about a datagram from `US:9000` to `PEER:1000`. */
export function icmpError(
  type: number,
  code: number,
  rest = 0,
  data = 'quoted',
  o: PacketOptions = {},
): Uint8Array {
  const quote = frame(message(data, { src: US, dst: PEER, sport: 9000, dport: 1000 }), {
    src: US,
    dst: PEER,
  });
  return frame(icmpMessage(type, code, rest, quote.subarray(14)), { ...o, proto: 1 });
}

/** The pieces of a message as fragments: `cuts` are [from, to] in bytes. */
export function fragments(
  payload: Uint8Array,
  cuts: readonly (readonly [number, number])[],
  o: PacketOptions = {},
): Uint8Array[] {
  return cuts.map(([from, to]) => {
    const more = to < payload.length ? ipv4.IP_MF : 0;
    return frame(payload.subarray(from, to), { id: 5, ...o, fragOff: (from >> 3) | more });
  });
}

export class RxLab {
  readonly clock = new VirtualClock();
  readonly net: Net;
  readonly tap: MemoryDevice;

  constructor(seed = 1) {
    this.net = new Net({ clock: this.clock, random: new SeededRandom(seed) });
    this.tap = new MemoryDevice({ name: 'tap0', mac: bytes(2, 0, 0, 0, 9, 2) });
    this.net.addDevice(this.tap);
    this.net.ip('link set lo up');
    this.net.ip(`addr add ${US}/24 brd + dev tap0`);
    this.net.ip('link set tap0 up');
    this.net.ip(`neigh add ${PEER} lladdr 02:00:00:00:09:01 dev tap0 nud permanent`);
    this.net.timers.advanceTo(5000);
    this.tap.drain();
  }

  /** A socket bound to an address and port. */
  socket(address = US, port = 9000, proto = 17, reuse = false): UdpSock {
    const sk = new UdpSock(this.net, proto, ROOT_CRED);
    sk.reuse = reuse;
    sk.rcvSaddr = ip(address);
    sk.saddr = sk.rcvSaddr;
    if (udpLibGetPort(this.net, sk, port) !== 0) throw new Error(`port ${port} is taken`);
    return sk;
  }
  /** A socket of the library, for what sends as well. */
  open(port = 0, address = US) {
    const s = this.net.socket(AF_INET, SOCK_DGRAM, 0);
    if (port !== 0) s.bind({ address, port });
    return s;
  }

  inject(...frames: Uint8Array[]): this {
    for (const f of frames) this.tap.inject(f);
    return this;
  }
  sleep(ms: number): void {
    this.net.timers.advanceTo(this.clock.now() + ms);
    this.net.flush();
  }
  /** What has left the device, a line each. */
  sent(): string[] {
    return this.tap.drain().map((f) => decodeFrame(f.bytes));
  }
  /** The next message, or a negative errno. */
  recv(sk: UdpSock, flags = 0, len = 65535): RecvMessage | number {
    return udpRecvmsg(this.net, sk, { len, flags: flags | MSG_DONTWAIT });
  }
  /** The payload of the next message, or a negative errno. */
  data(sk: UdpSock, flags = 0, len = 65535): string | number {
    const got = this.recv(sk, flags, len);
    return typeof got === 'number' ? got : text(got.data);
  }
  /** The next entry of the error queue, as its numbers; null where there is none. */
  error(
    sk: UdpSock,
  ): { errno: number; origin: number; type: number; code: number; info: number; data: number } | null {
    const got = this.recv(sk, MSG_ERRQUEUE);
    if (typeof got === 'number') return null;
    const b = got.cmsgs.at(-1)!.data;
    const view = new DataView(b.buffer, b.byteOffset);
    return {
      errno: view.getUint32(0, true),
      origin: b[4]!,
      type: b[5]!,
      code: b[6]!,
      info: view.getUint32(8, true),
      data: view.getUint32(12, true),
    };
  }
}
