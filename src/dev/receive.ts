/** Frames coming in (`netif_receive_skb`): from a driver to the captures and the protocols. */
import { SLOT_HEADROOM } from '../core/arena.js';
import {
  ETH_HLEN,
  PACKET_BROADCAST,
  PACKET_HOST,
  PACKET_LOOPBACK,
  PACKET_MULTICAST,
  PACKET_OTHERHOST,
} from '../uapi/if.js';
import type { NetDevice } from './net_device.js';
import type { DevNet } from './netns.js';
import { CHECKSUM_NONE, type SkBuff } from './skbuff.js';
import { deliverToTaps } from './xmit.js';

/** Largest frame that is taken from a driver: the largest IPv4 packet behind its link header. */
export const MAX_FRAME_BYTES = 65535 + ETH_HLEN;

/** How many packets may wait for the end of the trip they arose in (`netdev_max_backlog`). */
const MAX_BACKLOG = 1000;

/**
 * Takes one whole Ethernet frame off the wire: copies it into the arena, finds its type, and gives it to the protocols.
 * Frames under 14 bytes or over MAX_FRAME_BYTES, and frames for a device that is down, are dropped and counted. Drivers call
 * `net.flush()` after a batch of them.
 */
export function devReceiveFrame(dev: NetDevice, buf: Uint8Array, off: number, len: number): void {
  const net = dev.net;
  if (net === null) return;
  if (!dev.isUp || len < ETH_HLEN || len > MAX_FRAME_BYTES) {
    dev.stats.rxDropped++;
    return;
  }
  const skb = net.skbs.alloc(len);
  skb.mac = skb.head + SLOT_HEADROOM - ETH_HLEN;
  skb.buf.set(buf.subarray(off, off + len), skb.mac);
  skb.data = skb.mac;
  skb.tail = skb.mac + len;
  skb.len = len;
  skb.dev = dev;
  skb.skbIif = dev.ifindex;
  skb.ipSummed = CHECKSUM_NONE;
  skb.tstampMs = net.clock.wall();
  ethTypeTrans(skb, dev);
  const nested = net.inSoftirq;
  net.inSoftirq = true;
  netifReceiveSkb(net, skb);
  net.inSoftirq = nested;
  if (!nested && net.backlog.length > 0) processBacklog(net);
}

/** `eth_type_trans`: takes the link header off and says whom the frame is for. */
export function ethTypeTrans(skb: SkBuff, dev: NetDevice): void {
  const b = skb.buf;
  const at = skb.data;
  skb.mac = at;
  skb.data = at + ETH_HLEN;
  skb.len -= ETH_HLEN;
  skb.nh = skb.data;
  skb.protocol = (b[at + 12]! << 8) | b[at + 13]!;
  if (b[at]! & 1) {
    let broadcast = true;
    for (let i = 0; i < 6; i++) if (b[at + i] !== 0xff) broadcast = false;
    skb.pktType = broadcast ? PACKET_BROADCAST : PACKET_MULTICAST;
    return;
  }
  skb.pktType = PACKET_HOST;
  for (let i = 0; i < 6; i++) if (b[at + i] !== dev.addr[i]) skb.pktType = PACKET_OTHERHOST;
}

/** Gives a packet, `data` behind its link header, to the captures and to the protocol of its type. Consumes it. */
export function netifReceiveSkb(net: DevNet, skb: SkBuff): void {
  const dev = skb.dev!;
  dev.stats.rxPackets++;
  dev.stats.rxBytes += skb.len;
  if (dev.taps !== null && skb.pktType !== PACKET_LOOPBACK) deliverToTaps(net, dev, skb, skb.mac, 0);
  const handler = net.packetHandler(skb.protocol);
  if (handler === undefined) net.skbs.free(skb);
  else handler(skb);
}

/**
 * Takes a packet into the stack's own input (`netif_rx`): loopback and looped-back copies. It is
 * processed at once, as the softirq is when the sender enables it, except that input which arises from input waits for its turn.
 * `data` is behind the link header; `protocol` and `pktType` are set.
 */
export function netifRx(net: DevNet, skb: SkBuff): void {
  if (net.backlog.length >= MAX_BACKLOG) {
    skb.dev!.stats.rxDropped++;
    net.skbs.free(skb);
    return;
  }
  skb.tstampMs = net.clock.wall();
  skb.skbIif = skb.dev!.ifindex;
  net.backlog.push(skb);
  if (!net.inSoftirq) processBacklog(net);
}

function processBacklog(net: DevNet): void {
  net.inSoftirq = true;
  try {
    for (let at = 0; at < net.backlog.length; at++) {
      const skb = net.backlog[at]!;
      netifReceiveSkb(net, skb);
      if (at === MAX_BACKLOG) {
        net.backlog.splice(0, at + 1);
        at = -1;
      }
    }
  } finally {
    net.backlog.length = 0;
    net.inSoftirq = false;
  }
}
