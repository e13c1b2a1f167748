/** Every scenario file, on our stack and on the host's kernel: no call and no frame may differ. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { compareResults, formatDifferences } from '../../src/scenario/compare.js';
import { readScenarios } from '../../src/scenario/file.js';
import { HostRunner, hostProblem } from '../../src/scenario/host_runner.js';
import { runOnStack } from '../../src/scenario/stack_runner.js';

const folder = fileURLToPath(new URL('./scenarios/', import.meta.url));
const problem = hostProblem();
const host = new HostRunner(2);
afterAll(() => host.close());

describe.skipIf(problem !== null)(
  `scenarios against the host's kernel${problem === null ? '' : ` (${problem})`}`,
  () => {
    for (const file of readdirSync(folder).sort()) {
      describe(file, () => {
        for (const entry of readScenarios(folder + file)) {
          if (!entry.ok) throw new Error(entry.error);
          const { scenario } = entry;
          it(scenario.name ?? 'unnamed', async () => {
            const kernel = await host.run(scenario);
            expect(kernel).not.toHaveProperty('error');
            const differences = compareResults(scenario, runOnStack(scenario), kernel);
            expect(differences.length, `\n${formatDifferences(scenario, differences)}`).toBe(0);
          });
        }
      });
    }
  },
);
