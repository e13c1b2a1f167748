/** What `send` prints: a line a frame, what comes back, and a summary; or the same as JSON, one object a line. */
import picocolors from 'picocolors';
import { decodeFrame } from '../wire/decode.js';
import { dissect } from '../wire/dissect.js';

export interface FrameReport {
  /** Milliseconds since sending began. */
  readonly timeMs: number;
  readonly dev: string;
  readonly direction: 'out' | 'in';
  readonly bytes: Uint8Array;
  /** `sent`: the device took it. `failed`: it refused it, with `error`. Null for what comes in. */
  readonly status: 'sent' | 'failed' | null;
  readonly error?: string;
}

export interface ReplyReport {
  readonly timeMs: number;
  readonly address: string;
  readonly port: number;
  readonly bytes: Uint8Array;
}

export interface Totals {
  /** Datagrams of which every frame was taken. */
  sent: number;
  /** Datagrams that wait for a neighbour's address. */
  waiting: number;
  failed: number;
  /** IP frames that left. */
  frames: number;
  bytes: number;
  replies: number;
}

export interface ReportOptions {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly hex: boolean;
  /** Frames carry the IP packet alone. */
  readonly linkIp?: boolean;
  /** Checksums are left to the device (`--offload`): not judged. */
  readonly partialChecksum?: boolean;
  /** Where the lines go. */
  readonly out: { write(text: string): unknown };
  /** Where progress and summary go. */
  readonly err: { write(text: string): unknown };
  readonly color: boolean;
}

const HEX_BYTES_A_LINE = 16;

/** As tcpdump -x prints bytes: an offset, pairs, and the characters. */
export function hexDump(bytes: Uint8Array, indent = '        '): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += HEX_BYTES_A_LINE) {
    const row = bytes.subarray(at, at + HEX_BYTES_A_LINE);
    const pairs = Buffer.from(row)
      .toString('hex')
      .replace(/(.{4})(?=.)/g, '$1 ');
    const text = Buffer.from(row)
      .toString('latin1')
      .replace(/[^\x20-\x7e]/g, '.');
    lines.push(`${indent}0x${at.toString(16).padStart(4, '0')}:  ${pairs.padEnd(39)}  ${text}`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** Text where it is text, else hexadecimal. */
export function payloadText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8');
  const printable = !/[^\P{Cc}\t\r\n]|\ufffd/u.test(text);
  return printable ? JSON.stringify(text) : Buffer.from(bytes).toString('hex');
}

function seconds(timeMs: number): string {
  return (timeMs / 1000).toFixed(4);
}

export function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

export class Report {
  readonly #options: ReportOptions;
  readonly #paint;

  constructor(options: ReportOptions) {
    this.#options = options;
    this.#paint = picocolors.createColors(options.color);
  }

  frame(frame: FrameReport): void {
    const { json, verbose, hex, out, linkIp, partialChecksum = false } = this.#options;
    const decoding = { link: linkIp === true ? 'ip' : 'ethernet', partialChecksum } as const;
    const text = decodeFrame(frame.bytes, decoding);
    if (json) {
      this.#json({
        type: 'frame',
        time: frame.timeMs / 1000,
        dev: frame.dev,
        direction: frame.direction,
        status: frame.status,
        ...(frame.error === undefined ? {} : { error: frame.error }),
        length: frame.bytes.length,
        text,
        hex: Buffer.from(frame.bytes).toString('hex'),
      });
      return;
    }
    const failed =
      frame.status === 'failed' ? this.#paint.red(`  FAILED: ${frame.error ?? 'not taken'}`) : '';
    let block = `${seconds(frame.timeMs)}  ${text}${failed}\n`;
    if (verbose) {
      for (const field of dissect(frame.bytes, decoding))
        block += `        ${field.name.padEnd(18)} ${field.text}\n`;
    }
    if (hex) block += hexDump(frame.bytes);
    out.write(block);
  }

  /** A datagram that no frame has left for yet: its neighbour's address is being asked for. */
  waiting(timeMs: number, number: number): void {
    if (this.#options.json) {
      this.#json({ type: 'datagram', time: timeMs / 1000, number, status: 'waiting' });
      return;
    }
    this.#options.out.write(
      `${seconds(timeMs)}  wait datagram ${number} waits for its neighbour's address (ARP)\n`,
    );
  }

  failed(timeMs: number, number: number, message: string, code: string | null): void {
    if (this.#options.json) {
      this.#json({ type: 'datagram', time: timeMs / 1000, number, status: 'failed', code, error: message });
      return;
    }
    this.#options.err.write(
      `${seconds(timeMs)}  ${this.#paint.red('fail')} datagram ${number}: ${message}\n`,
    );
  }

  reply(reply: ReplyReport): void {
    if (this.#options.json) {
      this.#json({
        type: 'reply',
        time: reply.timeMs / 1000,
        from: `${reply.address}:${reply.port}`,
        length: reply.bytes.length,
        hex: Buffer.from(reply.bytes).toString('hex'),
      });
      return;
    }
    const { out, hex } = this.#options;
    const content = hex ? `\n${hexDump(reply.bytes).trimEnd()}` : `  ${payloadText(reply.bytes)}`;
    out.write(
      `${seconds(reply.timeMs)}  back ${reply.address}:${reply.port}  len ${reply.bytes.length}${content}\n`,
    );
  }

  /** A line on stderr that is no result. */
  note(text: string): void {
    this.#options.err.write(`${text}\n`);
  }

  summary(totals: Totals, capture: { readonly path: string; readonly frames: number } | null): void {
    const { json, err } = this.#options;
    if (json) {
      this.#json({ type: 'summary', ...totals, ...(capture === null ? {} : { capture }) });
      return;
    }
    const parts = [
      plural(totals.sent, 'datagram'),
      plural(totals.frames, 'frame'),
      plural(totals.bytes, 'byte'),
    ];
    if (totals.waiting > 0) parts.push(`${totals.waiting} still waiting`);
    parts.push(totals.failed > 0 ? `${totals.failed} failed` : 'no errors');
    if (totals.replies > 0) parts.push(`${plural(totals.replies, 'datagram')} back`);
    const file =
      capture === null
        ? ''
        : ` · ${capture.path === '-' ? 'the capture' : capture.path} holds ${plural(capture.frames, 'frame')}`;
    err.write(`${parts.join(', ')}${file}\n`);
  }

  #json(value: unknown): void {
    this.#options.out.write(`${JSON.stringify(value)}\n`);
  }
}
