import { EINVAL, EMSGSIZE, ENETUNREACH } from '../uapi/errno.js';

/** What differs between kernel versions, as data. Code asks the profile, never the version. */
export interface KernelProfile {
  readonly name: '6.18' | '6.1' | '5.4';
  /** UDP_MAX_SEGMENTS: segments of one UDP_SEGMENT send (GSO-2). */
  readonly udpMaxSegments: number;
  /** GSO-1: the errno where headers and one segment exceed the path MTU. */
  readonly gsoSizeErrno: number;
  /** GSO-1: the size compared is min(payload, gso_size), not gso_size. */
  readonly gsoSizeOfPayload: boolean;
  /** GSO-2: the payload is compared with the segment limit; before, the length of the whole IP packet. */
  readonly gsoLimitOfPayload: boolean;
  /** GSO-5: a device without checksum offload refuses UDP_SEGMENT with EIO. */
  readonly gsoNeedsDeviceCsum: boolean;
  /** TUN-11: a TAP can take whole UDP_SEGMENT sends (USO4 with USO6). */
  readonly tunUso: boolean;
  /** SOPT-42: UDP_ENCAP knows the ESP encapsulation of the drafts, 1. */
  readonly udpEncapNonIke: boolean;
  /** SEND-22: the bits of the TOS byte that routing sees. */
  readonly routingTosMask: number;
  /** SEND-9: any control data takes a connected send off its cached route, not only an IP-level message. */
  readonly anyCmsgLeavesFastPath: boolean;
  /** CMSG-4: SO_PRIORITY as a control message. */
  readonly cmsgPriority: boolean;
  readonly cmsgTsOptId: boolean;
  readonly cmsgDevmem: boolean;
  /** CORK-4: TOS and priority are taken by the call that starts a datagram; before, at its assembly. */
  readonly tosTakenAtStart: boolean;
  /** ROUTE-4: the errno of a source address that is not ours. */
  readonly nonlocalSourceErrno: number;
  /** OPT-1: LSRR and SSRR need CAP_NET_RAW. */
  readonly sourceRouteNeedsNetRaw: boolean;
  /** BIND-2: the all-zeros address of a subnet is a broadcast address (before 5.14). */
  readonly subnetZeroBroadcast: boolean;
  /** FIB-23: multipath prefers the nexthop that owns the flow's source address. */
  readonly multipathSourceAffinity: boolean;
  /** ROUTE-23: the metrics of a broadcast route apply. */
  readonly broadcastRouteMetrics: boolean;
  /** IP_LOCAL_PORT_RANGE exists. */
  readonly localPortRange: boolean;
  /** SEND-42: `Ip: OutTransmits` is counted. */
  readonly outTransmits: boolean;
  /** RULE-2: rules may select by full DSCP. */
  readonly ruleDscp: boolean;
  /** BUF-2: packets whose data fits this many bytes have a cache of their own; 0 where there is none (before 6.3). */
  readonly smallHeadBytes: number;
  /** IP_ROUTER_ALERT can be read back. */
  readonly getRouterAlert: boolean;
  /** ROUTE-50: `setsockopt` and `getsockopt` hold the socket's lock for every option, and look after its cached route. */
  readonly everyOptionLocks: boolean;
  /** SO_PASSCRED and SO_PASSSEC are for AF_UNIX and AF_NETLINK alone. */
  readonly passcredOfUnixOnly: boolean;
  /** SOPT-9: SO_TXTIME knows its clocks. */
  readonly txtimeClockChecked: boolean;
  /** SOPT-10: the SOF_TIMESTAMPING_* bits that SO_TIMESTAMPING takes. */
  readonly timestampingMask: number;
  readonly wmemMax: number;
  readonly rmemMax: number;
  readonly optmemMax: number;
}

const v6_18: KernelProfile = {
  name: '6.18',
  udpMaxSegments: 128,
  gsoSizeErrno: EMSGSIZE,
  gsoSizeOfPayload: true,
  gsoLimitOfPayload: true,
  gsoNeedsDeviceCsum: false,
  tunUso: true,
  udpEncapNonIke: false,
  routingTosMask: 0xfc,
  anyCmsgLeavesFastPath: false,
  cmsgPriority: true,
  cmsgTsOptId: true,
  cmsgDevmem: true,
  tosTakenAtStart: true,
  nonlocalSourceErrno: ENETUNREACH,
  sourceRouteNeedsNetRaw: true,
  subnetZeroBroadcast: false,
  multipathSourceAffinity: true,
  broadcastRouteMetrics: true,
  localPortRange: true,
  outTransmits: true,
  ruleDscp: true,
  smallHeadBytes: 576,
  getRouterAlert: true,
  everyOptionLocks: false,
  passcredOfUnixOnly: true,
  txtimeClockChecked: true,
  timestampingMask: 0x7ffff,
  wmemMax: 4194304,
  rmemMax: 4194304,
  optmemMax: 131072,
};

/** The last of the 6.1 series: much of what 6.2 to 6.17 mended was taken over into it. */
const v6_1: KernelProfile = {
  ...v6_18,
  name: '6.1',
  gsoNeedsDeviceCsum: true,
  tunUso: false,
  udpEncapNonIke: true,
  routingTosMask: 0x1e,
  cmsgPriority: false,
  cmsgTsOptId: false,
  cmsgDevmem: false,
  tosTakenAtStart: false,
  multipathSourceAffinity: false,
  broadcastRouteMetrics: false,
  outTransmits: false,
  ruleDscp: false,
  smallHeadBytes: 0,
  getRouterAlert: false,
  everyOptionLocks: true,
  passcredOfUnixOnly: false,
  txtimeClockChecked: false,
  timestampingMask: 0xffff,
  wmemMax: 212992,
  rmemMax: 212992,
  optmemMax: 20480,
};

const v5_4: KernelProfile = {
  ...v6_1,
  name: '5.4',
  timestampingMask: 0x7fff,
  udpMaxSegments: 64,
  gsoSizeErrno: EINVAL,
  gsoSizeOfPayload: false,
  gsoLimitOfPayload: false,
  nonlocalSourceErrno: EINVAL,
  anyCmsgLeavesFastPath: true,
  localPortRange: false,
  sourceRouteNeedsNetRaw: false,
  subnetZeroBroadcast: true,
};

export const KERNEL_PROFILES: Readonly<Record<KernelProfile['name'], KernelProfile>> = {
  '6.18': v6_18,
  '6.1': v6_1,
  '5.4': v5_4,
};
export const DEFAULT_PROFILE = v6_18;
