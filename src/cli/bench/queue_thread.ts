/** The thread of a second queue: sends its round whenever it is told to. */
import { parentPort, workerData } from 'node:worker_threads';
import { CALLS, DONE, type QueueTask, STARTED } from './queues.js';
import { openSender, openStack } from './stack_side.js';

const { cells, side } = workerData as QueueTask;
const shared = new Int32Array(cells);
const { net, tap } = await openStack(side);
const sender = openSender(net, tap, side, '');
parentPort?.postMessage('ready');
for (let round = 0; ; round++) {
  Atomics.wait(shared, STARTED, round);
  sender.run(shared[CALLS]!);
  Atomics.store(shared, DONE, round + 1);
  Atomics.notify(shared, DONE);
}
