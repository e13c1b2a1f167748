/**
 * Builds a host's network in a Net, so that one can ask what the host would do. Devices keep their names, numbers and addresses and become
 * devices in memory; what the host's own commands made is made by the same commands. What this stack does not
 * have is said in the notes, and never left out in silence.
 */
import { release } from 'node:os';
import type { KernelProfile } from '../core/profile.js';
import { MemoryDevice } from '../dev/memory.js';
import type { NetDevice } from '../dev/net_device.js';
import { VrfDevice } from '../dev/vrf.js';
import { ipCommand } from '../ipcmd/ip.js';
import { groupA2n } from '../ipcmd/rt_names.js';
import { inetDumpFib, inetRtmDelroute } from '../route/fib_frontend.js';
import { fibNlDelrule, fibNlDumprule } from '../route/fib_rules.js';
import type { RouteNet } from '../route/netns.js';
import {
  ARPHRD_ETHER,
  ARPHRD_NONE,
  IFF_BROADCAST,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_POINTOPOINT,
  parseMac,
} from '../uapi/if.js';
import type { HostDump, Json } from './host_dump.js';
import {
  addressWords,
  type HostWords,
  isIpv6,
  list,
  names,
  neighbourWords,
  routeLosses,
  routeWords,
  ruleWords,
  text,
} from './host_words.js';

const LINK_TYPES: ReadonlyMap<string, number> = new Map([
  ['ether', ARPHRD_ETHER],
  ['none', ARPHRD_NONE],
]);
const FLAGS: ReadonlyMap<string, number> = new Map([
  ['BROADCAST', IFF_BROADCAST],
  ['MULTICAST', IFF_MULTICAST],
  ['NOARP', IFF_NOARP],
  ['POINTOPOINT', IFF_POINTOPOINT],
]);
const CHANGEABLE = IFF_BROADCAST | IFF_MULTICAST | IFF_NOARP | IFF_POINTOPOINT;
/** Sysctls that change others, or that others are checked against: they come first. */
const FIRST_SYSCTLS: readonly string[] = [
  'net.ipv4.ip_forward',
  'net.ipv4.conf.all.forwarding',
  'net.ipv4.ip_unprivileged_port_start',
];

/** The kernel profile that comes next to a release. */
export function nearestProfile(osrelease: string): KernelProfile['name'] {
  const [major = 0, minor = 0] = osrelease.split('.').map((part) => Number.parseInt(part, 10));
  if (major < 6) return '5.4';
  return major === 6 && minor < 7 ? '6.1' : '6.18';
}

/** The release of the host that a dump is from. */
export function hostRelease(dump: HostDump): string {
  return dump.sysctl['kernel.osrelease'] ?? release();
}

/**
 * Builds the network in an empty Net.
 * @returns what could not be represented, one sentence each
 */
export function buildHostNetwork(net: RouteNet, dump: HostDump): string[] {
  const builder = new Builder(net);
  const running = hostRelease(dump);
  if (!running.startsWith(`${net.profile.name}.`))
    builder.note(`kernel ${running}: the answers are those of ${net.profile.name}`);
  builder.devices(dump);
  builder.sysctls(dump.sysctl);
  builder.addresses(dump);
  builder.bringUp(dump);
  builder.rules(dump.rule);
  builder.routes(dump.route);
  builder.neighbours(dump.neigh);
  builder.takeDown();
  return builder.notes;
}

/** A route's name for notes, and the command that makes it. */
interface HostRoute {
  readonly what: string;
  readonly words: readonly string[];
}

class Builder {
  readonly notes: string[] = [];
  readonly #net: RouteNet;
  readonly #skipped = new Set<string>();
  /** Devices that are up for as long as their dead routes are made. */
  readonly #lent = new Set<NetDevice>();

  constructor(net: RouteNet) {
    this.#net = net;
  }

  note(sentence: string): void {
    this.notes.push(sentence);
  }

