/** The sysctls that the send path knows, by their names, with the kernel's defaults, units and ranges (catalogue section L). */
import { EINVAL, ENOENT } from '../uapi/errno.js';
import type { KernelProfile } from './profile.js';

/** `net.ipv4.*`; field names are the sysctl's in camelCase. Times are in the sysctl's own unit, named in the field's comment. */
export class Ipv4Sysctl {
  ipDefaultTtl = 64;
  ipNoPmtuDisc = 0;
  ipNonlocalBind = 0;
  ipForward = 0;
  ipForwardUsePmtu = 0;
  ipForwardUpdatePriority = 1;
  ipUnprivilegedPortStart = 1024;
  ipDynaddr = 0;
  fwmarkReflect = 0;
  fibMultipathHashPolicy = 0;
  fibMultipathHashFields = 7;
  fibMultipathUseNeigh = 0;
  udpRmemMin = 4096;
  udpWmemMin = 4096;
  udpL3mdevAccept = 0;
  udpEarlyDemux = 1;
  ipEarlyDemux = 1;
  igmpMaxMemberships = 20;
  igmpMaxMsf = 10;
  igmpQrv = 2;
  igmpLinkLocalMcastReports = 1;
  /** ms */
  icmpRatelimit = 1000;
  icmpRatemask = 6168;
  icmpMsgsPerSec = 1000;
  icmpMsgsBurst = 50;
  icmpErrorsUseInboundIfaddr = 0;
  icmpIgnoreBogusErrorResponses = 1;
  icmpEchoIgnoreAll = 0;
  icmpEchoIgnoreBroadcasts = 1;
  /** bytes */
  ipfragHighThresh = 4194304;
  ipfragLowThresh = 3145728;
  /** s */
  ipfragTime = 30;
  ipfragMaxDist = 64;
}

/** `net.ipv4.route.*` */
export class RouteSysctl {
  minPmtu = 552;
  /** s */
  mtuExpires = 600;
  minAdvMss = 256;
  /** s */
  gcTimeout = 300;
}

/** `net.ipv4.conf.{all,default,DEV}.*` */
export class Ipv4Devconf {
  forwarding = 0;
  acceptRedirects = 1;
  secureRedirects = 1;
  sharedMedia = 1;
  sendRedirects = 1;
  acceptSourceRoute = 1;
  acceptLocal = 0;
  srcValidMark = 0;
  rpFilter = 0;
  routeLocalnet = 0;
  ignoreRoutesWithLinkdown = 0;
  arpAnnounce = 0;
  arpIgnore = 0;
  arpFilter = 0;
  arpAccept = 0;
  arpNotify = 0;
  arpEvictNocarrier = 1;
  dropGratuitousArp = 0;
  dropUnicastInL2Multicast = 0;
  proxyArp = 0;
  proxyArpPvlan = 0;
  promoteSecondaries = 0;
  forceIgmpVersion = 0;
  /** ms */
  igmpv2UnsolicitedReportInterval = 10000;
  /** ms */
  igmpv3UnsolicitedReportInterval = 1000;
  logMartians = 0;
  mediumId = 0;
  tag = 0;
  disablePolicy = 0;
  disableXfrm = 0;
  bootpRelay = 0;
  mcForwarding = 0;
}

/** `net.ipv4.neigh.{default,DEV}.*` */
export class NeighParms {
  mcastSolicit = 3;
  ucastSolicit = 3;
  appSolicit = 0;
  mcastResolicit = 0;
  /** ms */
  retransTimeMs = 1000;
  /** ms */
  baseReachableTimeMs = 30000;
  /** s */
  delayFirstProbeTime = 5;
  /** s */
  gcStaleTime = 60;
  /** jiffies of 10 ms */
  locktime = 100;
  /** bytes of truesize */
  unresQlenBytes = 212992;
  /** jiffies of 10 ms */
  proxyDelay = 80;
  proxyQlen = 64;
  anycastDelay = 100;
  intervalProbeTimeMs = 5000;
}

/** `net.ipv4.neigh.default.gc_*` */
export class NeighTableSysctl {
  gcThresh1 = 128;
  gcThresh2 = 512;
  gcThresh3 = 1024;
  gcInterval = 30;
}

/** `net.core.*`, bytes */
export class CoreSysctl {
  wmemDefault = 212992;
  rmemDefault = 212992;
  wmemMax: number;
  rmemMax: number;
  optmemMax: number;
  constructor(profile: KernelProfile) {
    this.wmemMax = profile.wmemMax;
    this.rmemMax = profile.rmemMax;
    this.optmemMax = profile.optmemMax;
  }
}

