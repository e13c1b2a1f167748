/** A host's network, built again in a Net, is the host's: the same lists, the same ways, the same frames. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/core/clock.js';
import { type Random, randomBelow, SeededRandom } from '../../src/core/random.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { nearestProfile } from '../../src/net/from_host.js';
import { HostNetworkError, hostSource, saveHostNetwork } from '../../src/net/host_dump.js';
import { IpCommandError, Net } from '../../src/net/net.js';
import { compareResults } from '../../src/scenario/compare.js';
import { HostMachine } from '../../src/scenario/host_machine.js';
import type { CallResult, Frame, Scenario } from '../../src/scenario/types.js';
import { IP_MTU_DISCOVER, IP_PMTUDISC_DO } from '../../src/uapi/in.js';
import { AF_INET, SOCK_DGRAM, SOL_IP } from '../../src/uapi/socket.js';
import { comparable, NO_HOST } from '../ipcmd/lab.js';
import { RandomCommands } from '../ipcmd/random_commands.js';

const FIXED_SEEDS = [1, 2, 3];
const NEW_SEED = Number(process.env.UDPTAP_SEED ?? Math.floor(Math.random() * 1e9));
const COMMANDS = 120;
const QUESTIONS = 300;
const SENDS = 25;
const LISTS = [
  '-j -4 route show table all',
  '-4 route show table all',
  '-j rule',
  '-j -4 addr',
  '-j -4 neigh',
  '-j neigh show proxy',
  '-j link',
];
const SYSCTLS = ['net.ipv4.ip_default_ttl', 'net.ipv4.conf.tap0.rp_filter', 'net.ipv4.conf.all.arp_announce'];

/** A namespace with two TAPs whose other ends are held here, and a name by which others find it. */
class Lab {
  static #count = 0;
  readonly machine = new HostMachine();
  readonly name = `udptap-${process.pid}-${Lab.#count++}`;

