// Holds two pcap files against each other: the same frames, byte for byte, in the same order per sender. The order
// between senders is each capturer's own.
//
//   node scripts/same-frames.mjs A.pcap B.pcap
import { readFileSync } from 'node:fs';

function readPcap(file) {
  const bytes = readFileSync(file);
  const magic = bytes.length >= 24 ? bytes.readUInt32LE(0) : 0;
  if (magic !== 0xa1b2c3d4 && magic !== 0xa1b23c4d) throw new Error(`${file} is no little-endian pcap file`);
  const frames = [];
  let at = 24;
  while (at < bytes.length) {
    const [captured, length] = [bytes.readUInt32LE(at + 8), bytes.readUInt32LE(at + 12)];
    if (captured !== length) throw new Error(`${file} holds a cut frame (${captured} of ${length} bytes)`);
    if (at + 16 + captured > bytes.length) throw new Error(`${file} ends within a record`);
    frames.push(bytes.subarray(at + 16, at + 16 + captured));
    at += 16 + captured;
  }
  return frames;
}

function bySender(frames) {
  const senders = new Map();
  for (const frame of frames) {
    const mac = frame.subarray(6, 12).toString('hex');
    senders.set(mac, [...(senders.get(mac) ?? []), frame.toString('hex')]);
  }
  return senders;
}

const [fileA, fileB] = process.argv.slice(2);
const [a, b] = [readPcap(fileA), readPcap(fileB)];
const [senders, others] = [bySender(a), bySender(b)];
const problems = [];
for (const mac of new Set([...senders.keys(), ...others.keys()])) {
  const [left, right] = [senders.get(mac) ?? [], others.get(mac) ?? []];
  if (left.length !== right.length) problems.push(`from ${mac}: ${left.length} frames and ${right.length}`);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i])
      problems.push(`frame ${i} from ${mac}:\n  ${fileA} ${left[i]}\n  ${fileB} ${right[i]}`);
  }
}
if (a.length === 0) problems.push(`${fileA} is empty`);
for (const problem of problems) console.error(problem);
if (problems.length === 0) console.log(`${a.length} frames, byte for byte the same in ${fileA} and ${fileB}`);
process.exitCode = problems.length === 0 ? 0 : 1;
