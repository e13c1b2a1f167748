/** Policy rules (`net/core/fib_rules.c`, `net/ipv4/fib_rules.c`, RULE-*): which tables a lookup goes through, and in which order. */

import { l3mdevMasterIfindex } from '../dev/inet_select.js';
import type { NetDevice } from '../dev/net_device.js';
import { EACCES, EAGAIN, EINVAL, ENETUNREACH } from '../uapi/errno.js';
import {
  FIB_RULE_INVERT,
  FR_ACT_GOTO,
  FR_ACT_NOP,
  FR_ACT_PROHIBIT,
  FR_ACT_TO_TBL,
  FR_ACT_UNREACHABLE,
  RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
} from '../uapi/rtnetlink.js';
import type { FibResult } from './fib_types.js';
import { FLOWI_FLAG_L3MDEV_OIF, type Flowi4 } from './flow.js';
import type { RouteNet } from './netns.js';
import { traceDefaultLookup, traceRule, traceTable } from './trace.js';

/** `struct fib4_rule`; absent selectors are 0, an empty name, -1 or an empty range. */
export class FibRule {
  pref = 0;
  /** FR_ACT_* */
  action = FR_ACT_TO_TBL;
  table = 0;
  /** FIB_RULE_* */
  flags = 0;
  protocol = 0;
  src = 0;
  srcLen = 0;
  srcMask = 0;
  dst = 0;
  dstLen = 0;
  dstMask = 0;
  /** TOS or DSCP, in its place in the TOS byte; `dscpFull`: all six bits are compared, else the three that TOS has left. */
  dscp = 0;
  dscpMask = 0xfc;
  dscpFull = false;
  iifname = '';
  /** -1: named, but there is no such device. */
  iifindex = 0;
  iifIsL3Master = false;
  oifname = '';
  oifindex = 0;
  oifIsL3Master = false;
  mark = 0;
  markMask = 0;
  ipProto = 0;
  sportStart = 0;
  sportEnd = 0;
  sportMask = 0;
  dportStart = 0;
  dportEnd = 0;
  dportMask = 0;
  uidStart = 0;
  uidEnd = 0xffffffff;
  /** A uid range was given. */
  uidSet = false;
  tunId = 0n;
  l3mdev = false;
  suppressPrefixlen = -1;
  suppressIfgroup = -1;
  /** Priority that `goto` goes to, and the rule there, null while there is none. */
  target = 0;
  ctarget: FibRule | null = null;
}

function defaultRule(pref: number, table: number): FibRule {
  const rule = new FibRule();
  rule.pref = pref;
  rule.table = table;
  // What the kernel makes itself carries its own protocol number (RTPROT_KERNEL).
  rule.protocol = 2;
  return rule;
}

/** The rules of a namespace, by priority, then by age. */
export class FibRules {
  readonly list: FibRule[] = [
    defaultRule(0, RT_TABLE_LOCAL),
    defaultRule(0x7ffe, RT_TABLE_MAIN),
    defaultRule(0x7fff, RT_TABLE_DEFAULT),
  ];
}

/** The route of a flow (`fib_lookup`): 0 with `res` filled, or a negative errno. Writes the flow's VRF (VRF-2). */
export function fibLookup(net: RouteNet, fl4: Flowi4, res: FibResult, flags: number): number {
  if (net.fib.hasCustomRules) return fibLookupRules(net, fl4, res, flags);
  let err = -EAGAIN;
  const { main } = net.fib;
  if (main !== null) err = main.trie.lookup(main, fl4, res, flags);
  if (err === -EAGAIN) {
    const fallback = net.fib.default;
    if (fallback !== null) err = fallback.trie.lookup(fallback, fl4, res, flags);
    if (err === -EAGAIN) err = -ENETUNREACH;
  }
  if (net.tracer !== null) traceDefaultLookup(net, fl4, res, err);
  return err;
}

/** `__fib_lookup`, `fib_rules_lookup` */
function fibLookupRules(net: RouteNet, fl4: Flowi4, res: FibResult, flags: number): number {
  l3mdevUpdateFlow(net, fl4);
  const rules = net.fibRules.list;
  for (let i = 0; i < rules.length; i++) {
    let rule = rules[i]!;
    let matched = fibRuleMatch(rule, fl4);
    // RULE-4: goto only goes forward, so this ends.
    while (matched && rule.action === FR_ACT_GOTO && rule.ctarget !== null) {
      if (net.tracer !== null) traceRule(net, fl4, rule, `goto ${rule.target}`);
      rule = rule.ctarget;
      i = rules.indexOf(rule);
      matched = fibRuleMatch(rule, fl4);
    }
    if (!matched || rule.action === FR_ACT_GOTO || rule.action === FR_ACT_NOP) {
      if (net.tracer !== null) traceRule(net, fl4, rule, matched ? 'nothing to do' : 'does not apply');
      continue;
    }
    let err = fib4RuleAction(net, rule, fl4, res, flags);
    if (err === 0 && fib4RuleSuppress(rule, res)) {
      if (net.tracer !== null) traceRule(net, fl4, rule, `/${res.prefixlen} suppressed`);
      continue;
    }
    if (net.tracer !== null) traceTable(net, fl4, rule, res, err);
    if (err === -EAGAIN) continue;
    // RULE-5
    if (err > 0) err = 0;
    return err;
  }
  return -ENETUNREACH;
}

