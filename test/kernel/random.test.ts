/** Random scenarios against the host's kernel: some of a fixed seed, some of a new one, which a failure names. */
import { afterAll, describe, expect, it } from 'vitest';
import { compareResults, formatDifferences } from '../../src/scenario/compare.js';
import { HostRunner, hostProblem } from '../../src/scenario/host_runner.js';
import { runCampaign } from '../../src/scenario/random/campaign.js';
import { topicsOf } from '../../src/scenario/random/generate.js';
import { runOnStack } from '../../src/scenario/stack_runner.js';
import type { Scenario, ScenarioResult } from '../../src/scenario/types.js';

const problem = hostProblem();
const host = new HostRunner(2);
afterAll(() => host.close());
const freshSeed = Date.now() % 1e9;

async function differencesOf(count: number, seed: number): Promise<string> {
  const { failures } = await runCampaign({
    count,
    seed,
    topics: topicsOf('all')!,
    host,
    onStack: (scenario) => runOnStack(scenario),
    maxFailures: 3,
  });
  return failures
    .map((f) => `${JSON.stringify(f.scenario)}\n${formatDifferences(f.scenario, f.differences)}`)
    .join('\n');
}

describe.skipIf(problem !== null)(`random scenarios${problem === null ? '' : ` (${problem})`}`, () => {
  it('of seed 1: none differs', async () => {
    expect(await differencesOf(300, 1)).toBe('');
  }, 300_000);

  it(`of seed ${freshSeed}: none differs`, async () => {
    console.log(`random scenarios of a new seed: udptap compare --random 100 --seed ${freshSeed}`);
    expect(await differencesOf(100, freshSeed)).toBe('');
  }, 300_000);

  it('on a stack that is wrong are found out and made small', async () => {
    // Every datagram's TTL is one less than it should be.
    const wrong = (scenario: Scenario): ScenarioResult => {
      const result = runOnStack(scenario);
      if ('error' in result) return result;
      const calls = result.calls.map((call) => ({
        ...call,
        frames: call.frames.map((f) => ({ ...f, hex: `${f.hex.slice(0, 44)}3f${f.hex.slice(46)}` })),
      }));
      return { ...result, calls };
    };
    const { failures } = await runCampaign({
      count: 20,
      seed: 5,
      topics: topicsOf('cork')!,
      host,
      onStack: wrong,
      maxFailures: 1,
    });
    expect(failures).toHaveLength(1);
    const { scenario, original, differences } = failures[0]!;
    expect(scenario.calls.length).toBeLessThan(original.calls.length);
    expect(scenario.calls.length).toBeLessThanOrEqual(5);
    expect(differences[0]!.what).toMatch(/frame \d+: .*ip\.ttl/);
    const kernel = await host.run(scenario);
    expect(compareResults(scenario, runOnStack(scenario), kernel)).toEqual([]);
  }, 120_000);
});

describe.skipIf(problem !== null)('the host runner', () => {
  it('ends a scenario that blocks, and runs the next', async () => {
    const blocked: Scenario = {
      name: 'blocks',
      timeout: 1,
      calls: [{ call: 'sleep', ms: 60_000 }],
    };
    const start = performance.now();
    expect(await host.run(blocked)).toEqual({ name: 'blocks', error: 'timeout (a call blocked?)' });
    expect(performance.now() - start).toBeLessThan(15_000);
    const result = await host.run({ calls: [{ call: 'socket' }] });
    expect(result).toMatchObject({ calls: [{ ret: 0 }] });
  }, 60_000);

  it('gives each scenario a network of its own, and takes privileges back after an unprivileged one', async () => {
    const user: Scenario = {
      user: true,
      calls: [{ call: 'socket' }, { call: 'setsockopt', level: 'SOL_SOCKET', name: 'SO_MARK', value: 1 }],
    };
    const root: Scenario = { ...user, user: false };
    const results = [await host.run(user), await host.run(root), await host.run(user)];
    const errnos = results.map((result) => ('calls' in result ? result.calls[1]!.errno : result.error));
    expect(errnos).toEqual([1, 0, 1]);
  });

  it('says what is wrong with a scenario', async () => {
    expect(await host.run({ calls: [{ call: 'bind', fd: 'nowhere' }] })).toMatchObject({
      error: expect.stringMatching('nowhere'),
    });
    expect(await host.run({ ip: ['link set nowhere up'], calls: [] })).toMatchObject({
      error: expect.stringMatching('^ip: '),
    });
    expect(await host.run({ sysctl: { 'net.ipv4.no_such': 1 }, calls: [] })).toMatchObject({
      error: expect.stringMatching('no_such'),
    });
  });
});
