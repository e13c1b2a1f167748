/** The checksum over an arena that is a WebAssembly memory, in SIMD instructions, in place. */
import { csumPartial } from './checksum.js';
import { CHECKSUM_WASM_BASE64 } from './checksum_wasm_bytes.js';
import { type WasmMemory, wasmEngine } from './wasm.js';

/** The 16-bit partial sum of `len` bytes at byte `off` of the arena, in the convention of `csumPartial`. */
export type ArenaChecksum = (off: number, len: number) => number;

/**
 * Makes the checksum function of a memory (see `createMemory`). Where WebAssembly SIMD is missing it is the plain
 * TypeScript sum: the same values, slower. The memory must not grow afterwards.
 */
export function createArenaChecksum(memory: WasmMemory): ArenaChecksum {
  return createWasmChecksum(memory) ?? createTsChecksum(memory);
}

/** The WebAssembly sum, or null where this engine refuses the module. */
export function createWasmChecksum(memory: WasmMemory): ArenaChecksum | null {
  if (wasmEngine === null) return null;
  const bytes = Buffer.from(CHECKSUM_WASM_BASE64, 'base64');
  if (!wasmEngine.validate(bytes)) return null;
  const instance = new wasmEngine.Instance(new wasmEngine.Module(bytes), { env: { memory } });
  return instance.exports.sum as ArenaChecksum;
}

/** The TypeScript sum over the same memory. */
export function createTsChecksum(memory: WasmMemory): ArenaChecksum {
  const bytes = new Uint8Array(memory.buffer);
  return (off, len) => csumPartial(bytes, off, len, 0);
}
