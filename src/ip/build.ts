/** Datagrams that the stack itself sends (ICMP, IGMP): route, header, out (`ip_build_and_send_pkt`). */
import { Flowi4 } from '../route/flow.js';
import { ipRouteOutputFlow } from '../route/output.js';
import { HEADER_LEN, IP_DF } from '../wire/ipv4.js';
import { ipLocalOut, writeIpHeader } from './ip_output.js';
import type { IpNet } from './netns.js';

export interface BuildRequest {
  /** 0: the route's. */
  readonly saddr: number;
  readonly daddr: number;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly tos?: number;
  /** 0 or absent: the route's hop limit or the sysctl. */
  readonly ttl?: number;
  readonly df?: boolean;
  readonly oif?: number;
  readonly mark?: number;
  /** Option bytes, a multiple of 4. */
  readonly options?: Uint8Array;
  /** IP identification; drawn from the generator where absent. */
  readonly id?: number;
}

/** Builds a datagram around a payload and sends it. 0, or the negative errno of the route or of IP output. */
export function ipBuildAndSend(net: IpNet, request: BuildRequest): number {
  const fl4 = new Flowi4();
  fl4.daddr = request.daddr;
  fl4.saddr = request.saddr;
  fl4.oif = request.oif ?? 0;
  fl4.mark = request.mark ?? 0;
  fl4.proto = request.protocol;
  fl4.tos = (request.tos ?? 0) & net.profile.routingTosMask;
  fl4.iif = 1;
  const rt = ipRouteOutputFlow(net, fl4);
  if (typeof rt === 'number') return rt;

  const optlen = request.options?.length ?? 0;
  const total = HEADER_LEN + optlen + request.payload.length;
  const skb = net.skbs.alloc(total);
  const df = request.df === true;
  const ttl = request.ttl || rt.metricHoplimit || net.sysctl.ipv4.ipDefaultTtl;
  const id = request.id ?? (df ? 0 : net.idents.reserve(net, fl4.daddr, fl4.saddr, request.protocol, 1));
  writeIpHeader(
    net,
    skb,
    (HEADER_LEN + optlen) >> 2,
    request.tos ?? 0,
    total,
    id,
    df ? IP_DF : 0,
    ttl,
    request.protocol,
    fl4.saddr,
    fl4.daddr,
  );
  if (request.options !== undefined) skb.buf.set(request.options, skb.nh + HEADER_LEN);
  skb.th = skb.nh + HEADER_LEN + optlen;
  skb.buf.set(request.payload, skb.th);
  skb.tail = skb.th + request.payload.length;
  skb.len = total;
  skb.optLen = optlen;
  skb.mark = fl4.mark;
  skb.ignoreDf = true;
  skb.dst = rt;
  return ipLocalOut(net, null, skb);
}
