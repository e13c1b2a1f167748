/** The kernel's own self-test of UDP_SEGMENT (`tools/testing/selftests/net/udpgso.c`), at MTU 1500, in four ways of asking. */
import { fact, LAB_A, option, type Step, socket } from './lab.js';

/** Payload, segment size (0: none), and the frames that leave, or the errno. */
const CASES: readonly (readonly [length: number, gsoSize: number, frames: number | string])[] = [
  [1, 0, 1],
  [1472, 0, 1],
  [1473, 0, 'EMSGSIZE'],
  [1472, 1472, 1],
  [1472, 1473, 1],
  [1473, 1474, 'EMSGSIZE'],
  [1473, 1472, 2],
  [2944, 1472, 2],
  [2945, 1472, 3],
  [64768, 1472, 44],
  [65507, 1472, 45],
  [65508, 1472, 'EMSGSIZE'],
  [1, 1, 1],
  [2, 1, 2],
  [5, 2, 3],
  [128, 1, 128],
  [129, 1, 'EINVAL'],
];
const TO = '10.0.0.2:9';
// The self-test forbids fragmentation, so that a datagram over the MTU is an error.
const start: readonly Step[] = [socket(), [option('SOL_IP', 'IP_MTU_DISCOVER', 2), 0]];
const cmsgs = (gsoSize: number) =>
  gsoSize === 0 ? [] : [{ level: 'SOL_UDP', type: 'UDP_SEGMENT', data: { u16: gsoSize } }];

for (const [length, gsoSize, frames] of CASES) {
  const expected = typeof frames === 'number' ? { ret: length, frames } : { ret: frames, frames: 0 };
  const data = { seq: length };
  const byOption: Step = [option('SOL_UDP', 'UDP_SEGMENT', gsoSize), 0];
  fact(`${length}/${gsoSize} by control message`, [
    ...start,
    [{ call: 'sendmsg', iov: [data], name: TO, cmsgs: cmsgs(gsoSize) }, expected],
  ]);
  fact(`${length}/${gsoSize} by option`, [
    ...start,
    byOption,
    [{ call: 'sendto', data, addr: TO }, expected],
  ]);
  fact(`${length}/${gsoSize} connected`, [
    ...start,
    [{ call: 'connect', addr: TO }, 0],
    [{ call: 'sendmsg', iov: [data], cmsgs: cmsgs(gsoSize) }, expected],
  ]);
  const half = length >> 1;
  // A first piece that is too long by itself fails by itself.
  const alone = half + 28 > 65535;
  fact(
    `${length}/${gsoSize} corked`,
    [
      ...start,
      byOption,
      [
        { call: 'sendto', data: { seq: half }, addr: TO, flags: 'MSG_MORE' },
        { ret: alone ? 'EMSGSIZE' : half, frames: 0 },
      ],
      [
        { call: 'sendto', data: { seq: length - half }, addr: TO },
        typeof frames === 'number' ? { ret: length - half, frames } : { ret: frames, frames: 0 },
      ],
    ],
    LAB_A,
  );
}
