/** Facts about pending errors, ICMP and shutdown (catalogue O.10, J7 to J9, J12). */
import {
  bind,
  connect,
  D,
  fact,
  fresh,
  inject,
  ip,
  LAB_A,
  pendingError,
  type Step,
  send,
  sendBytes,
  socket,
  udp,
} from './lab.js';
import { type IcmpError, icmpError } from './packets.js';

const ECONNREFUSED = 111;
const unreachable = (more: Partial<IcmpError> = {}): Step => inject(icmpError({ type: 3, code: 3, ...more }));
const one = { ret: 1, frames: 1 };
const connected: readonly Step[] = [socket(), bind, connect()];

fact('J7: a pending error is reported once', [
  ...connected,
  unreachable(),
  send(null, { ret: 'ECONNREFUSED', frames: 0 }),
  send(null, one),
  unreachable(),
  [{ call: 'recvmsg' }, 'ECONNREFUSED'],
  [{ call: 'recvmsg' }, 'EAGAIN'],
  send(null, one),
]);
fact('J7: which error wins over a pending one', [
  ...connected,
  unreachable(),
  sendBytes(65536, 'EMSGSIZE', 0, null),
  ip('IP_MTU_DISCOVER', 2),
  sendBytes(1473, 'EMSGSIZE', 0, null),
  pendingError(ECONNREFUSED),
  unreachable(),
  udp('UDP_SEGMENT', 1473),
  sendBytes(3000, 'ECONNREFUSED', 0, null),
  sendBytes(3000, 'EMSGSIZE', 0, null),
  unreachable(),
  [{ call: 'shutdown', how: 'SHUT_WR' }, 0],
  send(null, 'ECONNREFUSED'),
  send(null, 'EPIPE'),
]);
fact(
  'J8: ICMP about something else is ignored, from anybody else is not',
  [
    ...connected,
    ...([{ dport: 10 }, { dst: '10.0.0.3' }, { sport: 5001 }, { quotedBytes: 7 }] as const).flatMap(
      (about) => [unreachable(about), pendingError(0)],
    ),
    // The datagram was from another address of ours.
    unreachable({ src: '10.0.0.77' }),
    pendingError(0),
    unreachable({ from: '172.16.5.5' }),
    pendingError(ECONNREFUSED),
  ],
  { ...LAB_A, ip_extra: ['addr add 10.0.0.77/24 dev tap0'] },
);
fact('J9: shutdown', [
  socket(),
  [{ call: 'shutdown', how: 'SHUT_WR' }, 'ENOTCONN'],
  send(D, 'EPIPE'),
  sendBytes(65536, 'EMSGSIZE'),
  connect(),
  send(null, 'EPIPE'),
  ...fresh([{ call: 'shutdown', how: 3 }, 'EINVAL']),
]);
const to = (port: number) => ({ iov: ['61'], name: `10.0.0.2:${port}` });
fact('J12: sendmmsg', [
  socket(),
  [
    { call: 'sendmmsg', msgs: [to(9), to(0), to(9)] },
    { ret: 1, lens: [1], frames: 1 },
  ],
  [
    { call: 'sendmmsg', msgs: [to(0), to(9)] },
    { ret: 'EINVAL', frames: 0 },
  ],
  [
    { call: 'sendmmsg', msgs: [] },
    { ret: 0, frames: 0 },
  ],
  [{ call: 'sendmmsg', msgs: [], fd: 999 }, 'EBADF'],
]);
