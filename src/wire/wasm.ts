/**
 * The few pieces of WebAssembly that the arena and its checksum use, typed here because the compiler's own
 * declarations of them come only with the browser library.
 */

/** A linear memory; its buffer is one ordinary ArrayBuffer as long as it does not grow. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** What this engine offers. */
export interface WasmEngine {
  readonly Memory: new (limits: { initial: number; maximum: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { env: { memory: WasmMemory } },
  ) => { readonly exports: Readonly<Record<string, unknown>> };
  validate(bytes: Uint8Array): boolean;
}

/** The engine's WebAssembly, or null where it is switched off (`node --jitless`). */
export const wasmEngine: WasmEngine | null =
  (globalThis as unknown as { WebAssembly?: WasmEngine }).WebAssembly ?? null;

/** Bytes of one page of a linear memory. */
export const WASM_PAGE_BYTES = 65536;

/**
 * A memory of at least `sizeBytes` that never grows; without WebAssembly a plain buffer of the same form, over which
 * `createArenaChecksum` sums in TypeScript.
 */
export function createMemory(sizeBytes: number): WasmMemory {
  const pages = Math.ceil(sizeBytes / WASM_PAGE_BYTES);
  if (wasmEngine === null) return { buffer: new ArrayBuffer(pages * WASM_PAGE_BYTES) };
  return new wasmEngine.Memory({ initial: pages, maximum: pages });
}
