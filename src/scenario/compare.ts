/** Two machines' results of one scenario, held against each other under the comparison rules of {@link normalize}. */
import { decodeFrame } from '../wire/decode.js';
import { differingFields, diffFrames } from '../wire/diff.js';
import { type NormalCall, type NormalFrame, normalize } from './normalize.js';
import type { Scenario, ScenarioResult } from './types.js';

/** Where frames were seen: during a call (its number), while the network was made, or after the last call. */
export type Place = number | 'setup' | 'late';

/** One difference. `what` names a key of the result, or `frame N: FIELD …`. */
export interface Difference {
  readonly place: Place;
  readonly what: string;
  readonly ours: unknown;
  readonly kernel: unknown;
  /** Both frames, normalised, where both machines sent one and they differ. */
  readonly frames?: readonly [NormalFrame, NormalFrame];
}

/** Keys of a call's result that are compared as they are; texts of errors are not the machines' to agree on. */
const KEYS = [
  'ret',
  'errno',
  'value_hex',
  'int',
  'addr',
  'data_hex',
  'from',
  'msg_flags',
  'cmsgs',
  'lens',
  'stdout',
] as const satisfies readonly (keyof NormalCall)[];

/** Every difference between two results of the same scenario; empty if they are equal under the rules. */
export function compareResults(
  scenario: Scenario,
  ours: ScenarioResult,
  kernel: ScenarioResult,
): Difference[] {
  if ('error' in ours || 'error' in kernel) {
    if ('error' in ours && 'error' in kernel) return [];
    const [left, right] = ['error' in ours ? ours.error : null, 'error' in kernel ? kernel.error : null];
    return [{ place: 'setup', what: 'error', ours: left, kernel: right }];
  }
  const [left, right] = [normalize(scenario, ours), normalize(scenario, kernel)];
  const differences: Difference[] = [];
  compareFrames('setup', left.setup, right.setup, differences);
  for (let i = 0; i < Math.max(left.calls.length, right.calls.length); i++) {
    const [a, b] = [left.calls[i], right.calls[i]];
    if (a === undefined || b === undefined) {
      differences.push({ place: i, what: 'call', ours: a?.call ?? null, kernel: b?.call ?? null });
      continue;
    }
    for (const key of KEYS) {
      const [x, y] = [a[key] ?? null, b[key] ?? null];
      if (JSON.stringify(x) !== JSON.stringify(y))
        differences.push({ place: i, what: key, ours: x, kernel: y });
    }
    compareFrames(i, a.frames, b.frames, differences);
  }
  compareFrames('late', left.late, right.late, differences);
  if (left.reports !== null && right.reports !== null)
    compareReports(left.reports, right.reports, differences);
  return differences;
}

/** Membership reports as a set: those that only one machine sent. */
function compareReports(ours: readonly string[], kernel: readonly string[], differences: Difference[]): void {
  const only = (list: readonly string[], other: readonly string[]) =>
    list
      .filter((report) => !other.includes(report))
      .map((report) => {
        const [dev, hex] = report.split(' ');
        return `[${dev}] ${decodeFrame(Buffer.from(hex!, 'hex'))}`;
      });
  const [left, right] = [only(ours, kernel), only(kernel, ours)];
  if (left.length + right.length > 0)
    differences.push({ place: 'late', what: 'IGMP', ours: left, kernel: right });
}

function compareFrames(
  place: Place,
  ours: readonly NormalFrame[],
  kernel: readonly NormalFrame[],
  differences: Difference[],
): void {
  if (ours.length !== kernel.length) {
    differences.push({ place, what: 'frames', ours: ours.length, kernel: kernel.length });
  }
  for (let i = 0; i < Math.max(ours.length, kernel.length); i++) {
    const [a, b] = [ours[i], kernel[i]];
    if (a === undefined || b === undefined) {
      const [left, right] = [a === undefined ? null : describe(a), b === undefined ? null : describe(b)];
      differences.push({ place, what: `frame ${i}`, ours: left, kernel: right });
      continue;
    }
    const fields: string[] = [];
    if (a.dev !== b.dev) fields.push('dev');
    if (a.vnetHdr !== b.vnetHdr) fields.push('vnet_hdr');
    if (!Buffer.from(a.bytes).equals(b.bytes)) fields.push(...differingFields(a.bytes, b.bytes));
    if (fields.length === 0) continue;
    differences.push({
      place,
      what: `frame ${i}: ${fields.join(' ')}`,
      ours: describe(a),
      kernel: describe(b),
      frames: [a, b],
    });
  }
}

function describe(frame: NormalFrame): string {
  const partial = frame.vnetHdr?.startsWith('01') ?? false;
  const header = frame.vnetHdr === null ? '' : ` vnet_hdr ${frame.vnetHdr}`;
  return `[${frame.dev}${header}] ${decodeFrame(frame.bytes, { partialChecksum: partial })}`;
}

/** Frames of one place that are shown in full; more of the same teach nothing. */
const MAX_SHOWN = 12;
const MAX_VALUE_CHARS = 240;

/** The differences of one scenario for people: the calls in question, values and frames side by side. */
export function formatDifferences(
  scenario: Scenario,
  differences: readonly Difference[],
  { color = false }: { readonly color?: boolean } = {},
): string {
  const lines: string[] = [];
  let last: Place | null = null;
  for (const difference of differences.slice(0, MAX_SHOWN)) {
    const { place, what, ours, kernel, frames } = difference;
    if (place !== last) {
      const call = typeof place === 'number' ? scenario.calls[place] : undefined;
      lines.push(
        call === undefined ? `  ${place}` : `  call ${place}: ${call.call} ${brief(JSON.stringify(call))}`,
      );
      last = place;
    }
    lines.push(`    ${what}`, `      ours    ${show(ours)}`, `      kernel  ${show(kernel)}`);
    if (frames !== undefined) {
      const partialChecksum = frames[1].vnetHdr?.startsWith('01') ?? false;
      const table = diffFrames(frames[0].bytes, frames[1].bytes, { color, partialChecksum });
      lines.push(...table.split('\n').map((line) => `      ${line}`));
    }
  }
  if (differences.length > MAX_SHOWN) lines.push(`  … ${differences.length - MAX_SHOWN} more differences`);
  return lines.join('\n');
}

function show(value: unknown): string {
  return brief(typeof value === 'string' ? value : JSON.stringify(value));
}
function brief(text: string): string {
  return text.length > MAX_VALUE_CHARS ? `${text.slice(0, MAX_VALUE_CHARS)}…` : text;
}

/** The differences as plain data, for `--json`. */
export function differencesToJson(differences: readonly Difference[]): unknown[] {
  return differences.map(({ place, what, ours, kernel, frames }) => ({
    place,
    what,
    ours,
    kernel,
    ...(frames && {
      frames: frames.map((f) => ({
        dev: f.dev,
        ...(f.vnetHdr !== null && { vnet_hdr: f.vnetHdr }),
        hex: Buffer.from(f.bytes).toString('hex'),
      })),
    }),
  }));
}
