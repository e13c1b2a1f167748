// Writes docs/kernel-map.md: which kernel function is which function here. It reads the sources: a function that carries
// a kernel function's name, or whose comment begins with one, belongs to it. `--check` only says whether the page is current.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'docs/kernel-map.md');

/** The rooms, from the system call down to the device. */
const ROOMS = [
  ['socket', 'System calls and socket options'],
  ['udp', 'UDP'],
  ['ip', 'IP: building, options, output, fragments, ICMP, IGMP'],
  ['route', 'Routing'],
  ['neigh', 'Neighbours and ARP'],
  ['dev', 'Devices'],
];

const camel = (name) => name.replace(/^_+/, '').replace(/_+(.)/g, (_, c) => c.toUpperCase());

/** Functions of a file with the comment in front of each. */
function functions(text) {
  const found = [];
  const pattern =
    /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?^(?:export (?:async )?function\*? (\w+)|function (\w+)| {2}(?:async )?(\w+)\([^;]*\)[^;=]*\{$)/gm;
  for (const [, comment = '', exported, local, method] of text.matchAll(pattern)) {
    const name = exported ?? local ?? method;
    if (name !== 'constructor') found.push({ name, comment: comment.replace(/\s*\n\s*\*\s?/g, ' ').trim() });
  }
  return found;
}

/**
 * The kernel's functions on the path that carry their own name here but are described in other words. Only names that a
 * function of ours has are listed, so this can be too long, never wrong.
 */
const OWN_NAMES = `
udp_sendmsg udp_send_skb udp_cmsg_send udp_push_pending_frames udp_flush_pending_frames udp_rcv udp_err udp_recvmsg
udp4_ufo_fragment skb_segment __udp_gso_segment udp_lib_setsockopt udp_lib_getsockopt ip_setup_cork ip_cmsg_send
ip_do_fragment ip_fragment ip_output ip_mc_output ip_finish_output ip_finish_output2 ip_send_skb ip_push_pending_frames
ip_options_build ip_options_fragment ip_options_get ip_select_ident fib_rules_lookup fib_table_lookup fib_select_path
ip_route_input arp_rcv arp_send neigh_update neigh_lookup dev_hard_start_xmit sock_setsockopt sock_getsockopt
do_ip_setsockopt do_ip_getsockopt
`
  .trim()
  .split(/\s+/);
const OWN = new Map(OWN_NAMES.map((kernel) => [camel(kernel), kernel]));

/** The kernel's names in a comment that belong to the function below it. */
function kernelNames({ name, comment }) {
  if (OWN.has(name)) return [OWN.get(name)];
  const named = [...comment.matchAll(/`(_*[a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?:\(\))?`/g)].map(
    (match) => match[1],
  );
  const same = named.filter((kernel) => camel(kernel).toLowerCase() === name.toLowerCase());
  if (same.length > 0) return same.slice(0, 1);
  const leading = /^`(_*[a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?:\(\))?`/.exec(comment)?.[1];
  if (leading !== undefined) return [leading];
  // "... (`kernel_name`)." at the end of the first sentence.
  const bracketed = /^[^.]*\(`(_*[a-z][a-z0-9]*(?:_[a-z0-9]+)+)`\)/.exec(comment)?.[1];
  return bracketed === undefined ? [] : [bracketed];
}

function rowsOf(room) {
  const rows = [];
  for (const file of readdirSync(join(root, 'src', room)).sort()) {
    if (!file.endsWith('.ts')) continue;
    const text = readFileSync(join(root, 'src', room, file), 'utf8');
    for (const entry of functions(text)) {
      for (const kernel of kernelNames(entry)) {
        rows.push(`| \`${kernel}\` | \`${entry.name}\` | [src/${room}/${file}](../src/${room}/${file}) |`);
      }
    }
  }
  return [...new Set(rows)].sort();
}

export function kernelMap() {
  const parts = ROOMS.map(
    ([room, title]) => `## ${title}\n\n| kernel | here | file |\n|---|---|---|\n${rowsOf(room).join('\n')}\n`,
  );
  return `# From the kernel's function to the file

For readers who have the kernel's source open in the other window. Written by \`node scripts/kernel-map.mjs\` from the
comments in the sources; a test holds that all it names exists. A function that is not listed here is a helper without a counterpart, or
is part of the function that calls it.

${parts.join('\n')}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--check')) {
    const current = readFileSync(page, 'utf8') === kernelMap();
    if (!current) console.error('docs/kernel-map.md is out of date: node scripts/kernel-map.mjs');
    process.exitCode = current ? 0 : 1;
  } else writeFileSync(page, kernelMap());
}
