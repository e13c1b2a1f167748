/** Addresses as the host's kernel keeps them: labels through renaming, order, promotion, what goes with a primary. */
import { describe, expect, it } from 'vitest';
import { HostSide, NO_HOST, OurSide } from './lab.js';

const CASES: Readonly<Record<string, readonly string[]>> = {
  'labels follow the name': [
    'addr add 10.0.0.1/24 dev tap0',
    'addr add 10.0.0.2/24 dev tap0 label tap0:b',
    'addr add 10.0.0.3/24 dev tap0',
    'link set tap0 name averylongname0',
  ],
  'a wider scope comes first, a secondary last': [
    'addr add 10.0.0.1/24 dev tap0 scope link',
    'addr add 10.1.0.1/24 dev tap0',
    'addr add 10.0.0.2/24 dev tap0 scope link',
    'addr add 10.2.0.1/24 dev tap0 scope host',
    'addr add 10.3.0.1/24 dev tap0',
  ],
  'secondaries go with their primary': [
    'link set tap0 up',
    'addr add 10.0.0.1/24 dev tap0',
    'addr add 10.0.0.2/24 brd + dev tap0',
    'addr add 10.1.0.1/24 dev tap0',
    'addr del 10.0.0.1/24 dev tap0',
  ],
  'or the first of them is promoted': [
    'sysctl net.ipv4.conf.all.promote_secondaries=1',
    'link set tap0 up',
    'addr add 10.0.0.1/24 dev tap0',
    'addr add 10.0.0.2/24 brd + dev tap0',
    'addr add 10.1.0.1/24 dev tap0',
    'addr add 10.0.0.3/24 dev tap0',
    'addr del 10.0.0.1/24 dev tap0',
  ],
  'one address on two devices': [
    'link set tap0 up',
    'link set tap1 up',
    'addr add 10.0.0.1/24 brd + dev tap0',
    'addr add 10.0.0.1/16 brd + dev tap1',
    'addr del 10.0.0.1/24 dev tap0',
  ],
  'a metric is changed in place': [
    'link set tap0 up',
    'addr add 10.0.0.1/24 dev tap0 metric 10',
    'addr change 10.0.0.1/24 dev tap0 metric 20',
  ],
  'a route that prefers an address goes with it': [
    'link set tap0 up',
    'link set tap1 up',
    'addr add 10.0.0.1/24 dev tap0',
    'addr add 10.1.0.1/24 dev tap1',
    'route add 20.0.0.0/8 dev tap0 src 10.1.0.1',
    'route add 21.0.0.0/8 dev tap0 src 10.1.0.1 table 10',
    'addr del 10.1.0.1/24 dev tap1',
  ],
};

describe.skipIf(NO_HOST !== null)(`addresses${NO_HOST === null ? '' : ` (${NO_HOST})`}`, () => {
  it.each(Object.entries(CASES))('%s', (_name, commands) => {
    const host = new HostSide();
    const ours = new OurSide();
    try {
      expect(host.run(commands)).toEqual(commands.map(() => 'ok'));
      expect(ours.run(commands)).toEqual(commands.map(() => 'ok'));
      for (const list of ['-4 -o addr', '-4 route show table all']) {
        const lines = (text: string): string[] => text.split('\n').map((line) => line.trimEnd());
        expect(lines(ours.list(list))).toEqual(lines(host.list(list)));
      }
    } finally {
      host.close();
      ours.close();
    }
  });
});
