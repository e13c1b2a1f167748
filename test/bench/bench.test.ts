/** `udptap bench` measures what it says, and the hot path takes nothing from the heap. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { costOfBuilding } from '../../src/cli/bench/growth_lab.js';
import { quantile, spread } from '../../src/cli/bench/stats.js';
import { barChart, lineChart, short } from '../../src/cli/bench/svg.js';
import { main, missing, noTap, root } from '../cli/machine.js';

const needs = noTap ?? missing('cc');

interface Line {
  readonly type: string;
  readonly name?: string;
  readonly why?: string;
  readonly ratio?: { readonly median: number; readonly low: number; readonly high: number };
  readonly nsAFrame?: number;
  readonly baseNsAFrame?: number;
}

function bench(...args: string[]): { code: number | null; lines: Line[]; stderr: string } {
  const run = spawnSync(process.execPath, [main, 'bench', '--json', '--quick', ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  const lines = run.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  return { code: run.status, lines, stderr: run.stderr };
}

describe.skipIf(needs !== null)(`udptap bench${needs === null ? '' : ` [not run here: ${needs}]`}`, () => {
  it('holds our stack, C and the kernel against the base', { timeout: 120_000 }, () => {
    const only = 'send,sendmmsg-64,gso-offload,c-write-threads,kernel-send,dgram-connected';
    const { code, lines, stderr } = bench('--rounds', '5', '--payload', '64', '--only', only);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(lines[0]).toMatchObject({ type: 'begin', consumer: 'drop' });
    const duels = new Map(lines.filter(({ type }) => type === 'duel').map((line) => [line.name, line]));
    expect([...duels.keys()].sort()).toEqual(only.split(',').sort());
    for (const { ratio, nsAFrame, baseNsAFrame } of duels.values()) {
      expect(ratio!.low).toBeLessThanOrEqual(ratio!.median);
      expect(ratio!.median).toBeLessThanOrEqual(ratio!.high);
      expect(baseNsAFrame! / nsAFrame! / ratio!.median).toBeGreaterThan(0.2);
      expect(baseNsAFrame! / nsAFrame! / ratio!.median).toBeLessThan(5);
    }
    // Loose bounds, for a machine that does other things: what they exclude would be a mistake of the measurement.
    const ratioOf = (name: string) => duels.get(name)!.ratio!.median;
    expect(ratioOf('c-write-threads')).toBeGreaterThan(0.5);
    expect(ratioOf('c-write-threads')).toBeLessThan(1.5);
    expect(ratioOf('send')).toBeLessThan(1.1);
    expect(ratioOf('gso-offload')).toBeGreaterThan(ratioOf('sendmmsg-64'));
    expect(ratioOf('sendmmsg-64')).toBeGreaterThan(ratioOf('dgram-connected'));
  });

  it('measures with a socket that reads', { timeout: 60_000 }, () => {
    const { code, lines } = bench(
      '--rounds',
      '3',
      '--payload',
      '64',
      '--only',
      'sendmmsg-64',
      '--consumer',
      'read',
    );
    expect(code).toBe(0);
    expect(lines.filter(({ type }) => type === 'duel')).toHaveLength(1);
  });

  it('measures how cost grows, with charts', { timeout: 120_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'udptap-svg-'));
    try {
      const { code, lines } = bench('--only', 'neighbours,groups', '--svg', folder);
      expect(code).toBe(0);
      expect(lines.filter(({ type }) => type === 'growth').map(({ name }) => name)).toEqual([
        'neighbours',
        'groups',
      ]);
      expect(readFileSync(join(folder, 'growth-neighbours.svg'), 'utf8')).toMatch(
        /<polyline points="[\d., ]+"/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('measures the start of the command, and memory', { timeout: 120_000 }, () => {
    const { code, lines, stderr } = bench('--only', 'start-up,memory', '--seconds', '1');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(lines.map(({ type }) => type)).toEqual(['begin', 'start-up', 'memory']);
    const memory = lines[2] as unknown as { nodeBytes: number; tapBytes: number };
    expect((memory.tapBytes - memory.nodeBytes) / 2 ** 20).toBeLessThan(64);
  });
});

describe('udptap bench', () => {
  it('refuses names that it does not know', () => {
    const { code, stderr } = bench('--only', 'warp');
    expect(code).toBe(2);
    expect(stderr).toContain('there is no "warp"');
  });
});

describe('a datagram', () => {
  const run = spawnSync(
    process.execPath,
    ['--expose-gc', '--import', 'tsx', join(root, 'test/bench/allocations.ts')],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  const ways = JSON.parse(run.stdout || '[]') as {
    way: string;
    frames: number;
    bytesEach: number;
    collections: number;
  }[];

  it('is measured in each way of sending', () => {
    expect(run.stderr).toBe('');
    expect(ways.map(({ way }) => way)).toEqual(
      [64, 1472].flatMap((n) => ['send', 'sendto', 'sendmmsg', 'UDP_SEGMENT'].map((way) => `${way} of ${n}`)),
    );
    for (const { frames } of ways) expect(frames).toBe(200_000);
  });

  it('takes nothing from the heap', () => {
    // The smallest object has 12 bytes: what is left here is a number now and then, such as the time.
    const greedy = ways.filter(({ bytesEach, collections }) => bytesEach > 8 || collections > 0);
    expect(greedy.filter(({ way }) => !way.startsWith('UDP_SEGMENT'))).toEqual([]);
  });
});

describe('numbers', () => {
  it('have quantiles between neighbours', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(spread([5, 1, 2, 4, 3])).toEqual({ median: 3, low: 2, high: 4 });
  });

  it('are short in charts', () => {
    expect([0.123456, 999, 1234, 1_000_000].map(short)).toEqual(['0.123', '999', '1.23k', '1M']);
  });

  it('come from things that were built one at a time', async () => {
    const built: number[] = [];
    expect(await costOfBuilding(120, (i) => built.push(i))).toBeGreaterThan(0);
    expect(built).toEqual(Array.from({ length: 120 }, (_, i) => i));
  });
});

describe('charts', () => {
  it('place a bar by the logarithm of its value, and escape text', () => {
    const svg = barChart(
      'a < b',
      ['x'],
      [
        { label: 'one', values: [1] },
        { label: 'ten & more', values: [10] },
        { label: 'none', values: [null] },
      ],
    );
    expect(svg).toContain('a &lt; b');
    expect(svg).toContain('ten &amp; more');
    const widths = [...svg.matchAll(/<rect x="250" y="\d+" width="([\d.]+)" height="11"/g)].map((m) =>
      Number(m[1]),
    );
    expect(widths).toHaveLength(2);
    expect(widths[1]).toBeGreaterThan(100 * widths[0]!);
  });

  it('draw growth by powers of ten', () => {
    const svg = lineChart('t', 'x', 'y', [
      { label: 'flat', points: [1, 10, 100].map((x) => ({ x, y: 50 })) },
    ]);
    const [, path = ''] = /points="([^"]+)"/.exec(svg) ?? [];
    const places = path.split(' ').map((place) => place.split(',').map(Number));
    expect(new Set(places.map(([, y]) => y)).size).toBe(1);
    expect(places[1]![0]! - places[0]![0]!).toBeCloseTo(places[2]![0]! - places[1]![0]!, 1);
  });
});
