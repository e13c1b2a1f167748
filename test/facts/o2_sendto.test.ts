/** Facts about sendto's arguments (catalogue O.2). */
import { expect, it } from 'vitest';
import { addonProblem, loadAddon } from '../../src/dev/addon.js';
import { StackMachine } from '../../src/scenario/stack_machine.js';
import { BadPointer } from '../../src/socket/memory.js';
import { EFAULT } from '../../src/uapi/errno.js';
import { D, fact, fresh, leaves, STAYS, type Step, send, sendBytes, socket } from './lab.js';

fact('B1: what the descriptor is', [
  [{ call: 'sendto', fd: 999, data: '61', addr: D }, 'EBADF'],
  // A scenario's process has /dev/null as its standard input; a Net has no other files there.
  [{ call: 'sendto', fd: 0, data: '61', addr: D }, 'ENOTSOCK'],
]);
it("B1: a kernel's address is EFAULT before the descriptor is looked at: our stack", () => {
  const machine = new StackMachine({ calls: [] });
  expect(machine.calls.sendto(999, new BadPointer(10, 'kernel'), 10, 0, null, 0)).toBe(-EFAULT);
  machine.close();
});
it.skipIf(addonProblem() !== null)(
  "B1: a kernel's address is EFAULT before the descriptor is looked at: the host's kernel",
  () => {
    const { syscall, SYS } = loadAddon();
    expect(syscall(SYS.sendto, 999, 0xffff_8880_0000_0000n, 10, 0, null, 0)).toBe(-EFAULT);
  },
);

fact('B2: an unreadable buffer is EFAULT, and the socket is bound by then', [
  socket(),
  send(D, 'EFAULT', { data: { bad: 10 } }),
  [
    { call: 'getsockname' },
    {
      check: ({ addr }) => {
        expect(addr).toMatch(/^0\.0\.0\.0:\d+$/);
        expect(addr).not.toBe('0.0.0.0:0');
      },
    },
  ],
]);
fact('B3: lengths of the address', [
  socket(),
  ...[0, 1, 8, 15].map((addrlen) => send(D, 'EINVAL', { addrlen })),
  ...[16, 17, 28, 128].map((addrlen) => send(D, leaves(), { addrlen })),
  ...[129, -1].map((addrlen) => send(D, 'EINVAL', { addrlen })),
  send(null, 'EDESTADDRREQ', { addrlen: 16 }),
  send({ bad: 16 }, 'EFAULT'),
]);
fact('B4: lengths of the payload', [
  socket(),
  send(D, { ret: 65507, frames: 45 }, { data: { seq: 65507 } }),
  ...[65508, 65527, 65535, 65536].map((seq) => send(D, 'EMSGSIZE', { data: { seq } })),
  ...[2 ** 31, 2 ** 40].map((len) => send(D, 'EMSGSIZE', { len })),
]);
fact('B5: which error of length, flag and address wins', [
  socket(),
  sendBytes(65536, 'EMSGSIZE', 0, null),
  sendBytes(65536, 'EMSGSIZE', 'MSG_OOB'),
  send(D, 'EOPNOTSUPP', { flags: 'MSG_OOB' }),
  send(null, 'EOPNOTSUPP', { flags: 'MSG_OOB' }),
]);
fact('B6: family and port', [
  socket(),
  send({ ip: '10.0.0.2', port: 9, family: 0 }, leaves()),
  send({ ip: '10.0.0.2', port: 9, family: 10 }, 'EAFNOSUPPORT'),
  send('10.0.0.2:0', 'EINVAL'),
  send({ ip: '10.0.0.2', port: 0, family: 10 }, 'EAFNOSUPPORT'),
]);

const flag = (bit: number): Step => {
  const flags = `0x${(2 ** bit).toString(16)}`;
  if (bit === 0) return send(D, 'EOPNOTSUPP', { flags });
  return send(D, bit === 4 || bit === 15 ? STAYS : leaves(), { flags });
};
fact('B7: each flag alone', Array.from({ length: 32 }, (_, bit) => fresh(flag(bit))).flat());
fact('B8: the payload is read last', [
  socket(),
  send(D, 'EMSGSIZE', { data: { bad: 70000 } }),
  send(null, 'EDESTADDRREQ', { data: { bad: 10 } }),
]);
