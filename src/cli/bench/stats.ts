/** Numbers about numbers. */

/** The value below which the share `q` (0 to 1) of the values lies, between neighbours where it falls between. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const a = sorted[low] ?? Number.NaN;
  return a + ((sorted[low + 1] ?? a) - a) * (at - low);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** A median with the quarter of the rounds below it and above it. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75) };
}
