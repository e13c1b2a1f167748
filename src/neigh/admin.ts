/** The administrator's hand on the table: RTM_NEWNEIGH, RTM_DELNEIGH and its dump (NEIGH-13). */
import type { NetDevice } from '../dev/net_device.js';
import { EEXIST, EINVAL, ENOBUFS, ENODEV, ENOENT } from '../uapi/errno.js';
import {
  NTF_EXT_LEARNED,
  NTF_PROXY,
  NTF_ROUTER,
  NTF_USE,
  NUD_FAILED,
  NUD_PERMANENT,
  NUD_VALID,
} from '../uapi/neighbour.js';
import {
  NETLINK_OK,
  type NeighMessage,
  type NetlinkResult,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
} from '../uapi/rtnetlink.js';
import type { NeighNet } from './netns.js';
import { pneighCreate, pneighDelete } from './proxy.js';
import {
  NEIGH_UPDATE_F_ADMIN,
  NEIGH_UPDATE_F_EXT_LEARNED,
  NEIGH_UPDATE_F_ISROUTER,
  NEIGH_UPDATE_F_OVERRIDE,
  NEIGH_UPDATE_F_USE,
  neighEventSend,
  neighUpdate,
} from './state.js';
import { neighCreate, neighLookup, neighRemove } from './table.js';

/**
 * `ip neigh add|change|replace|append` (`neigh_add`).
 * @param nlmFlags NLM_F_*
 * @returns error -ENODEV, -EINVAL, -ENOENT (no entry, no NLM_F_CREATE), -EEXIST (NLM_F_EXCL), -ENOBUFS (table full)
 */
export function neighAdd(net: NeighNet, msg: NeighMessage, nlmFlags: number): NetlinkResult {
  const dev = msg.ifindex === 0 ? null : net.devGetByIndex(msg.ifindex);
  if (msg.ifindex !== 0 && dev === null) return { error: -ENODEV };
  const lladdr = msg.lladdr ?? null;
  if (dev !== null && lladdr !== null && dev.hardHeaderLen !== 0 && lladdr.length < dev.addr.length) {
    return { error: -EINVAL, extack: 'Invalid link address' };
  }
  const ntf = msg.flags ?? 0;
  if ((ntf & NTF_PROXY) !== 0) {
    const permanent = ((msg.state ?? 0) & NUD_PERMANENT) !== 0;
    pneighCreate(net, msg.dst, dev, ntf, permanent, msg.protocol ?? 0);
    return NETLINK_OK;
  }
  if (dev === null) return { error: -EINVAL, extack: 'Device not specified' };
  return neighAddOn(net, dev, msg, nlmFlags);
}

function neighAddOn(net: NeighNet, dev: NetDevice, msg: NeighMessage, nlmFlags: number): NetlinkResult {
  const ntf = msg.flags ?? 0;
  const state = msg.state ?? 0;
  let flags = NEIGH_UPDATE_F_ADMIN | NEIGH_UPDATE_F_OVERRIDE;
  let neigh = neighLookup(net, dev, msg.dst);
  if (neigh === null) {
    if ((nlmFlags & NLM_F_CREATE) === 0) return { error: -ENOENT };
    const exempt = (state & NUD_PERMANENT) !== 0 || (ntf & NTF_EXT_LEARNED) !== 0;
    neigh = neighCreate(net, dev, msg.dst, exempt);
    if (neigh === null) return { error: dev.ipPtr === null ? -EINVAL : -ENOBUFS };
  } else {
    if ((nlmFlags & NLM_F_EXCL) !== 0) return { error: -EEXIST };
    if ((nlmFlags & NLM_F_REPLACE) === 0) flags &= ~NEIGH_UPDATE_F_OVERRIDE;
  }
  if (msg.protocol !== undefined && msg.protocol !== 0) neigh.protocol = msg.protocol;
  if ((ntf & NTF_EXT_LEARNED) !== 0) flags |= NEIGH_UPDATE_F_EXT_LEARNED;
  if ((ntf & NTF_ROUTER) !== 0) flags |= NEIGH_UPDATE_F_ISROUTER;
  if ((ntf & NTF_USE) !== 0) flags |= NEIGH_UPDATE_F_USE;
  const result = neighUpdate(net, neigh, msg.lladdr ?? null, state, flags);
  if (result.error === 0 && (ntf & NTF_USE) !== 0) neighEventSend(net, neigh, null);
  return result;
}

/** `ip neigh del` (`neigh_delete`): error -ENODEV, -EINVAL, or -ENOENT. What waits for the entry fails (NEIGH-10). */
export function neighDelete(net: NeighNet, msg: NeighMessage, _nlmFlags = 0): NetlinkResult {
  const dev = msg.ifindex === 0 ? null : net.devGetByIndex(msg.ifindex);
  if (msg.ifindex !== 0 && dev === null) return { error: -ENODEV };
  if (((msg.flags ?? 0) & NTF_PROXY) !== 0) return { error: pneighDelete(net, msg.dst, dev) };
  if (dev === null) return { error: -EINVAL };
  const neigh = neighLookup(net, dev, msg.dst);
  if (neigh === null) return { error: -ENOENT };
  const result = neighUpdate(net, neigh, null, NUD_FAILED, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN);
  neighRemove(net, neigh);
  return result;
}

/** Every entry, NOARP ones too (`ip neigh` hides those unless asked), device by device. */
export function neighDump(net: NeighNet): NeighMessage[] {
  const messages: NeighMessage[] = [];
  for (const dev of net.devices) {
    for (const neigh of net.arpTbl.byDev.get(dev)?.values() ?? []) {
      const known = (neigh.nudState & NUD_VALID) !== 0 && !neigh.noHeader;
      messages.push({
        ifindex: dev.ifindex,
        dst: neigh.key,
        ...(known ? { lladdr: neigh.ha.slice() } : {}),
        state: neigh.nudState,
        flags: neigh.flags,
        protocol: neigh.protocol,
      });
    }
  }
  return messages;
}

/** The addresses that are answered for by proxy (`ip neigh show proxy`). */
export function pneighDump(net: NeighNet): NeighMessage[] {
  return net.arpTbl.proxy.entries.map((entry) => ({
    ifindex: entry.dev?.ifindex ?? 0,
    dst: entry.key,
    state: 0,
    flags: entry.flags | NTF_PROXY,
    protocol: entry.protocol,
  }));
}
