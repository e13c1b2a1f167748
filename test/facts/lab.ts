/**
 * Facts of the kernel, each a few calls with what they answer, held against two machines: our stack, and the host's kernel. The facts do not
 * know which of them answers.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { HostRunner, hostProblem } from '../../src/scenario/host_runner.js';
import { runOnStack } from '../../src/scenario/stack_runner.js';
import type { Call, CallResult, Scenario, ScenarioRun } from '../../src/scenario/types.js';

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
      readonly int?: number;
      readonly value?: string;
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
export const option = (level: string, name: string, value: number | { hex: string }): Call => ({
  call: 'setsockopt',
  level,
  name,
  value: typeof value === 'number' ? { i32: value } : value,
});
export const ip = (name: string, value: number | { hex: string }): Step => [option('SOL_IP', name, value), 0];

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
    if (want.int !== undefined) expect(got.int, where).toBe(want.int);
    if (want.value !== undefined) expect(got.value_hex, where).toBe(want.value);
    want.check?.(got);
  }
}

/** One fact: the same steps and answers on our stack and on the host's kernel. */
export function fact(name: string, steps: readonly Step[], lab: Omit<Scenario, 'calls'> = LAB_A): void {
  const scenario: Scenario = { ...lab, name, calls: steps.map(([call]) => call) };
  describe(name, () => {
    it('our stack', () => check(runOnStack(scenario) as ScenarioRun, steps));
    it.skipIf(host === null)(
      `the host's kernel${host === null ? ` (skipped: ${hostProblem()})` : ''}`,
      async () => check((await host!.run(scenario)) as ScenarioRun, steps),
    );
  });
}
