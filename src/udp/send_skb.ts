/** The UDP header, segment offload, the checksum (`udp_send_skb`). */
import { CHECKSUM_NONE, CHECKSUM_PARTIAL, SKB_GSO_UDP_L4, type SkBuff } from '../dev/skbuff.js';
import type { CorkState } from '../ip/cork.js';
import { ipSendSkb } from '../ip/ip_output.js';
import type { Flowi4 } from '../route/flow.js';
import { EINVAL, EIO, ENOBUFS } from '../uapi/errno.js';
import { htons } from '../wire/bytes.js';
import { csumFold, csumFold16, csumTcpudpNofold } from '../wire/checksum.js';
import * as udp from '../wire/udp.js';
import { skbChecksum } from './checksum.js';
import type { UdpNet } from './netns.js';
import type { UdpSock } from './sock.js';
import { udpliteCsum } from './udplite.js';

/**
 * Gives a finished IP packet its UDP header and sends it. Consumes it.
 * @returns 0; the errors of GSO-1..4; what IP output returned, except that ENOBUFS is success without IP_RECVERR (SEND-40)
 */
export function udpSendSkb(net: UdpNet, sk: UdpSock, skb: SkBuff, fl4: Flowi4, cork: CorkState): number {
  const th = skb.th;
  const len = skb.len - (th - skb.nh);
  const datalen = len - udp.HEADER_LEN;
  const b = skb.buf;
  const saddr = fl4.saddr | 0;
  const daddr = fl4.daddr | 0;
  if (skb.slot >= 0) {
    const w = net.arena.u16;
    const i = th >> 1;
    w[i] = htons(sk.num);
    w[i + 1] = htons(fl4.dport);
    w[i + 2] = htons(len);
    w[i + 3] = 0;
  } else {
    udp.setSource(b, th, sk.num);
    udp.setDest(b, th, fl4.dport);
    udp.setLen(b, th, len);
    udp.setCheck(b, th, 0);
  }

  if (cork.gsoSize !== 0) {
    const err = udpGsoCheck(net, sk, skb, cork, datalen);
    if (err !== 0) {
      net.skbs.free(skb);
      return err;
    }
    if (datalen > cork.gsoSize) {
      skb.gsoSize = cork.gsoSize;
      skb.gsoType = SKB_GSO_UDP_L4;
      skb.gsoSegs = Math.ceil(datalen / cork.gsoSize);
    }
  }

  if (skb.gsoSize !== 0 || (skb.ipSummed === CHECKSUM_PARTIAL && !sk.isUdplite && !sk.noCheckTx)) {
    // CSUM-2: the device, or the segmentation, finishes it.
    const pseudo = csumTcpudpNofold(saddr, daddr, len, sk.protocol, 0);
    udp.setCheck(b, th, csumFold16(pseudo));
    skb.csumStart = th;
    skb.csumOffset = udp.CHECK;
    skb.ipSummed = CHECKSUM_PARTIAL;
  } else if (sk.isUdplite || !sk.noCheckTx) {
    skb.ipSummed = CHECKSUM_NONE;
    const sum = sk.isUdplite ? udpliteCsum(net, sk, skb, len) : skbChecksum(net, skb, th, len);
    const check = csumFold(csumTcpudpNofold(saddr, daddr, len, sk.protocol, sum));
    udp.setCheck(b, th, check === 0 ? 0xffff : check);
  } else skb.ipSummed = CHECKSUM_NONE;

  if (net.tracer !== null) traceChecksum(net, sk, skb, cork);
  const err = ipSendSkb(net, sk, skb);
  const mib = sk.isUdplite ? net.mib.UdpLite : net.mib.Udp;
  if (err === 0) {
    mib.OutDatagrams++;
    return 0;
  }
  if (err === -ENOBUFS && !sk.recverr) {
    mib.SndbufErrors++;
    return 0;
  }
  return err;
}

/** GSO-1..5 in their order; 0 or the errno. */
function udpGsoCheck(net: UdpNet, sk: UdpSock, skb: SkBuff, cork: CorkState, datalen: number): number {
  const profile = net.profile;
  const hlen = skb.th - skb.nh + udp.HEADER_LEN;
  const sized = profile.gsoSizeOfPayload ? Math.min(datalen, cork.gsoSize) : cork.gsoSize;
  if (hlen + sized > cork.fragsize) return -profile.gsoSizeErrno;
  const limited = profile.gsoLimitOfPayload ? datalen : skb.len;
  if (limited > cork.gsoSize * profile.udpMaxSegments) return -EINVAL;
  if (sk.noCheckTx) return -EINVAL;
  if (sk.isUdplite) return -EIO;
  if (profile.gsoNeedsDeviceCsum && skb.ipSummed !== CHECKSUM_PARTIAL) return -EIO;
  return 0;
}

function traceChecksum(net: UdpNet, sk: UdpSock, skb: SkBuff, cork: CorkState): void {
  const check = udp.check(skb.buf, skb.th);
  const sourceRouted = skb.optLen !== 0 && cork.opt.srr !== 0;
  net.tracer!.event({
    fn: 'udp_send_skb',
    step: 'checksum',
    text:
      skb.gsoSize !== 0
        ? `${skb.gsoSegs} segments of ${skb.gsoSize} bytes, each summed when it is cut`
        : skb.ipSummed === CHECKSUM_PARTIAL
          ? 'left to the device'
          : check === 0
            ? '0: SO_NO_CHECK'
            : `0x${check.toString(16)}, computed here${sourceRouted ? ' over the first hop: the final host will find it wrong' : ''}`,
    rule: skb.gsoSize !== 0 ? 'GSO-7' : sk.isUdplite ? 'CSUM-4' : check === 0 ? 'CSUM-3' : 'CSUM-1',
    quirk: sourceRouted,
    data: { check, gsoSize: skb.gsoSize, gsoSegs: skb.gsoSegs },
  });
}
