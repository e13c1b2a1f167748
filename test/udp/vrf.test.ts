import { expect, test } from 'vitest';
import { MemoryDevice } from '../../src/dev/memory.js';
import { IP_PKTINFO } from '../../src/uapi/in.js';
import { SO_BINDTODEVICE, SOL_IP, SOL_SOCKET } from '../../src/uapi/socket.js';
import { bytes, datagram, frame, icmpMessage, RxLab, text } from '../ip/rx_lab.js';

/** tap1 with 10.5.0.2 in the VRF red. */
function lab() {
  const rx = new RxLab();
  const { net } = rx;
  net.ip('link add red type vrf table 10');
  const tap1 = new MemoryDevice({ name: 'tap1', mac: bytes(2, 0, 0, 0, 5, 2) });
  net.addDevice(tap1);
  net.ip('link set tap1 master red');
  net.ip('link set red up');
  net.ip('addr add 10.5.0.2/24 dev tap1');
  net.ip('link set tap1 up');
  net.ip('neigh add 10.5.0.1 lladdr 02:00:00:00:05:01 dev tap1 nud permanent');
  rx.sleep(3000);
  tap1.drain();
  const from = { src: '10.5.0.1', dst: '10.5.0.2', mac: '020000000502' };
  const open = (device: string | null) => {
    const s = rx.open();
    s.setsockopt(SOL_SOCKET, 2, 1);
    if (device !== null) s.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(device));
    s.setsockopt(SOL_IP, IP_PKTINFO, 1);
    s.bind({ address: '0.0.0.0', port: 9000 });
    return s;
  };
  return { rx, tap1, from, open, index: (name: string) => net.devGetByName(name)!.ifindex };
}

test('VRF-7: a socket bound to the VRF or to its device hears it, an unbound one only if udp_l3mdev_accept says so', () => {
  const { rx, tap1, from, open } = lab();
  const [unbound, master, slave] = [open(null), open('red'), open('tap1')];
  tap1.inject(datagram('to the device', from));
  expect(text(slave.recvmsg()!.data)).toBe('to the device');
  slave.close();
  tap1.inject(datagram('to the VRF', from));
  expect(text(master.recvmsg()!.data)).toBe('to the VRF');
  master.close();
  tap1.inject(datagram('to nobody', from));
  expect(unbound.recvmsg()).toBeNull();
  expect(tap1.drain().length).toBe(1);
  rx.net.sysctl.set('net.ipv4.udp_l3mdev_accept', 1);
  tap1.inject(datagram('to anyone', from));
  expect(text(unbound.recvmsg()!.data)).toBe('to anyone');
});

test('IP_PKTINFO names the device that the datagram came by, not the VRF', () => {
  const { tap1, from, open, index } = lab();
  const s = open('red');
  tap1.inject(datagram('x', from));
  expect([...s.recvmsg()!.control[0]!.data]).toEqual([index('tap1'), 0, 0, 0, 10, 5, 0, 2, 10, 5, 0, 2]);
});

test('an address in a VRF can be pinged, and the answer stays in it', () => {
  const { rx, tap1, from } = lab();
  tap1.inject(frame(icmpMessage(8, 0, 1, bytes(1, 2, 3)), { ...from, proto: 1 }));
  expect(tap1.drain().length).toBe(1);
  expect(rx.sent()).toEqual([]);
});
