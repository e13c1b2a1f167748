/**
 * Routing netlink: the numbers of `linux/rtnetlink.h`, `linux/fib_rules.h`, `linux/if_addr.h`, and its messages as plain
 * objects. They are what the `ip(8)` language speaks to the stack, in both directions: requests go down as a message
 * and come back as 0 or a negative errno, dumps come up as messages in the kernel's order.
 */

export const RTN_UNSPEC = 0;
export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;
export const RTN_BROADCAST = 3;
export const RTN_ANYCAST = 4;
export const RTN_MULTICAST = 5;
export const RTN_BLACKHOLE = 6;
export const RTN_UNREACHABLE = 7;
export const RTN_PROHIBIT = 8;
export const RTN_THROW = 9;
export const RTN_NAT = 10;
export const RTN_MAX = 11;

export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_SITE = 200;
export const RT_SCOPE_LINK = 253;
export const RT_SCOPE_HOST = 254;
export const RT_SCOPE_NOWHERE = 255;

export const RT_TABLE_UNSPEC = 0;
export const RT_TABLE_COMPAT = 252;
export const RT_TABLE_DEFAULT = 253;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;

export const RTPROT_UNSPEC = 0;
export const RTPROT_REDIRECT = 1;
export const RTPROT_KERNEL = 2;
export const RTPROT_BOOT = 3;
export const RTPROT_STATIC = 4;

export const RTNH_F_DEAD = 1;
export const RTNH_F_PERVASIVE = 2;
export const RTNH_F_ONLINK = 4;
export const RTNH_F_OFFLOAD = 8;
export const RTNH_F_LINKDOWN = 16;

/** Index into `RouteMessage.metrics`; `lock` is a bit set of the others. */
export const RTAX_LOCK = 1;
export const RTAX_MTU = 2;
export const RTAX_WINDOW = 3;
export const RTAX_RTT = 4;
export const RTAX_RTTVAR = 5;
export const RTAX_SSTHRESH = 6;
export const RTAX_CWND = 7;
export const RTAX_ADVMSS = 8;
export const RTAX_REORDERING = 9;
export const RTAX_HOPLIMIT = 10;
export const RTAX_INITCWND = 11;
export const RTAX_FEATURES = 12;
export const RTAX_RTO_MIN = 13;
export const RTAX_INITRWND = 14;
export const RTAX_QUICKACK = 15;
export const RTAX_MAX = 17;

export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;

export const FR_ACT_UNSPEC = 0;
export const FR_ACT_TO_TBL = 1;
export const FR_ACT_GOTO = 2;
export const FR_ACT_NOP = 3;
export const FR_ACT_BLACKHOLE = 6;
export const FR_ACT_UNREACHABLE = 7;
export const FR_ACT_PROHIBIT = 8;

export const FIB_RULE_PERMANENT = 0x1;
export const FIB_RULE_INVERT = 0x2;
export const FIB_RULE_UNRESOLVED = 0x4;

export const IFA_F_SECONDARY = 0x01;
export const IFA_F_NODAD = 0x02;
export const IFA_F_DEPRECATED = 0x20;
export const IFA_F_PERMANENT = 0x80;
export const IFA_F_MANAGETEMPADDR = 0x100;
export const IFA_F_NOPREFIXROUTE = 0x200;
export const IFA_F_MCAUTOJOIN = 0x400;

/** What a netlink request answers: 0, or a negative errno and the kernel's extended-ack text where it gives one. */
export interface NetlinkResult {
  readonly error: number;
  readonly extack?: string;
}
export const NETLINK_OK: NetlinkResult = { error: 0 };

/** One nexthop of a route. `weight` is 1..256 (`rtnh_hops + 1`); flags are RTNH_F_*. */
export interface RouteNexthop {
  readonly gateway?: number;
  readonly ifindex?: number;
  readonly weight?: number;
  readonly flags?: number;
}

/** RTM_NEWROUTE, RTM_DELROUTE. Absent keys are unset attributes. Addresses are host-order numbers. */
export interface RouteMessage {
  readonly type?: number;
  readonly table?: number;
  readonly dst?: number;
  readonly dstLen?: number;
  readonly tos?: number;
  readonly scope?: number;
  readonly protocol?: number;
  readonly priority?: number;
  readonly prefsrc?: number;
  /** One element for a plain route, several for multipath, none for the error types. */
  readonly nexthops?: readonly RouteNexthop[];
  /** Set when the user wrote a multipath list, even of one. */
  readonly multipath?: boolean;
  /** RTAX_* → value; RTAX_LOCK is a bit set `1 << RTAX_MTU` ... */
  readonly metrics?: ReadonlyMap<number, number>;
  /** RTNH_F_* of the route itself (`onlink`; in dumps also dead, linkdown). */
  readonly flags?: number;
}

/** RTM_NEWRULE, RTM_DELRULE. */
export interface RuleMessage {
  readonly priority?: number;
  readonly action?: number;
  readonly table?: number;
  readonly flags?: number;
  readonly src?: number;
  readonly srcLen?: number;
  readonly dst?: number;
  readonly dstLen?: number;
  readonly tos?: number;
  readonly dscp?: number;
  readonly iifname?: string;
  readonly oifname?: string;
  readonly fwmark?: number;
  readonly fwmask?: number;
  readonly ipproto?: number;
  readonly sportRange?: readonly [number, number];
  readonly dportRange?: readonly [number, number];
  readonly sportMask?: number;
  readonly dportMask?: number;
  readonly uidRange?: readonly [number, number];
  readonly tunId?: bigint;
  readonly l3mdev?: boolean;
  readonly gotoTarget?: number;
  readonly suppressPrefixlength?: number;
  readonly suppressIfgroup?: number;
  readonly protocol?: number;
}

/** RTM_NEWADDR, RTM_DELADDR. `address` is the peer where there is one. */
export interface AddrMessage {
  readonly ifindex: number;
  readonly prefixLen: number;
  readonly local?: number;
  readonly address?: number;
  readonly broadcast?: number;
  readonly scope?: number;
  readonly flags?: number;
  readonly label?: string;
  readonly metric?: number;
  readonly proto?: number;
  /** Seconds; 0xffffffff is forever. */
  readonly validLft?: number;
  readonly preferredLft?: number;
}

/** RTM_NEWNEIGH, RTM_DELNEIGH. */
export interface NeighMessage {
  readonly ifindex: number;
  readonly dst: number;
  readonly lladdr?: Uint8Array;
  readonly state?: number;
  readonly flags?: number;
  readonly protocol?: number;
}
