/** The host's side of a TAP: addresses and link state, set with `ip` from iproute2. */
import { spawn } from 'node:child_process';
import { CommandError } from './exit.js';

/** `ip` is often outside the path of ordinary users. */
const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export interface IpResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `ip`, in a named namespace if one is given; `input` goes to its standard input. */
export function runIp(args: readonly string[], netns: string | null, input = ''): Promise<IpResult> {
  const all = netns === null ? args : ['-n', netns, ...args];
  return new Promise((resolve, reject) => {
    const child = spawn('ip', all, { env: { ...process.env, PATH }, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (stdout.length < MAX_OUTPUT_BYTES) stdout += chunk.toString('latin1');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (stderr.length < MAX_OUTPUT_BYTES) stderr += chunk.toString('latin1');
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'ENOENT'
          ? new CommandError('there is no "ip" command here', 'install it: sudo apt-get install iproute2')
          : error,
      );
    });
    child.on('close', (code) => resolve({ code: code ?? 1, stdout, stderr: stderr.trim() }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Runs several `ip` commands in one process. @throws CommandError with what `ip` said */
export async function ipBatch(commands: readonly string[], netns: string | null): Promise<void> {
  const result = await runIp(['-batch', '-'], netns, `${commands.join('\n')}\n`);
  if (result.code === 0) return;
  const said = result.stderr.split('\n').find((line) => line !== '' && !line.startsWith('Command failed'));
  throw new CommandError(
    `ip: ${said ?? `ended with ${result.code}`}`,
    netns !== null && result.stderr.includes('Cannot open network namespace')
      ? `make it: sudo ip netns add ${netns}`
      : null,
  );
}

/** What `ip -j addr` says of one interface. */
export interface HostLink {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly address: string;
  readonly addr_info: readonly {
    readonly family: string;
    readonly local: string;
    readonly prefixlen: number;
  }[];
}

/** The host's view of an interface, or null where it has none of that name. */
export async function hostLink(name: string, netns: string | null): Promise<HostLink | null> {
  const result = await runIp(['-j', 'addr', 'show', 'dev', name], netns);
  if (result.code !== 0) {
    if (result.stderr.includes('does not exist')) return null;
    throw new CommandError(
      `ip: ${result.stderr}`,
      netns !== null && result.stderr.includes('Cannot open network namespace')
        ? `make it: sudo ip netns add ${netns}`
        : null,
    );
  }
  const links = JSON.parse(result.stdout) as HostLink[];
  return links.find((link) => link.ifname === name) ?? null;
}

/**
 * The commands that give the host's end its address and bring it up. IPv6 would announce itself on the new link; there
 * is nobody to hear it, and it would be in every capture.
 */
export function hostCommands(name: string, address: string, mtu: number | null): string[] {
  return [
    `link set dev ${name} addrgenmode none`,
    `addr add ${address} brd + dev ${name}`,
    `link set dev ${name}${mtu === null ? '' : ` mtu ${mtu}`} up`,
  ];
}
