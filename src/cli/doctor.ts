/** `udptap doctor`: what this machine lacks, and the command that mends it. */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { addonProblem, loadAddon } from '../dev/addon.js';
import { errnoName } from '../uapi/errno.js';
import { EXIT_FAILED, EXIT_OK } from './exit.js';

/** One thing that was looked at. `needed`: without it there are no TAP devices; else something smaller is missing. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly needed: boolean;
  readonly text: string;
  readonly mend: string | null;
}

const CAP_NET_ADMIN = 12;
const CAP_NET_RAW = 13;
const TUN = '/dev/net/tun';

function onPath(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

function found(what: string, needed: boolean, ok: boolean, text: string, mend: string): Finding {
  return { what, ok, needed, text, mend: ok ? null : mend };
}

function node(): Finding {
  const ok = Number(process.versions.node.split('.')[0]) >= 20;
  return found('node', true, ok, process.versions.node, 'install Node.js 20 or newer: https://nodejs.org');
}

function system(): Finding {
  const ok = process.platform === 'linux';
  return found('system', true, ok, process.platform, 'TAP devices need Linux; everything else works here');
}

function addon(): Finding {
  const problem = addonProblem();
  return found(
    'addon',
    true,
    problem === null,
    problem === null ? 'loads' : problem.reason,
    'sudo apt-get install g++ make python3, then "npm rebuild udptap" (in a checkout: npm run build)',
  );
}

function tunDevice(): Finding {
  if (!existsSync(TUN)) {
    const inContainer = existsSync('/.dockerenv') || existsSync('/run/.containerenv');
    const mend = inContainer
      ? 'start the container with --device /dev/net/tun'
      : `sudo modprobe tun; where ${TUN} is still missing: sudo mkdir -p /dev/net && sudo mknod ${TUN} c 10 200`;
    return found(TUN, true, false, 'is missing', mend);
  }
  if (!statSync(TUN).isCharacterDevice()) {
    return found(TUN, true, false, 'is no device', `sudo rm ${TUN} && sudo mknod ${TUN} c 10 200`);
  }
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK);
    return found(TUN, true, true, 'can be opened', '');
  } catch {
    return found(TUN, true, false, 'may not be opened by you', `sudo chmod 666 ${TUN}, or run as root`);
  }
}

function capabilities(): Finding {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  const has = (bit: number) => (BigInt(`0x${line}`) >> BigInt(bit)) & 1n;
  const missing = [
    ...(has(CAP_NET_ADMIN) ? [] : ['CAP_NET_ADMIN']),
    ...(has(CAP_NET_RAW) ? [] : ['CAP_NET_RAW']),
  ];
  return found(
    'capabilities',
    true,
    missing.length === 0,
    missing.length === 0 ? 'CAP_NET_ADMIN, CAP_NET_RAW' : `without ${missing.join(', ')}`,
    `run with sudo; or once "sudo udptap tap create tap0 --user $(id -un) --addr 10.9.0.1/24", then "udptap send --tap tap0 ..."; in a container --cap-add NET_ADMIN --cap-add NET_RAW`,
  );
}

/** The only sure test: make one. It is gone when this returns. */
function tapWorks(): Finding | null {
  if (addonProblem() !== null) return null;
  const native = loadAddon();
  const tap = native.tapOpen('', 0);
  if (typeof tap === 'number') {
    return found('TAP', true, false, `opening one: ${errnoName(-tap)}`, 'see the lines above');
  }
  native.tapClose(tap.id);
  return found('TAP', true, true, 'can be made', '');
}

function command(name: string, needed: boolean, why: string, debianPackage: string): Finding {
  const path = onPath(name);
  return found(
    name,
    needed,
    path !== null,
    path ?? `is missing: ${why}`,
    `sudo apt-get install ${debianPackage}`,
  );
}

function rawSocket(): Finding {
  const paths = ['../../node_modules/raw-socket', '../../../raw-socket'].map(
    (path) => new URL(path, import.meta.url),
  );
  const ok = paths.some((path) => existsSync(path));
  return found(
    'raw-socket',
    false,
    ok,
    ok ? 'is installed' : 'is missing: send --raw needs it',
    'npm install raw-socket',
  );
}

/** Looks at everything. */
export function examine(): Finding[] {
  const linux = process.platform === 'linux';
  const tap = linux ? tapWorks() : null;
  return [
    node(),
    system(),
    addon(),
    ...(linux ? [tunDevice(), capabilities()] : []),
    ...(tap === null ? [] : [tap]),
    command('ip', true, 'sets the address of the host’s end', 'iproute2'),
    command('tcpdump', false, 'shows captures, live or from files', 'tcpdump'),
    command('tshark', false, 'shows captures in full detail', 'tshark'),
    rawSocket(),
  ];
}

/** @returns 0 if TAP devices work, else 1 */
export function doctor(options: { readonly json?: boolean }): number {
  const findings = examine();
  const usable = findings.every((finding) => finding.ok || !finding.needed);
  if (options.json === true) {
    for (const finding of findings) process.stdout.write(`${JSON.stringify(finding)}\n`);
    return usable ? EXIT_OK : EXIT_FAILED;
  }
  for (const { what, ok, needed, text, mend } of findings) {
    process.stdout.write(`${ok ? 'ok     ' : needed ? 'MISSING' : 'without'}  ${what.padEnd(13)} ${text}\n`);
    if (mend !== null) process.stdout.write(`         ${' '.repeat(13)} ${mend}\n`);
  }
  process.stdout.write(
    usable
      ? 'udptap can send over a TAP here.\n'
      : 'udptap cannot send over a TAP here. What needs none works: send --dry-run, explain, run.\n',
  );
  return usable ? EXIT_OK : EXIT_FAILED;
}
