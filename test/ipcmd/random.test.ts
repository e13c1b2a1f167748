/** A hundred random `ip` commands: the host and our stack answer alike to each, and are alike after it. */
import { afterEach, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/core/random.js';
import { type Answer, comparable, Host, NO_HOST, Ours } from './lab.js';
import { RandomCommands } from './random_commands.js';

const COMMANDS = 100;
const FIXED_SEEDS = [1, 2, 3, 4];
const NEW_SEED = Number(process.env.UDPTAP_SEED ?? Math.floor(Math.random() * 1e9));

const DUMPS = [
  'route show table all',
  'rule show',
  'addr show',
  'neigh show',
  'neigh show proxy',
  'link show',
];
const WAYS = [
  '10.9.0.1',
  '5.5.5.5',
  '8.8.8.8',
  '127.0.0.1',
  '10.9.0.255',
  '224.1.2.3',
  '1.2.3.4',
  '10.5.0.1',
];
const QUESTIONS = [
  '',
  ' from 10.9.0.2',
  ' oif tap0',
  ' oif tap1',
  ' mark 5',
  ' tos 0x10',
  ' from 10.9.0.1 iif tap0',
  ' fibmatch',
];

/** JSON as values, so that a difference is shown where it is. */
function parsed(answer: Answer): unknown {
  return answer.stdout.startsWith('[') ? { ...answer, stdout: JSON.parse(answer.stdout) } : answer;
}

interface Nexthop {
  readonly gateway?: string;
  readonly dev: string;
}

describe.skipIf(NO_HOST !== null)(`random commands on the host and here${NO_HOST ?? ''}`, () => {
  let open: { close(): void }[] = [];
  afterEach(() => {
    for (const side of open) side.close();
    open = [];
  });

  for (const seed of [...FIXED_SEEDS, NEW_SEED]) {
    it(`a hundred commands of seed ${seed}`, { timeout: 120_000 }, () => {
      const host = new Host();
      const ours = new Ours();
      open.push(host, ours);
      const commands = new RandomCommands(new SeededRandom(seed));
      const done: string[] = [];
      const same = (command: string): void => {
        const expected = parsed(comparable(command, host.ip(command)));
        const actual = parsed(comparable(command, ours.ip(command)));
        const before = done.map((line) => `ip ${line}`).join('\n');
        expect(actual, `seed ${seed}, after\n${before}\nip ${command}`).toEqual(expected);
      };
      // Of several nexthops a kernel takes one by a secret: then ours must be one of them.
      const sameWay = (question: string): void => {
        const ways = host.ip(`-j route get fibmatch ${question}`).stdout;
        if (!ways.includes('"nexthops"') || question.includes('fibmatch')) {
          same(`route get ${question}`);
          return;
        }
        const [answer] = JSON.parse(ours.ip(`-j route get ${question}`).stdout) as [Nexthop];
        const [{ nexthops }] = JSON.parse(ways) as [{ nexthops: Nexthop[] }];
        // A gateway that is an address of ours is no gateway on the way.
        const known = nexthops.some(
          (nh) => nh.dev === answer.dev && (answer.gateway ?? nh.gateway) === nh.gateway,
        );
        expect(known, `seed ${seed}: ip route get ${question}: ${JSON.stringify([answer, nexthops])}`).toBe(
          true,
        );
      };
      for (let i = 0; i < COMMANDS; i++) {
        const command = commands.next();
        same(command);
        done.push(command);
        expect(ours.dumps(DUMPS), `seed ${seed}, dumps after\n${done.join('\n')}`).toEqual(host.dumps(DUMPS));
      }
      for (const way of WAYS) for (const question of QUESTIONS) sameWay(`${way}${question}`);
    });
  }
});
