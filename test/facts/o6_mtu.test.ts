/** Facts about MTU, identification and fragments (catalogue O.6). */
import { expect } from 'vitest';
import type { CallResult, Scenario } from '../../src/scenario/types.js';
import {
  connect,
  D,
  type Expected,
  fact,
  fresh,
  ip,
  ipCommand,
  LAB_A,
  nothingQueued,
  pendingError,
  queued,
  type Step,
  send,
  sendBytes,
  socket,
} from './lab.js';
import { type Seen, seen } from './seen.js';

const EMSGSIZE = 90;
const mode = (value: number): Step => ip('IP_MTU_DISCOVER', value);
const bytes = (count: number, ...out: readonly Partial<Seen>[]): Step =>
  sendBytes(count, { ret: count, out });
const tooLong = (count: number): Step => sendBytes(count, 'EMSGSIZE');
const withIp = (...commands: readonly string[]): Omit<Scenario, 'calls'> => ({
  ...LAB_A,
  ip_extra: commands,
});

const whole = (df: boolean) => [bytes(1, { size: 29, df }), bytes(1472, { size: 1500, df })];
const inTwo = bytes(
  1473,
  { size: 1500, df: false, mf: true, offset: 0 },
  { size: 21, df: false, mf: false, offset: 1480 },
);
fact('F1: the modes of IP_MTU_DISCOVER', [
  ...fresh(mode(0), ...whole(false), inTwo),
  ...fresh(mode(1), ...whole(true), inTwo),
  ...fresh(mode(2), ...whole(true), tooLong(1473)),
  ...fresh(mode(3), ...whole(true), tooLong(1473)),
  ...fresh(mode(4), ...whole(false), tooLong(1473)),
  ...fresh(mode(5), ...whole(false), inTwo),
]);

const ids = (results: readonly CallResult[]): number[] =>
  results.flatMap(({ frames }) => frames.map((frame) => seen(frame).id!));
const steps = (all: readonly number[]): number[] => all.slice(1).map((id, i) => (id - all[i]!) & 0xffff);
const many = (count: number): Step[] => Array.from({ length: count }, () => send(D, { ret: 1, frames: 1 }));
fact(
  'F2: identification is 0 where nothing may fragment',
  [...fresh(mode(2), ...many(3)), ...fresh(mode(3), ...many(3))],
  LAB_A,
  {
    judge: (results) => expect(ids(results)).toEqual([0, 0, 0, 0, 0, 0]),
  },
);
fact(
  'F2: identification is counted for all sockets together',
  [0, 1, 4, 5].flatMap((value) => fresh(mode(value), ...many(3))),
  LAB_A,
  {
    judge: (results) => {
      expect(ids(results).length).toBe(12);
      for (const step of steps(ids(results))) {
        // One, and at most one more for each tick since the last.
        expect(step).toBeGreaterThan(0);
        expect(step).toBeLessThan(2000);
      }
    },
  },
);
for (const value of [0, 1, 2, 3, 4, 5]) {
  fact(
    `F2: identification of a connected socket, mode ${value}`,
    [socket(), mode(value), connect(), ...many(4)],
    LAB_A,
    {
      judge: (results) => expect(steps(ids(results))).toEqual([1, 1, 1]),
    },
  );
}

