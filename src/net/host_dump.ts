/** What a host says of its network: read from the host, from one of its namespaces, or from files, and written to files. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One object as `ip -j` prints it. */
export type Json = Readonly<Record<string, unknown>>;

/** A network as `ip -j` and `/proc/sys` tell it. */
export interface HostDump {
  /** `ip -j -d link` */
  readonly link: readonly Json[];
  /** `ip -j addr` */
  readonly addr: readonly Json[];
  /** `ip -j route show table all`; a route's `locks` name the metrics that are locked, which `ip` tells in its text only. */
  readonly route: readonly Json[];
  /** `ip -j rule`; `split` in the first says that the host has had other rules, and looks local and main up apart since. */
  readonly rule: readonly Json[];
  /** `ip -j neigh` and `ip -j neigh show proxy` in one list */
  readonly neigh: readonly Json[];
  /** By their names as `sysctl` writes them; `kernel.osrelease` among them. */
  readonly sysctl: Readonly<Record<string, string>>;
}

/** Which network: this host's where neither is given. */
export interface HostSource {
  /** A network namespace by its name (`ip netns`). */
  readonly netns?: string;
  /** A folder that {@link saveHostNetwork} wrote, or that holds the output of the `ip` commands. */
  readonly dir?: string;
}

/** The network of a host could not be read. */
export class HostNetworkError extends Error {
  override readonly name = 'HostNetworkError';
}

const MAX_OUTPUT_BYTES = 1 << 30;
const LISTS = ['link', 'addr', 'route', 'rule', 'neigh'] as const;

/** What `--from-host` may name: a folder, or a namespace; nothing is this host. */
export function hostSource(name?: string): HostSource {
  if (name === undefined || name === '') return {};
  const isFolder = name.includes('/') || (existsSync(name) && statSync(name).isDirectory());
  return isFolder ? { dir: name } : { netns: name };
}

/** Reads a network. @throws HostNetworkError */
export function readHostNetwork(source: HostSource = {}): HostDump {
  return source.dir === undefined ? readLive(source.netns) : readFolder(source.dir);
}

/** Writes a network into a folder, for {@link readHostNetwork} elsewhere. @throws HostNetworkError */
export function saveHostNetwork(dir: string, source: HostSource = {}): void {
  const dump = readHostNetwork(source);
  mkdirSync(dir, { recursive: true });
  for (const key of [...LISTS, 'sysctl'] as const)
    writeFileSync(join(dir, `${key}.json`), `${JSON.stringify(dump[key], null, 1)}\n`);
}

function run(command: string, args: readonly string[], mayFail = false): string {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: MAX_OUTPUT_BYTES });
  if (result.error !== undefined) throw new HostNetworkError(`${command}: ${result.error.message}`);
  if (result.status !== 0 && !mayFail)
    throw new HostNetworkError(`${command} ${args.join(' ')}: ${result.stderr.trim()}`);
  return result.stdout;
}

function readLive(netns: string | undefined): HostDump {
  const where = netns === undefined ? [] : ['-n', netns];
  const list = (...args: string[]): Json[] => {
    const stdout = run('ip', [...where, '-j', ...args]);
    return objects(`ip ${args.join(' ')}`, stdout.trim() === '' ? '[]' : stdout);
  };
  // Numbers instead of names: a host may have names of its own for its tables.
  const routes = list('-N', 'route', 'show', 'table', 'all');
  return {
    link: list('-d', 'link'),
    addr: list('addr'),
    route: routes.some((route) => 'metrics' in route) ? withLocks(routes, where) : routes,
    rule: withSplit(list('-N', 'rule'), routes, (address) => list('-N', 'route', 'get', 'fibmatch', address)),
    neigh: [...list('neigh', 'show', 'nud', 'all'), ...list('neigh', 'show', 'proxy')],
    sysctl: readSysctls(netns),
  };
}

