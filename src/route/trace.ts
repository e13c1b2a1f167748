/** What routing says of its decisions to a tracer. Called only where there is one. */
import { EAGAIN, errnoName } from '../uapi/errno.js';
import { LOOPBACK_IFINDEX } from '../uapi/if.js';
import { formatIPv4 } from '../uapi/in.js';
import { RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN } from '../uapi/rtnetlink.js';
import type { FibRule } from './fib_lookup.js';
import type { FibResult } from './fib_types.js';
import type { Flowi4 } from './flow.js';
import type { RouteNet } from './netns.js';

const TABLE_NAMES: Readonly<Record<number, string>> = { 253: 'default', 254: 'main', 255: 'local' };
const TYPE_NAMES = [
  '',
  '',
  'local ',
  'broadcast ',
  'anycast ',
  'multicast ',
  'blackhole ',
  'unreachable ',
  'prohibit ',
  'throw ',
];
const SCOPE_NAMES: Readonly<Record<number, string>> = { 253: ' scope link', 254: ' scope host' };

/** The rules that every namespace begins with, and the tables that they name. */
const DEFAULT_RULES: readonly (readonly [pref: number, table: number])[] = [
  [0, RT_TABLE_LOCAL],
  [0x7ffe, RT_TABLE_MAIN],
  [0x7fff, RT_TABLE_DEFAULT],
];

function tableName(id: number): string {
  return TABLE_NAMES[id] ?? String(id);
}

/** A found route, nearly as `ip route` writes it. */
function routeText(res: FibResult): string {
  const nh = res.nhc;
  const prefix = res.prefixlen === 0 ? 'default' : `${formatIPv4(res.prefix)}/${res.prefixlen}`;
  const via = nh === null || nh.gw === 0 ? '' : ` via ${formatIPv4(nh.gw)}`;
  const dev = nh === null || nh.dev === null ? '' : ` dev ${nh.dev.name}`;
  const many = (res.fi?.nhs.length ?? 0) > 1 ? ` (nexthop ${res.nhSel + 1} of ${res.fi!.nhs.length})` : '';
  return `${TYPE_NAMES[res.type] ?? ''}${prefix}${via}${dev}${SCOPE_NAMES[res.scope] ?? ''}${many}`;
}

function outcome(res: FibResult, err: number): string {
  return err === 0 ? routeText(res) : errnoName(-err);
}

/** Which lookup the steps belong to: what we send comes in by lo, as far as routing is concerned (ROUTE-1). */
function lookupFn(fl4: Flowi4): string {
  return fl4.iif === LOOPBACK_IFINDEX ? 'ip_route_output_flow' : 'ip_route_input';
}

interface RuleStep {
  readonly pref: number;
  readonly table: string;
  readonly text: string;
  /** The catalogue's. */
  readonly rule: string;
}

function ruleEvent(net: RouteNet, fl4: Flowi4, { pref, table, text, rule }: RuleStep): void {
  const step = table === '' ? `rule ${pref}` : `rule ${pref}: ${table}`;
  net.tracer?.event({ fn: lookupFn(fl4), step, text, rule, depth: 1 });
}

/** A rule that was looked at without asking a table. */
export function traceRule(net: RouteNet, fl4: Flowi4, rule: FibRule, text: string): void {
  const table = rule.l3mdev ? 'l3mdev' : rule.table === 0 ? '' : tableName(rule.table);
  ruleEvent(net, fl4, { pref: rule.pref, table, text, rule: 'RULE-2' });
}

/** A rule whose action was taken. */
export function traceTable(net: RouteNet, fl4: Flowi4, rule: FibRule, res: FibResult, err: number): void {
  const named = rule.l3mdev ? 'l3mdev' : rule.table === 0 ? '' : tableName(rule.table);
  const table = err === 0 ? tableName(res.table!.id) : named;
  const text = err === -EAGAIN ? 'no match' : outcome(res, err);
  ruleEvent(net, fl4, { pref: rule.pref, table, text, rule: err === 0 ? 'FIB-1' : 'RULE-5' });
}

/** The default rules, which a namespace without others takes in one step. */
export function traceDefaultLookup(net: RouteNet, fl4: Flowi4, res: FibResult, err: number): void {
  const found = err === 0 ? res.fi!.tbId : RT_TABLE_MAIN;
  for (const [pref, id] of DEFAULT_RULES) {
    const table = tableName(id);
    if (id !== found) {
      ruleEvent(net, fl4, { pref, table, text: 'no match', rule: 'RULE-5' });
      continue;
    }
    ruleEvent(net, fl4, { pref, table, text: outcome(res, err), rule: err === 0 ? 'FIB-1' : 'FIB-3' });
    return;
  }
}

/** What an output lookup is given. */
export function traceFlow(net: RouteNet, fl4: Flowi4): void {
  const source = fl4.saddr === 0 ? 'source open' : `from ${formatIPv4(fl4.saddr)}`;
  const dev =
    fl4.oif === 0 ? 'interface open' : `out of ${net.devGetByIndex(fl4.oif)?.name ?? `index ${fl4.oif}`}`;
  net.tracer?.event({
    fn: 'ip_route_output_flow',
    step: 'enter',
    text: `to ${formatIPv4(fl4.daddr)}, ${source}, ${dev}`,
    rule: 'ROUTE-1',
    depth: 1,
  });
}

/** One step of an output lookup. */
export function traceStep(net: RouteNet, step: string, text: string, rule: string): void {
  net.tracer?.event({ fn: 'ip_route_output_flow', step, text, rule, depth: 1 });
}
