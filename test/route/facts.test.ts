/** The measured facts of routing (O.5), as far as the route decides them. */
import { beforeEach, describe, expect, it } from 'vitest';
import { KERNEL_PROFILES } from '../../src/core/profile.js';
import type { IpSfList } from '../../src/dev/in_device.js';
import { FLOWI_FLAG_ANYSRC } from '../../src/route/flow.js';
import { ipv4DstCheck } from '../../src/route/output.js';
import { DST_OUTPUT_MC } from '../../src/route/rtable.js';
import { RT_SCOPE_LINK } from '../../src/uapi/rtnetlink.js';
import { ip, RouteLab } from './ask.js';

let lab: RouteLab;
beforeEach(() => {
  lab = new RouteLab();
});

describe('without a fitting route', () => {
  it('E1: nothing leads there, nor to a group or to everyone', () => {
    for (const dst of ['9.9.9.9', '255.255.255.255', '239.1.1.1', '224.0.0.5', '0.1.2.3'])
      expect(lab.ask(dst)).toBe('ENETUNREACH');
  });
  it('E2: error routes answer their errno, unless an interface is asked for', () => {
    lab.run(
      'route add unreachable 11.0.0.0/8',
      'route add blackhole 12.0.0.0/8',
      'route add prohibit 13.0.0.0/8',
      'route add throw 14.0.0.0/8',
    );
    expect(['11.1.1.1', '12.1.1.1', '13.1.1.1', '14.1.1.1'].map((dst) => lab.ask(dst))).toEqual([
      'EHOSTUNREACH',
      'EINVAL',
      'EACCES',
      'ENETUNREACH',
    ]);
    for (const dst of ['11.1.1.1', '12.1.1.1', '13.1.1.1', '14.1.1.1'])
      expect(lab.ask(dst, { oif: lab.index('tap0') })).toBe('tap0 src 10.0.0.1');
  });
  it('E3: an interface that was asked for reaches anything on its link', () => {
    lab.run('route add 15.0.0.0/8 via 10.0.0.2');
    for (const dst of ['9.9.9.9', '10.0.0.2', '15.0.0.1'])
      expect(lab.ask(dst, { oif: lab.index('tap1') })).toBe('tap1 src 10.1.0.1');
  });
  it('E4: link scope passes gateways over', () => {
    lab.run('route add 15.0.0.0/8 via 10.0.0.2');
    expect(lab.ask('15.0.0.1', { scope: RT_SCOPE_LINK })).toBe('ENETUNREACH');
    expect(lab.ask('10.0.0.2', { scope: RT_SCOPE_LINK })).toBe('tap0 src 10.0.0.1');
    expect(lab.ask('15.0.0.1', { scope: RT_SCOPE_LINK, oif: lab.index('tap0') })).toBe('tap0 src 10.0.0.1');
  });
  it('E5: there must be such an interface', () => {
    expect(lab.ask('10.0.0.2', { oif: 999 })).toBe('ENODEV');
  });
  it('E17: a device that is down is no way, its address is still ours', () => {
    lab.run('link set tap1 down');
    expect(lab.ask('10.0.0.2', { oif: lab.index('tap1') })).toBe('ENETUNREACH');
    expect(lab.ask('10.0.0.2', { from: '10.1.0.1' })).toBe('tap0 src 10.1.0.1');
    expect(lab.ask('10.0.0.2', { oif: lab.index('tap2') })).toBe('ENETUNREACH');
  });
});

