/** Cost with many sockets, and with many group memberships. */
import { devReceiveFrame } from '../../dev/receive.js';
import type { UdpSocket } from '../../socket/udp_socket.js';
import { IP_ADD_MEMBERSHIP } from '../../uapi/in.js';
import { AF_INET, SOCK_DGRAM, SOL_IP } from '../../uapi/socket.js';
import { put16, put32 } from '../../wire/bytes.js';
import type { GrowthResult, GrowthTask } from './growth.js';
import { cost, costOfBuilding, Dice, type Lab, openLab, weigh } from './growth_lab.js';
import { decades, SeriesTable } from './series.js';

const FIRST_PORT = 1024;
const PORTS = 64_000;
const PEER = { address: '10.0.0.9', port: 9000 };

/** A frame of 64 bytes of payload to us, without a UDP checksum; addresses and ports are filled in for each. */
function frameToUs(lab: Lab): Uint8Array {
  const frame = new Uint8Array(14 + 28 + 64);
  frame.set(lab.dev.addr);
  frame.set([2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0], 6);
  put16(frame, 16, frame.length - 14);
  frame.set([64, 17], 22);
  put32(frame, 26, 0x0a000009);
  put16(frame, 34, 9000);
  put16(frame, 38, 8 + 64);
  return frame;
}

function address(frame: Uint8Array, to: number, port: number): void {
  put32(frame, 30, to);
  put16(frame, 36, port);
  put16(frame, 24, 0);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += (frame[at]! << 8) | frame[at + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  put16(frame, 24, ~sum & 0xffff);
}

export async function measureSockets({ largest }: GrowthTask): Promise<GrowthResult[]> {
  const time = new SeriesTable();
  const memory = new SeriesTable();
  const payload = new Uint8Array(64);
  for (const size of decades(largest)) {
    const lab = openLab();
    const { net } = lab;
    net.ip('neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev null0 nud permanent');
    for (let extra = 1; extra * PORTS < size; extra++) net.ip(`addr add 10.0.0.${extra + 1}/8 dev null0`);
    const sockets: UdpSocket[] = [];
    let bindNs = 0;
    const bytes = await weigh(async () => {
      bindNs = await costOfBuilding(size, (i) => {
        const socket = net.socket(AF_INET, SOCK_DGRAM);
        socket.bind({ address: `10.0.0.${1 + Math.floor(i / PORTS)}`, port: FIRST_PORT + (i % PORTS) });
        socket.connect(PEER);
        sockets.push(socket);
      });
    });
    const dice = new Dice();
    const sendNs = await cost((count) => {
      for (let i = 0; i < count; i++) sockets[dice.next(size)]!.send(payload);
    });
    const frame = frameToUs(lab);
    const receiveNs = await cost((count) => {
      for (let i = 0; i < count; i++) {
        const which = dice.next(size);
        address(frame, 0x0a000001 + Math.floor(which / PORTS), FIRST_PORT + (which % PORTS));
        devReceiveFrame(lab.dev, frame, 0, frame.length);
        if (sockets[which]!.recvmsg() === null) throw new Error('a datagram did not reach its socket');
      }
    });
    time.add('send, any of them', size, sendNs);
    time.add('receive and read, any of them', size, receiveNs);
    if (size >= 100) {
      time.add('socket, bind and connect', size, bindNs);
      memory.add('bytes a socket', size, bytes / size);
    }
    net.close();
  }
  return [time.result('Sockets', 'sockets'), memory.result('Memory of sockets', 'sockets', 'bytes')];
}

/** Group `i`: from 239.1.0.0 up. */
function group(i: number): number {
  return 0xef010000 + i;
}

export async function measureGroups({ largest }: GrowthTask): Promise<GrowthResult[]> {
  const time = new SeriesTable();
  const payload = new Uint8Array(64);
  for (const size of decades(largest)) {
    const lab = openLab();
    const { net } = lab;
    net.ip('route add 224.0.0.0/4 dev null0');
    net.sysctl.set('net.ipv4.igmp_max_memberships', size);
    net.sysctl.set('net.core.optmem_max', 0x7fffffff);
    const socket = net.socket(AF_INET, SOCK_DGRAM);
    socket.bind({ address: '0.0.0.0', port: 9000 });
    const mreq = new Uint8Array(8);
    put32(mreq, 4, 0x0a000001);
    const joinNs = await costOfBuilding(size, (i) => {
      put32(mreq, 0, group(i));
      socket.setsockopt(SOL_IP, IP_ADD_MEMBERSHIP, mreq);
    });
    if (size >= 100) time.add('join, each', size, joinNs);
    const names = Array.from({ length: size }, (_, i) => ({
      address: `239.1.${i >>> 8}.${i & 255}`,
      port: 9001,
    }));
    const dice = new Dice();
    time.add(
      'send to any of them',
      size,
      await cost((count) => {
        for (let i = 0; i < count; i++) socket.sendto(payload, 0, names[dice.next(size)]!);
      }),
    );
    const frame = frameToUs(lab);
    const receiveNs = await cost((count) => {
      for (let i = 0; i < count; i++) {
        const to = group(dice.next(size));
        // The group's MAC: 01:00:5e and the lower 23 bits.
        frame.set([1, 0, 0x5e, (to >>> 16) & 0x7f, (to >>> 8) & 255, to & 255]);
        address(frame, to, 9000);
        devReceiveFrame(lab.dev, frame, 0, frame.length);
        if (socket.recvmsg() === null) throw new Error('a datagram did not reach the group');
      }
    });
    time.add('receive from any of them', size, receiveNs);
    net.close();
  }
  return [time.result('Group memberships of a socket', 'groups')];
}
