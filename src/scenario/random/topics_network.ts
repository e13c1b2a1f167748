/** Random scenarios about the network around a datagram: routes, rules, addresses, links, neighbours. */
import type { Call, Scenario } from '../types.js';
import type { Draw } from './draw.js';
import * as frames from './frames.js';
import {
  anyAddr,
  defaultRoute,
  knownNeighbours,
  type Lab,
  newLab,
  payload,
  pktinfo,
  secondTap,
  toScenario,
} from './pieces.js';

const NETS = [
  '10.20.0.0/16',
  '10.20.0.0/24',
  '10.20.0.0/25',
  '10.20.0.128/25',
  '10.20.0.7/32',
  '10.20.0.0/30',
  '10.21.0.0/16',
  '10.20.0.0/8',
  '0.0.0.0/1',
  '128.0.0.0/1',
  'default',
  '10.9.0.0/24',
  '10.9.0.128/25',
  '10.9.0.1/32',
  '10.10.0.0/24',
  '172.16.5.0/24',
];
const TARGETS = [
  '10.20.0.7',
  '10.20.0.1',
  '10.20.0.129',
  '10.20.0.3',
  '10.20.1.1',
  '10.21.0.5',
  '10.9.0.1',
  '10.9.0.3',
  '10.10.0.1',
  '10.9.0.130',
  '172.16.5.5',
  '8.8.8.8',
  '200.1.1.1',
  '10.30.0.1',
  '10.9.0.255',
  '10.20.0.255',
  '127.0.0.1',
  '255.255.255.255',
  '224.1.2.3',
  '0.0.0.0',
];
const GATEWAYS = ['10.9.0.1', '10.9.0.3', '10.9.0.4', '10.10.0.1'];
const SOURCES = ['10.9.0.2', '10.9.0.22', '10.10.0.2', '10.9.0.99', '127.0.0.1'];
const TABLES = ['100', '101', 'main', 'local', 'default'];

function routeSpec(d: Draw): string {
  const net = d.pick(NETS);
  if (d.chance(0.15)) {
    const type = d.pick(['unreachable', 'prohibit', 'blackhole', 'throw']);
    return `${type} ${net}${d.chance(0.3) ? ` metric ${d.int(0, 3)}` : ''}${d.chance(0.4) ? ` table ${d.pick(TABLES)}` : ''}`;
  }
  if (d.chance(0.06)) return `${d.pick(['local', 'broadcast'])} ${net} dev ${d.pick(['lo', 'tap0', 'tap1'])}`;
  let text = net;
  if (d.chance(0.15)) text += ` tos ${d.pick(['0x10', '0x08', '0x04', '0x1c', '0x20', '0xb8'])}`;
  if (d.chance(0.75)) {
    text += ` via ${d.pick(GATEWAYS)}`;
    if (d.chance(0.3)) text += ` dev ${d.pick(['tap0', 'tap1'])}`;
    if (d.chance(0.1)) text += ' onlink';
  } else text += ` dev ${d.pick(['tap0', 'tap1', 'lo'])}`;
  if (d.chance(0.2)) text += ` src ${d.pick(SOURCES)}`;
  if (d.chance(0.3)) text += ` metric ${d.pick([0, 1, 2, 100])}`;
  if (d.chance(0.3)) text += ` table ${d.pick(TABLES)}`;
  if (d.chance(0.08)) text += ` scope ${d.pick(['link', 'host', 'global', 'site'])}`;
  if (d.chance(0.12)) text += ` mtu ${d.pick(['1000', 'lock 1000', '100', '9000'])}`;
  if (d.chance(0.06)) text += ` hoplimit ${d.pick([1, 5, 255])}`;
  return text;
}

function routeCommand(d: Draw): string {
  return `route ${d.weighted([
    [8, 'add'],
    [2, 'append'],
    [2, 'prepend'],
    [2, 'replace'],
    [1, 'change'],
    [3, 'del'],
  ])} ${routeSpec(d)}`;
}

