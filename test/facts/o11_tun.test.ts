/** Facts about the host's own TAP driver, and what our stack does when a device goes (catalogue O.11). */
import { closeSync, constants, openSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Addon, loadAddon } from '../../src/dev/addon.js';
import { EBADFD, EINVAL, EIO } from '../../src/uapi/errno.js';
import { IFF_NO_PI, IFF_TAP, IFF_VNET_HDR } from '../../src/uapi/if_tun.js';
import { because, enterNamespace, ip, leaveNamespace, NO_TAP } from '../native/lab.js';
import { connect, fact, ipCommand, leaves, send, socket } from './lab.js';

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;

describe.skipIf(NO_TAP)(because("the host's TAP driver", NO_TAP), () => {
  let addon: Addon;
  let fd: number;
  beforeAll(() => {
    addon = enterNamespace();
  });
  afterAll(leaveNamespace);
  afterEach(() => {
    closeSync(fd);
  });

  const open = (): void => {
    fd = openSync('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK);
  };
  const attach = (flags = 0): void => {
    open();
    const ifreq = Buffer.alloc(40);
    ifreq.write('tap0');
    ifreq.writeUInt16LE(IFF_TAP | IFF_NO_PI | flags, 16);
    expect(addon.syscall(addon.SYS.ioctl, fd, TUNSETIFF, ifreq)).toBe(0);
  };
  const write = (bytes: Uint8Array<ArrayBuffer>, length = bytes.length): number =>
    loadAddon().syscall(addon.SYS.write, fd, bytes, length);
  const zeroes = (length: number): number => write(new Uint8Array(Math.max(length, 1)), length);

  it('K1: before it is attached, EBADFD', () => {
    open();
    expect(zeroes(60)).toBe(-EBADFD);
    expect(addon.syscall(addon.SYS.read, fd, new Uint8Array(100), 100)).toBe(-EBADFD);
  });
  it('K1: EIO while it is down; then every length from an Ethernet header up', () => {
    attach();
    expect(zeroes(60)).toBe(-EIO);
    ip('link set tap0 up');
    for (const length of [0, 13]) expect(zeroes(length)).toBe(-EINVAL);
    for (const length of [14, 60, 1515, 70000]) expect(zeroes(length)).toBe(length);
  });
  it('K2: what a virtio_net_hdr may say', () => {
    attach(IFF_VNET_HDR);
    ip('link set tap0 up');
    expect(zeroes(8)).toBe(-EINVAL);
    expect(zeroes(10 + 13)).toBe(-EINVAL);
    expect(zeroes(10 + 60)).toBe(70);
    const framed = (header: readonly number[]): number => {
      const frame = new Uint8Array(10 + 60);
      frame.set(header);
      return write(frame);
    };
    expect(framed([0, 77])).toBe(-EINVAL);
    expect(framed([0, 0, 61, 0])).toBe(-EINVAL);
    expect(framed([1, 0, 0, 0, 0, 0, 59, 0, 6, 0])).toBe(-EINVAL);
    expect(framed([1, 0, 0, 0, 0, 0, 34, 0, 6, 0])).toBe(70);
    expect(addon.syscall(addon.SYS.ioctl, fd, TUNSETVNETHDRSZ, Int32Array.of(12))).toBe(0);
    expect(zeroes(12 + 13)).toBe(-EINVAL);
    expect(zeroes(12 + 14)).toBe(26);
  });
  it('K3: combinations of TUNSETOFFLOAD', () => {
    attach(IFF_VNET_HDR);
    const offload = (bits: number): number => addon.syscall(addon.SYS.ioctl, fd, TUNSETOFFLOAD, bits);
    for (const bits of [0x01, 0x03, 0x07, 0x61, 0x7f]) expect(offload(bits), `${bits}`).toBe(0);
    for (const bits of [0x20, 0x21, 0x41, 0x80]) expect(offload(bits), `${bits}`).toBe(-EINVAL);
  });
  it('K4: closed, it is gone with its routes', () => {
    attach();
    ip('addr add 10.0.0.1/24 dev tap0');
    ip('link set tap0 up');
    const { SYS } = addon;
    const socketFd = addon.syscall(SYS.socket, 2, 2, 0);
    const name = Uint8Array.of(2, 0, 0, 9, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0);
    expect(addon.syscall(SYS.connect, socketFd, name, 16)).toBe(0);
    expect(addon.syscall(SYS.sendto, socketFd, name, 1, 0, null, 0)).toBe(1);
    closeSync(fd);
    expect(addon.ifNameToIndex('tap0')).toBeLessThan(0);
    expect(ip('route show table all')).not.toContain('10.0.0');
    expect(addon.syscall(SYS.sendto, socketFd, name, 1, 0, null, 0)).toBe(-101);
    addon.syscall(SYS.close, socketFd);
    open();
  });
});

for (const [what, command] of [
  ['removed', 'link del tap0'],
  ['down', 'link set tap0 down'],
] as const) {
  fact(`K4: a device that is ${what}`, [
    socket(),
    connect(),
    send(null, leaves()),
    ipCommand(command),
    send(null, 'ENETUNREACH'),
    [
      { call: 'ip', args: 'route show' },
      { ret: 0, check: ({ stdout }) => expect(stdout ?? '').toBe('') },
    ],
  ]);
}
