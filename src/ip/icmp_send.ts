/** ICMP going out: errors that we report (`__icmp_send`), answers (`icmp_reply`), and the limits on both (ICMP-40). */
import { randomBelow } from '../core/random.js';
import { inetSelectAddr, l3mdevMasterIfindex } from '../dev/inet_select.js';
import type { NetDevice } from '../dev/net_device.js';
import type { SkBuff } from '../dev/skbuff.js';
import { Flowi4 } from '../route/flow.js';
import { dstMtu } from '../route/mtu.js';
import { ipRouteOutputFlow } from '../route/output.js';
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, type Rtable } from '../route/rtable.js';
import { PACKET_HOST } from '../uapi/if.js';
import { IPPROTO_ICMP } from '../uapi/in.js';
import { RT_SCOPE_LINK } from '../uapi/rtnetlink.js';
import { put16, put32 } from '../wire/bytes.js';
import * as icmp from '../wire/icmp.js';
import * as ipv4 from '../wire/ipv4.js';
import { IP_MAX_MTU } from './append.js';
import { inetIif } from './ip_input.js';
import { ipSendSkb, writeIpHeader } from './ip_output.js';
import type { IpNet } from './netns.js';
import { type IpOptions, ipOptionsBuild } from './options.js';
import { type InetPeers, inetPeerXrlimAllow } from './peer.js';
import { ipOptionsEcho, ipOptionsRecompile } from './recv_options.js';
import { fibComputeSpecDst } from './spec_dst.js';

/** Longest error message, IP header included (RFC 792 as Linux reads it). */
const MAX_ERROR_BYTES = 576;
/** IPTOS_PREC_INTERNETCONTROL, and the TOS bits that an error keeps of what it answers. */
const PREC_INTERNETCONTROL = 0xc0;
const RT_TOS_MASK = 0x1e;
const NR_ICMP_TYPES = 18;
/** Types that are no errors (`icmp_pointers[].error`): echo, timestamp, information, address mask. */
const ICMP_QUERIES: ReadonlySet<number> = new Set([0, 8, 13, 14, 15, 16, 17, 18]);
/** The source of an error where we have no address at all (INADDR_DUMMY, 192.0.0.8). */
const INADDR_DUMMY = 0xc0000008;

export class IcmpSender {
  readonly #net: IpNet;
  readonly #peers: InetPeers;
  readonly #fl4 = new Flowi4();
  /** The bucket of `icmp_msgs_per_sec`: what is left, and when it was filled (ms). */
  #credit = 0;
  #stamp = Number.NEGATIVE_INFINITY;

  constructor(net: IpNet, peers: InetPeers) {
    this.#net = net;
    this.#peers = peers;
  }

