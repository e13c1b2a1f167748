/** Real TAPs that repeat what a scenario's memory devices send, so that the host sees the frames. */
import { spawnSync } from 'node:child_process';
import { errnoMessage } from '../uapi/errno.js';
import { HostTap } from './host_tap.js';
import { type Frame, ScenarioError } from './types.js';

export class TapMirror {
  readonly #taps = new Map<string, HostTap>();

  /** Sends a frame by the TAP of its device's name, which is made when it is first needed. @throws ScenarioError */
  send(frame: Frame): void {
    const tap = this.#taps.get(frame.dev) ?? this.#open(frame);
    const bytes = Uint8Array.from(Buffer.from((frame.vnet_hdr ?? '') + frame.hex, 'hex'));
    const error = tap.write(bytes);
    if (error < 0) throw new ScenarioError(`sending by ${frame.dev}: ${errnoMessage(-error)}`);
  }

  #open(frame: Frame): HostTap {
    const tap = new HostTap(frame.dev, frame.vnet_hdr !== undefined);
    this.#taps.set(frame.dev, tap);
    const { status, stderr } = spawnSync('ip', ['link', 'set', tap.name, 'up'], { encoding: 'utf8' });
    if (status !== 0)
      throw new ScenarioError(`ip link set ${tap.name} up: ${stderr?.trim() ?? 'ip is missing'}`);
    return tap;
  }

  close(): void {
    for (const tap of this.#taps.values()) tap.close();
    this.#taps.clear();
  }
}
