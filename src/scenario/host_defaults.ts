/**
 * A fresh network namespace copies `net.ipv4.conf` from the host's first one, where an administrator, a distribution or Docker may have
 * changed it (forwarding, rp_filter, accept_redirects). Scenarios start from the kernel's own defaults.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { DEFAULT_PROFILE } from '../core/profile.js';
import { Ipv4Devconf, Sysctl } from '../core/sysctl.js';

const CONF = '/proc/sys/net/ipv4/conf';
const FORWARDING = '/proc/sys/net/ipv4/ip_forward';

/** What to write so that a namespace has the defaults; the same for each, so that it is found out once. */
let repairs: readonly (readonly [path: string, value: string])[] | null = null;

/** Gives the calling thread's fresh namespace the kernel's defaults. */
export function restoreDefaults(): void {
  // Turning forwarding off changes other settings: first.
  if (read(FORWARDING) !== '0') writeFileSync(FORWARDING, '0');
  repairs ??= findRepairs();
  for (const [path, value] of repairs) writeFileSync(path, value);
}

function findRepairs(): (readonly [string, string])[] {
  const defaults = new Sysctl(DEFAULT_PROFILE);
  const found: (readonly [string, string])[] = [];
  for (const key of Object.keys(new Ipv4Devconf())) {
    const name = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    for (const which of ['all', 'default']) {
      const value = defaults.get(`net.ipv4.conf.${which}.${name}`);
      const is = read(`${CONF}/${which}/${name}`);
      if (value === null || is === null || is === value) continue;
      found.push([`${CONF}/${which}/${name}`, value]);
      // The loopback device took its settings from the defaults when it was made.
      if (which === 'default') found.push([`${CONF}/lo/${name}`, value]);
    }
  }
  return found;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
