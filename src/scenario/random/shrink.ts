/** Makes a failing scenario small: drops calls and set-up, simplifies values, as long as it still fails. */
import type { Call, Data, Message, Scenario } from '../types.js';

/** Says whether a scenario still fails in the way that is looked for. */
export type Fails = (scenario: Scenario) => Promise<boolean>;

/** Scenarios that are tried at most. */
const MAX_TRIES = 400;

/** A smaller scenario that fails too; the given one, where none was found. */
export async function shrink(scenario: Scenario, fails: Fails): Promise<Scenario> {
  let best = scenario;
  let tries = 0;
  const attempt = async (candidate: Scenario): Promise<boolean> => {
    if (tries++ >= MAX_TRIES || !(await fails(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let progress = true; progress && tries < MAX_TRIES; ) {
    progress = false;
    // Halves first, then single calls, from the end: what came after the failure goes at once.
    for (
      let chunk = Math.ceil(best.calls.length / 2);
      chunk >= 1;
      chunk = chunk === 1 ? 0 : Math.ceil(chunk / 2)
    ) {
      for (let end = best.calls.length; end > 0; end -= chunk) {
        const from = Math.max(0, end - chunk);
        const calls = [...best.calls.slice(0, from), ...best.calls.slice(end)];
        if (calls.length > 0 && (await attempt({ ...best, calls }))) progress = true;
      }
    }
    for (const candidate of simpler(best)) {
      if (await attempt(candidate)) {
        progress = true;
        break;
      }
    }
  }
  return best;
}

/** Scenarios with one part less or one value simpler. */
function* simpler(scenario: Scenario): Generator<Scenario> {
  for (const key of ['sysctl', 'sysctl_late', 'user'] as const) {
    if (scenario[key] !== undefined) {
      const { [key]: _, ...rest } = scenario;
      yield rest;
    }
  }
  const extra = scenario.ip_extra ?? [];
  if (extra.length > 0) {
    const { ip_extra: _, ...rest } = scenario;
    yield rest;
  }
  for (let i = extra.length - 1; i >= 0; i--)
    yield { ...scenario, ip_extra: extra.filter((_, at) => at !== i) };
  if (scenario.taps !== undefined) {
    const { taps: _, ...rest } = scenario;
    yield rest;
    if (scenario.taps.length > 1) yield { ...scenario, taps: scenario.taps.slice(0, 1) };
  }
  for (const [i, call] of scenario.calls.entries()) {
    for (const smaller of simplerCalls(call)) yield { ...scenario, calls: scenario.calls.with(i, smaller) };
  }
}

function without<T extends object>(value: T, key: keyof T): T {
  const { [key]: _, ...rest } = value;
  return rest as unknown as T;
}

function* simplerCalls(call: Call): Generator<Call> {
  switch (call.call) {
    case 'sendto':
    case 'send':
      if (call.flags !== undefined) yield without(call, 'flags');
      if (Array.isArray(call.flags) && call.flags.length > 1) {
        for (const flag of call.flags) yield { ...call, flags: call.flags.filter((f) => f !== flag) };
      }
      for (const data of simplerData(call.data)) yield { ...call, data };
      break;
    case 'sendmsg':
      if (call.flags !== undefined) yield without(call, 'flags');
      for (const message of simplerMessages(call)) yield { ...call, ...message } as Call;
      break;
    case 'sendmmsg':
      for (let i = call.msgs.length - 1; i >= 0; i--)
        yield { ...call, msgs: call.msgs.filter((_, at) => at !== i) };
      for (const [i, message] of call.msgs.entries()) {
        for (const smaller of simplerMessages(message)) {
          yield { ...call, msgs: call.msgs.with(i, { ...message, ...smaller }) };
        }
      }
      break;
    case 'recvmsg':
      if (call.len !== undefined) yield without(call, 'len');
      if (call.flags !== undefined) yield without(call, 'flags');
      break;
    default:
  }
}

/** Changes of a message, each of which makes it simpler. */
function* simplerMessages(message: Message): Generator<Partial<Message>> {
  const { cmsgs = [], iov = [] } = message;
  if (cmsgs.length > 0) yield { cmsgs: [] };
  if (cmsgs.length > 1) for (const cmsg of cmsgs) yield { cmsgs: cmsgs.filter((c) => c !== cmsg) };
  if (iov.length > 1) yield { iov: iov.slice(0, 1) };
  for (const [i, data] of iov.entries()) {
    for (const smaller of simplerData(data)) yield { iov: iov.with(i, smaller) };
  }
}

function* simplerData(data: Data | undefined): Generator<Data> {
  if (typeof data !== 'object' || Array.isArray(data) || data === null) return;
  if ('seq' in data && data.seq > 1) {
    for (const seq of [1, data.seq >> 1, data.seq - 1]) yield { seq };
  }
  if ('fill' in data && data.len > 0) yield { seq: data.len };
}
