/** A routing namespace of our own, and questions to it in one line. */
import { VirtualClock } from '../../src/core/clock.js';
import { DEFAULT_PROFILE, type KernelProfile } from '../../src/core/profile.js';
import { SeededRandom } from '../../src/core/random.js';
import { LoopbackDevice } from '../../src/dev/loopback.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { ipCommand } from '../../src/ipcmd/ip.js';
import { Flowi4 } from '../../src/route/flow.js';
import { RouteNet } from '../../src/route/netns.js';
import { ipRouteOutputFlow } from '../../src/route/output.js';
import { RTCF_BROADCAST, RTCF_LOCAL, RTCF_MULTICAST, type Rtable } from '../../src/route/rtable.js';
import { errnoName } from '../../src/uapi/errno.js';
import { formatIPv4, parseIPv4 } from '../../src/uapi/in.js';

export type Wish = Partial<
  Record<'oif' | 'mark' | 'tos' | 'scope' | 'proto' | 'flags' | 'uid' | 'sport' | 'dport', number>
> & {
  readonly from?: string;
};

export function ip(text: string): number {
  const addr = parseIPv4(text);
  if (addr === null) throw new Error(text);
  return addr;
}

export class RouteLab {
  readonly clock = new VirtualClock();
  readonly net: RouteNet;

  /** Lab B of the catalogue: tap0 10.0.0.1/24, tap1 10.1.0.1/24, no default route. */
  constructor(profile: KernelProfile = DEFAULT_PROFILE) {
    this.net = new RouteNet({ clock: this.clock, random: new SeededRandom(3), profile });
    this.net.registerNetdevice(new LoopbackDevice());
    for (const name of ['tap0', 'tap1', 'tap2']) this.net.registerNetdevice(new MemoryDevice({ name }));
    this.run(
      'link set lo up',
      'addr add 10.0.0.1/24 dev tap0',
      'addr add 10.1.0.1/24 dev tap1',
      'link set tap0 up',
      'link set tap1 up',
    );
  }

  /** `ip` commands that must succeed. */
  run(...commands: string[]): void {
    for (const command of commands) {
      const { code, stderr } = ipCommand(this.net, command);
      if (code !== 0) throw new Error(`ip ${command}: ${stderr}`);
    }
  }

  sysctl(name: string, value: number): void {
    if (this.net.sysctl.set(name, value) !== 0) throw new Error(name);
  }

  index(name: string): number {
    return this.net.devGetByName(name)!.ifindex;
  }

  flow(dst: string, { from, ...wish }: Wish = {}): Flowi4 {
    return Object.assign(new Flowi4(), {
      proto: 17,
      daddr: ip(dst),
      saddr: from === undefined ? 0 : ip(from),
      ...wish,
    });
  }

  /** The route object of a flow; throws where there is none. */
  rtable(dst: string, wish: Wish = {}): Rtable {
    const rt = ipRouteOutputFlow(this.net, this.flow(dst, wish));
    if (typeof rt === 'number') throw new Error(errnoName(-rt));
    return rt;
  }

  /** `dev [via GATEWAY] src SOURCE [what it is]`, or the errno's name. */
  ask(dst: string, wish: Wish = {}): string {
    const fl4 = this.flow(dst, wish);
    const rt = ipRouteOutputFlow(this.net, fl4);
    if (typeof rt === 'number') return errnoName(-rt);
    const via = rt.usesGateway ? ` via ${formatIPv4(rt.gateway)}` : '';
    const kinds = [
      [RTCF_BROADCAST, 'broadcast'],
      [RTCF_MULTICAST, 'multicast'],
      [RTCF_LOCAL, 'local'],
    ] as const;
    const what = kinds.filter(([flag]) => (rt.flags & flag) !== 0).map(([, name]) => ` ${name}`);
    return `${rt.dev.name}${via} src ${formatIPv4(fl4.saddr)}${what.join('')}`;
  }
}
