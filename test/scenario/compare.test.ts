/** The rules of comparison: what is random is forgiven, and nothing else. */
import { describe, expect, it } from 'vitest';
import { compareResults, differencesToJson, formatDifferences } from '../../src/scenario/compare.js';
import * as frames from '../../src/scenario/random/frames.js';
import type { CallResult, Frame, Scenario, ScenarioResult } from '../../src/scenario/types.js';

const OUT = { saddr: '10.9.0.2', daddr: '10.9.0.1' };

function udp(
  fields: {
    id?: number;
    sport?: number;
    ttl?: number;
    options?: string;
    check?: 'right' | 'wrong';
    checkError?: number;
  } = {},
): Frame {
  const { id = 7, sport = 4000, check = 'right', ...ip } = fields;
  const datagram = { ...OUT, sport, dport: 53, payload: '616263', check };
  return { dev: 'tap0', hex: frames.udpFrame(datagram, { id, ...ip }) };
}

/** Results of `sendto` calls that put these frames on the wire, behind the calls that open the socket. */
function run(
  perCall: readonly (readonly Frame[])[],
  connected = false,
): { scenario: Scenario; result: ScenarioResult } {
  const scenario: Scenario = {
    calls: [
      { call: 'socket' },
      ...(connected ? [{ call: 'connect', addr: '10.9.0.1:53' } as const] : []),
      ...perCall.map(() => ({ call: 'sendto', data: '616263' }) as const),
    ],
  };
  const lead = scenario.calls.length - perCall.length;
  const calls = scenario.calls.map(({ call }, i): CallResult => {
    const sent = perCall[i - lead] ?? [];
    return { i, call, ret: 0, errno: 0, err: null, frames: sent };
  });
  return { scenario, result: { name: null, setup_frames: [], calls, late_frames: [] } };
}

function differences(
  a: readonly (readonly Frame[])[],
  b: readonly (readonly Frame[])[],
  connected = false,
): string[] {
  const [left, right] = [run(a, connected), run(b, connected)];
  return compareResults(left.scenario, left.result, right.result).map((d) => d.what);
}

describe('the IP identification', () => {
  it('is compared as zero, and by its steps within a call', () => {
    expect(differences([[udp({ id: 5 })]], [[udp({ id: 99 })]])).toEqual([]);
    expect(
      differences([[udp({ id: 5 }), udp({ id: 6 })]], [[udp({ id: 0xffff }), udp({ id: 0x0000 })]]),
    ).not.toEqual([]);
    expect(differences([[udp({ id: 5 }), udp({ id: 6 })]], [[udp({ id: 90 }), udp({ id: 91 })]])).toEqual([]);
    expect(differences([[udp({ id: 5 }), udp({ id: 6 })]], [[udp({ id: 90 }), udp({ id: 92 })]])).toEqual([
      'frame 1: ip.id ip.check',
    ]);
    expect(differences([[udp({ id: 0 })]], [[udp({ id: 1 })]])).toEqual(['frame 0: ip.id ip.check']);
  });
  it('is compared across calls on a connected socket alone', () => {
    const [a, b] = [
      [[udp({ id: 5 })], [udp({ id: 6 })]],
      [[udp({ id: 90 })], [udp({ id: 95 })]],
    ];
    expect(differences(a, b)).toEqual([]);
    expect(differences(a, b, true)).toEqual(['frame 0: ip.id ip.check']);
  });
});

describe('timestamp options', () => {
  const option = (time: string, address = '0a090002') => `440c0d01${address}${time}`;
  it('have their times masked, and nothing else', () => {
    expect(
      differences([[udp({ options: option('00000001') })]], [[udp({ options: option('01020304') })]]),
    ).toEqual([]);
    expect(
      differences(
        [[udp({ options: option('00000001') })]],
        [[udp({ options: option('00000001', '0a090003') })]],
      ),
    ).toEqual(['frame 0: ip.check ip.opt.TS']);
    expect(
      differences([[udp({ options: '44080500000000ff' })]], [[udp({ options: '4408050000000000' })]]),
    ).not.toEqual([]);
  });
});

