/** Memory as a system call sees it: pointers that may be bad, and the copies in and out (`copy_from_user`, `copy_to_user`). */

/** A pointer that cannot be used: not mapped (EFAULT when accessed) or not a user address at all (EFAULT at once). */
export class BadPointer {
  constructor(
    /** Bytes that the caller claims are there. */
    readonly length: number,
    readonly kind: 'unmapped' | 'kernel' = 'unmapped',
  ) {}
}

/** Memory that a call is given: bytes, NULL, or a bad pointer. */
export type Pointer = Uint8Array | BadPointer | null;

/** A `socklen_t *` argument. */
export interface LenBox {
  len: number;
}

/**
 * `bytes` readable bytes at a pointer, or null for EFAULT. Reading past the memory that was given faults, as past a mapping; a length of
 * zero reads nothing and succeeds.
 */
export function readUser(from: Pointer, bytes: number): Uint8Array | null {
  if (bytes === 0) return new Uint8Array(0);
  if (from === null || from instanceof BadPointer || from.length < bytes) return null;
  return from.length === bytes ? from : from.subarray(0, bytes);
}

/** Copies out; false for EFAULT. */
export function writeUser(to: Pointer, bytes: Uint8Array, count = bytes.length): boolean {
  if (count === 0) return true;
  if (to === null || to instanceof BadPointer || to.length < count) return false;
  to.set(count === bytes.length ? bytes : bytes.subarray(0, count));
  return true;
}
