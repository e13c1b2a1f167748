/** Facts about sendmsg and control data (catalogue O.3). */
import { expect, it } from 'vitest';
import { addonProblem, loadAddon } from '../../src/dev/addon.js';
import { StackMachine } from '../../src/scenario/stack_machine.js';
import type { Cmsg, Value } from '../../src/scenario/types.js';
import { EDESTADDRREQ, EINVAL } from '../../src/uapi/errno.js';
import { MSG_OOB } from '../../src/uapi/socket.js';
import {
  D,
  type Expected,
  fact,
  ipCmsg,
  LAB_A,
  leaves,
  message,
  type Step,
  send,
  so,
  socket,
  withCmsgs,
} from './lab.js';

const ttl = (data: Value, len?: number): Cmsg => ({
  level: 'SOL_IP',
  type: 'IP_TTL',
  data,
  ...(len !== undefined && { len }),
});
const segment = (data: Value, len?: number): Cmsg => ({
  level: 'SOL_UDP',
  type: 'UDP_SEGMENT',
  data,
  ...(len !== undefined && { len }),
});
const sol = (type: number | string, data: Value = 0): Cmsg => ({ level: 'SOL_SOCKET', type, data });
const one = (cmsg: Cmsg, want: Expected): Step => withCmsgs([cmsg], want);
const zeroes = (bytes: number): string => '00'.repeat(bytes);

fact('C1: lengths of a control message', [
  socket(),
  ...[8, 15].map((bytes) => message(leaves(), { control_hex: zeroes(bytes) })),
  message('EINVAL', { control_hex: zeroes(16) }),
  one({ level: 'SOL_IP', type: 'IP_TTL', len: 15 }, 'EINVAL'),
  one({ level: 'SOL_IP', type: 'IP_TTL', len: 16 }, 'EINVAL'),
  one(ttl(5, 40), 'EINVAL'),
  one(segment({ u16: 4 }, 16), 'EINVAL'),
]);
const TTL_5 = '14000000000000000000000002000000' + '0500000000000000';
fact('C2: what follows a message', [
  socket(),
  message(leaves({ ttl: 5 }), { control_hex: TTL_5 + zeroes(8) }),
  message('EINVAL', { control_hex: `${TTL_5}03000000000000000000000002000000` }),
]);
fact('C3: lengths of the control buffer', [
  socket(),
  message('ENOBUFS', { control_hex: zeroes(16), controllen: 2 ** 31 }),
  message('ENOBUFS', { control_hex: zeroes(16), controllen: 200000 }),
  message(leaves(), { cmsgs: [{ level: 999, type: 1, len: 131071 }], controllen: 131071 }),
  message('ENOBUFS', { cmsgs: [{ level: 999, type: 1, len: 131072 }], controllen: 131072 }),
]);
fact('C4: the name', [
  socket(),
  message('EDESTADDRREQ', { name: null }),
  message('EDESTADDRREQ', { namelen: 0 }),
  message('EINVAL', { namelen: 15 }),
  message(leaves(), { namelen: 200 }),
  message('EINVAL', { namelen: 0xffffffff }),
  message('EFAULT', { name: { bad: 16 } }),
]);
fact('C5: the pieces of the payload', [
  socket(),
  message('EMSGSIZE', { iovlen: 1025 }),
  message({ ret: 1024, frames: 1, sizes: [1052] }, { iov: Array.from({ length: 1024 }, () => '61') }),
  message({ ret: 0, sizes: [28] }, { iov: [] }),
  message('EMSGSIZE', { iov: [{ seq: 40000 }, { seq: 40000 }] }),
]);

