/** Random scenarios about one datagram's way from the call to the device: sections A to F of what `udp_sendmsg` does. */
import type { Call, Message, Scenario } from '../types.js';
import type { Draw } from './draw.js';
import {
  anyAddr,
  anyInt,
  anyLen,
  anyPayload,
  cmsg,
  defaultRoute,
  flags,
  goodAddr,
  ipOptions,
  knownNeighbours,
  type Lab,
  newLab,
  openSocket,
  payload,
  secondTap,
  send,
  sizeOf,
  toScenario,
} from './pieces.js';
import { setOption } from './topics_socket.js';

function lab(d: Draw): Lab {
  const made = newLab();
  knownNeighbours(made);
  if (d.chance(0.2)) secondTap(made);
  if (d.chance(0.3)) defaultRoute(made);
  return made;
}

function broadcastMaybe(d: Draw, l: Lab): void {
  if (d.chance(0.4))
    l.calls.push({ call: 'setsockopt', level: 'SOL_SOCKET', name: 'SO_BROADCAST', value: 1 });
}

/** Arguments of `sendto` and `sendmsg`, bad ones among them. */
export function args(d: Draw): Scenario {
  const l = lab(d);
  openSocket(d, l);
  broadcastMaybe(d, l);
  if (d.chance(0.4)) l.calls.push({ call: 'connect', addr: goodAddr(d) });
  for (let i = d.int(3, 10); i > 0; i--) {
    const fd = d.chance(0.03) ? { fd: d.pick([-1, 99999]) } : {};
    if (d.chance(0.5)) {
      l.calls.push({
        call: 'sendto',
        ...fd,
        data: anyPayload(d),
        ...flags(d, 0.1),
        addr: anyAddr(d),
        ...(d.chance(0.15) && { addrlen: anyLen(d) }),
        ...(d.chance(0.05) && { len: d.pick([0, 1, 100, 65535, 65536, 0x7fffffff, -1]) }),
      });
    } else {
      l.calls.push({
        call: 'sendmsg',
        ...fd,
        iov: d.list(0, 4, () => (d.chance(0.9) ? payload(d, d.int(0, 400)) : anyPayload(d))),
        ...flags(d, 0.1),
        name: anyAddr(d),
        ...(d.chance(0.15) && { namelen: anyLen(d) }),
        ...(d.chance(0.05) && { iovlen: d.pick([0, 1, 2, 5, 1024, 1025, 100000]) }),
        ...(d.chance(0.1) && {
          controllen: d.pick([0, 1, 15, 16, 17, 1000, 131071, 131072, 0x7fffffff, 0x80000000]),
        }),
      });
    }
    if (d.chance(0.1)) l.calls.push({ call: 'getsockname' });
  }
  return toScenario(l, 'arguments of a send');
}

/** A raw control buffer: messages built by hand, with lengths that lie. */
function rawControl(d: Draw): Pick<Message, 'control_hex' | 'controllen'> {
  const le = (n: number, bytes: number) => {
    let text = '';
    for (let i = 0; i < bytes; i++, n = Math.floor(n / 256)) text += (n % 256).toString(16).padStart(2, '0');
    return text;
  };
  const text = d
    .list(1, 3, () => {
      const body = d.pick([
        '',
        '10',
        '40000000',
        '4000000000000000',
        '08000a09',
        `02000000${'0a090002'}00000000`,
        d.hex(d.int(0, 24)),
      ]);
      const real = 16 + body.length / 2;
      const len = d.chance(0.7)
        ? real
        : d.pick([0, 1, 15, 16, 17, 18, 20, 24, 28, real + 1, real + 8, 1000, 0x7fffffff]);
      const [level, type] = d.pick([
        [0, 1],
        [0, 2],
        [0, 8],
        [0, 7],
        [17, 103],
        [1, 36],
        [1, 12],
        [41, 50],
        [17, 1],
        [0, 99],
        [1, 1],
      ] as const);
      const padding = d.chance(0.9) ? (8 - ((body.length / 2) % 8)) % 8 : d.int(0, 8);
      return le(len, 8) + le(level, 4) + le(type, 4) + body + '00'.repeat(padding);
    })
    .join('');
  return { control_hex: text, ...(d.chance(0.2) && { controllen: d.int(0, text.length / 2) }) };
}