const FAR = '75.0.0.1:9';
const far = (count: number, want: Expected): Step => sendBytes(count, want, 0, FAR);
const fragments: Expected = { ret: 1200, out: [{ size: 996, df: false }, { size: 252 }] };
const oneFrame: Expected = { ret: 1200, sizes: [1228] };
fact(
  "F3: a route's MTU",
  [
    ...[0, 1].flatMap((value) => fresh(mode(value), far(1200, fragments))),
    ...fresh(mode(2), far(972, { ret: 972, sizes: [1000] }), far(973, 'EMSGSIZE')),
    ...[3, 4, 5].flatMap((value) => fresh(mode(value), far(1200, oneFrame))),
    ...fresh(sendBytes(100, { ret: 100, out: [{ df: true }] }, 0, FAR)),
    ...fresh(sendBytes(100, { ret: 100, out: [{ df: false }] }, 0, '76.0.0.1:9')),
  ],
  withIp('route add 75.0.0.0/8 via 10.0.0.2 mtu 1000', 'route add 76.0.0.0/8 via 10.0.0.2 mtu lock 1000'),
);
fact(
  'F4: sizes of fragments',
  [
    socket(),
    bytes(1480, { size: 1500 }, { size: 28 }),
    bytes(2952, { size: 1500 }, { size: 1500 }),
    bytes(2953, { size: 1500 }, { size: 1500 }, { size: 21 }),
    sendBytes(65507, {
      ret: 65507,
      frames: 45,
      check: ({ frames }) => expect(seen(frames[44]!)).toMatchObject({ size: 415, offset: 65120, mf: false }),
    }),
  ],
  LAB_A,
  { counters: { Ip: { FragOKs: 4, FragCreates: 2 + 2 + 3 + 45, FragFails: 0 } } },
);
const onMtu = (mtu: number): Omit<Scenario, 'calls'> => ({ ...LAB_A, taps: [{ ...LAB_A.taps![0]!, mtu }] });
fact(
  'F5: an MTU of 999',
  [socket(), sendBytes(3000, { ret: 3000, sizes: [996, 996, 996, 100] })],
  onMtu(999),
);
fact('F5: an MTU of 68', [socket(), sendBytes(100, { ret: 100, sizes: [68, 68, 32] })], onMtu(68));

const TO_D = '10.0.0.2:0';
fact('F6: 40 bytes of options', [
  socket(),
  ip('IP_OPTIONS', { hex: '01'.repeat(40) }),
  ip('IP_RECVERR', 1),
  sendBytes(65467, { ret: 65467, frames: 46 }),
  tooLong(65468),
  queued({ errno: EMSGSIZE, origin: 1, info: 1460 }, TO_D),
  mode(2),
  bytes(1432, { size: 1500, df: true }),
  tooLong(1433),
  queued({ errno: EMSGSIZE, origin: 1, info: 1460 }, TO_D),
]);

const GROUP = '239.1.1.1';
/** The frames of the datagram itself: reports of the group may come between. */
const wire = (want: readonly Partial<Seen>[]) => (result: CallResult) =>
  expect(result.frames.map(seen).filter(({ proto }) => proto === 17)).toMatchObject(want);
const multicast: Step = [
  { call: 'sendto', data: { seq: 3000 }, addr: `${GROUP}:9` },
  {
    ret: 3000,
    check: wire([
      { size: 1500, offset: 0 },
      { size: 1500, offset: 1480 },
      { size: 68, offset: 2960, mf: false },
    ]),
  },
];
fact('F7: a multicast that is looped back and one that is not', [
  socket(),
  ip('IP_ADD_MEMBERSHIP', { mreqn: { multiaddr: GROUP, ifindex: 'tap0' } }),
  multicast,
  ip('IP_MULTICAST_LOOP', 0),
  multicast,
]);
fact(
  'F8: EMSGSIZE with IP_RECVERR',
  [
    socket(),
    mode(2),
    ip('IP_RECVERR', 1),
    tooLong(1473),
    pendingError(0),
    queued({ errno: EMSGSIZE, origin: 1, type: 0, code: 0, info: 1500, offender: '0.0.0.0' }, TO_D, ''),
    nothingQueued,
  ],
  LAB_A,
  { counters: { Ip: { OutRequests: 0, OutDiscards: 0, FragFails: 0 }, Udp: { OutDatagrams: 0 } } },
);
fact(
  'F9: a route with a larger MTU than its device',
  [socket(), sendBytes(2500, { ret: 2500, sizes: [2528] }, 0, FAR)],
  { ...onMtu(1000), ip_extra: ['route add 75.0.0.0/8 via 10.0.0.2 mtu 3000'] },
);
fact(
  'F9: the MTU shrinks while data is corked',
  [
    socket(),
    mode(2),
    sendBytes(1400, { ret: 1400, frames: 0 }, 'MSG_MORE'),
    ipCommand('link set tap0 mtu 1000'),
    send(D, { ret: 'EMSGSIZE', frames: 0 }, { data: '' }),
  ],
  LAB_A,
  { counters: { Ip: { FragFails: 1, OutDiscards: 1 }, Udp: { OutDatagrams: 0 } } },
);
