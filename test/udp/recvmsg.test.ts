import { describe, expect, test } from 'vitest';
import { EAGAIN, ECONNREFUSED, EFAULT } from '../../src/uapi/errno.js';
import { IP_CHECKSUM, IP_PKTINFO, IP_RECVORIGDSTADDR, IP_TOS, IP_TTL } from '../../src/uapi/in.js';
import {
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  MSG_PEEK,
  MSG_TRUNC,
  SO_PEEK_OFF,
  SO_RXQ_OVFL,
  SO_TIMESTAMP,
  SO_TIMESTAMPING,
  SO_TIMESTAMPNS,
  SOF_TIMESTAMPING_OPT_ID,
  SOF_TIMESTAMPING_OPT_TSONLY,
  SOF_TIMESTAMPING_SOFTWARE,
  SOF_TIMESTAMPING_TX_SOFTWARE,
  SOL_IP,
  SOL_SOCKET,
} from '../../src/uapi/socket.js';
import { sockQueueZerocopy } from '../../src/udp/errqueue.js';
import * as cmsg from '../../src/udp/recv_cmsg.js';
import { type RecvMessage, udpInq, udpPurge, udpRecvmsg } from '../../src/udp/recvmsg.js';
import type { UdpSock } from '../../src/udp/sock.js';
import { wsumPartial } from '../../src/wire/wsum.js';
import { bytes, datagram, filled, icmpError, PEER, RxLab, text } from '../ip/rx_lab.js';

function message(lab: RxLab, sk: UdpSock, flags = 0, len = 65535): RecvMessage {
  const got = lab.recv(sk, flags, len);
  if (typeof got === 'number') throw new Error(`recvmsg: ${got}`);
  return got;
}
const ready = (...frames: Uint8Array[]): [RxLab, UdpSock] => {
  const lab = new RxLab();
  const sk = lab.socket();
  lab.inject(...frames);
  return [lab, sk];
};

describe('what the call returns', () => {
  test('too little room cuts the datagram and says so; MSG_TRUNC returns its length', () => {
    const [lab, sk] = ready(datagram('0123456789'), datagram('0123456789'), datagram('0123456789'));
    expect(message(lab, sk, 0, 4)).toMatchObject({ ret: 4, flags: MSG_TRUNC, name: { port: 1000 } });
    expect(message(lab, sk, MSG_TRUNC, 4)).toMatchObject({ ret: 10, flags: MSG_TRUNC });
    expect(message(lab, sk, 0, 10)).toMatchObject({ ret: 10, flags: 0 });
  });

  test('MSG_PEEK leaves it, also an empty one', () => {
    const [lab, sk] = ready(datagram(''), datagram('next'));
    expect([lab.data(sk, MSG_PEEK), lab.data(sk, MSG_PEEK), lab.data(sk), lab.data(sk)]).toEqual([
      '',
      '',
      '',
      'next',
    ]);
    expect(lab.net.mib.Udp.InDatagrams).toBe(2);
  });

  test('SO_PEEK_OFF walks through datagrams as through a stream', () => {
    const lab = new RxLab();
    const s = lab.open(9000);
    s.setsockopt(SOL_SOCKET, SO_PEEK_OFF, 0);
    lab.inject(datagram('0123456789'), datagram('abc'));
    const peek = (): string => text(s.recvmsg(MSG_PEEK, 4)!.data);
    expect([peek(), peek(), peek(), peek()]).toEqual(['0123', '4567', '89', 'abc']);
    expect(text(s.recvmsg()!.data)).toBe('0123456789');
    expect(s.getsockopt(SOL_SOCKET, SO_PEEK_OFF)).toBe(3);
  });

  test('a pending error comes first, once', () => {
    const [lab, sk] = ready(datagram('data'));
    sk.err = ECONNREFUSED;
    expect([lab.data(sk), lab.data(sk), lab.data(sk)]).toEqual([-ECONNREFUSED, 'data', -EAGAIN]);
  });

  test('memory that cannot be written costs the datagram, but not a peeked one', () => {
    const [lab, sk] = ready(datagram('one'));
    const copyOut = () => -EFAULT;
    expect(udpRecvmsg(lab.net, sk, { len: 9, flags: MSG_DONTWAIT | MSG_PEEK, copyOut })).toBe(-EFAULT);
    expect(udpRecvmsg(lab.net, sk, { len: 9, flags: MSG_DONTWAIT, copyOut })).toBe(-EFAULT);
    expect(lab.data(sk)).toBe(-EAGAIN);
    expect(lab.net.mib.Udp.InErrors).toBe(1);
    expect(lab.net.skbs.inUse).toBe(0);
  });

  test('a waiting call lets virtual time pass up to its limit; after shutdown it returns 0', () => {
    const [lab, sk] = ready();
    sk.rcvtimeo = 250;
    const start = lab.clock.now();
    expect(udpRecvmsg(lab.net, sk, { len: 9, flags: 0 })).toBe(-EAGAIN);
    expect(lab.clock.now() - start).toBe(250);
    sk.shutdown = 1;
    expect(udpRecvmsg(lab.net, sk, { len: 9, flags: 0 })).toMatchObject({ ret: 0, name: null });
    expect(lab.data(sk)).toBe(-EAGAIN);
  });

  test('SIOCINQ is the next length, and drops what is damaged on the way', () => {
    const bad = datagram(filled(200));
    bad[40]! ^= 1;
    const [lab, sk] = ready(bad, datagram('12345'));
    expect(udpInq(lab.net, sk)).toBe(5);
    expect(lab.net.mib.Udp.InCsumErrors).toBe(1);
    expect(lab.data(sk)).toBe('12345');
    expect(udpInq(lab.net, sk)).toBe(0);
  });

  test('closing gives everything back', () => {
    const [lab, sk] = ready(datagram('a'), datagram('b'));
    sk.recverr = true;
    lab.inject(icmpError(3, 3));
    udpPurge(lab.net, sk);
    expect([sk.rmemAlloc, lab.net.skbs.inUse]).toEqual([0, 0]);
  });
});

