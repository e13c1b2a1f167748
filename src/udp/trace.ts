/** What `udp_sendmsg` says of its decisions, for `udptap explain`. Called only while someone listens. */
import type { IpcmCookie } from '../ip/cork.js';
import type { IpOptions } from '../ip/options.js';
import type { Flowi4 } from '../route/flow.js';
import type { Rtable } from '../route/rtable.js';
import { errnoName } from '../uapi/errno.js';
import { formatIPv4 } from '../uapi/in.js';
import { RT_SCOPE_LINK } from '../uapi/rtnetlink.js';
import { formatAll } from '../wire/ipoptions.js';
import type { UdpNet } from './netns.js';
import type { UdpSock } from './sock.js';

type Data = Readonly<Record<string, number | string | boolean | null>>;

function say(net: UdpNet, step: string, text: string, rule: string, data?: Data, quirk = false): void {
  net.tracer!.event({
    fn: 'udp_sendmsg',
    step,
    text,
    rule,
    depth: 1,
    quirk,
    ...(data === undefined ? {} : { data }),
  });
}

/** Says why a call fails: to the caller, and to who listens. @returns the error, to be returned */
export function traceError(net: UdpNet, step: string, why: string, rule: string, err: number): number {
  net.reason = why;
  if (net.tracer !== null) say(net, step, `${errnoName(-err)}: ${why}`, rule, { errno: -err });
  return err;
}

export function traceDestination(
  net: UdpNet,
  len: number,
  daddr: number,
  dport: number,
  connected: boolean,
): void {
  const to = `${formatIPv4(daddr)}:${dport}`;
  net.tracer!.event({
    fn: 'udp_sendmsg',
    step: 'enter',
    text: `${len} bytes to ${to}`,
    depth: 0,
    data: { len, daddr: formatIPv4(daddr), dport },
  });
  if (connected) say(net, 'destination', `${to}, the connected peer`, 'SEND-6');
  else say(net, 'destination', 'named by the call, the connection (if any) stays as it is', 'SEND-5');
}

export function traceCorked(net: UdpNet, sk: UdpSock, len: number): void {
  net.tracer!.event({
    fn: 'udp_sendmsg',
    step: 'enter',
    text: `${len} bytes more for the corked datagram`,
    depth: 0,
    data: { len },
  });
  const to = `${formatIPv4(sk.cork.fl.daddr)}:${sk.cork.fl.dport}`;
  say(
    net,
    'corked',
    `appended to what waits for ${to}; address and control messages of this call are ignored`,
    'SEND-4',
    undefined,
    true,
  );
}

export function traceAppend(net: UdpNet, sk: UdpSock, len: number): void {
  say(net, 'cork', `${len} bytes wait; ${sk.corkflag ? 'UDP_CORK' : 'MSG_MORE'} is set`, 'SEND-36');
}

export function traceControl(net: UdpNet, control: Uint8Array, err: number, connected: boolean): void {
  const verdict =
    err < 0 ? errnoName(-err) : connected ? 'accepted' : 'accepted; the cached route is not used';
  say(net, 'control', `${control.length} bytes of control messages: ${verdict}`, 'SEND-9', {
    bytes: control.length,
  });
}

export function traceOptions(net: UdpNet, opt: IpOptions, faddr: number): void {
  const list =
    opt.optlen === 0 ? "an empty set, which suppresses the socket's" : formatAll(opt.data, 0, opt.optlen);
  const hop = opt.srr !== 0 ? `; routed to the first hop ${formatIPv4(faddr)}` : '';
  say(net, 'options', `${list}${hop}`, opt.srr !== 0 ? 'SEND-20' : 'SEND-10', { optlen: opt.optlen });
}

export function traceTos(net: UdpNet, sk: UdpSock, ipc: IpcmCookie, scope: number): void {
  const tos = ipc.tos >= 0 ? ipc.tos : sk.tos;
  const from =
    ipc.tos >= 0 && ipc.tos !== sk.tos
      ? 'from the control message'
      : sk.tos !== 0
        ? 'from IP_TOS'
        : 'the default';
  say(net, 'tos', `0x${tos.toString(16).padStart(2, '0')}, ${from}`, 'SEND-22', { tos });
  if (scope === RT_SCOPE_LINK) say(net, 'scope', 'link: only neighbours, no gateways', 'SEND-21');
}

export function traceInterface(net: UdpNet, oif: number, saddr: number): void {
  const dev = oif === 0 ? null : net.devGetByIndex(oif);
  say(
    net,
    'interface',
    oif === 0 ? 'none asked for' : (dev?.name ?? `index ${oif}`),
    oif === 0 ? 'SEND-23' : 'SEND-24',
    { oif },
  );
  if (saddr !== 0)
    say(net, 'source', `${formatIPv4(saddr)} is given`, 'SADDR-4', { saddr: formatIPv4(saddr) });
}

export function traceRoute(net: UdpNet, rt: Rtable, fl4: Flowi4, cached: boolean): void {
  const via = rt.usesGateway ? ` via ${formatIPv4(rt.gateway)}` : '';
  const what = `${formatIPv4(fl4.daddr)}${via} dev ${rt.dev.name} src ${formatIPv4(fl4.saddr)}`;
  say(net, 'route', cached ? `${what}, cached on the socket` : what, cached ? 'SEND-25' : 'SEND-26', {
    dev: rt.dev.name,
    gateway: rt.usesGateway ? formatIPv4(rt.gateway) : null,
    saddr: formatIPv4(fl4.saddr),
    daddr: formatIPv4(fl4.daddr),
    cached,
  });
}
