/** `npm run hostile -- [CALLS] [FRAMES] [SEED]`: a million calls and ten million frames, with rates and memory. */
import { hostileCalls } from './hostile_calls.js';
import { hostileFrames } from './hostile_frames.js';
import { Dice, hostileLab, settle } from './lab.js';

const [calls = 1_000_000, frames = 10_000_000, seed = Date.now() & 0xffffff] = process.argv
  .slice(2)
  .map(Number);
const ROUNDS = 10;

function measure(
  what: string,
  total: number,
  round: (lab: ReturnType<typeof hostileLab>, dice: Dice, count: number) => void,
): void {
  const lab = hostileLab(seed);
  const start = performance.now();
  for (let i = 0; i < ROUNDS; i++) {
    round(lab, new Dice(seed + i), Math.ceil(total / ROUNDS));
    const heapMb = (process.memoryUsage().heapUsed / 2 ** 20).toFixed(0);
    const rssMb = (process.memoryUsage().rss / 2 ** 20).toFixed(0);
    console.log(
      `${what}: ${Math.ceil((total * (i + 1)) / ROUNDS)}, heap ${heapMb} MB, rss ${rssMb} MB, packets held ${lab.net.skbs.inUse}`,
    );
  }
  const seconds = (performance.now() - start) / 1000;
  settle(lab);
  const left = lab.net.skbs.inUse;
  console.log(`${what}: ${Math.round(total / seconds)} a second, ${left} packets left behind`);
  if (left !== 0 || lab.arena.free !== lab.freeSlots) process.exitCode = 1;
  lab.net.close();
}

console.log(`seed ${seed}`);
measure('calls', calls, (lab, dice, count) => hostileCalls(lab, dice, count));
measure('frames', frames, (lab, dice, count) => hostileFrames(lab, dice, count));
