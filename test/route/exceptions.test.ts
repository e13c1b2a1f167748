/** Path MTUs and redirects (ICMP-20..24, ICMP-30, ROUTE-40..51), multipath (FIB-20..24) and VRFs. */
import { beforeEach, describe, expect, it } from 'vitest';
import { KERNEL_PROFILES } from '../../src/core/profile.js';
import { ipDoRedirect, ipRtUpdatePmtu } from '../../src/route/exceptions.js';
import { dstMtu, dstMtuLocked } from '../../src/route/mtu.js';
import { ipv4DstCheck } from '../../src/route/output.js';
import { ip, RouteLab } from './ask.js';

let lab: RouteLab;
beforeEach(() => {
  lab = new RouteLab();
  lab.run('route add default via 10.0.0.2');
});

function learn(dst: string, mtu: number): void {
  ipRtUpdatePmtu(lab.net, lab.rtable(dst), lab.flow(dst), mtu);
}

describe('a learned path MTU', () => {
  it('is kept for its destination alone, and makes the old route stale', () => {
    const before = lab.rtable('8.8.8.8');
    learn('8.8.8.8', 1400);
    expect(ipv4DstCheck(lab.net, before)).toBe(false);
    expect([dstMtu(lab.rtable('8.8.8.8')), dstMtu(lab.rtable('9.9.9.9'))]).toEqual([1400, 1500]);
  });
  it('changes in place while a route with it is held (ROUTE-51), and never grows', () => {
    learn('8.8.8.8', 1400);
    const held = lab.rtable('8.8.8.8');
    learn('8.8.8.8', 1300);
    expect([ipv4DstCheck(lab.net, held), dstMtu(held)]).toEqual([true, 1300]);
    learn('8.8.8.8', 1400);
    expect(dstMtu(held)).toBe(1300);
  });
  it('under 552 is 552 and locked, as is none at all', () => {
    learn('8.8.8.8', 300);
    learn('9.9.9.9', 0);
    for (const dst of ['8.8.8.8', '9.9.9.9']) {
      const rt = lab.rtable(dst);
      expect([dstMtu(rt), dstMtuLocked(rt)]).toEqual([552, true]);
    }
  });
  it('is ignored where the route locks its MTU', () => {
    lab.run('route add 80.0.0.0/8 via 10.0.0.2 mtu lock 1000');
    learn('80.0.0.1', 700);
    expect(dstMtu(lab.rtable('80.0.0.1'))).toBe(1000);
  });
  it('lives 600 s, renewed after half of them', () => {
    learn('8.8.8.8', 1400);
    lab.net.timers.advanceTo(200_000);
    learn('8.8.8.8', 1400);
    lab.net.timers.advanceTo(599_000);
    expect(dstMtu(lab.rtable('8.8.8.8'))).toBe(1400);
    lab.net.timers.advanceTo(601_000);
    expect(dstMtu(lab.rtable('8.8.8.8'))).toBe(1500);
    learn('8.8.8.8', 1400);
    lab.net.timers.advanceTo(1_000_000);
    learn('8.8.8.8', 1400);
    lab.net.timers.advanceTo(1_500_000);
    expect(dstMtu(lab.rtable('8.8.8.8'))).toBe(1400);
  });
  it('goes with its route, and with `route flush cache`; other routes do not matter', () => {
    learn('8.8.8.8', 1400);
    lab.run('route add 99.0.0.0/8 dev tap1');
    expect(dstMtu(lab.rtable('8.8.8.8'))).toBe(1400);
    lab.run('route flush cache');
    expect(dstMtu(lab.rtable('8.8.8.8'))).toBe(1500);
    learn('8.8.8.8', 1400);
    lab.run('route replace default via 10.0.0.3', 'route replace default via 10.0.0.2');
    expect(dstMtu(lab.rtable('8.8.8.8'))).toBe(1500);
  });
  it('lives on in another route with the same nexthop (ROUTE-41)', () => {
    lab.run('route add 77.0.0.0/8 via 10.0.0.2');
    learn('8.8.8.8', 1400);
    lab.run('route del default', 'route add default via 10.0.0.2');
    expect(dstMtu(lab.rtable('8.8.8.8'))).toBe(1400);
  });
  it("follows the device's MTU", () => {
    learn('8.8.8.8', 1400);
    lab.run('link set tap0 mtu 1300');
    expect(dstMtu(lab.rtable('8.8.8.8'))).toBe(1300);
    lab.run('link set tap0 mtu 1500');
    expect([dstMtu(lab.rtable('8.8.8.8')), dstMtu(lab.rtable('9.9.9.9'))]).toEqual([1500, 1500]);
  });
  it('is bounded in number', () => {
    for (let i = 0; i < 30_000; i++)
      ipRtUpdatePmtu(lab.net, lab.rtable('8.8.8.8'), lab.flow(`8.${i >> 8}.${i & 255}.1`), 1400);
    let count = 0;
    for (const bucket of lab.net.fib.infos
      .find((fi) => fi?.nhs[0]?.gw === ip('10.0.0.2'))!
      .nhs[0]!.exceptions!.values())
      count += bucket.length;
    expect(count).toBeLessThanOrEqual(2048 * 11);
    expect(count).toBeGreaterThan(10_000);
  });
});

