/** A scenario file and its result, as types. A scenario says what the network is and which calls are made, in order. */

/** A number, a symbol (`"IP_TOS"`), symbols joined by `|`, or a list of either, joined in the same way. */
export type Int = number | boolean | string | readonly (number | string)[];

/** Bytes of a payload; `bad` is that many bytes at an address that is not mapped. */
export type Data =
  | string
  | { readonly fill: number; readonly len: number }
  | { readonly seq: number }
  | { readonly ascii: string }
  | { readonly bad: number }
  | readonly Data[];

/** An interface by name or by index. */
export type Interface = number | string;

/** Bytes of an option's or a control message's value. */
export type Value =
  | number
  | boolean
  | string
  | { readonly u8: Int }
  | { readonly u16: Int }
  | { readonly i32: Int }
  | { readonly u32: Int }
  | { readonly u64: Int }
  | { readonly be16: Int }
  | { readonly be32: Int }
  | { readonly hex: string }
  | { readonly str: string }
  | { readonly ip: string }
  | { readonly ifindex: Interface }
  | {
      readonly pktinfo: {
        readonly ifindex?: Interface | undefined;
        readonly spec_dst?: string | undefined;
        readonly addr?: string | undefined;
      };
    }
  | {
      readonly mreqn: {
        readonly multiaddr?: string | undefined;
        readonly address?: string | undefined;
        readonly ifindex?: Interface | undefined;
      };
    }
  | { readonly bad: number }
  | readonly Value[];

/** A socket address; null is no address at all. */
export type Addr =
  | null
  | string
  | { readonly ip: string; readonly port: number; readonly family?: Int | undefined }
  | { readonly hex: string }
  | { readonly bad: number };

export interface Cmsg {
  readonly level: Int;
  readonly type: Int;
  readonly data?: Value | undefined;
  /** `cmsg_len`, which may lie. */
  readonly len?: Int | undefined;
}

export interface Message {
  readonly iov?: readonly Data[] | undefined;
  readonly name?: Addr | undefined;
  readonly namelen?: Int | undefined;
  readonly cmsgs?: readonly Cmsg[] | undefined;
  readonly control_hex?: string | undefined;
  readonly controllen?: Int | undefined;
  readonly iovlen?: Int | undefined;
  /** `msg_flags`, which sending ignores. */
  readonly flags?: Int | undefined;
}

interface OnFd {
  readonly fd?: string | number | undefined;
  readonly note?: string | undefined;
}

export type Call = OnFd &
  (
    | {
        readonly call: 'socket';
        readonly domain?: Int | undefined;
        readonly type?: Int | undefined;
        readonly proto?: Int | undefined;
      }
    | {
        readonly call: 'setsockopt';
        readonly level: Int;
        readonly name: Int;
        readonly value?: Value | null | undefined;
        readonly len?: Int | undefined;
      }
    | { readonly call: 'getsockopt'; readonly level: Int; readonly name: Int; readonly len?: Int | undefined }
    | {
        readonly call: 'bind' | 'connect';
        readonly addr?: Addr | undefined;
        readonly addrlen?: Int | undefined;
      }
    | {
        readonly call: 'sendto' | 'send';
        readonly data?: Data | undefined;
        readonly flags?: Int | undefined;
        readonly addr?: Addr | undefined;
        readonly addrlen?: Int | undefined;
        readonly len?: Int | undefined;
      }
    | ({ readonly call: 'sendmsg' } & Message)
    | { readonly call: 'sendmmsg'; readonly msgs: readonly Message[]; readonly flags?: Int | undefined }
    | { readonly call: 'recvmsg'; readonly len?: Int | undefined; readonly flags?: Int | undefined }
    | { readonly call: 'getsockname' | 'getpeername' | 'close' }
    | { readonly call: 'shutdown'; readonly how?: Int | undefined }
    | { readonly call: 'ioctl'; readonly req: Int; readonly arg?: Int | undefined }
    | { readonly call: 'inject'; readonly hex: string; readonly dev?: string | undefined }
    | { readonly call: 'ip'; readonly args: string | readonly string[] }
    | { readonly call: 'sysctl'; readonly set: Sysctls }
    | { readonly call: 'sleep'; readonly ms?: number | undefined }
  );

export type CallName = Call['call'];
export type CallOf<N extends CallName> = Extract<Call, { readonly call: N }>;

export type Sysctls = Readonly<Record<string, string | number>>;

export type Offload = 'CSUM' | 'TSO4' | 'TSO6' | 'TSO_ECN' | 'UFO' | 'USO4' | 'USO6';

export interface TapSpec {
  readonly name?: string | undefined;
  readonly mac?: string | undefined;
  readonly mtu?: number | undefined;
  readonly vnet_hdr?: boolean | undefined;
  readonly offload?: readonly Offload[] | undefined;
}

export interface Scenario {
  readonly name?: string | undefined;
  readonly note?: string | undefined;
  readonly sysctl?: Sysctls | undefined;
  readonly taps?: readonly TapSpec[] | undefined;
  readonly ip?: readonly string[] | undefined;
  readonly ip_extra?: readonly string[] | undefined;
  readonly sysctl_late?: Sysctls | undefined;
  readonly user?: boolean | undefined;
  /** Seconds. */
  readonly timeout?: number | undefined;
  readonly calls: readonly Call[];
}

/** A frame that left by a device; `vnet_hdr` where the device has one. */
export interface Frame {
  readonly dev: string;
  readonly vnet_hdr?: string;
  readonly hex: string;
}

export interface ReceivedCmsg {
  readonly level: number;
  readonly type: number;
  readonly hex: string;
}

/** What a call answered, what it read, and the frames that left during it. `ret` is -1 where `errno` is set. */
export interface CallResult {
  readonly i: number;
  readonly call: CallName;
  readonly ret: number;
  readonly errno: number;
  readonly err: string | null;
  readonly value_hex?: string;
  readonly int?: number;
  readonly addr?: string | null;
  readonly data_hex?: string;
  readonly from?: string | null;
  readonly msg_flags?: number;
  readonly cmsgs?: readonly ReceivedCmsg[];
  readonly lens?: readonly number[];
  readonly stdout?: string;
  readonly stderr?: string;
  readonly frames: readonly Frame[];
}

export interface ScenarioRun {
  readonly name: string | null;
  readonly setup_frames: readonly Frame[];
  readonly calls: readonly CallResult[];
  readonly late_frames: readonly Frame[];
}

/** The scenario itself is wrong, or did not end. */
export interface ScenarioFailure {
  readonly name: string | null;
  readonly error: string;
}

export type ScenarioResult = ScenarioRun | ScenarioFailure;

/** The network of a scenario that does not say otherwise. */
export const DEFAULT_IP: readonly string[] = [
  'link set lo up',
  'addr add 10.9.0.2/24 brd + dev tap0',
  'link set tap0 up',
  'neigh add 10.9.0.1 lladdr 02:00:00:00:09:01 dev tap0 nud permanent',
];
export const DEFAULT_TAP_NAME = 'tap0';
export const DEFAULT_MAC = '02:00:00:00:09:02';
export const DEFAULT_TIMEOUT_S = 10;

/** The scenario itself is wrong, as opposed to a call that fails. */
export class ScenarioError extends Error {
  override readonly name = 'ScenarioError';
}
