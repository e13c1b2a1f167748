/** The sending itself: when each datagram is due, the call, and what the device made of its frames. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Message, ReceivedMessage, UdpSocket } from '../socket/udp_socket.js';
import { IPPROTO_UDP, IPPROTO_UDPLITE } from '../uapi/in.js';
import { AF_INET, MSG_DONTWAIT, MSG_MORE, SOCK_DGRAM } from '../uapi/socket.js';
import { CommandError, isSystemError } from './exit.js';
import type { FrameWatch } from './frame_watch.js';
import type { Line } from './line.js';
import type { Progress } from './progress.js';
import type { Report, Totals } from './report.js';
import type { ExplainOutput } from './send.js';
import { sendErrorReason } from './send_errors.js';
import type { SendRequest } from './send_request.js';

export interface SenderOptions {
  readonly line: Line;
  readonly request: SendRequest;
  readonly payload: Uint8Array;
  readonly watch: FrameWatch;
  readonly report: Report;
  readonly explain: ExplainOutput | null;
  readonly stop: AbortSignal;
}

/** Datagrams in one trip to the device. */
const BATCH = 64;
/** How long the event loop may be kept from signals and received frames. */
const MAX_BUSY_MS = 10;
/** A neighbour that has not answered by then will not: three requests, a second apart. */
const RESOLVE_MS = 4000;
/** An answer that comes sooner needs no mention: its frame is printed anyway. */
const WAITING_MS = 200;

export class Sender {
  readonly totals: Totals = { sent: 0, waiting: 0, failed: 0, frames: 0, bytes: 0, replies: 0 };
  readonly #o: SenderOptions;
  readonly #socket: UdpSocket;
  readonly #message: Message & { readonly iov: readonly Uint8Array[] };
  readonly #startWallMs: number;
  readonly #startMs: number;
  readonly #single: boolean;
  readonly #wantsProgress: boolean;
  #progress: Progress | null = null;
  #refused = 0;
  #number = 0;
  /** ARP requests went out, and nothing after them. */
  #asked = false;
  #closed = false;

  constructor(options: SenderOptions) {
    this.#o = options;
    const { line, request, payload, watch } = options;
    this.#socket = openSocket(line, request);
    const ifindexOf = interfaceIndex(line);
    const control = request.cmsgs.map(({ level, type, value }) => ({ level, type, data: value(ifindexOf) }));
    this.#message = {
      iov: [payload],
      ...(request.connect ? {} : { name: request.to }),
      ...(control.length === 0 ? {} : { control }),
    };
    this.#startWallMs = line.net.clock.wall();
    this.#startMs = performance.now();
    const terminal = process.stderr.isTTY === true && !request.json && !request.verbose && !request.hex;
    const progress = terminal && request.count > 10;
    watch.keep = !request.quiet && (!progress || process.stdout.isTTY !== true);
    // Frame by frame wherever somebody looks at single frames.
    this.#single = watch.keep || request.more || request.medium === 'raw' || options.explain !== null;
    this.#wantsProgress = progress;
    // A frame is heard before the protocols have it: its datagram can be read a turn later.
    if (request.waitMs >= 0) watch.onReceived = () => setImmediate(() => this.#readReplies());
    this.#refused = this.#refusals();
  }

