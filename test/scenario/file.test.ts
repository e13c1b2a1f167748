import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseScenarios } from '../../src/scenario/file.js';
import { generateScenario, TOPIC_NAMES, topicsOf } from '../../src/scenario/random/generate.js';
import { scenarioJsonSchema, scenarioProblem } from '../../src/scenario/schema.js';
import { runOnStack } from '../../src/scenario/stack_runner.js';
import { ScenarioError } from '../../src/scenario/types.js';

const shared = new URL('../kernel/scenarios/', import.meta.url);

/** What the one scenario of a text is answered with. */
function complaint(text: string): string {
  const [entry] = parseScenarios(text, 'F');
  return entry === undefined || entry.ok ? 'accepted' : entry.error;
}

describe('a wrong scenario file', () => {
  it('is answered with the place and the reason', () => {
    for (const [text, want] of [
      ['{"calls": 1}', 'F:1:11: calls: expected array, received number'],
      ['{}', 'F:1:1: calls: is missing'],
      ['{"calls":[\n {"call":"sokcet"}]}', /^F:2:10: calls\[0\]\.call: must be one of socket setsockopt /],
      ['{"calls":[{"call":"bind","adr":"1.2.3.4:1"}]}', "F:1:32: calls[0].adr: unknown key 'adr'"],
      [
        '{"calls":[{"call":"setsockopt","level":"SOL_IPP","name":1}]}',
        "F:1:40: calls[0].level: unknown constant 'SOL_IPP'",
      ],
      ['{"calls":[{"call":"setsockopt","level":"SOL_IP"}]}', 'F:1:11: calls[0].name: is missing'],
      [
        '{"calls":[{"call":"setsockopt","level":0,"name":1,"value":{"u8":"X"}}]}',
        "F:1:65: calls[0].value.u8: unknown constant 'X'",
      ],
      [
        '{"calls":[{"call":"setsockopt","level":0,"name":1,"value":{"u99":1}}]}',
        /calls\[0\]\.value: must be a value: /,
      ],
      ['{"calls":[{"call":"sendto","data":{"fil":1}}]}', /^F:1:35: calls\[0\]\.data: must be bytes: /],
      [
        '{"calls":[{"call":"sendto","data":[{"seq":1},{"seq":-1}]}]}',
        /^F:1:53: calls\[0\]\.data\[1\]\.seq: /,
      ],
      [
        '{"calls":[{"call":"sendto","flags":["MSG_MOR"]}]}',
        "F:1:37: calls[0].flags[0]: unknown constant 'MSG_MOR'",
      ],
      [
        '{"calls":[{"call":"sendmsg","iov":["0"]}]}',
        'F:1:36: calls[0].iov[0]: must be hex digits, two a byte',
      ],
      [
        '{"calls":[{"call":"sendmsg","cmsgs":[{"level":1,"type":2,"data":{"x":3}}]}]}',
        /cmsgs\[0\]\.data: must be a value/,
      ],
      ['{"calls":[{"call":"bind","addr":"10.9.0.1"}]}', 'F:1:33: calls[0].addr: must be "1.2.3.4:port"'],
      ['{"calls":[{"call":"bind","addr":{"ip":"1.2.3.4","port":70000}}]}', /calls\[0\]\.addr\.port: /],
      ['{"calls":[{"call":"sleep","ms":"x"}]}', 'F:1:32: calls[0].ms: expected number, received string'],
      ['{"calls":[],"tapz":1}', "F:1:20: tapz: unknown key 'tapz'"],
      ['5', 'F:1:1: expected object, received number'],
    ] as const) {
      if (typeof want === 'string') expect(complaint(text), text).toBe(want);
      else expect(complaint(text), text).toMatch(want);
    }
  });

  it('is one entry among those that can run', () => {
    const entries = parseScenarios('[{"calls":[]}, {"name":"bad","calls":[{}]}, {"calls":[]}]', 'F');
    expect(entries.map((entry) => entry.ok)).toEqual([true, false, true]);
    expect(entries[1]).toMatchObject({ name: 'bad' });
  });

  it('names the place where the text is not JSON', () => {
    expect(() => parseScenarios('{"calls": [\n}', 'F')).toThrow(/^F:2:1: not JSON: /);
    expect(() => parseScenarios('[{"calls": [}]', 'F')).toThrow(/^F:1:13: /);
    expect(() => parseScenarios('[{"calls": []', 'F')).toThrow(/^F:1:14: /);
    expect(() => parseScenarios('', 'F')).toThrow(ScenarioError);
  });
});

