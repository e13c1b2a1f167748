/** The same `ip` commands on the host's kernel, in a network namespace of their own, and on our stack. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { CLONE_NEWNET, loadAddon } from '../../src/dev/addon.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { type IpResult, ipCommand } from '../../src/ipcmd/ip.js';
import { splitWords } from '../../src/ipcmd/words.js';
import { Net } from '../../src/net/net.js';
import { restoreDefaults } from '../../src/scenario/host_defaults.js';
import { parseMac } from '../../src/uapi/if.js';

/** Why the comparison cannot run here, or null. */
export const NO_HOST = process.getuid?.() === 0 ? null : 'needs root for network namespaces';

export const TAPS = [
  { name: 'tap0', mac: '02:00:00:00:09:02' },
  { name: 'tap1', mac: '02:00:00:00:09:03' },
] as const;

export type Answer = Pick<IpResult, 'code' | 'stdout' | 'stderr'>;

/** The host's `ip` in a namespace without IPv6, with two TAPs whose other ends are held open, so that they have a carrier. */
export class Host {
  readonly #taps: number[] = [];

  constructor() {
    const addon = loadAddon();
    if (addon.unshare(CLONE_NEWNET) < 0) throw new Error('unshare');
    restoreDefaults();
    for (const which of ['all', 'default'])
      writeFileSync(`/proc/sys/net/ipv6/conf/${which}/disable_ipv6`, '1');
    for (const { name, mac } of TAPS) {
      const tap = addon.tapOpen(name, 0);
      if (typeof tap === 'number') throw new Error(`tapOpen: errno ${-tap}`);
      this.#taps.push(tap.id);
      this.ip(`link set ${name} address ${mac}`);
    }
    this.ip('link set lo up');
  }

  ip(command: string): Answer {
    const { status, stdout, stderr } = spawnSync('ip', splitWords(command)!, { encoding: 'utf8' });
    if (/ carrier (on|off)$/.test(command) && status === 0) this.#settle(command.split(' ')[2]!);
    return { code: status ?? -1, stdout, stderr };
  }

  /** What several `show` commands print as JSON, by one process. */
  dumps(commands: readonly string[]): unknown[] {
    const { stdout, stderr } = spawnSync('ip', ['-j', '-batch', '-'], {
      encoding: 'utf8',
      input: commands.join('\n'),
    });
    const dumps = stdout.split('\n').slice(0, -1);
    if (dumps.length !== commands.length) throw new Error(`ip -batch: ${stderr}`);
    return dumps.map((dump, i) =>
      JSON.parse(comparable(commands[i]!, { code: 0, stdout: dump, stderr: '' }).stdout),
    );
  }

  /** The kernel tells the rest of itself of a carrier within a second: until its state says so, routes do not know. */
  #settle(dev: string): void {
    for (let i = 0; i < 300; i++) {
      const { stdout } = spawnSync('ip', ['link', 'show', dev], { encoding: 'utf8' });
      if (!stdout.includes(',UP') || stdout.includes('NO-CARRIER') === stdout.includes('state DOWN')) return;
      spawnSync('sleep', ['0.01']);
    }
  }

  close(): void {
    for (const id of this.#taps) loadAddon().tapClose(id);
  }
}

/** Our stack with the same devices. */
export class Ours {
  readonly net = new Net();

  constructor() {
    for (const { name, mac } of TAPS) this.net.addDevice(new MemoryDevice({ name, mac: parseMac(mac)! }));
    this.ip('link set lo up');
  }

  dumps(commands: readonly string[]): unknown[] {
    return commands.map((command) => JSON.parse(comparable(command, this.ip(`-j ${command}`)).stdout));
  }

  ip(command: string): Answer {
    const { code, stdout, stderr } = ipCommand(this.net, command);
    return { code, stdout, stderr };
  }

  close(): void {
    this.net.close();
  }
}

/** What the two may differ in: the text of help, the queueing discipline, the order of neighbours (theirs is that of a hash table). */
export function comparable(command: string, answer: Answer): Answer {
  const isNeigh = /^(-\S+ )*n/.test(command);
  const stdout = answer.stdout
    .replace(/qdisc \S+ /g, '')
    .replace(/"qdisc":"[^"]*",/g, '')
    .replace(/used \d+\/\d+\/\d+/g, 'used')
    .replace(/ ref 1 /g, ' ')
    // A TAP is a member of IPv6's groups even where IPv6 is off.
    .replace(/^[^[\n]*(33:33:|inet6 ).*\n/gm, '')
    .replace(/^\d+:\t\S+\n(?!\t)/gm, '')
    .replace(/,?\{"link":"33:33[^}]*\}|,?\{"family":"inet6"[^}]*\}/g, '')
    .replace(/,?\{"ifindex":\d+,"ifname":"\w+","maddr":\[\]\}/g, '')
    .replaceAll('[,', '[');
  return {
    code: answer.code,
    stdout: isNeigh ? sorted(stdout) : stdout,
    stderr: answer.stderr.startsWith('Usage: ') ? 'Usage' : answer.stderr,
  };
}

function sorted(stdout: string): string {
  if (!stdout.startsWith('[')) return stdout.split('\n').sort().join('\n');
  return JSON.stringify((JSON.parse(stdout) as unknown[]).map((entry) => JSON.stringify(entry)).sort());
}
