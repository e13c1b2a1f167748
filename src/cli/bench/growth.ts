/** What an operation costs as the number of things grows: sockets, routes, neighbours, groups, captured bytes. */
import { measureCapture } from './growth_capture.js';
import { measureNeighbours, measureRoutes } from './growth_route.js';
import { measureGroups, measureSockets } from './growth_socket.js';

export const GROWTHS = ['sockets', 'routes', 'neighbours', 'groups', 'capture'] as const;
export type GrowthName = (typeof GROWTHS)[number];

export interface Point {
  /** How many there are. */
  readonly x: number;
  readonly y: number;
}

export interface Series {
  readonly title: string;
  readonly points: readonly Point[];
}

export interface GrowthResult {
  readonly title: string;
  /** What there is more and more of. */
  readonly xTitle: string;
  /** What the series count: nanoseconds or bytes. */
  readonly yTitle: string;
  readonly series: readonly Series[];
}

export interface GrowthTask {
  readonly growth: GrowthName;
  /** The largest number of things. */
  readonly largest: number;
  readonly folder: string;
}

const MEASURES: Readonly<Record<GrowthName, (task: GrowthTask) => Promise<GrowthResult[]>>> = {
  sockets: measureSockets,
  routes: measureRoutes,
  neighbours: measureNeighbours,
  groups: measureGroups,
  capture: measureCapture,
};

export function runGrowth(task: GrowthTask): Promise<GrowthResult[]> {
  return MEASURES[task.growth](task);
}

/** How far a full run goes, and a quick one. */
export const LARGEST: Readonly<Record<GrowthName, { readonly full: number; readonly quick: number }>> = {
  sockets: { full: 100_000, quick: 1000 },
  routes: { full: 1_000_000, quick: 1000 },
  neighbours: { full: 100_000, quick: 1000 },
  groups: { full: 10_000, quick: 100 },
  capture: { full: 1_000_000, quick: 10_000 },
};
