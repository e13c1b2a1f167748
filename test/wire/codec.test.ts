import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as arp from '../../src/wire/arp.js';
import * as ethernet from '../../src/wire/ethernet.js';
import * as icmp from '../../src/wire/icmp.js';
import * as igmp from '../../src/wire/igmp.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import * as udp from '../../src/wire/udp.js';
import * as virtio from '../../src/wire/virtio_net_hdr.js';
import { hex, naiveChecksum, naivePseudoHeader, toHex } from './naive.js';
import { ARP_FRAMES, IGMP_MESSAGES, UDP_FRAMES } from './vectors.js';

/** The value, or a failure that names the reason. */
function sound<T extends object>(repr: T | string): T {
  if (typeof repr === 'string') throw new Error(`refused: ${repr}`);
  return repr;
}

const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 });
/** Where in its buffer a packet begins, so that no offset is forgotten. */
const place = fc.nat(9);

describe('frames of the kernel', () => {
  it.each(Object.entries(UDP_FRAMES))('%s: parsed and written again, byte for byte', (_, frame) => {
    const copy = new Uint8Array(frame.length);
    let at = ethernet.emit(sound(ethernet.parse(frame, 0, frame.length)), copy, 0);
    const header = sound(ipv4.parse(frame, at, frame.length - at));
    expect(header.totLen).toBe(frame.length - at);
    const length = ipv4.emit(header, copy, at);
    at += length;
    const pseudo = { saddr: header.saddr, daddr: header.daddr, protocol: header.protocol as 17 | 136 };
    udp.emit(sound(udp.parse(frame, at, header.totLen - length, pseudo)), copy, at, pseudo);
    expect(toHex(copy)).toBe(toHex(frame));
  });

  it.each(Object.entries(ARP_FRAMES))('%s: parsed and written again, byte for byte', (_, frame) => {
    const copy = new Uint8Array(frame.length);
    const at = ethernet.emit(sound(ethernet.parse(frame, 0, frame.length)), copy, 0);
    expect(at + arp.emit(sound(arp.parse(frame, at, frame.length - at)), copy, at)).toBe(frame.length);
    expect(toHex(copy)).toBe(toHex(frame));
  });

  it.each(Object.entries(IGMP_MESSAGES))(
    'VEC-32 %s: parsed and written again, byte for byte',
    (_, message) => {
      const repr = sound(igmp.parse(message, 0, message.length));
      const copy = new Uint8Array(igmp.emitLen(repr));
      igmp.emit(repr, copy, 0);
      expect(toHex(copy)).toBe(toHex(message));
    },
  );

  it('VEC-34: the header of a super-frame', () => {
    const bytes = hex('01 05 2a00 e803 2200 0600');
    const repr = sound(virtio.parse(bytes, 0, bytes.length));
    expect(repr).toEqual({
      flags: virtio.VIRTIO_NET_HDR_F_NEEDS_CSUM,
      gsoType: virtio.VIRTIO_NET_HDR_GSO_UDP_L4,
      hdrLen: 42,
      gsoSize: 1000,
      csumStart: 34,
      csumOffset: 6,
    });
    const copy = new Uint8Array(12).fill(0xff);
    expect(virtio.emit(repr, copy, 0, 12)).toBe(12);
    expect(toHex(copy)).toBe(`${toHex(bytes)}0000`);
  });
});

