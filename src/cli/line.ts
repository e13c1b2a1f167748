/**
 * The line that a send goes over: a device, the network on both of its ends, and our stack on it. What it changed on the
 * host is undone when it closes.
 */
import { loadAddon } from '../dev/addon.js';
import { MemoryDevice } from '../dev/memory.js';
import type { NetDevice } from '../dev/net_device.js';
import { openTap, type TapDevice } from '../dev/tap.js';
import type { PacketTap } from '../dev/tap_point.js';
import { Net } from '../net/net.js';
import type { Tracer } from '../trace/tracer.js';
import { EBADFD, EIO, errnoMessage, errnoName } from '../uapi/errno.js';
import { IFF_NOARP } from '../uapi/if.js';
import { formatIPv4, inetMakeMask, parseIPv4 } from '../uapi/in.js';
import { CommandError } from './exit.js';
import { type HostLink, hostCommands, hostLink, ipBatch } from './host.js';
import { joinPretendHost } from './pretend_host.js';
import type { Network, SendRequest } from './send_request.js';
import { inNetns, openTapError } from './tap_errors.js';

export interface Line {
  readonly net: Net;
  readonly device: NetDevice;
  /** For people: who is at which end. */
  readonly description: string;
  /** Resolves when the device has taken or refused what it was given. */
  settle(): Promise<void>;
  /** Why the device refused its last frame, or null. */
  refusal(): string | null;
  /** Undoes what was done on the host. Any number of times. */
  close(): Promise<void>;
}

/** A device that answers within the call has nothing to settle. */
async function settle(): Promise<void> {}

/** Opens the line that a request asks for; `tap` hears every frame from the start. */
export async function openLine(request: SendRequest, tap: PacketTap, tracer: Tracer | null): Promise<Line> {
  if (request.medium === 'tap') return openTapLine(request, tap, tracer);
  if (request.fromHost !== null) return openHostLine(request, request.fromHost, tap, tracer);
  const device = new MemoryDevice({
    name: request.medium === 'raw' ? 'raw0' : (request.tap ?? 'tap0'),
    mtu: request.mtu ?? 1500,
    vnetHdr: request.offload,
    offloadCsum: request.offload,
    offloadUso: request.offload,
  });
  if (request.medium === 'memory') {
    joinPretendHost(device);
    const { net } = bringUp(request, device, request.network, tap, tracer);
    return { net, device, description: '', settle, refusal: () => null, close: async () => net.close() };
  }
  device.flags |= IFF_NOARP;
  const { openRawOutput } = await import('./raw_output.js');
  const raw = await openRawOutput(request);
  device.onFrame = ({ bytes }) => raw.send(bytes);
  try {
    const network = { ...request.network, ours: raw.ours, gateway: null };
    const { net } = bringUp(request, device, network, tap, tracer, ['route add default dev raw0']);
    const close = async () => {
      await raw.close();
      net.close();
    };
    const description = `raw socket, from ${raw.ours.join(', ')}`;
    return { net, device, description, settle: raw.settle, refusal: raw.refusal, close };
  } catch (error) {
    await raw.close();
    throw error;
  }
}

/** Makes our side: the Net with its device, addresses, routes and whatever else was asked for. */
function bringUp(
  request: SendRequest,
  device: NetDevice,
  network: Network,
  tap: PacketTap,
  tracer: Tracer | null,
  more: readonly string[] = [],
): { net: Net; description: string } {
  const net = new Net(request.kernel === null ? {} : { kernel: request.kernel });
  net.addDevice(device);
  device.capture(tap);
  try {
    net.ip('link set lo up');
    for (const address of network.ours) net.ip(`addr add ${withDevice(address, device.name)}`);
    net.ip(`link set ${device.name} up`);
    runCommands(net, request, device.name);
    if (network.gateway !== null) net.ip(`route add default via ${network.gateway}`);
    for (const command of more) net.ip(command);
  } catch (error) {
    net.close();
    throw error;
  }
  for (const other of net.devices) if (other !== device) listen(other, tap);
  net.tracer = tracer;
  const ours = network.ours.map((address) => address.split(/[/\s]/)[0]).join(', ');
  return { net, description: `we are ${ours}` };
}

/** Everything that was asked for in the words of `ip`. */
function runCommands(net: Net, request: SendRequest, deviceName: string): void {
  for (const command of request.ip) {
    net.ip(/^neigh\b/.test(command) ? withDevice(command, deviceName) : command);
  }
}

function listen(device: NetDevice, tap: PacketTap): void {
  // What a VRF device carries is seen on the interface below it.
  if (!device.isL3Master) device.capture(tap);
}

/** A host's own network in memory: what would this host do? At the end of each cable somebody answers ARP. */
async function openHostLine(
  request: SendRequest,
  source: string,
  tap: PacketTap,
  tracer: Tracer | null,
): Promise<Line> {
  const { hostSource } = await import('../net/host_dump.js');
  const net = Net.fromHost({
    ...hostSource(source),
    ...(request.kernel === null ? {} : { kernel: request.kernel }),
  });
  const device = net.devices.find((dev) => !dev.isLoopback && dev.isUp) ?? net.devices[0]!;
  for (const dev of net.devices) {
    listen(dev, tap);
    if (dev instanceof MemoryDevice) joinPretendHost(dev);
  }
  try {
    for (const address of request.networkGiven ? request.network.ours : []) {
      net.ip(`addr add ${withDevice(address, device.name)}`);
    }
    runCommands(net, request, device.name);
  } catch (error) {
    net.close();
    throw error;
  }
  net.tracer = tracer;
  const description = net.fromHostNotes.map((note) => `not as on the host: ${note}`).join('\n');
  return { net, device, description, settle, refusal: () => null, close: async () => net.close() };
}

