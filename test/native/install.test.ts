import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('a package whose addon cannot be built', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'udptap-install-'));
    for (const path of ['package.json', 'binding.gyp', 'native', 'scripts/install.mjs', 'src/dev/addon.ts']) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      cpSync(join(ROOT, path), join(folder, path), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Runs node there, without any program on the path. */
  function node(...args: string[]) {
    const { npm_config_python: _, PYTHON: __, ...env } = process.env;
    return spawnSync(process.execPath, args, {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...env, PATH: join(folder, 'nothing'), CXX: '/no/such/compiler' },
    });
  }

  it('still installs, and says so in one line', { timeout: 60_000 }, () => {
    const run = node('scripts/install.mjs');
    expect(run.status).toBe(0);
    expect(run.stdout).toBe('');
    expect(run.stderr).toMatch(/^udptap: built without its native part, so without TAP devices: .+\n$/);
    expect(existsSync(join(folder, 'build/Release/udptap.node'))).toBe(false);
    expect(node('scripts/install.mjs', '--strict').status).toBe(1);
  });

  it('loads, and tells who asks for the addon why it is missing and how to mend that', {
    timeout: 60_000,
  }, () => {
    writeFileSync(
      join(folder, 'ask.ts'),
      `import { AddonMissingError, addonProblem, loadAddon } from './src/dev/addon.js';
      try {
        loadAddon();
      } catch (error) {
        console.log(error instanceof AddonMissingError, error === addonProblem(), String(error));
      }`,
    );
    const run = node('--import', 'tsx', 'ask.ts');
    expect(run.stdout).toMatch(
      /^true true AddonMissingError: the native part .* No native build was found .*node-gyp rebuild/,
    );
  });

  it('names what is wrong with a build that is there', { timeout: 60_000 }, () => {
    mkdirSync(join(folder, 'build/Release'), { recursive: true });
    writeFileSync(join(folder, 'build/Release/udptap.node'), 'not a library');
    writeFileSync(
      join(folder, 'ask.ts'),
      "import { addonProblem } from './src/dev/addon.js'; console.log(addonProblem()?.reason);",
    );
    expect(node('--import', 'tsx', 'ask.ts').stdout).toMatch(
      /udptap\.node: file too short|invalid ELF header/,
    );
  });
});
