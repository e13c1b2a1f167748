/** `udptap send`: opens the line, sends, says what became of each frame, and leaves the host as it was. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { TraceEvent } from '../trace/tracer.js';
import { CommandError, EXIT_FAILED, EXIT_OK, isSystemError } from './exit.js';
import { FrameWatch } from './frame_watch.js';
import { type Line, openLine } from './line.js';
import { Report } from './report.js';
import { Sender } from './send_loop.js';
import type { SendFlags } from './send_options.js';
import { type Payload, type SendRequest, sendRequest } from './send_request.js';

/** Reads what is to be sent. @throws CommandError where a file cannot be read */
export function readPayload(payload: Payload): Uint8Array {
  if (payload.kind === 'bytes') return payload.bytes;
  try {
    return new Uint8Array(readFileSync(payload.path === '-' ? 0 : payload.path));
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new CommandError(
      `${payload.path === '-' ? 'standard input' : payload.path}: ${error.code}: it cannot be read`,
    );
  }
}

/** Gathers what the stack says of its decisions, and prints it call by call. */
export class ExplainOutput {
  readonly #json: boolean;
  readonly #out: NodeJS.WriteStream;
  #events: TraceEvent[] = [];

  constructor(json: boolean, out: NodeJS.WriteStream) {
    this.#json = json;
    this.#out = out;
  }

  event(event: TraceEvent): void {
    this.#events.push(event);
  }

  /** Prints what was said since the last time. */
  async flush(): Promise<void> {
    const events = this.#events;
    this.#events = [];
    if (events.length === 0) return;
    if (this.#json) {
      for (const event of events) this.#out.write(`${JSON.stringify({ type: 'event', ...event })}\n`);
      return;
    }
    const { explainTree } = await import('./explain_tree.js');
    this.#out.write(explainTree(events, this.#out.isTTY === true));
  }
}

/** @returns the exit code */
export async function send(target: string, data: string | undefined, flags: SendFlags): Promise<number> {
  const request = sendRequest(target, data, flags);
  const explain = request.explain
    ? new ExplainOutput(request.json, request.json ? process.stdout : process.stderr)
    : null;
  return runSend(request, explain, request.capture === '-' ? process.stderr : process.stdout);
}

/** Sends what a request asks for; `out` takes the lines about frames. */
export async function runSend(
  request: SendRequest,
  explain: ExplainOutput | null,
  out: { write(text: string): unknown },
): Promise<number> {
  const payload = readPayload(request.payload);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const watch = new FrameWatch();
  let line: Line | null = null;
  try {
    line = await openLine(request, watch, explain);
    return await sendOver(line, request, payload, watch, explain, out, stop);
  } finally {
    await line?.close();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

async function sendOver(
  line: Line,
  request: SendRequest,
  payload: Uint8Array,
  watch: FrameWatch,
  explain: ExplainOutput | null,
  out: { write(text: string): unknown },
  stop: AbortController,
): Promise<number> {
  const report = new Report({
    json: request.json,
    verbose: request.verbose,
    hex: request.hex,
    partialChecksum: request.offload,
    out,
    err: process.stderr,
    color: process.stdout.isTTY === true,
  });
  let captureFailed = false;
  const capture =
    request.capture === null
      ? null
      : (await import('../capture/open.js')).openCapture(request.capture, {
          onError: (error) => {
            captureFailed = true;
            process.stderr.write(`udptap: ${error.message}\n`);
            stop.abort();
          },
        });
  watch.captureTo(capture);
  if (!request.json && line.description !== '') report.note(line.description);
  const sender = new Sender({ line, request, payload, watch, report, explain, stop: stop.signal });
  try {
    await sender.run();
  } finally {
    await sender.close();
    capture?.close();
  }
  if (!request.explain || request.medium !== 'memory')
    report.summary(
      sender.totals,
      capture === null || request.capture === null
        ? null
        : { path: request.capture === '-' ? '-' : basename(request.capture), frames: capture.written },
    );
  const { sent, failed, waiting } = sender.totals;
  return captureFailed || failed > 0 || waiting > 0 || (sent === 0 && request.count > 0)
    ? EXIT_FAILED
    : EXIT_OK;
}
