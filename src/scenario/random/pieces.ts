/** The parts that random scenarios are put together from: networks, destinations, payloads, options, control messages. */
import type { Addr, Call, Cmsg, Data, Scenario, Value } from '../types.js';
import type { Draw } from './draw.js';

/** A scenario under construction. */
export interface Lab {
  readonly sysctl: Record<string, string | number>;
  readonly sysctlLate: Record<string, string | number>;
  taps: NonNullable<Scenario['taps']>;
  readonly ipExtra: string[];
  readonly calls: Call[];
  user: boolean;
}

export function newLab(): Lab {
  return { sysctl: {}, sysctlLate: {}, taps: [], ipExtra: [], calls: [], user: false };
}

export function toScenario(lab: Lab, name: string): Scenario {
  const filled = (record: Record<string, string | number>) => Object.keys(record).length > 0;
  return {
    name,
    ...(filled(lab.sysctl) && { sysctl: lab.sysctl }),
    ...(lab.taps.length > 0 && { taps: lab.taps }),
    ...(lab.ipExtra.length > 0 && { ip_extra: lab.ipExtra }),
    ...(filled(lab.sysctlLate) && { sysctl_late: lab.sysctlLate }),
    ...(lab.user && { user: true }),
    calls: lab.calls,
  };
}

/** Neighbours that answer, so that frames leave at once. */
export function knownNeighbours(lab: Lab): void {
  lab.ipExtra.push(
    'neigh add 10.9.0.3 lladdr 02:00:00:00:09:03 dev tap0 nud permanent',
    'neigh add 10.9.0.4 lladdr 02:00:00:00:09:04 dev tap0 nud permanent',
  );
}

/** A second TAP with its own network, 10.10.0.0/24. */
export function secondTap(lab: Lab): void {
  lab.taps = [lab.taps[0] ?? {}, { name: 'tap1', mac: '02:00:00:00:0a:02' }];
  lab.ipExtra.push(
    'addr add 10.10.0.2/24 brd + dev tap1',
    'link set tap1 up',
    'neigh add 10.10.0.1 lladdr 02:00:00:00:0a:01 dev tap1 nud permanent',
  );
}

export function defaultRoute(lab: Lab): void {
  lab.ipExtra.push('route add default via 10.9.0.1');
}

/** A socket, mostly bound to a known port: an unbound one draws its own. */
export function openSocket(
  d: Draw,
  lab: Lab,
  options: { fd?: string; proto?: string; port?: number } = {},
): void {
  const { fd, proto, port = d.pick([4000, 4001, 5000]) } = options;
  const on = fd === undefined ? {} : { fd };
  lab.calls.push({ call: 'socket', ...on, ...(proto !== undefined && { proto }) });
  if (d.chance(0.8)) {
    const ip = d.weighted([
      [6, '10.9.0.2'],
      [3, '0.0.0.0'],
      [0.3, '127.0.0.1'],
    ]);
    lab.calls.push({ call: 'bind', ...on, addr: `${ip}:${port}` });
  }
}

export function ipOf(d: Draw): string {
  return d.weighted([
    [10, '10.9.0.1'],
    [3, '10.9.0.3'],
    [1, '10.9.0.9'],
    [1, '10.9.0.255'],
    [0.5, '255.255.255.255'],
    [0.7, '224.1.2.3'],
    [0.5, '127.0.0.1'],
    [0.5, '10.9.0.2'],
    [0.5, '8.8.8.8'],
    [0.3, '10.10.0.1'],
    [0.3, '0.0.0.0'],
    [0.2, '10.9.0.0'],
    [0.2, '240.0.0.1'],
    [0.2, '0.1.2.3'],
    [0.2, '169.254.3.4'],
  ]);
}

export function portOf(d: Draw): number {
  return d.weighted([
    [10, 53],
    [3, 9000],
    [1, 4000],
    [0.4, 0],
    [0.3, 65535],
    [0.3, 1],
  ]);
}

