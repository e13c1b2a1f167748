/** The scenario file format as a schema: what a file may hold, and for a wrong one the place and the reason. */
import * as z from 'zod';
import { unknownWord } from './constants.js';
import type { Addr, Data, Message, Scenario, TapSpec, Value } from './types.js';

const hex = z
  .string()
  .regex(/^(\s*[0-9a-fA-F]{2})*\s*$/, 'must be hex digits, two a byte')
  .describe('Bytes in hex');

const symbolic = z.string().superRefine((text, context) => {
  const word = unknownWord(text);
  if (word !== null) context.addIssue({ code: 'custom', message: `unknown constant '${word}'` });
});
const integer = z.number().refine(Number.isInteger, 'must be an integer');
const int = z
  .union([integer, z.boolean(), symbolic, z.array(z.union([integer, symbolic]))])
  .describe('A number, a constant by name ("IP_TOS"), several joined by "|", or a list of them');

const byteCount = z.int().min(0).max(0x7fffffff);
/** Bytes that a scenario really holds in memory. */
const length = z
  .int()
  .min(0)
  .max(1 << 20);
const bad = z
  .strictObject({ bad: byteCount })
  .describe('This many bytes at an address that is not mapped: EFAULT');

export const dataSchema: z.ZodType<Data> = z
  .lazy(() =>
    z.union([
      hex,
      z.strictObject({ fill: z.int().min(0).max(255), len: length }),
      z.strictObject({ seq: length }),
      z.strictObject({ ascii: z.string() }),
      bad,
      z.array(dataSchema).max(4096),
    ]),
  )
  .meta({ id: 'data', description: 'Bytes of a payload' });

const ipv4 = z
  .string()
  .regex(/^[0-9a-fA-FxX]+(\.[0-9a-fA-FxX]+){0,3}$/, 'must be an IPv4 address')
  .describe('An IPv4 address');
const interfaceRef = z.union([z.string(), z.int()]).describe('An interface by name or index');

export const valueSchema: z.ZodType<Value> = z
  .lazy(() =>
    z.union([
      integer,
      z.boolean(),
      symbolic,
      ...(['u8', 'u16', 'i32', 'u32', 'u64', 'be16', 'be32'] as const).map((key) =>
        z.strictObject({ [key]: int } as Record<typeof key, typeof int>),
      ),
      z.strictObject({ hex }),
      z.strictObject({ str: z.string() }),
      z.strictObject({ ip: ipv4 }),
      z.strictObject({ ifindex: interfaceRef }),
      z.strictObject({
        pktinfo: z.strictObject({
          ifindex: interfaceRef.optional(),
          spec_dst: ipv4.optional(),
          addr: ipv4.optional(),
        }),
      }),
      z.strictObject({
        mreqn: z.strictObject({
          multiaddr: ipv4.optional(),
          address: ipv4.optional(),
          ifindex: interfaceRef.optional(),
        }),
      }),
      bad,
      z.array(valueSchema).max(4096),
    ]),
  )
  .meta({ id: 'value', description: 'Bytes of an option or a control message' }) as z.ZodType<Value>;

const addrSchema: z.ZodType<Addr> = z
  .union([
    z.null(),
    z.string().regex(/^.+:\s*\d{1,5}\s*$/, 'must be "1.2.3.4:port"'),
    z.strictObject({ ip: ipv4, port: z.int().min(0).max(65535), family: int.optional() }),
    z.strictObject({ hex }),
    bad,
  ])
  .meta({ id: 'addr', description: 'A socket address, or null for none' });

const messageShape = {
  iov: z.array(dataSchema).max(4096).optional(),
  name: addrSchema.optional(),
  namelen: int.optional(),
  cmsgs: z
    .array(z.strictObject({ level: int, type: int, data: valueSchema.optional(), len: int.optional() }))
    .max(4096)
    .optional(),
  control_hex: hex.optional().describe('The control buffer as it is, instead of cmsgs'),
  controllen: int.optional(),
  iovlen: int.optional(),
  flags: int.optional(),
};
const messageSchema: z.ZodType<Message> = z.strictObject(messageShape).meta({ id: 'message' });

const onFd = {
  fd: z
    .union([z.string(), z.int()])
    .optional()
    .describe('A label of your choice ("s"), or a number for a bad one'),
  note: z.string().optional(),
};
function call<N extends string, S extends z.ZodRawShape>(name: N, shape: S) {
  return z.strictObject({ call: z.literal(name), ...shape, ...onFd });
}
const sysctls = z.record(z.string(), z.union([z.string(), z.number()]));
const sendShape = {
  data: dataSchema.optional(),
  flags: int.optional(),
  addr: addrSchema.optional(),
  addrlen: int.optional(),
  len: int.optional(),
};
const addrShape = { addr: addrSchema.optional(), addrlen: int.optional() };

const callSchema = z
  .discriminatedUnion('call', [
    call('socket', { domain: int.optional(), type: int.optional(), proto: int.optional() }),
    call('setsockopt', {
      level: int,
      name: int,
      value: valueSchema.nullable().optional(),
      len: int.optional(),
    }),
    call('getsockopt', { level: int, name: int, len: int.optional() }),
    call('bind', addrShape),
    call('connect', addrShape),
    call('sendto', sendShape),
    call('send', sendShape),
    call('sendmsg', messageShape),
    call('sendmmsg', { msgs: z.array(messageSchema).max(4096), flags: int.optional() }),
    call('recvmsg', { len: int.optional(), flags: int.optional() }),
    call('getsockname', {}),
    call('getpeername', {}),
    call('close', {}),
    call('shutdown', { how: int.optional() }),
    call('ioctl', { req: int, arg: int.optional() }),
    call('inject', { hex, dev: z.string().optional() }),
    call('ip', { args: z.union([z.string(), z.array(z.string())]) }),
    call('sysctl', { set: sysctls }),
    call('sleep', { ms: z.number().min(0).max(3_600_000).optional() }),
  ])
  .meta({ id: 'call' });

