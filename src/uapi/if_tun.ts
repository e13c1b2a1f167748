/** Flags of TUNSETIFF and offload bits of TUNSETOFFLOAD (`linux/if_tun.h`). */

/** Ethernet frames. */
export const IFF_TAP = 0x0002;
/** The interface starts without a carrier. */
export const IFF_NO_CARRIER = 0x0040;
/** Several descriptors may attach, each one a queue. */
export const IFF_MULTI_QUEUE = 0x0100;
/** No four-byte packet information in front of a frame. */
export const IFF_NO_PI = 0x1000;
/** A virtio_net_hdr in front of every frame, both ways. */
export const IFF_VNET_HDR = 0x4000;
/** Fails with EBUSY where the interface exists. */
export const IFF_TUN_EXCL = 0x8000;

/** The reader takes partial checksums. */
export const TUN_F_CSUM = 0x01;
/** The reader takes UDP super-frames over IPv4; only together with {@link TUN_F_USO6}. */
export const TUN_F_USO4 = 0x20;
/** The reader takes UDP super-frames over IPv6; only together with {@link TUN_F_USO4}. */
export const TUN_F_USO6 = 0x40;
