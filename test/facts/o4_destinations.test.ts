/** Facts about destinations on one network with a default route (catalogue O.4). */
import { expect } from 'vitest';
import { bindTo, fact, fresh, leaves, on, STAYS, send, so, socket } from './lab.js';

const GATEWAY = '02:00:00:00:00:02';
const ALL = 'ff:ff:ff:ff:ff:ff';

fact('D1: odd unicast addresses', [
  socket(),
  send('0.0.0.0:9', STAYS),
  ...['0.1.2.3', '240.0.0.1', '10.1.1.1'].map((dst) =>
    send(`${dst}:9`, leaves({ dst, toMac: GATEWAY, src: '10.0.0.1' })),
  ),
]);
fact('D2: broadcast', [
  socket(),
  ...['255.255.255.255', '10.0.0.255'].map((dst) => send(`${dst}:9`, 'EACCES')),
  so('SO_BROADCAST', 1),
  ...['255.255.255.255', '10.0.0.255'].map((dst) =>
    send(`${dst}:9`, leaves({ dst, toMac: ALL, src: '10.0.0.1', ttl: 64 })),
  ),
]);
fact('D3: the network address is unicast', [
  socket(),
  send('10.0.0.0:9', leaves({ arp: 'who-has 10.0.0.0 tell 10.0.0.1', toMac: ALL })),
]);
fact('D4: multicast without IP_MULTICAST_IF takes the device of the default route', [
  socket(),
  send('224.0.0.1:9', leaves({ toMac: '01:00:5e:00:00:01', ttl: 1, df: true, src: '10.0.0.1' })),
  send('239.1.1.1:9', leaves({ toMac: '01:00:5e:01:01:01', ttl: 1, df: true, src: '10.0.0.1' })),
]);
fact('D5: our own addresses', [
  socket(),
  ...['127.0.0.1', '127.5.6.7', '10.0.0.1'].map((dst) => send(`${dst}:9`, STAYS)),
]);

const fromLoopback = [
  send('10.0.0.2:9', 'EINVAL'),
  ...['0.0.0.0', '10.0.0.1', '127.0.0.1'].map((dst) => send(`${dst}:9`, STAYS)),
  so('SO_BROADCAST', 1),
  ...['224.0.0.1', '239.1.1.1', '255.255.255.255'].map((dst) => send(`${dst}:9`, STAYS)),
];
fact('D6: bound to 127.0.0.1', fresh(bindTo('127.0.0.1:5000'), ...fromLoopback));
fact("D7: bound to a device's address, to 127.0.0.1", [
  ...on('receiver', socket(), bindTo('127.0.0.1:9')),
  socket(),
  bindTo('10.0.0.1:5000'),
  send('127.0.0.1:9', STAYS),
  ...on('receiver', [
    { call: 'recvmsg' },
    { ret: 1, data: '78', check: ({ from }) => expect(from).toBe('10.0.0.1:5000') },
  ]),
]);
fact('D8: bound to another address of 127/8', fresh(bindTo('127.0.0.9:5000'), ...fromLoopback));
