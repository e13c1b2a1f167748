/** Runs scenarios on the host's kernel, in child processes; needs root and /dev/net/tun. */
import { type ChildProcess, fork } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { addonProblem, loadAddon } from '../dev/addon.js';
import type { Answer, Job } from './host_child.js';
import { DEFAULT_TIMEOUT_S, type Scenario, type ScenarioResult } from './types.js';

const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;
/** What a new child may take before its first scenario, on a busy machine. */
const START_MS = 5000;

/** Why scenarios cannot run on this host, and how to mend it; null if they can. */
export function hostProblem(): string | null {
  const missing = addonProblem();
  if (missing !== null) return missing.message;
  const capabilities = loadAddon().effectiveCapabilities();
  for (const [bit, name] of [
    [CAP_SYS_ADMIN, 'CAP_SYS_ADMIN'],
    [CAP_NET_ADMIN, 'CAP_NET_ADMIN'],
  ] as const) {
    if (((capabilities >> bit) & 1n) === 0n) {
      return `running on the host's kernel makes a network namespace, which needs ${name}: run as root (sudo)`;
    }
  }
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return 'there is no usable /dev/net/tun: "modprobe tun", or start the container with "--device /dev/net/tun"';
  }
  return null;
}

interface Waiting {
  readonly scenario: Scenario;
  readonly resolve: (result: ScenarioResult) => void;
}

/** One child and the scenario that it runs. */
class Worker {
  #child: ChildProcess | null = null;
  #current: Waiting | null = null;
  #timer: NodeJS.Timeout | null = null;
  #nextId = 0;
  #stderr = '';

  constructor(readonly onIdle: (worker: Worker) => void) {}

  start(waiting: Waiting): void {
    this.#current = waiting;
    const startMs = this.#child === null ? START_MS : 0;
    const child = this.#child ?? this.#fork();
    const id = ++this.#nextId;
    const timeoutMs = (waiting.scenario.timeout ?? DEFAULT_TIMEOUT_S) * 1000 + startMs;
    this.#timer = setTimeout(() => {
      this.#finish({ name: waiting.scenario.name ?? null, error: 'timeout (a call blocked?)' }, true);
    }, timeoutMs);
    const job: Job = { id, scenario: waiting.scenario };
    child.send(job, (error) => {
      if (error !== null) this.#failed(child, error.message);
    });
  }

  #fork(): ChildProcess {
    // The same from src and from dist: sources run under the loader that the tests have.
    const source = import.meta.url.endsWith('.ts');
    const path = fileURLToPath(new URL(source ? './host_child.ts' : './host_child.js', import.meta.url));
    const child = fork(path, [], {
      execArgv: source ? ['--import', 'tsx'] : [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#stderr = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-2000);
    });
    child.on('message', (answer: Answer) => {
      if (child === this.#child && answer.id === this.#nextId) this.#finish(answer.result, false);
    });
    child.on('exit', (code, signal) => this.#failed(child, `child died (${signal ?? code})`));
    child.on('error', (error) => this.#failed(child, error.message));
    this.#child = child;
    return child;
  }

  #failed(child: ChildProcess, reason: string): void {
    if (child !== this.#child) return;
    this.#child = null;
    const current = this.#current;
    if (current === null) return;
    const why = this.#stderr.trim() === '' ? reason : `${reason}: ${this.#stderr.trim()}`;
    this.#finish({ name: current.scenario.name ?? null, error: why }, false);
  }

  #finish(result: ScenarioResult, killChild: boolean): void {
    const current = this.#current;
    if (current === null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#current = null;
    if (killChild) this.stop();
    current.resolve(result);
    this.onIdle(this);
  }

  stop(): void {
    const child = this.#child;
    this.#child = null;
    child?.kill('SIGKILL');
  }
}

/** A few children that share the work. Close it when done: idle children stay. */
export class HostRunner {
  readonly #idle: Worker[] = [];
  readonly #workers: Worker[] = [];
  readonly #queue: Waiting[] = [];

  constructor(readonly children = 1) {}

  /** Runs a scenario in a namespace of its own; never rejects. */
  run(scenario: Scenario): Promise<ScenarioResult> {
    return new Promise((resolve) => {
      this.#queue.push({ scenario, resolve });
      this.#next();
    });
  }

  #next(): void {
    while (this.#queue.length > 0) {
      let worker = this.#idle.pop();
      if (worker === undefined) {
        if (this.#workers.length >= this.children) return;
        worker = new Worker((idle) => {
          this.#idle.push(idle);
          this.#next();
        });
        this.#workers.push(worker);
      }
      worker.start(this.#queue.shift()!);
    }
  }

  close(): void {
    for (const worker of this.#workers) worker.stop();
    this.#workers.length = 0;
    this.#idle.length = 0;
  }
}
