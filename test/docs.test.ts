/** What the documents say of the sources is held true here. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  AF_INET,
  IP_OPTIONS,
  KERNEL_PROFILES,
  MemoryDevice,
  MSG_MORE,
  Net,
  SOCK_DGRAM,
  SOL_IP,
  type TraceEvent,
  VirtualClock,
} from '../src/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const PAGES = [
  'README.md',
  'docs/guide.md',
  'docs/library.md',
  'docs/differences.md',
  'docs/kernel-map.md',
  'docs/kernels.md',
];

describe('documents', () => {
  it('link to files that exist', () => {
    const broken = PAGES.flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
        .map((match) => match[1] ?? '')
        .filter((target) => !existsSync(join(root, dirname(page), target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('map kernel functions to functions that exist', () => {
    const rows = [...read('docs/kernel-map.md').matchAll(/^\| `(\w+)` \| `(\w+)` \| \[([^\]]+)\]/gm)];
    expect(rows.length).toBeGreaterThan(200);
    const wrong = rows.filter(([, , name, file]) => {
      const text = existsSync(join(root, file ?? '')) ? read(file ?? '') : '';
      return !new RegExp(`(function\\*? |^  (async )?)${name}\\b`, 'm').test(text);
    });
    expect(wrong.map((row) => row[0])).toEqual([]);
  });

  it('list the functions that the whole is about', () => {
    const map = read('docs/kernel-map.md');
    const path = [
      'udp_sendmsg',
      'ip_route_output_flow',
      '__ip_make_skb',
      '__ip_append_data',
      'udp_send_skb',
      'ip_do_fragment',
      'neigh_resolve_output',
    ];
    expect(path.filter((name) => !map.includes(`\`${name}\``))).toEqual([]);
  });

  it('know the differences between kernels', () => {
    const page = read('docs/differences.md');
    const segments = ['6.18', '6.1', '5.4'].map((v) => KERNEL_PROFILES[v as '6.18'].udpMaxSegments);
    expect(page).toContain(`| segments of one \`UDP_SEGMENT\` send | ${segments.join(' | ')} |`);
    for (const quirk of ['CORK-20', 'CORK-21', 'CORK-23', 'CSUM-1', 'ROUTE-12a'])
      expect(page).toContain(`| ${quirk} |`);
  });

  it('name the quirks that the stack explains', () => {
    const page = read('docs/differences.md');
    const events: TraceEvent[] = [];
    const net = new Net({ clock: new VirtualClock(), tracer: { event: (event) => events.push(event) } });
    net.addDevice(new MemoryDevice({ name: 'tap0' }));
    net.ip('addr add 10.9.0.2/24 dev tap0');
    net.ip('link set tap0 up');
    const socket = net.socket(AF_INET, SOCK_DGRAM, 0);
    const to = { address: '10.9.0.1', port: 9000 };
    socket.sendto(new Uint8Array(1), MSG_MORE, to);
    socket.sendto(new Uint8Array(1), 0, to);
    socket.setsockopt(SOL_IP, IP_OPTIONS, Uint8Array.of(1, 0x83, 7, 4, 10, 9, 0, 7));
    socket.sendto(new Uint8Array(1), 0, to);
    net.close();
    const rules = [
      ...new Set(events.filter((event) => event.quirk === true).map((event) => event.rule ?? '')),
    ];
    expect(rules.sort()).toEqual(['CSUM-1', 'SEND-4']);
    expect(rules.filter((rule) => !page.includes(`| ${rule} |`))).toEqual([]);
  });
});
