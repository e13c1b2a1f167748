/** Random scenarios about what comes back: ICMP errors, groups, datagrams from the wire and from ourselves. */
import type { Call, Scenario } from '../types.js';
import type { Draw } from './draw.js';
import * as frames from './frames.js';
import { goodAddr, ipOptions, knownNeighbours, type Lab, newLab, send, toScenario } from './pieces.js';

const RECEIVE_OPTIONS = [
  'IP_PKTINFO',
  'IP_RECVTTL',
  'IP_RECVTOS',
  'IP_RECVOPTS',
  'IP_RETOPTS',
  'IP_ORIGDSTADDR',
  'IP_CHECKSUM',
  'IP_RECVFRAGSIZE',
];

export function receiveOptions(d: Draw, fd?: string): Call[] {
  return d.some(RECEIVE_OPTIONS, 0.25).map((name) => ({
    call: 'setsockopt',
    ...(fd !== undefined && { fd }),
    level: 'SOL_IP',
    name,
    value: 1,
  }));
}

export function recv(d: Draw, fd?: string): Call {
  return {
    call: 'recvmsg',
    ...(fd !== undefined && { fd }),
    ...(d.chance(0.15) && { len: d.int(0, 20) }),
    ...(d.chance(0.2) && {
      flags: d.pick(['MSG_PEEK', 'MSG_TRUNC', 'MSG_PEEK|MSG_TRUNC', 'MSG_OOB', 'MSG_WAITALL']),
    }),
  };
}

/** An ICMP error about a datagram of ours, or about one that never was. */
function icmpError(d: Draw): string {
  const type = d.weighted([
    [9, 3],
    [2, 11],
    [2, 12],
    [1, 4],
    [1, 5],
    [0.5, d.below(20)],
  ]);
  const code =
    type === 3
      ? d.below(18)
      : d.weighted([
          [4, d.below(4)],
          [1, d.below(256)],
        ]);
  const f = {
    saddr: d.weighted([
      [20, '10.9.0.2'],
      [1, '10.9.0.3'],
    ]),
    daddr: d.weighted([
      [12, '10.9.0.1'],
      [2, '10.9.0.3'],
      [0.5, '8.8.8.8'],
    ]),
    sport: d.weighted([
      [20, 4000],
      [1, 4001],
    ]),
    dport: d.weighted([
      [20, 53],
      [1, 54],
    ]),
    payload: '00'.repeat(d.pick([0, 4, 100])),
    protocol: d.weighted([
      [20, 17 as const],
      [1, 136 as const],
    ]),
  };
  const quoted = frames.quoteUdp(
    f,
    d.weighted([
      [12, 28],
      [3, 200],
      [0.4, d.below(28)],
    ]),
    d.chance(0.1) ? { options: '01010100' } : {},
  );
  const rest = d.weighted([
    [5, 0],
    [2, d.pick([576, 1000, 1400])],
    [1, d.u32()],
    [1, 0x0a090003],
  ]);
  const extension =
    d.chance(0.1) && quoted.length < 256 ? `${quoted.padEnd(256, '0')}2000${d.hex(2)}${d.hex(8)}` : quoted;
  return frames.icmpMessage(type, code, rest, extension, d.chance(0.04) ? 1 : 0);
}

function icmpFrame(d: Draw): Call {
  const message = d.weighted<() => string>([
    [8, () => icmpError(d)],
    [
      1,
      () =>
        frames.icmpMessage(
          8,
          d.weighted([
            [5, 0],
            [1, 7],
          ]),
          d.u32(),
          d.hex(d.int(0, 60)),
        ),
    ],
    [
      0.3,
      () =>
        frames.icmpMessage(d.pick([0, 9, 10, 13, 15, 17, 42, 200]), d.below(3), d.u32(), d.hex(d.int(0, 20))),
    ],
  ])();
  const ip = {
    saddr: d.weighted([
      [7, '10.9.0.1'],
      [2, '10.9.0.3'],
      [0.5, '8.8.8.8'],
      [0.3, '10.9.0.255'],
      [0.3, '127.0.0.1'],
    ]),
    daddr: d.weighted([
      [9, '10.9.0.2'],
      [0.5, '10.9.0.255'],
      [0.3, '224.0.0.1'],
      [0.3, '10.9.0.77'],
    ]),
    protocol: 1,
    payload: message,
    ...(d.chance(0.1) && { tos: d.below(256) }),
    ...(d.chance(0.04) && { checkError: 1 }),
  };
  const dst =
    ip.daddr === '10.9.0.255'
      ? frames.BROADCAST_MAC
      : ip.daddr === '224.0.0.1'
        ? frames.multicastMac(ip.daddr)
        : frames.OUR_MAC;
  return { call: 'inject', hex: frames.ipv4Frame(ip, dst) };
}

