import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { neighAdd } from '../../src/neigh/admin.js';
import { neighLookup } from '../../src/neigh/table.js';
import { IFF_NOARP } from '../../src/uapi/if.js';
import { NTF_PROXY, NUD_STALE } from '../../src/uapi/neighbour.js';
import { NLM_F_CREATE } from '../../src/uapi/rtnetlink.js';
import { hex, ip, Lab, mac, peerMac } from './lab.js';

const ZERO = new Uint8Array(6);
const request = (lab: Lab, n: number, target: string, sender = `10.0.0.${n}`) =>
  lab.arp(1, [peerMac(n), sender], [ZERO, target]);
const maybe = (lab: Lab, n: number, target: string, sender?: string): string[] => {
  request(lab, n, target, sender);
  return lab.sent();
};
const ANSWER = '10.0.0.1 is-at 02:00:00:00:00:01 to 02:00:00:00:00:07';

test('VEC-30: a request', () => {
  const lab = new Lab();
  lab.send('10.0.0.2');
  expect(hex(lab.tap.drain()[0]!.bytes)).toBe(
    'ffffffffffff02000000000108060001080006040001' + '0200000000010a0000010000000000000a000002',
  );
});

test('VEC-31: an answer', () => {
  const lab = new Lab();
  request(lab, 7, '10.0.0.1');
  expect(hex(lab.tap.drain()[0]!.bytes)).toBe(
    '02000000000702000000000108060001080006040002' + '0200000000010a0000010200000000070a000007',
  );
});

describe('who asks (ARP-2)', () => {
  const asks = (announce: number, from: string, ...more: string[]) => {
    const lab = new Lab();
    lab.addDevice('tap1', '02:00:00:00:01:01', '10.5.0.1/24');
    for (const address of more) lab.addAddress(lab.tap, address);
    lab.net.sysctl.set('net.ipv4.conf.tap0.arp_announce', announce);
    lab.send('10.0.0.2', 0, { from });
    return lab.sent()[0]!.split(' ')[3];
  };
  test('0: any local source, else one of the device', () => {
    expect(asks(0, '10.5.0.1')).toBe('10.5.0.1');
    expect(asks(0, '10.99.0.1')).toBe('10.0.0.1');
  });
  test('1: a source that the target knows', () => {
    expect(asks(1, '10.5.0.1')).toBe('10.0.0.1');
    expect(asks(1, '10.0.0.50', '10.0.0.50/24')).toBe('10.0.0.50');
  });
  test('2: always the device’s own', () => {
    expect(asks(2, '10.0.0.50', '10.0.0.50/24')).toBe('10.0.0.1');
  });
  test('the larger of all and the device counts', () => {
    const lab = new Lab();
    lab.addDevice('tap1', '02:00:00:00:01:01', '10.5.0.1/24');
    lab.net.sysctl.set('net.ipv4.conf.all.arp_announce', 2);
    lab.send('10.0.0.2', 0, { from: '10.5.0.1' });
    expect(lab.sent()[0]).toContain('tell 10.0.0.1 ');
  });
  test('0.0.0.0 where there is no address', () => {
    const lab = new Lab();
    lab.tap.ipPtr!.ifaList.length = 0;
    lab.send('10.0.0.2', 0, { from: '10.5.0.1' });
    expect(lab.sent()).toEqual(['who-has 10.0.0.2 tell 0.0.0.0 to ff:ff:ff:ff:ff:ff']);
  });
});