type Values = Record<string, number>;

/** Allowed ranges that are not `0..2^31-1`. A value outside is EINVAL, as in the kernel. */
const RANGES: Readonly<Record<string, readonly [min: number, max: number]>> = {
  ipDefaultTtl: [1, 255],
  ipNoPmtuDisc: [0, 255],
  ipNonlocalBind: [0, 255],
  ipForwardUsePmtu: [0, 255],
  fwmarkReflect: [0, 255],
  ipUnprivilegedPortStart: [0, 65535],
  fibMultipathHashPolicy: [0, 3],
  fibMultipathHashFields: [1, 0xfff],
  fibMultipathUseNeigh: [0, 1],
  udpL3mdevAccept: [0, 1],
  udpRmemMin: [1, 0x7fffffff],
  udpWmemMin: [1, 0x7fffffff],
  igmpQrv: [1, 0x7fffffff],
  igmpLinkLocalMcastReports: [0, 255],
  icmpMsgsPerSec: [0, 0x7fffffff],
  icmpMsgsBurst: [0, 0x7fffffff],
  wmemDefault: [4608, 0x7fffffff],
  rmemDefault: [2304, 0x7fffffff],
  wmemMax: [4608, 0x7fffffff],
  rmemMax: [2304, 0x7fffffff],
};

function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());
}

/** The sysctl tree of one Net. Rooms read the typed fields; users read and write by name. */
export class Sysctl {
  readonly ipv4 = new Ipv4Sysctl();
  readonly route = new RouteSysctl();
  readonly confAll = new Ipv4Devconf();
  readonly confDefault = new Ipv4Devconf();
  readonly neighDefault = new NeighParms();
  readonly neighTable = new NeighTableSysctl();
  readonly core: CoreSysctl;
  /** `net.ipv4.ip_local_port_range`: lowest and highest. */
  localPortRange: [lo: number, hi: number] = [32768, 60999];
  /** `net.ipv4.ip_local_reserved_ports` */
  readonly localReservedPorts = new Set<number>();
  /** `net.ipv4.ping_group_range` */
  pingGroupRange: [lo: number, hi: number] = [1, 0];
  readonly #conf = new Map<string, Ipv4Devconf>();
  readonly #neigh = new Map<string, NeighParms>();
  readonly #listeners: ((name: string) => void)[] = [];
  /** Keys of a device that were written: `default` no longer reaches them (`cnf.state`). */
  readonly #written = new WeakMap<object, Set<string>>();
  /** Devices that `default` does not reach at all any more: they have had an address. */
  readonly #settled = new WeakSet<object>();

  constructor(profile: KernelProfile) {
    this.core = new CoreSysctl(profile);
    // The one key whose `all` differs from `default`: both must allow it.
    this.confAll.acceptSourceRoute = 0;
    this.#conf.set('all', this.confAll);
    this.#conf.set('default', this.confDefault);
    this.#neigh.set('default', this.neighDefault);
  }

  /** Makes the per-device keys of a new device, as copies of `default`. */
  addDevice(name: string): { conf: Ipv4Devconf; neigh: NeighParms } {
    const conf = Object.assign(new Ipv4Devconf(), this.confDefault);
    const neigh = Object.assign(new NeighParms(), this.neighDefault);
    this.#conf.set(name, conf);
    this.#neigh.set(name, neigh);
    return { conf, neigh };
  }
  removeDevice(name: string): void {
    this.#conf.delete(name);
    this.#neigh.delete(name);
  }
  renameDevice(from: string, to: string): void {
    const conf = this.#conf.get(from);
    const neigh = this.#neigh.get(from);
    if (conf === undefined || neigh === undefined) return;
    this.removeDevice(from);
    this.#conf.set(to, conf);
    this.#neigh.set(to, neigh);
  }

  /** From now on `default` is nothing to a device (`ipv4_devconf_setall`): its first address says that it is in use. */
  settleDevice(conf: Ipv4Devconf, neigh: NeighParms): void {
    this.#settled.add(conf);
    this.#settled.add(neigh);
  }

  /** Called with the full name after each successful write. */
  onChange(listener: (name: string) => void): void {
    this.#listeners.push(listener);
  }

