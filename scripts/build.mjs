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

/**
 * `send` becomes one file with everything that it always needs: loading 180 modules takes Node several times as long as
 * sending does. What only some sends need stays apart, and so does what shares its classes with the rest of the command.
 */
async function bundleSend() {
  const { build } = await import('esbuild');
  const file = join(root, 'dist/cli/send.js');
  await build({
    entryPoints: [file],
    outfile: file,
    allowOverwrite: true,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    external: ['./exit.js', './explain_tree.js', './progress.js', './raw_output.js'],
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: true,
    logLevel: 'warning',
  });
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
if (compiled.status === 0) await bundleSend();
const main = join(root, 'dist/cli/main.js');
if (existsSync(main)) chmodSync(main, 0o755);
process.exitCode = compiled.status ?? 1;
