import { describe, expect, test } from 'vitest';
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOBUFS, ENODEV } from '../../src/uapi/errno.js';
import { ipMcSfAllow } from '../../src/udp/mc_sf.js';
import { ipMcJoinGroup, ipMcMsfget } from '../../src/udp/mcast.js';
import { ip, Lab } from './igmp_lab.js';

const GROUP = '239.1.2.3';

describe('memberships of a socket (MC-20)', () => {
  test('errors of joining', () => {
    const lab = new Lab();
    const s = lab.socket();
    expect(s.join('10.1.1.1')).toBe(-EINVAL);
    expect(s.join(GROUP, 99)).toBe(-ENODEV);
    expect(s.join(GROUP, '10.9.0.77')).toBe(-ENODEV);
    expect(s.join(GROUP, '0.0.0.0')).toBe(-ENODEV); // no route
    expect(s.join(GROUP, '10.9.0.2')).toBe(0);
    expect(s.join(GROUP)).toBe(-EADDRINUSE);
    for (let i = 1; i < 20; i++) expect(s.join(`239.0.0.${i}`)).toBe(0);
    expect(s.join('239.0.0.20')).toBe(-ENOBUFS);
    lab.sysctl('net.ipv4.igmp_max_memberships', 21);
    expect(s.join('239.0.0.20')).toBe(0);
  });

  test('errors of leaving', () => {
    const lab = new Lab();
    const s = lab.socket();
    expect(s.leave(GROUP)).toBe(-EADDRNOTAVAIL);
    expect(s.leave(GROUP, '0.0.0.0')).toBe(-ENODEV);
    s.join(GROUP);
    expect(s.leave(GROUP, 1)).toBe(-EADDRNOTAVAIL);
    expect(s.leave(GROUP, '10.9.0.2')).toBe(0);
    expect(s.leave(GROUP)).toBe(-EADDRNOTAVAIL);
    s.join(GROUP, '10.9.0.2');
    expect(s.leave(GROUP, '10.9.0.77')).toBe(-EADDRNOTAVAIL);
    expect(s.omemAlloc).toBe(48);
  });

  test('one group on two devices are two memberships', () => {
    const lab = new Lab();
    const tap1 = lab.addDevice('tap1', Uint8Array.of(2, 0, 0, 0, 9, 3), '10.8.0.2');
    const s = lab.socket();
    expect([s.join(GROUP), s.join(GROUP, tap1.ifindex)]).toEqual([0, 0]);
    s.leave(GROUP);
    expect(s.mcList.map((m) => m.ifindex)).toEqual([tap1.ifindex]);
  });

  test('option memory bounds them', () => {
    const lab = new Lab();
    lab.sysctl('net.core.optmem_max', 100);
    const s = lab.socket();
    expect([s.join('239.0.0.1'), s.join('239.0.0.2'), s.join('239.0.0.3')]).toEqual([0, 0, -ENOBUFS]);
  });

  test('a network that does not exist yet routes nowhere', () => {
    const lab = new Lab();
    lab.net.unregisterNetdevice(lab.tap);
    const mreqn = { multiaddr: ip(GROUP), address: 0, ifindex: 0 };
    expect(ipMcJoinGroup(lab.net, lab.socket(), mreqn, 0)).toBe(-ENODEV);
  });
});

describe('source filters of a socket', () => {
  test('errors', () => {
    const lab = new Lab();
    const s = lab.socket();
    expect(s.block(GROUP, '10.0.0.1')).toBe(-EINVAL); // not joined
    expect(s.block('10.1.1.1', '10.0.0.1')).toBe(-EINVAL);
    s.join(GROUP);
    expect(s.unblock(GROUP, '10.0.0.1')).toBe(-EADDRNOTAVAIL);
    expect(s.block(GROUP, '10.0.0.1')).toBe(0);
    expect(s.block(GROUP, '10.0.0.1')).toBe(-EADDRNOTAVAIL);
    expect(s.allow(GROUP, '10.0.0.2')).toBe(-EINVAL); // a filter of the other mode
    expect(s.unblock(GROUP, '10.0.0.1')).toBe(0);
    expect(s.allow(GROUP, '10.0.0.2')).toBe(-EINVAL); // even once it is empty
    for (let i = 1; i <= 10; i++) expect(s.block(GROUP, `10.0.1.${i}`)).toBe(0);
    expect(s.block(GROUP, '10.0.1.11')).toBe(-ENOBUFS);
  });

  test('the mode of a membership without a filter may change', () => {
    const lab = new Lab();
    const s = lab.socket();
    s.join(GROUP);
    expect(s.allow(GROUP, '10.0.0.2')).toBe(0);
    expect(s.mcList[0]!.sfmode).toBe(1);
    expect(s.disallow(GROUP, '10.0.0.3')).toBe(-EADDRNOTAVAIL);
    expect(s.disallow(GROUP, '10.0.0.2')).toBe(0);
    expect(s.mcList).toEqual([]); // including nothing is leaving
    expect(s.omemAlloc).toBe(0);
  });

  test('a whole filter is set and read', () => {
    const lab = new Lab();
    const s = lab.socket();
    const get = () => ipMcMsfget(lab.net, s, { multiaddr: ip(GROUP), address: 0, ifindex: lab.tap.ifindex });
    expect(s.filter(GROUP, 0, '10.0.0.1')).toBe(-EINVAL); // not joined
    expect(get()).toBe(-EADDRNOTAVAIL);
    s.join(GROUP);
    expect(s.filter(GROUP, 7)).toBe(-EINVAL);
    expect(get()).toEqual({ fmode: 0, sources: [] });
    expect(s.filter(GROUP, 1, '10.0.0.1', '10.0.0.2')).toBe(0);
    expect(get()).toEqual({ fmode: 1, sources: [ip('10.0.0.1'), ip('10.0.0.2')] });
    expect(s.filter(GROUP, 1)).toBe(0);
    expect(s.mcList).toEqual([]);
    expect([s.filter(GROUP, 1), s.omemAlloc]).toEqual([-EADDRNOTAVAIL, 0]);
  });

  test('what a socket lets in (MC-4)', () => {
    const lab = new Lab();
    const s = lab.socket();
    const dif = lab.tap.ifindex;
    const allow = (source: string, on = dif) => ipMcSfAllow(s, ip(GROUP), ip(source), on, 0);
    expect([allow('10.0.0.1'), ipMcSfAllow(s, ip('10.9.0.2'), ip('10.0.0.1'), dif, 0)]).toEqual([true, true]);
    s.mcAll = false;
    expect(allow('10.0.0.1')).toBe(false);
    s.join(GROUP);
    expect([allow('10.0.0.1'), allow('10.0.0.1', 77)]).toEqual([true, false]);
    expect(ipMcSfAllow(s, ip(GROUP), ip('10.0.0.1'), 77, dif)).toBe(true);
    s.block(GROUP, '10.0.0.1');
    expect([allow('10.0.0.1'), allow('10.0.0.2')]).toEqual([false, true]);
    s.filter(GROUP, 1, '10.0.0.1');
    expect([allow('10.0.0.1'), allow('10.0.0.2')]).toEqual([true, false]);
  });
});