describe('a redirect', () => {
  function redirect(newGw: string, oldGw = '10.0.0.2', code = 1): void {
    const rt = lab.rtable('8.8.8.8');
    ipDoRedirect(lab.net, rt, lab.flow('8.8.8.8'), {
      code,
      newGw: ip(newGw),
      oldGw: ip(oldGw),
      dev: lab.net.devGetByName('tap0')!,
    });
  }
  beforeEach(() => lab.run('neigh add 10.0.0.3 lladdr 02:00:00:00:00:03 dev tap0'));

  it('is taken from the gateway in use, for 300 s', () => {
    redirect('10.0.0.3');
    expect([lab.ask('8.8.8.8'), lab.ask('9.9.9.9')]).toEqual([
      'tap0 via 10.0.0.3 src 10.0.0.1',
      'tap0 via 10.0.0.2 src 10.0.0.1',
    ]);
    lab.net.timers.advanceTo(301_000);
    expect(lab.ask('8.8.8.8')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
  });
  it.each([
    ['is not from the gateway', '10.0.0.3', '10.0.0.9', 1],
    ['names what is no host', '224.0.0.1', '10.0.0.2', 1],
    ['names ourselves', '10.0.0.1', '10.0.0.2', 1],
    ['has an unknown code', '10.0.0.3', '10.0.0.2', 4],
  ])('is ignored where it %s', (_why, newGw, oldGw, code) => {
    redirect(newGw, oldGw, code);
    expect(lab.ask('8.8.8.8')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
  });
  it('only starts resolution of a gateway that is not known yet', () => {
    redirect('10.0.0.4');
    expect(lab.ask('8.8.8.8')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
  });
  it('is ignored where the sysctls say so', () => {
    lab.sysctl('net.ipv4.conf.all.accept_redirects', 0);
    lab.sysctl('net.ipv4.conf.tap0.accept_redirects', 0);
    redirect('10.0.0.3');
    expect(lab.ask('8.8.8.8')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
  });
  it('without shared media must name a listed gateway on the link', () => {
    lab.sysctl('net.ipv4.conf.all.shared_media', 0);
    lab.sysctl('net.ipv4.conf.tap0.shared_media', 0);
    redirect('10.0.0.3');
    expect(lab.ask('8.8.8.8')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
    lab.run('route add 55.0.0.0/8 via 10.0.0.3');
    redirect('10.0.0.3');
    expect(lab.ask('8.8.8.8')).toBe('tap0 via 10.0.0.3 src 10.0.0.1');
  });
});

describe('several nexthops', () => {
  const count = (wish: (i: number) => object = () => ({})): Record<string, number> => {
    const seen: Record<string, number> = {};
    for (let i = 0; i < 1000; i++) {
      const [dev] = lab.ask(`60.0.${i >> 8}.${i & 255}`, wish(i)).split(' ');
      seen[dev!] = (seen[dev!] ?? 0) + 1;
    }
    return seen;
  };
  it('share destinations by weight, and each destination keeps its own (E23)', () => {
    lab.run('route add 60.0.0.0/8 nexthop via 10.0.0.2 weight 1 nexthop via 10.1.0.2 weight 3');
    const { tap0 } = count();
    expect(tap0).toBeGreaterThan(190);
    expect(tap0).toBeLessThan(310);
    expect(new Set(Array.from({ length: 20 }, () => lab.ask('60.9.9.9'))).size).toBe(1);
  });
  it('follow a bound source since 6.15 (FIB-23), the hash alone before', () => {
    lab.run('route add 60.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.1.0.2');
    expect(count(() => ({ from: '10.1.0.1' }))).toEqual({ tap1: 1000 });
    lab = new RouteLab(KERNEL_PROFILES['6.1']);
    lab.run('route add 60.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.1.0.2');
    expect(count(() => ({ from: '10.1.0.1' })).tap0).toBeGreaterThan(400);
  });
  it('are passed over when down, without carrier where that counts, or not answering', () => {
    lab.run('route add 60.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.1.0.2', 'link set tap1 carrier off');
    expect(count().tap1).toBeGreaterThan(400);
    lab.sysctl('net.ipv4.conf.tap1.ignore_routes_with_linkdown', 1);
    // The shares are those of the last change of a link.
    expect(count().tap1).toBeGreaterThan(400);
    lab.run('link set tap1 carrier on', 'link set tap1 carrier off');
    expect(count()).toEqual({ tap0: 1000 });
    lab.run('link set tap1 carrier on', 'link set tap1 down');
    expect(count()).toEqual({ tap0: 1000 });
    lab.run(
      'link set tap1 up',
      'route replace 60.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.1.0.2',
      'neigh add 10.0.0.2 dev tap0 nud failed',
    );
    lab.sysctl('net.ipv4.fib_multipath_use_neigh', 1);
    expect(count()).toEqual({ tap1: 1000 });
  });
  it('spread ports by policy 1, and are fixed by an interface', () => {
    lab.run('route add 60.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.1.0.2');
    const ports = (): number =>
      new Set(Array.from({ length: 50 }, (_, i) => lab.ask('60.1.1.1', { sport: 1000 + i }))).size;
    expect(ports()).toBe(1);
    lab.sysctl('net.ipv4.fib_multipath_hash_policy', 1);
    expect(ports()).toBe(2);
    expect(count(() => ({ oif: lab.index('tap1') }))).toEqual({ tap1: 1000 });
  });
  it('of a default route are tried in order of what their neighbours say', () => {
    lab.run('route append default via 10.1.0.2', 'neigh add 10.0.0.2 dev tap0 nud failed');
    expect(lab.ask('8.8.8.8')).toBe('tap1 via 10.1.0.2 src 10.1.0.1');
    lab.run('neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev tap0 nud reachable');
    expect(lab.ask('8.8.8.8')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
  });
});

describe('a VRF', () => {
  beforeEach(() => {
    lab.run(
      'link add red type vrf table 10',
      'link set red up',
      'link set tap1 master red',
      'route add 50.0.0.0/8 via 10.1.0.2 vrf red',
    );
  });
  const red = (): { oif: number } => ({ oif: lab.index('red') });

  it('brings the l3mdev rule and takes the routes of its slaves (VRF-1)', () => {
    expect(lab.net.fibRules.list.map((rule) => [rule.pref, rule.l3mdev])).toEqual([
      [0, false],
      [1000, true],
      [32766, false],
      [32767, false],
    ]);
    expect(lab.ask('50.1.1.1')).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
    expect(lab.ask('50.1.1.1', red())).toBe('tap1 via 10.1.0.2 src 10.1.0.1');
    expect(lab.ask('50.1.1.1', { oif: lab.index('tap1') })).toBe('tap1 via 10.1.0.2 src 10.1.0.1');
    lab.run('link set tap1 nomaster');
    expect(lab.ask('10.1.0.5')).toBe('tap1 src 10.1.0.1');
  });
  it('is the loopback of its domain (VRF-4)', () => {
    expect(lab.ask('10.1.0.1', red())).toBe('red src 10.1.0.1 local');
    expect(lab.ask('10.1.0.1', { oif: lab.index('tap1') })).toBe('red src 10.1.0.1 local');
  });
  it('answers errors of its table, where an interface else reaches anything (VRF-3)', () => {
    lab.run('route add unreachable default vrf red metric 4278198272');
    expect(lab.ask('9.9.9.9', red())).toBe('EHOSTUNREACH');
    expect(lab.ask('9.9.9.9', { oif: lab.index('tap1') })).toBe('EHOSTUNREACH');
    expect(lab.ask('9.9.9.9', { oif: lab.index('tap0') })).toBe('tap0 via 10.0.0.2 src 10.0.0.1');
  });
  it('falls through to main from the master, not from a slave (VRF-8)', () => {
    expect(lab.ask('9.9.9.9', red())).toMatch(/^tap0 via 10.0.0.2/);
    expect(lab.ask('9.9.9.9', { oif: lab.index('tap1') })).toBe('ENETUNREACH');
    lab.run('link set red down');
    expect(lab.ask('50.1.1.1', red())).toBe('ENETUNREACH');
  });
  it('lends its own address to slaves that have none (VRF-5)', () => {
    lab.run(
      'addr add 44.4.4.4/32 dev red',
      'link set tap2 up',
      'link set tap2 master red',
      'route add 51.0.0.0/8 dev tap2 vrf red',
    );
    expect(lab.ask('51.1.1.1', red())).toBe('tap2 src 44.4.4.4');
  });
  it('lets go of its slaves when it goes', () => {
    lab.run('link del red');
    expect(lab.net.devGetByName('tap1')!.master).toBe(null);
    expect(lab.ask('10.1.0.5')).toBe('tap1 src 10.1.0.1');
  });
});
