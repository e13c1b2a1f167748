/** The metrics of a route: their words, and how they are printed (`print_rta_metrics`). */
import { EINVAL } from '../uapi/errno.js';
import {
  RTAX_ADVMSS,
  RTAX_CWND,
  RTAX_FEATURES,
  RTAX_HOPLIMIT,
  RTAX_INITCWND,
  RTAX_INITRWND,
  RTAX_LOCK,
  RTAX_MAX,
  RTAX_MTU,
  RTAX_QUICKACK,
  RTAX_REORDERING,
  RTAX_RTO_MIN,
  RTAX_RTT,
  RTAX_RTTVAR,
  RTAX_SSTHRESH,
  RTAX_WINDOW,
} from '../uapi/rtnetlink.js';
import { type Args, getUnsigned, type IpContext, type Keyword } from './utils.js';

const RTAX_FASTOPEN_NO_COOKIE = 17;
const RTAX_FEATURE_ECN = 1;
/** Round-trip times are kept in eighths, their variance in quarters of a millisecond. */
const RTT_UNITS = 8;
const RTTVAR_UNITS = 4;

export interface Metrics {
  readonly metrics: Map<number, number>;
  /** Bit set `1 << RTAX_*` of metrics that must not be adjusted. */
  locks: number;
}

const NAMES: ReadonlyMap<number, string> = new Map([
  [RTAX_MTU, 'mtu'],
  [RTAX_WINDOW, 'window'],
  [RTAX_RTT, 'rtt'],
  [RTAX_RTTVAR, 'rttvar'],
  [RTAX_SSTHRESH, 'ssthresh'],
  [RTAX_CWND, 'cwnd'],
  [RTAX_ADVMSS, 'advmss'],
  [RTAX_REORDERING, 'reordering'],
  [RTAX_HOPLIMIT, 'hoplimit'],
  [RTAX_INITCWND, 'initcwnd'],
  [RTAX_FEATURES, 'features'],
  [RTAX_RTO_MIN, 'rto_min'],
  [RTAX_INITRWND, 'initrwnd'],
  [RTAX_QUICKACK, 'quickack'],
  [RTAX_FASTOPEN_NO_COOKIE, 'fastopen_no_cookie'],
]);

/** Reads an optional `lock`; the arguments then stand at the value. */
function readLock(args: Args, state: Metrics, metric: number): string {
  if (args.next() !== 'lock') return args.word;
  state.locks |= 1 << metric;
  return args.next();
}

/** A keyword whose value is a number, which may be locked. */
function number(
  metric: number,
  spelling: 'is' | 'matches',
  name: string,
  called = name,
  max = 0xffffffff,
): Keyword<Metrics> {
  return {
    [spelling]: [name],
    read(args, state, context) {
      const word = readLock(args, state, metric);
      state.metrics.set(
        metric,
        getUnsigned(word, max) ?? context.invarg(`"${called}" value is invalid\n`, word),
      );
    },
  };
}

/** Milliseconds, rounded up; `raw` where no unit was written: then the number is in the metric's own units. */
function parseTime(text: string): { value: number; raw: boolean } | null {
  const parts = /^(\d+\.?\d*(?:e[+-]?\d+)?|0x[0-9a-f]+)([a-z]*)$/i.exec(text);
  if (parts === null) return null;
  const [, digits, unit] = parts as unknown as [string, string, string];
  const scale = ['s', 'sec', 'secs'].includes(unit.toLowerCase())
    ? 1000
    : ['', 'ms', 'msec', 'msecs'].includes(unit.toLowerCase())
      ? 1
      : null;
  if (scale === null) return null;
  const value = Math.ceil(Number(digits) * scale);
  return value > 0xffffffff ? null : { value, raw: unit === '' };
}

/** A keyword whose value is a time. */
function time(
  metric: number,
  name: string,
  spelling: 'is' | 'matches',
  units: number,
  alwaysLocked = false,
): Keyword<Metrics> {
  return {
    [spelling]: [name],
    read(args, state, context) {
      if (alwaysLocked) state.locks |= 1 << metric;
      const word = alwaysLocked ? args.next() : readLock(args, state, metric);
      const parsed = parseTime(word) ?? context.invarg(`"${name}" value is invalid\n`, word);
      state.metrics.set(metric, parsed.raw ? parsed.value : (parsed.value * units) >>> 0);
    },
  };
}

