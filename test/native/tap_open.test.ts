import { readdirSync, readlinkSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Addon, NativeTap } from '../../src/dev/addon.js';
import {
  IFF_MULTI_QUEUE,
  IFF_NO_CARRIER,
  IFF_TAP,
  IFF_TUN_EXCL,
  IFF_VNET_HDR,
} from '../../src/uapi/if_tun.js';
import { because, enterNamespace, framesIn, ip, leaveNamespace, NO_TAP, openTap, sending } from './lab.js';

const EBUSY = 16;
const EINVAL = 22;
const EBADFD = 77;

function openDescriptors(): number {
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === '/dev/net/tun') count++;
    } catch {} // the listing's own
  }
  return count;
}

describe.skipIf(NO_TAP)(because('opening and configuring a TAP', NO_TAP), () => {
  let addon: Addon;
  const opened: number[] = [];
  const open = (name?: string, flags?: number): NativeTap => {
    const tap = openTap(name, flags);
    opened.push(tap.id);
    return tap;
  };
  beforeAll(() => {
    addon = enterNamespace();
  });
  afterAll(leaveNamespace);
  afterEach(() => {
    for (const id of opened.splice(0)) addon.tapClose(id);
    expect(openDescriptors()).toBe(0);
  });

  it('takes the given name, and the kernel fills in a template or an empty name', () => {
    expect(open('cable').name).toBe('cable');
    expect(open('wire%d').name).toBe('wire0');
    expect(open('wire%d').name).toBe('wire1');
    expect(open('').name).toBe('tap0');
    expect(open('exactly15bytes0').name).toBe('exactly15bytes0');
    expect(addon.ifNameToIndex('wire1')).toBeGreaterThan(0);
  });

  it('throws for a name that is too long, holds a NUL or is no string, and for unknown flags', () => {
    expect(() => addon.tapOpen('sixteen-bytes-xx', 0)).toThrow(RangeError);
    expect(() => addon.tapOpen('ééééééé.é', 0)).toThrow(RangeError);
    expect(() => addon.tapOpen('a\0b', 0)).toThrow(TypeError);
    for (const bad of [undefined, null, 7, {}, Symbol('x'), 'x'.repeat(1e6)]) {
      expect(() => addon.tapOpen(bad as string, 0)).toThrow(/interface name/);
    }
    for (const bad of [-1, 0.5, Number.NaN, 0x10000, 0x0001, 0x0800]) {
      expect(() => addon.tapOpen('x', bad)).toThrow(RangeError);
    }
    expect(() => addon.tapOpen('x', '0' as unknown as number)).toThrow(TypeError);
    expect(() => (addon.tapOpen as unknown as () => void)()).toThrow(TypeError);
  });

  it('gives what the kernel refuses as a value', () => {
    expect(addon.tapOpen('a/b', 0)).toBe(-EINVAL);
    expect(addon.tapOpen('two%d%d', 0)).toBe(-EINVAL);
    open('once');
    expect(addon.tapOpen('once', 0)).toBe(-EBUSY);
    expect(addon.tapOpen('once', IFF_TUN_EXCL)).toBe(-EBUSY);
    expect(addon.tapOpen('once', IFF_MULTI_QUEUE)).toBe(-EINVAL);
  });

  it('has the flags that were asked for', () => {
    expect(addon.tapFlags(open('plain').id) & (IFF_TAP | IFF_VNET_HDR | IFF_MULTI_QUEUE)).toBe(IFF_TAP);
    const { id } = open('fancy', IFF_VNET_HDR | IFF_MULTI_QUEUE);
    expect(addon.tapFlags(id) & (IFF_VNET_HDR | IFF_MULTI_QUEUE)).toBe(IFF_VNET_HDR | IFF_MULTI_QUEUE);
  });

  it('attaches one queue for each open with IFF_MULTI_QUEUE, and each one sends', () => {
    const queues = [0, 1, 2].map(() => open('queues', IFF_MULTI_QUEUE));
    ip('link set queues up');
    for (const queue of queues) expect(sending(queue, 2).flush(2)).toEqual({ taken: 2, errno: 0 });
    expect(framesIn('queues')).toBe(6);
    expect(addon.tapOpen('queues', 0)).toBe(-EINVAL);
  });

  it('keeps a persistent interface and attaches to it again; otherwise it goes with its descriptor', () => {
    const first = open('stays');
    expect(addon.tapSetPersist(first.id, true)).toBe(0);
    const index = addon.ifNameToIndex('stays');
    addon.tapClose(first.id);
    expect(addon.ifNameToIndex('stays')).toBe(index);
    const again = open('stays');
    expect(addon.ifNameToIndex('stays')).toBe(index);
    expect(addon.tapSetPersist(again.id, false)).toBe(0);
    addon.tapClose(again.id);
    expect(addon.ifNameToIndex('stays')).toBe(-19);
  });

  it('sets owner and group', () => {
    const { id } = open('owned');
    expect(addon.tapSetOwner(id, 65534)).toBe(0);
    expect(addon.tapSetGroup(id, 4294967294)).toBe(0);
    expect(ip('-d link show owned')).toMatch(/user nobody group 4294967294/);
    expect(() => addon.tapSetOwner(id, -1)).toThrow(RangeError);
  });

  it('sets offloads by the rules of TUN-11 and the carrier', () => {
    const { id } = open('loads', IFF_VNET_HDR);
    expect(addon.tapSetOffload(id, 0x61)).toBe(0);
    expect(addon.tapSetOffload(id, 0x21)).toBe(-EINVAL);
    expect(addon.tapSetOffload(id, 0)).toBe(0);
    ip('link set loads up');
    expect(ip('link show loads')).not.toMatch(/NO-CARRIER/);
    expect(addon.tapSetCarrier(id, false)).toBe(0);
    expect(ip('link show loads')).toMatch(/NO-CARRIER/);
    const off = open('dark', IFF_NO_CARRIER);
    ip('link set dark up');
    expect(ip('link show dark')).toMatch(/NO-CARRIER/);
    expect(addon.tapSetCarrier(off.id, true)).toBe(0);
    expect(ip('link show dark')).not.toMatch(/NO-CARRIER/);
  });

  it('closes any number of times, and a closed device is refused by everything else', () => {
    const { id, flush } = open('gone');
    const frames = sending({ id, flush, name: 'gone' }, 1);
    expect(addon.tapIsOpen(id)).toBe(true);
    addon.tapClose(id);
    addon.tapClose(id);
    expect(addon.tapIsOpen(id)).toBe(false);
    // Its slot has a new owner now, whom the old id does not name.
    const next = open('next');
    addon.tapClose(id);
    expect(addon.tapIsOpen(next.id)).toBe(true);
    for (const call of [
      () => frames.flush(1),
      () => addon.tapFlags(id),
      () => addon.tapSetPersist(id, true),
      () => addon.tapSetOwner(id, 0),
      () => addon.registerDescriptors(id, 0, 8, 1),
      () => addon.registerReceive(id, new Uint8Array(2048), 2048, new Uint32Array(1)),
      () => addon.startRead(id, () => {}),
      () => addon.stopRead(id),
      () => addon.readNow(id),
      () => addon.setRef(id, true),
    ]) {
      expect(call).toThrow(expect.objectContaining({ name: 'TypeError', code: 'ERR_TAP_CLOSED' }));
    }
    for (const id of [0, -1, 2 ** 31, 1e300, Number.NaN]) expect(() => addon.tapFlags(id)).toThrow(TypeError);
    expect(() => addon.tapFlags('1' as unknown as number)).toThrow(TypeError);
    expect(() => addon.tapClose('1' as unknown as number)).toThrow(TypeError);
  });

  it('says EBADFD once the interface was deleted', () => {
    const tap = open('deleted');
    ip('link set deleted up');
    const frames = sending(tap, 1);
    ip('link del deleted');
    expect(frames.flush(1)).toEqual({ taken: 0, errno: -EBADFD });
    expect(addon.tapFlags(tap.id)).toBe(-EBADFD);
  });

  it('opens and closes fifty times without a descriptor left', () => {
    for (let i = 0; i < 50; i++) addon.tapClose(openTap('often').id);
    expect(openDescriptors()).toBe(0);
  });
});
