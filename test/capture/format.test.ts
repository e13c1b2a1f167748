import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openCapture } from '../../src/capture/open.js';
import { LINKTYPE_RAW, PcapWriter } from '../../src/capture/pcap.js';
import {
  EPB_BROADCAST,
  EPB_INBOUND,
  EPB_MULTICAST,
  EPB_OUTBOUND,
  EPB_UNICAST,
  PcapngWriter,
} from '../../src/capture/pcapng.js';
import { readCapture } from '../../src/capture/reader.js';
import type { PacketTap } from '../../src/dev/tap_point.js';
import { toHex } from '../wire/naive.js';
import { UDP_FRAMES } from '../wire/vectors.js';
import { FRAME, TAP0, TAP1 } from './frames.js';
import { has, scratch, tcpdump, tshark } from './lab.js';

const file = scratch();

/** Collects what a writer writes, in memory. */
function memorySink() {
  const blocks: Uint8Array[] = [];
  return {
    write: (bytes: Uint8Array) => void blocks.push(bytes.slice()),
    blocks,
    all: () => Uint8Array.from(Buffer.concat(blocks)),
  };
}

/** A writer, one call with a frame, and what a reader makes of it. */
function captureOne(frame: Uint8Array, dir: 0 | 4, sec: number, nsec: number, comment?: string) {
  const sink = memorySink();
  const writer = new PcapngWriter({ sink });
  writer.packet(TAP0, frame, 0, frame.length, dir, sec, nsec, comment);
  writer.close();
  return readCapture(sink.all()).records[0]!;
}

describe('pcapng', () => {
  it('is what a device hands its frames to', () => {
    const taps: PacketTap[] = [
      new PcapngWriter({ sink: memorySink() }),
      new PcapWriter({ sink: memorySink() }),
    ];
    expect(taps.length).toBe(2);
  });

  it('keeps frames, times, devices, directions and comments', () => {
    const sink = memorySink();
    const writer = new PcapngWriter({
      sink,
      application: 'a test',
      comment: 'of the whole',
      describe: (d) => `the ${d.name}`,
    });
    writer.packet(TAP0, FRAME, 0, FRAME.length, 4, 1_790_000_000, 1, 'resolved 10.0.0.2 — naïve');
    writer.packet(TAP1, FRAME, 0, FRAME.length, 0, 1_790_000_000, 2);
    writer.packet(TAP0, FRAME, 0, FRAME.length, 0, 1_790_000_001, 3);
    writer.close();
    const capture = readCapture(sink.all());
    expect(capture).toMatchObject({
      format: 'pcapng',
      application: 'a test',
      os: `Linux ${release()}`,
      hardware: process.arch,
      comments: ['of the whole'],
      restBytes: 0,
    });
    expect(
      capture.interfaces.map((i) => [i.name, i.description, i.linkType, i.snapLen, i.unitsPerSecond]),
    ).toEqual([
      ['tap0', 'the tap0', 1, 262144, 1_000_000_000n],
      ['tap1', 'the tap1', 1, 262144, 1_000_000_000n],
    ]);
    expect(
      capture.records.map((r) => [r.interfaceId, r.timestampNs, r.direction, r.comments, toHex(r.data)]),
    ).toEqual([
      [0, 1_790_000_000_000_000_001n, 'out', ['resolved 10.0.0.2 — naïve'], toHex(FRAME)],
      [1, 1_790_000_000_000_000_002n, 'in', [], toHex(FRAME)],
      [0, 1_790_000_001_000_000_003n, 'in', [], toHex(FRAME)],
    ]);
  });

  it('says how a frame was addressed', () => {
    const flags = (name: string, dir: 0 | 4) => captureOne(UDP_FRAMES[name]!, dir, 0, 0).flags;
    expect(flags('VEC-1 abc', 0)).toBe(EPB_INBOUND | EPB_UNICAST);
    expect(flags('VEC-5 broadcast', 4)).toBe(EPB_OUTBOUND | EPB_BROADCAST);
    expect(flags('VEC-6 multicast', 4)).toBe(EPB_OUTBOUND | EPB_MULTICAST);
    expect(captureOne(new Uint8Array(5), 4, 0, 0).flags).toBe(EPB_OUTBOUND);
  });

  it('keeps every nanosecond until 2106', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.nat(999_999_999), (sec, nsec) => {
        expect(captureOne(FRAME, 4, sec, nsec).timestampNs).toBe(BigInt(sec) * 1_000_000_000n + BigInt(nsec));
      }),
    );
    expect(captureOne(FRAME, 4, 4, 294_967_295).timestampNs).toBe(0xffffffffn);
    expect(captureOne(FRAME, 4, 4, 294_967_296).timestampNs).toBe(0x100000000n);
  });

  it('cuts a comment that is too long between two characters', () => {
    const comment = captureOne(FRAME, 4, 0, 0, `x${'ü'.repeat(40_000)}`).comments[0]!;
    expect(comment).toBe(`x${'ü'.repeat(16_383)}`);
    expect(captureOne(FRAME, 4, 0, 0, '').comments).toEqual(['']);
  });

  it('describes a device ahead of its frames on request, once', () => {
    const sink = memorySink();
    const writer = new PcapngWriter({ sink, linkType: () => LINKTYPE_RAW });
    writer.addInterface(TAP0);
    expect(readCapture(sink.all()).interfaces.map((i) => i.linkType)).toEqual([101]);
    writer.packet(TAP0, FRAME, 14, FRAME.length - 14, 4, 0, 0);
    writer.close();
    expect(readCapture(sink.all()).interfaces.length).toBe(1);
    expect(toHex(readCapture(sink.all()).records[0]!.data)).toBe(toHex(FRAME.subarray(14)));
  });
});

