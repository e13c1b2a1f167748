/**
 * Random networks on the host's kernel and on our stack: the same changes, the same questions, the same lists. Where several
 * nexthops could be taken the choice is random on both sides, and the entry that was found is compared instead.
 */
import { describe, expect, it } from 'vitest';
import { HostSide, NO_HOST, OurSide, type Side } from './lab.js';
import { RandomNet } from './random_net.js';

const FIRST_SEED = Number(process.env.ROUTE_SEED ?? 1);
const SEEDS = Number(process.env.ROUTE_SEEDS ?? 25);

const LISTS = ['-4 route show table all', 'rule', '-4 addr'];

function wording(answer: string): string {
  return answer
    .replace(/Warning: Executing wildcard deletion.*?fix your scripts! ?/g, '')
    .replace('RTNETLINK answers: ', '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Without what differs between the machines: link lines, and how a mark of zero is written. */
function listing(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trimEnd().replace('fwmark 0/', 'fwmark 0x0/'))
    .filter((line) => line !== '' && !/^\d+: \w+: </.test(line));
}

function sameEntry(question: string, host: Side, ours: Side): boolean {
  const entry = [`${question.replace(' fibmatch', '')} fibmatch`];
  const [theirs] = host.run(entry);
  return /nexthop/.test(theirs!) && wording(theirs!) === wording(ours.run(entry)[0]!);
}

describe.skipIf(NO_HOST !== null)(`as the host's kernel${NO_HOST === null ? '' : ` (${NO_HOST})`}`, () => {
  it.each(Array.from({ length: SEEDS }, (_, i) => FIRST_SEED + i))('random network %i', (seed) => {
    const random = new RandomNet(seed);
    const rules = random.chance(50);
    const changes = ['lo', 'tap0', 'tap1', 'tap2']
      .filter(() => !random.chance(5))
      .map((dev) => `link set ${dev} up`);
    for (let i = 10 + random.below(60); i > 0; i--) changes.push(random.change(rules));
    const questions = Array.from({ length: 60 }, () => random.get());
    const host = new HostSide();
    const ours = new OurSide();
    try {
      // Each part in a process of its own: `ip` remembers devices that are gone.
      const gone = random.chance(15) ? ['link del tap2'] : [];
      for (const commands of [changes, gone, questions]) {
        const theirs = host.run(commands);
        ours.run(commands).forEach((answer, i) => {
          const command = commands[i]!;
          if (wording(answer) === wording(theirs[i]!)) return;
          if (commands === questions && sameEntry(command, host, ours)) return;
          expect({ command, answer }).toEqual({ command, answer: theirs[i]! });
        });
      }
      for (const list of LISTS) expect(listing(ours.list(list))).toEqual(listing(host.list(list)));
    } finally {
      host.close();
      ours.close();
    }
  });
});
