/** The first of the two commands, as somebody sees it who has just cloned the project: as root, and as nobody. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCapture } from '../../src/capture/reader.js';
import { missing, noTap, root, start, temporaryFolder } from './machine.js';

const MINUTES = 60_000;
const noGit = missing('git') ?? (existsSync(join(root, '.git')) ? null : 'needs a git checkout');

describe('npm run demo on a fresh clone', { skip: noGit !== null }, () => {
  const folder = temporaryFolder();
  const clone = join(folder.path, 'clone');

  beforeAll(() => {
    // What a clone of this state would hold: no node_modules, no dist, no addon.
    const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: root,
      encoding: 'utf8',
    });
    for (const file of files.split('\0')) {
      const from = join(root, file);
      if (file !== '' && existsSync(from)) cpSync(from, join(clone, file));
    }
    expect(dirname(clone)).toBe(folder.path);
    expect(existsSync(join(clone, 'node_modules'))).toBe(false);
  });
  afterAll(() => folder.remove());

  it("installs, builds, sends over a TAP, and ends with the receiver's bytes", {
    skip: noTap !== null,
    timeout: 8 * MINUTES,
  }, async () => {
    const capture = join(folder.path, 'root.pcapng');
    const result = await start('npm', ['--prefix', clone, 'run', 'demo', '--', capture]).done;
    expect(result.stderr).not.toMatch(/npm error/);
    expect(result.stdout).toMatch(
      /received 17 bytes from 10\.9\.0\.2:\d+: "hello from udptap"\n +68656c6c6f2066726f6d20756470746170\n$/,
    );
    expect(result.stdout).toMatch(/udp\.check +0x[0-9a-f]{4} right/);
    expect(result.stdout).toContain(`the capture is ${capture}`);
    expect(result.code).toBe(0);
    expect(readCapture(readFileSync(capture)).records).toHaveLength(3);
    expect(execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })).not.toContain('udptap-demo');
  });

  it('does the same in memory for an ordinary user', {
    skip: noTap !== null || missing('setpriv') !== null,
    timeout: 8 * MINUTES,
  }, async () => {
    execFileSync('chown', ['-R', '65534:65534', folder.path]);
    const drop = [
      '--reuid',
      '65534',
      '--regid',
      '65534',
      '--clear-groups',
      '--inh-caps=-all',
      '--no-new-privs',
    ];
    const capture = join(folder.path, 'user.pcapng');
    const result = await start('setpriv', [
      ...drop,
      'env',
      `HOME=${folder.path}`,
      'npm',
      '--prefix',
      clone,
      'run',
      'demo',
      '--',
      capture,
    ]).done;
    expect(result.stdout).toContain('without a TAP (not root)');
    expect(result.stdout).toMatch(
      /received 17 bytes from 10\.9\.0\.2:\d+: "hello from udptap"\n +68656c6c6f2066726f6d20756470746170\n$/,
    );
    expect(result.code).toBe(0);
    expect(readCapture(readFileSync(capture)).records).toHaveLength(3);
  });
});
