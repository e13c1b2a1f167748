/** Frames that nobody sends: true ones with something changed, cut, repeated, or made of noise. */

import { put16, put32 } from '../../src/wire/bytes.js';
import { decodeFrame } from '../../src/wire/decode.js';
import { sendCheck as icmpSendCheck } from '../../src/wire/icmp.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import { options } from './hostile_calls.js';
import type { Dice, HostileLab } from './lab.js';

const OURS = 0x0a090002;
const SOURCES = [0x0a090001, 0x0a090063, 0x0a090002, 0x08080808, 0x7f000001, 0, 0xffffffff, 0xe0000001];
const TARGETS = [OURS, OURS, OURS, 0x0a0900ff, 0xffffffff, 0xe0000001, 0xef010203, 0x0a090044];

function ethernet(dice: Dice, type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(14 + payload.length);
  const to = dice.below(10);
  frame.set(
    to < 7
      ? [2, 0, 0, 0, 9, 2]
      : to === 7
        ? [1, 0, 0x5e, 1, 2, 3]
        : to === 8
          ? [255, 255, 255, 255, 255, 255]
          : [2, 0, 0, 0, 9, 7],
  );
  frame.set([2, 0, 0, 0, 9, dice.pick([1, 1, 99, 2])], 6);
  put16(frame, 12, type);
  frame.set(payload, 14);
  return frame;
}

function ip(
  dice: Dice,
  protocol: number,
  payload: Uint8Array,
  fragOff = 0,
  id = dice.below(65536),
): Uint8Array {
  const opts = dice.chance(10) ? options(dice).subarray(0, 40) : new Uint8Array(0);
  const optlen = opts.length & ~3;
  const hlen = 20 + optlen;
  const b = new Uint8Array(hlen + payload.length);
  b[0] = 0x40 | (hlen >> 2);
  ipv4.setTos(b, 0, dice.below(256));
  ipv4.setTotLen(b, 0, b.length);
  ipv4.setId(b, 0, id);
  ipv4.setFragOff(b, 0, fragOff);
  ipv4.setTtl(b, 0, dice.pick([0, 1, 64, 255]));
  ipv4.setProtocol(b, 0, protocol);
  ipv4.setSaddr(b, 0, dice.pick(SOURCES));
  ipv4.setDaddr(b, 0, dice.pick(TARGETS));
  b.set(opts.subarray(0, optlen), 20);
  b.set(payload, hlen);
  ipv4.sendCheck(b, 0);
  return b;
}

function udp(dice: Dice): Uint8Array {
  const b = new Uint8Array(8 + dice.pick([0, 1, 20, 1472]));
  put16(b, 0, dice.pick([9, 53, 0, 65535]));
  put16(b, 2, dice.pick([4000, 4001, 9, 0]));
  put16(b, 4, dice.chance(90) ? b.length : dice.below(65536));
  // No checksum, or a wrong one.
  put16(b, 6, dice.chance(80) ? 0 : dice.below(65536));
  return b;
}

function icmp(dice: Dice): Uint8Array {
  const quote = dice.chance(80)
    ? ip(dice, 17, udp(dice).subarray(0, 8 + dice.below(20)))
    : dice.bytes(dice.below(60));
  const b = new Uint8Array(8 + quote.length);
  b[0] = dice.pick([0, 3, 3, 3, 4, 5, 8, 11, 12, 13, 255]);
  b[1] = dice.below(18);
  put16(b, 6, dice.pick([0, 68, 552, 1000, 1500, 65535]));
  if (b[0] === 5) put32(b, 4, dice.pick(SOURCES));
  b.set(quote, 8);
  icmpSendCheck(b, 0, b.length);
  return b;
}

function arp(dice: Dice): Uint8Array {
  const b = new Uint8Array(28);
  b.set([0, 1, 8, 0, 6, 4, 0, dice.pick([1, 2, 3])]);
  b.set([2, 0, 0, dice.below(256), 9, 1], 8);
  put32(b, 14, dice.chance(50) ? dice.pick(SOURCES) : (0x0a000000 + dice.below(1 << 24)) >>> 0);
  put32(b, 24, dice.pick(TARGETS));
  return b;
}

/** One frame, hostile by one of many ways. */
export function hostileFrame(dice: Dice): Uint8Array {
  const kind = dice.below(12);
  let frame: Uint8Array;
  if (kind < 3) frame = ethernet(dice, 0x0800, ip(dice, 17, udp(dice)));
  else if (kind < 5) frame = ethernet(dice, 0x0800, ip(dice, 1, icmp(dice)));
  else if (kind < 8) {
    // Fragments of a few datagrams, overlapping, without end, beyond 65535.
    const fragOff =
      dice.pick([0, 1, 2, 100, 8000, 8191, dice.below(8192)]) | (dice.chance(70) ? ipv4.IP_MF : 0);
    frame = ethernet(
      dice,
      0x0800,
      ip(
        dice,
        dice.pick([17, 1, 6]),
        dice.bytes(dice.pick([0, 8, 16, 20, 64])),
        fragOff,
        dice.below(dice.pick([3, 65536])),
      ),
    );
  } else if (kind < 10) frame = ethernet(dice, 0x0806, arp(dice));
  else if (kind === 10)
    frame = ethernet(dice, 0x0800, ip(dice, dice.pick([2, 17, 136, 255]), dice.bytes(dice.below(40))));
  else frame = dice.bytes(dice.below(100));
  if (dice.chance(30))
    for (let n = dice.below(4); n >= 0; n--)
      if (frame.length > 0) frame[dice.below(frame.length)] = dice.below(256);
  if (dice.chance(10)) frame = frame.subarray(0, dice.below(frame.length + 1));
  return frame;
}

/** Gives the stack `count` frames. Throws what the stack throws, which must be nothing. */
export function hostileFrames({ net, dev }: HostileLab, dice: Dice, count: number, decode = false): void {
  for (let i = 0; i < count; i++) {
    const frame = hostileFrame(dice);
    if (decode) decodeFrame(frame);
    dev.inject(frame);
    if ((i & 255) === 0) dev.drain();
    if (i % 20_000 === 19_999) net.timers.advanceTo(net.clock.now() + 1000);
  }
  dev.drain();
}
