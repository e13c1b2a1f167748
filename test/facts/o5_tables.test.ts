/** Facts about tables, rules, multipath and what changes a route (catalogue O.5, E15 to E28). */
import { expect } from 'vitest';
import type { CallResult, Scenario } from '../../src/scenario/types.js';
import {
  asks,
  bindTo,
  connect,
  device,
  fact,
  fresh,
  ip,
  ipCmsg,
  ipCommand,
  LAB_A,
  leaves,
  on,
  STAYS,
  type Step,
  send,
  sleep,
  so,
  socket,
  withCmsgs,
} from './lab.js';
import { ALL, LAB_B, withIp } from './lab_b.js';

const BROADCAST = so('SO_BROADCAST', 1);
const via0 = leaves({ dev: 'tap0' });
const via1 = leaves({ dev: 'tap1' });

fact(
  'E15: hoplimit of a route',
  [
    socket(),
    send('70.0.0.1:9', leaves({ ttl: 99 })),
    ip('IP_TTL', 12),
    send('70.0.0.1:9', leaves({ ttl: 12 })),
    ip('IP_TTL', -1),
    send('70.0.0.1:9', leaves({ ttl: 99 })),
    [{ call: 'sysctl', set: { 'net.ipv4.ip_default_ttl': 50 } }, 0],
    send('10.0.0.2:9', leaves({ ttl: 50 })),
  ],
  withIp('route add 70.0.0.0/8 via 10.0.0.2 hoplimit 99'),
);
fact(
  "E16: a route's source, and the address in the gateway's network",
  [
    socket(),
    send('71.0.0.1:9', leaves({ dev: 'tap0', src: '10.1.0.1' })),
    send('72.0.0.1:9', leaves({ dev: 'tap0', src: '20.0.0.1', toMac: '02:00:00:00:00:14' })),
  ],
  withIp(
    'route add 71.0.0.0/8 via 10.0.0.2 src 10.1.0.1',
    'addr add 20.0.0.1/24 dev tap0',
    'neigh add 20.0.0.2 lladdr 02:00:00:00:00:14 dev tap0 nud permanent',
    'route add 72.0.0.0/8 via 20.0.0.2',
  ),
);
fact(
  'E17: devices that are down',
  [
    ipCommand('link set tap1 down'),
    ...fresh(device('tap1'), send('10.1.0.2:9', 'ENETUNREACH')),
    ...fresh(bindTo('10.1.0.1:5000'), send('10.0.0.2:9', leaves({ dev: 'tap0', src: '10.1.0.1' }))),
    ...fresh(device('tap2'), send('10.0.0.2:9', 'ENETUNREACH')),
  ],
  { ...LAB_B, taps: [...LAB_B.taps!, { name: 'tap2', mac: '02:00:00:00:02:01' }] },
);
const bare = (...commands: readonly string[]): Omit<Scenario, 'calls'> => ({
  taps: LAB_B.taps!,
  ip: ['link set lo up', 'link set tap0 up', 'link set tap1 up', ...commands],
});
/** Unicast, broadcast and multicast by tap1, which has no address. */
const fromSource = (src: string): readonly Step[] => [
  socket(),
  device('tap1'),
  BROADCAST,
  send('9.9.9.9:9', asks('9.9.9.9', src, 'tap1')),
  send('255.255.255.255:9', leaves({ dev: 'tap1', src })),
  send('239.1.1.1:9', leaves({ dev: 'tap1', src })),
];
fact(
  "E18: a device without addresses takes lo's",
  fromSource('20.1.1.1'),
  bare('addr add 10.0.0.1/24 dev tap0', 'addr add 20.1.1.1/32 dev lo'),
);
fact(
  "E18: a device without addresses takes another device's",
  fromSource('10.0.0.1'),
  bare('addr add 10.0.0.1/24 dev tap0'),
);
fact('E18: no address at all', fromSource('0.0.0.0'), bare());
fact(
  'E19: metric and TOS of routes',
  [
    socket(),
    send('30.0.0.1:9', via1),
    ...[0, 0x08, 0x03].map((tos) => withCmsgs([ipCmsg('IP_TOS', tos)], via0, '31.0.0.1:9')),
    ...[0x10, 0x13, 0x30, 0xf0].map((tos) => withCmsgs([ipCmsg('IP_TOS', tos)], via1, '31.0.0.1:9')),
  ],
  withIp(
    'route add 30.0.0.0/8 via 10.0.0.2 metric 10',
    'route add 30.0.0.0/8 via 10.1.0.2 metric 5',
    'route add 31.0.0.0/8 via 10.0.0.2',
    'route add 31.0.0.0/8 tos 0x10 via 10.1.0.2',
  ),
);
fact(
  'E20: the longest prefix that the device allows',
  [
    socket(),
    send('32.1.1.5:9', leaves({ dev: 'tap1', arp: 'who-has 32.1.1.5 tell 10.1.0.1' })),
    send('32.1.2.5:9', leaves({ dev: 'tap1', toMac: '02:00:00:00:01:02' })),
    send('32.2.2.5:9', leaves({ dev: 'tap0', toMac: '02:00:00:00:00:02' })),
    device('tap0'),
    send('32.1.2.5:9', leaves({ dev: 'tap0', toMac: '02:00:00:00:00:02' })),
  ],
  withIp(
    'route add 32.0.0.0/8 via 10.0.0.2',
    'route add 32.1.0.0/16 via 10.1.0.2',
    'route add 32.1.1.0/24 dev tap1',
  ),
);
const RULES = withIp(
  'route add default via 10.0.0.2',
  'route add default via 10.1.0.2 table 100',
  'route add throw default table 101',
  'rule add pref 10 fwmark 7 lookup 100',
  'rule add pref 11 from 10.1.0.1 lookup 100',
  'rule add pref 12 to 41.0.0.0/8 lookup 100',
  'rule add pref 13 dport 99 lookup 100',
  'rule add pref 14 sport 6000 lookup 100',
  'rule add pref 15 tos 0x10 lookup 100',
  'rule add pref 16 uidrange 65534-65534 lookup 100',
  'rule add pref 20 to 51.0.0.0/8 unreachable',
  'rule add pref 21 to 52.0.0.0/8 blackhole',
  'rule add pref 22 to 53.0.0.0/8 prohibit',
  'rule add pref 23 to 44.0.0.0/8 lookup 101',
);
fact(
  'E21: what rules select by',
  [
    ...fresh(
      send('40.0.0.1:9', via0),
      send('41.0.0.1:9', via1),
      send('40.0.0.1:99', via1),
      withCmsgs([{ level: 'SOL_SOCKET', type: 'SO_MARK', data: 7 }], via1, '40.0.0.1:9'),
      withCmsgs([ipCmsg('IP_TOS', 0x50)], via1, '40.0.0.1:9'),
      withCmsgs([ipCmsg('IP_TOS', 0x08)], via0, '40.0.0.1:9'),
      send('51.0.0.1:9', 'ENETUNREACH'),
      send('52.0.0.1:9', 'EINVAL'),
      send('53.0.0.1:9', 'EACCES'),
      send('44.0.0.1:9', via0),
    ),
    ...fresh(so('SO_MARK', 7), send('40.0.0.1:9', via1)),
    ...fresh(bindTo('10.1.0.1:0'), send('40.0.0.1:9', via1)),
    ...fresh(bindTo('0.0.0.0:6000'), send('40.0.0.1:9', via1)),
  ],
  RULES,
);
fact('E21: rules by user', fresh(send('40.0.0.1:9', via1)), { ...RULES, user: true });
fact(
  'E22: a mark set on a connected socket',
  [
    socket(),
    connect('40.0.0.1:9'),
    send(null, leaves({ dev: 'tap0', src: '10.0.0.1' })),
    so('SO_MARK', 7),
    send(null, leaves({ dev: 'tap1', src: '10.0.0.1' })),
  ],
  RULES,
);

