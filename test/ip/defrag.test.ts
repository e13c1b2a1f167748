import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../src/core/clock.js';
import { SeededRandom } from '../../src/core/random.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { IpFragQueues } from '../../src/ip/defrag.js';
import { InetPeers } from '../../src/ip/peer.js';
import { Net } from '../../src/net/net.js';
import { EAGAIN } from '../../src/uapi/errno.js';
import { IP_CMSG_RECVFRAGSIZE, IP_CMSG_TOS } from '../../src/udp/recv_cmsg.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import { bytes, filled, fragments, frame, icmpMessage, message, RxLab, text } from './rx_lab.js';

const WHOLE = message(Uint8Array.from({ length: 4000 }, (_, i) => i * 7));
const N = WHOLE.length;
type Cuts = readonly (readonly [number, number])[];

function receive(cuts: Cuts): string | number {
  const lab = new RxLab();
  const sk = lab.socket();
  lab.inject(...fragments(WHOLE, cuts));
  const got = lab.recv(sk);
  if (typeof got === 'number') return got;
  expect(Buffer.from(got.data).equals(WHOLE.subarray(8))).toBe(true);
  expect(lab.net.mib.Ip.ReasmOKs).toBe(1);
  expect(lab.net.skbs.inUse).toBe(0);
  return got.ret;
}

describe('what is put together', () => {
  test.each<[string, Cuts]>([
    [
      'in order',
      [
        [0, 1480],
        [1480, 2960],
        [2960, N],
      ],
    ],
    [
      'backwards',
      [
        [2960, N],
        [1480, 2960],
        [0, 1480],
      ],
    ],
    [
      'the middle last',
      [
        [0, 1480],
        [2960, N],
        [1480, 2960],
      ],
    ],
    [
      'with duplicates',
      [
        [0, 1480],
        [0, 1480],
        [1480, 2960],
        [1480, 2960],
        [2960, N],
      ],
    ],
    [
      'with one that lies inside another',
      [
        [0, 1480],
        [8, 16],
        [1480, 2960],
        [2960, N],
      ],
    ],
  ])('%s', (_name, cuts) => {
    expect(receive(cuts)).toBe(4000);
  });

  test.each<[string, Cuts]>([
    [
      'an overlap',
      [
        [0, 1480],
        [1472, 2960],
        [2960, N],
        [1480, 2960],
      ],
    ],
    [
      'a hole',
      [
        [0, 1480],
        [2960, N],
      ],
    ],
  ])('not with %s', (_name, cuts) => {
    expect(receive(cuts)).toBe(-EAGAIN);
  });

  test('any cut in any order', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 20 }),
        fc.nat(),
        (points, seed) => {
          const edges = [0, ...points.sort((a, b) => a - b).map((p) => p * 8), N];
          const cuts = edges.slice(1).map((to, i) => [edges[i]!, to] as const);
          const random = new SeededRandom(seed);
          for (let i = cuts.length - 1; i > 0; i--) {
            const j = random.u32() % (i + 1);
            [cuts[i], cuts[j]] = [cuts[j]!, cuts[i]!];
          }
          expect(receive(cuts)).toBe(4000);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a fragment of no bytes kills the queue, a datagram over 65535 bytes is not made', () => {
    const lab = new RxLab();
    lab.inject(frame(filled(0), { id: 9, fragOff: ipv4.IP_MF | 10 }));
    expect(lab.net.mib.Ip.ReasmFails).toBe(1);
    const rest = filled(1480);
    lab.inject(frame(rest, { id: 10, fragOff: 8180 }));
    for (let at = 0; at < 8180 * 8; at += 1480) {
      const piece = rest.subarray(0, Math.min(1480, 8180 * 8 - at));
      lab.inject(frame(piece, { id: 10, fragOff: (at >> 3) | ipv4.IP_MF }));
    }
    expect(lab.net.mib.Ip.ReasmFails).toBe(2);
    expect(lab.net.mib.Ip.ReasmOKs).toBe(0);
  });

  test('congestion marks are kept, impossible combinations dropped', () => {
    const run = (...tos: number[]): number | undefined => {
      const lab = new RxLab();
      const sk = lab.socket();
      sk.cmsgFlags = IP_CMSG_TOS;
      const parts = fragments(WHOLE, [
        [0, 1480],
        [1480, 2960],
        [2960, N],
      ]);
      lab.inject(
        ...parts.map((part, i) => {
          ipv4.setTos(part, 14, tos[i]!);
          ipv4.sendCheck(part, 14);
          return part;
        }),
      );
      const got = lab.recv(sk);
      return typeof got === 'number' ? got : got.cmsgs[0]!.data[0];
    };
    expect(run(2, 3, 1)).toBe(3);
    expect(run(2, 2, 2)).toBe(2);
    expect(run(0, 3, 0)).toBe(-EAGAIN);
  });

  test('IP_RECVFRAGSIZE tells the largest fragment', () => {
    const lab = new RxLab();
    const sk = lab.socket();
    sk.cmsgFlags = IP_CMSG_RECVFRAGSIZE;
    lab.inject(
      ...fragments(WHOLE, [
        [0, 800],
        [800, 2960],
        [2960, N],
      ]),
    );
    const got = lab.recv(sk);
    expect(typeof got === 'number' ? got : [...got.cmsgs[0]!.data]).toEqual([0x84, 0x08, 0, 0]);
  });

  test('an echo of 64 KB, and its answer in as many fragments', () => {
    const lab = new RxLab();
    const ping = icmpMessage(8, 0, 0x10002, filled(65507));
    const cuts = Array.from(
      { length: 45 },
      (_, i) => [i * 1480, Math.min((i + 1) * 1480, ping.length)] as const,
    );
    lab.inject(...fragments(ping, cuts, { proto: 1 }));
    const sent = lab.tap.drain();
    expect(sent.length).toBe(45);
    expect(new Set(sent.map((f) => ipv4.id(f.bytes, 14))).size).toBe(1);
    expect(sent.reduce((sum, f) => sum + f.bytes.length - 34, 0)).toBe(ping.length);
  });
});

