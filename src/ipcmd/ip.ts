/**
 * The `ip(8)` command language: what iproute2 accepts is accepted, what it refuses is refused with the same errno, and `show` prints
 * iproute2's text and JSON. It is built as iproute2 is: arguments become rtnetlink messages, the rooms below answer them, and their dumps
 * are printed.
 *
 * Where iproute2 differs from itself, 6.1 is meant; selectors of rules that came later (`dscp`, port masks) are understood too. The
 * stack is a kernel without IPv6, nexthop objects, lightweight tunnels, and route classes (`realms`): what concerns
 * those is read and answered as such a kernel answers.
 */
import type { RouteNet } from '../route/netns.js';
import { EINVAL } from '../uapi/errno.js';
import { AF_INET, AF_INET6, AF_PACKET, AF_UNSPEC } from '../uapi/socket.js';
import { doIpaddr } from './ipaddress.js';
import { doIplink } from './iplink.js';
import { doMultiaddr } from './ipmaddr.js';
import { doIpneigh } from './ipneigh.js';
import { doIproute } from './iproute.js';
import { doIprule } from './iprule.js';
import { Printer } from './json_print.js';
import { ipUsage } from './usage.js';
import { IpContext, IpExit, type IpOptions, matches } from './utils.js';
import { splitCommands, splitWords } from './words.js';

/** What a command leaves behind, as the program `ip` would. */
export interface IpResult {
  /** Exit status: 0, 1 (unknown device or address), 2 (refused by the stack), 255 (not understood). */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The stack's errno, positive; 0 where it did not refuse. */
  readonly errno: number;
}

type Command = (context: IpContext, words: readonly string[]) => void;

/** In iproute2's order, which decides between abbreviations. */
const OBJECTS: readonly (readonly [name: string, run: Command])[] = [
  ['address', doIpaddr],
  ['maddress', doMultiaddr],
  ['route', doIproute],
  ['rule', doIprule],
  ['neighbor', doIpneigh],
  ['neighbour', doIpneigh],
  ['link', doIplink],
  ['help', ipUsage],
];

const FAMILIES: ReadonlyMap<string, number> = new Map([
  ['inet', AF_INET],
  ['inet6', AF_INET6],
  ['link', AF_PACKET],
  ['any', AF_UNSPEC],
  ['all', AF_UNSPEC],
]);

/**
 * Runs one `ip` command, or several lines of them up to the first that fails. Never throws.
 *
 * @param uid who gives the command, which `route get` asks the rules with
 * @param command the arguments as one text (`addr add 10.9.0.2/24 dev tap0`, quoted as in a shell, `ip` in front or not), or a list of words
 */
export function ipCommand(net: RouteNet, command: string | readonly string[], uid = 0): IpResult {
  if (typeof command !== 'string') return runWords(net, command, uid);
  let stdout = '';
  let stderr = '';
  const lines = splitCommands(command);
  for (const line of lines.length > 0 ? lines : ['']) {
    const words = splitWords(line);
    if (words === null)
      return { code: 255, stdout, stderr: `${stderr}Unbalanced quotes: ${line}\n`, errno: EINVAL };
    const result = runWords(net, words[0] === 'ip' ? words.slice(1) : words, uid);
    stdout += result.stdout;
    stderr += result.stderr;
    if (result.code !== 0) return { ...result, stdout, stderr };
  }
  return { code: 0, stdout, stderr, errno: 0 };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function runWords(net: RouteNet, words: readonly string[], uid: number): IpResult {
  const options: Mutable<IpOptions> = {
    family: AF_UNSPEC,
    json: false,
    pretty: false,
    oneline: false,
    brief: false,
    numeric: false,
    details: 0,
    stats: 0,
    uid,
  };
  // Until the options are read there is only a place for complaints.
  let context = new IpContext(net, options, new Printer(false, false, '\n'));
  let code = 0;
  try {
    const rest = readOptions(context, options, words);
    const printer = new Printer(options.json, options.pretty, options.oneline ? '\\' : '\n');
    context = new IpContext(net, options, printer);
    const [object, ...args] = rest;
    if (object === undefined) ipUsage(context);
    const found = OBJECTS.find(([name]) => matches(object!, name));
    if (found === undefined) context.fail(1, `Object "${object}" is unknown, try "ip help".`);
    found![1](context, args);
    net.flush();
  } catch (error) {
    if (!(error instanceof IpExit)) throw error;
    code = error.code;
  }
  return { code, stdout: context.out.finish(), stderr: context.stderr, errno: context.errno };
}

/** Reads the options in front of the object. @returns the words that follow them */
function readOptions(
  context: IpContext,
  options: Mutable<IpOptions>,
  words: readonly string[],
): readonly string[] {
  let at = 0;
  for (; at < words.length && words[at]!.startsWith('-'); at++) {
    if (words[at] === '--') return words.slice(at + 1);
    const word = words[at]!.replace(/^--/, '-');
    if (word === '-4') options.family = AF_INET;
    else if (word === '-6') options.family = AF_INET6;
    else if (word === '-0') options.family = AF_PACKET;
    else if (matches(word, '-family')) {
      const name = words[++at] ?? context.fail(255, 'Command line is not complete. Try option "help"');
      options.family = FAMILIES.get(name) ?? context.invarg('invalid protocol family', name);
    } else if (['-stats', '-statistics'].some((k) => matches(word, k))) options.stats++;
    else if (matches(word, '-details')) options.details++;
    else if (matches(word, '-resolve') || matches(word, '-timestamp') || matches(word, '-tshort')) continue;
    else if (matches(word, '-human-readable') || matches(word, '-iec')) continue;
    else if (matches(word, '-oneline')) options.oneline = true;
    else if (matches(word, '-Version')) {
      context.out.raw('ip utility, iproute2-6.1.0\n');
      throw new IpExit(0);
    } else if (matches(word, '-brief') && word.length > 2) options.brief = true;
    else if (matches(word, '-json')) options.json = true;
    else if (matches(word, '-pretty')) options.pretty = true;
    else if (matches(word, '-Numeric')) options.numeric = true;
    else if (matches(word, '-help')) ipUsage(context);
    else context.fail(255, `Option "${word}" is unknown, try "ip -help".`);
  }
  return words.slice(at);
}
