/** A network namespace of our own: devices, addresses, routes, neighbours, sockets, and nothing shared with another. */
import type { NetOptions as CoreOptions } from '../core/netns.js';
import { KERNEL_PROFILES, type KernelProfile } from '../core/profile.js';
import { LoopbackDevice } from '../dev/loopback.js';
import type { NetDevice } from '../dev/net_device.js';
import { icmpInit } from '../ip/icmp.js';
import { igmpInit } from '../ip/igmp.js';
import { ipInit } from '../ip/ip_input.js';
import { ipCommand } from '../ipcmd/ip.js';
import { SocketError } from '../socket/error.js';
import { Syscalls } from '../socket/syscalls.js';
import { UdpSocket } from '../socket/udp_socket.js';
import { SOCK_DGRAM } from '../uapi/socket.js';
import { type SendHooks, UdpNet } from '../udp/netns.js';
import { udpInit } from '../udp/rcv.js';
import { buildHostNetwork, hostRelease, nearestProfile } from './from_host.js';
import { type HostSource, readHostNetwork } from './host_dump.js';

export interface NetOptions extends CoreOptions {
  /** Which kernel to be: `6.18` (the default), `6.1`, `5.4`. */
  readonly kernel?: KernelProfile['name'];
  /** Policy and faults on the send path. */
  readonly hooks?: SendHooks;
}

/** An `ip` command that was refused: `code` is its exit status, the message what it printed. */
export class IpCommandError extends Error {
  override readonly name = 'IpCommandError';
  constructor(
    readonly command: string,
    readonly code: number,
    readonly stderr: string,
    /** The kernel's negative errno, 0 where the command itself was wrong. */
    readonly errno: number,
  ) {
    super(`ip ${command}: ${stderr.trim()}`);
  }
}

/** What {@link Net.fromHost} takes: which network, and what a Net takes. */
export type FromHostOptions = HostSource & NetOptions;

const DRAIN_POLL_MS = 5;

export class Net extends UdpNet {
  /** Sockets by descriptor and raw memory, with the kernel's answers. */
  readonly syscalls: Syscalls = new Syscalls(this);

  /** What of a host's network is not represented here, one sentence each; see {@link Net.fromHost}. */
  fromHostNotes: readonly string[] = [];

  /**
   * A Net with the network of this host, of one of its namespaces (`netns`), or of a folder that `saveHostNetwork` wrote (`dir`): the
   * devices in memory, addresses, routes, rules, neighbours and sysctls. Without `kernel`, the profile nearest to the host's release.
   * @throws HostNetworkError where it cannot be read
   */
  static fromHost(options: FromHostOptions = {}): Net {
    const dump = readHostNetwork(options);
    const net = new Net({ kernel: nearestProfile(hostRelease(dump)), ...options });
    net.fromHostNotes = buildHostNetwork(net, dump);
    return net;
  }

  constructor(options: NetOptions = {}) {
    super(options.kernel === undefined ? options : { profile: KERNEL_PROFILES[options.kernel], ...options });
    this.hooks = options.hooks ?? null;
    icmpInit(this, ipInit(this));
    igmpInit(this);
    udpInit(this);
    this.registerNetdevice(new LoopbackDevice());
  }

  /** Adds a device, down and without addresses, as a new one is. @throws SocketError EEXIST, EINVAL, EBUSY */
  addDevice(dev: NetDevice): void {
    const error = this.registerNetdevice(dev);
    if (error < 0) throw new SocketError('addDevice', error, dev.name);
  }

  /** Takes a device away, with its addresses and routes, and closes it. */
  removeDevice(dev: NetDevice): void {
    this.unregisterNetdevice(dev);
    dev.close();
  }

  /** Runs one `ip(8)` command, without the word `ip`. @returns what it prints @throws IpCommandError */
  ip(command: string): string {
    this.jiffies = this.clock.now();
    const result = ipCommand(this, command);
    this.flush();
    if (result.code !== 0) throw new IpCommandError(command, result.code, result.stderr, result.errno);
    return result.stdout;
  }

  /** Makes a UDP or UDP-Lite socket. @throws SocketError as `socket(2)` */
  socket(domain: number, type: number = SOCK_DGRAM, protocol = 0): UdpSocket {
    return new UdpSocket(this, this.syscalls, domain, type, protocol);
  }

  /** Packets that wait for a neighbour to answer. */
  get pendingNeighbours(): number {
    let packets = 0;
    for (const entries of this.arpTbl.byDev.values()) {
      for (const neigh of entries.values())
        for (let skb = neigh.queueHead; skb !== null; skb = skb.next) packets++;
    }
    return packets;
  }

  /**
   * Waits until nothing waits for a neighbour any more: all was sent, or failed after three unanswered requests.
   * @param timeoutMs how long at most
   * @returns false where packets still wait
   */
  async drain(timeoutMs = 5000): Promise<boolean> {
    this.flush();
    const end = performance.now() + timeoutMs;
    while (this.pendingNeighbours > 0) {
      if (this.clock.virtual) {
        if (this.timers.nextExpiry === Infinity) return false;
        this.timers.advanceTo(this.timers.nextExpiry);
        this.flush();
        continue;
      }
      if (performance.now() >= end) return false;
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
    return true;
  }
}
