/** `ip route` (`iproute.c`): the commands, listing, and flushing. */
import { inetDumpFib, inetRtmDelroute } from '../route/fib_frontend.js';
import { rtCacheFlushAll } from '../route/genid.js';
import { ENOENT, ESRCH, errnoMessage } from '../uapi/errno.js';
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../uapi/rtnetlink.js';
import { AF_INET6 } from '../uapi/socket.js';
import { getRoute } from './iproute_get.js';
import { modifyRoute } from './iproute_modify.js';
import { passesRouteFilter, printRoute, type RouteFilter, readRouteFilter } from './iproute_show.js';
import { routeUsage } from './usage.js';
import { type Command, dispatch, type IpContext, IpExit } from './utils.js';

/** The dump of a table that does not exist fails. */
function needTable(context: IpContext, filter: RouteFilter, what: 'Dump' | 'Flush'): void {
  if (filter.table === 0 || context.net.fib.getTable(filter.table) !== null) return;
  // iproute2 gives up in the middle of its array.
  if (context.options.json) context.out.raw('[');
  context.warn(`Error: ipv4: FIB table does not exist.\n${what} terminated`);
  context.errno = ENOENT;
  throw new IpExit(2);
}

function show(context: IpContext, words: readonly string[]): void {
  const filter = readRouteFilter(context, words);
  needTable(context, filter, 'Dump');
  context.out.begin();
  if (filter.cached || context.options.family === AF_INET6) return;
  for (const route of inetDumpFib(context.net, filter.table === 0 ? undefined : filter.table))
    if (passesRouteFilter(context, filter, route)) printRoute(context, filter, route, null);
}

function flush(context: IpContext, words: readonly string[]): void {
  if (words.length === 0) context.fail(1, '"ip route flush" requires arguments.');
  const filter = readRouteFilter(context, words);
  const { out, options, net } = context;
  if (filter.cached) {
    rtCacheFlushAll(net);
    if (options.stats > 0) out.raw('*** IPv4 routing cache is flushed.\n');
    return;
  }
  needTable(context, filter, 'Flush');
  const doomed = inetDumpFib(net, filter.table === 0 ? undefined : filter.table).filter((route) =>
    passesRouteFilter(context, filter, route),
  );
  for (const route of doomed) if (options.stats > 1) printRoute(context, filter, route, null);
  for (const route of doomed) {
    const { error } = inetRtmDelroute(net, route, 0);
    // A route may have gone with one that was deleted before it.
    if (error < 0 && error !== -ESRCH) {
      context.errno = -error;
      context.fail(1, `Failed to send flush request: ${errnoMessage(-error)}`);
    }
  }
  if (options.stats === 0) return;
  out.raw(
    doomed.length === 0
      ? 'Nothing to flush.\n'
      : `\n*** Round 1, deleting ${doomed.length} entries ***\n*** Flush is complete after 1 round ***\n`,
  );
}

const COMMANDS: readonly Command[] = [
  {
    matches: ['add'],
    run: (context, words) => modifyRoute(context, words, 'new', NLM_F_CREATE | NLM_F_EXCL),
  },
  {
    is: ['chg'],
    matches: ['change'],
    run: (context, words) => modifyRoute(context, words, 'new', NLM_F_REPLACE),
  },
  {
    matches: ['replace'],
    run: (context, words) => modifyRoute(context, words, 'new', NLM_F_CREATE | NLM_F_REPLACE),
  },
  { matches: ['prepend'], run: (context, words) => modifyRoute(context, words, 'new', NLM_F_CREATE) },
  {
    matches: ['append'],
    run: (context, words) => modifyRoute(context, words, 'new', NLM_F_CREATE | NLM_F_APPEND),
  },
  { matches: ['test'], run: (context, words) => modifyRoute(context, words, 'new', NLM_F_EXCL) },
  { matches: ['delete'], run: (context, words) => modifyRoute(context, words, 'del', 0) },
  { matches: ['list', 'show', 'lst'], run: show },
  { matches: ['get'], run: getRoute },
  { matches: ['flush'], run: flush },
  { matches: ['help'], run: routeUsage },
];

/** `ip route ...` */
export function doIproute(context: IpContext, words: readonly string[]): void {
  dispatch(context, 'route', COMMANDS, words);
}
