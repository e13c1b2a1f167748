/** What the stack remembers of other hosts (`struct inet_peer`): how often they were answered, how their fragments come. */

/** XRLIM_BURST_FACTOR */
const XRLIM_BURST_FACTOR = 6;
/** A minute of tokens is saved up at most by a host that was never answered. */
const NEW_PEER_IDLE_MS = 60_000;
/** `inet_peer_threshold`: more are not remembered; the one that was used longest ago is forgotten. */
const MAX_PEERS = 65_664;

export interface InetPeer {
  rateTokens: number;
  /** ms on the Net's clock */
  rateLast: number;
  /** Counts the fragments of the host, to tell datagrams of different generations apart. */
  rid: number;
}

export class InetPeers {
  readonly #peers = new Map<number, InetPeer>();

  get size(): number {
    return this.#peers.size;
  }

  /** `inet_getpeer_v4`: the peer at an address, in a VRF or (0) in none; made where it was not known. */
  get(addr: number, vif: number, nowMs: number): InetPeer {
    const key = vif * 0x1_0000_0000 + addr;
    let peer = this.#peers.get(key);
    if (peer === undefined) {
      peer = { rateTokens: 0, rateLast: nowMs - NEW_PEER_IDLE_MS, rid: 0 };
      if (this.#peers.size >= MAX_PEERS)
        for (const oldest of this.#peers.keys()) if (this.#peers.delete(oldest)) break;
    } else this.#peers.delete(key);
    this.#peers.set(key, peer);
    return peer;
  }
}

/** One answer in `timeoutMs` to each host, six at once after a pause (`inet_peer_xrlim_allow`). */
export function inetPeerXrlimAllow(peer: InetPeer, timeoutMs: number, nowMs: number): boolean {
  peer.rateTokens = Math.min(peer.rateTokens + (nowMs - peer.rateLast), XRLIM_BURST_FACTOR * timeoutMs);
  peer.rateLast = nowMs;
  if (peer.rateTokens < timeoutMs) return false;
  peer.rateTokens -= timeoutMs;
  return true;
}
