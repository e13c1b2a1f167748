/** Random scenarios by topic: the n-th of a seed is always the same. */
import type { Scenario } from '../types.js';
import { Draw, scenarioSeed } from './draw.js';
import { igmp } from './topics_igmp.js';
import { multicast } from './topics_multicast.js';
import { link, neigh, route, rule } from './topics_network.js';
import { pmtu } from './topics_pmtu.js';
import { icmp, receive } from './topics_receive.js';
import { args, checksum, control, cork, gso, mmsg, options, queue } from './topics_send.js';
import { bind, sndbuf, socket, sockopt } from './topics_socket.js';

type Generator = (d: Draw) => Scenario;

/** A scenario of another topic, whose calls are made without capabilities. */
function user(d: Draw): Scenario {
  const of = d.pick([args, control, options, cork, gso, pmtu, sockopt, mmsg, multicast]);
  const scenario = of(d);
  return { ...scenario, name: `${scenario.name}, unprivileged`, user: true };
}

/** Every topic with its share of a mixed run. */
const TOPICS: Readonly<Record<string, readonly [share: number, make: Generator]>> = {
  socket: [0.3, socket],
  sockopt: [1.5, sockopt],
  bind: [1.5, bind],
  sndbuf: [0.7, sndbuf],
  send: [1.5, args],
  cmsg: [1.5, control],
  options: [1.5, options],
  cork: [1.5, cork],
  gso: [1.5, gso],
  pmtu: [1.5, pmtu],
  checksum: [1, checksum],
  mmsg: [0.7, mmsg],
  errqueue: [1, queue],
  user: [0.7, user],
  route: [1.5, route],
  rule: [1.5, rule],
  link: [1.5, link],
  neigh: [1.5, neigh],
  icmp: [1.5, icmp],
  multicast: [1.5, multicast],
  receive: [1.5, receive],
  // Seconds of real time each.
  igmp: [0.02, igmp],
};

/** Groups of topics: `send` paths alone, and the network around them. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  all: Object.keys(TOPICS),
  datagram: [
    'socket',
    'sockopt',
    'bind',
    'sndbuf',
    'send',
    'cmsg',
    'options',
    'cork',
    'gso',
    'pmtu',
    'checksum',
    'mmsg',
    'errqueue',
    'user',
  ],
  network: ['route', 'rule', 'link', 'neigh', 'icmp', 'multicast', 'receive', 'igmp'],
};

/** The names that {@link topicsOf} knows. */
export const TOPIC_NAMES: readonly string[] = [...Object.keys(GROUPS), ...Object.keys(TOPICS)];

/** The topics that a comma-separated list of topics and groups names; null if it names an unknown one. */
export function topicsOf(text: string): readonly string[] | null {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => !TOPIC_NAMES.includes(name))) return null;
  return [...new Set(names.flatMap((name) => GROUPS[name] ?? [name]))];
}

/** The `index`-th random scenario of a seed, on one of the topics. */
export function generateScenario(seed: number, index: number, topics: readonly string[]): Scenario {
  const d = new Draw(scenarioSeed(seed, index));
  const topic = d.weighted(topics.map((name) => [TOPICS[name]![0], name] as const));
  const scenario = TOPICS[topic]![1](d);
  return { ...scenario, name: `${topic} ${seed}/${index}: ${scenario.name}` };
}
