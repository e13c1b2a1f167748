/**
 * Linux 6.1: our stack under that profile against the answers of a real one, which `scripts/compare-uml --record` kept. With a runner of
 * User Mode Linux in UML, the kernel is asked again, random scenarios included.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compareResults, formatDifferences } from '../../src/scenario/compare.js';
import { readScenarios } from '../../src/scenario/file.js';
import { runOnStack } from '../../src/scenario/stack_runner.js';
import type { ScenarioResult } from '../../src/scenario/types.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const scenarios = join(root, 'test/kernel/scenarios-vrf');
const answers = join(root, 'test/kernel/answers-6.1');
const RANDOM = 60;
const NEW_SEED = Number(process.env.UDPTAP_SEED ?? Math.floor(Math.random() * 1e9));

describe('VRFs, as Linux 6.1 answered', () => {
  for (const file of readdirSync(scenarios).sort()) {
    const recorded = JSON.parse(readFileSync(join(answers, file), 'utf8')) as ScenarioResult[];
    const entries = readScenarios(join(scenarios, file));
    it(`${file}: an answer to each scenario`, () => {
      expect(recorded.map(({ name }) => name)).toEqual(
        entries.map((entry) => entry.ok && entry.scenario.name),
      );
    });
    for (const [i, entry] of entries.entries()) {
      if (!entry.ok) throw new Error(entry.error);
      const { scenario } = entry;
      it(`${file}: ${scenario.name}`, () => {
        const kernel = recorded[i]!;
        expect(kernel).not.toHaveProperty('error');
        const differences = compareResults(scenario, runOnStack(scenario, { kernel: '6.1' }), kernel);
        expect(differences.length, `\n${formatDifferences(scenario, differences)}`).toBe(0);
      });
    }
  }
});

const missing = [
  (process.env.UML ?? '') === '' ? 'UML names no runner of a User Mode Linux' : '',
  existsSync(join(root, 'dist/scenario/host_runner.js')) ? '' : 'there is no dist/ (npm run build)',
].filter((reason) => reason !== '');

describe.skipIf(missing.length > 0)(
  `on a real Linux 6.1${missing.map((reason) => `: ${reason}`).join('')}`,
  () => {
    it(`random scenarios of seed ${NEW_SEED} do not differ`, { timeout: 600_000 }, (context) => {
      const args = ['--random', String(RANDOM), '--seed', String(NEW_SEED)];
      const { status, stdout, stderr } = spawnSync(join(root, 'scripts/compare-uml'), args, {
        encoding: 'utf8',
      });
      context.skip(stdout.startsWith('skipped: '), stdout);
      expect(status, stdout + stderr).toBe(0);
      expect(stdout).toContain(`${RANDOM} scenarios on Linux 6.1: none differs`);
    });
  },
);
