/**
 * Connecting.
 *
 * @module
 */

import { abortError, makeError } from "../errors.ts";
import { formatEndpoint } from "../transport/endpoint.ts";
import type { ConnectionSettings, ConnectRequest, TcpUserCalls } from "../transport/tcp/user.ts";
import { checkPort, checkTransport, parseHostname, remoteEndpoint, type TcpConnectOptions } from "./options.ts";
import type { ProgramKeeper } from "./hold.ts";
import { TcpConn } from "./tcp_conn.ts";

/**
 * Connects and resolves to the connection once it is established.
 *
 * @throws {Deno.errors.ConnectionRefused} If nobody listens there.
 * @throws {Deno.errors.TimedOut} If nobody answers.
 * @throws {Deno.errors.NetworkUnreachable} If there is no route; `HostUnreachable` if the host does not exist, or a
 * router reports that the connection is prohibited.
 * @throws {Deno.errors.AddrInUse} If the local port is taken; `AddrNotAvailable` if the local address is not ours.
 * @throws {DOMException} The signal's reason, by default an `AbortError`, if it is aborted first.
 * @throws {TypeError} If an option makes no sense; a `RangeError` for a port out of range.
 */
export async function connectTcp(
  tcp: TcpUserCalls,
  options: TcpConnectOptions,
  keeper: ProgramKeeper | null = null,
): Promise<TcpConn> {
  const request = toRequest(options);
  const { signal } = options;
  if (signal?.aborted) throw abortError(signal);
  const connection = tcp.connect(request);
  const { promise, resolve, reject } = Promise.withResolvers<TcpConn>();
  const onAbort = () => {
    // First the rejection: the abort below is reported to the observer as well.
    reject(abortError(signal!));
    connection.abort();
  };
  connection.observer = {
    established: () => {
      // At once: from now on an abort must not touch the connection.
      signal?.removeEventListener("abort", onAbort);
      resolve(new TcpConn(connection, keeper));
    },
    readable: () => {},
    writable: () => {},
    closed: (failure) => {
      const { name, message } = failure ?? { name: "ConnectionAborted", message: "the connection was given up" };
      reject(makeError(name, `Cannot connect to ${formatEndpoint(request.remote)}: ${message}`));
    },
  };
  // With Fast Open the first data go out with the SYN: whoever is to write them needs the connection now.
  if (connection.deferred) return new TcpConn(connection, keeper);
  keeper?.acquire();
  signal?.addEventListener("abort", onAbort);
  try {
    return await promise;
  } finally {
    keeper?.release();
    signal?.removeEventListener("abort", onAbort);
  }
}

function toRequest(options: TcpConnectOptions): ConnectRequest {
  checkTransport(options.transport, "tcp");
  const { hostname, port, localHostname, localPort, noDelay, keepAlive } = options;
  const request: ConnectRequest = { remote: remoteEndpoint(hostname, port) };
  if (localHostname !== undefined) request.localAddress = parseHostname(localHostname);
  if (localPort !== undefined) request.localPort = checkPort(localPort, 0);
  const settings: Partial<ConnectionSettings> = { ...options.settings };
  if (noDelay !== undefined) settings.noDelay = noDelay;
  if (keepAlive !== undefined) settings.keepAlive = keepAlive;
  request.settings = settings;
  if (options.fastOpen !== undefined) request.fastOpen = options.fastOpen;
  return request;
}