function withDevice(words: string, name: string): string {
  return /\bdev\s+\S/.test(words) ? words : `${words} dev ${name}`;
}

async function openTapLine(request: SendRequest, tap: PacketTap, tracer: Tracer | null): Promise<Line> {
  const { netns } = request;
  const existing = request.tap === null ? null : await hostLink(request.tap, netns);
  const device = await openDevice(request, existing);
  const undo: string[] = [];
  let net: Net | null = null;
  try {
    const plan = existing === null ? newPlan(request, device.name) : existingPlan(request, existing);
    const hostReady = plan.commands.length === 0 ? Promise.resolve() : ipBatch(plan.commands, netns);
    undo.push(...plan.undo);
    // Our side is built while `ip` works on the other.
    hostReady.catch(() => {});
    const up = bringUp(request, device, plan.network, tap, tracer);
    net = up.net;
    await hostReady;
    const where = netns === null ? '' : ` in ${netns}`;
    return {
      net,
      device,
      description: `${device.name}${where}: the host has ${plan.network.host}, ${up.description}`,
      settle,
      refusal: () => refusalOf(device),
      close: async () => closeTapLine(up.net, undo, netns),
    };
  } catch (error) {
    if (net !== null) net.close();
    else device.close();
    if (undo.length > 0) await ipBatch(undo.splice(0), netns).catch(() => {});
    throw error;
  }
}

function refusalOf(device: TapDevice): string | null {
  const errno = -device.lastError;
  if (errno === 0) return null;
  const hint =
    errno === EIO
      ? `, ${device.name} is down at the host's end: ip link set ${device.name} up`
      : errno === EBADFD
        ? `, the host has deleted ${device.name}`
        : '';
  return `${errnoName(errno)}: ${errnoMessage(errno)}${hint}`;
}

async function closeTapLine(net: Net, undo: string[], netns: string | null): Promise<void> {
  net.close();
  // The interface may have been deleted meanwhile, and then there is nothing to undo.
  if (undo.length > 0) await ipBatch(undo.splice(0), netns).catch(() => {});
}

async function openDevice(request: SendRequest, existing: HostLink | null): Promise<TapDevice> {
  const name = request.tap ?? 'tap%d';
  try {
    // The interface belongs to the namespace that the thread is in at this moment; its descriptor works from anywhere.
    return await inNetns(loadAddon(), request.netns, () =>
      openTap({ name, offload: request.offload, mtu: request.mtu ?? existing?.mtu ?? 1500 }),
    );
  } catch (error) {
    throw openTapError(request.tap ?? 'tap0', error);
  }
}

interface HostPlan {
  readonly network: Network;
  /** `ip` commands for the host's end, and those that undo them. */
  readonly commands: readonly string[];
  readonly undo: readonly string[];
}

/** A TAP of ours goes with its descriptor, and everything on it: nothing to undo. */
function newPlan(request: SendRequest, name: string): HostPlan {
  return {
    network: request.network,
    commands: hostCommands(name, request.network.host, request.mtu),
    undo: [],
  };
}

/** What an existing TAP has stays as it is; what it lacks is given to it as long as we send. */
function existingPlan(request: SendRequest, link: HostLink): HostPlan {
  const name = link.ifname;
  const inet = link.addr_info.find((address) => address.family === 'inet');
  const isUp = link.flags.includes('UP');
  const isRoot = process.geteuid?.() === 0;
  if (!isRoot && !isUp) {
    throw new CommandError(`${name} is down on the host`, `bring it up: sudo ip link set ${name} up`);
  }
  if (!isRoot && inet === undefined) {
    throw new CommandError(
      `${name} has no IPv4 address on the host`,
      `give it one: sudo ip addr add ${request.network.host} dev ${name}`,
    );
  }
  const commands: string[] = [];
  const undo: string[] = [];
  if (inet === undefined) {
    commands.push(`addr add ${request.network.host} brd + dev ${name}`);
    undo.unshift(`addr del ${request.network.host} dev ${name}`);
  }
  if (!isUp) {
    commands.push(`link set dev ${name} up`);
    undo.unshift(`link set dev ${name} down`);
  }
  const network =
    inet === undefined || request.networkGiven ? request.network : besideHost(inet.local, inet.prefixlen);
  return { network, commands, undo };
}

/** We take the address behind the host's, or the one before where that is the last. */
export function besideHost(local: string, prefixLength: number): Network {
  const host = parseIPv4(local) ?? 0;
  const mask = inetMakeMask(Math.min(prefixLength, 30));
  const last = (host | ~mask) >>> 0;
  const ours = host + 1 < last ? host + 1 : host - 1;
  return {
    host: `${local}/${prefixLength}`,
    ours: [`${formatIPv4(ours)}/${Math.min(prefixLength, 30)} brd +`],
    gateway: local,
  };
}
