import { describe, expect, it } from 'vitest';
import { explainTree } from '../../src/cli/explain_tree.js';
import type { TraceEvent } from '../../src/trace/tracer.js';

const event = (fn: string, step: string, text: string, depth?: number, rule?: string): TraceEvent => ({
  fn,
  step,
  text,
  ...(depth === undefined ? {} : { depth }),
  ...(rule === undefined ? {} : { rule }),
});

describe('explain tree', () => {
  it('nests functions below the call, and steps below functions', () => {
    const tree = explainTree([
      event('udp_sendmsg', 'enter', '5 bytes to 10.9.0.1:9000', 0),
      event('udp_sendmsg', 'destination', 'named by the call', 1, 'SEND-5'),
      event('ip_route_output_flow', 'enter', 'to 10.9.0.1', 1),
      event('ip_route_output_flow', 'rule', '0: local: no match', 1, 'RULE-5'),
      event('ip_route_output_flow', 'source', '10.9.0.2', 1, 'SADDR-1'),
      event('ip_make_skb', 'header', '33 bytes', 1, 'APP-4'),
      event('ip_select_ident', 'id', '0x41a2', 2, 'IPID-3'),
      event('neigh_resolve_output', 'neighbour', 'REACHABLE', undefined, 'NEIGH-4'),
    ]);
    expect(tree).toBe(
      `${[
        'udp_sendmsg             5 bytes to 10.9.0.1:9000',
        '├ destination           named by the call         SEND-5',
        '├ ip_route_output_flow  to 10.9.0.1',
        '│ ├ rule                0: local: no match        RULE-5',
        '│ └ source              10.9.0.2                  SADDR-1',
        '├ ip_make_skb           33 bytes                  APP-4',
        '│ └ ip_select_ident     0x41a2                    IPID-3',
        '└ neigh_resolve_output  REACHABLE                 NEIGH-4',
      ].join('\n')}\n`,
    );
  });

  it('gives a function with two decisions both as steps', () => {
    const tree = explainTree([
      event('udp_sendmsg', 'enter', 'x', 0),
      event('udp_send_skb', 'gso', 'one', 1),
      event('udp_send_skb', 'checksum', 'two', 1),
    ]);
    expect(tree.split('\n').map((line) => line.trimEnd())).toEqual([
      'udp_sendmsg     x',
      '└ udp_send_skb',
      '  ├ gso         one',
      '  └ checksum    two',
      '',
    ]);
  });

  it('shows calls that fail before they enter, and what no call caused', () => {
    const tree = explainTree([
      event('udp_sendmsg', 'length', 'EMSGSIZE: 70000 bytes exceed 65535', 1, 'SEND-1'),
    ]);
    expect(tree).toContain('udp_sendmsg\n└ length');
    expect(explainTree([event('arp_rcv', 'reply', 'from 10.9.0.1')])).toBe('arp_rcv  from 10.9.0.1\n');
    expect(explainTree([])).toBe('');
  });

  it('keeps two calls apart, and names quirks', () => {
    const tree = explainTree([
      event('udp_sendmsg', 'enter', 'first', 0),
      event('udp_sendmsg', 'cork', 'waits', 1),
      event('udp_sendmsg', 'enter', 'second', 0),
      { ...event('udp_sendmsg', 'corked', 'address ignored', 1, 'SEND-4'), quirk: true },
    ]);
    expect(tree.match(/^udp_sendmsg/gm)).toHaveLength(2);
    expect(tree).toContain('SEND-4 (quirk)');
  });
});
