import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/cli/exit.js';
import { parseIpOptions } from '../../src/cli/ip_options.js';
import {
  parseBind,
  parseDscp,
  parseHex,
  parseInterval,
  parseLevelTypeValue,
  parseMulticastInterface,
  parsePktinfo,
  parsePmtudisc,
  parseRate,
  parseTarget,
  parseValue,
} from '../../src/cli/values.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const ifindexOf = (name: string) => {
  if (name === 'tap0') return 2;
  throw new Error(`ENODEV ${name}`);
};

describe('destination', () => {
  it('is a dotted quad and a port', () => {
    expect(parseTarget('10.9.0.1:9000')).toEqual({ address: '10.9.0.1', port: 9000 });
    expect(parseTarget('255.255.255.255:65535').port).toBe(65535);
  });
  it.each([
    ['10.9.0.1', 'HOST:PORT'],
    ['10.9.0.1:', 'port'],
    ['10.9.0.1:0', '1 to 65535'],
    ['10.9.0.1:65536', '1 to 65535'],
    ['10.9.0.1:http', 'no number'],
    ['localhost:9000', 'getent'],
    [':9000', 'no IPv4 address'],
    ['10.9.1:9000', 'no IPv4 address'],
    ['10.9.0.256:9000', 'no IPv4 address'],
    ['010.9.0.1:9000', 'no IPv4 address'],
    ['[::1]:9000', 'IPv6'],
    ['::1:9000', 'IPv6'],
    ['10.9.0.1 :9000', 'no IPv4 address'],
  ])('%s is refused', (text, reason) => {
    expect(() => parseTarget(text)).toThrow(UsageError);
    expect(() => parseTarget(text)).toThrow(reason);
  });
});

describe('own end', () => {
  it('is an address, a port, or both', () => {
    expect(parseBind('10.9.0.2')).toEqual({ address: '10.9.0.2', port: 0 });
    expect(parseBind(':53')).toEqual({ address: '0.0.0.0', port: 53 });
    expect(parseBind('10.9.0.2:53')).toEqual({ address: '10.9.0.2', port: 53 });
    expect(() => parseBind('a:b:c')).toThrow(UsageError);
    expect(() => parseBind('10.9.0.2:65536')).toThrow(UsageError);
  });
});

describe('numbers', () => {
  it('are times', () => {
    expect(parseInterval('1', '-i')).toBe(1000);
    expect(parseInterval('0.2', '-i')).toBe(200);
    expect(parseInterval('200ms', '-i')).toBe(200);
    expect(parseInterval('50us', '-i')).toBeCloseTo(0.05);
    expect(() => parseInterval('-1', '-i')).toThrow(UsageError);
    expect(() => parseInterval('1h', '-i')).toThrow(UsageError);
  });
  it('are rates', () => {
    expect(parseRate('100')).toBe(100);
    expect(parseRate('10k')).toBe(10_000);
    expect(parseRate('1.5M')).toBe(1_500_000);
    for (const bad of ['0', '-1', 'fast', '10K']) expect(() => parseRate(bad)).toThrow(UsageError);
  });
  it('are codepoints, as a TOS byte', () => {
    expect(parseDscp('EF')).toBe(0xb8);
    expect(parseDscp('ef')).toBe(0xb8);
    expect(parseDscp('AF11')).toBe(0x28);
    expect(parseDscp('AF43')).toBe(0x98);
    expect(parseDscp('CS7')).toBe(0xe0);
    expect(parseDscp('LE')).toBe(4);
    expect(parseDscp('46')).toBe(0xb8);
    expect(parseDscp('0x2e')).toBe(0xb8);
    for (const bad of ['64', 'AF44', 'CS8', '-1', '']) expect(() => parseDscp(bad)).toThrow(UsageError);
  });
  it('are path MTU modes', () => {
    expect(['dont', 'want', 'do', 'probe', 'interface', 'omit'].map(parsePmtudisc)).toEqual([
      0, 1, 2, 3, 4, 5,
    ]);
    expect(() => parsePmtudisc('maybe')).toThrow('omit');
  });
});

