import { describe, expect, test } from 'vitest';
import { neighAdd, neighDelete, neighDump } from '../../src/neigh/admin.js';
import { neighConfirm } from '../../src/neigh/output.js';
import { reachableTimeOf } from '../../src/neigh/state.js';
import { ipNeighForKey, neighLookup } from '../../src/neigh/table.js';
import { EEXIST, EINVAL, ENOBUFS, ENODEV, ENOENT } from '../../src/uapi/errno.js';
import { ARPHRD_NONE, IFF_LOOPBACK, IFF_NOARP, IFF_POINTOPOINT } from '../../src/uapi/if.js';
import { formatIPv4 } from '../../src/uapi/in.js';
import {
  NTF_PROXY,
  NTF_USE,
  NUD_FAILED,
  NUD_INCOMPLETE,
  NUD_NOARP,
  NUD_PERMANENT,
  NUD_REACHABLE,
  NUD_STALE,
} from '../../src/uapi/neighbour.js';
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../../src/uapi/rtnetlink.js';
import { hex, ip, Lab, mac, peerMac } from './lab.js';

const ASK = 'who-has 10.0.0.2 tell 10.0.0.1 to ff:ff:ff:ff:ff:ff';
const PROBE = 'who-has 10.0.0.2 tell 10.0.0.1 to 02:00:00:00:00:02';

function add(
  lab: Lab,
  address: string,
  state: number,
  lladdr?: Uint8Array,
  flags = NLM_F_CREATE | NLM_F_EXCL,
  ntf = 0,
) {
  const msg = { ifindex: lab.tap.ifindex, dst: ip(address), state, flags: ntf };
  return neighAdd(lab.net, lladdr === undefined ? msg : { ...msg, lladdr }, flags);
}

describe('what the address and the device decide (NEIGH-2)', () => {
  test('groups, broadcast addresses and the unknown', () => {
    const lab = new Lab();
    const ha = (address: string) => {
      const neigh = ipNeighForKey(lab.net, lab.tap, ip(address))!;
      return [neigh.nudState, hex(neigh.ha)];
    };
    expect(ha('239.129.2.3')).toEqual([NUD_NOARP, '01005e010203']);
    expect(ha('10.0.0.255')).toEqual([NUD_NOARP, 'ffffffffffff']);
    expect(ha('255.255.255.255')).toEqual([NUD_NOARP, 'ffffffffffff']);
    expect(ha('0.0.0.0')).toEqual([NUD_NOARP, 'ffffffffffff']);
    expect(ha('10.0.0.2')).toEqual([0, '000000000000']);
  });

  test('devices without ARP, point-to-point devices, devices without a header', () => {
    const lab = new Lab();
    const made = (flags: number, change: (dev: typeof lab.tap) => void = () => {}) => {
      const dev = lab.addDevice(`d${lab.net.devices.length}`, '02:00:00:00:00:99');
      dev.flags |= flags;
      change(dev);
      return ipNeighForKey(lab.net, dev, ip('10.9.9.9'))!;
    };
    expect(hex(made(IFF_NOARP).ha)).toBe('020000000099');
    const ptp = made(IFF_POINTOPOINT);
    expect([hex(ptp.ha), ptp.key, ptp.nudState]).toEqual(['ffffffffffff', 0, NUD_NOARP]);
    const lo = made(IFF_LOOPBACK);
    expect([hex(lo.ha), lo.key]).toEqual(['020000000099', 0]);
    const tun = made(0, (dev) => {
      dev.type = ARPHRD_NONE;
      dev.hardHeaderLen = 0;
    });
    expect([tun.nudState, tun.noHeader, tun.fastOutput]).toEqual([NUD_NOARP, true, true]);
  });

  test('a device without a link header sends the bare packet', () => {
    const lab = new Lab();
    lab.tap.hardHeaderLen = 0;
    lab.send('10.0.0.7', 5);
    const [frame] = lab.tap.drain();
    expect([frame!.bytes.length, frame!.bytes[0], frame!.bytes[20]]).toEqual([21, 0x45, 5]);
  });
});

