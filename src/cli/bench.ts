/** `udptap bench`: what the send path reaches here, held in one run against C, the kernel, node:dgram and packet tools. */
import { mkdirSync } from 'node:fs';
import { CONTESTANTS, type Contestant, PAYLOADS } from './bench/contestants.js';
import type { DuelResult, DuelTask } from './bench/duel.js';
import { GROWTHS, type GrowthName, type GrowthResult, LARGEST } from './bench/growth.js';
import { CONSUMERS, type Consumer, labProblem } from './bench/lab.js';
import type { MemoryResult } from './bench/memory.js';
import { runTask, Workshop } from './bench/plan.js';
import { compilePrograms } from './bench/programs.js';
import { type DuelRow, Report } from './bench/report.js';
import type { StartUpResult } from './bench/start_up.js';
import { median, spread } from './bench/stats.js';
import { hasTool } from './bench/tools.js';
import { CommandError, EXIT_FAILED, EXIT_OK, UsageError } from './exit.js';
import { parseInteger } from './values.js';

export interface BenchFlags {
  readonly json?: boolean;
  readonly quick?: boolean;
  readonly only?: string;
  readonly payload?: string;
  readonly consumer?: string;
  readonly rounds?: string;
  readonly seconds?: string;
  readonly svg?: string;
}

const KINDS: Readonly<Record<string, (contestant: Contestant) => boolean>> = {
  stack: ({ kind }) => kind === 'stack',
  addon: ({ kind }) => kind === 'prebuilt',
  c: ({ kind }) => kind === 'write' || kind === 'build' || kind === 'kernel',
  dgram: ({ kind }) => kind === 'dgram',
  tools: ({ kind }) => kind === 'tool',
};
const OTHERS = ['start-up', 'memory'] as const;

interface Plan {
  readonly contestants: readonly Contestant[];
  readonly growths: readonly GrowthName[];
  readonly startUp: boolean;
  readonly memory: boolean;
}

/** What `--only` names: contestants, kinds of them, and the other measurements. @throws UsageError */
function plan({ only, quick }: BenchFlags): Plan {
  if (only === undefined) {
    const contestants = quick === true ? CONTESTANTS.filter((c) => c.quick === true) : CONTESTANTS;
    return {
      contestants,
      growths: quick === true ? [] : GROWTHS,
      startUp: quick !== true,
      memory: quick !== true,
    };
  }
  const names = only.split(',').map((name) => name.trim());
  const known = [...Object.keys(KINDS), ...CONTESTANTS.map((c) => c.name), 'growth', ...GROWTHS, ...OTHERS];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`--only: there is no "${unknown}"; there are ${known.join(', ')}`);
  return {
    contestants: CONTESTANTS.filter(
      (c) => names.includes(c.name) || names.some((name) => KINDS[name]?.(c) === true),
    ),
    growths: names.includes('growth') ? GROWTHS : GROWTHS.filter((name) => names.includes(name)),
    startUp: names.includes('start-up'),
    memory: names.includes('memory'),
  };
}

interface Settings {
  readonly payloads: readonly number[];
  readonly consumer: Consumer;
  readonly rounds: number;
  readonly seconds: number;
  readonly quick: boolean;
}

function settings(flags: BenchFlags): Settings {
  const quick = flags.quick === true;
  const consumer = CONSUMERS.find((name) => name === (flags.consumer ?? 'drop'));
  if (consumer === undefined) throw new UsageError(`--consumer is one of ${CONSUMERS.join(', ')}`);
  return {
    payloads: flags.payload === undefined ? PAYLOADS : [parseInteger(flags.payload, '--payload', 1, 1472)],
    consumer,
    rounds:
      flags.rounds === undefined ? (quick ? 15 : 60) : parseInteger(flags.rounds, '--rounds', 3, 10_000),
    seconds:
      flags.seconds === undefined ? (quick ? 2 : 10) : parseInteger(flags.seconds, '--seconds', 1, 86_400),
    quick,
  };
}

/** @returns the exit code */
export async function bench(flags: BenchFlags): Promise<number> {
  const what = plan(flags);
  const how = settings(flags);
  const needsLab = what.contestants.length > 0 || what.startUp || what.memory;
  const problem = needsLab ? labProblem() : null;
  if (problem !== null) throw problem;
  if (flags.svg !== undefined) mkdirSync(flags.svg, { recursive: true });
  const report = new Report(flags.json === true, flags.svg ?? null);
  const shop = new Workshop();
  try {
    const compiler = what.contestants.length > 0 ? compilePrograms(shop.folder) : null;
    report.begin(compiler, how.consumer);
    let failed = await runContestants(what.contestants, how, shop, report);
    for (const growth of what.growths) {
      const largest = LARGEST[growth][how.quick ? 'quick' : 'full'];
      failed ||= !(await attempt(report, growth, async () => {
        report.growth(
          growth,
          (await runTask({ kind: 'growth', growth, largest, folder: shop.folder })) as GrowthResult[],
        );
      }));
    }
    if (what.startUp) {
      const done = await attempt(report, 'start-up', async () => {
        report.startUp((await runTask({ kind: 'start-up', rounds: how.quick ? 5 : 15 })) as StartUpResult);
      });
      if (!done) failed = true;
    }
    if (what.memory) {
      const done = await attempt(report, 'memory', async () => {
        report.memory((await runTask({ kind: 'memory', seconds: how.seconds })) as MemoryResult);
      });
      if (!done) failed = true;
    }
    report.end();
    return failed ? EXIT_FAILED : EXIT_OK;
  } finally {
    shop.close();
  }
}

/** @returns whether it could be measured; where not, the report says why and the others go on */
async function attempt(report: Report, name: string, run: () => Promise<void>): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    report.problem(name, error.message);
    return false;
  }
}

/** @returns whether one failed */
async function runContestants(
  contestants: readonly Contestant[],
  how: Settings,
  shop: Workshop,
  report: Report,
): Promise<boolean> {
  let failed = false;
  for (const contestant of contestants) {
    if (contestant.kind === 'tool' && !hasTool(contestant.tool)) {
      report.absent(contestant.name, 'is not installed');
      continue;
    }
    for (const payload of how.payloads) {
      if (contestant.payloads !== undefined && !contestant.payloads.includes(payload)) continue;
      const task: DuelTask = {
        contestant,
        payload,
        consumer: how.consumer,
        rounds: how.rounds,
        folder: shop.folder,
      };
      const done = await attempt(report, contestant.name, async () => {
        const untraced = contestant.kind === 'stack' && contestant.use.withoutTracing === true;
        const result = await runTask({ kind: 'duel', ...task }, untraced ? shop.untracedWorker() : undefined);
        report.duel(row(contestant, payload, result as DuelResult));
      });
      if (!done) failed = true;
    }
  }
  return failed;
}

function row({ name, title }: Contestant, payload: number, result: DuelResult): DuelRow {
  const ratios = result.ns.map((ns, i) => result.baseNs[i]! / ns);
  return {
    name,
    title,
    payload,
    ratio: spread(ratios),
    nsAFrame: median(result.ns),
    baseNsAFrame: median(result.baseNs),
    rounds: result.ns.length,
    undisturbed: result.undisturbed,
  };
}
