/** `node:dgram`, the way Node programs send without us. */
import { createSocket } from 'node:dgram';
import type { DuelTask, Side } from './duel.js';
import { PORT } from './lab.js';
import { timeRound } from './programs.js';
import type { KernelLink } from './veth.js';

/** Sends that are under way at once: enough that the event loop's turns weigh nothing. */
const UNDER_WAY = 256;

export async function openDgram({ payload }: DuelTask, link: KernelLink, connected: boolean): Promise<Side> {
  const socket = createSocket('udp4');
  if (connected) await new Promise<void>((resolve) => socket.connect(PORT, link.address, resolve));
  const data = new Uint8Array(payload);
  const send = connected
    ? (done?: (error: Error | null) => void) => socket.send(data, done)
    : (done?: (error: Error | null) => void) => socket.send(data, PORT, link.address, done);
  /** The last one's answer comes after those of all before it. */
  const burst = (count: number) =>
    new Promise<void>((resolve, reject) => {
      for (let i = 1; i < count; i++) send();
      send((error) => (error === null ? resolve() : reject(error)));
    });
  return {
    unit: UNDER_WAY,
    round: (frames) =>
      timeRound(frames, async () => {
        for (let sent = 0; sent < frames; sent += UNDER_WAY) await burst(UNDER_WAY);
      }),
    end: async () => {
      socket.close();
      link.end();
    },
  };
}