describe('accessors', () => {
  const frame = UDP_FRAMES['VEC-10 RR']!;

  it('read the fields of VEC-10', () => {
    const ip = ethernet.HEADER_LEN;
    expect(ethernet.formatMac(frame, ethernet.DESTINATION)).toBe('02:00:00:00:00:02');
    expect(ethernet.formatMac(ethernet.source(frame, 0))).toBe('02:00:00:00:00:01');
    expect(ethernet.etherType(frame, 0)).toBe(0x800);
    expect(ipv4.version(frame, ip)).toBe(4);
    expect(ipv4.ihl(frame, ip)).toBe(8);
    expect(ipv4.headerLen(frame, ip)).toBe(32);
    expect(ipv4.totLen(frame, ip)).toBe(43);
    expect(ipv4.fragOff(frame, ip)).toBe(ipv4.IP_DF);
    expect(ipv4.isFragment(frame, ip)).toBe(false);
    expect(ipv4.ttl(frame, ip)).toBe(64);
    expect(ipv4.protocol(frame, ip)).toBe(17);
    expect(ipv4.check(frame, ip)).toBe(0x13ab);
    expect(ipv4.expectedCheck(frame, ip)).toBe(0x13ab);
    expect(ipv4.saddr(frame, ip)).toBe(0x0a000001);
    expect(ipv4.daddr(frame, ip)).toBe(0x0a000002);
    expect(udp.source(frame, ip + 32)).toBe(5000);
    expect(udp.dest(frame, ip + 32)).toBe(9);
    expect(udp.len(frame, ip + 32)).toBe(11);
    expect(udp.check(frame, ip + 32)).toBe(0x13e2);
  });

  it('keep addresses from 128.0.0.0 up unsigned', () => {
    const header = new Uint8Array(20);
    ipv4.setSaddr(header, 0, 0xffffffff);
    ipv4.setDaddr(header, 0, 0xef810203);
    expect(ipv4.saddr(header, 0)).toBe(0xffffffff);
    expect(ipv4.daddr(header, 0)).toBe(0xef810203);
  });

  it('tell broadcast, group and unicast frames apart', () => {
    const broadcast = UDP_FRAMES['VEC-5 broadcast']!;
    const group = UDP_FRAMES['VEC-6 multicast']!;
    expect([ethernet.isBroadcast(broadcast, 0), ethernet.isGroup(broadcast, 0)]).toEqual([true, true]);
    expect([ethernet.isBroadcast(group, 0), ethernet.isGroup(group, 0)]).toEqual([false, true]);
    expect([ethernet.isBroadcast(frame, 0), ethernet.isGroup(frame, 0)]).toEqual([false, false]);
  });

  it('MC-1: map a group to its 23 bits', () => {
    const address = new Uint8Array(6);
    ethernet.writeMulticastAddress(address, 0, 0xef810203);
    expect(toHex(address)).toBe('01005e010203');
  });

  it('read the second word of ICMP by its type', () => {
    const message = hex('0304 0000 0000 05dc');
    expect(icmp.mtu(message, 0)).toBe(1500);
    expect(icmp.gateway(hex('0501 0000 0a000009'), 0)).toBe(0x0a000009);
    expect(icmp.pointer(hex('0c00 0000 14000000'), 0)).toBe(20);
    expect(icmp.quoteLenBytes(hex('0303 0000 00200000'), 0)).toBe(128);
    expect([
      icmp.echoId(hex('0800 0000 00010002'), 0),
      icmp.echoSequence(hex('0800 0000 00010002'), 0),
    ]).toEqual([1, 2]);
  });

  it('RFC 3376: floating point codes', () => {
    expect([igmp.v3Code(127), igmp.v3Code(128), igmp.v3Code(0xff)]).toEqual([127, 128, 31744]);
  });
});

