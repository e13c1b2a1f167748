/** Random scenarios about groups and broadcast: what goes out, and who of us gets a copy. */
import type { Call, Scenario, Value } from '../types.js';
import type { Draw } from './draw.js';
import * as frames from './frames.js';
import { knownNeighbours, newLab, payload, secondTap, toScenario } from './pieces.js';
import { receiveOptions, recv } from './topics_receive.js';

/** Joining these sends no report, where reports of link-local groups are switched off. */
const GROUPS = ['224.0.0.251', '224.0.0.99', '224.0.0.1'];

function membership(d: Draw, fd: string): Call {
  const multiaddr = d.weighted([
    [8, d.pick(GROUPS)],
    [0.5, '10.9.0.1'],
    [0.5, '0.0.0.0'],
  ]);
  const value = d.weighted<() => Value>([
    [4, () => ({ mreqn: { multiaddr, ifindex: d.pick(['tap0', 'tap0', 'lo', 0]) } })],
    [2, () => ({ mreqn: { multiaddr, address: d.pick(['10.9.0.2', '1.2.3.4']) } })],
    [2, () => [{ ip: multiaddr }, { ip: d.pick(['10.9.0.2', '0.0.0.0', '127.0.0.1']) }]],
    [0.5, () => ({ ip: multiaddr })],
  ])();
  return {
    call: 'setsockopt',
    fd,
    level: 'SOL_IP',
    name: d.pick(['IP_ADD_MEMBERSHIP', 'IP_ADD_MEMBERSHIP', 'IP_DROP_MEMBERSHIP']),
    value,
  };
}

function sourceMembership(d: Draw, fd: string): Call {
  return {
    call: 'setsockopt',
    fd,
    level: 'SOL_IP',
    name: d.pick([
      'IP_ADD_SOURCE_MEMBERSHIP',
      'IP_DROP_SOURCE_MEMBERSHIP',
      'IP_BLOCK_SOURCE',
      'IP_UNBLOCK_SOURCE',
    ]),
    // struct ip_mreq_source: group, interface, source.
    value: [
      { ip: d.pick(GROUPS) },
      { ip: d.pick(['10.9.0.2', '0.0.0.0']) },
      { ip: d.pick(['10.9.0.1', '10.9.0.3', '10.9.0.2']) },
    ],
  };
}

/** Multicast and broadcast: interface, TTL, loop, membership, delivery to members. Reports of membership come at random times, and are kept off the wire. */
export function multicast(d: Draw): Scenario {
  const lab = newLab();
  knownNeighbours(lab);
  lab.sysctl['net.ipv4.igmp_link_local_mcast_reports'] = 0;
  if (d.chance(0.4)) secondTap(lab);
  if (d.chance(0.7)) lab.ipExtra.push(`route add 224.0.0.0/4 dev ${d.pick(['tap0', 'tap0', 'lo'])}`);
  else if (d.chance(0.5)) lab.ipExtra.push('route add default via 10.9.0.1');
  const fds = ['a', 'b'].slice(0, d.int(1, 2));
  for (const fd of fds) {
    lab.calls.push({ call: 'socket', fd });
    lab.calls.push({ call: 'setsockopt', fd, level: 'SOL_SOCKET', name: 'SO_REUSEADDR', value: 1 });
    lab.calls.push({
      call: 'bind',
      fd,
      addr: `${d.weighted([
        [5, '0.0.0.0'],
        [1, '10.9.0.2'],
        [1, d.pick(GROUPS)],
      ])}:4000`,
    });
    lab.calls.push(...receiveOptions(d, fd));
  }
  for (let i = d.int(5, 14); i > 0; i--) {
    const fd = d.pick(fds);
    const to = d.weighted([
      [6, d.pick(GROUPS)],
      [1, '10.9.0.255'],
      [1, '255.255.255.255'],
      [0.5, '10.9.0.1'],
      [0.3, '10.10.0.255'],
    ]);
    lab.calls.push(
      d.weighted<() => Call>([
        [
          6,
          () => ({
            call: 'sendto',
            fd,
            data: payload(d, d.pick([0, 3, 10, 1473, 2000])),
            addr: `${to}:4000`,
          }),
        ],
        [2.5, () => membership(d, fd)],
        [1, () => sourceMembership(d, fd)],
        [4, () => recv(d, fd)],
        [
          1,
          () => ({
            call: 'setsockopt',
            fd,
            level: 'SOL_IP',
            name: 'IP_MULTICAST_TTL',
            value: d.pick([0, 1, 2, 255, -1, 256]),
          }),
        ],
        [
          1,
          () => ({ call: 'setsockopt', fd, level: 'SOL_IP', name: 'IP_MULTICAST_LOOP', value: d.below(2) }),
        ],
        [1, () => ({ call: 'setsockopt', fd, level: 'SOL_IP', name: 'IP_MULTICAST_ALL', value: d.below(2) })],
        [
          1,
          () => ({
            call: 'setsockopt',
            fd,
            level: 'SOL_IP',
            name: 'IP_MULTICAST_IF',
            value: d.pick<Value>([
              { ip: '10.9.0.2' },
              { ip: '0.0.0.0' },
              { mreqn: { ifindex: 'tap0' } },
              { mreqn: { ifindex: 'lo' } },
              { ip: '10.10.0.2' },
            ]),
          }),
        ],
        [
          1,
          () => ({
            call: 'setsockopt',
            fd,
            level: 'SOL_SOCKET',
            name: 'SO_BROADCAST',
            value: d.chance(0.8) ? 1 : 0,
          }),
        ],
        [0.5, () => ({ call: 'connect', fd, addr: `${to}:4000` })],
        [
          2,
          () => ({
            call: 'inject',
            hex: frames.udpFrame(
              {
                saddr: d.pick(['10.9.0.1', '10.9.0.3']),
                daddr: to,
                sport: 53,
                dport: 4000,
                payload: d.hex(3),
              },
              { ttl: d.pick([1, 64]) },
              to.endsWith('255')
                ? frames.BROADCAST_MAC
                : to === '10.9.0.1'
                  ? frames.OUR_MAC
                  : frames.multicastMac(to),
            ),
          }),
        ],
      ])(),
    );
  }
  return toScenario(lab, 'groups and broadcast');
}
