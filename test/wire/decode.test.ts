import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFrame } from '../../src/wire/decode.js';
import { differingFields, diffFrames } from '../../src/wire/diff.js';
import { dissect } from '../../src/wire/dissect.js';
import * as icmp from '../../src/wire/icmp.js';
import * as igmp from '../../src/wire/igmp.js';
import * as ipoptions from '../../src/wire/ipoptions.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import { hex, toHex } from './naive.js';
import { ARP_FRAMES, IGMP_MESSAGES, UDP_FRAMES } from './vectors.js';

const ETHER = '02000000000202000000000108 00';

const NO_OPTIONS: Uint8Array = new Uint8Array(0);
type FrameFields = Partial<Pick<ipv4.Ipv4Repr, 'daddr' | 'fragOff' | 'options' | 'id' | 'tos' | 'ttl'>>;

/** A frame from 10.0.0.1 to 10.0.0.2 (or another) around the payload of an IP packet. */
function frame(
  protocol: number,
  payload: Uint8Array,
  { daddr = 0x0a000002, fragOff = 0, options = NO_OPTIONS, id = 0x41a2, tos = 0, ttl = 64 }: FrameFields = {},
): Uint8Array {
  const eth = hex(ETHER);
  const out = new Uint8Array(eth.length + 20 + options.length + payload.length);
  out.set(eth);
  const totLen = out.length - eth.length;
  const header = ipv4.emit(
    { tos, totLen, id, fragOff, ttl, protocol, saddr: 0x0a000001, daddr, options },
    out,
    14,
  );
  out.set(payload, 14 + header);
  return out;
}

function icmpFrame(type: number, code: number, rest: number, data: Uint8Array): Uint8Array {
  const message = new Uint8Array(8 + data.length);
  icmp.emit({ type, code, rest, data }, message, 0);
  return frame(1, message);
}

function edit(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const out = bytes.slice();
  out[at] = value;
  return out;
}

const vec1 = UDP_FRAMES['VEC-1 abc']!;

