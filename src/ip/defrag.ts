/**
 * Reassembly (`net/ipv4/ip_fragment.c`, RFC 791 and 5722).
 *
 * Fragments of one datagram (same addresses, protocol, identification, VRF) wait in a queue for at most `ipfrag_time`, all queues together
 * for at most `ipfrag_high_thresh` bytes of truesize: beyond that, fragments are dropped. A fragment that overlaps another one without
 * lying wholly inside it is an attack or a mix-up of two datagrams: the whole queue goes. One that brings nothing new is ignored.
 *
 * A queue is a list of runs, each a stretch without holes that grew at its end, as fragments mostly come; a run is what a fragment is
 * compared with.
 */

import { Timer } from '../core/timers.js';
import { l3mdevMasterIfindex } from '../dev/inet_select.js';
import type { SkBuff } from '../dev/skbuff.js';
import { ipRouteInput } from '../route/input.js';
import type { Rtable } from '../route/rtable.js';
import { PACKET_HOST } from '../uapi/if.js';
import { RTN_LOCAL } from '../uapi/rtnetlink.js';
import { ICMP_TIME_EXCEEDED } from '../wire/icmp.js';
import * as ipv4 from '../wire/ipv4.js';
import type { IpNet } from './netns.js';
import type { InetPeer, InetPeers } from './peer.js';

/** sizeof(struct ipq): what an empty queue costs. */
const IPQ_BYTES = 216;
/** sizeof(struct sk_buff): what joining packets saves; and how many can be joined (MAX_SKB_FRAGS). */
const SKB_BYTES = 256;
const MAX_SKB_FRAGS = 17;
/** What a received packet's memory holds beside its IP packet: its own structures, room in front, the link header. */
const RX_OVERHEAD_BYTES = 576 + 64 + 14;
/** Frames of a TAP above this are not in a piece of a page. */
const PAGE_HEAD_TRUESIZE = 4096;
const ICMP_EXC_FRAGTIME = 1;

const IPFRAG_OK = 0;
const IPFRAG_DUP = 1;
const IPFRAG_OVERLAP = 2;

/** ECN of a reassembled datagram by the bits that its fragments had (`ip_frag_ecn_table`); 0xff is no combination that may be. */
const NOT_ECT = 1;
const CE = 8;
function ipFragEcn(seen: number): number {
  if ((seen & NOT_ECT) !== 0 && (seen & ~NOT_ECT) !== 0) return 0xff;
  return (seen & CE) !== 0 && seen !== CE ? 3 : 0;
}

interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Its memory is a piece of a page: joined to the packet before it, it costs no packet of its own. */
  readonly pageHead: boolean;
  readonly truesize: number;
}
/** Adjoining pieces, from `start` to `end`. */
interface Run {
  readonly start: number;
  end: number;
  readonly pieces: Piece[];
}

/** The first fragment's header and what goes with it. */
interface Head {
  readonly header: Uint8Array;
  readonly pktType: number;
  readonly cbFlags: number;
  readonly rxIif: number;
}

class Ipq {
  readonly runs: Run[] = [];
  /** End of the fragment that reaches farthest, and where it begins; -1 while empty. */
  tailEnd = -1;
  /** Length of the datagram's payload as far as known. */
  len = 0;
  meat = 0;
  lastIn = false;
  head: Head | null = null;
  ecn = 0;
  maxSize = 0;
  maxDfSize = 0;
  iif = 0;
  skbIif = 0;
  truesize = 0;
  rid: number;
  readonly timer: Timer;

  constructor(
    readonly key: string,
    readonly peer: InetPeer | null,
    onTimer: (q: Ipq) => void,
  ) {
    this.rid = peer === null ? 0 : ++peer.rid;
    this.timer = new Timer(() => onTimer(this));
  }

  /** Forgets the fragments and begins anew (`ip_frag_reinit`). */
  reset(): void {
    this.runs.length = 0;
    this.tailEnd = -1;
    this.len = 0;
    this.meat = 0;
    this.lastIn = false;
    this.head = null;
    this.ecn = 0;
    this.iif = 0;
    this.truesize = 0;
  }
}

export class IpFragQueues {
  readonly #net: IpNet;
  readonly #peers: InetPeers;
  readonly #queues = new Map<string, Ipq>();
  /** Bytes of truesize that all queues hold. */
  memory = 0;

  constructor(net: IpNet, peers: InetPeers) {
    this.#net = net;
    this.#peers = peers;
  }

  get size(): number {
    return this.#queues.size;
  }

  /**
   * Takes one fragment, `data` at its IP header (`ip_defrag`). Consumes it.
   * @returns the whole datagram, `data` at its IP header, when this was what it lacked; else null
   */
  defrag(skb: SkBuff): SkBuff | null {
    const net = this.#net;
    net.mib.Ip.ReasmReqds++;
    const q = this.#find(skb);
    if (q === null) {
      net.mib.Ip.ReasmFails++;
      net.skbs.free(skb);
      return null;
    }
    const whole = this.#queueFragment(q, skb);
    net.skbs.free(skb);
    return whole;
  }