describe('the source', () => {
  it('E6: must be an address of ours, of any device', () => {
    expect(lab.ask('10.0.0.2', { from: '10.1.0.1' })).toBe('tap0 src 10.1.0.1');
    for (const from of ['8.8.8.8', '10.0.0.255', '0.0.0.5'])
      expect(lab.ask('10.0.0.2', { from })).toBe('ENETUNREACH');
    for (const from of ['224.0.0.1', '255.255.255.255', '127.0.0.5'])
      expect(lab.ask('10.0.0.2', { from })).toBe('EINVAL');
  });
  it('E7: need not be ours for a transparent socket, but to a group', () => {
    const wish = { from: '8.8.8.8', flags: FLOWI_FLAG_ANYSRC };
    expect(lab.ask('10.0.0.2', wish)).toBe('tap0 src 8.8.8.8');
    expect(lab.ask('239.1.1.1', wish)).toBe('ENETUNREACH');
  });
  it('that is not ours was refused with EINVAL in old kernels', () => {
    expect(new RouteLab(KERNEL_PROFILES['5.4']).ask('10.0.0.2', { from: '8.8.8.8' })).toBe('EINVAL');
  });
  it('E16: the route names it, or the gateway does', () => {
    lab.run(
      'route add 16.0.0.0/8 via 10.0.0.2 src 10.1.0.1',
      'addr add 20.0.0.1/24 dev tap0',
      'route add 17.0.0.0/8 via 20.0.0.2',
    );
    expect(lab.ask('16.1.1.1')).toBe('tap0 via 10.0.0.2 src 10.1.0.1');
    expect(lab.ask('17.1.1.1')).toBe('tap0 via 20.0.0.2 src 20.0.0.1');
  });
  it('E18: is borrowed where the device has none', () => {
    lab.run('link set tap2 up');
    expect(lab.ask('9.9.9.9', { oif: lab.index('tap2') })).toBe('tap2 src 10.0.0.1');
    lab.run('addr add 7.7.7.7/32 dev lo');
    expect(lab.ask('9.9.9.9', { oif: lab.index('tap2') })).toBe('tap2 src 7.7.7.7');
    lab.run('addr flush dev lo', 'addr flush dev tap0', 'addr flush dev tap1');
    expect(lab.ask('9.9.9.9', { oif: lab.index('tap2') })).toBe('tap2 src 0.0.0.0');
  });
  it('ROUTE-5: of the loopback network goes out only where route_localnet allows it', () => {
    expect(lab.ask('10.0.0.2', { from: '127.0.0.1' })).toBe('EINVAL');
    lab.sysctl('net.ipv4.conf.tap0.route_localnet', 1);
    expect(lab.ask('10.0.0.2', { from: '127.0.0.1' })).toBe('tap0 src 127.0.0.1');
  });
  it('E28: that has gone leads nowhere', () => {
    lab.run('addr add 10.0.0.77/24 dev tap0');
    const rt = lab.rtable('10.0.0.2', { from: '10.0.0.77' });
    lab.run('addr del 10.0.0.77/24 dev tap0');
    expect(ipv4DstCheck(lab.net, rt)).toBe(false);
    expect(lab.ask('10.0.0.2', { from: '10.0.0.77' })).toBe('ENETUNREACH');
  });
});

