import { inetAddrOnlink, inetConfirmAddr, inetSelectAddr } from '../dev/inet_select.js';
import type { ArpHost } from '../neigh/netns.js';
import { inetAddrTypeDevTable } from './addr_type.js';
import { Flowi4 } from './flow.js';
import { ipRouteInputFor } from './input.js';
import type { RouteNet } from './netns.js';
import { ipRouteOutputFlow } from './output.js';

/** Answers ARP's questions about addresses and routes. */
export function arpHostOf(net: RouteNet): ArpHost {
  return {
    inetAddrTypeDevTable: (dev, addr) => inetAddrTypeDevTable(net, dev, addr),
    inetSelectAddr: (dev, dst, scope) => inetSelectAddr(net, dev, dst, scope),
    inetAddrOnlink,
    inetConfirmAddr: (inDev, dst, local, scope) => inetConfirmAddr(net, inDev, dst, local, scope),
    ipRouteInput: (daddr, saddr, dev) =>
      ipRouteInputFor(net, { daddr, saddr, tos: 0, dev, isIp: false, proto: 0, mark: 0 }),
    ipRouteOutput: (daddr, saddr) => {
      const fl4 = new Flowi4();
      fl4.daddr = daddr;
      fl4.saddr = saddr;
      return ipRouteOutputFlow(net, fl4);
    },
  };
}
