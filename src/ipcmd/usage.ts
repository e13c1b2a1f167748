/** `help` of each object: what this stack's `ip` takes. Like iproute2's it goes to the standard error and ends with 255. */
import { type IpContext, IpExit } from './utils.js';

function usage(context: IpContext, text: string): never {
  context.stderr += text;
  throw new IpExit(255);
}

export function ipUsage(context: IpContext): never {
  usage(
    context,
    `Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }
where  OBJECT := { address | link | maddress | neighbour | route | rule }
       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -j[son] | -p[retty] |
                    -o[neline] | -br[ief] | -N[umeric] |
                    -f[amily] { inet | inet6 | link } | -4 | -6 | -0 }
`,
  );
}

export function addressUsage(context: IpContext): never {
  usage(
    context,
    `Usage: ip address { add | change | replace } IFADDR dev IFNAME [ LIFETIME ] [ noprefixroute ] [ autojoin ]
       ip address del IFADDR dev IFNAME
       ip address [ show | flush ] [ dev IFNAME ] [ scope SCOPE ] [ to PREFIX ] [ FLAG ] [ label LABEL ] [ up ]
                  [ master DEVICE ] [ nomaster ] [ vrf NAME ] [ type TYPE ] [ group GROUP ]
IFADDR := PREFIX | ADDR peer PREFIX
          [ broadcast { ADDR | + | - } ] [ label IFNAME ] [ scope SCOPE ] [ metric METRIC ]
SCOPE := [ host | link | global | NUMBER ]
FLAG := [-]{ permanent | dynamic | secondary | primary | deprecated | noprefixroute | autojoin }
LIFETIME := [ valid_lft LFT ] [ preferred_lft LFT ]
LFT := [ forever | SECONDS ]
`,
  );
}

export function linkUsage(context: IpContext): never {
  usage(
    context,
    `Usage: ip link add [ name ] NAME [ txqueuelen PACKETS ] [ address LLADDR ] [ broadcast LLADDR ] [ mtu MTU ] [ index IDX ]
               type { vrf table TABLE | dummy }
       ip link delete { DEVICE | dev DEVICE | group GROUP }
       ip link set { DEVICE | dev DEVICE | group GROUP } [ { up | down } ] [ arp { on | off } ]
               [ multicast { on | off } ] [ allmulticast { on | off } ] [ promisc { on | off } ]
               [ carrier { on | off } ] [ txqueuelen PACKETS ] [ name NEWNAME ] [ address LLADDR ]
               [ broadcast LLADDR ] [ mtu MTU ] [ alias TEXT ] [ master DEVICE ] [ vrf NAME ] [ nomaster ]
       ip link [ show ] [ DEVICE | group GROUP ] [ up ] [ master DEVICE ] [ vrf NAME ] [ type TYPE ] [ nomaster ]
`,
  );
}

export function neighUsage(context: IpContext): never {
  usage(
    context,
    `Usage: ip neigh { add | del | change | replace } { ADDR [ lladdr LLADDR ] [ nud STATE ] | proxy ADDR } [ dev DEV ]
                [ router ] [ use ] [ extern_learn ] [ protocol PROTO ]
       ip neigh { show | flush } [ proxy ] [ to PREFIX ] [ dev DEV ] [ nud STATE ] [ vrf NAME ] [ nomaster ]
       ip neigh get { ADDR | proxy ADDR } dev DEV
STATE := { delay | failed | incomplete | noarp | none | permanent | probe | reachable | stale }
`,
  );
}

export function maddrUsage(context: IpContext): never {
  usage(
    context,
    `Usage: ip maddr [ add | del ] MULTIADDR dev STRING
       ip maddr show [ dev STRING ]
`,
  );
}

export function ruleUsage(context: IpContext): never {
  usage(
    context,
    `Usage: ip rule { add | del } SELECTOR ACTION
       ip rule [ list | flush ] [ SELECTOR ]
SELECTOR := [ not ] [ from PREFIX ] [ to PREFIX ] [ tos TOS ] [ dscp DSCP ] [ fwmark FWMARK[/MASK] ]
            [ iif STRING ] [ oif STRING ] [ priority NUMBER ] [ l3mdev ] [ uidrange NUMBER-NUMBER ]
            [ ipproto PROTOCOL ] [ sport NUMBER[-NUMBER] ] [ dport NUMBER[-NUMBER] ] [ tun_id NUMBER ]
ACTION := [ table TABLE ] [ protocol PROTO ] [ goto NUMBER ] [ nop ] [ prohibit | unreachable | blackhole ]
          [ suppress_prefixlength NUMBER ] [ suppress_ifgroup GROUP ]
TABLE := [ local | main | default | NUMBER ]
`,
  );
}

export function routeUsage(context: IpContext): never {
  usage(
    context,
    `Usage: ip route { list | flush } SELECTOR
       ip route get [ fibmatch ] ADDRESS [ from ADDRESS iif STRING ] [ oif STRING ] [ tos TOS ] [ mark NUMBER ]
                    [ vrf NAME ] [ uid NUMBER ] [ ipproto PROTOCOL ] [ sport NUMBER ] [ dport NUMBER ]
       ip route { add | del | change | append | prepend | replace | test } ROUTE
SELECTOR := [ root PREFIX ] [ match PREFIX ] [ exact PREFIX ] [ table TABLE ] [ vrf NAME ] [ proto PROTO ]
            [ type TYPE ] [ scope SCOPE ] [ dev STRING ] [ via ADDRESS ] [ src PREFIX ] [ tos TOS ] [ metric METRIC ]
ROUTE := [ TYPE ] PREFIX [ tos TOS ] [ table TABLE ] [ proto PROTO ] [ scope SCOPE ] [ metric METRIC ]
         NH OPTIONS [ nexthop NH ]...
NH := [ via [ inet ] ADDRESS ] [ dev STRING ] [ weight NUMBER ] [ onlink ]
OPTIONS := [ src ADDRESS ] [ mtu [ lock ] NUMBER ] [ hoplimit NUMBER ] [ advmss NUMBER ] [ rtt TIME ] [ rttvar TIME ]
           [ rto_min TIME ] [ window NUMBER ] [ cwnd NUMBER ] [ initcwnd NUMBER ] [ initrwnd NUMBER ] [ ssthresh NUMBER ]
           [ reordering NUMBER ] [ features ecn ] [ quickack BOOL ] [ fastopen_no_cookie BOOL ]
TYPE := { unicast | local | broadcast | multicast | anycast | throw | unreachable | prohibit | blackhole }
TABLE := [ local | main | default | all | NUMBER ]
SCOPE := [ host | link | global | NUMBER ]
PROTO := [ kernel | boot | static | NUMBER ]
TIME := NUMBER[s|ms]
`,
  );
}
