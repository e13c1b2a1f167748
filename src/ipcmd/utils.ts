/** What every `ip` command needs (`lib/utils.c`): its arguments, its complaints, and how it reads numbers. */

import type { NetDevice } from '../dev/net_device.js';
import type { RouteNet } from '../route/netns.js';
import { errnoMessage } from '../uapi/errno.js';
import type { NetlinkResult } from '../uapi/rtnetlink.js';
import type { Printer } from './json_print.js';

/** The options in front of the object, `ip -4 -j ...`. */
export interface IpOptions {
  /** AF_* or AF_UNSPEC (`preferred_family`). */
  readonly family: number;
  readonly json: boolean;
  readonly pretty: boolean;
  readonly oneline: boolean;
  readonly brief: boolean;
  /** Numbers instead of names (`-N`). */
  readonly numeric: boolean;
  /** How often `-d` and `-s` were given. */
  readonly details: number;
  readonly stats: number;
  /** Who gives the command. */
  readonly uid: number;
}

/** Ends a command (`exit`). It never leaves `ipCommand`. */
export class IpExit extends Error {
  constructor(readonly code: number) {
    super(`exit ${code}`);
  }
}

/** One running command. */
export class IpContext {
  stderr = '';
  /** The errno with which the stack refused, 0 for none. */
  errno = 0;
  constructor(
    readonly net: RouteNet,
    readonly options: IpOptions,
    readonly out: Printer,
  ) {}

  /** A message that ends nothing. */
  warn(text: string): void {
    this.stderr += `${text}\n`;
  }
  /** Prints a message and ends the command. */
  fail(code: number, text: string): never {
    this.stderr += `${text}\n`;
    throw new IpExit(code);
  }
  /** A value that the language does not allow. The reason may end in a newline, as some of iproute2's do. */
  invarg(reason: string, word: string): never {
    this.fail(255, `Error: argument "${word}" is wrong: ${reason}`);
  }
  duparg(key: string, word: string): never {
    this.fail(255, `Error: duplicate "${key}": "${word}" is the second value.`);
  }
  duparg2(key: string, word: string): never {
    this.fail(255, `Error: either "${key}" is duplicate, or "${word}" is a garbage.`);
  }
  nodev(name: string): never {
    this.fail(1, `Cannot find device "${name}"`);
  }
  device(name: string): NetDevice {
    return this.net.devGetByName(name) ?? this.nodev(name);
  }
  /** The name of a device by its index, `if7` for one that is gone (`ll_index_to_name`). */
  deviceName(ifindex: number): string {
    if (ifindex === 0) return '*';
    return this.net.devGetByIndex(ifindex)?.name ?? `if${ifindex}`;
  }

  /** What the stack answered to a request: success, or its error in words (`rtnl_talk`). */
  answer(result: NetlinkResult): void {
    if (result.error >= 0) {
      if (result.extack !== undefined) this.warn(`Warning: ${sentence(result.extack)}`);
      return;
    }
    this.errno = -result.error;
    this.fail(
      2,
      result.extack !== undefined
        ? `Error: ${sentence(result.extack)}`
        : `RTNETLINK answers: ${errnoMessage(-result.error)}`,
    );
  }
  /** The stack refuses with an errno, in the words of the kernel's extended acknowledgement where there are any. */
  refuse(errno: number, extack?: string): never {
    this.answer(extack === undefined ? { error: -errno } : { error: -errno, extack });
    throw new IpExit(2);
  }
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}

