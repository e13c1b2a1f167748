/** Options of levels SOL_UDP and SOL_UDPLITE (`udp_lib_setsockopt`, `udp_lib_getsockopt`; SOPT-40..43). */
import { EFAULT, EINVAL, ENOPROTOOPT } from '../uapi/errno.js';
import {
  UDP_CORK,
  UDP_ENCAP,
  UDP_GRO,
  UDP_NO_CHECK6_RX,
  UDP_NO_CHECK6_TX,
  UDP_SEGMENT,
  UDPLITE_RECV_CSCOV,
  UDPLITE_SEND_CSCOV,
} from '../uapi/in.js';
import type { UdpNet } from '../udp/netns.js';
import { udpPushPendingFrames } from '../udp/sendmsg.js';
import type { UdpSock } from '../udp/sock.js';
import { get32le } from '../wire/bytes.js';
import { type Pointer, readUser } from './memory.js';

const UDP_ENCAP_ESPINUDP_NON_IKE = 1;
const UDP_ENCAP_L2TPINUDP = 3;
const MIN_COVERAGE = 8;

export function udpSetsockopt(
  net: UdpNet,
  sk: UdpSock,
  name: number,
  optval: Pointer,
  optlen: number,
): number {
  if (optlen < 4) return -EINVAL;
  const bytes = readUser(optval, 4);
  if (bytes === null) return -EFAULT;
  const val = get32le(bytes, 0) | 0;
  switch (name) {
    case UDP_CORK:
      sk.corkflag = val !== 0;
      // SOPT-40: what the push answers is lost.
      if (val === 0 && sk.pending !== 0) udpPushPendingFrames(net, sk);
      return 0;
    case UDP_ENCAP:
      if (val === UDP_ENCAP_ESPINUDP_NON_IKE && !net.profile.udpEncapNonIke) return -ENOPROTOOPT;
      if (val < 0 || val > UDP_ENCAP_L2TPINUDP) return -ENOPROTOOPT;
      sk.encapType = val;
      return 0;
    case UDP_NO_CHECK6_TX:
      sk.noCheck6Tx = val !== 0;
      return 0;
    case UDP_NO_CHECK6_RX:
      sk.noCheck6Rx = val !== 0;
      return 0;
    case UDP_SEGMENT:
      if (val < 0 || val > 0xffff) return -EINVAL;
      sk.gsoSize = val;
      return 0;
    case UDP_GRO:
      sk.groEnabled = val !== 0;
      return 0;
    case UDPLITE_SEND_CSCOV:
      if (!sk.isUdplite) return -ENOPROTOOPT;
      sk.pcslen = coverage(val);
      sk.udpliteSendCc = true;
      return 0;
    case UDPLITE_RECV_CSCOV:
      if (!sk.isUdplite) return -ENOPROTOOPT;
      sk.pcrlen = coverage(val);
      sk.udpliteRecvCc = true;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

function coverage(val: number): number {
  if (val !== 0 && val < MIN_COVERAGE) return MIN_COVERAGE;
  return Math.min(val, 0xffff);
}

/** The value, or a negative errno. */
export function udpGetsockopt(sk: UdpSock, name: number): number | { error: number } {
  switch (name) {
    case UDP_CORK:
      return sk.corkflag ? 1 : 0;
    case UDP_ENCAP:
      return sk.encapType;
    case UDP_NO_CHECK6_TX:
      return sk.noCheck6Tx ? 1 : 0;
    case UDP_NO_CHECK6_RX:
      return sk.noCheck6Rx ? 1 : 0;
    case UDP_SEGMENT:
      return sk.gsoSize;
    case UDP_GRO:
      return sk.groEnabled ? 1 : 0;
    case UDPLITE_SEND_CSCOV:
      return sk.pcslen;
    case UDPLITE_RECV_CSCOV:
      return sk.pcrlen;
    default:
      return { error: -ENOPROTOOPT };
  }
}
