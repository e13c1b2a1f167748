import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TCP_ESTABLISHED, UdpSock } from '../../src/udp/sock.js';
import {
  computeScore,
  udp4LibLookup,
  udpHashConnected,
  udpLibGetPort,
  udpLibRehash,
  udpLibUnhash,
  udpSkBoundDevEq,
} from '../../src/udp/udp_table.js';
import { ip, RxLab } from '../ip/rx_lab.js';

type Options = Partial<
  Pick<UdpSock, 'reuse' | 'reuseport' | 'boundDevIf' | 'localPortRangeLo' | 'localPortRangeHi'> & {
    address: string;
    uid: number;
  }
>;

function make(lab: RxLab, { address = '0.0.0.0', uid = 0, ...rest }: Options = {}, proto = 17): UdpSock {
  const sk = new UdpSock(lab.net, proto, { uid, gid: 0, capable: () => true });
  sk.rcvSaddr = ip(address);
  return Object.assign(sk, rest);
}
function connect(lab: RxLab, sk: UdpSock, peer: string, port: number): UdpSock {
  sk.daddr = ip(peer);
  sk.dport = port;
  sk.state = TCP_ESTABLISHED;
  udpHashConnected(lab.net, sk);
  return sk;
}

describe('BIND-10: who may share a port', () => {
  test.each<[string, Options, Options, 0 | 1]>([
    ['the same address', { address: '10.9.0.2' }, { address: '10.9.0.2' }, 1],
    ['any after one', { address: '10.9.0.2' }, {}, 1],
    ['one after any', {}, { address: '10.9.0.2' }, 1],
    ['two addresses', { address: '10.9.0.2' }, { address: '127.0.0.1' }, 0],
    ['both SO_REUSEADDR', { reuse: true }, { reuse: true }, 0],
    ['one SO_REUSEADDR', { reuse: true }, {}, 1],
    ['both SO_REUSEPORT', { reuseport: true }, { reuseport: true }, 0],
    ['both SO_REUSEPORT, two users', { reuseport: true }, { reuseport: true, uid: 1 }, 1],
    ['REUSEADDR and REUSEPORT', { reuse: true }, { reuseport: true }, 1],
    ['two devices', { boundDevIf: 1 }, { boundDevIf: 2 }, 0],
    ['a device and none', { boundDevIf: 1 }, {}, 1],
  ])('%s', (_name, first, second, expected) => {
    const lab = new RxLab();
    expect(udpLibGetPort(lab.net, make(lab, first), 5001)).toBe(0);
    const sk = make(lab, second);
    expect(udpLibGetPort(lab.net, sk, 5001)).toBe(expected);
    expect(sk.num).toBe(expected === 0 ? 5001 : 0);
  });

  test('UDP-Lite has ports of its own, and a freed port is free', () => {
    const lab = new RxLab();
    const sk = make(lab);
    expect(udpLibGetPort(lab.net, sk, 5001)).toBe(0);
    expect(udpLibGetPort(lab.net, make(lab, {}, 136), 5001)).toBe(0);
    udpLibUnhash(lab.net, sk);
    expect(sk.num).toBe(0);
    expect(udpLibGetPort(lab.net, make(lab), 5001)).toBe(0);
  });

  // The rule in one expression, as the catalogue has it.
  test('agrees with the rule on anything', () => {
    const side = fc.record({
      reuse: fc.boolean(),
      reuseport: fc.boolean(),
      boundDevIf: fc.integer({ min: 0, max: 2 }),
      address: fc.constantFrom('0.0.0.0', '10.9.0.2', '127.0.0.1'),
      uid: fc.integer({ min: 0, max: 1 }),
    });
    const lab = new RxLab();
    fc.assert(
      fc.property(side, side, (a, b) => {
        const [first, second] = [make(lab, b), make(lab, a)];
        expect(udpLibGetPort(lab.net, first, 6000)).toBe(0);
        const conflict =
          !(a.reuse && b.reuse) &&
          (a.boundDevIf === 0 || b.boundDevIf === 0 || a.boundDevIf === b.boundDevIf) &&
          (a.address === b.address || a.address === '0.0.0.0' || b.address === '0.0.0.0') &&
          !(a.reuseport && b.reuseport && a.uid === b.uid);
        expect(udpLibGetPort(lab.net, second, 6000)).toBe(conflict ? 1 : 0);
        udpLibUnhash(lab.net, first);
        udpLibUnhash(lab.net, second);
      }),
    );
  });
});

