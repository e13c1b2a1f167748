/** How `ip link` and `ip addr` print a device (`print_linkinfo`, `print_link_stats`). */
import { NETIF_F_HW_CSUM, type NetDevice } from '../dev/net_device.js';
import {
  ARPHRD_ETHER,
  ARPHRD_LOOPBACK,
  ARPHRD_NONE,
  formatMac,
  IFF_ALLMULTI,
  IFF_BROADCAST,
  IFF_DYNAMIC,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_MASTER,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_NOTRAILERS,
  IFF_POINTOPOINT,
  IFF_PROMISC,
  IFF_RUNNING,
  IFF_SLAVE,
  IFF_UP,
} from '../uapi/if.js';
import { AF_PACKET, AF_UNSPEC } from '../uapi/socket.js';
import { groupN2a, tableN2a } from './rt_names.js';
import type { IpContext } from './utils.js';

const FLAG_NAMES: readonly (readonly [flag: number, name: string])[] = [
  [IFF_LOOPBACK, 'LOOPBACK'],
  [IFF_BROADCAST, 'BROADCAST'],
  [IFF_POINTOPOINT, 'POINTOPOINT'],
  [IFF_MULTICAST, 'MULTICAST'],
  [IFF_NOARP, 'NOARP'],
  [IFF_ALLMULTI, 'ALLMULTI'],
  [IFF_PROMISC, 'PROMISC'],
  [IFF_MASTER, 'MASTER'],
  [IFF_SLAVE, 'SLAVE'],
  [IFF_DYNAMIC, 'DYNAMIC'],
  [IFF_NOTRAILERS, 'NOTRAILERS'],
  [IFF_UP, 'UP'],
  [IFF_LOWER_UP, 'LOWER_UP'],
];

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [ARPHRD_ETHER, 'ether'],
  [ARPHRD_LOOPBACK, 'loopback'],
  [ARPHRD_NONE, 'none'],
]);

/** Which devices to list, and how. */
export interface LinkFilter {
  ifindex: number;
  up: boolean;
  group: number | null;
  /** Index of the master; 0: devices without one. */
  master: number | null;
  kind: string | null;
  /** Kind of the master. */
  slaveKind: string | null;
}

export const EVERY_LINK: Readonly<LinkFilter> = {
  ifindex: 0,
  up: false,
  group: null,
  master: null,
  kind: null,
  slaveKind: null,
};

/** What the kernel filters when it lists devices. */
export function linkInDump(filter: LinkFilter, dev: NetDevice): boolean {
  return (
    (filter.master === null || filter.master === (dev.master?.ifindex ?? 0)) &&
    (filter.kind === null || filter.kind === dev.kind) &&
    (filter.slaveKind === null ||
      filter.slaveKind === (dev.master === null ? null : `${dev.master.kind}_slave`))
  );
}

/** What `ip` filters itself: such a device still leaves an empty JSON object. */
export function linkIsShown(filter: LinkFilter, dev: NetDevice): boolean {
  return (
    (filter.ifindex === 0 || filter.ifindex === dev.ifindex) &&
    (!filter.up || dev.isUp) &&
    (filter.group === null || filter.group === dev.group)
  );
}

/** A device whose carrier never changed is UNKNOWN while it is up; a VRF says of itself that it is UP. */
function operState(dev: NetDevice): string {
  if (!dev.isUp) return 'DOWN';
  if (!dev.carrier) return 'DOWN';
  return dev.carrierChanges === 0 && !dev.isL3Master ? 'UNKNOWN' : 'UP';
}

function flagNames(dev: NetDevice): string[] {
  const flags = dev.visibleFlags;
  const names = FLAG_NAMES.filter(([flag]) => (flags & flag) !== 0).map(([, name]) => name);
  return (flags & IFF_UP) !== 0 && (flags & IFF_RUNNING) === 0 ? ['NO-CARRIER', ...names] : names;
}

function printFlags(context: IpContext, dev: NetDevice): void {
  const { out } = context;
  const names = flagNames(dev);
  out.any('flags', `<${names.join(',')}> `, names);
}

function qdisc(dev: NetDevice): string {
  if (dev.noqueue) return 'noqueue';
  return dev.qdiscAttached ? 'pfifo_fast' : 'noop';
}

function printAddresses(context: IpContext, dev: NetDevice): void {
  const { out, options } = context;
  const name = TYPE_NAMES.get(dev.type);
  const type = options.numeric || name === undefined ? `[${dev.type}]` : name;
  out.fp(out.lineBreak);
  out.any('link_type', `    link/${type} `, type);
  if (dev.addr.length === 0) return;
  const addr = formatMac(dev.addr);
  out.any('address', addr, addr);
  if ((dev.flags & IFF_POINTOPOINT) !== 0) out.json('link_pointtopoint', true);
  const broadcast = formatMac(dev.broadcast);
  out.any('broadcast', ` brd ${broadcast}`, broadcast);
}

function printDetails(context: IpContext, dev: NetDevice): void {
  const { out, options } = context;
  const promiscuity = (dev.flags & IFF_PROMISC) !== 0 ? 1 : 0;
  const allmulti = (dev.flags & IFF_ALLMULTI) !== 0 ? 1 : 0;
  out.any('promiscuity', ` promiscuity ${promiscuity} `, promiscuity);
  out.any('allmulti', ` allmulti ${allmulti} `, allmulti);
  out.any('min_mtu', `minmtu ${dev.minMtu} `, dev.minMtu);
  out.any('max_mtu', `maxmtu ${dev.maxMtu} `, dev.maxMtu);
  printKind(context, dev);
  out.any('num_tx_queues', 'numtxqueues 1 ', 1);
  out.any('num_rx_queues', 'numrxqueues 1 ', 1);
  out.any('gso_max_size', `gso_max_size ${dev.gsoMaxSize} `, dev.gsoMaxSize);
  out.any('gso_max_segs', `gso_max_segs ${dev.gsoMaxSegs} `, dev.gsoMaxSegs);
  if (options.details > 1) {
    const csum = (dev.features & NETIF_F_HW_CSUM) !== 0;
    out.any('tx_checksum', `tx_checksum ${csum ? 'on' : 'off'} `, csum);
  }
}

