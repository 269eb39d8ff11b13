/**
 * The way from a client to its server: a connection of the system's network or of a stack, TLS, WebSocket.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { abortError } from "../../errors.ts";
import { WebSocket as WsSocket } from "../deps/ws.ts";
import { toDuplex } from "../duplex.ts";
import { connectToHost } from "../host_connect.ts";
import type { Lookup, TcpNetwork } from "../network.ts";
import { type TlsClientOptions, toClientOptions } from "../tls_socket.ts";
import type { WebSocket } from "../websocket_types.ts";
import { mostMessageBytes, tunnelProtocol } from "./protocol.ts";

/** A server that does not want this client, or must not be trusted: to try again is in vain. */
export class TunnelRefusal extends Error {
  /** The class's name. */
  override readonly name: string = "TunnelRefusal";
}

/** Opens a TCP connection. */
export type OpenSocket = (host: string, port: number, signal?: AbortSignal) => Promise<Duplex>;

/** Options of {@linkcode dialTunnel}. */
export interface DialOptions extends TlsClientOptions {
  /** The token. */
  readonly token: string;
  /** SHA-256 of the only certificate to trust, as hexadecimal digits with or without colons. */
  readonly fingerprint?: string;
  /** Where to connect to, in place of the URL's host. */
  readonly address?: string;
  /** Where connections come from. Default: the system's network. */
  readonly open?: OpenSocket;
  /**
   * Whether messages are masked with an unpredictable key, which takes a third of a client's time at full speed. Default:
   * only where they are not encrypted (RFC 6455 section 10.3: the mask is for proxies that read along). Otherwise the key
   * is zero.
   */
  readonly mask?: boolean;
  /** Ends the attempt. */
  readonly signal?: AbortSignal;
}

/** Connections of the system's network. */
export async function openHostSocket(host: string, port: number, signal?: AbortSignal): Promise<Duplex> {
  signal?.throwIfAborted();
  const socket = connectTcp({ host, port, noDelay: true });
  await settled(socket, "connect", signal);
  return socket;
}

/** Connections of a stack. */
export function stackSocketOpener(network: TcpNetwork, lookup: Lookup | null = null): OpenSocket {
  return async (hostname, port, signal) => {
    const conn = await connectToHost(network, lookup, { hostname, port, ...(signal === undefined ? {} : { signal }) });
    conn.setNoDelay();
    return toDuplex(conn);
  };
}

/**
 * Connects to a server. `prepare` is given the socket before anything can come in; the promise resolves when it is open.
 *
 * @param url `wss://vpn.example/`, or `ws://` without TLS.
 * @throws {TunnelRefusal} If the server refuses the token or the version, or its certificate is not trusted.
 * @throws {Error} If it cannot be reached.
 */
export async function dialTunnel(
  url: URL,
  options: DialOptions,
  prepare: (socket: WebSocket) => void,
): Promise<void> {
  const isSecure = url.protocol === "wss:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const { open = openHostSocket, address = host, signal } = options;
  const tcp = await open(address, Number(url.port || (isSecure ? 443 : 80)), signal).catch((error) => {
    throw signal?.aborted ? error : new Error(`Cannot reach ${url.host}: ${error.message}`);
  });
  try {
    const connection = isSecure ? await secure(tcp, host, options) : tcp;
    await upgrade(connection, url, options, prepare);
  } catch (error) {
    tcp.destroy();
    throw error;
  }
}

async function secure(socket: Duplex, host: string, options: DialOptions): Promise<Duplex> {
  const { fingerprint, signal } = options;
  const tls = connectTls({
    ...toClientOptions(host, options),
    ...(fingerprint === undefined ? {} : { rejectUnauthorized: false }),
    socket,
  });
  try {
    await settled(tls, "secureConnect", signal);
  } catch (error) {
    const { code = "", message } = error as Error & { code?: string };
    if (signal?.aborted) throw error;
    const isTrust = /CERT|ISSUER|SIGNATURE|ALTNAME/.test(code);
    throw isTrust
      ? new TunnelRefusal(`Cannot trust ${host}: ${message} (${code})`)
      : new Error(`Cannot agree on TLS with ${host}: ${message}`);
  }
  if (fingerprint !== undefined) {
    const found = tls.getPeerCertificate().fingerprint256 ?? "none";
    if (plainFingerprint(found) !== plainFingerprint(fingerprint)) {
      throw new TunnelRefusal(`Cannot trust ${host}: its certificate has the fingerprint ${found}`);
    }
  }
  return tls;
}

/** A fingerprint without what only helps the eye. */
export function plainFingerprint(text: string): string {
  return text.replaceAll(":", "").toLowerCase();
}

async function upgrade(
  connection: Duplex,
  url: URL,
  { token, mask = url.protocol === "ws:", signal }: DialOptions,
  prepare: (socket: WebSocket) => void,
): Promise<void> {
  // TLS has been agreed on: for ws it is a plain connection.
  const target = new URL(url);
  target.protocol = "ws:";
  const socket = new WsSocket(target, [tunnelProtocol], {
    headers: { host: url.host, authorization: `Bearer ${token}` },
    maxPayload: mostMessageBytes,
    perMessageDeflate: false,
    ...(mask ? {} : { generateMask: (key: Uint8Array) => key.fill(0) }),
    // deno-lint-ignore no-explicit-any -- declared for net.Socket, of which it uses what a Duplex has
    createConnection: () => connection as any,
  });
  prepare(socket);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (error: Error) => reject(explain(error, url.host));
  const onAbort = () => reject(abortError(signal!));
  const onClose = () => reject(new Error(`Cannot open a tunnel to ${url.host}: it closed the connection`));
  socket.once("open", resolve).on("error", fail).once("close", onClose);
  socket.once("unexpected-response", (_request, response) => void readRefusal(response, url.host).then(reject, reject));
  signal?.addEventListener("abort", onAbort);
  try {
    if (signal?.aborted) onAbort();
    await promise;
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    socket.off("close", onClose);
  }
}

/** What ws says in its own words about servers of another kind or version. */
function explain({ message }: Error, host: string): Error {
  if (!/subprotocol|Sec-WebSocket|Upgrade header|Parse Error|HPE_/i.test(message)) {
    return new Error(`Cannot open a tunnel to ${host}: ${message}`);
  }
  return new TunnelRefusal(
    `Cannot open a tunnel to ${host}: it does not speak ${tunnelProtocol}, so update the older of the two (${message})`,
  );
}

/** The error that a server's answer other than an upgrade stands for. */
async function readRefusal(response: IncomingMessage, host: string): Promise<Error> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) if (text.length < 200) text += chunk;
  // deno-lint-ignore no-control-regex -- what a stranger sends is not to steer the terminal
  const reason = text.slice(0, 200).split("\n")[0]!.replaceAll(/[\x00-\x1f\x7f-\x9f]/g, "") || response.statusMessage;
  const { statusCode = 0 } = response;
  const message = `Cannot open a tunnel to ${host}: ${reason} (HTTP status ${statusCode})`;
  // 5xx: perhaps later (RFC 9110 section 15.6); 429: too often, so later (RFC 6585 section 4).
  return statusCode >= 500 || statusCode === 429 ? new Error(message) : new TunnelRefusal(message);
}

/** Waits for an event of a socket, or for its end. */
async function settled(socket: Duplex, event: string, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(abortError(signal!));
  const onClose = () => reject(new Error("the connection ended"));
  socket.once(event, resolve).on("error", reject).once("close", onClose);
  signal?.addEventListener("abort", onAbort);
  try {
    if (signal?.aborted) onAbort();
    await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    socket.off("close", onClose);
  }
}
