/** `ip neigh add`, `change`, `replace`, `del`, and the commands of `ip neigh` (`ipneigh.c`). */
import { neighAdd, neighDelete } from '../neigh/admin.js';
import { EOPNOTSUPP } from '../uapi/errno.js';
import { NTF_EXT_LEARNED, NTF_PROXY, NTF_ROUTER, NTF_USE, NUD_PERMANENT } from '../uapi/neighbour.js';
import { type NeighMessage, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from '../uapi/rtnetlink.js';
import { AF_INET, AF_UNSPEC } from '../uapi/socket.js';
import { getAddr, type InetPrefix, llAddrA2n } from './inet_addr.js';
import { flushNeighbours, getNeighbour, nudStateA2n, showNeighbours } from './ipneigh_show.js';
import { protocolA2n } from './rt_names.js';
import { neighUsage } from './usage.js';
import {
  Args,
  type Command,
  dispatch,
  type IpContext,
  type Keyword,
  matches,
  readKeywords,
} from './utils.js';

interface Modify {
  dst: InetPrefix | null;
  dev: string | null;
  lladdr: string | null;
  state: number;
  flags: number;
  protocol: number;
}

function readDestination(context: IpContext, state: Modify, word: string): void {
  state.dst = getAddr(context, word, context.options.family);
}

const MODIFY: readonly Keyword<Modify>[] = [
  {
    matches: ['lladdr'],
    read(args, state, context) {
      const word = args.next();
      if (state.lladdr !== null) context.duparg('lladdr', word);
      state.lladdr = word;
    },
  },
  {
    is: ['nud'],
    read(args, state, context) {
      const word = args.next();
      state.state = nudStateA2n(word) ?? context.invarg('nud state is bad', word);
    },
  },
  {
    matches: ['proxy'],
    read(args, state, context) {
      const word = args.next();
      if (matches(word, 'help')) neighUsage(context);
      if (state.dst !== null) context.duparg('address', word);
      readDestination(context, state, word);
      state.flags |= NTF_PROXY;
    },
  },
  {
    matches: ['router'],
    read(_args, state) {
      state.flags |= NTF_ROUTER;
    },
  },
  {
    matches: ['use'],
    read(_args, state) {
      state.flags |= NTF_USE;
    },
  },
  {
    matches: ['managed'],
    // The table has no entries that it keeps resolved by itself.
    read: (_args, _state, context) => context.refuse(EOPNOTSUPP),
  },
  {
    matches: ['extern_learn'],
    read(_args, state) {
      state.flags |= NTF_EXT_LEARNED;
    },
  },
  {
    is: ['dev'],
    read(args, state) {
      state.dev = args.next();
    },
  },
  {
    matches: ['protocol'],
    read(args, state, context) {
      const word = args.next();
      state.protocol = protocolA2n(word) ?? context.invarg('"protocol" value is invalid\n', word);
    },
  },
];

function modify(
  context: IpContext,
  words: readonly string[],
  nlmFlags: number,
  request: typeof neighAdd,
): void {
  const state: Modify = { dst: null, dev: null, lladdr: null, state: NUD_PERMANENT, flags: 0, protocol: 0 };
  readKeywords(context, new Args(context, words), MODIFY, state, (args) => {
    if (args.word === 'to') args.next();
    if (matches(args.word, 'help')) neighUsage(context);
    if (state.dst !== null) context.duparg2('to', args.word);
    readDestination(context, state, args.word);
  });
  if (state.dev === null || state.dst === null || state.dst.family === AF_UNSPEC)
    context.fail(255, 'Device and destination are required arguments.');
  const lladdr = state.lladdr === null || state.lladdr === 'null' ? null : llAddrA2n(context, state.lladdr);
  const dev = context.device(state.dev);
  if (state.dst.family !== AF_INET) context.refuse(EOPNOTSUPP);
  const message: NeighMessage = {
    ifindex: dev.ifindex,
    dst: state.dst.addr,
    state: state.state,
    flags: state.flags,
    // The device takes as many bytes as its addresses have.
    ...(lladdr === null ? {} : { lladdr: lladdr.slice(0, dev.addr.length) }),
    ...(state.protocol === 0 ? {} : { protocol: state.protocol }),
  };
  context.answer(request(context.net, message, nlmFlags));
}

const COMMANDS: readonly Command[] = [
  { matches: ['add'], run: (context, words) => modify(context, words, NLM_F_CREATE | NLM_F_EXCL, neighAdd) },
  {
    is: ['chg'],
    matches: ['change'],
    run: (context, words) => modify(context, words, NLM_F_REPLACE, neighAdd),
  },
  {
    matches: ['replace'],
    run: (context, words) => modify(context, words, NLM_F_CREATE | NLM_F_REPLACE, neighAdd),
  },
  { matches: ['delete'], run: (context, words) => modify(context, words, 0, neighDelete) },
  { matches: ['get'], run: getNeighbour },
  { matches: ['show', 'lst', 'list'], run: showNeighbours },
  { matches: ['flush'], run: flushNeighbours },
  { matches: ['help'], run: neighUsage },
];

/** `ip neigh ...` */
export function doIpneigh(context: IpContext, words: readonly string[]): void {
  dispatch(context, 'neigh', COMMANDS, words);
}
