/** A scenario on a machine, whichever it is: set-up, the calls in order, and the result in the file format's form. */
import { constants } from 'node:os';
import { errnoName } from '../uapi/errno.js';
import { MSG_DONTWAIT } from '../uapi/socket.js';
import { resolveBig, resolveC } from './constants.js';
import type { Machine, Mmsghdr } from './machine.js';
import {
  type Call,
  type CallOf,
  type CallResult,
  DEFAULT_IP,
  DEFAULT_MAC,
  DEFAULT_TAP_NAME,
  type Frame,
  type ReceivedCmsg,
  type Scenario,
  ScenarioError,
  type ScenarioResult,
} from './types.js';
import { addr, data, hexBytes, lengthOr, msghdr, padded, showAddr, value } from './values.js';

/** What a call read back, beyond its result. */
type Extra = Partial<CallResult>;
interface Outcome {
  /** The result, or a negative errno. */
  readonly result: number;
  readonly extra?: Extra;
}

const RECEIVE_NAME_BYTES = 128;
const RECEIVE_CONTROL_BYTES = 1024;
const GETSOCKOPT_BYTES = 64;
/** No buffer that a scenario asks for is longer; the length that the kernel is told stays as written. */
const MAX_BUFFER_BYTES = 1 << 20;

const otherErrnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** The name of an errno, or null for one that user space has no name for. */
function errName(errno: number): string | null {
  const name = errnoName(errno);
  if (errno > 133) return null;
  return name === `E${errno}` ? (otherErrnoNames.get(errno) ?? null) : name;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** Runs a scenario; what is wrong with it, or with its machine, becomes its `error`. */
export function execute(machine: Machine, scenario: Scenario): ScenarioResult {
  try {
    return new Execution(machine, scenario).run();
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    return { name: scenario.name ?? null, error: error.message };
  }
}

class Execution {
  readonly #fds = new Map<string | number, number>();
  readonly #ifindex: (name: string) => number;

  constructor(
    readonly machine: Machine,
    readonly scenario: Scenario,
  ) {
    this.#ifindex = (name) => machine.ifindex(name);
  }

  run(): ScenarioResult {
    const { machine, scenario } = this;
    machine.sysctl(scenario.sysctl ?? {});
    const taps = scenario.taps ?? [{}];
    const setup: string[] = [];
    for (const tap of taps) {
      machine.addTap(tap);
      const name = tap.name ?? DEFAULT_TAP_NAME;
      setup.push(`link set ${name} address ${tap.mac ?? DEFAULT_MAC}`);
      if (tap.mtu !== undefined) setup.push(`link set ${name} mtu ${tap.mtu}`);
    }
    machine.ipBatch([...setup, ...(scenario.ip ?? DEFAULT_IP), ...(scenario.ip_extra ?? [])]);
    machine.sysctl(scenario.sysctl_late ?? {});
    const setupFrames = machine.drain();
    if (scenario.user === true) machine.dropPrivileges();
    const calls = scenario.calls.map((call, i) => this.#call(i, call));
    return { name: scenario.name ?? null, setup_frames: setupFrames, calls, late_frames: machine.drain() };
  }

  #call(i: number, call: Call): CallResult {
    const { result, extra = {} } = this.#dispatch(call);
    const errno = result < 0 ? -result : 0;
    const frames: readonly Frame[] = this.machine.drain();
    const err = errno === 0 ? null : errName(errno);
    return { i, call: call.call, ret: errno === 0 ? result : -1, errno, err, ...extra, frames };
  }

  #fd(call: Call): number {
    const label = call.fd ?? 's';
    if (typeof label === 'number') return label;
    const fd = this.#fds.get(label);
    if (fd === undefined) throw new ScenarioError(`no fd labelled '${label}'`);
    return fd;
  }

  #dispatch(call: Call): Outcome {
    const { calls } = this.machine;
    switch (call.call) {
      case 'socket':
        return this.#socket(call);
      case 'setsockopt': {
        const { pointer, length } = value(call.value, this.#ifindex);
        const len = lengthOr(call.len, length);
        const [level, name] = [resolveC(call.level), resolveC(call.name)];
        return { result: calls.setsockopt(this.#fd(call), level, name, padded(pointer, len), len) };
      }
      case 'getsockopt':
        return this.#getsockopt(call);
      case 'bind':
      case 'connect': {
        const { pointer, length } = addr(call.addr);
        const len = lengthOr(call.addrlen, length);
        return { result: calls[call.call](this.#fd(call), padded(pointer, len), len) };
      }
      case 'sendto':
      case 'send': {
        const payload = data(call.data ?? '');
        const to = addr(call.addr);
        const len = lengthOr(call.len, payload.length);
        const addrlen = lengthOr(call.addrlen, to.length);
        return {
          result: calls.sendto(
            this.#fd(call),
            padded(payload.pointer, len),
            len,
            resolveC(call.flags ?? 0),
            padded(to.pointer, addrlen),
            addrlen,
          ),
        };
      }
      case 'sendmsg': {
        const message = msghdr(call, this.#ifindex);
        return { result: calls.sendmsg(this.#fd(call), message, resolveC(call.flags ?? 0)) };
      }
      case 'sendmmsg': {
        const msgs: Mmsghdr[] = call.msgs.map((m) => ({ hdr: msghdr(m, this.#ifindex), len: 0 }));
        const result = calls.sendmmsg(this.#fd(call), msgs, resolveC(call.flags ?? 0));
        return { result, extra: { lens: msgs.slice(0, Math.max(result, 0)).map((m) => m.len) } };
      }
      case 'recvmsg':
        return this.#recvmsg(call);
      case 'getsockname':
      case 'getpeername': {
        const name = new Uint8Array(RECEIVE_NAME_BYTES);
        const box = { len: name.length };
        const result = calls[call.call](this.#fd(call), name, box);
        return result < 0 ? { result } : { result, extra: { addr: showAddr(name.subarray(0, box.len)) } };
      }
      case 'shutdown':
        return { result: calls.shutdown(this.#fd(call), resolveC(call.how ?? 'SHUT_WR')) };
      case 'close': {
        const fd = this.#fd(call);
        this.#fds.delete(call.fd ?? 's');
        return { result: calls.close(fd) };
      }
      case 'ioctl': {
        const arg = new Uint8Array(8);
        const view = new DataView(arg.buffer);
        view.setBigInt64(0, BigInt.asIntN(64, resolveBig(call.arg ?? 0)), true);
        const result = calls.ioctl(this.#fd(call), resolveC(call.req) >>> 0, arg);
        return result < 0 ? { result } : { result, extra: { int: view.getInt32(0, true) } };
      }
      case 'inject':
        return { result: this.machine.inject(call.dev ?? DEFAULT_TAP_NAME, hexBytes(call.hex)) };
      case 'ip': {
        const { code, stdout, stderr } = this.machine.ip(call.args);
        const extra: Extra = {
          ...(stdout && { stdout: stdout.trim() }),
          ...(stderr && { stderr: stderr.trim() }),
        };
        return { result: code, extra };
      }
      case 'sysctl':
        this.machine.sysctl(call.set);
        return { result: 0 };
      case 'sleep':
        this.machine.sleep(call.ms ?? 10);
        return { result: 0 };
    }
  }

  #socket(call: CallOf<'socket'>): Outcome {
    const fd = this.machine.calls.socket(
      resolveC(call.domain ?? 'AF_INET'),
      resolveC(call.type ?? 'SOCK_DGRAM'),
      resolveC(call.proto ?? 0),
    );
    if (fd < 0) return { result: fd };
    this.#fds.set(call.fd ?? 's', fd);
    return { result: 0 };
  }

  #getsockopt(call: CallOf<'getsockopt'>): Outcome {
    const len = lengthOr(call.len, GETSOCKOPT_BYTES);
    const into = buffer(len);
    const box = { len };
    const [level, name] = [resolveC(call.level), resolveC(call.name)];
    const result = this.machine.calls.getsockopt(this.#fd(call), level, name, into, box);
    if (result < 0) return { result };
    const got = into.subarray(0, Math.max(0, box.len));
    const int = got.length === 4 ? { int: new DataView(got.buffer, got.byteOffset).getInt32(0, true) } : {};
    return { result, extra: { value_hex: hex(got), ...int } };
  }

  #recvmsg(call: CallOf<'recvmsg'>): Outcome {
    const len = lengthOr(call.len, 65535);
    const into = buffer(len);
    const name = new Uint8Array(RECEIVE_NAME_BYTES);
    const control = new Uint8Array(RECEIVE_CONTROL_BYTES);
    const msg = {
      name,
      namelen: name.length,
      iov: [{ base: into, len }],
      iovlen: 1,
      control,
      controllen: control.length as number | bigint,
      flags: 0,
    };
    const flags = resolveC(call.flags ?? 0) | MSG_DONTWAIT;
    const result = this.machine.calls.recvmsg(this.#fd(call), msg, flags);
    if (result < 0) return { result };
    return {
      result,
      extra: {
        data_hex: hex(into.subarray(0, Math.min(result, len))),
        from: showAddr(name.subarray(0, msg.namelen)),
        msg_flags: msg.flags,
        cmsgs: readCmsgs(control, Number(msg.controllen)),
      },
    };
  }
}

function buffer(length: number): Uint8Array {
  return new Uint8Array(Math.min(Math.max(length, 1), MAX_BUFFER_BYTES));
}

/** The control messages that `recvmsg` wrote into `length` bytes. */
function readCmsgs(control: Uint8Array, length: number): ReceivedCmsg[] {
  const view = new DataView(control.buffer, control.byteOffset, control.length);
  const out: ReceivedCmsg[] = [];
  let at = 0;
  while (at + 16 <= length) {
    const cmsgLen = Number(view.getBigUint64(at, true));
    const [level, type] = [view.getInt32(at + 8, true), view.getInt32(at + 12, true)];
    out.push({ level, type, hex: hex(control.subarray(at + 16, at + cmsgLen)) });
    if (cmsgLen < 16) break;
    at += (cmsgLen + 7) & ~7;
  }
  return out;
}
