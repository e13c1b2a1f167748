// The sending part of `npm run demo`; scripts/demo has installed and built by now.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const main = join(root, 'dist/cli/main.js');
const capture = process.argv[2] ?? join(mkdtempSync(join(tmpdir(), 'udptap-demo-')), 'demo.pcapng');
const text = 'hello from udptap';
const flags = ['--data-string', text, '--tos', '0x10', '-v', '-w', capture];

/** Why there can be no TAP here, or null. */
function noTapReason() {
  if (process.getuid() !== 0) return 'not root';
  if (spawnSync(process.execPath, [main, 'doctor'], { stdio: 'ignore' }).status !== 0) {
    return 'no TAP on this machine ("node dist/cli/main.js doctor" says why)';
  }
  try {
    accessSync('/proc/self/ns/net', constants.R_OK);
  } catch {
    return 'no network namespaces';
  }
  return null;
}

/** An ordinary UDP socket of Node's in a network namespace: prints the first datagram that it gets. */
const RECEIVER = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (bytes, from) => {
  console.log('received ' + bytes.length + ' bytes from ' + from.address + ':' + from.port + ': ' + JSON.stringify(bytes.toString()));
  console.log('         ' + bytes.toString('hex'));
  socket.close();
});
socket.bind(9000, () => console.log('listening'));
setTimeout(() => { console.log('received nothing'); process.exit(1); }, 10000).unref();
`;

function run(command, args) {
  const result = spawnSync(command, args, { stdio: 'inherit' });
  if (result.error) throw result.error;
  return result.status ?? 1;
}

/** The receiver's standard output, line by line. */
function startReceiver(netns) {
  const child = spawn('ip', ['netns', 'exec', netns, process.execPath, '-e', RECEIVER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let ready = () => {};
  const listening = new Promise((resolve, reject) => {
    ready = resolve;
    child.on('error', reject);
  });
  child.stdout.on('data', (chunk) => {
    output += chunk;
    if (output.includes('listening\n')) ready();
  });
  const done = new Promise((resolve) => {
    child.on('close', (code) => {
      ready();
      resolve({ code, output: output.replace('listening\n', '') });
    });
  });
  return { listening, done };
}

async function overTap() {
  const netns = `udptap-demo-${process.pid}`;
  if (run('ip', ['netns', 'add', netns]) !== 0) throw new Error('no network namespace can be made here');
  try {
    run('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
    const receiver = startReceiver(netns);
    await receiver.listening;
    console.log(
      `$ udptap send 10.9.0.1:9000 ${flags.map((flag) => (flag.includes(' ') ? `"${flag}"` : flag)).join(' ')}`,
    );
    const sent = run(process.execPath, [main, 'send', '10.9.0.1:9000', '--netns', netns, ...flags]);
    const { code, output } = await receiver.done;
    console.log(`\nthe capture is ${capture}`);
    console.log("an ordinary UDP socket on the host's end of the TAP:");
    process.stdout.write(output);
    return sent === 0 && code === 0;
  } finally {
    run('ip', ['netns', 'del', netns]);
  }
}

/** The same in memory: two stacks, a device each, joined by a cable of two callbacks. */
async function inMemory(reason) {
  const { MemoryDevice, Net, PcapngWriter, AF_INET, SOCK_DGRAM, SOL_IP, IP_TOS, decodeFrame, dissect } =
    await import(join(root, 'dist/index.js'));
  console.log(`without a TAP (${reason}): a device in memory, and a second stack at its other end`);
  const ends = [1, 2].map((n) => {
    const device = new MemoryDevice({ name: 'tap0', mac: Uint8Array.of(2, 0, 0, 0, 9, n) });
    const net = new Net();
    net.addDevice(device);
    net.ip('link set lo up');
    net.ip(`addr add 10.9.0.${n}/24 brd + dev tap0`);
    net.ip('link set tap0 up');
    return { net, device };
  });
  const [host, ours] = ends;
  host.device.onFrame = ({ bytes }) => setImmediate(() => ours.device.inject(bytes));
  ours.device.onFrame = ({ bytes }) => setImmediate(() => host.device.inject(bytes));
  const writer = new PcapngWriter(capture);
  ours.device.capture(writer);
  ours.device.capture({
    packet: (_device, bytes, off, length) => {
      const frame = bytes.slice(off, off + length);
      console.log(decodeFrame(frame));
      for (const field of dissect(frame)) console.log(`        ${field.name.padEnd(18)} ${field.text}`);
    },
  });
  const receiver = host.net.socket(AF_INET, SOCK_DGRAM, 0);
  receiver.bind({ address: '0.0.0.0', port: 9000 });
  const socket = ours.net.socket(AF_INET, SOCK_DGRAM, 0);
  socket.setsockopt(SOL_IP, IP_TOS, 0x10);
  socket.sendto(Buffer.from(text), 0, { address: '10.9.0.1', port: 9000 });
  await ours.net.drain();
  let message = null;
  for (let i = 0; i < 100 && message === null; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    message = receiver.recvmsg();
  }
  writer.close();
  console.log(`\nthe capture is ${capture}`);
  console.log('a UDP socket of the stack at the other end:');
  if (message === null) console.log('received nothing');
  else {
    const { data, name } = message;
    console.log(
      `received ${data.length} bytes from ${name.address}:${name.port}: ${JSON.stringify(Buffer.from(data).toString())}`,
    );
    console.log(`         ${Buffer.from(data).toString('hex')}`);
  }
  for (const { net } of ends) net.close();
  return message !== null;
}

const reason = noTapReason();
process.exitCode = (reason === null ? await overTap() : await inMemory(reason)) ? 0 : 1;
