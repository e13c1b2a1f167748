/** The decisions of one call as a tree: each kernel function with its steps, what they looked at, and the rule. */
import picocolors from 'picocolors';
import type { TraceEvent } from '../trace/tracer.js';

interface Node {
  /** Null for a node that was opened only to hold its children. */
  event: TraceEvent | null;
  label: string;
  readonly fn: string;
  readonly depth: number;
  readonly children: Node[];
}

/** Texts longer than this do not push the rules to the right. */
const MAX_TEXT_COLUMN = 72;

/**
 * Groups events by function and depth. An event of depth 0 opens a call; what comes without one (a timer, a received
 * frame) stands alone.
 */
function grow(events: readonly TraceEvent[]): Node[] {
  const roots: Node[] = [];
  /** From the call down to the node that the last event became. */
  let way: Node[] = [];
  for (const event of events) {
    const root = way[0];
    if (event.depth === 0 || root === undefined) {
      const isCall = event.depth === 0 || event.depth === undefined;
      const node: Node = {
        event: isCall ? event : null,
        label: event.fn,
        fn: event.fn,
        depth: 0,
        children: [],
      };
      roots.push(node);
      way = [node];
      if (isCall) continue;
    }
    const depth = Math.max(1, event.depth ?? 1);
    while (way.length > 1 && way.at(-1)!.depth >= depth) {
      const last = way.at(-1)!;
      if (last.depth === depth && last.fn === event.fn && last.fn !== way[0]!.fn) break;
      way.pop();
    }
    const parent = way.at(-1)!;
    if (parent.depth === depth && parent.fn === event.fn) {
      // A second event of the same function: the function becomes the head, its steps the children.
      if (parent.event !== null && parent.event.step !== 'enter') {
        parent.children.unshift(leaf(parent.event, depth + 1));
        parent.event = null;
      }
      parent.children.push(leaf(event, depth + 1));
      continue;
    }
    const own = event.fn === way[0]!.fn;
    const node: Node = { event, label: own ? event.step : event.fn, fn: event.fn, depth, children: [] };
    parent.children.push(node);
    way.push(node);
  }
  return roots;
}

function leaf(event: TraceEvent, depth: number): Node {
  return { event, label: event.step, fn: event.fn, depth, children: [] };
}

interface Row {
  readonly left: string;
  readonly event: TraceEvent | null;
}

function flatten(node: Node, prefix: string, branch: string, out: Row[]): void {
  out.push({ left: `${prefix}${branch}${node.label}`, event: node.event });
  const inner = branch === '' ? prefix : `${prefix}${branch === '└ ' ? '  ' : '│ '}`;
  node.children.forEach((child, i) => {
    flatten(child, inner, i === node.children.length - 1 ? '└ ' : '├ ', out);
  });
}

/** The tree, one line a decision. Quirks are marked: the kernel does surprise there. */
export function explainTree(events: readonly TraceEvent[], color = false): string {
  const paint = picocolors.createColors(color);
  const rows: Row[] = [];
  for (const root of grow(events)) flatten(root, '', '', rows);
  const leftWidth = Math.max(0, ...rows.map((row) => row.left.length)) + 2;
  const textWidth = Math.min(
    MAX_TEXT_COLUMN,
    Math.max(0, ...rows.map((row) => (row.event?.text ?? '').length)),
  );
  const lines = rows.map(({ left, event }) => {
    const text = event?.text ?? '';
    const rule = event?.rule ?? '';
    const note = event?.quirk === true ? `${rule} (quirk)`.trim() : rule;
    const painted = event?.quirk === true ? paint.yellow(note) : paint.dim(note);
    const padded = note === '' ? text : `${text.padEnd(textWidth)}  `;
    return `${left.padEnd(leftWidth)}${padded}${note === '' ? '' : painted}`.trimEnd();
  });
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
