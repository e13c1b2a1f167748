import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inetRtmDeladdr } from '../../src/dev/devinet.js';
import { ipCheckMc } from '../../src/dev/inet_select.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import { hex, ip, Lab, describe as said } from './igmp_lab.js';

const GROUP = '239.1.2.3';

describe('joining and leaving (IGMP-1, IGMP-2)', () => {
  test('VEC-32: the frames of a join and a leave, each told twice', () => {
    const lab = new Lab();
    const s = lab.socket();
    expect(lab.frames()).toEqual([]);
    expect(s.join(GROUP)).toBe(0);
    expect(lab.frames()).toEqual([]); // never at once
    lab.sleep(12);
    const [join] = lab.frames();
    const header = '01005e000016020000000902080046c00028000040000102f9ee' + '0a090002e000001694040000';
    expect(hex(join!)).toBe(`${header}2200e8f90000000104000000ef010203`);
    lab.sleep(1100);
    const again = lab.frames();
    expect(again.map(hex)).toEqual([hex(join!)]);
    lab.sleep(60_000);
    expect(lab.frames()).toEqual([]);
    s.leave(GROUP);
    lab.sleep(12);
    expect(hex(lab.frames()[0]!)).toBe(`${header}2200e9f90000000103000000ef010203`);
    lab.sleep(60_000);
    expect(lab.said()).toEqual([`to-in ${GROUP}`]);
    expect([lab.net.skbs.inUse, lab.net.timers.size]).toEqual([0, 0]);
  });

  test('the repetition comes within igmpv3_unsolicited_report_interval', () => {
    const times = new Set<number>();
    for (let seed = 1; seed < 60; seed++) {
      const lab = new Lab(seed);
      lab.socket().join(GROUP);
      lab.sleep(8);
      expect(lab.said()).toHaveLength(1);
      let ms = 8;
      while (lab.said().length === 0) {
        lab.sleep(10);
        ms += 10;
      }
      expect(ms).toBeLessThanOrEqual(1030);
      times.add(ms);
    }
    expect(times.size).toBeGreaterThan(20);
  });

  test('several joins are told together, newest first; igmp_qrv says how often', () => {
    const lab = new Lab();
    lab.sysctl('net.ipv4.igmp_qrv', 3);
    lab.net.devClose(lab.tap);
    lab.net.devOpen(lab.tap);
    const s = lab.socket();
    for (const n of [1, 2, 3]) s.join(`239.0.0.${n}`);
    lab.sleep(5000);
    const line = 'to-ex 239.0.0.3, to-ex 239.0.0.2, to-ex 239.0.0.1';
    expect(lab.said()).toEqual([line, line, line]);
  });

  test('MC-21: only the first to join and the last to leave are told of', () => {
    const lab = new Lab();
    const [a, b] = [lab.socket(), lab.socket()];
    a.join(GROUP);
    b.join(GROUP);
    lab.sleep(5000);
    expect(lab.said()).toEqual([`to-ex ${GROUP}`, `to-ex ${GROUP}`]);
    a.leave(GROUP);
    lab.sleep(5000);
    expect(lab.said()).toEqual([]);
    b.leave(GROUP);
    lab.sleep(5000);
    expect(lab.said()).toEqual([`to-in ${GROUP}`, `to-in ${GROUP}`]);
  });

  test('MC-30: a socket that closes leaves all in one report', () => {
    const lab = new Lab();
    const s = lab.socket();
    s.join('239.0.0.1');
    s.join('239.0.0.2');
    lab.sleep(5000);
    lab.said();
    s.close();
    lab.sleep(5000);
    const line = 'to-in 239.0.0.1, to-in 239.0.0.2';
    expect(lab.said()).toEqual([line, line]);
    expect(s.omemAlloc).toBe(0);
  });

  test('a group joined again before its leave was told is not left', () => {
    const lab = new Lab();
    const s = lab.socket();
    s.join(GROUP);
    lab.sleep(5000);
    lab.said();
    s.leave(GROUP);
    s.join(GROUP);
    lab.sleep(5000);
    expect(lab.said()).toEqual([`to-ex ${GROUP}`, `to-ex ${GROUP}`]);
  });

  test('IGMP-4: 224.0.0.1 is joined by every device that is up, silently; link-local groups are told unless turned off', () => {
    const lab = new Lab();
    expect([...lab.tap.ipPtr!.mcList.keys()]).toEqual([ip('224.0.0.1')]);
    const s = lab.socket();
    s.join('224.0.0.1');
    s.join('224.0.0.251');
    lab.sleep(5000);
    expect(lab.said()).toEqual(['to-ex 224.0.0.251', 'to-ex 224.0.0.251']);
    lab.sysctl('net.ipv4.igmp_link_local_mcast_reports', 0);
    s.leave('224.0.0.251');
    s.join('224.0.0.252');
    lab.sleep(5000);
    expect(lab.said()).toEqual([]);
    lab.net.devClose(lab.tap);
    expect(lab.tap.ipPtr!.mcList.has(ip('224.0.0.252'))).toBe(true);
  });

  test('IGMP-6: nothing as the device goes down, everything anew as it comes up; the source is the device’s own or none', () => {
    const lab = new Lab();
    const s = lab.socket();
    s.join(GROUP);
    s.allow('232.1.1.1', '10.0.0.7');
    lab.sleep(5000);
    lab.said();
    lab.net.devClose(lab.tap);
    lab.sleep(5000);
    expect(lab.frames()).toEqual([]);
    lab.net.devOpen(lab.tap);
    lab.sleep(5000);
    const line = `allow 232.1.1.1 {10.0.0.7}, to-ex ${GROUP}`;
    expect(lab.said()).toEqual([line, line]);
    const bare = lab.addDevice('tap1', Uint8Array.of(2, 0, 0, 0, 9, 3), null);
    lab.socket().join(GROUP, bare.ifindex);
    lab.sleep(12);
    expect(ipv4.saddr(lab.frames(bare)[0]!, 14)).toBe(0);
    inetRtmDeladdr(lab.net, { ifindex: lab.tap.ifindex, prefixLen: 24, local: ip('10.9.0.2') });
  });

  test('a device that leaves takes its groups along', () => {
    const lab = new Lab();
    const s = lab.socket();
    s.join(GROUP);
    const { ifindex } = lab.tap;
    lab.net.unregisterNetdevice(lab.tap);
    lab.sleep(5000);
    expect(lab.net.igmp.size).toBe(1); // lo
    expect(s.leave(GROUP, ifindex)).toBe(0);
    expect([lab.net.timers.size, lab.net.skbs.inUse]).toEqual([0, 0]);
  });
});