describe('BIND-20..22: ephemeral ports', () => {
  test('every port of the range but the reserved ones, then none', () => {
    const lab = new RxLab();
    lab.net.sysctl.set('net.ipv4.ip_local_port_range', '40000 40009');
    lab.net.sysctl.set('net.ipv4.ip_local_reserved_ports', '40003,40005-40006');
    const ports = Array.from({ length: 7 }, () => {
      const sk = make(lab);
      expect(udpLibGetPort(lab.net, sk, 0)).toBe(0);
      return sk.num;
    });
    expect(ports.sort()).toEqual([40000, 40001, 40002, 40004, 40007, 40008, 40009]);
    expect(udpLibGetPort(lab.net, make(lab), 0)).toBe(1);
    expect(udpLibGetPort(lab.net, make(lab), 40003)).toBe(0);
  });

  test("the socket's own range counts where it lies in the namespace's", () => {
    const lab = new RxLab();
    const sk = make(lab, { localPortRangeLo: 35001, localPortRangeHi: 35001 });
    expect(udpLibGetPort(lab.net, sk, 0)).toBe(0);
    expect(sk.num).toBe(35001);
    expect(udpLibGetPort(lab.net, make(lab, { localPortRangeLo: 35001, localPortRangeHi: 35001 }), 0)).toBe(
      1,
    );
    const outside = make(lab, { localPortRangeLo: 10, localPortRangeHi: 20 });
    expect(udpLibGetPort(lab.net, outside, 0)).toBe(0);
    expect(outside.num).toBeGreaterThanOrEqual(32768);
  });

  test('all of 28,232 ports are found, and spread over the range', () => {
    const lab = new RxLab();
    const seen = new Set<number>();
    let upper = 0;
    for (let i = 0; i < 28_232; i++) {
      const sk = make(lab);
      expect(udpLibGetPort(lab.net, sk, 0)).toBe(0);
      if (i < 1000 && sk.num > 46884) upper++;
      seen.add(sk.num);
    }
    expect(seen.size).toBe(28_232);
    expect(upper).toBeGreaterThan(400);
    expect(upper).toBeLessThan(600);
    expect(udpLibGetPort(lab.net, make(lab), 0)).toBe(1);
  });
});

