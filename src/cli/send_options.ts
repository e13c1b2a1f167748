/** The flags of `send` and `explain`: what they are called, and what they mean, for commander and its help. */
import { type Command, Option } from 'commander';

/** What commander hands over: every flag as it was typed. */
export interface SendFlags {
  readonly data?: string;
  readonly dataString?: string;
  readonly dataLength?: string;
  readonly dataFile?: string;
  readonly count?: string;
  readonly interval?: string;
  readonly rate?: string;
  readonly wait?: string;

  readonly sourceIp?: string;
  readonly sourcePort?: string;
  readonly bind?: string;
  readonly interface?: string;
  readonly oif?: string;
  readonly pktinfo?: string;
  readonly connect?: boolean;

  readonly ttl?: string;
  readonly tos?: string;
  readonly dscp?: string;
  readonly pmtudisc?: string;
  readonly mtu?: string;
  readonly ipOptions?: string;
  readonly gso?: string;
  readonly more?: boolean;
  readonly check: boolean;
  readonly udplite?: string;
  readonly broadcast?: boolean;
  readonly mcastIf?: string;
  readonly mcastTtl?: string;
  readonly loop: boolean;
  readonly priority?: string;
  readonly mark?: string;
  readonly sockopt: readonly string[];
  readonly cmsg: readonly string[];

  readonly tap?: string;
  readonly netns?: string;
  readonly net?: string;
  readonly addr: readonly string[];
  readonly route: readonly string[];
  readonly neigh: readonly string[];
  readonly ip: readonly string[];
  readonly fromHost?: string | true;
  readonly kernel?: string;
  readonly offload?: boolean;
  readonly raw?: boolean;
  readonly dryRun?: boolean;

  readonly write?: string;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly hex?: boolean;
  readonly json?: boolean;
  readonly explain?: boolean;
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** Adds the flags that `send` and `explain` share. */
export function addSendOptions(command: Command): Command {
  const repeatable = (flags: string, text: string) =>
    new Option(flags, text).argParser(collect).default([], 'none');
  return command
    .optionsGroup('What is sent:')
    .option('--data <hex>', 'the bytes, in hexadecimal')
    .option('--data-string <text>', 'the text, as UTF-8')
    .option('--data-length <n>', 'n bytes: 0, 1, 2 ... 255, 0, 1 ...')
    .option('--data-file <file>', 'the content of a file; - is standard input')
    .option('-c, --count <n>', 'datagrams to send; 0 is without end (default: 1)')
    .option('-i, --interval <time>', 'time between two datagrams: seconds, or 200ms, 50us')
    .option('--rate <n>', 'datagrams a second: 100, 10k, 1M')
    .option('--wait <ms>', 'afterwards, wait so long and print what comes back')
    .optionsGroup('From where:')
    .option('-S, --source-ip <address>', 'bind to this address of ours')
    .option('-g, --source-port <port>', 'bind to this port')
    .option('--bind <address[:port]>', 'bind to both')
    .option('-I, --interface <name>', 'bind to this interface (SO_BINDTODEVICE); the TAP takes this name')
    .option('--oif <name>', 'leave by this interface (IP_UNICAST_IF)')
    .option('--pktinfo <[name,]address>', 'interface and source as a control message (IP_PKTINFO)')
    .option('--connect', 'connect the socket first, and send without a destination')
    .optionsGroup('How:')
    .option('--ttl <n>', 'time to live, 1 to 255 (IP_TTL)')
    .option('--tos <n>', 'the whole TOS byte, 0 to 255 (IP_TOS)')
    .option('--dscp <name|n>', 'the upper six bits of TOS: EF, AF11 ... AF43, CS0 ... CS7, or 0 to 63')
    .option('--pmtudisc <mode>', 'do|want|dont|probe|interface|omit (IP_MTU_DISCOVER)')
    .option('--mtu <n>', "the interface's MTU, 68 to 65521")
    .option('--ip-options <options>', 'R, T, U, "S HOP...", "L HOP...", or hexadecimal (IP_OPTIONS)')
    .option('--gso <size>', 'cut the data into datagrams of this size (UDP_SEGMENT)')
    .option('--more', 'give each datagram in two pieces, the first with MSG_MORE')
    .option('--no-check', 'no UDP checksum (SO_NO_CHECK)')
    .option('--udplite <coverage>', 'UDP-Lite, with so many bytes covered by the checksum; 0 is all')
    .option('--broadcast', 'allow broadcast (SO_BROADCAST)')
    .option('--mcast-if <name|address>', 'interface for multicast (IP_MULTICAST_IF)')
    .option('--mcast-ttl <n>', 'time to live for multicast, 0 to 255 (IP_MULTICAST_TTL)')
    .option('--no-loop', 'no copy of multicast to ourselves (IP_MULTICAST_LOOP)')
    .option('--priority <n>', 'SO_PRIORITY')
    .option('--mark <n>', 'SO_MARK, which routing rules can see')
    .addOption(repeatable('--sockopt <level:name:value>', 'any socket option, e.g. SOL_IP:IP_TTL:9'))
    .addOption(repeatable('--cmsg <level:type:value>', 'any control message, e.g. SOL_IP:IP_TOS:u8:16'))
    .optionsGroup('Over which network:')
    .option('--tap <name>', 'this TAP: an existing persistent one (no root needed), or a new one')
    .option('--netns <name>', 'the TAP is in this network namespace (ip netns)')
    .option('--net <address/length>', "the TAP's network: host .1, we .2 (default: 10.9.0.0/24)")
    .addOption(repeatable('--addr <ip-addr>', 'our address, as in "ip addr add", e.g. 10.9.0.5/24'))
    .addOption(repeatable('--route <ip-route>', 'a route, as in "ip route add", e.g. "default via 10.9.0.7"'))
    .addOption(repeatable('--neigh <ip-neigh>', 'a neighbour, as in "ip neigh add"'))
    .addOption(repeatable('--ip <command>', 'any ip command, e.g. "rule add fwmark 1 table 7"'))
    .option(
      '--from-host [netns|folder]',
      "no TAP: in memory, with this host's own network, or that of a namespace or of saved files",
    )
    .option('--kernel <version>', 'be this kernel: 6.18, 6.1 or 5.4 (default: 6.18)')
    .option('--offload', 'let the device cut GSO sends and finish checksums (a TAP with vnet_hdr)')
    .optionsGroup('What is shown:')
    .option('-w, --write <file>', 'capture to a .pcapng or .pcap file; - is standard output')
    .option('-q, --quiet', 'no line a frame, only the summary')
    .option('-v, --verbose', 'every field of every frame')
    .option('-x, --hex', 'every frame in hexadecimal')
    .option('--json', 'one JSON object a line')
    .optionsGroup('Other:');
}

/** The flags that only `send` has. */
export function addSendOnlyOptions(command: Command): Command {
  return command
    .option(
      '--raw',
      "hand the finished IPv4 packets to this host's raw socket instead of a TAP (npm: raw-socket)",
    )
    .option('--dry-run', 'no TAP: a device in memory, at whose other end somebody answers ARP')
    .option('--explain', 'also print why: each decision on the way (on stderr)');
}