/** Sends by sendmsg, on a socket without a peer, a piece of this length; `msg_flags` is the header's own word. */
type RawSend = (pieceBytes: number | bigint, msgFlags: number) => number;
const onStack: RawSend = (pieceBytes, msgFlags) => {
  const machine = new StackMachine({ calls: [] });
  const fd = machine.calls.socket(2, 2, 0);
  const iov = [{ base: new Uint8Array(8), len: Number(pieceBytes) }];
  const header = { name: null, namelen: 0, iov, iovlen: 1, control: null, controllen: 0, flags: msgFlags };
  const result = machine.calls.sendmsg(fd, header, 0);
  machine.close();
  return result;
};
const onHost: RawSend = (pieceBytes, msgFlags) => {
  const { syscall, SYS, addressOf } = loadAddon();
  const payload = new Uint8Array(8);
  const iov = new BigUint64Array([addressOf(payload), BigInt(pieceBytes)]);
  const header = new BigUint64Array(7);
  header[2] = addressOf(new Uint8Array(iov.buffer));
  header[3] = 1n;
  header[6] = BigInt(msgFlags);
  const fd = syscall(SYS.socket, 2, 2, 0);
  const result = syscall(SYS.sendmsg, fd, new Uint8Array(header.buffer), 0);
  syscall(SYS.close, fd);
  // The memory behind the addresses must live until here.
  expect(payload.length + iov.length).toBe(10);
  return result;
};
for (const [name, rawSend] of [
  ['our stack', onStack],
  ["the host's kernel", onHost],
] as const) {
  const skipped = rawSend === onHost && addonProblem() !== null;
  it.skipIf(skipped)(`C5: a piece of 2^63 bytes is EINVAL: ${name}`, () => {
    expect(rawSend(1n << 63n, 0)).toBe(-EINVAL);
  });
  it.skipIf(skipped)(`C6: MSG_OOB in the header is ignored: ${name}`, () => {
    expect(rawSend(8, MSG_OOB)).toBe(-EDESTADDRREQ);
  });
}
fact('C6: MSG_CMSG_COMPAT', [
  socket(),
  [{ call: 'sendmsg', iov: ['61'], name: D, flags: 0x80000000 }, 'EINVAL'],
]);
fact('C7: IP_TTL, IP_TOS, IP_PROTOCOL', [
  socket(),
  ...[-1, 0, 256].map((value) => one(ttl(value), 'EINVAL')),
  ...[1, 255].map((value) => one(ttl(value), leaves({ ttl: value }))),
  one(ttl({ u8: 5 }), 'EINVAL'),
  ...[-1, 256].map((value) => one(ipCmsg('IP_TOS', value), 'EINVAL')),
  ...[0, 0x28, 255].map((value) => one(ipCmsg('IP_TOS', value), leaves({ tos: value }))),
  one(ipCmsg('IP_TOS', { u8: 0x28 }), leaves({ tos: 0x28 })),
  one(ipCmsg('IP_TOS', { u16: 0x28 }), 'EINVAL'),
  ...[0, 256].map((value) => one(ipCmsg('IP_PROTOCOL', value), 'EINVAL')),
  ...[1, 17, 255].map((value) => one(ipCmsg('IP_PROTOCOL', value), leaves({ proto: 17 }))),
]);
fact('C8: IP_PKTINFO cut short, unknown types and levels', [
  socket(),
  ...[8, 16].map((bytes) => one(ipCmsg('IP_PKTINFO', { hex: zeroes(bytes) }), 'EINVAL')),
  one({ level: 'SOL_IP', type: 77, data: 0 }, 'EINVAL'),
  one({ level: 'SOL_IPV6', type: 50, data: 0 }, leaves()),
  one({ level: 'SOL_TCP', type: 1, data: 0 }, leaves()),
  one({ level: 999, type: 1, data: 0 }, leaves()),
]);
fact('C9: SOL_SOCKET', [
  socket(),
  one(sol(1), leaves()),
  one(sol(2), leaves()),
  one(sol(77), 'EINVAL'),
  one(sol('SO_MARK', 5), leaves()),
  one(sol('SO_MARK', { u8: 5 }), 'EINVAL'),
  one(sol('SO_PRIORITY', 5), leaves()),
  one(sol('SO_PRIORITY', { u8: 5 }), 'EINVAL'),
  one(sol(61, { u64: 1 }), 'EINVAL'),
  one(sol('SO_TIMESTAMPING', 2), leaves()),
  one(sol('SO_TIMESTAMPING', 16), 'EINVAL'),
  one(sol(81, 7), 'EINVAL'),
  one(sol(79), leaves()),
  one(sol(80), 'EINVAL'),
]);
fact(
  'C10: without privilege',
  [
    socket(),
    one(sol('SO_MARK', 5), 'EPERM'),
    one(sol('SO_MARK', { u8: 5 }), 'EPERM'),
    one(sol('SO_PRIORITY', 7), 'EPERM'),
    one(sol('SO_PRIORITY', 6), leaves()),
    one(ipCmsg('IP_TOS', 0xb8), leaves({ tos: 0xb8 })),
  ],
  { ...LAB_A, user: true },
);
fact('C11: which error wins', [
  socket(),
  withCmsgs([ttl(0)], 'EINVAL', '10.0.0.2:0'),
  withCmsgs([ttl(0)], 'EDESTADDRREQ', null),
  withCmsgs([ttl(0)], 'EINVAL', '10.0.0.255:9'),
  // The same destination without the control message.
  send('10.0.0.255:9', 'EACCES'),
  so('SO_BROADCAST', 1),
  withCmsgs([ttl(7)], leaves({ ttl: 7, toMac: 'ff:ff:ff:ff:ff:ff' }), '10.0.0.255:9'),
]);
fact('C12: lengths of UDP_SEGMENT', [
  socket(),
  ...['00', '000000', '00000000'].map((hex) => one(segment({ hex }), 'EINVAL')),
  one(segment({ u16: 400 }), leaves()),
  one({ level: 'SOL_UDP', type: 104, data: { u16: 400 } }, 'EINVAL'),
]);
