/** System calls with arguments that nobody means: every length, bad pointers, random bytes, in any order, on sockets and on what is none. */

import { BadPointer, type Pointer } from '../../src/socket/memory.js';
import type { RawMsghdr } from '../../src/socket/syscalls.js';
import * as so from '../../src/uapi/socket.js';
import { NOBODY_CRED, ROOT_CRED } from '../../src/udp/sock.js';
import { put16, put16le, put32 } from '../../src/wire/bytes.js';
import { cmsgPack } from '../../src/wire/cmsg.js';
import type { Dice, HostileLab } from './lab.js';

const LENGTHS = [
  -1, 0, 1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 36, 40, 41, 64, 128, 129, 264, 0x7fffffff, -0x80000000,
];
const SIZES = [0, 1, 7, 8, 9, 100, 1000, 1472, 1473, 2000, 4000, 9000, 65507, 65508, 65535, 65536, 70000];
const ADDRESSES = [
  0, 0x0a090001, 0x0a090002, 0x0a0900ff, 0x0a090063, 0x7f000001, 0xe0000001, 0xef010203, 0xffffffff,
  0x08080808,
];
const LEVELS = [so.SOL_SOCKET, so.SOL_IP, so.SOL_UDP, so.SOL_UDPLITE, so.SOL_IPV6, so.SOL_TCP, 999, -1];
const OPTION_TYPES = [0, 1, 7, 0x44, 0x82, 0x83, 0x86, 0x88, 0x89, 0x94, 0x9e, 0x55, 255];
const FLAGS = [
  0,
  0,
  0,
  so.MSG_MORE,
  so.MSG_DONTWAIT,
  so.MSG_CONFIRM,
  so.MSG_PROBE,
  so.MSG_DONTROUTE,
  so.MSG_ZEROCOPY,
  so.MSG_OOB,
  -1,
];

function sockaddr(dice: Dice): Pointer {
  if (dice.chance(5))
    return dice.chance(50) ? null : new BadPointer(16, dice.chance(50) ? 'kernel' : 'unmapped');
  const b = dice.chance(10) ? dice.bytes(dice.below(140)) : new Uint8Array(16);
  if (b.length < 16) return b;
  put16le(b, 0, dice.chance(90) ? so.AF_INET : dice.pick([0, 1, 10, 99]));
  put16(b, 2, dice.pick([0, 1, 9, 53, 4000, 4001, 65535]));
  put32(b, 4, dice.pick(ADDRESSES));
  return b;
}

/** IP options: random, or well formed with something wrong. */
export function options(dice: Dice): Uint8Array {
  const out: number[] = [];
  while (out.length < 40 && dice.chance(80)) {
    const length = dice.chance(80) ? dice.pick([3, 4, 7, 8, 11, 12]) : dice.below(256);
    out.push(dice.pick(OPTION_TYPES), length, dice.pick([4, 5, 8, 9, 13, dice.below(256)]), dice.below(256));
    for (let i = 0; i < Math.min(length, 12) - 4; i++) out.push(dice.below(256));
  }
  return Uint8Array.from(out.slice(0, dice.pick([4, 8, 12, 40, 41, 60])));
}

function control(dice: Dice): Uint8Array {
  if (dice.chance(30)) return dice.bytes(dice.below(200));
  const messages = Array.from({ length: dice.below(5) }, () => ({
    level: dice.pick(LEVELS),
    type: dice.pick([1, 2, 4, 7, 8, 12, 36, 37, 52, 61, 79, 81, 103, dice.below(300)]),
    data: dice.chance(30) ? options(dice) : dice.bytes(dice.pick([0, 1, 2, 4, 8, 12, 28])),
  }));
  const packed = cmsgPack(messages);
  // A length that lies.
  if (packed.length >= 16 && dice.chance(30)) packed[dice.below(8)] = dice.below(256);
  return packed;
}

function payload(dice: Dice): Pointer {
  return dice.chance(5)
    ? new BadPointer(dice.pick(SIZES), dice.chance(20) ? 'kernel' : 'unmapped')
    : new Uint8Array(dice.pick(SIZES));
}

function msghdr(dice: Dice): RawMsghdr {
  const name = dice.chance(20) ? null : sockaddr(dice);
  const iov = Array.from({ length: dice.below(4) }, () => {
    const base = payload(dice);
    const real = base === null ? 0 : base.length;
    return { base, len: dice.chance(90) ? real : dice.pick([0, 1, real + 1, 2 ** 31, -1]) };
  });
  const bytes = dice.chance(60) ? new Uint8Array(0) : control(dice);
  return {
    name,
    namelen: dice.chance(90) ? (name?.length ?? 0) : dice.pick(LENGTHS),
    iov: dice.chance(97) ? iov : new BadPointer(16),
    iovlen: dice.chance(97) ? iov.length : dice.pick([0, 1, 1024, 1025, 100_000]),
    control: dice.chance(97) ? bytes : new BadPointer(bytes.length),
    controllen: dice.chance(95) ? bytes.length : dice.pick(LENGTHS),
    flags: dice.pick(FLAGS),
  };
}

