/** The wire vectors of the kernel, frame by frame (catalogue section N). */
import { expect } from 'vitest';
import { bind, fact, ip, LAB_A, option, type Step, socket } from './lab.js';

const DO = ip('IP_MTU_DISCOVER', 2);
const start: readonly Step[] = [socket(), bind, DO];
const startLite: readonly Step[] = [socket(136), bind, DO];

fact('VEC-1: plain', [
  ...start,
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.0.0.2:9' },
    {
      ret: 3,
      hex: ['02000000000202000000000108004500001f00004000401126cc0a0000010a00000213880009000b13e2616263'],
    },
  ],
]);
fact('VEC-2: empty payload', [
  ...start,
  [
    { call: 'sendto', data: '', addr: '10.0.0.2:9' },
    { ret: 0, hex: ['02000000000202000000000108004500001c00004000401126cf0a0000010a000002138800090008d84a'] },
  ],
]);
fact('VEC-3: IP_TTL and IP_TOS by control message', [
  ...start,
  [
    {
      call: 'sendmsg',
      iov: [{ ascii: 'abc' }],
      name: '10.0.0.2:9',
      cmsgs: [
        { level: 'SOL_IP', type: 'IP_TTL', data: 5 },
        { level: 'SOL_IP', type: 'IP_TOS', data: 0xb8 },
      ],
    },
    {
      ret: 3,
      hex: ['020000000002020000000001080045b8001f00004000051161140a0000010a00000213880009000b13e2616263'],
    },
  ],
]);
fact('VEC-4: through a gateway', [
  ...start,
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.1.1.1:9' },
    {
      ret: 3,
      hex: ['02000000000202000000000108004500001f00004000401125cc0a0000010a01010113880009000b12e2616263'],
    },
  ],
]);
fact('VEC-5: broadcast', [
  ...start,
  [option('SOL_SOCKET', 'SO_BROADCAST', 1), 0],
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.0.0.255:9' },
    {
      ret: 3,
      hex: ['ffffffffffff02000000000108004500001f00004000401125cf0a0000010a0000ff13880009000b12e5616263'],
    },
  ],
]);
fact('VEC-6: multicast', [
  ...start,
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '239.129.2.3:9' },
    {
      ret: 3,
      hex: ['01005e01020302000000000108004500001f0000400001117e490a000001ef81020313880009000b2c5f616263'],
    },
  ],
]);
fact('VEC-7: SO_NO_CHECK', [
  ...start,
  [option('SOL_SOCKET', 'SO_NO_CHECK', 1), 0],
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.0.0.2:9' },
    {
      ret: 3,
      hex: ['02000000000202000000000108004500001f00004000401126cc0a0000010a00000213880009000b0000616263'],
    },
  ],
]);
fact('VEC-8: a checksum of 0 is sent as ffff', [
  ...start,
  [
    { call: 'sendto', data: 'd846', addr: '10.0.0.2:9' },
    {
      ret: 2,
      hex: ['02000000000202000000000108004500001e00004000401126cd0a0000010a00000213880009000affffd846'],
    },
  ],
]);
fact('VEC-9: NOP, padded', [
  ...start,
  ip('IP_OPTIONS', { hex: '01' }),
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.0.0.2:9' },
    {
      ret: 3,
      hex: [
        '02000000000202000000000108004600002300004000401124c80a0000010a0000020100000013880009000b13e2616263',
      ],
    },
  ],
]);
fact('VEC-10: record route with two slots', [
  ...start,
  ip('IP_OPTIONS', { hex: '070b040000000000000000' }),
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.0.0.2:9' },
    {
      ret: 3,
      hex: [
        '02000000000202000000000108004800002b00004000401113ab0a0000010a000002070b080a000001000000000013880009000b13e2616263',
      ],
    },
  ],
]);
fact('VEC-11: LSRR with two hops', [
  ...start,
  ip('IP_OPTIONS', { hex: '830b040a0000030a4d0001' }),
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.99.0.1:9' },
    {
      ret: 3,
      hex: [
        '02000000000302000000000108004800002b000040004011ea9e0a0000010a000003830b040a4d00010a6300010013880009000b13e1616263',
      ],
    },
  ],
]);
fact('VEC-12: SSRR', [
  ...start,
  ip('IP_OPTIONS', { hex: '8907040a000003' }),
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.99.0.1:9' },
    {
      ret: 3,
      hex: [
        '02000000000302000000000108004700002700004000401133b10a0000010a0000038907040a6300010013880009000b13e1616263',
      ],
    },
  ],
]);
fact('VEC-13: router alert', [
  ...start,
  ip('IP_OPTIONS', { hex: '94040000' }),
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.0.0.2:9' },
    {
      ret: 3,
      hex: [
        '02000000000202000000000108004600002300004000401191c30a0000010a0000029404000013880009000b13e2616263',
      ],
    },
  ],
]);
fact('VEC-14: prespecified timestamp, a foreign address', [
  ...start,
  ip('IP_OPTIONS', { hex: '440c05030a00000200000000' }),
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.0.0.2:9' },
    {
      ret: 3,
      hex: [
        '02000000000202000000000108004800002b000040004011d0ae0a0000010a000002440c05030a0000020000000013880009000b13e2616263',
      ],
    },
  ],
]);
fact('VEC-15: UDP_SEGMENT', [
  ...start,
  [option('SOL_UDP', 'UDP_SEGMENT', 4), 0],
  [
    { call: 'sendto', data: { ascii: 'abcdefghij' }, addr: '10.0.0.2:9' },
    {
      ret: 10,
      hex: [
        '02000000000202000000000108004500002000004000401126cb0a0000010a00000213880009000c137c61626364',
        '02000000000202000000000108004500002000014000401126ca0a0000010a00000213880009000c0b7465666768',
        '02000000000202000000000108004500001e00024000401126cb0a0000010a00000213880009000a6edc696a',
      ],
    },
  ],
]);
fact('VEC-16: UDP-Lite, coverage 8', [
  ...startLite,
  [option('SOL_UDPLITE', 'UDPLITE_SEND_CSCOV', 8), 0],
  [
    { call: 'sendto', data: { ascii: 'abcdefgh' }, addr: '10.0.0.2:9' },
    {
      ret: 8,
      hex: [
        '02000000000202000000000108004500002400004000408826500a0000010a000002138800090008d7cb6162636465666768',
      ],
    },
  ],
]);
fact('VEC-17: UDP-Lite, full coverage', [
  ...startLite,
  [
    { call: 'sendto', data: { ascii: 'abcdefgh' }, addr: '10.0.0.2:9' },
    {
      ret: 8,
      hex: [
        '02000000000202000000000108004500002400004000408826500a0000010a000002138800090010462e6162636465666768',
      ],
    },
  ],
]);
fact('VEC-18: source by IP_PKTINFO', [
  ...start,
  [
    {
      call: 'sendmsg',
      iov: [{ ascii: 'z' }],
      name: '10.0.0.2:9',
      cmsgs: [{ level: 'SOL_IP', type: 'IP_PKTINFO', data: { pktinfo: { spec_dst: '10.0.0.1' } } }],
    },
    {
      ret: 1,
      hex: ['02000000000202000000000108004500001d00004000401126ce0a0000010a0000021388000900095e487a'],
    },
  ],
]);
fact('VEC-19: ECN bits are kept', [
  ...start,
  ip('IP_TOS', 3),
  [
    { call: 'sendto', data: { ascii: 'abc' }, addr: '10.0.0.2:9' },
    {
      ret: 3,
      hex: ['02000000000202000000000108004503001f00004000401126c90a0000010a00000213880009000b13e2616263'],
    },
  ],
]);
fact('VEC-20: corked', [
  ...start,
  [
    { call: 'sendto', data: { ascii: 'ab' }, addr: '10.0.0.2:9', flags: 'MSG_MORE' },
    { ret: 2, frames: 0 },
  ],
  [
    { call: 'sendto', data: { ascii: 'cd' }, addr: '10.0.0.2:9' },
    {
      ret: 2,
      hex: ['02000000000202000000000108004500002000004000401126cb0a0000010a00000213880009000c137c61626364'],
    },
  ],
]);