const BOTH = 'route add 50.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.1.0.2';
const WEIGHTED = 'route add 50.0.0.0/8 nexthop via 10.0.0.2 weight 1 nexthop via 10.1.0.2 weight 3';
/** Sends to many destinations, the last of which says what the devices must have been. */
function spread(addresses: readonly string[], judge: (tap0: number, tap1: number) => void): Step[] {
  const count = { tap0: 0, tap1: 0 };
  const tally = ({ frames: [frame] }: CallResult): void => {
    count[frame!.dev as keyof typeof count]++;
  };
  return addresses.map((address, i) =>
    send(address, {
      ret: 1,
      frames: 1,
      check: (result) => {
        if (i === 0) Object.assign(count, { tap0: 0, tap1: 0 });
        tally(result);
        if (i === addresses.length - 1) judge(count.tap0, count.tap1);
      },
    }),
  );
}
const destinations = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `50.${i % 7}.${i % 11}.${i + 1}:9`);
const either = (tap0: number, tap1: number): void => expect(Math.min(tap0, tap1)).toBeGreaterThan(0);
/** Every send by the same device, whichever. */
const sticks = (tap0: number, tap1: number): void => expect(Math.min(tap0, tap1)).toBe(0);
const always = (name: 'tap0' | 'tap1') => (tap0: number, tap1: number) =>
  expect(name === 'tap0' ? tap1 : tap0).toBe(0);

