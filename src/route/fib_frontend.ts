/** Routes as messages: what a request asks for (`rtm_to_fib_config`), and how a route is listed (`fib_dump_info`). */
import { EINVAL, ESRCH } from '../uapi/errno.js';
import {
  NETLINK_OK,
  type NetlinkResult,
  type RouteMessage,
  type RouteNexthop,
  RT_TABLE_MAIN,
  RTN_LOCAL,
  RTN_MAX,
  RTNH_F_DEAD,
  RTNH_F_LINKDOWN,
  RTNH_F_ONLINK,
} from '../uapi/rtnetlink.js';
import { fibTableDelete, fibTableInsert, fibValidKeyLen } from './fib_table.js';
import { ipIgnoreLinkdown } from './fib_trie.js';
import type { FibConfig, FibInfo, FibNh } from './fib_types.js';
import type { RouteNet } from './netns.js';

function rtmToFibConfig(msg: RouteMessage, nlflags: number): FibConfig | NetlinkResult {
  const dscp = msg.tos ?? 0;
  if ((dscp & 3) !== 0) return { error: -EINVAL, extack: 'Invalid dsfield (tos): ECN bits must be 0' };
  const type = msg.type ?? 0;
  if (type > RTN_MAX) return { error: -EINVAL, extack: 'Invalid route type' };
  const dst = msg.dst ?? 0;
  const dstLen = msg.dstLen ?? 0;
  const invalid = fibValidKeyLen(dst, dstLen);
  if (invalid !== null) return invalid;
  const hops = msg.nexthops ?? [];
  const multipath = msg.multipath === true || hops.length > 1;
  const single = multipath ? undefined : hops[0];
  return {
    dst,
    dstLen,
    dscp,
    table: msg.table === undefined || msg.table === 0 ? RT_TABLE_MAIN : msg.table,
    protocol: msg.protocol ?? 0,
    scope: msg.scope ?? 0,
    type,
    flags: (msg.flags ?? 0) | (single?.flags ?? 0),
    priority: msg.priority ?? 0,
    prefsrc: msg.prefsrc ?? 0,
    oif: single?.ifindex ?? 0,
    gw: single?.gateway ?? 0,
    mp: multipath ? hops : null,
    metrics: msg.metrics ?? null,
    nlflags,
  };
}

/**
 * Adds, replaces or changes a route (`inet_rtm_newroute`).
 * @param nlmFlags NLM_F_*: CREATE|EXCL add, CREATE|REPLACE replace, REPLACE change, CREATE prepend, CREATE|APPEND append
 */
export function inetRtmNewroute(net: RouteNet, msg: RouteMessage, nlmFlags: number): NetlinkResult {
  const cfg = rtmToFibConfig(msg, nlmFlags);
  if ('error' in cfg) return cfg;
  const result = fibTableInsert(net, net.fib.newTable(cfg.table), cfg);
  if (result.error !== 0) return result;
  if (cfg.type === RTN_LOCAL) net.fib.hasCustomLocalRoutes = true;
  return NETLINK_OK;
}

/** Removes a route (`inet_rtm_delroute`): absent keys fit any. -ESRCH where none fits. */
export function inetRtmDelroute(net: RouteNet, msg: RouteMessage, nlmFlags = 0): NetlinkResult {
  const cfg = rtmToFibConfig(msg, nlmFlags);
  if ('error' in cfg) return cfg;
  const table = net.fib.getTable(cfg.table);
  if (table === null) return { error: -ESRCH, extack: 'FIB table does not exist' };
  return fibTableDelete(net, table, cfg);
}

function nexthopFlags(nh: FibNh): number {
  let flags = nh.flags & (RTNH_F_ONLINK | RTNH_F_DEAD);
  if ((nh.flags & RTNH_F_LINKDOWN) !== 0) {
    flags |= RTNH_F_LINKDOWN;
    if (ipIgnoreLinkdown(nh)) flags |= RTNH_F_DEAD;
  }
  return flags;
}

/** A route as a message, without its destination. */
export function fibDumpInfo(fi: FibInfo): RouteMessage {
  const nexthops: RouteNexthop[] = [];
  for (const nh of fi.nhs) {
    if (fi.nhs.length === 1 && nh.gw === 0 && nh.dev === null) continue;
    nexthops.push({
      ...(nh.gw === 0 ? {} : { gateway: nh.gw }),
      ...(nh.oif === 0 ? {} : { ifindex: nh.oif }),
      weight: nh.weight,
      flags: nexthopFlags(nh),
    });
  }
  const metrics = new Map<number, number>();
  fi.metrics?.forEach((value, type) => {
    if (value !== 0) metrics.set(type, value);
  });
  return {
    table: fi.tbId,
    scope: fi.scope,
    protocol: fi.protocol,
    ...(fi.priority === 0 ? {} : { priority: fi.priority }),
    ...(fi.prefsrc === 0 ? {} : { prefsrc: fi.prefsrc }),
    nexthops,
    ...(fi.nhs.length > 1 ? { multipath: true } : {}),
    ...(metrics.size === 0 ? {} : { metrics }),
    flags: fi.flags | (fi.nhs.length === 1 ? nexthopFlags(fi.nhs[0]!) : 0),
  };
}

/** Every route of one table, or of all, in the kernel's order (`inet_dump_fib`). */
export function inetDumpFib(net: RouteNet, table?: number): RouteMessage[] {
  const dump: RouteMessage[] = [];
  for (const tb of net.fib.tables()) {
    if (table !== undefined && table !== 0 && tb.id !== table) continue;
    tb.trie.forEach((dst, dstLen, alias) => {
      if (tb.trie.aliasInfo(alias).tbId !== tb.id) return;
      dump.push({
        ...fibDumpInfo(tb.trie.aliasInfo(alias)),
        type: tb.trie.aliasInfo(alias).type,
        table: tb.id,
        dst,
        dstLen,
        tos: tb.trie.aliasDscp(alias),
      });
    });
  }
  return dump;
}
