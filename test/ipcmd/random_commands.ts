/** Invents `ip` commands over so few names and numbers that they meet: the same address twice, a route through one that is gone. */
import { type Random, randomBelow } from '../../src/core/random.js';

type Choice = string | (() => string);

export class RandomCommands {
  /** What begins every sequence: two networks to route over. */
  readonly #first = [
    'link set tap0 up',
    'link set tap1 up',
    'addr add 10.9.0.1/24 brd + dev tap0',
    'addr add 10.9.1.1/24 dev tap1',
  ];
  /** What has been added, to be deleted, changed, or added again. */
  readonly #added: string[] = [];

  constructor(private readonly random: Random) {}

  next(): string {
    const first = this.#first.shift();
    if (first !== undefined) return first;
    if (this.#added.length > 0 && randomBelow(this.random, 4) === 0) return this.#again();
    const command = this.#invent();
    if (/^(addr|route|rule|neigh) (add|append|prepend|replace)/.test(command)) this.#added.push(command);
    return command;
  }

  /** A command of before with another verb, and sometimes without its last words. */
  #again(): string {
    const command = this.#added[randomBelow(this.random, this.#added.length)]!;
    const verbs = command.startsWith('rule')
      ? ['del', 'del', 'del', 'add']
      : command.startsWith('route')
        ? ['del', 'del', 'del', 'replace', 'change', 'append', 'add', 'test']
        : ['del', 'del', 'del', 'replace', 'change', 'add'];
    const [object, , ...rest] = command.split(' ');
    const last = / (metric|tos|scope|proto|src|mtu|hoplimit|weight|pref|label|brd) \S+$/;
    const words = rest.join(' ');
    return `${object} ${this.#pick(...verbs)} ${randomBelow(this.random, 3) === 0 ? ` ${words}`.replace(last, '').trim() : words}`;
  }

  #invent(): string {
    const kinds: readonly (readonly [weight: number, make: () => string])[] = [
      [20, () => this.#addr()],
      [30, () => this.#route()],
      [17, () => this.#rule()],
      [15, () => this.#neigh()],
      [12, () => this.#link()],
      [4, () => this.#flush()],
    ];
    let at = randomBelow(
      this.random,
      kinds.reduce((sum, [weight]) => sum + weight, 0),
    );
    for (const [weight, make] of kinds) {
      if (at < weight) return make();
      at -= weight;
    }
    return this.#addr();
  }

  #pick(...choices: Choice[]): string {
    const choice = choices[randomBelow(this.random, choices.length)]!;
    return typeof choice === 'string' ? choice : choice();
  }
  /** The words with a probability of one in `n`, else nothing. */
  #maybe(n: number, ...choices: Choice[]): string {
    return randomBelow(this.random, n) === 0 ? ` ${this.#pick(...choices)}` : '';
  }
  #number(below: number): string {
    return String(randomBelow(this.random, below));
  }
  #dev(): string {
    return ['lo', 'tap9'][randomBelow(this.random, 12)] ?? this.#pick('tap0', 'tap1');
  }
  #host(): string {
    return this.#pick(
      () => `10.9.0.${1 + Number(this.#number(5))}`,
      () => `10.9.1.${1 + Number(this.#number(3))}`,
      '10.8.0.1',
      '192.168.5.1',
      '127.0.0.9',
      '1.2.3.4',
    );
  }
  #prefix(): string {
    return this.#pick(
      'default',
      '10/8',
      '10.5/16',
      '10.9.0.0/24',
      '10.9.0.0/25',
      '10.9.1.0/24',
      '5.5.5.0/24',
      '5.5.5.5',
      '192.168/16',
      '10.9.0.255',
      '224.1.0.0/16',
      '1.2.3.4/31',
      '0/1',
    );
  }
  #table(): string {
    return this.#pick('main', 'local', '100', '100', '101', '300', 'default');
  }

  #addr(): string {
    const verb = this.#pick('add', 'add', 'add', 'replace', 'change', 'del', 'del');
    const length = this.#pick('/24', '/24', '/24', '/16', '/25', '/30', '/31', '/32', '');
    const peer = this.#maybe(8, () => `peer ${this.#host()}${this.#pick('', '/24', '/32')}`);
    const local = `${this.#host()}${peer === '' ? length : ''}`;
    const brd = this.#maybe(3, 'brd +', 'brd -', 'brd 10.9.0.255', 'broadcast 10.9.1.255');
    const rest =
      this.#maybe(6, 'scope link', 'scope host', 'scope global', 'scope 77') +
      this.#maybe(6, 'metric 5', 'metric 100') +
      this.#maybe(6, 'noprefixroute') +
      this.#maybe(8, 'label foo', 'label tap0:1');
    return `addr ${verb} ${local}${peer} dev ${this.#dev()}${brd}${rest}`;
  }

  #gateway(): string {
    return this.#pick('10.9.0.2', '10.9.0.3', '10.9.1.2', '10.9.1.3', '10.9.0.255', () => this.#host());
  }
  #nexthop(): string {
    return this.#pick(
      () => `via ${this.#gateway()}`,
      () => `via ${this.#gateway()}`,
      () => `via ${this.#gateway()} dev ${this.#dev()}`,
      () => `dev ${this.#dev()}`,
      () => `via ${this.#host()} dev ${this.#dev()} onlink`,
    );
  }
  #route(): string {
    const verb = this.#pick(
      'add',
      'add',
      'add',
      'add',
      'replace',
      'append',
      'prepend',
      'change',
      'del',
      'del',
      'del',
      'test',
    );
    const type = this.#maybe(
      5,
      'unreachable',
      'prohibit',
      'blackhole',
      'throw',
      'local',
      'broadcast',
      'multicast',
      'anycast',
    ).trim();
    const isError = ['unreachable', 'prohibit', 'blackhole', 'throw'].includes(type);
    const multipath = !isError && randomBelow(this.random, 6) === 0;
    const one = (): string =>
      `nexthop ${this.#nexthop()}${this.#maybe(2, () => `weight ${1 + Number(this.#number(4))}`)}`;
    const way = multipath
      ? `${one()} ${one()}${this.#maybe(3, one)}`
      : isError && randomBelow(this.random, 8) !== 0
        ? ''
        : verb === 'del' && randomBelow(this.random, 2) === 0
          ? ''
          : this.#nexthop();
    const options =
      this.#maybe(3, 'metric 10', 'metric 20', 'metric 0') +
      this.#maybe(5, () => `table ${this.#table()}`) +
      this.#maybe(8, 'tos 0x10', 'tos 0x08') +
      this.#maybe(8, 'scope link', 'scope global', 'scope host', 'scope 55') +
      this.#maybe(8, 'proto static', 'proto 77') +
      this.#maybe(5, () => `src ${this.#host()}`) +
      this.#maybe(
        8,
        'mtu 1400',
        'mtu lock 1300',
        'hoplimit 5',
        'mtu 1400 hoplimit 9',
        'advmss 5',
        'mtu 70000',
        'rtt 5ms',
        'initcwnd 4 features ecn',
      );
    return `route ${verb} ${type} ${this.#prefix()}${options} ${way}`.replace(/ +/g, ' ').trim();
  }

  #rule(): string {
    const verb = this.#pick('add', 'add', 'del');
    const selector = this.#pick(
      () => `from ${this.#pick('10/8', '10.9.0.0/24', '10.9.0.2', 'all')}`,
      () => `to ${this.#pick('5.5.5.0/24', '1.2.3.4')}`,
      'fwmark 5',
      'fwmark 5/0xff',
      'tos 0x10',
      'iif tap0',
      'oif tap1',
      'iif lo',
      'uidrange 5-10',
      'ipproto udp dport 53',
      'sport 100-200',
      'not from 10/8',
      'tun_id 7',
      'l3mdev',
      'from 10.9.0.0/16 to 5.5.5.5 tos 0x08',
      'oif tap9',
      'dport 1-2 ipproto tcp',
      '',
    );
    if (selector === 'l3mdev') return `rule ${verb} l3mdev${this.#maybe(2, 'pref 1000', 'pref 100')}`;
    const action = this.#pick(
      () => `table ${this.#table()}`,
      () => `lookup ${this.#table()}`,
      'prohibit',
      'unreachable',
      'blackhole',
      'nop',
      () => `goto ${this.#pick('100', '200', '32766')}`,
      'table main suppress_prefixlength 0',
      'table main suppress_ifgroup 5',
      'table 100 protocol static',
      'throw',
      'table 0',
    );
    // Without a priority the kernel invents one in front of all: that is in the comparison too.
    const priority = this.#maybe(1, 'pref 100', 'pref 200', 'pref 300', 'pref 100', '');
    return `rule ${verb} ${selector} ${action}${priority}`.replace(/ +/g, ' ').trim();
  }

  #neigh(): string {
    const verb = this.#pick('add', 'add', 'replace', 'change', 'del');
    const lladdr = this.#maybe(1, 'lladdr 02:00:00:00:00:05', 'lladdr 02:00:00:00:00:06', '');
    const state = verb === 'del' ? '' : this.#maybe(2, 'nud permanent', 'nud stale', 'nud noarp', 'nud none');
    const flags = this.#maybe(8, 'router', 'protocol static');
    const proxy = this.#maybe(10, 'proxy');
    return `neigh ${verb}${proxy} ${this.#host()}${lladdr}${state}${flags} dev ${this.#dev()}`.replace(
      / +/g,
      ' ',
    );
  }

  #link(): string {
    const dev = this.#dev();
    return `link set ${dev} ${this.#pick(
      'up',
      'up',
      'up',
      'up',
      'down',
      'mtu 1400',
      'mtu 1500',
      'mtu 60',
      'address 02:00:00:00:00:77',
      'arp off',
      'arp on',
      'multicast off',
      'multicast on',
      'group 5',
      'group 0',
      'alias hello',
      // Names come and go; rules that name one are detached in between.
      () => `name ${this.#pick('tap0', 'tap1', 'tap9')}`,
      'multicast off',
      ...(dev === 'lo' ? [] : ['carrier off', 'carrier on', 'carrier on']),
    )}`;
  }

  #flush(): string {
    return this.#pick(
      () => `addr flush dev ${this.#dev()}`,
      'addr flush scope link',
      () => `route flush table ${this.#table()}`,
      'route flush dev tap0',
      'route flush 10/8',
      'neigh flush dev tap0',
      'neigh flush all',
      'rule flush',
      'route flush cache',
    );
  }
}
