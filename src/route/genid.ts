/** Generations: how changes of the routing reach those who hold a resolved route (ROUTE-50). */
import type { RouteNet } from './netns.js';

/** Every resolved route that somebody holds is stale from now on (`rt_cache_flush`). */
export function rtCacheFlush(net: RouteNet): void {
  net.rtGenid++;
}

/** `ip route flush cache`: learned path MTUs and redirects are void too (ROUTE-41). */
export function rtCacheFlushAll(net: RouteNet): void {
  net.rtGenid++;
  net.fnheGenid++;
}
