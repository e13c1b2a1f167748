/** What the benchmark says: a table for people, one JSON object a line for programs, charts for pages. */
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import type { GrowthName, GrowthResult } from './growth.js';
import type { Consumer } from './lab.js';
import type { MemoryResult } from './memory.js';
import type { StartUpResult } from './start_up.js';
import type { Spread } from './stats.js';
import { barChart, lineChart, short } from './svg.js';

export interface DuelRow {
  readonly name: string;
  readonly title: string;
  /** Payload bytes of a frame. */
  readonly payload: number;
  /** Frames (or segments) a second, over those of the base. */
  readonly ratio: Spread;
  readonly nsAFrame: number;
  readonly baseNsAFrame: number;
  readonly rounds: number;
  readonly undisturbed: number;
}

const CONSUMER_TEXT: Readonly<Record<Consumer, string>> = {
  drop: "the host's kernel, which drops each frame at its Ethernet header (the MAC is nobody's)",
  hold: "a UDP socket of the host's, whose buffer is full: the kernel drops each datagram there",
  read: "a UDP socket of the host's, which a C program reads as fast as it can",
};
const MEGABYTE = 1024 * 1024;

export class Report {
  readonly #json: boolean;
  readonly #svg: string | null;
  readonly #rows: DuelRow[] = [];

  /** @param svg a folder for charts, or null */
  constructor(json: boolean, svg: string | null) {
    this.#json = json;
    this.#svg = svg;
  }

  #print(line: string): void {
    if (!this.#json) process.stdout.write(`${line}\n`);
  }

  #emit(object: object): void {
    if (this.#json) process.stdout.write(`${JSON.stringify(object)}\n`);
  }

  #chart(name: string, svg: string): void {
    if (this.#svg !== null) writeFileSync(join(this.#svg, `${name}.svg`), svg);
  }

  /** @param compiler null where only our own cost is measured, and nothing against C */
  begin(compiler: string | null, consumer: Consumer): void {
    const machine = `${cpus()[0]?.model.trim() ?? 'an unknown processor'}, ${cpus().length} of them; Linux ${release()}, Node ${process.versions.node}`;
    this.#emit({ type: 'begin', machine, compiler, consumer });
    this.#print(machine);
    if (compiler === null) return;
    this.#print(
      'Frames (or segments) a second, as a ratio to the base: a C program without threads that write()s the same',
    );
    this.#print(
      'prebuilt frame to a TAP in a loop. Rounds of about a millisecond, base and contestant in turn; medians, and the',
    );
    this.#print(`middle half of the rounds. All on devices of a private network namespace. The frames go to`);
    this.#print(`${CONSUMER_TEXT[consumer]}.`);
    this.#print('');
    this.#print(`${'contestant'.padEnd(44)}payload   ratio  middle half    ns a frame   base   rounds`);
  }

  duel(row: DuelRow): void {
    this.#rows.push(row);
    this.#emit({ type: 'duel', ...row });
    const { ratio } = row;
    const digits = (value: number) => (value >= 10 ? value.toFixed(1) : value.toFixed(3));
    const half = `${digits(ratio.low)}-${digits(ratio.high)}`;
    const crowded = row.undisturbed < row.rounds ? ' (disturbed)' : '';
    this.#print(
      `${row.title.padEnd(44)}${String(row.payload).padStart(7)}${digits(ratio.median).padStart(8)}  ${half.padEnd(13)}` +
        `${row.nsAFrame.toFixed(0).padStart(12)}${row.baseNsAFrame.toFixed(0).padStart(7)}${String(row.rounds).padStart(9)}${crowded}`,
    );
  }

  absent(name: string, why: string): void {
    this.#emit({ type: 'absent', name, why });
    this.#print(`${name} ${why}`);
  }

  problem(name: string, why: string): void {
    this.#emit({ type: 'problem', name, why });
    process.stderr.write(`udptap: bench: ${name}: ${why}\n`);
  }

  growth(name: GrowthName, results: readonly GrowthResult[]): void {
    for (const [i, result] of results.entries()) {
      this.#emit({ type: 'growth', name, ...result });
      this.#print(`\n${result.title} (${result.yTitle})`);
      for (const { title, points } of result.series) {
        this.#print(
          `  ${title.padEnd(34)}${points.map(({ x, y }) => `${short(x)}: ${short(y)}`).join('   ')}`,
        );
      }
      const lines = result.series.map(({ title, points }) => ({ label: title, points }));
      this.#chart(
        `growth-${name}${i === 0 ? '' : `-${i + 1}`}`,
        lineChart(result.title, result.xTitle, result.yTitle, lines),
      );
    }
  }

  startUp(result: StartUpResult): void {
    const base = result.nodeMs + result.arpMs;
    const ratios = { existingTap: result.sendMs / base, newTap: result.sendNewTapMs / base };
    this.#emit({ type: 'start-up', ...result, ratios });
    this.#print('\nStart-up (ms, medians)');
    this.#print(`  node -e 0                          ${result.nodeMs.toFixed(1)}`);
    this.#print(`  an ARP round trip over a TAP       ${result.arpMs.toFixed(2)}`);
    this.#print(
      `  udptap send, its datagram received ${result.sendMs.toFixed(1)}   ${ratios.existingTap.toFixed(2)} times both`,
    );
    this.#print(
      `  the same, with a TAP of its own    ${result.sendNewTapMs.toFixed(1)}   ${ratios.newTap.toFixed(2)} times both`,
    );
  }

  memory(result: MemoryResult): void {
    const mb = (bytes: number) => (bytes / MEGABYTE).toFixed(1);
    const { samples, tapBytes, nodeBytes } = result;
    // The second half: by then everything that is built once has been built.
    const late = samples.slice(samples.length >> 1);
    const first = late[0]!;
    const last = late.at(-1)!;
    const growth = { rssBytes: last.rssBytes - first.rssBytes, frames: last.frames - first.frames };
    this.#emit({ type: 'memory', ...result, secondHalf: growth });
    this.#print('\nMemory (MB)');
    this.#print(`  a Node that does nothing           ${mb(nodeBytes)}`);
    this.#print(`  with one TAP, more than that       ${mb(tapBytes - nodeBytes)}`);
    this.#print(
      `  after ${last.second.toFixed(0)} s and ${short(last.frames)} frames       ${mb(last.rssBytes - nodeBytes)} more; ` +
        `in the second half ${mb(growth.rssBytes)} for ${short(growth.frames)} frames`,
    );
  }

  end(): void {
    if (this.#rows.length === 0) return;
    const payloads = [...new Set(this.#rows.map((row) => row.payload))];
    const titles = [...new Set(this.#rows.map((row) => row.title))];
    const bars = titles.map((title) => ({
      label: title,
      values: payloads.map(
        (p) => this.#rows.find((r) => r.title === title && r.payload === p)?.ratio.median ?? null,
      ),
    }));
    const names = payloads.map((payload) => `${payload} bytes of payload`);
    this.#chart(
      'ratios',
      barChart('Frames a second, as a ratio to write() of a prebuilt frame in C', names, bars),
    );
  }
}
