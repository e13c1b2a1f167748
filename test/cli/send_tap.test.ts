/** `udptap send` over real TAPs, in network namespaces, to ordinary sockets. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main, missing, Netns, noTap, root, start, temporaryFolder, udptap } from './machine.js';

let ns: Netns;
let folder: { readonly path: string; remove(): void };

function needs(reason: string | null): { skip: boolean } {
  return { skip: reason !== null };
}

describe(`send over a TAP${noTap === null ? '' : ` (skipped: ${noTap})`}`, needs(noTap), () => {
  beforeEach(() => {
    ns = new Netns();
    folder = temporaryFolder();
  });
  afterEach(() => {
    ns.close();
    folder.remove();
  });

  const send = (...args: string[]) => udptap('send', '10.9.0.1:9000', '--netns', ns.name, ...args);

  it('reaches an ordinary socket, and leaves no device behind', async () => {
    const receiver = await ns.receiver(9000);
    const result = await send('--data-string', 'hello', '--tos', '0x10', '-g', '4000');
    expect(result.stderr).toContain('1 datagram, 1 frame, 47 bytes, no errors');
    expect(result.code).toBe(0);
    const lines = result.stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^\d+\.\d{4} {2}arp {2}who-has 10\.9\.0\.1 tell 10\.9\.0\.2$/);
    expect(lines[1]).toMatch(/^\d+\.\d{4} {2}arp {2}10\.9\.0\.1 is-at [0-9a-f:]{17}$/);
    expect(lines[2]).toMatch(
      /udp {2}10\.9\.0\.2:4000 > 10\.9\.0\.1:9000 {2}len 5 {2}tos 0x10 ttl 64 id 0x[0-9a-f]{4} DF$/,
    );
    expect(await receiver.take(1)).toEqual([{ hex: '68656c6c6f', from: '10.9.0.2', port: 4000 }]);
    expect(ns.links()).toEqual([]);
  });

  it.each([
    [['--data-length', '4000'], 1],
    [['--data-length', '4000', '--ip-options', 'R'], 1],
    [['--data-length', '65507'], 1],
    [['--data-length', '3001', '--gso', '1000'], 4],
    [['--data-length', '3001', '--gso', '1000', '--offload'], 4],
    [['--data-length', '100', '--more'], 1],
    [['--data-length', '100', '--no-check'], 1],
    [['--data-length', '100', '--connect', '--dscp', 'EF', '--ttl', '1'], 1],
    [['--data-length', '100', '--pktinfo', '10.9.0.2', '--cmsg', 'SOL_IP:IP_TTL:9'], 1],
    [['--data-length', '0'], 1],
    [['--data-length', '2000', '--mtu', '600'], 1],
  ])('%j is received whole', async (flags, datagrams) => {
    const receiver = await ns.receiver(9000);
    const result = await send(...flags);
    expect(result.stderr).toContain('no errors');
    expect(result.code).toBe(0);
    const received = (await receiver.take(datagrams)).map((d) => d.hex).join('');
    const length = Number(flags[1]);
    expect(received).toBe(Buffer.from(Array.from({ length }, (_, i) => i & 255)).toString('hex'));
  });

  it('prints what comes back', async () => {
    await ns.receiver(9000, true);
    const result = await send('ping', '--wait', '400');
    expect(result.stdout).toMatch(/back 10\.9\.0\.1:9000 {2}len 4 {2}"ping"/);
    expect(result.stderr).toContain('1 datagram back');
    expect(result.code).toBe(0);
  });

  it('says it as JSON, one object a line', async () => {
    await ns.receiver(9000, true);
    const result = await send('ping', '--wait', '300', '--json');
    const objects = result.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(objects.filter((o) => o.type === 'frame').map((o) => o.status)).toContain('sent');
    expect(objects.find((o) => o.type === 'reply')).toMatchObject({ from: '10.9.0.1:9000', hex: '70696e67' });
    expect(objects.at(-1)).toMatchObject({ type: 'summary', sent: 1, failed: 0, waiting: 0, replies: 1 });
  });

  it('sends many, at a rate', async () => {
    const receiver = await ns.receiver(9000);
    const started = performance.now();
    const result = await send('x', '-c', '200', '--rate', '500');
    expect(performance.now() - started).toBeGreaterThan(390);
    expect(result.stderr).toContain('200 datagrams, 200 frames');
    expect(result.code).toBe(0);
    await receiver.take(200);
  });

  it('knows a datagram that waits from one that was sent', async () => {
    const result = await udptap('send', '10.9.0.77:9000', 'x', '--netns', ns.name);
    expect(result.stdout).toMatch(/wait datagram 1 waits/);
    expect(result.stderr).toMatch(/fail datagram 1: EHOSTUNREACH: nobody answered ARP/);
    expect(result.stderr).toContain('0 datagrams, 0 frames, 0 bytes, 1 failed');
    expect(result.code).toBe(1);
  });

  it('cleans up at Ctrl-C', async () => {
    const running = start(process.execPath, [
      main,
      'send',
      '10.9.0.1:9000',
      'x',
      '--netns',
      ns.name,
      '-c',
      '0',
      '-i',
      '20ms',
    ]);
    await running.until(/(udp .*\n[\s\S]*){5}/);
    expect(ns.links()).toEqual(['tap0']);
    running.child.kill('SIGINT');
    const result = await running.done;
    expect(result.stderr).toMatch(/\d+ datagrams, \d+ frames, \d+ bytes, no errors/);
    expect(result.code).toBe(0);
    expect(ns.links()).toEqual([]);
  });

  it.each([
    ['link set dev tap0 down', /EIO: .*down at the host's end: ip link set tap0 up/],
    ['link del dev tap0', /EBADFD: .*the host has deleted tap0/],
  ])('notices "ip %s" in the middle', async (command, message) => {
    const running = start(process.execPath, [
      main,
      'send',
      '10.9.0.1:9000',
      'x',
      '--netns',
      ns.name,
      '-c',
      '40',
      '-i',
      '20ms',
    ]);
    await running.until(/(udp .*\n[\s\S]*){3}/);
    ns.ip(command);
    const result = await running.done;
    expect(result.stdout).toMatch(/FAILED/);
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(1);
    expect(ns.links()).toEqual([]);
  });

  it('writes a capture that tshark finds no fault with', {
    skip: missing('tshark', 'tcpdump') !== null,
  }, async () => {
    await ns.receiver(9000);
    const file = join(folder.path, 'out.pcapng');
    const result = await send('--data-string', 'hello', '-w', file);
    expect(result.stderr).toContain('out.pcapng holds 3 frames');
    const fields = [
      'frame.protocols',
      'arp.opcode',
      'udp.dstport',
      'ip.checksum.status',
      'udp.checksum.status',
      'frame.interface_name',
    ];
    const tshark = execFileSync(
      'tshark',
      [
        '-r',
        file,
        '-o',
        'ip.check_checksum:TRUE',
        '-o',
        'udp.check_checksum:TRUE',
        '-T',
        'fields',
        ...fields.flatMap((f) => ['-e', f]),
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    expect(tshark.trimEnd().split('\n')).toEqual([
      'eth:ethertype:arp\t1\t\t\t\ttap0',
      'eth:ethertype:arp\t2\t\t\t\ttap0',
      'eth:ethertype:ip:udp:data\t\t9000\t1\t1\ttap0',
    ]);
    const tcpdump = execFileSync('tcpdump', ['-nr', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(tcpdump).toContain('10.9.0.1.9000: UDP, length 5');
  });

  it('writes what tcpdump sees on the TAP, byte for byte', {
    skip: missing('tcpdump') !== null,
  }, async () => {
    expect((await udptap('tap', 'create', 'tap7', '--addr', '10.9.0.1/24', '--netns', ns.name)).stdout).toBe(
      'tap7\n',
    );
    await ns.receiver(9000);
    const theirs = join(folder.path, 'theirs.pcap');
    const ours = join(folder.path, 'ours.pcap');
    const tcpdump = ns.spawn('tcpdump', [
      '-i',
      'tap7',
      '--immediate-mode',
      '-U',
      '-Z',
      'root',
      '-w',
      theirs,
      'not',
      'ip6',
    ]);
    await new Promise<void>((resolve) => {
      tcpdump.stderr?.on('data', (chunk: Buffer) => chunk.toString().includes('listening on') && resolve());
    });
    const result = await send(
      '--tap',
      'tap7',
      '--data-length',
      '5000',
      '--ip-options',
      'R',
      '-c',
      '3',
      '--wait',
      '100',
      '-w',
      ours,
    );
    expect(result.code).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    tcpdump.kill('SIGINT');
    await new Promise((resolve) => tcpdump.on('close', resolve));
    const said = execFileSync(process.execPath, [join(root, 'scripts/same-frames.mjs'), ours, theirs], {
      encoding: 'utf8',
    });
    expect(said).toContain('byte for byte the same');
    expect(ns.links()).toEqual(['tap7']);
    expect((await udptap('tap', 'delete', 'tap7', '--netns', ns.name)).code).toBe(0);
    expect(ns.links()).toEqual([]);
  });

  it('streams a capture to a pipe', async () => {
    await ns.receiver(9000);
    const result = await send('--data-string', 'hello', '-w', '-');
    expect(result.stdout.startsWith('\n\r\r\n')).toBe(true);
    expect(result.stderr).toContain('udp  10.9.0.2');
    expect(result.stderr).toContain('the capture holds 3 frames');
  });

  it('ends with an error when the reader of the pipe goes', async () => {
    const running = start('bash', [
      '-c',
      `set -o pipefail; ${process.execPath} ${main} send 10.9.0.1:9000 x --netns ${ns.name} -c 0 -i 10ms -w - | head -c 100 >/dev/null`,
    ]);
    const result = await running.done;
    expect(result.stderr).toContain('EPIPE: the program that reads the pipe has gone');
    expect(result.code).toBe(1);
    expect(ns.links()).toEqual([]);
  });

  it('ends with an error when the disk is full', { skip: !existsSync('/dev/full') }, async () => {
    const result = await send('x', '-c', '0', '-i', '10ms', '-w', '/dev/full');
    expect(result.stderr).toContain('ENOSPC: the disk is full');
    expect(result.code).toBe(1);
    expect(ns.links()).toEqual([]);
  });

  it('ends with an error when the capture cannot be opened', async () => {
    const result = await send('x', '-w', join(folder.path, 'no/such/folder.pcap'));
    expect(result.stderr).toMatch(/capture to .*: ENOENT/);
    expect(result.code).toBe(1);
    expect(ns.links()).toEqual([]);
  });

  it('explains beside sending', async () => {
    const result = await send('x', '--explain');
    expect(result.stderr).toMatch(/^udp_sendmsg/m);
    expect(result.stdout).not.toMatch(/udp_sendmsg/);
  });

  it('reads data from a file and from standard input', async () => {
    const receiver = await ns.receiver(9000);
    const file = join(root, 'LICENSE');
    expect((await send('--data-file', file)).code).toBe(0);
    const piped = start(
      process.execPath,
      [main, 'send', '10.9.0.1:9000', '-', '--netns', ns.name],
      'from a pipe',
    );
    expect((await piped.done).code).toBe(0);
    const [first, second] = await receiver.take(2);
    expect(first?.hex).toBe(readFileSync(file).toString('hex'));
    expect(second?.hex).toBe(Buffer.from('from a pipe').toString('hex'));
    expect((await send('--data-file', join(folder.path, 'nothing'))).stderr).toMatch(/ENOENT/);
  });
});
