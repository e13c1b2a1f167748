import type { NetDevice } from './net_device.js';

/** What a packet carries of its route (`struct dst_entry`); the routing room extends it. */
export abstract class DstEntry {
  constructor(
    /** The device that the packet leaves by. */
    public dev: NetDevice,
  ) {}
}
