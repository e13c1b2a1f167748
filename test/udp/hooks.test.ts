/** The places where policy and faults are put in: security and cgroup hooks on the send path, netfilter's on the way out. */
import { beforeEach, describe, expect, it } from 'vitest';
import { FrameArena } from '../../src/core/arena.js';
import { VirtualClock } from '../../src/core/clock.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { Net } from '../../src/net/net.js';
import type { UdpSocket } from '../../src/socket/udp_socket.js';
import { EINVAL, EPERM } from '../../src/uapi/errno.js';
import { AF_INET } from '../../src/uapi/socket.js';
import { decodeFrame } from '../../src/wire/decode.js';

const TO = { address: '10.9.0.1', port: 9000 };
let net: Net;
let dev: MemoryDevice;
let socket: UdpSocket;

beforeEach(() => {
  net = new Net({ clock: new VirtualClock(), arena: new FrameArena({ smallSlots: 32, largeSlots: 1 }) });
  dev = new MemoryDevice({ name: 'tap0', mac: Uint8Array.of(2, 0, 0, 0, 9, 2) });
  net.addDevice(dev);
  net.ip('addr add 10.9.0.2/24 dev tap0');
  net.ip('link set tap0 up');
  for (const n of [1, 3]) net.ip(`neigh add 10.9.0.${n} lladdr 02:00:00:00:09:0${n} dev tap0 nud permanent`);
  net.ip('route add default via 10.9.0.1');
  socket = net.socket(AF_INET);
  socket.bind({ address: '0.0.0.0', port: 4000 });
});

const sent = () => dev.drain().map(({ bytes }) => decodeFrame(bytes));
const attempt = (call: () => unknown) => {
  try {
    return call();
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('hooks', () => {
  it('socketSendmsg refuses before anything else, autobind included', () => {
    const unbound = net.socket(AF_INET);
    net.hooks = { socketSendmsg: (_sk, length) => (length > 3 ? -EPERM : 0) };
    expect(attempt(() => unbound.sendto(Buffer.from('four'), 0, TO))).toBe('EPERM');
    expect(unbound.getsockname().port).toBe(0);
    expect(attempt(() => unbound.sendto(Buffer.from('one'), 0, TO))).toBe(3);
    expect(sent()).toHaveLength(1);
  });

  it('sendmsg4 rewrites destination and port, refuses, and may not choose port 0 (SEND-15)', () => {
    net.hooks = {
      sendmsg4: (_sk, address) => {
        if (address.dport === 13) return -EPERM;
        address.daddr = 0x0a090003;
        address.dport = address.dport === 14 ? 0 : 53;
        return 0;
      },
    };
    expect(attempt(() => socket.sendto(Buffer.from('x'), 0, TO))).toBe(1);
    expect(sent()[0]).toContain('10.9.0.2:4000 > 10.9.0.3:53');
    expect(attempt(() => socket.sendto(Buffer.from('x'), 0, { ...TO, port: 13 }))).toBe('EPERM');
    expect(attempt(() => socket.sendto(Buffer.from('x'), 0, { ...TO, port: 14 }))).toBe('EINVAL');
    expect(sent()).toEqual([]);
  });

  it('sendmsg4 is not asked for a connected send', () => {
    let asked = 0;
    net.hooks = {
      sendmsg4: () => {
        asked++;
        return 0;
      },
    };
    socket.connect(TO);
    socket.send(Buffer.from('x'));
    expect(asked).toBe(0);
    socket.sendto(Buffer.from('x'), 0, TO);
    expect(asked).toBe(1);
  });

  it('skClassifyFlow sees and may change the flow before it is routed', () => {
    net.ip('route add 10.50.0.0/16 via 10.9.0.3 table 7');
    net.ip('rule add fwmark 7 lookup 7');
    net.hooks = {
      skClassifyFlow: (_sk, flow) => {
        flow.mark = 7;
      },
    };
    socket.sendto(Buffer.from('x'), 0, { address: '10.50.1.1', port: 9 });
    expect(Buffer.from(dev.drain()[0]!.bytes.subarray(0, 6)).toString('hex')).toBe('020000000903');
  });

  it('localOutHook drops with its errno, and the drop is counted (OUT-1, SEND-42)', () => {
    net.localOutHook = () => -EPERM;
    expect(attempt(() => socket.sendto(Buffer.from('x'), 0, TO))).toBe('EPERM');
    expect(net.mib.Ip.OutDiscards).toBe(1);
    expect(net.mib.Udp.OutDatagrams).toBe(0);
    expect(net.skbs.inUse).toBe(0);
    net.localOutHook = () => -EINVAL;
    expect(attempt(() => socket.sendto(Buffer.alloc(4000), 0, TO))).toBe('EINVAL');
    expect(net.skbs.inUse).toBe(0);
  });
});
