/** `struct sk_buff`: a packet on its way. Objects and their memory are recycled: nothing is allocated for a datagram. */
import { type FrameArena, SLOT_HEADROOM } from '../core/arena.js';
import type { DstEntry } from './dst.js';
import type { NetDevice } from './net_device.js';

export const CHECKSUM_NONE = 0;
export const CHECKSUM_UNNECESSARY = 1;
export const CHECKSUM_COMPLETE = 2;
/** The device finishes the checksum: `csumStart`, `csumOffset` say where. */
export const CHECKSUM_PARTIAL = 3;

export const SKB_GSO_UDP_L4 = 1 << 17;

/** Who pays for a packet's memory: a socket. */
export interface SkbOwner {
  /** Gives back send memory (`sock_wfree`). */
  wfree(truesize: number): void;
  /** A packet with timestamp wishes passes a point on its way: SKBTX_* of the point (`__skb_tstamp_tx`). */
  txTimestamp(skb: SkBuff, point: number): void;
}

/** Who waits for a packet's bytes to be used no more (`struct ubuf_info`): a MSG_ZEROCOPY notification. */
export interface UbufInfo {
  put(): void;
}

/** Timestamp wishes of a packet (`skb_shinfo()->tx_flags`). */
export const SKBTX_HW_TSTAMP = 1;
export const SKBTX_SW_TSTAMP = 2;
export const SKBTX_SCHED_TSTAMP = 0x40;

/**
 * A packet. Its bytes are `buf[data..tail)`; what does not fit one frame hangs in `fragList`, each element one future frame.
 * `len` counts all of them, `dataLen` those in the list.
 */
export class SkBuff {
  /** The whole memory that the offsets point into: the arena's, or an array of this packet's own. */
  buf: Uint8Array;
  /** Arena slot, -1 where the memory is the packet's own. */
  slot = -1;
  /** First usable byte and the first one after the end. */
  head = 0;
  end = 0;
  data = 0;
  tail = 0;
  /** Offsets of the link, network and transport headers. */
  mac = 0;
  nh = 0;
  th = 0;
  len = 0;
  dataLen = 0;
  /** Bytes that the owner is charged for (BUF-2). */
  truesize = 0;
  sk: SkbOwner | null = null;
  dev: NetDevice | null = null;
  dst: DstEntry | null = null;
  /** EtherType. */
  protocol = 0;
  /** PACKET_*. */
  pktType = 0;
  priority = 0;
  mark = 0;
  ipSummed = CHECKSUM_NONE;
  /** Running payload sum, or the device's, by `ipSummed`. */
  csum = 0;
  /** Offset from `head` side: absolute offset in `buf` where the checksum starts. */
  csumStart = 0;
  /** Offset of the checksum field from `csumStart`. */
  csumOffset = 0;
  gsoSize = 0;
  gsoSegs = 0;
  gsoType = 0;
  fragList: SkBuff | null = null;
  next: SkBuff | null = null;
  /** Index of the device that it came in by. */
  skbIif = 0;
  /** Received: wall-clock milliseconds. To be sent: SO_TXTIME nanoseconds, 0 for now. */
  tstampMs = 0;
  /** SKBTX_* wishes for timestamps, and the key that reports them. */
  txFlags = 0;
  tskey = 0;
  /** MSG_CONFIRM: the neighbour is confirmed when the frame leaves (NEIGH-20). */
  dstPendingConfirm = false;
  ubuf: UbufInfo | null = null;
  /** The packet may be fragmented although DF is set (`ignore_df`). */
  ignoreDf = false;
  /** IPCB: option bytes of the header, and IPSKB_* flags. */
  optLen = 0;
  cbFlags = 0;
  /** Largest fragment of a reassembled packet (IPCB frag_max_size). */
  fragMaxSize = 0;
  // What input writes into every received packet before it reads it (IPCB, UDP_SKB_CB, PKTINFO_SKB_CB, SOCK_SKB_CB).
  /** Device that IP_PKTINFO names, and the address of ours that a reply would come from. */
  rxIif = 0;
  rxSpecDst = 0;
  /** UDP-Lite: bytes that the checksum covers. */
  rxCscov = 0;
  /** Datagrams that the socket had dropped when this one was queued. */
  rxDropcount = 0;

  constructor(buf: Uint8Array) {
    this.buf = buf;
  }

  /** Bytes in `buf` itself. */
  get headLen(): number {
    return this.tail - this.data;
  }
}

/** Packets at rest, and the memory for the next ones. */
export class SkbPool {
  readonly #arena: FrameArena;
  #free: SkBuff | null = null;
  /** Packets in use: for leak tests. */
  inUse = 0;

  constructor(arena: FrameArena) {
    this.#arena = arena;
  }

