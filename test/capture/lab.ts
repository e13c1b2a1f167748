/** What the capture tests share: a directory that goes away, and the programs that read captures. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

/** A directory for the tests of one file. */
export function scratch(): (name: string) => string {
  const dir = mkdtempSync(join(tmpdir(), 'udptap-capture-'));
  afterAll(() => rmSync(dir, { recursive: true }));
  return (name) => join(dir, name);
}

/** True if the program can be run. */
export function has(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const MAX_OUTPUT = 1 << 28;

/** Some fields of every frame, as tshark prints them; fails if tshark complains about the file. */
export function tshark(file: string, ...fields: string[]): string[][] {
  const args = [
    '-r',
    file,
    '-o',
    'udp.check_checksum:TRUE',
    '-T',
    'fields',
    ...fields.flatMap((f) => ['-e', f]),
  ];
  const run = execFileSync('tshark', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: MAX_OUTPUT,
  });
  return run
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split('\t'));
}

/** What tcpdump prints of a file, one line a frame. */
export function tcpdump(file: string): string[] {
  const args = ['-n', '-tt', '--nano', '-r', file];
  return execFileSync('tcpdump', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: MAX_OUTPUT,
  })
    .split('\n')
    .slice(0, -1);
}

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));

/** The command that runs `child.ts`. */
export function childCommand(...args: string[]): string[] {
  return [process.execPath, '--import', 'tsx', CHILD, ...args];
}

/** Runs `child.ts`. */
export function spawnChild(stdio: ('ignore' | 'pipe' | 'inherit' | number)[], ...args: string[]) {
  const [program, ...rest] = childCommand(...args);
  return spawn(program!, rest, { stdio });
}
