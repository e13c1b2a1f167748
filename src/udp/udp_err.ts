/** ICMP errors about our datagrams (`__udp4_lib_err`): which socket, which errno, and what routing learns. */
import type { SkBuff } from '../dev/skbuff.js';
import { inetSdif } from '../ip/ip_input.js';
import type { IcmpErrorInfo } from '../ip/netns.js';
import { ipDoRedirect, ipRtUpdatePmtu } from '../route/exceptions.js';
import { FLOWI_FLAG_ANYSRC, Flowi4 } from '../route/flow.js';
import { ipRouteOutputFlow, ipv4DstCheck } from '../route/output.js';
import {
  ECONNREFUSED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EMSGSIZE,
  ENETUNREACH,
  ENONET,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPROTO,
} from '../uapi/errno.js';
import { IP_PMTUDISC_DONT, IP_PMTUDISC_INTERFACE, IP_PMTUDISC_OMIT } from '../uapi/in.js';
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE } from '../uapi/rtnetlink.js';
import * as icmp from '../wire/icmp.js';
import * as ipv4 from '../wire/ipv4.js';
import * as udp from '../wire/udp.js';
import { ipIcmpError } from './errqueue.js';
import type { UdpNet } from './netns.js';
import { TCP_ESTABLISHED, type UdpSock } from './sock.js';
import { type UdpTable, udp4LibLookup } from './udp_table.js';

/** By code of "unreachable": the errno, and whether a connected socket without IP_RECVERR hears of it (`icmp_err_convert`). */
const ICMP_ERR_CONVERT: readonly (readonly [errno: number, fatal: boolean])[] = [
  [ENETUNREACH, false],
  [EHOSTUNREACH, false],
  [ENOPROTOOPT, true],
  [ECONNREFUSED, true],
  [EMSGSIZE, false],
  [EOPNOTSUPP, false],
  [ENETUNREACH, true],
  [EHOSTDOWN, true],
  [ENONET, true],
  [ENETUNREACH, true],
  [EHOSTUNREACH, true],
  [ENETUNREACH, false],
  [EHOSTUNREACH, false],
  [EHOSTUNREACH, true],
  [EHOSTUNREACH, true],
  [EHOSTUNREACH, true],
];

/**
 * An ICMP error that quotes a datagram of ours, with at least its UDP header. Does not consume the packet.
 */
export function udpErr(net: UdpNet, table: UdpTable, skb: SkBuff, error: IcmpErrorInfo): void {
  const b = skb.buf;
  const iph = error.quoteOff;
  const uh = iph + ipv4.headerLen(b, iph);
  const remote = ipv4.daddr(b, iph);
  const remotePort = udp.dest(b, uh);
  const dif = skb.dev!.ifindex;
  // ICMP-2: as if a datagram had come from where ours went.
  const sk = udp4LibLookup(
    net,
    table,
    remote,
    remotePort,
    ipv4.saddr(b, iph),
    udp.source(b, uh),
    dif,
    inetSdif(skb),
  );
  if (sk === null || sk.encapType !== 0) {
    net.mib.Icmp.InErrors++;
    return;
  }
  const { type, code, info } = error;
  let errno = EHOSTUNREACH;
  let fatal = false;
  if (type === icmp.ICMP_SOURCE_QUENCH) return;
  if (type === icmp.ICMP_REDIRECT) {
    ipv4SkRedirect(net, sk, skb, error);
    return;
  }
  if (type === icmp.ICMP_PARAMETERPROB) {
    errno = EPROTO;
    fatal = true;
  } else if (type === icmp.ICMP_DEST_UNREACH && code === icmp.ICMP_FRAG_NEEDED) {
    ipv4SkUpdatePmtu(net, sk, skb, error);
    // ICMP-21: what is not stored is reported all the same, but not to a socket that fragments.
    if (sk.pmtudisc === IP_PMTUDISC_DONT) return;
    errno = EMSGSIZE;
    fatal = true;
  } else if (type === icmp.ICMP_DEST_UNREACH)
    [errno, fatal] = ICMP_ERR_CONVERT[code] ?? [EHOSTUNREACH, false];
  net.tracer?.event({
    fn: 'udp_err',
    step: 'icmp',
    text: `ICMP ${type}/${code} about a datagram to port ${remotePort}: errno ${errno}${fatal ? '' : ', only for IP_RECVERR'}`,
    rule: 'ICMP-10',
    data: { type, code, info, errno, fatal },
  });
  if (sk.recverr) {
    ipIcmpError(sk, skb, { errno, port: remotePort, info, payload: uh + udp.HEADER_LEN });
  } else if (!fatal || sk.state !== TCP_ESTABLISHED) return;
  sk.err = errno;
  sk.onReadable?.();
}

const fl4 = new Flowi4();

/** The flow of the quoted datagram, as the socket would route it now (`__build_flow_key`). */
function buildFlowKey(net: UdpNet, sk: UdpSock, skb: SkBuff, iph: number): Flowi4 {
  fl4.oif = sk.boundDevIf;
  fl4.iif = 0;
  fl4.mark = sk.mark !== 0 ? sk.mark : net.sysctl.ipv4.fwmarkReflect !== 0 ? skb.mark : 0;
  fl4.tos = sk.tos & net.profile.routingTosMask;
  fl4.scope = sk.localroute ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  fl4.proto = sk.protocol;
  fl4.flags = sk.transparent ? FLOWI_FLAG_ANYSRC : 0;
  fl4.uid = sk.cred.uid;
  fl4.daddr = ipv4.daddr(skb.buf, iph);
  fl4.saddr = ipv4.saddr(skb.buf, iph);
  fl4.sport = 0;
  fl4.dport = 0;
  fl4.l3mdev = 0;
  fl4.multipathHash = 0;
  return fl4;
}

/** Learns a path MTU; a connected socket's cached route follows (`ipv4_sk_update_pmtu`, ICMP-21..24). */
function ipv4SkUpdatePmtu(net: UdpNet, sk: UdpSock, skb: SkBuff, error: IcmpErrorInfo): void {
  if (sk.pmtudisc === IP_PMTUDISC_INTERFACE || sk.pmtudisc === IP_PMTUDISC_OMIT) return;
  const flow = buildFlowKey(net, sk, skb, error.quoteOff);
  const old = sk.dstCache;
  if (old === null) {
    const rt = ipRouteOutputFlow(net, flow);
    if (typeof rt !== 'number') ipRtUpdatePmtu(net, rt, flow, error.info);
    return;
  }
  let rt = old;
  if (!ipv4DstCheck(net, rt)) {
    const fresh = ipRouteOutputFlow(net, flow);
    if (typeof fresh === 'number') return;
    rt = fresh;
  }
  ipRtUpdatePmtu(net, rt, flow, error.info);
  if (!ipv4DstCheck(net, rt)) {
    const fresh = ipRouteOutputFlow(net, buildFlowKey(net, sk, skb, error.quoteOff));
    if (typeof fresh === 'number') return;
    rt = fresh;
  }
  sk.dstCache = rt;
}

/** `ipv4_sk_redirect`; no socket hears of it (ICMP-30). */
function ipv4SkRedirect(net: UdpNet, sk: UdpSock, skb: SkBuff, error: IcmpErrorInfo): void {
  const flow = buildFlowKey(net, sk, skb, error.quoteOff);
  const rt = ipRouteOutputFlow(net, flow);
  if (typeof rt === 'number') return;
  const oldGw = ipv4.saddr(skb.buf, skb.nh);
  ipDoRedirect(net, rt, flow, { code: error.code, newGw: error.info, oldGw, dev: skb.dev! });
}
