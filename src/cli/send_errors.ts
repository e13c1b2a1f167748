/** What an errno of sending means in this case, in words. */
import type { SystemError } from './exit.js';
import type { SendRequest } from './send_request.js';

const MAX_UDP_PAYLOAD = 65507;

/** `EMSGSIZE: 1473 bytes do not fit the path MTU of 1500 with DF set`, with the system call in front. */
export function sendErrorReason(
  error: SystemError,
  request: SendRequest,
  payloadBytes: number,
  mtuBytes: number,
): string {
  const call = error.syscall === undefined ? '' : `${error.syscall}: `;
  return `${call}${error.code}: ${reasonOf(error, request, payloadBytes, mtuBytes)}`;
}

function reasonOf(error: SystemError, request: SendRequest, payloadBytes: number, mtuBytes: number): string {
  const to = request.to.address;
  switch (error.code) {
    case 'EMSGSIZE':
      return payloadBytes > MAX_UDP_PAYLOAD
        ? `${payloadBytes} bytes are more than a datagram holds (${MAX_UDP_PAYLOAD} without options)`
        : `${payloadBytes} bytes do not fit the path MTU of ${mtuBytes} with DF set`;
    case 'EACCES':
      return `${to} is a broadcast address, and --broadcast was not given; or a prohibit route matches`;
    case 'ENETUNREACH':
      return `there is no route to ${to}, or none from the source address; --route adds one`;
    case 'EHOSTUNREACH':
      return `${to} cannot be reached: nobody answered ARP, or an unreachable route matches`;
    case 'ECONNREFUSED':
      return `${to} says that nobody listens on port ${request.to.port}`;
    case 'ENETDOWN':
      return 'the interface is down';
    case 'EADDRNOTAVAIL':
      return 'the source address is not ours; --addr adds one';
    case 'EPERM':
      return 'not permitted';
    default:
      return error.message;
  }
}
