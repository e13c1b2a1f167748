/** Facts about ports and binding (catalogue O.10, J10, J11, J13). */
import { expect } from 'vitest';
import type { CallResult, Scenario } from '../../src/scenario/types.js';
import {
  bindTo,
  connect,
  D,
  device,
  type Expected,
  fact,
  fresh,
  ip,
  LAB_A,
  on,
  type Step,
  send,
  so,
  socket,
} from './lab.js';
import { LAB_B } from './lab_b.js';
import { seen } from './seen.js';

const ranged = (range: string): Omit<Scenario, 'calls'> => ({
  ...LAB_A,
  sysctl: { 'net.ipv4.ip_local_port_range': range },
});
const sourcePorts = (results: readonly CallResult[]): number[] =>
  results.flatMap(({ frames }) => frames.map((frame) => seen(frame).sport!));
/** A socket that is bound by sending, and closed again. */
const once = (label: string, ...options: readonly Step[]): Step[] =>
  on(label, socket(), ...options, send(D, { ret: 1, frames: 1 }), [{ call: 'close' }, 0]);
const times = (count: number, ...options: readonly Step[]): Step[] =>
  Array.from({ length: count }, (_, i) => once(`once${i}`, ...options)).flat();
const FOUR = '40000 40003';

fact(
  'J10: a range that is used up',
  [
    ...Array.from({ length: 4 }, () => fresh(send(D, { ret: 1, frames: 1 }))).flat(),
    ...fresh(send(D, { ret: 'EAGAIN', frames: 0 })),
    ...fresh(connect(D, 'EAGAIN')),
    ...fresh(bindTo('0.0.0.0:0', 'EADDRINUSE')),
    ...fresh(bindTo('127.0.0.1:0', 'EADDRINUSE')),
  ],
  ranged(FOUR),
  {
    judge: (results) => expect(sourcePorts(results).sort()).toEqual([40000, 40001, 40002, 40003]),
  },
);
fact('J10: any port of the range may be the first', times(60), ranged(FOUR), {
  judge: (results) => {
    const counts = new Map<number, number>();
    for (const port of sourcePorts(results)) counts.set(port, (counts.get(port) ?? 0) + 1);
    // Each has 15 of 60 on average; missing one has a chance of 1 in 8 million.
    expect([...counts.keys()].sort()).toEqual([40000, 40001, 40002, 40003]);
    expect(Math.max(...counts.values())).toBeLessThan(40);
  },
});
fact('J10: the whole range, at random', times(50), LAB_A, {
  judge: (results) => {
    const ports = sourcePorts(results);
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(32768);
    expect(Math.max(...ports)).toBeLessThanOrEqual(60999);
    // Half of the range stays empty with a chance of 2^-49; no order, no preference for even or odd.
    const middle = (32768 + 60999) / 2;
    expect(ports.filter((port) => port < middle).length).toBeGreaterThan(5);
    expect(ports.filter((port) => port > middle).length).toBeGreaterThan(5);
    expect(ports.filter((port) => port % 2 === 0).length).toBeGreaterThan(5);
    expect(ports.filter((port) => port % 2 === 1).length).toBeGreaterThan(5);
    expect([...ports].sort((a, b) => a - b)).not.toEqual(ports);
  },
});

const range = (low: number, high: number, want: Expected = 0): Step =>
  ip('IP_LOCAL_PORT_RANGE', { u32: low + high * 65536 }, want);
const uses = (allowed: (port: number) => boolean) => ({
  judge: (results: readonly CallResult[]) => {
    const ports = sourcePorts(results);
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.filter((port) => !allowed(port))).toEqual([]);
  },
});
fact(
  "J11: a socket's own range",
  times(8, range(35001, 35002)),
  LAB_A,
  uses((port) => port === 35001 || port === 35002),
);
fact(
  "J11: a range outside of the sysctl's is ignored",
  times(8, range(2000, 2001)),
  LAB_A,
  uses((port) => port >= 32768 && port <= 60999),
);
fact('J11: an inverted range is refused', fresh(range(35002, 35001, 'EINVAL')));
fact(
  'J11: reserved ports are for those who name them',
  [...times(8), ...fresh(bindTo('0.0.0.0:40001'))],
  {
    ...LAB_A,
    sysctl: { 'net.ipv4.ip_local_port_range': FOUR, 'net.ipv4.ip_local_reserved_ports': '40000-40002' },
  },
  uses((port) => port === 40003),
);

const REUSEADDR = so('SO_REUSEADDR', 1);
const REUSEPORT = so('SO_REUSEPORT', 1);
const IN_USE = 'EADDRINUSE';
fact('J13: conflicts of binding', [
  ...fresh(bindTo('0.0.0.0:5001')),
  ...fresh(bindTo('0.0.0.0:5001', IN_USE)),
  ...fresh(bindTo('10.0.0.1:5002')),
  ...fresh(bindTo('0.0.0.0:5002', IN_USE)),
  ...fresh(bindTo('127.0.0.1:5002')),
  ...fresh(REUSEADDR, bindTo('0.0.0.0:5003')),
  ...fresh(REUSEADDR, bindTo('0.0.0.0:5003')),
  ...fresh(bindTo('0.0.0.0:5003', IN_USE)),
  ...fresh(REUSEPORT, bindTo('0.0.0.0:5004')),
  ...fresh(REUSEPORT, bindTo('0.0.0.0:5004')),
  ...fresh(REUSEADDR, bindTo('0.0.0.0:5004', IN_USE)),
]);
fact(
  'J13: bound devices',
  [
    ...fresh(device('tap0'), bindTo('0.0.0.0:5001')),
    ...fresh(device('tap1'), bindTo('0.0.0.0:5001')),
    ...fresh(bindTo('0.0.0.0:5001', IN_USE)),
  ],
  LAB_B,
);