// Measured on 6.18: what a reassembled datagram takes of the receive buffer.
test.each([
  [3000, 1480, 4608],
  [9000, 1480, 12352],
  [4000, 512, 7872],
  [4000, 104, 28032],
  [1600, 1480, 2752],
  [8000, 3600, 10240],
  [20000, 8000, 33536],
])('%i bytes in fragments of %i are charged %i', (length, step, charge) => {
  const lab = new RxLab();
  const sk = lab.socket();
  const whole = message(filled(length));
  const cuts: [number, number][] = [];
  for (let at = 0; at < whole.length; at += step) cuts.push([at, Math.min(at + step, whole.length)]);
  lab.tap.mtu = 65000;
  lab.inject(...fragments(whole, cuts));
  expect(sk.rmemAlloc).toBe(charge);
});

describe('limits', () => {
  test('after 30 seconds a datagram is given up, and its sender told if the first fragment came', () => {
    const lab = new RxLab();
    lab.inject(...fragments(WHOLE, [[0, 1480]]), ...fragments(WHOLE, [[1480, 2960]], { id: 6 }));
    lab.sleep(29_900);
    expect(lab.sent()).toEqual([]);
    lab.sleep(200);
    expect(lab.sent()).toEqual([
      expect.stringMatching(/10\.9\.0\.2 > 10\.9\.0\.1 {2}reassembly time exceeded/),
    ]);
    expect(lab.net.mib.Ip.ReasmTimeout).toBe(2);
  });

  test('so many fragments of others in between mean another datagram (ipfrag_max_dist)', () => {
    const lab = new RxLab();
    const sk = lab.socket();
    lab.inject(
      ...fragments(WHOLE, [
        [0, 1480],
        [1480, 2960],
      ]),
    );
    for (let id = 100; id < 170; id++) lab.inject(frame(filled(8), { id, fragOff: ipv4.IP_MF }));
    lab.inject(...fragments(WHOLE, [[2960, N]]));
    expect(lab.data(sk)).toBe(-EAGAIN);
    lab.inject(
      ...fragments(WHOLE, [
        [0, 1480],
        [1480, 2960],
      ]),
    );
    expect(text((lab.recv(sk) as { data: Uint8Array }).data).length).toBeGreaterThan(0);
  });

  test('hostile fragments hold no more memory than ipfrag_high_thresh, and let go of it', () => {
    const net = new Net({ clock: new VirtualClock(), random: new SeededRandom(3) });
    const tap = new MemoryDevice({ name: 'tap0', mac: bytes(2, 0, 0, 0, 9, 2) });
    net.addDevice(tap);
    net.ip('addr add 10.9.0.2/24 dev tap0');
    net.ip('link set tap0 up');
    const queues = new IpFragQueues(net, new InetPeers());
    const random = new SeededRandom(7);
    for (let i = 0; i < 30_000; i++) {
      const bits = random.u32();
      const payload = filled(8 + (bits & 0x3f8));
      const f = frame(payload, {
        id: i & 0xffff,
        fragOff: (bits >>> 10) & 0x3fff,
        src: `10.9.${bits >>> 30}.${(bits >>> 20) & 255}`,
      });
      const skb = net.skbs.alloc(f.length);
      skb.buf.set(f.subarray(14), skb.nh);
      skb.tail = skb.nh + f.length - 14;
      skb.len = f.length - 14;
      skb.truesize = 1024;
      skb.dev = tap;
      const whole = queues.defrag(skb);
      if (whole !== null) net.skbs.free(whole);
    }
    const limit = net.sysctl.ipv4.ipfragHighThresh;
    expect(queues.memory).toBeGreaterThan(limit / 2);
    expect(queues.memory).toBeLessThanOrEqual(limit + 1024 + 216);
    expect(net.skbs.inUse).toBe(0);
    net.timers.advanceTo(net.clock.now() + 31_000);
    expect(queues.memory).toBe(0);
    expect(queues.size).toBe(0);
  });
});
