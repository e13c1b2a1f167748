/**
 * The ports of a namespace (`struct udp_table`): who holds which, and which socket a datagram is for. Sockets hang in three
 * hashes, as in the kernel: by port (conflicts), by address and port (lookup), and connected ones by all four numbers; so 100,000
 * sockets cost a lookup no more than one.
 */
import { randomBelow } from '../core/random.js';
import { type HashList, type HashNode, hashNode, HashList as List } from './hash_list.js';
import type { UdpNet } from './netns.js';
import { ReuseportGroup } from './reuseport.js';
import { TCP_ESTABLISHED, type UdpSock } from './sock.js';

/** Residues of the ephemeral search: the kernel's smallest table has as many slots. */
const SEARCH_RESIDUES = 256;
const PORTS = 65536;

/** What the table knows of a socket that holds a port. */
interface Entry {
  readonly sk: UdpSock;
  readonly port: number;
  /** Receive address that it is hashed under. */
  addr: number;
  readonly byPort: HashNode<UdpSock>;
  /** In the port's list of those that do not share by SO_REUSEADDR, while `strict`. */
  readonly byStrict: HashNode<UdpSock>;
  strict: boolean;
  readonly byAddr: HashNode<UdpSock>;
  readonly byPeer: HashNode<UdpSock>;
  /** Key in the hash of connected sockets, -1 where it is in none. */
  peerKey: number;
  group: ReuseportGroup | null;
}

type Hash = Map<number, HashList<UdpSock>>;

export class UdpTable {
  readonly #entries = new Map<UdpSock, Entry>();
  readonly #ports: Hash = new Map();
  readonly #strict: Hash = new Map();
  readonly #addrs: Hash = new Map();
  readonly #peers: Hash = new Map();
  readonly #secret: number;

  /** @param secret what keeps strangers from choosing a reuseport member: 32 random bits */
  constructor(secret: number) {
    this.#secret = secret;
  }

  /** Sockets that hold a port. */
  get size(): number {
    return this.#entries.size;
  }
  /** Every socket that holds a port. */
  sockets(): IterableIterator<UdpSock> {
    return this.#entries.keys();
  }
  /** Sockets with this receive address and port, newest first. */
  bound(addr: number, port: number): HashNode<UdpSock> | null {
    return this.#addrs.get(addrKey(addr, port))?.first ?? null;
  }
  has(sk: UdpSock): boolean {
    return this.#entries.has(sk);
  }
  /** The reuseport group of a socket, null where it is in none. */
  groupOf(sk: UdpSock): ReuseportGroup | null {
    return this.#entries.get(sk)?.group ?? null;
  }

  /**
   * BIND-10: may `sk` not have `port` (`udp_lib_lport_inuse`)? With `search`, sharing within a reuseport group is no reason either. Only those
   * are looked at that can conflict at all, so that a hundred thousand sockets may share a port.
   */
  inUse(sk: UdpSock, port: number, search: boolean): boolean {
    if (!this.#ports.has(port)) return false;
    if (sk.reuse) return this.#conflict(sk, this.#strict.get(port)?.first ?? null, search) === 1;
    if (sk.rcvSaddr === 0) return this.#conflict(sk, this.#ports.get(port)!.first, search) === 1;
    const same = this.#conflict(sk, this.bound(sk.rcvSaddr, port), search);
    return same === 0 ? this.#conflict(sk, this.bound(0, port), search) === 1 : same === 1;
  }

  /** 1: a conflict in the list; -1: a member of the same reuseport group vouches for the port; 0: neither. */
  #conflict(sk: UdpSock, first: HashNode<UdpSock> | null, search: boolean): -1 | 0 | 1 {
    const grouped = sk.reuseport && this.groupOf(sk) === null;
    for (let node = first; node !== null; node = node.next) {
      const sk2 = node.value;
      if (sk2 === sk || (sk2.reuse && sk.reuse)) continue;
      if (sk2.boundDevIf !== 0 && sk.boundDevIf !== 0 && sk2.boundDevIf !== sk.boundDevIf) continue;
      if (sk2.rcvSaddr !== sk.rcvSaddr && sk2.rcvSaddr !== 0 && sk.rcvSaddr !== 0) continue;
      if (!(grouped && sk2.reuseport && sk.cred.uid === sk2.cred.uid)) return 1;
      // Whoever else conflicts has agreed to the group before.
      if (!search) return -1;
    }
    return 0;
  }

