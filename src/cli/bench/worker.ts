/** A measurement in a process of its own, so that none is disturbed by what another left behind. Prints its result as JSON. */
import { type DuelTask, runDuel } from './duel.js';
import { type GrowthTask, runGrowth } from './growth.js';
import { type MemoryTask, runMemory } from './memory.js';
import { runStartUp, type StartUpTask } from './start_up.js';

export type Task =
  | ({ readonly kind: 'duel' } & DuelTask)
  | ({ readonly kind: 'growth' } & GrowthTask)
  | ({ readonly kind: 'memory' } & MemoryTask)
  | ({ readonly kind: 'start-up' } & StartUpTask);

function run(task: Task): Promise<unknown> {
  switch (task.kind) {
    case 'duel':
      return runDuel(task);
    case 'growth':
      return runGrowth(task);
    case 'memory':
      return runMemory(task);
    case 'start-up':
      return runStartUp(task);
  }
}

let answer: object;
try {
  answer = { result: await run(JSON.parse(process.argv[2] ?? '') as Task) };
} catch (error) {
  answer = { error: error instanceof Error ? error.message : String(error) };
}
// What a measurement left open must not keep the process.
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit());