/** VRF-2: which VRF a flow belongs to (`l3mdev_update_flow`). */
export function l3mdevUpdateFlow(net: RouteNet, fl4: Flowi4): void {
  if (fl4.oif !== 0) {
    const dev = net.devGetByIndex(fl4.oif);
    if (dev !== null) {
      if (fl4.l3mdev === 0) {
        fl4.l3mdev = l3mdevMasterIfindex(dev);
        fl4.flags |= FLOWI_FLAG_L3MDEV_OIF;
      }
      // An interface that is the VRF itself says which table, not which nexthop.
      if (dev.isL3Master) fl4.oif = 0;
      return;
    }
  }
  if (fl4.iif > 1 && fl4.l3mdev === 0) {
    const dev = net.devGetByIndex(fl4.iif);
    if (dev !== null) fl4.l3mdev = l3mdevMasterIfindex(dev);
  }
}

/** RULE-2: every selector must fit, `not` turns the whole around (`fib_rule_match`, `fib4_rule_match`). */
function fibRuleMatch(rule: FibRule, fl4: Flowi4): boolean {
  return fibRuleSelects(rule, fl4) !== ((rule.flags & FIB_RULE_INVERT) !== 0);
}

function fibRuleSelects(rule: FibRule, fl4: Flowi4): boolean {
  if (rule.iifindex !== 0 && !ifaceMatch(rule.iifindex, rule.iifIsL3Master, fl4.iif, fl4, false))
    return false;
  if (rule.oifindex !== 0 && !ifaceMatch(rule.oifindex, rule.oifIsL3Master, fl4.oif, fl4, true)) return false;
  if (((rule.mark ^ fl4.mark) & rule.markMask) !== 0) return false;
  // No packet of this stack comes out of a tunnel.
  if (rule.tunId !== 0n) return false;
  if (rule.l3mdev && fl4.l3mdev === 0) return false;
  if (fl4.uid < rule.uidStart || fl4.uid > rule.uidEnd) return false;
  if (((fl4.saddr ^ rule.src) & rule.srcMask) !== 0) return false;
  if (((fl4.daddr ^ rule.dst) & rule.dstMask) !== 0) return false;
  if (rule.dscpFull) {
    if (((rule.dscp ^ fl4.tos) & rule.dscpMask) !== 0) return false;
  } else if (rule.dscp !== 0 && rule.dscp !== (fl4.tos & 0x1c)) return false;
  if (rule.ipProto !== 0 && rule.ipProto !== fl4.proto) return false;
  return (
    portMatch(fl4.sport, rule.sportStart, rule.sportEnd, rule.sportMask) &&
    portMatch(fl4.dport, rule.dportStart, rule.dportEnd, rule.dportMask)
  );
}

function ifaceMatch(
  ruleIndex: number,
  isL3Master: boolean,
  flowIndex: number,
  fl4: Flowi4,
  output: boolean,
): boolean {
  if (!isL3Master) return ruleIndex === flowIndex;
  // A VRF is matched by the flow's domain: its interface index was cleared before the rules are asked.
  return ((fl4.flags & FLOWI_FLAG_L3MDEV_OIF) !== 0) === output && fl4.l3mdev === ruleIndex;
}

function portMatch(port: number, start: number, end: number, mask: number): boolean {
  if (start === 0) return true;
  if (mask !== 0 && mask !== 0xffff) return ((port ^ start) & mask) === 0;
  return port >= start && port <= end;
}

/** RULE-6; the errno 0 or -EAGAIN of a table's lookup else (`fib4_rule_action`). */
function fib4RuleAction(net: RouteNet, rule: FibRule, fl4: Flowi4, res: FibResult, flags: number): number {
  if (rule.action === FR_ACT_UNREACHABLE) return -ENETUNREACH;
  if (rule.action === FR_ACT_PROHIBIT) return -EACCES;
  if (rule.action !== FR_ACT_TO_TBL) return -EINVAL;
  const id = rule.l3mdev ? (net.devGetByIndex(fl4.l3mdev)?.l3mdevTable ?? 0) : rule.table;
  const table = rule.l3mdev && id === 0 ? null : net.fib.getTable(id);
  return table === null ? -EAGAIN : table.trie.lookup(table, fl4, res, flags);
}

/** RULE-4: what was found is not good enough for this rule (`fib4_rule_suppress`). */
function fib4RuleSuppress(rule: FibRule, res: FibResult): boolean {
  if (res.prefixlen <= rule.suppressPrefixlen) return true;
  const dev: NetDevice | null = res.fi?.nhs[0]?.dev ?? null;
  return rule.suppressIfgroup !== -1 && dev !== null && dev.group === rule.suppressIfgroup;
}
