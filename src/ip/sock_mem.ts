/** Send memory (`net/core/sock.c`): what a packet is charged with, and waiting for room (BUF-2, BUF-3). */
import type { DevNet } from '../dev/netns.js';
import type { SkBuff } from '../dev/skbuff.js';
import { EAGAIN, EPIPE } from '../uapi/errno.js';
import { type InetSock, SEND_SHUTDOWN } from './inet_sock.js';

/** sizeof(struct sk_buff) rounded, and struct skb_shared_info, on 64-bit kernels. */
const SKB_BYTES = 256;
const SHARED_INFO_BYTES = 320;
/** The smallest piece of general memory that a packet's data can lie in. */
const MIN_HEAD_BYTES = 512;
/** SKB_MAX_ALLOC: above this a device with scatter-gather gets pages instead of one piece. */
export const SKB_MAX_ALLOC = 16384 - SHARED_INFO_BYTES;

/** What a packet with a linear part of `allocBytes` is charged with. */
export function skbTruesize(net: DevNet, allocBytes: number): number {
  const { smallHeadBytes } = net.profile;
  const need = ((allocBytes + 63) & ~63) + SHARED_INFO_BYTES;
  if (need <= smallHeadBytes) return SKB_BYTES + smallHeadBytes;
  let size = MIN_HEAD_BYTES;
  while (size < need) size *= 2;
  return SKB_BYTES + size;
}

/** Charges a packet to a socket (`skb_set_owner_w`). */
export function skbSetOwnerW(skb: SkBuff, sk: InetSock): void {
  skb.sk = sk;
  sk.wmemAlloc += skb.truesize;
}

/**
 * Waits until a new datagram may be started (the loop of `sock_alloc_send_pskb`).
 * @returns 0, or the pending error (consumed), -EPIPE, -EAGAIN
 */
export function sockWaitForSend(net: DevNet, sk: InetSock, dontwait: boolean): number {
  for (let deadline = -1; ; ) {
    if (sk.err !== 0) {
      const err = sk.err;
      sk.err = 0;
      return -err;
    }
    if ((sk.shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE;
    if (sk.wmemAlloc < sk.sndbuf) return 0;
    sk.nospace = true;
    if (dontwait || sk.sndtimeo === 0) return -EAGAIN;
    if (deadline < 0) deadline = net.clock.now() + sk.sndtimeo;
    if (!letTimePass(net, deadline)) return -EAGAIN;
  }
}

/**
 * Lets the next timer fire inside a blocking call, up to a deadline on the clock. Only a virtual clock can: on the machine's clock a
 * synchronous call cannot wait for its own event loop, and one that would block is answered as a non-blocking one is.
 * @returns false where there is nothing more to wait for
 */
export function letTimePass(net: DevNet, deadline: number): boolean {
  if (!net.clock.virtual) return false;
  net.flush();
  const next = net.timers.nextExpiry;
  if (next > deadline) {
    if (deadline !== Infinity) net.timers.advanceTo(deadline);
    return false;
  }
  if (next === Infinity) return false;
  net.timers.advanceTo(next);
  net.jiffies = net.clock.now();
  return true;
}
