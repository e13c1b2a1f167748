/** Control messages at the UDP level (`udp_cmsg_send`): pass 1 over the control data (CMSG-3). */

import type { IpcmCookie } from '../ip/cork.js';
import { EINVAL } from '../uapi/errno.js';
import { UDP_SEGMENT } from '../uapi/in.js';
import { SOL_UDP } from '../uapi/socket.js';
import { get16le } from '../wire/bytes.js';
import {
  CMSG_HDR_BYTES,
  cmsgFirst,
  cmsgLen,
  cmsgLenAt,
  cmsgLevelAt,
  cmsgNext,
  cmsgOk,
  cmsgTypeAt,
} from '../wire/cmsg.js';

/**
 * Checks every message's form and takes the UDP-level ones.
 * @returns 1 where some message is of another level, 0 where none is, or -EINVAL
 */
export function udpCmsgSend(control: Uint8Array, ipc: IpcmCookie): number {
  let needIp = 0;
  for (let at = cmsgFirst(control); at >= 0; at = cmsgNext(control, at)) {
    if (!cmsgOk(control, at)) return -EINVAL;
    if (cmsgLevelAt(control, at) !== SOL_UDP) {
      needIp = 1;
      continue;
    }
    if (cmsgTypeAt(control, at) !== UDP_SEGMENT || cmsgLenAt(control, at) !== cmsgLen(2)) return -EINVAL;
    ipc.gsoSize = get16le(control, at + CMSG_HDR_BYTES);
  }
  return needIp;
}
