/** What routing says of its decisions to a tracer. Called only where there is one. */
import { errnoName } from '../uapi/errno.js';
import { formatIPv4 } from '../uapi/in.js';
import { RT_TABLE_LOCAL } from '../uapi/rtnetlink.js';
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

function ruleEvent(net: RouteNet, pref: number, table: string, text: string, rule: string): void {
  net.tracer?.event({
    fn: 'fib_lookup',
    step: 'rule',
    text: `rule ${pref}: ${table} ${text}`.trimEnd(),
    rule,
    depth: 2,
  });
}

/** A rule that was looked at without asking a table. */
export function traceRule(net: RouteNet, rule: FibRule, text: string): void {
  ruleEvent(
    net,
    rule.pref,
    rule.l3mdev ? 'l3mdev' : rule.table === 0 ? '' : tableName(rule.table),
    text,
    'RULE-2',
  );
}

/** A rule whose action was taken. */
export function traceTable(net: RouteNet, rule: FibRule, res: FibResult, err: number): void {
  const table = err === 0 ? tableName(res.table!.id) : rule.l3mdev ? 'l3mdev' : tableName(rule.table);
  ruleEvent(
    net,
    rule.pref,
    table,
    err === -11 ? 'no match' : outcome(res, err),
    err === 0 ? 'FIB-1' : 'RULE-5',
  );
}

/** The default rules, which a namespace without others takes in one step. */
export function traceDefaultLookup(net: RouteNet, res: FibResult, err: number): void {
  if (err === 0 && res.fi!.tbId === RT_TABLE_LOCAL) {
    ruleEvent(net, 0, 'local', routeText(res), 'FIB-1');
    return;
  }
  ruleEvent(net, 0, 'local', 'no match', 'RULE-5');
  ruleEvent(
    net,
    32766,
    'main',
    err === 0 && res.table!.id !== 253 ? routeText(res) : err === 0 ? 'no match' : outcome(res, err),
    'FIB-1',
  );
  if (err === 0 && res.table!.id === 253) ruleEvent(net, 32767, 'default', routeText(res), 'FIB-1');
}

/** What a lookup is given. */
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

/** One step of a lookup, below `ip_route_output_flow`. */
export function traceStep(net: RouteNet, fn: string, step: string, text: string, rule: string): void {
  net.tracer?.event({ fn, step, text, rule, depth: 2 });
}
