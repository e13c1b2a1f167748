/** Opening a capture by its name. */
import { PcapWriter, type PcapWriterOptions } from './pcap.js';
import { PcapngWriter, type PcapngWriterOptions } from './pcapng.js';

export type CaptureFormat = 'pcap' | 'pcapng';

export interface OpenCaptureOptions
  extends Omit<PcapWriterOptions, 'path' | 'fd' | 'sink' | 'linkType'>,
    Omit<PcapngWriterOptions, 'path' | 'fd' | 'sink'> {
  /** The format whatever the name says. */
  readonly format?: CaptureFormat | undefined;
}

/**
 * Opens a capture file for writing. Its format follows the extension: `.pcap` and `.cap` pcap, all else (and `-`,
 * standard output) pcapng. Throws `CaptureError` if the file cannot be opened.
 */
export function openCapture(path: string, options: OpenCaptureOptions = {}): PcapWriter | PcapngWriter {
  const { format = /\.p?cap$/i.test(path) ? 'pcap' : 'pcapng', linkType, ...rest } = options;
  if (format === 'pcapng') return new PcapngWriter({ ...rest, linkType, path });
  return new PcapWriter({ ...rest, path });
}
