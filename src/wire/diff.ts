/** Two frames side by side, field by field: what a failing comparison prints. */
import picocolors from 'picocolors';
import { equalBytes } from './bytes.js';
import type { DecodeOptions } from './decode.js';
import { dissect, type FieldNode } from './dissect.js';

/** How to print. */
export interface DiffOptions extends DecodeOptions {
  /** Colour the differing fields; false where absent. */
  readonly color?: boolean;
  /** What the two columns are called; `ours` and `kernel` where absent. */
  readonly titles?: readonly [string, string];
  /** Leave equal fields out; false where absent. */
  readonly onlyDifferent?: boolean;
}

/** Bytes of payload in a row. */
const ROW_BYTES = 16;
/** Rows of differing payload that are printed at most. */
const MAX_PAYLOAD_ROWS = 16;
/** Above this a pairing of all fields with all others would take too long, and they are paired by position. */
const MAX_PAIRED = 400;

interface Row {
  readonly name: string;
  readonly left: string;
  readonly right: string;
  readonly same: boolean;
}

/** Names of the fields in which two frames differ (by bytes, not by text); empty if the frames are equal. */
export function differingFields(a: Uint8Array, b: Uint8Array, options: DecodeOptions = {}): string[] {
  const names = rows(a, b, options)
    .filter((row) => !row.same)
    .map((row) => row.name);
  return [...new Set(names)];
}

/**
 * Both frames decoded, one field a line, the differing ones marked with `*`. A field that only one frame has shows `-`
 * on the other side. Of a payload only the rows of 16 bytes that differ are shown.
 */
export function diffFrames(a: Uint8Array, b: Uint8Array, options: DiffOptions = {}): string {
  const { color = false, titles = ['ours', 'kernel'], onlyDifferent = false } = options;
  const paint = picocolors.createColors(color);
  const all = rows(a, b, options);
  const shown = onlyDifferent ? all.filter((row) => !row.same) : all;
  const head: Row = { name: 'field', left: titles[0], right: titles[1], same: true };
  const nameWidth = Math.max(...[head, ...shown].map((row) => row.name.length));
  const leftWidth = Math.max(...[head, ...shown].map((row) => row.left.length));
  const lines = shown.map((row) => {
    const text = `${row.name.padEnd(nameWidth)}  ${row.left.padEnd(leftWidth)}  ${row.right}`;
    return row.same ? `  ${text}` : paint.red(`* ${text}`);
  });
  const title = `  ${head.name.padEnd(nameWidth)}  ${head.left.padEnd(leftWidth)}  ${head.right}`;
  return [paint.bold(title), ...lines].join('\n');
}

function rows(a: Uint8Array, b: Uint8Array, options: DecodeOptions): Row[] {
  const out: Row[] = [];
  for (const [left, right] of pair(dissect(a, options), dissect(b, options))) {
    const same = left !== null && right !== null && sameBytes(a, left, b, right);
    if (!same && left?.name === 'payload' && right?.name === 'payload') {
      out.push(...payloadRows(a, left, b, right));
      continue;
    }
    out.push({ name: (left ?? right)!.name, left: left?.text ?? '-', right: right?.text ?? '-', same });
  }
  return out;
}

/** Bytes decide, but a field that is only part of its bytes is judged by its text: the other bits are not its own. */
function sameBytes(a: Uint8Array, left: FieldNode, b: Uint8Array, right: FieldNode): boolean {
  if (SHARED.has(left.name.replace(/^(quote\.)+/, ''))) return left.text === right.text;
  if (left.lengthBytes !== right.lengthBytes) return false;
  return equalBytes(a, left.offsetBytes, b, right.offsetBytes, left.lengthBytes);
}

const SHARED: ReadonlySet<string> = new Set([
  'ip.version',
  'ip.ihl',
  'ip.flags',
  'ip.frag_off',
  'igmp.suppress',
  'igmp.qrv',
]);

/** Lays two lists of fields beside each other, keeping both orders: the longest common subsequence of their names. */
function pair(
  left: readonly FieldNode[],
  right: readonly FieldNode[],
): [FieldNode | null, FieldNode | null][] {
  const [n, m] = [left.length, right.length];
  if (n > MAX_PAIRED || m > MAX_PAIRED) {
    return Array.from({ length: Math.max(n, m) }, (_, i) => [left[i] ?? null, right[i] ?? null]);
  }
  const width = m + 1;
  const best = new Uint16Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      best[i * width + j] =
        left[i]!.name === right[j]!.name
          ? best[(i + 1) * width + j + 1]! + 1
          : Math.max(best[(i + 1) * width + j]!, best[i * width + j + 1]!);
    }
  }
  const pairs: [FieldNode | null, FieldNode | null][] = [];
  let i = 0;
  let j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && left[i]!.name === right[j]!.name) pairs.push([left[i++]!, right[j++]!]);
    else if (j >= m || (i < n && best[(i + 1) * width + j]! >= best[i * width + j + 1]!))
      pairs.push([left[i++]!, null]);
    else pairs.push([null, right[j++]!]);
  }
  return pairs;
}

/** The rows of 16 bytes in which two payloads differ, by offset in the payload. */
function payloadRows(a: Uint8Array, left: FieldNode, b: Uint8Array, right: FieldNode): Row[] {
  const out: Row[] = [];
  const longest = Math.max(left.lengthBytes, right.lengthBytes);
  if (left.lengthBytes !== right.lengthBytes) {
    out.push({
      name: 'payload',
      left: `${left.lengthBytes} bytes`,
      right: `${right.lengthBytes} bytes`,
      same: false,
    });
  }
  let hidden = 0;
  for (let at = 0; at < longest; at += ROW_BYTES) {
    const [l, r] = [hexRow(a, left, at), hexRow(b, right, at)];
    if (l === r) continue;
    if (out.length < MAX_PAYLOAD_ROWS) out.push({ name: `payload+${at}`, left: l, right: r, same: false });
    else hidden++;
  }
  if (hidden > 0) out.push({ name: 'payload', left: `… ${hidden} more rows differ`, right: '', same: false });
  return out;
}

function hexRow(bytes: Uint8Array, node: FieldNode, at: number): string {
  const end = Math.min(node.lengthBytes, at + ROW_BYTES);
  if (at >= end) return '-';
  return Buffer.from(bytes.subarray(node.offsetBytes + at, node.offsetBytes + end)).toString('hex');
}
