/**
 * Where the time of a million datagrams goes, and what they allocate: sends over a TAP in a namespace of its own under the CPU
 * profiler, then as many again under the heap profiler. Needs root.
 *
 * Usage: npm run build && node --import tsx bench/profile.ts [send|sendto|sendmmsg] [payload bytes] [datagrams]
 */
import { writeFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector/promises';
import { enterNamespace } from '../src/cli/bench/lab.js';
import { openSender, openStack, type SideOptions } from '../src/cli/bench/stack_side.js';

const [call = 'sendmmsg', payload = '64', datagrams = '1000000'] = process.argv.slice(2);
if (call !== 'send' && call !== 'sendto' && call !== 'sendmmsg') throw new Error('send, sendto or sendmmsg');
const count = Number(datagrams);
const side: SideOptions = {
  use: { call, batch: 64 },
  tap: 'tap0',
  subnet: '10.9.0',
  payload: Number(payload),
  toHost: false,
};

/** Microseconds by function, most first. */
function selfTimes({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): [string, number][] {
  const names = new Map(
    nodes.map(({ id, callFrame }) => {
      const place = callFrame.url.replace(/^.*\/(src|dist)\//, '');
      return [id, `${callFrame.functionName || '(anonymous)'} ${place}:${callFrame.lineNumber + 1}`];
    }),
  );
  const times = new Map<string, number>();
  samples.forEach((id, i) => {
    const name = names.get(id) ?? '?';
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[i] ?? 0));
  });
  return [...times].sort((a, b) => b[1] - a[1]);
}

enterNamespace();
const { net, tap } = await openStack(side);
const sender = openSender(net, tap, side, '');
const calls = Math.ceil(count / sender.framesPerCall);
sender.run(Math.ceil(300_000 / sender.framesPerCall));

const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.setSamplingInterval', { interval: 200 });
await session.post('Profiler.start');
sender.run(calls);
const { profile } = await session.post('Profiler.stop');
// The profiler's own start and stop.
const times = selfTimes(profile).filter(([name]) => !name.startsWith('dispatch :'));
const total = times.reduce((sum, [, us]) => sum + us, 0);
console.log(
  `${call} of ${payload} bytes, ${count} datagrams: ${((total * 1000) / count).toFixed(0)} ns each`,
);
for (const [name, us] of times.slice(0, 30))
  console.log(`${((100 * us) / total).toFixed(1).padStart(6)} %  ${name}`);
writeFileSync('send.cpuprofile', JSON.stringify(profile));

const before = process.memoryUsage();
await session.post('HeapProfiler.startSampling', { samplingInterval: 4096 });
sender.run(calls);
const { profile: heap } = await session.post('HeapProfiler.stopSampling');
const after = process.memoryUsage();
console.log(
  `\nheap: ${((after.heapUsed - before.heapUsed) / count).toFixed(3)} bytes a datagram more than before`,
);
const allocations: [string, number][] = [];
(function walk(node: typeof heap.head): void {
  if (node.selfSize > 0)
    allocations.push([
      `${node.callFrame.functionName} ${node.callFrame.url.replace(/^.*\/src\//, '')}:${node.callFrame.lineNumber + 1}`,
      node.selfSize,
    ]);
  node.children.forEach(walk);
})(heap.head);
for (const [name, bytes] of allocations.sort((a, b) => b[1] - a[1]).slice(0, 10))
  console.log(`${String(bytes).padStart(10)} bytes  ${name}`);
writeFileSync('send.heapprofile', JSON.stringify(heap));
process.exit();
