/** The symbols of scenario files: Linux's socket constants by name. */
import * as errno from '../uapi/errno.js';
import * as inet from '../uapi/in.js';
import * as socket from '../uapi/socket.js';
import { MORE_CONSTANTS } from './constants_table.js';
import { type Int, ScenarioError } from './types.js';

const symbols = new Map<string, number>();
for (const pair of MORE_CONSTANTS.trim().split(/\s+/)) {
  const [name, value] = pair.split('=');
  symbols.set(name!, Number(value));
}
for (const module of [socket, inet, errno]) {
  for (const [name, value] of Object.entries(module)) {
    if (typeof value === 'number' && /^[A-Z]/.test(name)) symbols.set(name, value);
  }
}

/** Every symbol with its number. */
export const SYMBOLS: ReadonlyMap<string, number> = symbols;

const LITERAL =
  /^([+-]?)(0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*|0[oO][0-7](?:_?[0-7])*|0[bB][01](?:_?[01])*|0+|[1-9](?:_?\d)*)$/;
const U64 = 1n << 64n;

/** One word: a symbol or a literal in decimal, hex, octal or binary; null if it is neither. */
function word(text: string): bigint | null {
  const symbol = SYMBOLS.get(text);
  if (symbol !== undefined) return BigInt(symbol);
  const literal = LITERAL.exec(text);
  if (literal === null) return null;
  const magnitude = BigInt(literal[2]!.replaceAll('_', ''));
  return literal[1] === '-' ? -magnitude : magnitude;
}

/** The first word of an integer that is no symbol and no literal, or null where all are known. */
export function unknownWord(value: Int): string | null {
  if (typeof value === 'number' || typeof value === 'boolean') return null;
  const parts = typeof value === 'string' ? value.split('|') : value.flatMap((v) => String(v).split('|'));
  return parts.map((part) => part.trim()).find((part) => word(part) === null) ?? null;
}

/**
 * The number that an integer of a scenario names, exactly.
 *
 * @throws ScenarioError for a symbol that is unknown
 */
export function resolveBig(value: Int): bigint {
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) throw new ScenarioError(`${value} is not an integer`);
    const exact = BigInt(value);
    // JSON's 2^64-1 arrives as the double 2^64.
    return exact === U64 ? U64 - 1n : exact;
  }
  let bits = 0n;
  for (const part of typeof value === 'string' ? value.split('|') : value) {
    const number =
      typeof part === 'number' ? BigInt(part) : part.includes('|') ? resolveBig(part) : word(part.trim());
    if (number === null) throw new ScenarioError(`unknown constant '${String(part).trim()}'`);
    bits |= number;
  }
  return bits;
}

/** As {@link resolveBig}, for numbers that are exact in 53 bits. */
export function resolveInt(value: Int): number {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : Number(resolveBig(value));
}

/** A number as the 32-bit `int` of a system call's argument. */
export function resolveC(value: Int): number {
  return Number(BigInt.asIntN(32, resolveBig(value)));
}
