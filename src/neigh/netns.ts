/** The neighbours of a Net: its ARP table, and the questions that ARP asks the routing above it. */
import type { NetOptions } from '../core/netns.js';
import type { InDevice } from '../dev/in_device.js';
import type { NetDevice } from '../dev/net_device.js';
import { DevNet } from '../dev/netns.js';
import type { SkBuff } from '../dev/skbuff.js';
import { EINVAL } from '../uapi/errno.js';
import { ETH_P_ARP } from '../uapi/if.js';
import { RTN_UNICAST } from '../uapi/rtnetlink.js';
import { arpDevEvent, arpRcv, arpSolicit, parpRedo } from './arp.js';
import type { Neighbour } from './neighbour.js';
import { neighResolveOutput } from './output.js';
import { neighTimerHandler } from './state.js';
import { ArpTable, neighIfdown } from './table.js';

/** What ARP needs to know of a route: its RTN_* and the device that it leaves by. */
export interface ArpRoute {
  readonly type: number;
  readonly dev: NetDevice;
}

/** What ARP asks of addresses and routes. The routing room answers. */
export interface ArpHost {
  /** RTN_* of an address, in the routing table of a device (`inet_addr_type_dev_table`). */
  inetAddrTypeDevTable(dev: NetDevice, addr: number): number;
  /** The source for a destination on a device, 0 for none (`inet_select_addr`). */
  inetSelectAddr(dev: NetDevice, dst: number, scope: number): number;
  /** Both addresses lie in one subnet of the device; `b` 0 matches any (`inet_addr_onlink`). */
  inetAddrOnlink(inDev: InDevice, a: number, b: number): boolean;
  /** A fitting local address, 0 for none; `inDev` null looks at all devices (`inet_confirm_addr`). */
  inetConfirmAddr(inDev: InDevice | null, dst: number, local: number, scope: number): number;
  /** The input route of a packet from `saddr` to `daddr` (`ip_route_input_noref`), or a negative errno. */
  ipRouteInput(daddr: number, saddr: number, dev: NetDevice): ArpRoute | number;
  /** The output route from `saddr` to `daddr` (`ip_route_output`), or a negative errno. */
  ipRouteOutput(daddr: number, saddr: number): ArpRoute | number;
}

/** Nothing is routed: the host of a Net whose routing room has not been built. */
const NO_HOST: ArpHost = {
  inetAddrTypeDevTable: () => RTN_UNICAST,
  inetSelectAddr: () => 0,
  inetAddrOnlink: () => false,
  inetConfirmAddr: () => 0,
  ipRouteInput: () => -EINVAL,
  ipRouteOutput: () => -EINVAL,
};

export class NeighNet extends DevNet {
  readonly arpTbl = new ArpTable({
    solicit: (neigh, skb) => arpSolicit(this, neigh, skb),
    output: (neigh, skb) => neighResolveOutput(this, neigh, skb),
    timer: (neigh) => neighTimerHandler(this, neigh),
    proxyRedo: (skb) => parpRedo(this, skb),
  });
  /** Set by the routing room. */
  arpHost: ArpHost = NO_HOST;
  /**
   * A packet's neighbour could not be resolved (`arp_error_report`); consumes the packet. The ip room answers with an ICMP
   * host unreachable to ourselves (NEIGH-10).
   */
  neighErrorReport: (neigh: Neighbour, skb: SkBuff) => void = (_neigh, skb) => this.skbs.free(skb);

  constructor(options: NetOptions = {}) {
    super(options);
    this.devAddPack(ETH_P_ARP, (skb) => arpRcv(this, skb));
    this.onNetdev((event, dev) => arpDevEvent(this, event, dev));
    this.onInetaddr((event, ifa) => {
      // The last address of a device takes IP off it, and its neighbours go (fib_disable_ip).
      const inDev = ifa.inDev;
      if (event === 'down' && inDev.ifaList.every((other) => other === ifa)) neighIfdown(this, inDev.dev);
    });
  }
}