describe('decodeFrame', () => {
  it.each<[string, Uint8Array, string]>([
    ['a request', ARP_FRAMES['VEC-30 request']!, 'arp  who-has 10.0.0.2 tell 10.0.0.1'],
    ['a reply', ARP_FRAMES['VEC-31 reply']!, 'arp  10.0.0.1 is-at 02:00:00:00:00:01'],
    ['plain UDP', vec1, 'udp  10.0.0.1:5000 > 10.0.0.2:9  len 3  ttl 64 id 0x0000 DF'],
    [
      'TOS',
      UDP_FRAMES['VEC-3 ttl and tos']!,
      'udp  10.0.0.1:5000 > 10.0.0.2:9  len 3  tos 0xb8 ttl 5 id 0x0000 DF',
    ],
    [
      'no checksum',
      UDP_FRAMES['VEC-7 no checksum']!,
      'udp  10.0.0.1:5000 > 10.0.0.2:9  len 3  no checksum  ttl 64 id 0x0000 DF',
    ],
    [
      'options',
      UDP_FRAMES['VEC-10 RR']!,
      'udp  10.0.0.1:5000 > 10.0.0.2:9  len 3  ttl 64 id 0x0000 DF  options RR 10.0.0.1 ^0.0.0.0',
    ],
    [
      'UDP-Lite',
      UDP_FRAMES['VEC-16 UDP-Lite, coverage 8']!,
      'udplite 10.0.0.1:5000 > 10.0.0.2:9  len 8 coverage 8  ttl 64 id 0x0000 DF',
    ],
    [
      'a wrong checksum',
      edit(vec1, 41, 0xff),
      'udp  10.0.0.1:5000 > 10.0.0.2:9  len 3  checksum 0x13ff wrong, should be 0x13e2  ttl 64 id 0x0000 DF',
    ],
    [
      'a wrong header checksum',
      edit(vec1, 24, 0),
      'udp  10.0.0.1:5000 > 10.0.0.2:9  len 3  ttl 64 id 0x0000 DF  ip checksum 0x00cc wrong, should be 0x26cc',
    ],
    [
      'bytes behind the packet',
      Uint8Array.from([...vec1, 0, 0]),
      'udp  10.0.0.1:5000 > 10.0.0.2:9  len 3  ttl 64 id 0x0000 DF  +2 bytes',
    ],
    [
      'a first fragment',
      frame(17, hex('1388 0009 0fa8 0000 6161616161616161'), { fragOff: 0x2000 }),
      'udp  10.0.0.1:5000 > 10.0.0.2:9  len 4000  ttl 64 id 0x41a2  frag @0+',
    ],
    [
      'a middle fragment',
      frame(17, new Uint8Array(8), { fragOff: 0x2000 | 185 }),
      'udp  10.0.0.1 > 10.0.0.2  8 bytes  ttl 64 id 0x41a2  frag @1480+',
    ],
    [
      'a last fragment',
      frame(17, new Uint8Array(5), { fragOff: 370 }),
      'udp  10.0.0.1 > 10.0.0.2  5 bytes  ttl 64 id 0x41a2  frag @2960 last',
    ],
    [
      'an echo request',
      icmpFrame(8, 0, 0x00070002, new Uint8Array(56)),
      'icmp 10.0.0.1 > 10.0.0.2  echo request id 7 seq 2 len 56  ttl 64 id 0x41a2',
    ],
    [
      'an unreachable port',
      icmpFrame(3, 3, 0, vec1.slice(14, 42)),
      'icmp 10.0.0.1 > 10.0.0.2  port unreachable for udp 10.0.0.1:5000 > 10.0.0.2:9  ttl 64 id 0x41a2',
    ],
    [
      'fragmentation needed',
      icmpFrame(3, 4, 1400, vec1.slice(14, 42)),
      'icmp 10.0.0.1 > 10.0.0.2  fragmentation needed mtu 1400 for udp 10.0.0.1:5000 > 10.0.0.2:9  ttl 64 id 0x41a2',
    ],
    [
      'a redirect',
      icmpFrame(5, 1, 0x0a000003, vec1.slice(14, 42)),
      'icmp 10.0.0.1 > 10.0.0.2  redirect host to 10.0.0.3 for udp 10.0.0.1:5000 > 10.0.0.2:9  ttl 64 id 0x41a2',
    ],
    [
      'an IGMPv3 report',
      frame(2, IGMP_MESSAGES['v3 join']!, { daddr: 0xe0000016, options: hex('94040000'), ttl: 1, tos: 0xc0 }),
      'igmp 10.0.0.1 > 224.0.0.22  v3 report 239.1.2.3 to-ex {}  tos 0xc0 ttl 1 id 0x41a2  options RA 94040000',
    ],
    [
      'an IGMPv2 leave',
      frame(2, IGMP_MESSAGES['v2 leave']!, { daddr: 0xe0000002, ttl: 1 }),
      'igmp 10.0.0.1 > 224.0.0.2  leave 239.5.5.5  ttl 1 id 0x41a2',
    ],
    [
      'another protocol',
      frame(50, new Uint8Array(9)),
      'ip   10.0.0.1 > 10.0.0.2  proto 50 len 9  ttl 64 id 0x41a2',
    ],
    [
      'another EtherType',
      hex('ffffffffffff020000000001 86dd 60'),
      'eth  02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff  IPv6 len 1',
    ],
    ['a short frame', hex('ffffff'), 'eth  truncated: 3 bytes'],
    ['a short packet', vec1.slice(0, 30), 'ip   truncated: 16 bytes'],
  ])('%s', (_, bytes, line) => {
    expect(decodeFrame(bytes)).toBe(line);
  });

  it('reads a TUN packet, and does not judge a checksum that the device will compute', () => {
    expect(decodeFrame(vec1.slice(14), { link: 'ip' })).toBe(decodeFrame(vec1));
    expect(decodeFrame(edit(vec1, 41, 0xff), { partialChecksum: true })).toBe(decodeFrame(vec1));
  });
});

