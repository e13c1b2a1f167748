import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  csumBlockAdd,
  csumFold,
  csumFold16,
  csumPartial,
  csumTcpudpMagic,
  csumTcpudpNofold,
  ipFastCsum,
} from '../../src/wire/checksum.js';
import { createArenaChecksum, createTsChecksum, createWasmChecksum } from '../../src/wire/checksum_wasm.js';
import { CHECKSUM_WASM_BASE64 } from '../../src/wire/checksum_wasm_bytes.js';
import { createMemory } from '../../src/wire/wasm.js';
import { hex, naiveChecksum, naivePseudoHeader, naiveSum } from './naive.js';

/** Bytes without a pattern that are the same in every run. */
function noise(length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i += 64) {
    out.set(
      createHash('sha512')
        .update(String(i))
        .digest()
        .subarray(0, Math.min(64, length - i)),
      i,
    );
  }
  return out;
}

const memory = createMemory(3 << 20);
const arena = new Uint8Array(memory.buffer);
const wasmSum = createWasmChecksum(memory);
if (wasmSum === null) throw new Error('this engine has no WebAssembly SIMD: the test would prove nothing');
const sums = [
  ['TypeScript', (off: number, len: number) => csumPartial(arena, off, len, 0)],
  ['TypeScript over the arena', createTsChecksum(memory)],
  ['WebAssembly', wasmSum],
] as const;

describe.each(sums)('the sum in %s', (_, sum) => {
  it('equals the naive one for every length to 300 at every alignment', () => {
    arena.set(noise(400));
    for (let align = 0; align < 8; align++) {
      for (let len = 0; len <= 300; len++) {
        const want = naiveSum(arena.subarray(align, align + len));
        if (sum(align, len) !== want)
          expect({ align, len, sum: sum(align, len) }).toEqual({ align, len, sum: want });
      }
    }
  });

  it('equals the naive one for any bytes, length and place', () => {
    arena.set(noise(200_000));
    fc.assert(
      fc.property(fc.nat(100_000), fc.nat(65_535), (off, len) => {
        expect(sum(off, len)).toBe(naiveSum(arena.subarray(off, off + len)));
      }),
      { numRuns: 100 },
    );
  });

  it('does not overflow on the largest sums', () => {
    arena.fill(0xff);
    for (const len of [1, 2, 64, 79, 80, 1472, 65_535, 65_536, (1 << 20) + 65, (2 << 20) + 1]) {
      expect(sum(3, len)).toBe(len % 2 === 0 ? 0xffff : 0xff00);
    }
  });

  it('is zero for zeros only', () => {
    arena.fill(0, 0, 4096);
    expect(sum(1, 4000)).toBe(0);
    arena[2000] = 1;
    expect(sum(1, 4000)).not.toBe(0);
  });

  it('reads nothing beside its piece', () => {
    arena.fill(0xa5, 0, 4096);
    for (const len of [0, 1, 7, 63, 64, 65, 127, 1471]) {
      arena.fill(0, 101, 101 + len);
      expect(sum(101, len)).toBe(0);
      arena.fill(0xa5, 0, 4096);
    }
    expect(sum(arena.length, 0)).toBe(0);
    expect(sum(arena.length - 70, 70)).toBe(naiveSum(arena.subarray(arena.length - 70)));
  });
});

describe('csumPartial', () => {
  it('sums a view into a larger buffer, and two buffers in turn', () => {
    const a = noise(4096).subarray(13);
    const b = noise(8192).subarray(6);
    for (let i = 0; i < 4; i++) {
      expect(csumPartial(a, i, 2000, 0)).toBe(naiveSum(a.subarray(i, i + 2000)));
      expect(csumPartial(b, i, 2001, 0)).toBe(naiveSum(b.subarray(i, i + 2001)));
    }
  });

  it('continues a sum over pieces of even length, and csumBlockAdd over any', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (pieces) => {
        const whole = Uint8Array.from(pieces.flatMap((piece) => [...piece]));
        let chained = 0;
        let joined = 0;
        let offset = 0;
        for (const piece of pieces) {
          const even = piece.subarray(0, piece.length & ~1);
          chained = csumPartial(even, 0, even.length, chained);
          joined = csumBlockAdd(joined, csumPartial(piece, 0, piece.length, 0), offset);
          offset += piece.length;
        }
        const evens = Uint8Array.from(pieces.flatMap((piece) => [...piece.subarray(0, piece.length & ~1)]));
        expect(csumFold16(chained)).toBe(naiveSum(evens));
        expect(csumFold16(joined)).toBe(naiveSum(whole));
        expect(csumFold(joined)).toBe(naiveChecksum(whole));
      }),
    );
  });

  it('folds everything a running sum can hold', () => {
    expect(csumFold16(0xffffffff)).toBe(0xffff);
    expect(csumFold16(0xfffeffff)).toBe(0xfffe);
    expect(csumFold16(0x1ffff)).toBe(1);
    expect(csumFold(0)).toBe(0xffff);
    expect(csumFold(0xffff)).toBe(0);
  });
});

describe('headers', () => {
  it('computes the pseudo header of any datagram', () => {
    const address = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(
        address,
        address,
        fc.nat(65_535),
        fc.nat(255),
        fc.uint8Array({ maxLength: 64 }),
        (s, d, len, p, data) => {
          const sum = csumPartial(data, 0, data.length, 0);
          const want = naiveChecksum(naivePseudoHeader(s, d, p, len), data);
          expect(csumTcpudpMagic(s, d, len, p, sum)).toBe(want);
          expect(csumFold(csumTcpudpNofold(s, d, len, p, sum))).toBe(want);
        },
      ),
    );
  });

  it('computes the header checksum of every header length', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 15 }),
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        (ihl, data) => {
          expect(ipFastCsum(data, 3, ihl)).toBe(naiveChecksum(data.subarray(3, 3 + ihl * 4)));
        },
      ),
    );
    expect(ipFastCsum(hex('4500001f00004000401126cc0a0000010a000002'), 0, 5)).toBe(0); // VEC-1
  });
});

describe('the checked-in module', () => {
  it('is what checksum.wat compiles to', async () => {
    const { compileChecksum } = (await import(
      new URL('../../scripts/build-wasm.mjs', import.meta.url).href
    )) as {
      compileChecksum(): Promise<Uint8Array>;
    };
    expect(Buffer.from(await compileChecksum()).toString('base64')).toBe(CHECKSUM_WASM_BASE64);
  });

  it('is what the arena uses here', () => {
    arena.set(noise(5000));
    expect(createArenaChecksum(memory)(17, 4001)).toBe(naiveSum(arena.subarray(17, 17 + 4001)));
  });
});