describe('control messages', () => {
  const one = (flag: number, f: Uint8Array): Uint8Array => {
    const lab = new RxLab();
    const sk = lab.socket('0.0.0.0');
    sk.cmsgFlags = flag;
    lab.inject(f);
    const { cmsgs } = message(lab, sk);
    expect(cmsgs.length).toBe(1);
    return cmsgs[0]!.data;
  };

  test('TTL, TOS, destination', () => {
    expect([...one(cmsg.IP_CMSG_TTL, datagram('x'))]).toEqual([64, 0, 0, 0]);
    expect([...one(cmsg.IP_CMSG_TOS, datagram('x', { tos: 0x2b }))]).toEqual([0x2b]);
    const name = one(cmsg.IP_CMSG_ORIGDSTADDR, datagram('x'));
    expect([...name]).toEqual([2, 0, 0x23, 0x28, 10, 9, 0, 2, ...filled(8, 0)]);
  });

  test('IP_PKTINFO: the device, the address that an answer would come from, the destination', () => {
    const index = (lab: RxLab) => [lab.tap.ifindex, 0, 0, 0];
    const lab = new RxLab();
    expect([...one(cmsg.IP_CMSG_PKTINFO, datagram('x'))]).toEqual([...index(lab), 10, 9, 0, 2, 10, 9, 0, 2]);
    const all = datagram('x', { dst: '255.255.255.255', mac: 'ffffffffffff' });
    expect([...one(cmsg.IP_CMSG_PKTINFO, all)]).toEqual([...index(lab), 10, 9, 0, 2, 255, 255, 255, 255]);
  });

  test('IP_PKTINFO asked for too late knows nothing but the destination', () => {
    const [lab, sk] = ready(datagram('x'));
    sk.cmsgFlags = cmsg.IP_CMSG_PKTINFO;
    expect([...message(lab, sk).cmsgs[0]!.data]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 10, 9, 0, 2]);
  });

  test('IP_CHECKSUM: the raw sum of the payload, where it was summed as a whole', () => {
    const payload = Uint8Array.from({ length: 31 }, (_, i) => 200 + i);
    const sum = new DataView(one(cmsg.IP_CMSG_CHECKSUM, datagram(payload)).buffer).getUint32(0, true);
    expect(sum % 0xffffffff).toBe(wsumPartial(payload, 0, 31) % 0xffffffff);
    const [lab, sk] = ready(datagram(filled(300)), datagram(filled(300)));
    sk.cmsgFlags = cmsg.IP_CMSG_CHECKSUM;
    expect(message(lab, sk).cmsgs).toEqual([]);
    expect(message(lab, sk, 0, 5).cmsgs.length).toBe(1);
  });

  test('all of them, in the order of the kernel', () => {
    const [lab, sk] = ready();
    sk.cmsgFlags = 0x1ff;
    sk.rcvtstamp = 2;
    sk.rxqOvfl = true;
    sk.drops = 3;
    lab.inject(datagram('x'));
    expect(message(lab, sk).cmsgs.map((c) => [c.level, c.type])).toEqual([
      [SOL_SOCKET, SO_TIMESTAMPNS],
      [SOL_SOCKET, SO_RXQ_OVFL],
      [SOL_IP, IP_PKTINFO],
      [SOL_IP, IP_TTL],
      [SOL_IP, IP_TOS],
      [SOL_IP, IP_RECVORIGDSTADDR],
      [SOL_IP, IP_CHECKSUM],
    ]);
  });

  test('times of arrival', () => {
    const lab = new RxLab();
    const s = lab.open(9000);
    const wall = lab.clock.wall();
    const arrive = (level: number, name: number, value: number): Uint8Array => {
      s.setsockopt(level, name, value);
      lab.inject(datagram('x'));
      const [control] = s.recvmsg()!.control;
      s.setsockopt(level, name, 0);
      return control!.data;
    };
    const read = (b: Uint8Array): bigint[] => [...new BigInt64Array(b.buffer, b.byteOffset, b.length / 8)];
    const seconds = BigInt(Math.floor(wall / 1000));
    expect(read(arrive(SOL_SOCKET, SO_TIMESTAMP, 1))).toEqual([seconds, BigInt((wall % 1000) * 1000)]);
    expect(read(arrive(SOL_SOCKET, SO_TIMESTAMPNS, 1))).toEqual([seconds, BigInt((wall % 1000) * 1e6)]);
    expect(read(arrive(SOL_SOCKET, SO_TIMESTAMPING, 0x18)).slice(0, 3)).toEqual([
      seconds,
      BigInt((wall % 1000) * 1e6),
      0n,
    ]);
  });
});

