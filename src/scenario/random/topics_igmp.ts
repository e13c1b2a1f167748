/** Random scenarios about group membership on the wire. Reports come at random moments within a second: each change is given that time. */
import type { Call, Scenario } from '../types.js';
import type { Draw } from './draw.js';
import * as frames from './frames.js';
import { newLab, toScenario } from './pieces.js';

const SETTLE_MS = 1300;
const GROUPS = ['224.1.2.3', '239.5.5.5', '224.0.0.251'];

function change(d: Draw): Call {
  const [name, sources] = d.weighted([
    [4, ['IP_ADD_MEMBERSHIP', 0]],
    [3, ['IP_DROP_MEMBERSHIP', 0]],
    [2, ['IP_ADD_SOURCE_MEMBERSHIP', 1]],
    [1, ['IP_DROP_SOURCE_MEMBERSHIP', 1]],
    [1, ['IP_BLOCK_SOURCE', 1]],
  ] as const);
  const source = sources === 1 ? [{ ip: d.pick(['10.9.0.1', '10.9.0.3']) }] : [];
  return {
    call: 'setsockopt',
    level: 'SOL_IP',
    name,
    value: [{ ip: d.pick(GROUPS) }, { ip: '10.9.0.2' }, ...source],
  };
}

function query(d: Draw): Call {
  const group = d.chance(0.5) ? '0.0.0.0' : d.pick(GROUPS);
  const v3 = d.chance(0.7);
  const message = frames.igmpQuery(group, d.chance(0.9) ? 1 : 0, v3 ? '02000000' : '');
  const daddr = group === '0.0.0.0' ? '224.0.0.1' : group;
  const ip = { saddr: '10.9.0.1', daddr, protocol: 2, payload: message, ttl: 1, options: '94040000' };
  return { call: 'inject', hex: frames.ipv4Frame(ip, frames.multicastMac(daddr)) };
}

export function igmp(d: Draw): Scenario {
  const lab = newLab();
  if (d.chance(0.2)) lab.sysctl['net.ipv4.igmp_qrv'] = d.pick([1, 3]);
  if (d.chance(0.2)) lab.sysctl['net.ipv4.igmp_link_local_mcast_reports'] = 0;
  if (d.chance(0.3)) lab.sysctlLate['net.ipv4.conf.tap0.force_igmp_version'] = d.int(1, 3);
  lab.calls.push({ call: 'socket' });
  for (let i = d.int(1, 3); i > 0; i--) {
    lab.calls.push(...d.list(1, 2, () => change(d)), { call: 'sleep', ms: SETTLE_MS });
    if (d.chance(0.4)) lab.calls.push(query(d), { call: 'sleep', ms: SETTLE_MS });
  }
  if (d.chance(0.5)) lab.calls.push({ call: 'close' }, { call: 'sleep', ms: SETTLE_MS });
  return { ...toScenario(lab, 'membership reports'), timeout: 20 };
}
