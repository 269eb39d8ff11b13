/**
 * The kernel's sockets by system calls that block, one FFI call each: a peer whose own share in a round trip is small.
 * Deno's sockets take a way through another thread for each wait.
 *
 * @module
 */

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_RCVTIMEO = 20;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const addressBytes = 16;

const { symbols: calls } = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept: { parameters: ["i32", "pointer", "pointer"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
});

/** struct sockaddr_in. */
function socketAddress(address: string, port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(new ArrayBuffer(addressBytes));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  bytes.set(address.split(".").map(Number), 4);
  return bytes;
}

function checked(result: number, what: string): number {
  if (result < 0) throw new Error(`The benchmark's peer cannot ${what}`);
  return result;
}

function setOption(socket: number, level: number, option: number, ...words: number[]): void {
  const value = new Uint8Array(Int32Array.from(words).buffer);
  checked(calls.setsockopt(socket, level, option, value, value.length), "set a socket option");
}

/** Listens on a TCP port. */
export function listen(port: number): number {
  const socket = checked(calls.socket(AF_INET, SOCK_STREAM, 0), "make a socket");
  setOption(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  checked(calls.bind(socket, socketAddress("0.0.0.0", port), addressBytes), `bind port ${port}`);
  checked(calls.listen(socket, 512), "listen");
  return socket;
}

/** Waits for a connection. */
export function accept(listener: number): number {
  const socket = checked(calls.accept(listener, null, null), "accept");
  setOption(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  return socket;
}

/** A UDP socket for one peer only, whose receives give up after `timeout` milliseconds (a whole number of ms below 1000). */
export function connectDatagram(address: string, port: number, timeout: number): number {
  const socket = checked(calls.socket(AF_INET, SOCK_DGRAM, 0), "make a socket");
  // struct timeval: seconds and microseconds, 64 bits each.
  setOption(socket, SOL_SOCKET, SO_RCVTIMEO, 0, 0, timeout * 1000, 0);
  checked(calls.connect(socket, socketAddress(address, port), addressBytes), `connect to ${address}`);
  return socket;
}

/** Sends once. Returns how many bytes were taken, or -1. */
export function send(socket: number, bytes: Uint8Array<ArrayBuffer>, length: number): number {
  return calls.send(socket, bytes, length, 0);
}

/** Waits for something to receive. Returns its length, 0 at the end, or -1 after the time-out. */
export function receive(socket: number, into: Uint8Array<ArrayBuffer>): number {
  return calls.recv(socket, into, into.length, 0);
}

/** Closes a socket. */
export function close(socket: number): void {
  calls.close(socket);
}
