/** Rules as messages: adding, removing, listing (`net/core/fib_rules.c`, `net/ipv4/fib_rules.c`). */
import type { NetDevice } from '../dev/net_device.js';
import type { NetdevEvent } from '../dev/netns.js';
import { EEXIST, EINVAL, ENOBUFS, ENOENT, EPERM } from '../uapi/errno.js';
import { inetMakeMask } from '../uapi/in.js';
import {
  FIB_RULE_PERMANENT,
  FIB_RULE_UNRESOLVED,
  FR_ACT_GOTO,
  FR_ACT_TO_TBL,
  NETLINK_OK,
  type NetlinkResult,
  NLM_F_CREATE,
  NLM_F_EXCL,
  type RuleMessage,
} from '../uapi/rtnetlink.js';
import { FibRule } from './fib_lookup.js';
import { rtCacheFlush } from './genid.js';
import type { RouteNet } from './netns.js';

const FIB_RULE_IIF_DETACHED = 0x8;
const FIB_RULE_OIF_DETACHED = 0x10;
const RTPROT_KERNEL = 2;

function inval(extack: string): NetlinkResult {
  return { error: -EINVAL, extack };
}

/** RULE-1: one less than the second rule's priority (`fib_default_rule_pref`). */
function defaultPref(net: RouteNet): number {
  const second = net.fibRules.list[1];
  return second !== undefined && second.pref !== 0 ? second.pref - 1 : 0;
}

function portRangeValid([start, end]: readonly [number, number]): boolean {
  return start !== 0 && end !== 0 && end < 0xffff && start <= end;
}

/** What a request says, checked (`fib_nl2rule`). */
function fibNl2rule(net: RouteNet, msg: RuleMessage): FibRule | NetlinkResult {
  const rule = new FibRule();
  const { srcLen = 0, dstLen = 0 } = msg;
  if (srcLen !== 0 && (msg.src === undefined || srcLen > 32)) return inval('Invalid source address');
  if (dstLen !== 0 && (msg.dst === undefined || dstLen > 32)) return inval('Invalid dst address');
  rule.pref = msg.priority ?? defaultPref(net);
  rule.protocol = msg.protocol ?? 0;
  setInterfaces(net, rule, msg);
  if (msg.fwmark !== undefined) {
    rule.mark = msg.fwmark;
    if (rule.mark !== 0) rule.markMask = 0xffffffff;
  }
  if (msg.fwmask !== undefined) rule.markMask = msg.fwmask;
  rule.tunId = msg.tunId ?? 0n;
  rule.l3mdev = msg.l3mdev ?? false;
  rule.action = msg.action ?? 0;
  rule.flags = msg.flags ?? 0;
  rule.table = msg.table ?? 0;
  rule.suppressPrefixlen = msg.suppressPrefixlength ?? -1;
  rule.suppressIfgroup = msg.suppressIfgroup ?? -1;
  if (msg.gotoTarget !== undefined) {
    if (rule.action !== FR_ACT_GOTO) return inval('Unexpected goto');
    rule.target = msg.gotoTarget;
  } else if (rule.action === FR_ACT_GOTO) return inval('Missing goto target for action goto');
  if (rule.l3mdev && rule.table !== 0) return inval('l3mdev and table are mutually exclusive');
  if (msg.uidRange !== undefined) {
    if (msg.uidRange[0] > msg.uidRange[1]) return inval('Invalid uid range');
    [rule.uidStart, rule.uidEnd] = msg.uidRange;
    rule.uidSet = true;
  }
  rule.ipProto = msg.ipproto ?? 0;
  const ports = setPorts(rule, msg);
  if (ports !== null) return ports;
  if (rule.action === FR_ACT_GOTO && rule.target <= rule.pref) return inval('Backward goto not supported');
  rule.srcLen = srcLen;
  rule.src = srcLen === 0 ? 0 : msg.src!;
  rule.srcMask = inetMakeMask(srcLen);
  rule.dstLen = dstLen;
  rule.dst = dstLen === 0 ? 0 : msg.dst!;
  rule.dstMask = inetMakeMask(dstLen);
  return rule;
}