function ruleCommand(d: Draw): string {
  if (d.chance(0.15)) return `rule del ${d.pick(['pref 0', 'pref 100', 'pref 32766', 'table 100'])}`;
  const parts: string[] = [];
  if (d.chance(0.15)) parts.push('not');
  if (d.chance(0.3))
    parts.push(`from ${d.pick(['10.9.0.2', '10.9.0.0/24', '10.9.0.22', 'all', '0.0.0.0/0', '10.10.0.2'])}`);
  if (d.chance(0.3))
    parts.push(`to ${d.pick(['10.20.0.0/16', '10.20.0.7', '10.9.0.0/24', 'all', '8.0.0.0/8'])}`);
  if (d.chance(0.25)) parts.push(`fwmark ${d.pick(['7', '0x10/0xf0', '1', '0'])}`);
  if (d.chance(0.2)) parts.push(`tos ${d.pick(['0x10', '0x04', '0x08', '0x1c', '0x20'])}`);
  if (d.chance(0.15)) parts.push(`oif ${d.pick(['tap0', 'tap1', 'lo'])}`);
  if (d.chance(0.08)) parts.push(`iif ${d.pick(['lo', 'tap0'])}`);
  if (d.chance(0.1)) parts.push(`ipproto ${d.pick(['udp', 'udplite', '6'])}`);
  if (d.chance(0.1)) parts.push(`dport ${d.pick(['53', '50-60', '9000'])}`);
  if (d.chance(0.1)) parts.push(`sport ${d.pick(['4000', '1-5000'])}`);
  if (d.chance(0.08)) parts.push(`uidrange ${d.pick(['0-0', '0-65534', '65534-65534'])}`);
  parts.push(`pref ${d.pick([0, 10, 100, 101, 200, 32765, 32767, 40000])}`);
  parts.push(
    d.weighted<() => string>([
      [8, () => `table ${d.pick(TABLES)}`],
      [1, () => d.pick(['blackhole', 'unreachable', 'prohibit'])],
      [1, () => `goto ${d.pick([200, 300, 32766])}`],
      [0.5, () => 'nop'],
      [1, () => `table main suppress_prefixlength ${d.pick([0, 8, 16, 24])}`],
    ])(),
  );
  return `rule add ${parts.join(' ')}`;
}

function network(d: Draw): Lab {
  const lab = newLab();
  knownNeighbours(lab);
  secondTap(lab);
  lab.ipExtra.push('addr add 10.9.0.22/24 dev tap0');
  if (d.chance(0.4)) defaultRoute(lab);
  return lab;
}

/** A datagram that asks for a route in some way. */
function probe(d: Draw, connected: boolean): Call {
  const addr = connected && d.chance(0.5) ? null : `${d.pick(TARGETS)}:${d.pick([53, 9000])}`;
  const dontroute = d.chance(0.08) ? { flags: 'MSG_DONTROUTE' } : {};
  if (d.chance(0.6)) return { call: 'sendto', data: payload(d, d.int(0, 8)), addr, ...dontroute };
  const cmsgs = d.weighted<() => NonNullable<Extract<Call, { call: 'sendmsg' }>['cmsgs']>>([
    [3, () => [{ level: 'SOL_IP', type: 'IP_PKTINFO', data: pktinfo(d) }]],
    [2, () => [{ level: 'SOL_IP', type: 'IP_TOS', data: d.pick([0x10, 0x08, 0x04, 0x1c, 0x20, 0xb8, 3]) }]],
    [1, () => [{ level: 'SOL_SOCKET', type: 'SO_MARK', data: { u32: d.pick([0, 1, 7, 0x10, 0x1f]) } }]],
    [1, () => []],
  ])();
  return { call: 'sendmsg', iov: [payload(d, d.int(0, 8))], name: addr, cmsgs, ...dontroute };
}

