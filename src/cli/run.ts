/** `udptap run`: scenario files on our stack. */
import type { Command } from 'commander';
import type { KernelProfile } from '../core/profile.js';
import type { Frame, Scenario, ScenarioResult } from '../scenario/types.js';
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE, reportError, UsageError } from './exit.js';

interface RunFlags {
  readonly json?: boolean;
  readonly kernel: string;
  readonly tap?: boolean;
}

const KERNELS: readonly KernelProfile['name'][] = ['6.18', '6.1', '5.4'];

/** A kernel's name as a profile's. @throws UsageError */
export function kernelName(text: string): KernelProfile['name'] {
  const name = KERNELS.find((kernel) => kernel === text);
  if (name === undefined) throw new UsageError(`--kernel is one of ${KERNELS.join(', ')}, not '${text}'`);
  return name;
}

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .summary('run scenario files on our stack')
    .description(
      'Runs the calls of scenario files in a network of their own, on devices in memory, and prints what each call ' +
        'answered and which frames left. Time is virtual: a sleep costs nothing.',
    )
    .argument('<file...>', 'scenario files; - is standard input')
    .option('--json', 'the results as one JSON list')
    .option('--kernel <version>', `which kernel to be: ${KERNELS.join(', ')}`, '6.18')
    .option('--tap', "send the frames out by real TAPs of the scenario's names too (needs root)")
    .action(async (files: string[], flags: RunFlags) => {
      process.exitCode = await run(files, flags);
    });
}

async function run(files: readonly string[], flags: RunFlags): Promise<number> {
  const kernel = kernelName(flags.kernel);
  const { readScenarios } = await import('../scenario/file.js');
  const { runOnStack } = await import('../scenario/stack_runner.js');
  const { formatResult } = await import('../scenario/format.js');
  const { ScenarioError } = await import('../scenario/types.js');
  const mirror = flags.tap === true ? new (await import('../scenario/tap_mirror.js')).TapMirror() : null;
  const results: ScenarioResult[] = [];
  let failed = false;
  try {
    for (const entry of files.flatMap((file) => readScenarios(file))) {
      const scenario: Scenario = entry.ok ? entry.scenario : { name: entry.name ?? '', calls: [] };
      const options = { kernel, ...(mirror && { onFrame: (frame: Frame) => mirror.send(frame) }) };
      const result = entry.ok ? runOnStack(scenario, options) : { name: entry.name, error: entry.error };
      failed ||= 'error' in result;
      if (flags.json === true) results.push(result);
      else process.stdout.write(`${formatResult(scenario, result)}\n`);
    }
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    reportError(error);
    return EXIT_USAGE;
  } finally {
    mirror?.close();
  }
  if (flags.json === true) process.stdout.write(`${JSON.stringify(results)}\n`);
  return failed ? EXIT_FAILED : EXIT_OK;
}