describe('to ourselves, to all, to groups', () => {
  it('E13, D5: our own addresses are on lo, but for another interface', () => {
    expect(lab.ask('10.0.0.1')).toBe('lo src 10.0.0.1 local');
    expect(lab.ask('127.5.6.7')).toBe('lo src 127.0.0.1 local');
    expect(lab.ask('10.0.0.1', { oif: lab.index('tap1') })).toBe('tap1 src 10.1.0.1');
    expect(lab.ask('10.0.0.1', { oif: lab.index('tap0') })).toBe('lo src 10.0.0.1 local');
    expect(lab.ask('0.0.0.0', { oif: lab.index('tap0') })).toBe('lo src 10.0.0.1 local');
    expect(lab.ask('0.0.0.0')).toBe('lo src 127.0.0.1 local');
  });
  it('E11: everyone is behind the interface, or behind the one that has the source', () => {
    expect(lab.ask('255.255.255.255', { oif: lab.index('tap1') })).toBe('tap1 src 10.1.0.1 broadcast local');
    expect(lab.ask('255.255.255.255', { from: '10.1.0.1' })).toBe('tap1 src 10.1.0.1 broadcast local');
  });
  it("E12: a subnet's broadcast address is one only on its own device", () => {
    expect(lab.ask('10.0.0.255')).toBe('tap0 src 10.0.0.1 broadcast local');
    expect(lab.rtable('10.0.0.255').output).toBe(DST_OUTPUT_MC);
    expect(lab.ask('10.0.0.255', { oif: lab.index('tap1') })).toBe('tap1 src 10.1.0.1');
    expect(lab.ask('10.0.0.255', { scope: RT_SCOPE_LINK })).toBe('tap0 src 10.0.0.1 broadcast local');
  });
  it('D3: the all-zeros address of a subnet is a host, before 5.14 a broadcast address', () => {
    expect(lab.ask('10.0.0.0')).toBe('tap0 src 10.0.0.1');
    expect(new RouteLab(KERNEL_PROFILES['5.4']).ask('10.0.0.0')).toBe('tap0 src 10.0.0.1 broadcast local');
  });
  it('E9: groups follow the source or the interface', () => {
    expect(lab.ask('239.1.1.1', { from: '10.1.0.1' })).toBe('tap1 src 10.1.0.1 multicast');
    expect(lab.ask('239.1.1.1', { oif: lab.index('tap1') })).toBe('tap1 src 10.1.0.1 multicast');
    expect(lab.ask('239.1.1.1', { oif: lab.index('tap1'), from: '10.0.0.1' })).toBe(
      'tap1 src 10.0.0.1 multicast',
    );
  });
  it('E26: a default route lends groups its device only, a route of their own its gateway too', () => {
    lab.run('route add default via 10.0.0.2');
    expect(lab.ask('239.1.1.1')).toBe('tap0 src 10.0.0.1 multicast');
    lab.run('route add 239.0.0.0/8 via 10.1.0.2');
    expect(lab.ask('239.1.1.1')).toBe('tap1 via 10.1.0.2 src 10.1.0.1 multicast');
  });
  it('E25: routes of type broadcast and multicast', () => {
    lab.run('route add broadcast 30.0.0.0/24 dev tap0', 'route add multicast 238.0.0.0/8 dev tap1');
    expect(lab.ask('30.0.0.7')).toBe('tap0 src 10.0.0.1 broadcast local');
    expect(lab.ask('238.1.1.1')).toBe('tap1 src 10.1.0.1 multicast');
  });
  it('E27: a local route makes addresses ours', () => {
    lab.run('route add local 90.0.0.0/8 dev lo');
    expect(lab.ask('90.1.2.3')).toBe('lo src 90.1.2.3 local');
    expect(lab.ask('10.0.0.2', { from: '90.5.5.5' })).toBe('tap0 src 90.5.5.5');
  });
  it('ROUTE-24: our own membership decides whether a copy comes back', () => {
    const inDev = lab.net.devGetByName('tap0')!.ipPtr!;
    const group = ip('239.1.1.1');
    const sources = new Map<number, IpSfList>();
    inDev.mcList.set(group, { multiaddr: group, users: 1, sfmode: 0, sfcount: [1, 0], sources });
    expect(lab.ask('239.1.1.1', { oif: lab.index('tap0') })).toBe('tap0 src 10.0.0.1 multicast local');
    expect(lab.ask('239.1.1.1', { oif: lab.index('tap1') })).toBe('tap1 src 10.1.0.1 multicast');
    sources.set(ip('10.0.0.1'), { inaddr: ip('10.0.0.1'), count: [1, 0] });
    expect(lab.ask('239.1.1.1', { oif: lab.index('tap0') })).toBe('tap0 src 10.0.0.1 multicast');
  });
});