describe('answers (ARP-4, ARP-7)', () => {
  test('for any of our addresses, and the requester is known as STALE', () => {
    const lab = new Lab();
    lab.addDevice('tap1', '02:00:00:00:01:01', '10.5.0.1/24');
    expect(maybe(lab, 7, '10.0.0.1')).toEqual([ANSWER]);
    expect(lab.state('10.0.0.7')).toBe('STALE');
    expect(maybe(lab, 7, '10.5.0.1')).toEqual(['10.5.0.1 is-at 02:00:00:00:00:01 to 02:00:00:00:00:07']);
    expect(maybe(lab, 7, '10.0.0.99')).toEqual([]);
    expect(maybe(lab, 7, '10.0.0.1', '172.16.0.9')).toEqual([ANSWER]);
    expect(lab.state('172.16.0.9')).toBe('STALE');
  });

  test('duplicate address detection is answered to 0.0.0.0 and makes no entry', () => {
    const lab = new Lab();
    request(lab, 7, '10.0.0.1', '0.0.0.0');
    expect(hex(lab.tap.drain()[0]!.bytes).slice(-20)).toBe('02000000000700000000');
    expect(lab.net.arpTbl.entries).toBe(0);
  });

  test('R-5: a request that claims our own address gets none', () => {
    const lab = new Lab();
    expect(maybe(lab, 7, '10.0.0.1', '10.0.0.1')).toEqual([]);
    expect(lab.net.arpTbl.entries).toBe(0);
  });

  test('R-5: a request from a neighbour that we wait for releases the queue first', () => {
    const lab = new Lab();
    lab.send('10.0.0.7', 1);
    lab.sent();
    expect(maybe(lab, 7, '10.0.0.1')).toEqual(['ip 1 to 02:00:00:00:00:07', ANSWER]);
    expect(lab.state('10.0.0.7')).toBe('DELAY'); // STALE, and used at once
  });

  test('arp_ignore', () => {
    const under = (ignore: number, target: string, sender = '10.0.0.7', scope = 0) => {
      const lab = new Lab();
      lab.addDevice('tap1', '02:00:00:00:01:01', '10.5.0.1/24');
      lab.addAddress(lab.tap, '10.6.0.1/24', scope);
      lab.net.sysctl.set('net.ipv4.conf.tap0.arp_ignore', ignore);
      return maybe(lab, 7, target, sender).length === 1;
    };
    expect([under(0, '10.5.0.1'), under(1, '10.5.0.1'), under(1, '10.0.0.1')]).toEqual([true, false, true]);
    expect([under(2, '10.0.0.1'), under(2, '10.0.0.1', '10.88.0.7')]).toEqual([true, false]);
    expect([under(3, '10.6.0.1'), under(3, '10.6.0.1', '10.0.0.7', 254)]).toEqual([true, false]);
    expect([under(8, '10.0.0.1'), under(4, '10.5.0.1')]).toEqual([false, true]);
  });

  test('arp_filter: only through the device that leads back', () => {
    const lab = new Lab();
    const tap1 = lab.addDevice('tap1', '02:00:00:00:01:01', '10.5.0.1/24');
    lab.net.sysctl.set('net.ipv4.conf.all.arp_filter', 1);
    expect(maybe(lab, 7, '10.5.0.1')).toHaveLength(1);
    lab.arp(1, [peerMac(7), '10.0.0.7'], [ZERO, '10.5.0.1'], 'all', tap1);
    expect(lab.sent(tap1)).toEqual([]);
  });

  test('ARP-3: nothing for groups, loopback addresses, other operations, foreign frames and devices without ARP', () => {
    const lab = new Lab();
    expect(maybe(lab, 7, '239.1.1.1')).toEqual([]);
    lab.addAddress(lab.tap, '127.5.5.5/8');
    expect(maybe(lab, 7, '127.5.5.5')).toEqual([]);
    lab.net.sysctl.set('net.ipv4.conf.tap0.route_localnet', 1);
    expect(maybe(lab, 7, '127.5.5.5')).toHaveLength(1);
    lab.arp(3, [peerMac(7), '10.0.0.7'], [ZERO, '10.0.0.1']);
    lab.tap.addr = mac('02:00:00:00:00:aa');
    const frame = Buffer.from(
      '02000000000102000000000708060001080006040001' + '0200000000070a0000070000000000000a000001',
      'hex',
    );
    lab.tap.inject(frame); // to the address that the device no longer has
    lab.tap.flags |= IFF_NOARP;
    request(lab, 7, '10.0.0.1');
    expect(lab.sent()).toEqual([]);
  });

  test('hardware type 6 passes, another protocol or length does not', () => {
    const lab = new Lab();
    const good = 'ffffffffffff02000000000708060006080006040001' + '0200000000070a0000070000000000000a000001';
    lab.tap.inject(Buffer.from(good, 'hex'));
    expect(lab.sent()).toEqual([ANSWER]);
    for (const bad of [
      good.replace('08060006', '08060007'),
      good.replace('08000604', '86dd0604'),
      good.replace('0604', '0610'),
      good.slice(0, 80),
    ]) {
      lab.tap.inject(Buffer.from(bad, 'hex'));
      expect(lab.sent()).toEqual([]);
    }
  });
});