function socketSetting(d: Draw): Call {
  const [level, name, value] = d.pick([
    ['SOL_SOCKET', 'SO_MARK', d.pick([0, 1, 7, 0x10])],
    ['SOL_SOCKET', 'SO_BROADCAST', 1],
    ['SOL_SOCKET', 'SO_DONTROUTE', d.below(2)],
    ['SOL_IP', 'IP_TOS', d.pick([0, 0x10, 0x08, 0x1c, 0x20])],
    ['SOL_IP', 'IP_TRANSPARENT', d.below(2)],
    ['SOL_IP', 'IP_FREEBIND', 1],
    ['SOL_SOCKET', 'SO_BINDTODEVICE', { str: d.pick(['tap0', 'tap1', 'lo', '']) }],
    ['SOL_IP', 'IP_UNICAST_IF', { be32: d.pick([0, 1, 2, 3]) }],
    ['SOL_IP', 'IP_MULTICAST_IF', { mreqn: { ifindex: d.pick(['tap0', 'tap1', 'lo']) } }],
  ] as const);
  return { call: 'setsockopt', level, name, value };
}

function shown(d: Draw): Call {
  return {
    call: 'ip',
    args: d.weighted([
      [4, `route get ${d.pick(TARGETS)}`],
      [2, 'route show'],
      [1, 'route show table all'],
      [1, 'rule show'],
      [1, 'addr show'],
      [1, `route get ${d.pick(TARGETS)} from ${d.pick(SOURCES)}`],
      [1, `route get ${d.pick(TARGETS)} oif ${d.pick(['tap0', 'tap1', 'lo'])}`],
      [1, `route get ${d.pick(TARGETS)} mark 7`],
    ]),
  };
}

function open(d: Draw, lab: Lab): void {
  lab.calls.push({ call: 'socket' });
  lab.calls.push({
    call: 'bind',
    addr: `${d.weighted([
      [5, '0.0.0.0'],
      [2, '10.9.0.2'],
      [1, '10.9.0.22'],
      [1, '10.10.0.2'],
    ])}:4000`,
  });
}

/** Random tables, longest match, types, metrics, sources. */
export function route(d: Draw): Scenario {
  const lab = network(d);
  for (const command of d.list(1, 6, () => routeCommand(d))) lab.calls.push({ call: 'ip', args: command });
  open(d, lab);
  let connected = false;
  for (let i = d.int(4, 14); i > 0; i--) {
    const call = d.weighted<() => Call>([
      [8, () => probe(d, connected)],
      [3, () => ({ call: 'ip', args: routeCommand(d) })],
      [1, () => ({ call: 'connect', addr: d.chance(0.9) ? `${d.pick(TARGETS)}:53` : anyAddr(d) })],
      [1.5, () => socketSetting(d)],
      [1.5, () => shown(d)],
      [0.5, () => ({ call: 'getsockopt', level: 'SOL_IP', name: 'IP_MTU' })],
      [0.5, () => ({ call: 'getsockname' })],
    ])();
    lab.calls.push(call);
    connected ||= call.call === 'connect';
  }
  return toScenario(lab, 'routes');
}

/** Policy rules over a few tables. */
export function rule(d: Draw): Scenario {
  const lab = network(d);
  lab.ipExtra.push(
    'route add 10.20.0.0/16 via 10.9.0.3 table 100',
    'route add default via 10.10.0.1 table 101',
    ...(d.chance(0.5) ? ['route add prohibit 10.20.0.7 table 101'] : []),
    ...(d.chance(0.5) ? ['route add throw 10.20.0.0/25 table 100'] : []),
  );
  if (d.chance(0.15)) lab.user = true;
  for (const command of d.list(1, 4, () => ruleCommand(d))) lab.calls.push({ call: 'ip', args: command });
  open(d, lab);
  for (let i = d.int(4, 12); i > 0; i--) {
    lab.calls.push(
      d.weighted<() => Call>([
        [8, () => probe(d, false)],
        [2, () => ({ call: 'ip', args: d.chance(0.7) ? ruleCommand(d) : routeCommand(d) })],
        [2, () => socketSetting(d)],
        [1, () => shown(d)],
        [0.5, () => ({ call: 'connect', addr: `${d.pick(TARGETS)}:53` })],
      ])(),
    );
  }
  return toScenario(lab, 'policy rules');
}

