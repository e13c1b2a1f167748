/** Hostile input: nothing is thrown, nothing stays behind, and who had no part in it is not disturbed. `npm run hostile` does it at length. */
import { describe, expect, it } from 'vitest';
import { AF_INET, SO_ERROR, SOL_SOCKET } from '../../src/uapi/socket.js';
import { hostileCalls } from './hostile_calls.js';
import { hostileFrames } from './hostile_frames.js';
import { Dice, hostileLab, settle } from './lab.js';

const SEED = (Date.now() & 0xffffff) >>> 0;
/** What the neighbour table, reassembly, peers and error queues may hold at most after a flood, bytes of heap. */
const HEAP_BOUND_BYTES = 64 * 1024 * 1024;

describe(`hostile input, seed ${SEED}`, () => {
  it('system calls leave nothing behind', () => {
    const lab = hostileLab(SEED);
    const succeeded = hostileCalls(lab, new Dice(SEED), 20_000);
    expect(succeeded).toBeGreaterThan(2000);
    settle(lab);
    expect(lab.net.skbs.inUse).toBe(0);
    expect(lab.arena.free).toBe(lab.freeSlots);
    lab.net.close();
  }, 60_000);

  it('frames leave nothing behind, and disturb no socket that had no part in it', () => {
    const lab = hostileLab(SEED);
    const { net, dev } = lab;
    const socket = net.socket(AF_INET);
    socket.bind({ address: '10.9.0.2', port: 7777 });
    socket.connect({ address: '10.9.0.1', port: 7 });
    const heap = process.memoryUsage().heapUsed;
    for (let round = 0; round < 10; round++) {
      hostileFrames(lab, new Dice(SEED + round), 6000, true);
      expect(socket.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(0);
      expect(socket.send(Buffer.from('still here'))).toBe(10);
      const own = dev.drain().filter(({ bytes }) => Buffer.from(bytes).includes('still here'));
      expect(own).toHaveLength(1);
    }
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(HEAP_BOUND_BYTES);
    settle(lab);
    expect(net.skbs.inUse).toBe(0);
    expect(lab.arena.free).toBe(lab.freeSlots);
    net.close();
  }, 60_000);
});
