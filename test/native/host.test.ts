import { execFileSync } from 'node:child_process';
import { release } from 'node:os';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Addon, loadAddon, type SyscallArgument } from '../../src/dev/addon.js';
import { because, NO_TAP } from './lab.js';

const EPERM = 1;
const ENOENT = 2;
const EBADF = 9;
const EFAULT = 14;
const ENODEV = 19;
const EINVAL = 22;

const AF_INET = 2;
const SOCK_DGRAM = 2;

describe('system calls on the host', () => {
  let addon: Addon;
  beforeAll(() => {
    addon = loadAddon();
  });

  function call(name: keyof Addon['SYS'], ...args: SyscallArgument[]): number {
    return addon.syscall(addon.SYS[name], ...args);
  }

  function loopback(port: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.of(2, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  }

  it('sends with sendmsg and receives with recvmsg, by structs that the caller lays out', () => {
    const receiver = call('socket', AF_INET, SOCK_DGRAM, 0);
    expect(call('bind', receiver, loopback(0), 16)).toBe(0);
    const name = new Uint8Array(16);
    expect(call('getsockname', receiver, name, Uint32Array.of(16))).toBe(0);

    const sender = call('socket', AF_INET, SOCK_DGRAM, 0);
    const parts = [Buffer.from('system '), Buffer.from('call')];
    const iov = BigUint64Array.from(parts.flatMap((part) => [addon.addressOf(part), BigInt(part.length)]));
    const header = BigUint64Array.of(addon.addressOf(name), 16n, addon.addressOf(iov), 2n, 0n, 0n, 0n);
    expect(call('sendmsg', sender, header, 0)).toBe(11);

    const data = new Uint8Array(64);
    const into = BigUint64Array.of(addon.addressOf(data), 64n);
    const back = BigUint64Array.of(0n, 0n, addon.addressOf(into), 1n, 0n, 0n, 0n);
    expect(call('recvmsg', receiver, back, 0)).toBe(11);
    expect(Buffer.from(data.subarray(0, 11)).toString()).toBe('system call');
    expect(call('close', sender)).toBe(0);
    expect(call('close', receiver)).toBe(0);
    expect(call('close', receiver)).toBe(-EBADF);
  });

  it('reads and sets options', () => {
    const fd = call('socket', AF_INET, SOCK_DGRAM, 0);
    const value = new Int32Array(1);
    const length = Uint32Array.of(4);
    expect(call('setsockopt', fd, 0, 1, Int32Array.of(0x28), 4)).toBe(0);
    expect(call('getsockopt', fd, 0, 1, value, length)).toBe(0);
    expect([value[0], length[0]]).toEqual([0x28, 4]);
    call('close', fd);
  });

  it('lets the kernel refuse every bad pointer and length', () => {
    const fd = call('socket', AF_INET, SOCK_DGRAM, 0);
    expect(call('connect', fd, loopback(9), 16)).toBe(0);
    const pointers: SyscallArgument[] = [
      1,
      8,
      -1,
      -8,
      2 ** 47,
      2 ** 53 - 1,
      0x7fff_ffff_ffffn,
      (1n << 64n) - 1n,
      -(1n << 63n),
    ];
    for (const pointer of pointers) {
      expect(call('sendto', fd, pointer, 100, 0, null, 0)).toBe(-EFAULT);
      expect(call('sendmsg', fd, pointer, 0)).toBe(-EFAULT);
      expect(call('sendmmsg', fd, pointer, 1, 0)).toBe(-EFAULT);
      expect(call('bind', fd, pointer, 16)).toBe(-EFAULT);
      expect(call('setsockopt', fd, 0, 1, pointer, 4)).toBe(-EFAULT);
      expect(call('getsockopt', fd, 0, 1, pointer, pointer)).toBe(-EFAULT);
      expect(call('ioctl', fd, 0x8933, pointer)).toBe(-EFAULT);
    }
    for (const length of [-1, 129, 2 ** 31 - 1]) expect(call('bind', fd, loopback(0), length)).toBe(-EINVAL);
    call('close', fd);
  });

  it('throws for arguments that are no numbers or memory, and for calls that it does not offer', () => {
    for (const bad of [
      '1',
      {},
      [],
      true,
      Symbol('x'),
      () => 0,
      0.5,
      Number.NaN,
      Infinity,
      2 ** 53,
      1n << 64n,
      -(1n << 63n) - 1n,
    ]) {
      expect(() => call('getpid', bad as SyscallArgument)).toThrow();
    }
    // exit, mmap, munmap, kill
    for (const number of [231, 9, 11, 62, -1, 99_999, 0.5])
      expect(() => addon.syscall(number)).toThrow(RangeError);
    expect(() => (addon.syscall as unknown as () => void)()).toThrow(TypeError);
    expect(() => addon.addressOf(5 as unknown as ArrayBuffer)).toThrow(TypeError);
  });

  it('has the address of the bytes themselves, for views with an offset too', () => {
    const buffer = new ArrayBuffer(64);
    const base = addon.addressOf(buffer);
    expect(addon.addressOf(new Uint8Array(buffer, 5))).toBe(base + 5n);
    expect(addon.addressOf(new DataView(buffer, 16))).toBe(base + 16n);
    expect(addon.addressOf(new Float64Array(buffer, 8))).toBe(base + 8n);
  });

  it('knows the kernel, the interfaces and who we are', () => {
    expect(addon.uname()).toMatchObject({ sysname: 'Linux', release: release() });
    expect(addon.ifNameToIndex('lo')).toBe(1);
    expect(addon.ifNameToIndex('no-such-one')).toBe(-ENODEV);
    expect(() => addon.ifNameToIndex('longer-than-fifteen')).toThrow(RangeError);
    expect(addon.geteuid()).toBe(process.geteuid?.());
    expect(call('getpid')).toBe(process.pid);
    expect(addon.setns('/no/such/namespace', 0)).toBe(-ENOENT);
    expect(addon.setns('/proc/self/status', 0)).toBe(-EINVAL);
    expect(addon.unshare(1)).toBe(-EINVAL);
    expect(() => addon.unshare(-1)).toThrow(RangeError);
  });

  it.skipIf(NO_TAP)(because('enters a namespace, and drops what it may do', NO_TAP), () => {
    const path = new URL('../../build/Release/udptap.node', import.meta.url).pathname;
    const script = `
      const addon = require(${JSON.stringify(path)});
      const { readFileSync, readlinkSync } = require('node:fs');
      const before = readlinkSync('/proc/thread-self/ns/net');
      const out = [addon.unshare(0x40000000), readlinkSync('/proc/thread-self/ns/net') !== before];
      out.push(addon.setns('/proc/' + process.ppid + '/ns/net', 0x40000000), readlinkSync('/proc/thread-self/ns/net') === before);
      out.push(addon.effectiveCapabilities() !== 0n);
      out.push(addon.dropPrivileges(65534, 65533));
      out.push(addon.geteuid(), addon.effectiveCapabilities() === 0n, addon.unshare(0x40000000), addon.tapOpen('x', 0));
      out.push(readFileSync('/proc/thread-self/status', 'utf8').match(/Gid:\\t65533\\t65533/) !== null);
      console.log(JSON.stringify(out));
    `;
    const output = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    const [tapAsNobody] = JSON.parse(output).splice(9, 1);
    // EACCES where the device node is root's alone.
    expect([-EPERM, -13]).toContain(tapAsNobody);
    expect(JSON.parse(output)).toEqual([0, true, 0, true, true, 0, 65534, true, -EPERM, tapAsNobody, true]);
  });
});
