/** Facts about neighbours that do not answer, and the send buffer (catalogue O.10, J1 to J5, J14). */
import { expect } from 'vitest';
import type { Scenario } from '../../src/scenario/types.js';
import {
  connect,
  D,
  fact,
  fresh,
  inject,
  ip,
  LAB_A,
  nothingQueued,
  on,
  pendingError,
  pktinfo,
  queued,
  reads,
  type Step,
  send,
  sendBytes,
  sleep,
  so,
  socket,
  withCmsgs,
} from './lab.js';
import { arp } from './packets.js';

const EHOSTUNREACH = 113;
const WHO_HAS = { arp: 'who-has 10.0.0.2 tell 10.0.0.1' };
/** Lab A, where nobody is known. */
const UNRESOLVED: Omit<Scenario, 'calls'> = {
  ...LAB_A,
  ip: LAB_A.ip!.filter((line) => !line.startsWith('neigh')),
};

fact(
  'J1: nobody answers',
  [
    ...on('plain', socket(), connect(), send(null, { ret: 1, out: [WHO_HAS] })),
    ...on('tells', socket(), ip('IP_RECVERR', 1), send(D, { ret: 3, frames: 0 }, { data: { ascii: 'abc' } })),
    sleep(500, { frames: 0 }),
    sleep(1000, { out: [WHO_HAS] }),
    sleep(1000, { out: [WHO_HAS] }),
    ...on('tells', pendingError(0)),
    sleep(1000, { frames: 0 }),
    ...on('plain', pendingError(0)),
    ...on(
      'tells',
      pendingError(EHOSTUNREACH),
      queued({ errno: EHOSTUNREACH, origin: 2, type: 3, code: 1, offender: '10.0.0.1' }, D, '616263'),
      nothingQueued,
    ),
  ],
  UNRESOLVED,
  { counters: { Udp: { OutDatagrams: 2 } } },
);

const BURST = 1000;
const numbered = (first: number): Step => [
  {
    call: 'sendmmsg',
    msgs: Array.from({ length: BURST }, (_, i) => ({
      iov: [(first + i).toString(16).padStart(8, '0'), { fill: 0, len: 1000 }],
      name: D,
    })),
  },
  BURST,
];
fact(
  'J2: the queue of an unresolved neighbour keeps the last',
  [
    socket(),
    numbered(0),
    numbered(BURST),
    inject(arp({ op: 2, senderMac: '020000000002', sender: '10.0.0.2', target: '10.0.0.1' }), {
      frames: 92,
      check: ({ frames }) => {
        const numbers = frames.map(({ hex }) => Number.parseInt(hex.slice(84, 92), 16));
        expect(numbers).toEqual(Array.from({ length: 92 }, (_, i) => 2 * BURST - 92 + i));
      },
    }),
  ],
  UNRESOLVED,
);

const now = { flags: 'MSG_DONTWAIT', data: { seq: 100 } } as const;
const timeout = (seconds: number, microseconds: number): Step =>
  so('SO_SNDTIMEO', [{ u64: seconds }, { u64: microseconds }]);
fact(
  'J3, J4: a full send buffer',
  [
    socket(),
    so('SO_SNDBUF', 0),
    send(D, { ret: 100, out: [WHO_HAS] }, now),
    ...Array.from({ length: 5 }, () => send(D, { ret: 100, frames: 0 }, now)),
    send(D, { ret: 'EAGAIN', frames: 0 }, now),
    // Another error counts as one of the buffer, too.
    withCmsgs([pktinfo({ spec_dst: '8.8.8.8' })], 'ENETUNREACH'),
    // It waits for as long as that: past the second request, not to the third.
    timeout(1, 500_000),
    send(D, { ret: 'EAGAIN', out: [WHO_HAS] }),
    // It waits until the neighbour has failed, and starts anew.
    timeout(0, 0),
    send(D, { ret: 1, out: [WHO_HAS, WHO_HAS] }),
  ],
  UNRESOLVED,
  { counters: { Udp: { SndbufErrors: 3 }, Ip: { OutDiscards: 2 } } },
);

const small = so('SO_SNDBUF', 0);
fact('J5: datagrams of many fragments and a small buffer', [
  ...fresh(
    small,
    sendBytes(60000, { ret: 'ENOBUFS', frames: 0 }),
    sendBytes(9000, { ret: 'ENOBUFS', frames: 0 }),
    sendBytes(5000, { ret: 5000, frames: 4 }),
  ),
  ...fresh(
    so('SO_SNDBUF', 24500),
    // Fragments may charge twice the buffer of 49000, at 2304 each.
    sendBytes(65507, { ret: 'ENOBUFS', frames: 0 }),
    sendBytes(60000, { ret: 60000, frames: 41 }),
  ),
]);

const sndbuf = (name: string, value: number, read: number): Step[] => [
  so(name, value),
  reads('SOL_SOCKET', 'SO_SNDBUF', read),
];
fact('J14: SO_SNDBUF as it reads back', [
  socket(),
  ...[0, 1, 2304].flatMap((value) => sndbuf('SO_SNDBUF', value, 4608)),
  ...sndbuf('SO_SNDBUF', 2305, 4610),
  ...sndbuf('SO_SNDBUF', 100000, 200000),
  ...sndbuf('SO_SNDBUF', 10 ** 9, 8388608),
  ...sndbuf('SO_SNDBUF', -1, 8388608),
  ...sndbuf('SO_SNDBUFFORCE', -1, 4608),
  ...sndbuf('SO_SNDBUFFORCE', 0, 4608),
  ...sndbuf('SO_SNDBUFFORCE', 10 ** 9, 2 * 10 ** 9),
]);