describe('among several', () => {
  it('E19: the lower metric, the fitting TOS', () => {
    lab.run(
      'route add 40.0.0.0/8 via 10.0.0.2 metric 10',
      'route add 40.0.0.0/8 via 10.1.0.2 metric 5',
      'route add 41.0.0.0/8 via 10.0.0.2',
      'route add 41.0.0.0/8 tos 0x10 via 10.1.0.2',
    );
    expect(lab.ask('40.1.1.1')).toBe('tap1 via 10.1.0.2 src 10.1.0.1');
    for (const tos of [0x10, 0x13, 0x30, 0xf0])
      expect(lab.ask('41.1.1.1', { tos })).toBe('tap1 via 10.1.0.2 src 10.1.0.1');
    for (const tos of [0, 0x08, 0x18])
      expect(lab.ask('41.1.1.1', { tos })).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
  });
  it('E20: the longest prefix, and a shorter one where the interface does not fit', () => {
    lab.run(
      'route add 50.0.0.0/8 via 10.0.0.2',
      'route add 50.1.0.0/16 via 10.1.0.2',
      'route add 50.1.1.0/24 dev tap0',
    );
    expect(lab.ask('50.2.0.1')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
    expect(lab.ask('50.1.2.1')).toBe('tap1 via 10.1.0.2 src 10.1.0.1');
    expect(lab.ask('50.1.1.1')).toBe('tap0 src 10.0.0.1');
    expect(lab.ask('50.1.2.1', { oif: lab.index('tap0') })).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
  });
  it('E24: a link without carrier is used, unless it is to be ignored', () => {
    lab.run(
      'route add 60.0.0.0/8 via 10.0.0.2',
      'route add 60.1.0.0/16 via 10.1.0.2',
      'link set tap1 carrier off',
    );
    expect(lab.ask('60.1.1.1')).toBe('tap1 via 10.1.0.2 src 10.1.0.1');
    lab.sysctl('net.ipv4.conf.tap1.ignore_routes_with_linkdown', 1);
    expect(lab.ask('60.1.1.1')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
    lab.run('link set tap1 carrier on');
    expect(lab.ask('60.1.1.1')).toBe('tap1 via 10.1.0.2 src 10.1.0.1');
  });
  it('E21: rules choose the table', () => {
    lab.run('route add default via 10.1.0.2 table 7');
    const there = 'tap1 via 10.1.0.2 src 10.1.0.1';
    const cases = [
      ['fwmark 5', { mark: 5 }],
      ['to 70.0.0.0/8', {}],
      ['from 10.0.0.1', { from: '10.0.0.1' }],
      ['dport 53', { dport: 53 }],
      ['sport 1000-2000', { sport: 1500 }],
      ['uidrange 5-9', { uid: 7 }],
      ['tos 0x10', { tos: 0x50 }],
      ['ipproto udp', {}],
      ['iif lo', {}],
      ['not fwmark 9', {}],
    ] as const;
    for (const [selector, wish] of cases) {
      lab.run(`rule add ${selector} lookup 7 pref 100`);
      expect([selector, lab.ask('70.0.0.1', wish)]).toEqual([
        selector,
        'from' in wish ? 'tap1 via 10.1.0.2 src 10.0.0.1' : there,
      ]);
      lab.run('rule del pref 100');
      expect(lab.ask('70.0.0.1', wish)).toBe('ENETUNREACH');
    }
    // RULE-3: a source that is not chosen yet fits no `from`.
    lab.run('rule add from 10.0.0.1 lookup 7 pref 100');
    expect(lab.ask('70.0.0.1')).toBe('ENETUNREACH');
  });
  it('E21: actions of rules answer for the destination', () => {
    lab.run('route add default via 10.0.0.2');
    for (const [action, errno] of [
      ['unreachable', 'ENETUNREACH'],
      ['blackhole', 'EINVAL'],
      ['prohibit', 'EACCES'],
    ] as const) {
      lab.run(`rule add to 71.0.0.0/8 pref 50 ${action}`);
      expect(lab.ask('71.1.1.1')).toBe(errno);
      lab.run('rule del pref 50');
    }
    lab.run('route add throw default table 8', 'rule add pref 50 lookup 8');
    expect(lab.ask('71.1.1.1')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
    lab.run('rule add pref 40 to 72.0.0.0/8 goto 60', 'rule add pref 50 to 72.0.0.0/8 prohibit');
    expect(lab.ask('72.1.1.1')).toBe('EACCES');
    lab.run('rule add pref 60 nop');
    expect(lab.ask('72.1.1.1')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
    lab.run(
      'rule add pref 30 lookup main suppress_prefixlength 0',
      'rule add pref 31 to 73.0.0.0/8 prohibit',
    );
    expect(lab.ask('73.1.1.1')).toBe('EACCES');
    expect(lab.ask('10.1.0.9')).toBe('tap1 src 10.1.0.1');
  });
});

describe('one resolved route', () => {
  it('serves every flow of its nexthop until something changes (ROUTE-50)', () => {
    lab.run('route add default via 10.0.0.2');
    const rt = lab.rtable('8.8.8.8');
    expect(lab.rtable('9.9.9.9')).toBe(rt);
    expect(lab.rtable('10.0.0.2')).not.toBe(rt);
    for (const command of [
      'route add 99.0.0.0/8 dev tap1',
      'rule add pref 9 nop',
      'addr add 10.1.0.9/24 dev tap1',
      'link set tap2 up',
      'route flush cache',
    ]) {
      const before = lab.rtable('8.8.8.8');
      expect(ipv4DstCheck(lab.net, before)).toBe(true);
      lab.run(command);
      expect([command, ipv4DstCheck(lab.net, before)]).toEqual([command, false]);
    }
    const before = lab.rtable('8.8.8.8');
    lab.sysctl('net.ipv4.conf.tap0.route_localnet', 1);
    expect(ipv4DstCheck(lab.net, before)).toBe(false);
  });
  it('E15: carries the metrics of its route', () => {
    lab.run('route add 80.0.0.0/8 via 10.0.0.2 mtu lock 1000 hoplimit 99');
    const { metricMtu, metricMtuLocked, metricHoplimit } = lab.rtable('80.0.0.1');
    expect([metricMtu, metricMtuLocked, metricHoplimit]).toEqual([1000, true, 99]);
  });
});
