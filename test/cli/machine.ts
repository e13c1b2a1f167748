/** What the end-to-end tests share: the command as users run it, network namespaces of their own, and why they may be skipped. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const main = join(root, 'dist/cli/main.js');

function has(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' }).status === 0;
}

/** Why nothing can be sent over a TAP here, or null. */
export const noTap: string | null =
  process.getuid?.() !== 0
    ? 'needs root'
    : !existsSync('/dev/net/tun')
      ? 'needs /dev/net/tun'
      : !existsSync(join(root, 'build/Release/udptap.node'))
        ? 'needs the addon (a C++ compiler)'
        : !has('ip')
          ? 'needs iproute2'
          : null;

export function missing(...commands: string[]): string | null {
  const absent = commands.filter((command) => !has(command));
  return absent.length === 0 ? null : `needs ${absent.join(', ')}`;
}

let counter = 0;

/** A network namespace with `lo` up, gone when the test ends. */
export class Netns {
  readonly name = `ut${process.pid}-${counter++}`;
  readonly #children: ChildProcess[] = [];

  constructor() {
    execFileSync('ip', ['netns', 'add', this.name]);
    this.ip('link set lo up');
  }

  ip(command: string): string {
    return execFileSync('ip', ['-n', this.name, ...command.split(' ')], { encoding: 'utf8' });
  }

  /** The names of the interfaces that exist besides lo. */
  links(): string[] {
    const links = JSON.parse(this.ip('-j link show')) as { ifname: string }[];
    return links.map((link) => link.ifname).filter((name) => name !== 'lo');
  }

  /** Starts a program inside. */
  spawn(command: string, args: readonly string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.name, command, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
    this.#children.push(child);
    return child;
  }

  /** An ordinary UDP socket of Node's inside that gathers what arrives; `echo` sends it back. */
  async receiver(port: number, echo = false): Promise<Receiver> {
    const code = `
      const s = require('node:dgram').createSocket('udp4');
      s.on('message', (b, from) => {
        console.log(JSON.stringify({ hex: b.toString('hex'), from: from.address, port: from.port }));
        if (${echo}) s.send(b, from.port, from.address);
      });
      s.bind(${port}, () => console.log('ready'));`;
    const child = this.spawn(process.execPath, ['-e', code]);
    const receiver = new Receiver(child);
    await receiver.ready;
    return receiver;
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    spawnSync('ip', ['netns', 'del', this.name]);
  }
}

export interface Datagram {
  readonly hex: string;
  readonly from: string;
  readonly port: number;
}

export class Receiver {
  readonly datagrams: Datagram[] = [];
  readonly ready: Promise<void>;
  #rest = '';
  #wake: (() => void)[] = [];

  constructor(child: ChildProcess) {
    let isReady = () => {};
    this.ready = new Promise((resolve) => {
      isReady = resolve;
    });
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString()).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === 'ready') isReady();
        else this.datagrams.push(JSON.parse(line) as Datagram);
      }
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  /** Resolves with the first `count` datagrams; the test's own timeout ends a vain wait. */
  async take(count: number): Promise<Datagram[]> {
    while (this.datagrams.length < count) await new Promise<void>((resolve) => this.#wake.push(resolve));
    return this.datagrams.slice(0, count);
  }
}

export interface Result {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly done: Promise<Result>;
  /** Resolves when either output has matched. */
  until(pattern: RegExp): Promise<void>;
}

/** Starts a program; `udptap` itself as `process.execPath, [main, ...]`. */
export function start(command: string, args: readonly string[], input: string | null = null): Running {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let watchers: { pattern: RegExp; resolve: () => void }[] = [];
  const look = () => {
    watchers = watchers.filter(({ pattern, resolve }) => {
      const hit = pattern.test(stdout) || pattern.test(stderr);
      if (hit) resolve();
      return !hit;
    });
  };
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    look();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    look();
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const done = new Promise<Result>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const until = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      watchers.push({ pattern, resolve });
      look();
      void done.then(() => reject(new Error(`ended without ${pattern}: ${stdout}\n${stderr}`)));
    });
  return { child, done, until };
}

export function udptap(...args: string[]): Promise<Result> {
  return start(process.execPath, [main, ...args]).done;
}

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'udptap-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
