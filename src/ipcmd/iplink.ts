/** `ip link set`, `add`, `del` (`iplink.c`): reading the words. What they do to devices is in `link_request.ts`. */
import type { NetDevice } from '../dev/net_device.js';
import { EOPNOTSUPP } from '../uapi/errno.js';
import {
  ETH_ALEN,
  IFF_ALLMULTI,
  IFF_DYNAMIC,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_NOTRAILERS,
  IFF_PROMISC,
  IFF_UP,
  IFNAMSIZ,
} from '../uapi/if.js';
import { llAddrA2n } from './inet_addr.js';
import { showLinks } from './ipaddress_show.js';
import { addLink, deleteLink, type LinkRequest, setLink } from './link_request.js';
import { groupA2n, tableA2n } from './rt_names.js';
import { linkUsage } from './usage.js';
import {
  Args,
  type Command,
  dispatch,
  getInteger,
  type IpContext,
  type Keyword,
  matches,
  needUnsigned,
  parseOnOff,
  readKeywords,
} from './utils.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Modify extends Mutable<LinkRequest> {
  dev: string | null;
  group: number | null;
  index: number | null;
  /** Words behind `type KIND`. */
  typeArgs: readonly string[];
}

function checkIfname(name: string): boolean {
  return name !== '' && Buffer.byteLength(name) < IFNAMSIZ && !/[/\s]/.test(name);
}

function setFlag(state: Modify, flag: number, on: boolean): void {
  state.flagMask = (state.flagMask ?? 0) | flag;
  state.flags = on ? (state.flags ?? 0) | flag : (state.flags ?? 0) & ~flag;
}

/** `KEYWORD { on | off }` for a flag; some flags say the opposite of their keyword. */
function onOff(name: string, flag: number, inverted = false): Keyword<Modify> {
  return {
    is: [name],
    read: (args, state, context) => setFlag(state, flag, parseOnOff(context, name, args.next()) !== inverted),
  };
}

/** A number that has no meaning for this stack's devices. */
function ignoredNumber(name: string, spelling: 'is' | 'matches'): Keyword<Modify> {
  return {
    [spelling]: [name],
    read(args, _state, context) {
      needUnsigned(context, args.next(), `Invalid "${name}" value\n`);
    },
  };
}

const MODIFY: readonly Keyword<Modify>[] = [
  { is: ['up'], read: (_args, state) => setFlag(state, IFF_UP, true) },
  { is: ['down'], read: (_args, state) => setFlag(state, IFF_UP, false) },
  {
    is: ['name'],
    read(args, state, context) {
      const word = args.next();
      if (state.name !== undefined) context.duparg('name', word);
      if (!checkIfname(word)) context.invarg('"name" not a valid ifname', word);
      state.name = word;
      // With `add`, `name` names the new device.
      state.dev ??= word;
    },
  },
  {
    matches: ['index'],
    read(args, state, context) {
      const word = args.next();
      if (state.index !== null) context.duparg('index', word);
      const index = getInteger(word);
      if (index === null || index <= 0) context.invarg('Invalid "index" value', word);
      state.index = index;
    },
  },
  {
    matches: ['link'],
    // Only kinds that do not exist here are stacked on another device.
    read(args, _state, context) {
      context.device(args.next());
    },
  },
  {
    matches: ['address'],
    read(args, state, context) {
      state.address = llAddrA2n(context, args.next());
    },
  },
  {
    is: ['brd'],
    matches: ['broadcast'],
    read(args, state, context) {
      state.broadcast = llAddrA2n(context, args.next());
    },
  },
  {
    is: ['qlen', 'txqlen'],
    matches: ['txqueuelen'],
    read(args, state, context) {
      const word = args.next();
      if (state.txQueueLen !== undefined) context.duparg('txqueuelen', word);
      state.txQueueLen = getInteger(word) ?? context.invarg('Invalid "txqueuelen" value\n', word);
    },
  },
  {
    is: ['mtu'],
    read(args, state, context) {
      const word = args.next();
      if (state.mtu !== undefined) context.duparg('mtu', word);
      state.mtu = getInteger(word) ?? context.invarg('Invalid "mtu" value\n', word);
    },
  },
  { is: ['netns'], read: (args, _state, context) => context.invarg('Invalid "netns" value\n', args.next()) },
  onOff('multicast', IFF_MULTICAST),
  onOff('allmulticast', IFF_ALLMULTI),
  onOff('promisc', IFF_PROMISC),
  onOff('trailers', IFF_NOTRAILERS, true),
  onOff('arp', IFF_NOARP, true),
  {
    is: ['carrier'],
    read(args, state, context) {
      state.carrier = parseOnOff(context, 'carrier', args.next());
    },
  },
  {
    is: ['master'],
    read(args, state, context) {
      const word = args.next();
      state.master = context.net.devGetByName(word) ?? context.invarg('Device does not exist\n', word);
    },
  },
  {
    is: ['vrf'],
    read(args, state, context) {
      const word = args.next();
      const dev = context.net.devGetByName(word);
      if (dev === null || !dev.isL3Master) context.invarg('Not a valid VRF name\n', word);
      state.master = dev;
    },
  },
  {
    is: ['nomaster'],
    read(_args, state) {
      state.master = null;
    },
  },
  onOff('dynamic', IFF_DYNAMIC),
  {
    matches: ['type'],
    isLast: true,
    read(args, state) {
      state.kind = args.next();
      args.step();
      state.typeArgs = args.rest();
    },
  },
  {
    matches: ['alias'],
    read(args, state) {
      state.alias = args.next();
    },
  },
  {
    is: ['group'],
    read(args, state, context) {
      const word = args.next();
      if (state.group !== null) context.duparg('group', word);
      state.group = groupA2n(word) ?? context.invarg('Invalid "group" value\n', word);
    },
  },
  {
    is: ['mode'],
    read(args, _state, context) {
      const word = args.next();
      if (!['default', 'dormant'].includes(word.toLowerCase())) context.invarg('Invalid link mode\n', word);
    },
  },
  {
    is: ['state'],
    read(args, _state, context) {
      const states = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up'];
      const word = args.next();
      if (!states.includes(word.toLowerCase())) needUnsigned(context, word, 'Invalid operstate\n', 255);
    },
  },
  ignoredNumber('numtxqueues', 'matches'),
  ignoredNumber('numrxqueues', 'matches'),
  {
    is: ['addrgenmode'],
    // About IPv6 addresses.
    read(args, _state, context) {
      const word = args.next();
      if (!['eui64', 'none', 'stable_secret', 'random'].includes(word.toLowerCase()))
        context.invarg('Invalid address generation mode\n', word);
    },
  },
  {
    is: ['protodown'],
    read(args, _state, context) {
      parseOnOff(context, 'protodown', args.next());
    },
  },
  ignoredNumber('gso_max_size', 'is'),
  ignoredNumber('gso_max_segs', 'is'),
  ignoredNumber('gro_max_size', 'is'),
];

