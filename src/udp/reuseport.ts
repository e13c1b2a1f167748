/** Groups of SO_REUSEPORT sockets that share one address and port (`net/core/sock_reuseport.c`). */
import { TCP_ESTABLISHED, type UdpSock } from './sock.js';

/** Where a group's memory ends (`reuse->max_socks` doubles up to it). */
const MAX_SOCKS = 65535;

export class ReuseportGroup {
  readonly socks: UdpSock[] = [];
  /** A member was connected once: the lookup then scores each socket by itself as well. */
  hasConns = false;
  /** The members are bound to 0.0.0.0. */
  bindInany: boolean;

  constructor(first: UdpSock, bindInany: boolean) {
    this.socks.push(first);
    this.bindInany = bindInany;
  }

  /** `reuseport_add_sock`: false where the group is full. */
  add(sk: UdpSock): boolean {
    if (this.socks.length >= MAX_SOCKS) return false;
    this.socks.push(sk);
    return true;
  }

  /** `reuseport_detach_sock`: the last member takes the place of the one that leaves. */
  remove(sk: UdpSock): void {
    const at = this.socks.indexOf(sk);
    if (at < 0) return;
    const last = this.socks.pop()!;
    if (last !== sk) this.socks[at] = last;
  }

  /** `reuseport_select_sock_by_hash`: the member that a 32-bit flow hash falls to, connected ones passed over. */
  select(hash: number): UdpSock | null {
    const count = this.socks.length;
    const start = Math.floor(((hash >>> 0) / 0x1_0000_0000) * count);
    for (let step = 0; step < count; step++) {
      const sk = this.socks[(start + step) % count]!;
      if (sk.state !== TCP_ESTABLISHED) return sk;
    }
    return null;
  }
}
