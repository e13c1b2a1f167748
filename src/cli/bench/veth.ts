/** The way of a kernel socket's frames: a veth pair, or a TAP whose frames nobody takes. */
import { join } from 'node:path';
import { loadAddon } from '../../dev/addon.js';
import { IFF_VNET_HDR } from '../../uapi/if_tun.js';
import { CommandError } from '../exit.js';
import type { Medium } from './contestants.js';
import type { DuelTask } from './duel.js';
import { NOBODY_MAC, PORT, runIp } from './lab.js';
import { findCommand, LineChild } from './programs.js';

export interface KernelLink {
  /** Where to send to. */
  readonly address: string;
  readonly device: string;
  /** The MAC of who has that address. */
  readonly mac: string;
  readonly own: string;
  end(): void;
}

const NEAR = '10.8.0.2';
const FAR = '10.8.0.1';
const DEVICE = 'veth0';
const PEER = 'veth1';

/** Makes the link, with the same kind of receiver at its other end as our stack has. */
export async function openVeth(task: DuelTask, medium: Medium): Promise<KernelLink> {
  if (medium === 'tap') return openUnreadTap(task);
  runIp(`link add ${DEVICE} type veth peer name ${PEER}`);
  const sink = task.consumer === 'drop' ? null : await openFarSink(task);
  if (sink === null) runIp(`link set ${PEER} up`);
  runIp(`addr add ${NEAR}/24 dev ${DEVICE}`);
  runIp(`link set ${DEVICE} up`);
  const mac = sink === null ? NOBODY_MAC : sink.mac;
  runIp(`neigh add ${FAR} lladdr ${mac} dev ${DEVICE} nud permanent`);
  return { address: FAR, device: DEVICE, mac, own: NEAR, end: () => sink?.child.end() };
}

/** A socket in a namespace of its own, to which the peer goes. */
async function openFarSink(task: DuelTask): Promise<{ readonly child: LineChild; readonly mac: string }> {
  for (const command of ['unshare', 'nsenter']) {
    if (findCommand(command) === null) throw new CommandError(`there is no "${command}" command here`);
  }
  const child = new LineChild(['unshare', '-n', join(task.folder, 'udp_sink'), task.consumer, String(PORT)]);
  await child.line();
  const mac = '02:00:00:00:08:01';
  runIp(`link set ${PEER} address ${mac}`);
  runIp(`link set ${PEER} netns ${child.pid}`);
  const far = new LineChild(['nsenter', '-t', String(child.pid), '-n', 'ip', '-batch', '-']);
  far.write(`addr add ${FAR}/24 dev ${PEER}\nlink set ${PEER} up\n`);
  await far.done();
  return { child, mac };
}

/** The device drops what does not fit its queue: cheaper for the sender than any receiver. */
function openUnreadTap({ consumer, contestant }: DuelTask): KernelLink {
  if (consumer !== 'drop')
    throw new CommandError(`${contestant.name}: a TAP's frames have no socket at the other end`);
  const addon = loadAddon();
  const device = 'unread0';
  const offload = contestant.kind === 'kernel' && contestant.way === 'segment' ? IFF_VNET_HDR : 0;
  const tap = addon.tapOpen(device, offload);
  if (typeof tap === 'number') throw new CommandError(`${device}: errno ${-tap}`);
  runIp(`addr add ${NEAR}/24 dev ${device}`);
  runIp(`link set ${device} up`);
  runIp(`neigh add ${FAR} lladdr ${NOBODY_MAC} dev ${device} nud permanent`);
  return { address: FAR, device, mac: NOBODY_MAC, own: NEAR, end: () => addon.tapClose(tap.id) };
}