  /** `ip_find`: the queue of a fragment; null where the memory for fragments is used up. */
  #find(skb: SkBuff): Ipq | null {
    const net = this.#net;
    const b = skb.buf;
    const nh = skb.nh;
    const vif = l3mdevMasterIfindex(skb.dev!);
    const { ipfragHighThresh, ipfragTime, ipfragMaxDist } = net.sysctl.ipv4;
    if (ipfragHighThresh === 0 || this.memory > ipfragHighThresh) return null;
    const key = `${ipv4.saddr(b, nh)} ${ipv4.daddr(b, nh)} ${ipv4.id(b, nh)} ${ipv4.protocol(b, nh)} ${vif}`;
    let q = this.#queues.get(key);
    if (q === undefined) {
      const now = net.clock.now();
      const peer = ipfragMaxDist === 0 ? null : this.#peers.get(ipv4.saddr(b, nh), vif, now);
      q = new Ipq(key, peer, (expired) => this.#expire(expired));
      this.#queues.set(key, q);
      this.memory += IPQ_BYTES;
      net.timers.mod(q.timer, now + ipfragTime * 1000);
    }
    return q;
  }

  #kill(q: Ipq): void {
    if (!this.#queues.delete(q.key)) return;
    this.#net.timers.del(q.timer);
    this.memory -= IPQ_BYTES + q.truesize;
  }

  /** `ip_frag_queue` */
  #queueFragment(q: Ipq, skb: SkBuff): SkBuff | null {
    const net = this.#net;
    const b = skb.buf;
    const nh = skb.nh;
    if (this.#tooFar(q)) {
      net.mib.Ip.ReasmFails++;
      this.memory -= q.truesize;
      q.reset();
      net.timers.mod(q.timer, net.clock.now() + net.sysctl.ipv4.ipfragTime * 1000);
    }
    const ihl = ipv4.headerLen(b, nh);
    const offset = ipv4.fragOffsetBytes(b, nh);
    const more = (ipv4.fragOff(b, nh) & ipv4.IP_MF) !== 0;
    let end = offset + skb.len - ihl;
    if (!more) {
      if (end < q.len || (q.lastIn && end !== q.len)) return this.#discard(q);
      q.lastIn = true;
      q.len = end;
    } else {
      // All but the last are a multiple of 8 bytes; what is over is not believed.
      end &= ~7;
      if (end > q.len) {
        if (q.lastIn) return this.#discard(q);
        q.len = end;
      }
    }
    if (end === offset) return this.#discard(q);
    const at = nh + ihl;
    const pageHead = !skb.dev!.isLoopback && skb.truesize <= PAGE_HEAD_TRUESIZE;
    const inserted = insert(q, offset, end, () => ({
      offset,
      bytes: b.slice(at, at + end - offset),
      pageHead,
      truesize: skb.truesize,
    }));
    if (inserted === IPFRAG_DUP) return null;
    if (inserted === IPFRAG_OVERLAP) return this.#discard(q);

