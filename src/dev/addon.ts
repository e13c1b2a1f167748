/**
 * The native addon: TAP devices, and system calls on the host's kernel. It is loaded when it is first asked for, so that
 * all that needs no TAP works where it could not be built.
 *
 * Every errno is a value, a negative number. Only misuse throws (TypeError, RangeError): a closed device, a frame past
 * the arena, a name of more than 15 bytes.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** An open TAP. Closed by `tapClose`, at the end of its thread, or when this object is garbage. */
export interface NativeTap {
  /** Names the device in every other call; never reused for a later device. */
  readonly id: number;
  /** The interface's name, with a template such as `tap%d` filled in by the kernel. */
  readonly name: string;
  /**
   * Writes frames that lie in `arena`, one `write(2)` each, up to the first error. Set `status[0]` to the number of
   * descriptors first; afterwards `status[0]` is the number of frames that the device took, and `status[1]` 0 or the negative
   * errno of the next one: EIO (the link is down), EINVAL (under 14 bytes), EBADFD (the interface was deleted), EAGAIN.
   *
   * Takes one argument and returns nothing because that is what a call costs. `arena` is best the buffer of a
   * WebAssembly.Memory; the one that is current, where it can grow.
   *
   * @throws RangeError for a frame past the end of the arena (`status[0]` tells the frames taken before it) or a count past
   *   the registered descriptors; TypeError for a closed device or one without registered descriptors.
   */
  readonly flush: (arena: ArrayBuffer) => void;
}

/** A buffer that a system call may be given the address of. */
export type Memory = ArrayBuffer | ArrayBufferView<ArrayBuffer>;

/** One argument of a system call: a number, a 64-bit bigint, the address of a buffer's memory, or 0 for null. */
export type SyscallArgument = number | bigint | Memory | null;

/** The functions of `native/`; the numbers of one interface version. */
export interface Addon {
  readonly interfaceVersion: number;

  /**
   * Opens a TAP without packet information, non-blocking, new or existing. `flags`: IFF_VNET_HDR (10-byte headers),
   * IFF_MULTI_QUEUE, IFF_TUN_EXCL, IFF_NO_CARRIER. An empty name lets the kernel choose. Errors: EPERM, ENOENT and EACCES
   * of `/dev/net/tun`; EBUSY, EINVAL of TUNSETIFF (TUN-1).
   */
  tapOpen(name: string, flags: number): NativeTap | number;
  /** Closes at any time and any number of times, also inside the device's own read callback. */
  tapClose(id: number): void;
  tapIsOpen(id: number): boolean;
  /** The flags that the kernel has for the interface, or a negative errno: EBADFD once the interface is deleted. */
  tapFlags(id: number): number;
  /** Whether the interface outlives its descriptors. */
  tapSetPersist(id: number, on: boolean): number;
  tapSetCarrier(id: number, on: boolean): number;
  /** The user who may attach without CAP_NET_ADMIN. */
  tapSetOwner(id: number, uid: number): number;
  tapSetGroup(id: number, gid: number): number;
  /** TUN_F_* bits of what the reader accepts from the host (TUN-11). */
  tapSetOffload(id: number, bits: number): number;

  /**
   * Says where in the buffer of {@link NativeTap.flush} status and descriptors lie, in bytes from its start and aligned to
   * 4: status is two int32, descriptors are pairs of uint32, the offset in the buffer and the length of a frame.
   */
  registerDescriptors(id: number, statusOffset: number, descriptorsOffset: number, maxFrames: number): void;

  /**
   * Registers where frames are read to: frame i starts at `i * strideBytes` and is `lengths[i]` bytes long. A frame
   * longer than the stride is cut: 65559 bytes hold any (10 of virtio_net_hdr, 14 of Ethernet, 65535 of IP).
   */
  registerReceive(
    id: number,
    buffer: Uint8Array<ArrayBuffer> | ArrayBuffer,
    strideBytes: number,
    lengths: Uint32Array<ArrayBuffer>,
  ): void;
  /** Reads what is there, as many frames as fit: their number, 0 when there are none, or a negative errno. */
  readNow(id: number): number;
  /**
   * Calls back with the number of frames whenever there are some, from this thread's event loop; with a negative errno
   * once, after which reading has stopped (EBADFD: the interface was deleted). Does not keep the process alive.
   */
  startRead(id: number, callback: (framesOrErrno: number) => void): number;
  stopRead(id: number): void;
  /** Whether reading keeps the process alive (false at first). */
  setRef(id: number, on: boolean): number;

