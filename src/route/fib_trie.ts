/**
 * Longest prefix match (`net/ipv4/fib_trie.c`): a path-compressed binary trie in typed arrays, one node for each prefix and for each
 * fork, 16 bytes a node and 16 bytes a route. A large trie gets an index by the first bits of an address, so that a lookup
 * begins near its end: the kernel widens its nodes for the same reason.
 *
 * A node's routes hang on it as a list in the kernel's order: table (higher first), TOS (higher first), priority (lower first),
 * age (FIB-1). Going up a prefix length means going up the path (FIB-2).
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

/** A node is four words: key, the two children, and `first alias << 6 | prefix length`. */
const NODE_WORDS = 4;
/** An alias is four words: next, fib_info, table id, and `accessed << 12 | type << 8 | dscp`. */
const ALIAS_WORDS = 4;
const ALIAS_ACCESSED = 1 << 12;

/** Number of nodes from which a trie has an index of so many bits. */
const INDEX_STEPS: readonly { readonly nodes: number; readonly bits: number }[] = [
  { nodes: 1 << 12, bits: 16 },
  { nodes: 1 << 18, bits: 20 },
];

export class FibTrie {
  #nodes = new Int32Array(64 * NODE_WORDS);
  #aliases = new Int32Array(64 * ALIAS_WORDS);
  /** Next unused place, and the head of the list of given-back ones (linked by the first child, or by next). Place 0 is none. */
  #nodeEnd = 1;
  #nodeFree = 0;
  #nodeCount = 0;
  #aliasEnd = 1;
  #aliasFree = 0;
  #root = 0;
  #index: Int32Array | null = null;
  #indexBits = 0;
  #nextIndexAt = INDEX_STEPS[0]!.nodes;
  /** The nodes with routes on the way down to an address. */
  readonly #path = new Int32Array(34);
  readonly #infos: readonly FibInfo[];
  /** Routes in it. */
  size = 0;
  /** Which of several default routes is in use, by the first alias of their list (`fa_default`); -1 where absent. */
  readonly faDefault = new Map<number, number>();