  /** Writes one key; 0, -ENOENT for an unknown name, -EINVAL for a bad value. */
  set(name: string, value: string | number): number {
    const dotted = normalize(name);
    const text = String(value).trim();
    const error = this.#setSpecial(dotted, text) ?? this.#setNumber(dotted, text);
    if (error === 0) for (const listener of this.#listeners) listener(dotted);
    return error;
  }

  /** Reads one key as text; null for an unknown name. */
  get(name: string): string | null {
    const dotted = normalize(name);
    if (dotted === 'net.ipv4.ip_local_port_range') return this.localPortRange.join('\t');
    if (dotted === 'net.ipv4.ping_group_range') return this.pingGroupRange.join('\t');
    if (dotted === 'net.ipv4.ip_local_reserved_ports')
      return [...this.localReservedPorts].sort((a, b) => a - b).join(',');
    const at = this.#find(dotted);
    return at === null ? null : String(at.object[at.key]);
  }

  #find(dotted: string): { object: Values; key: string } | null {
    const match = /^net\.(core|ipv4(?:\.route|\.conf\.(.+)|\.neigh\.(.+))?)\.([a-z0-9_]+)$/.exec(dotted);
    if (match === null) return null;
    const key = camel(match[4]!);
    let object: object | undefined;
    if (match[1] === 'core') object = this.core;
    else if (match[1] === 'ipv4.route') object = this.route;
    else if (match[2] !== undefined) object = this.#conf.get(match[2]);
    else if (match[3] !== undefined) {
      object = match[3] === 'default' && key in this.neighTable ? this.neighTable : this.#neigh.get(match[3]);
    } else object = this.ipv4;
    if (object === undefined || !Object.hasOwn(object, key)) return null;
    return { object: object as Values, key };
  }

  #setNumber(dotted: string, text: string): number {
    const at = this.#find(dotted);
    if (at === null) return -ENOENT;
    if (!/^-?\d+$/.test(text)) return -EINVAL;
    const value = Number(text);
    const perDevice = dotted.startsWith('net.ipv4.conf.');
    const [min, max] = RANGES[at.key] ?? [perDevice ? -0x80000000 : 0, 0x7fffffff];
    if (value < min || value > max) return -EINVAL;
    at.object[at.key] = value;
    if (dotted === 'net.ipv4.ip_forward' || dotted === 'net.ipv4.conf.all.forwarding') {
      this.ipv4.ipForward = value;
      for (const conf of this.#conf.values()) conf.forwarding = value;
    } else if (at.key !== 'forwarding') this.#propagate(at.object, at.key, value);
    return 0;
  }

  /** What is written to `default` reaches the devices that have no value of their own (`devinet_copy_dflt_conf`). */
  #propagate(object: Values, key: string, value: number): void {
    const isDefault = (object as object) === this.confDefault || (object as object) === this.neighDefault;
    if (!isDefault) {
      const written = this.#written.get(object);
      if (written === undefined) this.#written.set(object, new Set([key]));
      else written.add(key);
      return;
    }
    const devices: Iterable<object> =
      (object as object) === this.confDefault ? this.#conf.values() : this.#neigh.values();
    for (const device of devices) {
      if (device === object || device === this.confAll || this.#settled.has(device)) continue;
      if (this.#written.get(device)?.has(key) !== true) (device as Values)[key] = value;
    }
  }

  #setSpecial(dotted: string, text: string): number | null {
    if (dotted === 'net.ipv4.ip_local_port_range' || dotted === 'net.ipv4.ping_group_range') {
      const match = /^(\d+)\s+(\d+)$/.exec(text);
      if (match === null) return -EINVAL;
      const range: [number, number] = [Number(match[1]), Number(match[2])];
      if (dotted === 'net.ipv4.ping_group_range') {
        this.pingGroupRange = range;
        return 0;
      }
      if (range[0] < 1 || range[1] > 65535 || range[0] > range[1]) return -EINVAL;
      if (range[0] < this.ipv4.ipUnprivilegedPortStart) return -EINVAL;
      this.localPortRange = range;
      return 0;
    }
    if (dotted !== 'net.ipv4.ip_local_reserved_ports') return null;
    const ports: number[] = [];
    for (const part of text === '' ? [] : text.split(',')) {
      const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
      if (match === null) return -EINVAL;
      const lo = Number(match[1]);
      const hi = Number(match[2] ?? match[1]);
      if (hi > 65535 || lo > hi) return -EINVAL;
      for (let port = lo; port <= hi; port++) ports.push(port);
    }
    this.localReservedPorts.clear();
    for (const port of ports) this.localReservedPorts.add(port);
    return 0;
  }
}

/** Accepts both `net.ipv4.conf.tap0.forwarding` and the slashed form; `/` in a dotted name stands for a dot of a device's name. */
function normalize(name: string): string {
  const path = name.replace(/^\/?proc\/sys\//, '');
  return path.includes('/')
    ? path.replaceAll('.', '\u0000').replaceAll('/', '.').replaceAll('\u0000', '.')
    : path;
}
