// Runs scenario files on the kernel that this process runs on, and prints the results as one JSON list.
//
//   node scripts/host-results.mjs FILE…
import { readScenarios } from '../dist/scenario/file.js';
import { HostRunner, hostProblem } from '../dist/scenario/host_runner.js';

const problem = hostProblem();
if (problem !== null) {
  console.error(problem);
  process.exit(1);
}
const host = new HostRunner(1);
const results = [];
for (const file of process.argv.slice(2)) {
  for (const entry of readScenarios(file)) {
    results.push(entry.ok ? await host.run(entry.scenario) : { name: entry.name, error: entry.error });
  }
}
host.close();
process.stdout.write(JSON.stringify(results));