describe('every format', () => {
  it('copies frames of any length from any place, and nothing beside them', () => {
    const arena = new Uint8Array(1 << 17).map((_, i) => (i * 2654435761) >>> 11);
    const small = arena.slice(0, 3000);
    const choice = fc.tuple(fc.boolean(), fc.nat(900), fc.oneof(fc.nat(200), fc.nat(1900)));
    fc.assert(
      fc.property(
        fc.array(choice, { minLength: 1, maxLength: 20 }),
        fc.constantFrom('pcap', 'pcapng'),
        (frames, format) => {
          const sink = memorySink();
          const writer = format === 'pcap' ? new PcapWriter({ sink }) : new PcapngWriter({ sink });
          for (const [big, off, len] of frames) writer.packet(TAP0, big ? arena : small, off, len, 4, 1, 2);
          writer.close();
          const want = frames.map(([, off, len]) => toHex(arena.subarray(off, off + len)));
          expect(readCapture(sink.all()).records.map((r) => toHex(r.data))).toEqual(want);
        },
      ),
    );
  });

  it.each(['pcap', 'pcapng'])('%s: keeps the snap length of a frame and its true length', (format) => {
    const path = file(`snap.${format}`);
    const writer = openCapture(path, { snapLen: 20 });
    writer.packet(TAP0, FRAME, 0, FRAME.length, 4, 1, 0);
    writer.packet(TAP0, FRAME, 0, 19, 4, 1, 0);
    writer.close();
    const { records, interfaces } = readCapture(readFileSync(path));
    expect(records.map((r) => [toHex(r.data), r.originalLength])).toEqual([
      [toHex(FRAME.subarray(0, 20)), FRAME.length],
      [toHex(FRAME.subarray(0, 19)), 19],
    ]);
    expect(interfaces[0]!.snapLen).toBe(20);
    expect(() => openCapture(file('no'), { snapLen: 0 })).toThrow('snap length 0');
    expect(() => openCapture(file('no'), { snapLen: 262145 })).toThrow(RangeError);
  });

  it.each(['pcap', 'pcapng'])('%s: takes frames of 64 KB between small ones, in whole records', (format) => {
    const sink = memorySink();
    const writer = format === 'pcap' ? new PcapWriter({ sink }) : new PcapngWriter({ sink });
    const big = new Uint8Array(65_549).fill(7);
    const lengths: number[] = [];
    for (let i = 0; i < 40; i++) {
      const len = i % 3 === 0 ? big.length : 60 + i;
      lengths.push(len);
      writer.packet(TAP0, big, 0, len, 4, i, 0);
    }
    writer.close();
    expect(sink.blocks.length).toBeGreaterThan(4);
    let end = 0;
    for (const block of sink.blocks) {
      end += block.length;
      expect(readCapture(sink.all().subarray(0, end)).restBytes).toBe(0);
    }
    expect(readCapture(sink.all()).records.map((r) => r.data.length)).toEqual(lengths);
  });

  it('is chosen by extension, or by name', () => {
    const format = (path: string, options = {}) => {
      openCapture(file(path), options).close();
      return readCapture(Buffer.concat([readFileSync(file(path)), Buffer.alloc(0)])).format;
    };
    expect(format('a.pcap')).toBe('pcap');
    expect(format('a.CAP')).toBe('pcap');
    expect(format('a.pcapng')).toBe('pcapng');
    expect(format('a.out')).toBe('pcapng');
    expect(format('b.pcapng', { format: 'pcap' })).toBe('pcap');
  });

  it('refuses a target that is none, or two', () => {
    expect(() => new PcapngWriter({})).toThrow('exactly one');
    expect(() => new PcapWriter({ path: 'x', fd: 1 })).toThrow('exactly one');
  });
});

