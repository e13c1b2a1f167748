/** How the command ends: 0 done, 1 something failed, 2 the command line makes no sense. */
export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** The command line is wrong: nothing has been done. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Something that was asked for cannot be done; `mend` says what would help. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  constructor(
    message: string,
    readonly mend: string | null = null,
  ) {
    super(message);
  }
}

/** An error of the operating system or of our stack: Node's system errors have this shape. */
export interface SystemError extends Error {
  readonly code: string;
  readonly errno?: number;
  readonly syscall?: string;
}

export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && typeof (error as Partial<SystemError>).code === 'string';
}

/** One line for people; without a stack, which would tell them nothing. */
export function describeError(error: unknown): string {
  if (error instanceof CommandError && error.mend !== null) return `${error.message}\n  ${error.mend}`;
  return error instanceof Error ? error.message : String(error);
}

/** Says on stderr what went wrong. @returns the exit code */
export function reportError(error: unknown): number {
  process.stderr.write(`udptap: ${describeError(error)}\n`);
  return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
}