  /** Runs a command. @returns why it was refused, or null */
  #ip(words: readonly string[]): string | null {
    const { code, stderr } = ipCommand(this.#net, words);
    return code === 0 ? null : stderr.trim().replace(/\s+/g, ' ');
  }
  #made(what: string, words: readonly string[]): void {
    const refused = this.#ip(words);
    if (refused !== null) this.note(`${what}: ${refused}`);
  }

  devices({ link }: HostDump): void {
    for (const json of link) this.#device(json);
    for (const json of link) {
      const [name, master] = [text(json, 'ifname'), text(json, 'master')];
      if (name === null || master === null) continue;
      const [dev, upper] = [this.#net.devGetByName(name), this.#net.devGetByName(master)];
      if (dev === null) continue;
      if (upper?.isL3Master === true) this.#net.devSetMaster(dev, upper);
      else this.note(`link ${name}: what it does as a part of ${master} is not represented`);
    }
  }

  #device(json: Json): void {
    const name = text(json, 'ifname') ?? '';
    const type = text(json, 'link_type') ?? '';
    const known = this.#net.devGetByName(name);
    const dev = known ?? this.#makeDevice(json, name, type);
    if (dev === null) {
      this.#skipped.add(name);
      this.note(`link ${name}: devices of type ${type} are not represented, nor what lies on them`);
      return;
    }
    dev.mtu = Number(text(json, 'mtu') ?? dev.mtu);
    if (typeof json.min_mtu === 'number') dev.minMtu = json.min_mtu;
    if (typeof json.max_mtu === 'number') dev.maxMtu = json.max_mtu;
    dev.txQueueLen = Number(text(json, 'txqlen') ?? dev.txQueueLen);
    dev.group = groupA2n(text(json, 'group') ?? 'default') ?? 0;
    dev.ifalias = text(json, 'ifalias') ?? '';
    if (known !== null) {
      known.flags = (known.flags & ~CHANGEABLE) | flagsOf(json);
      return;
    }
    dev.ifindex = Number(text(json, 'ifindex') ?? 0);
    const error = this.#net.registerNetdevice(dev);
    if (error < 0) {
      this.#skipped.add(name);
      this.note(`link ${name}: errno ${-error}`);
    }
  }

  #makeDevice(json: Json, name: string, type: string): NetDevice | null {
    const info = json.linkinfo as Json | undefined;
    const kind = info === undefined ? null : text(info, 'info_kind');
    const mac = parseMac(text(json, 'address') ?? '');
    if (kind === 'vrf') {
      const table = Number(text((info!.info_data ?? {}) as Json, 'table') ?? 0);
      if (table === 0) return null;
      const vrf = new VrfDevice(name, table);
      if (mac !== null) vrf.addr = mac;
      return vrf;
    }
    const arphrd = LINK_TYPES.get(type);
    if (arphrd === undefined) return null;
    const dev = new MemoryDevice({ name, ...(mac !== null && { mac }) });
    dev.kind = kind ?? '';
    dev.type = arphrd;
    if (arphrd === ARPHRD_NONE) {
      dev.hardHeaderLen = 0;
      dev.addr = new Uint8Array(0);
      dev.broadcast = new Uint8Array(0);
    }
    dev.flags = flagsOf(json);
    dev.noqueue = text(json, 'qdisc') === 'noqueue';
    return dev;
  }

  sysctls(sysctl: Readonly<Record<string, string>>): void {
    const known = Object.keys(sysctl).filter((name) => this.#net.sysctl.get(name) !== null);
    const first = FIRST_SYSCTLS.filter((name) => known.includes(name));
    for (const name of [...first, ...known.filter((name) => !first.includes(name))]) {
      const value = sysctl[name]!.trim();
      if (this.#net.sysctl.get(name) === value) continue;
      if (this.#net.sysctl.set(name, value) < 0) this.note(`sysctl ${name}=${value} is not understood`);
    }
  }

  addresses({ addr }: HostDump): void {
    for (const json of addr) {
      const dev = text(json, 'ifname') ?? '';
      for (const address of list(json, 'addr_info')) {
        const words = addressWords(address, dev);
        if (text(address, 'family') !== 'inet') this.note(`addr ${words[2]} dev ${dev}: no IPv6`);
        else if (this.#skipped.has(dev))
          this.note(`addr ${words[2]} dev ${dev}: the device is not represented`);
        else this.#made(`addr ${words[2]} dev ${dev}`, words);
      }
    }
  }

  /** Sets the devices up that the host has up, and those that a dead nexthop leads through. */
  bringUp({ link, addr, route }: HostDump): void {
    const dead = new Set(
      route
        .flatMap((json) => [json, ...list(json, 'nexthops')])
        .filter((hop) => names(hop, 'flags').includes('dead'))
        .map((hop) => text(hop, 'dev')),
    );
    for (const json of link) {
      const dev = this.#net.devGetByName(text(json, 'ifname') ?? '');
      if (dev === null) continue;
      const flags = names(json, 'flags');
      const isUp = flags.includes('UP');
      if (!isUp && !dead.has(dev.name)) continue;
      this.#made(`link ${dev.name}`, ['link', 'set', dev.name, 'up']);
      if (!isUp) this.#lent.add(dev);
      if (isUp && flags.includes('NO-CARRIER')) this.#net.setCarrier(dev, false);
      // A device whose carrier came since it was made is UP, not UNKNOWN.
      else if (text(json, 'operstate') === 'UP') dev.carrierChanges++;
    }
    const lo = addr.find((json) => text(json, 'ifname') === 'lo');
    // lo gives itself 127.0.0.1 when it comes up without an address.
    if (lo !== undefined && !list(lo, 'addr_info').some((address) => text(address, 'family') === 'inet'))
      this.#ip(['addr', 'flush', 'dev', 'lo']);
  }

  rules(rules: readonly Json[]): void {
    if (rules.length === 0) {
      this.note('no rules were given: those of a new network stay');
      return;
    }
    // A Net whose rules were never touched looks local and main up as one, as a host does.
    const asListed = JSON.stringify(rules);
    const ours = [
      ['-j', 'rule'],
      ['-N', '-j', 'rule'],
    ].map((words) => ipCommand(this.#net, words).stdout.trim());
    if (ours.some((listed) => listed !== '' && JSON.stringify(JSON.parse(listed)) === asListed)) return;
    for (const rule of fibNlDumprule(this.#net)) fibNlDelrule(this.#net, rule, 0);
    for (const rule of rules) {
      const made: HostWords = ruleWords(rule);
      const what = `rule ${text(rule, 'priority')}`;
      if ('missing' in made) this.note(`${what}: ${made.missing}`);
      else this.#made(what, made.words);
    }
  }

  /** All routes as the host lists them, also those that addresses and devices make by themselves: they may have been deleted or moved. */
  routes(routes: readonly Json[]): void {
    for (const route of inetDumpFib(this.#net)) inetRtmDelroute(this.#net, route, 0);
    // Of one prefix the order counts, between prefixes it does not: a gateway's own route may come later in the list.
    const groups = new Map<string, HostRoute[]>();
    let ipv6 = 0;
    for (const route of routes) {
      if (isIpv6(route)) {
        ipv6++;
        continue;
      }
      const made = routeWords(route);
      const what = `route ${text(route, 'dst')} table ${text(route, 'table') ?? 'main'}`;
      const devs = [route, ...list(route, 'nexthops')].map((hop) => text(hop, 'dev') ?? '');
      const missing = devs.find((dev) => this.#skipped.has(dev));
      if ('missing' in made) this.note(`${what}: ${made.missing}`);
      else if (missing !== undefined) this.note(`${what}: its device ${missing} is not represented`);
      else {
        for (const loss of routeLosses(route)) this.note(`${what}: ${loss}`);
        const key = ['table', 'dst', 'tos', 'metric'].map((part) => text(route, part)).join(' ');
        const group = groups.get(key);
        if (group === undefined) groups.set(key, [{ what, words: made.words }]);
        else group.push({ what, words: made.words });
      }
    }
    if (ipv6 > 0) this.note(`${ipv6} IPv6 routes: no IPv6`);
    this.#addRoutes([...groups.values()]);
  }

  /** Again and again while it helps: a gateway needs its route, a preferred source its address. */
  #addRoutes(groups: readonly HostRoute[][]): void {
    const all = groups.flat();
    let waiting = groups;
    for (let helped = true; helped && waiting.length > 0; ) {
      helped = false;
      for (const group of waiting) {
        while (group.length > 0 && this.#ip(group[0]!.words) === null) {
          group.shift();
          helped = true;
        }
      }
      waiting = waiting.filter((group) => group.length > 0);
    }
    for (const route of waiting.flat()) {
      const refused = this.#ip(route.words);
      if (refused !== null) this.#addUnreachable(route, refused, all);
    }
  }

  /**
   * A route that the host itself could no longer make is made as it once was: with a way to the gateway, with the preferred source as
   * an address, and before the gateway's address became one of the host's own.
   */
  #addUnreachable({ what, words }: HostRoute, refused: string, all: readonly HostRoute[]): void {
    const gateways = words.filter((_, i) => words[i - 1] === 'via');
    const own = all.filter((route) => route.words[2] === 'local' && gateways.includes(route.words[3]!));
    for (const route of own) this.#ip(['route', 'del', ...route.words.slice(2)]);
    const lends = words.flatMap((word, i) => {
      const next = words[i + 1]!;
      if (word === 'src') return [['local', next, 'dev', 'lo', 'table', 'local']];
      return word === 'via' && words[i + 2] === 'dev' ? [[next, 'dev', words[i + 3]!, 'scope', 'link']] : [];
    });
    const lent = lends.filter((way) => this.#ip(['route', 'add', ...way]) === null);
    const still = own.length + lent.length === 0 ? refused : this.#ip(words);
    for (const way of lent) this.#ip(['route', 'del', ...way]);
    for (const route of own) this.#ip(route.words);
    if (still !== null) this.note(`${what}: ${still}`);
  }

  neighbours(neighbours: readonly Json[]): void {
    let ipv6 = 0;
    for (const json of neighbours) {
      const dev = this.#net.devGetByName(text(json, 'dev') ?? '');
      const what = `neigh ${text(json, 'dst')} dev ${text(json, 'dev')}`;
      const state = names(json, 'state')[0] ?? '';
      if (isIpv6(json)) ipv6++;
      // Groups, broadcasts and devices without ARP have entries of their own making.
      else if (state === 'NOARP' && (dev === null || isSelfMade(json, dev))) continue;
      else if (dev === null && 'dev' in json) this.note(`${what}: the device is not represented`);
      else if (state === 'INCOMPLETE' || state === 'NONE') this.note(`${what}: its resolution starts anew`);
      else this.#made(what, neighbourWords(json));
    }
    if (ipv6 > 0) this.note(`${ipv6} IPv6 neighbours: no IPv6`);
  }

  takeDown(): void {
    for (const dev of this.#lent) this.#net.devClose(dev);
    this.#net.flush();
    for (const dev of this.#net.devices) if (dev instanceof MemoryDevice) dev.drain();
  }
}

function flagsOf(link: Json): number {
  return names(link, 'flags').reduce((flags, flag) => flags | (FLAGS.get(flag) ?? 0), 0);
}

/** An entry that sending would make as it is (`arp_constructor`). */
function isSelfMade(json: Json, dev: NetDevice): boolean {
  const mac = text(json, 'lladdr') ?? '';
  return (
    dev.isLoopback ||
    (dev.flags & IFF_NOARP) !== 0 ||
    mac === 'ff:ff:ff:ff:ff:ff' ||
    mac.startsWith('01:00:5e')
  );
}
