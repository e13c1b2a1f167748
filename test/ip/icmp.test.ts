import { describe, expect, test } from 'vitest';
import * as errno from '../../src/uapi/errno.js';
import { IP_PMTUDISC_DONT, IP_RECVERR } from '../../src/uapi/in.js';
import { AF_INET, MSG_ERRQUEUE, SO_ERROR, SOL_IP, SOL_SOCKET } from '../../src/uapi/socket.js';
import { TCP_ESTABLISHED, type UdpSock } from '../../src/udp/sock.js';
import { udpHashConnected } from '../../src/udp/udp_table.js';
import { put16 } from '../../src/wire/bytes.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import {
  bytes,
  datagram,
  filled,
  frame,
  icmpError,
  icmpMessage,
  ip,
  message,
  PEER,
  RxLab,
  text,
  US,
} from './rx_lab.js';

function connected(lab: RxLab, recverr: boolean): UdpSock {
  const sk = lab.socket();
  sk.daddr = ip(PEER);
  sk.dport = 1000;
  sk.state = TCP_ESTABLISHED;
  sk.recverr = recverr;
  udpHashConnected(lab.net, sk);
  return sk;
}
const take = (sk: UdpSock): number => {
  const err = sk.err;
  sk.err = 0;
  return err;
};

describe('errors by type and code (J.2)', () => {
  const rows: readonly (readonly [type: number, code: number, errno: number, fatal: boolean])[] = [
    [3, 0, errno.ENETUNREACH, false],
    [3, 1, errno.EHOSTUNREACH, false],
    [3, 2, errno.ENOPROTOOPT, true],
    [3, 3, errno.ECONNREFUSED, true],
    [3, 4, errno.EMSGSIZE, true],
    [3, 5, errno.EOPNOTSUPP, false],
    [3, 6, errno.ENETUNREACH, true],
    [3, 7, errno.EHOSTDOWN, true],
    [3, 8, errno.ENONET, true],
    [3, 9, errno.ENETUNREACH, true],
    [3, 10, errno.EHOSTUNREACH, true],
    [3, 11, errno.ENETUNREACH, false],
    [3, 12, errno.EHOSTUNREACH, false],
    [3, 13, errno.EHOSTUNREACH, true],
    [3, 14, errno.EHOSTUNREACH, true],
    [3, 15, errno.EHOSTUNREACH, true],
    [11, 0, errno.EHOSTUNREACH, false],
    [11, 2, errno.EHOSTUNREACH, false],
    [12, 0, errno.EPROTO, true],
    [12, 1, errno.EPROTO, true],
  ];
  test.each(rows)('%i/%i', (type, code, expected, fatal) => {
    const plain = new RxLab();
    const sk = connected(plain, false);
    plain.inject(icmpError(type, code));
    expect(take(sk)).toBe(fatal ? expected : 0);
    expect(plain.error(sk)).toBeNull();

    const wishing = new RxLab();
    const wanting = connected(wishing, true);
    wishing.inject(icmpError(type, code, type === 12 ? 0x2b000000 : 1300));
    expect(take(wanting)).toBe(expected);
    const info = type === 12 ? 0x2b : type === 3 && code === 4 ? 1300 : 0;
    expect(wishing.error(wanting)).toEqual({ errno: expected, origin: 2, type, code, info, data: 0 });

    const unconnected = new RxLab();
    const third = unconnected.socket();
    unconnected.inject(icmpError(type, code));
    expect(take(third)).toBe(0);
  });

  test.each([
    [3, 16],
    [4, 0],
    [11, 1],
    [5, 0],
  ])('%i/%i concerns no socket', (type, code) => {
    const lab = new RxLab();
    const sk = connected(lab, true);
    lab.inject(icmpError(type, code, 0x0a090003));
    expect(take(sk)).toBe(0);
    expect(lab.error(sk)).toBeNull();
  });

  test('a socket that lets fragment hears of no MTU', () => {
    const lab = new RxLab();
    const sk = connected(lab, true);
    sk.pmtudisc = IP_PMTUDISC_DONT;
    lab.inject(icmpError(3, 4, 1300));
    expect(take(sk)).toBe(0);
    expect(lab.net.ip('route get 10.9.0.1')).toContain('mtu 1300');
  });
});