describe('resolution', () => {
  test('NEIGH-5, NEIGH-11: asks at once, every second, and sends in order when answered', () => {
    const lab = new Lab();
    expect(lab.send('10.0.0.2', 1)).toBe(0);
    lab.send('10.0.0.2', 2);
    expect(lab.sent()).toEqual([ASK]);
    expect(lab.state('10.0.0.2')).toBe('INCOMPLETE');
    lab.sleep(999);
    expect(lab.sent()).toEqual([]);
    lab.sleep(1);
    expect(lab.sent()).toEqual([ASK]);
    lab.answer(2);
    expect(lab.sent()).toEqual(['ip 1 to 02:00:00:00:00:02', 'ip 2 to 02:00:00:00:00:02']);
    expect(lab.state('10.0.0.2')).toBe('REACHABLE');
    lab.send('10.0.0.2', 3);
    expect(lab.sent()).toEqual(['ip 3 to 02:00:00:00:00:02']);
    expect(lab.account.bytes).toBe(0);
    expect(lab.net.skbs.inUse).toBe(0);
  });

  test('the frame carries our address and the EtherType, from arena and from other memory', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', NUD_PERMANENT, peerMac(2));
    lab.send('10.0.0.2', 1);
    lab.send('10.0.0.2', 1);
    const slots: number[] = [];
    while (lab.net.arena.free > 0) slots.push(lab.net.arena.alloc(lab.net.arena.free > 64 ? 1 : 4000));
    lab.send('10.0.0.2', 1);
    const frames = lab.tap.drain().map((frame) => hex(frame.bytes));
    expect(frames).toHaveLength(3);
    for (const frame of frames) expect(frame).toMatch(/^020000000002020000000001080045/);
  });

  test('NEIGH-6, NEIGH-10: three requests, then the waiting packets fail; a later send starts anew', () => {
    const lab = new Lab();
    lab.send('10.0.0.2', 1);
    lab.send('10.0.0.2', 2);
    lab.sleep(2999);
    expect(lab.sent()).toEqual([ASK, ASK, ASK]);
    expect(lab.failed).toEqual([]);
    lab.sleep(1);
    expect(lab.failed).toEqual(['10.0.0.2 1', '10.0.0.2 2']);
    expect(lab.state('10.0.0.2')).toBe('FAILED');
    lab.sleep(10_000);
    expect(lab.sent()).toEqual([]);
    lab.send('10.0.0.2', 3);
    expect(lab.sent()).toEqual([ASK]);
    expect(lab.state('10.0.0.2')).toBe('INCOMPLETE');
    expect(lab.net.skbs.inUse).toBe(1);
  });

  test('mcast_solicit, app_solicit and retrans_time_ms count', () => {
    const lab = new Lab();
    lab.net.sysctl.set('net.ipv4.neigh.tap0.mcast_solicit', 2);
    lab.net.sysctl.set('net.ipv4.neigh.tap0.app_solicit', 1);
    lab.net.sysctl.set('net.ipv4.neigh.tap0.retrans_time_ms', 200);
    lab.send('10.0.0.2');
    expect(lab.sent()).toEqual([]); // the first is the daemon's
    lab.sleep(599);
    expect(lab.sent()).toEqual([ASK, ASK]);
    expect(lab.state('10.0.0.2')).toBe('INCOMPLETE');
    lab.sleep(1);
    expect(lab.state('10.0.0.2')).toBe('FAILED');
  });

  test('with no probes allowed a packet is dropped at once', () => {
    const lab = new Lab();
    lab.net.sysctl.set('net.ipv4.neigh.tap0.mcast_solicit', 0);
    expect(lab.send('10.0.0.2')).toBe(0);
    expect([lab.state('10.0.0.2'), lab.net.skbs.inUse, lab.failed]).toEqual(['FAILED', 0, []]);
  });

  test('NEIGH-9: the queue is bounded in bytes and the oldest give way', () => {
    const lab = new Lab();
    for (let i = 0; i < 200; i++) lab.send('10.0.0.2', i, { truesize: 2304 });
    const kept = Math.floor(212992 / 2304);
    expect(kept).toBe(92); // as measured for packets of 1004 bytes
    expect(lab.account.bytes).toBe(kept * 2304);
    expect(lab.net.arpTbl.stats.unresDiscards).toBe(200 - kept);
    lab.sent();
    lab.answer(2);
    const sent = lab.sent();
    expect(sent).toHaveLength(kept);
    expect(sent[0]).toBe(`ip ${200 - kept} to 02:00:00:00:00:02`);
    expect(lab.account.bytes).toBe(0);
  });

  test('a packet larger than the whole queue is kept alone', () => {
    const lab = new Lab();
    lab.send('10.0.0.2', 1);
    lab.send('10.0.0.2', 2, { truesize: 300_000 });
    expect(lab.account.bytes).toBe(300_000);
  });
});

