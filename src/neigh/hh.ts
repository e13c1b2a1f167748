/** The cached Ethernet header of a neighbour (`struct hh_cache`), and how it gets in front of a packet. */
import type { SkBuff } from '../dev/skbuff.js';
import { ETH_HLEN, ETH_P_IP } from '../uapi/if.js';
import { writeHeader } from '../wire/ethernet.js';
import type { Neighbour } from './neighbour.js';
import type { NeighNet } from './netns.js';

/** A header behind two bytes of nothing, so that its words are aligned: see `Neighbour.hh16`. */
const words = new ArrayBuffer(16);
const words8 = new Uint8Array(words);
const words16 = new Uint16Array(words);
// Signed: a word with the top bit set stays a small integer in V8.
const words32 = new Int32Array(words);

/** Builds the header (`neigh_hh_init`, `neigh_update_hhs`). */
export function neighHhInit(neigh: Neighbour): void {
  writeHeader(words8, 2, neigh.ha, neigh.dev.addr, ETH_P_IP);
  neigh.hh16 = words16[1]!;
  neigh.hh32a = words32[1]!;
  neigh.hh32b = words32[2]!;
  neigh.hh32c = words32[3]!;
  neigh.hhValid = true;
}

/** Puts the header in front of a packet: in the arena by words, which is why a slot's IP header is 32-aligned. */
export function neighHhPush(net: NeighNet, neigh: Neighbour, skb: SkBuff): void {
  const at = skb.data - ETH_HLEN;
  if (skb.slot >= 0 && (skb.data & 3) === 0) {
    const arena = net.arena;
    const word = skb.data >>> 2;
    arena.u16[at >>> 1] = neigh.hh16;
    arena.u32[word - 3] = neigh.hh32a;
    arena.u32[word - 2] = neigh.hh32b;
    arena.u32[word - 1] = neigh.hh32c;
  } else writeHeader(skb.buf, at, neigh.ha, neigh.dev.addr, ETH_P_IP);
  skb.mac = at;
  skb.data = at;
  skb.len += ETH_HLEN;
}