describe('source filters (IGMP-3, RFC 3376 5.1)', () => {
  const steps = (lab: Lab, ...acts: (() => unknown)[]): string[] =>
    acts.map((act) => {
      act();
      lab.sleep(12);
      const [line] = lab.said();
      lab.sleep(5000);
      for (const repeated of lab.said()) expect(repeated).toBe(line);
      return line ?? '';
    });

  test('a membership that includes tells its sources', () => {
    const lab = new Lab();
    const s = lab.socket();
    expect(
      steps(
        lab,
        () => s.allow('232.1.1.1', '10.0.0.7'),
        () => s.allow('232.1.1.1', '10.0.0.8'),
        () => s.disallow('232.1.1.1', '10.0.0.7'),
        () => s.disallow('232.1.1.1', '10.0.0.8'),
      ),
    ).toEqual([
      'allow 232.1.1.1 {10.0.0.7}',
      'allow 232.1.1.1 {10.0.0.8}',
      'block 232.1.1.1 {10.0.0.7}',
      'block 232.1.1.1 {10.0.0.8}',
    ]);
    expect(s.mcList).toEqual([]);
  });

  test('a membership that excludes tells what it blocks', () => {
    const lab = new Lab();
    const s = lab.socket();
    expect(
      steps(
        lab,
        () => s.join(GROUP),
        () => s.block(GROUP, '10.0.0.7'),
        () => s.unblock(GROUP, '10.0.0.7'),
        () => s.filter(GROUP, 0, '10.0.0.1', '10.0.0.2'),
        () => s.filter(GROUP, 1, '10.0.0.3'),
        () => s.filter(GROUP, 0),
        () => s.filter(GROUP, 1),
      ),
    ).toEqual([
      `to-ex ${GROUP}`,
      `block ${GROUP} {10.0.0.7}`,
      `allow ${GROUP} {10.0.0.7}`,
      `block ${GROUP} {10.0.0.1 10.0.0.2}`,
      `to-in ${GROUP} {10.0.0.3}`,
      `to-ex ${GROUP}`,
      `to-in ${GROUP}`,
    ]);
  });

  test('the filters of the sockets of a device are merged', () => {
    const lab = new Lab();
    const [a, b] = [lab.socket(), lab.socket()];
    expect(
      steps(
        lab,
        () => a.allow(GROUP, '10.0.0.1'),
        () => b.join(GROUP),
        () => b.block(GROUP, '10.0.0.1'), // somebody wants it
        () => b.block(GROUP, '10.0.0.2'),
        () => a.close(),
        () => b.close(),
      ),
    ).toEqual([
      `allow ${GROUP} {10.0.0.1}`,
      `to-ex ${GROUP}`,
      '',
      `block ${GROUP} {10.0.0.2}`,
      `block ${GROUP} {10.0.0.1}`,
      `to-in ${GROUP}`,
    ]);
  });

  test('ipCheckMc answers for the device as a whole', () => {
    const lab = new Lab();
    const check = (source: string, proto = 17) => ipCheckMc(lab.tap.ipPtr!, ip(GROUP), ip(source), proto);
    expect(check('10.0.0.1')).toBe(false);
    const [a, b] = [lab.socket(), lab.socket()];
    a.allow(GROUP, '10.0.0.1');
    expect([check('10.0.0.1'), check('10.0.0.2'), check('10.0.0.2', 2), check('0.0.0.0')]).toEqual([
      true,
      false,
      true,
      true,
    ]);
    b.join(GROUP);
    b.block(GROUP, '10.0.0.2');
    expect([check('10.0.0.1'), check('10.0.0.2'), check('10.0.0.3')]).toEqual([true, false, true]);
    b.close();
    expect(check('10.0.0.3')).toBe(false);
  });

  test('a change of groups and sources is noticed by cached routes', () => {
    const lab = new Lab();
    const s = lab.socket();
    const before = lab.net.rtGenid;
    s.join(GROUP);
    const joined = lab.net.rtGenid;
    s.block(GROUP, '10.0.0.1');
    const blocked = lab.net.rtGenid;
    s.close();
    expect(new Set([before, joined, blocked, lab.net.rtGenid]).size).toBe(4);
  });

  test('more sources than one packet holds are told in several, an excluding filter is cut', () => {
    const lab = new Lab();
    lab.sysctl('net.ipv4.igmp_max_msf', 1000);
    lab.tap.mtu = 576;
    const many = Array.from({ length: 300 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    const s = lab.socket();
    s.join(GROUP, lab.tap.ifindex, 1);
    s.filter(GROUP, 1, ...many);
    lab.sleep(12);
    const frames = lab.frames();
    expect(frames.every((frame) => frame.length <= 590)).toBe(true);
    expect(frames.map((frame) => said(frame).match(/10\.1\./g)!.length)).toEqual([134, 134, 32]);
    lab.sleep(5000);
    lab.said();
    s.filter(GROUP, 0, ...many);
    lab.sleep(12);
    expect(lab.said().map((line) => line.match(/10\.1\./g)!.length)).toEqual([134]);
  });
});

describe('queries', () => {
  const member = (...groups: string[]) => {
    const lab = new Lab();
    const s = lab.socket();
    for (const group of groups.length > 0 ? groups : [GROUP]) s.join(group);
    lab.sleep(5000);
    lab.said();
    return { lab, s };
  };

  test('a general query of version 3 is answered once, with the state of all groups, within its time', () => {
    const { lab, s } = member('239.0.0.1', '239.0.0.2');
    s.block('239.0.0.1', '10.0.0.9');
    s.allow('232.0.0.1', '10.0.0.7');
    lab.sleep(5000);
    lab.said();
    lab.query(3, '0.0.0.0', 50);
    expect(lab.said()).toEqual([]);
    lab.sleep(5010);
    expect(lab.said()).toEqual(['is-in 232.0.0.1 {10.0.0.7}, is-ex 239.0.0.2, is-ex 239.0.0.1 {10.0.0.9}']);
    lab.sleep(60_000);
    expect(lab.said()).toEqual([]);
  });

  test('a query for one group, and for some of its sources', () => {
    const { lab, s } = member();
    lab.query(3, GROUP, 10);
    lab.sleep(1010);
    expect(lab.said()).toEqual([`is-ex ${GROUP}`]);
    lab.query(3, '239.9.9.9', 10);
    lab.sleep(2000);
    expect(lab.said()).toEqual([]);
    s.allow('232.0.0.1', '10.0.0.7');
    s.allow('232.0.0.1', '10.0.0.8');
    lab.sleep(5000);
    lab.said();
    // Where only one source is asked for, only that one is told.
    lab.hear(
      {
        kind: 'query',
        version: 3,
        group: ip('232.0.0.1'),
        maxRespCode: 1,
        suppress: false,
        qrv: 2,
        qqic: 0,
        sources: [ip('10.0.0.8'), ip('10.0.0.9')],
      },
      '232.0.0.1',
    );
    lab.sleep(200);
    expect(lab.said()).toEqual(['is-in 232.0.0.1 {10.0.0.8}']);
    lab.query(3, '232.0.0.1', 1, { sources: ['10.0.0.99'] });
    lab.sleep(5000);
    expect(lab.said()).toEqual([]);
    s.block(GROUP, '10.0.0.5');
    lab.sleep(5000);
    lab.said();
    lab.query(3, GROUP, 1, { sources: ['10.0.0.5'] });
    lab.sleep(5000);
    expect(lab.said()).toEqual([]); // excluded as a whole
    lab.query(3, GROUP, 1, { sources: ['10.0.0.5', '10.0.0.6'] });
    lab.sleep(5000);
    expect(lab.said()).toEqual([`is-ex ${GROUP} {10.0.0.5}`]);
  });

  test('a general query that names sources, a short one, one with a wrong checksum: ignored', () => {
    const { lab } = member();
    lab.query(3, '0.0.0.0', 10, { sources: ['10.0.0.1'] });
    lab.hear(
      { kind: 'query', version: 2, group: 0, maxRespCode: 10, suppress: false, qrv: 0, qqic: 0, sources: [] },
      '224.0.0.1',
      { bad: true },
    );
    lab.sleep(60_000);
    expect(lab.said()).toEqual([]);
    expect(lab.net.skbs.inUse).toBe(0);
  });

  test('robustness and interval are the querier’s', () => {
    const { lab, s } = member();
    lab.query(3, '0.0.0.0', 1, { qrv: 4, qqic: 20 });
    lab.sleep(1000);
    lab.said();
    s.join('239.7.7.7');
    lab.sleep(10_000);
    expect(lab.said()).toEqual(Array(4).fill('to-ex 239.7.7.7'));
    // 4 × 20 s + 10 s: so long a version 2 querier counts as present.
    lab.query(2, '0.0.0.0', 10);
    lab.sleep(89_000);
    lab.said();
    lab.query(3, GROUP, 1);
    lab.sleep(500);
    expect(lab.said()).toEqual([`report2 ${GROUP} to ${GROUP}`]);
    lab.sleep(2000);
    lab.query(3, GROUP, 1);
    lab.sleep(500);
    expect(lab.said()).toEqual([`is-ex ${GROUP}`]);
  });

  test('IGMP-5: with a version 2 querier each group answers for itself, joins are told at once and again, leaves go to the routers', () => {
    const { lab, s } = member('239.0.0.1', '239.0.0.2');
    lab.query(2, '0.0.0.0', 20);
    lab.sleep(2100);
    expect(lab.said().sort()).toEqual(['report2 239.0.0.1 to 239.0.0.1', 'report2 239.0.0.2 to 239.0.0.2']);
    s.join('239.0.0.3');
    lab.sleep(12);
    expect(lab.said()).toEqual(['report2 239.0.0.3 to 239.0.0.3']);
    lab.sleep(10_100);
    expect(lab.said()).toEqual(['report2 239.0.0.3 to 239.0.0.3']);
    s.leave('239.0.0.3');
    expect(lab.said()).toEqual(['leave 239.0.0.3 to 224.0.0.2']);
    lab.sleep(60_000);
    expect(lab.said()).toEqual([]);
    lab.query(2, '239.0.0.1', 5);
    lab.sleep(600);
    expect(lab.said()).toEqual(['report2 239.0.0.1 to 239.0.0.1']);
  });

  test('VEC-32: version 2, byte for byte', () => {
    const lab = new Lab();
    lab.sysctl('net.ipv4.conf.tap0.force_igmp_version', 2);
    const s = lab.socket();
    s.join('239.5.5.5');
    lab.sleep(12);
    const report = hex(lab.frames()[0]!);
    expect(report).toMatch(/^01005e050505020000000902080046c00020000040000102/);
    expect(report).toMatch(/0a090002ef050505940400001600f5f4ef050505$/);
    s.leave('239.5.5.5');
    expect(hex(lab.frames()[0]!)).toMatch(/^01005e000002.*e0000002940400001700f4f4ef050505$/);
  });

  test('who was not the last to report does not announce the leave', () => {
    const { lab, s } = member();
    lab.query(2, '0.0.0.0', 100);
    lab.hear({ kind: 'report', version: 2, group: ip(GROUP) }, GROUP, { saddr: '10.9.0.77' });
    lab.sleep(20_000);
    expect(lab.said()).toEqual([]); // somebody else reported
    s.leave(GROUP);
    lab.sleep(1000);
    expect(lab.said()).toEqual([]);
  });

  test('IGMP-5: version 1 has reports and no leaves, and asks all groups', () => {
    const { lab, s } = member();
    lab.query(1, '0.0.0.0', 0);
    lab.sleep(10_100);
    expect(lab.said()).toEqual([`report1 ${GROUP} to ${GROUP}`]);
    s.leave(GROUP);
    lab.sleep(10_000);
    expect(lab.said()).toEqual([]);
    lab.sleep(260_000);
    s.join(GROUP);
    lab.sleep(5000);
    expect(lab.said()).toEqual([`to-ex ${GROUP}`, `to-ex ${GROUP}`]);
  });

  test('our own report that comes back by loopback silences nobody', () => {
    const lab = new Lab();
    lab.sysctl('net.ipv4.conf.all.force_igmp_version', 2);
    lab.socket().join(GROUP);
    lab.sleep(30_000);
    expect(lab.said()).toHaveLength(2);
  });
});

test('tshark reads every message without complaint', () => {
  const lab = new Lab();
  const s = lab.socket();
  const frames: Uint8Array[] = [];
  const wait = (ms: number) => {
    lab.sleep(ms);
    frames.push(...lab.frames());
  };
  s.join(GROUP);
  wait(3000);
  s.block(GROUP, '10.0.0.1');
  s.allow('232.0.0.9', '10.0.0.2');
  wait(3000);
  lab.query(3, '0.0.0.0', 10);
  wait(3000);
  lab.query(2, '0.0.0.0', 10);
  wait(3000);
  s.close();
  wait(3000);
  expect(frames.length).toBeGreaterThanOrEqual(8);
  const dir = mkdtempSync(join(tmpdir(), 'igmp-'));
  try {
    const file = join(dir, 'igmp.pcap');
    writeFileSync(file, pcap(frames));
    const fields = [
      '_ws.expert.message',
      'igmp.checksum.status',
      'ip.checksum.status',
      '_ws.malformed',
      'igmp.type',
    ];
    const args = [
      '-r',
      file,
      '-o',
      'ip.check_checksum:TRUE',
      '-T',
      'fields',
      ...fields.flatMap((field) => ['-e', field]),
    ];
    const lines = execFileSync('tshark', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trimEnd()
      .split('\n');
    expect(lines).toHaveLength(frames.length);
    for (const line of lines) expect(line).toMatch(/^\t1\t1\t\t0x(16|17|22)$/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

function pcap(frames: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65535, 16);
  head.writeUInt32LE(1, 20);
  const records = frames.flatMap((frame, i) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(i, 0);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, frame];
  });
  return Buffer.concat([head, ...records]);
}

describe('hostile', () => {
  test('no message makes the stack throw or leak', () => {
    const lab = new Lab();
    const s = lab.socket();
    s.join(GROUP);
    s.allow('232.0.0.1', '10.0.0.7');
    const type = fc.constantFrom(0x11, 0x11, 0x11, 0x12, 0x16, 0x17, 0x22, 0x13);
    const body = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(type, fc.constantFrom(ip(GROUP), ip('232.0.0.1'), 0), body, (first, group, bytes) => {
        const message = new Uint8Array(8 + bytes.length);
        message.set([first, bytes[0] ?? 0, 0, 0, group >>> 24, group >>> 16, group >>> 8, group]);
        message.set(bytes, 8);
        inject(lab, message);
        lab.sleep(50);
        lab.frames();
      }),
      { numRuns: 1500 },
    );
    s.close();
    lab.sleep(100_000_000);
    lab.frames();
    expect([lab.net.skbs.inUse, lab.net.timers.size]).toEqual([0, 0]);
  });

  test('groups joined and left without time passing are kept in bounds', () => {
    const lab = new Lab();
    const s = lab.socket();
    for (let i = 0; i < 6000; i++) {
      const group = `239.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
      s.join(group);
      s.leave(group);
    }
    expect(lab.net.igmp.get(lab.tap.ipPtr!)!.mcTomb.size).toBe(4096);
    lab.sleep(10_000);
    expect(lab.net.igmp.get(lab.tap.ipPtr!)!.mcTomb.size).toBe(0);
    expect(lab.frames().every((frame) => frame.length <= 1514)).toBe(true);
  });
});

/** A message with a right checksum, whatever is in it. */
function inject(lab: Lab, message: Uint8Array): void {
  let sum = 0;
  message[2] = 0;
  message[3] = 0;
  for (let i = 0; i < message.length; i += 2) sum += (message[i]! << 8) | (message[i + 1] ?? 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  message[2] = (~sum >> 8) & 255;
  message[3] = ~sum & 255;
  const frame = new Uint8Array(34 + message.length);
  frame.set(Buffer.from('01005e0000010200000009010800', 'hex'));
  const repr = {
    tos: 0,
    totLen: 20 + message.length,
    id: 0,
    fragOff: 0,
    ttl: 1,
    protocol: 2,
    options: new Uint8Array(0),
  };
  ipv4.emit({ ...repr, saddr: ip('10.9.0.1'), daddr: ip('224.0.0.1') }, frame, 14);
  frame.set(message, 34);
  lab.tap.inject(frame);
}
