#!/usr/bin/env node
/**
 * The command. What a subcommand needs is imported when it runs, so that none pays for another: `send` should have its
 * frame on the device in little more than the time that Node takes to start.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addCompareCommand } from './compare.js';
import { EXIT_OK, EXIT_USAGE, reportError } from './exit.js';
import { addRunCommand } from './run.js';
import { addSendOnlyOptions, addSendOptions, type SendFlags } from './send_options.js';

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** A subcommand's action: its exit code becomes the process's. */
function action<A extends unknown[]>(run: (...args: A) => Promise<number>): (...args: A) => Promise<void> {
  return async (...args) => {
    process.exitCode = await run(...args);
  };
}

function addSendCommands(program: Command): void {
  const send = program
    .command('send')
    .summary('send datagrams over a TAP')
    .description(
      'Sends a datagram as the Linux kernel would, over a TAP. With root and nothing said about the network it makes the ' +
        "TAP, gives the host's end 10.9.0.1, takes 10.9.0.2 itself, and takes the TAP down again.",
    )
    .argument('<host:port>', 'destination, such as 10.9.0.1:9000')
    .argument('[data]', 'text to send; - is standard input');
  addSendOnlyOptions(addSendOptions(send)).action(
    action(async (target: string, data: string | undefined, flags: SendFlags) => {
      const { send: run } = await import('./send.js');
      return run(target, data, flags);
    }),
  );
  const explain = program
    .command('explain')
    .summary('say why a datagram would look as it does')
    .description('As "send --dry-run", and prints each decision on the way through udp_sendmsg and below.')
    .argument('<host:port>', 'destination, such as 10.9.0.1:9000')
    .argument('[data]', 'text to send; - is standard input');
  addSendOptions(explain).action(
    action(async (target: string, data: string | undefined, flags: SendFlags) => {
      const { explain: run } = await import('./explain.js');
      return run(target, data, flags);
    }),
  );
}

function addTapCommands(program: Command): void {
  const tap = program
    .command('tap')
    .description('persistent TAP devices, which later sends can use without root');
  tap
    .command('create')
    .description('make a TAP that stays')
    .argument('<name>', 'such as tap0')
    .option('--addr <address/length>', "the host's end, e.g. 10.9.0.1/24; also brings it up")
    .option('--user <user>', 'who may send over it (default: whoever called sudo)')
    .option('--mtu <n>', 'its MTU')
    .option('--netns <name>', 'in this network namespace')
    .option('--vnet-hdr', 'with virtio_net_hdr, for send --offload')
    .option('--multi-queue', 'with several queues')
    .action(action(async (name, flags) => (await import('./tap.js')).tapCreate(name, flags)));
  tap
    .command('delete')
    .description('remove a TAP')
    .argument('<name>')
    .option('--netns <name>', 'in this network namespace')
    .action(action(async (name, flags) => (await import('./tap.js')).tapDelete(name, flags)));
  tap
    .command('list')
    .description('list the TAPs of this host')
    .option('--netns <name>', 'in this network namespace')
    .option('--json', 'one JSON object a line')
    .action(action(async (flags) => (await import('./tap.js')).tapList(flags)));
}

function addBenchCommand(program: Command): void {
  program
    .command('bench')
    .summary('measure the send path against what this machine can do')
    .description(
      'Measures how fast the stack puts frames onto a TAP in a private network namespace, beside C programs (compiled on ' +
        'the spot), kernel sockets, node:dgram and the packet tools that are installed; how its cost grows; its start-up ' +
        'and its memory. Needs root and a C compiler; "--only growth" needs neither.',
    )
    .option('--json', 'one JSON object a line')
    .option('--quick', 'a few contestants, few rounds')
    .option(
      '--only <names>',
      'stack, c, dgram, tools, growth, start-up, memory, or single ones by name; with commas',
    )
    .option('--payload <bytes>', 'bytes of payload a frame, 1 to 1472 (default: 64 and 1472)')
    .option('--consumer <who>', 'who gets the frames: drop, hold or read', 'drop')
    .option('--rounds <n>', 'undisturbed rounds of each contestant')
    .option('--seconds <n>', 'how long the memory measurement sends (default: 10; 600 is the long run)')
    .option('--svg <folder>', 'write charts')
    .action(action(async (flags) => (await import('./bench.js')).bench(flags)));
}

function buildProgram(): Command {
  const program = new Command('udptap')
    .description(
      "Linux's udp_sendmsg in TypeScript: real UDP datagrams on a TAP, captured, explained, compared.",
    )
    .version(version(), '-V, --version')
    .showHelpAfterError('(add --help for all flags)')
    .exitOverride();
  addSendCommands(program);
  addRunCommand(program);
  addCompareCommand(program);
  addTapCommands(program);
  addBenchCommand(program);
  program
    .command('doctor')
    .description('say what this machine lacks, and the command that mends it')
    .option('--json', 'one JSON object a line')
    .action(action(async (flags) => (await import('./doctor.js')).doctor(flags)));
  for (const command of program.commands) inheritExit(command);
  return program;
}

/** Commander asks each command by itself whether it may end the process. */
function inheritExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) inheritExit(child);
}

// A reader that has seen enough (`udptap ... | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`udptap: standard output: ${error.message}\n`);
  process.exit(error.code === 'EPIPE' ? EXIT_OK : 1);
});

try {
  await buildProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  else process.exitCode = reportError(error);
}