  /** Hashes a socket under `port`; false where its reuseport group is full. */
  insert(sk: UdpSock, port: number): boolean {
    let group: ReuseportGroup | null = null;
    if (sk.reuseport) {
      group = this.#joinReuseport(sk, port);
      if (group === null) return false;
    }
    const entry: Entry = {
      sk,
      port,
      addr: sk.rcvSaddr,
      byPort: hashNode(sk),
      byStrict: hashNode(sk),
      strict: !sk.reuse,
      byAddr: hashNode(sk),
      byPeer: hashNode(sk),
      peerKey: -1,
      group,
    };
    this.#entries.set(sk, entry);
    listOf(this.#ports, port).addHead(entry.byPort);
    if (entry.strict) listOf(this.#strict, port).addHead(entry.byStrict);
    listOf(this.#addrs, addrKey(entry.addr, port)).addHead(entry.byAddr);
    return true;
  }

  /** SO_REUSEADDR of a socket has changed: what it agrees to counts from now on (BIND-11). */
  reuseChanged(sk: UdpSock): void {
    const entry = this.#entries.get(sk);
    if (entry === undefined || entry.strict === !sk.reuse) return;
    entry.strict = !sk.reuse;
    if (entry.strict) listOf(this.#strict, entry.port).addHead(entry.byStrict);
    else drop(this.#strict, entry.port, entry.byStrict);
  }

  remove(sk: UdpSock): void {
    const entry = this.#entries.get(sk);
    if (entry === undefined) return;
    this.#detach(entry);
    this.#unhashPeer(entry);
    drop(this.#addrs, addrKey(entry.addr, entry.port), entry.byAddr);
    drop(this.#ports, entry.port, entry.byPort);
    if (entry.strict) drop(this.#strict, entry.port, entry.byStrict);
    this.#entries.delete(sk);
  }

  /** The receive address has changed: the socket moves, and leaves its reuseport group (`udp_lib_rehash`). */
  rehash(sk: UdpSock): void {
    const entry = this.#entries.get(sk);
    if (entry === undefined) return;
    this.#detach(entry);
    if (entry.addr !== sk.rcvSaddr) {
      drop(this.#addrs, addrKey(entry.addr, entry.port), entry.byAddr);
      entry.addr = sk.rcvSaddr;
      listOf(this.#addrs, addrKey(entry.addr, entry.port)).addHead(entry.byAddr);
    }
    if (entry.peerKey >= 0) this.hashPeer(sk);
  }

  /** Makes a connected socket findable by its four numbers (`udp4_hash4`); one without a receive address stays as it is. */
  hashPeer(sk: UdpSock): void {
    const entry = this.#entries.get(sk);
    if (entry === undefined) return;
    this.#unhashPeer(entry);
    if (sk.rcvSaddr === 0) return;
    entry.peerKey = this.flowHash(sk.rcvSaddr, entry.port, sk.daddr, sk.dport);
    listOf(this.#peers, entry.peerKey).addHead(entry.byPeer);
  }
  unhashPeer(sk: UdpSock): void {
    const entry = this.#entries.get(sk);
    if (entry !== undefined) this.#unhashPeer(entry);
  }

  /** Connected sockets that may match four numbers, newest first. */
  connected(laddr: number, lport: number, faddr: number, fport: number): HashNode<UdpSock> | null {
    if (this.#peers.size === 0) return null;
    return this.#peers.get(this.flowHash(laddr, lport, faddr, fport))?.first ?? null;
  }

  /** `udp_ehashfn`: 32 bits of a flow, unpredictable from outside. */
  flowHash(laddr: number, lport: number, faddr: number, fport: number): number {
    let h = this.#secret;
    h = mix(h ^ laddr);
    h = mix(h ^ faddr);
    h = mix(h ^ ((lport << 16) | fport));
    return h >>> 0;
  }

  #joinReuseport(sk: UdpSock, port: number): ReuseportGroup | null {
    for (let node = this.#ports.get(port)?.first ?? null; node !== null; node = node.next) {
      const sk2 = node.value;
      if (!sk2.reuseport || sk2.boundDevIf !== sk.boundDevIf || sk2.cred.uid !== sk.cred.uid) continue;
      if (sk2.rcvSaddr !== sk.rcvSaddr) continue;
      const entry = this.#entries.get(sk2)!;
      entry.group ??= new ReuseportGroup(sk2, sk2.rcvSaddr === 0);
      return entry.group.add(sk) ? entry.group : null;
    }
    return new ReuseportGroup(sk, sk.rcvSaddr === 0);
  }
  #detach(entry: Entry): void {
    entry.group?.remove(entry.sk);
    entry.group = null;
  }
  #unhashPeer(entry: Entry): void {
    if (entry.peerKey < 0) return;
    drop(this.#peers, entry.peerKey, entry.byPeer);
    entry.peerKey = -1;
  }
}

function addrKey(addr: number, port: number): number {
  return addr * PORTS + port;
}
/** One round of murmur3's finalizer. */
function mix(value: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
function listOf(hash: Hash, key: number): HashList<UdpSock> {
  let list = hash.get(key);
  if (list === undefined) {
    list = new List();
    hash.set(key, list);
  }
  return list;
}
function drop(hash: Hash, key: number, node: HashNode<UdpSock>): void {
  const list = hash.get(key);
  if (list === undefined) return;
  list.remove(node);
  if (list.count === 0) hash.delete(key);
}

/** The table of a socket's protocol: UDP and UDP-Lite have separate ports (BIND-10). */
export function udpTableOf(net: UdpNet, sk: UdpSock): UdpTable {
  return sk.isUdplite ? net.udpliteTable : net.udpTable;
}

/**
 * Gives a socket a port (`udp_lib_get_port`): `snum`, or an ephemeral one where that is 0; sets `sk.num`.
 * @returns 0, or 1 where the port is taken or none is free
 */
export function udpLibGetPort(net: UdpNet, sk: UdpSock, snum: number): 0 | 1 {
  const table = udpTableOf(net, sk);
  let port = snum;
  if (port === 0) {
    port = ephemeralPort(net, table, sk);
    if (port === 0) return 1;
  } else if (table.inUse(sk, port, false)) return 1;
  sk.num = port;
  if (!table.has(sk) && !table.insert(sk, port)) {
    sk.num = 0;
    return 1;
  }
  return 0;
}

/** `inet_sk_get_local_port_range`: the sysctl's, narrowed by the socket's bounds where they lie inside it (BIND-21). */
export function inetSkGetLocalPortRange(net: UdpNet, sk: UdpSock): [lo: number, hi: number] {
  let [lo, hi] = net.sysctl.localPortRange;
  const { localPortRangeLo: skLo, localPortRangeHi: skHi } = sk;
  if (skLo !== 0 && lo <= skLo && skLo <= hi) lo = skLo;
  if (skHi !== 0 && lo <= skHi && skHi <= hi) hi = skHi;
  return [lo, hi];
}

/** BIND-22: from a random port, all ports of one residue by a random odd stride, then the next residue; 0 where none is free. */
function ephemeralPort(net: UdpNet, table: UdpTable, sk: UdpSock): number {
  const [lo, hi] = inetSkGetLocalPortRange(net, sk);
  const reserved = net.sysctl.localReservedPorts;
  const start = lo + randomBelow(net.random, hi - lo + 1);
  const stride = Math.imul(net.random.u32() | 1, SEARCH_RESIDUES) & (PORTS - 1);
  for (let residue = 0; residue < SEARCH_RESIDUES; residue++) {
    const first = (start + residue) & (PORTS - 1);
    let port = first;
    do {
      if (lo <= port && port <= hi && !reserved.has(port) && !table.inUse(sk, port, true)) return port;
      port = (port + stride) & (PORTS - 1);
    } while (port !== first);
  }
  return 0;
}

/** Lets go of a socket's port (`udp_lib_unhash`). */
export function udpLibUnhash(net: UdpNet, sk: UdpSock): void {
  const table = udpTableOf(net, sk);
  if (!table.has(sk)) return;
  table.remove(sk);
  sk.num = 0;
}

/** Call after `sk.rcvSaddr` changed (`udp_lib_rehash`). */
export function udpLibRehash(net: UdpNet, sk: UdpSock): void {
  udpTableOf(net, sk).rehash(sk);
}

/** Call when a socket has become connected: `reuseport_has_conns_set` and `udp4_hash4`. */
export function udpHashConnected(net: UdpNet, sk: UdpSock): void {
  const table = udpTableOf(net, sk);
  const group = table.groupOf(sk);
  if (group !== null) group.hasConns = true;
  table.hashPeer(sk);
}

/** Call when a socket is disconnected, before its port may be released. */
export function udpUnhashConnected(net: UdpNet, sk: UdpSock): void {
  udpTableOf(net, sk).unhashPeer(sk);
}

/** `udp_sk_bound_dev_eq`: may a socket bound to `boundDevIf` have what came by `dif`, in the VRF `sdif`? */
export function udpSkBoundDevEq(net: UdpNet, boundDevIf: number, dif: number, sdif: number): boolean {
  if (boundDevIf === 0) return sdif === 0 || net.sysctl.ipv4.udpL3mdevAccept !== 0;
  return boundDevIf === dif || boundDevIf === sdif;
}

/**
 * How well a socket fits a datagram, -1 for not at all (`compute_score`): a known peer address, a known peer port and a bound
 * device count the same.
 */
export function computeScore(
  net: UdpNet,
  sk: UdpSock,
  saddr: number,
  sport: number,
  dif: number,
  sdif: number,
): number {
  let score = 2;
  if (sk.daddr !== 0) {
    if (sk.daddr !== saddr) return -1;
    score += 4;
  }
  if (sk.dport !== 0) {
    if (sk.dport !== sport) return -1;
    score += 4;
  }
  if (!udpSkBoundDevEq(net, sk.boundDevIf, dif, sdif)) return -1;
  return sk.boundDevIf === 0 ? score : score + 4;
}

/**
 * The socket that a datagram from `saddr:sport` to `daddr:dport` is for (`__udp4_lib_lookup`): connected sockets first, then the
 * best bound to the address, then the best bound to 0.0.0.0. `dif` is the device that it came by (the VRF, where that is in one),
 * `sdif` then the enslaved device, else 0.
 */
export function udp4LibLookup(
  net: UdpNet,
  table: UdpTable,
  saddr: number,
  sport: number,
  daddr: number,
  dport: number,
  dif: number,
  sdif: number,
): UdpSock | null {
  for (let node = table.connected(daddr, dport, saddr, sport); node !== null; node = node.next) {
    const sk = node.value;
    if (sk.rcvSaddr !== daddr || sk.num !== dport || sk.daddr !== saddr || sk.dport !== sport) continue;
    if (udpSkBoundDevEq(net, sk.boundDevIf, dif, sdif)) return sk;
  }
  return (
    udp4LibLookup2(net, table, saddr, sport, dport, daddr, dif, sdif) ??
    udp4LibLookup2(net, table, saddr, sport, dport, 0, dif, sdif)
  );
}

function udp4LibLookup2(
  net: UdpNet,
  table: UdpTable,
  saddr: number,
  sport: number,
  dport: number,
  bound: number,
  dif: number,
  sdif: number,
): UdpSock | null {
  let result: UdpSock | null = null;
  let badness = 0;
  for (let node = table.bound(bound, dport); node !== null; node = node.next) {
    const sk = node.value;
    const score = computeScore(net, sk, saddr, sport, dif, sdif);
    if (score <= badness) continue;
    badness = score;
    result = sk;
    if (sk.state === TCP_ESTABLISHED || !sk.reuseport) continue;
    const group = table.groupOf(sk);
    if (group === null) continue;
    const member = group.select(table.flowHash(bound, dport, saddr, sport));
    if (member === null) continue;
    if (!group.hasConns) return member;
    // The group has connected members: the chosen one competes with them by its own score.
    result = member;
    badness = computeScore(net, member, saddr, sport, dif, sdif);
  }
  return result;
}
