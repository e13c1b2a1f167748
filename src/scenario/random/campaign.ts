/** Random scenarios on our stack and on the host's kernel at once: finds a difference, makes sure of it, and makes it small. */
import { compareResults, type Difference } from '../compare.js';
import type { HostRunner } from '../host_runner.js';
import type { Scenario, ScenarioResult } from '../types.js';
import { generateScenario } from './generate.js';
import { shrink } from './shrink.js';

export interface CampaignOptions {
  readonly count: number;
  readonly seed: number;
  readonly topics: readonly string[];
  readonly host: HostRunner;
  readonly onStack: (scenario: Scenario) => ScenarioResult;
  /** Called after each scenario. */
  readonly onProgress?: (done: number, failures: number) => void;
  /** Called for each difference, as soon as it is small. */
  readonly onFailure?: (failure: Failure) => void;
  /** Stop after so many failures; 10 where absent. */
  readonly maxFailures?: number;
  /** Shrink failing scenarios; true where absent. */
  readonly shrink?: boolean;
}

/** A scenario on which the two machines differ, made small. */
export interface Failure {
  readonly index: number;
  readonly scenario: Scenario;
  readonly original: Scenario;
  readonly differences: readonly Difference[];
}

export interface CampaignResult {
  /** Scenarios that were run. */
  readonly done: number;
  /** Of these, how many differed once and not again: the host was too slow for its own timers, or a random number fell badly. */
  readonly unsteady: number;
  readonly failures: readonly Failure[];
}

/** Scenarios in flight: the host's children never wait for our stack. */
const AHEAD_PER_CHILD = 3;
/** A difference counts when it is there each time. */
const CONFIRMATIONS = 3;

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { count, seed, topics, host, onStack, maxFailures = 10 } = options;
  const failures: Failure[] = [];
  let next = 0;
  let done = 0;
  let unsteady = 0;
  let found = 0;

  const differ = async (scenario: Scenario): Promise<Difference[]> => {
    const kernel = host.run(scenario);
    return compareResults(scenario, onStack(scenario), await kernel);
  };
  const lane = async (): Promise<void> => {
    while (next < count && found < maxFailures) {
      const index = next++;
      const scenario = generateScenario(seed, index, topics);
      let differences = await differ(scenario);
      for (let i = 0; i < CONFIRMATIONS && differences.length > 0; i++) {
        differences = await differ(scenario);
        if (differences.length === 0) unsteady++;
      }
      if (differences.length > 0 && found < maxFailures) {
        found++;
        const failure = await minimize(index, scenario, differences, differ, options.shrink ?? true);
        failures.push(failure);
        options.onFailure?.(failure);
      }
      done++;
      options.onProgress?.(done, failures.length);
    }
  };
  await Promise.all(Array.from({ length: host.children * AHEAD_PER_CHILD }, lane));
  return { done, unsteady, failures };
}

async function minimize(
  index: number,
  original: Scenario,
  differences: Difference[],
  differ: (scenario: Scenario) => Promise<Difference[]>,
  wanted: boolean,
): Promise<Failure> {
  if (!wanted) return { index, scenario: original, original, differences };
  const kind = kindOf(differences);
  const scenario = await shrink(original, async (candidate) => {
    const found = await differ(candidate);
    return found.length > 0 && kindOf(found) === kind;
  });
  const final = await differ(scenario);
  return final.length > 0
    ? { index, scenario, original, differences: final }
    : { index, scenario: original, original, differences };
}

/** What a difference is about: shrinking must not slip from one fault into another. */
function kindOf(differences: readonly Difference[]): string {
  const { what, ours, kernel } = differences[0]!;
  const values = ['ret', 'errno', 'error'].includes(what) ? ` ${ours === null} ${kernel === null}` : '';
  return what.replace(/\d+/, '') + (what === 'errno' ? ` ${ours} ${kernel}` : values);
}
