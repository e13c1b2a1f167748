/** Facts about corked datagrams (catalogue O.7). */
import {
  bind,
  bindTo,
  connect,
  D,
  type Expected,
  fact,
  inject,
  ip,
  ipCmsg,
  message,
  pendingError,
  queued,
  type Step,
  send,
  sendBytes,
  so,
  socket,
  udp,
} from './lab.js';
import { icmpError } from './packets.js';
import type { Seen } from './seen.js';

const OTHER = '10.0.0.3:33';
const ECONNREFUSED = 111;
/** One letter that stays, and one that pushes what there is. */
const held: Expected = { ret: 1, frames: 0 };
const more = (letter: string, addr: string | null = D, want: Expected = held): Step =>
  send(addr, want, { data: { ascii: letter }, flags: 'MSG_MORE' });
const push = (letter: string, out: Partial<Seen>, addr: string | null = D): Step =>
  send(addr, { ret: 1, out: [out] }, { data: { ascii: letter } });
const hex = (text: string): string => Buffer.from(text).toString('hex');
const uncork = (...out: readonly Partial<Seen>[]): Step => udp('UDP_CORK', 0, { ret: 0, out });

fact('G1: later addresses do not count', [
  socket(),
  more('a'),
  more('b', OTHER),
  push('c', { dst: '10.0.0.2', dport: 9, payload: hex('abc') }, '10.0.0.2:0'),
]);
fact('G2: what is looked at while data is pending', [
  socket(),
  more('a'),
  more('b', null),
  message(held, { flags: 'MSG_MORE', cmsgs: [ipCmsg('IP_TTL', 0)] }),
  send(D, 'EOPNOTSUPP', { flags: 'MSG_MORE|MSG_OOB' }),
  sendBytes(65536, 'EMSGSIZE', 'MSG_MORE'),
  sendBytes(65000, { ret: 65000, frames: 0 }, 'MSG_MORE'),
  sendBytes(600, { ret: 'EMSGSIZE', frames: 0 }, 'MSG_MORE'),
  more('d', null, 'EDESTADDRREQ'),
]);
fact('G2: what was refused has left the rest as it was', [
  socket(),
  more('a'),
  send(D, 'EOPNOTSUPP', { flags: 'MSG_OOB' }),
  sendBytes(65536, 'EMSGSIZE'),
  push('b', { payload: hex('ab') }, null),
]);
fact('G3: control messages of the first piece', [
  socket(),
  message(held, { flags: 'MSG_MORE', cmsgs: [ipCmsg('IP_TTL', 5), ipCmsg('IP_TOS', 0x28)] }),
  ip('IP_TTL', 77),
  ip('IP_TOS', 0x10),
  push('b', { ttl: 5, tos: 0x28, payload: hex('xb') }),
]);
fact('G3: options set midway', [
  socket(),
  more('a'),
  ip('IP_TTL', 77),
  ip('IP_MTU_DISCOVER', 0),
  ip('IP_TOS', 0x10),
  ip('IP_OPTIONS', { hex: '01' }),
  udp('UDP_SEGMENT', 1),
  so('SO_NO_CHECK', 1),
  push('b', { ttl: 77, df: false, tos: 0, options: '', udpSum: 0, payload: hex('ab') }),
]);
fact('G3: IP_MULTICAST_TTL set midway', [
  socket(),
  more('a', '239.1.1.1:9'),
  ip('IP_MULTICAST_TTL', 9),
  push('b', { ttl: 9, payload: hex('ab') }),
]);
fact('G4: UDP_CORK, empty pieces and close', [
  socket(),
  udp('UDP_CORK', 1),
  send(D, { ret: 0, frames: 0 }, { data: '' }),
  send(D, { ret: 2, frames: 0 }, { data: { ascii: 'ab' } }),
  send(D, { ret: 0, frames: 0 }, { data: '' }),
  uncork({ payload: hex('ab') }),
  more('c'),
  [{ call: 'close' }, { ret: 0, frames: 0 }],
  [{ call: 'sleep', ms: 10 }, { frames: 0 }],
]);
fact('G5: connect while data is corked', [
  socket(),
  udp('UDP_CORK', 1),
  more('a'),
  connect(OTHER),
  uncork({ dst: '10.0.0.3', dport: 33, payload: hex('a') }),
]);
fact('G6: SHUT_WR while data is corked', [
  socket(),
  connect(),
  more('a', null),
  [{ call: 'shutdown', how: 'SHUT_WR' }, 0],
  push('b', { payload: hex('ab') }, null),
  send(null, 'EPIPE'),
]);
fact('G7: the geometry of fragments does not show the pieces', [
  socket(),
  sendBytes(1000, { ret: 1000, frames: 0 }, 'MSG_MORE'),
  sendBytes(1000, { ret: 1000, frames: 0 }, 'MSG_MORE'),
  sendBytes(7, { ret: 7, sizes: [1500, 555] }),
]);
fact('G8: pieces that are too long together', [
  socket(),
  ip('IP_MTU_DISCOVER', 2),
  ip('IP_RECVERR', 1),
  sendBytes(1000, { ret: 1000, frames: 0 }, 'MSG_MORE'),
  sendBytes(1000, { ret: 'EMSGSIZE', frames: 0 }),
  queued({ errno: 90, origin: 1, info: 1500 }, '10.0.0.2:0'),
]);
fact('G9: MSG_PROBE', [
  socket(),
  more('1'),
  send(D, { ret: 1, out: [{ payload: hex('1') }] }, { data: { ascii: '2' }, flags: 'MSG_PROBE' }),
  send(D, held, { flags: 'MSG_MORE|MSG_PROBE' }),
  send(null, 'EDESTADDRREQ'),
]);
fact('G10: a pending error while data is corked', [
  socket(),
  bind,
  connect(),
  more('a', null),
  inject(icmpError({ type: 3, code: 3 })),
  more('b', null),
  push('c', { payload: hex('abc') }, null),
  pendingError(ECONNREFUSED),
]);
fact('G11: a corked send elsewhere takes the connected flow with it', [
  socket(),
  connect(),
  more('a', OTHER),
  push('b', { dst: '10.0.0.3', dport: 33, payload: hex('ab') }, OTHER),
  push('c', { dst: '10.0.0.3', dport: 33, payload: hex('c') }, null),
]);
fact('G12: sendmmsg with MSG_MORE', [
  socket(),
  [
    {
      call: 'sendmmsg',
      flags: 'MSG_MORE',
      msgs: ['61', '62', '63'].map((data) => ({ iov: [data], name: D })),
    },
    { ret: 3, lens: [1, 1, 1], frames: 0 },
  ],
  push('d', { payload: hex('abcd') }, null),
]);
fact('G13: a source route and corking', [
  socket(),
  bindTo('10.0.0.1:5000'),
  ip('IP_OPTIONS', { hex: '8307040a000003' }),
  push('a', { toMac: '02:00:00:00:00:03', dst: '10.0.0.3', options: '8307040a63000100' }, '10.99.0.1:9'),
  more('b', '10.99.0.1:9'),
  push('c', { arp: 'who-has 10.99.0.1 tell 10.0.0.1', dev: 'tap0' }, null),
]);