describe('after resolution', () => {
  test('NEIGH-8: REACHABLE for a drawn time, then STALE; the draw is within [0.5, 1.5) of the base', () => {
    const times = new Set<number>();
    for (let seed = 1; seed <= 40; seed++) {
      const lab = new Lab(seed);
      const ms = reachableTimeOf(lab.net, lab.tap.ipPtr!.arpParms);
      expect(ms).toBeGreaterThanOrEqual(15_000);
      expect(ms).toBeLessThan(45_000);
      times.add(ms);
      lab.send('10.0.0.2');
      lab.answer(2);
      lab.sleep(ms - 1);
      expect(lab.state('10.0.0.2')).toBe('REACHABLE');
      lab.sleep(20);
      expect(lab.state('10.0.0.2')).toBe('STALE');
    }
    expect(times.size).toBeGreaterThan(30);
  });

  test('NEIGH-8: drawn anew when the base changes and every five minutes', () => {
    const lab = new Lab();
    const parms = lab.tap.ipPtr!.arpParms;
    const first = reachableTimeOf(lab.net, parms);
    lab.sleep(300_000);
    expect(reachableTimeOf(lab.net, parms)).toBe(first);
    lab.sleep(1);
    expect(reachableTimeOf(lab.net, parms)).not.toBe(first);
    lab.net.sysctl.set('net.ipv4.neigh.tap0.base_reachable_time_ms', 100);
    expect(reachableTimeOf(lab.net, parms)).toBeLessThan(150);
  });

  test('NEIGH-8: output to a connected neighbour is no use of it, a look at its state is', () => {
    const lab = new Lab();
    lab.net.sysctl.set('net.ipv4.neigh.tap0.base_reachable_time_ms', 2000);
    lab.send('10.0.0.2');
    lab.answer(2);
    // The first packet has been through the state machine at time 0, within delay_first_probe_time of the end.
    lab.sleep(3010);
    expect(lab.state('10.0.0.2')).toBe('DELAY');
  });

  test('NEIGH-4, NEIGH-7: STALE sends and delays; then unicast probes; then it fails', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', NUD_STALE, peerMac(2));
    lab.send('10.0.0.2', 1);
    expect(lab.sent()).toEqual(['ip 1 to 02:00:00:00:00:02']);
    expect(lab.state('10.0.0.2')).toBe('DELAY');
    lab.sleep(4999);
    expect(lab.sent()).toEqual([]);
    lab.sleep(1);
    expect(lab.sent()).toEqual([PROBE]);
    expect(lab.state('10.0.0.2')).toBe('PROBE');
    lab.send('10.0.0.2', 2);
    expect(lab.sent()).toEqual(['ip 2 to 02:00:00:00:00:02']);
    lab.sleep(2999);
    expect(lab.sent()).toEqual([PROBE, PROBE]);
    lab.sleep(1);
    expect(lab.state('10.0.0.2')).toBe('FAILED');
    expect(lab.failed).toEqual([]);
    lab.send('10.0.0.2', 3);
    expect(lab.sent()).toEqual([ASK]);
  });

  test('NEIGH-7: an answered probe makes it REACHABLE; mcast_resolicit asks everyone', () => {
    const lab = new Lab();
    lab.net.sysctl.set('net.ipv4.neigh.tap0.mcast_resolicit', 1);
    add(lab, '10.0.0.2', NUD_STALE, peerMac(2));
    lab.send('10.0.0.2');
    lab.sent();
    lab.sleep(8000);
    expect(lab.sent()).toEqual([PROBE, PROBE, PROBE, ASK]);
    lab.answer(2);
    expect(lab.state('10.0.0.2')).toBe('REACHABLE');
  });

  test('NEIGH-20: MSG_CONFIRM in DELAY skips the probes', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', NUD_STALE, peerMac(2));
    lab.send('10.0.0.2');
    lab.sleep(3000);
    lab.send('10.0.0.2', 1, { confirm: true });
    lab.sent();
    lab.sleep(2000);
    expect(lab.state('10.0.0.2')).toBe('REACHABLE');
    expect(lab.sent()).toEqual([]);
  });

  test('NEIGH-20: confirmation prolongs REACHABLE', () => {
    const lab = new Lab();
    lab.send('10.0.0.2');
    lab.answer(2);
    const ms = reachableTimeOf(lab.net, lab.tap.ipPtr!.arpParms);
    lab.sleep(ms - 100);
    neighConfirm(lab.net, neighLookup(lab.net, lab.tap, ip('10.0.0.2'))!);
    lab.sleep(ms - 100);
    expect(lab.state('10.0.0.2')).toBe('REACHABLE');
    lab.sleep(200);
    expect(lab.state('10.0.0.2')).toBe('STALE');
  });
});

