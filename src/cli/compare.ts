/** `udptap compare`: scenarios on our stack and on the host's kernel, and every difference between the two. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Difference } from '../scenario/compare.js';
import type { HostRunner } from '../scenario/host_runner.js';
import type { Failure } from '../scenario/random/campaign.js';
import type { Scenario } from '../scenario/types.js';
import { CommandError, EXIT_FAILED, EXIT_OK, EXIT_USAGE, reportError, UsageError } from './exit.js';

interface CompareFlags {
  readonly json?: boolean;
  readonly random?: string;
  readonly seed?: string;
  readonly topic: string;
  readonly out?: string;
  readonly jobs: string;
  readonly shrink: boolean;
}

/** Time between two looks of the progress line, in ms. */
const PROGRESS_MS = 200;

export function addCompareCommand(program: Command): void {
  program
    .command('compare')
    .summary("run scenarios on our stack and on the host's kernel, show every difference")
    .description(
      "Runs scenario files, or random scenarios, on our stack and on the host's kernel (in a network namespace of their own; " +
        'needs root), and shows the calls and frames in which they differ, side by side.',
    )
    .argument('[file...]', 'scenario files; - is standard input')
    .option('--random <n>', 'invent this many scenarios instead')
    .option('--seed <n>', 'where the random scenarios start; a new one each time where absent')
    .option(
      '--topic <names>',
      'what they are about: topics or groups (all, datagram, network), with commas between',
      'all',
    )
    .option('--out <folder>', 'where failing scenarios are written, made small', '.')
    .option('--no-shrink', 'leave failing scenarios as they were invented')
    .option('--jobs <n>', "children that run on the host's kernel", '2')
    .option('--json', 'the differences as JSON')
    .action(async (files: string[], flags: CompareFlags) => {
      process.exitCode = await compare(files, flags);
    });
}

function count(text: string, flag: string, max: number): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > max) {
    throw new UsageError(`${flag} takes a number from 0 to ${max}, not '${text}'`);
  }
  return number;
}

async function compare(files: readonly string[], flags: CompareFlags): Promise<number> {
  if (files.length === 0 && flags.random === undefined)
    throw new UsageError('name scenario files, or use --random N');
  if (files.length > 0 && flags.random !== undefined)
    throw new UsageError('files and --random exclude each other');
  const jobs = count(flags.jobs, '--jobs', 64);
  const { topicsOf, TOPIC_NAMES } = await import('../scenario/random/generate.js');
  const topics = topicsOf(flags.topic);
  if (topics === null) throw new UsageError(`--topic knows ${TOPIC_NAMES.join(', ')}`);
  const { HostRunner, hostProblem } = await import('../scenario/host_runner.js');
  const problem = hostProblem();
  if (problem !== null) throw new CommandError(problem);
  const host = new HostRunner(Math.max(1, jobs));
  try {
    if (flags.random === undefined) return await compareFiles(files, flags, host);
    return await compareRandom(count(flags.random, '--random', 1e9), topics, flags, host);
  } finally {
    host.close();
  }
}