describe('the lookup', () => {
  const find = (lab: RxLab, from: string, sport: number, dif = 2, sdif = 0): UdpSock | null =>
    udp4LibLookup(lab.net, lab.net.udpTable, ip(from), sport, ip('10.9.0.2'), 9000, dif, sdif);
  const put = (lab: RxLab, o: Options): UdpSock => {
    const sk = make(lab, { reuse: true, ...o });
    expect(udpLibGetPort(lab.net, sk, 9000)).toBe(0);
    return sk;
  };

  test('a bound address before any, a device before none, a peer before both, the newest among equals', () => {
    const lab = new RxLab();
    const any = put(lab, {});
    expect(find(lab, '10.9.0.1', 1000)).toBe(any);
    const bound = put(lab, { address: '10.9.0.2' });
    expect(find(lab, '10.9.0.1', 1000)).toBe(bound);
    const newer = put(lab, { address: '10.9.0.2' });
    expect(find(lab, '10.9.0.1', 1000)).toBe(newer);
    const device = put(lab, { address: '10.9.0.2', boundDevIf: 2 });
    put(lab, { address: '10.9.0.2' });
    expect(find(lab, '10.9.0.1', 1000)).toBe(device);
    expect(find(lab, '10.9.0.1', 1000, 3)).not.toBe(device);
    const peer = connect(lab, put(lab, { address: '10.9.0.2' }), '10.9.0.1', 1000);
    expect(find(lab, '10.9.0.1', 1000)).toBe(peer);
    expect(find(lab, '10.9.0.1', 1001)).toBe(device);
  });

  test('a socket that gets its address later is found under it', () => {
    const lab = new RxLab();
    const sk = put(lab, {});
    const other = put(lab, { address: '10.9.0.2' });
    expect(find(lab, '10.9.0.1', 1000)).toBe(other);
    sk.rcvSaddr = ip('10.9.0.2');
    udpLibRehash(lab.net, sk);
    expect(find(lab, '10.9.0.1', 1000)).toBe(sk);
    udpLibUnhash(lab.net, sk);
    expect(find(lab, '10.9.0.1', 1000)).toBe(other);
  });

  test('agrees with scoring every socket (the connected ones first)', () => {
    const address = fc.constantFrom('0.0.0.0', '10.9.0.2', '127.0.0.1');
    const socket = fc.record({
      address,
      boundDevIf: fc.integer({ min: 0, max: 2 }),
      peer: fc.option(fc.constantFrom('10.9.0.1', '10.9.0.3'), { nil: null }),
      port: fc.constantFrom(1000, 1001),
    });
    const lab = new RxLab();
    fc.assert(
      fc.property(fc.array(socket, { maxLength: 8 }), fc.integer({ min: 1, max: 2 }), (sockets, dif) => {
        const all = sockets.map(({ address: at, boundDevIf, peer, port }) => {
          const sk = put(lab, { address: at, boundDevIf });
          return peer === null || at === '0.0.0.0' ? sk : connect(lab, sk, peer, port);
        });
        let best: UdpSock | null = null;
        for (const level of ['10.9.0.2', '0.0.0.0']) {
          let badness = 0;
          if (best !== null) break;
          for (const sk of all.slice().reverse()) {
            if (sk.rcvSaddr !== ip(level)) continue;
            const score = computeScore(lab.net, sk, ip('10.9.0.1'), 1000, dif, 0);
            if (score > badness) [badness, best] = [score, sk];
          }
        }
        const got = find(lab, '10.9.0.1', 1000, dif);
        for (const sk of all) udpLibUnhash(lab.net, sk);
        // Among connected ones that fit, the newest answers whether it is bound to the device or not (udp4_lib_lookup4).
        if (best?.state === TCP_ESTABLISHED) expect(got?.state).toBe(TCP_ESTABLISHED);
        // By number: a failure that prints sockets prints everything they hang on.
        else expect(got === null ? -1 : all.indexOf(got)).toBe(best === null ? -1 : all.indexOf(best));
      }),
      { numRuns: 60 },
    );
  });

  test('in a VRF an unbound socket hears only where udp_l3mdev_accept allows it', () => {
    const lab = new RxLab();
    expect(udpSkBoundDevEq(lab.net, 0, 5, 2)).toBe(false);
    expect(udpSkBoundDevEq(lab.net, 5, 5, 2)).toBe(true);
    expect(udpSkBoundDevEq(lab.net, 2, 5, 2)).toBe(true);
    expect(udpSkBoundDevEq(lab.net, 3, 5, 2)).toBe(false);
    lab.net.sysctl.set('net.ipv4.udp_l3mdev_accept', 1);
    expect(udpSkBoundDevEq(lab.net, 0, 5, 2)).toBe(true);
  });

  test('SO_REUSEPORT: flows are spread over the group, a flow stays, a connected member takes no part', () => {
    const lab = new RxLab();
    const group = [1, 2, 3, 4].map(() => put(lab, { address: '10.9.0.2', reuse: false, reuseport: true }));
    const hits = new Map<UdpSock, number>();
    for (let sport = 1000; sport < 3000; sport++) {
      const sk = find(lab, '10.9.0.1', sport)!;
      expect(find(lab, '10.9.0.1', sport)).toBe(sk);
      hits.set(sk, (hits.get(sk) ?? 0) + 1);
    }
    for (const sk of group) expect(Math.abs(hits.get(sk)! - 500)).toBeLessThan(100);
    connect(lab, group[0]!, '10.9.0.9', 9);
    for (let sport = 1000; sport < 1200; sport++) expect(find(lab, '10.9.0.1', sport)).not.toBe(group[0]);
    expect(find(lab, '10.9.0.9', 9)).toBe(group[0]);
    udpLibUnhash(lab.net, group[1]!);
    for (let sport = 1000; sport < 1200; sport++)
      expect([group[2], group[3]]).toContain(find(lab, '10.9.0.1', sport));
  });

  test('100,000 sockets on one port: a lookup costs what it costs with a thousand', () => {
    const cost = (count: number): number => {
      const lab = new RxLab();
      const peers = ip('10.8.0.0');
      for (let i = 0; i < count; i++) {
        const sk = make(lab, { reuse: true });
        sk.rcvSaddr = ip('10.9.0.2');
        udpLibGetPort(lab.net, sk, 9000);
        sk.daddr = peers + (i >> 8);
        sk.dport = 1 + (i & 255);
        sk.state = TCP_ESTABLISHED;
        udpHashConnected(lab.net, sk);
      }
      const daddr = ip('10.9.0.2');
      const start = performance.now();
      for (let i = 0; i < 20_000; i++) {
        const n = (i * 7919) % count;
        const [from, port] = [peers + (n >> 8), 1 + (n & 255)];
        if (udp4LibLookup(lab.net, lab.net.udpTable, from, port, daddr, 9000, 2, 0) === null)
          throw new Error('not found');
      }
      return performance.now() - start;
    };
    cost(1000);
    const [few, many] = [cost(1000), cost(100_000)];
    // Caches miss more often; a list would be a hundred times slower.
    expect(many).toBeLessThan(few * 30 + 100);
  });
});
