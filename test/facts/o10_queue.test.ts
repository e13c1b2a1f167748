/** Facts about a TAP that nobody reads (catalogue O.10, J6). A discipline is set by `tc`, which scenarios do not have. */
import { spawnSync } from 'node:child_process';
import { describe, it } from 'vitest';
import { execute } from '../../src/scenario/execute.js';
import { HostMachine } from '../../src/scenario/host_machine.js';
import type { IpOutcome, Machine } from '../../src/scenario/machine.js';
import { StackMachine } from '../../src/scenario/stack_machine.js';
import type { Message, Scenario } from '../../src/scenario/types.js';
import { leaveNamespace, NO_TAP } from '../native/lab.js';
import {
  type Counters,
  checkRun,
  countersOf,
  D,
  fact,
  ip,
  LAB_A,
  type Step,
  sendBytes,
  socket,
  udp,
  type Whole,
} from './lab.js';

const burst = (count: number, message: Message): Step['0'] => ({
  call: 'sendmmsg',
  msgs: Array.from({ length: count }, () => ({ ...message, name: D })),
});
const ONE: Message = { iov: ['61'] };

fact(
  'J6: what does not fit into the ring of 1000 is lost, and the sender does not learn of it',
  [socket(), [burst(1024, ONE), { ret: 1024, frames: 1000 }]],
  LAB_A,
  { counters: { Udp: { OutDatagrams: 1024, SndbufErrors: 0 } } },
);
fact(
  'J6: the same for 3000 segments',
  [socket(), udp('UDP_SEGMENT', 4), [burst(30, { iov: [{ seq: 400 }] }), { ret: 30, frames: 1000 }]],
  LAB_A,
  { counters: { Udp: { OutDatagrams: 30, SndbufErrors: 0 }, Ip: { OutRequests: 30 } } },
);

const NO_QUEUE = 'tc qdisc replace dev tap0 root noqueue';
const RING_OF_3: Omit<Scenario, 'calls'> = {
  ...LAB_A,
  ip: ['link set tap0 txqueuelen 3', ...LAB_A.ip!],
};

class StackWithTc extends StackMachine {
  override ip(args: string | readonly string[]): IpOutcome {
    if (args !== NO_QUEUE) return super.ip(args);
    this.net.devGetByName('tap0')!.noqueue = true;
    return { code: 0, stdout: '', stderr: '' };
  }
}
class HostWithTc extends HostMachine {
  override ip(args: string | readonly string[]): IpOutcome {
    if (args !== NO_QUEUE) return super.ip(args);
    const [command, ...words] = NO_QUEUE.split(' ');
    const { status, stdout, stderr } = spawnSync(command!, words, { encoding: 'utf8' });
    return { code: status ?? -1, stdout, stderr };
  }
}

function factWithTc(name: string, more: readonly Step[], whole: Whole): void {
  const steps: Step[] = [[{ call: 'ip', args: NO_QUEUE }, 0], ...more];
  const scenario: Scenario = { ...RING_OF_3, name, calls: steps.map(([call]) => call) };
  const run = (machine: Machine & { close(): void }, counters: () => Counters): void => {
    try {
      const result = execute(machine, scenario);
      checkRun({ result, counters: counters() }, steps, whole);
    } finally {
      machine.close();
    }
  };
  describe(name, () => {
    it('our stack', () => {
      const machine = new StackWithTc(scenario);
      run(machine, () => machine.net.mib as unknown as Counters);
    });
    it.skipIf(NO_TAP)("the host's kernel", () => {
      try {
        run(new HostWithTc(), () => countersOf('/proc/thread-self'));
      } finally {
        leaveNamespace();
      }
    });
  });
}

factWithTc(
  'J6: without a queue and without IP_RECVERR, a full ring is a success',
  [socket(), [burst(5, ONE), { ret: 5, frames: 3 }]],
  { counters: { Udp: { OutDatagrams: 3, SndbufErrors: 2 }, Ip: { OutDiscards: 2 } } },
);
factWithTc(
  'J6: without a queue and with IP_RECVERR, a full ring is ENOBUFS',
  [
    socket(),
    ip('IP_RECVERR', 1),
    [burst(5, ONE), { ret: 3, frames: 3 }],
    sendBytes(10000, { ret: 'ENOBUFS', frames: 3 }),
  ],
  { counters: { Udp: { OutDatagrams: 3, SndbufErrors: 2 } } },
);
factWithTc(
  'J6: without a queue, the fragments that did not fit',
  [socket(), sendBytes(10000, { ret: 10000, frames: 3 })],
  {
    counters: { Ip: { FragFails: 1, FragCreates: 3, FragOKs: 0 }, Udp: { OutDatagrams: 0, SndbufErrors: 1 } },
  },
);