describe('the administrator (NEIGH-13)', () => {
  test('errors', () => {
    const lab = new Lab();
    expect(add(lab, '10.0.0.2', NUD_PERMANENT).error).toBe(-EINVAL);
    expect(add(lab, '10.0.0.3', NUD_PERMANENT, peerMac(3), 0).error).toBe(-ENOENT);
    expect(add(lab, '10.0.0.3', NUD_PERMANENT, peerMac(3)).error).toBe(0);
    expect(add(lab, '10.0.0.3', NUD_PERMANENT, peerMac(3)).error).toBe(-EEXIST);
    expect(add(lab, '10.0.0.4', NUD_PERMANENT, Uint8Array.of(1, 2)).error).toBe(-EINVAL);
    expect(neighAdd(lab.net, { ifindex: 77, dst: 1 }, NLM_F_CREATE).error).toBe(-ENODEV);
    expect(neighAdd(lab.net, { ifindex: 0, dst: 1 }, NLM_F_CREATE).error).toBe(-EINVAL);
    expect(neighDelete(lab.net, { ifindex: lab.tap.ifindex, dst: ip('10.0.0.9') }).error).toBe(-ENOENT);
    expect(neighDelete(lab.net, { ifindex: 0, dst: ip('10.0.0.9') }).error).toBe(-EINVAL);
    expect(neighDelete(lab.net, { ifindex: 77, dst: 1 }).error).toBe(-ENODEV);
  });

  test('permanent entries are never probed and no packet changes them', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', NUD_PERMANENT, peerMac(2));
    lab.arp(2, [peerMac(9), '10.0.0.2'], [lab.tap.addr, '10.0.0.1']);
    lab.sleep(1_000_000);
    lab.send('10.0.0.2', 1);
    expect(lab.sent()).toEqual(['ip 1 to 02:00:00:00:00:02']);
    expect(lab.state('10.0.0.2')).toBe('PERMANENT');
  });

  test('replace changes address and state at once, change without REPLACE keeps the address', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', NUD_PERMANENT, peerMac(2));
    lab.send('10.0.0.2', 1);
    add(lab, '10.0.0.2', NUD_REACHABLE, peerMac(7), NLM_F_CREATE);
    lab.send('10.0.0.2', 2);
    add(lab, '10.0.0.2', NUD_REACHABLE, peerMac(7), NLM_F_CREATE | NLM_F_REPLACE);
    lab.send('10.0.0.2', 3);
    expect(lab.sent()).toEqual([2, 2, 7].map((n, i) => `ip ${i + 1} to 02:00:00:00:00:0${n}`));
    expect(lab.state('10.0.0.2')).toBe('REACHABLE');
  });

  test('R-5: incomplete by decree queues without asking; deletion fails what waits and a send resolves anew', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', NUD_INCOMPLETE);
    lab.send('10.0.0.2', 1);
    lab.sleep(60_000);
    expect(lab.sent()).toEqual([]);
    expect(lab.state('10.0.0.2')).toBe('INCOMPLETE');
    neighDelete(lab.net, { ifindex: lab.tap.ifindex, dst: ip('10.0.0.2') });
    expect(lab.failed).toEqual(['10.0.0.2 1']);
    expect(lab.state('10.0.0.2')).toBe('-');
    lab.send('10.0.0.2', 2);
    expect(lab.sent()).toEqual([ASK]);
  });

  test('failed by decree resolves with the next packet; noarp sends to what it is told', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', NUD_FAILED);
    expect(lab.state('10.0.0.2')).toBe('FAILED');
    lab.send('10.0.0.2');
    expect(lab.sent()).toEqual([ASK]);
    add(lab, '10.0.0.3', NUD_NOARP, peerMac(3));
    lab.send('10.0.0.3', 1);
    expect(lab.sent()).toEqual(['ip 1 to 02:00:00:00:00:03']);
  });

  test('NTF_USE starts resolution without a packet', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', 0, undefined, NLM_F_CREATE, NTF_USE);
    expect(lab.sent()).toEqual([ASK]);
  });

  test('the dump tells address and state of each; proxies are kept apart', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', NUD_PERMANENT, peerMac(2));
    lab.send('10.0.0.3');
    neighAdd(lab.net, { ifindex: lab.tap.ifindex, dst: ip('10.0.0.4'), flags: NTF_PROXY }, NLM_F_CREATE);
    const dump = neighDump(lab.net).map((m) => [formatIPv4(m.dst), m.state, m.lladdr && hex(m.lladdr)]);
    expect(dump).toEqual([
      ['10.0.0.2', NUD_PERMANENT, '020000000002'],
      ['10.0.0.3', NUD_INCOMPLETE, undefined],
    ]);
  });
});