fact(
  'E23: multipath',
  [
    ...fresh(
      ...spread(destinations(60), either),
      ...spread(
        Array.from({ length: 10 }, () => '50.9.9.9:9'),
        sticks,
      ),
      // The ports do not matter.
      ...spread(
        Array.from({ length: 10 }, (_, i) => `50.9.9.9:${i + 1}`),
        sticks,
      ),
    ),
    ...fresh(bindTo('10.0.0.1:0'), ...spread(destinations(20), always('tap0'))),
    ...fresh(bindTo('10.1.0.1:0'), ...spread(destinations(20), always('tap1'))),
    ipCommand('link set tap1 down'),
    ...fresh(...spread(destinations(20), always('tap0'))),
  ],
  withIp(BOTH),
);
fact(
  'E23: weights of 1 and 3',
  fresh(
    ...spread(destinations(250), (tap0, tap1) => {
      // 62.5 of 250, ± 5 standard deviations.
      expect(tap0 + tap1).toBe(250);
      expect(Math.abs(tap0 - 62.5)).toBeLessThan(35);
    }),
  ),
  withIp(WEIGHTED),
);
fact(
  'E23: policy 1 takes the ports too',
  fresh(
    ...spread(
      Array.from({ length: 60 }, (_, i) => `50.9.9.9:${i + 1}`),
      either,
    ),
  ),
  { ...withIp(BOTH), sysctl: { 'net.ipv4.fib_multipath_hash_policy': 1 } },
);

const CARRIER = withIp('route add 61.0.0.0/16 via 10.1.0.2', 'route add 61.0.0.0/8 via 10.0.0.2');
// What follows a carrier change comes within a second, at most once a second.
const settle = sleep(1100);
const ignores = (value: number): Step => [
  { call: 'sysctl', set: { 'net.ipv4.conf.tap1.ignore_routes_with_linkdown': value } },
  0,
];
fact(
  'E24: without carrier',
  [
    socket(),
    send('61.0.0.1:9', via1),
    ipCommand('link set tap1 carrier off'),
    settle,
    send('61.0.0.1:9', STAYS),
    ignores(1),
    send('61.0.0.1:9', via0),
    ipCommand('link set tap1 carrier on'),
    settle,
    send('61.0.0.1:9', leaves({ dev: 'tap1' })),
  ],
  CARRIER,
);
fact(
  'E25: broadcast and multicast routes',
  [
    socket(),
    send('60.0.0.255:9', 'EACCES'),
    BROADCAST,
    send('60.0.0.255:9', leaves({ dev: 'tap0', toMac: ALL })),
    send('238.1.2.3:9', leaves({ dev: 'tap1', toMac: '01:00:5e:01:02:03', ttl: 1 })),
  ],
  withIp('route add broadcast 60.0.0.255 dev tap0', 'route add multicast 238.0.0.0/8 dev tap1'),
);
fact(
  'E26: multicast through a gateway',
  [
    socket(),
    send('238.1.2.3:9', leaves({ dev: 'tap0', toMac: '01:00:5e:01:02:03' })),
    send('239.1.2.3:9', leaves({ dev: 'tap1', toMac: '02:00:00:00:01:02' })),
  ],
  withIp('route add default via 10.0.0.2', 'route add 239.0.0.0/8 via 10.1.0.2'),
);
fact(
  'E27: a whole network that is local',
  [
    ...on('receiver', socket(), bindTo('0.0.0.0:9')),
    ...fresh(send('90.1.2.3:9', STAYS)),
    ...on('receiver', [{ call: 'recvmsg' }, { ret: 1, data: '78' }]),
    ...fresh(bindTo('90.5.5.5:5000'), send('10.0.0.2:9', leaves({ src: '90.5.5.5' }))),
  ],
  withIp('route add local 90.0.0.0/8 dev lo'),
);
fact(
  "E28: a connected socket's address is removed",
  [
    socket(),
    bindTo('10.0.0.77:0'),
    connect('10.0.0.2:9'),
    send(null, leaves({ src: '10.0.0.77' })),
    ipCommand('addr del 10.0.0.77/24 dev tap0'),
    send(null, 'ENETUNREACH'),
  ],
  { ...LAB_A, ip_extra: ['addr add 10.0.0.77/24 dev tap0'] },
);