  /**
   * Reports an error about a routed packet, `nh` at its IP header (`icmp_send`). Does not consume it.
   * @param info the message's second word: MTU, `pointer << 24`, or 0
   */
  send(skb: SkBuff, type: number, code: number, info: number): void {
    const net = this.#net;
    const rt = skb.dst as Rtable | null;
    if (rt === null || !mayReport(skb, rt, type)) return;
    const limited = this.#isLimited(type, code) && !(skb.dev?.isLoopback ?? false);
    if (limited && !this.#globalAllow()) return;
    const b = skb.buf;
    const nh = skb.nh;
    const from = ipv4.saddr(b, nh);
    let source = ipv4.daddr(b, nh);
    if ((rt.flags & RTCF_LOCAL) === 0) source = this.#sourceOf(skb, rt, from);
    const tos = icmp.isError(type) ? (ipv4.tos(b, nh) & RT_TOS_MASK) | PREC_INTERNETCONTROL : ipv4.tos(b, nh);
    const opt = ipOptionsEcho(net, skb);
    if (opt === null) return;
    // In a VRF that is the VRF's device, so that the way back is its table's (VRF-7).
    const back = this.#route(opt, from, source, tos, skb.dev ?? rt.dev, skb.mark);
    if (back === null) return;
    if (!this.#xrlimAllow(back, limited)) return;
    const room = Math.min(dstMtu(back), MAX_ERROR_BYTES) - ipv4.HEADER_LEN - opt.optlen - icmp.HEADER_LEN;
    if (room <= ipv4.HEADER_LEN) return;
    if (this.#fl4.saddr === 0) this.#fl4.saddr = INADDR_DUMMY;
    const quote = quoteOf(skb, room);
    this.#push(back, opt, from, tos, type, code, info, quote);
  }

  /** A packet of ours found no neighbour (`ipv4_send_dest_unreach`, NEIGH-10). Does not consume it. */
  sendDestUnreach(skb: SkBuff): void {
    const { buf, nh } = skb;
    if (skb.tail - nh < ipv4.HEADER_LEN || ipv4.version(buf, nh) !== 4 || ipv4.ihl(buf, nh) < 5) return;
    skb.cbFlags = 0;
    skb.optLen = ipv4.headerLen(buf, nh) - ipv4.HEADER_LEN;
    if (skb.optLen !== 0 && !ipOptionsRecompile(this.#net, skb)) return;
    this.send(skb, icmp.ICMP_DEST_UNREACH, icmp.ICMP_HOST_UNREACH, 0);
  }

  /** Answers a request (`icmp_reply`): to its source, from the address that it was for. `data` follows the header. */
  reply(skb: SkBuff, type: number, code: number, rest: number, data: Uint8Array): void {
    const net = this.#net;
    const b = skb.buf;
    const nh = skb.nh;
    const opt = ipOptionsEcho(net, skb);
    if (opt === null) return;
    const limited = this.#isLimited(type, code);
    if (limited && !this.#globalAllow()) return;
    const from = ipv4.saddr(b, nh);
    const tos = ipv4.tos(b, nh);
    const back = this.#route(opt, from, fibComputeSpecDst(net, skb), tos, skb.dev!, skb.mark);
    if (back === null || !this.#xrlimAllow(back, limited)) return;
    this.#push(back, opt, from, tos, type, code, rest, data);
  }

  /** `icmpv4_mask_allow`: which messages the limits concern. */
  #isLimited(type: number, code: number): boolean {
    if (type > NR_ICMP_TYPES) return false;
    if (type === icmp.ICMP_DEST_UNREACH && code === icmp.ICMP_FRAG_NEEDED) return false;
    return ((1 << type) & this.#net.sysctl.ipv4.icmpRatemask) !== 0;
  }

  /** `icmp_global_allow`: the bucket is filled when it is found empty, at most every 20 ms. */
  #globalAllow(): boolean {
    if (this.#credit > 0) return true;
    const now = this.#net.clock.now();
    const { icmpMsgsPerSec, icmpMsgsBurst } = this.#net.sysctl.ipv4;
    const delta = Math.min(now - this.#stamp, 1000);
    const filled = delta < 20 ? 0 : Math.floor((icmpMsgsPerSec * delta) / 1000);
    if (filled === 0) {
      this.#net.mib.Icmp.OutRateLimitGlobal++;
      return false;
    }
    this.#stamp = now;
    this.#credit = Math.min(this.#credit + filled, icmpMsgsBurst);
    return true;
  }

  /** `icmpv4_xrlim_allow`: one a second to each host, none held back on loopback. */
  #xrlimAllow(rt: Rtable, limited: boolean): boolean {
    if (!limited) return true;
    const net = this.#net;
    if (!rt.dev.isLoopback) {
      const now = net.clock.now();
      const peer = this.#peers.get(this.#fl4.daddr, l3mdevMasterIfindex(rt.dev), now);
      if (!inetPeerXrlimAllow(peer, net.sysctl.ipv4.icmpRatelimit, now)) {
        net.mib.Icmp.OutRateLimitHost++;
        return false;
      }
    }
    // None, one or two: what is left of the bucket cannot be told from outside.
    this.#credit -= randomBelow(net.random, 3);
    return true;
  }

  #sourceOf(skb: SkBuff, rt: Rtable, from: number): number {
    const net = this.#net;
    if (!rt.isInput || net.sysctl.ipv4.icmpErrorsUseInboundIfaddr === 0) return 0;
    const dev = net.devGetByIndex(inetIif(skb));
    return dev === null ? 0 : inetSelectAddr(net, dev, from, RT_SCOPE_LINK);
  }

  #route(
    opt: IpOptions,
    to: number,
    source: number,
    tos: number,
    dev: NetDevice,
    mark: number,
  ): Rtable | null {
    const fl4 = this.#fl4;
    fl4.daddr = opt.srr !== 0 ? opt.faddr : to;
    fl4.saddr = source;
    fl4.tos = tos & 0xfc;
    fl4.proto = IPPROTO_ICMP;
    fl4.oif = l3mdevMasterIfindex(dev);
    fl4.mark = this.#net.sysctl.ipv4.fwmarkReflect !== 0 ? mark : 0;
    fl4.sport = 0;
    fl4.dport = 0;
    fl4.scope = 0;
    fl4.flags = 0;
    fl4.l3mdev = 0;
    const rt = ipRouteOutputFlow(this.#net, fl4);
    return typeof rt === 'number' ? null : rt;
  }

  /** Builds and sends the message (`icmp_push_reply`), with the path MTU mode DONT: it may be fragmented. */
  #push(
    rt: Rtable,
    opt: IpOptions,
    daddr: number,
    tos: number,
    type: number,
    code: number,
    rest: number,
    data: Uint8Array,
  ): void {
    const net = this.#net;
    const fl4 = this.#fl4;
    const bytes = icmp.HEADER_LEN + data.length;
    const headerBytes = ipv4.HEADER_LEN + opt.optlen;
    if (bytes + headerBytes > IP_MAX_MTU) {
      net.mib.Icmp.OutErrors++;
      return;
    }
    const skb = net.skbs.alloc(headerBytes + bytes);
    const b = skb.buf;
    const th = skb.nh + headerBytes;
    skb.th = th;
    b[th + icmp.TYPE] = type;
    b[th + icmp.CODE] = code;
    put32(b, th + icmp.REST, rest);
    b.set(data, th + icmp.DATA);
    icmp.sendCheck(b, th, bytes);
    // A message of zeros sums to the other zero: the kernel's running sum starts at all ones.
    if (icmp.checksum(b, th) === 0xffff) put16(b, th + icmp.CHECKSUM, 0);
    skb.tail = th + bytes;
    skb.len = headerBytes + bytes;
    skb.optLen = opt.optlen;
    skb.ignoreDf = true;
    skb.dst = rt;
    skb.mark = fl4.mark;
    const hops = rt.metricHoplimit || net.sysctl.ipv4.ipDefaultTtl;
    const id = net.idents.reserve(net, fl4.daddr, fl4.saddr, IPPROTO_ICMP, 1);
    writeIpHeader(net, skb, headerBytes >> 2, tos, skb.len, id, 0, hops, IPPROTO_ICMP, fl4.saddr, fl4.daddr);
    if (opt.optlen !== 0) ipOptionsBuild(b, skb.nh, opt, daddr, net.clock);
    countOut(net, type);
    ipSendSkb(net, null, skb);
  }
}

/** The refusals at the head of `__icmp_send`. */
function mayReport(skb: SkBuff, rt: Rtable, type: number): boolean {
  const { buf, nh } = skb;
  if (skb.tail - nh < ipv4.HEADER_LEN || skb.pktType !== PACKET_HOST) return false;
  if ((rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0) return false;
  if ((ipv4.fragOff(buf, nh) & ipv4.IP_OFFSET) !== 0) return false;
  if (!icmp.isError(type) || ipv4.protocol(buf, nh) !== IPPROTO_ICMP) return true;
  // An error about an error would make a mess; a type that is not known to be a question or an answer counts as one.
  const inner = nh + ipv4.headerLen(buf, nh);
  return inner < skb.tail && ICMP_QUERIES.has(buf[inner]!);
}

/** The packet from its IP header on, as much as there is room for. */
function quoteOf(skb: SkBuff, room: number): Uint8Array {
  const own = skb.buf.subarray(skb.nh, Math.min(skb.tail, skb.nh + room));
  if (skb.fragList === null || own.length === room) return own;
  const quote = new Uint8Array(room);
  quote.set(own);
  let at = own.length;
  for (let frag: SkBuff | null = skb.fragList; frag !== null && at < room; frag = frag.next) {
    const piece = frag.buf.subarray(frag.data, Math.min(frag.tail, frag.data + room - at));
    quote.set(piece, at);
    at += piece.length;
  }
  return quote.subarray(0, at);
}

/** `icmp_out_count` */
function countOut(net: IpNet, type: number): void {
  const mib = net.mib.Icmp;
  mib.OutMsgs++;
  if (type === icmp.ICMP_ECHOREPLY) mib.OutEchoReps++;
  else if (type === icmp.ICMP_DEST_UNREACH) mib.OutDestUnreachs++;
  else if (type === icmp.ICMP_TIME_EXCEEDED) mib.OutTimeExcds++;
  else if (type === icmp.ICMP_PARAMETERPROB) mib.OutParmProbs++;
  else if (type === icmp.ICMP_TIMESTAMPREPLY) mib.OutTimestampReps++;
}
