/** `udptap explain`: sends on a device in memory, and prints why everything is as it is. */
import { formatMac } from '../wire/ethernet.js';
import { PRETEND_HOST_MAC } from './pretend_host.js';
import { ExplainOutput, runSend } from './send.js';
import type { SendFlags } from './send_options.js';
import { sendRequest } from './send_request.js';

/** @returns the exit code: 1 where the kernel would have refused the call */
export async function explain(target: string, data: string | undefined, flags: SendFlags): Promise<number> {
  const request = sendRequest(target, data, flags);
  const showFrames = request.verbose || request.hex;
  const mac = formatMac(PRETEND_HOST_MAC);
  const { gateway } = request.network;
  // The gateway is known already: the story is about the datagram, not about ARP.
  const known =
    gateway === null || request.fromHost !== null
      ? []
      : [`neigh replace ${gateway} lladdr ${mac} nud reachable`];
  return runSend(
    { ...request, medium: 'memory', explain: true, ip: [...known, ...request.ip] },
    new ExplainOutput(request.json, process.stdout),
    showFrames && !request.json ? process.stdout : { write: () => true },
  );
}
