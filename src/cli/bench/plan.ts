/** What is measured in a run, and by whom: every measurement has a process of its own. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommandError } from '../exit.js';
import type { Task } from './worker.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** The same from the sources, which another program compiles as it loads them, and from what was built of them. */
const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const WORKER = fileURLToPath(new URL(`./worker${EXTENSION}`, import.meta.url));

/** A folder for programs and captures, gone when the run is over. */
export class Workshop {
  readonly folder = mkdtempSync(join(tmpdir(), 'udptap-bench-'));
  #untraced: string | null = null;

  /** A worker of a copy of this package with every test for a tracer replaced by "there is none". */
  untracedWorker(): string {
    if (EXTENSION === '.ts')
      throw new CommandError('the code without tracing is made of what was built: npm run build');
    if (this.#untraced !== null) return this.#untraced;
    const copy = join(this.folder, 'untraced');
    cpSync(join(ROOT, 'dist'), join(copy, 'dist'), { recursive: true });
    for (const name of ['build', 'node_modules', 'package.json', 'bench'])
      symlinkSync(join(ROOT, name), join(copy, name));
    let tests = 0;
    for (const file of readdirSync(join(copy, 'dist'), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.js') || file.startsWith('cli')) continue;
      const path = join(copy, 'dist', file);
      const text = readFileSync(path, 'utf8');
      const plain = text.replace(/\bnet\.tracer !== null/g, () => {
        tests++;
        return 'false';
      });
      if (plain !== text) writeFileSync(path, plain);
    }
    if (tests === 0) throw new Error('there is no test for a tracer in the code');
    this.#untraced = join(copy, 'dist/cli/bench/worker.js');
    return this.#untraced;
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs a task in a process of its own. @throws CommandError with what it says where it fails */
export function runTask(task: Task, worker: string = WORKER): Promise<unknown> {
  const args = [...process.execArgv, '--expose-gc', worker, JSON.stringify(task)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const last = output.trim().split('\n').at(-1) ?? '';
      try {
        const answer = JSON.parse(last) as { readonly result?: unknown; readonly error?: string };
        if (answer.error === undefined) resolve(answer.result);
        else reject(new CommandError(answer.error));
      } catch {
        reject(new CommandError(`a measurement ended with ${signal ?? code} and no result`));
      }
    });
  });
}
