/**
 * Which prefix an address belongs to, in a few memory accesses whatever the size of the table. The addresses are cut into 65536 chunks by
 * their first 16 bits; a chunk is made when it is first asked for, from the trie, and forgotten when a prefix in it comes or goes.
 * In a chunk the 256 values of the next 8 bits are cells; neighbouring cells mostly agree, so that a chunk holds a bit for each cell
 * at which the answer changes, and the answers.
 */
import { grown, NODE_WORDS, type TrieNodes } from './trie_nodes.js';

/** A record: 256 bits, 8 bytes of "answers before this word", then the answers. */
const BIT_WORDS = 8;
const HEAD_WORDS = BIT_WORDS + 2;
const CELLS = 256;
/** Words of records from which on making room is worth the forgetting of all of them. */
const FULL = 1 << 16;

export class PrefixIndex {
  readonly #nodes: TrieNodes;
  readonly #answerOf: (value: number) => number;
  /** By chunk: 0 not made, `-1 - answer` where all of it has one answer, else the place of its record. */
  readonly #chunks = new Int32Array(1 << 16);
  #records = new Int32Array(1 << 12);
  #end = 1;
  /** Words of records that have been forgotten. */
  #garbage = 0;
  readonly #cells = new Int32Array(CELLS);
  readonly #todo: number[] = [];

  /**
   * @param nodes the trie; its values are the caller's
   * @param answerOf what to answer for a value, not 0 and not negative; asked once for each chunk
   */
  constructor(nodes: TrieNodes, answerOf: (value: number) => number) {
    this.#nodes = nodes;
    this.#answerOf = answerOf;
  }

  get byteLength(): number {
    return this.#chunks.byteLength + this.#records.byteLength;
  }

  /**
   * What covers an address: the answer for its longest prefix up to /24, 0 for none, or, where there are longer ones nearby, minus
   * the node at which to search on.
   */
  answer(key: number): number {
    let at = this.#chunks[key >>> 16]!;
    if (at === 0) at = this.#make(key >>> 16);
    if (at < 0) return -1 - at;
    const records = this.#records;
    const word = (key >>> 13) & 7;
    const bits = records[at + word]! & ((2 << ((key >>> 8) & 31)) - 1);
    const before = (records[at + BIT_WORDS + (word >> 2)]! >>> ((word & 3) << 3)) & 255;
    return records[at + HEAD_WORDS + before + popcount(bits) - 1]!;
  }

  /** A prefix came, went, or changed its value. */
  forget(key: number, plen: number): void {
    const chunks = this.#chunks;
    const begin = key >>> 16;
    const end = plen >= 16 ? begin + 1 : begin + (1 << (16 - plen));
    for (let i = begin; i < end; i++) {
      const at = chunks[i]!;
      if (at === 0) continue;
      if (at > 0) this.#garbage += this.#size(at);
      chunks[i] = 0;
    }
  }

  #size(at: number): number {
    const before = this.#records[at + BIT_WORDS + 1]! >>> 24;
    return HEAD_WORDS + before + popcount(this.#records[at + BIT_WORDS - 1]!);
  }

  #make(chunk: number): number {
    const cells = this.#cells;
    this.#fill(chunk);
    let runs = 1;
    for (let i = 1; i < CELLS; i++) if (cells[i] !== cells[i - 1]) runs++;
    if (runs === 1 && cells[0]! >= 0) {
      this.#chunks[chunk] = -1 - cells[0]!;
      return -1 - cells[0]!;
    }
    const at = this.#room(HEAD_WORDS + runs);
    const records = this.#records;
    records.fill(0, at, at + HEAD_WORDS);
    let count = 0;
    for (let i = 0; i < CELLS; i++) {
      const word = i >> 5;
      if ((i & 31) === 0) records[at + BIT_WORDS + (word >> 2)]! |= count << ((word & 3) << 3);
      if (i > 0 && cells[i] === cells[i - 1]) continue;
      records[at + word]! |= 1 << (i & 31);
      records[at + HEAD_WORDS + count] = cells[i]!;
      count++;
    }
    this.#chunks[chunk] = at;
    return at;
  }

  /** Finds the answers of a chunk's cells. */
  #fill(chunk: number): void {
    const { words } = this.#nodes;
    const cells = this.#cells;
    const key = chunk << 16;
    const todo = this.#todo;
    let covering = 0;
    let n = this.#nodes.root;
    while (n !== 0) {
      const at = n * NODE_WORDS;
      const plen = words[at + 3]! & 63;
      if (plen > 16 || (plen !== 0 && (key ^ words[at]!) >>> (32 - plen) !== 0)) break;
      if (words[at + 3]! > 63) covering = words[at + 3]! >>> 6;
      if (plen === 16) {
        if (words[at + 1] !== 0) todo.push(words[at + 1]!);
        if (words[at + 2] !== 0) todo.push(words[at + 2]!);
        n = 0;
      } else n = words[at + 1 + ((key >>> (31 - plen)) & 1)]!;
    }
    cells.fill(covering === 0 ? 0 : this.#answerOf(covering));
    if (n !== 0 && words[n * NODE_WORDS]! >>> 16 === chunk) todo.push(n);
    // Shorter prefixes come before those within them.
    while (todo.length > 0) {
      const node = todo.pop()!;
      const at = node * NODE_WORDS;
      const plen = words[at + 3]! & 63;
      const cell = (words[at]! >>> 8) & 255;
      if (plen > 24) {
        cells[cell] = -node;
        continue;
      }
      if (words[at + 3]! > 63)
        cells.fill(this.#answerOf(words[at + 3]! >>> 6), cell, cell + (1 << (24 - plen)));
      if (words[at + 1] !== 0) todo.push(words[at + 1]!);
      if (words[at + 2] !== 0) todo.push(words[at + 2]!);
    }
  }

  #room(size: number): number {
    if (this.#end + size > this.#records.length) {
      if (this.#garbage > FULL && this.#garbage > this.#end >> 1) {
        // Mostly forgotten: begin anew. What is still asked for is made again.
        for (let i = 0; i < this.#chunks.length; i++) if (this.#chunks[i]! > 0) this.#chunks[i] = 0;
        this.#end = 1;
        this.#garbage = 0;
      } else this.#records = grown(this.#records);
    }
    const at = this.#end;
    this.#end += size;
    return at;
  }
}

function popcount(bits: number): number {
  let x = bits - ((bits >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  x = (x + (x >>> 4)) & 0x0f0f0f0f;
  return Math.imul(x, 0x01010101) >>> 24;
}
