/** The same `ip` commands on the host's kernel and on our stack, many at a time. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { CLONE_NEWNET, loadAddon } from '../../src/dev/addon.js';
import { LoopbackDevice } from '../../src/dev/loopback.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { ipCommand } from '../../src/ipcmd/ip.js';
import { RouteNet } from '../../src/route/netns.js';
import { restoreDefaults } from '../../src/scenario/host_defaults.js';

/** Why the comparison with the host's kernel cannot run here, or null. */
export const NO_HOST = process.getuid?.() === 0 ? null : 'needs root for network namespaces';

export const TAPS = ['tap0', 'tap1', 'tap2'] as const;

/** What one command answers: what it printed, or why it was refused. */
export type Outcome = string;

export interface Side {
  /** Runs commands one after the other, whether they fail or not: `ip`'s, and `sysctl name=value`. */
  run(commands: readonly string[]): Outcome[];
  /** The whole output of one listing. */
  list(command: string): string;
  close(): void;
}

/** A fresh network namespace of the host, with TAPs whose other ends are held open, so that they have a carrier. */
export class HostSide implements Side {
  readonly #taps: number[] = [];

  constructor() {
    const addon = loadAddon();
    if (addon.unshare(CLONE_NEWNET) < 0) throw new Error('unshare');
    restoreDefaults();
    for (const which of ['all', 'default'])
      writeFileSync(`/proc/sys/net/ipv6/conf/${which}/disable_ipv6`, '1');
    for (const name of TAPS) {
      const tap = addon.tapOpen(name, 0);
      if (typeof tap === 'number') throw new Error(`tapOpen: errno ${-tap}`);
      this.#taps.push(tap.id);
    }
  }

  run(commands: readonly string[]): Outcome[] {
    const outcomes: Outcome[] = [];
    let from = 0;
    // What is no `ip` command stands between two batches.
    for (let i = 0; i <= commands.length; i++) {
      const command = commands[i];
      if (command !== undefined && !command.startsWith('sysctl ')) continue;
      if (i > from) outcomes.push(...this.#batch(commands.slice(from, i)));
      from = i + 1;
      if (command === undefined) break;
      const [, name, value] = command.split(/[ =]/);
      writeFileSync(`/proc/sys/${name!.replaceAll('.', '/')}`, value!);
      outcomes.push('ok');
    }
    return outcomes;
  }

  #batch(commands: readonly string[]): Outcome[] {
    // A link's new carrier takes effect when the kernel gets round to it, or when somebody asks for the link.
    const lines: string[] = [];
    const lineOf = commands.map((command) => {
      const line = lines.push(command);
      const [, dev] = /^link set (\w+) carrier/.exec(command) ?? [];
      if (dev !== undefined) lines.push(`link show ${dev}`);
      return line;
    });
    const { stdout, stderr, error } = spawnSync('ip', ['-o', '-force', '-batch', '-'], {
      input: `${lines.join('\n')}\n`,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    if (error !== undefined) throw error;
    const refused = new Map<number, string>();
    let said: string[] = [];
    for (const line of stderr.split('\n')) {
      const match = /^Command failed -:(\d+)$/.exec(line);
      if (match === null) {
        if (line !== '' && !line.startsWith('Command line is not complete')) said.push(line.trim());
        continue;
      }
      refused.set(Number(match[1]), said.join(' '));
      said = [];
    }
    const printed = stdout.split('\n').filter((line) => !/^\d+: \w+: </.test(line));
    return commands.map((command, i) => {
      const why = refused.get(lineOf[i]!);
      if (why !== undefined) return `! ${why}`;
      return command.startsWith('route get') ? (printed.shift() ?? '').trim() : 'ok';
    });
  }

  list(command: string): string {
    return spawnSync('ip', command.split(' '), { encoding: 'utf8', maxBuffer: 1 << 28 }).stdout;
  }

  close(): void {
    for (const id of this.#taps) loadAddon().tapClose(id);
  }
}

/** Our stack with the same devices. */
export class OurSide implements Side {
  readonly net = new RouteNet();

  constructor() {
    this.net.registerNetdevice(new LoopbackDevice());
    for (const name of TAPS) this.net.registerNetdevice(new MemoryDevice({ name }));
  }

  run(commands: readonly string[]): Outcome[] {
    return commands.map((command) => {
      if (command.startsWith('sysctl ')) {
        const [, name, value] = command.split(/[ =]/);
        return this.net.sysctl.set(name!, value!) === 0 ? 'ok' : '! sysctl';
      }
      const { code, stdout, stderr } = ipCommand(this.net, `-o ${command}`);
      if (code !== 0) return `! ${stderr.trim().replace(/\s*\n\s*/g, ' ')}`;
      return command.startsWith('route get') ? stdout.trim() : 'ok';
    });
  }

  list(command: string): string {
    return ipCommand(this.net, command).stdout;
  }

  close(): void {
    this.net.close();
  }
}
