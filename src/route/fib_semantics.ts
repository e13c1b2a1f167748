/** What routes are made of, and which are refused (`net/ipv4/fib_semantics.c`, FIB-10): the errnos and texts are the kernel's. */
import { inetSelectAddr } from '../dev/inet_select.js';
import { EINVAL, ENETDOWN, ENODEV } from '../uapi/errno.js';
import {
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTAX_ADVMSS,
  RTAX_FEATURES,
  RTAX_HOPLIMIT,
  RTAX_MAX,
  RTAX_MTU,
  RTN_LOCAL,
  RTN_MAX,
  RTN_NAT,
  RTN_UNICAST,
  RTN_UNSPEC,
  RTNH_F_DEAD,
  RTNH_F_LINKDOWN,
  RTNH_F_OFFLOAD,
  RTNH_F_ONLINK,
  RTNH_F_PERVASIVE,
} from '../uapi/rtnetlink.js';
import { inetAddrTypeDevTable, inetAddrTypeTable } from './addr_type.js';
import { fibLookup } from './fib_lookup.js';
import {
  FIB_LOOKUP_IGNORE_LINKSTATE,
  FIB_METRICS_LENGTH,
  FIB_PROPS,
  type FibConfig,
  FibInfo,
  type FibMetrics,
  FibNh,
  FibResult,
} from './fib_types.js';
import { Flowi4 } from './flow.js';
import { fibRebalance } from './multipath.js';
import type { RouteNet } from './netns.js';

/** RTNH_F_* that say what a nexthop is just now, not what it was asked to be. */
const RTNH_COMPARE_MASK = RTNH_F_DEAD | RTNH_F_LINKDOWN | RTNH_F_OFFLOAD | 0x40;
const RTAX_FEATURE_MASK = 0x1f;

/** Why a route is refused. */
export interface FibError {
  readonly error: number;
  readonly extack?: string;
}

function inval(extack: string): FibError {
  return { error: -EINVAL, extack };
}

/** Metrics within their limits (`ip_metrics_convert`); null where none is given. */
function fibMetricsInit(given: ReadonlyMap<number, number> | null): FibMetrics | null | FibError {
  if (given === null || given.size === 0) return null;
  const metrics = new Uint32Array(FIB_METRICS_LENGTH);
  for (const [type, asked] of given) {
    let value = asked >>> 0;
    if (type === 0) continue;
    if (type > RTAX_MAX) return inval('Invalid metric type');
    if (type === RTAX_ADVMSS) value = Math.min(value, 65535 - 40);
    if (type === RTAX_MTU) value = Math.min(value, 65535 - 15);
    if (type === RTAX_HOPLIMIT) value = Math.min(value, 255);
    if (type === RTAX_FEATURES && (value & ~RTAX_FEATURE_MASK) !== 0) {
      return inval('Unknown flag set in feature mask in metrics attribute');
    }
    metrics[type] = value;
  }
  return metrics;
}

/** The nexthops as asked for (`fib_nh_init`, `fib_get_nhs`). */
function fibGetNhs(cfg: FibConfig): FibNh[] | FibError {
  if (cfg.mp === null) {
    const nh = new FibNh();
    nh.oif = cfg.oif;
    nh.gw = cfg.gw;
    nh.flags = cfg.flags;
    return [nh];
  }
  if (cfg.mp.length === 0) return inval('Invalid nexthop configuration - extra data after nexthops');
  const nhs: FibNh[] = [];
  for (const rtnh of cfg.mp) {
    const flags = rtnh.flags ?? 0;
    if ((flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) !== 0) {
      return inval('Invalid flags for nexthop - can not contain DEAD or LINKDOWN');
    }
    const nh = new FibNh();
    nh.oif = rtnh.ifindex ?? 0;
    nh.gw = rtnh.gateway ?? 0;
    nh.weight = rtnh.weight ?? 1;
    nh.flags = (cfg.flags & ~0xff) | flags;
    nhs.push(nh);
  }
  if (cfg.oif !== 0 && nhs[0]!.oif !== cfg.oif) return inval('Nexthop device index does not match RTA_OIF');
  if (cfg.gw !== 0 && nhs[0]!.gw !== cfg.gw)
    return inval('Nexthop gateway does not match RTA_GATEWAY or RTA_VIA');
  return nhs;
}

/** A nexthop can be reached (`fib_check_nh`); fills its device and scope. Null where all is well. */
function fibCheckNh(net: RouteNet, nh: FibNh, table: number, scope: number): FibError | null {
  return nh.gw !== 0 ? fibCheckNhGw(net, nh, table, scope) : fibCheckNhNongw(net, nh);
}

