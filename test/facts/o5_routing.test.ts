/** Facts about routing between two networks, without a default route (catalogue O.5, E1 to E14). */
import { expect } from 'vitest';
import {
  asks,
  bindTo,
  device,
  type Expected,
  fact,
  fresh,
  ip,
  ipCmsg,
  leaves,
  pktinfo,
  STAYS,
  type Step,
  send,
  so,
  socket,
  withCmsgs,
} from './lab.js';
import { ALL, LAB_B, withIp } from './lab_b.js';

const BROADCAST = so('SO_BROADCAST', 1);

fact(
  'E1: no route',
  [
    socket(),
    send('9.9.9.9:9', 'ENETUNREACH'),
    BROADCAST,
    ...['255.255.255.255', '239.1.1.1', '224.0.0.5', '0.1.2.3'].map((to) => send(`${to}:9`, 'ENETUNREACH')),
  ],
  LAB_B,
  { counters: { Ip: { OutNoRoutes: 5 }, Udp: { OutDatagrams: 0 } } },
);

const TYPES = withIp(
  'route add unreachable 21.0.0.0/8',
  'route add blackhole 22.0.0.0/8',
  'route add prohibit 23.0.0.0/8',
  'route add throw 24.0.0.0/8',
);
fact(
  'E2: types of routes that are errors',
  [
    socket(),
    send('21.0.0.1:9', 'EHOSTUNREACH'),
    send('22.0.0.1:9', 'EINVAL'),
    send('23.0.0.1:9', 'EACCES'),
    send('24.0.0.1:9', 'ENETUNREACH'),
    device('tap0'),
    ...[21, 22, 23, 24].map((net) => send(`${net}.0.0.1:9`, asks(`${net}.0.0.1`, '10.0.0.1'))),
  ],
  TYPES,
  { counters: { Ip: { OutNoRoutes: 1 } } },
);
const GATEWAYED = withIp('route add 15.0.0.0/8 via 10.0.0.2');
const VIA_TAP1 = [
  ['9.9.9.9', '9.9.9.9'],
  ['10.0.0.2', '10.0.0.2'],
  ['15.0.0.1', '15.0.0.1'],
] as const;
fact(
  'E3: SO_BINDTODEVICE',
  [
    socket(),
    device('tap1'),
    ...VIA_TAP1.map(([to, target]) => send(`${to}:9`, asks(target, '10.1.0.1', 'tap1'))),
  ],
  GATEWAYED,
);
fact(
  "E3: IP_PKTINFO's interface",
  [
    socket(),
    ...VIA_TAP1.map(([to, target]) =>
      withCmsgs([pktinfo({ ifindex: 'tap1' })], asks(target, '10.1.0.1', 'tap1'), `${to}:9`),
    ),
  ],
  GATEWAYED,
);
fact(
  'E4: MSG_DONTROUTE, SO_DONTROUTE',
  [
    socket(),
    send('15.0.0.1:9', leaves({ dev: 'tap0' })),
    send('15.0.0.1:9', 'ENETUNREACH', { flags: 'MSG_DONTROUTE' }),
    send('10.0.0.3:9', leaves({ dev: 'tap0' }), { flags: 'MSG_DONTROUTE' }),
    so('SO_DONTROUTE', 1),
    send('15.0.0.1:9', 'ENETUNREACH'),
    send('10.0.0.3:9', leaves({ dev: 'tap0' })),
    device('tap0'),
    send('15.0.0.1:9', asks('15.0.0.1', '10.0.0.1')),
  ],
  GATEWAYED,
);
fact(
  'E5: interfaces that do not exist; IP_PKTINFO over SO_BINDTODEVICE',
  [
    socket(),
    withCmsgs([pktinfo({ ifindex: 999 })], 'ENODEV', '10.0.0.2:9'),
    withCmsgs([pktinfo({ ifindex: -1 })], 'ENODEV', '10.0.0.2:9'),
    device('tap0'),
    withCmsgs([pktinfo({ ifindex: 'tap1' })], leaves({ dev: 'tap1', src: '10.1.0.1' }), '10.1.0.2:9'),
  ],
  LAB_B,
);
const source = (spec_dst: string, want: Expected, to = '10.0.0.2:9'): Step =>
  withCmsgs([pktinfo({ spec_dst })], want, to);