function setInterfaces(net: RouteNet, rule: FibRule, msg: RuleMessage): void {
  if (msg.iifname !== undefined && msg.iifname !== '') {
    const dev = net.devGetByName(msg.iifname);
    rule.iifname = msg.iifname;
    rule.iifindex = dev?.ifindex ?? -1;
    rule.iifIsL3Master = dev?.isL3Master ?? false;
  }
  if (msg.oifname !== undefined && msg.oifname !== '') {
    const dev = net.devGetByName(msg.oifname);
    rule.oifname = msg.oifname;
    rule.oifindex = dev?.ifindex ?? -1;
    rule.oifIsL3Master = dev?.isL3Master ?? false;
  }
}

function setPorts(rule: FibRule, msg: RuleMessage): NetlinkResult | null {
  if (msg.sportRange !== undefined) {
    if (!portRangeValid(msg.sportRange)) return inval('Invalid sport range');
    [rule.sportStart, rule.sportEnd] = msg.sportRange;
    if (rule.sportStart === rule.sportEnd) rule.sportMask = 0xffff;
  }
  if (msg.dportRange !== undefined) {
    if (!portRangeValid(msg.dportRange)) return inval('Invalid dport range');
    [rule.dportStart, rule.dportEnd] = msg.dportRange;
    if (rule.dportStart === rule.dportEnd) rule.dportMask = 0xffff;
  }
  if (msg.sportMask !== undefined) {
    if (rule.sportStart === 0 || rule.sportStart !== rule.sportEnd)
      return inval('Cannot specify port mask without port value');
    if ((rule.sportStart & ~msg.sportMask) !== 0) return inval('Invalid port mask');
    rule.sportMask = msg.sportMask;
  }
  if (msg.dportMask !== undefined) {
    if (rule.dportStart === 0 || rule.dportStart !== rule.dportEnd)
      return inval('Cannot specify port mask without port value');
    if ((rule.dportStart & ~msg.dportMask) !== 0) return inval('Invalid port mask');
    rule.dportMask = msg.dportMask;
  }
  return null;
}

/** IPv4's own part of a new rule (`fib4_rule_configure`); it parts the local table from main. */
function fib4RuleConfigure(net: RouteNet, rule: FibRule, msg: RuleMessage): NetlinkResult | null {
  const tos = msg.tos ?? 0;
  if ((tos & 3) !== 0) return inval('Invalid dsfield (tos): ECN bits must be 0');
  if ((tos & ~0x1e) !== 0) return inval('Invalid tos');
  rule.dscp = tos;
  if (msg.dscp !== undefined) {
    if (!net.profile.ruleDscp) return inval('Unknown attribute type');
    if (tos !== 0) return inval('Cannot specify both TOS and DSCP');
    rule.dscp = (msg.dscp << 2) & 0xfc;
    rule.dscpFull = true;
  }
  net.fib.unmerge();
  if (rule.table === 0 && !rule.l3mdev && rule.action === FR_ACT_TO_TBL) {
    const table = net.fib.emptyTable();
    if (table === null) return { error: -ENOBUFS };
    rule.table = table.id;
  }
  net.fib.hasCustomRules = true;
  return null;
}

/** The prefixes and TOS of a request fit a rule (`fib4_rule_compare`): what the request leaves open fits any. */
function fib4RuleCompare(rule: FibRule, msg: RuleMessage): boolean {
  const { srcLen = 0, dstLen = 0, tos = 0 } = msg;
  if (srcLen !== 0 && (rule.srcLen !== srcLen || rule.src !== msg.src)) return false;
  if (dstLen !== 0 && (rule.dstLen !== dstLen || rule.dst !== msg.dst)) return false;
  if (tos !== 0 && (rule.dscpFull || rule.dscp !== tos)) return false;
  return msg.dscp === undefined || (rule.dscpFull && rule.dscp === ((msg.dscp << 2) & 0xfc));
}

function sameSelectors(a: FibRule, b: FibRule): boolean {
  return (
    a.iifname === b.iifname &&
    a.oifname === b.oifname &&
    a.mark === b.mark &&
    a.markMask === b.markMask &&
    a.suppressIfgroup === b.suppressIfgroup &&
    a.suppressPrefixlen === b.suppressPrefixlen &&
    a.tunId === b.tunId &&
    a.l3mdev === b.l3mdev &&
    a.uidStart === b.uidStart &&
    a.uidEnd === b.uidEnd &&
    a.ipProto === b.ipProto &&
    a.protocol === b.protocol &&
    a.sportStart === b.sportStart &&
    a.sportEnd === b.sportEnd &&
    a.sportMask === b.sportMask &&
    a.dportStart === b.dportStart &&
    a.dportEnd === b.dportEnd &&
    a.dportMask === b.dportMask
  );
}

