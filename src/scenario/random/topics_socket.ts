/** Random scenarios about sockets and their options: what `socket`, `bind`, `connect` and `setsockopt` leave behind. */
import type { Call, Scenario, Value } from '../types.js';
import type { Draw } from './draw.js';
import {
  anyAddr,
  anyInt,
  anyLen,
  defaultRoute,
  goodAddr,
  ipOptions,
  knownNeighbours,
  newLab,
  openSocket,
  payload,
  secondTap,
  send,
  sized,
  toScenario,
} from './pieces.js';

const IP_NAMES = [
  'IP_TOS',
  'IP_TTL',
  'IP_HDRINCL',
  'IP_OPTIONS',
  'IP_ROUTER_ALERT',
  'IP_RECVOPTS',
  'IP_RETOPTS',
  'IP_PKTINFO',
  'IP_MTU_DISCOVER',
  'IP_RECVERR',
  'IP_RECVTTL',
  'IP_RECVTOS',
  'IP_MTU',
  'IP_FREEBIND',
  'IP_PASSSEC',
  'IP_TRANSPARENT',
  'IP_ORIGDSTADDR',
  'IP_MINTTL',
  'IP_NODEFRAG',
  'IP_CHECKSUM',
  'IP_BIND_ADDRESS_NO_PORT',
  'IP_RECVFRAGSIZE',
  'IP_RECVERR_RFC4884',
  'IP_MULTICAST_IF',
  'IP_MULTICAST_TTL',
  'IP_MULTICAST_LOOP',
  'IP_MULTICAST_ALL',
  'IP_UNICAST_IF',
  'IP_LOCAL_PORT_RANGE',
  'IP_PROTOCOL',
];
const SOCKET_NAMES = [
  'SO_DEBUG',
  'SO_REUSEADDR',
  'SO_TYPE',
  'SO_ERROR',
  'SO_DONTROUTE',
  'SO_BROADCAST',
  'SO_SNDBUF',
  'SO_RCVBUF',
  'SO_NO_CHECK',
  'SO_PRIORITY',
  'SO_REUSEPORT',
  'SO_SNDTIMEO',
  'SO_BINDTODEVICE',
  'SO_TIMESTAMP',
  'SO_SNDBUFFORCE',
  'SO_MARK',
  'SO_TIMESTAMPING',
  'SO_PROTOCOL',
  'SO_DOMAIN',
  'SO_ZEROCOPY',
  'SO_TXTIME',
  'SO_BINDTOIFINDEX',
  'SO_KEEPALIVE',
  'SO_OOBINLINE',
  'SO_LINGER',
  'SO_PASSCRED',
  'SO_RCVLOWAT',
  'SO_SNDLOWAT',
  'SO_RCVTIMEO',
  'SO_TIMESTAMPNS',
  'SO_RXQ_OVFL',
  'SO_PEEK_OFF',
  'SO_ACCEPTCONN',
  'SO_RCVBUFFORCE',
  'SO_SELECT_ERR_QUEUE',
];
const UDP_NAMES = [
  'UDP_CORK',
  'UDP_ENCAP',
  'UDP_NO_CHECK6_TX',
  'UDP_NO_CHECK6_RX',
  'UDP_SEGMENT',
  'UDP_GRO',
  'UDPLITE_SEND_CSCOV',
  'UDPLITE_RECV_CSCOV',
];

/** Datagram sockets, and types that an address family refuses; other sockets are not this stack's. */
const SOCKET_TYPES = [
  'SOCK_DGRAM',
  'SOCK_DGRAM',
  'SOCK_DGRAM|SOCK_NONBLOCK',
  'SOCK_DGRAM|SOCK_CLOEXEC',
  0,
  4,
  6,
  7,
  11,
  99,
  0x1002,
  0x80000000,
];