export function goodAddr(d: Draw): string {
  return `${d.weighted([
    [6, '10.9.0.1'],
    [2, '10.9.0.3'],
  ])}:${d.pick([53, 9000])}`;
}

/** Any address a program may pass, wrong ones among them. */
export function anyAddr(d: Draw): Addr {
  return d.weighted<() => Addr>([
    [20, () => `${ipOf(d)}:${portOf(d)}`],
    [1, () => null],
    [1, () => ({ ip: ipOf(d), port: portOf(d), family: d.pick([0, 1, 2, 3, 10, 65535, 'AF_UNSPEC']) })],
    [0.5, () => ({ bad: d.pick([0, 1, 15, 16, 128, 129]) })],
    [1, () => ({ hex: `0200${d.hex(d.int(0, 30))}` })],
    [0.3, () => ({ hex: '' })],
    [0.5, () => ({ hex: `02000035${'0a090001'}${d.hex(d.pick([0, 4, 7, 8, 9, 20, 112, 120, 121]))}` })],
  ])();
}

/** An address length, seldom right. */
export function anyLen(d: Draw): number {
  return d.pick([0, 1, 2, 3, 8, 14, 15, 16, 17, 28, 127, 128, 129, 200, -1, -2147483648, 2147483647]);
}

export function sizeOf(d: Draw): number {
  return d.weighted<() => number>([
    [6, () => d.int(0, 40)],
    [2, () => d.int(1400, 1500)],
    [2, () => d.int(1465, 1480)],
    [1, () => d.int(2900, 3100)],
    [1, () => d.int(0, 9000)],
    [0.3, () => d.int(60000, 65600)],
    [0.3, () => d.pick([65507, 65508, 65515, 65527, 65528, 65535, 65536])],
  ])();
}

export function payload(d: Draw, size = sizeOf(d)): Data {
  return d.weighted<() => Data>([
    [6, () => ({ seq: size })],
    [3, () => ({ fill: d.below(256), len: size })],
    [size < 64 ? 2 : 0, () => d.hex(size)],
    [size > 2 ? 1 : 0, () => [{ seq: size >> 1 }, { fill: 7, len: size - (size >> 1) }]],
  ])();
}

/** A payload that may be a bad pointer. */
export function anyPayload(d: Draw): Data {
  return d.chance(0.04) ? { bad: d.pick([0, 1, 100, 1472, 1473, 5000, 65507, 65508, 65536]) } : payload(d);
}

const FLAGS = [
  'MSG_OOB',
  'MSG_PEEK',
  'MSG_DONTROUTE',
  'MSG_CTRUNC',
  'MSG_PROBE',
  'MSG_TRUNC',
  'MSG_EOR',
  'MSG_CONFIRM',
  'MSG_ERRQUEUE',
  'MSG_NOSIGNAL',
  'MSG_MORE',
  'MSG_ZEROCOPY',
  'MSG_FASTOPEN',
  'MSG_WAITALL',
];

/** Flags of a send; never one that waits. */
export function flags(d: Draw, more = 0.05): { flags?: string[] } {
  const out = new Set<string>();
  if (d.chance(more)) out.add('MSG_MORE');
  if (d.chance(0.12)) out.add(d.pick(FLAGS));
  if (d.chance(0.03)) out.add(d.pick(FLAGS));
  if (d.chance(0.1)) out.add('MSG_DONTWAIT');
  return out.size === 0 ? {} : { flags: [...out] };
}

/** A number in one of the sizes that an option may come in. */
export function sized(d: Draw, value: number): Value {
  return d.weighted<() => Value>([
    [10, () => value],
    [2, () => ({ u8: value & 255 })],
    [1, () => ({ u16: value & 0xffff })],
    [1, () => ({ u64: Math.max(value, 0) })],
    [0.5, () => ({ hex: d.hex(d.int(0, 12)) })],
    [0.3, () => ({ hex: '' })],
    [0.3, () => ({ bad: d.pick([0, 1, 4, 8]) })],
  ])();
}