  /** Numbers of the system calls that {@link syscall} offers, on this architecture. */
  readonly SYS: Readonly<Record<SyscallName, number>>;
  /** Makes a system call on the host's kernel, blocking this thread: its result, or a negative errno. */
  syscall(number: number, ...args: SyscallArgument[]): number;
  /** The address of a buffer's memory, valid as long as the buffer is; 0 for one of length 0. */
  addressOf(memory: Memory): bigint;
  /** CLONE_* flags; acts on the calling thread only. */
  unshare(flags: number): number;
  /** Enters the namespace that a file names (`/run/netns/NAME`), on the calling thread only. */
  setns(path: string, type: number): number;
  /** Drops groups, ids and capabilities of the calling thread. */
  dropPrivileges(uid: number, gid: number): number;
  geteuid(): number;
  /** The effective capabilities of the calling thread: bit n is capability n. */
  effectiveCapabilities(): bigint;
  uname(): { sysname: string; nodename: string; release: string; version: string; machine: string };
  /** The index of an interface in the calling thread's namespace, or a negative errno (ENODEV). */
  ifNameToIndex(name: string): number;
}

/** The system calls that {@link Addon.syscall} offers. */
export type SyscallName =
  | 'socket'
  | 'socketpair'
  | 'bind'
  | 'connect'
  | 'listen'
  | 'sendto'
  | 'sendmsg'
  | 'sendmmsg'
  | 'recvfrom'
  | 'recvmsg'
  | 'recvmmsg'
  | 'setsockopt'
  | 'getsockopt'
  | 'getsockname'
  | 'getpeername'
  | 'shutdown'
  | 'close'
  | 'read'
  | 'write'
  | 'readv'
  | 'writev'
  | 'ioctl'
  | 'fcntl'
  | 'dup'
  | 'pipe2'
  | 'splice'
  | 'sendfile'
  | 'ppoll'
  | 'nanosleep'
  | 'getpid'
  | 'gettid'
  | 'unshare'
  | 'setns'
  | 'getuid'
  | 'geteuid'
  | 'setresuid'
  | 'setresgid'
  | 'setgroups'
  | 'capget'
  | 'capset';

/** A network namespace, for {@link Addon.unshare} and {@link Addon.setns} (`linux/sched.h`). */
export const CLONE_NEWNET = 0x40000000;
/** A mount namespace. */
export const CLONE_NEWNS = 0x00020000;
/** A user namespace. */
export const CLONE_NEWUSER = 0x10000000;

/** Bytes that hold any frame of a TAP, with its virtio_net_hdr. */
export const MAX_TAP_FRAME_BYTES = 10 + 14 + 65535;

const INTERFACE_VERSION = 1;

/** The addon is not there, or cannot be used: `reason` says why, the message also how to mend it. */
export class AddonMissingError extends Error {
  override readonly name = 'AddonMissingError';
  readonly code = 'ERR_UDPTAP_ADDON_MISSING';
  constructor(readonly reason: string) {
    super(
      `the native part of udptap, which TAP devices and the host's kernel need, cannot be loaded: ${reason}. ` +
        'Build it with "npx node-gyp rebuild" in the package folder (it needs a C++ compiler, make and python3).',
    );
  }
}

let loaded: Addon | AddonMissingError | undefined;

/**
 * The addon, loaded on the first call.
 *
 * @throws AddonMissingError where it was not built for this system.
 */
export function loadAddon(): Addon {
  loaded ??= load();
  if (loaded instanceof AddonMissingError) throw loaded;
  return loaded;
}

/** Why {@link loadAddon} would throw, or null. */
export function addonProblem(): AddonMissingError | null {
  loaded ??= load();
  return loaded instanceof AddonMissingError ? loaded : null;
}

function load(): Addon | AddonMissingError {
  if (process.platform !== 'linux') {
    return new AddonMissingError(`TAP devices are Linux's, and this is ${process.platform}`);
  }
  // The same from src/dev and from dist/dev.
  const root = fileURLToPath(new URL('../..', import.meta.url));
  try {
    const nodeGypBuild = createRequire(import.meta.url)('node-gyp-build') as (dir: string) => Addon;
    const addon = nodeGypBuild(root);
    if (addon.interfaceVersion === INTERFACE_VERSION) return addon;
    return new AddonMissingError(
      `it was built from other sources (interface ${addon.interfaceVersion}, not ${INTERFACE_VERSION})`,
    );
  } catch (error) {
    const [firstLine] = String(error instanceof Error ? error.message : error).split('\n');
    return new AddonMissingError(firstLine ?? 'unknown');
  }
}
