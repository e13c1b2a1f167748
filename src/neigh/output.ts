/** From the IP header to the frame (`neigh_output`, `neigh_hh_output`, `neigh_resolve_output`). */
import type { SkBuff } from '../dev/skbuff.js';
import { devQueueXmit } from '../dev/xmit.js';
import { ENETDOWN } from '../uapi/errno.js';
import { formatMac } from '../uapi/if.js';
import { formatIPv4 } from '../uapi/in.js';
import { NUD_CONNECTED, NUD_VALID } from '../uapi/neighbour.js';
import { neighHhInit, neighHhPush } from './hh.js';
import { type Neighbour, nudStateName } from './neighbour.js';
import type { NeighNet } from './netns.js';
import { neighEventSend } from './state.js';

/** NEIGH-20: something above knows that the neighbour answers (`neigh_confirm`). */
export function neighConfirm(net: NeighNet, neigh: Neighbour): void {
  neigh.confirmed = net.clock.now();
}

/**
 * Sends a packet, `data` at its IP header, to a neighbour. Consumes it.
 * @returns 0 where it was sent or waits for resolution, or the device's negative errno; -ENETDOWN for a dead entry
 */
export function neighOutput(net: NeighNet, neigh: Neighbour, skb: SkBuff): number {
  if (skb.dstPendingConfirm) {
    // NEIGH-20: MSG_CONFIRM takes effect as the packet leaves.
    skb.dstPendingConfirm = false;
    neighConfirm(net, neigh);
  }
  if (net.tracer !== null) traceOutput(net, neigh);
  if (!neigh.fastOutput) return neighResolveOutput(net, neigh, skb);
  // As in the kernel, output to a connected neighbour does not count as use of it (NEIGH-8).
  return transmit(net, neigh, skb);
}

/** The state decides (`neigh_resolve_output`): the packet goes now, waits, or is dropped. */
export function neighResolveOutput(net: NeighNet, neigh: Neighbour, skb: SkBuff): number {
  if (neigh.dead) {
    net.skbs.free(skb);
    return -ENETDOWN;
  }
  if (neighEventSend(net, neigh, skb) !== 0) return 0;
  if (!neigh.hhValid && !neigh.noHeader) {
    neighHhInit(neigh);
    // From here on a connected entry needs no look at its state.
    neigh.fastOutput = (neigh.nudState & NUD_CONNECTED) !== 0;
  }
  return transmit(net, neigh, skb);
}

function transmit(net: NeighNet, neigh: Neighbour, skb: SkBuff): number {
  skb.dev = neigh.dev;
  if (neigh.noHeader) skb.mac = skb.data;
  else neighHhPush(net, neigh, skb);
  return devQueueXmit(net, skb);
}

function traceOutput(net: NeighNet, neigh: Neighbour): void {
  const state = nudStateName(neigh.nudState);
  const address = formatIPv4(neigh.key);
  const valid = (neigh.nudState & NUD_VALID) !== 0;
  const where = neigh.noHeader
    ? `${neigh.dev.name} has no link header`
    : `${address} is ${formatMac(neigh.ha)}`;
  net.tracer!.event({
    fn: 'neigh_resolve_output',
    step: 'neighbour',
    text: valid ? `${where}, ${state}` : `${address} on ${neigh.dev.name} is not resolved: ${state}`,
    rule: valid ? 'NEIGH-4' : 'NEIGH-5',
    data: { neighbour: address, dev: neigh.dev.name, state, lladdr: valid ? formatMac(neigh.ha) : null },
  });
}
