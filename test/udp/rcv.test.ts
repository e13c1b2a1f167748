import { describe, expect, test } from 'vitest';
import { EAGAIN } from '../../src/uapi/errno.js';
import { IP_ADD_MEMBERSHIP, IP_MULTICAST_ALL, UDP_GRO, UDP_SEGMENT } from '../../src/uapi/in.js';
import { AF_INET, SOCK_DGRAM, SOL_IP, SOL_UDP } from '../../src/uapi/socket.js';
import { put16 } from '../../src/wire/bytes.js';
import { bytes, datagram, filled, ip, PEER, RxLab, text, US } from '../ip/rx_lab.js';

/** The frame with its UDP checksum spoilt. */
function spoilt(f: Uint8Array): Uint8Array {
  f[40]! ^= 0x55;
  return f;
}
/** The frame with another UDP length or coverage field, without a checksum. */
function relabelled(f: Uint8Array, length: number): Uint8Array {
  put16(f, 38, length);
  put16(f, 40, 0);
  return f;
}

describe('lengths and checksums', () => {
  test.each([
    ['a small one is dropped on arrival', 5, 0],
    ['a large one when it is read', 200, 1],
  ])('wrong checksum: %s', (_name, length, queued) => {
    const lab = new RxLab();
    const sk = lab.socket();
    lab.inject(spoilt(datagram(filled(length))));
    expect(sk.receiveQueue.length).toBe(queued);
    expect(lab.net.mib.Udp.InCsumErrors).toBe(1 - queued);
    lab.inject(datagram('next'));
    expect(lab.data(sk)).toBe('next');
    expect(lab.net.mib.Udp.InCsumErrors).toBe(1);
    expect(lab.net.mib.Udp.InErrors).toBe(1);
    expect(lab.net.mib.Udp.InDatagrams).toBe(1);
    expect(sk.rmemAlloc).toBe(0);
  });

  test('no checksum is right for UDP, and for UDP-Lite wrong', () => {
    const lab = new RxLab();
    const sk = lab.socket();
    const lite = lab.socket(US, 9000, 136);
    lab.inject(datagram('a', { checksum: false }), datagram('a', { checksum: false, coverage: 0 }));
    expect(lab.data(sk)).toBe('a');
    expect(lab.data(lite)).toBe(-EAGAIN);
    expect(lab.net.mib.UdpLite.InCsumErrors).toBe(1);
  });

  test('the length field may be shorter than the packet, not longer, not under 8', () => {
    const lab = new RxLab();
    const sk = lab.socket();
    lab.inject(relabelled(datagram('abcdefgh'), 12));
    expect(lab.data(sk)).toBe('abcd');
    lab.inject(relabelled(datagram('abcdefgh'), 17), relabelled(datagram('abcdefgh'), 7));
    expect(lab.data(sk)).toBe(-EAGAIN);
    expect(lab.net.mib.Udp.InErrors).toBe(2);
  });

  test('UDP-Lite: what the coverage leaves out may be damaged, and a receiver may ask for more', () => {
    const lab = new RxLab();
    const sk = lab.socket(US, 9000, 136);
    const damaged = (coverage: number): Uint8Array => {
      const f = datagram('0123456789abcdef', { coverage });
      f[f.length - 1]! ^= 1;
      return f;
    };
    lab.inject(damaged(0), damaged(24), damaged(8), damaged(12));
    expect([lab.data(sk), lab.data(sk), lab.data(sk)]).toEqual([
      '0123456789abcdeg',
      '0123456789abcdeg',
      -EAGAIN,
    ]);
    sk.udpliteRecvCc = true;
    sk.pcrlen = 12;
    lab.inject(damaged(8), damaged(12));
    expect([lab.data(sk), lab.data(sk)]).toEqual(['0123456789abcdeg', -EAGAIN]);
    expect(sk.drops).toBe(1);
  });

  test.each([7, 25, 100])('UDP-Lite: a coverage of %i for 24 bytes is refused', (coverage) => {
    const lab = new RxLab();
    const sk = lab.socket(US, 9000, 136);
    const f = datagram('0123456789abcdef', { coverage: 8 });
    put16(f, 38, coverage);
    lab.inject(f);
    expect(lab.data(sk)).toBe(-EAGAIN);
    expect(lab.net.mib.UdpLite.InErrors).toBe(1);
  });
});

describe('to many', () => {
  const group = (o = {}) => datagram('all', { dst: '239.1.2.3', mac: '01005e010203', ...o });
  const member = (lab: RxLab, all: boolean, join: boolean) => {
    const s = lab.net.socket(AF_INET, SOCK_DGRAM, 0);
    s.setsockopt(1, 2, 1);
    s.bind({ address: '0.0.0.0', port: 9000 });
    s.setsockopt(SOL_IP, IP_MULTICAST_ALL, all ? 1 : 0);
    if (join) s.setsockopt(SOL_IP, IP_ADD_MEMBERSHIP, bytes(239, 1, 2, 3, 10, 9, 0, 2));
    return () => s.recvmsg();
  };

  test('a broadcast goes to every socket that may have it', () => {
    const lab = new RxLab();
    const sockets = ['0.0.0.0', '10.9.0.255', US].map((address) => lab.socket(address, 9000, 17, true));
    lab.inject(datagram('all', { dst: '10.9.0.255', mac: 'ffffffffffff' }));
    expect(sockets.map((sk) => lab.data(sk))).toEqual(['all', 'all', -EAGAIN]);
    expect(lab.net.skbs.inUse).toBe(0);
  });

  test('a group goes to its members, and to others that did not say they want no groups but theirs', () => {
    const lab = new RxLab();
    const [joined, curious, strict] = [
      member(lab, true, true),
      member(lab, true, false),
      member(lab, false, false),
    ];
    lab.inject(group());
    expect([joined, curious, strict].map((recv) => recv()?.data.length ?? null)).toEqual([3, 3, null]);
  });

  test('nobody there is counted, not answered', () => {
    const lab = new RxLab();
    member(lab, true, true);
    lab.tap.drain();
    lab.inject(group({ dport: 7 }));
    expect(lab.net.mib.Udp.IgnoredMulti).toBe(1);
    expect(lab.sent()).toEqual([]);
  });
});