describe('the table', () => {
  test('NEIGH-12: at gc_thresh3 creation fails; entries older than five seconds make room', () => {
    const lab = new Lab();
    for (let i = 0; i < 1024; i++) add(lab, `10.1.${i >> 8}.${i & 255}`, NUD_STALE, peerMac(2));
    expect(lab.net.arpTbl.entries).toBe(1024);
    expect(lab.send('10.0.0.2')).toBe(-ENOBUFS);
    expect(add(lab, '10.0.0.3', NUD_STALE, peerMac(3)).error).toBe(-ENOBUFS);
    expect(add(lab, '10.0.0.3', NUD_PERMANENT, peerMac(3)).error).toBe(0);
    lab.sleep(5001);
    expect(lab.send('10.0.0.2')).toBe(0);
    expect(lab.net.arpTbl.gcList.size).toBe(513);
  });

  test('NEIGH-12: from gc_thresh1 on, unused entries go after gc_stale_time; below it nothing does', () => {
    const lab = new Lab();
    for (let i = 0; i < 127; i++) add(lab, `10.1.0.${i}`, NUD_STALE, peerMac(2));
    lab.sleep(600_000);
    expect(lab.net.arpTbl.entries).toBe(127);
    add(lab, '10.1.1.1', NUD_PERMANENT, peerMac(2));
    lab.send('10.1.0.5');
    lab.arp(2, [peerMac(2), '10.1.0.5'], [lab.tap.addr, '10.0.0.1']);
    lab.sleep(20_000);
    expect(lab.net.arpTbl.entries).toBe(2); // the permanent one, and the one in use
  });

  test('NEIGH-14: carrier loss spares permanent entries, down and a new address spare none', () => {
    const fresh = () => {
      const lab = new Lab();
      add(lab, '10.0.0.2', NUD_PERMANENT, peerMac(2));
      add(lab, '10.0.0.3', NUD_STALE, peerMac(3));
      lab.send('10.0.0.4');
      return lab;
    };
    const carrier = fresh();
    carrier.net.setCarrier(carrier.tap, false);
    expect([...carrier.net.arpTbl.byDev.get(carrier.tap)!.values()].map((n) => n.key)).toEqual([
      ip('10.0.0.2'),
    ]);
    const down = fresh();
    down.net.devClose(down.tap);
    expect(down.net.arpTbl.entries).toBe(0);
    const moved = fresh();
    moved.net.devSetMacAddress(moved.tap, mac('02:00:00:00:00:77'));
    expect(moved.net.arpTbl.entries).toBe(0);
    const upper = fresh();
    upper.net.notifyNetdev('changeUpper', upper.tap);
    expect(upper.net.arpTbl.entries).toBe(0);
    const spared = fresh();
    spared.net.sysctl.set('net.ipv4.conf.tap0.arp_evict_nocarrier', 0);
    spared.net.setCarrier(spared.tap, false);
    expect(spared.net.arpTbl.entries).toBe(3);
    for (const lab of [carrier, down, moved, upper]) {
      expect([lab.net.skbs.inUse, lab.account.bytes, lab.failed.length]).toEqual([0, 0, 0]);
      expect(lab.net.timers.size).toBe(0);
    }
  });

  test('the last address of a device takes its neighbours along', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', NUD_PERMANENT, peerMac(2));
    const second = lab.addAddress(lab.tap, '10.7.0.1/24');
    const [first] = lab.tap.ipPtr!.ifaList.splice(0, 1);
    lab.net.notifyInetaddr('down', first!);
    expect(lab.net.arpTbl.entries).toBe(1);
    lab.tap.ipPtr!.ifaList.pop();
    lab.net.notifyInetaddr('down', second);
    expect(lab.net.arpTbl.entries).toBe(0);
  });

  test('a dead entry takes no packets', () => {
    const lab = new Lab();
    add(lab, '10.0.0.2', NUD_PERMANENT, peerMac(2));
    const neigh = neighLookup(lab.net, lab.tap, ip('10.0.0.2'))!;
    lab.send('10.0.0.2');
    lab.net.devClose(lab.tap);
    expect([neigh.dead, neigh.fastOutput]).toEqual([true, false]);
    expect(lab.net.skbs.inUse).toBe(0);
  });

  test('unregistering and closing leave nothing behind', () => {
    const lab = new Lab();
    lab.send('10.0.0.2');
    lab.answer(2);
    lab.send('10.0.0.3');
    lab.net.unregisterNetdevice(lab.tap);
    expect([lab.net.arpTbl.entries, lab.net.arpTbl.byDev.size, lab.net.arpTbl.reachable.size]).toEqual([
      0, 0, 0,
    ]);
    expect([lab.net.timers.size, lab.net.skbs.inUse]).toEqual([0, 0]);
  });
});

test('the tracer hears the way of a neighbour', () => {
  const lab = new Lab();
  lab.send('10.0.0.2');
  lab.answer(2);
  lab.send('10.0.0.2');
  expect(lab.events.map((event) => event.text)).toEqual([
    '10.0.0.2 on tap0 is not resolved: NONE',
    '10.0.0.2 dev tap0: NONE → INCOMPLETE',
    '10.0.0.2 is not resolved yet: the packet waits (768 of 212992 bytes)',
    'who-has 10.0.0.2 tell 10.0.0.1',
    '10.0.0.2 dev tap0: INCOMPLETE → REACHABLE',
    '10.0.0.2 is 02:00:00:00:00:02, REACHABLE',
  ]);
});