/** ICMP in, and how the next calls answer: pending errors, the error queue, redirects, path MTU. */
export function icmp(d: Draw): Scenario {
  const lab = newLab();
  knownNeighbours(lab);
  if (d.chance(0.3)) lab.ipExtra.push('route add default via 10.9.0.1');
  if (d.chance(0.1)) lab.sysctl['net.ipv4.ip_no_pmtu_disc'] = d.int(1, 3);
  if (d.chance(0.1)) lab.sysctl['net.ipv4.icmp_echo_ignore_all'] = 1;
  if (d.chance(0.1)) lab.sysctl['net.ipv4.icmp_echo_ignore_broadcasts'] = 0;
  const lite = d.chance(0.08) ? { proto: 136 } : {};
  lab.calls.push(
    { call: 'socket', ...lite },
    { call: 'bind', addr: `${d.pick(['10.9.0.2', '0.0.0.0'])}:4000` },
  );
  if (d.chance(0.6)) lab.calls.push({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_RECVERR', value: 1 });
  if (d.chance(0.15))
    lab.calls.push({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_RECVERR_RFC4884', value: 1 });
  if (d.chance(0.3))
    lab.calls.push({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_MTU_DISCOVER', value: d.int(0, 5) });
  lab.calls.push(...receiveOptions(d).slice(0, 2));
  if (d.chance(0.6)) lab.calls.push({ call: 'connect', addr: '10.9.0.1:53' });
  for (let i = d.int(4, 14); i > 0; i--) {
    lab.calls.push(
      d.weighted<() => Call>([
        [6, () => icmpFrame(d)],
        [
          4,
          () =>
            send(d, {
              size: d.pick([1, 10, 600, 1472]),
              addr: d.chance(0.5) ? null : d.pick(['10.9.0.1:53', '10.9.0.3:53', '8.8.8.8:53']),
              cmsgs: 0.1,
            }),
        ],
        [
          4,
          () => ({
            call: 'recvmsg',
            flags: d.chance(0.8) ? 'MSG_ERRQUEUE' : 'MSG_ERRQUEUE|MSG_PEEK',
            ...(d.chance(0.1) && { len: d.int(0, 10) }),
          }),
        ],
        [1, () => recv(d)],
        [1, () => ({ call: 'getsockopt', level: 'SOL_SOCKET', name: 'SO_ERROR' })],
        [0.5, () => ({ call: 'getsockopt', level: 'SOL_IP', name: 'IP_MTU' })],
        [0.5, () => ({ call: 'ip', args: `route get ${d.pick(['10.9.0.1', '10.9.0.3', '8.8.8.8'])}` })],
        [0.3, () => ({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_RECVERR', value: d.below(2) })],
      ])(),
    );
  }
  return toScenario(lab, 'ICMP errors');
}

function injectedDatagram(d: Draw, lab: Lab): void {
  const lite = d.chance(0.1);
  const f = {
    saddr: d.weighted([
      [6, '10.9.0.1'],
      [2, '10.9.0.3'],
      [0.3, '10.9.0.2'],
      [0.3, '0.0.0.0'],
      [0.3, '127.0.0.1'],
      [0.3, '224.0.0.1'],
      [0.3, '8.8.8.8'],
    ]),
    daddr: d.weighted([
      [8, '10.9.0.2'],
      [1, '10.9.0.255'],
      [1, '255.255.255.255'],
      [0.3, '10.9.0.77'],
      [0.3, '127.0.0.1'],
    ]),
    sport: d.weighted([
      [6, 53],
      [1, 54],
      [0.3, 0],
    ]),
    dport: d.weighted([
      [8, 4000],
      [1, 4001],
      [1, 4999],
      [0.2, 0],
    ]),
    payload: d.hex(d.pick([0, 1, 5, 20, 50])),
    protocol: lite ? (136 as const) : (17 as const),
    check: d.weighted([
      [8, 'right' as const],
      [0.6, 'wrong' as const],
      [0.8, 'none' as const],
    ]),
    ...(d.chance(lite ? 0.6 : 0.06) && { len: d.pick([0, 7, 8, 9, 12, 20, 500]) }),
  };
  const options = d.chance(0.15) ? ipOptions(d) : '';
  const ip = {
    ...(d.chance(0.3) && { tos: d.below(256) }),
    ...(d.chance(0.3) && { ttl: d.pick([1, 2, 255]) }),
    ...(options.length > 0 &&
      options.length <= 80 && { options: options.padEnd(Math.ceil(options.length / 8) * 8, '0') }),
    ...(d.chance(0.03) && { checkError: 5 }),
  };
  const dst = f.daddr.endsWith('255')
    ? frames.BROADCAST_MAC
    : d.chance(0.96)
      ? frames.OUR_MAC
      : '02000000ffff';
  if (d.chance(0.2)) fragmented(d, lab, f, dst);
  else {
    const hex = frames.udpFrame(f, ip, dst);
    const padded = d.chance(0.1) ? hex + d.hex(d.int(1, 18)) : hex;
    const at = 28 + d.below(padded.length / 2 - 14) * 2;
    lab.calls.push({
      call: 'inject',
      hex: d.chance(0.05) ? padded.slice(0, at) + d.hex(1) + padded.slice(at + 2) : padded,
    });
  }
}

/** A datagram in pieces, which may come in any order, twice, overlapping, or not all. */
function fragmented(d: Draw, lab: Lab, f: frames.UdpFields, dst: string): void {
  const whole = frames.udpDatagram({ ...f, payload: d.hex(d.int(24, 80)) });
  const id = d.below(65536);
  const cuts = [0, 8 * d.int(1, 3), 8 * d.int(4, 5), whole.length / 2].filter(
    (c, i, all) => i === 0 || c > all[i - 1]!,
  );
  const pieces = cuts.slice(0, -1).map((from, i) => {
    const to = cuts[i + 1]!;
    const more = to < whole.length / 2 ? 0x2000 : 0;
    const overlap = d.chance(0.06) && more ? 8 : 0;
    const payload = whole.slice(from * 2, (to + overlap) * 2);
    return frames.ipv4Frame(
      {
        saddr: f.saddr,
        daddr: f.daddr,
        protocol: f.protocol ?? 17,
        payload,
        id,
        fragOff: (from / 8) | more,
        ...(d.chance(0.1) && { tos: d.below(4) }),
      },
      dst,
    );
  });
  const order = d.chance(0.4) ? [...pieces].reverse() : pieces;
  for (const hex of order) {
    if (d.chance(0.05)) continue;
    lab.calls.push({ call: 'inject', hex });
    if (d.chance(0.05)) lab.calls.push({ call: 'inject', hex });
  }
}

/** Receiving: lookup among sockets, control messages, checksums, reassembly, loopback, closed ports. */
export function receive(d: Draw): Scenario {
  const lab = newLab();
  knownNeighbours(lab);
  if (d.chance(0.2)) lab.sysctlLate['net.ipv4.conf.tap0.rp_filter'] = d.int(0, 2);
  if (d.chance(0.1)) lab.sysctlLate['net.ipv4.conf.tap0.accept_local'] = 1;
  if (d.chance(0.1)) lab.sysctlLate['net.ipv4.conf.tap0.accept_source_route'] = d.below(2);
  if (d.chance(0.3)) lab.ipExtra.push('route add default via 10.9.0.1');
  const fds = ['a', 'b'].slice(0, d.int(1, 2));
  for (const fd of fds) {
    lab.calls.push({ call: 'socket', fd, ...(d.chance(0.12) && { proto: 136 }) });
    if (d.chance(0.4))
      lab.calls.push({
        call: 'setsockopt',
        fd,
        level: 'SOL_SOCKET',
        // Who of a group of two receives is drawn with a key of the host's own.
        name: fd === 'a' ? d.pick(['SO_REUSEADDR', 'SO_REUSEPORT']) : 'SO_REUSEADDR',
        value: 1,
      });
    if (d.chance(0.1))
      lab.calls.push({
        call: 'setsockopt',
        fd,
        level: 'SOL_SOCKET',
        name: 'SO_BINDTODEVICE',
        value: { str: d.pick(['tap0', 'lo']) },
      });
    lab.calls.push({
      call: 'bind',
      fd,
      addr: `${d.weighted([
        [4, '0.0.0.0'],
        [3, '10.9.0.2'],
        [1, '127.0.0.1'],
        [0.5, '10.9.0.255'],
      ])}:${fd === 'a' ? 4000 : d.pick([4000, 4001])}`,
    });
    if (d.chance(0.3))
      lab.calls.push({
        call: 'connect',
        fd,
        addr: d.pick(['10.9.0.1:53', '10.9.0.3:53', '127.0.0.1:4000', '10.9.0.2:4001']),
      });
    lab.calls.push(...receiveOptions(d, fd));
    if (d.chance(0.2))
      lab.calls.push({
        call: 'setsockopt',
        fd,
        level: 'SOL_IP',
        name: 'IP_MINTTL',
        value: d.pick([0, 2, 255]),
      });
    if (d.chance(0.1))
      lab.calls.push({
        call: 'setsockopt',
        fd,
        level: 'SOL_SOCKET',
        name: 'SO_RCVBUF',
        value: d.pick([0, 2304, 5000]),
      });
    if (d.chance(0.1))
      lab.calls.push({ call: 'setsockopt', fd, level: 'SOL_UDP', name: 'UDP_GRO', value: 1 });
  }
  for (let i = d.int(4, 12); i > 0; i--) {
    const fd = d.pick(fds);
    const pick = d.below(20);
    if (pick < 7) injectedDatagram(d, lab);
    else if (pick < 13) lab.calls.push(recv(d, fd));
    else if (pick < 17)
      lab.calls.push(
        send(d, {
          fd,
          size: d.pick([0, 5, 50, 1472, 3000]),
          addr: d.pick([
            '127.0.0.1:4000',
            '10.9.0.2:4000',
            '10.9.0.2:4001',
            '127.0.0.1:9',
            '127.3.2.1:4000',
            null,
          ]),
          cmsgs: 0.2,
        }),
      );
    else if (pick === 17) lab.calls.push({ call: 'ioctl', fd, req: 'FIONREAD' });
    else if (pick === 18) lab.calls.push({ call: 'shutdown', fd, how: d.pick([0, 1, 2]) });
    else lab.calls.push(send(d, { fd, size: 5, addr: goodAddr(d) }));
  }
  for (const fd of fds) lab.calls.push(recv(d, fd));
  return toScenario(lab, 'receiving');
}
