/** The line that says how far a long send has come. */
import { Presets, SingleBar } from 'cli-progress';

export interface Progress {
  update(done: number): void;
  stop(): void;
}

/** @param total Infinity where there is no end */
export function openProgress(total: number): Progress {
  const endless = !Number.isFinite(total);
  const bar = new SingleBar(
    {
      format: endless
        ? '{value} datagrams  {rate}/s'
        : '{bar} {percentage}%  {value}/{total} datagrams  {rate}/s',
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      fps: 10,
    },
    Presets.shades_classic,
  );
  const startMs = performance.now();
  bar.start(endless ? 1 : total, 0, { rate: 0 });
  return {
    update: (done) => {
      const seconds = (performance.now() - startMs) / 1000;
      bar.update(done, { rate: Math.round(done / Math.max(seconds, 0.001)) });
    },
    stop: () => bar.stop(),
  };
}