function linkCommand(d: Draw): string {
  const dev = d.pick(['tap0', 'tap0', 'tap1', 'lo']);
  return d.weighted<() => string>([
    [4, () => `link set ${dev} ${d.pick(['up', 'down'])}`],
    [1, () => `link set ${dev} mtu ${d.pick([68, 576, 1000, 1500, 9000, 67, 70000])}`],
    [0.5, () => `link set ${d.pick(['tap0', 'tap1'])} address 02:00:00:00:0b:${d.pick(['01', '02'])}`],
    [
      3,
      () =>
        `addr add ${d.pick(['10.9.0.22/24', '10.9.0.33/24', '10.9.0.40/32', '10.11.0.2/16', '10.9.0.2/25', '10.12.0.2/31', '127.0.0.5/8', '192.168.7.1/30'])} ${d.chance(0.5) ? 'brd + ' : ''}dev ${dev}${d.chance(0.1) ? ' scope link' : ''}${d.chance(0.1) ? ' metric 5' : ''}${d.chance(0.06) ? ' noprefixroute' : ''}`,
    ],
    [
      2,
      () => `addr del ${d.pick(['10.9.0.2/24', '10.9.0.22/24', '10.10.0.2/24', '10.9.0.33/24'])} dev ${dev}`,
    ],
    [0.5, () => `addr add 10.9.0.60 peer 10.13.0.1/${d.pick([32, 24])} dev ${dev}`],
    [0.5, () => `addr flush dev ${d.pick(['tap0', 'tap1'])}`],
    [1, () => routeCommand(d)],
    [0.5, () => `link set ${d.pick(['tap0', 'tap1'])} arp ${d.pick(['on', 'off'])}`],
    [0.5, () => `link set ${d.pick(['tap0', 'tap1'])} multicast ${d.pick(['on', 'off'])}`],
    [0.3, () => `route flush ${d.pick(['table main', 'dev tap0', 'root 10.20.0.0/16'])}`],
  ])();
}

/** Links, addresses and routes that change while a socket is open. */
export function link(d: Draw): Scenario {
  const lab = network(d);
  if (d.chance(0.3)) lab.sysctlLate['net.ipv4.conf.tap0.promote_secondaries'] = 1;
  open(d, lab);
  let connected = false;
  for (let i = d.int(5, 14); i > 0; i--) {
    const call = d.weighted<() => Call>([
      [6, () => probe(d, connected)],
      [5, () => ({ call: 'ip', args: linkCommand(d) })],
      [1, () => ({ call: 'connect', addr: `${d.pick(TARGETS)}:53` })],
      [1.5, () => shown(d)],
      [0.5, () => socketSetting(d)],
      [0.5, () => ({ call: 'getsockname' })],
    ])();
    lab.calls.push(call);
    connected ||= call.call === 'connect';
  }
  return toScenario(lab, 'links and addresses');
}

const NEIGHBOURS = ['10.9.0.1', '10.9.0.3', '10.9.0.9', '10.9.0.10', '10.9.0.2', '10.10.0.1'];
const MACS = ['020000000901', '020000000903', '02000000090a', '000000000000', 'ffffffffffff', '01005e000001'];

function arpFrame(d: Draw): Call {
  const sender = d.pick([...NEIGHBOURS, '0.0.0.0', '8.8.8.8', '10.9.0.255', '127.0.0.1', '224.0.0.1']);
  const target = d.weighted([
    [6, '10.9.0.2'],
    [1, '10.9.0.22'],
    [1, sender],
    [1, '10.9.0.77'],
    [0.5, '10.10.0.2'],
    [0.5, '127.0.0.1'],
  ]);
  const hex = frames.arp({
    op: d.weighted([
      [4, 1],
      [4, 2],
      [0.3, 3],
      [0.2, 9],
    ]),
    sender,
    target,
    senderMac: d.weighted([
      [3, '020000000901'],
      [3, '02000000090a'],
      [1, d.pick(MACS)],
    ]),
    targetMac: d.pick([frames.OUR_MAC, '000000000000']),
    ...(d.chance(0.3) && { dst: d.pick([frames.OUR_MAC, frames.BROADCAST_MAC, '02000000ffff']) }),
  });
  const at = d.below(hex.length / 2) * 2;
  const mutated = d.chance(0.06) ? hex.slice(0, at) + d.hex(1) + hex.slice(at + 2) : hex;
  return { call: 'inject', hex: d.chance(0.03) ? mutated.slice(0, 28 + d.below(29) * 2) : mutated };
}

