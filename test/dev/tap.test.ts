/** Our TAP device against the host that holds its other end. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FrameArena } from '../../src/core/arena.js';
import { DEFAULT_PROFILE } from '../../src/core/profile.js';
import { openTap, type TapDevice, TapError } from '../../src/dev/tap.js';
import { Net } from '../../src/net/net.js';
import { UDP_SEGMENT } from '../../src/uapi/in.js';
import { AF_INET, SOL_UDP } from '../../src/uapi/socket.js';
import { because, enterNamespace, ip, leaveNamespace, NO_TAP } from '../native/lab.js';

const TO = { address: '10.9.0.1', port: 9000 };

describe.skipIf(NO_TAP !== null)(because('TapDevice', NO_TAP), () => {
  beforeAll(() => {
    enterNamespace();
  });
  afterAll(leaveNamespace);

  async function lab(options: Parameters<typeof openTap>[0] = {}): Promise<{ net: Net; tap: TapDevice }> {
    const net = new Net({
      // More segments than any host takes in one super-frame.
      profile: { ...DEFAULT_PROFILE, udpMaxSegments: 1000 },
      arena: new FrameArena({ smallSlots: 1024, largeSlots: 4 }),
    });
    const tap = await openTap({ name: 'tapt%d', ...options });
    net.addDevice(tap);
    net.ip(`addr add 10.9.0.2/24 dev ${tap.name}`);
    net.ip(`link set ${tap.name} up`);
    net.ip(`neigh add 10.9.0.1 lladdr 02:00:00:00:09:01 dev ${tap.name} nud permanent`);
    ip(`link set ${tap.name} up`);
    return { net, tap };
  }

  it('counts and reports what the device takes', async () => {
    const { net, tap } = await lab();
    const seen: number[] = [];
    tap.onTransmit = (frame, errno) => seen.push(frame.length, errno);
    const socket = net.socket(AF_INET);
    socket.sendmmsg([1, 2, 3].map((n) => ({ iov: new Uint8Array(n), name: TO })));
    expect(seen).toEqual([43, 0, 44, 0, 45, 0]);
    expect(tap.stats).toMatchObject({ txPackets: 3, txErrors: 0, txBytes: 132 });
    expect(net.skbs.inUse).toBe(0);
    net.close();
  });

  it('counts what a downed link refuses, and the sender does not learn of it (DEV-2)', async () => {
    const { net, tap } = await lab();
    ip(`link set ${tap.name} down`);
    const refused: number[] = [];
    tap.onTransmit = (_frame, errno) => refused.push(errno);
    expect(net.socket(AF_INET).sendto(new Uint8Array(5), 0, TO)).toBe(5);
    expect(refused).toEqual([-5]);
    expect(tap.stats).toMatchObject({ txPackets: 0, txErrors: 1 });
    expect(net.skbs.inUse).toBe(0);
    net.close();
  });

  it('cuts super-frames itself once the host refuses one', async () => {
    const { net, tap } = await lab({ offload: true });
    tap.gsoMaxSegs = 1000;
    const sizes: [number, number][] = [];
    tap.onTransmit = (frame, errno) => sizes.push([frame.length, errno]);
    const socket = net.socket(AF_INET);
    socket.setsockopt(SOL_UDP, UDP_SEGMENT, 10);
    expect(socket.sendto(new Uint8Array(1200), 0, TO)).toBe(1200);
    expect(sizes).toEqual([[1242, 0]]);
    sizes.length = 0;
    expect(socket.sendto(new Uint8Array(2005), 0, TO)).toBe(2005);
    expect(sizes).toHaveLength(201);
    expect(sizes.every(([length, errno]) => errno === 0 && length <= 52)).toBe(true);
    expect(tap.stats.txErrors).toBe(0);
    expect(net.skbs.inUse).toBe(0);
    net.close();
  });

  it('names the errno and the device where it cannot be opened', async () => {
    const { net, tap } = await lab();
    await expect(openTap({ name: tap.name })).rejects.toBeInstanceOf(TapError);
    await expect(openTap({ name: tap.name })).rejects.toMatchObject({ code: 'EBUSY', errno: -16 });
    await expect(openTap({ name: 'a-name-too-long-for-it' })).rejects.toBeInstanceOf(RangeError);
    net.close();
  });
});
