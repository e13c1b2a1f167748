/** `connect()` and its end on a datagram socket (`__ip4_datagram_connect`, `__udp_disconnect`). */
import { netifIndexIsL3Master } from '../route/l3mdev.js';
import { ipRouteOutputFlow } from '../route/output.js';
import { RTCF_BROADCAST } from '../route/rtable.js';
import { EACCES, ENETUNREACH } from '../uapi/errno.js';
import { ipv4IsMulticast } from '../uapi/in.js';
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE } from '../uapi/rtnetlink.js';
import type { UdpNet } from './netns.js';
import { flowi4InitOutput } from './sendmsg.js';
import { SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK, TCP_CLOSE, TCP_ESTABLISHED, type UdpSock } from './sock.js';
import { udpHashConnected, udpLibRehash, udpLibUnhash, udpUnhashConnected } from './udp_table.js';

/** Connects to a peer; port 0 is accepted (CONN-2..5). 0 or a negative errno; a failure leaves the old peer (CONN-7). */
export function ip4DatagramConnect(net: UdpNet, sk: UdpSock, daddr: number, dport: number): number {
  sk.dstCache = null;
  let oif = sk.boundDevIf;
  let saddr = sk.saddr;
  if (ipv4IsMulticast(daddr)) {
    if (oif === 0 || netifIndexIsL3Master(net, oif)) oif = sk.mcIndex;
    if (saddr === 0) saddr = sk.mcAddr;
  } else if (oif === 0) oif = sk.ucIndex;

  // CORK-21: the socket's flow is the corked datagram's too, and is overwritten.
  const fl4 = sk.cork.fl;
  const scope = sk.localroute ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  flowi4InitOutput(fl4, sk, oif, sk.mark, sk.tos & net.profile.routingTosMask, scope, daddr, saddr, dport);
  if (daddr === 0 || saddr === 0) {
    // CONN-3: a first lookup learns the addresses, a second one is made with them.
    const learned = ipRouteOutputFlow(net, fl4);
    if (typeof learned === 'number') return connectError(net, learned);
    fl4.oif = oif;
  }
  net.hooks?.skClassifyFlow?.(sk, fl4);
  const rt = ipRouteOutputFlow(net, fl4);
  if (typeof rt === 'number') return connectError(net, rt);
  if ((rt.flags & RTCF_BROADCAST) !== 0 && !sk.broadcast) return -EACCES;

  udpUnhashConnected(net, sk);
  sk.daddr = fl4.daddr;
  sk.dport = dport;
  if (sk.saddr === 0) sk.saddr = fl4.saddr;
  if (sk.rcvSaddr === 0) {
    sk.rcvSaddr = fl4.saddr;
    udpLibRehash(net, sk);
  }
  sk.state = TCP_ESTABLISHED;
  udpHashConnected(net, sk);
  sk.inetId = net.random.u32() & 0xffff;
  sk.dstCache = rt;
  return 0;
}

function connectError(net: UdpNet, err: number): number {
  if (err === -ENETUNREACH) net.mib.Ip.OutNoRoutes++;
  return err;
}

/** Takes the peer away, and with it what only the connection had fixed (CONN-10). */
export function udpDisconnect(net: UdpNet, sk: UdpSock): void {
  udpUnhashConnected(net, sk);
  sk.state = TCP_CLOSE;
  sk.daddr = 0;
  sk.dport = 0;
  sk.boundDevIf = 0;
  if ((sk.userlocks & SOCK_BINDADDR_LOCK) === 0) {
    sk.saddr = 0;
    sk.rcvSaddr = 0;
    if ((sk.userlocks & SOCK_BINDPORT_LOCK) !== 0) udpLibRehash(net, sk);
  }
  if ((sk.userlocks & SOCK_BINDPORT_LOCK) === 0) udpLibUnhash(net, sk);
  sk.dstCache = null;
}
