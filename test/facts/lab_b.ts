/** Lab B of the catalogue: two networks with a permanent neighbour or two each, and no default route. */
import type { Scenario } from '../../src/scenario/types.js';

type Lab = Omit<Scenario, 'calls'>;

export const ALL = 'ff:ff:ff:ff:ff:ff';

export const LAB_B: Lab = {
  taps: [
    { name: 'tap0', mac: '02:00:00:00:00:01' },
    { name: 'tap1', mac: '02:00:00:00:01:01' },
  ],
  ip: [
    'link set lo up',
    'addr add 10.0.0.1/24 brd + dev tap0',
    'addr add 10.1.0.1/24 brd + dev tap1',
    'link set tap0 up',
    'link set tap1 up',
    'neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev tap0 nud permanent',
    'neigh add 10.0.0.3 lladdr 02:00:00:00:00:03 dev tap0 nud permanent',
    'neigh add 10.1.0.2 lladdr 02:00:00:00:01:02 dev tap1 nud permanent',
  ],
};

/** Lab B with more `ip` commands. */
export const withIp = (...commands: readonly string[]): Lab => ({ ...LAB_B, ip_extra: commands });