  constructor() {
    for (const name of ['tap0', 'tap1']) this.machine.addTap({ name });
    const { status, stderr } = spawnSync('ip', ['netns', 'attach', this.name, String(process.pid)], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    this.machine.ip('link set lo up');
  }

  ip(command: string): string {
    const { code, stdout, stderr } = this.machine.ip(command);
    return comparable(command, { code, stdout, stderr }).stdout;
  }

  net(): Net {
    return Net.fromHost({ netns: this.name, clock: new VirtualClock(), random: new SeededRandom(1) });
  }

  close(): void {
    spawnSync('ip', ['netns', 'delete', this.name]);
    this.machine.close();
  }
}

function ask(net: Net, command: string): string {
  try {
    return comparable(command, { code: 0, stdout: net.ip(command), stderr: '' }).stdout;
  } catch (error) {
    if (error instanceof IpCommandError) return '';
    throw error;
  }
}

function hasNexthops(net: Net, question: string): boolean {
  const fibmatch = question.endsWith(' fibmatch') ? question : `${question} fibmatch`;
  return ask(net, fibmatch).includes('nexthop');
}

/** A destination among the numbers that the random commands use, or anywhere. */
function destination(random: Random): string {
  const near = ['10.9.0', '10.9.1', '10.5.0', '10.66.0', '224.1.2', '127.0.0', '5.5.5', '8.8.8', '172.16.5'];
  const part = () => randomBelow(random, 256);
  if (randomBelow(random, 4) === 0) return `${part()}.${part()}.${part()}.${part()}`;
  return `${near[randomBelow(random, near.length)]}.${[1, 2, 5, 9, 255, part()][randomBelow(random, 6)]}`;
}

function question(random: Random): string {
  const way = destination(random);
  const how = [
    '',
    '',
    '',
    ' oif tap0',
    ' oif tap1',
    ' from 10.9.0.1',
    ' mark 5',
    ' tos 0x10',
    ' ipproto udp dport 53',
    ' fibmatch',
  ];
  return `route get ${way}${how[randomBelow(random, how.length)]}`;
}

describe.skipIf(NO_HOST !== null)(`a Net from a namespace${NO_HOST ?? ''}`, () => {
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const one of open.splice(0).reverse()) one.close();
  });
  function lab(): Lab {
    const made = new Lab();
    open.push(made);
    return made;
  }
  function net(of: Lab): Net {
    const made = of.net();
    open.push(made);
    return made;
  }

  for (const seed of [...FIXED_SEEDS, NEW_SEED]) {
    it(`is what random commands of seed ${seed} made`, { timeout: 120_000 }, () => {
      const random = new SeededRandom(seed);
      const host = lab();
      const commands = new RandomCommands(random);
      const lines = Array.from({ length: COMMANDS }, () => commands.next());
      spawnSync('ip', ['-force', '-batch', '-'], { input: `${lines.join('\n')}\n` });
      host.machine.sysctl({ [SYSCTLS[0]!]: 33, [SYSCTLS[1]!]: 2, [SYSCTLS[2]!]: 1 });
      const ours = net(host);
      const context = `${host.ip('rule')} seed ${seed}, after\n${lines.join('\n')}\nnotes: ${ours.fromHostNotes.join('\n')}\n`;
      for (const list of LISTS) expect(ask(ours, list), context + list).toBe(host.ip(list));
      expect(SYSCTLS.map((name) => ours.sysctl.get(name))).toEqual(['33', '2', '1']);

      const questions = Array.from({ length: QUESTIONS }, () => question(random));
      for (const one of questions) {
        // Which of several nexthops is the hash's to say, and its seed is each machine's own.
        if (!hasNexthops(ours, one)) expect(ask(ours, one), context + one).toBe(host.ip(one));
      }
      sameFrames(host, ours, random, context);
    });
  }

  /** The same datagrams to the same places. */
  function sameFrames(host: Lab, ours: Net, random: Random, context: string): void {
    host.machine.drain();
    const devices = ours.devices.filter((dev) => dev instanceof MemoryDevice);
    const drain = (): Frame[] =>
      devices.flatMap((dev) =>
        dev.drain().map(({ dev: name, bytes }) => ({ dev: name, hex: Buffer.from(bytes).toString('hex') })),
      );
    const scenario: Scenario = { calls: [] };
    const results: { ours: CallResult[]; host: CallResult[] } = { ours: [], host: [] };
    for (let sent = 0; sent < SENDS; sent++) {
      const i = scenario.calls.length;
      const to = destination(random);
      if (hasNexthops(ours, `route get ${to}`)) continue;
      (scenario.calls as unknown[]).push({ call: 'sendto', data: 'aa', addr: `${to}:9` });
      const name = Uint8Array.of(2, 0, 0, 9, ...to.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0);
      const port = Uint8Array.of(2, 0, 0x12, 0x34, ...new Uint8Array(12));
      for (const side of ['ours', 'host'] as const) {
        const calls = side === 'ours' ? ours.syscalls : host.machine.calls;
        const fd = calls.socket(AF_INET, SOCK_DGRAM, 0);
        calls.bind(fd, port, 16);
        // No identification that a generator draws.
        calls.setsockopt(fd, SOL_IP, IP_MTU_DISCOVER, Uint8Array.of(IP_PMTUDISC_DO, 0, 0, 0), 4);
        const ret = calls.sendto(fd, Uint8Array.of(0xaa), 1, 0, name, 16);
        calls.close(fd);
        const frames = side === 'ours' ? drain() : host.machine.drain();
        results[side].push({
          i,
          call: 'sendto',
          ret: Math.max(ret, -1),
          errno: Math.max(-ret, 0),
          err: null,
          frames,
        });
      }
    }
    const run = (calls: CallResult[]) => ({ name: null, setup_frames: [], calls, late_frames: [] });
    const differences = compareResults(scenario, run(results.ours), run(results.host));
    expect(differences, context + JSON.stringify(scenario.calls)).toEqual([]);
  }

  it('has locked metrics, several nexthops, on-link gateways, and addresses as they are', () => {
    const host = lab();
    const lines = [
      'link set tap0 up mtu 1400',
      'link set tap1 up alias second',
      'addr add 10.9.0.2/24 brd + dev tap0',
      'addr add 10.9.0.3/24 dev tap0 label tap0:x',
      'addr add 10.7.0.1 peer 10.7.0.2/32 dev tap1 metric 77',
      'addr add 10.8.0.1/24 dev tap1 noprefixroute',
      'route add 1.0.0.0/8 nexthop via 10.9.0.1 weight 3 nexthop via 10.7.0.2 weight 2',
      'route add 6.0.0.0/8 dev tap0 mtu lock 1300 hoplimit 9 src 10.9.0.2 table 77 proto static tos 0x10',
      'route add 8.0.0.0/8 via 1.2.3.9 dev tap0 onlink',
      'route add 9.0.0.0/8 via 10.9.0.7',
      'route append 9.0.0.0/8 via 10.9.0.8',
      'route del 10.9.0.0/24 dev tap0',
      'rule add not from 10.9.0.0/24 fwmark 0x10/0xff ipproto udp dport 100-200 uidrange 5-9 iif lo lookup 77 suppress_prefixlength 3',
      'rule add goto 32766 pref 50',
      'rule del pref 32767',
      'neigh add 10.9.0.1 lladdr 02:00:00:00:00:01 dev tap0 nud permanent',
      'neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev tap0 nud stale',
      'neigh add proxy 10.9.0.77 dev tap0',
    ];
    host.machine.ipBatch(lines);
    const ours = net(host);
    for (const list of LISTS) expect(ask(ours, list), list).toBe(host.ip(list));
    expect(ours.fromHostNotes).toEqual([]);
  });

  it('says what it cannot represent', () => {
    const host = lab();
    host.machine.ipBatch([
      'link set tap0 up',
      'addr add 10.9.0.2/24 dev tap0',
      'route add 12.0.0.0/8 encap ip id 1 dst 1.2.3.4 dev tap0',
      'nexthop add id 5 via 10.9.0.1 dev tap0',
      'route add 11.0.0.0/8 nhid 5',
    ]);
    const ours = net(host);
    const notes = ours.fromHostNotes.join('\n');
    expect(notes).toContain('encap ip');
    expect(notes).toContain('nexthop object 5');
    // The object's nexthop is there all the same.
    expect(ask(ours, 'route get 11.1.1.1')).toBe(host.ip('route get 11.1.1.1'));
    expect(ask(ours, 'route show 12.0.0.0/8')).toBe('');
  });

  it('is kept in files, and comes back from them', () => {
    const host = lab();
    host.machine.ipBatch([
      'link set tap0 up',
      'addr add 10.9.0.2/24 dev tap0',
      'route add default via 10.9.0.1 mtu lock 1000',
    ]);
    const folder = mkdtempSync(join(tmpdir(), 'from-host-'));
    open.push({ close: () => rmSync(folder, { recursive: true }) });
    saveHostNetwork(folder, { netns: host.name });
    const back = Net.fromHost({ dir: folder });
    open.push(back);
    for (const list of LISTS) expect(ask(back, list), list).toBe(host.ip(list));
    // A list that `ip` itself printed does not tell which metrics are locked.
    const routes = JSON.parse(readFileSync(join(folder, 'route.json'), 'utf8')) as { locks?: unknown }[];
    for (const route of routes) delete route.locks;
    writeFileSync(join(folder, 'route.json'), JSON.stringify(routes));
    const unlocked = Net.fromHost({ dir: folder });
    open.push(unlocked);
    expect(unlocked.fromHostNotes.join()).toContain('locked');
  });
});

