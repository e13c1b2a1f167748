/** UDP's part of a Net: its ports, the caller's credentials, hooks, and the state of one send. */
import type { NetOptions } from '../core/netns.js';
import { IpNet } from '../ip/netns.js';
import { Flowi4 } from '../route/flow.js';
import { type Cred, ROOT_CRED, type UdpSock } from './sock.js';
import { UdpTable } from './udp_table.js';

/** A message on its way in (`struct msghdr` after the copy from the user). */
export class UdpMsg {
  /** An address was given (msg_name is not NULL). */
  hasName = false;
  namelen = 0;
  family = 0;
  addr = 0;
  port = 0;
  /** Control data, null for none. */
  control: Uint8Array | null = null;
  /** MSG_* */
  flags = 0;
}

/**
 * Where policy and faults are put in: the kernel's security and cgroup points on the send path. Each returns 0, or a negative errno
 * that the call fails with.
 */
export interface SendHooks {
  /** Before anything else (`security_socket_sendmsg`). */
  socketSendmsg?(sk: UdpSock, length: number): number;
  /** May rewrite the flow before it is routed (`security_sk_classify_flow`). */
  skClassifyFlow?(sk: UdpSock, flow: Flowi4): void;
  /** May rewrite destination, port and source of an unconnected send, or refuse it (BPF_CGROUP_UDP4_SENDMSG, SEND-15). */
  sendmsg4?(sk: UdpSock, address: { daddr: number; dport: number; saddr: number }): number;
}

export class UdpNet extends IpNet {
  readonly udpTable = new UdpTable(this.random.u32());
  readonly udpliteTable = new UdpTable(this.random.u32());
  nextSockOrder = 0;
  /** Who makes the present call. */
  cred: Cred = ROOT_CRED;
  hooks: SendHooks | null = null;
  readonly oneFlow = new Flowi4();
  /** The flow of a lookup at the end of a call, while the call's own is still needed. */
  readonly releaseFlow = new Flowi4();
  readonly oneMsg = new UdpMsg();

  constructor(options: NetOptions = {}) {
    super(options);
  }
}
