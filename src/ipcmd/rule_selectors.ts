/** The values of rule selectors that are more than a number. */
import { getUnsigned, type IpContext } from './utils.js';

/** `NUMBER[/MASK]` of a mark. */
export function readMark(context: IpContext, word: string): [mark: number, mask: number | null] {
  const [value, mask] = word.split(/\/(.*)/s) as [string, string | undefined];
  return [
    getUnsigned(value) ?? context.invarg('fwmark value is invalid\n', value),
    mask === undefined ? null : (getUnsigned(mask) ?? context.invarg('fwmask value is invalid\n', mask)),
  ];
}

/** `A-B`, as `sscanf("%u-%u")` reads it. */
export function readUidRange(context: IpContext, word: string): readonly [number, number] {
  const range = /^\s*(\d+)-\s*(\d+)/.exec(word);
  if (range === null) return context.invarg('invalid UID range\n', word);
  return [Number(range[1]) >>> 0, Number(range[2]) >>> 0];
}

interface PortSelector {
  readonly range: readonly [number, number];
  readonly mask: number | null;
}

/** `A`, `A-B` as `sscanf("%hu-%hu")` reads them (what does not fit 16 bits wraps), or `A/MASK`. */
export function readPorts(context: IpContext, word: string): PortSelector {
  const masked = /^(0[xX][0-9a-fA-F]+|\d+)\/(.+)$/.exec(word);
  if (masked !== null) {
    const port = getUnsigned(masked[1]!, 0xffff) ?? context.invarg('invalid port\n', word);
    return {
      range: [port, port],
      mask: getUnsigned(masked[2]!, 0xffff) ?? context.invarg('invalid mask\n', word),
    };
  }
  const ports = /^\s*(\d+)(?:-\s*(\d+))?/.exec(word);
  if (ports === null) return context.invarg('invalid port range\n', word);
  const start = Number(BigInt(ports[1]!) & 0xffffn);
  return { range: [start, ports[2] === undefined ? start : Number(BigInt(ports[2]) & 0xffffn)], mask: null };
}

/** `[SOURCE/]DESTINATION`, numbers of 16 bits. */
export function isRealms(word: string): boolean {
  const parts = word.split('/');
  return parts.length <= 2 && parts.every((part) => part === 'cosmos' || getUnsigned(part, 0xffff) !== null);
}