/** Adds to each route which of its metrics are locked: one line a route, in the same order. */
function withLocks(routes: readonly Json[], where: readonly string[]): Json[] {
  const text = run('ip', [...where, '-o', '-N', 'route', 'show', 'table', 'all']);
  const lines = text.split('\n').filter((line) => line !== '');
  if (lines.length !== routes.length)
    throw new HostNetworkError('the routes changed while they were read: try again');
  return routes.map((route, i) => {
    const locks = [...lines[i]!.matchAll(/ (\w+) lock /g)].map((match) => match[1]!);
    return 'metrics' in route ? { ...route, locks } : route;
  });
}

/** A kernel whose rules were never touched answers out of one table for local and main: the table is not named then. */
function withSplit(
  rules: readonly Json[],
  routes: readonly Json[],
  get: (address: string) => readonly Json[],
): Json[] {
  const own = routes.find(
    (route) => route.table === '255' && route.type === '2' && /^[\d.]+$/.test(String(route.dst)),
  );
  if (own === undefined || rules.length === 0) return [...rules];
  const split = get(String(own.dst))[0]?.table === '255';
  return rules.map((rule, i) => (i === 0 && split ? { ...rule, split } : rule));
}

function readSysctls(netns: string | undefined): Record<string, string> {
  const folders = ['/proc/sys/net/core', '/proc/sys/net/ipv4', '/proc/sys/kernel/osrelease'];
  // Some of these files can only be written: grep skips what it cannot read, and then fails.
  const grep = ['-rsH', '', ...folders];
  const here = run('grep', grep, true);
  // A namespace sees only what is its own; the rest is the host's.
  const there = netns === undefined ? '' : run('ip', ['netns', 'exec', netns, 'grep', ...grep], true);
  const sysctls: Record<string, string> = {};
  for (const line of here.split('\n')) if (netns === undefined || isHostWide(line)) keep(sysctls, line);
  for (const line of there.split('\n')) keep(sysctls, line);
  return sysctls;
}

function isHostWide(line: string): boolean {
  return line.startsWith('/proc/sys/net/core/') || line.startsWith('/proc/sys/kernel/');
}

function keep(sysctls: Record<string, string>, line: string): void {
  const match = /^\/proc\/sys\/([^:]+):(.*)$/.exec(line);
  // A dot in a device's name is a slash in a sysctl's.
  if (match !== null) sysctls[match[1]!.replace(/[./]/g, (c) => (c === '/' ? '.' : '/'))] = match[2]!;
}

function readFolder(dir: string): HostDump {
  const list = (key: (typeof LISTS)[number]): Json[] => {
    const text = readText(dir, key);
    return text === null ? [] : objects(join(dir, `${key}.json`), text);
  };
  for (const key of ['link', 'addr'])
    if (!existsSync(join(dir, `${key}.json`)))
      throw new HostNetworkError(
        `${join(dir, `${key}.json`)} is missing: it is what "ip -j -d ${key}" prints`,
      );
  const dump = {
    link: list('link'),
    addr: list('addr'),
    route: list('route'),
    rule: list('rule'),
    neigh: list('neigh'),
  };
  const text = readText(dir, 'sysctl');
  const sysctl: Record<string, string> = {};
  const values = text === null ? {} : parse(join(dir, 'sysctl.json'), text);
  if (typeof values !== 'object' || values === null)
    throw new HostNetworkError(`${join(dir, 'sysctl.json')} is no JSON object`);
  for (const [key, value] of Object.entries(values)) sysctl[key] = String(value);
  return { ...dump, sysctl };
}

function readText(dir: string, key: string): string | null {
  const path = join(dir, `${key}.json`);
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}

function parse(where: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new HostNetworkError(`${where}: ${error instanceof Error ? error.message : error}`);
  }
}

/** A JSON list of objects; `ip` leaves empty ones where it filtered. */
function objects(where: string, text: string): Json[] {
  const value = parse(where, text);
  if (!Array.isArray(value)) throw new HostNetworkError(`${where} is no JSON list`);
  return value.filter(
    (item): item is Json => typeof item === 'object' && item !== null && Object.keys(item).length > 0,
  );
}
