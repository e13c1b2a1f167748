/** The straight line against the general way: the same datagrams, the same frames, the same counters. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameArena } from '../../src/core/arena.js';
import { VirtualClock } from '../../src/core/clock.js';
import { SeededRandom } from '../../src/core/random.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { Net } from '../../src/net/net.js';
import type { SocketError } from '../../src/socket/error.js';
import { AF_INET, SOL_IP, SOL_SOCKET } from '../../src/uapi/socket.js';

interface Send {
  readonly length: number;
  readonly fill: number;
  readonly connected: boolean;
  readonly address: string;
  readonly port: number;
  readonly tos: number;
  readonly ttl: number;
  readonly pmtudisc: number;
  readonly gateway: boolean;
}

/** Sends them; a hook that accepts everything is what takes a datagram off the straight line. */
function run(sends: readonly Send[], general: boolean): unknown {
  const net = new Net({
    clock: new VirtualClock(),
    random: new SeededRandom(7),
    arena: new FrameArena({ smallSlots: 64, largeSlots: 2 }),
  });
  const dev = new MemoryDevice({ name: 'tap0', mac: Uint8Array.of(2, 0, 0, 0, 9, 2) });
  net.addDevice(dev);
  net.ip('addr add 192.168.9.2/24 brd + dev tap0');
  net.ip('link set tap0 up');
  net.ip('neigh add 192.168.9.1 lladdr 02:00:00:00:09:01 dev tap0 nud permanent');
  net.ip('neigh add 192.168.9.200 lladdr 02:00:00:00:09:c8 dev tap0 nud permanent');
  net.ip('route add default via 192.168.9.1');
  if (general) net.localOutHook = () => 0;
  const socket = net.socket(AF_INET);
  socket.bind({ address: '0.0.0.0', port: 4000 });
  const answers: (number | string)[] = [];
  for (const send of sends) {
    socket.setsockopt(SOL_IP, 1, send.tos);
    socket.setsockopt(SOL_IP, 2, send.ttl);
    socket.setsockopt(SOL_IP, 10, send.pmtudisc);
    const to = { address: send.gateway ? '10.77.0.9' : send.address, port: send.port };
    const data = new Uint8Array(send.length).fill(send.fill);
    try {
      if (send.connected) {
        socket.connect(to);
        answers.push(socket.send(data), socket.send(data));
      } else answers.push(socket.sendto(data, 0, to));
    } catch (error) {
      answers.push((error as SocketError).code);
    }
  }
  const frames = dev.drain().map(({ bytes }) => Buffer.from(bytes).toString('hex'));
  const mib: unknown = JSON.parse(JSON.stringify(net.mib));
  const left = net.skbs.inUse;
  const charged = net.syscalls.file(socket.fd)!.sk.wmemAlloc;
  net.close();
  return { answers, frames, mib, left, charged };
}

describe('udpSendFrame', () => {
  it('does what the general way does', () => {
    const send = fc.record<Send>({
      length: fc.oneof(fc.integer({ min: 0, max: 120 }), fc.integer({ min: 1440, max: 1500 })),
      fill: fc.integer({ min: 0, max: 255 }),
      connected: fc.boolean(),
      address: fc.constantFrom('192.168.9.1', '192.168.9.200'),
      port: fc.integer({ min: 1, max: 65535 }),
      tos: fc.integer({ min: 0, max: 255 }),
      ttl: fc.integer({ min: 1, max: 255 }),
      pmtudisc: fc.integer({ min: 0, max: 5 }),
      gateway: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(send, { minLength: 1, maxLength: 12 }), (sends) => {
        expect(run(sends, false)).toEqual(run(sends, true));
      }),
      { numRuns: 150 },
    );
  });

  it('sends a checksum of 0 as ffff', () => {
    const net = new Net({ clock: new VirtualClock() });
    const dev = new MemoryDevice({ name: 'tap0', mac: Uint8Array.of(2, 0, 0, 0, 0, 1) });
    net.addDevice(dev);
    net.ip('addr add 10.0.0.1/24 dev tap0');
    net.ip('link set tap0 up');
    net.ip('neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev tap0 nud permanent');
    const socket = net.socket(AF_INET);
    socket.bind({ address: '0.0.0.0', port: 5000 });
    socket.setsockopt(SOL_SOCKET, 12, 0);
    for (let i = 0; i < 2; i++) socket.sendto(Uint8Array.of(0xd8, 0x46), 0, { address: '10.0.0.2', port: 9 });
    const [, second] = dev.drain();
    expect(Buffer.from(second!.bytes.subarray(34)).toString('hex')).toBe('13880009000affffd846');
    net.close();
  });
});
