// Runs the steps of `npm test` one after the other, goes on after a failure, and ends with the totals on a line alone.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const names = process.argv.slice(2);
const whole = names.length === 0;
const totals = { passed: 0, failed: 0, skipped: 0 };
const skipReasons = new Map();
const failures = [];

function run(command, args, env = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (result.error) console.error(`${command}: ${result.error.message}`);
  return result.status ?? 1;
}

function skip(what, reason, count = 1) {
  totals.skipped += count;
  skipReasons.set(reason, [...(skipReasons.get(reason) ?? []), what]);
}

/** One step that counts as one test. */
function step(title, command, args) {
  console.log(`\n== ${title}`);
  const started = performance.now();
  const ok = run(command, args) === 0;
  if (ok) totals.passed++;
  else {
    totals.failed++;
    failures.push(title);
  }
  console.log(`${ok ? 'ok' : 'FAILED'}: ${title} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  return ok;
}

function vitest() {
  console.log('\n== tests');
  const folder = mkdtempSync(join(tmpdir(), 'udptap-test-'));
  const file = join(folder, 'totals.json');
  const status = run('node_modules/.bin/vitest', ['run', ...names], { UDPTAP_TOTALS: file });
  if (existsSync(file)) {
    const found = JSON.parse(readFileSync(file, 'utf8'));
    totals.passed += found.passed;
    totals.failed += found.failed;
    for (const { test, reason } of found.skipped) skip(test, reason);
    if (found.failed > 0) failures.push(`${found.failed} tests`);
    if (found.slowest.length > 0) {
      console.log(
        `slowest: ${found.slowest.map(([name, ms]) => `${name} ${(ms / 1000).toFixed(1)} s`).join(', ')}`,
      );
    }
    // Errors outside any test fail the run without failing a test.
    if (status !== 0 && found.failed === 0) {
      totals.failed++;
      failures.push('vitest (an error outside the tests)');
    }
  } else {
    totals.failed++;
    failures.push('vitest (ended without totals)');
  }
  rmSync(folder, { recursive: true });
}

/** The container engine's command, or null: `DOCKER`, or a docker whose daemon runs. */
function engine() {
  if (process.env.DOCKER) return process.env.DOCKER;
  return spawnSync('docker', ['info'], { stdio: 'ignore' }).status === 0 ? 'docker' : null;
}

const built = step('build', process.execPath, ['scripts/build.mjs']);
if (whole) {
  step('types', 'node_modules/.bin/tsc', ['-p', 'tsconfig.json', '--noEmit']);
  step('lint and format', 'node_modules/.bin/biome', ['check', '.']);
}
vitest();
if (whole) {
  const docker = engine();
  if (docker === null)
    skip('scripts/docker-test', 'no running docker here (DOCKER=podman npm test takes podman)');
  else if (process.getuid() !== 0 && docker !== 'docker')
    skip('scripts/docker-test', 'the container test needs root');
  else if (built) step('container test', 'scripts/docker-test', []);
}

console.log('');
for (const [reason, tests] of skipReasons) {
  console.log(
    `skipped, ${reason}: ${tests.length <= 3 ? tests.join('; ') : `${tests.length} tests, such as ${tests[0]}`}`,
  );
}
if (failures.length > 0) console.log(`failed: ${failures.join('; ')}`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 ? 1 : 0;