  /** Milliseconds since sending began. */
  #now(): number {
    return performance.now() - this.#startMs;
  }

  /** Sends all, waits for what was asked to wait for. */
  async run(): Promise<void> {
    const { request, stop } = this.#o;
    if (this.#wantsProgress) this.#progress = (await import('./progress.js')).openProgress(request.count);
    let yieldedMs = performance.now();
    while (this.#number < request.count && !stop.aborted) {
      const due = this.#due();
      if (due === 0) {
        const waitMs = this.#number * request.intervalMs - this.#now();
        await sleep(Math.max(waitMs, 0), undefined, { signal: stop }).catch(() => {});
        yieldedMs = performance.now();
        continue;
      }
      await this.#sendBatch(due);
      if (performance.now() - yieldedMs > MAX_BUSY_MS) {
        await nextTurn();
        yieldedMs = performance.now();
      }
    }
    if (request.waitMs >= 0 && !stop.aborted) {
      await sleep(request.waitMs, undefined, { signal: stop }).catch(() => {});
      this.#readReplies();
    }
    this.#print();
  }

  /** How many datagrams may go now; the first goes alone, since it may have to wait for ARP. */
  #due(): number {
    const { request } = this.#o;
    if (this.#number === 0) return 1;
    const left = request.count - this.#number;
    if (request.intervalMs === 0) return Math.min(left, BATCH);
    const due = Math.floor(this.#now() / request.intervalMs) + 1 - this.#number;
    return Math.min(Math.max(due, 0), left, BATCH);
  }

  async #sendBatch(due: number): Promise<void> {
    const { explain } = this.#o;
    if (!this.#single && due > 1) {
      this.#sendMany(due);
      return;
    }
    for (let i = 0; i < due && !this.#o.stop.aborted; i++) {
      await this.#sendOne();
      if (explain !== null) await explain.flush();
    }
  }

  #sendMany(due: number): void {
    const messages = Array.from({ length: due }, () => this.#message);
    try {
      const sent = this.#socket.sendmmsg(messages, MSG_DONTWAIT);
      this.#number += sent;
      const refused = this.#account();
      this.totals.failed += Math.min(refused, sent);
      this.totals.sent += Math.max(0, sent - refused);
    } catch (error) {
      this.#number++;
      this.#fail(error);
    }
    this.#progress?.update(this.#number);
  }

  async #sendOne(): Promise<void> {
    const { line } = this.#o;
    this.#print();
    const number = ++this.#number;
    const framesBefore = this.totals.frames;
    const failedBefore = this.totals.failed;
    try {
      this.#call();
    } catch (error) {
      this.#print();
      this.#fail(error);
      return;
    }
    await line.settle();
    let heard: { refused: number } = this.#print();
    if (this.totals.frames === framesBefore && heard.refused === 0) heard = await this.#resolve(number);
    if (heard.refused > 0) {
      this.totals.failed = failedBefore + 1;
      this.#o.report.failed(
        this.#now(),
        number,
        `the device refused it: ${line.refusal() ?? 'frame dropped'}`,
        null,
      );
    } else if (this.totals.frames > framesBefore) this.totals.sent++;
    this.#progress?.update(number);
  }

  #call(): void {
    const { payload, request } = this.#o;
    if (!request.more) {
      this.#socket.sendmsg({ ...this.#message, flags: MSG_DONTWAIT });
      return;
    }
    const half = payload.length >>> 1;
    this.#socket.sendmsg({
      ...this.#message,
      iov: [payload.subarray(0, half)],
      flags: MSG_DONTWAIT | MSG_MORE,
    });
    this.#socket.sendmsg({ ...this.#message, iov: [payload.subarray(half)], flags: MSG_DONTWAIT });
  }

  /** No frame has left: the neighbour's address is being asked for, or nothing was to leave at all. */
  async #resolve(number: number): Promise<{ refused: number }> {
    const { line, report, watch, stop } = this.#o;
    const before = this.totals.frames;
    this.totals.waiting++;
    const interrupted = new Promise<void>((resolve) => {
      stop.addEventListener('abort', () => resolve(), { once: true });
    });
    const patience = setTimeout(() => report.waiting(this.#now(), number), WAITING_MS);
    await Promise.race([line.net.drain(RESOLVE_MS), interrupted]);
    clearTimeout(patience);
    await line.settle();
    const asked = watch.arpRequests > 0;
    const heard = this.#print();
    if (stop.aborted && this.totals.frames === before) return heard;
    this.totals.waiting--;
    if (heard.refused > 0 || this.totals.frames > before) return heard;
    this.totals.failed++;
    const reason =
      asked || heard.arpRequests > 0 || this.#asked
        ? 'EHOSTUNREACH: nobody answered ARP for its next hop'
        : 'no frame left: it was dropped within the stack, or delivered on this machine alone';
    report.failed(this.#now(), number, reason, asked ? 'EHOSTUNREACH' : null);
    return heard;
  }

  /** Prints and counts what was heard; the device's last refusals belong to the last frames that went out. */
  #print(): { refused: number; arpRequests: number } {
    const { report, watch, line } = this.#o;
    const heard = watch.take();
    this.#asked = heard.arpRequests > 0 || (this.#asked && heard.ipFrames === 0);
    const refused = this.#countRefusals();
    this.totals.frames += Math.max(0, heard.ipFrames - refused);
    this.totals.bytes += heard.ipBytes;
    let left = heard.outFrames;
    for (const frame of heard.frames) {
      const out = frame.direction === 'out' && frame.dev !== 'lo';
      const isRefused = out && left-- <= refused;
      report.frame({
        timeMs: Math.max(0, frame.wallMs - this.#startWallMs),
        dev: frame.dev,
        direction: frame.direction,
        bytes: frame.bytes,
        status: frame.direction === 'in' ? null : isRefused ? 'failed' : 'sent',
        ...(isRefused ? { error: line.refusal() ?? 'dropped' } : {}),
      });
    }
    return { refused, arpRequests: heard.arpRequests };
  }

  #account(): number {
    return this.#print().refused;
  }

  /** Frames that the device has refused since it was opened. */
  #refusals(): number {
    const { stats } = this.#o.line.device;
    return stats.txErrors + stats.txDropped;
  }

  #countRefusals(): number {
    const now = this.#refusals();
    const more = now - this.#refused;
    this.#refused = now;
    return more;
  }

  #fail(error: unknown): void {
    const { request, payload, line, report } = this.#o;
    if (!isSystemError(error)) throw error;
    this.totals.failed++;
    const reason = sendErrorReason(error, request, payload.length, line.device.mtu);
    report.failed(this.#now(), this.#number, reason, error.code);
  }

  #readReplies(): void {
    if (this.#closed) return;
    for (;;) {
      let reply: ReceivedMessage | null;
      try {
        reply = this.#socket.recvmsg();
      } catch (error) {
        // An ICMP error that has come back; taking it lets the next call look further.
        if (!isSystemError(error)) throw error;
        this.#print();
        this.#o.report.note(`${(this.#now() / 1000).toFixed(4)}  back ${error.message}`);
        continue;
      }
      if (reply === null) return;
      this.#print();
      this.totals.replies++;
      const { address, port } = reply.name ?? this.#o.request.to;
      this.#o.report.reply({ timeMs: this.#now(), address, port, bytes: reply.data });
    }
  }

  /** Ends the progress line, and the socket with it what is still corked. */
  async close(): Promise<void> {
    this.#o.watch.onReceived = null;
    this.#progress?.stop();
    this.#closed = true;
    this.#socket.close();
  }
}

