/** Our stack and the host's, one at each end of a TAP: what one sends, an ordinary socket of the other receives. */
import { execFile, execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PcapngWriter } from '../../src/capture/pcapng.js';
import { FrameArena } from '../../src/core/arena.js';
import { openTap, type TapDevice } from '../../src/dev/tap.js';
import { Net } from '../../src/net/net.js';
import {
  IP_ADD_MEMBERSHIP,
  IP_MULTICAST_IF,
  IP_OPTIONS,
  IP_PKTINFO,
  IP_RECVTTL,
  IP_TTL,
  UDP_CORK,
  UDP_SEGMENT,
} from '../../src/uapi/in.js';
import { AF_INET, SO_ERROR, SOL_IP, SOL_SOCKET, SOL_UDP } from '../../src/uapi/socket.js';
import { because, enterNamespace, ip, leaveNamespace, NO_TAP } from '../native/lab.js';

const HOST = '10.9.0.1';
const US = '10.9.0.2';
const PATIENCE_MS = 8000;
/** Around every boundary of fragments at MTU 1500, with and without 40 bytes of options. */
const SIZES = [
  0, 1, 2, 1431, 1432, 1433, 1471, 1472, 1473, 1479, 1480, 1481, 2952, 2953, 8000, 9999, 32768, 65467,
];
const OPTIONS: readonly (readonly [string, string])[] = [
  ['no options', ''],
  ['NOPs', '01'.repeat(40)],
  ['record route', '0727040000000000'.padEnd(80, '0')],
  ['router alert', '94040000'],
  ['timestamps', '4424050000000000'.padEnd(72, '0')],
];
const run = promisify(execFile);

