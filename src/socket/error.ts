import { errnoMessage, errnoName } from '../uapi/errno.js';

/** A failed call, with the fields of Node's system errors: `code` (errno name), `errno` (negative), `syscall`. */
export class SocketError extends Error {
  override readonly name = 'SocketError';
  readonly code: string;
  constructor(
    readonly syscall: string,
    /** Negative. */
    readonly errno: number,
    /** What the stack knows of the reason, beyond the errno. */
    reason: string | null = null,
  ) {
    super(`${syscall}: ${errnoName(-errno)}: ${reason ?? errnoMessage(-errno)}`);
    this.code = errnoName(-errno);
  }
}