describe('parse undoes emit', () => {
  it('Ethernet', () => {
    fc.assert(
      fc.property(place, mac, mac, u16, (at, destination, source, etherType) => {
        const b = new Uint8Array(at + 14);
        expect(ethernet.emit({ destination, source, etherType }, b, at)).toBe(14);
        expect(ethernet.parse(b, at, 14)).toEqual({ destination, source, etherType });
      }),
    );
  });

  it('ARP', () => {
    const repr = fc.record({
      htype: fc.constantFrom(1, 6),
      operation: u16,
      senderMac: mac,
      senderIp: u32,
      targetMac: mac,
      targetIp: u32,
    });
    fc.assert(
      fc.property(place, repr, (at, value) => {
        const b = new Uint8Array(at + 28);
        expect(arp.emit(value, b, at)).toBe(28);
        expect(arp.parse(b, at, 28)).toEqual(value);
      }),
    );
  });

  it('IPv4', () => {
    const options = fc
      .nat(10)
      .chain((words) => fc.uint8Array({ minLength: words * 4, maxLength: words * 4 }));
    const repr = fc.record({
      tos: u8,
      totLen: fc.integer({ min: 60, max: 1500 }),
      id: u16,
      fragOff: u16,
      ttl: u8,
      protocol: u8,
      saddr: u32,
      daddr: u32,
      options,
    });
    fc.assert(
      fc.property(place, repr, (at, value) => {
        const b = new Uint8Array(at + 1500);
        const header = ipv4.emit(value, b, at);
        expect(header).toBe(20 + value.options.length);
        expect(naiveChecksum(b.subarray(at, at + header))).toBe(0);
        expect(ipv4.parse(b, at, 1500)).toEqual(value);
        expect(ipv4.fragOffsetBytes(b, at)).toBe((value.fragOff % 8192) * 8);
      }),
    );
  });

  it('UDP and UDP-Lite, with the checksum of the naive sum', () => {
    const repr = fc.record({
      source: u16,
      dest: u16,
      payload: fc.uint8Array({ maxLength: 300 }),
      checksum: fc.boolean(),
      coverage: u16,
    });
    fc.assert(
      fc.property(
        place,
        repr,
        u32,
        u32,
        fc.constantFrom<17 | 136>(17, 136),
        (at, any, saddr, daddr, protocol) => {
          const lite = protocol === 136;
          const total = 8 + any.payload.length;
          const coverage = any.coverage % 4 === 0 ? 0 : 8 + (any.coverage % (total - 7));
          const value = { ...any, checksum: any.checksum || lite, coverage: lite ? coverage : 0 };
          const b = new Uint8Array(at + total).fill(0x55);
          expect(udp.emit(value, b, at, { saddr, daddr, protocol })).toBe(total);
          expect(udp.parse(b, at, total, { saddr, daddr, protocol })).toEqual(value);
          if (!value.checksum) return;
          const covered = value.coverage === 0 ? total : value.coverage;
          const pseudo = naivePseudoHeader(saddr, daddr, protocol, total);
          expect(naiveChecksum(pseudo, b.subarray(at, at + covered))).toBe(0);
        },
      ),
    );
  });

  it('ICMP', () => {
    const repr = fc.record({ type: u8, code: u8, rest: u32, data: fc.uint8Array({ maxLength: 80 }) });
    fc.assert(
      fc.property(place, repr, (at, value) => {
        const b = new Uint8Array(at + 8 + value.data.length).fill(0x55);
        const len = icmp.emit(value, b, at);
        expect(naiveChecksum(b.subarray(at, at + len))).toBe(0);
        expect(icmp.parse(b, at, len)).toEqual(value);
      }),
    );
  });

  it('IGMP of all versions', () => {
    const sources = fc.array(u32, { maxLength: 5 });
    const aux = fc.nat(3).chain((words) => fc.uint8Array({ minLength: words * 4, maxLength: words * 4 }));
    const none = { suppress: false, qrv: 0, qqic: 0, sources: [] as number[] };
    const query = { kind: fc.constant('query' as const), group: u32 };
    const repr = fc.oneof(
      fc
        .record({ ...query, version: fc.constant(1 as const), maxRespCode: fc.constant(0) })
        .map((q) => ({ ...q, ...none })),
      fc
        .record({ ...query, version: fc.constant(2 as const), maxRespCode: fc.integer({ min: 1, max: 255 }) })
        .map((q) => ({ ...q, ...none })),
      fc.record({
        ...query,
        version: fc.constant(3 as const),
        maxRespCode: u8,
        suppress: fc.boolean(),
        qrv: fc.nat(7),
        qqic: u8,
        sources,
      }),
      fc.record({ kind: fc.constant('report' as const), version: fc.constantFrom<1 | 2>(1, 2), group: u32 }),
      fc.record({ kind: fc.constant('leave' as const), group: u32 }),
      fc.record({
        kind: fc.constant('report3' as const),
        records: fc.array(fc.record({ type: u8, group: u32, sources, aux }), { maxLength: 4 }),
      }),
    );
    fc.assert(
      fc.property(place, repr, (at, value) => {
        const len = igmp.emitLen(value);
        const b = new Uint8Array(at + len).fill(0x55);
        expect(igmp.emit(value, b, at)).toBe(len);
        expect(naiveChecksum(b.subarray(at, at + len))).toBe(0);
        expect(igmp.parse(b, at, len)).toEqual(value);
      }),
    );
  });

  it('virtio_net_hdr', () => {
    const repr = fc.record({
      flags: u8,
      gsoType: u8,
      hdrLen: u16,
      gsoSize: u16,
      csumStart: u16,
      csumOffset: u16,
    });
    fc.assert(
      fc.property(place, repr, fc.constantFrom(10, 12), (at, value, length) => {
        const b = new Uint8Array(at + length);
        expect(virtio.emit(value, b, at, length)).toBe(length);
        expect(virtio.parse(b, at, length, length)).toEqual(value);
      }),
    );
  });
});