/** The words of a command, read from left to right. */
export class Args {
  #at = 0;
  constructor(
    private readonly context: IpContext,
    private readonly words: readonly string[],
  ) {}
  get more(): boolean {
    return this.#at < this.words.length;
  }
  get left(): number {
    return this.words.length - this.#at;
  }
  get word(): string {
    return this.words[this.#at] ?? '';
  }
  step(): void {
    this.#at++;
  }
  /** Moves to the value of the keyword that was just read (`NEXT_ARG`). */
  next(): string {
    this.#at++;
    if (!this.more) this.context.fail(255, 'Command line is not complete. Try option "help"');
    return this.word;
  }
  /** The words that have not been read, the present one included. */
  rest(): readonly string[] {
    return this.words.slice(this.#at);
  }
}

/** Whether a word is a beginning of a keyword: iproute2 allows every abbreviation, and the first keyword in its order wins. */
export function matches(word: string, keyword: string): boolean {
  return word !== '' && keyword.startsWith(word);
}

/** `strtol` and `strtoul` with any base: null where something follows the number. Base 0 reads 0x and 0 prefixes. */
export function strtol(text: string, base: number): bigint | null {
  const parts = /^\s*([+-]?)(0[xX])?([0-9a-zA-Z]+)$/.exec(text);
  if (parts === null) return null;
  const [, sign, hex, digits] = parts as unknown as [string, string, string | undefined, string];
  if (hex !== undefined && base !== 0 && base !== 16) return null;
  const radix = hex !== undefined ? 16 : base !== 0 ? base : digits.startsWith('0') ? 8 : 10;
  let value = 0n;
  for (const c of digits.toLowerCase()) {
    const digit = Number.parseInt(c, 36);
    if (digit >= radix) return null;
    value = value * BigInt(radix) + BigInt(digit);
  }
  return sign === '-' ? -value : value;
}

const SHORT_DECIMAL = /^(?:0|[1-9]\d{0,8})$/;

/** An unsigned number up to `max`; null where it is none (`get_unsigned`, `get_u32`, `get_u16`, `get_u8`). */
export function getUnsigned(text: string, max = 0xffffffff, base = 0): number | null {
  // Nearly every number is a short decimal one.
  if (base === 0 && SHORT_DECIMAL.test(text)) return Number(text) <= max ? Number(text) : null;
  const value = strtol(text, base);
  return value === null || value < 0n || value > BigInt(max) ? null : Number(value);
}

/** A signed 32-bit number (`get_integer`). */
export function getInteger(text: string): number | null {
  const value = strtol(text, 0);
  return value === null || value < -0x80000000n || value > 0x7fffffffn ? null : Number(value);
}

/** A number that a keyword needs, or the complaint. */
export function needUnsigned(context: IpContext, word: string, reason: string, max = 0xffffffff): number {
  return getUnsigned(word, max) ?? context.invarg(reason, word);
}

/** `on` or `off` (`parse_on_off`). */
export function parseOnOff(context: IpContext, key: string, word: string): boolean {
  if (word === 'on' || word === 'off') return word === 'on';
  return context.fail(1, `Error: argument of "${key}" must be "on" or "off", not "${word}"`);
}

/** How one keyword of a command is read. */
export interface Keyword<State> {
  /** Spellings that must be whole. */
  readonly is?: readonly string[];
  /** Spellings that may be abbreviated. */
  readonly matches?: readonly string[];
  /** What follows belongs to something else. */
  readonly isLast?: boolean;
  /** Reads the keyword's values; the arguments stand at the keyword. */
  readonly read: (args: Args, state: State, context: IpContext) => void;
}

/**
 * Reads keywords in any order until the words end; the table's order decides between abbreviations. What is no keyword goes to `other`.
 */
export function readKeywords<State>(
  context: IpContext,
  args: Args,
  table: readonly Keyword<State>[],
  state: State,
  other: (args: Args, state: State, context: IpContext) => void,
): void {
  while (args.more) {
    const word = args.word;
    const keyword = table.find(
      (k) => (k.is?.includes(word) ?? false) || (k.matches?.some((m) => matches(word, m)) ?? false),
    );
    if (keyword === undefined) other(args, state, context);
    else {
      keyword.read(args, state, context);
      if (keyword.isLast === true) return;
    }
    args.step();
  }
}

/** One command of an object, `add` of `ip route` say. */
export interface Command {
  /** Spellings that must be whole. */
  readonly is?: readonly string[];
  /** Spellings that may be abbreviated. */
  readonly matches?: readonly string[];
  readonly run: (context: IpContext, words: readonly string[]) => void;
}

/** Runs the command that the first word names, the first of the table where several begin so; `show` where there is no word. */
export function dispatch(
  context: IpContext,
  object: string,
  table: readonly Command[],
  words: readonly string[],
): void {
  const [name = 'show', ...rest] = words;
  const command = table.find(
    (c) => (c.is?.includes(name) ?? false) || (c.matches?.some((m) => matches(name, m)) ?? false),
  );
  if (command === undefined) context.fail(255, `Command "${name}" is unknown, try "ip ${object} help".`);
  command.run(context, rest);
}
