/** Runs scenarios on our stack. */
import { execute } from './execute.js';
import { StackMachine, type StackOptions } from './stack_machine.js';
import type { Scenario, ScenarioResult } from './types.js';

/**
 * Runs one scenario in a Net of its own. Never throws: an error of the stack itself, which has none to throw, becomes the
 * scenario's `error`.
 */
export function runOnStack(scenario: Scenario, options: StackOptions = {}): ScenarioResult {
  const machine = new StackMachine(scenario, options);
  try {
    return execute(machine, scenario);
  } catch (error) {
    return {
      name: scenario.name ?? null,
      error: `internal error: ${error instanceof Error ? error.stack : error}`,
    };
  } finally {
    machine.close();
  }
}
