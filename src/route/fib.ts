/** All routing tables of a namespace, and the fib_infos that their routes share. */
import type { NetDevice } from '../dev/net_device.js';
import { RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN } from '../uapi/rtnetlink.js';
import { fibInfoEqual } from './fib_semantics.js';
import { FibTrie } from './fib_trie.js';
import { type FibInfo, FibResult, FibTable } from './fib_types.js';
import { Flowi4 } from './flow.js';

export class Fib {
  /** By index; place 0 is none, empty places are free. */
  readonly infos: (FibInfo | undefined)[] = [];
  readonly #freeInfos: number[] = [];
  readonly #infoHash = new Map<number, FibInfo[]>();
  readonly #infosByDev = new Map<NetDevice, Set<FibInfo>>();
  readonly #tables = new Map<number, FibTable>();
  /** The two tables that a lookup without rules goes through (`fib_main`, `fib_default`); null until they are used. */
  main: FibTable | null = null;
  default: FibTable | null = null;
  /** There are, or were, rules beside the three default ones (RULE-1). */
  hasCustomRules = false;
  /** A `local` route was added by hand: addresses alone do not say what is ours any more. */
  hasCustomLocalRoutes = false;
  /** Age of exceptions, as a running number. */
  fnheStamps = 0;
  /** Used by one lookup at a time, so that nothing is allocated for it. */
  readonly addrFlow = new Flowi4();
  readonly addrResult = new FibResult();
  readonly outputResult = new FibResult();

  constructor() {
    this.infos.length = 1;
  }

  /** `fib_get_table`; 0 is main. */
  getTable(id: number): FibTable | null {
    return this.#tables.get(id === 0 ? RT_TABLE_MAIN : id) ?? null;
  }

  /** `fib_new_table`: local shares main's trie as long as nobody has rules of their own. */
  newTable(asked: number): FibTable {
    const id = asked === 0 ? RT_TABLE_MAIN : asked;
    const existing = this.#tables.get(id);
    if (existing !== undefined) return existing;
    const alias = id === RT_TABLE_LOCAL && !this.hasCustomRules ? this.newTable(RT_TABLE_MAIN) : null;
    const table = new FibTable(id, alias?.trie ?? new FibTrie(this.infos));
    this.#tables.set(id, table);
    if (id === RT_TABLE_MAIN) this.main = table;
    else if (id === RT_TABLE_DEFAULT) this.default = table;
    return table;
  }

  /** The lowest number that no table has (`fib_empty_table`); null where all up to 255 are in use. */
  emptyTable(): FibTable | null {
    for (let id = 1; id <= RT_TABLE_LOCAL; id++) if (!this.#tables.has(id)) return this.newTable(id);
    return null;
  }

  /** The tables in the kernel's order of dumping: by the low byte of their number, newest first within one. */
  tables(): FibTable[] {
    const newestFirst = [...this.#tables.values()].reverse();
    return newestFirst.sort((a, b) => (a.id & 255) - (b.id & 255));
  }

  /** Gives the local table a trie of its own (`fib_unmerge`): from now on the rules' order decides between local and main. */
  unmerge(): void {
    const local = this.#tables.get(RT_TABLE_LOCAL);
    const main = this.#tables.get(RT_TABLE_MAIN);
    if (local === undefined || main === undefined || local.trie !== main.trie) return;
    const shared = main.trie;
    const moved: { key: number; plen: number; alias: number }[] = [];
    shared.forEach((key, plen, alias) => {
      if (shared.aliasInfo(alias).tbId === RT_TABLE_LOCAL) moved.push({ key, plen, alias });
    });
    local.trie = new FibTrie(this.infos);
    let last = { key: -1, plen: -1, alias: 0 };
    for (const { key, plen, alias } of moved) {
      const after = last.key === key && last.plen === plen ? last.alias : 0;
      const info = shared.aliasInfo(alias);
      const made = local.trie.insert(key, plen, after, info, shared.aliasDscp(alias));
      last = { key, plen, alias: made };
      shared.remove(key, plen, alias);
    }
  }

  /** Puts a new fib_info into use, or takes an equal one that is in use already (`fib_create_info`'s end). */
  linkInfo(fi: FibInfo): FibInfo {
    fi.hash = infoHash(fi);
    const chain = this.#infoHash.get(fi.hash);
    if (chain !== undefined) {
      for (const other of chain) {
        if (!fibInfoEqual(other, fi)) continue;
        other.treeref++;
        return other;
      }
      chain.unshift(fi);
    } else this.#infoHash.set(fi.hash, [fi]);
    fi.treeref = 1;
    fi.index = this.#freeInfos.pop() ?? this.infos.length;
    this.infos[fi.index] = fi;
    for (const { dev } of fi.nhs) {
      if (dev === null) continue;
      const users = this.#infosByDev.get(dev);
      if (users === undefined) this.#infosByDev.set(dev, new Set([fi]));
      else users.add(fi);
    }
    return fi;
  }

  /** One route less uses it (`fib_release_info`); with the last one go its cached routes and exceptions (ROUTE-41). */
  releaseInfo(fi: FibInfo): void {
    if (--fi.treeref > 0) return;
    fi.dead = true;
    const chain = this.#infoHash.get(fi.hash)!;
    chain.splice(chain.indexOf(fi), 1);
    if (chain.length === 0) this.#infoHash.delete(fi.hash);
    for (const nh of fi.nhs) {
      // A route that is held on to elsewhere is stale from now on (rt_fibinfo_free).
      if (nh.rthOutput !== null) nh.rthOutput.killed = true;
      if (nh.rthInput !== null) nh.rthInput.killed = true;
      nh.rthOutput = null;
      nh.rthInput = null;
      for (const bucket of nh.exceptions?.values() ?? []) {
        for (const fnhe of bucket) fnhe.flushRoutes();
      }
      nh.exceptions = null;
      if (nh.dev === null) continue;
      const users = this.#infosByDev.get(nh.dev);
      users?.delete(fi);
      if (users?.size === 0) this.#infosByDev.delete(nh.dev);
    }
    // A place may be given to another fib_info: no route refers to it any more.
    this.#freeInfos.push(fi.index);
    this.infos[fi.index] = undefined;
  }

  /** Every fib_info with a nexthop on a device. */
  infosOf(dev: NetDevice): readonly FibInfo[] {
    return [...(this.#infosByDev.get(dev) ?? [])];
  }
}

function infoHash(fi: FibInfo): number {
  let hash = Math.imul(fi.protocol | (fi.scope << 8) | (fi.type << 16), 0x9e3779b1) ^ fi.prefsrc;
  hash = Math.imul(hash, 0x85ebca6b) ^ fi.priority;
  hash = Math.imul(hash, 0x85ebca6b) ^ fi.tbId;
  for (const nh of fi.nhs) {
    hash = Math.imul(hash, 0x85ebca6b) ^ nh.oif;
    hash = Math.imul(hash, 0xc2b2ae35) ^ nh.gw;
  }
  return hash | 0;
}
