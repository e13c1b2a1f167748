/** The command on any machine: no TAP, no root. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { readCapture } from '../../src/capture/reader.js';
import { addSendOnlyOptions, addSendOptions } from '../../src/cli/send_options.js';
import { main, root, start, temporaryFolder, udptap } from './machine.js';

describe('command line', () => {
  it('explains itself', async () => {
    const help = await udptap('--help');
    expect(help.code).toBe(0);
    for (const name of ['send', 'explain', 'tap', 'doctor']) expect(help.stdout).toContain(name);
    expect((await udptap('send', '--help')).stdout).toContain('--data-string');
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect((await udptap('--version')).stdout.trim()).toBe(version);
  });

  it.each([
    [['send']],
    [['send', '10.9.0.1']],
    [['send', '10.9.0.1:0']],
    [['send', '10.9.0.1:65536']],
    [['send', 'localhost:9000']],
    [['send', '10.9.0.1:9000', '--no-such-flag']],
    [['send', '10.9.0.1:9000', 'a', 'b']],
    [['send', '10.9.0.1:9000', '--tos', '256']],
    [['send', '10.9.0.1:9000', '--tos', '1', '--dscp', 'EF']],
    [['no-such-command']],
    [[]],
  ])('%j is a usage error', async (args) => {
    const result = await udptap(...args);
    expect(result.stderr.length).toBeGreaterThan(10);
    expect(result.stdout).toBe('');
    expect(result.code).toBe(2);
  });

  it('has every flag in the guide', () => {
    const guide = readFileSync(join(root, 'docs/guide.md'), 'utf8');
    const command = addSendOnlyOptions(addSendOptions(new Command()));
    const absent = command.options.map((option) => option.long ?? '').filter((flag) => !guide.includes(flag));
    expect(absent).toEqual([]);
  });
});

describe('dry run', () => {
  const dry = (...args: string[]) => udptap('send', '10.9.0.1:9000', '--dry-run', ...args);

  it('sends on a device in memory', async () => {
    const result = await dry('hello', '-g', '4000');
    expect(result.stdout).toMatch(
      /who-has 10\.9\.0\.1[\s\S]*is-at 02:00:00:00:09:01[\s\S]*10\.9\.0\.2:4000 > 10\.9\.0\.1:9000 {2}len 5/,
    );
    expect(result.stderr).toBe('1 datagram, 1 frame, 47 bytes, no errors\n');
    expect(result.code).toBe(0);
  });

  it('writes captures of both kinds', async () => {
    const folder = temporaryFolder();
    try {
      for (const name of ['a.pcap', 'a.pcapng']) {
        const file = join(folder.path, name);
        expect((await dry('hello', '-w', file)).code).toBe(0);
        expect(readCapture(readFileSync(file)).records).toHaveLength(3);
      }
    } finally {
      folder.remove();
    }
  });

  it('fails as the kernel fails, with the reason', async () => {
    const cases: [string[], RegExp][] = [
      [
        ['--data-length', '1473', '--pmtudisc', 'do'],
        /sendmsg: EMSGSIZE: 1473 bytes do not fit the path MTU of 1500/,
      ],
      [['--data-length', '65508'], /sendmsg: EMSGSIZE: 65508 bytes are more than a datagram holds/],
      [['x', '--oif', 'eth9'], /ENODEV: there is no interface eth9/],
      [['x', '-S', '10.9.0.9'], /bind to 10\.9\.0\.9:0: bind: EADDRNOTAVAIL/],
      [['x', '--sockopt', 'SOL_IP:99:1'], /setsockopt: ENOPROTOOPT/],
      [['x', '--cmsg', 'SOL_UDP:1:u16:5'], /sendmsg: EINVAL/],
      [['x', '--route', 'nonsense'], /ip route add nonsense/],
    ];
    for (const [flags, message] of cases) {
      const result = await dry(...flags);
      expect(result.stderr).toMatch(message);
      expect(result.code).toBe(1);
    }
    const broadcast = await udptap('send', '10.9.0.255:9', 'x', '--dry-run');
    expect(broadcast.stderr).toMatch(/EACCES: .*--broadcast/);
    expect((await udptap('send', '10.9.0.255:9', 'x', '--dry-run', '--broadcast')).code).toBe(0);
  });

  it('shows fields and bytes', async () => {
    const result = await dry('hello', '-v', '-x');
    expect(result.stdout).toMatch(/ip\.ttl +64/);
    expect(result.stdout).toMatch(/udp\.check +0x[0-9a-f]{4} right/);
    expect(result.stdout).toMatch(/0x0020: {2}.*6865 6c6c 6f/);
  });

  it('ends quietly when nobody reads on', async () => {
    const result = await start('bash', [
      '-c',
      `set -o pipefail; ${process.execPath} ${main} send 10.9.0.1:9000 x --dry-run -c 20000 | head -n 1`,
    ]).done;
    expect(result.stdout.split('\n')).toHaveLength(2);
    expect(result.stderr).not.toMatch(/Error|EPIPE/);
  });

  it('sends a hundred thousand in seconds', async () => {
    const result = await dry('x', '-c', '100000', '--json');
    expect(result.stdout.trimEnd().split('\n').at(-1)).toContain('"sent":100000');
  });
});

describe('explain', () => {
  it('prints a tree of decisions with their rules', async () => {
    const result = await udptap('explain', '10.9.0.1:9000', '--data-string', 'hello', '--tos', '0x10');
    expect(result.code).toBe(0);
    expect(result.stdout).toMatch(/^udp_sendmsg +5 bytes to 10\.9\.0\.1:9000$/m);
    expect(result.stdout).toMatch(/^├ tos +0x10, from IP_TOS +SEND-22$/m);
    for (const part of ['SEND-5', 'ip_make_skb', 'udp_send_skb', 'neigh_resolve_output', 'REACHABLE']) {
      expect(result.stdout).toContain(part);
    }
  });

  it('prints typed events as JSON', async () => {
    const result = await udptap('explain', '10.9.0.1:9000', 'x', '--json');
    const events = result.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; fn?: string; step?: string; rule?: string });
    expect(events.find((e) => e.step === 'tos')).toMatchObject({
      type: 'event',
      fn: 'udp_sendmsg',
      rule: 'SEND-22',
    });
  });

  it('names quirks, and knows kernels', async () => {
    const corked = await udptap('explain', '10.9.0.1:9000', 'xy', '--more');
    expect(corked.stdout).toMatch(/SEND-4 \(quirk\)/);
    const size = ['--data-length', '3000', '--gso', '2000'];
    expect((await udptap('explain', '10.9.0.1:9000', ...size)).stderr).toMatch(/EMSGSIZE/);
    expect((await udptap('explain', '10.9.0.1:9000', ...size, '--kernel', '5.4')).stderr).toMatch(/EINVAL/);
  });
});