  /** @param infos the namespace's fib_infos, by their index */
  constructor(infos: readonly FibInfo[]) {
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
  aliasTbId(alias: number): number {
    return this.#aliases[alias * ALIAS_WORDS + 2]! >>> 0;
  }
  aliasType(alias: number): number {
    return (this.#aliases[alias * ALIAS_WORDS + 3]! >>> 8) & 15;
  }
  aliasDscp(alias: number): number {
    return this.#aliases[alias * ALIAS_WORDS + 3]! & 0xff;
  }
  /** Some lookup used it (`FA_S_ACCESSED`): its end concerns cached routes. */
  aliasAccessed(alias: number): boolean {
    return (this.#aliases[alias * ALIAS_WORDS + 3]! & ALIAS_ACCESSED) !== 0;
  }
  setAccessed(alias: number): void {
    this.#aliases[alias * ALIAS_WORDS + 3]! |= ALIAS_ACCESSED;
  }
  /** Gives an alias another fib_info and type; it has not been used so far. */
  setAlias(alias: number, info: FibInfo, type: number): void {
    const at = alias * ALIAS_WORDS;
    this.#aliases[at + 1] = info.index;
    this.#aliases[at + 3] = (this.#aliases[at + 3]! & 0xff) | (type << 8);
  }

  // --- prefixes ---

  /** First alias of a prefix, 0 for none. */
  first(key: number, plen: number): number {
    const node = this.#find(key, plen);
    return node === 0 ? 0 : this.#nodes[node * NODE_WORDS + 3]! >>> 6;
  }

  /** Puts a new alias behind `after` in its prefix's list, in front of all where `after` is 0. */
  insert(
    key: number,
    plen: number,
    after: number,
    info: FibInfo,
    type: number,
    tbId: number,
    dscp: number,
  ): number {
    let alias = this.#aliasFree;
    if (alias !== 0) this.#aliasFree = this.#aliases[alias * ALIAS_WORDS]!;
    else {
      alias = this.#aliasEnd++;
      if (alias * ALIAS_WORDS >= this.#aliases.length) this.#aliases = grown(this.#aliases);
    }
    const at = alias * ALIAS_WORDS;
    const aliases = this.#aliases;
    aliases[at + 1] = info.index;
    aliases[at + 2] = tbId;
    aliases[at + 3] = (type << 8) | dscp;
    const node = this.#insertNode(key, plen) * NODE_WORDS;
    if (after === 0) {
      aliases[at] = this.#nodes[node + 3]! >>> 6;
      this.#nodes[node + 3] = (alias << 6) | plen;
    } else {
      aliases[at] = aliases[after * ALIAS_WORDS]!;
      aliases[after * ALIAS_WORDS] = alias;
    }
    this.size++;
    return alias;
  }

  /** Takes an alias out of its prefix's list, and the prefix with its last alias. */
  remove(key: number, plen: number, alias: number): void {
    const aliases = this.#aliases;
    const next = aliases[alias * ALIAS_WORDS]!;
    const node = this.#find(key, plen);
    const at = node * NODE_WORDS;
    let prev = this.#nodes[at + 3]! >>> 6;
    if (prev === alias) {
      this.#nodes[at + 3] = (next << 6) | plen;
      if (next === 0) this.#removeNode(key, plen);
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
    const nodes = this.#nodes;
    const todo: number[] = this.#root === 0 ? [] : [this.#root];
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
    const index = this.#index;
    if (index === null) {
      const err = this.#lookupFrom(this.#root, 0, key, tb, flp, res, flags);
      return err === NO_MATCH ? -EAGAIN : err;
    }
    const start = index[key >>> (32 - this.#indexBits)]!;
    let err = NO_MATCH;
    if (start !== 0) {
      err = this.#lookupFrom(start, 0, key, tb, flp, res, flags);
      // Shorter prefixes than where the index points to.
      if (err === NO_MATCH) err = this.#lookupFrom(this.#root, start, key, tb, flp, res, flags);
    }
    return err === NO_MATCH ? -EAGAIN : err;
  }

  #lookupFrom(
    from: number,
    until: number,
    key: number,
    tb: FibTable,
    flp: Flowi4,
    res: FibResult,
    flags: number,
  ): number {
    const nodes = this.#nodes;
    const path = this.#path;
    let depth = 0;
    for (let n = from; n !== until; ) {
      const at = n * NODE_WORDS;
      const meta = nodes[at + 3]!;
      const plen = meta & 63;
      if (plen !== 0 && (key ^ nodes[at]!) >>> (32 - plen) !== 0) break;
      if (meta > 63) path[depth++] = n;
      if (plen === 32) break;
      n = nodes[at + 1 + ((key >>> (31 - plen)) & 1)]!;
      if (n === 0) break;
    }
    while (depth > 0) {
      const at = path[--depth]! * NODE_WORDS;
      const meta = nodes[at + 3]!;
      const err = this.#lookupAliases(meta >>> 6, flp, res, flags);
      if (err === NO_MATCH) continue;
      if (err === 0) {
        res.prefix = nodes[at]! >>> 0;
        res.prefixlen = meta & 63;
        res.faHead = meta >>> 6;
        res.table = tb;
      }
      return err;
    }
    return NO_MATCH;
  }

  #lookupAliases(first: number, flp: Flowi4, res: FibResult, flags: number): number {
    const aliases = this.#aliases;
    for (let alias = first; alias !== 0; alias = aliases[alias * ALIAS_WORDS]!) {
      const at = alias * ALIAS_WORDS;
      const word = aliases[at + 3]!;
      const dscp = word & 0xff;
      // FIB-5
      if (dscp !== 0 && dscp !== (flp.tos & 0x1c)) continue;
      const fi = this.#infos[aliases[at + 1]!]!;
      // FIB-6
      if (fi.scope < flp.scope) continue;
      if ((word & ALIAS_ACCESSED) === 0) aliases[at + 3] = word | ALIAS_ACCESSED;
      const type = (word >>> 8) & 15;
      const err = FIB_PROPS[type]!.error;
      if (err < 0) return err;
      if ((fi.flags & RTNH_F_DEAD) !== 0) continue;
      const nhs = fi.nhs;
      for (let i = 0; i < nhs.length; i++) {
        const nhc = nhs[i]!;
        if (!fibLookupGoodNhc(nhc, flags, flp)) continue;
        res.nhSel = i;
        res.nhc = nhc;
        res.type = type;
        res.scope = fi.scope;
        res.dscp = dscp;
        res.fi = fi;
        res.aliasTbId = aliases[at + 2]! >>> 0;
        return 0;
      }
    }
    return NO_MATCH;
  }

  // --- nodes ---

  #find(key: number, plen: number): number {
    const nodes = this.#nodes;
    let n = this.#root;
    while (n !== 0) {
      const at = n * NODE_WORDS;
      const nplen = nodes[at + 3]! & 63;
      if (nplen >= plen) return nplen === plen && nodes[at] === (key | 0) ? n : 0;
      if (nplen !== 0 && (key ^ nodes[at]!) >>> (32 - nplen) !== 0) return 0;
      n = nodes[at + 1 + ((key >>> (31 - nplen)) & 1)]!;
    }
    return 0;
  }

  #newNode(key: number, plen: number): number {
    let n = this.#nodeFree;
    if (n !== 0) this.#nodeFree = this.#nodes[n * NODE_WORDS + 1]!;
    else {
      n = this.#nodeEnd++;
      if (n * NODE_WORDS >= this.#nodes.length) this.#nodes = grown(this.#nodes);
    }
    const at = n * NODE_WORDS;
    this.#nodes[at] = key;
    this.#nodes[at + 1] = 0;
    this.#nodes[at + 2] = 0;
    this.#nodes[at + 3] = plen;
    this.#nodeCount++;
    return n;
  }

  #insertNode(key: number, plen: number): number {
    // Where the way to the new node is written: the root, or a word of the node above.
    let slot = -1;
    let n = this.#root;
    while (n !== 0) {
      const at = n * NODE_WORDS;
      const nplen = this.#nodes[at + 3]! & 63;
      const nkey = this.#nodes[at]!;
      const common = Math.min(plen, nplen, Math.clz32(key ^ nkey));
      if (common < nplen) {
        const made = this.#newNode(key, plen);
        let top = made;
        if (common < plen) {
          top = this.#newNode(common === 0 ? 0 : key & (-1 << (32 - common)), common);
          this.#nodes[top * NODE_WORDS + 1 + ((key >>> (31 - common)) & 1)] = made;
        }
        this.#nodes[top * NODE_WORDS + 1 + ((nkey >>> (31 - common)) & 1)] = n;
        this.#attach(slot, top);
        if (top !== made) this.#indexAdd(top);
        this.#indexAdd(made);
        return made;
      }
      if (plen === nplen) return n;
      slot = at + 1 + ((key >>> (31 - nplen)) & 1);
      n = this.#nodes[slot]!;
    }
    const made = this.#newNode(key, plen);
    this.#attach(slot, made);
    this.#indexAdd(made);
    return made;
  }

  #attach(slot: number, n: number): void {
    if (slot < 0) this.#root = n;
    else this.#nodes[slot] = n;
  }

  /** Removes a node without routes, and the fork above it that is none any more. */
  #removeNode(key: number, plen: number): void {
    const nodes = this.#nodes;
    let slot = -1;
    let parentSlot = -1;
    let parent = 0;
    let n = this.#root;
    while ((nodes[n * NODE_WORDS + 3]! & 63) !== plen) {
      const at = n * NODE_WORDS;
      parent = n;
      parentSlot = slot;
      slot = at + 1 + ((key >>> (31 - (nodes[at + 3]! & 63))) & 1);
      n = nodes[slot]!;
    }
    const left = nodes[n * NODE_WORDS + 1]!;
    const right = nodes[n * NODE_WORDS + 2]!;
    if (left !== 0 && right !== 0) return;
    const child = left !== 0 ? left : right;
    this.#attach(slot, child);
    this.#freeNode(n, parent);
    if (child !== 0 || parent === 0 || nodes[parent * NODE_WORDS + 3]! > 63) return;
    const at = parent * NODE_WORDS;
    const sibling = nodes[at + 1] !== 0 ? nodes[at + 1]! : nodes[at + 2]!;
    let grandparent = 0;
    if (parentSlot >= 0) grandparent = Math.floor(parentSlot / NODE_WORDS);
    this.#attach(parentSlot, sibling);
    this.#freeNode(parent, grandparent);
  }

  #freeNode(n: number, parent: number): void {
    this.#indexRemove(n, parent);
    this.#nodes[n * NODE_WORDS + 1] = this.#nodeFree;
    this.#nodeFree = n;
    this.#nodeCount--;
  }

