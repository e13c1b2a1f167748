import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/core/random.js';
import { FibTrie } from '../../src/route/fib_trie.js';
import { FibInfo, FibNh, FibResult, FibTable } from '../../src/route/fib_types.js';
import { Flowi4 } from '../../src/route/flow.js';
import { RTN_UNICAST, RTN_UNREACHABLE } from '../../src/uapi/rtnetlink.js';
import { type NaiveRoute, naiveLookup, naiveOrder } from './naive_fib.js';

/** A trie and the list that it must equal, kept in step. */
class Twin {
  readonly infos: FibInfo[] = [];
  readonly trie = new FibTrie(this.infos);
  readonly table = new FibTable(254, this.trie);
  routes: (NaiveRoute & { alias: number })[] = [];
  #age = 0;

  constructor() {
    this.infos.length = 1;
  }

  info(kind: number): FibInfo {
    const found = this.infos.find((fi) => fi?.hash === kind);
    if (found !== undefined) return found;
    const nh = new FibNh();
    nh.oif = (kind % 3) + 1;
    const type = kind % 11 === 10 ? RTN_UNREACHABLE : RTN_UNICAST;
    const fi = new FibInfo(3, kind % 5 === 4 ? 253 : 0, 0, kind % 4, 0, type, 254, null, [nh]);
    fi.hash = kind;
    fi.index = this.infos.length;
    this.infos.push(fi);
    return fi;
  }

  add(addr: number, plen: number, dscp: number, kind: number): void {
    const key = plen === 0 ? 0 : (addr & (-1 << (32 - plen))) >>> 0;
    const info = this.info(kind);
    const route = { key, plen, dscp, info, age: this.#age++, alias: 0 };
    const same = this.routes.filter((r) => r.key === key && r.plen === plen);
    const before = same.filter((r) => naiveOrder(r, route) < 0).sort(naiveOrder);
    route.alias = this.trie.insert(key, plen, before.at(-1)?.alias ?? 0, info, dscp);
    this.routes.push(route);
  }

  remove(which: number): void {
    const [route] = this.routes.splice(which % Math.max(1, this.routes.length), 1);
    if (route !== undefined) this.trie.remove(route.key, route.plen, route.alias);
  }

  compare(fl4: Flowi4): void {
    const res = new FibResult();
    const err = this.trie.lookup(this.table, fl4, res, 0);
    const naive = naiveLookup(this.routes, fl4);
    expect(err).toBe(naive.err);
    if (naive.route === null) return;
    const { key, plen, dscp, info } = naive.route;
    expect([res.prefix, res.prefixlen, res.dscp, res.fi]).toEqual([key, plen, dscp, info]);
  }
}

function flow(daddr: number, tos: number, scope: number, oif: number): Flowi4 {
  const fl4 = new Flowi4();
  Object.assign(fl4, { daddr: daddr >>> 0, tos, scope, oif });
  return fl4;
}

/** Addresses that share many bits. */
const address = fc
  .tuple(
    fc.constantFrom(0, 0x0a000000, 0x0a010000, 0xc0a80000, 0xffff0000),
    fc.nat(0x1ff),
    fc.constantFrom(0, 1, 24),
  )
  .map(([base, low, shift]) => (base ^ (low << shift)) >>> 0);
const change = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      addr: address,
      plen: fc.nat(32),
      dscp: fc.constantFrom(0, 0, 0x10, 0x08),
      kind: fc.nat(21),
    }),
  },
  { weight: 1, arbitrary: fc.record({ remove: fc.nat(1000) }) },
);

describe('the trie equals a list of routes', () => {
  it('in every lookup after every change', () => {
    const lookup = fc.record({
      daddr: address,
      tos: fc.constantFrom(0, 0x10, 0x08, 0xb0),
      scope: fc.constantFrom(0, 0, 253),
      oif: fc.constantFrom(0, 0, 1, 2),
    });
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 60 }),
        fc.array(lookup, { minLength: 5, maxLength: 20 }),
        (changes, lookups) => {
          const twin = new Twin();
          for (const step of changes) {
            if ('remove' in step) twin.remove(step.remove);
            else twin.add(step.addr, step.plen, step.dscp, step.kind);
          }
          for (const { daddr, tos, scope, oif } of lookups) twin.compare(flow(daddr, tos, scope, oif));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('when it is large enough for an index, and while routes come and go', () => {
    const random = new SeededRandom(4);
    const twin = new Twin();
    // 16 networks, so that prefixes lie within each other; a few shorter than /16 and longer than /24.
    const some = (): number =>
      ((random.u32() % 16) << 28) | (random.u32() & 0x000fffff) | ((random.u32() % 4) << 20);
    for (let i = 0; i < 6000; i++) {
      const plen = [0, 4, 8, 12, 15, 16, 17, 20, 24, 24, 24, 25, 28, 32][random.u32() % 14]!;
      twin.add(some(), plen, random.u32() % 20 === 0 ? 0x10 : 0, random.u32() % 22);
    }
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 60; i++)
        twin.compare(flow(some(), i % 7 === 0 ? 0x10 : 0, i % 11 === 0 ? 253 : 0, i % 5 === 0 ? 1 : 0));
      for (let i = 0; i < 40; i++) twin.remove(random.u32());
      for (let i = 0; i < 40; i++)
        twin.add(some(), [0, 8, 14, 16, 19, 24, 30, 32][random.u32() % 8]!, 0, random.u32() % 22);
    }
  });

  it('lists in the order of addresses, longer prefixes of one address first', () => {
    const twin = new Twin();
    for (const [addr, plen] of [
      [0x0a000000, 8],
      [0x0a000000, 24],
      [0, 0],
      [0x0a000100, 24],
      [0x0a000000, 32],
      [0, 1],
    ] as const) {
      twin.add(addr, plen, 0, 0);
    }
    const listed: string[] = [];
    twin.trie.forEach((key, plen) => {
      listed.push(`${key.toString(16)}/${plen}`);
    });
    expect(listed).toEqual(['0/1', '0/0', 'a000000/32', 'a000000/24', 'a000000/8', 'a000100/24']);
  });

  it('is empty again when every route is gone', () => {
    const random = new SeededRandom(9);
    const twin = new Twin();
    for (let i = 0; i < 5000; i++) twin.add(random.u32(), random.u32() % 33, 0, random.u32() % 22);
    for (let i = 0; i < 200; i++) twin.compare(flow(random.u32(), 0, 0, 0));
    while (twin.routes.length > 0) twin.remove(random.u32());
    expect(twin.trie.size).toBe(0);
    for (let i = 0; i < 200; i++) twin.compare(flow(random.u32(), 0, 0, 0));
    twin.add(0x0a000000, 8, 0, 0);
    twin.compare(flow(0x0a010203, 0, 0, 0));
  });
});
