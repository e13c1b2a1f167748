/** Cost with many routes, and with many neighbours. */
import { neighAdd } from '../../neigh/admin.js';
import { inetRtmNewroute } from '../../route/fib_frontend.js';
import { Flowi4 } from '../../route/flow.js';
import { ipRouteOutputFlow } from '../../route/output.js';
import { formatIPv4 } from '../../uapi/in.js';
import { NUD_PERMANENT } from '../../uapi/neighbour.js';
import {
  NLM_F_CREATE,
  NLM_F_EXCL,
  RT_SCOPE_UNIVERSE,
  RTN_UNICAST,
  RTPROT_BOOT,
} from '../../uapi/rtnetlink.js';
import { AF_INET, SOCK_DGRAM } from '../../uapi/socket.js';
import type { GrowthResult, GrowthTask } from './growth.js';
import { cost, costOfBuilding, Dice, openLab, weigh } from './growth_lab.js';
import { decades, SeriesTable } from './series.js';

interface Prefix {
  readonly dst: number;
  readonly dstLen: number;
}

/** Prefixes as a full table of the internet has them: most are /24, the rest /16 to /22; none twice, none in 10/8. */
function prefixes(count: number): Prefix[] {
  const dice = new Dice();
  const seen = new Set<number>();
  const list: Prefix[] = [];
  while (list.length < count) {
    const dstLen = dice.next(10) < 6 ? 24 : 16 + dice.next(7);
    const dst = ((dice.next(0x1000000) << 8) & (-1 << (32 - dstLen))) >>> 0;
    const first = dst >>> 24;
    if (first === 10 || first === 127 || first === 0 || first >= 224) continue;
    const key = dst * 64 + dstLen;
    if (seen.has(key)) continue;
    seen.add(key);
    list.push({ dst, dstLen });
  }
  return list;
}

/** What the trie is held against: the longest of all prefixes that fit. */
function naiveLookup(list: readonly Prefix[], address: number): Prefix | null {
  let best: Prefix | null = null;
  for (const prefix of list) {
    if ((address & (-1 << (32 - prefix.dstLen))) >>> 0 !== prefix.dst) continue;
    if (best === null || prefix.dstLen > best.dstLen) best = prefix;
  }
  return best;
}

/** Beyond this the naive way takes too long to be waited for. */
const NAIVE_LARGEST = 10_000;
const GATEWAYS = 16;

export async function measureRoutes({ largest }: GrowthTask): Promise<GrowthResult[]> {
  const time = new SeriesTable();
  const memory = new SeriesTable();
  for (const size of decades(largest)) {
    const { net, dev } = openLab();
    const list = prefixes(size);
    let loadNs = 0;
    const bytes = await weigh(async () => {
      loadNs = await costOfBuilding(size, (i) => {
        const { dst, dstLen } = list[i]!;
        const nexthops = [{ gateway: 0x0a000010 + (i % GATEWAYS), ifindex: dev.ifindex }];
        const route = {
          dst,
          dstLen,
          type: RTN_UNICAST,
          scope: RT_SCOPE_UNIVERSE,
          protocol: RTPROT_BOOT,
          nexthops,
        };
        const { error } = inetRtmNewroute(net, route, NLM_F_CREATE | NLM_F_EXCL);
        if (error !== 0) throw new Error(`route ${formatIPv4(dst)}/${dstLen}: ${error}`);
      });
    });
    const dice = new Dice();
    const fl4 = new Flowi4();
    const host = () => {
      const { dst, dstLen } = list[dice.next(size)]!;
      return (dst + (dice.next(0x10000) & ~(-1 << (32 - dstLen)))) >>> 0;
    };
    const lookupNs = await cost((count) => {
      for (let i = 0; i < count; i++) {
        fl4.daddr = host();
        fl4.saddr = 0;
        fl4.oif = 0;
        if (typeof ipRouteOutputFlow(net, fl4) === 'number')
          throw new Error(`no route to ${formatIPv4(fl4.daddr)}`);
      }
    });
    time.add('lookup (ip_route_output_flow)', size, lookupNs);
    if (size >= 100) {
      time.add('load, a route', size, loadNs);
      memory.add('bytes a route', size, bytes / size);
    }
    if (size <= NAIVE_LARGEST) {
      let found = 0;
      const naiveNs = await cost((count) => {
        for (let i = 0; i < count; i++) if (naiveLookup(list, host()) !== null) found++;
      });
      if (found === 0) throw new Error('the naive lookup found nothing');
      time.add('the same over a plain list', size, naiveNs);
    }
    net.close();
  }
  return [time.result('Routes', 'routes'), memory.result('Memory of routes', 'routes', 'bytes')];
}

export async function measureNeighbours({ largest }: GrowthTask): Promise<GrowthResult[]> {
  const time = new SeriesTable();
  const payload = new Uint8Array(64);
  for (const size of decades(largest)) {
    const { net, dev } = openLab();
    for (const which of [1, 2, 3]) net.sysctl.set(`net.ipv4.neigh.default.gc_thresh${which}`, 2 * largest);
    const addNs = await costOfBuilding(size, (i) => {
      const lladdr = Uint8Array.of(2, 0, 1, i >>> 16, i >>> 8, i);
      const { error } = neighAdd(
        net,
        { ifindex: dev.ifindex, dst: 0x0a010000 + i, lladdr, state: NUD_PERMANENT },
        NLM_F_CREATE,
      );
      if (error !== 0) throw new Error(`neighbour ${i}: ${error}`);
    });
    if (size >= 100) time.add('add, each', size, addNs);
    const names = Array.from({ length: size }, (_, i) => ({
      address: formatIPv4(0x0a010000 + i),
      port: 9000,
    }));
    const socket = net.socket(AF_INET, SOCK_DGRAM);
    const dice = new Dice();
    const sent = dev.frames;
    time.add(
      'sendto, to any of them',
      size,
      await cost((count) => {
        for (let i = 0; i < count; i++) socket.sendto(payload, 0, names[dice.next(size)]!);
      }),
    );
    if (dev.frames === sent) throw new Error('nothing was sent');
    net.close();
  }
  return [time.result('Neighbours', 'neighbours')];
}
