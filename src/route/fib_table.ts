/** Adding to, removing from and listing routing tables (`net/ipv4/fib_trie.c`), with the kernel's meaning of the NLM_F_* flags. */
import { EEXIST, EINVAL, ENOENT, ESRCH } from '../uapi/errno.js';
import {
  NETLINK_OK,
  type NetlinkResult,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  RT_SCOPE_NOWHERE,
  RTNH_F_DEAD,
} from '../uapi/rtnetlink.js';
import { fibCreateInfo, fibMetricsMatch, fibNhMatch } from './fib_semantics.js';
import { type FibConfig, FibInfo, type FibTable } from './fib_types.js';
import { rtCacheFlush } from './genid.js';
import type { RouteNet } from './netns.js';

/** Null where a prefix and its length go together (`fib_valid_key_len`). */
export function fibValidKeyLen(key: number, plen: number): NetlinkResult | null {
  if (plen > 32) return { error: -EINVAL, extack: 'Invalid prefix length' };
  if (plen < 32 && key << plen !== 0)
    return { error: -EINVAL, extack: 'Invalid prefix for given prefix length' };
  return null;
}

/**
 * The first alias of a list that is of this table and not before (TOS, priority) in order (`fib_find_alias`); 0 for none.
 */
function fibFindAlias(tb: FibTable, first: number, dscp: number, priority: number): number {
  const { trie } = tb;
  for (let alias = first; alias !== 0; alias = trie.aliasNext(alias)) {
    const tbId = trie.aliasInfo(alias).tbId;
    if (tbId > tb.id) continue;
    if (tbId !== tb.id) break;
    const its = trie.aliasDscp(alias);
    if (its > dscp) continue;
    if (its < dscp || trie.aliasInfo(alias).priority >= priority) return alias;
  }
  return 0;
}

/** The alias in front of `alias`, or, where that is 0, the last one that a new one of this table may stand behind. */
function aliasBefore(tb: FibTable, first: number, alias: number): number {
  const { trie } = tb;
  let before = 0;
  for (let at = first; at !== 0; at = trie.aliasNext(at)) {
    if (alias !== 0 ? at === alias : tb.id > trie.aliasInfo(at).tbId) break;
    before = at;
  }
  return before;
}

/** A fib_info that was made for a request that comes to nothing. */
function refuse(net: RouteNet, fi: FibInfo, error: number): NetlinkResult {
  net.fib.releaseInfo(fi);
  return { error };
}

/** Adds or replaces a route (`fib_table_insert`). */
export function fibTableInsert(net: RouteNet, tb: FibTable, cfg: FibConfig): NetlinkResult {
  const { dst: key, dstLen: plen, dscp } = cfg;
  const invalid = fibValidKeyLen(key, plen);
  if (invalid !== null) return invalid;
  const fi = fibCreateInfo(net, cfg);
  if (!(fi instanceof FibInfo)) return fi;
  const { trie } = tb;
  const first = trie.first(key, plen);
  let fa = first === 0 ? 0 : fibFindAlias(tb, first, dscp, fi.priority);
  if (fa !== 0 && trie.aliasDscp(fa) === dscp && trie.aliasInfo(fa).priority === fi.priority) {
    if ((cfg.nlflags & NLM_F_EXCL) !== 0) return refuse(net, fi, -EEXIST);
    const faFirst = fa;
    let faMatch = 0;
    for (; fa !== 0; fa = trie.aliasNext(fa)) {
      if (trie.aliasInfo(fa).tbId !== tb.id || trie.aliasDscp(fa) !== dscp) break;
      if (trie.aliasInfo(fa).priority !== fi.priority) break;
      if (trie.aliasInfo(fa).type === cfg.type && trie.aliasInfo(fa) === fi) {
        faMatch = fa;
        break;
      }
    }
    if ((cfg.nlflags & NLM_F_REPLACE) !== 0) {
      if (faMatch !== 0) return refuse(net, fi, faMatch === faFirst ? 0 : -EEXIST);
      const dropped = trie.aliasInfo(faFirst);
      const accessed = trie.aliasAccessed(faFirst);
      trie.setAlias(key, plen, faFirst, fi);
      net.fib.releaseInfo(dropped);
      trie.faDefault.delete(faFirst);
      if (accessed) rtCacheFlush(net);
      return NETLINK_OK;
    }
    if (faMatch !== 0) return refuse(net, fi, -EEXIST);
    if ((cfg.nlflags & NLM_F_APPEND) === 0) fa = faFirst;
  }
  if ((cfg.nlflags & NLM_F_CREATE) === 0) return refuse(net, fi, -ENOENT);
  const after = first === 0 ? 0 : aliasBefore(tb, first, fa);
  trie.insert(key, plen, after, fi, dscp);
  if (plen === 0) tb.numDefault++;
  rtCacheFlush(net);
  return NETLINK_OK;
}

/** Removes the first route that fits what is named (`fib_table_delete`): -ESRCH where none does. */
export function fibTableDelete(net: RouteNet, tb: FibTable, cfg: FibConfig): NetlinkResult {
  const { dst: key, dstLen: plen, dscp } = cfg;
  const invalid = fibValidKeyLen(key, plen);
  if (invalid !== null) return invalid;
  const { trie } = tb;
  const first = trie.first(key, plen);
  if (first === 0) return { error: -ESRCH };
  for (let fa = fibFindAlias(tb, first, dscp, 0); fa !== 0; fa = trie.aliasNext(fa)) {
    if (trie.aliasInfo(fa).tbId !== tb.id || trie.aliasDscp(fa) !== dscp) break;
    const fi = trie.aliasInfo(fa);
    if (cfg.type !== 0 && trie.aliasInfo(fa).type !== cfg.type) continue;
    if (cfg.scope !== RT_SCOPE_NOWHERE && fi.scope !== cfg.scope) continue;
    if (cfg.prefsrc !== 0 && fi.prefsrc !== cfg.prefsrc) continue;
    if (cfg.protocol !== 0 && fi.protocol !== cfg.protocol) continue;
    if (!fibNhMatch(cfg, fi) || !fibMetricsMatch(cfg, fi)) continue;
    const accessed = trie.aliasAccessed(fa);
    removeAlias(net, tb, key, plen, fa);
    if (accessed) rtCacheFlush(net);
    return NETLINK_OK;
  }
  return { error: -ESRCH };
}

function removeAlias(net: RouteNet, tb: FibTable, key: number, plen: number, alias: number): void {
  const fi = tb.trie.aliasInfo(alias);
  tb.trie.remove(key, plen, alias);
  tb.trie.faDefault.delete(alias);
  if (plen === 0) tb.numDefault--;
  net.fib.releaseInfo(fi);
}

/** Drops the routes that are marked dead (`fib_flush`): their nexthops are gone, or the preferred source is. */
export function fibFlush(net: RouteNet): void {
  let flushed = 0;
  for (const tb of net.fib.tables()) {
    const dead: { key: number; plen: number; alias: number }[] = [];
    tb.trie.forEach((key, plen, alias) => {
      if (tb.trie.aliasInfo(alias).tbId !== tb.id) return;
      if ((tb.trie.aliasInfo(alias).flags & RTNH_F_DEAD) !== 0) dead.push({ key, plen, alias });
    });
    for (const { key, plen, alias } of dead) removeAlias(net, tb, key, plen, alias);
    flushed += dead.length;
  }
  if (flushed > 0) rtCacheFlush(net);
}