describe('a connected socket', () => {
  test('hears its peer and nobody else', () => {
    const lab = new RxLab();
    const s = lab.open(9000);
    s.connect({ address: PEER, port: 1000 });
    lab.inject(datagram('port', { sport: 1001 }), datagram('host', { src: '10.9.0.3' }), datagram('peer'));
    expect(text(s.recvmsg()!.data)).toBe('peer');
    expect(s.recvmsg()).toBeNull();
  });
});

describe('the receive buffer', () => {
  // Measured on 6.18, frames written to a TAP.
  test.each([
    [0, 704],
    [23, 768],
    [87, 832],
    [1472, 2176],
    [3414, 4096],
    [3415, 4352],
    [3671, 8448],
    [8000, 12544],
    [16000, 20736],
    [65000, 65792],
  ])('%i bytes are charged %i', (length, charge) => {
    const lab = new RxLab();
    lab.tap.mtu = 65521;
    const sk = lab.socket();
    lab.inject(datagram(filled(length)));
    expect(sk.rmemAlloc).toBe(charge);
    lab.recv(sk);
    expect(sk.rmemAlloc).toBe(0);
  });

  test('full is full, but an empty queue takes one datagram of any size', () => {
    const lab = new RxLab();
    const sk = lab.socket();
    sk.rcvbuf = 2304;
    for (let i = 0; i < 5; i++) lab.inject(datagram(filled(100)));
    expect(sk.receiveQueue.length).toBe(2);
    expect(lab.net.mib.Udp.RcvbufErrors).toBe(3);
    expect(lab.net.mib.Udp.InErrors).toBe(3);
    expect(sk.drops).toBe(3);
    lab.recv(sk);
    lab.recv(sk);
    lab.inject(datagram(filled(1400)), datagram('more'));
    expect(sk.receiveQueue.length).toBe(1);
    expect(lab.net.mib.Udp.RcvbufErrors).toBe(4);
  });

  test('what is read in a row comes back in quarters of the buffer', () => {
    const lab = new RxLab();
    const sk = lab.socket();
    sk.rcvbuf = 8000;
    for (let i = 0; i < 5; i++) lab.inject(datagram(filled(100)));
    expect(sk.rmemAlloc).toBe(5 * 832);
    const after = [0, 0, 0, 0, 0].map(() => {
      lab.recv(sk);
      return sk.rmemAlloc / 832;
    });
    expect(after).toEqual([5, 5, 2, 2, 0]);
  });

  test('datagrams that nobody reads do not keep the memory for frames', () => {
    const lab = new RxLab();
    for (let port = 1; port <= 40; port++) lab.socket(US, port);
    for (let i = 0; i < 250; i++)
      for (let dport = 1; dport <= 40; dport++) lab.inject(datagram(filled(64), { dport }));
    expect(lab.net.arena.free).toBeGreaterThan(lab.net.arena.smallSlots / 2 - 10);
    expect(lab.net.skbs.inUse).toBe(10_000);
  });
});

describe('over loopback', () => {
  const pair = () => {
    const lab = new RxLab();
    return { lab, a: lab.open(7000, '127.0.0.1'), b: lab.open(7001, '127.0.0.1') };
  };
  const to = { address: '127.0.0.1', port: 7000 };

  test('two sockets of one Net talk', () => {
    const { a, b } = pair();
    b.sendto(Buffer.from('hello'), 0, to);
    const got = a.recvmsg()!;
    expect([text(got.data), got.name]).toEqual(['hello', { address: '127.0.0.1', port: 7001 }]);
    expect(a.recvmsg()).toBeNull();
  });

  test('65507 bytes', () => {
    const { lab, a, b } = pair();
    b.sendto(filled(65507), 0, to);
    expect(a.recvmsg()!.data.length).toBe(65507);
    expect(lab.net.skbs.inUse).toBe(0);
  });

  test('a GSO send is single datagrams, or with UDP_GRO one that names the segment size', () => {
    const { lab, a, b } = pair();
    b.setsockopt(SOL_UDP, UDP_SEGMENT, 100);
    const sent = Uint8Array.from({ length: 250 }, (_, i) => i);
    b.sendto(sent, 0, to);
    expect([a.recvmsg(), a.recvmsg(), a.recvmsg(), a.recvmsg()].map((m) => m && [...m.data])).toEqual([
      [...sent.subarray(0, 100)],
      [...sent.subarray(100, 200)],
      [...sent.subarray(200)],
      null,
    ]);
    a.setsockopt(SOL_UDP, UDP_GRO, 1);
    b.sendto(sent, 0, to);
    const whole = a.recvmsg()!;
    expect([...whole.data]).toEqual([...sent]);
    expect(whole.control).toEqual([{ level: SOL_UDP, type: UDP_GRO, data: bytes(100, 0, 0, 0) }]);
    expect(lab.net.skbs.inUse).toBe(0);
  });

  test('a closed port is refused to the sender at once', () => {
    const { b } = pair();
    b.connect({ address: '127.0.0.1', port: 7999 });
    b.send(Buffer.from('x'));
    expect(() => b.send(Buffer.from('x'))).toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }));
    expect(ip('127.0.0.1')).toBe(0x7f000001);
  });
});