describe('the reader', () => {
  it('reads big-endian pcap, and microseconds', () => {
    const b = Buffer.alloc(24 + 16 + 3);
    b.writeUInt32BE(0xa1b2c3d4, 0);
    b.writeUInt32BE(65535, 16);
    b.writeUInt32BE(1, 20);
    b.writeUInt32BE(5, 24);
    b.writeUInt32BE(6, 28);
    b.writeUInt32BE(3, 32);
    b.writeUInt32BE(9, 36);
    b.set([1, 2, 3], 40);
    const capture = readCapture(b);
    expect(capture.records[0]).toMatchObject({ timestampNs: 5_000_006_000n, originalLength: 9 });
    expect(toHex(capture.records[0]!.data)).toBe('010203');
    expect(readCapture(b.subarray(0, 42))).toMatchObject({ records: [], restBytes: 18 });
  });

  it('refuses what is no capture, and blocks that contradict themselves', () => {
    expect(() => readCapture(new Uint8Array(100))).toThrow('neither');
    const sink = memorySink();
    const writer = new PcapngWriter({ sink });
    writer.packet(TAP0, FRAME, 0, FRAME.length, 4, 1, 0);
    writer.close();
    const bytes = sink.all();
    bytes[bytes.length - 4]! ^= 4;
    expect(() => readCapture(bytes)).toThrow('two lengths');
  });
});

describe('other programs read', () => {
  const frames = Object.values(UDP_FRAMES);
  const write = (path: string, options = {}) => {
    const writer = openCapture(path, options);
    frames.forEach((f, i) => {
      writer.packet(
        i % 2 === 0 ? TAP0 : TAP1,
        f,
        0,
        f.length,
        i % 3 === 0 ? 0 : 4,
        1_790_000_000 + i,
        123_456_789,
        `note ${i}`,
      );
    });
    writer.close();
  };

  /** tshark's udp.checksum.status where it is not 1, right. */
  const VERDICTS: Readonly<Record<string, string>> = {
    // 3: there is none.
    'VEC-7 no checksum': '3',
    // 2: UDP-Lite's it does not judge.
    'VEC-16 UDP-Lite, coverage 8': '2',
    'VEC-17 UDP-Lite, whole': '2',
    // 0, wrong: tshark sums a source-routed datagram for its last address, the sender's kernel for the first (CSUM-1).
    'VEC-11 LSRR': '0',
    'VEC-12 SSRR': '0',
  };

  it('pcapng: tshark sees nanoseconds, devices, directions, comments and right checksums', ({ skip }) => {
    skip(!has('tshark'), 'tshark is not installed');
    const path = file('all.pcapng');
    write(path);
    const rows = tshark(
      path,
      'frame.time_epoch',
      'frame.interface_name',
      'frame.interface_description',
      'frame.packet_flags_direction',
      'frame.comment',
      'frame.len',
      'udp.checksum.status',
      'ip.checksum.status',
    );
    expect(rows.length).toBe(frames.length);
    rows.forEach(([time, name, description, direction, comment, len, checksum], i) => {
      expect(time).toBe(`${1_790_000_000 + i}.123456789`);
      expect(name).toBe(i % 2 === 0 ? 'tap0' : 'tap1');
      expect(description).toBe(i % 2 === 0 ? 'ifindex 2, MTU 1500' : 'ifindex 3, MTU 1400');
      expect(Number(direction)).toBe(i % 3 === 0 ? 1 : 2);
      expect(comment).toBe(`note ${i}`);
      expect(Number(len)).toBe(frames[i]!.length);
      if (checksum !== '')
        expect(checksum, Object.keys(UDP_FRAMES)[i]).toBe(VERDICTS[Object.keys(UDP_FRAMES)[i]!] ?? '1');
    });
  });

  it.for([
    ['nanoseconds', true, '123456789'],
    ['microseconds', false, '123456000'],
  ] as const)(
    'pcap with %s: tshark sees the time, and tcpdump the frames',
    ([, nanoseconds, fraction], { skip }) => {
      skip(!has('tshark') || !has('tcpdump'), 'tshark or tcpdump is not installed');
      const path = file(`all-${nanoseconds}.pcap`);
      write(path, { nanoseconds });
      const rows = tshark(path, 'frame.time_epoch', 'frame.len');
      expect(rows).toEqual(frames.map((f, i) => [`${1_790_000_000 + i}.${fraction}`, String(f.length)]));
      const lines = tcpdump(path);
      expect(lines.length).toBe(frames.length);
      expect(lines[0]).toBe(`1790000000.${fraction} IP 10.0.0.1.5000 > 10.0.0.2.9: UDP, length 3`);
    },
  );

  it('pcapng: tcpdump reads frames of two devices', ({ skip }) => {
    skip(!has('tcpdump'), 'tcpdump is not installed');
    const path = file('two.pcapng');
    write(path);
    const lines = tcpdump(path);
    expect(lines.length).toBe(frames.length);
    expect(lines[1]).toBe('1790000001.123456789 IP 10.0.0.1.5000 > 10.0.0.2.9: UDP, length 0');
  });

  it.for(['pcap', 'pcapng'])('an empty %s', (format, { skip }) => {
    skip(!has('tshark'), 'tshark is not installed');
    const path = file(`empty.${format}`);
    openCapture(path).close();
    expect(readCapture(readFileSync(path))).toMatchObject({ records: [], restBytes: 0 });
    expect(tshark(path, 'frame.len')).toEqual([]);
  });
});