describe('notices of what was sent', () => {
  test('ERRQ-10: zero-copy completions of adjacent calls merge', () => {
    const [lab, sk] = ready();
    sockQueueZerocopy(sk, 0, 1, true);
    sockQueueZerocopy(sk, 1, 2, true);
    sockQueueZerocopy(sk, 5, 1, true);
    const entry = { errno: 0, origin: 5, type: 0, code: 1 };
    expect(lab.error(sk)).toEqual({ ...entry, info: 0, data: 2 });
    expect(lab.error(sk)).toEqual({ ...entry, info: 5, data: 5 });
    expect([lab.error(sk), sk.omemAlloc]).toEqual([null, 0]);
  });

  test('ERRQ-11: when a frame left, with the frame or without', () => {
    const lab = new RxLab();
    const s = lab.open(9000);
    const base = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID;
    s.setsockopt(SOL_SOCKET, SO_TIMESTAMPING, base);
    s.sendto(bytes(1, 2), 0, { address: PEER, port: 5 });
    const [frame] = lab.tap.drain();
    const whole = s.recvmsg(MSG_ERRQUEUE)!;
    expect(whole.data).toEqual(frame!.bytes);
    expect(whole.control.map((c) => c.type)).toEqual([SO_TIMESTAMPING, 11]);
    s.setsockopt(SOL_SOCKET, SO_TIMESTAMPING, base | SOF_TIMESTAMPING_OPT_TSONLY);
    s.sendto(bytes(1, 2), 0, { address: PEER, port: 5 });
    const only = s.recvmsg(MSG_ERRQUEUE)!;
    expect([only.data.length, only.control[1]!.data[12]]).toEqual([0, 1]);
  });
});