describe('a Net from files', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'from-host-'));
  });
  const write = (key: string, value: unknown) =>
    writeFileSync(join(folder, `${key}.json`), typeof value === 'string' ? value : JSON.stringify(value));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('has VRFs with their slaves and their rule', () => {
    const flags = ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'];
    write('link', [
      { ifindex: 1, ifname: 'lo', flags: ['LOOPBACK', 'UP', 'LOWER_UP'], mtu: 65536, link_type: 'loopback' },
      {
        ifindex: 5,
        ifname: 'red',
        flags: ['NOARP', 'MASTER', 'UP'],
        mtu: 65575,
        link_type: 'ether',
        address: '02:00:00:00:00:05',
        linkinfo: { info_kind: 'vrf', info_data: { table: 10 } },
      },
      {
        ifindex: 9,
        ifname: 'eth0',
        flags,
        mtu: 1500,
        master: 'red',
        link_type: 'ether',
        address: '02:00:00:00:00:09',
      },
      { ifindex: 12, ifname: 'ppp0', flags: ['POINTOPOINT', 'UP'], mtu: 1400, link_type: 'ppp' },
    ]);
    write('addr', [
      {
        ifname: 'eth0',
        addr_info: [
          { family: 'inet', local: '10.1.0.2', prefixlen: 24, broadcast: '10.1.0.255', scope: 'global' },
          { family: 'inet6', local: 'fe80::1', prefixlen: 64 },
        ],
      },
      { ifname: 'ppp0', addr_info: [{ family: 'inet', local: '10.2.0.2', prefixlen: 32 }] },
    ]);
    write('route', [
      {
        dst: '10.1.0.0/24',
        dev: 'eth0',
        table: '10',
        protocol: 'kernel',
        scope: 'link',
        prefsrc: '10.1.0.2',
        flags: [],
      },
      {
        type: 'local',
        dst: '10.1.0.2',
        dev: 'eth0',
        table: '10',
        protocol: 'kernel',
        scope: 'host',
        prefsrc: '10.1.0.2',
        flags: [],
      },
    ]);
    write('rule', [
      { priority: 0, src: 'all', table: 'local' },
      { priority: 1000, src: 'all', l3mdev: null },
      { priority: 32766, src: 'all', table: 'main' },
    ]);
    write('sysctl', { 'kernel.osrelease': '6.18.3', 'net.ipv4.ip_default_ttl': '40' });
    const net = Net.fromHost({ dir: folder });
    expect(net.devGetByName('eth0')?.ifindex).toBe(9);
    expect(net.devGetByName('eth0')?.master?.name).toBe('red');
    expect(net.ip('rule')).toContain('1000:\tfrom all lookup [l3mdev-table]');
    expect(net.ip('route get 10.1.0.7 oif red')).toContain('10.1.0.7 dev eth0 table 10 src 10.1.0.2');
    expect(net.sysctl.get('net.ipv4.ip_default_ttl')).toBe('40');
    const notes = net.fromHostNotes.join('\n');
    expect(notes).toContain('link ppp0');
    expect(notes).toContain('addr 10.2.0.2/32 dev ppp0');
    expect(notes).toContain('fe80::1');
    net.close();
  });

  it('sends through a TUN without a link header', () => {
    write('link', [
      { ifindex: 1, ifname: 'lo', flags: ['LOOPBACK', 'UP', 'LOWER_UP'], mtu: 65536, link_type: 'loopback' },
      {
        ifindex: 2,
        ifname: 'wg0',
        flags: ['POINTOPOINT', 'NOARP', 'UP', 'LOWER_UP'],
        mtu: 1420,
        link_type: 'none',
        linkinfo: { info_kind: 'wireguard' },
      },
    ]);
    write('addr', [
      { ifname: 'wg0', addr_info: [{ family: 'inet', local: '10.3.0.2', prefixlen: 32, scope: 'global' }] },
    ]);
    write('route', [
      {
        type: 'local',
        dst: '10.3.0.2',
        dev: 'wg0',
        table: 'local',
        protocol: 'kernel',
        scope: 'host',
        prefsrc: '10.3.0.2',
        flags: [],
      },
      { dst: 'default', dev: 'wg0', scope: 'link', flags: [] },
    ]);
    write('rule', [
      { priority: 0, src: 'all', table: 'local' },
      { priority: 32766, src: 'all', table: 'main' },
    ]);
    const net = Net.fromHost({ dir: folder });
    net.socket(AF_INET, SOCK_DGRAM).sendto(Uint8Array.of(1), 0, { address: '8.8.8.8', port: 53 });
    const [frame] = (net.devGetByName('wg0') as MemoryDevice).drain();
    expect(frame?.bytes.length).toBe(29);
    expect(frame?.bytes[0]).toBe(0x45);
    net.close();
  });

  it('refuses what is no such list', () => {
    write('link', '{"a": 1}');
    write('addr', '[]');
    expect(() => Net.fromHost({ dir: folder })).toThrow(HostNetworkError);
    write('link', '[');
    expect(() => Net.fromHost({ dir: folder })).toThrow(/link\.json/);
    rmSync(join(folder, 'link.json'));
    expect(() => Net.fromHost({ dir: folder })).toThrow(/link\.json is missing/);
    expect(() => Net.fromHost({ netns: 'no-such-namespace' })).toThrow(HostNetworkError);
  });
});

describe('where a network comes from', () => {
  it('is a folder, a namespace, or this host', () => {
    expect(hostSource()).toEqual({});
    expect(hostSource('blue')).toEqual({ netns: 'blue' });
    expect(hostSource('./blue')).toEqual({ dir: './blue' });
    expect(hostSource(tmpdir())).toEqual({ dir: tmpdir() });
  });

  it('has the profile next to its release', () => {
    expect(['5.15.0', '6.1.0-13-amd64', '6.6.3', '6.12.1', '6.18.44-fc'].map(nearestProfile)).toEqual([
      '5.4',
      '6.1',
      '6.1',
      '6.18',
      '6.18',
    ]);
  });
});
