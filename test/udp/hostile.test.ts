/** Frames that nobody would send in good faith: nothing throws, nothing leaks, nobody else is disturbed. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/core/random.js';
import { IP_ADD_MEMBERSHIP, IP_RECVERR } from '../../src/uapi/in.js';
import { MSG_ERRQUEUE, SOL_IP } from '../../src/uapi/socket.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import {
  bytes,
  datagram,
  filled,
  fragments,
  frame,
  icmpError,
  icmpMessage,
  message,
  RxLab,
  text,
} from '../ip/rx_lab.js';

const SEEDS: readonly Uint8Array[] = [
  datagram('hello'),
  datagram(filled(600), { coverage: 20 }),
  datagram('group', { dst: '239.1.2.3', mac: '01005e010203' }),
  icmpError(3, 3),
  icmpError(3, 4, 700),
  icmpError(5, 1, 0x0a090003),
  icmpError(12, 0, 0x14000000),
  frame(icmpMessage(8, 0, 1, filled(40)), { proto: 1, options: bytes(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0) }),
  frame(icmpMessage(13, 0, 1, filled(12)), {
    proto: 1,
    options: bytes(0x44, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0),
  }),
  datagram('route', { options: bytes(0x83, 11, 4, 10, 9, 0, 2, 10, 9, 0, 3, 0) }),
  ...fragments(message(filled(3000)), [
    [0, 1480],
    [1480, 2960],
    [2960, 3008],
  ]),
  frame(bytes(0x22, 0, 0xdd, 0xff, 0, 0, 0, 0), { proto: 2, dst: '224.0.0.1', mac: '01005e000001' }),
];

function mutate(seed: Uint8Array, random: SeededRandom): Uint8Array {
  const f = seed.slice(0, random.u32() % 8 === 0 ? random.u32() % (seed.length + 1) : seed.length);
  for (let n = random.u32() % 6; n > 0 && f.length > 14; n--) {
    const at = 12 + (random.u32() % (f.length - 12));
    f[at] = random.u32() % 3 === 0 ? f[at]! ^ (1 << (random.u32() % 8)) : random.u32();
  }
  // Half of them have a right header checksum again, so that they get further.
  if (
    random.u32() % 2 === 0 &&
    f.length >= 34 &&
    ipv4.ihl(f, 14) >= 5 &&
    f.length >= 14 + ipv4.headerLen(f, 14)
  ) {
    ipv4.sendCheck(f, 14);
  }
  return f;
}

test('mutated frames by the ten thousand', () => {
  const lab = new RxLab();
  lab.net.sysctl.set('net.ipv4.conf.all.accept_source_route', 1);
  lab.net.ip('route add default via 10.9.0.1');
  const s = lab.open(9000, '0.0.0.0');
  s.setsockopt(SOL_IP, IP_RECVERR, 1);
  s.setsockopt(SOL_IP, IP_ADD_MEMBERSHIP, bytes(239, 1, 2, 3, 10, 9, 0, 2));
  for (const option of [6, 7, 8, 12, 13, 20, 23, 25]) s.setsockopt(SOL_IP, option, 1);
  const bystander = lab.open(9001);
  const random = new SeededRandom(11);
  for (let i = 0; i < 10_000; i++) {
    lab.tap.inject(mutate(SEEDS[random.u32() % SEEDS.length]!, random));
    lab.tap.frames.length = 0;
    if (i % 16 === 0) {
      try {
        s.recvmsg(random.u32() % 4 === 0 ? MSG_ERRQUEUE : 0);
      } catch {
        // A pending error, consumed.
      }
    }
    if (i % 1000 === 0) lab.sleep(500);
  }
  lab.inject(datagram('still here', { dport: 9001 }));
  expect(text(bystander.recvmsg()!.data)).toBe('still here');
  lab.sleep(60_000);
  s.close();
  bystander.close();
  lab.sleep(60_000);
  expect(lab.net.skbs.inUse).toBeLessThanOrEqual(lab.net.pendingNeighbours);
});

test('any bytes at all', () => {
  const lab = new RxLab();
  lab.socket('0.0.0.0');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (body, headed) => {
      const f = headed
        ? frame(body, { proto: body[0] ?? 0 })
        : Uint8Array.from([...datagram('').subarray(0, 14), ...body]);
      lab.inject(f);
      lab.tap.drain();
    }),
    { numRuns: 2000 },
  );
  expect(lab.net.skbs.inUse).toBeLessThanOrEqual(1000);
});
