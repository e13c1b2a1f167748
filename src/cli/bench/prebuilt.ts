/** What the addon reaches with frames that are built already: the most that any stack in this process can. */
import { loadAddon, type NativeTap } from '../../dev/addon.js';
import { createMemory } from '../../wire/wasm.js';
import type { Side } from './duel.js';
import { timeRound } from './programs.js';

const SLOT_BYTES = 2048;
const SLOTS = 256;
const STATUS_OFFSET = SLOTS * SLOT_BYTES;
const DESCRIPTORS_OFFSET = STATUS_OFFSET + 8;

/** @param frame is in every slot of an arena of its own */
export function openPrebuilt(tap: NativeTap, frame: Uint8Array, batch: number): Side {
  const { buffer } = createMemory(DESCRIPTORS_OFFSET + 8 * SLOTS);
  const bytes = new Uint8Array(buffer);
  const status = new Int32Array(buffer, STATUS_OFFSET, 2);
  const descriptors = new Uint32Array(buffer, DESCRIPTORS_OFFSET, 2 * SLOTS);
  for (let slot = 0; slot < SLOTS; slot++) bytes.set(frame, slot * SLOT_BYTES + 2);
  loadAddon().registerDescriptors(tap.id, STATUS_OFFSET, DESCRIPTORS_OFFSET, SLOTS);
  const run = (frames: number) => {
    for (let sent = 0; sent < frames; sent += batch) {
      for (let i = 0; i < batch; i++) {
        descriptors[2 * i] = ((sent + i) & (SLOTS - 1)) * SLOT_BYTES + 2;
        descriptors[2 * i + 1] = frame.length;
      }
      status[0] = batch;
      tap.flush(buffer);
      if (status[0] !== batch) throw new Error(`flush: errno ${-status[1]!}`);
    }
  };
  return {
    unit: batch,
    round: (frames) => timeRound(frames, () => run(frames)),
    end: async () => loadAddon().tapClose(tap.id),
  };
}
