/** The way out of a device (`net/core/dev.c`): validation against its features, captures, the driver. */
import { EMSGSIZE, ENOBUFS } from '../uapi/errno.js';
import { put16 } from '../wire/bytes.js';
import { csumFold, csumPartial } from '../wire/checksum.js';
import {
  NET_XMIT_DROP,
  NETDEV_TX_OK,
  NETIF_F_GSO_UDP_L4,
  NETIF_F_HW_CSUM,
  type NetDevice,
} from './net_device.js';
import type { DevNet } from './netns.js';
import {
  CHECKSUM_NONE,
  CHECKSUM_PARTIAL,
  SKBTX_SCHED_TSTAMP,
  SKBTX_SW_TSTAMP,
  type SkBuff,
} from './skbuff.js';

/**
 * Sends a packet whose bytes are the whole frame (`__dev_queue_xmit`). Consumes it.
 * @returns 0, or -ENOBUFS where a device without queueing discipline dropped it (DEV-2, DEV-3)
 */
export function devQueueXmit(net: DevNet, skb: SkBuff): number {
  const dev = skb.dev!;
  if (!dev.isUp || !dev.carrier) {
    // DEV-4: down or without carrier the queueing discipline is noop, which answers "congestion": success for the sender.
    dev.stats.txDropped++;
    net.skbs.free(skb);
    return 0;
  }
  if ((skb.txFlags & SKBTX_SCHED_TSTAMP) !== 0) skb.sk?.txTimestamp(skb, SKBTX_SCHED_TSTAMP);
  if (skb.gsoSize === 0 && skb.ipSummed !== CHECKSUM_PARTIAL) return devHardStartXmit(net, skb, dev);
  return validateXmitSkb(net, skb, dev);
}

/** What the device cannot do is done here: segmentation, checksum (`validate_xmit_skb`). */
function validateXmitSkb(net: DevNet, skb: SkBuff, dev: NetDevice): number {
  if (skb.gsoSize !== 0 && netifNeedsGso(skb, dev)) {
    if (net.tracer !== null) {
      net.tracer.event({
        fn: 'validate_xmit_skb',
        step: 'gso',
        text: `${dev.name} does not segment UDP: ${skb.gsoSegs} segments of ${skb.gsoSize} bytes are cut here`,
        rule: 'GSO-20',
      });
    }
    let segment = net.gsoSegment(skb);
    let result = 0;
    while (segment !== null) {
      const next: SkBuff | null = segment.next;
      segment.next = null;
      // GSO-24: what a driver drops of the segments does not reach the sender.
      const sent = validateXmitSkb(net, segment, dev);
      if (sent < 0 && sent !== -ENOBUFS) result = sent;
      segment = next;
    }
    return result;
  }
  if (skb.ipSummed === CHECKSUM_PARTIAL && (dev.features & NETIF_F_HW_CSUM) === 0) skbChecksumHelp(skb);
  return devHardStartXmit(net, skb, dev);
}

function netifNeedsGso(skb: SkBuff, dev: NetDevice): boolean {
  return (
    (dev.features & NETIF_F_GSO_UDP_L4) === 0 || skb.gsoSegs > dev.gsoMaxSegs || skb.len >= dev.gsoMaxSize
  );
}

/** Finishes a checksum that was left to the device (`skb_checksum_help`). */
export function skbChecksumHelp(skb: SkBuff): void {
  const field = skb.csumStart + skb.csumOffset;
  const sum = csumFold(csumPartial(skb.buf, skb.csumStart, skb.tail - skb.csumStart, 0));
  put16(skb.buf, field, sum === 0 ? 0xffff : sum);
  skb.ipSummed = CHECKSUM_NONE;
}

/** Captures, counters, driver (`xmit_one`). */
function devHardStartXmit(net: DevNet, skb: SkBuff, dev: NetDevice): number {
  if (dev.taps !== null) deliverToTaps(net, dev, skb, skb.data, 4);
  if ((skb.txFlags & SKBTX_SW_TSTAMP) !== 0) {
    const { ubuf } = skb;
    // ERRQ-10: a TAP lets go of the user's pages before it takes the time, the loopback device after.
    if (ubuf !== null && !dev.isLoopback) {
      skb.ubuf = null;
      ubuf.put();
    }
    skb.sk?.txTimestamp(skb, SKBTX_SW_TSTAMP);
  }
  const bytes = skb.len;
  const verdict = dev.startXmit(skb);
  if (verdict === NETDEV_TX_OK) {
    dev.stats.txPackets++;
    dev.stats.txBytes += bytes;
    return 0;
  }
  dev.stats.txDropped++;
  // DEV-2: with a queueing discipline in front, the sender does not learn what the driver did.
  if (!dev.noqueue) return 0;
  return verdict === NET_XMIT_DROP ? -ENOBUFS : verdict < 0 ? verdict : -EMSGSIZE;
}

/** Shows a frame to the device's captures, as a packet socket sees it: in one piece. */
export function deliverToTaps(net: DevNet, dev: NetDevice, skb: SkBuff, from: number, dir: 0 | 4): void {
  if (net.captureSec < 0) {
    const wallMs = net.clock.wall();
    net.captureSec = Math.floor(wallMs / 1000);
    net.captureNsec = Math.floor((wallMs - net.captureSec * 1000) * 1e6);
  }
  const { captureSec: sec, captureNsec: nsec } = net;
  if (skb.fragList === null) {
    for (const tap of dev.taps!) tap.packet(dev, skb.buf, from, skb.tail - from, dir, sec, nsec);
    return;
  }
  const whole = net.skbs.copy(skb);
  const at = whole.data - (skb.data - from);
  for (const tap of dev.taps!) tap.packet(dev, whole.buf, at, whole.tail - at, dir, sec, nsec);
  net.skbs.free(whole);
}
