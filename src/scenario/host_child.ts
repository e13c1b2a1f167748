/** The process in which scenarios run on the host's kernel: one after the other, each in a network namespace of its own. */
import { execute } from './execute.js';
import { HostMachine } from './host_machine.js';
import { type Scenario, ScenarioError, type ScenarioResult } from './types.js';

/** A scenario to run, by a number that its answer repeats. */
export interface Job {
  readonly id: number;
  readonly scenario: Scenario;
}

export interface Answer {
  readonly id: number;
  readonly result: ScenarioResult;
}

function run(scenario: Scenario): ScenarioResult {
  let machine: HostMachine | null = null;
  try {
    machine = new HostMachine();
    return execute(machine, scenario);
  } catch (error) {
    const text = error instanceof ScenarioError ? error.message : String(error);
    return { name: scenario.name ?? null, error: text };
  } finally {
    machine?.close();
  }
}

process.on('message', (job: Job) => {
  const answer: Answer = { id: job.id, result: run(job.scenario) };
  process.send!(answer);
});