describe('bytes', () => {
  it('are hexadecimal', () => {
    expect(hex(parseHex('0x0aFF', '--data'))).toBe('0aff');
    expect(hex(parseHex('0a:ff 00', '--data'))).toBe('0aff00');
    for (const bad of ['0', 'xy', '0x0']) expect(() => parseHex(bad, '--data')).toThrow(UsageError);
  });
  it('are values of options', () => {
    const bytes = (text: string) => hex(parseValue(text, '--sockopt')(ifindexOf));
    expect(bytes('9')).toBe('09000000');
    expect(bytes('-1')).toBe('ffffffff');
    expect(bytes('IP_PMTUDISC_DO')).toBe('02000000');
    expect(bytes('u8:16')).toBe('10');
    expect(bytes('u16:1472')).toBe('c005');
    expect(bytes('be16:1472')).toBe('05c0');
    expect(bytes('u64:0x1122334455667788')).toBe('8877665544332211');
    expect(bytes('ip:10.9.0.2')).toBe('0a090002');
    expect(bytes('str:tap0+u8:0')).toBe('7461703000');
    expect(bytes('ifindex:tap0+hex:00ff')).toBe('0200000000ff');
    expect(bytes('')).toBe('');
    expect(() => bytes('ifindex:tap9')).toThrow('ENODEV');
    for (const bad of ['NOT_A_NAME', 'u9:1', 'u8:x', 'hex:abc', 'ip:1.2.3']) {
      expect(() => bytes(bad), bad).toThrow(UsageError);
    }
  });
  it('belong to a level and a type', () => {
    const parsed = parseLevelTypeValue('SOL_IP:IP_TTL:9', '--cmsg');
    expect([parsed.level, parsed.type, hex(parsed.value(ifindexOf))]).toEqual([0, 2, '09000000']);
    expect(parseLevelTypeValue('ip:IP_TOS:u8:16', '--cmsg')).toMatchObject({ level: 0, type: 1 });
    expect(parseLevelTypeValue('UDP:UDP_SEGMENT:u16:100', '--cmsg')).toMatchObject({ level: 17, type: 103 });
    expect(parseLevelTypeValue('1:36:7', '--sockopt')).toMatchObject({ level: 1, type: 36 });
    for (const bad of ['IP_TTL:9', 'x:y:z', ':', 'SOL_IP:IP_TTL']) {
      expect(() => parseLevelTypeValue(bad, '--cmsg'), bad).toThrow(UsageError);
    }
  });
  it('are an in_pktinfo: index, source, nothing', () => {
    const pktinfo = (text: string) => hex(parsePktinfo(text)(ifindexOf));
    expect(pktinfo('tap0')).toBe('020000000000000000000000');
    expect(pktinfo('10.9.0.2')).toBe('000000000a09000200000000');
    expect(pktinfo('tap0,10.9.0.2')).toBe('020000000a09000200000000');
    for (const bad of ['', 'tap0,x', 'a,b,c']) expect(() => pktinfo(bad), bad).toThrow();
  });
  it('are an ip_mreqn: group, address, index', () => {
    const mreqn = (text: string) => hex(parseMulticastInterface(text)(ifindexOf));
    expect(mreqn('tap0')).toBe('000000000000000002000000');
    expect(mreqn('10.9.0.2')).toBe('000000000a09000200000000');
  });
});

describe('IP options', () => {
  const options = (text: string) => hex(parseIpOptions(text));
  it("are nping's letters", () => {
    expect(options('R')).toBe(`01072704${'00'.repeat(36)}`);
    expect(options('T')).toBe(`44280500${'00'.repeat(36)}`);
    expect(options('U')).toBe(`44240501${'00'.repeat(32)}`);
    expect(options('S 10.9.0.1 10.9.0.7')).toBe('01890b040a0900010a090007');
    expect(options('L 10.9.0.1')).toBe('018307040a090001');
  });
  it('are hexadecimal', () => {
    expect(options('\\x01\\x07\\x04\\x00*2')).toBe('0107040000');
    expect(options('\\01\\255*3')).toBe('01ffffff');
    expect(options('01070400')).toBe('01070400');
  });
  it.each([
    '',
    'Q',
    'R 10.9.0.1',
    'S',
    'L 10.9.0',
    `S ${'10.0.0.1 '.repeat(10)}`,
    '\\x',
    '*2',
    '\\01*1',
    '\\256',
    '00'.repeat(41),
  ])('"%s" is refused', (text) => {
    expect(() => parseIpOptions(text)).toThrow(UsageError);
  });
});
