/** The file, pipe or terminal that a capture goes to. */
import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';

/** Takes blocks of whole records. */
export interface CaptureSink {
  /** Takes all of `bytes`, or throws; the bytes are only lent. */
  write(bytes: Uint8Array): void;
  /** Removes the last `lengthBytes` of what was written, if that is possible. */
  truncateTail?(lengthBytes: number): void;
  close?(): void;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space or write elsewhere',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file has reached its size limit',
  EPIPE: 'the program that reads the pipe has gone',
  EAGAIN: 'the program that reads the pipe does not read',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'no such directory',
  ENOTDIR: 'no such directory',
  EISDIR: 'it is a directory',
  EROFS: 'the file system is read-only',
  EMFILE: 'too many open files',
  EBADF: 'the file is not open for writing',
};

/** A capture could not be opened or written: a system error with its cause in words. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  /**
   * @param path what was written to
   * @param cause the system error
   * @param bytesWritten how much of the block was taken before
   */
  constructor(
    readonly path: string,
    cause: NodeJS.ErrnoException,
    readonly bytesWritten: number,
  ) {
    const code = cause.code ?? 'EIO';
    super(`capture to ${path}: ${code}: ${REASONS[code] ?? cause.message}`, { cause });
    this.code = code;
    this.errno = cause.errno ?? 0;
    this.syscall = cause.syscall ?? 'write';
  }
}

/** How long a full pipe may stand still before the capture gives up, in milliseconds. */
const STALLED_MS = 30_000;

export class FileSink implements CaptureSink {
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));

  private constructor(
    readonly fd: number,
    readonly name: string,
    readonly owned: boolean,
  ) {}

  /** Opens (and empties) a path, or takes a descriptor, which stays the caller's to close. */
  static open(target: string | number, name: string): FileSink {
    if (typeof target === 'number') return new FileSink(target, name, false);
    if (target === '-') return new FileSink(1, name, false);
    try {
      return new FileSink(openSync(target, 'w', 0o644), name, true);
    } catch (cause) {
      throw new CaptureError(name, cause as NodeJS.ErrnoException, 0);
    }
  }

  write(bytes: Uint8Array): void {
    let done = 0;
    let stalledMs = 0;
    while (done < bytes.length) {
      try {
        done += writeSync(this.fd, bytes, done, bytes.length - done);
        stalledMs = 0;
      } catch (cause) {
        const error = cause as NodeJS.ErrnoException;
        if (error.code === 'EINTR') continue;
        // A pipe that someone has made non-blocking, and that is full: wait for its reader, but not for ever.
        if (error.code !== 'EAGAIN' || stalledMs >= STALLED_MS)
          throw new CaptureError(this.name, error, done);
        Atomics.wait(this.#pause, 0, 0, 1);
        stalledMs++;
      }
    }
  }

  truncateTail(lengthBytes: number): void {
    if (lengthBytes === 0) return;
    const stat = fstatSync(this.fd);
    if (stat.isFile()) ftruncateSync(this.fd, stat.size - lengthBytes);
  }

  close(): void {
    if (this.owned) closeSync(this.fd);
  }
}
