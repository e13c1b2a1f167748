/** Start-up: from starting `udptap send` to its datagram at a socket of the host, beside a Node that does nothing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { fileURLToPath } from 'node:url';
import { enterNamespace, runIp } from './lab.js';
import { median } from './stats.js';

export interface StartUpTask {
  readonly rounds: number;
}

/** Medians, milliseconds. */
export interface StartUpResult {
  /** `node -e 0`, from start to end. */
  readonly nodeMs: number;
  /** An ARP request of our stack over a TAP, and its answer. */
  readonly arpMs: number;
  /** `udptap send` over a TAP that exists. */
  readonly sendMs: number;
  /** `udptap send` which makes its TAP and gives the host its address. */
  readonly sendNewTapMs: number;
}

const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const MAIN = fileURLToPath(new URL(`../main${EXTENSION}`, import.meta.url));
const TAP = 'tap7';
/** Not the port of the other measurements, whose datagrams come here too. */
const PORT = 9007;
const GIVE_UP_MS = 20_000;

function start(args: readonly string[]): {
  readonly child: ChildProcess;
  readonly end: Promise<number | null>;
} {
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  const end = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
  return { child, end };
}

async function nodeRound(): Promise<number> {
  const begin = performance.now();
  await start(['-e', '0']).end;
  return performance.now() - begin;
}

/** @returns milliseconds until the datagram is there */
async function sendRound(receiver: Socket, flags: readonly string[]): Promise<number> {
  const begin = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const arrival = new Promise<number>((resolve, reject) => {
    receiver.once('message', () => resolve(performance.now() - begin));
    timer = setTimeout(() => reject(new Error('no datagram came from udptap send')), GIVE_UP_MS);
  });
  const { end } = start([...process.execArgv, MAIN, 'send', `10.9.0.1:${PORT}`, 'hello', ...flags]);
  const took = await arrival;
  clearTimeout(timer);
  await end;
  return took;
}

/** An ARP round trip of our own, in a process that runs already. */
async function arpRound(): Promise<number> {
  const { openStack, openSender } = await import('./stack_side.js');
  const side = { use: {}, tap: 'arp0', subnet: '10.9.1', payload: 64, toHost: true } as const;
  const { net, tap } = await openStack(side);
  net.ip('neigh del 10.9.1.1 dev arp0');
  const sender = openSender(net, tap, side, '');
  const begin = performance.now();
  sender.run(1);
  while (net.pendingNeighbours > 0) {
    if (performance.now() - begin > GIVE_UP_MS) throw new Error('nobody answered the ARP request');
    tap.readNow();
  }
  const took = performance.now() - begin;
  net.removeDevice(tap);
  net.close();
  return took;
}

export async function runStartUp({ rounds }: StartUpTask): Promise<StartUpResult> {
  enterNamespace();
  const receiver = createSocket('udp4');
  await new Promise<void>((resolve) => receiver.bind(PORT, resolve));
  const times = {
    nodeMs: [] as number[],
    arpMs: [] as number[],
    sendMs: [] as number[],
    sendNewTapMs: [] as number[],
  };
  for (let round = 0; round < rounds; round++) {
    times.nodeMs.push(await nodeRound());
    times.arpMs.push(await arpRound());
    times.sendNewTapMs.push(await sendRound(receiver, []));
    runIp(`tuntap add ${TAP} mode tap`);
    runIp(`addr add 10.9.0.1/24 dev ${TAP}`);
    runIp(`link set ${TAP} up`);
    times.sendMs.push(await sendRound(receiver, ['--tap', TAP]));
    runIp(`link del ${TAP}`);
  }
  receiver.close();
  return {
    nodeMs: median(times.nodeMs),
    arpMs: median(times.arpMs),
    sendMs: median(times.sendMs),
    sendNewTapMs: median(times.sendNewTapMs),
  };
}