  // --- index: for each value of the first bits the deepest node that covers all addresses with them ---

  #indexAdd(n: number): void {
    if (this.#nodeCount >= this.#nextIndexAt) {
      this.#buildIndex();
      return;
    }
    const index = this.#index;
    if (index === null) return;
    const nodes = this.#nodes;
    const bits = this.#indexBits;
    const plen = nodes[n * NODE_WORDS + 3]! & 63;
    if (plen > bits) return;
    const begin = nodes[n * NODE_WORDS]! >>> (32 - bits);
    const end = begin + (1 << (bits - plen));
    for (let i = begin; i < end; i++) {
      const now = index[i]!;
      if (now === 0 || (nodes[now * NODE_WORDS + 3]! & 63) < plen) index[i] = n;
    }
  }

  #indexRemove(n: number, parent: number): void {
    const index = this.#index;
    if (index === null) return;
    const bits = this.#indexBits;
    const plen = this.#nodes[n * NODE_WORDS + 3]! & 63;
    if (plen > bits) return;
    const begin = this.#nodes[n * NODE_WORDS]! >>> (32 - bits);
    const end = begin + (1 << (bits - plen));
    for (let i = begin; i < end; i++) if (index[i] === n) index[i] = parent;
  }

  #buildIndex(): void {
    const step = INDEX_STEPS.findLastIndex(({ nodes }) => this.#nodeCount >= nodes);
    const bits = INDEX_STEPS[step]!.bits;
    this.#nextIndexAt = INDEX_STEPS[step + 1]?.nodes ?? Infinity;
    this.#indexBits = bits;
    const index = new Int32Array(1 << bits);
    this.#index = index;
    const nodes = this.#nodes;
    const todo = [this.#root];
    // Parents come before their children, so that the deepest one is written last.
    while (todo.length > 0) {
      const n = todo.pop()!;
      const at = n * NODE_WORDS;
      const plen = nodes[at + 3]! & 63;
      if (plen > bits) continue;
      const begin = nodes[at]! >>> (32 - bits);
      index.fill(n, begin, begin + (1 << (bits - plen)));
      if (nodes[at + 1] !== 0) todo.push(nodes[at + 1]!);
      if (nodes[at + 2] !== 0) todo.push(nodes[at + 2]!);
    }
  }
}

/** No route of a list fits; `throw`, which ends the search in this table, answers -EAGAIN (RULE-5). */
const NO_MATCH = 1;

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.ceil((array.length * 1.5) / NODE_WORDS) * NODE_WORDS);
  larger.set(array);
  return larger;
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

/** `ip_ignore_linkdown` */
export function ipIgnoreLinkdown(nhc: FibNh): boolean {
  const inDev = nhc.dev?.ipPtr ?? null;
  return inDev !== null && inDev.cnf.ignoreRoutesWithLinkdown !== 0;
}