function level(d: Draw): readonly [level: string | number, names: readonly (string | number)[]] {
  return d.weighted<readonly [string | number, readonly (string | number)[]]>([
    [8, ['SOL_IP', IP_NAMES]],
    [7, ['SOL_SOCKET', SOCKET_NAMES]],
    [3, ['SOL_UDP', UDP_NAMES]],
    [1, ['SOL_UDPLITE', UDP_NAMES]],
    [0.3, ['SOL_IPV6', [1, 16, 41]]],
    [0.2, [d.pick([6, 255, 999, -1]), [1, 2, 3]]],
  ]);
}

function optionValue(d: Draw, name: string | number): Value | null {
  switch (name) {
    case 'IP_OPTIONS':
      return { hex: ipOptions(d) };
    case 'SO_BINDTODEVICE':
      return d.pick<Value>([
        { str: 'tap0' },
        { str: 'lo' },
        { str: 'tap1' },
        { str: '' },
        { str: 'tap0\0' },
        { str: 'nosuchdevice_with_a_long_name' },
      ]);
    case 'SO_BINDTOIFINDEX':
      return d.pick<Value>([{ ifindex: 'tap0' }, { ifindex: 'lo' }, 0, 2, 99, -1]);
    case 'IP_UNICAST_IF':
      return d.pick<Value>([{ be32: 2 }, { be32: 1 }, { be32: 0 }, { be32: 99 }, 2]);
    case 'IP_MULTICAST_IF':
      return d.pick<Value>([
        { ip: '10.9.0.2' },
        { ip: '0.0.0.0' },
        { ip: '1.2.3.4' },
        { ip: '127.0.0.1' },
        { mreqn: { ifindex: 'tap0' } },
        { mreqn: { address: '10.9.0.2' } },
        { mreqn: { ifindex: 99 } },
        [{ ip: '224.1.1.1' }, { ip: '10.9.0.2' }],
      ]);
    case 'SO_SNDTIMEO':
    case 'SO_RCVTIMEO':
      return [{ u64: d.pick([0, 1, 5]) }, { u64: d.pick([0, 500000, 1000000, 2000000]) }];
    case 'SO_TXTIME':
      return [{ u32: d.pick([0, 1, 2, 7, 11, 99]) }, { u32: d.pick([0, 1, 2, 3, 4]) }];
    case 'SO_LINGER':
      return [{ u32: d.below(2) }, { u32: d.below(3) }];
    case 'IP_LOCAL_PORT_RANGE':
      return { u32: d.pick([0, 0x9c409c40, 41000 | ((41000 << 16) >>> 0), 0x0001ffff, 0xffff0001]) >>> 0 };
    default:
      return d.chance(0.02) ? null : sized(d, anyInt(d));
  }
}

export function setOption(d: Draw, fd?: string): Call {
  const [lev, names] = level(d);
  const name = d.chance(0.97) ? d.pick(names) : d.pick([27, 30, 31, 53, 60, 62, 110]);
  const len = d.chance(0.06) ? { len: d.pick([-1, 0, 1, 3, 4, 8, 12, 40, 41, 100, 65536, -2147483648]) } : {};
  return {
    call: 'setsockopt',
    ...(fd !== undefined && { fd }),
    level: lev,
    name,
    value: optionValue(d, name),
    ...len,
  };
}

export function getOption(d: Draw, fd?: string): Call {
  const [lev, names] = level(d);
  const len = d.chance(0.3) ? { len: d.pick([-1, 0, 1, 2, 3, 4, 5, 8, 12, 40, 100]) } : {};
  return { call: 'getsockopt', ...(fd !== undefined && { fd }), level: lev, name: d.pick(names), ...len };
}

