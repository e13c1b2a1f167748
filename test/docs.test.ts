/** What the documents say of the sources is held true here. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { KERNEL_PROFILES } from '../src/core/profile.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const PAGES = ['README.md', 'docs/guide.md', 'docs/library.md', 'docs/differences.md', 'docs/kernel-map.md'];

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

  it('name every quirk that the stack explains', () => {
    const page = read('docs/differences.md');
    const sources = read('src/udp/trace.ts') + read('src/ip/ip_output.ts') + read('src/udp/send_skb.ts');
    const rules = [...sources.matchAll(/'([A-Z]+-\d+[a-z]?)'[^\n;]*true\)/g)].map((match) => match[1] ?? '');
    expect(rules.length).toBeGreaterThan(0);
    expect(rules.filter((rule) => !page.includes(rule))).toEqual([]);
  });
});
