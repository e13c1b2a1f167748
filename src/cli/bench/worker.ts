/** A measurement in a process of its own, so that none is disturbed by what another left behind. Prints its result as JSON. */
import { type DuelTask, runDuel } from './duel.js';

export type Task = ({ readonly kind: 'duel' } & DuelTask);

async function run(task: Task): Promise<unknown> {
  return runDuel(task);
}

try {
  const result = await run(JSON.parse(process.argv[2] ?? '') as Task);
  process.stdout.write(`${JSON.stringify({ result })}\n`);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: error instanceof Error ? error.message : String(error) })}\n`);
  process.exitCode = 1;
}
process.exit();