function interfaceIndex(line: Line): (name: string) => number {
  return (name) => {
    const device = line.net.devGetByName(name);
    if (device !== null) return device.ifindex;
    const names = line.net.devices.map((dev) => dev.name).join(', ');
    throw new CommandError(`ENODEV: there is no interface ${name}; there are ${names}`);
  };
}

/** A socket with everything that the flags ask for. @throws CommandError that names the flag */
function openSocket(line: Line, request: SendRequest): UdpSocket {
  const socket = line.net.socket(AF_INET, SOCK_DGRAM, request.udplite ? IPPROTO_UDPLITE : IPPROTO_UDP);
  const ifindexOf = interfaceIndex(line);
  const attempt = (what: string, run: () => void) => {
    try {
      run();
    } catch (error) {
      socket.close();
      if (!isSystemError(error)) throw error;
      throw new CommandError(`${what}: ${error.message}`);
    }
  };
  for (const { flag, level, type, value } of request.sockopts) {
    attempt(flag, () => socket.setsockopt(level, type, value(ifindexOf)));
  }
  const { bind } = request;
  if (bind !== null) attempt(`bind to ${bind.address}:${bind.port}`, () => socket.bind(bind));
  if (request.connect) attempt('--connect', () => socket.connect(request.to));
  return socket;
}