function readFeatures(args: Args, state: Metrics, context: IpContext): void {
  const word = args.next();
  if (word !== 'ecn') context.invarg('"features" value not valid\n', word);
  state.metrics.set(RTAX_FEATURES, RTAX_FEATURE_ECN);
}

function readBoolean(metric: number, name: string): (args: Args, state: Metrics, context: IpContext) => void {
  return (args, state, context) => {
    const word = args.next();
    const value = getUnsigned(word) ?? context.invarg(`"${name}" value is invalid\n`, word);
    if (value > 1) context.invarg(`"${name}" value should be 0 or 1\n`, word);
    state.metrics.set(metric, value);
  };
}

/** Congestion control is TCP's: a known algorithm is taken and has nothing to do here. */
function readCongestionControl(args: Args, _state: Metrics, context: IpContext): void {
  const word = args.next() === 'lock' ? args.next() : args.word;
  if (!['reno', 'cubic'].includes(word)) context.refuse(EINVAL, 'Unknown tcp congestion algorithm');
}

export const METRIC_KEYWORDS: readonly Keyword<Metrics>[] = [
  number(RTAX_MTU, 'is', 'mtu'),
  number(RTAX_HOPLIMIT, 'is', 'hoplimit', 'hoplimit', 255),
  number(RTAX_ADVMSS, 'is', 'advmss', 'mss'),
  number(RTAX_REORDERING, 'matches', 'reordering'),
  time(RTAX_RTT, 'rtt', 'is', RTT_UNITS),
  time(RTAX_RTO_MIN, 'rto_min', 'is', 1, true),
  number(RTAX_WINDOW, 'matches', 'window'),
  number(RTAX_CWND, 'matches', 'cwnd'),
  number(RTAX_INITCWND, 'matches', 'initcwnd'),
  number(RTAX_INITRWND, 'matches', 'initrwnd'),
  { matches: ['features'], read: readFeatures },
  { matches: ['quickack'], read: readBoolean(RTAX_QUICKACK, 'quickack') },
  { matches: ['congctl'], read: readCongestionControl },
  time(RTAX_RTTVAR, 'rttvar', 'matches', RTTVAR_UNITS),
  number(RTAX_SSTHRESH, 'matches', 'ssthresh'),
  { is: ['fastopen_no_cookie'], read: readBoolean(RTAX_FASTOPEN_NO_COOKIE, 'fastopen_no_cookie') },
];

function printFeatures(context: IpContext, features: number): void {
  const { out } = context;
  if ((features & RTAX_FEATURE_ECN) !== 0) out.any('ecn', 'ecn ', null);
  if ((features & ~RTAX_FEATURE_ECN) !== 0)
    out.any('features', `0x${features.toString(16)} `, `0x${features.toString(16)}`);
}

/** Prints the metrics of a route, in the order of their numbers. */
export function printMetrics(context: IpContext, metrics: ReadonlyMap<number, number> | undefined): void {
  if (metrics === undefined || metrics.size === 0) return;
  const { out } = context;
  const locks = metrics.get(RTAX_LOCK) ?? 0;
  out.openArray('metrics');
  out.openObject();
  for (let metric = RTAX_LOCK + 1; metric <= RTAX_MAX; metric++) {
    const locked = (locks & (1 << metric)) !== 0;
    if (!metrics.has(metric) && !locked) continue;
    let value = metrics.get(metric) ?? 0;
    if (metric === RTAX_HOPLIMIT && value === 0xffffffff) continue;
    const name = NAMES.get(metric) ?? `metric ${metric}`;
    out.fp(`${name} ${locked ? 'lock ' : ''}`);
    if (metric === RTAX_RTT) value = Math.floor(value / RTT_UNITS);
    if (metric === RTAX_RTTVAR) value = Math.floor(value / RTTVAR_UNITS);
    if (metric === RTAX_FEATURES) printFeatures(context, value);
    else if (metric === RTAX_RTT || metric === RTAX_RTTVAR || metric === RTAX_RTO_MIN)
      out.any(name, value >= 1000 ? `${Number((value / 1000).toPrecision(6))}s ` : `${value}ms `, value);
    else out.any(name, `${value} `, value);
  }
  out.closeObject();
  out.closeArray();
}