/** Adds a rule behind those of its priority (`fib_nl_newrule`): -EEXIST, -EINVAL with the kernel's text. */
export function fibNlNewrule(
  net: RouteNet,
  msg: RuleMessage,
  nlmFlags = NLM_F_CREATE | NLM_F_EXCL,
): NetlinkResult {
  const rule = fibNl2rule(net, msg);
  if (!(rule instanceof FibRule)) return rule;
  const { list } = net.fibRules;
  if ((nlmFlags & NLM_F_EXCL) !== 0) {
    const exists = list.some(
      (r) =>
        r.action === rule.action &&
        r.table === rule.table &&
        r.pref === rule.pref &&
        sameSelectors(r, rule) &&
        fib4RuleCompare(r, msg),
    );
    if (exists) return { error: -EEXIST };
  }
  const failed = fib4RuleConfigure(net, rule, msg);
  if (failed !== null) return failed;
  if (rule.action === FR_ACT_GOTO) rule.ctarget = list.find((r) => r.pref === rule.target) ?? null;
  let at = list.findIndex((r) => r.pref > rule.pref);
  if (at < 0) at = list.length;
  list.splice(at, 0, rule);
  for (const r of list)
    if (r.action === FR_ACT_GOTO && r.target === rule.pref && r.ctarget === null) r.ctarget = rule;
  rtCacheFlush(net);
  return NETLINK_OK;
}

/** Removes the first rule that fits what is named (`fib_nl_delrule`): -ENOENT, -EPERM. */
export function fibNlDelrule(net: RouteNet, msg: RuleMessage, _nlmFlags = 0): NetlinkResult {
  const like = fibNl2rule(net, msg);
  if (!(like instanceof FibRule)) return like;
  const { list } = net.fibRules;
  const rule = list.find((r) => ruleFits(r, like, msg));
  if (rule === undefined) return { error: -ENOENT };
  if ((rule.flags & FIB_RULE_PERMANENT) !== 0) return { error: -EPERM };
  net.fib.unmerge();
  net.fib.hasCustomRules = true;
  const at = list.indexOf(rule);
  const next = list[at + 1];
  list.splice(at, 1);
  // RULE-4: gotos go to the next rule of that priority, or nowhere.
  for (const r of list)
    if (r.ctarget === rule) r.ctarget = next !== undefined && next.pref === rule.pref ? next : null;
  rtCacheFlush(net);
  return NETLINK_OK;
}

/** `rule_find`: what the request leaves open fits any rule. */
function ruleFits(r: FibRule, like: FibRule, msg: RuleMessage): boolean {
  if (like.action !== 0 && r.action !== like.action) return false;
  if (like.table !== 0 && r.table !== like.table) return false;
  if (msg.priority !== undefined && r.pref !== like.pref) return false;
  if (like.iifname !== '' && r.iifname !== like.iifname) return false;
  if (like.oifname !== '' && r.oifname !== like.oifname) return false;
  if (like.mark !== 0 && r.mark !== like.mark) return false;
  if (like.suppressIfgroup !== -1 && r.suppressIfgroup !== like.suppressIfgroup) return false;
  if (like.suppressPrefixlen !== -1 && r.suppressPrefixlen !== like.suppressPrefixlen) return false;
  if (like.markMask !== 0 && r.markMask !== like.markMask) return false;
  if (like.tunId !== 0n && r.tunId !== like.tunId) return false;
  if (like.l3mdev && !r.l3mdev) return false;
  if (like.uidSet && (r.uidStart !== like.uidStart || r.uidEnd !== like.uidEnd)) return false;
  if (like.ipProto !== 0 && r.ipProto !== like.ipProto) return false;
  if (like.protocol !== 0 && r.protocol !== like.protocol) return false;
  if (like.sportStart !== 0 && (r.sportStart !== like.sportStart || r.sportEnd !== like.sportEnd))
    return false;
  if (like.sportMask !== 0 && r.sportMask !== like.sportMask) return false;
  if (like.dportStart !== 0 && (r.dportStart !== like.dportStart || r.dportEnd !== like.dportEnd))
    return false;
  if (like.dportMask !== 0 && r.dportMask !== like.dportMask) return false;
  return fib4RuleCompare(r, msg);
}

