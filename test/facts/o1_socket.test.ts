/** Facts about socket() and its defaults (catalogue O.1). */
import { type Expected, fact, reads, type Step, socket } from './lab.js';

const makes = (arguments_: { domain?: number; type?: number; proto?: number }, want: Expected): Step => [
  { call: 'socket', ...arguments_ },
  want,
];
const protocol = (proto: number, want: Expected) => makes({ proto }, want);
const type = (number: number, want: Expected) => makes({ type: number }, want);

fact('A1: protocols of SOCK_DGRAM', [
  protocol(0, 0),
  protocol(17, 0),
  protocol(136, 0),
  protocol(6, 'EPROTONOSUPPORT'),
  protocol(1, 'EACCES'),
  protocol(255, 'EPROTONOSUPPORT'),
  protocol(256, 'EPROTONOSUPPORT'),
  protocol(262, 'EPROTONOSUPPORT'),
  protocol(300, 'EINVAL'),
  protocol(-1, 'EINVAL'),
]);
fact('A2: types', [
  type(11, 'EINVAL'),
  type(9, 'ESOCKTNOSUPPORT'),
  type(4, 'ESOCKTNOSUPPORT'),
  type(0, 'ESOCKTNOSUPPORT'),
  type(3, 'EPROTONOSUPPORT'),
  type(0x12, 'EINVAL'),
  type(0x1002, 'EINVAL'),
]);
fact(
  'A3: families',
  [45, 46, 99, -1].map((domain) => makes({ domain }, 'EAFNOSUPPORT')),
);
fact('A4: defaults of options', [
  socket(),
  reads('SOL_SOCKET', 'SO_SNDBUF', 212992),
  reads('SOL_SOCKET', 'SO_RCVBUF', 212992),
  reads('SOL_SOCKET', 'SO_PRIORITY', 0),
  reads('SOL_SOCKET', 'SO_NO_CHECK', 0),
  reads('SOL_SOCKET', 'SO_BROADCAST', 0),
  reads('SOL_SOCKET', 'SO_MARK', 0),
  reads('SOL_SOCKET', 'SO_TYPE', 2),
  reads('SOL_SOCKET', 'SO_PROTOCOL', 17),
  reads('SOL_SOCKET', 'SO_DOMAIN', 2),
  reads('SOL_SOCKET', 'SO_ERROR', 0),
  reads('SOL_IP', 'IP_TOS', 0),
  reads('SOL_IP', 'IP_TTL', 64),
  reads('SOL_IP', 'IP_MTU_DISCOVER', 1),
  reads('SOL_IP', 'IP_RECVERR', 0),
  reads('SOL_IP', 'IP_MULTICAST_TTL', 1),
  reads('SOL_IP', 'IP_MULTICAST_LOOP', 1),
  reads('SOL_IP', 'IP_MULTICAST_ALL', 1),
  reads('SOL_IP', 'IP_UNICAST_IF', 0),
  reads('SOL_IP', 'IP_LOCAL_PORT_RANGE', 0),
  reads('SOL_IP', 'IP_FREEBIND', 0),
  reads('SOL_IP', 'IP_MTU', 'ENOTCONN'),
  reads('SOL_UDP', 'UDP_CORK', 0),
  reads('SOL_UDP', 'UDP_SEGMENT', 0),
]);
fact('A5: names of a fresh socket', [
  socket(),
  [{ call: 'getsockname' }, { ret: 0, addr: '0.0.0.0:0' }],
  [{ call: 'getpeername' }, 'ENOTCONN'],
]);
