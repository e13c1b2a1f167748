/** Two queues of one TAP: the second has a thread and a Net of its own, and both send at the same moment. */
import { Worker } from 'node:worker_threads';
import type { SideOptions } from './stack_side.js';

/** What the threads share: a count of rounds that were started, of those that are done, and the calls of a round. */
export const STARTED = 0;
export const DONE = 1;
export const CALLS = 2;

export interface QueueTask {
  readonly cells: SharedArrayBuffer;
  readonly side: SideOptions;
}

export class SecondQueue {
  readonly #cells = new Int32Array(new SharedArrayBuffer(12));
  readonly #worker: Worker;
  #rounds = 0;

  private constructor(side: SideOptions) {
    const task: QueueTask = { cells: this.#cells.buffer as SharedArrayBuffer, side };
    this.#worker = new Worker(new URL('./queue_thread.js', import.meta.url), { workerData: task });
  }

  /** @throws what the thread throws before it is ready */
  static open(side: SideOptions): Promise<SecondQueue> {
    const queue = new SecondQueue(side);
    return new Promise((resolve, reject) => {
      queue.#worker.once('message', () => resolve(queue));
      queue.#worker.once('error', reject);
    });
  }

  /** Lets the other thread send. */
  start(calls: number): void {
    this.#cells[CALLS] = calls;
    Atomics.store(this.#cells, STARTED, ++this.#rounds);
    Atomics.notify(this.#cells, STARTED);
  }

  /** Blocks until it has. */
  wait(): void {
    while (Atomics.load(this.#cells, DONE) < this.#rounds)
      Atomics.wait(this.#cells, DONE, this.#rounds - 1, 1000);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
