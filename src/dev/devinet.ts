/** Addresses of devices (`net/ipv4/devinet.c`): adding, removing, dumping. Choosing among them is in `inet_select.ts`. */
import { Timer } from '../core/timers.js';
import { EADDRNOTAVAIL, EEXIST, EINVAL, ENOBUFS, ENODEV } from '../uapi/errno.js';
import { IFNAMSIZ } from '../uapi/if.js';
import { inetMakeMask } from '../uapi/in.js';
import {
  type AddrMessage,
  IFA_F_DEPRECATED,
  IFA_F_PERMANENT,
  IFA_F_SECONDARY,
  NETLINK_OK,
  type NetlinkResult,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  RT_SCOPE_HOST,
} from '../uapi/rtnetlink.js';
import { inDevPromoteSecondaries } from './devconf.js';
import {
  ageSeconds,
  INFINITY_LIFE_TIME,
  MS_PER_SECOND,
  remainingLifetime,
  setIfaLifetime,
} from './ifa_lifetime.js';
import { InDevice, type InIfaddr } from './in_device.js';
import type { NetDevice } from './net_device.js';
import type { DevNet, NetdevEvent } from './netns.js';

/** IFA_F_* that only IPv6 knows (`IPV6ONLY_FLAGS`). */
const IPV6ONLY_FLAGS = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x100 | 0x800;
/** The smallest MTU that IPv4 works with. */
const IPV4_MIN_MTU = 68;

/** An address lies in the subnet of another (`inet_ifa_match`). */
export function inetIfaMatch(addr: number, ifa: InIfaddr): boolean {
  return ((addr ^ ifa.address) & ifa.mask) === 0;
}

/** Makes a Net keep addresses: lo's 127.0.0.1/8, labels, and their end with their device (`devinet_init`). */
export function devinetInit(net: DevNet): void {
  net.onNetdev((event, dev) => inetdevEvent(net, event, dev));
}

/** IPv4 begins anew on a device, with the default settings (`inetdev_init`). */
function inetdevInit(net: DevNet, dev: NetDevice): void {
  net.sysctl.removeDevice(dev.name);
  const { conf, neigh } = net.sysctl.addDevice(dev.name);
  dev.ipPtr = new InDevice(dev, conf, neigh);
}

function inetdevEvent(net: DevNet, event: NetdevEvent, dev: NetDevice): void {
  const inDev = dev.ipPtr;
  if (inDev === null) {
    if (event === 'changeMtu' && dev.mtu >= IPV4_MIN_MTU) inetdevInit(net, dev);
    return;
  }
  if (event === 'up' && dev.isLoopback) {
    net.sysctl.settleDevice(inDev.cnf, inDev.arpParms);
    // Again and again: where lo has it already, nothing happens.
    inetInsertIfa(net, {
      inDev,
      local: 0x7f000001,
      address: 0x7f000001,
      mask: inetMakeMask(8),
      prefixLen: 8,
      broadcast: 0,
      scope: RT_SCOPE_HOST,
      flags: IFA_F_PERMANENT,
      label: dev.name,
      metric: 0,
      protocol: 1,
      validLft: INFINITY_LIFE_TIME,
      preferredLft: INFINITY_LIFE_TIME,
      tstamp: net.clock.now(),
    });
  } else if (event === 'unregister') {
    while (inDev.ifaList.length > 0) inetDelIfa(net, inDev, inDev.ifaList[0]!);
  } else if (event === 'changeMtu' && dev.mtu < IPV4_MIN_MTU) {
    // inetdev_destroy: so small a link has no IPv4.
    inDev.dead = true;
    while (inDev.ifaList.length > 0) inetDelIfa(net, inDev, inDev.ifaList[0]!);
    dev.ipPtr = null;
  } else if (event === 'changeName') {
    inetdevChangename(dev, inDev);
  }
}

/** Labels follow the device's new name; what stood behind a colon stays, an unnumbered one gets its number. */
function inetdevChangename(dev: NetDevice, inDev: InDevice): void {
  inDev.ifaList.forEach((ifa, index) => {
    const colon = ifa.label.indexOf(':');
    const suffix = colon >= 0 ? ifa.label.slice(colon) : `:${index + 1}`;
    if (index === 0) ifa.label = dev.name;
    else if (dev.name.length + suffix.length < IFNAMSIZ) ifa.label = dev.name + suffix;
    else ifa.label = dev.name.slice(0, IFNAMSIZ - 1 - suffix.length) + suffix;
  });
}

function hashInsert(net: DevNet, ifa: InIfaddr): void {
  const hash = net.inet.addrHash;
  const chain = hash.get(ifa.local);
  if (chain === undefined) hash.set(ifa.local, [ifa]);
  else chain.unshift(ifa);
}

