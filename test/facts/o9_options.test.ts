/** Facts about IP options (catalogue O.9). */
import type { Cmsg, Value } from '../../src/scenario/types.js';
import { D, fact, fresh, ip, LAB_A, leaves, on, type Step, send, socket, withCmsgs } from './lab.js';

const zeroes = (bytes: number): string => '00'.repeat(bytes);
const OWN = '0a000001';

/** The options are taken, and leave like this; `wire` is as given and padded where absent, null where it holds a time. */
function takes(hex: string, wire?: string | null): Step[] {
  const padded = hex + zeroes(-(hex.length / 2) & 3);
  return fresh(ip('IP_OPTIONS', { hex }), send(D, leaves(wire === null ? {} : { options: wire ?? padded })));
}
const refuses = (hex: string): Step[] => fresh(ip('IP_OPTIONS', { hex }, 'EINVAL'));

fact('I1: NOP and EOL', [
  ...takes('01'),
  ...takes('00'),
  ...takes('01'.repeat(40)),
  ...takes('00112233', zeroes(4)),
  ...on('read', socket(), ip('IP_OPTIONS', { hex: '00112233' }), [
    { call: 'getsockopt', level: 'SOL_IP', name: 'IP_OPTIONS' },
    { ret: 0, value: zeroes(4) },
  ]),
]);
fact('I1: record route', [
  ...takes(`070704${zeroes(4)}`, `070708${OWN}00`),
  ...takes(`070b08${zeroes(8)}`, `070b0c${zeroes(4)}${OWN}00`),
  ...takes(`070708${zeroes(4)}`),
  ...takes(`070805${zeroes(5)}`, `07080900${OWN}`),
  ...takes('070304'),
]);
fact('I1: timestamp', [
  ...takes(`44080500${zeroes(4)}`, null),
  ...takes(`440c0501${zeroes(8)}`, null),
  ...takes(`440c05030a000002${zeroes(4)}`),
  ...takes(`440809e0${zeroes(4)}`),
  ...takes(`440c0df3${zeroes(8)}`),
  ...takes(`44080502${zeroes(4)}`),
]);
fact('I1: router alert, security, stream id, unknown types', [
  ...takes('94041234'),
  ...takes('9404000094040000'),
  ...takes(`820b${zeroes(9)}`),
  ...takes('88040001'),
  ...takes('9e040000'),
]);
fact(
  'I2: what is refused',
  [
    '01'.repeat(41),
    '07', // Truncated.
    '0701',
    `070b04${zeroes(4)}`,
    `070703${zeroes(4)}`,
    `070706${zeroes(4)}`,
    `070704${zeroes(4)}`.repeat(2),
    '0702',
    `830b08${zeroes(8)}`,
    '830304',
    `830804${zeroes(5)}`,
    '8307040a000003'.repeat(2),
    `44080400${zeroes(4)}`,
    `440809f0${zeroes(4)}`,
    `44080501${zeroes(4)}`,
    `44070500${zeroes(3)}`,
    `44080500${zeroes(4)}`.repeat(2),
    '440305',
    '940300',
    '860600000001', // CIPSO of a domain that is not configured.
  ].flatMap(refuses),
);
const LSRR_ON_LINK = '8307040a000003';
fact('I3: source routes', [
  ...fresh(ip('IP_OPTIONS', { hex: LSRR_ON_LINK }), send('0.0.0.0:9', 'EINVAL')),
  ...fresh(ip('IP_OPTIONS', { hex: '8907040b000001' }), send('10.99.0.1:9', 'ENETUNREACH')),
  ...fresh(
    ip('IP_OPTIONS', { hex: '8307040b000001' }),
    send('10.99.0.1:9', leaves({ dst: '11.0.0.1', toMac: '02:00:00:00:00:02' })),
  ),
]);
fact(
  'I4: without privilege',
  [
    socket(),
    ip('IP_OPTIONS', { hex: LSRR_ON_LINK }, 'EPERM'),
    ip('IP_OPTIONS', { hex: `820b${zeroes(9)}` }, 'EINVAL'),
    ip('IP_OPTIONS', { hex: `44080502${zeroes(4)}` }, 'EINVAL'),
    ip('IP_OPTIONS', { hex: '94040000' }),
  ],
  { ...LAB_A, user: true },
);
const retopts = (data: Value): Cmsg => ({ level: 'SOL_IP', type: 'IP_RETOPTS', data });
fact('I5: options by control message', [
  socket(),
  ip('IP_OPTIONS', { hex: '94040000' }),
  withCmsgs([retopts({ hex: '01' })], leaves({ options: '01000000' })),
  withCmsgs([retopts({ hex: '' })], leaves({ options: '' })),
  withCmsgs([retopts({ hex: '01'.repeat(60) })], leaves({ options: '01'.repeat(40) })),
  withCmsgs([retopts({ hex: '01' }), retopts({ hex: '94041234' })], leaves({ options: '94041234' })),
  send(D, leaves({ options: '94040000' })),
]);
