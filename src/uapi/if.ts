/** Interface flags and hardware types: `linux/if.h`, `linux/if_arp.h`, `linux/if_ether.h`, `linux/if_packet.h`. */

export const IFF_UP = 0x1;
export const IFF_BROADCAST = 0x2;
export const IFF_LOOPBACK = 0x8;
export const IFF_POINTOPOINT = 0x10;
export const IFF_NOTRAILERS = 0x20;
export const IFF_RUNNING = 0x40;
export const IFF_NOARP = 0x80;
export const IFF_PROMISC = 0x100;
export const IFF_ALLMULTI = 0x200;
export const IFF_MASTER = 0x400;
export const IFF_SLAVE = 0x800;
export const IFF_MULTICAST = 0x1000;
export const IFF_DYNAMIC = 0x8000;
export const IFF_LOWER_UP = 0x10000;

export const IFNAMSIZ = 16;
export const ARPHRD_ETHER = 1;
export const ARPHRD_LOOPBACK = 772;
export const ARPHRD_NONE = 0xfffe;

export const ETH_ALEN = 6;
export const ETH_HLEN = 14;
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;

export const PACKET_HOST = 0;
export const PACKET_BROADCAST = 1;
export const PACKET_MULTICAST = 2;
export const PACKET_OTHERHOST = 3;
export const PACKET_OUTGOING = 4;
export const PACKET_LOOPBACK = 5;

/** Loopback is always the first device of a namespace. */
export const LOOPBACK_IFINDEX = 1;

/** Parses `aa:bb:cc:dd:ee:ff`; null when it is none. */
export function parseMac(text: string): Uint8Array | null {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text)) return null;
  return Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16));
}

/** `aa:bb:cc:dd:ee:ff` */
export function formatMac(mac: Uint8Array, off = 0): string {
  let text = '';
  for (let i = 0; i < ETH_ALEN; i++) text += (i ? ':' : '') + mac[off + i]!.toString(16).padStart(2, '0');
  return text;
}