describe.skipIf(NO_TAP !== null)(because('the host at the other end', NO_TAP), () => {
  let net: Net;
  let tap: TapDevice;
  let host: dgram.Socket;
  let port: number;
  let received: Buffer[];

  beforeAll(() => {
    enterNamespace();
    ip('link set lo up');
  });
  afterAll(leaveNamespace);

  async function start(offload = false): Promise<void> {
    net = new Net({ arena: new FrameArena({ smallSlots: 1024, largeSlots: 8 }) });
    tap = await openTap({ name: 'tape%d', offload });
    ip(`addr add ${HOST}/24 dev ${tap.name}`);
    ip(`link set ${tap.name} up`);
    net.addDevice(tap);
    net.ip('link set lo up');
    net.ip(`addr add ${US}/24 brd + dev ${tap.name}`);
    net.ip(`link set ${tap.name} up`);
    received = [];
    host = dgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    host.on('message', (data) => received.push(data));
    host.bind(0, HOST);
    await once(host, 'listening');
    port = host.address().port;
  }
  beforeEach(() => start());
  afterEach(() => {
    host.close();
    net.close();
  });

  async function until(condition: () => boolean): Promise<void> {
    const end = Date.now() + PATIENCE_MS;
    while (!condition() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(condition()).toBe(true);
  }
  const pattern = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + length) & 255));

  it.each(OPTIONS)('datagrams of every size class arrive whole: %s', async (_name, hex) => {
    const socket = net.socket(AF_INET);
    if (hex !== '') socket.setsockopt(SOL_IP, IP_OPTIONS, Buffer.from(hex, 'hex'));
    const sizes = hex === '' ? [...SIZES, 65507] : SIZES;
    for (const size of sizes) {
      received.length = 0;
      expect(socket.sendto(pattern(size), 0, { address: HOST, port })).toBe(size);
      await until(() => received.length > 0);
      expect(received).toEqual([pattern(size)]);
    }
  });

  it('segments arrive as datagrams of their size, corked and not', async () => {
    const socket = net.socket(AF_INET);
    socket.setsockopt(SOL_UDP, UDP_SEGMENT, 1000);
    const data = pattern(4500);
    socket.sendto(data, 0, { address: HOST, port });
    await until(() => received.length === 5);
    expect(received.map((d) => d.length)).toEqual([1000, 1000, 1000, 1000, 500]);
    expect(Buffer.concat(received)).toEqual(data);
    received.length = 0;
    socket.setsockopt(SOL_UDP, UDP_CORK, 1);
    for (let at = 0; at < 4500; at += 1500)
      socket.sendto(data.subarray(at, at + 1500), 0, { address: HOST, port });
    socket.setsockopt(SOL_UDP, UDP_CORK, 0);
    await until(() => received.length === 5);
    expect(Buffer.concat(received)).toEqual(data);
  });

  it('a super-frame is split by the host', async () => {
    host.close();
    net.close();
    await start(true);
    const frames: number[] = [];
    tap.onTransmit = (frame) => frames.push(frame.length);
    const socket = net.socket(AF_INET);
    socket.setsockopt(SOL_UDP, UDP_SEGMENT, 1200);
    socket.sendto(pattern(60000), 0, { address: HOST, port });
    await until(() => received.length === 50);
    expect(Buffer.concat(received)).toEqual(pattern(60000));
    expect(Math.max(...frames)).toBe(60042);
  });

  it('what the host sends arrives whole, with its control messages', async () => {
    const socket = net.socket(AF_INET);
    socket.bind({ address: US, port: 4000 });
    socket.setsockopt(SOL_IP, IP_PKTINFO, 1);
    socket.setsockopt(SOL_IP, IP_RECVTTL, 1);
    for (const size of [0, 1, 1472, 1473, 9000, 65507]) {
      host.send(pattern(size), 4000, US);
      let message = socket.recvmsg();
      await until(() => {
        message ??= socket.recvmsg();
        return message !== null;
      });
      expect(Buffer.from(message!.data)).toEqual(pattern(size));
      expect(message!.name).toEqual({ address: HOST, port });
      expect(message!.control.map(({ level, type }) => [level, type])).toEqual([
        [SOL_IP, IP_PKTINFO],
        [SOL_IP, IP_TTL],
      ]);
    }
  });

  it('the iterator gives messages as they come, until the socket closes', async () => {
    const socket = net.socket(AF_INET);
    socket.bind({ address: US, port: 4000 });
    tap.setRef(true);
    const got: string[] = [];
    for (const text of ['one', 'two', 'three']) host.send(text, 4000, US);
    for await (const { data } of socket) {
      got.push(Buffer.from(data).toString());
      if (got.length === 3) socket.close();
    }
    expect(got).toEqual(['one', 'two', 'three']);
  });

  it('the host can ping us, also with what needs fragments', async () => {
    for (const size of [56, 1472, 1473, 20000, 65000]) {
      const { stdout } = await run('ping', ['-c', '2', '-i', '0.05', '-W', '5', '-s', String(size), US]);
      expect(stdout).toContain('2 received');
    }
  });

  it('closed ports are told, both ways', async () => {
    const closed = dgram.createSocket('udp4');
    const failed = once(closed, 'error');
    closed.connect(4999, US);
    await once(closed, 'connect');
    closed.send('anyone?');
    expect((await failed)[0]).toMatchObject({ code: 'ECONNREFUSED' });
    closed.close();

    const socket = net.socket(AF_INET);
    socket.connect({ address: HOST, port: 4999 });
    socket.send(Buffer.from('anyone?'));
    let error = 0;
    await until(() => {
      error ||= socket.getsockopt(SOL_SOCKET, SO_ERROR);
      return error !== 0;
    });
    expect(error).toBe(111);
  });

  it('multicast reaches members on both sides, and tshark reads our IGMP without complaint', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'udptap-e2e-'));
    const file = join(folder, 'igmp.pcapng');
    const capture = new PcapngWriter(file);
    tap.capture(capture);
    const member = dgram.createSocket({ type: 'udp4', reuseAddr: true });
    const heard: string[] = [];
    member.on('message', (data) => heard.push(data.toString()));
    member.bind(5353, '0.0.0.0');
    await once(member, 'listening');
    member.addMembership('239.1.2.3', HOST);

    const own = net.socket(AF_INET);
    own.bind({ address: '0.0.0.0', port: 5353 });
    const mreq = Buffer.from([239, 1, 2, 3, 10, 9, 0, 2]);
    own.setsockopt(SOL_IP, IP_ADD_MEMBERSHIP, mreq);
    const sender = net.socket(AF_INET);
    sender.setsockopt(SOL_IP, IP_MULTICAST_IF, Buffer.from([10, 9, 0, 2]));
    sender.sendto(Buffer.from('to the group'), 0, { address: '239.1.2.3', port: 5353 });
    await until(() => heard.length === 1);
    expect(heard).toEqual(['to the group']);
    expect(Buffer.from(own.recvmsg()!.data).toString()).toBe('to the group');

    await new Promise((resolve) => setTimeout(resolve, 1200));
    own.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
    member.close();
    capture.close();
    const fields = [
      '-T',
      'fields',
      '-e',
      'igmp.type',
      '-e',
      'igmp.checksum.status',
      '-e',
      '_ws.malformed',
      '-e',
      '_ws.expert',
    ];
    const lines = execFileSync('tshark', ['-r', file, '-Y', `igmp && ip.src == ${US}`, ...fields], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const reports = lines.trim().split('\n');
    expect(reports.length).toBeGreaterThanOrEqual(3);
    for (const report of reports) expect(report.trimEnd()).toMatch(/^0x22\t(1|Good)$/);
    rmSync(folder, { recursive: true });
  });
});