describe('malformed headers are refused with their reason', () => {
  const ip = UDP_FRAMES['VEC-1 abc']!.subarray(14);
  const edited = (edit: (b: Uint8Array) => void, fix = true): Uint8Array => {
    const b = ip.slice();
    edit(b);
    if (fix) ipv4.sendCheck(b, 0);
    return b;
  };
  it.each<[string, Uint8Array, number, string]>([
    ['19 bytes', ip, 19, 'truncated'],
    ['version 6', edited((b) => ipv4.setVersionIhl(b, 0, 0x25)), ip.length, 'bad-version'],
    ['header of 16 bytes', edited((b) => ipv4.setVersionIhl(b, 0, 4)), ip.length, 'bad-length'],
    ['header past the end', edited((b) => ipv4.setVersionIhl(b, 0, 15), false), ip.length, 'truncated'],
    ['total length past the end', edited((b) => ipv4.setTotLen(b, 0, 32)), ip.length, 'truncated'],
    ['total length inside the header', edited((b) => ipv4.setTotLen(b, 0, 19)), ip.length, 'bad-length'],
    ['one bit of the checksum', edited((b) => ipv4.setTtl(b, 0, 63), false), ip.length, 'bad-checksum'],
  ])('IPv4: %s', (_, b, len, reason) => {
    expect(ipv4.parse(b, 0, len)).toBe(reason);
  });

  const pseudo = { saddr: 0x0a000001, daddr: 0x0a000002, protocol: 17 as const };
  it.each<[string, string, 17 | 136, string]>([
    ['7 bytes', '13880009000b13', 17, 'truncated'],
    ['length past the end', '13880009000c13e2616263', 17, 'truncated'],
    ['length of 7', '13880009000713e2616263', 17, 'bad-length'],
    ['a changed byte', '13880009000b13e2616264', 17, 'bad-checksum'],
    ['UDP-Lite: coverage of 7', '138800090007d7cb6162', 136, 'bad-length'],
    ['UDP-Lite: coverage past the end', '13880009000bd7cb6162', 136, 'bad-length'],
    ['UDP-Lite: no checksum', '1388000900080000', 136, 'bad-checksum'],
  ])('UDP: %s', (_, text, protocol, reason) => {
    const b = hex(text);
    expect(udp.parse(b, 0, b.length, { ...pseudo, protocol })).toBe(reason);
  });

  it('ARP: other families, lengths, and a short packet', () => {
    const good = ARP_FRAMES['VEC-30 request']!.subarray(14);
    const refuse = (at: number, value: number) => {
      const b = good.slice();
      b[at] = value;
      return arp.parse(b, 0, b.length);
    };
    expect(arp.parse(good, 0, 27)).toBe('truncated');
    expect(refuse(1, 2)).toBe('bad-type');
    expect(refuse(3, 6)).toBe('bad-type');
    expect(refuse(4, 8)).toBe('bad-length');
    expect(refuse(5, 16)).toBe('bad-length');
  });

  it('IGMP: more records or sources than there are bytes', () => {
    const refuse = (text: string) => {
      const b = hex(text);
      igmp.sendCheck(b, 0, b.length);
      return igmp.parse(b, 0, b.length);
    };
    expect(refuse('22000000 00000002 04000000 ef010203')).toBe('truncated');
    expect(refuse('22000000 00000001 04000001 ef010203')).toBe('truncated');
    expect(refuse('22000000 00000001 04010000 ef010203')).toBe('truncated');
    expect(refuse('11640000 ef010203 02140001')).toBe('truncated');
    expect(refuse('11640000 ef010203 0214')).toBe('bad-length');
    expect(refuse('13000000 ef010203')).toBe('bad-type');
    expect(igmp.parse(hex('1600f5f5 ef050505'), 0, 8)).toBe('bad-checksum');
  });
});

describe('hostile bytes', () => {
  it('never make a parser throw or read past the end', () => {
    const pseudo = { saddr: 1, daddr: 2 };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 90 }), fc.boolean(), (bytes, mend) => {
        const b = bytes.slice();
        if (mend && b.length >= 20) {
          ipv4.setVersionIhl(b, 0, 5 + (b[0]! % 3));
          if (b.length >= ipv4.headerLen(b, 0)) ipv4.sendCheck(b, 0);
        }
        const header = ipv4.parse(b, 0, b.length);
        if (typeof header !== 'string') expect(header.totLen).toBeLessThanOrEqual(b.length);
        for (const protocol of [17, 136] as const) {
          const datagram = udp.parse(b, 0, b.length, { ...pseudo, protocol });
          if (typeof datagram !== 'string') expect(datagram.payload.length).toBeLessThanOrEqual(b.length - 8);
        }
        ethernet.parse(b, 0, b.length);
        arp.parse(b, 0, b.length);
        virtio.parse(b, 0, b.length);
        icmp.parse(b, 0, b.length);
        if (mend && b.length >= 8) igmp.sendCheck(b, 0, b.length);
        igmp.parse(b, 0, b.length);
      }),
      { numRuns: 3000 },
    );
  });
});
