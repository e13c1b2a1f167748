/**
 * Longest prefix match (`net/ipv4/fib_trie.c`): prefixes in a trie, routes as a list at each prefix, 12 bytes a route. A large table has an
 * index over its trie, so that a lookup costs a few memory accesses; the kernel widens its nodes for the same reason.
 *
 * A prefix's routes are in the kernel's order: table (higher first), TOS (higher first), priority (lower first), age (FIB-1). Where none of
 * them fits, the next shorter prefix is tried (FIB-2).
 */
import { EAGAIN } from '../uapi/errno.js';
import { RTNH_F_DEAD, RTNH_F_LINKDOWN } from '../uapi/rtnetlink.js';
import {
  FIB_LOOKUP_IGNORE_LINKSTATE,
  FIB_PROPS,
  type FibInfo,
  type FibNh,
  type FibResult,
  type FibTable,
} from './fib_types.js';
import type { Flowi4 } from './flow.js';
import { PrefixIndex } from './prefix_index.js';
import { grown, NODE_WORDS, TrieNodes } from './trie_nodes.js';

/** An alias is three words: next, fib_info, and `prefix length << 9 | accessed << 8 | dscp`. */
const ALIAS_WORDS = 3;
const ALIAS_ACCESSED = 1 << 8;
const PLEN_SHIFT = 9;

/**
 * Answers of the index are odd, `fib_info << 7 | prefix length << 1 | 1`, for a prefix with one route for every TOS, which is nearly every
 * prefix of a large table: the route itself need not be looked at. Else they are even: the first alias, doubled.
 */
const MAX_DIRECT_INFO = 1 << 23;

/** Number of routes from which a trie has an index. */
const INDEX_AT = 4096;

/** No route of a list fits; `throw`, which ends the search in this table, answers -EAGAIN (RULE-5). */
const NO_MATCH = 1;

export class FibTrie {
  readonly #nodes = new TrieNodes();
  #index: PrefixIndex | null = null;
  #aliases = new Int32Array(64 * ALIAS_WORDS);
  /** Next unused place, and the first of the given-back ones, linked by next. Place 0 is none. */
  #aliasEnd = 1;
  #aliasFree = 0;
  /** The routes on the way down to an address. */
  readonly #path = new Int32Array(34);
  readonly #infos: readonly (FibInfo | undefined)[];
  /** Routes in it. */
  size = 0;
  /** Which of several default routes is in use, by the first alias of their list (`fa_default`); -1 where absent. */
  readonly faDefault = new Map<number, number>();

  /** @param infos the namespace's fib_infos, by their index */
  constructor(infos: readonly (FibInfo | undefined)[]) {
    this.#infos = infos;
  }

  /** Bytes of its arrays. */
  get byteLength(): number {
    return this.#nodes.byteLength + this.#aliases.byteLength + (this.#index?.byteLength ?? 0);
  }

  // --- aliases ---

