/** What `ip -j` printed, as the words of the `ip` command that makes the same. */
import { protocolN2a, routeTypeN2a } from '../ipcmd/rt_names.js';
import { RT_SCOPE_UNIVERSE, RTPROT_BOOT } from '../uapi/rtnetlink.js';
import type { Json } from './host_dump.js';

/** The words of a command; or what it is that this stack does not have. */
export type HostWords = { readonly words: readonly string[] } | { readonly missing: string };

/** Metrics that are times, in milliseconds. */
const TIMES: ReadonlySet<string> = new Set(['rtt', 'rttvar', 'rto_min']);

export function text(json: Json, key: string): string | null {
  const value = json[key];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}

export function list(json: Json, key: string): readonly Json[] {
  const value = json[key];
  if (!Array.isArray(value)) return [];
  return value.filter((item): item is Json => typeof item === 'object' && item !== null);
}

export function names(json: Json, key: string): readonly string[] {
  const value = json[key];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

/** `word VALUE` where the object has the key. */
function option(json: Json, key: string, word = key): string[] {
  const value = text(json, key);
  return value === null ? [] : [word, value];
}

export function isIpv6(json: Json): boolean {
  return (
    'pref' in json ||
    ['dst', 'src', 'gateway', 'prefsrc', 'local'].some((key) => text(json, key)?.includes(':') === true)
  );
}

/** A route of `ip -j route show table all`. */
export function routeWords(route: Json): HostWords {
  if ('encap' in route) return { missing: `encap ${text(route, 'encap')}` };
  const hops = list(route, 'nexthops');
  if ([route, ...hops].some((hop) => 'via' in hop)) return { missing: 'a gateway of another family' };
  const type = typeName(text(route, 'type'));
  return {
    words: [
      'route',
      'append',
      ...(type === null ? [] : [type]),
      text(route, 'dst') ?? 'default',
      ...option(route, 'tos'),
      ...option(route, 'metric'),
      'table',
      text(route, 'table') ?? 'main',
      'protocol',
      text(route, 'protocol') ?? String(RTPROT_BOOT),
      'scope',
      text(route, 'scope') ?? String(RT_SCOPE_UNIVERSE),
      ...option(route, 'prefsrc', 'src'),
      ...metricWords(route),
      ...(hops.length > 0 ? hops.flatMap((hop) => ['nexthop', ...hopWords(hop)]) : hopWords(route)),
    ],
  };
}

/** Names of types; numbers are not understood where a prefix may stand as well. */
function typeName(type: string | null): string | null {
  return type !== null && /^\d+$/.test(type) ? routeTypeN2a(Number(type), false) : type;
}

function hopWords(hop: Json): string[] {
  const onlink = names(hop, 'flags').includes('onlink') ? ['onlink'] : [];
  return [...option(hop, 'gateway', 'via'), ...option(hop, 'dev'), ...option(hop, 'weight'), ...onlink];
}

function metricWords(route: Json): string[] {
  const locks = names(route, 'locks');
  const words: string[] = [];
  for (const metrics of list(route, 'metrics')) {
    for (const [name, value] of Object.entries(metrics)) {
      const number = TIMES.has(name) && typeof value === 'number' ? `${value}ms` : String(value);
      words.push(name, ...(locks.includes(name) ? ['lock'] : []), number);
    }
  }
  return words;
}

/** The parts of a route that say nothing about datagrams, or that `ip` shows and does not take. */
export function routeLosses(route: Json): string[] {
  const losses: string[] = [];
  if ('nhid' in route) losses.push(`nexthop object ${text(route, 'nhid')} became the route's own nexthops`);
  if (
    'metrics' in route &&
    !('locks' in route) &&
    list(route, 'metrics').some((metrics) => 'mtu' in metrics || 'hoplimit' in metrics)
  )
    losses.push('whether its metrics are locked is not known: taken as not locked');
  return losses;
}

/** A rule of `ip -j rule`. */
export function ruleWords(rule: Json): HostWords {
  const flag = (key: string, word: string): string[] => (key in rule ? [word] : []);
  const length = (key: string): string => (key in rule ? `/${text(rule, key)}` : '');
  const range = (key: string): string[] => {
    const start = text(rule, `${key}_start`);
    if (start !== null) return [key, `${start}-${text(rule, `${key}_end`)}`];
    return [...option(rule, key)].map((word, i) => (i === 1 ? word + length(`${key}_mask`) : word));
  };
  if ('flow_to' in rule || 'realms' in rule) return { missing: 'realms' };
  const src = text(rule, 'src');
  const dst = text(rule, 'dst');
  const mark = text(rule, 'fwmark');
  const uid = text(rule, 'uid_start');
  const protocol = text(rule, 'ipproto')?.replace('ipproto-', '');
  const action = text(rule, 'action');
  return {
    words: [
      'rule',
      'add',
      ...flag('not', 'not'),
      ...option(rule, 'priority'),
      ...(src === null || src === 'all' ? [] : ['from', src + length('srclen')]),
      ...(dst === null || dst === 'all' ? [] : ['to', dst + length('dstlen')]),
      ...option(rule, 'tos'),
      ...option(rule, 'dscp'),
      ...(mark === null ? [] : ['fwmark', mark + length('fwmask')]),
      ...option(rule, 'iif'),
      ...option(rule, 'oif'),
      ...(uid === null ? [] : ['uidrange', `${uid}-${text(rule, 'uid_end')}`]),
      ...(protocol === undefined ? [] : ['ipproto', protocol]),
      ...range('sport'),
      ...range('dport'),
      ...option(rule, 'tun_id'),
      ...option(rule, 'protocol'),
      ...option(rule, 'suppress_prefixlen', 'suppress_prefixlength'),
      ...option(rule, 'suppress_ifgroup'),
      ...('l3mdev' in rule ? ['l3mdev'] : option(rule, 'table', 'lookup')),
      ...option(rule, 'goto'),
      ...flag('nop', 'nop'),
      ...(action === null ? [] : [typeName(action)!]),
    ],
  };
}

/** An address of `ip -j addr`. */
export function addressWords(address: Json, dev: string): readonly string[] {
  const peer = text(address, 'address');
  const length = text(address, 'prefixlen') ?? '32';
  const local = text(address, 'local') ?? '';
  const lifetime = (key: string, word: string): string[] => {
    const seconds = text(address, key);
    return seconds === null || Number(seconds) === 0xffffffff ? [] : [word, seconds];
  };
  const protocol = text(address, 'protocol');
  return [
    'addr',
    'add',
    ...(peer === null ? [`${local}/${length}`] : [local, 'peer', `${peer}/${length}`]),
    ...option(address, 'broadcast'),
    ...option(address, 'scope'),
    ...option(address, 'label'),
    ...option(address, 'metric'),
    ...(protocol === null
      ? []
      : ['proto', /^\d+$/.test(protocol) ? protocolN2a(Number(protocol), true) : protocol]),
    ...(address.noprefixroute === true ? ['noprefixroute'] : []),
    ...lifetime('valid_life_time', 'valid_lft'),
    ...lifetime('preferred_life_time', 'preferred_lft'),
    'dev',
    dev,
  ];
}

/** A neighbour of `ip -j neigh`. */
export function neighbourWords(neighbour: Json): readonly string[] {
  const dst = text(neighbour, 'dst') ?? '';
  const state = names(neighbour, 'state')[0]?.toLowerCase();
  return [
    'neigh',
    'replace',
    ...('proxy' in neighbour ? ['proxy', dst] : [dst]),
    ...option(neighbour, 'lladdr'),
    ...('proxy' in neighbour || state === undefined ? [] : ['nud', state]),
    ...('router' in neighbour ? ['router'] : []),
    ...('extern_learn' in neighbour ? ['extern_learn'] : []),
    ...option(neighbour, 'protocol'),
    ...option(neighbour, 'dev'),
  ];
}
