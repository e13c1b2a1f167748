import { describe, expect, it } from 'vitest';
import { resolveBig, resolveC, SYMBOLS } from '../../src/scenario/constants.js';
import { ScenarioError, type Value } from '../../src/scenario/types.js';
import * as values from '../../src/scenario/values.js';
import { BadPointer } from '../../src/socket/memory.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const ifindex = (name: string) => ({ lo: 1, tap0: 2 })[name] ?? 0;
const bytesOf = (v: Value) => hex(values.valueBytes(v, ifindex));
const payload = (d: Parameters<typeof values.data>[0]) => hex(values.data(d).pointer as Uint8Array);

describe('symbols', () => {
  it('are numbers by name, joined, listed, and in every notation', () => {
    expect(resolveC('IP_TOS')).toBe(1);
    expect(resolveC('MSG_MORE|MSG_DONTWAIT')).toBe(0x8040);
    expect(resolveC(['MSG_MORE', 0x40, 'MSG_OOB | 2'])).toBe(0x8043);
    expect(resolveC('0x10')).toBe(16);
    expect(resolveC('0o17')).toBe(15);
    expect(resolveC('0b101')).toBe(5);
    expect(resolveC('-1')).toBe(-1);
    expect(resolveC(true)).toBe(1);
    expect(resolveC(0xffffffff)).toBe(-1);
    expect(resolveBig('0xffffffffffffffff')).toBe(2n ** 64n - 1n);
  });
  it('hold what the headers say', () => {
    for (const [name, value] of [
      ['SOCK_NONBLOCK', 0o4000],
      ['MSG_ZEROCOPY', 0x4000000],
      ['UDP_SEGMENT', 103],
      ['SO_TXTIME', 61],
      ['SCM_TS_OPT_ID', 81],
      ['IPPROTO_UDPLITE', 136],
      ['SIOCOUTQ', 0x5411],
      ['IP_LOCAL_PORT_RANGE', 51],
      ['INADDR_NONE', 0xffffffff],
      ['EAI_FAIL', -4],
    ] as const) {
      expect(SYMBOLS.get(name), name).toBe(value);
    }
  });
  it('refuse what they do not know', () => {
    for (const word of ['IP_TOSS', '', '1x', '08', 'MSG_MORE|', '--1']) {
      expect(() => resolveC(word), word).toThrow(ScenarioError);
    }
  });
});

describe('payloads', () => {
  it('come as hex, filled, counted, text, and lists', () => {
    expect(payload('00 ff')).toBe('00ff');
    expect(payload({ fill: 7, len: 3 })).toBe('070707');
    expect(payload({ seq: 258 }).slice(-8)).toBe('feff0001');
    expect(payload({ ascii: 'hé' })).toBe('68c3a9');
    expect(payload(['01', [{ seq: 2 }, '02'], { ascii: 'a' }])).toBe('0100010261');
  });
  it('may be a bad address, but not in part', () => {
    const { pointer, length } = values.data({ bad: 9 });
    expect(pointer).toBeInstanceOf(BadPointer);
    expect(length).toBe(9);
    expect(() => values.data(['00', { bad: 1 }])).toThrow(ScenarioError);
    expect(() => values.data('0')).toThrow(ScenarioError);
  });
});

