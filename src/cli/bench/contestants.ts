/** Who is measured: the calls of our stack, and what they are held against. Data only. */

/** How our stack is used. Absent keys: one connected `send` a datagram, on a plain TAP, with nothing else on. */
export interface StackUse {
  readonly call?: 'send' | 'sendto' | 'sendmmsg';
  /** Messages of a sendmmsg. */
  readonly batch?: number;
  /** UDP_SEGMENT: the payload bytes of each segment; a call then has as many as fit (64 at most). */
  readonly segment?: boolean;
  readonly offload?: boolean;
  /** Bytes of a datagram, where it is to be larger than a frame. */
  readonly datagramBytes?: number;
  /** Router alert, as IP_OPTIONS. */
  readonly ipOptions?: boolean;
  /** Captured to a file. */
  readonly capture?: 'pcap' | 'pcapng';
  /** A tracer that throws what it hears away. */
  readonly traced?: boolean;
  /** From a copy of the stack that has no tracing in it. */
  readonly withoutTracing?: boolean;
  /** Queues, each with a Net in a thread of its own. */
  readonly queues?: number;
}

export type KernelWay = 'sendto' | 'send' | 'sendmmsg' | 'segment';
export type Medium = 'veth' | 'tap';

export type Contestant = {
  /** For `--only` and `--json`. */
  readonly name: string;
  readonly title: string;
  /** Payload bytes of a frame: all of them where absent. */
  readonly payloads?: readonly number[];
  /** Measured in a quick run too. */
  readonly quick?: boolean;
} & (
  | { readonly kind: 'stack'; readonly use: StackUse }
  | { readonly kind: 'prebuilt'; readonly batch: number }
  | { readonly kind: 'write'; readonly threads: boolean }
  | { readonly kind: 'build' }
  | { readonly kind: 'kernel'; readonly way: KernelWay; readonly medium: Medium }
  | { readonly kind: 'dgram'; readonly connected: boolean }
  | { readonly kind: 'tool'; readonly tool: ToolName }
);

export type ToolName = 'trafgen' | 'mausezahn' | 'hping3' | 'nping' | 'scapy';

export const PAYLOADS = [64, 1472] as const;
const FULL_FRAMES = [1472] as const;

export const CONTESTANTS: readonly Contestant[] = [
  { name: 'send', title: 'send, connected', kind: 'stack', use: {}, quick: true },
  { name: 'sendto', title: 'sendto', kind: 'stack', use: { call: 'sendto' } },
  { name: 'sendmmsg-8', title: 'sendmmsg of 8', kind: 'stack', use: { call: 'sendmmsg', batch: 8 } },
  {
    name: 'sendmmsg-64',
    title: 'sendmmsg of 64',
    kind: 'stack',
    use: { call: 'sendmmsg', batch: 64 },
    quick: true,
  },
  { name: 'sendmmsg-256', title: 'sendmmsg of 256', kind: 'stack', use: { call: 'sendmmsg', batch: 256 } },
  { name: 'gso', title: 'UDP_SEGMENT, cut in software', kind: 'stack', use: { segment: true } },
  {
    name: 'gso-offload',
    title: 'UDP_SEGMENT, --offload',
    kind: 'stack',
    use: { segment: true, offload: true },
    quick: true,
  },
  {
    name: 'fragments',
    title: 'fragments of an 8 KB datagram',
    kind: 'stack',
    use: { datagramBytes: 8192 },
    payloads: FULL_FRAMES,
  },
  {
    name: 'ip-options',
    title: 'sendmmsg of 64, IP options',
    kind: 'stack',
    use: { call: 'sendmmsg', batch: 64, ipOptions: true },
  },
  {
    name: 'pcap',
    title: 'sendmmsg of 64, captured (pcap)',
    kind: 'stack',
    use: { call: 'sendmmsg', batch: 64, capture: 'pcap' },
  },
  {
    name: 'pcapng',
    title: 'sendmmsg of 64, captured (pcapng)',
    kind: 'stack',
    use: { call: 'sendmmsg', batch: 64, capture: 'pcapng' },
  },
  {
    name: 'traced',
    title: 'sendmmsg of 64, traced',
    kind: 'stack',
    use: { call: 'sendmmsg', batch: 64, traced: true },
  },
  {
    name: 'no-tracing',
    title: 'sendmmsg of 64, tracing cut out of the code',
    kind: 'stack',
    use: { call: 'sendmmsg', batch: 64, withoutTracing: true },
  },
  {
    name: 'queues-2',
    title: 'two queues, a thread each',
    kind: 'stack',
    use: { call: 'sendmmsg', batch: 64, queues: 2 },
  },
  { name: 'prebuilt-1', title: 'our addon, prebuilt frames one by one', kind: 'prebuilt', batch: 1 },
  { name: 'prebuilt-64', title: 'our addon, prebuilt frames by 64', kind: 'prebuilt', batch: 64 },
  {
    name: 'c-write-threads',
    title: 'C: write(), in a program with threads',
    kind: 'write',
    threads: true,
    quick: true,
  },
  { name: 'c-build', title: 'C: builds the frame, write()', kind: 'build' },
  { name: 'kernel-sendto', title: 'C, kernel socket: sendto', kind: 'kernel', way: 'sendto', medium: 'veth' },
  {
    name: 'kernel-send',
    title: 'C, kernel socket: send, connected',
    kind: 'kernel',
    way: 'send',
    medium: 'veth',
    quick: true,
  },
  {
    name: 'kernel-sendmmsg',
    title: 'C, kernel socket: sendmmsg of 64',
    kind: 'kernel',
    way: 'sendmmsg',
    medium: 'veth',
  },
  {
    name: 'kernel-segment',
    title: 'C, kernel socket: UDP_SEGMENT',
    kind: 'kernel',
    way: 'segment',
    medium: 'veth',
  },
  {
    name: 'kernel-tap-send',
    title: 'C, kernel socket on a TAP: send',
    kind: 'kernel',
    way: 'send',
    medium: 'tap',
  },
  {
    name: 'kernel-tap-sendmmsg',
    title: 'C, kernel socket on a TAP: sendmmsg of 64',
    kind: 'kernel',
    way: 'sendmmsg',
    medium: 'tap',
  },
  { name: 'dgram', title: 'node:dgram', kind: 'dgram', connected: false },
  { name: 'dgram-connected', title: 'node:dgram, connected', kind: 'dgram', connected: true, quick: true },
  { name: 'trafgen', title: 'trafgen', kind: 'tool', tool: 'trafgen' },
  { name: 'mausezahn', title: 'mausezahn', kind: 'tool', tool: 'mausezahn' },
  { name: 'hping3', title: 'hping3', kind: 'tool', tool: 'hping3' },
  { name: 'nping', title: 'nping', kind: 'tool', tool: 'nping' },
  { name: 'scapy', title: 'Scapy', kind: 'tool', tool: 'scapy' },
];
