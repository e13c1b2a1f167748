/** Packet tools, where they are installed: each at full speed on the same link, counted at its device. */
import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ToolName } from './contestants.js';
import type { DuelTask, Side } from './duel.js';
import { hostCounters, PORT } from './lab.js';
import { findCommand } from './programs.js';
import type { KernelLink } from './veth.js';

/** The system's own, which has the packages of the system. */
const PYTHON = '/usr/bin/python3';

type Command = readonly [string, ...string[]];

/** The command that floods the link, without end. */
const COMMANDS: Readonly<Record<ToolName, (task: DuelTask, link: KernelLink) => Command>> = {
  trafgen: (task, link) => {
    const config = join(task.folder, 'trafgen.cfg');
    const bytes = [...Buffer.from(link.mac.replaceAll(':', ''), 'hex')].map(
      (byte) => `0x${byte.toString(16)}`,
    );
    const header = `{ ${bytes.join(', ')}, 2,0,0,0,0,1, const16(0x0800)`;
    writeFileSync(
      config,
      `${header}, c8(0x45), c8(0), c16(${task.payload + 28}), drnd(2), c16(0x4000), c8(64), c8(17), csumip(14, 33), ` +
        `${[...link.own.split('.'), ...link.address.split('.')].join(', ')}, c16(40000), c16(${PORT}), ` +
        `c16(${task.payload + 8}), csumudp(14, 34), fill(0, ${task.payload}) }\n`,
    );
    return ['trafgen', '--dev', link.device, '--conf', config, '--cpus', '1', '--no-sock-mem'];
  },
  mausezahn: (task, link) => [
    ...(['mausezahn', link.device, '-c', '0', '-a', '02:00:00:00:00:01', '-b', link.mac] as const),
    ...['-A', link.own, '-B', link.address, '-t', 'udp', `dp=${PORT}`, '-p', String(task.payload)],
  ],
  hping3: (task, link) => [
    'hping3',
    '--udp',
    '--flood',
    '-p',
    String(PORT),
    '-d',
    String(task.payload),
    link.address,
  ],
  nping: (task, link) => [
    ...(['nping', '--udp', '-p', String(PORT), '--rate', '10000000', '-c', '0', '-H', '-N', '-q'] as const),
    ...['--data-length', String(task.payload), link.address],
  ],
  scapy: (task, link) => [
    ...([PYTHON, '-c'] as const),
    'from scapy.all import *\n' +
      `sendp(Ether(dst="${link.mac}")/IP(dst="${link.address}")/UDP(dport=${PORT})/(b"\\0"*${task.payload}), ` +
      `iface="${link.device}", loop=1, verbose=0)`,
  ],
};

/** Until the tool's start is over. */
const START_MS = 1500;
const ROUND_MS = 60;
const MAX_WAITS = 20;

export function hasTool(tool: ToolName): boolean {
  if (tool !== 'scapy') return findCommand(tool) !== null;
  return spawnSync(PYTHON, ['-c', 'import scapy'], { stdio: 'ignore' }).status === 0;
}

/** The tool runs during its rounds only, so that it does not take time from the base. */
export async function openTool(task: DuelTask, link: KernelLink, tool: ToolName): Promise<Side> {
  const [command, ...args] = COMMANDS[tool](task, link);
  // A group of its own: some tools start others, and none of them may stay when this process ends, whatever ends it.
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  const signal = (name: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {} // it has ended
  };
  process.once('exit', () => signal('SIGKILL'));
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${tool} ended with ${code}`)));
  });
  ended.catch(() => {});
  await Promise.race([sleep(START_MS), ended]);
  const frames = () => hostCounters(link.device).sent;
  if (frames() === 0) await Promise.race([sleep(3 * START_MS), ended]);
  signal('SIGSTOP');
  return {
    unit: 1,
    round: async () => {
      signal('SIGCONT');
      // Its first moments after a stop are not its speed.
      await sleep(ROUND_MS / 4);
      const before = frames();
      const start = process.hrtime.bigint();
      let sent = 0;
      // Some send in bursts, of which none may fall into a short round.
      for (let wait = 0; sent === 0 && wait < MAX_WAITS; wait++) {
        await Promise.race([sleep(ROUND_MS), ended]);
        sent = frames() - before;
      }
      const ns = Number(process.hrtime.bigint() - start);
      signal('SIGSTOP');
      if (sent === 0) throw new Error(`${tool} sent nothing`);
      return { ns: ns / sent, disturbed: false };
    },
    end: async () => {
      signal('SIGKILL');
      link.end();
    },
  };
}
