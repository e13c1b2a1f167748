/**
 * The prefixes of a routing table: a path-compressed binary trie in one typed array, a node for each prefix and for each fork, 16 bytes
 * a node. A large one keeps, for each value of the first 16 bits of an address, the deepest node that covers all of them: work
 * begins there instead of at the root.
 */

/** A node is four words: key, the two children, and `value << 6 | prefix length`; value 0 is a fork. */
export const NODE_WORDS = 4;

/** Number of nodes from which there are starting points. */
const STARTS_AT = 1 << 12;

export class TrieNodes {
  words = new Int32Array(64 * NODE_WORDS);
  root = 0;
  /** By the first 16 bits; null while the trie is small. */
  starts: Int32Array | null = null;
  /** Next unused place, and the first of the given-back ones, linked by the first child. Place 0 is none. */
  #end = 1;
  #free = 0;
  #count = 0;

  get byteLength(): number {
    return this.words.byteLength + (this.starts?.byteLength ?? 0);
  }

  /** Value of a node. */
  value(node: number): number {
    return this.words[node * NODE_WORDS + 3]! >>> 6;
  }
  setValue(node: number, value: number): void {
    const at = node * NODE_WORDS + 3;
    this.words[at] = (value << 6) | (this.words[at]! & 63);
  }

  /** The node of a prefix, 0 for none. */
  find(key: number, plen: number): number {
    const words = this.words;
    let n = this.#start(key, plen);
    while (n !== 0) {
      const at = n * NODE_WORDS;
      const nplen = words[at + 3]! & 63;
      if (nplen >= plen) return nplen === plen && words[at] === (key | 0) ? n : 0;
      if (nplen !== 0 && (key ^ words[at]!) >>> (32 - nplen) !== 0) return 0;
      n = words[at + 1 + ((key >>> (31 - nplen)) & 1)]!;
    }
    return 0;
  }

  /** Where the way to a prefix begins: a node that covers it, or the root. */
  #start(key: number, plen: number): number {
    return plen > 16 && this.starts !== null ? this.starts[key >>> 16]! || this.root : this.root;
  }

  /** The node of a prefix, made where there is none. */
  insert(key: number, plen: number): number {
    // Where the way to the new node is written: the root, or a word of the node above. A starting point is never replaced.
    let slot = -1;
    let n = this.#start(key, plen);
    while (n !== 0) {
      const at = n * NODE_WORDS;
      const nplen = this.words[at + 3]! & 63;
      const nkey = this.words[at]!;
      const common = Math.min(plen, nplen, Math.clz32(key ^ nkey));
      if (common < nplen) return this.#insertAbove(key, plen, { slot, below: n, common });
      if (plen === nplen) return n;
      slot = at + 1 + ((key >>> (31 - nplen)) & 1);
      n = this.words[slot]!;
    }
    const made = this.#newNode(key, plen);
    this.#attach(slot, made);
    this.#startsAdd(made);
    return made;
  }

  /** A new node, or a fork with a new node at one side, in the place of node `below`, with which it has `common` bits in common. */
  #insertAbove(
    key: number,
    plen: number,
    { slot, below, common }: { slot: number; below: number; common: number },
  ): number {
    const made = this.#newNode(key, plen);
    let top = made;
    if (common < plen) {
      top = this.#newNode(common === 0 ? 0 : key & (-1 << (32 - common)), common);
      this.words[top * NODE_WORDS + 1 + ((key >>> (31 - common)) & 1)] = made;
    }
    const belowKey = this.words[below * NODE_WORDS]!;
    this.words[top * NODE_WORDS + 1 + ((belowKey >>> (31 - common)) & 1)] = below;
    this.#attach(slot, top);
    if (top !== made) this.#startsAdd(top);
    this.#startsAdd(made);
    return made;
  }

  #newNode(key: number, plen: number): number {
    let n = this.#free;
    if (n !== 0) this.#free = this.words[n * NODE_WORDS + 1]!;
    else {
      n = this.#end++;
      if (n * NODE_WORDS >= this.words.length) this.words = grown(this.words);
    }
    const at = n * NODE_WORDS;
    this.words[at] = key;
    this.words[at + 1] = 0;
    this.words[at + 2] = 0;
    this.words[at + 3] = plen;
    this.#count++;
    return n;
  }

  #attach(slot: number, n: number): void {
    if (slot < 0) this.root = n;
    else this.words[slot] = n;
  }

  /** Removes a prefix whose value is gone, and the fork above it that is none any more. */
  remove(key: number, plen: number): void {
    const { words } = this;
    let slot = -1;
    let parentSlot = -1;
    let parent = 0;
    let n = this.root;
    while ((words[n * NODE_WORDS + 3]! & 63) !== plen) {
      const at = n * NODE_WORDS;
      parent = n;
      parentSlot = slot;
      slot = at + 1 + ((key >>> (31 - (words[at + 3]! & 63))) & 1);
      n = words[slot]!;
    }
    const left = words[n * NODE_WORDS + 1]!;
    const right = words[n * NODE_WORDS + 2]!;
    if (left !== 0 && right !== 0) return;
    const child = left !== 0 ? left : right;
    this.#attach(slot, child);
    this.#freeNode(n, parent);
    if (child !== 0 || parent === 0 || this.value(parent) !== 0) return;
    const sibling = words[parent * NODE_WORDS + 1] || words[parent * NODE_WORDS + 2]!;
    const grandparent = parentSlot < 0 ? 0 : Math.floor(parentSlot / NODE_WORDS);
    this.#attach(parentSlot, sibling);
    this.#freeNode(parent, grandparent);
  }

  #freeNode(n: number, parent: number): void {
    this.#startsRemove(n, parent);
    this.words[n * NODE_WORDS + 1] = this.#free;
    this.#free = n;
    this.#count--;
  }

  #startsAdd(n: number): void {
    if (this.starts === null) {
      if (this.#count >= STARTS_AT) this.#buildStarts();
      return;
    }
    const plen = this.words[n * NODE_WORDS + 3]! & 63;
    if (plen > 16) return;
    const begin = this.words[n * NODE_WORDS]! >>> 16;
    const end = begin + (1 << (16 - plen));
    for (let i = begin; i < end; i++) {
      const now = this.starts[i]!;
      if (now === 0 || (this.words[now * NODE_WORDS + 3]! & 63) < plen) this.starts[i] = n;
    }
  }

  #startsRemove(n: number, parent: number): void {
    const { starts } = this;
    const plen = this.words[n * NODE_WORDS + 3]! & 63;
    if (starts === null || plen > 16) return;
    const begin = this.words[n * NODE_WORDS]! >>> 16;
    const end = begin + (1 << (16 - plen));
    for (let i = begin; i < end; i++) if (starts[i] === n) starts[i] = parent;
  }

  #buildStarts(): void {
    const { words } = this;
    const starts = new Int32Array(1 << 16);
    this.starts = starts;
    const todo = [this.root];
    // Parents come before their children, so that the deepest one is written last.
    while (todo.length > 0) {
      const n = todo.pop()!;
      const at = n * NODE_WORDS;
      const plen = words[at + 3]! & 63;
      if (plen > 16) continue;
      const begin = words[at]! >>> 16;
      starts.fill(n, begin, begin + (1 << (16 - plen)));
      if (words[at + 1] !== 0) todo.push(words[at + 1]!);
      if (words[at + 2] !== 0) todo.push(words[at + 2]!);
    }
  }
}

/** Twice as large. */
export function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