function hashRemove(net: DevNet, ifa: InIfaddr): void {
  const hash = net.inet.addrHash;
  const chain = hash.get(ifa.local);
  if (chain === undefined) return;
  const at = chain.indexOf(ifa);
  if (at >= 0) chain.splice(at, 1);
  if (chain.length === 0) hash.delete(ifa.local);
}

/**
 * Puts an address into its device's list (`inet_insert_ifa`): a primary behind the primaries of no smaller scope, a secondary (one
 * whose subnet the device has already) at the end. An address 0.0.0.0 is accepted and forgotten.
 */
export function inetInsertIfa(net: DevNet, ifa: InIfaddr): NetlinkResult {
  const inDev = ifa.inDev;
  if (inDev.dead) return { error: -ENODEV };
  if (ifa.local === 0) return NETLINK_OK;
  ifa.flags &= ~(IFA_F_SECONDARY | IPV6ONLY_FLAGS);
  const list = inDev.ifaList;
  let behindPrimary = 0;
  for (let i = 0; i < list.length; i++) {
    const other = list[i]!;
    if ((other.flags & IFA_F_SECONDARY) === 0 && ifa.scope <= other.scope) behindPrimary = i + 1;
    if (other.mask === ifa.mask && inetIfaMatch(other.address, ifa)) {
      if (other.local === ifa.local) return { error: -EEXIST, extack: 'ipv4: Address already assigned' };
      if (other.scope !== ifa.scope) return { error: -EINVAL, extack: 'ipv4: Invalid scope value' };
      ifa.flags |= IFA_F_SECONDARY;
    }
  }
  list.splice((ifa.flags & IFA_F_SECONDARY) !== 0 ? list.length : behindPrimary, 0, ifa);
  hashInsert(net, ifa);
  net.notifyInetaddr('up', ifa);
  return NETLINK_OK;
}

/** Takes an address away; with a primary go its secondaries, or the first of them takes its place (`__inet_del_ifa`, FIB-8). */
export function inetDelIfa(net: DevNet, inDev: InDevice, ifa1: InIfaddr): void {
  const list = inDev.ifaList;
  let promote: InIfaddr | null = null;
  let lastPrimary = list[0]!;
  let beforePromoted: InIfaddr | null = null;
  const sameSubnet = (ifa: InIfaddr): boolean => ifa1.mask === ifa.mask && inetIfaMatch(ifa1.address, ifa);

  if (!inDev.dead && (ifa1.flags & IFA_F_SECONDARY) === 0) {
    for (let i = list.indexOf(ifa1) + 1; i < list.length; ) {
      const ifa = list[i]!;
      const secondary = (ifa.flags & IFA_F_SECONDARY) !== 0;
      if (!secondary && ifa1.scope <= ifa.scope) lastPrimary = ifa;
      if (!secondary || !sameSubnet(ifa)) {
        beforePromoted = ifa;
        i++;
        continue;
      }
      if (inDevPromoteSecondaries(net, inDev)) {
        promote = ifa;
        break;
      }
      list.splice(i, 1);
      hashRemove(net, ifa);
      net.notifyInetaddr('down', ifa);
    }
  }
  if (promote !== null) {
    // All of the subnet change their primary: their routes go while every address is still on the list.
    for (let i = list.indexOf(promote); i < list.length; i++)
      if (sameSubnet(list[i]!)) net.inet.fibDelIfaddr(list[i]!, ifa1);
  }
  list.splice(list.indexOf(ifa1), 1);
  hashRemove(net, ifa1);
  net.notifyInetaddr('down', ifa1);

  if (promote === null) return;
  const rest = list.slice(list.indexOf(promote) + 1);
  if (beforePromoted !== null) {
    list.splice(list.indexOf(promote), 1);
    list.splice(list.indexOf(lastPrimary) + 1, 0, promote);
  }
  promote.flags &= ~IFA_F_SECONDARY;
  net.notifyInetaddr('up', promote);
  for (const ifa of rest) if (sameSubnet(ifa)) net.inet.fibAddIfaddr(ifa);
}

/** Deprecates and removes what has come of age, and comes again when the next one does. */
function checkLifetime(net: DevNet): void {
  let next = Infinity;
  for (const dev of net.devices) {
    for (const ifa of [...(dev.ipPtr?.ifaList ?? [])]) {
      const inDev = ifa.inDev;
      // A secondary may have gone with its primary.
      if ((ifa.flags & IFA_F_PERMANENT) !== 0 || !inDev.ifaList.includes(ifa)) continue;
      const age = ageSeconds(net, ifa);
      if (age >= ifa.validLft) {
        inetDelIfa(net, inDev, ifa);
        continue;
      }
      const isOld = age >= ifa.preferredLft;
      if (isOld) ifa.flags |= IFA_F_DEPRECATED;
      next = Math.min(next, ifa.tstamp + (isOld ? ifa.validLft : ifa.preferredLft) * MS_PER_SECOND);
    }
  }
  if (next === Infinity) return;
  net.inet.lifetimeTimer ??= new Timer(() => checkLifetime(net));
  net.timers.mod(net.inet.lifetimeTimer, next);
}

