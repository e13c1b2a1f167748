/** The parts of the `ip` language that need no host: words, numbers, prefixes, the two forms of output, and what no host here has. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/core/clock.js';
import { MemoryDevice } from '../../src/dev/memory.js';
import { llAddrN2a, parseInet4, parsePrefix } from '../../src/ipcmd/inet_addr.js';
import { ipCommand } from '../../src/ipcmd/ip.js';
import { Printer } from '../../src/ipcmd/json_print.js';
import { getInteger, getUnsigned, matches } from '../../src/ipcmd/utils.js';
import { splitCommands, splitWords } from '../../src/ipcmd/words.js';
import { Net } from '../../src/net/net.js';
import { EEXIST, EINVAL, ENETUNREACH, EOPNOTSUPP } from '../../src/uapi/errno.js';
import { formatIPv4 } from '../../src/uapi/in.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../src/uapi/socket.js';

describe('words', () => {
  it.each([
    ['addr  add\t10.9.0.2/24', ['addr', 'add', '10.9.0.2/24']],
    [`link set tap0 alias 'two words' # why`, ['link', 'set', 'tap0', 'alias', 'two words']],
    [`alias "a \\" b\\n" 'c\\'`, ['alias', 'a " b\\n', 'c\\']],
    ['a\\ b c""d', ['a b', 'cd']],
    [`alias ''`, ['alias', '']],
    ['a#b #c', ['a#b']],
  ])('%s', (line, words) => {
    expect(splitWords(line)).toEqual(words);
  });
  it('a quote that is not closed is no line', () => {
    expect(splitWords(`alias 'x`)).toBeNull();
    expect(splitWords('alias "x\\"')).toBeNull();
  });
  it('lines, continued and commented', () => {
    expect(splitCommands('# first\n\nlink set lo up\naddr add 10.9.0.2/24 \\\n  dev tap0\n  \n')).toEqual([
      'link set lo up',
      'addr add 10.9.0.2/24    dev tap0',
    ]);
  });
  it('words that were quoted come back', () => {
    const word = fc.string({ unit: 'binary-ascii' }).filter((s) => !s.includes("'") && !s.includes('\n'));
    fc.assert(
      fc.property(fc.array(word), (words) => {
        expect(splitWords(words.map((w) => `'${w}'`).join(' '))).toEqual(words);
      }),
    );
  });
});

describe('numbers', () => {
  it.each([
    ['10', 10],
    ['0x10', 16],
    ['010', 8],
    ['08', null],
    ['-1', null],
    ['', null],
    ['1x', null],
    ['4294967295', 0xffffffff],
    ['4294967296', null],
    [' +7', 7],
  ])('%s', (text, value) => {
    expect(getUnsigned(text)).toBe(value);
  });
  it('signed', () => {
    expect([getInteger('-5'), getInteger('2147483647'), getInteger('2147483648')]).toEqual([
      -5,
      0x7fffffff,
      null,
    ]);
  });
  it('abbreviations', () => {
    expect([matches('a', 'add'), matches('add', 'add'), matches('adds', 'add'), matches('', 'add')]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});

describe('prefixes', () => {
  it.each([
    ['10/8', '10.0.0.0', 8],
    ['10.9', '10.9.0.0', 32],
    ['0x0a.011.0.1/255.255.255.0', '10.9.0.1', 24],
    ['default', '0.0.0.0', 0],
    ['1.2.3.4/0', '1.2.3.4', 0],
    ['1.2.3.4/255.255.255.255', '1.2.3.4', 32],
  ])('%s', (text, addr, bitlen) => {
    const prefix = parsePrefix(text, AF_INET)!;
    expect([formatIPv4(prefix.addr), prefix.bitlen]).toEqual([addr, bitlen]);
  });
  it.each(['10.9.0.256', '10.9.0.1.2', '10/33', '10/255.0.255.0', '/8', '10.', 'x', '10/'])(
    '%s is none',
    (text) => {
      expect(parsePrefix(text, AF_INET)).toBeNull();
    },
  );
  it('tells IPv6 apart', () => {
    expect(parsePrefix('fe80::1/64', AF_UNSPEC)).toMatchObject({ family: AF_INET6, bitlen: 64 });
    expect(parsePrefix('fe80::1/64', AF_INET)).toBeNull();
    expect(parsePrefix('fe80::1::', AF_UNSPEC)).toBeNull();
  });
  it('reads what it writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (addr) => {
        expect(parseInet4(formatIPv4(addr))).toBe(addr);
      }),
    );
    expect(llAddrN2a(Uint8Array.of(2, 0, 255))).toBe('02:00:ff');
  });
});

describe('the two forms of output', () => {
  function write(json: boolean, pretty: boolean): string {
    const out = new Printer(json, pretty, '\n');
    out.begin();
    out.openObject();
    out.any('dst', 'to 1.2.3.4 ', '1.2.3.4');
    out.fp('(text) ');
    out.json('only', true);
    out.openArray('flags');
    out.element('up ', 'up');
    out.element('down ', 'down');
    out.closeArray();
    out.openArray('none');
    out.closeArray();
    out.fp('\n');
    out.closeObject();
    out.openObject();
    out.any('id', 'id 18446744073709551615\n', 0xffff_ffff_ffff_ffffn);
    out.closeObject();
    return out.finish();
  }
  it('text', () => {
    expect(write(false, true)).toBe('to 1.2.3.4 (text) up down \nid 18446744073709551615\n');
  });
  it('JSON', () => {
    expect(write(true, false)).toBe(
      '[{"dst":"1.2.3.4","only":true,"flags":["up","down"],"none":[]},{"id":18446744073709551615}]\n',
    );
  });
  it('JSON, laid out as iproute2 lays it out', () => {
    expect(write(true, true)).toBe(`[ {
        "dst": "1.2.3.4",
        "only": true,
        "flags": [ "up","down" ],
        "none": [ ]
    },{
        "id": 18446744073709551615
    } ]
`);
  });
});

describe('on a Net', () => {
  let net: Net;
  const ip = (command: string) => ipCommand(net, command);
  const text = (command: string): string => {
    const { code, stdout, stderr } = ip(command);
    expect({ code, stderr }, command).toEqual({ code: 0, stderr: '' });
    return stdout;
  };
  beforeEach(() => {
    net = new Net();
    net.addDevice(new MemoryDevice({ name: 'tap0', mac: Uint8Array.of(2, 0, 0, 0, 9, 2) }));
  });
  afterEach(() => net.close());

  it('takes several lines, and stops at the first that fails', () => {
    const result = ip(`
      # a network
      ip link set lo up
      ip addr add 10.9.0.2/24 dev tap0
      ip addr add 10.9.0.2/24 dev tap0
      ip link set tap0 up`);
    expect(result).toMatchObject({
      code: 2,
      errno: EEXIST,
      stderr: 'Error: ipv4: Address already assigned.\n',
    });
    expect(text('-br addr')).toBe(
      'lo               UNKNOWN        127.0.0.1/8 \ntap0             DOWN           10.9.0.2/24 \n',
    );
  });

  it('takes words', () => {
    expect(ipCommand(net, ['link', 'set', 'tap0', 'alias', 'two words']).code).toBe(0);
    expect(text('link show tap0')).toContain('\n    alias two words\n');
  });

  it('gives the errno of the stack', () => {
    expect(ip('route get 8.8.8.8')).toMatchObject({ code: 2, errno: ENETUNREACH });
    expect(ip('addr add fe80::1/64 dev tap0')).toMatchObject({ code: 2, errno: EOPNOTSUPP });
    expect(ip('route add default encap mpls 5 via 10.9.0.1')).toMatchObject({ code: 2, errno: EOPNOTSUPP });
    expect(ip('link set tap0 mtu 5')).toMatchObject({ code: 2, errno: EINVAL });
    expect(ip('bogus')).toMatchObject({ code: 1, errno: 0 });
  });

  it('VRF: a table with a name (VRF-1)', () => {
    expect(ip('link add red type vrf').stderr).toBe('Error: VRF table id is missing.\n');
    expect(ip('link add red type vrf table 0').stderr).toBe('Error: Invalid VRF table id.\n');
    text('link add red type vrf table 10');
    expect(ip('link add red type vrf table 11')).toMatchObject({ code: 2, errno: EEXIST });
    expect(text('rule show pref 1000')).toBe('1000:\tfrom all lookup [l3mdev-table]\n');
    text('link set red up');
    text('link set tap0 master red up');
    text('addr add 10.9.0.2/24 dev tap0');
    expect(text('link show vrf red')).toMatch(
      /^2: tap0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc \w+ master red state /,
    );
    expect(text('-d link show type vrf')).toContain('\n    vrf table 10 ');
    expect(text('-d link show tap0')).toContain('\n    vrf_slave table 10 ');
    expect(text('route show vrf red')).toBe(
      '10.9.0.0/24 dev tap0 proto kernel scope link src 10.9.0.2 \n' +
        'local 10.9.0.2 dev tap0 proto kernel scope host src 10.9.0.2 \n' +
        'broadcast 10.9.0.255 dev tap0 proto kernel scope link src 10.9.0.2 \n',
    );
    expect(text('route get 10.9.0.5 vrf red')).toBe(
      '10.9.0.5 dev tap0 table 10 src 10.9.0.2 uid 0 \n    cache \n',
    );
    expect(ip('route get 10.9.0.5').errno).toBe(ENETUNREACH);
    text('route add default via 10.9.0.1 vrf red');
    expect(text('route show table 10 default')).toBe('default via 10.9.0.1 dev tap0 \n');
    expect(ip('link set lo master red')).toMatchObject({ code: 2, errno: EOPNOTSUPP });
    text('link set tap0 nomaster');
    expect(text('route show')).toBe('10.9.0.0/24 dev tap0 proto kernel scope link src 10.9.0.2 \n');
    text('link del red');
    expect(ip('link show red').stderr).toBe('Device "red" does not exist.\n');
  });

  it('dummy: a place for addresses', () => {
    text('link add type dummy');
    text('link add dum1 mtu 900 group 5 txqueuelen 7 alias hi address 02:00:00:00:00:05 index 77 type dummy');
    text('link set dummy0 up');
    expect(text('link show dummy0')).toMatch(
      /<BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 qdisc noqueue state UNKNOWN /,
    );
    expect(text('link show dum1')).toBe(
      '77: dum1: <BROADCAST,NOARP> mtu 900 qdisc noqueue state DOWN mode DEFAULT group 5 qlen 7\n' +
        '    link/ether 02:00:00:00:00:05 brd ff:ff:ff:ff:ff:ff\n    alias hi\n',
    );
    text('addr add 1.1.1.1/32 dev dummy0');
    expect(text('route get 1.1.1.1')).toContain('local 1.1.1.1 dev lo ');
    text('link del dummy0');
    expect(ip('route get 1.1.1.1').errno).toBe(ENETUNREACH);
  });

  it('addresses grow old (check_lifetime)', () => {
    const clock = new VirtualClock();
    const old = new Net({ clock });
    old.addDevice(new MemoryDevice({ name: 'tap0' }));
    const addresses = (): string => ipCommand(old, '-4 addr show tap0').stdout;
    ipCommand(old, 'addr add 10.9.0.2/24 dev tap0 valid_lft 30 preferred_lft 10');
    ipCommand(old, 'addr add 10.9.0.3/24 dev tap0 valid_lft 60 preferred_lft 50');
    old.timers.advanceTo(clock.now() + 9_000);
    expect(addresses()).toContain(
      'inet 10.9.0.2/24 scope global dynamic tap0\n       valid_lft 21sec preferred_lft 1sec',
    );
    old.timers.advanceTo(clock.now() + 2_000);
    expect(addresses()).toContain(
      'inet 10.9.0.2/24 scope global deprecated dynamic tap0\n       valid_lft 19sec preferred_lft 0sec',
    );
    old.timers.advanceTo(clock.now() + 20_000);
    // The secondary went with its primary.
    expect(addresses()).toBe('');
    old.close();
  });

  it('rules that newer versions of iproute2 know', () => {
    text('rule add dscp AF11 table 5 pref 10');
    text('rule add dscp 63 table 5 pref 11');
    expect(ip('rule add dscp 64 table 5').code).toBe(255);
    expect(text('rule show pref 10')).toBe('10:\tfrom all dscp AF11 lookup 5\n');
    expect(text('-j rule show pref 11')).toBe('[{"priority":11,"src":"all","dscp":"63","table":"5"}]\n');
  });

  it('takes anything without harm', { timeout: 60_000 }, () => {
    const word = fc.oneof(
      fc.constantFrom(
        ...'addr route rule neigh link maddr add del replace change show flush get set dev via from to tap0 lo up down'.split(
          ' ',
        ),
        ...'10.9.0.2/24 10.9.0.1 default 0/0 table main 100 metric 5 nexthop weight lladdr 02:00:00:00:00:01 proxy nud'.split(
          ' ',
        ),
        ...'brd + - peer scope link src mtu lock type vrf dummy master name -j -4 -d -s -o -br goto fwmark 1/0xff'.split(
          ' ',
        ),
        ...'uidrange 1-5 sport dport ipproto udp not pref group alias carrier on off arp label valid_lft 5 onlink tos'.split(
          ' ',
        ),
      ),
      fc.string({ maxLength: 12 }),
      fc.integer().map(String),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        const { code } = ipCommand(net, words);
        expect([0, 1, 2, 22, 255]).toContain(code);
      }),
      { numRuns: 3000 },
    );
    for (const command of ['addr', 'route show table all', 'rule', 'neigh', 'link', 'maddr']) text(command);
  });
});