function fibCheckNhNongw(net: RouteNet, nh: FibNh): FibError | null {
  if ((nh.flags & (RTNH_F_PERVASIVE | RTNH_F_ONLINK)) !== 0) {
    return inval('Invalid flags for nexthop - PERVASIVE and ONLINK can not be set');
  }
  const dev = net.devGetByIndex(nh.oif);
  if (dev === null || dev.ipPtr === null) return { error: -ENODEV };
  if (!dev.isUp) return { error: -ENETDOWN, extack: 'Device for nexthop is not up' };
  nh.dev = dev;
  nh.scope = RT_SCOPE_HOST;
  if (!dev.carrier) nh.flags |= RTNH_F_LINKDOWN;
  return null;
}

function fibCheckNhGw(net: RouteNet, nh: FibNh, table: number, scope: number): FibError | null {
  if ((nh.flags & RTNH_F_ONLINK) !== 0) {
    if (scope >= RT_SCOPE_LINK) return inval('Nexthop has invalid scope');
    const dev = net.devGetByIndex(nh.oif);
    if (dev === null) return { error: -ENODEV, extack: 'Nexthop device required for onlink' };
    if (!dev.isUp) return { error: -ENETDOWN, extack: 'Nexthop device is not up' };
    if (inetAddrTypeDevTable(net, dev, nh.gw) !== RTN_UNICAST) return inval('Nexthop has invalid gateway');
    if (!dev.carrier) nh.flags |= RTNH_F_LINKDOWN;
    nh.dev = dev;
    nh.scope = RT_SCOPE_LINK;
    return null;
  }
  const fl4 = new Flowi4();
  fl4.daddr = nh.gw;
  fl4.scope = Math.max((scope + 1) & 0xff, RT_SCOPE_LINK);
  fl4.oif = nh.oif;
  fl4.iif = 1;
  const res = new FibResult();
  const own = table !== 0 && table !== RT_TABLE_MAIN ? net.fib.getTable(table) : null;
  let err = own === null ? 1 : own.trie.lookup(own, fl4, res, FIB_LOOKUP_IGNORE_LINKSTATE);
  // The way to a gateway of another table may lie in local or main.
  if (err !== 0) err = fibLookup(net, fl4, res, FIB_LOOKUP_IGNORE_LINKSTATE);
  if (err !== 0) return { error: err, extack: 'Nexthop has invalid gateway' };
  if (res.type !== RTN_UNICAST && res.type !== RTN_LOCAL) return inval('Nexthop has invalid gateway');
  const via = res.nhc!;
  nh.scope = res.scope;
  nh.oif = via.oif;
  nh.dev = via.dev;
  if (nh.dev === null) return inval('No egress device for nexthop gateway');
  if (!nh.dev.carrier) nh.flags |= RTNH_F_LINKDOWN;
  return nh.dev.isUp ? null : { error: -ENETDOWN };
}

/** A preferred source is an address of ours (`fib_valid_prefsrc`). */
function fibValidPrefsrc(net: RouteNet, cfg: FibConfig): boolean {
  if (cfg.type === RTN_LOCAL && cfg.dst !== 0 && cfg.prefsrc === cfg.dst) return true;
  const table = cfg.table === RT_TABLE_MAIN ? RT_TABLE_LOCAL : cfg.table;
  let type = inetAddrTypeTable(net, cfg.prefsrc, table);
  if (type !== RTN_LOCAL && table !== RT_TABLE_LOCAL)
    type = inetAddrTypeTable(net, cfg.prefsrc, RT_TABLE_LOCAL);
  return type === RTN_LOCAL;
}

