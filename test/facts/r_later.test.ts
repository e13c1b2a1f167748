/** Later measurements (catalogue section R). */
import { expect } from 'vitest';
import type { Cmsg } from '../../src/scenario/types.js';
import {
  bind,
  connect,
  D,
  type Expected,
  fact,
  factOf,
  fresh,
  inject,
  ip,
  ipCommand,
  LAB_A,
  leaves,
  message,
  nothingQueued,
  pendingError,
  pktinfo,
  reads,
  STAYS,
  type Step,
  send,
  sendBytes,
  sleep,
  so,
  socket,
  withCmsgs,
} from './lab.js';
import { arp, icmpError } from './packets.js';
import { seen } from './seen.js';

const segment = (size: number): Cmsg => ({ level: 'SOL_UDP', type: 'UDP_SEGMENT', data: { u16: size } });
const plain = send(null, leaves({ proto: 17 }));

fact(
  "R-1: what counts in a connected socket's identification",
  [
    socket(),
    connect(),
    plain,
    // These do: loopback, a packet that waits, a refusal by the checks of UDP_SEGMENT.
    send('127.0.0.1:9', STAYS),
    send('10.0.0.50:9', leaves({ arp: 'who-has 10.0.0.50 tell 10.0.0.1' })),
    message('EMSGSIZE', { iov: [{ seq: 3000 }], name: null, cmsgs: [segment(1473)] }),
    plain,
    // These do not: too long, unreadable, no route, a discarded cork.
    sendBytes(65508, 'EMSGSIZE', 0, null),
    send(null, 'EFAULT', { data: { bad: 10 } }),
    withCmsgs([pktinfo({ spec_dst: '8.8.8.8' })], 'ENETUNREACH', null),
    send(null, STAYS, { flags: 'MSG_MORE' }),
    sendBytes(65507, 'EMSGSIZE', 0, null),
    plain,
  ],
  LAB_A,
  {
    judge: (results) => {
      const ids = results
        .flatMap(({ frames }) => frames.map(seen))
        .flatMap(({ proto, id }) => (proto === 17 ? [id!] : []));
      expect(ids.map((id) => (id - ids[0]!) & 0xffff)).toEqual([0, 4, 5]);
    },
  },
);

const refused = inject(icmpError({ type: 3, code: 3 }));
fact('R-2: MSG_PEEK takes from the error queue; IP_RECVERR 0 empties it', [
  socket(),
  bind,
  ip('IP_RECVERR', 1),
  connect(),
  refused,
  [
    { call: 'recvmsg', flags: 'MSG_ERRQUEUE|MSG_PEEK' },
    { ret: 1, data: '78' },
  ],
  nothingQueued,
  pendingError(0),
  refused,
  ip('IP_RECVERR', 0),
  nothingQueued,
  pendingError(111),
]);
fact('R-2: IP_MTU stays as it was after the cache is flushed, until the next send', [
  socket(),
  bind,
  connect(),
  reads('SOL_IP', 'IP_MTU', 1500),
  inject(icmpError({ type: 3, code: 4, mtu: 1000 })),
  pendingError(90),
  plain,
  reads('SOL_IP', 'IP_MTU', 1000),
  ipCommand('route flush cache'),
  reads('SOL_IP', 'IP_MTU', 1000),
  plain,
  reads('SOL_IP', 'IP_MTU', 1500),
]);
const ipFails = (args: string): Step => [{ call: 'ip', args }, 2];
fact('R-3: addresses and gateways that are taken', [
  ...['0.0.0.0/32', '255.255.255.255/32', '224.1.1.1/32', '127.9.9.9/32'].map((address) =>
    ipCommand(`addr add ${address} dev tap0`),
  ),
  ipFails('route add 80.0.0.0/8 via 224.0.0.1 dev tap0 onlink'),
  ipCommand('route add 81.0.0.0/8 via 127.0.0.5'),
  ipFails('route add 82.0.0.0/8 via 127.0.0.5 dev tap0'),
  ipCommand('addr add 127.9.0.1/16 dev tap0'),
  ipCommand('route add 83.0.0.0/8 via 127.9.0.5'),
]);

