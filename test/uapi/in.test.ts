/** Addresses as text: the quick way of reading them accepts what the library accepts, and nothing else. */
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { formatIPv4, parseIPv4 } from '../../src/uapi/in.js';

/** What `parseIPv4` is without haste. */
function naive(text: string): number | null {
  if (!ipaddr.IPv4.isValidFourPartDecimal(text)) return null;
  return text.split('.').reduce((address, part) => address * 256 + Number(part), 0);
}

describe('parseIPv4', () => {
  it('reads back what formatIPv4 writes', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), (address) => {
        expect(parseIPv4(formatIPv4(address))).toBe(address);
      }),
    );
  });

  it.each([
    '',
    '.',
    '1.2.3',
    '1.2.3.4.',
    '.1.2.3.4',
    '1..2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.04',
    '256.1.1.1',
    '1.2.3.256',
    '0x1.2.3.4',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '1.2.3.-4',
    '1.2.3.٤',
    '4294967296',
    '1.2.3.0000',
  ])('refuses %j', (text) => {
    expect(parseIPv4(text)).toBeNull();
  });

  it('accepts what the library accepts', () => {
    const part = fc.oneof(
      fc.nat(300).map(String),
      fc.constantFrom('', '0', '00', '08', '0x8', '+1', ' 1', '1e1'),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
        const text = parts.join('.');
        expect(parseIPv4(text)).toBe(naive(text));
      }),
      { numRuns: 2000 },
    );
  });
});