export function sockopt(d: Draw): Scenario {
  const lab = newLab();
  knownNeighbours(lab);
  openSocket(d, lab, d.chance(0.15) ? { proto: 'IPPROTO_UDPLITE' } : {});
  if (d.chance(0.3)) lab.calls.push({ call: 'connect', addr: goodAddr(d) });
  for (let i = d.int(3, 12); i > 0; i--) {
    const set = setOption(d);
    lab.calls.push(set);
    if (set.call === 'setsockopt' && d.chance(0.6))
      lab.calls.push({ call: 'getsockopt', level: set.level, name: set.name });
    if (d.chance(0.25)) lab.calls.push(getOption(d));
    if (d.chance(0.3))
      lab.calls.push({ ...send(d, { size: d.int(0, 30), cmsgs: 0 }), flags: 'MSG_DONTWAIT' } as Call);
  }
  lab.calls.push({ call: 'sendto', data: { seq: 5 }, addr: '10.9.0.1:53', flags: 'MSG_DONTWAIT' });
  return toScenario(lab, 'socket options');
}

/** `socket()` itself. A call that fails leaves the socket before it under the label. */
export function socket(d: Draw): Scenario {
  const lab = newLab();
  lab.calls.push({ call: 'socket' });
  for (let i = d.int(2, 6); i > 0; i--) {
    lab.calls.push({
      call: 'socket',
      domain: d.pick(['AF_INET', 'AF_INET', 'AF_INET', 0, 999, -1, 45]),
      type: d.pick(SOCKET_TYPES),
      proto: d.pick([0, 0, 17, 136, 6, 1, 2, 255, 256, 262, 263, -1]),
    });
    if (d.chance(0.6)) lab.calls.push(getOption(d));
  }
  return toScenario(lab, 'socket()');
}

const LOCAL = [
  '10.9.0.2',
  '0.0.0.0',
  '127.0.0.1',
  '127.1.2.3',
  '10.9.0.255',
  '10.9.0.1',
  '1.2.3.4',
  '224.1.2.3',
  '255.255.255.255',
  '10.10.0.2',
];

function bindCall(d: Draw, fd: string): Call {
  const addr = d.chance(0.75)
    ? `${d.pick(d.chance(0.7) ? LOCAL.slice(0, 3) : LOCAL)}:${d.pick([4000, 4000, 4001, 80, 1023, 1024, 0])}`
    : d.chance(0.5)
      ? { ip: d.pick(LOCAL), port: d.pick([4000, 4002]), family: d.pick([0, 1, 2, 10]) }
      : anyAddr(d);
  return { call: 'bind', fd, addr, ...(d.chance(0.1) && { addrlen: anyLen(d) }) };
}

function connectCall(d: Draw, fd: string): Call {
  const addr = d.weighted<() => ReturnType<typeof anyAddr>>([
    [5, () => goodAddr(d)],
    [3, () => anyAddr(d)],
    [1, () => ({ ip: '0.0.0.0', port: 0, family: 'AF_UNSPEC' })],
  ])();
  return { call: 'connect', fd, addr, ...(d.chance(0.07) && { addrlen: anyLen(d) }) };
}

