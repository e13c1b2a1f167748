/**
 * Facts of the kernel, each a few calls with what they answer, held against two machines: our stack, and the host's kernel. The facts do not
 * know which of them answers.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { execute } from '../../src/scenario/execute.js';
import { HostRunner, hostProblem } from '../../src/scenario/host_runner.js';
import { StackMachine, type StackOptions } from '../../src/scenario/stack_machine.js';
import type {
  Addr,
  Call,
  CallOf,
  CallResult,
  Cmsg,
  Int,
  Scenario,
  ScenarioResult,
  ScenarioRun,
  Value,
} from '../../src/scenario/types.js';
import { type Seen, seen } from './seen.js';

/** What a call should answer: its result, an errno's name, or more than that. */
export type Expected =
  | number
  | string
  | null
  | {
      readonly ret?: number | string;
      readonly frames?: number;
      /** Lengths of the frames' IP packets. */
      readonly sizes?: readonly number[];
      readonly hex?: readonly string[];
      /** What is to be seen of each frame. */
      readonly out?: readonly Partial<Seen>[];
      readonly int?: number;
      readonly value?: string;
      /** What `getsockname` and `getpeername` read. */
      readonly addr?: string;
      readonly lens?: readonly number[];
      /** What `recvmsg` read, in hex. */
      readonly data?: string;
      readonly check?: (result: CallResult) => void;
    };
export type Step = readonly [call: Call, expected: Expected];

/** Lab A of the catalogue: one TAP, two permanent neighbours, a default route. */
export const LAB_A: Omit<Scenario, 'calls'> = {
  taps: [{ name: 'tap0', mac: '02:00:00:00:00:01' }],
  ip: [
    'link set lo up',
    'addr add 10.0.0.1/24 brd + dev tap0',
    'link set tap0 up',
    'neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev tap0 nud permanent',
    'neigh add 10.0.0.3 lladdr 02:00:00:00:00:03 dev tap0 nud permanent',
    'route add default via 10.0.0.2',
  ],
};

export const D = '10.0.0.2:9';
export const socket = (proto = 0): Step => [{ call: 'socket', proto }, 0];
export const bind: Step = [{ call: 'bind', addr: '0.0.0.0:5000' }, 0];
export const option = (level: string, name: string, value: Value): Call => ({
  call: 'setsockopt',
  level,
  name,
  value: typeof value === 'number' ? { i32: value } : value,
});
/** Sets an option of level SOL_IP, SOL_SOCKET or SOL_UDP. */
export const ip = (name: string, value: Value, want: Expected = 0): Step => [
  option('SOL_IP', name, value),
  want,
];
export const so = (name: string, value: Value, want: Expected = 0): Step => [
  option('SOL_SOCKET', name, value),
  want,
];
export const udp = (name: string, value: Value, want: Expected = 0): Step => [
  option('SOL_UDP', name, value),
  want,
];
/** An option reads back as this integer, or fails. */
export const reads = (level: string, name: string, value: number | string): Step => [
  { call: 'getsockopt', level, name, ...(level === 'SOL_IP' && { len: 4 }) },
  typeof value === 'number' ? { ret: 0, int: value } : value,
];
export const bindTo = (addr: Addr, want: Expected = 0): Step => [{ call: 'bind', addr }, want];
export const connect = (addr: Addr = D, want: Expected = 0): Step => [{ call: 'connect', addr }, want];
export const device = (name: string): Step => so('SO_BINDTODEVICE', { str: name });
export const ipCommand = (args: string): Step => [{ call: 'ip', args }, 0];
export const sysctl = (key: string, value: string | number): Step => [
  { call: 'sysctl', set: { [key]: value } },
  0,
];
export const sleep = (ms: number, want: Expected = null): Step => [{ call: 'sleep', ms }, want];
export const inject = (hex: string, want: Expected = null, dev = 'tap0'): Step => [
  { call: 'inject', hex, dev },
  want,
];
/** A name of the socket's, by getsockname or getpeername. */
export const named = (call: 'getsockname' | 'getpeername', addr: string): Step => [
  { call },
  { ret: 0, addr },
];