const UNRESOLVED = { ...LAB_A, ip: LAB_A.ip!.filter((line) => !line.startsWith('neigh')) };
fact(
  'VEC-30: ARP request',
  [
    ...start,
    [
      { call: 'sendto', data: { ascii: 'abc' }, addr: '10.0.0.2:9' },
      {
        ret: 3,
        hex: [
          'ffffffffffff02000000000108060001080006040001' +
            '020000000001' +
            '0a000001' +
            '000000000000' +
            '0a000002',
        ],
      },
    ],
  ],
  UNRESOLVED,
);
fact('VEC-31: ARP reply', [
  [
    {
      call: 'inject',
      hex: 'ffffffffffff020000000007080600010800060400010200000000070a0000070000000000000a000001',
    },
    {
      ret: 42,
      hex: [
        '0200000000070200000000010806' +
          '0001080006040002' +
          '020000000001' +
          '0a000001' +
          '020000000007' +
          '0a000007',
      ],
    },
  ],
]);

const igmp = (payload: string) => (result: { frames: readonly { hex: string }[] }) => {
  const frames = result.frames.map((f) => f.hex);
  expect(frames.length).toBeGreaterThan(0);
  for (const frame of frames) {
    expect(frame.slice(28, 36)).toBe(`46c0${frame.slice(32, 36)}`);
    expect(frame.slice(36, 44)).toBe('00004000');
    expect(frame.slice(44, 48)).toBe('0102');
    expect(frame.slice(68, 76)).toBe('94040000');
    expect(frame.slice(76)).toBe(payload);
  }
};
const mreq = (group: string): { hex: string } => ({ hex: `${group}0a000001` });
fact('VEC-32: IGMPv3 join and leave', [
  socket(),
  [option('SOL_IP', 'IP_ADD_MEMBERSHIP', mreq('ef010203')), 0],
  [{ call: 'sleep', ms: 60 }, { check: igmp('2200e8f90000000104000000ef010203') }],
  [{ call: 'sleep', ms: 1100 }, null],
  [option('SOL_IP', 'IP_DROP_MEMBERSHIP', mreq('ef010203')), 0],
  [{ call: 'sleep', ms: 60 }, { check: igmp('2200e9f90000000103000000ef010203') }],
]);
fact(
  'VEC-32: IGMPv2 report and leave',
  [
    socket(),
    [option('SOL_IP', 'IP_ADD_MEMBERSHIP', mreq('ef050505')), 0],
    [{ call: 'sleep', ms: 60 }, { check: igmp('1600f5f4ef050505') }],
    [option('SOL_IP', 'IP_DROP_MEMBERSHIP', mreq('ef050505')), { ret: 0, check: igmp('1700f4f4ef050505') }],
  ],
  { ...LAB_A, sysctl: { 'net.ipv4.conf.all.force_igmp_version': 2 } },
);

