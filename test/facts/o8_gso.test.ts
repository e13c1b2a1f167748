/** Facts about UDP_SEGMENT (catalogue O.8). */
import { expect } from 'vitest';
import type { CallResult, Cmsg, Scenario } from '../../src/scenario/types.js';
import {
  bindTo,
  connect,
  D,
  type Expected,
  fact,
  fresh,
  ip,
  LAB_A,
  message,
  on,
  type Step,
  send,
  sendBytes,
  so,
  socket,
  udp,
} from './lab.js';
import { seen } from './seen.js';

const segment = (size: number): Step => udp('UDP_SEGMENT', size);
const mode = (value: number): Step => ip('IP_MTU_DISCOVER', value);
/** A payload with a segment size for this call: the number of frames, or the errno. */
function pair(bytes: number, size: number, want: number | string, addr = D): Step {
  const cmsgs: Cmsg[] = [{ level: 'SOL_UDP', type: 'UDP_SEGMENT', data: { u16: size } }];
  const expected: Expected =
    typeof want === 'number' ? { ret: bytes, frames: want } : { ret: want, frames: 0 };
  return message(expected, { iov: [{ seq: bytes }], cmsgs, name: addr });
}
const ids = ({ frames }: CallResult): number[] => frames.map((frame) => seen(frame).id!);
const from = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (first + i) & 0xffff);

fact('H1: segments of 400', [
  socket(),
  segment(400),
  sendBytes(1000, {
    ret: 1000,
    sizes: [428, 428, 228],
    out: [
      { df: true, udpLength: 408 },
      { df: true, udpLength: 408 },
      { df: true, udpLength: 208 },
    ],
    check: (result) => expect(ids(result)).toEqual(from(ids(result)[0]!, 3)),
  }),
  sendBytes(400, { ret: 400, sizes: [428] }),
  sendBytes(399, { ret: 399, sizes: [427] }),
  sendBytes(0, { ret: 0, sizes: [28] }),
  sendBytes(1200, { ret: 1200, sizes: [428, 428, 428] }),
]);
fact('H2: how many segments', [
  socket(),
  pair(6500, 100, 65),
  pair(12800, 100, 128),
  pair(12801, 100, 'EINVAL'),
  pair(128, 1, 128),
  pair(129, 1, 'EINVAL'),
]);
fact('H3: sizes against the MTU', [
  socket(),
  message(
    {
      ret: 1473,
      out: [
        { size: 1500, df: false },
        { size: 29, df: false },
      ],
    },
    { iov: [{ seq: 1473 }], cmsgs: [{ level: 'SOL_UDP', type: 'UDP_SEGMENT', data: { u16: 1472 } }] },
  ),
  pair(1474, 1473, 'EMSGSIZE'),
  pair(100, 1473, 1),
  pair(1472, 1473, 1),
  pair(1473, 1473, 'EMSGSIZE'),
  pair(3000, 65535, 'EMSGSIZE'),
  pair(65507, 1472, 45),
  pair(65508, 1472, 'EMSGSIZE'),
]);
fact('H4: SO_NO_CHECK', [
  socket(),
  so('SO_NO_CHECK', 1),
  pair(1000, 400, 'EINVAL'),
  pair(100, 400, 'EINVAL'),
  pair(3000, 1473, 'EMSGSIZE'),
]);
fact('H5: identification and DF', [
  ...fresh(
    mode(2),
    segment(300),
    sendBytes(1000, {
      ret: 1000,
      out: [0, 1, 2, 3].map((id) => ({ id, df: true })),
    }),
  ),
  ...fresh(mode(0), segment(300), sendBytes(1000, { ret: 1000, out: Array(4).fill({ df: false }) })),
]);
fact(
  'H5: identification of a connected socket',
  [
    socket(),
    connect(),
    segment(300),
    sendBytes(1000, { frames: 4 }),
    sendBytes(1000, { frames: 4 }),
    segment(0),
    send(D, { frames: 1 }),
  ],
  LAB_A,
  {
    judge: (results) => {
      const [first, second, plain] = results.filter(({ frames }) => frames.length > 0).map(ids);
      const n = first![0]!;
      expect(first).toEqual(from(n, 4));
      expect(second).toEqual(from(n + 1, 4));
      expect(plain).toEqual(from(n + 2, 1));
    },
  },
);
fact('H6: values of the option; 0 for one call', [
  socket(),
  udp('UDP_SEGMENT', -1, 'EINVAL'),
  udp('UDP_SEGMENT', 65536, 'EINVAL'),
  segment(65535),
  segment(300),
  pair(1000, 0, 1),
  sendBytes(1000, { ret: 1000, frames: 4 }),
]);
const corkedHalf: Expected = { ret: 500, frames: 0 };
const fourSegments: Expected = { ret: 500, sizes: [328, 328, 328, 128] };
const half = (size: number) => ({
  iov: [{ seq: 500 }],
  cmsgs: [{ level: 'SOL_UDP', type: 'UDP_SEGMENT', data: { u16: size } }],
});
fact('H7: corked pieces are cut together', [
  ...fresh(segment(300), sendBytes(500, corkedHalf, 'MSG_MORE'), sendBytes(500, fourSegments)),
  ...fresh(message(corkedHalf, { ...half(300), flags: 'MSG_MORE' }), message(fourSegments, half(100))),
]);
fact('H8: options of IP', [
  socket(),
  ip('IP_OPTIONS', { hex: '94040000' }),
  message(
    {
      ret: 3000,
      out: [
        { size: 1500, options: '94040000' },
        { size: 1500, options: '94040000' },
        { size: 32 + 64, options: '94040000' },
      ],
    },
    { iov: [{ seq: 3000 }], cmsgs: [{ level: 'SOL_UDP', type: 'UDP_SEGMENT', data: { u16: 1468 } }] },
  ),
  pair(3000, 1469, 'EMSGSIZE'),
]);
fact(
  "H9: UDP-Lite, and a route's MTU",
  [
    ...on('lite', socket(136), pair(3000, 1000, 'EIO'), pair(300, 1000, 'EIO')),
    ...fresh(
      pair(3000, 973, 'EMSGSIZE', '75.0.0.1:9'),
      pair(3000, 972, 4, '75.0.0.1:9'),
      mode(3),
      pair(3000, 1472, 3, '75.0.0.1:9'),
      mode(5),
      pair(3000, 1472, 3, '75.0.0.1:9'),
    ),
  ],
  { ...LAB_A, ip_extra: ['route add 75.0.0.0/8 via 10.0.0.2 mtu 1000'] } satisfies Omit<Scenario, 'calls'>,
);
const received: Step = [{ call: 'recvmsg' }, 1000];
fact(
  'H10: loopback and multicast',
  [
    ...on('receiver', socket(), bindTo('127.0.0.1:9')),
    socket(),
    pair(3000, 1000, 0, '127.0.0.1:9'),
    ...on('receiver', received, received, received, [{ call: 'recvmsg' }, 'EAGAIN']),
    pair(3000, 1000, 3, '239.1.1.1:9'),
  ],
  LAB_A,
  { counters: { Udp: { OutDatagrams: 2, InDatagrams: 3 } } },
);