/** Control messages, typed and raw, on connected and unconnected sockets. */
export function control(d: Draw): Scenario {
  const l = lab(d);
  l.ipExtra.push('addr add 10.9.0.22/24 dev tap0');
  openSocket(d, l, d.chance(0.1) ? { proto: 'IPPROTO_UDPLITE' } : {});
  broadcastMaybe(d, l);
  if (d.chance(0.2)) l.calls.push(setOption(d));
  const connected = d.chance(0.4);
  if (connected) l.calls.push({ call: 'connect', addr: goodAddr(d) });
  for (let i = d.int(3, 10); i > 0; i--) {
    const name = connected && d.chance(0.7) ? null : d.chance(0.8) ? goodAddr(d) : anyAddr(d);
    const ctl = d.chance(0.25) ? rawControl(d) : { cmsgs: d.list(1, 3, () => cmsg(d)) };
    l.calls.push({
      call: 'sendmsg',
      iov: [payload(d, d.chance(0.8) ? d.int(0, 60) : sizeOf(d))],
      ...flags(d),
      name,
      ...ctl,
    });
  }
  return toScenario(l, 'control messages');
}

/** IP options from the socket and from control messages, through fragmentation and corking. */
export function options(d: Draw): Scenario {
  const l = lab(d);
  if (d.chance(0.15)) l.user = true;
  openSocket(d, l);
  broadcastMaybe(d, l);
  for (let i = d.int(2, 5); i > 0; i--) {
    if (d.chance(0.8)) {
      l.calls.push(
        { call: 'setsockopt', level: 'SOL_IP', name: 'IP_OPTIONS', value: { hex: ipOptions(d) } },
        {
          call: 'getsockopt',
          level: 'SOL_IP',
          name: 'IP_OPTIONS',
          ...(d.chance(0.2) && { len: d.int(0, 44) }),
        },
      );
    }
    if (d.chance(0.2)) l.calls.push({ call: 'connect', addr: d.chance(0.8) ? goodAddr(d) : anyAddr(d) });
    l.calls.push(
      send(d, {
        size: d.chance(0.7) ? d.int(0, 40) : sizeOf(d),
        addr: d.chance(0.8) ? goodAddr(d) : anyAddr(d),
      }),
    );
    if (d.chance(0.4)) {
      const cmsgs = [{ level: 'SOL_IP', type: 'IP_RETOPTS', data: { hex: ipOptions(d) } }];
      l.calls.push({
        call: 'sendmsg',
        iov: [payload(d, d.chance(0.8) ? 4 : sizeOf(d))],
        name: goodAddr(d),
        cmsgs,
      });
    }
  }
  return toScenario(l, 'IP options');
}

