/** Scenario files: reading them, and answering a wrong one with the place (line, column, path) and the reason. */
import { readFileSync } from 'node:fs';
import { positionOf, syntaxProblem } from './json_position.js';
import { scenarioProblem } from './schema.js';
import { type Scenario, ScenarioError } from './types.js';

/** A scenario of a file, or what is wrong with it. */
export type FileEntry =
  | { readonly ok: true; readonly scenario: Scenario }
  | { readonly ok: false; readonly name: string | null; readonly error: string };

/** `calls[3].addr` */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i === 0 ? '' : '.'}${String(part)}`))
    .join('');
}

/**
 * The scenarios in the text of a file. A scenario that is wrong is one entry of the answer; the others can run.
 *
 * @throws ScenarioError where the text is not JSON, or holds no scenarios at all
 */
export function parseScenarios(text: string, fileName: string): FileEntry[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    const { line, column, reason } = syntaxProblem(text);
    throw new ScenarioError(`${fileName}:${line}:${column}: ${reason}`);
  }
  const list = Array.isArray(document);
  const values: readonly unknown[] = list ? (document as unknown[]) : [document];
  return values.map((value, i) => {
    const problem = scenarioProblem(value);
    if (problem === null) return { ok: true, scenario: value as Scenario };
    const { line, column } = positionOf(text, list ? [i, ...problem.path] : problem.path);
    const at = problem.path.length === 0 ? '' : `${formatPath(problem.path)}: `;
    return { ok: false, name: nameOf(value), error: `${fileName}:${line}:${column}: ${at}${problem.reason}` };
  });
}

function nameOf(value: unknown): string | null {
  const name = typeof value === 'object' && value !== null && 'name' in value ? value.name : null;
  return typeof name === 'string' ? name : null;
}

/** As {@link parseScenarios}, of a file, or of standard input for `-`. @throws ScenarioError */
export function readScenarios(fileName: string): FileEntry[] {
  let text: string;
  try {
    text = readFileSync(fileName === '-' ? 0 : fileName, 'utf8');
  } catch (error) {
    throw new ScenarioError(`${fileName}: ${(error as Error).message}`);
  }
  return parseScenarios(text, fileName === '-' ? 'stdin' : fileName);
}