describe('which errors are believed', () => {
  test.each<[string, Uint8Array, number]>([
    ['7 bytes of UDP', icmpErrorCut(27), 1],
    ['a quoted header under 20 bytes', icmpErrorCut(19), 1],
    ['no socket of ours', icmpErrorOf(9001, 1000), 1],
    ['another peer', icmpErrorOf(9000, 1001), 1],
    ['a wrong checksum', wrong(icmpError(3, 3)), 1],
    ['our own address as sender', icmpError(3, 3, 0, 'x', { src: US }), 0],
  ])('not with %s', (_name, f, errors) => {
    const lab = new RxLab();
    const sk = connected(lab, true);
    lab.inject(f);
    expect(take(sk)).toBe(0);
    expect(lab.net.mib.Icmp.InErrors).toBe(errors);
  });

  test('from any host, with exactly 8 bytes of UDP', () => {
    const lab = new RxLab();
    const sk = connected(lab, true);
    lab.inject(frame(icmpErrorCut(28).subarray(34), { src: '172.16.0.9', proto: 1 }));
    expect(take(sk)).toBe(errno.ECONNREFUSED);
  });
});

function quoted(sport: number, dport: number, data = 'quoted'): Uint8Array {
  return frame(message(data, { src: US, dst: PEER, sport, dport }), { src: US, dst: PEER }).subarray(14);
}
function icmpErrorOf(sport: number, dport: number): Uint8Array {
  return frame(icmpMessage(3, 3, 0, quoted(sport, dport)), { proto: 1 });
}
function icmpErrorCut(length: number): Uint8Array {
  return frame(icmpMessage(3, 3, 0, quoted(9000, 1000).subarray(0, length)), { proto: 1 });
}
function wrong(f: Uint8Array): Uint8Array {
  f[f.length - 1]! ^= 1;
  return f;
}

describe('the error queue (J.4)', () => {
  test('an entry names the destination, the offender, and carries the quoted payload', () => {
    const lab = new RxLab();
    const sk = connected(lab, true);
    lab.inject(icmpError(3, 1, 0, 'payload', { src: '10.9.0.7' }));
    const got = lab.recv(sk, MSG_ERRQUEUE);
    if (typeof got === 'number') throw new Error(`recv: ${got}`);
    expect(text(got.data)).toBe('payload');
    expect(got.name).toEqual({ addr: ip(PEER), port: 1000 });
    expect([...got.cmsgs[0]!.data.subarray(16)]).toEqual([AF_INET, 0, 0, 0, 10, 9, 0, 7, ...filled(8, 0)]);
    expect(lab.recv(sk, MSG_ERRQUEUE)).toBe(-errno.EAGAIN);
  });

  test('SO_ERROR follows what is left in the queue (ERRQ-6)', () => {
    const lab = new RxLab();
    const sk = connected(lab, true);
    lab.inject(icmpError(3, 3), icmpError(3, 1));
    expect(sk.err).toBe(errno.EHOSTUNREACH);
    lab.error(sk);
    expect(sk.err).toBe(errno.EHOSTUNREACH);
    lab.error(sk);
    expect(sk.err).toBe(0);
  });

  test('it fills the receive buffer and no more (ERRQ-5)', () => {
    const lab = new RxLab();
    const sk = connected(lab, true);
    sk.rcvbuf = 2304;
    for (let i = 0; i < 100; i++) lab.inject(icmpError(3, 3, 0, 'x'.repeat(400)));
    expect(sk.rmemAlloc).toBeLessThan(2304);
    expect(sk.errorQueue.length).toBe(1);
  });

  test('extensions are pointed at (RFC 4884)', () => {
    const lab = new RxLab();
    const sk = connected(lab, true);
    sk.recverrRfc4884 = true;
    const quote = quoted(9000, 1000, 'q'.repeat(100));
    const extension = bytes(0x20, 0, 0, 0, 0, 8, 1, 1, 1, 2, 3, 4);
    const send = (ext: Uint8Array): void => {
      lab.inject(frame(icmpMessage(11, 0, 32 << 16, Buffer.concat([quote, ext])), { proto: 1 }));
    };
    send(extension);
    expect(lab.error(sk)!.data).toBe(100);
    put16(extension, 4, 3);
    send(extension);
    expect(lab.error(sk)!.data).toBe(100 | (1 << 16));
  });
});

