/**
 * The straight line: one datagram that is one frame, asks for nothing, and whose neighbour is known.
 *
 * This is not another `udp_sendmsg`: address, control messages, source, interface and route have been decided by the one there is. What follows
 * for such a datagram (`ip_make_skb`, `udp_send_skb`, `ip_output`, `neigh_output`) has no choice left to make, so it is done in one place, the
 * headers written from registers and every byte once. Whatever makes a choice necessary is refused here and goes the general way; a test
 * holds both ways against each other, byte for byte and counter for counter.
 */
import { SLOT_HEADROOM, SMALL_SLOT_BYTES } from '../core/arena.js';
import { NETIF_F_HW_CSUM } from '../dev/net_device.js';
import { devQueueXmit } from '../dev/xmit.js';
import type { IpcmCookie } from '../ip/cork.js';
import { ipSkUsePmtu } from '../ip/inet_sock.js';
import { ipSelectDf, ipSelectIdent, ipSelectTtl } from '../ip/ip_output.js';
import type { MsgIter } from '../ip/msg_iter.js';
import type { Flowi4 } from '../route/flow.js';
import { dstMtu } from '../route/mtu.js';
import { DST_OUTPUT_IP, type Rtable } from '../route/rtable.js';
import { ENOBUFS } from '../uapi/errno.js';
import { ETH_HLEN, ETH_P_IP } from '../uapi/if.js';
import { IPPROTO_UDP } from '../uapi/in.js';
import { RTN_UNICAST } from '../uapi/rtnetlink.js';
import { MSG_CONFIRM, MSG_ZEROCOPY } from '../uapi/socket.js';
import { HOST_LITTLE_ENDIAN } from '../wire/bytes.js';
import type { UdpNet } from './netns.js';
import type { UdpSock } from './sock.js';

/** The datagram is not for this way. */
export const NOT_PLAIN = 1;

const HEADERS_BYTES = 28;

/** Everything that would need a decision, or more than one frame. */
function isPlain(
  net: UdpNet,
  sk: UdpSock,
  rt: Rtable,
  ipc: IpcmCookie,
  total: number,
  flags: number,
): boolean {
  const neigh = rt.neigh;
  if (!HOST_LITTLE_ENDIAN || neigh === null) return false;
  return (
    neigh.fastOutput &&
    !neigh.dead &&
    !neigh.noHeader &&
    net.tracer === null &&
    ipc.opt === null &&
    ipc.gsoSize === 0 &&
    ipc.tsflags === 0 &&
    ipc.transmitTime === 0 &&
    ipc.tos >= 0 &&
    (flags & (MSG_CONFIRM | MSG_ZEROCOPY)) === 0 &&
    sk.err === 0 &&
    sk.shutdown === 0 &&
    !sk.nospace &&
    !sk.noCheckTx &&
    !sk.isUdplite &&
    sk.wmemAlloc < sk.sndbuf &&
    rt.type === RTN_UNICAST &&
    rt.output === DST_OUTPUT_IP &&
    rt.dev === neigh.dev &&
    rt.dev.master === null &&
    (rt.dev.features & NETIF_F_HW_CSUM) === 0 &&
    net.localOutHook === null &&
    total <= SMALL_SLOT_BYTES - SLOT_HEADROOM
  );
}

/**
 * Builds and sends.
 * @param len payload, bytes
 * @returns 0, a negative errno, or NOT_PLAIN: nothing has been done then
 */
