/** Source filters of a socket's memberships (`ip_mc_sf_allow`). */
import { ipv4IsMulticast, MCAST_EXCLUDE } from '../uapi/in.js';
import type { McSock } from './mc_socklist.js';

/**
 * May a socket have a datagram from `rmtAddr` to the group `locAddr`, which came by `dif` (in the VRF of `sdif`, or 0)? Without a membership
 * there, IP_MULTICAST_ALL decides; destinations that are no group always may.
 */
export function ipMcSfAllow(
  sk: McSock,
  locAddr: number,
  rmtAddr: number,
  dif: number,
  sdif: number,
): boolean {
  if (!ipv4IsMulticast(locAddr)) return true;
  const pmc = sk.mcList.find(
    (m) => m.multiaddr === locAddr && (m.ifindex === dif || (sdif !== 0 && m.ifindex === sdif)),
  );
  if (pmc === undefined) return sk.mcAll;
  if (pmc.sources === null) return pmc.sfmode === MCAST_EXCLUDE;
  return pmc.sources.includes(rmtAddr) !== (pmc.sfmode === MCAST_EXCLUDE);
}