describe('checksums', () => {
  it('that are wrong stay wrong', () => {
    expect(differences([[udp({ checkError: 1 })]], [[udp()]])).toEqual(['frame 0: ip.check']);
    expect(differences([[udp({ id: 3, checkError: 1 })]], [[udp({ id: 4, checkError: 2 })]])).toEqual([]);
    expect(differences([[udp({ check: 'wrong' })]], [[udp()]])).toEqual(['frame 0: udp.check']);
    expect(differences([[udp({ sport: 40001, check: 'wrong' })]], [[udp({ sport: 50001 })]])).toEqual([
      'frame 0: udp.check',
    ]);
  });
});

describe('ports', () => {
  it('that were drawn are compared by their order, named ones as they are', () => {
    expect(differences([[udp({ sport: 40001 })]], [[udp({ sport: 50002 })]])).toEqual([]);
    expect(
      differences(
        [[udp({ sport: 40001 }), udp({ sport: 40001 })]],
        [[udp({ sport: 50002 }), udp({ sport: 50003 })]],
      ),
    ).not.toEqual([]);
    expect(differences([[udp({ sport: 4000 })]], [[udp({ sport: 4001 })]])).toEqual([
      'frame 0: udp.source udp.check',
    ]);
    const [left, right] = [run([[udp({ sport: 41000 })]]), run([[udp({ sport: 41001 })]])];
    const scenario = {
      ...left.scenario,
      sysctl: { 'net.ipv4.ip_local_port_range': '41000 41001' },
      note: 'of 41000 and 41001',
    };
    expect(compareResults(scenario, left.result, right.result)).not.toEqual([]);
  });
});

describe('everything else', () => {
  it('differs byte for byte', () => {
    expect(differences([[udp({ ttl: 63 })]], [[udp()]])).toEqual(['frame 0: ip.ttl ip.check']);
    expect(differences([[udp(), udp()]], [[udp()]])).toEqual(['frames', 'frame 1']);
    expect(differences([[{ ...udp(), dev: 'tap1' }]], [[udp()]])).toEqual(['frame 0: dev']);
    expect(
      differences([[{ ...udp(), vnet_hdr: '00'.repeat(10) }]], [[{ ...udp(), vnet_hdr: '01'.repeat(10) }]]),
    ).toEqual(['frame 0: vnet_hdr']);
  });
  it('of a result is compared too', () => {
    const { scenario, result } = run([[]]);
    if ('error' in result) throw new Error('no run');
    const changed = (change: Partial<CallResult>): ScenarioResult => ({
      ...result,
      calls: result.calls.map((call, i) => (i === 1 ? { ...call, ...change } : call)),
    });
    for (const change of [
      { ret: -1 },
      { errno: 22 },
      { value_hex: '00' },
      { addr: '1.2.3.4:5' },
      { data_hex: '00' },
      { cmsgs: [{ level: 0, type: 2, hex: '40' }] },
      { lens: [1] },
      { msg_flags: 0x20 },
      { stdout: 'x' },
    ]) {
      expect(compareResults(scenario, changed(change), result).map((d) => d.what)).toEqual(
        Object.keys(change),
      );
    }
    const stamp = (hex: string) => changed({ cmsgs: [{ level: 1, type: 29, hex }] });
    expect(compareResults(scenario, stamp('01'), stamp('02'))).toEqual([]);
    expect(compareResults(scenario, stamp('01'), changed({ cmsgs: [] }))).not.toEqual([]);
    expect(compareResults(scenario, { name: null, error: 'x' }, result)).toHaveLength(1);
    expect(compareResults(scenario, { name: null, error: 'x' }, { name: null, error: 'y' })).toEqual([]);
  });
  it('counts, but a stamp that another socket of the host asked for', () => {
    const received = (flags: number, cmsgs: CallResult['cmsgs'] & object) => {
      const scenario: Scenario = {
        calls: [
          { call: 'socket' },
          { call: 'setsockopt', level: 'SOL_SOCKET', name: 'SO_TIMESTAMPING', value: { u32: flags } },
          { call: 'recvmsg' },
        ],
      };
      const calls = scenario.calls.map(({ call }, i): CallResult => {
        return { i, call, ret: 0, errno: 0, err: null, ...(i === 2 && { cmsgs }), frames: [] };
      });
      return { scenario, result: { name: null, setup_frames: [], calls, late_frames: [] } };
    };
    const stamp = [{ level: 1, type: 37, hex: '01' }];
    for (const [flags, differs] of [
      [0x10, 0],
      [0x18, 1],
    ] as const) {
      const [a, b] = [received(flags, stamp), received(flags, [])];
      expect(compareResults(a.scenario, a.result, b.result)).toHaveLength(differs);
    }
  });
  it('is shown side by side, with the field marked', () => {
    const [left, right] = [run([[udp({ ttl: 63 })]]), run([[udp()]])];
    const found = compareResults(left.scenario, left.result, right.result);
    const text = formatDifferences(left.scenario, found);
    expect(text).toMatch(/call 1: sendto/);
    expect(text).toMatch(/\* ip\.ttl +63 +64/);
    expect(differencesToJson(found)).toMatchObject([{ place: 1, what: 'frame 0: ip.ttl ip.check' }]);
  });
});

