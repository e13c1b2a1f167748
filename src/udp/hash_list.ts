/** A list whose elements carry their own links (`struct hlist_head`): newest first, and removal costs the same at any length. */
export interface HashNode<T> {
  readonly value: T;
  prev: HashNode<T> | null;
  next: HashNode<T> | null;
}

export class HashList<T> {
  first: HashNode<T> | null = null;
  count = 0;

  addHead(node: HashNode<T>): void {
    node.prev = null;
    node.next = this.first;
    if (this.first !== null) this.first.prev = node;
    this.first = node;
    this.count++;
  }

  remove(node: HashNode<T>): void {
    if (node.prev === null) this.first = node.next;
    else node.prev.next = node.next;
    if (node.next !== null) node.next.prev = node.prev;
    node.prev = null;
    node.next = null;
    this.count--;
  }
}

/** A node that is in no list yet. */
export function hashNode<T>(value: T): HashNode<T> {
  return { value, prev: null, next: null };
}
