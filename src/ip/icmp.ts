/** ICMP coming in (`net/ipv4/icmp.c`): errors to the protocol that they concern, echo and timestamp requests answered. */
import type { SkBuff } from '../dev/skbuff.js';
import { CHECKSUM_COMPLETE, CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY } from '../dev/skbuff.js';
import { inetAddrTypeDevTable } from '../route/addr_type.js';
import { RTCF_BROADCAST, RTCF_MULTICAST, type Rtable } from '../route/rtable.js';
import { IPPROTO_ICMP, IPPROTO_RAW } from '../uapi/in.js';
import { RTN_BROADCAST } from '../uapi/rtnetlink.js';
import { get32, put32 } from '../wire/bytes.js';
import { csumFold, csumPartial } from '../wire/checksum.js';
import * as icmp from '../wire/icmp.js';
import * as ipv4 from '../wire/ipv4.js';
import { wsumPartial } from '../wire/wsum.js';
import { IcmpSender } from './icmp_send.js';
import type { IpInput } from './ip_input.js';
import type { IcmpErrorInfo, IpNet } from './netns.js';
import { inetCurrentTimestamp } from './options.js';

/** Highest type that is known (NR_ICMP_TYPES), highest code of "unreachable" (NR_ICMP_UNREACH). */
const NR_ICMP_TYPES = 18;
const NR_ICMP_UNREACH = 15;
const ICMP_ADDRESS = 17;
const ICMP_ADDRESSREPLY = 18;
const ICMP_EXC_FRAGTIME = 1;
const ICMP_EXT_ECHO = 42;
const TIMESTAMPS_BYTES = 12;

/** Makes a Net receive and send ICMP. `input` is what `ipInit` gave. */
export function icmpInit(net: IpNet, input: IpInput): void {
  const sender = new IcmpSender(net, input.peers);
  net.icmpSend = (skb, type, code, info) => sender.send(skb, type, code, info);
  net.neighErrorReport = (_neigh, skb) => {
    sender.sendDestUnreach(skb);
    net.skbs.free(skb);
  };
  net.inetProtos.set(IPPROTO_ICMP, {
    rcv: (skb) => {
      icmpRcv(net, sender, skb);
      net.skbs.free(skb);
    },
    // Errors about our own ICMP: nobody waits for them, and their routes are learned from UDP's.
    err: () => {},
  });
}