/** Makes `count` calls. Throws what the stack throws, which must be nothing; says how many calls succeeded. */
export function hostileCalls(lab: HostileLab, dice: Dice, count: number): number {
  const { net, dev } = lab;
  const { syscalls } = net;
  const fds: number[] = [];
  const fd = () => (dice.chance(97) && fds.length > 0 ? dice.pick(fds) : dice.pick([-1, 0, 2, 77, 1e9]));
  let succeeded = 0;
  for (let i = 0; i < count; i++) {
    let result = 0;
    const flags = dice.pick(FLAGS) | so.MSG_DONTWAIT;
    switch (dice.below(12)) {
      case 0: {
        const proto = dice.pick([0, 0, 17, 136, 1, 6, -1, 300]);
        result = syscalls.socket(dice.pick([2, 2, 2, 10, 99]), dice.pick([2, 2, 2, 1, 3, 0x802, 99]), proto);
        if (result >= 0) fds.push(result);
        if (fds.length > 40) syscalls.close(fds.splice(dice.below(fds.length), 1)[0]!);
        break;
      }
      case 1:
        result = syscalls.bind(fd(), sockaddr(dice), dice.chance(90) ? 16 : dice.pick(LENGTHS));
        break;
      case 2:
        result = syscalls.connect(fd(), sockaddr(dice), dice.chance(90) ? 16 : dice.pick(LENGTHS));
        break;
      case 3:
      case 4: {
        const data = payload(dice);
        const length = dice.chance(95) ? (data?.length ?? 0) : dice.pick(SIZES);
        result = syscalls.sendto(
          fd(),
          data,
          length,
          flags,
          sockaddr(dice),
          dice.chance(95) ? 16 : dice.pick(LENGTHS),
        );
        break;
      }
      case 5:
      case 6:
        result = syscalls.sendmsg(fd(), dice.chance(98) ? msghdr(dice) : new BadPointer(56), flags);
        break;
      case 7: {
        const msgs = Array.from({ length: dice.below(4) }, () => ({ hdr: msghdr(dice), len: 0 }));
        result = syscalls.sendmmsg(fd(), msgs, dice.chance(95) ? msgs.length : dice.below(5000), flags);
        break;
      }
      case 8: {
        const value = dice.chance(20) ? options(dice) : dice.bytes(dice.pick([0, 1, 4, 8, 12, 16, 136, 264]));
        const pointer = dice.chance(96) ? value : new BadPointer(value.length);
        const level = dice.pick(LEVELS);
        const name = dice.pick([4, 32, 35, 36, 39, 10, 11, 103, 1, 2, dice.below(110)]);
        // A buffer that is kept as large as asked would only make the test slow.
        if (level === so.SOL_SOCKET && (name === so.SO_SNDBUFFORCE || name === so.SO_RCVBUFFORCE)) break;
        result = syscalls.setsockopt(
          fd(),
          level,
          name,
          pointer,
          dice.chance(90) ? value.length : dice.pick(LENGTHS),
        );
        break;
      }
      case 9: {
        const box = { len: dice.pick(LENGTHS.filter((n) => n < 1000)) };
        result = syscalls.getsockopt(
          fd(),
          dice.pick(LEVELS),
          dice.below(110),
          new Uint8Array(dice.pick([0, 1, 4, 300])),
          box,
        );
        break;
      }
      case 10:
        result = syscalls.recvmsg(
          fd(),
          { ...msghdr(dice), iov: [{ base: new Uint8Array(64), len: 64 }], iovlen: 1 },
          flags | dice.pick([0, so.MSG_ERRQUEUE, so.MSG_PEEK]),
        );
        break;
      default: {
        const which = dice.below(5);
        if (which === 0) result = syscalls.shutdown(fd(), dice.pick([0, 1, 2, 3, -1]));
        else if (which === 1)
          result = syscalls.getsockname(fd(), new Uint8Array(128), { len: dice.pick([0, 2, 16, 128]) });
        else if (which === 2)
          result = syscalls.ioctl(fd(), dice.pick([so.SIOCOUTQ, so.SIOCINQ, 7]), new Uint8Array(8));
        else if (which === 3) syscalls.cred = dice.chance(80) ? ROOT_CRED : NOBODY_CRED;
        else if (fds.length > 3) result = syscalls.close(fds.splice(dice.below(fds.length), 1)[0]!);
      }
    }
    if (!Number.isInteger(result)) throw new Error(`call ${i} answered ${String(result)}`);
    if (result >= 0) succeeded++;
    if ((i & 63) === 0) dev.drain();
    if (i % 5000 === 4999) net.timers.advanceTo(net.clock.now() + 4000);
  }
  syscalls.cred = ROOT_CRED;
  for (const open of fds) syscalls.close(open);
  return succeeded;
}
