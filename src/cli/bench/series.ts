/** Gathers the points of several series, in the order in which the series appear. */
import type { GrowthResult, Point } from './growth.js';

export class SeriesTable {
  readonly #points = new Map<string, Point[]>();

  add(series: string, x: number, y: number): void {
    const points = this.#points.get(series);
    if (points === undefined) this.#points.set(series, [{ x, y }]);
    else points.push({ x, y });
  }

  result(title: string, xTitle: string, yTitle = 'ns'): GrowthResult {
    const series = [...this.#points].map(([name, points]) => ({ title: name, points }));
    return { title, xTitle, yTitle, series };
  }
}

/** 1, 10, 100 … up to the largest. */
export function decades(largest: number): number[] {
  const sizes: number[] = [];
  for (let size = 1; size < largest; size *= 10) sizes.push(size);
  return [...sizes, largest];
}
