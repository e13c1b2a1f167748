import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/cli/exit.js';
import { addSendOnlyOptions, addSendOptions, type SendFlags } from '../../src/cli/send_options.js';
import { type SendRequest, sendRequest } from '../../src/cli/send_request.js';

/** As the command line gives them. */
function request(...args: string[]): SendRequest {
  let result: SendRequest | null = null;
  const command = new Command('send').argument('<to>').argument('[data]').exitOverride();
  addSendOnlyOptions(addSendOptions(command)).action(
    (to: string, data: string | undefined, flags: SendFlags) => {
      result = sendRequest(to, data, flags);
    },
  );
  command.parse(['10.9.0.1:9000', ...args], { from: 'user' });
  return result!;
}

const text = (r: SendRequest) =>
  r.payload.kind === 'bytes' ? Buffer.from(r.payload.bytes).toString() : r.payload.path;
const noIndex = () => 7;
const options = (r: SendRequest) =>
  r.sockopts.map((o) => [o.level, o.type, Buffer.from(o.value(noIndex)).toString('hex')]);

describe('send request', () => {
  it('does it all when nothing is said', () => {
    expect(request()).toMatchObject({
      count: 1,
      medium: 'tap',
      tap: null,
      network: { host: '10.9.0.1/24', ours: ['10.9.0.2/24 brd +'], gateway: '10.9.0.1' },
      sockopts: [],
      cmsgs: [],
      ip: [],
      bind: null,
      waitMs: -1,
    });
    expect(request()).toMatchObject({ kernel: null, fromHost: null });
    expect(request('--kernel', '5.4').kernel).toBe('5.4');
    expect(request('--from-host')).toMatchObject({ fromHost: '', medium: 'memory' });
    expect(request('--from-host', 'blue').fromHost).toBe('blue');
  });

  it('takes data in five forms', () => {
    expect(text(request('hello'))).toBe('hello');
    expect(text(request('--data-string', 'hellö'))).toBe('hellö');
    expect(text(request('--data', '68690a'))).toBe('hi\n');
    expect(text(request('--data-length', '3'))).toBe('\0\x01\x02');
    expect(request('-').payload).toEqual({ kind: 'file', path: '-' });
    expect(request('--data-file', 'x').payload).toEqual({ kind: 'file', path: 'x' });
    expect(text(request())).toBe('');
  });

  it('turns flags into socket options, in order', () => {
    const all = request(
      ...['--ttl', '5', '--tos', '0x10', '--pmtudisc', 'do', '--gso', '1000', '--no-check', '--broadcast'],
      ...['--mcast-ttl', '0', '--no-loop', '--priority', '6', '--mark', '0xffffffff', '--oif', 'tap0'],
      ...['--sockopt', 'SOL_IP:IP_TTL:9', '--interface', 'tap0'],
    );
    expect(options(all)).toEqual([
      [1, 25, '7461703000'],
      [0, 50, '00000007'],
      [0, 2, '05000000'],
      [0, 1, '10000000'],
      [0, 10, '02000000'],
      [17, 103, 'e8030000'],
      [1, 11, '01000000'],
      [1, 6, '01000000'],
      [0, 33, '00000000'],
      [0, 34, '00000000'],
      [1, 12, '06000000'],
      [1, 36, 'ffffffff'],
      [0, 2, '09000000'],
    ]);
    expect(options(request('--dscp', 'EF'))).toEqual([[0, 1, 'b8000000']]);
    expect(options(request('--udplite', '8'))).toEqual([[136, 10, '08000000']]);
    expect(request('--udplite', '8').udplite).toBe(true);
    expect(request('--pktinfo', '10.9.0.2', '--cmsg', 'IP:IP_TTL:3').cmsgs.map((c) => c.type)).toEqual([
      8, 2,
    ]);
  });

  it('knows times and counts', () => {
    expect(request('-c', '0').count).toBe(Number.POSITIVE_INFINITY);
    expect(request('--rate', '1k').intervalMs).toBe(1);
    expect(request('-i', '200ms').intervalMs).toBe(200);
    expect(request('--wait', '0').waitMs).toBe(0);
  });

  it('knows networks', () => {
    expect(request('--net', '172.16.5.9/30').network).toEqual({
      host: '172.16.5.9/30',
      ours: ['172.16.5.10/30 brd +'],
      gateway: '172.16.5.9',
    });
    const own = request(
      '--addr',
      '10.9.0.5/24',
      '--route',
      'default via 10.9.0.7',
      '--neigh',
      '10.9.0.7 lladdr 02:00:00:00:00:07 dev tap0',
    );
    expect(own.network).toEqual({ host: '10.9.0.1/24', ours: ['10.9.0.5/24'], gateway: null });
    expect(own.ip).toEqual([
      'neigh add 10.9.0.7 lladdr 02:00:00:00:00:07 dev tap0',
      'route add default via 10.9.0.7',
    ]);
    expect(request('-I', 'wire0').tap).toBe('wire0');
    expect(request('-I', 'lo').tap).toBe(null);
    expect(request('-I', 'red', '--ip', 'link add red type vrf table 10').tap).toBe(null);
    expect(request('-I', 'red', '--tap', 'tap3').tap).toBe('tap3');
  });

  it.each([
    ['text', '--data-string', 'more'],
    ['--data', '00', '--data-length', '4'],
    ['-i', '1', '--rate', '5'],
    ['--tos', '1', '--dscp', 'EF'],
    ['-S', '10.9.0.2', '--bind', '10.9.0.2:1'],
    ['-g', '5', '--bind', '10.9.0.2:1'],
    ['--dry-run', '--tap', 'tap0'],
    ['--dry-run', '--raw'],
    ['--dry-run', '--netns', 'x'],
    ['--raw', '--tap', 'tap0'],
    ['--from-host', 'blue', '--tap', 'tap0'],
    ['--from-host', 'blue', '--net', '10.0.0.0/8'],
    ['-w', '-', '--json'],
    ['--ttl', '0'],
    ['--ttl', '256'],
    ['--ttl', 'x'],
    ['-c', '-1'],
    ['--mtu', '67'],
    ['--kernel', '4.4'],
    ['--kernel', 'toString'],
    ['--net', '10.9.0.0'],
    ['--net', '10.9.0.0/31'],
    ['--tap', 'a-name-that-is-too-long'],
    ['--tap', ''],
    ['-g', '65536'],
    ['--wait', '1.5'],
  ])('%s %s %s %s is refused', (...args) => {
    expect(() => request(...args.filter((a) => a !== undefined))).toThrow(UsageError);
  });
});
