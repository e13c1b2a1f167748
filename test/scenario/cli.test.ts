/** `udptap run` and `udptap compare` as commands: what they print, and their exit codes. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hostProblem } from '../../src/scenario/host_runner.js';
import { main } from '../cli/machine.js';

const folder = mkdtempSync(join(tmpdir(), 'udptap-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

function udptap(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const good = file('good.json', {
  name: 'one datagram',
  calls: [
    { call: 'socket' },
    { call: 'bind', addr: '10.9.0.2:4000' },
    { call: 'sendto', data: { ascii: 'hello' }, addr: '10.9.0.1:53' },
    { call: 'sendto', data: '00', addr: null },
  ],
});
const wrong = file('wrong.json', [
  { name: 'w', calls: [{ call: 'sokcet' }] },
  { name: 'fine', calls: [] },
]);

describe('udptap run', () => {
  it('prints a line a call and a line a frame', () => {
    const { code, stdout } = udptap('run', good);
    expect(code).toBe(0);
    expect(stdout).toContain('== one datagram');
    expect(stdout).toMatch(
      / 2 sendto\(.*\) = 5\n +\[tap0\] udp {2}10\.9\.0\.2:4000 > 10\.9\.0\.1:53 {2}len 5/,
    );
    expect(stdout).toMatch(/ 3 sendto\(.*\) = -1 EDESTADDRREQ/);
  });
  it('prints the results in the file format with --json', () => {
    const { code, stdout } = udptap('run', '--json', good);
    expect(code).toBe(0);
    const [result] = JSON.parse(stdout);
    expect(Object.keys(result)).toEqual(['name', 'setup_frames', 'calls', 'late_frames']);
    expect(result.calls[2]).toMatchObject({ i: 2, call: 'sendto', ret: 5, errno: 0, err: null });
    expect(result.calls[2].frames).toEqual([{ dev: 'tap0', hex: expect.stringMatching(/68656c6c6f$/) }]);
    expect(result.calls[3]).toEqual({
      i: 3,
      call: 'sendto',
      ret: -1,
      errno: 89,
      err: 'EDESTADDRREQ',
      frames: [],
    });
  });
  it('takes another kernel, and says which there are', () => {
    const gso = file('gso.json', {
      calls: [
        { call: 'socket' },
        {
          call: 'sendmsg',
          iov: [{ seq: 100 }],
          name: '10.9.0.1:53',
          cmsgs: [{ level: 'SOL_UDP', type: 'UDP_SEGMENT', data: { u16: 1 } }],
        },
      ],
    });
    const sent = (kernel: string) =>
      JSON.parse(udptap('run', '--json', '--kernel', kernel, gso).stdout)[0].calls[1].ret;
    expect(sent('6.18')).toBe(100);
    expect(sent('5.4')).toBe(-1);
    expect(udptap('run', '--kernel', '4.4', gso)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('6.18, 6.1, 5.4'),
    });
  });
  it('answers a wrong scenario with place and reason, and runs the others', () => {
    const { code, stdout } = udptap('run', '--json', wrong);
    expect(code).toBe(1);
    const results = JSON.parse(stdout);
    expect(results[0]).toEqual({
      name: 'w',
      error: expect.stringMatching(/wrong\.json:1:\d+: calls\[0\]\.call: must be one of/),
    });
    expect(results[1]).toMatchObject({ name: 'fine', calls: [] });
  });
  it('refuses what is no file and no JSON', () => {
    expect(udptap('run', join(folder, 'nothing.json'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('nothing.json'),
    });
    expect(udptap('run', file('broken.json', '{"calls": ['))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('broken.json:1:12: not JSON'),
    });
    expect(udptap('run')).toMatchObject({ code: 2 });
  });
}, 120_000);

const problem = hostProblem();

describe('udptap compare without its arguments', () => {
  it('is a usage error', () => {
    expect(udptap('compare')).toMatchObject({ code: 2, stderr: expect.stringContaining('--random') });
    expect(udptap('compare', good, '--random', '3')).toMatchObject({ code: 2 });
    expect(udptap('compare', '--random', 'x')).toMatchObject({ code: 2 });
    expect(udptap('compare', '--random', '3', '--topic', 'corq')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('cork'),
    });
  });
}, 120_000);

describe.skipIf(problem !== null)(
  `udptap compare${problem === null ? '' : ` (${problem})`}`,
  () => {
    it('finds no difference where there is none', () => {
      expect(udptap('compare', good)).toMatchObject({ code: 0, stdout: '1 scenarios, none differs\n' });
      const { code, stdout } = udptap('compare', '--json', good);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toEqual([{ name: 'one datagram', differences: [] }]);
      expect(udptap('compare', wrong)).toMatchObject({
        code: 1,
        stdout: expect.stringContaining('calls[0].call'),
      });
    });
    it('invents scenarios, and prints their seed', () => {
      const { code, stdout, stderr } = udptap(
        'compare',
        '--random',
        '10',
        '--seed',
        '7',
        '--topic',
        'send,mmsg',
        '--out',
        folder,
      );
      expect(stderr).toContain('seed 7, topic send,mmsg');
      expect(stdout).toMatch(/^10 scenarios of seed 7 in .*: none differs/);
      expect(code).toBe(0);
    });
  },
  120_000,
);

describe('the package', () => {
  it('ships the schema that it publishes', () => {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    expect((JSON.parse(text) as { files: string[] }).files).toContain('schema');
  });
});
