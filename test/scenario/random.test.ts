import { describe, expect, it } from 'vitest';
import { Draw, scenarioSeed } from '../../src/scenario/random/draw.js';
import { generateScenario, TOPIC_NAMES, topicsOf } from '../../src/scenario/random/generate.js';
import { shrink } from '../../src/scenario/random/shrink.js';
import { runOnStack } from '../../src/scenario/stack_runner.js';
import type { Scenario } from '../../src/scenario/types.js';

describe('random choices', () => {
  it('repeat with their seed, and spread', () => {
    const list = (seed: number) => {
      const d = new Draw(seed);
      return Array.from({ length: 50 }, () => d.below(1000));
    };
    expect(list(1)).toEqual(list(1));
    expect(list(1)).not.toEqual(list(2));
    const d = new Draw(3);
    const counts = [0, 0, 0];
    for (let i = 0; i < 3000; i++)
      counts[
        d.weighted([
          [1, 0],
          [2, 1],
          [0, 2],
        ])
      ]!++;
    expect(counts[0]).toBeGreaterThan(850);
    expect(counts[0]).toBeLessThan(1150);
    expect(counts[2]).toBe(0);
    expect(new Set(Array.from({ length: 1000 }, (_, i) => scenarioSeed(1, i))).size).toBe(1000);
  });
});

describe('random scenarios', () => {
  it('are the same for the same seed and number, whatever ran before', () => {
    for (const topic of TOPIC_NAMES) {
      const topics = topicsOf(topic)!;
      expect(generateScenario(5, 3, topics)).toEqual(generateScenario(5, 3, topics));
    }
    expect(generateScenario(5, 3, topicsOf('all')!)).not.toEqual(generateScenario(5, 4, topicsOf('all')!));
    expect(topicsOf('cork, gso')).toEqual(['cork', 'gso']);
    expect(topicsOf('corq')).toBeNull();
  });

  it('run on our stack without an error of their own', () => {
    for (const topic of TOPIC_NAMES.filter((name) => topicsOf(name)!.length === 1)) {
      for (let i = 0; i < 15; i++) {
        const scenario = generateScenario(11, i, [topic]);
        const result = runOnStack(scenario);
        expect('error' in result ? `${scenario.name}: ${result.error}` : '').toBe('');
      }
    }
  }, 120_000);
});

describe('shrinking', () => {
  const scenario: Scenario = {
    sysctl: { 'net.ipv4.ip_default_ttl': 9 },
    ip_extra: ['route add default via 10.9.0.1'],
    calls: [
      { call: 'socket' },
      { call: 'getsockname' },
      {
        call: 'sendmsg',
        iov: [{ seq: 1000 }, '00'],
        flags: ['MSG_MORE'],
        name: '10.9.0.1:5',
        cmsgs: [
          { level: 0, type: 1 },
          { level: 0, type: 2 },
        ],
      },
      { call: 'close' },
    ],
  };
  it('keeps what the failure needs, and no more', async () => {
    const small = await shrink(scenario, async (candidate) =>
      candidate.calls.some((call) => call.call === 'sendmsg' && call.cmsgs?.some((c) => c.type === 2)),
    );
    expect(small).toEqual({
      calls: [{ call: 'sendmsg', iov: [{ seq: 1 }], name: '10.9.0.1:5', cmsgs: [{ level: 0, type: 2 }] }],
    });
  });
  it('gives back what cannot be smaller', async () => {
    let tries = 0;
    expect(await shrink(scenario, async () => tries++ < 0)).toBe(scenario);
    expect(tries).toBeLessThan(400);
  });
});
