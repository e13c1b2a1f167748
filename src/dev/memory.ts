import { IFF_BROADCAST, IFF_MULTICAST } from '../uapi/if.js';
import { put16le } from '../wire/bytes.js';
import {
  VIRTIO_NET_HDR_BYTES,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_UDP_L4,
} from '../wire/virtio_net_hdr.js';
import {
  NET_XMIT_DROP,
  NETDEV_TX_OK,
  NETIF_F_GSO_UDP_L4,
  NETIF_F_HW_CSUM,
  NETIF_F_SG,
  NetDevice,
} from './net_device.js';
import { devReceiveFrame } from './receive.js';
import { CHECKSUM_PARTIAL, type SkBuff } from './skbuff.js';

export interface MemoryDeviceOptions {
  readonly name: string;
  /** Six bytes; a locally administered random one where absent. */
  readonly mac?: Uint8Array;
  readonly mtu?: number;
  /** Each frame carries a virtio_net_hdr, as on a TAP made with IFF_VNET_HDR. */
  readonly vnetHdr?: boolean;
  /** With `vnetHdr`: the device takes partial checksums, and UDP super-frames. */
  readonly offloadCsum?: boolean;
  readonly offloadUso?: boolean;
}

/** A frame that left by a memory device. */
export interface MemoryFrame {
  readonly dev: string;
  readonly bytes: Uint8Array;
  /** The 10 bytes in front of it, on a device with `vnetHdr`. */
  readonly vnetHdr: Uint8Array | null;
}

/**
 * A device that is an array: behaves as a TAP whose reader drains it between calls. Frames beyond `txQueueLen` undrained ones are
 * dropped, as in the TAP's ring (TUN-5).
 */
export class MemoryDevice extends NetDevice {
  override kind = 'tun';
  /** Frames sent and not yet drained, oldest first. */
  frames: MemoryFrame[] = [];
  readonly vnetHdr: boolean;
  /** Called for each frame that leaves, instead of keeping it: joins two Nets, or feeds a test. */
  onFrame: ((frame: MemoryFrame) => void) | null = null;

  constructor(options: MemoryDeviceOptions) {
    super(options.name);
    this.flags = IFF_BROADCAST | IFF_MULTICAST;
    this.addr = options.mac?.slice() ?? Uint8Array.of(2, 0, 0, ...crypto.getRandomValues(new Uint8Array(3)));
    this.mtu = options.mtu ?? 1500;
    this.maxMtu = 65521;
    this.vnetHdr = options.vnetHdr ?? false;
    this.features =
      NETIF_F_SG |
      (options.offloadCsum === true ? NETIF_F_HW_CSUM : 0) |
      (options.offloadUso === true ? NETIF_F_GSO_UDP_L4 : 0);
  }

  /** Takes the frames that have been sent. */
  drain(): MemoryFrame[] {
    const frames = this.frames;
    this.frames = [];
    return frames;
  }

  /** A frame arrives from the wire. @returns its length, or a negative errno as a TAP's write gives it */
  inject(frame: Uint8Array): void {
    devReceiveFrame(this, frame, 0, frame.length);
    this.net?.flush();
  }

  override startXmit(skb: SkBuff): number {
    const net = this.net!;
    net.skbs.orphan(skb);
    if (this.frames.length >= this.txQueueLen) {
      net.skbs.free(skb);
      return NET_XMIT_DROP;
    }
    const bytes = new Uint8Array(skb.len);
    let at = skb.tail - skb.data;
    bytes.set(skb.buf.subarray(skb.data, skb.tail));
    for (let frag = skb.fragList; frag !== null; frag = frag.next) {
      bytes.set(frag.buf.subarray(frag.data, frag.tail), at);
      at += frag.tail - frag.data;
    }
    const frame = { dev: this.name, bytes, vnetHdr: this.vnetHdr ? virtioNetHdrFromSkb(skb) : null };
    net.skbs.free(skb);
    if (this.onFrame !== null) this.onFrame(frame);
    else this.frames.push(frame);
    return NETDEV_TX_OK;
  }
}

/** The virtio_net_hdr of a frame (`virtio_net_hdr_from_skb`, TUN-12, TUN-20). */
export function virtioNetHdrFromSkb(
  skb: SkBuff,
  into: Uint8Array = new Uint8Array(VIRTIO_NET_HDR_BYTES),
  off = 0,
): Uint8Array {
  into.fill(0, off, off + VIRTIO_NET_HDR_BYTES);
  if (skb.gsoSize !== 0) {
    into[off + 1] = VIRTIO_NET_HDR_GSO_UDP_L4;
    put16le(into, off + 2, skb.th + 8 - skb.data);
    put16le(into, off + 4, skb.gsoSize);
  }
  if (skb.ipSummed === CHECKSUM_PARTIAL) {
    into[off] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    put16le(into, off + 6, skb.csumStart - skb.data);
    put16le(into, off + 8, skb.csumOffset);
  }
  return into;
}
