/**
 * What the stack says of its own decisions. A room tests `net.tracer !== null` before it builds an event, so that
 * nothing is spent where nobody listens.
 */

/** One decision: the kernel function, what it looked at, what it decided. */
export interface TraceEvent {
  /** The kernel's name of the function that decides, e.g. `udp_sendmsg`. */
  readonly fn: string;
  /** A short machine-readable name of the step, e.g. `route`. */
  readonly step: string;
  /** What was decided, from what, for people. */
  readonly text: string;
  /** The catalogue's rule, e.g. `SEND-26`. */
  readonly rule?: string;
  /** The behaviour surprises and is reproduced on purpose. */
  readonly quirk?: boolean;
  /** Nesting below the function that called it: 0 for the system call. */
  readonly depth?: number;
  /** The inputs and the outcome, for `--json`. */
  readonly data?: Readonly<Record<string, number | string | boolean | null>>;
}

export interface Tracer {
  event(event: TraceEvent): void;
}
