import { describe, expect, test } from 'vitest';
import { EAGAIN } from '../../src/uapi/errno.js';
import { IP_CMSG_RECVOPTS, IP_CMSG_RETOPTS } from '../../src/udp/recv_cmsg.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import { bytes, datagram, filled, frame, icmpMessage, PEER, RxLab, US } from './rx_lab.js';

/** A change to the IP header of a frame; the header checksum is made right again unless told otherwise. */
function altered(change: (b: Uint8Array) => void, resum = true): Uint8Array {
  const b = datagram('hello');
  change(b);
  if (resum) ipv4.sendCheck(b, 14);
  return b;
}

describe('header checks (ip_rcv_core)', () => {
  test.each<[string, Uint8Array, string, string]>([
    ['version 6', altered((b) => b.fill(0x65, 14, 15)), 'Ip', 'InHdrErrors'],
    ['header shorter than 20 bytes', altered((b) => b.fill(0x44, 14, 15), false), 'Ip', 'InHdrErrors'],
    ['header longer than the frame', datagram('').fill(0x4f, 14, 15), 'Ip', 'InHdrErrors'],
    ['wrong header checksum', altered((b) => b.fill(9, 22, 23), false), 'IpExt', 'InCsumErrors'],
    ['length over the frame', altered((b) => ipv4.setTotLen(b, 14, 500)), 'IpExt', 'InTruncatedPkts'],
    ['length under the header', altered((b) => ipv4.setTotLen(b, 14, 19)), 'Ip', 'InHdrErrors'],
    ['19 bytes', datagram('hello').subarray(0, 33), 'Ip', 'InHdrErrors'],
  ])('%s is dropped and counted', (_name, bad, room, counter) => {
    const lab = new RxLab();
    const sk = lab.socket();
    const mib = lab.net.mib as unknown as Record<string, Record<string, number>>;
    lab.inject(bad);
    expect(mib[room]![counter]).toBe(1);
    expect(lab.net.mib.Ip.InReceives).toBe(1);
    expect(lab.net.mib.Ip.InDelivers).toBe(0);
    expect(lab.data(sk)).toBe(-EAGAIN);
    expect(lab.net.skbs.inUse).toBe(0);
  });

  test('padding behind the packet is not payload', () => {
    const lab = new RxLab();
    const sk = lab.socket();
    const padded = new Uint8Array(60);
    padded.set(datagram('hi'));
    lab.inject(padded);
    expect(lab.data(sk)).toBe('hi');
  });

  test('a frame for another station is not received at all', () => {
    const lab = new RxLab();
    lab.inject(datagram('x', { mac: '020000000999' }));
    expect(lab.net.mib.Ip.InReceives).toBe(0);
    expect(lab.net.skbs.inUse).toBe(0);
  });
});

test.each([
  ['our own address', { src: US }],
  ['127/8 as source', { src: '127.0.0.1' }],
  ['a group as source', { src: '224.0.0.1' }],
  ['the broadcast address as source', { src: '255.255.255.255' }],
  ['127/8 as destination', { dst: '127.0.0.1' }],
  ["another host's address", { dst: '10.9.0.77' }],
  ['a group that nobody joined', { dst: '239.1.1.1', mac: '01005e010101' }],
])('%s is not delivered', (_name, o) => {
  const lab = new RxLab();
  const sk = lab.socket('0.0.0.0');
  lab.inject(datagram('x', o));
  expect(lab.data(sk)).toBe(-EAGAIN);
  expect(lab.sent()).toEqual([]);
});

test('a protocol that nobody registered is unreachable', () => {
  const lab = new RxLab();
  lab.inject(frame(filled(12), { proto: 99 }));
  expect(lab.net.mib.Ip.InUnknownProtos).toBe(1);
  expect(lab.sent()).toEqual([expect.stringContaining('protocol unreachable')]);
});

describe('options of received packets', () => {
  const RR = bytes(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0);

  test('our address goes into a record route, which the echo continues', () => {
    const lab = new RxLab();
    const sk = lab.socket();
    sk.cmsgFlags = IP_CMSG_RECVOPTS | IP_CMSG_RETOPTS;
    lab.inject(datagram('x', { options: RR }));
    const got = lab.recv(sk);
    if (typeof got === 'number') throw new Error(`recv: ${got}`);
    const [received, echoed] = got.cmsgs.map((c) => Buffer.from(c.data).toString('hex'));
    expect(received).toBe('070b080a0900020000000000');
    expect(echoed).toBe('070b080a0900020000000000');
    lab.inject(frame(icmpMessage(8, 0, 1, filled(4)), { proto: 1, options: RR }));
    expect(lab.sent()).toEqual([expect.stringContaining('options RR 10.9.0.2 10.9.0.2')]);
  });

  test.each([
    ['length 1', bytes(7, 1, 4, 0), 20],
    ['longer than the header', bytes(7, 9, 4, 0), 20],
    ['pointer under 4', bytes(7, 7, 3, 0, 0, 0, 0, 0), 22],
    ['two record routes', bytes(7, 7, 4, 0, 0, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0, 0), 27],
    ['timestamp overflow at 15', bytes(0x44, 8, 9, 0xf0, 0, 0, 0, 0), 23],
    ['router alert of 3 bytes', bytes(0x94, 3, 0, 0), 21],
  ])('%s: a parameter problem that points at the byte', (_name, options, at) => {
    const lab = new RxLab();
    lab.inject(datagram('x', { options }));
    expect(lab.net.mib.Ip.InHdrErrors).toBe(1);
    expect(lab.sent()).toEqual([expect.stringContaining(`parameter problem at byte ${at} `)]);
  });

  test('a source route is refused unless the administrator allows it', () => {
    const options = bytes(0x83, 7, 8, 10, 1, 1, 1, 0);
    const lab = new RxLab();
    const sk = lab.socket();
    lab.inject(datagram('no', { options }));
    expect(lab.data(sk)).toBe(-EAGAIN);
    lab.net.sysctl.set('net.ipv4.conf.all.accept_source_route', 1);
    lab.inject(datagram('yes', { options }));
    expect(lab.data(sk)).toBe('yes');
  });
});

test('every packet is given back, whatever becomes of it', () => {
  const lab = new RxLab();
  lab.inject(
    datagram('x', { dport: 5 }),
    datagram('x', { dst: '10.9.0.255', mac: 'ffffffffffff' }),
    frame(icmpMessage(8, 0, 0, filled(3000 - 28)).subarray(0, 1480), { proto: 1, fragOff: ipv4.IP_MF }),
    frame(filled(4), { src: PEER, proto: 1 }),
  );
  expect(lab.net.skbs.inUse).toBe(0);
  expect(lab.tap.drain().length).toBe(1);
});