export function udpSendFrame(
  net: UdpNet,
  sk: UdpSock,
  fl4: Flowi4,
  rt: Rtable,
  ipc: IpcmCookie,
  iter: MsgIter,
  len: number,
  flags: number,
): number {
  const total = len + HEADERS_BYTES;
  if (!isPlain(net, sk, rt, ipc, total, flags)) return NOT_PLAIN;
  const neigh = rt.neigh!;
  const daddr = fl4.daddr | 0;
  if ((neigh.key | 0) !== (rt.gateway !== 0 ? rt.gateway | 0 : daddr)) return NOT_PLAIN;
  const mtu = dstMtu(rt);
  const fragsize = ipSkUsePmtu(sk) ? mtu : rt.dev.mtu;
  if (total > fragsize || fragsize < 68) return NOT_PLAIN;

  const skb = net.skbs.alloc(total);
  const nh = skb.nh;
  const th = nh + 20;
  if (skb.slot < 0 || !iter.copy(skb.buf, th + 8, 0, len)) {
    net.skbs.free(skb);
    return NOT_PLAIN;
  }
  const saddr = fl4.saddr | 0;
  const sport = sk.num;
  const dport = fl4.dport;
  const ulen = len + 8;
  const tos = ipc.tos;
  const ttl = ipc.ttl !== 0 ? ipc.ttl : ipSelectTtl(net, sk, rt);
  const df = ipSelectDf(sk, rt, total, mtu);
  const id = ipSelectIdent(net, sk, fl4, df);

  const addresses = (saddr >>> 16) + (saddr & 0xffff) + (daddr >>> 16) + (daddr & 0xffff);
  let ipSum = 0x4500 + tos + total + id + df + ((ttl << 8) | IPPROTO_UDP) + addresses;
  ipSum = (ipSum >>> 16) + (ipSum & 0xffff);
  const ipCheck = ~(ipSum + (ipSum >>> 16)) & 0xffff;
  let sum = addresses + IPPROTO_UDP + ulen + sport + dport + ulen + net.arena.checksum(th + 8, len);
  sum = (sum >>> 16) + (sum & 0xffff);
  const check = ~(sum + (sum >>> 16)) & 0xffff || 0xffff;

  const w = net.arena.u32;
  const i = nh >>> 2;
  net.arena.u16[(nh - ETH_HLEN) >>> 1] = neigh.hh16;
  w[i - 3] = neigh.hh32a;
  w[i - 2] = neigh.hh32b;
  w[i - 1] = neigh.hh32c;
  w[i] = 0x45 | (tos << 8) | ((total & 0xff00) << 8) | (total << 24);
  w[i + 1] = (id >>> 8) | ((id & 0xff) << 8) | ((df & 0xff00) << 8);
  w[i + 2] = ttl | (IPPROTO_UDP << 8) | ((ipCheck & 0xff00) << 8) | (ipCheck << 24);
  w[i + 3] = swap32(saddr);
  w[i + 4] = swap32(daddr);
  w[i + 5] = (sport >>> 8) | ((sport & 0xff) << 8) | ((dport & 0xff00) << 8) | (dport << 24);
  w[i + 6] = (ulen >>> 8) | ((ulen & 0xff) << 8) | ((check & 0xff00) << 8) | (check << 24);

  skb.th = th;
  skb.mac = nh - ETH_HLEN;
  skb.data = skb.mac;
  skb.tail = th + ulen;
  skb.len = total + ETH_HLEN;
  skb.dev = rt.dev;
  skb.dst = rt;
  skb.protocol = ETH_P_IP;
  skb.priority = ipc.priority;
  skb.mark = ipc.mark;

  const { Ip, IpExt, Udp } = net.mib;
  Ip.OutRequests++;
  if (net.profile.outTransmits) Ip.OutTransmits++;
  IpExt.OutOctets += total;
  // Its memory is not charged: a frame that a device takes is given back by it at once.
  const err = devQueueXmit(net, skb);
  if (err === 0) {
    Udp.OutDatagrams++;
    return 0;
  }
  Ip.OutDiscards++;
  if (err !== -ENOBUFS || sk.recverr) return err;
  Udp.SndbufErrors++;
  return 0;
}

/** Network order of a 32-bit value on a little-endian machine. */
function swap32(value: number): number {
  return (value >>> 24) | ((value >>> 8) & 0xff00) | ((value & 0xff00) << 8) | (value << 24);
}
