/**
 * Random networks in the `ip` language: few values for each part, so that they meet. Scopes and protocols are named: in a batch, `ip`
 * confuses a name with a number that was given after its last use.
 */
import { SeededRandom } from '../../src/core/random.js';

export class RandomNet {
  readonly #random: SeededRandom;
  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  below(n: number): number {
    return this.#random.u32() % n;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  /** `text` sometimes, else nothing. */
  maybe(percent: number, text: () => string): string {
    return this.chance(percent) ? ` ${text()}` : '';
  }

  dev(): string {
    return this.pick(['tap0', 'tap0', 'tap1', 'tap1', 'tap2', 'lo']);
  }
  host(): string {
    const b = this.pick([0, 0, 0, 1, 2, 20]);
    const c = this.pick([0, 0, 0, 1, 128]);
    const d = this.pick([0, 1, 1, 2, 2, 3, 5, 77, 129, 254, 255]);
    return this.chance(4)
      ? this.pick([
          '127.0.0.9',
          '224.0.0.5',
          '239.1.1.1',
          '255.255.255.255',
          '0.0.0.0',
          '240.0.0.1',
          '0.0.0.5',
        ])
      : `10.${b}.${c}.${d}`;
  }
  prefix(): string {
    if (this.chance(10)) return 'default';
    const len = this.pick([8, 15, 16, 16, 24, 24, 24, 25, 30, 31, 32, 32]);
    if (this.chance(5))
      return this.pick([
        '224.0.0.0/4',
        '239.0.0.0/8',
        '224.0.0.0/3',
        '127.0.0.0/16',
        '0.0.0.0/1',
        '255.255.255.255/32',
      ]);
    const words = this.host().split('.').map(Number) as [number, number, number, number];
    const addr = ((words[0] << 24) | (words[1] << 16) | (words[2] << 8) | words[3]) & (-1 << (32 - len));
    const kept = this.chance(2) ? addr | 1 : addr;
    return `${kept >>> 24}.${(kept >>> 16) & 255}.${(kept >>> 8) & 255}.${kept & 255}/${len}`;
  }
  table(): string {
    return this.pick(['main', 'main', 'main', 'local', 'default', '10', '20', '300']);
  }

  addr(): string {
    const len = this.pick([8, 16, 24, 24, 24, 24, 25, 30, 31, 32]);
    const brd = this.maybe(25, () => `brd ${this.pick(['+', '-', this.host()])}`);
    const peer = this.chance(8) ? `${this.host()} peer ` : '';
    const rest =
      this.maybe(15, () => `scope ${this.pick(['link', 'host', 'global', 'site'])}`) +
      this.maybe(10, () => `metric ${this.pick([5, 10, 100])}`) +
      this.maybe(8, () => 'noprefixroute');
    const command = this.pick(['add', 'add', 'add', 'add', 'add', 'replace', 'change']);
    return `addr ${command} ${peer}${this.host()}/${len}${brd} dev ${this.dev()}${rest}`;
  }
  addrDel(): string {
    return `addr del ${this.host()}${this.maybe(70, () => `/${this.pick([24, 24, 16, 32])}`).replace(' ', '')} dev ${this.dev()}`;
  }

  nexthop(): string {
    const via = this.chance(60) ? ` via ${this.host()}` : '';
    const dev = via === '' || this.chance(50) ? ` dev ${this.dev()}` : '';
    return via + dev + (via !== '' ? this.maybe(10, () => 'onlink') : '');
  }
  multipath(): string {
    let text = '';
    for (let i = this.pick([1, 2, 2, 3]); i > 0; i--) {
      text += ` nexthop${this.nexthop()}${this.maybe(40, () => `weight ${this.pick([1, 2, 3, 200])}`)}`;
    }
    return text;
  }
  routeSpec(): string {
    const type = this.chance(25)
      ? `${this.pick(['unreachable', 'blackhole', 'prohibit', 'throw', 'local', 'broadcast', 'multicast', 'unicast', 'anycast'])} `
      : '';
    const reject = /^(unreachable|blackhole|prohibit|throw)/.test(type) && !this.chance(5);
    const head =
      this.maybe(12, () => `tos ${this.pick(['0x10', '0x08', '0x04', '0x20', '0x11'])}`) +
      this.maybe(20, () => `metric ${this.pick([1, 5, 10, 20])}`) +
      this.maybe(35, () => `table ${this.table()}`) +
      this.maybe(10, () => `proto ${this.pick(['static', 'boot', 'kernel', 'bird'])}`) +
      this.maybe(10, () => `scope ${this.pick(['link', 'host', 'global', 'site', 'nowhere'])}`) +
      this.maybe(12, () => `src ${this.host()}`) +
      this.maybe(8, () =>
        this.pick(['mtu 1000', 'mtu lock 900', 'advmss 1400', 'hoplimit 12', 'mtu 70000', 'features ecn']),
      );
    const way = reject ? '' : this.chance(15) ? this.multipath() : this.nexthop();
    return `${type}${this.prefix()}${head}${way}`;
  }
  route(): string {
    const command = this.pick([
      'add',
      'add',
      'add',
      'add',
      'append',
      'prepend',
      'replace',
      'change',
      'del',
      'del',
    ]);
    if (command === 'del' && this.chance(50)) {
      return `route del ${this.prefix()}${this.maybe(30, () => `table ${this.table()}`)}${this.maybe(30, () => `dev ${this.dev()}`)}${this.maybe(20, () => `via ${this.host()}`)}${this.maybe(20, () => `metric ${this.pick([1, 5, 10])}`)}`;
    }
    return `route ${command} ${this.routeSpec()}`;
  }

  rule(): string {
    const command = this.pick(['add', 'add', 'add', 'del']);
    const selectors =
      this.maybe(30, () => `from ${this.prefix()}`) +
      this.maybe(30, () => `to ${this.prefix()}`) +
      this.maybe(15, () => `iif ${this.pick(['lo', 'tap0', 'nodev'])}`) +
      this.maybe(15, () => `oif ${this.pick(['tap0', 'tap1', 'nodev'])}`) +
      this.maybe(20, () => `fwmark ${this.pick(['1', '2', '0x10/0xf0', '0', '0/0xff'])}`) +
      this.maybe(10, () => `tos ${this.pick(['0x10', '0x08', '0x20', '0x11'])}`) +
      this.maybe(10, () => `uidrange ${this.pick(['0-0', '1-5', '0-100', '5-1'])}`) +
      this.maybe(10, () => `ipproto ${this.pick(['udp', 'tcp'])}`) +
      this.maybe(10, () => `sport ${this.pick(['100', '100-200', '0', '65535', '200-100'])}`) +
      this.maybe(10, () => `dport ${this.pick(['53', '50-60'])}`);
    const not = this.maybe(8, () => 'not').replace(' ', '');
    const pref = this.maybe(75, () => `pref ${this.pick([0, 1, 10, 20, 20, 30, 100, 32766, 32767, 40000])}`);
    const action = this.chance(25)
      ? ` ${this.pick(['unreachable', 'blackhole', 'prohibit', 'goto 30', 'goto 100', 'goto 32766', 'goto 5', 'nop'])}`
      : ` lookup ${this.table()}${this.maybe(10, () => `suppress_prefixlength ${this.pick([0, 16, 24])}`)}${this.maybe(5, () => 'suppress_ifgroup 0')}`;
    return `rule ${command}${not === '' ? '' : ` ${not}`}${selectors}${pref}${action}`;
  }
  link(): string {
    if (this.chance(25))
      return `link set ${this.pick(['tap0', 'tap1', 'tap2'])} carrier ${this.pick(['on', 'off'])}`;
    return `link set ${this.pick(['tap0', 'tap1', 'tap2', 'lo'])} ${this.pick(['up', 'up', 'down'])}`;
  }

  sysctl(): string {
    const dev = this.pick(['all', 'default', 'tap0', 'tap1', 'tap2', 'lo']);
    const key = this.pick([
      'promote_secondaries',
      'promote_secondaries',
      'ignore_routes_with_linkdown',
      'ignore_routes_with_linkdown',
      'route_localnet',
      'accept_local',
      'rp_filter',
      'forwarding',
    ]);
    return `sysctl net.ipv4.conf.${dev}.${key}=${this.pick([0, 1, 1])}`;
  }

  get(): string {
    const destination = this.chance(10)
      ? this.pick([
          '8.8.8.8',
          '224.0.0.5',
          '239.1.1.1',
          '255.255.255.255',
          '127.0.0.1',
          '127.5.5.5',
          '0.0.0.5',
          '240.0.0.1',
        ])
      : this.host();
    return (
      `route get ${destination === '0.0.0.0' ? '10.0.0.1' : destination}` +
      this.maybe(25, () => `from ${this.host()}`) +
      this.maybe(25, () => `oif ${this.pick(['tap0', 'tap1', 'tap2', 'lo'])}`) +
      this.maybe(8, () => `iif ${this.pick(['tap0', 'tap1', 'lo'])}`) +
      this.maybe(12, () => `tos ${this.pick(['0x10', '0x08', '0x20', '0x30', '0x13'])}`) +
      this.maybe(15, () => `mark ${this.pick(['1', '2', '0x15'])}`) +
      this.maybe(8, () => `uid ${this.pick(['3', '1000'])}`) +
      this.maybe(
        10,
        () =>
          `ipproto udp${this.maybe(50, () => `sport ${this.pick(['100', '150', '300'])}`)}${this.maybe(50, () => 'dport 53')}`,
      ) +
      this.maybe(10, () => 'fibmatch')
    );
  }

  /** Much at once. */
  sweep(): string {
    return this.pick([
      `addr flush dev ${this.dev()}`,
      `addr flush dev ${this.dev()} to 10.0.0.0/16`,
      `route flush dev ${this.dev()}`,
      `route flush proto ${this.pick(['static', 'boot', 'bird'])}`,
      `route flush root ${this.prefix()}`,
      `route flush exact ${this.prefix()}`,
      `link set tap2 mtu ${this.pick([68, 1000, 1500])}`,
    ]);
  }

  /** One change. */
  change(rules: boolean): string {
    const kind = this.below(100);
    if (kind < 30) return this.addr();
    if (kind < 36) return this.addrDel();
    if (kind < 44) return this.link();
    if (kind < 47) return this.sysctl();
    if (kind < 48) return this.sweep();
    if (rules && kind < 64) return this.rule();
    return this.route();
  }
}