describe('IP options in words', () => {
  it.each([
    ['07070814000001', 'RR 20.0.0.1'],
    ['0707041400000100', 'RR ^20.0.0.1'],
    ['07080514000001ff', 'RR 20.0.0.1 +1 bytes ptr 5'],
    ['830b040a4d00010a63000100', 'LSRR ^10.77.0.1 10.99.0.1'],
    ['89070814000001', 'SSRR 20.0.0.1'],
    ['44080500 00000000', 'TS tsonly ^0'],
    ['440c0531 0a000002 00000007', 'TS ts+addr ^10.0.0.2=7 overflow 3'],
    ['44040507', 'TS flag 7'],
    ['0101 94040000', 'NOP, NOP, RA 94040000'],
    ['00000000', 'EOL'],
    ['01000100', 'NOP, EOL 000100'],
    ['01ff', 'NOP, malformed ff'],
    ['0703', 'malformed 0703'],
    ['4401', 'malformed 4401'],
    ['4403ff', 'TS 4403ff'],
    ['0702', 'RR too short'],
    ['1e04abcd', 'opt-30 1e04abcd'],
  ])('%s: %s', (text, words) => {
    const b = hex(text);
    expect(ipoptions.formatAll(b, 0, b.length)).toBe(words);
  });
});

describe('dissect', () => {
  const everything = [
    ...Object.values(UDP_FRAMES),
    ...Object.values(ARP_FRAMES),
    ...Object.values(IGMP_MESSAGES).map((m) => frame(2, m)),
    icmpFrame(3, 3, 0, icmpFrame(3, 3, 0, icmpFrame(3, 3, 0, vec1.slice(14)).slice(14)).slice(14)),
    icmpFrame(8, 0, 1, hex('aabb')),
  ];

  /** The first byte that no field names, or -1. */
  function uncovered(bytes: Uint8Array): number {
    const seen = new Uint8Array(bytes.length);
    for (const node of dissect(bytes)) {
      expect(node.lengthBytes).toBeGreaterThan(0);
      expect(node.offsetBytes + node.lengthBytes).toBeLessThanOrEqual(bytes.length);
      seen.fill(1, node.offsetBytes, node.offsetBytes + node.lengthBytes);
    }
    return seen.indexOf(0);
  }

  it('names every byte of the frames of the kernel, and of every part of them', () => {
    for (const bytes of everything) {
      for (let len = 0; len <= bytes.length; len++) expect(uncovered(bytes.slice(0, len))).toBe(-1);
    }
  });

  it('names the fields of VEC-1 with their places', () => {
    const nodes = dissect(vec1).map((n) => `${n.offsetBytes}+${n.lengthBytes} ${n.name}=${n.text}`);
    expect(nodes).toEqual([
      '0+6 eth.dst=02:00:00:00:00:02',
      '6+6 eth.src=02:00:00:00:00:01',
      '12+2 eth.type=0x0800 IPv4',
      '14+1 ip.version=4',
      '14+1 ip.ihl=5 (20 bytes)',
      '15+1 ip.tos=0x00',
      '16+2 ip.tot_len=31',
      '18+2 ip.id=0x0000',
      '20+2 ip.flags=DF',
      '20+2 ip.frag_off=0',
      '22+1 ip.ttl=64',
      '23+1 ip.protocol=17 udp',
      '24+2 ip.check=0x26cc right',
      '26+4 ip.saddr=10.0.0.1',
      '30+4 ip.daddr=10.0.0.2',
      '34+2 udp.source=5000',
      '36+2 udp.dest=9',
      '38+2 udp.len=11',
      '40+2 udp.check=0x13e2 right',
      '42+3 payload=3 bytes 616263',
    ]);
  });

  it('says which checksum is wrong', () => {
    const texts = dissect(edit(vec1, 44, 0x64)).map((n) => `${n.name}=${n.text}`);
    expect(texts).toContain('udp.check=0x13e2 WRONG, 0x12e2 is right');
  });

  it('follows the datagram that an ICMP error quotes, and not for ever', () => {
    const names = dissect(everything.at(-2)!).map((n) => n.name);
    expect(names).toContain('quote.quote.icmp.type');
    expect(names.some((n) => n.startsWith('quote.quote.quote.'))).toBe(false);
  });
});