describe('what an ICMP error quotes', () => {
  const error = (id: number, options = ''): Frame => {
    const sent = { ...OUT, sport: 4000, dport: 53, payload: '' };
    const quoted = frames.quoteUdp(sent, 200, { id, ...(options !== '' && { options }) });
    const payload = frames.icmpMessage(3, 3, 0, quoted);
    return {
      dev: 'tap0',
      hex: frames.ipv4Frame({ saddr: '10.9.0.2', daddr: '10.9.0.1', protocol: 1, payload }),
    };
  };
  it('has its random parts masked, its checksum following', () => {
    expect(differences([[error(5)]], [[error(9)]])).toEqual([]);
    expect(differences([[error(5)]], [[error(0)]])).not.toEqual([]);
    expect(differences([[error(5, '4408090000000001')]], [[error(5, '44080900000000ff')]])).toEqual([]);
    expect(differences([[error(5, '4408090100000001')]], [[error(5, '4408090000000001')]])).not.toEqual([]);
  });
  it('is compared whole where an injected frame holds it', () => {
    const [left, right] = [run([[error(5)]]), run([[error(9)]])];
    const injected = error(5).hex.slice(2 * (14 + 20 + 8));
    const scenario = { ...left.scenario, note: injected };
    expect(compareResults(scenario, left.result, right.result).map((d) => d.what)).toEqual([
      'frame 0: quote.ip.id quote.ip.check',
    ]);
  });
});

describe('membership reports', () => {
  const report = (group: string): Frame => ({
    dev: 'tap0',
    hex: frames.ipv4Frame({
      saddr: '10.9.0.2',
      daddr: group,
      protocol: 2,
      payload: frames.igmpQuery(group, 0, ''),
      ttl: 1,
    }),
  });
  it('are compared as a set, whenever they came', () => {
    const make = (perCall: readonly (readonly Frame[])[]) => {
      const { scenario, result } = run(perCall);
      const calls = [...scenario.calls, { call: 'sleep', ms: 2000 } as const];
      return { scenario: { ...scenario, calls }, result };
    };
    const [a, b] = [
      make([[report('224.1.1.1')], []]),
      make([[], [report('224.1.1.1'), report('224.1.1.1')]]),
    ];
    expect(compareResults(a.scenario, a.result, b.result)).toEqual([]);
    const other = make([[report('224.1.1.2')], []]);
    expect(compareResults(a.scenario, a.result, other.result).map((d) => d.what)).toEqual(['IGMP']);
  });
});
