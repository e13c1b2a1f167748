/** Random scenarios about the path MTU: modes, metrics, what ICMP teaches, and fragmentation. */
import type { Call, Scenario } from '../types.js';
import type { Draw } from './draw.js';
import * as frames from './frames.js';
import { defaultRoute, knownNeighbours, newLab, openSocket, secondTap, send, toScenario } from './pieces.js';

function network(d: Draw): ReturnType<typeof newLab> {
  const lab = newLab();
  knownNeighbours(lab);
  if (d.chance(0.2)) secondTap(lab);
  if (d.chance(0.3)) defaultRoute(lab);
  return lab;
}

function tooBig(d: Draw): Call {
  const quoted = frames.quoteUdp(
    {
      saddr: '10.9.0.2',
      daddr: d.pick(['10.9.0.1', '10.21.0.1', '10.9.0.3']),
      sport: 4000,
      dport: 53,
      payload: '00'.repeat(d.pick([0, 100])),
    },
    d.pick([28, 28, 60]),
  );
  const mtu = d.pick([0, 68, 300, 551, 552, 553, 576, 1000, 1280, 1400, 1499, 1500, 1501, 65535]);
  const message = frames.icmpMessage(3, 4, mtu, quoted);
  return {
    call: 'inject',
    hex: frames.ipv4Frame({ saddr: '10.9.0.1', daddr: '10.9.0.2', protocol: 1, payload: message }),
  };
}

/** Path MTU modes, route metrics, learnt path MTUs, and fragmentation. */
export function pmtu(d: Draw): Scenario {
  const l = network(d);
  if (d.chance(0.3))
    l.taps = [{ ...l.taps[0], mtu: d.pick([68, 100, 576, 1000, 1280, 9000, 65521]) }, ...l.taps.slice(1)];
  if (d.chance(0.2)) l.sysctl['net.ipv4.ip_no_pmtu_disc'] = d.int(1, 3);
  if (d.chance(0.15)) l.sysctl['net.ipv4.ip_forward_use_pmtu'] = 1;
  if (d.chance(0.1)) l.sysctl['net.ipv4.route.min_pmtu'] = d.pick([68, 300, 1000]);
  l.ipExtra.push(
    `route add 10.21.0.0/16 via 10.9.0.1 mtu ${d.pick(['1000', 'lock 1000', '576', '9000', '100'])}`,
  );
  openSocket(d, l, { port: 4000 });
  const to = () => d.pick(['10.9.0.1:53', '10.21.0.1:53', '10.9.0.3:53']);
  if (d.chance(0.5)) l.calls.push({ call: 'connect', addr: to() });
  for (let i = d.int(4, 12); i > 0; i--) {
    l.calls.push(
      d.weighted<() => Call>([
        [
          8,
          () =>
            send(d, {
              size: d.pick([
                0, 40, 41, 100, 524, 525, 547, 548, 549, 972, 973, 1000, 1371, 1372, 1373, 1472, 1473, 2952,
                2953, 9000, 65507,
              ]),
              addr: d.chance(0.4) ? null : to(),
              cmsgs: 0.15,
            }),
        ],
        [2, () => ({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_MTU_DISCOVER', value: d.int(0, 5) })],
        [2, () => tooBig(d)],
        [1, () => ({ call: 'getsockopt', level: 'SOL_IP', name: 'IP_MTU' })],
        [0.5, () => ({ call: 'connect', addr: to() })],
        [0.5, () => ({ call: 'ip', args: 'route get 10.9.0.1' })],
        [0.5, () => ({ call: 'ip', args: `link set tap0 mtu ${d.pick([576, 1000, 1400, 1500, 2000])}` })],
        [0.3, () => ({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_RECVERR', value: d.below(2) })],
        [0.5, () => ({ call: 'recvmsg', flags: 'MSG_ERRQUEUE' })],
        [0.3, () => ({ call: 'getsockopt', level: 'SOL_SOCKET', name: 'SO_ERROR' })],
      ])(),
    );
  }
  return toScenario(l, 'path MTU and fragments');
}