  /**
   * A packet with room for `bytes` after the link header; `data = tail = nh` lie where the IP header begins.
   * Charged to nobody yet.
   */
  alloc(bytes: number): SkBuff {
    let skb = this.#free;
    if (skb === null) skb = new SkBuff(this.#arena.u8);
    else {
      this.#free = skb.next;
      skb.next = null;
    }
    this.inUse++;
    const room = bytes + SLOT_HEADROOM;
    const slot = this.#arena.alloc(room);
    skb.slot = slot;
    if (slot >= 0) {
      skb.buf = this.#arena.u8;
      skb.head = this.#arena.offset(slot);
      skb.end = skb.head + this.#arena.sizeOf(slot);
    } else {
      skb.buf = new Uint8Array(room);
      skb.head = 0;
      skb.end = room;
    }
    skb.data = skb.head + SLOT_HEADROOM;
    skb.tail = skb.data;
    skb.nh = skb.data;
    return skb;
  }

  /** Frees a packet and everything that hangs on it (`kfree_skb`). */
  free(skb: SkBuff): void {
    if (skb.fragList !== null) {
      this.freeList(skb.fragList);
      skb.fragList = null;
      skb.dataLen = 0;
    }
    this.orphan(skb);
    if (skb.slot >= 0) {
      this.#arena.release(skb.slot);
      skb.slot = -1;
    } else skb.buf = this.#arena.u8;
    skb.dev = null;
    skb.dst = null;
    skb.len = 0;
    skb.truesize = 0;
    skb.priority = 0;
    skb.mark = 0;
    skb.ipSummed = CHECKSUM_NONE;
    skb.csum = 0;
    skb.gsoSize = 0;
    skb.gsoSegs = 0;
    skb.gsoType = 0;
    skb.txFlags = 0;
    skb.tskey = 0;
    skb.tstampMs = 0;
    skb.dstPendingConfirm = false;
    skb.ignoreDf = false;
    skb.optLen = 0;
    skb.cbFlags = 0;
    skb.pktType = 0;
    skb.skbIif = 0;
    skb.fragMaxSize = 0;
    skb.next = this.#free;
    this.#free = skb;
    this.inUse--;
  }

  /** Frees a list linked by `next`. */
  freeList(list: SkBuff | null): void {
    let skb = list;
    while (skb !== null) {
      const next: SkBuff | null = skb.next;
      skb.next = null;
      this.free(skb);
      skb = next;
    }
  }

  /** Gives the packet's memory charge back to its owner (`skb_orphan`). */
  orphan(skb: SkBuff): void {
    const sk = skb.sk;
    if (sk !== null) {
      skb.sk = null;
      sk.wfree(skb.truesize);
    }
    const ubuf = skb.ubuf;
    if (ubuf !== null) {
      skb.ubuf = null;
      ubuf.put();
    }
  }

  /**
   * A whole copy in one piece (`skb_copy`): payload of a fragment list is drawn together, metadata kept, charged to nobody.
   * Offsets keep their distance to `data`.
   */
  copy(skb: SkBuff): SkBuff {
    const to = this.alloc(skb.len + (skb.data - skb.head) + SLOT_HEADROOM);
    // Headers in front of `data` go along; a packet that is looped back or being built has no link header, but an offset of an
    // earlier life.
    let first = skb.data;
    if (skb.nh >= skb.head && skb.nh < first) first = skb.nh;
    if (skb.mac >= skb.head && skb.mac < first) first = skb.mac;
    const lead = skb.data - first;
    to.data = to.head + SLOT_HEADROOM + lead;
    to.buf.set(skb.buf.subarray(skb.data - lead, skb.tail), to.data - lead);
    to.tail = to.data + (skb.tail - skb.data);
    for (let frag = skb.fragList; frag !== null; frag = frag.next) {
      to.buf.set(frag.buf.subarray(frag.data, frag.tail), to.tail);
      to.tail += frag.tail - frag.data;
    }
    const shift = to.data - skb.data;
    to.mac = skb.mac + shift;
    to.nh = skb.nh + shift;
    to.th = skb.th + shift;
    to.csumStart = skb.csumStart + shift;
    to.csumOffset = skb.csumOffset;
    to.len = skb.len;
    to.truesize = skb.truesize;
    to.dev = skb.dev;
    to.dst = skb.dst;
    to.protocol = skb.protocol;
    to.pktType = skb.pktType;
    to.priority = skb.priority;
    to.mark = skb.mark;
    to.ipSummed = skb.ipSummed;
    to.csum = skb.csum;
    to.gsoSize = skb.gsoSize;
    to.gsoSegs = skb.gsoSegs;
    to.gsoType = skb.gsoType;
    to.skbIif = skb.skbIif;
    to.tstampMs = skb.tstampMs;
    to.txFlags = skb.txFlags;
    to.tskey = skb.tskey;
    to.ignoreDf = skb.ignoreDf;
    to.dstPendingConfirm = skb.dstPendingConfirm;
    to.optLen = skb.optLen;
    to.cbFlags = skb.cbFlags;
    to.fragMaxSize = skb.fragMaxSize;
    return to;
  }
}
