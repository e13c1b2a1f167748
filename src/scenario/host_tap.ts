/** A TAP of the host by its descriptor, for code that owns the whole thread: one frame a system call, no event loop. */
import { closeSync, constants, openSync } from 'node:fs';
import { loadAddon } from '../dev/addon.js';
import { EAGAIN, EBADFD, EIO, errnoMessage } from '../uapi/errno.js';
import { IFF_NO_PI, IFF_TAP, IFF_VNET_HDR } from '../uapi/if_tun.js';
import { ScenarioError } from './types.js';

const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOFFLOAD = 0x400454d0;
const IFREQ_BYTES = 40;
const IFREQ_FLAGS = 16;
const MAX_NAME_BYTES = 15;

export class HostTap {
  readonly #fd: number;

  /** Opens an existing TAP, or makes one. @throws ScenarioError */
  constructor(
    readonly name: string,
    readonly vnetHdr: boolean,
  ) {
    if (Buffer.byteLength(name) > MAX_NAME_BYTES)
      throw new ScenarioError(`an interface's name is too long: '${name}'`);
    try {
      this.#fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
    } catch (error) {
      throw new ScenarioError((error as Error).message);
    }
    const ifreq = Buffer.alloc(IFREQ_BYTES);
    ifreq.write(name, 0, 'utf8');
    ifreq.writeUInt16LE(IFF_TAP | IFF_NO_PI | (vnetHdr ? IFF_VNET_HDR : 0), IFREQ_FLAGS);
    this.#ioctl(TUNSETIFF, ifreq);
  }

  #ioctl(request: number, arg: number | Buffer<ArrayBuffer>): void {
    const addon = loadAddon();
    const error = addon.syscall(addon.SYS.ioctl, this.#fd, request, arg);
    if (error < 0) throw new ScenarioError(`TAP ${this.name}: ${errnoMessage(-error)}`);
  }

  /** The device outlives its descriptor. */
  persist(): void {
    this.#ioctl(TUNSETPERSIST, 1);
  }
  /** TUN_F_* bits of what this end takes. */
  offload(bits: number): void {
    this.#ioctl(TUNSETOFFLOAD, bits);
  }

  /** Reads one frame: its length, or 0 where there is none. @throws ScenarioError */
  read(into: Uint8Array<ArrayBuffer>): number {
    const addon = loadAddon();
    const length = addon.syscall(addon.SYS.read, this.#fd, into, into.length);
    if (length === -EAGAIN || length === -EIO || length === -EBADFD) return 0;
    if (length < 0) throw new ScenarioError(`reading ${this.name}: ${errnoMessage(-length)}`);
    return length;
  }

  /** The bytes taken, or a negative errno. */
  write(frame: Uint8Array<ArrayBuffer>): number {
    const addon = loadAddon();
    return addon.syscall(addon.SYS.write, this.#fd, frame, frame.length);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