describe('values', () => {
  it('are bytes in the layout that the kernel reads', () => {
    expect(bytesOf(-1)).toBe('ffffffff');
    expect(bytesOf(0x80000000)).toBe('00000080');
    expect(bytesOf('IP_TTL')).toBe('02000000');
    expect(bytesOf({ u8: 255 })).toBe('ff');
    expect(bytesOf({ u16: 0x1234 })).toBe('3412');
    expect(bytesOf({ i32: -2 })).toBe('feffffff');
    expect(bytesOf({ u64: '0x0102030405060708' })).toBe('0807060504030201');
    expect(bytesOf({ be16: 53 })).toBe('0035');
    expect(bytesOf({ be32: 1 })).toBe('00000001');
    expect(bytesOf({ str: 'lo\0' })).toBe('6c6f00');
    expect(bytesOf({ ip: '10.9.0.1' })).toBe('0a090001');
    expect(bytesOf({ ifindex: 'tap0' })).toBe('02000000');
    expect(bytesOf({ pktinfo: { ifindex: 'lo', spec_dst: '1.2.3.4' } })).toBe('010000000102030400000000');
    expect(bytesOf({ mreqn: { multiaddr: '224.0.0.1', ifindex: 7 } })).toBe('e00000010000000007000000');
    expect(bytesOf([{ u8: 1 }, [{ u8: 2 }]])).toBe('0102');
  });
  it('must fit', () => {
    for (const v of [
      { u8: 256 },
      { u8: -1 },
      { u16: 65536 },
      { i32: 0x80000000 },
      0x1_0000_0000,
    ] as Value[]) {
      expect(() => bytesOf(v), JSON.stringify(v)).toThrow(ScenarioError);
    }
  });
  it('read addresses as inet_aton does', () => {
    for (const [text, want] of [
      ['127.1', '7f000001'],
      ['0x7f000001', '7f000001'],
      ['010.1.1.1', '08010101'],
      ['1.2.256', '01020100'],
      ['255.255.255.255', 'ffffffff'],
    ] as const) {
      expect(hex(values.inetAton(text)), text).toBe(want);
    }
    for (const text of ['', '1.2.3.4.5', '1.2.3.256', '08.1.1.1', 'a.b', '1..2', '4294967296']) {
      expect(() => values.inetAton(text), text).toThrow(ScenarioError);
    }
  });
});

describe('addresses and messages', () => {
  it('are a sockaddr_in, raw bytes, or nothing', () => {
    expect(hex(values.addr('1.2.3.4:258').pointer as Uint8Array)).toBe('02000102010203040000000000000000');
    const other = values.addr({ ip: '1.2.3.4', port: 1, family: 'AF_INET6' });
    expect(hex(other.pointer as Uint8Array)).toBe('0a000001010203040000000000000000');
    expect(values.addr(null)).toEqual({ pointer: null, length: 0 });
    expect(values.addr({ hex: '0200' }).length).toBe(2);
    expect(() => values.addr('1.2.3.4')).toThrow(ScenarioError);
    expect(() => values.addr('1.2.3.4:65536')).toThrow(ScenarioError);
  });
  it('show an IPv4 address as text, anything else as hex', () => {
    expect(values.showAddr(Buffer.from('02000035010203040000000000000000', 'hex'))).toBe('1.2.3.4:53');
    expect(values.showAddr(Buffer.from('0a00', 'hex'))).toBe('0a00');
    expect(values.showAddr(new Uint8Array(0))).toBeNull();
  });
  it('pad control messages to eight bytes, with a length that may lie', () => {
    const cmsgs = [
      { level: 'SOL_IP', type: 'IP_TOS', data: { u8: 5 } },
      { level: 1, type: 36, len: 99 },
    ];
    expect(hex(values.cmsgsBytes(cmsgs, ifindex))).toBe(
      `1100000000000000000000000100000005${'00'.repeat(7)}63000000000000000100000024000000`,
    );
  });
  it('keep lengths as they were said, with zeroes behind short memory', () => {
    const message = values.msghdr({ iov: ['01'], iovlen: 3, controllen: 40, control_hex: 'ff' }, ifindex);
    expect(message.iov.map((v) => v.len)).toEqual([1, 0, 0]);
    expect((message.control as Uint8Array).length).toBe(40);
    expect(message.controllen).toBe(40);
    expect(values.msghdr({ name: '1.2.3.4:5', namelen: -1 }, ifindex).namelen).toBe(-1);
    expect(values.msghdr({ controllen: 0, control_hex: 'ff' }, ifindex).control).toBeNull();
    expect(values.msghdr({ controllen: '0xffffffffffffffff' }, ifindex).controllen).toBe(2n ** 64n - 1n);
  });
});