/** `icmp_rcv`; `data` is at the ICMP header. */
function icmpRcv(net: IpNet, sender: IcmpSender, skb: SkBuff): void {
  const mib = net.mib.Icmp;
  const b = skb.buf;
  mib.InMsgs++;
  const summed = skb.ipSummed === CHECKSUM_UNNECESSARY || skb.ipSummed === CHECKSUM_PARTIAL;
  if (!summed) {
    if (csumFold(csumPartial(b, skb.data, skb.len, 0)) !== 0) {
      mib.InCsumErrors++;
      mib.InErrors++;
      return;
    }
    // Verified here and now; the sum stays with the packet, for IP_CHECKSUM on the error queue.
    skb.csum = wsumPartial(b, skb.data, skb.len);
    skb.ipSummed = CHECKSUM_COMPLETE;
  }
  if (skb.len < icmp.HEADER_LEN) {
    mib.InErrors++;
    return;
  }
  const at = skb.data;
  const type = b[at]!;
  skb.data += icmp.HEADER_LEN;
  skb.len -= icmp.HEADER_LEN;
  countIn(net, type);
  if (type === ICMP_EXT_ECHO) return;
  if (type > NR_ICMP_TYPES) {
    mib.InErrors++;
    return;
  }
  const rt = skb.dst as Rtable;
  if ((rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0) {
    const asked = type === icmp.ICMP_ECHO || type === icmp.ICMP_TIMESTAMP;
    const ignored = asked
      ? net.sysctl.ipv4.icmpEchoIgnoreBroadcasts !== 0
      : type !== ICMP_ADDRESS && type !== ICMP_ADDRESSREPLY;
    if (ignored) {
      mib.InErrors++;
      return;
    }
  }
  if (type === icmp.ICMP_ECHO) icmpEcho(net, sender, skb, at);
  else if (type === icmp.ICMP_TIMESTAMP) icmpTimestamp(net, sender, skb, at);
  else if (type === icmp.ICMP_REDIRECT) icmpRedirect(net, skb, at);
  else if (icmp.isError(type)) icmpUnreach(net, skb, at);
}

function countIn(net: IpNet, type: number): void {
  const mib = net.mib.Icmp;
  if (type === icmp.ICMP_ECHOREPLY) mib.InEchoReps++;
  else if (type === icmp.ICMP_DEST_UNREACH) mib.InDestUnreachs++;
  else if (type === icmp.ICMP_SOURCE_QUENCH) mib.InSrcQuenchs++;
  else if (type === icmp.ICMP_REDIRECT) mib.InRedirects++;
  else if (type === icmp.ICMP_ECHO) mib.InEchos++;
  else if (type === icmp.ICMP_TIME_EXCEEDED) mib.InTimeExcds++;
  else if (type === icmp.ICMP_PARAMETERPROB) mib.InParmProbs++;
  else if (type === icmp.ICMP_TIMESTAMP) mib.InTimestamps++;
  else if (type === icmp.ICMP_TIMESTAMPREPLY) mib.InTimestampReps++;
}

/** Types 3, 4, 11, 12 (`icmp_unreach`); `data` is at the quoted packet. */
function icmpUnreach(net: IpNet, skb: SkBuff, at: number): void {
  const b = skb.buf;
  if (skb.len < ipv4.HEADER_LEN || ipv4.ihl(b, skb.data) < 5) {
    net.mib.Icmp.InErrors++;
    return;
  }
  const type = b[at]!;
  const code = b[at + 1]!;
  let info = 0;
  if (type === icmp.ICMP_DEST_UNREACH) {
    // The kernel looks at the code's low four bits here, and at the whole of it only then.
    if ((code & 15) === icmp.ICMP_FRAG_NEEDED) {
      // ICMP-20: 2 and 3 let UDP hear of nothing, 1 of no number.
      const { ipNoPmtuDisc } = net.sysctl.ipv4;
      if (ipNoPmtuDisc === 2 || ipNoPmtuDisc === 3) return;
      if (ipNoPmtuDisc === 0) info = icmp.mtu(b, at);
    }
    if (code > NR_ICMP_UNREACH) return;
  } else if (type === icmp.ICMP_PARAMETERPROB) info = icmp.pointer(b, at);
  else if (type === icmp.ICMP_TIME_EXCEEDED && code === ICMP_EXC_FRAGTIME) return;
  // ICMP-3: routers that answer broadcasts are believed unless the administrator says otherwise.
  if (net.sysctl.ipv4.icmpIgnoreBogusErrorResponses === 0) {
    if (inetAddrTypeDevTable(net, skb.dev, ipv4.daddr(b, skb.data)) === RTN_BROADCAST) return;
  }
  icmpSocketDeliver(net, skb, at, info);
}

function icmpRedirect(net: IpNet, skb: SkBuff, at: number): void {
  if (skb.len < ipv4.HEADER_LEN) {
    net.mib.Icmp.InErrors++;
    return;
  }
  icmpSocketDeliver(net, skb, at, icmp.gateway(skb.buf, at));
}

/** Gives an error to the protocol of the quoted packet, which needs its whole header and 8 bytes (`icmp_socket_deliver`). */
function icmpSocketDeliver(net: IpNet, skb: SkBuff, at: number, info: number): void {
  const b = skb.buf;
  const quoteOff = skb.data;
  const protocol = ipv4.protocol(b, quoteOff);
  if (skb.len < ipv4.headerLen(b, quoteOff) + 8 || protocol === IPPROTO_RAW) {
    net.mib.Icmp.InErrors++;
    return;
  }
  const error: IcmpErrorInfo = { type: b[at]!, code: b[at + 1]!, info, quoteOff, quoteLen: skb.len };
  net.inetProtos.get(protocol)?.err(skb, error);
}

/** `icmp_echo`: the same bytes back, the code too. */
function icmpEcho(net: IpNet, sender: IcmpSender, skb: SkBuff, at: number): void {
  if (net.sysctl.ipv4.icmpEchoIgnoreAll !== 0) return;
  const rest = get32(skb.buf, at + icmp.REST);
  sender.reply(
    skb,
    icmp.ICMP_ECHOREPLY,
    skb.buf[at + icmp.CODE]!,
    rest,
    skb.buf.subarray(skb.data, skb.tail),
  );
}

/** `icmp_timestamp`: when it came and when the answer leaves, which are the same. */
function icmpTimestamp(net: IpNet, sender: IcmpSender, skb: SkBuff, at: number): void {
  if (skb.len < 4) {
    net.mib.Icmp.InErrors++;
    return;
  }
  const times = new Uint8Array(TIMESTAMPS_BYTES);
  const now = inetCurrentTimestamp(net.clock.wall());
  times.set(skb.buf.subarray(skb.data, skb.data + 4));
  put32(times, 4, now);
  put32(times, 8, now);
  sender.reply(skb, icmp.ICMP_TIMESTAMPREPLY, 0, get32(skb.buf, at + icmp.REST), times);
}
