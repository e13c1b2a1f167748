/** Frames and devices, apart from the test runner so that child processes can use them. */
import { hex } from '../wire/naive.js';

/** VEC-1 of the catalogue. */
export const FRAME: Uint8Array = hex(
  '02000000000202000000000108004500001f00004000401126cc0a0000010a00000213880009000b13e2616263',
);
export const TAP0 = { name: 'tap0', ifindex: 2, mtu: 1500 };
export const TAP1 = { name: 'tap1', ifindex: 3, mtu: 1400 };
