/** Where a capture listens on a device, as AF_PACKET does: it sees what the device sees, in both directions. */
export interface PacketTap {
  /**
   * One frame. Must copy what it keeps.
   * @param dir 0 received from the wire (PACKET_HOST), 4 outgoing (PACKET_OUTGOING)
   * @param tsSec, tsNsec wall-clock time
   */
  packet(
    device: { readonly name: string; readonly ifindex: number; readonly mtu: number },
    buf: Uint8Array,
    off: number,
    len: number,
    dir: 0 | 4,
    tsSec: number,
    tsNsec: number,
    comment?: string,
  ): void;
}