const tapSchema: z.ZodType<TapSpec> = z
  .strictObject({
    name: z.string().min(1).max(15).optional(),
    mac: z
      .string()
      .regex(/^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}$/, 'must be a MAC address')
      .optional(),
    mtu: z.int().min(0).max(0xffffffff).optional(),
    vnet_hdr: z.boolean().optional(),
    offload: z.array(z.enum(['CSUM', 'TSO4', 'TSO6', 'TSO_ECN', 'UFO', 'USO4', 'USO6'])).optional(),
  })
  .meta({ id: 'tap' });

export const scenarioSchema: z.ZodType<Scenario> = z
  .strictObject({
    $schema: z.string().optional(),
    name: z.string().optional(),
    note: z.string().optional(),
    sysctl: sysctls.optional().describe('Set before the devices exist'),
    taps: z.array(tapSchema).max(64).optional(),
    ip: z.array(z.string()).optional().describe('ip(8) arguments, one command a string'),
    ip_extra: z
      .array(z.string())
      .optional()
      .describe('Behind the default ip commands, instead of in their place'),
    sysctl_late: sysctls.optional().describe('Set after the ip commands, for keys of a device'),
    user: z.boolean().optional().describe('The calls are made without capabilities and as uid 65534'),
    timeout: z.number().min(0).max(3600).optional().describe('Seconds for the whole scenario'),
    calls: z.array(callSchema).max(1_000_000),
  })
  .meta({ id: 'scenario' }) as z.ZodType<Scenario>;

/** The JSON Schema of a scenario file, for editors. */
export function scenarioJsonSchema(): Record<string, unknown> {
  const file = z
    .union([scenarioSchema, z.array(scenarioSchema)])
    .describe('One scenario or a list of them, for udptap run and udptap compare');
  return {
    ...z.toJSONSchema(file, { io: 'input', target: 'draft-2020-12' }),
    title: 'udptap scenario file',
  };
}

/** The place in a document and what is wrong there. */
export interface SchemaProblem {
  readonly path: readonly PropertyKey[];
  readonly reason: string;
}

/** What is wrong with a value; null if it is a scenario. */
export function scenarioProblem(value: unknown): SchemaProblem | null {
  const parsed = scenarioSchema.safeParse(value);
  if (parsed.success) return null;
  return deepest(parsed.error.issues, [], value);
}

/** The issue that is worth telling: of a union's branches, the one that fits the value best. */
function deepest(
  issues: readonly z.core.$ZodIssue[],
  base: readonly PropertyKey[],
  root: unknown,
): SchemaProblem {
  const issue = issues[0]!;
  const path = [...base, ...issue.path];
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const branch = issue.errors.find((errors) => fits(errors)) ?? null;
    if (branch !== null) return deepest(branch, path, root);
    return { path, reason: valueAt(root, path) === undefined ? 'is missing' : choices(root, path) };
  }
  if (issue.code === 'invalid_union') {
    const known = callSchema.options.map((option) => option.shape.call.value).join(' ');
    return { path, reason: path.at(-1) === 'call' ? `must be one of ${known}` : choices(root, path) };
  }
  if (issue.code === 'unrecognized_keys') {
    return { path: [...path, issue.keys[0]!], reason: `unknown key '${issue.keys[0]}'` };
  }
  if (issue.code === 'invalid_type' && valueAt(root, path) === undefined)
    return { path, reason: 'is missing' };
  return { path, reason: issue.message.replace(/^Invalid input: /, '') };
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    root,
  );
}

/** A branch fits where its complaint is about something inside, or about a value of the right type. */
function fits(errors: readonly z.core.$ZodIssue[]): boolean {
  return (
    errors.every(
      (e) =>
        e.path.length > 0 ||
        (e.code !== 'invalid_type' && e.code !== 'invalid_value' && e.code !== 'unrecognized_keys'),
    ) &&
    !errors.some((e) => e.path.length === 1 && e.code === 'invalid_type' && e.message.includes('undefined'))
  );
}

function choices(root: unknown, path: readonly PropertyKey[]): string {
  const keys = path.filter((part) => typeof part === 'string');
  const isOption = String(valueAt(root, [...path.slice(0, 2), 'call'])).endsWith('sockopt');
  switch (keys.includes('cmsgs') && keys.at(-1) === 'data' ? 'value' : keys.at(-1)) {
    case 'data':
    case 'iov':
      return 'must be bytes: "hex", {"fill","len"}, {"seq"}, {"ascii"}, {"bad"} or a list of these';
    case 'value':
      return 'must be a value: a number, a constant, {"u8"|"u16"|"i32"|"u32"|"u64"|"be16"|"be32"}, {"hex"}, {"str"}, {"ip"}, {"ifindex"}, {"pktinfo"}, {"mreqn"}, {"bad"} or a list of these';
    case 'addr':
      return 'must be an address: "1.2.3.4:port", {"ip","port"}, {"hex"}, {"bad"} or null';
    case 'ifindex':
      return 'must be the name or the index of an interface';
    case 'fd':
      return 'must be a label, or a number for a bad descriptor';
    case 'name':
      return isOption
        ? INT_CHOICES
        : 'must be an address: "1.2.3.4:port", {"ip","port"}, {"hex"}, {"bad"} or null';
    default:
      return INT_CHOICES;
  }
}

const INT_CHOICES = 'must be a number, a constant by name ("IP_TOS"), or a list of these';
