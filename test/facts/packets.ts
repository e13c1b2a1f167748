/** Frames that arrive from the wire, as hex. */

function sum(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}
const u16 = (n: number): number[] => [(n >> 8) & 255, n & 255];
const address = (text: string): number[] => text.split('.').map(Number);

function ipv4(proto: number, src: string, dst: string, body: readonly number[]): number[] {
  const header = [
    0x45,
    0,
    ...u16(20 + body.length),
    0,
    1,
    0,
    0,
    64,
    proto,
    0,
    0,
    ...address(src),
    ...address(dst),
  ];
  header.splice(10, 2, ...u16(sum(Uint8Array.from(header))));
  return [...header, ...body];
}

function ethernet(type: number, body: readonly number[], toMac = '020000000001'): string {
  return `${toMac}0200000000ee${Buffer.from([...u16(type), ...body]).toString('hex')}`;
}

export interface IcmpError {
  readonly type: number;
  readonly code: number;
  /** The last two bytes of the second word: the MTU of type 3 code 4. */
  readonly mtu?: number;
  /** Of type 5; of type 12 the pointer is its first byte. */
  readonly gateway?: string;
  readonly from?: string;
  /** The datagram of ours that it quotes. */
  readonly src?: string;
  readonly sport?: number;
  readonly dst?: string;
  readonly dport?: number;
  readonly payload?: readonly number[];
  /** How much of the quoted datagram is there, UDP header and payload. */
  readonly quotedBytes?: number;
}

/** An ICMP error about a datagram from 10.0.0.1:5000 to 10.0.0.2:9, unless said otherwise. */
export function icmpError(e: IcmpError): string {
  const { src = '10.0.0.1', sport = 5000, dst = '10.0.0.2', dport = 9, payload = [0x78] } = e;
  const udp = [...u16(sport), ...u16(dport), ...u16(8 + payload.length), 0, 0, ...payload];
  const quoted = ipv4(17, src, dst, udp).slice(0, 20 + (e.quotedBytes ?? udp.length));
  const word = e.gateway === undefined ? [0, 0, ...u16(e.mtu ?? 0)] : address(e.gateway);
  const icmp = [e.type, e.code, 0, 0, ...word, ...quoted];
  icmp.splice(2, 2, ...u16(sum(Uint8Array.from(icmp))));
  return ethernet(0x0800, ipv4(1, e.from ?? '10.0.0.2', src, icmp));
}

export interface Arp {
  readonly op: 1 | 2;
  readonly senderMac: string;
  readonly sender: string;
  readonly targetMac?: string;
  readonly target: string;
}

/** An ARP frame; a request is broadcast, a reply comes to 02:00:00:00:00:01. */
export function arp({ op, senderMac, sender, targetMac = '020000000001', target }: Arp): string {
  const macBytes = (hex: string) => [...Buffer.from(hex, 'hex')];
  const body = [0, 1, 8, 0, 6, 4, 0, op, ...macBytes(senderMac), ...address(sender)];
  const asked = op === 1 ? '000000000000' : targetMac;
  return ethernet(
    0x0806,
    [...body, ...macBytes(asked), ...address(target)],
    op === 1 ? 'ffffffffffff' : '020000000001',
  );
}