/** Sends one byte, or what else is said, to an address; without an address, to the peer. */
export const send = (addr: Addr, want: Expected, more: Partial<CallOf<'sendto' | 'send'>> = {}): Step => [
  { call: 'sendto', data: { ascii: 'x' }, addr, ...more },
  want,
];
/** As {@link send}, this many bytes. */
export const sendBytes = (bytes: number, want: Expected, flags: Int = 0, addr: Addr = D): Step => [
  { call: 'sendto', data: { seq: bytes }, addr, flags },
  want,
];
export const message = (want: Expected, more: Partial<CallOf<'sendmsg'>>): Step => [
  { call: 'sendmsg', iov: [{ ascii: 'x' }], name: D, ...more },
  want,
];
/** Sends one byte with control messages. */
export const withCmsgs = (cmsgs: readonly Cmsg[], want: Expected, name: Addr = D): Step =>
  message(want, { cmsgs, name });
export const ipCmsg = (type: string, data: Value): Cmsg => ({ level: 'SOL_IP', type, data });
export const pktinfo = (info: { ifindex?: number | string; spec_dst?: string }): Cmsg =>
  ipCmsg('IP_PKTINFO', { pktinfo: info });

/** A send of one byte that succeeds with these frames; by default one. */
export const leaves = (...out: readonly Partial<Seen>[]): Expected => ({
  ret: 1,
  out: out.length === 0 ? [{}] : out,
});
/** A send of one byte that succeeds without a frame. */
export const STAYS: Expected = { ret: 1, frames: 0 };
/** A send of one byte that asks for its destination's MAC. */
export const asks = (target: string, tell: string, dev = 'tap0'): Expected =>
  leaves({ dev, arp: `who-has ${target} tell ${tell}` });

/** The steps on a socket of this label. */
export const on = (fd: string, ...steps: readonly Step[]): Step[] =>
  steps.map(([call, want]) => [{ ...call, fd }, want]);
/** An entry of the error queue, as its control message has it. */
export interface QueuedError {
  readonly errno: number;
  /** 1 local, 2 ICMP. */
  readonly origin: number;
  readonly type: number;
  readonly code: number;
  readonly info: number;
  readonly offender: string;
}
/** Reads one entry of the error queue, with the name and the payload (in hex) that come with it. */
export const queued = (want: Partial<QueuedError>, name: string, payload?: string): Step => [
  { call: 'recvmsg', flags: 'MSG_ERRQUEUE' },
  {
    ...(payload !== undefined && { data: payload }),
    check: ({ err, from, cmsgs }) => {
      expect(err).toBe(null);
      expect(from).toBe(name);
      const bytes = Buffer.from(cmsgs!.find(({ level, type }) => level === 0 && type === 11)!.hex, 'hex');
      expect({
        errno: bytes.readUInt32LE(0),
        origin: bytes[4],
        type: bytes[5],
        code: bytes[6],
        info: bytes.readUInt32LE(8),
        offender: bytes.subarray(20, 24).join('.'),
      }).toMatchObject(want);
    },
  },
];
export const nothingQueued: Step = [{ call: 'recvmsg', flags: 'MSG_ERRQUEUE' }, 'EAGAIN'];
/** Reads and clears SO_ERROR. */
export const pendingError = (errno: number): Step => reads('SOL_SOCKET', 'SO_ERROR', errno);

let labels = 0;
/** The steps on a socket of their own. */
export const fresh = (...steps: readonly Step[]): Step[] => on(`fresh${++labels}`, socket(), ...steps);

const host = hostProblem() === null ? new HostRunner(1) : null;
afterAll(() => host?.close());