/** Orders of bind, connect, disconnect, shutdown and close on several sockets. */
export function bind(d: Draw): Scenario {
  const lab = newLab();
  knownNeighbours(lab);
  if (d.chance(0.3)) secondTap(lab);
  if (d.chance(0.3)) defaultRoute(lab);
  if (d.chance(0.15)) lab.sysctl['net.ipv4.ip_nonlocal_bind'] = 1;
  if (d.chance(0.1)) lab.sysctl['net.ipv4.ip_unprivileged_port_start'] = d.pick([0, 80, 2000]);
  if (d.chance(0.2)) lab.user = true;
  if (d.chance(0.3)) lab.sysctl['net.ipv4.ip_local_port_range'] = d.pick(['41000 41000', '41001 41001']);
  const fds = ['a', 'b', 'c'].slice(0, d.int(1, 3));
  for (const fd of fds) lab.calls.push({ call: 'socket', fd, ...(d.chance(0.1) && { proto: 136 }) });
  for (let i = d.int(4, 14); i > 0; i--) {
    const fd = d.pick(fds);
    lab.calls.push(
      d.weighted<() => Call>([
        [5, () => bindCall(d, fd)],
        [4, () => connectCall(d, fd)],
        [4, () => send(d, { fd, size: d.int(0, 20), cmsgs: 0 })],
        [2, () => ({ call: 'getsockname', fd })],
        [1, () => ({ call: 'getpeername', fd })],
        [1, () => ({ call: 'shutdown', fd, how: d.pick([0, 1, 2, 3, -1]) })],
        [
          1.5,
          () => ({
            call: 'setsockopt',
            fd,
            level: 'SOL_SOCKET',
            name: d.pick(['SO_REUSEADDR', 'SO_REUSEPORT']),
            value: d.pick([0, 1]),
          }),
        ],
        [
          1,
          () => ({
            call: 'setsockopt',
            fd,
            level: 'SOL_IP',
            name: d.pick(['IP_FREEBIND', 'IP_TRANSPARENT', 'IP_BIND_ADDRESS_NO_PORT']),
            value: d.pick([0, 1]),
          }),
        ],
        [
          0.7,
          () => ({
            call: 'setsockopt',
            fd,
            level: 'SOL_SOCKET',
            name: 'SO_BINDTODEVICE',
            value: { str: d.pick(['tap0', 'lo', '']) },
          }),
        ],
        [0.5, () => ({ call: 'getsockopt', fd, level: 'SOL_IP', name: 'IP_MTU' })],
        [0.5, () => ({ call: 'close', fd })],
        [0.5, () => ({ call: 'socket', fd })],
        [0.3, () => ({ call: 'setsockopt', fd, level: 'SOL_SOCKET', name: 'SO_BROADCAST', value: 1 })],
        [0.3, () => ({ call: 'getsockopt', fd, level: 'SOL_SOCKET', name: 'SO_ERROR' })],
      ])(),
    );
  }
  // A closed label cannot be named again until it is opened.
  const closed = new Set<string>();
  const calls = lab.calls.filter((c) => {
    const fd = String(c.fd);
    if (c.call === 'socket') closed.delete(fd);
    else if (closed.has(fd)) return false;
    if (c.call === 'close') closed.add(fd);
    return true;
  });
  return toScenario({ ...lab, calls }, 'bind and connect');
}

/** Send buffer limits, with datagrams that wait for a neighbour. */
export function sndbuf(d: Draw): Scenario {
  const lab = newLab();
  if (d.chance(0.3))
    lab.sysctlLate['net.ipv4.neigh.tap0.unres_qlen_bytes'] = d.pick([0, 1000, 4096, 10000, 212992]);
  lab.calls.push({ call: 'socket', type: d.chance(0.3) ? 'SOCK_DGRAM|SOCK_NONBLOCK' : 'SOCK_DGRAM' });
  lab.calls.push({ call: 'bind', addr: '10.9.0.2:4000' });
  if (d.chance(0.2)) lab.calls.push({ call: 'setsockopt', level: 'SOL_IP', name: 'IP_RECVERR', value: 1 });
  lab.calls.push({
    call: 'setsockopt',
    level: 'SOL_SOCKET',
    name: 'SO_SNDBUF',
    value: d.pick([1, 2304, 4000, 8000, 20000]),
  });
  const cork = d.chance(0.2);
  for (let i = d.int(3, 12); i > 0; i--) {
    const to = `${d.weighted([
      [4, '10.9.0.9'],
      [1, '10.9.0.1'],
      [1, '10.9.0.8'],
      [0.5, '127.0.0.1'],
    ])}:5`;
    lab.calls.push({
      call: 'sendto',
      data: payload(d, d.pick([0, 100, 197, 198, 500, 645, 646, 1000, 1472, 3000, 9000, 30000, 65507])),
      addr: to,
      flags: ['MSG_DONTWAIT', ...(cork && d.chance(0.5) ? ['MSG_MORE'] : [])],
    });
    if (d.chance(0.4)) lab.calls.push({ call: 'ioctl', req: 'SIOCOUTQ' });
    if (d.chance(0.1)) lab.calls.push({ call: 'getsockopt', level: 'SOL_SOCKET', name: 'SO_SNDBUF' });
  }
  return toScenario(lab, 'send buffer');
}