    q.iif = skb.dev!.ifindex;
    q.skbIif = skb.skbIif;
    q.meat += end - offset;
    q.ecn |= 1 << (ipv4.tos(b, nh) & 3);
    q.truesize += skb.truesize;
    this.memory += skb.truesize;
    if (offset === 0) {
      q.head = {
        header: b.slice(nh, at),
        pktType: skb.pktType,
        cbFlags: skb.cbFlags,
        rxIif: skb.rxIif,
      };
    }
    const fragBytes = end - offset + ihl;
    if (fragBytes > q.maxSize) q.maxSize = fragBytes;
    if ((ipv4.fragOff(b, nh) & ipv4.IP_DF) !== 0 && fragBytes > q.maxDfSize) q.maxDfSize = fragBytes;
    if (q.head === null || !q.lastIn || q.meat !== q.len) return null;
    return this.#reassemble(q, skb);
  }

  /** `ip_frag_too_far`: so many other fragments of the host came in between that the identification may have been used again. */
  #tooFar(q: Ipq): boolean {
    const { peer } = q;
    const max = this.#net.sysctl.ipv4.ipfragMaxDist;
    if (peer === null || max === 0) return false;
    const start = q.rid;
    q.rid = ++peer.rid;
    return q.tailEnd >= 0 && q.rid - start > max;
  }

  #discard(q: Ipq): null {
    this.#kill(q);
    this.#net.mib.Ip.ReasmFails++;
    return null;
  }

  /** `ip_frag_reasm`: the header of the first fragment, the payload of all, the device of the last that came. */
  #reassemble(q: Ipq, last: SkBuff): SkBuff | null {
    const net = this.#net;
    this.#kill(q);
    const ecn = ipFragEcn(q.ecn);
    const head = q.head!;
    const total = head.header.length + q.len;
    if (ecn === 0xff || total > 65535) {
      net.mib.Ip.ReasmFails++;
      return null;
    }
    const skb = net.skbs.alloc(total);
    const b = skb.buf;
    const nh = skb.nh;
    b.set(head.header, nh);
    const th = nh + head.header.length;
    for (const run of q.runs) for (const piece of run.pieces) b.set(piece.bytes, th + piece.offset);
    skb.th = th;
    skb.mac = nh;
    skb.tail = nh + total;
    skb.len = total;
    skb.truesize = reassembledTruesize(q.runs, head.header.length);
    skb.dev = last.dev;
    skb.dst = last.dst;
    skb.skbIif = last.skbIif;
    skb.protocol = last.protocol;
    skb.tstampMs = last.tstampMs;
    skb.mark = last.mark;
    skb.pktType = head.pktType;
    skb.optLen = head.header.length - ipv4.HEADER_LEN;
    skb.cbFlags = head.cbFlags;
    skb.rxIif = head.rxIif;
    skb.rxSpecDst = 0;
    skb.fragMaxSize = Math.max(q.maxDfSize, q.maxSize);
    ipv4.setTotLen(b, nh, total);
    ipv4.setTos(b, nh, ipv4.tos(b, nh) | ecn);
    ipv4.setFragOff(b, nh, q.maxDfSize === q.maxSize ? ipv4.IP_DF : 0);
    ipv4.sendCheck(b, nh);
    net.mib.Ip.ReasmOKs++;
    return skb;
  }

  /** The time is up (`ip_expire`): the sender hears of it if its first fragment is here. */
  #expire(q: Ipq): void {
    const net = this.#net;
    this.#kill(q);
    net.mib.Ip.ReasmFails++;
    net.mib.Ip.ReasmTimeout++;
    const first = q.runs[0]?.pieces[0];
    const dev = net.devGetByIndex(q.iif);
    if (q.head === null || first === undefined || dev === null) return;
    const { header } = q.head;
    const skb = net.skbs.alloc(header.length + first.bytes.length);
    skb.buf.set(header, skb.nh);
    skb.th = skb.nh + header.length;
    skb.buf.set(first.bytes, skb.th);
    skb.tail = skb.th + first.bytes.length;
    skb.len = header.length + first.bytes.length;
    skb.dev = dev;
    skb.skbIif = q.skbIif;
    skb.pktType = q.head.pktType;
    skb.optLen = header.length - ipv4.HEADER_LEN;
    skb.cbFlags = q.head.cbFlags;
    skb.rxIif = q.head.rxIif;
    const nh = skb.nh;
    const error = ipRouteInput(
      net,
      skb,
      ipv4.daddr(header, 0),
      ipv4.saddr(header, 0),
      ipv4.tos(header, 0),
      dev,
    );
    if (error === 0 && (skb.dst as Rtable).type === RTN_LOCAL && skb.pktType === PACKET_HOST) {
      skb.nh = nh;
      net.icmpSend(skb, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, 0);
      net.flush();
    }
    net.skbs.free(skb);
  }
}

/**
 * What a reassembled datagram is charged with (`skb_try_coalesce`): a fragment that fits behind the first one is copied there and costs nothing;
 * one whose memory is a piece of a page is joined and saves its packet; the rest hang on a list as they are.
 */
function reassembledTruesize(runs: readonly Run[], headerBytes: number): number {
  let truesize = 0;
  let tailroom = 0;
  let joined = 0;
  let listed = false;
  let first = true;
  for (const run of runs) {
    for (const piece of run.pieces) {
      const bytes = piece.bytes.length;
      if (first) {
        first = false;
        truesize = piece.truesize;
        if (piece.pageHead) tailroom = piece.truesize - RX_OVERHEAD_BYTES - headerBytes - bytes;
      } else if (!listed && bytes <= tailroom) tailroom -= bytes;
      else {
        tailroom = 0;
        listed ||= !piece.pageHead || joined === MAX_SKB_FRAGS;
        truesize += listed ? piece.truesize : piece.truesize - SKB_BYTES;
        joined++;
      }
    }
  }
  return truesize;
}

/** Puts a fragment in its place (`inet_frag_queue_insert`). `make` is called only where it has one. */
function insert(q: Ipq, offset: number, end: number, make: () => Piece): number {
  const { runs } = q;
  if (q.tailEnd < end) {
    // The common case: behind all others.
    if (offset < q.tailEnd) return IPFRAG_OVERLAP;
    const last = runs.at(-1);
    const piece = make();
    if (last !== undefined && offset === q.tailEnd) {
      last.pieces.push(piece);
      last.end = end;
    } else runs.push({ start: offset, end, pieces: [piece] });
    q.tailEnd = end;
    return IPFRAG_OK;
  }
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const run = runs[middle]!;
    if (end <= run.start) high = middle;
    else if (offset >= run.end) low = middle + 1;
    else return offset >= run.start && end <= run.end ? IPFRAG_DUP : IPFRAG_OVERLAP;
  }
  runs.splice(low, 0, { start: offset, end, pieces: [make()] });
  return IPFRAG_OK;
}
