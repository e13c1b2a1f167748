/** What is missing on a machine, and what the command says then: no root, no /dev/net/tun, a TAP that is not ours. */
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main, missing, Netns, noTap, type Result, start, udptap } from './machine.js';

let ns: Netns;

/** Root outside, `nobody` inside: in a mount namespace where /dev/net holds what `prepare` puts there. */
function elsewhere(prepare: string, user: boolean, command: string): Promise<Result> {
  const drop = user ? 'setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all' : '';
  const script = `mount -t tmpfs none /dev/net && ${prepare} exec ${drop} ${process.execPath} ${main} ${command}`;
  return start('ip', ['netns', 'exec', ns.name, 'unshare', '--mount', 'sh', '-c', script]).done;
}
/** The device as it is on most machines: anybody may open it, and then needs CAP_NET_ADMIN or a TAP of his own. */
const OPEN_TUN = 'mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun &&';

const skip = noTap !== null || missing('unshare', 'setpriv') !== null;

describe('without privileges or devices', { skip }, () => {
  beforeEach(() => {
    ns = new Netns();
  });
  afterEach(() => ns.close());

  it('says that /dev/net/tun is missing', async () => {
    const result = await elsewhere('', false, 'send 10.9.0.1:9000 x');
    expect(result.stderr).toMatch(/tap0: opening the TAP: ENOENT/);
    expect(result.stderr).toMatch(/modprobe tun/);
    expect(result.code).toBe(1);
  });

  it('says that one needs CAP_NET_ADMIN, and how a user gets a TAP', async () => {
    const result = await elsewhere(OPEN_TUN, true, 'send 10.9.0.1:9000 x');
    expect(result.stderr).toMatch(/EPERM/);
    expect(result.stderr).toMatch(/sudo udptap tap create/);
    expect(result.code).toBe(1);
    expect(ns.links()).toEqual([]);
  });

  it('says that the device may not be opened', async () => {
    const prepare = 'mknod /dev/net/tun c 10 200 && chmod 600 /dev/net/tun &&';
    const result = await elsewhere(prepare, true, 'send 10.9.0.1:9000 x');
    expect(result.stderr).toMatch(/EACCES/);
    expect(result.code).toBe(1);
  });

  it('sends without root over a persistent TAP of the user', async () => {
    const args = ['--user', '65534', '--addr', '10.9.0.1/24', '--netns', ns.name];
    expect((await udptap('tap', 'create', 'tap0', ...args)).code).toBe(0);
    const receiver = await ns.receiver(9000);
    const result = await elsewhere(OPEN_TUN, true, 'send 10.9.0.1:9000 hello --tap tap0');
    expect(result.stderr).toContain('1 datagram, 1 frame, 47 bytes, no errors');
    expect(result.code).toBe(0);
    expect((await receiver.take(1))[0]).toMatchObject({ hex: '68656c6c6f', from: '10.9.0.2' });
    expect(ns.links()).toEqual(['tap0']);
  });

  it('takes an address beside the one that the TAP has', async () => {
    await udptap('tap', 'create', 'tap0', '--addr', '172.20.1.9/28', '--netns', ns.name);
    const receiver = await ns.receiver(9000);
    const result = await udptap('send', '172.20.1.9:9000', 'x', '--tap', 'tap0', '--netns', ns.name);
    expect(result.code).toBe(0);
    expect((await receiver.take(1))[0]?.from).toBe('172.20.1.10');
  });

  it('gives a bare TAP what it lacks only as long as it sends', async () => {
    await udptap('tap', 'create', 'tap0', '--netns', ns.name);
    const before = ns.ip('-j addr show dev tap0');
    const receiver = await ns.receiver(9000);
    expect((await udptap('send', '10.9.0.1:9000', 'x', '--tap', 'tap0', '--netns', ns.name)).code).toBe(0);
    await receiver.take(1);
    const flags = (text: string) => (JSON.parse(text) as { flags: string[]; addr_info: unknown[] }[])[0];
    const after = flags(ns.ip('-j addr show dev tap0'));
    expect(after?.addr_info).toEqual(flags(before)?.addr_info);
    expect(after?.flags).not.toContain('UP');
  });

  it("does not take a TAP that is somebody else's", async () => {
    const args = ['--user', '12345', '--addr', '10.9.0.1/24', '--netns', ns.name];
    await udptap('tap', 'create', 'tap0', ...args);
    const result = await elsewhere(OPEN_TUN, true, 'send 10.9.0.1:9000 hello --tap tap0');
    expect(result.stderr).toMatch(/tap0: opening the TAP: EPERM/);
    expect(result.code).toBe(1);
  });

  it('does not take a TAP that another program holds', async () => {
    const first = start(process.execPath, [
      main,
      'send',
      '10.9.0.1:9000',
      'x',
      '-c',
      '0',
      '-i',
      '50ms',
      '--tap',
      'busy0',
      '--netns',
      ns.name,
    ]);
    await first.until(/udp /);
    const second = await udptap('send', '10.9.0.1:9000', 'x', '--tap', 'busy0', '--netns', ns.name);
    expect(second.stderr).toMatch(/busy0: opening the TAP: EBUSY/);
    expect(second.code).toBe(1);
    first.child.kill('SIGTERM');
    expect((await first.done).code).toBe(0);
    expect(ns.links()).toEqual([]);
  });

  it('does not take an interface that is no TAP, or one made with other flags', async () => {
    ns.ip('tuntap add name plain0 mode tun');
    const plain = await udptap('send', '10.9.0.1:9000', 'x', '--tap', 'plain0', '--netns', ns.name);
    expect(plain.stderr).toMatch(/plain0: opening the TAP: EINVAL/);
    expect(plain.code).toBe(1);
    await udptap('tap', 'create', 'tap0', '--multi-queue', '--netns', ns.name);
    const other = await udptap('send', '10.9.0.1:9000', 'x', '--tap', 'tap0', '--netns', ns.name);
    expect(other.stderr).toMatch(/EINVAL.*\n.*multi_queue/);
    expect(ns.links().sort()).toEqual(['plain0', 'tap0']);
  });

  it('says that a namespace does not exist', async () => {
    const result = await udptap('send', '10.9.0.1:9000', 'x', '--netns', 'no-such-namespace');
    expect(result.stderr).toMatch(/no-such-namespace: ENOENT[^\n]*\n.*sudo ip netns add/);
    expect(result.code).toBe(1);
  });

  it('lists, makes and removes TAPs', async () => {
    const made = await udptap(
      'tap',
      'create',
      'tap5',
      '--user',
      'nobody',
      '--mtu',
      '1400',
      '--vnet-hdr',
      '--netns',
      ns.name,
    );
    expect(made).toMatchObject({ code: 0, stdout: 'tap5\n' });
    const again = await udptap('tap', 'create', 'tap5', '--netns', ns.name);
    expect(again.stderr).toMatch(/EBUSY/);
    expect(again.code).toBe(1);
    const list = await udptap('tap', 'list', '--netns', ns.name, '--json');
    expect(JSON.parse(list.stdout)).toMatchObject({
      name: 'tap5',
      mtu: 1400,
      persistent: true,
      vnetHdr: true,
      multiQueue: false,
    });
    expect((await udptap('tap', 'list', '--netns', ns.name)).stdout).toMatch(
      /^tap5 .*persistent user nobody vnet_hdr$/m,
    );
    ns.ip('tuntap add name plain0 mode tun');
    expect((await udptap('tap', 'delete', 'plain0', '--netns', ns.name)).code).toBe(1);
    expect((await udptap('tap', 'delete', 'tap5', '--netns', ns.name)).code).toBe(0);
    expect(ns.links()).toEqual(['plain0']);
    expect((await udptap('tap', 'create', 'x', '--user', 'no-such-user')).code).toBe(2);
    expect((await udptap('tap', 'create', 'a-name-that-is-too-long')).code).toBe(2);
  });

  it('explains what a host would do, with its own network', async () => {
    ns.ip('link add v0 type veth peer name v1');
    ns.ip('addr add 10.77.0.3/24 dev v0');
    ns.ip('link set v1 up');
    ns.ip('link set v0 up');
    ns.ip('route add default via 10.77.0.1');
    ns.ip('neigh add 10.77.0.1 lladdr 02:00:00:00:00:77 dev v0 nud permanent');
    const result = await udptap('explain', '192.0.2.1:53', 'x', '--from-host', ns.name);
    expect(result.stdout).toContain('default via 10.77.0.1 dev v0');
    expect(result.stdout).toContain('10.77.0.1 is 02:00:00:00:00:77, PERMANENT');
    expect(result.code).toBe(0);
  });

  it('sees with doctor what is missing', async () => {
    const here = start('ip', ['netns', 'exec', ns.name, process.execPath, main, 'doctor']);
    expect(await here.done).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('can send over a TAP here'),
    });
    const poor = await elsewhere('', true, 'doctor --json');
    const findings = poor.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { what: string; ok: boolean; mend: string | null });
    expect(findings.find((f) => f.what === '/dev/net/tun')).toMatchObject({
      ok: false,
      mend: expect.any(String),
    });
    expect(findings.find((f) => f.what === 'capabilities')).toMatchObject({ ok: false });
    expect(poor.code).toBe(1);
  });

  it('hands finished packets to a raw socket', { skip: !hasRawSocket() }, async () => {
    const other = new Netns();
    try {
      ns.ip(`link add v0 type veth peer name v1 netns ${other.name}`);
      ns.ip('addr add 10.8.0.1/24 dev v0');
      ns.ip('link set v0 up');
      other.ip('addr add 10.8.0.2/24 dev v1');
      other.ip('link set v1 up');
      const receiver = await other.receiver(9000);
      const inside = (...args: string[]) =>
        start('ip', ['netns', 'exec', ns.name, process.execPath, main, 'send', ...args]).done;
      const result = await inside('10.8.0.2:9000', 'raw', '--raw', '-g', '4000', '--ttl', '3');
      expect(result.stderr).toContain('1 datagram, 1 frame');
      expect(result.code).toBe(0);
      expect(await receiver.take(1)).toEqual([{ hex: '726177', from: '10.8.0.1', port: 4000 }]);
      const unreachable = await inside('192.0.2.1:9000', 'raw', '--raw');
      expect(unreachable.stderr).toMatch(/ENETUNREACH: the host has no route/);
      expect(unreachable.code).toBe(1);
    } finally {
      other.close();
    }
  });
});

function hasRawSocket(): boolean {
  return spawnSync(process.execPath, ['-e', "require('raw-socket')"], { stdio: 'ignore' }).status === 0;
}