function neighCommand(d: Draw): string {
  const to = `${d.pick(NEIGHBOURS)} ${d.chance(0.8) ? `lladdr 02:00:00:00:09:${d.pick(['01', '03', '0a'])} ` : ''}dev ${d.pick(['tap0', 'tap0', 'tap1', 'lo'])}`;
  return d.weighted<() => string>([
    [
      5,
      () =>
        `neigh ${d.pick(['add', 'replace', 'replace', 'change'])} ${to} nud ${d.pick(['permanent', 'noarp', 'reachable', 'stale', 'failed', 'none', 'incomplete'])}`,
    ],
    [2, () => `neigh del ${d.pick(NEIGHBOURS)} dev ${d.pick(['tap0', 'tap1'])}`],
    [0.5, () => `neigh flush dev tap0`],
    [0.5, () => `neigh add proxy 10.9.0.77 dev tap0`],
  ])();
}

/** ARP in and out, neighbour states, the queue of waiting datagrams. Timers stay out: nothing here takes a second. */
export function neigh(d: Draw): Scenario {
  const lab = newLab();
  if (d.chance(0.3)) secondTap(lab);
  if (d.chance(0.2)) defaultRoute(lab);
  if (d.chance(0.3)) lab.ipExtra.push('addr add 10.9.0.22/24 dev tap0');
  for (const [key, values] of [
    ['arp_ignore', [0, 1, 2, 3, 4, 8]],
    ['arp_announce', [0, 1, 2]],
    ['arp_filter', [0, 1]],
    ['arp_accept', [0, 1, 2]],
    ['drop_gratuitous_arp', [0, 1]],
    ['proxy_arp', [0, 1]],
  ] as const) {
    if (d.chance(0.15)) lab.sysctlLate[`net.ipv4.conf.${d.pick(['tap0', 'all'])}.${key}`] = d.pick(values);
  }
  if (d.chance(0.2)) lab.sysctlLate['net.ipv4.neigh.tap0.unres_qlen_bytes'] = d.pick([0, 2000, 5000]);
  // An answer to a proxied address is delayed at random, unless told not to be.
  lab.sysctlLate['net.ipv4.neigh.tap0.proxy_delay'] = 0;
  lab.calls.push({ call: 'socket' }, { call: 'bind', addr: `${d.pick(['10.9.0.2', '0.0.0.0'])}:4000` });
  for (let i = d.int(4, 14); i > 0; i--) {
    lab.calls.push(
      d.weighted<() => Call>([
        [
          6,
          () => ({
            call: 'sendto',
            data: payload(d, d.pick([0, 3, 500, 1472, 3000])),
            addr: `${d.pick(NEIGHBOURS)}:53`,
            flags: [
              'MSG_DONTWAIT',
              ...(d.chance(0.1) ? ['MSG_CONFIRM'] : []),
              ...(d.chance(0.05) ? ['MSG_PROBE'] : []),
            ],
          }),
        ],
        [5, () => arpFrame(d)],
        [3, () => ({ call: 'ip', args: neighCommand(d) })],
        [1, () => ({ call: 'ip', args: 'neigh show' })],
        [0.3, () => ({ call: 'ip', args: `link set tap0 ${d.pick(['up', 'down'])}` })],
        [0.3, () => ({ call: 'connect', addr: `${d.pick(NEIGHBOURS)}:53` })],
      ])(),
    );
  }
  return toScenario(lab, 'neighbours and ARP');
}
