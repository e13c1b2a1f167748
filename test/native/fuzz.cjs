// Random calls with good and bad arguments, for a build of the addon that a sanitizer watches.
// usage: node --expose-gc fuzz.cjs ADDON SEED CALLS
const { execFileSync } = require('node:child_process');
const { Worker, isMainThread, workerData } = require('node:worker_threads');

const [addonPath, seedText, callsText] = isMainThread ? process.argv.slice(2) : workerData;
const addon = require(addonPath);
if (isMainThread && addon.unshare(0x40000000) < 0) throw new Error('a network namespace needs root');

let seed = Number(seedText) >>> 0;
function random(below) {
  seed = (Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
  return ((seed ^ (seed >>> 13)) >>> 0) % below;
}
const pick = (list) => list[random(list.length)];

/** For programs that no sanitizer is loaded into. */
const PLAIN = { ...process.env, LD_PRELOAD: '' };
const taps = [];
const everOpened = [];
/** Buffers of all ages: those that were transferred away stay in the list. */
const buffers = [];
function newBuffer() {
  const size = pick([0, 1, 7, 8, 16, 64, 100, 4096, 70_000]);
  const buffer = pick([
    () => new ArrayBuffer(size),
    () => new SharedArrayBuffer(size),
    () => new ArrayBuffer(size, { maxByteLength: size + 100 }),
    () => Buffer.alloc(size).buffer,
  ])();
  buffers.push(buffer);
  if (buffers.length > 40) buffers.splice(random(40), 1);
  return buffer;
}

function odd() {
  return pick([
    undefined,
    null,
    true,
    'text',
    '',
    'x'.repeat(100),
    {},
    [],
    Symbol('s'),
    () => {},
    Number.NaN,
    Infinity,
    -Infinity,
    -1,
    0,
    -0,
    0.5,
    1,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    -(2 ** 31),
    2 ** 53,
    1e308,
    0n,
    -1n,
    1n << 63n,
    1n << 70n,
    new Proxy({}, {}),
    Object.create(null),
    new Date(),
  ]);
}
const number = () =>
  random(4) === 0 ? odd() : pick([0, 1, 2, 3, 4, 8, 14, 16, 60, 64, 100, 2048, 65559, random(70_000)]);
const buffer = () =>
  random(5) === 0 ? odd() : random(3) === 0 || buffers.length === 0 ? newBuffer() : pick(buffers);
function view() {
  const memory = buffer();
  if (!(memory instanceof ArrayBuffer || memory instanceof SharedArrayBuffer)) return memory;
  try {
    const Type = pick([
      Uint8Array,
      Uint8Array,
      Uint32Array,
      Uint32Array,
      Int32Array,
      DataView,
      Float64Array,
      BigInt64Array,
    ]);
    return random(3) === 0 ? new Type(memory, pick([0, 4, 8, 16])) : new Type(memory);
  } catch {
    return memory;
  }
}
const id = () => (random(8) === 0 || taps.length === 0 ? odd() : pick(taps).id);
const name = () =>
  random(4) === 0 ? odd() : pick(['f%d', 'f0', 'f1', '', 'a/b', 'f%d%d', '0123456789abcde', '%s%n']);
const badPointer = () => pick([0, 1, 8, -1, -4096, 2 ** 47, (1n << 64n) - 1n, -(1n << 63n), null, odd()]);

let openCount = 0;
const frameTypes = [Uint8Array, Uint32Array];
const actions = [
  function open() {
    const tap = addon.tapOpen(
      name(),
      random(4) === 0 ? odd() : pick([0, 0x100, 0x4000, 0x4100, 0x8000, 0x40]),
    );
    if (typeof tap === 'object') {
      taps.push(tap);
      everOpened.push(tap.id);
      if (openCount % 4 === 0) execFileSync('ip', ['link', 'set', tap.name, 'up'], { env: PLAIN });
      openCount++;
      if (taps.length > 12) taps.splice(random(12), 1); // forgotten: the collector closes it
    }
  },
  function close() {
    if (random(8) > 0) return;
    const closed = id();
    addon.tapClose(closed);
    // One in four is used on.
    const at = taps.findIndex((tap) => tap.id === closed);
    if (at >= 0 && random(4) > 0) taps.splice(at, 1);
  },
  () => addon.tapIsOpen(id()),
  () => addon.tapFlags(id()),
  () => addon.tapSetPersist(id(), random(2) ? false : odd() === true ? false : odd()),
  () => addon.tapSetCarrier(id(), random(2) ? true : odd()),
  () => addon.tapSetOwner(id(), number()),
  () => addon.tapSetGroup(id(), number()),
  () => addon.tapSetOffload(id(), number()),
  () => addon.registerDescriptors(id(), number(), number(), number()),
  function flush() {
    const tap = pick(taps);
    const memory = buffer();
    if (memory instanceof ArrayBuffer && memory.byteLength >= 64 && random(4) > 0) {
      // As it would be used, with wrong numbers among the right ones.
      addon.registerDescriptors(tap.id, 0, 8, pick([1, 2, 7, 1000]));
      const cells = new Uint32Array(memory, 0, 16);
      for (let i = 2; i < 16; i++)
        cells[i] = pick([0, 13, 14, 60, memory.byteLength - 60, memory.byteLength, random(2 ** 32)]);
      cells[0] = pick([0, 1, 2, 7, 8, 2 ** 31, 2 ** 32 - 1]);
    }
    tap?.flush(memory);
  },
  () => pick(taps)?.flush.call(odd(), buffer(), odd()),
  () => addon.registerReceive(id(), view(), number(), view()),
  function receive() {
    const tap = pick(taps);
    const slots = 1 + random(4);
    const stride = pick([14, 60, 2048]);
    const [slotMemory, lengthMemory] = frameTypes.map(
      (Type) => new Type(Type === Uint8Array ? slots * stride : slots),
    );
    addon.registerReceive(tap.id, slotMemory, stride, lengthMemory);
    buffers.push(slotMemory.buffer, lengthMemory.buffer);
  },
  () => addon.readNow(id()),
  () =>
    addon.startRead(
      id(),
      random(6) === 0
        ? odd()
        : () => {
            act();
            act();
          },
    ),
  () => addon.stopRead(id()),
  () => addon.setRef(id(), random(2) ? false : odd() === true ? false : odd()),
  () => {
    const memory = pick(buffers);
    if (memory instanceof ArrayBuffer) structuredClone(memory, { transfer: [memory] });
  },
  () => addon.addressOf(view()),
  () => addon.syscall(odd(), odd(), odd()),
  () => addon.syscall(addon.SYS.getpid, odd(), odd(), odd(), odd(), odd(), odd(), odd()),
  () => addon.syscall(addon.SYS.sendto, pick([-1, 99_999]), badPointer(), 100, 0, badPointer(), 16),
  () => addon.syscall(addon.SYS.setsockopt, -1, number(), number(), badPointer(), number()),
  () => addon.ifNameToIndex(name()),
  () => addon.uname(),
  () => addon.effectiveCapabilities(),
  () => addon.setns(pick(['/no/such', odd()]), odd()),
  () => addon.unshare(pick([-1, 'x', 0.5, 1, 2 ** 33])),
  () => addon.dropPrivileges(pick([-1, 'x', undefined, 0.5, 2 ** 32]), odd()),
];

const calls = Number(callsText);
let made = 0;
const thrown = new Map();
function act() {
  if (made >= calls) return; // from a callback after the end
  try {
    pick(actions)();
  } catch (error) {
    // Misuse is told by these alone; anything else is a fault of the addon or of this file.
    if (!(error instanceof TypeError) && !(error instanceof RangeError) && error.name !== 'DataCloneError')
      throw error;
    const code = error.code ?? error.name;
    thrown.set(code, (thrown.get(code) ?? 0) + 1);
  }
}

function turn() {
  for (let i = 0; i < 100 && made < calls; i++, made++) act();
  if (made % 1000 === 0) gc();
  if (made < calls) {
    setImmediate(turn);
    return;
  }
  // What still reads stays open, but must not keep us: the end of the environment closes it.
  for (const id of everOpened) if (addon.tapIsOpen(id)) addon.setRef(id, false);
  if (isMainThread) {
    console.log(
      `${made} calls, ${openCount} devices, refused: ${JSON.stringify(Object.fromEntries(thrown))}`,
    );
    finish();
  }
}
turn();

async function finish() {
  for (const end of ['itself', 'terminate']) {
    const worker = new Worker(__filename, { workerData: [addonPath, seed, String(calls / 10)] });
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.once('error', (error) => {
      throw error;
    });
    if (end === 'terminate') {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await worker.terminate();
    }
    await exited;
  }
  console.log('finished');
}
