/** Our stack on a TAP, sending in one of the ways that are measured. */
import { openCapture } from '../../capture/open.js';
import type { PcapWriter } from '../../capture/pcap.js';
import type { PcapngWriter } from '../../capture/pcapng.js';
import { openTap, type TapDevice } from '../../dev/tap.js';
import { Net } from '../../net/net.js';
import type { Message, UdpSocket } from '../../socket/udp_socket.js';
import { IP_OPTIONS, IPPROTO_UDP, UDP_SEGMENT } from '../../uapi/in.js';
import { AF_INET, SOCK_DGRAM, SOL_IP, SOL_UDP } from '../../uapi/socket.js';
import type { StackUse } from './contestants.js';
import { hostMac, NOBODY_MAC, PORT, runIp, type Subnet } from './lab.js';

/** Router alert: four bytes, in every frame. */
const ROUTER_ALERT = Uint8Array.of(0x94, 4, 0, 0);
const MAX_SEGMENTS = 64;
const MAX_DATAGRAM_BYTES = 65507;
/** Payload of the fragments of a frame of 1500 bytes, without the UDP header. */
const FRAGMENT_BYTES = 1480;

export interface SideOptions {
  readonly use: StackUse;
  readonly tap: string;
  readonly subnet: Subnet;
  /** Payload bytes of a frame. */
  readonly payload: number;
  /** Whether the frames go to the host, or to nobody's MAC. */
  readonly toHost: boolean;
  readonly queue?: number;
}

/** Opens the TAP and the stack on it; the host's end is brought up with its address, once. */
export async function openStack(
  options: SideOptions,
): Promise<{ readonly net: Net; readonly tap: TapDevice }> {
  const { use, subnet, queue = 0 } = options;
  const tap = await openTap({
    name: options.tap,
    offload: use.offload === true,
    multiQueue: use.queues !== undefined,
    mac: Uint8Array.of(2, 0, 0, 0, 9, 2 + queue),
  });
  if (queue === 0) {
    runIp(`addr add ${subnet}.1/24 dev ${options.tap}`);
    runIp(`link set ${options.tap} up`);
  }
  const net = new Net();
  net.addDevice(tap);
  net.ip(`addr add ${subnet}.2/24 dev ${options.tap}`);
  net.ip(`link set ${options.tap} up`);
  net.ip(`neigh add ${subnet}.9 lladdr ${NOBODY_MAC} dev ${options.tap} nud permanent`);
  net.ip(`neigh add ${subnet}.1 lladdr ${hostMac(options.tap)} dev ${options.tap} nud permanent`);
  return { net, tap };
}

/** One way of sending. */
export interface StackSender {
  readonly framesPerCall: number;
  /** What comes before a round and is not measured. */
  prepare(): void;
  /** Sends that many calls. */
  run(calls: number): void;
  /** Ends what the sender opened. */
  close(): void;
}

/** Payload that makes a frame of the wanted size. */
function payloadBytes({ use, payload }: SideOptions): number {
  return use.ipOptions === true ? payload - ROUTER_ALERT.length : payload;
}

/** A connected socket, set up as the contestant wants it. */
function openSocket(net: Net, options: SideOptions): UdpSocket {
  const { use } = options;
  const socket = net.socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
  if (use.ipOptions === true) socket.setsockopt(SOL_IP, IP_OPTIONS, ROUTER_ALERT);
  if (use.segment === true) socket.setsockopt(SOL_UDP, UDP_SEGMENT, options.payload);
  const to = target(options);
  if (use.call !== 'sendto') socket.connect(to);
  return socket;
}

function target({ subnet, toHost }: SideOptions): { readonly address: string; readonly port: number } {
  return { address: `${subnet}.${toHost ? 1 : 9}`, port: PORT };
}

/** The frame that one plain datagram makes: what the base writes. */
export function firstFrame(net: Net, tap: TapDevice, options: SideOptions): Uint8Array {
  let frame: Uint8Array | null = null;
  const stop = tap.capture({
    packet: (_device, bytes, off, length) => {
      frame ??= bytes.slice(off, off + length);
    },
  });
  const plain = openSocket(net, { ...options, use: {} });
  plain.send(new Uint8Array(options.payload));
  plain.close();
  stop();
  if (frame === null) throw new Error('the first datagram made no frame');
  return frame;
}

/** A capture that starts anew with each round, so that a long run does not fill the disk. */
class RoundCapture {
  #writer: PcapWriter | PcapngWriter | null = null;
  #stop = () => {};
  constructor(
    readonly tap: TapDevice,
    readonly path: string,
  ) {}

  begin(): void {
    this.end();
    this.#writer = openCapture(this.path, {});
    this.#stop = this.tap.capture(this.#writer);
  }
  flush(): void {
    this.#writer?.flush();
  }
  end(): void {
    this.#stop();
    this.#writer?.close();
    this.#writer = null;
  }
}

/** @param captureFile where captures go, without the extension */
export function openSender(net: Net, tap: TapDevice, options: SideOptions, captureFile: string): StackSender {
  const { use } = options;
  const socket = openSocket(net, options);
  if (use.traced === true) net.tracer = { event: () => {} };
  const { framesPerCall, run } = caller(socket, options);
  if (use.capture === undefined)
    return { framesPerCall, run, prepare: () => {}, close: () => socket.close() };
  const capture = new RoundCapture(tap, `${captureFile}.${use.capture}`);
  return {
    framesPerCall,
    prepare: () => capture.begin(),
    run: (calls) => {
      run(calls);
      capture.flush();
    },
    close: () => {
      capture.end();
      socket.close();
    },
  };
}

interface Caller {
  readonly framesPerCall: number;
  run(calls: number): void;
}

function caller(socket: UdpSocket, options: SideOptions): Caller {
  if (options.use.call === 'sendmmsg')
    return sendmmsgCaller(socket, options.use.batch ?? MAX_SEGMENTS, payloadBytes(options));
  const { data, frames } = oneCall(options);
  if (options.use.call === 'sendto') {
    const to = target(options);
    const run = (calls: number) => {
      for (let i = 0; i < calls; i++) socket.sendto(data, 0, to);
    };
    return { framesPerCall: frames, run };
  }
  const run = (calls: number) => {
    for (let i = 0; i < calls; i++) socket.send(data);
  };
  return { framesPerCall: frames, run };
}

function sendmmsgCaller(socket: UdpSocket, batch: number, bytes: number): Caller {
  const payload = new Uint8Array(bytes);
  const messages: Message[] = Array.from({ length: batch }, () => ({ iov: payload }));
  const run = (calls: number) => {
    for (let i = 0; i < calls; i++) {
      if (socket.sendmmsg(messages) !== batch) throw new Error('sendmmsg did not send everything');
    }
  };
  return { framesPerCall: batch, run };
}

/** What one `send` is given, and how many frames (or segments) that makes. */
function oneCall({ use, payload }: SideOptions): { readonly data: Uint8Array; readonly frames: number } {
  if (use.datagramBytes !== undefined) {
    return {
      data: new Uint8Array(use.datagramBytes),
      frames: Math.ceil((use.datagramBytes + 8) / FRAGMENT_BYTES),
    };
  }
  const frames = use.segment === true ? Math.min(MAX_SEGMENTS, Math.floor(MAX_DATAGRAM_BYTES / payload)) : 1;
  return { data: new Uint8Array(payload * frames), frames };
}
