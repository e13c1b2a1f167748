/**
 * `--ip-options`: the letters that nping has, and hexadecimal. The bytes are what setsockopt(IP_OPTIONS) takes: for a
 * source route the hops, without the destination, which the kernel puts into the last place itself (OPT-*).
 */
import {
  IPOPT_LSRR,
  IPOPT_NOOP,
  IPOPT_RR,
  IPOPT_SSRR,
  IPOPT_TIMESTAMP,
  IPOPT_TS_TSANDADDR,
  IPOPT_TS_TSONLY,
} from '../wire/ipoptions.js';
import { UsageError } from './exit.js';
import { packed, parseAddress, parseHex } from './values.js';

const MAX_OPTION_BYTES = 40;
const MAX_HOPS = 9;

/**
 * `R` record route (9 places), `T` timestamps (9), `U` timestamps with addresses (4), `S HOP…` and `L HOP…` strict and
 * loose source route, `\x01\x07…` with `*N` to repeat a byte, or plain hex digits.
 */
export function parseIpOptions(text: string): Uint8Array {
  const bytes = fromText(text.trim());
  if (bytes.length > MAX_OPTION_BYTES) {
    throw new UsageError(
      `--ip-options: ${bytes.length} bytes; an IP header holds ${MAX_OPTION_BYTES} at most`,
    );
  }
  return bytes;
}

function fromText(text: string): Uint8Array {
  if (text.startsWith('\\')) return fromEscapes(text);
  if (/^(0x)?[0-9a-fA-F][0-9a-fA-F:\s]*$/.test(text)) return parseHex(text, '--ip-options');
  const [letter = '', ...hops] = text.split(/[\s,]+/);
  if (!'SL'.includes(letter) && hops.length > 0) {
    throw new UsageError(`--ip-options: ${letter} takes no addresses`);
  }
  switch (letter) {
    case 'R':
      return padded(MAX_OPTION_BYTES, [IPOPT_NOOP, IPOPT_RR, 39, 4]);
    case 'T':
      return padded(40, [IPOPT_TIMESTAMP, 40, 5, IPOPT_TS_TSONLY]);
    case 'U':
      return padded(36, [IPOPT_TIMESTAMP, 36, 5, IPOPT_TS_TSANDADDR]);
    case 'S':
      return sourceRoute(IPOPT_SSRR, hops);
    case 'L':
      return sourceRoute(IPOPT_LSRR, hops);
    default:
      throw new UsageError(
        `--ip-options: "${text}" is neither R, T, U, "S HOP...", "L HOP..." nor hexadecimal (\\x01\\x07... or 0107...)`,
      );
  }
}

function padded(lengthBytes: number, start: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  bytes.set(start);
  return bytes;
}

function sourceRoute(type: number, hops: readonly string[]): Uint8Array {
  const letter = type === IPOPT_SSRR ? 'S' : 'L';
  if (hops.length === 0 || hops.length > MAX_HOPS) {
    throw new UsageError(`--ip-options: ${letter} takes 1 to ${MAX_HOPS} addresses, not ${hops.length}`);
  }
  const bytes = padded(4 + 4 * hops.length, [IPOPT_NOOP, type, 3 + 4 * hops.length, 4]);
  hops.forEach((hop, i) => {
    bytes.set(packed(parseAddress(hop, `--ip-options ${letter}`), 4, true), 4 + 4 * i);
  });
  return bytes;
}

/** nping's notation: `\xNN` hexadecimal, `\NNN` decimal, `*N` the byte before N times. */
function fromEscapes(text: string): Uint8Array {
  const out: number[] = [];
  const piece = /\\x([0-9a-fA-F]{1,2})|\\(\d{1,3})|\*(\d{1,2})|\s+/gy;
  while (piece.lastIndex < text.length) {
    const at = piece.lastIndex;
    const match = piece.exec(text);
    if (match === null)
      throw new UsageError(`--ip-options: "${text.slice(at)}" is neither \\xNN, \\NNN nor *N`);
    const [, hex, decimal, times] = match;
    if (hex !== undefined) out.push(Number.parseInt(hex, 16));
    else if (decimal !== undefined) {
      if (Number(decimal) > 255) throw new UsageError(`--ip-options: \\${decimal} is no byte`);
      out.push(Number(decimal));
    } else if (times !== undefined) {
      const last = out.at(-1);
      if (last === undefined || Number(times) < 2) {
        throw new UsageError('--ip-options: *N repeats the byte before it, two times or more');
      }
      for (let i = 1; i < Number(times); i++) out.push(last);
    }
  }
  return Uint8Array.from(out);
}
