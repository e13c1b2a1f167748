// The package's install script: builds the addon where that is possible. Without a compiler the package still installs,
// and everything that needs no TAP works; then one line says so.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/** Node's own headers, where they are installed beside it: building then needs no download. */
function headersBesideNode() {
  const prefix = resolve(dirname(process.execPath), '..');
  const header = join(prefix, 'include/node/node_version.h');
  if (!existsSync(header)) return null;
  const text = readFileSync(header, 'utf8');
  const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
  return part('MAJOR') === process.versions.node.split('.')[0] ? prefix : null;
}

/** @returns {string[] | null} how to run node-gyp: our own, or npm's, which is on the path of an install script. */
function nodeGyp() {
  try {
    return [process.execPath, require.resolve('node-gyp/bin/node-gyp.js')];
  } catch {
    return process.env.npm_config_node_gyp
      ? [process.execPath, process.env.npm_config_node_gyp]
      : ['node-gyp'];
  }
}

function build() {
  if (process.platform !== 'linux') return `TAP devices are Linux's, and this is ${process.platform}`;
  const [command, ...args] = nodeGyp();
  args.push('rebuild', '--loglevel=error');
  const nodedir = process.env.npm_config_nodedir ? null : headersBesideNode();
  if (nodedir !== null) args.push(`--nodedir=${nodedir}`);
  const run = spawnSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (run.error) return `node-gyp cannot be run (${run.error.message})`;
  if (run.status === 0) return null;
  const output = `${run.stdout}\n${run.stderr}`.split('\n');
  // The compiler's own words first; node-gyp's "stack" line names a missing python, make or header.
  const cause =
    output.find((line) => /not found|No such file|\berror: /.test(line)) ??
    output.find((line) => /ERR! stack (Error|Could)/.test(line));
  return (cause ?? `node-gyp ended with ${run.status ?? run.signal}`).replace(/^gyp ERR! stack /, '').trim();
}

const problem = build();
if (problem !== null) {
  console.error(`udptap: built without its native part, so without TAP devices: ${problem}`);
  // A caller that cannot do without the addon asks for a failure.
  if (process.argv.includes('--strict')) process.exitCode = 1;
}