describe('answers', () => {
  test('an echo comes back whole, its TOS and code too', () => {
    const lab = new RxLab();
    lab.inject(frame(icmpMessage(8, 3, 0x12340005, filled(56)), { proto: 1, tos: 0x1b }));
    const [reply] = lab.tap.drain();
    expect(reply!.bytes.subarray(34)).toEqual(icmpMessage(0, 3, 0x12340005, filled(56)));
    expect(ipv4.tos(reply!.bytes, 14)).toBe(0x1b);
  });

  test('not to everyone unless allowed, and then from our own address', () => {
    const lab = new RxLab();
    const ask = frame(icmpMessage(8, 0, 1, filled(4)), { proto: 1, dst: '10.9.0.255', mac: 'ffffffffffff' });
    lab.inject(ask);
    expect(lab.sent()).toEqual([]);
    lab.net.sysctl.set('net.ipv4.icmp_echo_ignore_broadcasts', 0);
    lab.inject(ask);
    expect(lab.sent()).toEqual([expect.stringContaining('10.9.0.2 > 10.9.0.1  echo reply')]);
    lab.net.sysctl.set('net.ipv4.icmp_echo_ignore_all', 1);
    lab.inject(ask);
    expect(lab.sent()).toEqual([]);
  });

  test('a timestamp', () => {
    const lab = new RxLab();
    lab.inject(frame(icmpMessage(13, 0, 7, bytes(0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0)), { proto: 1 }));
    const [reply] = lab.tap.drain();
    const day = Math.floor(lab.clock.wall()) % 86_400_000;
    const view = new DataView(reply!.bytes.buffer, 42);
    expect([view.getUint32(0), view.getUint32(4), view.getUint32(8)]).toEqual([9, day, day]);
  });

  test('a closed port: unreachable, at most 576 bytes, precedence internetwork control', () => {
    const lab = new RxLab();
    lab.inject(datagram(filled(1400), { dport: 5, tos: 0x1d }));
    const [reply] = lab.tap.drain();
    expect(reply!.bytes.length).toBe(14 + 576);
    expect(ipv4.tos(reply!.bytes, 14)).toBe(0xdc);
    expect(lab.net.mib.Udp.NoPorts).toBe(1);
  });

  test.each([
    ['a broadcast', datagram('x', { dport: 5, dst: '10.9.0.255', mac: 'ffffffffffff' })],
    ['a frame for all', datagram('x', { dport: 5, mac: 'ffffffffffff' })],
    ['a later fragment', frame(filled(8), { proto: 99, fragOff: 100 })],
    ['an ICMP error', frame(icmpMessage(3, 3, 0, filled(4)), { proto: 1, options: bytes(7, 1, 0, 0) })],
    [
      'a router advertisement',
      frame(icmpMessage(9, 0, 0, filled(4)), { proto: 1, options: bytes(7, 1, 0, 0) }),
    ],
    ['a datagram with a wrong checksum', wrong(datagram(filled(200), { dport: 5 }))],
  ])('no error about %s', (_name, f) => {
    const lab = new RxLab();
    lab.inject(f);
    expect(lab.sent()).toEqual([]);
  });
});

describe('limits (ICMP-40)', () => {
  test('six errors at once to a host, then one a second', () => {
    const lab = new RxLab();
    const count = (): number => {
      for (let i = 0; i < 10; i++) lab.inject(datagram('x', { dport: 5 }));
      return lab.sent().length;
    };
    expect(count()).toBe(6);
    expect(lab.net.mib.Icmp.OutRateLimitHost).toBe(4);
    lab.sleep(1000);
    expect(count()).toBe(1);
    lab.sleep(3000);
    expect(count()).toBe(3);
  });

  test('about fifty at once to all, filled again after 20 ms', () => {
    const lab = new RxLab();
    lab.net.ip('route add default via 10.9.0.1');
    let host = 1;
    const burst = (): number => {
      for (let i = 0; i < 300; i++, host++)
        lab.inject(datagram('x', { dport: 5, src: `172.16.${host >> 8}.${host & 255}` }));
      return lab.sent().length;
    };
    const first = burst();
    // None, one or two of the fifty are taken for each.
    expect(first).toBeGreaterThanOrEqual(25);
    expect(first).toBeLessThan(120);
    expect(burst()).toBe(0);
    lab.sleep(19);
    expect(burst()).toBe(0);
    lab.sleep(2);
    expect(burst()).toBeGreaterThan(5);
  });

  test('none for echo, none for "fragmentation needed"', () => {
    const lab = new RxLab();
    for (let i = 0; i < 200; i++) lab.inject(frame(icmpMessage(8, 0, i, filled(4)), { proto: 1 }));
    expect(lab.sent().length).toBe(200);
  });
});

test('NEIGH-10: who does not answer ARP is unreachable, for the error queue of the sender', () => {
  const lab = new RxLab();
  const s = lab.open(9000);
  s.setsockopt(SOL_IP, IP_RECVERR, 1);
  s.sendto(filled(3), 0, { address: '10.9.0.77', port: 5 });
  s.sendto(filled(4), 0, { address: '10.9.0.77', port: 6 });
  lab.sleep(3500);
  expect(s.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(errno.EHOSTUNREACH);
  const entries = [s.recvmsg(MSG_ERRQUEUE), s.recvmsg(MSG_ERRQUEUE)];
  expect(entries.map((e) => [e!.data.length, e!.name])).toEqual([
    [3, { address: '10.9.0.77', port: 5 }],
    [4, { address: '10.9.0.77', port: 6 }],
  ]);
});
