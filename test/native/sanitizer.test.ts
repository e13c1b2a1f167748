import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { because, NO_TAP } from './lab.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Where the headers are that the addon is built with. */
function nodeHeaders(): string | undefined {
  return [
    join(dirname(process.execPath), '../include/node'),
    join(process.env.npm_config_nodedir ?? '', 'include/node'),
    join(homedir(), '.cache/node-gyp', process.versions.node, 'include/node'),
  ].find((folder) => existsSync(join(folder, 'uv.h')));
}

/** The sanitizer's library, which must be in the process before Node itself. */
function sanitizerLibrary(): string | null {
  const { stdout, error } = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  return !error && isAbsolute(stdout.trim()) ? stdout.trim() : null;
}

const headers = nodeHeaders();
const library = sanitizerLibrary();
const missing =
  NO_TAP ??
  (library === null ? 'needs g++ with libasan' : headers === undefined ? "needs Node's headers" : null);

describe.skipIf(missing)(
  because('the addon under address, leak and undefined-behaviour sanitizers', missing),
  () => {
    it('stands random calls with good and bad arguments, on the main thread and in workers', {
      timeout: 120_000,
    }, () => {
      const folder = mkdtempSync(join(tmpdir(), 'udptap-asan-'));
      try {
        const addon = join(folder, 'udptap.node');
        const sources = readdirSync(join(ROOT, 'native')).filter((name) => name.endsWith('.cc'));
        const flags = [
          '-shared',
          '-fPIC',
          '-g',
          '-O1',
          '-std=c++17',
          '-fno-exceptions',
          '-fno-omit-frame-pointer',
        ];
        const checks = [
          '-fsanitize=address,undefined',
          '-fno-sanitize-recover=undefined',
          '-Wall',
          '-Wextra',
          '-Werror',
        ];
        execFileSync('g++', [...flags, ...checks, `-I${headers}`, ...sources, '-o', addon], {
          cwd: join(ROOT, 'native'),
        });
        for (const seed of [1, 2, 3]) {
          const run = spawnSync(
            process.execPath,
            ['--expose-gc', join(ROOT, 'test/native/fuzz.cjs'), addon, String(seed), '12000'],
            {
              encoding: 'utf8',
              timeout: 60_000,
              env: {
                ...process.env,
                LD_PRELOAD: library!,
                ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0',
                NODE_OPTIONS: '',
              },
            },
          );
          expect({ seed, status: run.status, signal: run.signal, report: run.stderr }).toEqual({
            seed,
            status: 0,
            signal: null,
            report: '',
          });
          expect(run.stdout).toMatch(/^12000 calls, .*\nfinished\n$/);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  },
);
