/** The other end of a device in memory: somebody who answers every ARP request, and says nothing else. */
import type { MemoryDevice } from '../dev/memory.js';
import { ETH_P_ARP } from '../uapi/if.js';
import * as arp from '../wire/arp.js';
import * as ethernet from '../wire/ethernet.js';

export const PRETEND_HOST_MAC = Uint8Array.of(2, 0, 0, 0, 9, 1);

/** The reply to an ARP request, or null for any other frame. Announcements (sender is target) want no reply. */
export function arpReply(frame: Uint8Array): Uint8Array | null {
  const at = ethernet.HEADER_LEN;
  if (frame.length < at + arp.PACKET_LEN || ethernet.etherType(frame, 0) !== ETH_P_ARP) return null;
  const request = arp.parse(frame, at, frame.length - at);
  if (typeof request === 'string' || request.operation !== arp.OP_REQUEST) return null;
  if (request.senderIp === request.targetIp) return null;
  const reply = new Uint8Array(at + arp.PACKET_LEN);
  ethernet.writeHeader(reply, 0, request.senderMac, PRETEND_HOST_MAC, ETH_P_ARP);
  arp.emit(
    {
      ...request,
      operation: arp.OP_REPLY,
      senderMac: PRETEND_HOST_MAC,
      senderIp: request.targetIp,
      targetMac: request.senderMac,
      targetIp: request.senderIp,
    },
    reply,
    at,
  );
  return reply;
}

/** Joins somebody to a device. The reply comes after the call that asked, as over a wire. */
export function joinPretendHost(device: MemoryDevice): void {
  device.onFrame = ({ bytes }) => {
    const reply = arpReply(bytes);
    if (reply !== null) setImmediate(() => device.inject(reply));
  };
}