/** Datagrams in pieces: UDP_CORK, MSG_MORE, and what the later pieces may say. */
export function cork(d: Draw): Scenario {
  const l = lab(d);
  if (d.chance(0.2)) l.taps = [{ ...l.taps[0], mtu: d.pick([576, 1000, 9000, 68]) }, ...l.taps.slice(1)];
  openSocket(d, l, d.chance(0.15) ? { proto: 'IPPROTO_UDPLITE' } : {});
  if (d.chance(0.3)) l.calls.push(setOption(d));
  if (d.chance(0.3))
    l.calls.push({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_MTU_DISCOVER', value: d.int(0, 5) });
  if (d.chance(0.2))
    l.calls.push({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_OPTIONS', value: { hex: ipOptions(d) } });
  if (d.chance(0.4)) l.calls.push({ call: 'connect', addr: goodAddr(d) });
  for (let i = d.int(4, 14); i > 0; i--) {
    l.calls.push(
      d.weighted<() => Call>([
        [
          8,
          () =>
            send(d, {
              size: d.pick([
                0,
                1,
                7,
                8,
                20,
                100,
                500,
                700,
                1464,
                1472,
                1480,
                1481,
                2000,
                3000,
                20000,
                65507,
                65000,
                d.below(2000),
              ]),
              more: 0.6,
              ...(d.chance(0.2) && { addr: anyAddr(d) }),
            }),
        ],
        [2, () => ({ call: 'setsockopt', level: 'SOL_UDP', name: 'UDP_CORK', value: d.pick([0, 1]) })],
        [
          0.7,
          () => ({
            call: 'connect',
            addr: d.chance(0.7) ? goodAddr(d) : { ip: '0.0.0.0', port: 0, family: 'AF_UNSPEC' },
          }),
        ],
        [0.7, () => setOption(d)],
        [0.4, () => ({ call: 'shutdown', how: d.pick([0, 1, 2]) })],
        [0.4, () => ({ call: 'getsockname' })],
        [0.3, () => ({ call: 'ioctl', req: 'SIOCOUTQ' })],
        [
          0.5,
          () => ({
            call: 'sendto',
            data: { bad: d.pick([10, 1472, 3000]) },
            addr: goodAddr(d),
            flags: ['MSG_MORE'],
          }),
        ],
      ])(),
    );
  }
  if (d.chance(0.3)) l.calls.push({ call: 'close' });
  return toScenario(l, 'corking');
}

const SEGMENTS = [0, 1, 2, 7, 8, 100, 500, 736, 1000, 1400, 1464, 1472, 1473, 1480, 2000, 65535];

/** UDP_SEGMENT by option and by control message, on devices with and without offloads. */
export function gso(d: Draw): Scenario {
  const l = lab(d);
  const tap = d.weighted<NonNullable<Scenario['taps']>[number]>([
    [4, {}],
    [1, { vnet_hdr: true }],
    [1, { vnet_hdr: true, offload: ['CSUM'] }],
    [2, { vnet_hdr: true, offload: ['CSUM', 'USO4', 'USO6'] }],
    [1, { vnet_hdr: true, offload: ['CSUM', 'TSO4', 'TSO6', 'USO4', 'USO6'] }],
  ]);
  l.taps = [{ ...tap, ...(d.chance(0.2) && { mtu: d.pick([576, 1000, 9000]) }) }, ...l.taps.slice(1)];
  openSocket(d, l, d.chance(0.08) ? { proto: 'IPPROTO_UDPLITE' } : {});
  broadcastMaybe(d, l);
  if (d.chance(0.2)) l.calls.push({ call: 'setsockopt', level: 'SOL_SOCKET', name: 'SO_NO_CHECK', value: 1 });
  if (d.chance(0.2))
    l.calls.push({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_OPTIONS', value: { hex: ipOptions(d) } });
  if (d.chance(0.5))
    l.calls.push({ call: 'setsockopt', level: 'SOL_UDP', name: 'UDP_SEGMENT', value: d.pick(SEGMENTS) });
  if (d.chance(0.3))
    l.calls.push({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_MTU_DISCOVER', value: d.int(0, 5) });
  const connected = d.chance(0.5);
  if (connected) l.calls.push({ call: 'connect', addr: goodAddr(d) });
  for (let i = d.int(2, 7); i > 0; i--) {
    const size = d.pick([
      0,
      1,
      5,
      100,
      128,
      129,
      1000,
      1471,
      1472,
      1473,
      1474,
      2944,
      2945,
      5000,
      14720,
      30000,
      64768,
      65507,
      65508,
      d.below(8000),
    ]);
    const by = d.chance(0.6)
      ? { cmsgs: [{ level: 'SOL_UDP', type: 'UDP_SEGMENT', data: { u16: d.pick(SEGMENTS) } }] }
      : {};
    const name = connected && d.chance(0.7) ? null : d.chance(0.9) ? goodAddr(d) : anyAddr(d);
    l.calls.push({ call: 'sendmsg', iov: [payload(d, size)], ...flags(d, 0.15), name, ...by });
  }
  return toScenario(l, 'segmentation');
}

/** UDP-Lite coverage and the checksum's other cases. */
export function checksum(d: Draw): Scenario {
  const l = lab(d);
  if (d.chance(0.4))
    l.taps = [{ vnet_hdr: true, ...(d.chance(0.7) && { offload: ['CSUM'] as const }) }, ...l.taps.slice(1)];
  openSocket(d, l, d.chance(0.7) ? { proto: 'IPPROTO_UDPLITE' } : {});
  if (d.chance(0.4)) l.calls.push({ call: 'connect', addr: goodAddr(d) });
  for (let i = d.int(3, 9); i > 0; i--) {
    l.calls.push(
      d.weighted<() => Call>([
        [
          2,
          () => ({
            call: 'setsockopt',
            level: d.pick(['SOL_UDPLITE', 'SOL_UDP']),
            name: d.pick(['UDPLITE_SEND_CSCOV', 'UDPLITE_RECV_CSCOV']),
            value: d.pick([0, 1, 7, 8, 9, 20, 28, 100, 1480, 65535, 65536, -1]),
          }),
        ],
        [
          1,
          () => ({
            call: 'getsockopt',
            level: 'SOL_UDPLITE',
            name: d.pick(['UDPLITE_SEND_CSCOV', 'UDPLITE_RECV_CSCOV']),
          }),
        ],
        [1, () => ({ call: 'setsockopt', level: 'SOL_SOCKET', name: 'SO_NO_CHECK', value: d.below(2) })],
        [
          6,
          () =>
            send(d, {
              size: d.pick([0, 1, 2, 5, 20, 21, 100, 1471, 1472, 1473, 3000, 9001]),
              more: 0.15,
              cmsgs: 0.1,
            }),
        ],
      ])(),
    );
  }
  return toScenario(l, 'checksums and UDP-Lite');
}

/** `sendmmsg`: lengths, the error that stops it, corked elements. */
export function mmsg(d: Draw): Scenario {
  const l = lab(d);
  openSocket(d, l);
  broadcastMaybe(d, l);
  if (d.chance(0.4)) l.calls.push({ call: 'connect', addr: goodAddr(d) });
  if (d.chance(0.2)) l.calls.push({ call: 'setsockopt', level: 'SOL_UDP', name: 'UDP_CORK', value: 1 });
  for (let i = d.int(1, 4); i > 0; i--) {
    const msgs: Message[] = d.list(0, 7, () => ({
      iov: d.chance(0.05) ? [anyPayload(d)] : d.list(0, 2, () => payload(d, d.int(0, 60))),
      name: d.chance(0.3) ? null : d.chance(0.85) ? goodAddr(d) : anyAddr(d),
      ...(d.chance(0.2) && { cmsgs: d.list(1, 2, () => cmsg(d)) }),
      ...(d.chance(0.04) && { namelen: anyLen(d) }),
    }));
    l.calls.push({ call: 'sendmmsg', msgs, ...flags(d, 0.1) });
    if (d.chance(0.3)) l.calls.push({ call: 'getsockopt', level: 'SOL_SOCKET', name: 'SO_ERROR' });
  }
  return toScenario(l, 'sendmmsg');
}

/** Zero copy and timestamps: what appears on the error queue. */
export function queue(d: Draw): Scenario {
  const l = lab(d);
  openSocket(d, l, { port: 4000 });
  if (d.chance(0.6))
    l.calls.push({
      call: 'setsockopt',
      level: 'SOL_SOCKET',
      name: 'SO_ZEROCOPY',
      value: d.chance(0.9) ? 1 : anyInt(d),
    });
  if (d.chance(0.6))
    l.calls.push({
      call: 'setsockopt',
      level: 'SOL_SOCKET',
      name: 'SO_TIMESTAMPING',
      value: { u32: d.pick([0x2, 0x12, 0x92, 0x102, 0x112, 0x892, 0x992, 0x812, 0xc92, 0x1ff, 0x40000]) },
    });
  if (d.chance(0.4)) l.calls.push({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_RECVERR', value: 1 });
  if (d.chance(0.3)) l.calls.push({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_MTU_DISCOVER', value: 2 });
  if (d.chance(0.5)) l.calls.push({ call: 'connect', addr: goodAddr(d) });
  for (let i = d.int(3, 9); i > 0; i--) {
    const zero = d.chance(0.4) ? { flags: ['MSG_ZEROCOPY', ...(d.chance(0.15) ? ['MSG_MORE'] : [])] } : {};
    l.calls.push({
      ...send(d, { size: d.pick([1, 4, 100, 1472, 1473, 3000, 20000]), addr: goodAddr(d), cmsgs: 0.2 }),
      ...zero,
    } as Call);
    if (d.chance(0.6))
      l.calls.push({ call: 'recvmsg', flags: 'MSG_ERRQUEUE', ...(d.chance(0.1) && { len: d.int(0, 18) }) });
    if (d.chance(0.1))
      l.calls.push({ call: 'setsockopt', level: 'SOL_UDP', name: 'UDP_CORK', value: d.below(2) });
  }
  l.calls.push({ call: 'recvmsg', flags: 'MSG_ERRQUEUE' }, { call: 'recvmsg', flags: 'MSG_ERRQUEUE' });
  return toScenario(l, 'zero copy and timestamps');
}