fact('VEC-33: options in fragments', [
  socket(),
  bind,
  ip('IP_OPTIONS', { hex: '070704000000008307040a0000034408050000000000' }),
  [
    { call: 'sendto', data: { seq: 4000 }, addr: '10.99.0.1:9' },
    {
      ret: 4000,
      sizes: [1500, 1500, 1140],
      check: (result) => {
        const [first, ...others] = result.frames.map((f) => f.hex.slice(28, 28 + 88));
        expect(first!.slice(40, 54)).toBe('0707080a000001');
        expect(first!.slice(54, 68)).toBe('8307040a630001');
        expect(first!.slice(68, 76)).toBe('44080900');
        for (const header of others)
          expect(header!.slice(40)).toBe('010101010101018307040a6300010101010101010101' + '0000');
      },
    },
  ],
]);

fact(
  'VEC-34: a super-frame leaves a TAP that segments',
  [
    socket(),
    bind,
    [option('SOL_UDP', 'UDP_SEGMENT', 1000), 0],
    [
      { call: 'sendto', data: { seq: 3000 }, addr: '10.0.0.2:9' },
      {
        ret: 3000,
        sizes: [3028],
        check: ({ frames: [frame] }) => {
          expect(frame).toMatchObject({ vnet_hdr: '01052a00e80322000600' });
          expect(frame!.hex.slice(32, 36)).toBe((3028).toString(16).padStart(4, '0'));
          expect(frame!.hex.slice(76, 80)).toBe((3008).toString(16).padStart(4, '0'));
        },
      },
    ],
  ],
  {
    ...LAB_A,
    taps: [{ name: 'tap0', mac: '02:00:00:00:00:01', vnet_hdr: true, offload: ['CSUM', 'USO4', 'USO6'] }],
  },
);
