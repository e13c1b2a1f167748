/** A scenario's result for people: a line a call, a line a frame. */
import { decodeFrame } from '../wire/decode.js';
import type { CallResult, Frame, Scenario, ScenarioResult } from './types.js';

const MAX_ARGUMENT_CHARS = 230;
const MAX_VALUE_CHARS = 160;

function cut(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max)}…` : text;
}

function frameLine(frame: Frame): string {
  const header = frame.vnet_hdr === undefined ? '' : ` vnet_hdr ${frame.vnet_hdr}`;
  const partialChecksum = frame.vnet_hdr?.startsWith('01') ?? false;
  return `[${frame.dev}${header}] ${decodeFrame(Buffer.from(frame.hex, 'hex'), { partialChecksum })}`;
}

function readBack(result: CallResult): string {
  const { i: _i, call: _call, ret: _ret, errno: _errno, err: _err, frames: _frames, ...read } = result;
  return Object.entries(read)
    .map(
      ([key, value]) =>
        ` ${key} ${cut(typeof value === 'string' ? value : JSON.stringify(value), MAX_VALUE_CHARS)}`,
    )
    .join('');
}

/** The text of one scenario's result, without a newline at the end. */
export function formatResult(scenario: Scenario, result: ScenarioResult): string {
  const note = scenario.note === undefined ? '' : `  (${scenario.note})`;
  const lines = [`== ${result.name ?? 'scenario'}${note}`];
  if ('error' in result) return [...lines, `   error: ${result.error}`].join('\n');
  for (const frame of result.setup_frames) lines.push(`     set-up: ${frameLine(frame)}`);
  for (const answer of result.calls) {
    const { call, note: _note, ...args } = scenario.calls[answer.i]!;
    const error = answer.err === null ? '' : ` ${answer.err}`;
    const shown = cut(JSON.stringify(args), MAX_ARGUMENT_CHARS);
    lines.push(
      `  ${String(answer.i).padStart(2)} ${call}(${shown}) = ${answer.ret}${error}${readBack(answer)}`,
    );
    for (const frame of answer.frames) lines.push(`       ${frameLine(frame)}`);
  }
  for (const frame of result.late_frames) lines.push(`     late: ${frameLine(frame)}`);
  return lines.join('\n');
}