describe('learning (ARP-5, ARP-6)', () => {
  test('an unknown sender is ignored unless arp_accept says so', () => {
    const lab = new Lab();
    lab.answer(5);
    lab.arp(1, [peerMac(5), '10.0.0.5'], [ZERO, '10.0.0.5']);
    expect(lab.state('10.0.0.5')).toBe('-');
    lab.net.sysctl.set('net.ipv4.conf.tap0.arp_accept', 1);
    lab.answer(5);
    expect(lab.state('10.0.0.5')).toBe('REACHABLE');
    lab.arp(1, [peerMac(6), '10.0.0.6'], [ZERO, '10.0.0.6']);
    expect(lab.state('10.0.0.6')).toBe('STALE');
    lab.arp(1, [peerMac(8), '10.0.0.8'], [ZERO, '10.0.0.9']);
    expect(lab.state('10.0.0.8')).toBe('-');
  });

  test('arp_accept 2: only from the subnets of the device', () => {
    const lab = new Lab();
    lab.net.sysctl.set('net.ipv4.conf.tap0.arp_accept', 2);
    lab.answer(5);
    lab.arp(2, [peerMac(5), '10.77.0.5'], [lab.tap.addr, '10.0.0.1']);
    expect([lab.state('10.0.0.5'), lab.state('10.77.0.5')]).toEqual(['REACHABLE', '-']);
  });

  test('a broadcast answer and a request of others leave it STALE, and what waited makes that DELAY', () => {
    const lab = new Lab();
    lab.send('10.0.0.2');
    lab.arp(2, [peerMac(2), '10.0.0.2'], [lab.tap.addr, '10.0.0.1'], 'all');
    expect(lab.state('10.0.0.2')).toBe('DELAY');
    lab.send('10.0.0.3');
    lab.arp(1, [peerMac(3), '10.0.0.3'], [ZERO, '10.0.0.77']);
    expect(lab.state('10.0.0.3')).toBe('DELAY');
  });

  test('locktime: a second answer within a second does not move it, later or gratuitous ones do', () => {
    const lab = new Lab();
    lab.send('10.0.0.2');
    lab.answer(2);
    const from = (n: number) => lab.arp(2, [peerMac(n), '10.0.0.2'], [lab.tap.addr, '10.0.0.1']);
    const ha = () => hex(neighLookup(lab.net, lab.tap, ip('10.0.0.2'))!.ha);
    lab.sleep(500);
    from(8);
    expect(ha()).toBe('020000000002');
    lab.arp(1, [peerMac(9), '10.0.0.2'], [ZERO, '10.0.0.2']);
    expect(ha()).toBe('020000000009');
    expect(lab.state('10.0.0.2')).toBe('STALE');
    lab.sleep(1001);
    from(8);
    expect([ha(), lab.state('10.0.0.2')]).toEqual(['020000000008', 'REACHABLE']);
    lab.send('10.0.0.2', 4);
    expect(lab.sent().at(-1)).toBe('ip 4 to 02:00:00:00:00:08');
  });

  test('a gratuitous reply must name one hardware address twice', () => {
    const lab = new Lab();
    lab.send('10.0.0.2');
    lab.answer(2);
    lab.arp(2, [peerMac(9), '10.0.0.2'], [ZERO, '10.0.0.2'], 'all');
    expect(hex(neighLookup(lab.net, lab.tap, ip('10.0.0.2'))!.ha)).toBe('020000000002');
    lab.arp(2, [peerMac(9), '10.0.0.2'], [peerMac(9), '10.0.0.2'], 'all');
    expect(hex(neighLookup(lab.net, lab.tap, ip('10.0.0.2'))!.ha)).toBe('020000000009');
  });

  test('drop_gratuitous_arp', () => {
    const lab = new Lab();
    lab.net.sysctl.set('net.ipv4.conf.tap0.drop_gratuitous_arp', 1);
    lab.send('10.0.0.2');
    lab.arp(1, [peerMac(2), '10.0.0.2'], [ZERO, '10.0.0.2']);
    expect(lab.state('10.0.0.2')).toBe('INCOMPLETE');
  });
});