/** Checks what is asked for, and finds or makes the fib_info for it (`fib_create_info`, FIB-10), in the kernel's order of checks. */
export function fibCreateInfo(net: RouteNet, cfg: FibConfig): FibInfo | FibError {
  if (cfg.type > RTN_MAX) return { error: -EINVAL };
  if (FIB_PROPS[cfg.type]!.scope > cfg.scope) return inval('Invalid scope');
  if ((cfg.flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) !== 0) {
    return inval('Invalid rtm_flags - can not contain DEAD or LINKDOWN');
  }
  const metrics = fibMetricsInit(cfg.metrics);
  if (metrics !== null && !(metrics instanceof Uint32Array)) return metrics;
  const nhs = fibGetNhs(cfg);
  if (!Array.isArray(nhs)) return nhs;
  const { protocol, scope, flags, priority, prefsrc, type, table } = cfg;
  const fi = new FibInfo(protocol, scope, flags, priority, prefsrc, type, table, metrics, nhs);

  if (FIB_PROPS[type]!.error !== 0 && type < RTN_NAT) {
    if (cfg.gw !== 0 || cfg.oif !== 0 || cfg.mp !== null) {
      return inval('Gateway, device and multipath can not be specified for this route type');
    }
    return net.fib.linkInfo(fi);
  }
  if (type === RTN_UNSPEC || type >= RTN_NAT) return inval('Invalid route type');
  if (scope > RT_SCOPE_HOST) return inval('Invalid scope');
  if (scope === RT_SCOPE_HOST) {
    const nh = nhs[0]!;
    if (nhs.length !== 1) return inval('Route with host scope can not have multiple nexthops');
    if (nh.gw !== 0) return inval('Route with host scope can not have a gateway');
    nh.scope = RT_SCOPE_NOWHERE;
    nh.dev = net.devGetByIndex(nh.oif);
    if (nh.dev === null) return { error: -ENODEV };
  } else {
    let linkdown = 0;
    for (const nh of nhs) {
      const error = fibCheckNh(net, nh, table, scope);
      if (error !== null) return error;
      if ((nh.flags & RTNH_F_LINKDOWN) !== 0) linkdown++;
    }
    if (linkdown === nhs.length) fi.flags |= RTNH_F_LINKDOWN;
  }
  if (prefsrc !== 0 && !fibValidPrefsrc(net, cfg)) return inval('Invalid prefsrc address');
  for (const nh of nhs) fibInfoUpdateNhcSaddr(net, nh, scope);
  fibRebalance(fi);
  return net.fib.linkInfo(fi);
}

/** The source address of a nexthop, chosen anew (`fib_info_update_nhc_saddr`, SADDR-1). */
export function fibInfoUpdateNhcSaddr(net: RouteNet, nh: FibNh, scope: number): number {
  nh.saddr = nh.dev === null ? 0 : inetSelectAddr(net, nh.dev, nh.gw, scope);
  nh.saddrGenid = net.devAddrGenid;
  return nh.saddr;
}

/** SADDR-1: the source that a found route prefers (`fib_result_prefsrc`). */
export function fibResultPrefsrc(net: RouteNet, res: FibResult): number {
  const fi = res.fi!;
  if (fi.prefsrc !== 0) return fi.prefsrc;
  const nh = res.nhc!;
  return nh.saddrGenid === net.devAddrGenid ? nh.saddr : fibInfoUpdateNhcSaddr(net, nh, fi.scope);
}

/** Two fib_infos say the same (`fib_find_info`). */
export function fibInfoEqual(a: FibInfo, b: FibInfo): boolean {
  return (
    a.nhs.length === b.nhs.length &&
    a.protocol === b.protocol &&
    a.scope === b.scope &&
    a.prefsrc === b.prefsrc &&
    a.priority === b.priority &&
    a.type === b.type &&
    a.tbId === b.tbId &&
    ((a.flags ^ b.flags) & ~RTNH_COMPARE_MASK) === 0 &&
    metricsEqual(a.metrics, b.metrics) &&
    a.nhs.every((nh, i) => nhEqual(nh, b.nhs[i]!))
  );
}

function metricsEqual(a: FibMetrics | null, b: FibMetrics | null): boolean {
  if (a === null || b === null) return a === b;
  return a.every((value, i) => value === b[i]);
}

function nhEqual(a: FibNh, b: FibNh): boolean {
  return (
    a.oif === b.oif &&
    a.gw === b.gw &&
    a.scope === b.scope &&
    a.weight === b.weight &&
    ((a.flags ^ b.flags) & ~RTNH_COMPARE_MASK) === 0
  );
}

/** What a request to remove a route names fits its nexthops (`fib_nh_match`). */
export function fibNhMatch(cfg: FibConfig, fi: FibInfo): boolean {
  if (cfg.priority !== 0 && cfg.priority !== fi.priority) return false;
  if (cfg.oif !== 0 || cfg.gw !== 0) {
    const nh = fi.nhs[0]!;
    if (cfg.oif !== 0 && cfg.oif !== nh.oif) return false;
    return cfg.gw === 0 || cfg.gw === nh.gw;
  }
  if (cfg.mp === null) return true;
  for (let i = 0; i < fi.nhs.length; i++) {
    const nh = fi.nhs[i]!;
    const rtnh = cfg.mp[i];
    if (rtnh === undefined) return false;
    if (rtnh.ifindex !== undefined && rtnh.ifindex !== 0 && rtnh.ifindex !== nh.oif) return false;
    if (rtnh.gateway !== undefined && (nh.gw === 0 || rtnh.gateway !== nh.gw)) return false;
  }
  return true;
}

/** `fib_metrics_match` */
export function fibMetricsMatch(cfg: FibConfig, fi: FibInfo): boolean {
  for (const [type, value] of cfg.metrics ?? []) {
    if (type === 0) continue;
    if (type > RTAX_MAX) return false;
    if ((fi.metrics?.[type] ?? 0) !== value >>> 0) return false;
  }
  return true;
}