  aliasNext(alias: number): number {
    return this.#aliases[alias * ALIAS_WORDS]!;
  }
  aliasInfo(alias: number): FibInfo {
    return this.#infos[this.#aliases[alias * ALIAS_WORDS + 1]!]!;
  }
  aliasDscp(alias: number): number {
    return this.#aliases[alias * ALIAS_WORDS + 2]! & 0xff;
  }
  /** Some lookup used it (`FA_S_ACCESSED`): its end concerns cached routes. */
  aliasAccessed(alias: number): boolean {
    return (this.#aliases[alias * ALIAS_WORDS + 2]! & ALIAS_ACCESSED) !== 0;
  }
  setAccessed(alias: number): void {
    this.#aliases[alias * ALIAS_WORDS + 2]! |= ALIAS_ACCESSED;
  }
  /** Gives an alias of a prefix another fib_info; it has not been used so far. */
  setAlias(key: number, plen: number, alias: number, info: FibInfo): void {
    const at = alias * ALIAS_WORDS;
    this.#aliases[at + 1] = info.index;
    this.#aliases[at + 2]! &= ~ALIAS_ACCESSED;
    this.#index?.forget(key, plen);
  }

  // --- prefixes ---

  /** First alias of a prefix, 0 for none. */
  first(key: number, plen: number): number {
    const node = this.#nodes.find(key, plen);
    return node === 0 ? 0 : this.#nodes.value(node);
  }

  /** Puts a new alias behind `after` in its prefix's list, in front of all where `after` is 0. */
  insert(key: number, plen: number, after: number, info: FibInfo, dscp: number): number {
    let alias = this.#aliasFree;
    if (alias !== 0) this.#aliasFree = this.#aliases[alias * ALIAS_WORDS]!;
    else {
      alias = this.#aliasEnd++;
      if ((alias + 1) * ALIAS_WORDS > this.#aliases.length) this.#aliases = grown(this.#aliases);
    }
    const at = alias * ALIAS_WORDS;
    const aliases = this.#aliases;
    aliases[at + 1] = info.index;
    aliases[at + 2] = (plen << PLEN_SHIFT) | dscp;
    if (after === 0) {
      const node = this.#nodes.insert(key, plen);
      aliases[at] = this.#nodes.value(node);
      this.#nodes.setValue(node, alias);
    } else {
      aliases[at] = aliases[after * ALIAS_WORDS]!;
      aliases[after * ALIAS_WORDS] = alias;
    }
    this.#index?.forget(key, plen);
    this.size++;
    if (this.#index === null && this.size >= INDEX_AT)
      this.#index = new PrefixIndex(this.#nodes, (alias) => this.#answerOf(alias));
    return alias;
  }

  /** Takes an alias out of its prefix's list, and the prefix with its last alias. */
  remove(key: number, plen: number, alias: number): void {
    const aliases = this.#aliases;
    const next = aliases[alias * ALIAS_WORDS]!;
    const node = this.#nodes.find(key, plen);
    let prev = this.#nodes.value(node);
    if (prev === alias) {
      this.#nodes.setValue(node, next);
      if (next === 0) this.#nodes.remove(key, plen);
      this.#index?.forget(key, plen);
    } else {
      while (aliases[prev * ALIAS_WORDS] !== alias) prev = aliases[prev * ALIAS_WORDS]!;
      aliases[prev * ALIAS_WORDS] = next;
    }
    aliases[alias * ALIAS_WORDS] = this.#aliasFree;
    this.#aliasFree = alias;
    this.size--;
  }

  /**
   * Calls `visit` for every route, in the kernel's order: by network address, longer prefixes of the same address first, then as
   * in the list. Nothing may be inserted or removed meanwhile.
   */
  forEach(visit: (key: number, plen: number, alias: number) => void): void {
    const nodes = this.#nodes.words;
    const todo: number[] = this.#nodes.root === 0 ? [] : [this.#nodes.root];
    const chain: number[] = [];
    while (todo.length > 0) {
      chain.length = 0;
      const key = nodes[todo.at(-1)! * NODE_WORDS]!;
      let node = todo.pop()!;
      // The prefixes of one address lie along the first children.
      while (node !== 0 && nodes[node * NODE_WORDS] === key) {
        chain.push(node);
        node = nodes[node * NODE_WORDS + 1]!;
      }
      for (const shorter of chain) {
        const right = nodes[shorter * NODE_WORDS + 2]!;
        if (right !== 0) todo.push(right);
      }
      if (node !== 0) todo.push(node);
      for (let i = chain.length - 1; i >= 0; i--) {
        const meta = nodes[chain[i]! * NODE_WORDS + 3]!;
        for (let alias = meta >>> 6; alias !== 0; alias = this.aliasNext(alias))
          visit(key >>> 0, meta & 63, alias);
      }
    }
  }

  // --- lookup ---

  /**
   * The route of an address (`fib_table_lookup`, FIB-1..7). @returns 0 with `res` filled, -EAGAIN for none (or `throw`), or the
   * errno of an error route
   */
  lookup(tb: FibTable, flp: Flowi4, res: FibResult, flags: number): number {
    const key = flp.daddr | 0;
    let err: number;
    if (this.#index === null) err = this.#lookupFrom(this.#nodes.root, 0, key, flp, res, flags);
    else {
      const answer = this.#index.answer(key);
      if (answer === 0) return -EAGAIN;
      let from = 0;
      if (answer < 0) {
        from = -answer;
        err = this.#lookupFrom(from, 0, key, flp, res, flags);
      } else if ((answer & 1) !== 0) {
        err = lookupInfo(this.#infos[answer >>> 7]!, flp, res, flags);
        if (err === 0) {
          res.prefixlen = (answer >>> 1) & 63;
          res.dscp = 0;
          res.faHead = 0;
        }
      } else err = this.#lookupAliases(answer >>> 1, flp, res, flags);
      // Shorter prefixes than the index names.
      if (err === NO_MATCH) err = this.#lookupFrom(this.#nodes.root, from, key, flp, res, flags);
    }
    if (err === 0) {
      res.prefix = res.prefixlen === 0 ? 0 : (key & (-1 << (32 - res.prefixlen))) >>> 0;
      res.table = tb;
    }
    return err === NO_MATCH ? -EAGAIN : err;
  }

  /** Walks down from a node as far as node `until`, and back up over the prefixes on the way until a route fits. */
  #lookupFrom(from: number, until: number, key: number, flp: Flowi4, res: FibResult, flags: number): number {
    const nodes = this.#nodes.words;
    const path = this.#path;
    let depth = 0;
    for (let n = from; n !== until; ) {
      const at = n * NODE_WORDS;
      const meta = nodes[at + 3]!;
      const plen = meta & 63;
      if (plen !== 0 && (key ^ nodes[at]!) >>> (32 - plen) !== 0) break;
      if (meta > 63) path[depth++] = meta >>> 6;
      if (plen === 32) break;
      n = nodes[at + 1 + ((key >>> (31 - plen)) & 1)]!;
      if (n === 0) break;
    }
    while (depth > 0) {
      const err = this.#lookupAliases(path[--depth]!, flp, res, flags);
      if (err !== NO_MATCH) return err;
    }
    return NO_MATCH;
  }

  #lookupAliases(first: number, flp: Flowi4, res: FibResult, flags: number): number {
    const aliases = this.#aliases;
    for (let alias = first; alias !== 0; alias = aliases[alias * ALIAS_WORDS]!) {
      const at = alias * ALIAS_WORDS;
      const word = aliases[at + 2]!;
      const dscp = word & 0xff;
      // FIB-5
      if (dscp !== 0 && dscp !== (flp.tos & 0x1c)) continue;
      const fi = this.#infos[aliases[at + 1]!]!;
      if ((word & ALIAS_ACCESSED) === 0 && fi.scope >= flp.scope) aliases[at + 2] = word | ALIAS_ACCESSED;
      const err = lookupInfo(fi, flp, res, flags);
      if (err === NO_MATCH) continue;
      if (err === 0) {
        res.dscp = dscp;
        res.prefixlen = word >>> PLEN_SHIFT;
        res.faHead = first;
      }
      return err;
    }
    return NO_MATCH;
  }

  /** What the index says of a prefix, by its first alias. A route that it names counts as used from then on. */
  #answerOf(first: number): number {
    const at = first * ALIAS_WORDS;
    const word = this.#aliases[at + 2]!;
    const info = this.#aliases[at + 1]!;
    if (this.#aliases[at] !== 0 || (word & 0xff) !== 0 || info >= MAX_DIRECT_INFO) return first << 1;
    this.#aliases[at + 2] = word | ALIAS_ACCESSED;
    return (info << 7) | ((word >>> PLEN_SHIFT) << 1) | 1;
  }
}

/** A route, once its prefix and TOS fit: its error, or its first usable nexthop (FIB-2, FIB-6). */
function lookupInfo(fi: FibInfo, flp: Flowi4, res: FibResult, flags: number): number {
  if (fi.scope < flp.scope) return NO_MATCH;
  const err = FIB_PROPS[fi.type]!.error;
  if (err < 0) return err;
  if ((fi.flags & RTNH_F_DEAD) !== 0) return NO_MATCH;
  const nhs = fi.nhs;
  for (let i = 0; i < nhs.length; i++) {
    const nhc = nhs[i]!;
    if (!fibLookupGoodNhc(nhc, flags, flp)) continue;
    res.nhSel = i;
    res.nhc = nhc;
    res.type = fi.type;
    res.scope = fi.scope;
    res.fi = fi;
    return 0;
  }
  return NO_MATCH;
}

/** A nexthop may be used (`fib_lookup_good_nhc`, FIB-7). */
function fibLookupGoodNhc(nhc: FibNh, flags: number, flp: Flowi4): boolean {
  const state = nhc.flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN);
  if (state !== 0) {
    if ((state & RTNH_F_DEAD) !== 0) return false;
    if ((flags & FIB_LOOKUP_IGNORE_LINKSTATE) === 0 && ipIgnoreLinkdown(nhc)) return false;
  }
  return flp.oif === 0 || flp.oif === nhc.oif;
}

/** `ip_ignore_linkdown`: the device's sysctl or the one of `all`. */
export function ipIgnoreLinkdown(nhc: FibNh): boolean {
  const inDev = nhc.dev?.ipPtr ?? null;
  if (inDev === null) return false;
  return (inDev.cnf.ignoreRoutesWithLinkdown | inDev.dev.net!.sysctl.confAll.ignoreRoutesWithLinkdown) !== 0;
}
