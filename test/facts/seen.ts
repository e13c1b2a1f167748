/** A frame's fields, read by a reader of the tests' own. */
import type { Frame } from '../../src/scenario/types.js';

export interface Seen {
  readonly dev: string;
  readonly toMac: string;
  readonly fromMac: string;
  /** An ARP frame, in the words of a packet dump. */
  readonly arp: string;
  readonly src: string;
  readonly dst: string;
  readonly tos: number;
  readonly ttl: number;
  readonly id: number;
  readonly df: boolean;
  readonly mf: boolean;
  /** Of a fragment, in bytes. */
  readonly offset: number;
  readonly proto: number;
  /** Of the IP packet. */
  readonly size: number;
  /** In hex. */
  readonly options: string;
  readonly sport: number;
  readonly dport: number;
  readonly udpLength: number;
  readonly udpSum: number;
  /** In hex: after the UDP header, or in a later fragment after the IP header. */
  readonly payload: string;
}

const address = (bytes: Uint8Array): string => bytes.join('.');
const mac = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

export function seen(frame: Frame): Partial<Seen> {
  const bytes = Buffer.from(frame.hex, 'hex');
  const ethernet = { dev: frame.dev, toMac: mac(bytes.subarray(0, 6)), fromMac: mac(bytes.subarray(6, 12)) };
  const body = bytes.subarray(14);
  if (bytes.readUInt16BE(12) === 0x0806) {
    const [sender, target] = [address(body.subarray(14, 18)), address(body.subarray(24, 28))];
    const reply = `${sender} is-at ${mac(body.subarray(8, 14))}`;
    return { ...ethernet, arp: body[7] === 1 ? `who-has ${target} tell ${sender}` : reply };
  }
  const headerBytes = (body[0]! & 15) * 4;
  const size = body.readUInt16BE(2);
  const fragment = body.readUInt16BE(6);
  const offset = (fragment & 0x1fff) * 8;
  const proto = body[9]!;
  const hasUdp = offset === 0 && (proto === 17 || proto === 136);
  return {
    ...ethernet,
    src: address(body.subarray(12, 16)),
    dst: address(body.subarray(16, 20)),
    tos: body[1]!,
    ttl: body[8]!,
    id: body.readUInt16BE(4),
    df: (fragment & 0x4000) !== 0,
    mf: (fragment & 0x2000) !== 0,
    offset,
    proto,
    size,
    options: body.toString('hex', 20, headerBytes),
    payload: body.toString('hex', headerBytes + (hasUdp ? 8 : 0), size),
    ...(hasUdp && {
      sport: body.readUInt16BE(headerBytes),
      dport: body.readUInt16BE(headerBytes + 2),
      udpLength: body.readUInt16BE(headerBytes + 4),
      udpSum: body.readUInt16BE(headerBytes + 6),
    }),
  };
}