function readDevice(args: Args, state: Modify, context: IpContext): void {
  if (matches(args.word, 'help')) linkUsage(context);
  if (args.word === 'dev') args.next();
  if (state.dev !== null) context.duparg2('dev', args.word);
  if (!checkIfname(args.word)) context.invarg('"dev" not a valid ifname', args.word);
  state.dev = args.word;
}

function read(context: IpContext, words: readonly string[]): Modify {
  const state: Modify = { dev: null, group: null, index: null, typeArgs: [] };
  readKeywords(context, new Args(context, words), MODIFY, state, readDevice);
  for (const address of [state.address, state.broadcast])
    if (
      address !== undefined &&
      address.length !== ETH_ALEN &&
      context.net.devGetByName(state.dev ?? '') !== null
    )
      context.fail(1, `Invalid address length ${address.length} - must be ${ETH_ALEN} bytes`);
  return state;
}

/** The devices that a command is about: one by name, or a group. */
function selected(context: IpContext, state: Modify): readonly NetDevice[] {
  if (state.dev !== null) return [context.device(state.dev)];
  if (state.group !== null) return context.net.devices.filter((dev) => dev.group === state.group);
  return context.fail(255, 'Not enough information: "dev" argument is required.');
}

function set(context: IpContext, words: readonly string[]): void {
  const state = read(context, words);
  // `name` came without a device: it is the new name of none.
  if (state.dev === null && state.group === null) selected(context, state);
  const devices = selected(context, state);
  if (state.index !== null)
    context.fail(255, 'index can be used only when creating devices or when moving device to another netns.');
  for (const dev of devices) {
    const request: LinkRequest = {
      ...state,
      ...(state.dev !== null && state.group !== null ? { group: state.group } : {}),
    };
    if (state.kind !== undefined && state.kind !== dev.kind) context.refuse(EOPNOTSUPP);
    setLink(context, dev, request);
  }
}

/** The table of `type vrf table N`. */
function readVrfTable(context: IpContext, words: readonly string[]): number | null {
  let table: number | null = null;
  const args = new Args(context, words);
  for (; args.more; args.step()) {
    if (!matches(args.word, 'table'))
      context.fail(255, `vrf: unknown option "${args.word}"?\nUsage: ... vrf table TABLEID`);
    const word = args.next();
    table = tableA2n(word) ?? context.invarg('invalid table ID\n', word);
  }
  return table;
}

function add(context: IpContext, words: readonly string[]): void {
  const state = read(context, words);
  if (state.kind === undefined) context.fail(1, 'Not enough information: "type" argument is required');
  const table = state.kind === 'vrf' ? readVrfTable(context, state.typeArgs) : null;
  addLink(context, {
    ...state,
    name: state.dev,
    kind: state.kind,
    index: state.index,
    table,
    group: state.group ?? 0,
  });
}

function remove(context: IpContext, words: readonly string[]): void {
  const state = read(context, words);
  for (const dev of selected(context, state)) deleteLink(context, dev, state.kind ?? null);
}

const COMMANDS: readonly Command[] = [
  { matches: ['add'], run: add },
  { matches: ['set', 'change'], run: set },
  { matches: ['replace'], run: add },
  { matches: ['delete'], run: remove },
  { is: ['ls'], matches: ['show', 'lst', 'list'], run: showLinks },
  { matches: ['help'], run: linkUsage },
];

/** `ip link ...` */
export function doIplink(context: IpContext, words: readonly string[]): void {
  dispatch(context, 'link', COMMANDS, words);
}
