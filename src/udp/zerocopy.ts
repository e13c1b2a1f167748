/** MSG_ZEROCOPY's notifications (`struct ubuf_info_msgzc`, ERRQ-10). The bytes are copied all the same: only the notice is real. */
import type { ZerocopyUbuf } from '../ip/inet_sock.js';
import { sockQueueZerocopy } from './errqueue.js';
import type { UdpSock } from './sock.js';

/** SKB_TRUESIZE(0): what a notification takes of the option memory while it is on its way. */
const NOTICE_BYTES = 576;
const MAX_CALLS = 0xfffe;
const MAX_BYTES = 1 << 19;

export class UbufMsgzc implements ZerocopyUbuf {
  #refs = 1;
  #calls = 1;
  readonly #sk: UdpSock;
  readonly #id: number;
  #bytes: number;

  constructor(sk: UdpSock, bytes: number) {
    this.#sk = sk;
    this.#id = sk.zckey;
    this.#bytes = bytes;
    sk.zckey = (sk.zckey + 1) >>> 0;
    sk.omemAlloc += NOTICE_BYTES;
  }

  /** Takes one more call into the same notification, if it follows at once; false if not. */
  extend(bytes: number): boolean {
    if (this.#calls === MAX_CALLS || this.#bytes + bytes > MAX_BYTES) return false;
    if ((this.#id + this.#calls) >>> 0 !== this.#sk.zckey) return false;
    this.#calls++;
    this.#bytes += bytes;
    this.#sk.zckey = (this.#sk.zckey + 1) >>> 0;
    this.#refs++;
    return true;
  }

  get(): void {
    this.#refs++;
  }

  put(): void {
    if (--this.#refs > 0) return;
    this.#sk.omemAlloc -= NOTICE_BYTES;
    sockQueueZerocopy(this.#sk, this.#id, this.#calls, true);
  }

  abort(): void {
    this.#sk.zckey = (this.#sk.zckey - 1) >>> 0;
    this.#calls--;
  }
}

/** `msg_zerocopy_realloc`; null where option memory is used up (ENOBUFS). */
export function msgZerocopyRealloc(sk: UdpSock, bytes: number, pending: object | null): UbufMsgzc | null {
  if (pending instanceof UbufMsgzc) return pending.extend(bytes) ? pending : null;
  if (sk.omemAlloc + NOTICE_BYTES > sk.net.sysctl.core.optmemMax) return null;
  return new UbufMsgzc(sk, bytes);
}