async function compareFiles(
  files: readonly string[],
  flags: CompareFlags,
  host: HostRunner,
): Promise<number> {
  const { readScenarios } = await import('../scenario/file.js');
  const { runOnStack } = await import('../scenario/stack_runner.js');
  const { compareResults, differencesToJson, formatDifferences } = await import('../scenario/compare.js');
  const { ScenarioError } = await import('../scenario/types.js');
  let entries: ReturnType<typeof readScenarios>;
  try {
    entries = files.flatMap((file) => readScenarios(file));
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    reportError(error);
    return EXIT_USAGE;
  }
  const report: unknown[] = [];
  const color = process.stdout.isTTY === true;
  let different = 0;
  const running = entries.map((entry) => (entry.ok ? host.run(entry.scenario) : null));
  for (const [i, entry] of entries.entries()) {
    if (!entry.ok) {
      different++;
      report.push({ name: entry.name, error: entry.error });
      if (flags.json !== true) process.stdout.write(`error: ${entry.error}\n`);
      continue;
    }
    const { scenario } = entry;
    const kernel = await running[i]!;
    const differences = compareResults(scenario, runOnStack(scenario), kernel);
    const failed = 'error' in kernel;
    if (differences.length > 0 || failed) different++;
    report.push({
      name: scenario.name ?? null,
      ...(failed && { error: kernel.error }),
      differences: differencesToJson(differences),
    });
    if (flags.json === true) continue;
    if (differences.length > 0) {
      const text = formatDifferences(scenario, differences, { color });
      process.stdout.write(`different: ${scenario.name ?? `scenario ${i}`}\n${text}\n`);
    } else if (failed) process.stdout.write(`error: ${scenario.name ?? `scenario ${i}`}: ${kernel.error}\n`);
  }
  if (flags.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
  else
    process.stdout.write(
      `${entries.length} scenarios, ${different === 0 ? 'none differs' : `${different} differ`}\n`,
    );
  return different === 0 ? EXIT_OK : EXIT_FAILED;
}

async function compareRandom(
  scenarios: number,
  topics: readonly string[],
  flags: CompareFlags,
  host: HostRunner,
): Promise<number> {
  const { runCampaign } = await import('../scenario/random/campaign.js');
  const { runOnStack } = await import('../scenario/stack_runner.js');
  const { differencesToJson, formatDifferences } = await import('../scenario/compare.js');
  const seed = flags.seed === undefined ? (Date.now() >>> 0) % 1e9 : count(flags.seed, '--seed', 0xffffffff);
  process.stderr.write(`seed ${seed}, topic ${flags.topic}\n`);
  const progress = process.stderr.isTTY === true ? await progressBar(scenarios) : null;
  const color = process.stdout.isTTY === true;
  const start = performance.now();
  const found: { file: string; failure: Failure }[] = [];
  const { done, unsteady, failures } = await runCampaign({
    count: scenarios,
    seed,
    topics,
    host,
    onStack: (scenario) => runOnStack(scenario),
    shrink: flags.shrink,
    ...(progress && { onProgress: progress.update }),
    onFailure: (failure) => {
      const file = write(flags.out ?? '.', seed, failure.index, failure.scenario);
      found.push({ file, failure });
      if (flags.json !== true) {
        const text = formatDifferences(failure.scenario, failure.differences, { color });
        process.stdout.write(`different: ${failure.scenario.name}\n${text}\n  written to ${file}\n`);
      }
    },
  });
  progress?.stop();
  const seconds = (performance.now() - start) / 1000;
  if (flags.json === true) {
    const list = found.map(({ file, failure }) => ({
      file,
      scenario: failure.scenario,
      differences: differencesToJson(failure.differences as Difference[]),
    }));
    process.stdout.write(`${JSON.stringify({ seed, scenarios: done, unsteady, failures: list })}\n`);
  } else {
    const verdict = failures.length === 0 ? 'none differs' : `${failures.length} differ`;
    const once = unsteady === 0 ? '' : `, ${unsteady} differed once and not again`;
    process.stdout.write(
      `${done} scenarios of seed ${seed} in ${seconds.toFixed(1)} s (${(done / seconds).toFixed(0)} a second): ${verdict}${once}\n`,
    );
  }
  return failures.length === 0 ? EXIT_OK : EXIT_FAILED;
}

interface Progress {
  readonly update: (done: number, failures: number) => void;
  readonly stop: () => void;
}

async function progressBar(total: number): Promise<Progress> {
  const { SingleBar } = (await import('cli-progress')).default;
  const bar = new SingleBar({
    format: '{bar} {value}/{total}  {failures} differ  {eta_formatted} left',
    stream: process.stderr,
    fps: 1000 / PROGRESS_MS,
    clearOnComplete: true,
  });
  bar.start(total, 0, { failures: 0 });
  return { update: (done, failures) => bar.update(done, { failures }), stop: () => bar.stop() };
}

function write(folder: string, seed: number, index: number, scenario: Scenario): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `difference-${seed}-${index}.json`);
  writeFileSync(file, `${JSON.stringify(scenario, null, 1)}\n`);
  return file;
}