/**
 * Adds or changes an address (`inet_rtm_newaddr`, R-3).
 * @param nlmFlags NLM_F_*; `ip addr add` sends CREATE and EXCL
 * @returns -EINVAL, -ENODEV, -EEXIST with the kernel's text
 */
export function inetRtmNewaddr(
  net: DevNet,
  msg: AddrMessage,
  nlmFlags = NLM_F_CREATE | NLM_F_EXCL,
): NetlinkResult {
  if (msg.prefixLen > 32) return { error: -EINVAL, extack: 'ipv4: Invalid prefix length' };
  if (msg.local === undefined) return { error: -EINVAL, extack: 'ipv4: Local address is not supplied' };
  const dev = net.devGetByIndex(msg.ifindex);
  if (dev === null) return { error: -ENODEV, extack: 'ipv4: Device not found' };
  const inDev = dev.ipPtr;
  if (inDev === null) return { error: -ENOBUFS };
  net.sysctl.settleDevice(inDev.cnf, inDev.arpParms);
  const validLft = msg.validLft ?? INFINITY_LIFE_TIME;
  const preferredLft = msg.preferredLft ?? INFINITY_LIFE_TIME;
  if (validLft === 0 || preferredLft > validLft)
    return { error: -EINVAL, extack: 'ipv4: address lifetime invalid' };
  const ifa: InIfaddr = {
    inDev,
    local: msg.local,
    address: msg.address ?? msg.local,
    mask: inetMakeMask(msg.prefixLen),
    prefixLen: msg.prefixLen,
    broadcast: msg.broadcast ?? 0,
    scope: msg.scope ?? 0,
    flags: msg.flags ?? 0,
    label: msg.label ?? dev.name,
    metric: msg.metric ?? 0,
    protocol: msg.proto ?? 0,
    validLft,
    preferredLft,
    tstamp: 0,
  };
  const existing = inDev.ifaList.find(
    (o) => o.mask === ifa.mask && inetIfaMatch(o.address, ifa) && o.local === ifa.local,
  );
  if (existing === undefined) {
    setIfaLifetime(net, ifa, validLft, preferredLft);
    const result = inetInsertIfa(net, ifa);
    checkLifetime(net);
    return result;
  }
  if ((nlmFlags & NLM_F_EXCL) !== 0 || (nlmFlags & NLM_F_REPLACE) === 0) {
    return { error: -EEXIST, extack: 'ipv4: Address already assigned' };
  }
  if (existing.metric !== ifa.metric) net.inet.fibModifyPrefixMetric(existing, ifa.metric);
  existing.metric = ifa.metric;
  existing.protocol = ifa.protocol;
  setIfaLifetime(net, existing, validLft, preferredLft);
  checkLifetime(net);
  return NETLINK_OK;
}

/** Removes the first address that matches what is given (`inet_rtm_deladdr`): -ENODEV, -EADDRNOTAVAIL. */
export function inetRtmDeladdr(net: DevNet, msg: AddrMessage): NetlinkResult {
  const inDev = net.devGetByIndex(msg.ifindex)?.ipPtr ?? null;
  if (inDev === null) return { error: -ENODEV, extack: 'ipv4: Device not found' };
  for (const ifa of inDev.ifaList) {
    if (msg.local !== undefined && ifa.local !== msg.local) continue;
    if (msg.label !== undefined && ifa.label !== msg.label) continue;
    if (msg.address !== undefined && (msg.prefixLen !== ifa.prefixLen || !inetIfaMatch(msg.address, ifa)))
      continue;
    inetDelIfa(net, inDev, ifa);
    return NETLINK_OK;
  }
  return { error: -EADDRNOTAVAIL, extack: 'ipv4: Address not found' };
}

/** Every address, by device and in the device's order (`inet_dump_ifaddr`). */
export function inetDumpIfaddr(net: DevNet): AddrMessage[] {
  const dump: AddrMessage[] = [];
  for (const dev of net.devices) {
    for (const ifa of dev.ipPtr?.ifaList ?? []) {
      dump.push({
        ifindex: dev.ifindex,
        prefixLen: ifa.prefixLen,
        local: ifa.local,
        ...(ifa.address === 0 ? {} : { address: ifa.address }),
        ...(ifa.broadcast === 0 ? {} : { broadcast: ifa.broadcast }),
        scope: ifa.scope,
        flags: ifa.flags,
        label: ifa.label,
        ...(ifa.metric === 0 ? {} : { metric: ifa.metric }),
        ...(ifa.protocol === 0 ? {} : { proto: ifa.protocol }),
        ...remainingLifetime(net, ifa),
      });
    }
  }
  return dump;
}