function check(run: ScenarioRun, steps: readonly Step[]): void {
  expect(run).not.toHaveProperty('error');
  expect(run.calls.length).toBe(steps.length);
  for (const [i, [call, expected]] of steps.entries()) {
    const got = run.calls[i]!;
    const where = `call ${i}: ${JSON.stringify(call).slice(0, 120)}`;
    if (expected === null) continue;
    const want = typeof expected === 'object' ? expected : { ret: expected };
    if (want.ret !== undefined) expect(got.err ?? got.ret, where).toBe(want.ret);
    if (want.frames !== undefined) expect(got.frames.length, where).toBe(want.frames);
    if (want.sizes !== undefined)
      expect(
        got.frames.map((f) => f.hex.length / 2 - 14),
        where,
      ).toEqual(want.sizes);
    if (want.hex !== undefined)
      expect(
        got.frames.map((f) => f.hex),
        where,
      ).toEqual(want.hex);
    if (want.out !== undefined) expect(got.frames.map(seen), where).toMatchObject(want.out);
    if (want.addr !== undefined) expect(got.addr, where).toBe(want.addr);
    if (want.lens !== undefined) expect(got.lens, where).toEqual(want.lens);
    if (want.data !== undefined) expect(got.data_hex, where).toBe(want.data);
    if (want.int !== undefined) expect(got.int, where).toBe(want.int);
    if (want.value !== undefined) expect(got.value_hex, where).toBe(want.value);
    want.check?.(got);
  }
}

/** Counters by group and name, as `/proc/net/snmp` and `/proc/net/netstat` have them. */
export type Counters = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface Ran {
  readonly result: ScenarioResult;
  readonly counters: Counters;
}

function onStack(scenario: Scenario, options: StackOptions = {}): Ran {
  const machine = new StackMachine(scenario, options);
  try {
    const result = execute(machine, scenario);
    return { result, counters: machine.net.mib as unknown as Counters };
  } finally {
    machine.close();
  }
}

/** The child of this process that makes the calls: it stays in a scenario's namespace until it gets another. */
function hostChild(): string {
  const found = readdirSync('/proc').find((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const parent = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
      return (
        Number(parent) === process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('host_child')
      );
    } catch {
      return false; // It ended meanwhile.
    }
  });
  if (found === undefined) throw new Error('no child runs scenarios on the host');
  return found;
}

/** The counters of the namespace of a process or thread, by its directory in `/proc`. */
export function countersOf(directory: string): Counters {
  const counters: Record<string, Record<string, number>> = {};
  const lines = ['snmp', 'netstat'].flatMap((file) =>
    readFileSync(`${directory}/net/${file}`, 'utf8').trim().split('\n'),
  );
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const [names, values] = [lines[i]!.split(' '), lines[i + 1]!.split(' ')];
    const group: Record<string, number> = {};
    for (let k = 1; k < names.length; k++) group[names[k]!] = Number(values[k]);
    counters[names[0]!.slice(0, -1)] = group;
  }
  return counters;
}

/** What a fact says beyond its steps: counters in the end, and what the results are together. */
export interface Whole {
  readonly counters?: Counters;
  readonly judge?: (results: readonly CallResult[]) => void;
}

export function checkRun({ result, counters }: Ran, steps: readonly Step[], whole: Whole): void {
  check(result as ScenarioRun, steps);
  expect(counters).toMatchObject(whole.counters ?? {});
  whole.judge?.((result as ScenarioRun).calls);
}

/** One fact: the same steps, answers and counters on our stack and on the host's kernel. */
export function fact(
  name: string,
  steps: readonly Step[],
  lab: Omit<Scenario, 'calls'> = LAB_A,
  whole: Whole = {},
): void {
  const scenario: Scenario = { ...lab, name, calls: steps.map(([call]) => call) };
  describe(name, () => {
    it('our stack', () => checkRun(onStack(scenario), steps, whole));
    it.skipIf(host === null)(
      `the host's kernel${host === null ? ` (skipped: ${hostProblem()})` : ''}`,
      async () => {
        const result = await host!.run(scenario);
        checkRun({ result, counters: countersOf(`/proc/${hostChild()}`) }, steps, whole);
      },
    );
  });
}

/** A fact of an older kernel, which no host here is: our stack alone. */
export function factOf(kernel: '6.1' | '5.4', name: string, steps: readonly Step[]): void {
  const scenario: Scenario = { ...LAB_A, name, calls: steps.map(([call]) => call) };
  it(name, () => checkRun(onStack(scenario, { kernel }), steps, {}));
}