describe('diffFrames', () => {
  it('finds nothing between equal frames', () => {
    for (const bytes of Object.values(UDP_FRAMES)) expect(differingFields(bytes, bytes)).toEqual([]);
  });

  it('marks the fields that differ, and only them', () => {
    const other = UDP_FRAMES['VEC-3 ttl and tos']!;
    expect(differingFields(vec1, other)).toEqual(['ip.tos', 'ip.ttl', 'ip.check']);
    const marked = diffFrames(vec1, other)
      .split('\n')
      .filter((line) => line.startsWith('*'));
    expect(marked).toEqual([
      '* ip.tos       0x00               0xb8',
      '* ip.ttl       64                 5',
      '* ip.check     0x26cc right       0x6114 right',
    ]);
  });

  it('judges bits apart that share a byte', () => {
    const plain = frame(17, new Uint8Array(16));
    expect(differingFields(plain, frame(17, new Uint8Array(16), { fragOff: ipv4.IP_DF }))).toEqual([
      'ip.flags',
      'ip.check',
    ]);
    const withOption = frame(17, new Uint8Array(16), { options: hex('01010101') });
    expect(differingFields(plain, withOption)).toEqual(['ip.ihl', 'ip.tot_len', 'ip.check', 'ip.opt.NOP']);
  });

  it('lays fields that only one has beside a dash', () => {
    const text = diffFrames(UDP_FRAMES['VEC-10 RR']!, UDP_FRAMES['VEC-11 LSRR']!, { onlyDifferent: true });
    expect(text).toContain('* ip.opt.RR    RR 10.0.0.1 ^0.0.0.0  -');
    expect(text).toContain('* ip.opt.LSRR  -                     LSRR ^10.77.0.1 10.99.0.1');
  });

  it('shows the rows of a payload that differ, by their offset', () => {
    const payload = new Uint8Array(1000);
    const text = diffFrames(frame(50, payload), frame(50, edit(payload, 500, 7)), { onlyDifferent: true });
    expect(text.split('\n').slice(1)).toEqual([
      '* payload+496  00000000000000000000000000000000  00000000070000000000000000000000',
    ]);
  });

  it('bounds what it prints of two payloads that have nothing in common', () => {
    const text = diffFrames(frame(50, new Uint8Array(60_000)), frame(50, new Uint8Array(60_000).fill(1)));
    expect(text.split('\n').length).toBeLessThan(40);
    expect(text).toContain('more rows differ');
  });

  it('colours on request only', () => {
    const other = edit(vec1, 44, 0x64);
    expect(diffFrames(vec1, other)).not.toContain('\u001b');
    expect(diffFrames(vec1, other, { color: true })).toContain('\u001b[31m* payload+0');
  });

  it('differs exactly where a byte was changed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(UDP_FRAMES)),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (f, n, x) => {
          const at = n % f.length;
          expect(differingFields(f, edit(f, at, f[at]! ^ x)).length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('hostile frames', () => {
  it('never make the decoders throw', () => {
    const wild = fc.tuple(
      fc.constantFrom(...Object.values(UDP_FRAMES), ...Object.values(ARP_FRAMES)),
      fc.infiniteStream(fc.nat()),
    );
    const mutated = fc
      .tuple(wild, fc.nat(12), fc.uint8Array({ maxLength: 120 }))
      .map(([[base, numbers], changes, tail]) => {
        const b = Uint8Array.from([...base, ...tail]);
        for (let i = 0; i < changes; i++) b[numbers.next().value! % b.length] = numbers.next().value! & 0xff;
        return b.slice(0, 14 + (numbers.next().value! % (b.length - 13)));
      });
    const ofProtocol = fc
      .tuple(fc.constantFrom(1, 2, 17, 136), fc.uint8Array({ maxLength: 100 }), fc.boolean())
      .map(([protocol, payload, mend]) => {
        if (mend && payload.length >= 8 && protocol === 2) {
          payload[0] = payload[0]! & 1 ? 0x22 : 0x11;
          igmp.sendCheck(payload, 0, payload.length);
        }
        if (protocol === 1 && payload.length > 0) payload[0] = payload[0]! % 14;
        return frame(protocol, payload);
      });
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 120 }), mutated, ofProtocol),
        vecOf(),
        (bytes, other) => {
          expect(decodeFrame(bytes)).not.toContain('\n');
          dissect(bytes);
          diffFrames(bytes, other);
          dissect(bytes, { link: 'ip' });
          expect(toHex(bytes).length).toBe(bytes.length * 2);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

function vecOf() {
  return fc.constantFrom(...Object.values(UDP_FRAMES));
}