describe('the schema', () => {
  it('accepts every scenario that is known to be right', () => {
    for (const file of readdirSync(shared)) {
      for (const entry of parseScenarios(readFileSync(new URL(file, shared), 'utf8'), file)) {
        expect(entry, JSON.stringify(entry).slice(0, 200)).toMatchObject({ ok: true });
      }
    }
    for (const topic of TOPIC_NAMES) {
      for (let i = 0; i < 40; i++) {
        expect(scenarioProblem(generateScenario(7, i, topicsOf(topic)!)), `${topic} ${i}`).toBeNull();
      }
    }
  });

  it('is published as JSON Schema, and current: npx tsx scripts/build-schema.ts', () => {
    const published = readFileSync(new URL('../../schema/scenario.schema.json', import.meta.url), 'utf8');
    expect(published).toBe(`${JSON.stringify(scenarioJsonSchema(), null, 2)}\n`);
  });
});

/** Values that are nearly right: every key of the format, with whatever fits or does not. */
const scalar = fc.oneof(
  fc.integer({ min: -2, max: 300 }),
  fc.constantFrom(-1, 65535, 65536, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, 0.5),
  fc.constantFrom(
    'SOL_IP',
    'IP_OPTIONS',
    'SO_SNDBUF',
    'UDP_CORK',
    'MSG_MORE',
    '10.9.0.1:53',
    'ff',
    '',
    'x',
    's',
    'tap0',
  ),
  fc.boolean(),
  fc.constant(null),
);
const { node: value } = fc.letrec((tie) => ({
  node: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom(
        'hex',
        'seq',
        'fill',
        'len',
        'ascii',
        'bad',
        'u8',
        'u16',
        'ip',
        'port',
        'family',
        'pktinfo',
        'mreqn',
        'ifindex',
        'level',
        'type',
        'data',
      ),
      tie('node'),
      { maxKeys: 3 },
    ),
  ),
}));
const call = fc.record(
  {
    call: fc.constantFrom(
      'socket',
      'setsockopt',
      'getsockopt',
      'bind',
      'connect',
      'sendto',
      'sendmsg',
      'sendmmsg',
      'recvmsg',
      'getsockname',
      'shutdown',
      'close',
      'ioctl',
      'inject',
      'ip',
      'sysctl',
      'sleep',
    ),
    fd: fc.option(scalar, { nil: undefined }),
    level: value,
    name: value,
    value,
    addr: value,
    addrlen: value,
    data: value,
    flags: value,
    iov: value,
    cmsgs: value,
    control_hex: value,
    controllen: value,
    len: value,
    msgs: fc.array(fc.record({ iov: value, name: value }, { requiredKeys: [] }), { maxLength: 3 }),
    req: value,
    hex: value,
    args: value,
  },
  { requiredKeys: ['call'] },
);

describe('hostile scenarios', () => {
  it('are refused or run, and never anything else', () => {
    let ran = 0;
    fc.assert(
      fc.property(fc.array(call, { maxLength: 6 }), (calls) => {
        const [entry] = parseScenarios(JSON.stringify({ timeout: 2, calls }), 'F');
        if (entry === undefined || !entry.ok) return;
        const result = runOnStack(entry.scenario);
        if ('error' in result) expect(result.error).not.toMatch(/internal error/);
        else ran++;
      }),
      { numRuns: 800 },
    );
    expect(ran).toBeGreaterThan(20);
  }, 120_000);

  it('of any text whatever end in a ScenarioError or in entries', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          parseScenarios(text, 'F');
        } catch (error) {
          expect(error).toBeInstanceOf(ScenarioError);
        }
      }),
    );
  });
});