describe('proxy (ARP-5)', () => {
  const forwarding = () => {
    const lab = new Lab();
    const tap1 = lab.addDevice('tap1', '02:00:00:00:01:01', '10.5.0.1/24');
    lab.net.sysctl.set('net.ipv4.ip_forward', 1);
    return { lab, tap1 };
  };
  test('answers for what it forwards to elsewhere, after proxy_delay', () => {
    const { lab } = forwarding();
    expect(maybe(lab, 7, '10.5.0.9')).toEqual([]);
    lab.net.sysctl.set('net.ipv4.conf.tap0.proxy_arp', 1);
    expect(maybe(lab, 7, '10.5.0.9')).toEqual([]);
    lab.sleep(800);
    expect(lab.sent()).toEqual(['10.5.0.9 is-at 02:00:00:00:00:01 to 02:00:00:00:00:07']);
    expect(maybe(lab, 7, '10.0.0.9')).toEqual([]); // same device
    lab.sleep(800);
    expect(lab.sent()).toEqual([]);
    lab.net.sysctl.set('net.ipv4.neigh.tap0.proxy_delay', 0);
    expect(maybe(lab, 7, '10.5.0.9')).toHaveLength(1);
    expect(lab.net.skbs.inUse).toBe(0);
  });
  test('single addresses, private VLANs', () => {
    const { lab } = forwarding();
    lab.net.sysctl.set('net.ipv4.neigh.tap0.proxy_delay', 0);
    neighAdd(lab.net, { ifindex: lab.tap.ifindex, dst: ip('10.5.0.9'), flags: NTF_PROXY }, NLM_F_CREATE);
    expect(maybe(lab, 7, '10.5.0.9')).toHaveLength(1);
    expect(maybe(lab, 7, '10.5.0.8')).toEqual([]);
    lab.net.sysctl.set('net.ipv4.conf.tap0.proxy_arp_pvlan', 1);
    expect(maybe(lab, 7, '10.0.0.9')).toHaveLength(1);
  });
  test('what waits is bounded and goes with the device', () => {
    const { lab } = forwarding();
    lab.net.sysctl.set('net.ipv4.conf.tap0.proxy_arp', 1);
    for (let i = 0; i < 300; i++) request(lab, 7, '10.5.0.9');
    expect(lab.net.arpTbl.proxy.queue.length).toBe(65);
    lab.net.devClose(lab.tap);
    expect(lab.net.skbs.inUse).toBe(0);
  });
});

