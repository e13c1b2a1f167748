/** IP's part of a Net: the identification generator, the protocols above, and the state of one uncorked send. */
import type { NetOptions } from '../core/netns.js';
import type { InDevice } from '../dev/in_device.js';
import type { SkBuff } from '../dev/skbuff.js';
import { RouteNet } from '../route/netns.js';
import { CorkState, IpcmCookie } from './cork.js';
import { gsoSegment } from './gso.js';
import { IpIdents } from './id.js';
import type { IgmpDevice } from './igmp_state.js';
import { dstOutput } from './ip_output.js';
import { MsgIter } from './msg_iter.js';

/** What an ICMP error says of a datagram of ours; addresses are those of the quoted header. */
export interface IcmpErrorInfo {
  readonly type: number;
  readonly code: number;
  /** Next-hop MTU (3/4), pointer byte (12), gateway (5). */
  readonly info: number;
  /** Offset of the quoted IP header in the packet's memory. */
  readonly quoteOff: number;
  readonly quoteLen: number;
}

/** A protocol over IP (`struct net_protocol`). Both functions consume nothing of the caller's but the packet given. */
export interface InetProtocol {
  /** A whole datagram; `skb.data` is behind the IP header. Consumes it. */
  rcv(skb: SkBuff): void;
  /** An ICMP error about a datagram of this protocol. Does not consume the packet. */
  err(skb: SkBuff, info: IcmpErrorInfo): void;
}

/** Verdict of a hook on the way out (netfilter's place): 0 accepts, a negative errno drops with it (OUT-1: EPERM). */
export type OutputHook = (skb: SkBuff) => number;

export class IpNet extends RouteNet {
  readonly idents = new IpIdents(this);
  readonly inetProtos = new Map<number, InetProtocol>();
  /** IGMP's state of each device that IP runs on. */
  readonly igmp = new Map<InDevice, IgmpDevice>();
  /** Called for each datagram before it is routed out (NF_INET_LOCAL_OUT); null for none. */
  localOutHook: OutputHook | null = null;
  /** Used by one uncorked send at a time: nothing is allocated for a datagram. */
  readonly oneCork = new CorkState();
  readonly oneCookie = new IpcmCookie();
  readonly oneIter = new MsgIter(this.arena);
  readonly oneHeader = new Uint8Array(60);
  /** Answers a packet with an ICMP error (`icmp_send`); set by the ICMP code. Does not consume the packet. */
  icmpSend: (skb: SkBuff, type: number, code: number, info: number) => void = () => {};

  constructor(options: NetOptions = {}) {
    super(options);
    this.gsoSegment = (skb) => gsoSegment(this, skb);
    this.dstOutput = (skb) => dstOutput(this, null, skb);
  }
}