function printKind(context: IpContext, dev: NetDevice): void {
  const { out, options } = context;
  if (dev.kind === '' && dev.master === null) return;
  out.openObject('linkinfo');
  if (dev.kind !== '') {
    out.fp(out.lineBreak);
    out.any('info_kind', `    ${dev.kind} `, dev.kind);
    if (dev.isL3Master) {
      out.openObject('info_data');
      out.any('table', `table ${dev.l3mdevTable} `, dev.l3mdevTable);
      out.closeObject();
    } else if (dev.kind === 'tun') {
      out.openObject('info_data');
      out.any('type', 'type tap ', 'tap');
      out.any('pi', 'pi off ', false);
      out.closeObject();
    }
  }
  if (dev.master !== null) {
    const table = dev.master.l3mdevTable;
    out.fp(out.lineBreak);
    out.any('info_slave_kind', `    ${dev.master.kind}_slave `, dev.master.kind);
    out.openObject('info_slave_data');
    out.any('table', `table ${tableN2a(table, options.numeric)} `, table);
    out.closeObject();
  }
  out.closeObject();
}

/** One device, without its addresses. `forLink`: as `ip link` prints it. */
export function printLink(context: IpContext, dev: NetDevice, family: number, forLink: boolean): void {
  const { out, options } = context;
  if (options.brief) {
    printBrief(context, dev, forLink);
    return;
  }
  const name = dev.name;
  out.any('ifindex', `${dev.ifindex}: `, dev.ifindex);
  out.any('ifname', `${name}: `, name);
  printFlags(context, dev);
  out.any('mtu', `mtu ${dev.mtu} `, dev.mtu);
  out.any('qdisc', `qdisc ${qdisc(dev)} `, qdisc(dev));
  if (dev.master !== null) out.any('master', `master ${dev.master.name} `, dev.master.name);
  out.any('operstate', `state ${operState(dev)} `, operState(dev));
  if (forLink) out.any('linkmode', 'mode DEFAULT ', 'DEFAULT');
  const group = groupN2a(dev.group, options.numeric);
  out.any('group', `group ${group} `, group);
  if (dev.txQueueLen !== 0) out.any('txqlen', `qlen ${dev.txQueueLen}`, dev.txQueueLen);
  if (family === AF_UNSPEC || family === AF_PACKET || options.details > 0) printAddresses(context, dev);
  if (options.details > 0) printDetails(context, dev);
  if ((forLink || options.details > 0) && dev.ifalias !== '') {
    out.fp(out.lineBreak);
    out.any('ifalias', `    alias ${dev.ifalias}`, dev.ifalias);
  }
  if (forLink && options.stats > 0) {
    out.fp(out.lineBreak);
    printStats(context, dev);
  }
  out.fp('\n');
}

function printBrief(context: IpContext, dev: NetDevice, forLink: boolean): void {
  const { out } = context;
  out.any('ifname', `${dev.name.padEnd(16)} `, dev.name);
  out.any('operstate', `${operState(dev).padEnd(14)} `, operState(dev));
  if (!forLink) return;
  const addr = formatMac(dev.addr);
  out.any('address', `${addr} `, addr);
  printFlags(context, dev);
  out.fp('\n');
}

interface Counter {
  readonly heading: string;
  readonly key: string;
  readonly value: number;
}

/** Counters under their headings, each column as wide as it needs. */
function printCounters(context: IpContext, direction: 'rx' | 'tx', counters: readonly Counter[]): void {
  const { out } = context;
  const widths = counters.map(({ heading, value }) => Math.max(heading.length, String(value).length));
  out.fp(`    ${direction.toUpperCase()}:`);
  const headings = counters.map(({ heading }, i) => heading.padStart(widths[i]!));
  out.fp(` ${headings.join(' ').padEnd(56)}`);
  out.fp(`${out.lineBreak}        `);
  out.openObject(direction);
  counters.forEach(({ key, value }, i) => {
    out.any(key, `${String(value).padStart(widths[i]!)} `, value);
  });
  out.closeObject();
}

/** `ip -s` */
export function printStats(context: IpContext, dev: NetDevice): void {
  const { out } = context;
  const { stats } = dev;
  out.openObject('stats64');
  printCounters(context, 'rx', [
    { heading: ' bytes', key: 'bytes', value: stats.rxBytes },
    { heading: 'packets', key: 'packets', value: stats.rxPackets },
    { heading: 'errors', key: 'errors', value: 0 },
    { heading: 'dropped', key: 'dropped', value: stats.rxDropped },
    { heading: ' missed', key: 'over_errors', value: 0 },
    { heading: '  mcast', key: 'multicast', value: 0 },
  ]);
  out.fp(out.lineBreak);
  printCounters(context, 'tx', [
    { heading: ' bytes', key: 'bytes', value: stats.txBytes },
    { heading: 'packets', key: 'packets', value: stats.txPackets },
    { heading: 'errors', key: 'errors', value: stats.txErrors },
    { heading: 'dropped', key: 'dropped', value: stats.txDropped },
    { heading: 'carrier', key: 'carrier_errors', value: 0 },
    { heading: 'collsns', key: 'collisions', value: 0 },
  ]);
  out.closeObject();
}
