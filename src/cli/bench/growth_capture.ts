/** Cost of a capture as frames get larger, and as its file grows. */
import { join } from 'node:path';
import { openCapture } from '../../capture/open.js';
import { AF_INET, SOCK_DGRAM } from '../../uapi/socket.js';
import type { GrowthResult, GrowthTask } from './growth.js';
import { cost, type Lab, openLab } from './growth_lab.js';
import { timeRound } from './programs.js';
import { decades, SeriesTable } from './series.js';

const FORMATS = ['pcap', 'pcapng'] as const;
const FRAME_BYTES = [106, 256, 512, 1024, 1514, 4096, 9014, 16_384, 65_535] as const;
const HEADER_BYTES = 42;

function sender({ net }: Lab, payloadBytes: number): (count: number) => void {
  net.ip('neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev null0 nud permanent');
  const socket = net.socket(AF_INET, SOCK_DGRAM);
  socket.connect({ address: '10.0.0.9', port: 9000 });
  const payload = new Uint8Array(payloadBytes);
  return (count) => {
    for (let i = 0; i < count; i++) socket.send(payload);
  };
}

export async function measureCapture({ largest, folder }: GrowthTask): Promise<GrowthResult[]> {
  const bySize = new SeriesTable();
  for (const bytes of FRAME_BYTES) {
    const lab = openLab(65_535);
    const send = sender(lab, Math.min(bytes, 65_535) - HEADER_BYTES);
    const plainNs = await cost(send);
    bySize.add('send, no capture', bytes, plainNs);
    for (const format of FORMATS) {
      const writer = openCapture(join(folder, `growth.${format}`));
      const stop = lab.dev.capture(writer);
      bySize.add(`send, captured (${format})`, bytes, await cost(send));
      stop();
      writer.close();
    }
    lab.net.close();
  }
  const byFile = new SeriesTable();
  for (const format of FORMATS) {
    const lab = openLab();
    const send = sender(lab, 64);
    send(20_000);
    const writer = openCapture(join(folder, `growth.${format}`));
    lab.dev.capture(writer);
    let frames = 0;
    for (const size of decades(largest).filter((n) => n >= 1000)) {
      const { ns } = await timeRound(size - frames, () => send(size - frames));
      byFile.add(`a frame up to there (${format})`, size, ns);
      frames = size;
    }
    writer.close();
    lab.net.close();
  }
  return [
    bySize.result('Capture, by the size of a frame', 'bytes of a frame'),
    byFile.result('Capture, as its file grows', 'frames in the file'),
  ];
}