/** The l3mdev rule comes with the first VRF (`l3mdev` rule of `vrf.c`, VRF-1). */
export function fibRulesAddL3mdev(net: RouteNet): NetlinkResult {
  return fibNlNewrule(
    net,
    { priority: 1000, action: FR_ACT_TO_TBL, l3mdev: true, protocol: RTPROT_KERNEL },
    NLM_F_CREATE | NLM_F_EXCL,
  );
}

/** A device comes, goes, or changes its name: rules that name it follow (`fib_rules_event`). */
export function fibRulesEvent(net: RouteNet, event: NetdevEvent, dev: NetDevice): void {
  if (event !== 'register' && event !== 'unregister' && event !== 'changeName') return;
  for (const rule of net.fibRules.list) {
    if (event !== 'register') {
      if (rule.iifindex === dev.ifindex) rule.iifindex = -1;
      if (rule.oifindex === dev.ifindex) rule.oifindex = -1;
    }
    if (event === 'unregister') continue;
    if (rule.iifindex === -1 && rule.iifname === dev.name) {
      rule.iifindex = dev.ifindex;
      rule.iifIsL3Master = dev.isL3Master;
    }
    if (rule.oifindex === -1 && rule.oifname === dev.name) {
      rule.oifindex = dev.ifindex;
      rule.oifIsL3Master = dev.isL3Master;
    }
  }
}

/** Every rule, in order (`fib_nl_dumprule`). */
export function fibNlDumprule(net: RouteNet): RuleMessage[] {
  return net.fibRules.list.map((rule) => {
    let flags = rule.flags;
    if (rule.action === FR_ACT_GOTO && rule.ctarget === null) flags |= FIB_RULE_UNRESOLVED;
    if (rule.iifindex === -1) flags |= FIB_RULE_IIF_DETACHED;
    if (rule.oifindex === -1) flags |= FIB_RULE_OIF_DETACHED;
    return {
      priority: rule.pref,
      action: rule.action,
      ...(rule.table === 0 ? {} : { table: rule.table }),
      flags,
      ...(rule.srcLen === 0 ? {} : { src: rule.src, srcLen: rule.srcLen }),
      ...(rule.dstLen === 0 ? {} : { dst: rule.dst, dstLen: rule.dstLen }),
      ...(rule.dscpFull ? { dscp: rule.dscp >> 2 } : rule.dscp === 0 ? {} : { tos: rule.dscp }),
      ...(rule.iifname === '' ? {} : { iifname: rule.iifname }),
      ...(rule.oifname === '' ? {} : { oifname: rule.oifname }),
      ...(rule.mark === 0 ? {} : { fwmark: rule.mark }),
      ...(rule.mark === 0 && rule.markMask === 0 ? {} : { fwmask: rule.markMask }),
      ...(rule.ipProto === 0 ? {} : { ipproto: rule.ipProto }),
      ...(rule.sportStart === 0 ? {} : { sportRange: [rule.sportStart, rule.sportEnd] as const }),
      ...(rule.sportMask === 0 ? {} : { sportMask: rule.sportMask }),
      ...(rule.dportStart === 0 ? {} : { dportRange: [rule.dportStart, rule.dportEnd] as const }),
      ...(rule.dportMask === 0 ? {} : { dportMask: rule.dportMask }),
      ...(rule.uidSet ? { uidRange: [rule.uidStart, rule.uidEnd] as const } : {}),
      ...(rule.tunId === 0n ? {} : { tunId: rule.tunId }),
      ...(rule.l3mdev ? { l3mdev: true } : {}),
      ...(rule.action === FR_ACT_GOTO ? { gotoTarget: rule.target } : {}),
      ...(rule.suppressPrefixlen === -1 ? {} : { suppressPrefixlength: rule.suppressPrefixlen }),
      ...(rule.suppressIfgroup === -1 ? {} : { suppressIfgroup: rule.suppressIfgroup }),
      protocol: rule.protocol,
    };
  });
}
