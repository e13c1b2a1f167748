/** The C programs of the benchmark: compiled on the spot, and run round by round. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CommandError } from '../exit.js';

/** Where the sources lie: the same from src/cli/bench and from dist/cli/bench. */
const SOURCES = fileURLToPath(new URL('../../../bench/c/', import.meta.url));

export const PROGRAMS = ['write_loop', 'build_write', 'kernel_send', 'udp_sink'] as const;
export type Program = (typeof PROGRAMS)[number];

/** The file that a command's name stands for, or null. */
export function findCommand(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

/** Compiles every program into a folder. @throws CommandError where there is no compiler, or it refuses */
export function compilePrograms(folder: string): string {
  const compiler = [process.env.CC, 'cc', 'gcc', 'clang'].find(
    (name) => name !== undefined && findCommand(name) !== null,
  );
  if (compiler === undefined) {
    throw new CommandError(
      'there is no C compiler here, and what is measured is measured against C',
      'sudo apt-get install gcc libc6-dev',
    );
  }
  for (const program of PROGRAMS) {
    const built = spawnSync(
      compiler,
      ['-O3', '-pthread', '-o', join(folder, program), join(SOURCES, `${program}.c`)],
      {
        encoding: 'utf8',
      },
    );
    if (built.status !== 0)
      throw new CommandError(`${compiler}: ${program}.c: ${(built.stderr ?? '').trim()}`);
  }
  return compiler;
}

/** What a round took. */
export interface Round {
  /** Nanoseconds a frame. */
  readonly ns: number;
  /** The kernel gave the processor to something else meanwhile. */
  readonly disturbed: boolean;
}

/** Times a round of this process. */
export async function timeRound(frames: number, run: () => void | Promise<void>): Promise<Round> {
  const before = process.resourceUsage().involuntaryContextSwitches;
  const start = process.hrtime.bigint();
  const running = run();
  if (running !== undefined) await running;
  const ns = Number(process.hrtime.bigint() - start) / frames;
  return { ns, disturbed: process.resourceUsage().involuntaryContextSwitches !== before };
}

/** A child that answers each line with one line. */
export class LineChild {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #name: string;

  /** @param fd a descriptor that it inherits as number 3 */
  constructor(command: readonly [string, ...string[]], fd: number | null = null) {
    this.#name = command[0];
    this.#child = spawn(command[0], command.slice(1), {
      stdio: ['pipe', 'pipe', 'inherit', ...(fd === null ? [] : [fd])],
    });
    this.#child.on('error', () => {});
    this.#child.stdin!.on('error', () => {});
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** The next line that it writes. @throws CommandError where it has ended */
  async line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new CommandError(`${this.#name} ended too soon`);
    return next.value;
  }

  /** One round of a program that has rounds. */
  async round(frames: number): Promise<Round> {
    this.#child.stdin!.write(`${frames}\n`);
    const [ns, preemptions] = (await this.line()).split(' ');
    return { ns: Number(ns), disturbed: preemptions !== '0' };
  }

  write(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** Closes its standard input and waits for its end. @throws CommandError where that is no good one */
  async done(): Promise<void> {
    const code = new Promise<number | null>((resolve) => this.#child.once('close', resolve));
    this.end();
    if ((await code) !== 0) throw new CommandError(`${this.#name} failed`);
  }

  end(): void {
    this.#child.stdin!.end();
  }
}