fact(
  "E6: IP_PKTINFO's source",
  [
    socket(),
    source('10.1.0.1', leaves({ dev: 'tap0', src: '10.1.0.1' })),
    source('8.8.8.8', 'ENETUNREACH'),
    source('224.0.0.1', 'EINVAL'),
    source('255.255.255.255', 'EINVAL'),
    source('10.0.0.255', 'ENETUNREACH'),
    source('0.0.0.5', 'ENETUNREACH'),
    source('127.0.0.5', 'EINVAL'),
  ],
  LAB_B,
);
fact(
  'E7: IP_FREEBIND and IP_TRANSPARENT',
  [
    ...fresh(ip('IP_FREEBIND', 1), bindTo('8.8.8.8:5000'), send('10.0.0.2:9', 'ENETUNREACH')),
    ...fresh(ip('IP_TRANSPARENT', 1), source('8.8.8.8', leaves({ src: '8.8.8.8' }))),
    ...fresh(
      ip('IP_TRANSPARENT', 1),
      bindTo('8.8.8.8:5001'),
      send('10.0.0.2:9', leaves({ src: '8.8.8.8' })),
      send('239.1.1.1:9', 'ENETUNREACH'),
    ),
  ],
  LAB_B,
);
fact(
  'E8: bound to a broadcast or multicast address, the source is chosen',
  ['10.0.0.255', '224.5.5.5'].flatMap((address) =>
    fresh(bindTo(`${address}:5000`), send('10.0.0.2:9', leaves({ src: '10.0.0.1', sport: 5000 }))),
  ),
  LAB_B,
);
const GROUP = '239.1.1.1:9';
const viaTap1 = (src: string): Expected => leaves({ dev: 'tap1', src, toMac: '01:00:5e:01:01:01' });
fact(
  'E9: what chooses the interface of a multicast',
  [
    ...fresh(ip('IP_MULTICAST_IF', { ip: '10.1.0.1' }), send(GROUP, viaTap1('10.1.0.1'))),
    ...fresh(
      ip('IP_MULTICAST_IF', { mreqn: { address: '10.0.0.1', ifindex: 'tap1' } }),
      send(GROUP, viaTap1('10.0.0.1')),
    ),
    ...fresh(bindTo('10.1.0.1:5000'), send(GROUP, viaTap1('10.1.0.1'))),
    ...fresh(source('10.1.0.1', viaTap1('10.1.0.1'), GROUP)),
    ...fresh(withCmsgs([pktinfo({ ifindex: 'tap1' })], viaTap1('10.1.0.1'), GROUP)),
  ],
  LAB_B,
);
fact(
  'E10: what IP_MULTICAST_IF refuses',
  [
    socket(),
    ip('IP_MULTICAST_IF', { ip: '9.9.9.9' }, 'EADDRNOTAVAIL'),
    ip('IP_MULTICAST_IF', { hex: '0a0100' }, 'EINVAL'),
    device('tap0'),
    ip('IP_MULTICAST_IF', { ip: '10.1.0.1' }, 'EINVAL'),
  ],
  LAB_B,
);
const limited = send('255.255.255.255:9', leaves({ dev: 'tap1', src: '10.1.0.1', toMac: ALL }));
fact(
  'E11: what chooses the interface of 255.255.255.255',
  [
    ...fresh(BROADCAST, device('tap1'), limited),
    ...fresh(BROADCAST, bindTo('10.1.0.1:5000'), limited),
    // The interface's index, in network order: tap0 is 2, tap1 is 3.
    ...fresh(BROADCAST, ip('IP_UNICAST_IF', { be32: 3 }), limited),
  ],
  LAB_B,
);
fact(
  "E12: another device's broadcast address, and MSG_DONTROUTE",
  [
    ...fresh(
      device('tap1'),
      send('10.0.0.255:9', leaves({ dev: 'tap1', src: '10.1.0.1', toMac: ALL, dst: '10.0.0.255' })),
    ),
    ...fresh(
      BROADCAST,
      send('10.0.0.255:9', leaves({ dev: 'tap0', toMac: ALL }), { flags: 'MSG_DONTROUTE' }),
    ),
  ],
  LAB_B,
);
fact(
  "E13: a device's own address from a socket bound to a device",
  [
    ...fresh(device('tap1'), send('10.0.0.1:9', asks('10.0.0.1', '10.1.0.1', 'tap1'))),
    ...fresh(device('tap0'), send('10.0.0.1:9', STAYS), send('0.0.0.0:9', STAYS)),
  ],
  LAB_B,
);
fact(
  'E14: the TTL of multicasts',
  [
    socket(),
    device('tap0'),
    ip('IP_TTL', 33),
    send(GROUP, leaves({ ttl: 1 })),
    ip('IP_MULTICAST_TTL', 0),
    send(GROUP, leaves({ ttl: 0 })),
    withCmsgs([ipCmsg('IP_TTL', 7)], leaves({ ttl: 7 }), GROUP),
  ],
  LAB_B,
);
fact(
  'E14: a TTL of 0 stays here where the device has joined the group',
  [
    socket(),
    ip('IP_ADD_MEMBERSHIP', { mreqn: { multiaddr: '239.1.1.1', ifindex: 'tap0' } }),
    bindTo('0.0.0.0:9'),
    device('tap0'),
    ip('IP_MULTICAST_TTL', 0),
    [
      { call: 'sendto', data: '78', addr: GROUP },
      {
        ret: 1,
        check: ({ frames }) =>
          expect(frames.filter((frame) => frame.hex.startsWith('01005e010101'))).toEqual([]),
      },
    ],
    [{ call: 'recvmsg' }, { ret: 1, data: '78' }],
  ],
  LAB_B,
);