export function anyInt(d: Draw): number {
  return d.weighted<() => number>([
    [4, () => d.int(0, 3)],
    [3, () => d.pick([-1, 0, 1, 2, 5, 6, 7, 8, 16, 64, 127, 128, 255, 256, 257])],
    [1, () => d.pick([4095, 4096, 65535, 65536, 65537, 0x7fffffff, -0x80000000, -2, 100000])],
    [2, () => d.int(0, 300)],
  ])();
}

/** A control message that is mostly well-formed. */
export function cmsg(d: Draw): Cmsg {
  return d.weighted<() => Cmsg>([
    [
      3,
      () => ({
        level: 'SOL_IP',
        type: 'IP_TOS',
        data: d.chance(0.5) ? { u8: d.below(256) } : sizedData(d, anyInt(d)),
      }),
    ],
    [3, () => ({ level: 'SOL_IP', type: 'IP_TTL', data: sizedData(d, d.pick([1, 5, 64, 255, 0, 256, -1])) })],
    [3, () => ({ level: 'SOL_IP', type: 'IP_PKTINFO', data: pktinfo(d) })],
    [2, () => ({ level: 'SOL_IP', type: 'IP_RETOPTS', data: { hex: ipOptions(d) } })],
    [
      3,
      () => ({
        level: 'SOL_UDP',
        type: 'UDP_SEGMENT',
        data: { u16: d.pick([0, 1, 8, 100, 500, 1000, 1452, 1472, 1473, 65535]) },
      }),
    ],
    [1, () => ({ level: 'SOL_IP', type: 'IP_PROTOCOL', data: anyInt(d) })],
    [1, () => ({ level: 'SOL_SOCKET', type: 'SO_MARK', data: { u32: d.below(100) } })],
    [1, () => ({ level: 'SOL_SOCKET', type: 'SO_PRIORITY', data: { u32: d.int(0, 9) } })],
    [
      1,
      () => ({
        level: 'SOL_SOCKET',
        type: 'SO_TIMESTAMPING',
        data: { u32: d.pick([0, 2, 0x100, 0x10, 0x1ff, 0x80]) },
      }),
    ],
    [0.5, () => ({ level: 'SOL_SOCKET', type: 'SCM_TXTIME', data: { u64: d.below(1e9) } })],
    [0.5, () => ({ level: 'SOL_SOCKET', type: 'SCM_TS_OPT_ID', data: { u32: d.below(1e9) } })],
    [
      0.7,
      () => ({
        level: d.pick([0, 1, 17, 41, 6, 136, 999, -1]),
        type: d.pick([1, 2, 7, 8, 61, 103, 52, 99, 0]),
        data: sizedData(d, anyInt(d)),
      }),
    ],
    [
      0.7,
      () => ({
        level: d.pick(['SOL_IP', 'SOL_UDP', 'SOL_SOCKET']),
        type: d.below(110),
        data: { hex: d.hex(d.int(0, 20)) },
      }),
    ],
  ])();
}

function sizedData(d: Draw, value: number): Value {
  return d.weighted<Value>([
    [8, value],
    [2, { u8: value & 255 }],
    [1, { u16: value & 0xffff }],
    [1, { u64: Math.max(value, 0) }],
    [0.4, { hex: '' }],
  ]);
}

export function pktinfo(d: Draw): Value {
  const info: { ifindex?: string | number; spec_dst?: string; addr?: string } = {};
  if (d.chance(0.4)) info.ifindex = d.pick<string | number>(['tap0', 'lo', 0, 99, 1, 2, -1]);
  if (d.chance(0.5))
    info.spec_dst = d.pick([
      '10.9.0.2',
      '10.9.0.22',
      '10.9.0.77',
      '127.0.0.1',
      '0.0.0.0',
      '10.9.0.255',
      '224.0.0.1',
      '10.10.0.2',
    ]);
  if (d.chance(0.2)) info.addr = d.pick(['10.9.0.1', '1.2.3.4']);
  return d.chance(0.06) ? [{ pktinfo: info }, { hex: d.hex(d.int(1, 8)) }] : { pktinfo: info };
}