const BROADCAST = so('SO_BROADCAST', 1);
const SUBNET = '10.0.0.255:9';
const mode = (value: number): Step => ip('IP_MTU_DISCOVER', value);
const whole: Expected = { ret: 1200, sizes: [1228] };
const cut: Expected = { ret: 1200, sizes: [996, 252] };
fact('R-4: the MTU of a broadcast route', [
  ipCommand(
    'route replace broadcast 10.0.0.255 dev tap0 table local proto kernel scope link src 10.0.0.1 mtu 1000',
  ),
  ...[0, 1].flatMap((value) => fresh(BROADCAST, mode(value), sendBytes(1200, cut, 0, SUBNET))),
  ...fresh(BROADCAST, mode(2), sendBytes(1200, 'EMSGSIZE', 0, SUBNET)),
  ...[3, 4, 5].flatMap((value) => fresh(BROADCAST, mode(value), sendBytes(1200, whole, 0, SUBNET))),
  ...[0, 1, 2].flatMap((value) =>
    fresh(BROADCAST, mode(value), sendBytes(1200, whole, 0, '255.255.255.255:9')),
  ),
]);
fact('R-4: a broadcast address of its own beside the computed one', [
  ipCommand('addr add 10.5.0.1/24 brd 10.5.0.77 dev tap0'),
  socket(),
  send('10.5.0.77:9', 'EACCES'),
  send('10.5.0.255:9', 'EACCES'),
  send('10.5.0.78:9', leaves({ arp: 'who-has 10.5.0.78 tell 10.5.0.1' })),
]);

const whoHasUs = (senderMac: string, sender: string, out: Expected): Step =>
  inject(arp({ op: 1, senderMac, sender, target: '10.0.0.1' }), out);
fact('R-5: ARP requests', [
  whoHasUs('020000000007', '10.0.0.1', { frames: 0 }),
  whoHasUs('020000000007', '10.0.0.7', {
    out: [{ arp: '10.0.0.1 is-at 02:00:00:00:00:01', toMac: '02:00:00:00:00:07' }],
  }),
  socket(),
  send('10.0.0.8:9', leaves({ arp: 'who-has 10.0.0.8 tell 10.0.0.1' })),
  whoHasUs('020000000008', '10.0.0.8', {
    out: [
      { dst: '10.0.0.8', toMac: '02:00:00:00:00:08', payload: '78' },
      { arp: '10.0.0.1 is-at 02:00:00:00:00:01', toMac: '02:00:00:00:00:08' },
    ],
  }),
  ipCommand('neigh replace 10.0.0.9 dev tap0 nud incomplete'),
  send('10.0.0.9:9', STAYS),
]);
fact('R-6: MSG_PROBE and lengths', [
  socket(),
  sendBytes(65508, { ret: 65508, frames: 0 }, 'MSG_PROBE'),
  sendBytes(65535, { ret: 65535, frames: 0 }, 'MSG_PROBE'),
  sendBytes(65536, 'EMSGSIZE', 'MSG_PROBE'),
]);
const DAY_MS = 86_400_000;
fact('R-7: a timestamp at an odd place', [
  socket(),
  ip('IP_OPTIONS', { hex: '014408050000000000' }),
  // Our virtual clock begins at midnight.
  sleep(10),
  send(D, {
    ret: 1,
    check: ({ frames: [frame] }) => {
      const options = Buffer.from(seen(frame!).options!, 'hex');
      expect(options.toString('hex', 0, 5)).toBe('0144080900');
      expect(options.length).toBe(12);
      expect(options.toString('hex', 9)).toBe('000000');
      expect(options.readUInt32BE(5)).toBeGreaterThan(0);
      expect(options.readUInt32BE(5)).toBeLessThan(DAY_MS);
    },
  }),
]);

const PRIORITY: Cmsg = { level: 'SOL_SOCKET', type: 'SO_PRIORITY', data: 5 };
const tosMidway = (tos: number): readonly Step[] => [
  socket(),
  send(D, STAYS, { flags: 'MSG_MORE' }),
  ip('IP_TOS', 0x10),
  send(D, leaves({ tos, payload: '7878' })),
];
fact('R-8: 6.18: SO_PRIORITY as a control message', [socket(), withCmsgs([PRIORITY], leaves())]);
factOf('6.1', 'R-8: 6.1: SO_PRIORITY as a control message is EINVAL', [
  socket(),
  withCmsgs([PRIORITY], 'EINVAL'),
]);
fact('R-8: 6.18: a cork takes the TOS at its start', tosMidway(0));
factOf('6.1', 'R-8: 6.1: a cork takes the TOS at its end', tosMidway(0x10));
fact('R-8: 6.18: UDP_SEGMENT on any TAP', [
  socket(),
  message({ ret: 1000, frames: 3 }, { iov: [{ seq: 1000 }], cmsgs: [segment(400)] }),
]);
factOf('6.1', 'R-8: 6.1: UDP_SEGMENT needs a TAP that takes checksums', [
  socket(),
  message('EIO', { iov: [{ seq: 1000 }], cmsgs: [segment(400)] }),
]);
factOf(
  '5.4',
  'R-8: 5.4: a segment that does not fit, 65 segments, and a source that is not ours are EINVAL',
  [
    socket(),
    message('EINVAL', { iov: [{ seq: 1474 }], cmsgs: [segment(1473)] }),
    message('EINVAL', { iov: [{ seq: 6401 }], cmsgs: [segment(100)] }),
    withCmsgs([pktinfo({ spec_dst: '8.8.8.8' })], 'EINVAL'),
  ],
);