test('ARP-8: with arp_notify each address is told when the device comes up or gets another MAC', () => {
  const lab = new Lab();
  lab.addAddress(lab.tap, '10.6.0.1/24');
  lab.net.devClose(lab.tap);
  lab.net.devOpen(lab.tap);
  expect(lab.sent()).toEqual([]);
  lab.net.sysctl.set('net.ipv4.conf.tap0.arp_notify', 1);
  lab.net.devClose(lab.tap);
  lab.net.devOpen(lab.tap);
  const told = ['10.0.0.1', '10.6.0.1'].map((a) => `who-has ${a} tell ${a} to ff:ff:ff:ff:ff:ff`);
  expect(lab.sent()).toEqual(told);
  lab.net.devSetMacAddress(lab.tap, mac('02:00:00:00:00:55'));
  expect(lab.sent()).toEqual(told);
});

describe('hostile neighbours', () => {
  test('requests from a whole /8 fill the table to its limit and no further', () => {
    const lab = new Lab();
    lab.net.tracer = null;
    for (let i = 0; i < 20_000; i++) {
      const address = `10.${(i * 7919) % 256}.${(i >> 8) & 255}.${i & 255}`;
      request(lab, 7, '10.0.0.1', address);
      if (i % 512 === 0) lab.tap.drain();
    }
    expect(lab.net.arpTbl.entries).toBeLessThanOrEqual(1024);
    expect(lab.net.skbs.inUse).toBe(0);
  });

  test('no frame makes the stack throw or leak', () => {
    const seeds = [
      'ffffffffffff02000000000708060001080006040001' + '0200000000070a0000070000000000000a000001',
      '02000000000102000000000208060001080006040002' + '0200000000020a0000020200000000010a000001',
    ].map((text) => Buffer.from(text, 'hex'));
    const lab = new Lab();
    lab.net.tracer = null;
    lab.net.sysctl.set('net.ipv4.conf.tap0.arp_accept', 1);
    const change = fc.record({ at: fc.nat(41), to: fc.nat(255) });
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(change, { maxLength: 6 }),
        fc.nat(64),
        fc.nat(1),
        (seed, changes, length, dense) => {
          const frame = new Uint8Array(dense ? 42 : length);
          frame.set(seed.subarray(0, frame.length));
          for (const { at, to } of changes) if (at < frame.length) frame[at] = to;
          if (frame.length > 14) lab.send('10.0.0.2');
          lab.tap.inject(frame);
          lab.sleep(37);
          lab.tap.drain();
        },
      ),
      { numRuns: 3000 },
    );
    lab.net.devClose(lab.tap);
    expect([lab.net.skbs.inUse, lab.net.arpTbl.entries, lab.account.bytes]).toEqual([0, 0, 0]);
  });

  test('any order of events leaves every packet sent, waiting, or given up', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('send'), n: fc.integer({ min: 2, max: 4 }) }),
      fc.record({ kind: fc.constant('answer'), n: fc.integer({ min: 2, max: 4 }) }),
      fc.record({ kind: fc.constant('stale'), n: fc.integer({ min: 2, max: 4 }) }),
      fc.record({ kind: fc.constant('sleep'), n: fc.integer({ min: 1, max: 7000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(1000), (steps, seed) => {
        const lab = new Lab(seed + 1);
        let given = 0;
        let sent = 0;
        for (const { kind, n } of steps) {
          if (kind === 'send') {
            lab.send(`10.0.0.${n}`, n);
            given++;
          } else if (kind === 'answer') lab.answer(n);
          else if (kind === 'sleep') lab.sleep(n);
          else
            neighAdd(
              lab.net,
              { ifindex: lab.tap.ifindex, dst: ip(`10.0.0.${n}`), state: NUD_STALE, lladdr: peerMac(n) },
              NLM_F_CREATE,
            );
          sent += lab.sent().filter((line) => line.startsWith('ip')).length;
        }
        expect(sent + lab.failed.length + lab.net.skbs.inUse).toBe(given);
        lab.sleep(30_000);
        sent += lab.sent().filter((line) => line.startsWith('ip')).length;
        expect(sent + lab.failed.length).toBe(given);
        expect(lab.account.bytes).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