/** IP options as hex, valid ones and mutated ones. */
export function ipOptions(d: Draw): string {
  let text = '';
  for (const part of d.list(0, 3, () => oneOption(d))) if (text.length + part.length <= 84) text += part;
  if (d.chance(0.12) && text.length > 0) {
    const at = d.below(text.length / 2) * 2;
    text = text.slice(0, at) + d.hex(1) + text.slice(at + 2);
  }
  if (d.chance(0.05)) text = text.slice(0, d.below(text.length / 2 + 1) * 2);
  return text;
}

function oneOption(d: Draw): string {
  const hop = () =>
    d.pick([
      '0a090001',
      '0a090003',
      '0a090004',
      '0a090009',
      '08080808',
      '0a090002',
      '00000000',
      '0a0900ff',
      'e0000001',
    ]);
  const byte = (n: number) => (n & 255).toString(16).padStart(2, '0');
  return d.weighted<() => string>([
    [2, () => '01'.repeat(d.int(1, 4))],
    [1, () => `00${d.chance(0.3) ? d.hex(d.int(0, 3)) : ''}`],
    [
      2,
      () => {
        const n = d.int(1, 4);
        return `${d.pick(['83', '89'])}${byte(3 + 4 * n)}04${Array.from({ length: n }, hop).join('')}`;
      },
    ],
    [
      2,
      () => {
        const n = d.int(1, 9);
        return `07${byte(3 + 4 * n)}${byte(d.chance(0.8) ? 4 : 4 + 4 * d.int(0, n))}${'00000000'.repeat(n)}`;
      },
    ],
    [
      2,
      () => {
        const n = d.int(1, 4);
        return `44${byte(4 + 4 * n)}05${byte(d.pick([0, 0x10, 0xf0]))}${'00000000'.repeat(n)}`;
      },
    ],
    [
      1,
      () => {
        const n = d.int(1, 4);
        return `44${byte(4 + 8 * n)}${byte(d.pick([5, 5, 13]))}01${'0000000000000000'.repeat(n)}`;
      },
    ],
    [
      1,
      () => {
        const n = d.int(1, 3);
        return `44${byte(4 + 8 * n)}0503${Array.from({ length: n }, () => `${hop()}00000000`).join('')}`;
      },
    ],
    [1, () => `9404${d.pick(['0000', '0001', 'ffff'])}`],
    [0.5, () => `820b${d.hex(9)}`],
    [0.3, () => `8804${d.hex(2)}`],
    [0.3, () => `8606${d.hex(4)}`],
    [
      0.5,
      () => {
        const n = d.int(2, 12);
        return `${byte(d.below(256))}${byte(n)}${d.hex(n - 2)}`;
      },
    ],
  ])();
}

/** One send, by whichever call. */
export function send(
  d: Draw,
  options: { fd?: string; addr?: Addr; size?: number; more?: number; cmsgs?: number } = {},
): Call {
  const on = options.fd === undefined ? {} : { fd: options.fd };
  const to = options.addr === undefined ? (d.chance(0.3) ? null : goodAddr(d)) : options.addr;
  const bytes = options.size === undefined ? anyPayload(d) : payload(d, options.size);
  const withFlags = flags(d, options.more);
  if (d.chance(0.5)) return { call: 'sendto', ...on, data: bytes, ...withFlags, addr: to };
  const iov = d.chance(0.2) ? [bytes, ...d.list(0, 3, () => payload(d, d.int(0, 40)))] : [bytes];
  const cmsgs = d.chance(options.cmsgs ?? 0.4) ? { cmsgs: d.list(1, 3, () => cmsg(d)) } : {};
  return { call: 'sendmsg', ...on, iov, ...withFlags, name: to, ...cmsgs };
}
