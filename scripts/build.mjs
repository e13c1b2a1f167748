// npm run build: the addon where it is missing or older than its sources, then TypeScript into dist/.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const addon = join(root, 'build/Release/udptap.node');

/** Every file below a folder, relative to it. */
function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1));
}

function addonIsCurrent() {
  if (!existsSync(addon)) return false;
  const built = statSync(addon).mtimeMs;
  const sources = [
    join(root, 'binding.gyp'),
    ...filesBelow(join(root, 'native')).map((f) => join(root, 'native', f)),
  ];
  return sources.every((source) => statSync(source).mtimeMs <= built);
}

/** Compiled files whose source is gone would still be loaded and shipped. */
function removeStale() {
  const dist = join(root, 'dist');
  for (const file of filesBelow(dist)) {
    const source = file.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts');
    if (!existsSync(join(root, 'src', source))) rmSync(join(dist, file));
  }
}

// install.mjs says in one line why there is no addon; everything that needs no TAP works without it.
if (process.platform === 'linux' && !addonIsCurrent()) {
  spawnSync(process.execPath, [join(root, 'scripts/install.mjs')], { cwd: root, stdio: 'inherit' });
}

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const compiled = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], {
  cwd: root,
  stdio: 'inherit',
});
removeStale();
const main = join(root, 'dist/cli/main.js');
if (existsSync(main)) chmodSync(main, 0o755);
process.exitCode = compiled.status ?? 1;
