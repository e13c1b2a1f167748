/**
 * What single functions cost: checksums, headers, copies, the lookup of a route. For whole sends see `udptap bench`.
 * Usage: node --expose-gc --import tsx bench/functions.ts [regular expression of names]
 */
import { bench, do_not_optimize, group, run, summary } from 'mitata';
import { NullDevice, openLab } from '../src/cli/bench/growth_lab.js';
import { FrameArena } from '../src/core/arena.js';
import { inetRtmNewroute } from '../src/route/fib_frontend.js';
import { Flowi4 } from '../src/route/flow.js';
import { ipRouteOutputFlow } from '../src/route/output.js';
import { NLM_F_CREATE, RT_SCOPE_UNIVERSE, RTN_UNICAST, RTPROT_BOOT } from '../src/uapi/rtnetlink.js';
import { AF_INET, SOCK_DGRAM } from '../src/uapi/socket.js';
import { csumFold, csumPartial } from '../src/wire/checksum.js';
import * as ethernet from '../src/wire/ethernet.js';
import * as ipv4 from '../src/wire/ipv4.js';

const arena = new FrameArena({ smallSlots: 64, largeSlots: 4 });
const large = arena.offset(arena.alloc(66_000));
const source = new Uint8Array(65_536).map((_, i) => i * 7);
arena.u8.set(source, large);

group('checksum', () => {
  for (const bytes of [20, 64, 1472, 65_507]) {
    summary(() => {
      bench(`${bytes} bytes, WebAssembly`, () => do_not_optimize(arena.checksum(large, bytes)));
      bench(`${bytes} bytes, TypeScript`, () =>
        do_not_optimize(csumFold(csumPartial(arena.u8, large, bytes, 0))),
      );
    });
  }
});

group('copy of a part into the arena', () => {
  const to = large + 34;
  for (const bytes of [40, 64, 128, 256, 1472]) {
    summary(() => {
      bench(`${bytes} bytes, byte by byte`, () => {
        const { u8 } = arena;
        for (let i = 0; i < bytes; i++) u8[to + i] = source[100 + i]!;
      });
      bench(`${bytes} bytes, set of a subarray`, () => {
        arena.u8.set(source.subarray(100, 100 + bytes), to);
      });
      bench(`${bytes} bytes, copyWithin`, () => {
        arena.u8.copyWithin(to, large + 4096, large + 4096 + bytes);
      });
    });
  }
});

group('headers', () => {
  const b = new Uint8Array(64);
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  bench('Ethernet', () => ethernet.emit({ destination: mac, source: mac, etherType: 0x0800 }, b, 0));
  bench('IPv4, field by field', () => {
    ipv4.setTotLen(b, 14, 92);
    ipv4.setId(b, 14, 7);
    do_not_optimize(b);
  });
});

group('fib_lookup', () => {
  for (const routes of [1, 1000, 100_000]) {
    const { net, dev } = openLab();
    for (let i = 0; i < routes; i++) {
      const dst = (0x14000000 + i * 256) >>> 0;
      const nexthops = [{ gateway: 0x0a000002, ifindex: dev.ifindex }];
      const route = {
        dst,
        dstLen: 24,
        type: RTN_UNICAST,
        scope: RT_SCOPE_UNIVERSE,
        protocol: RTPROT_BOOT,
        nexthops,
      };
      if (inetRtmNewroute(net, route, NLM_F_CREATE).error !== 0) throw new Error('the route was refused');
    }
    const fl4 = new Flowi4();
    let i = 0;
    bench(`ip_route_output_flow, ${routes} routes`, () => {
      i = (i + 7919) % routes;
      fl4.daddr = 0x14000001 + i * 256;
      fl4.saddr = 0;
      fl4.oif = 0;
      do_not_optimize(ipRouteOutputFlow(net, fl4));
    });
  }
});

group('send, onto a device that forgets', () => {
  const { net, dev } = openLab();
  if (!(dev instanceof NullDevice)) throw new Error('not the device that forgets');
  net.ip('neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev null0 nud permanent');
  for (const bytes of [64, 1472]) {
    const socket = net.socket(AF_INET, SOCK_DGRAM);
    socket.connect({ address: '10.0.0.9', port: 9000 });
    const payload = new Uint8Array(bytes);
    bench(`send of ${bytes} bytes`, () => do_not_optimize(socket.send(payload)));
  }
});

const [filter] = process.argv.slice(2);
await run(filter === undefined ? {} : { filter: new RegExp(filter) });
