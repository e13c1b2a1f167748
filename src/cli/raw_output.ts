/** `send --raw`: finished IPv4 packets go to the host through the npm package raw-socket, loaded only here. */
import { createSocket } from 'node:dgram';
import { createRequire } from 'node:module';
import { formatIPv4, IPPROTO_RAW } from '../uapi/in.js';
import * as ethernet from '../wire/ethernet.js';
import * as ipv4 from '../wire/ipv4.js';
import { CommandError, isSystemError } from './exit.js';
import type { SendRequest } from './send_request.js';

/** The part of raw-socket that is used; it brings no types. */
interface RawSocketModule {
  readonly SocketLevel: { readonly IPPROTO_IP: number };
  readonly SocketOption: { readonly IP_HDRINCL: number };
  createSocket(options: { readonly protocol: number }): RawSocket;
}
interface RawSocket {
  setOption(level: number, option: number, value: number): void;
  send(
    buffer: Buffer,
    offset: number,
    length: number,
    address: string,
    done: (error: Error | null, bytes?: number) => void,
  ): void;
  on(event: 'error', listener: (error: Error) => void): void;
  on(event: 'close', listener: () => void): void;
  close(): void;
}

export interface RawOutput {
  /** Our addresses, in the words of `ip addr add`. */
  readonly ours: readonly string[];
  /** Takes a frame; what the host says of it is known when `settle` resolves. */
  send(frame: Uint8Array): void;
  /** Resolves when the host has taken or refused all. */
  settle(): Promise<void>;
  /** Why the host refused the last packet, or null. */
  refusal(): string | null;
  close(): Promise<void>;
}

function loadModule(): RawSocketModule {
  try {
    return createRequire(import.meta.url)('raw-socket') as RawSocketModule;
  } catch (error) {
    const [reason = ''] = String(error instanceof Error ? error.message : error).split('\n');
    throw new CommandError(
      `send --raw needs the npm package raw-socket, which cannot be loaded: ${reason}`,
      'install it: npm install raw-socket (it needs a C++ compiler, make and python3; it does not build on Node 24)',
    );
  }
}

/** The address that the host itself would send from. */
function hostSource(to: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.on('error', reject);
    socket.connect(port, to, (error?: Error) => {
      if (error !== undefined && error !== null) reject(error);
      else resolve(socket.address().address);
      socket.close();
    });
  });
}

/** @throws CommandError where the package or the privilege is missing, or the host has no route */
export async function openRawOutput(request: SendRequest): Promise<RawOutput> {
  const raw = loadModule();
  let socket: RawSocket;
  try {
    socket = raw.createSocket({ protocol: IPPROTO_RAW });
  } catch (error) {
    throw new CommandError(
      `raw socket: ${error instanceof Error ? error.message : String(error)}`,
      'it needs CAP_NET_RAW: run with sudo',
    );
  }
  let refusal: string | null = null;
  let pending = 0;
  let settled: (() => void)[] = [];
  const finish = (error: Error | null) => {
    if (error !== null) refusal = error.message;
    pending--;
    if (pending > 0) return;
    for (const wake of settled) wake();
    settled = [];
  };
  const settle = () => new Promise<void>((resolve) => (pending === 0 ? resolve() : settled.push(resolve)));
  const closed = new Promise<void>((resolve) => socket.on('close', resolve));
  socket.on('error', (error) => {
    refusal = error.message;
  });
  socket.setOption(raw.SocketLevel.IPPROTO_IP, raw.SocketOption.IP_HDRINCL, 1);
  const close = async () => {
    await settle();
    socket.close();
    await closed;
  };
  try {
    const source = request.networkGiven ? null : await hostSource(request.to.address, request.to.port);
    if (source === request.to.address) {
      throw new CommandError(
        `${source} is this host's own address, and --raw sends to others`,
        'without --raw the TAP reaches this host',
      );
    }
    const ours = source === null ? request.network.ours : [`${source}/32`];
    return {
      ours,
      settle,
      close,
      refusal: () => refusal,
      send: (frame) => {
        const packet = Buffer.from(frame.subarray(ethernet.HEADER_LEN));
        refusal = null;
        pending++;
        socket.send(packet, 0, packet.length, formatIPv4(ipv4.daddr(packet, 0)), (error) =>
          finish(error ?? null),
        );
      },
    };
  } catch (error) {
    await close();
    if (isSystemError(error)) {
      throw new CommandError(
        `${request.to.address}: ${error.code}: the host has no route to it`,
        '"ip route" shows its routes; --addr names a source address',
      );
    }
    throw error;
  }
}
