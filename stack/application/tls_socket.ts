/**
 * TLS sockets of `node:tls` on connections of the stack, and the options of TLS in Deno's words.
 *
 * @module
 */

import {
  connect,
  type ConnectionOptions,
  createSecureContext,
  createServer,
  type TlsOptions,
  type TLSSocket,
} from "node:tls";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { clearTimeout, setTimeout } from "node:timers";
import { IpAddress } from "../address.ts";
import { abortError, makeError } from "../errors.ts";
import type { Socket } from "./duplex.ts";
import type { NodeError } from "./node_error.ts";

/** A certificate chain and its private key, both as PEM texts. */
export interface CertifiedKey {
  /** The certificate, followed by those that lead to the authority. */
  cert: string;
  /** Its private key. */
  key: string;
}

/** TLS on the side that connects. */
export interface TlsClientOptions {
  /** Certificates, as PEM texts, of the authorities to trust. Default: those that the platform trusts. */
  caCerts?: string[];
  /** Our certificate, for servers that ask for one. */
  cert?: string;
  /** Its private key. */
  key?: string;
  /** Application protocols to offer (RFC 7301), most wanted first: `["h2", "http/1.1"]`. */
  alpnProtocols?: string[];
  /** The name to ask for (RFC 6066 section 3) and to find in the certificate. Default: the host connected to. */
  serverName?: string;
  /** Takes any certificate: for tests only. Default false. */
  unsafelyIgnoreCertificateErrors?: boolean;
}

/** TLS on the side that listens. */
export interface TlsServerOptions extends CertifiedKey {
  /** Application protocols to agree to (RFC 7301), most wanted first. */
  alpnProtocols?: string[];
  /** Other certificates, by the name that a client asks for; null for the default one. */
  certificateFor?: (serverName: string) => CertifiedKey | null;
  /** Asks clients for a certificate, and refuses those without one that these authorities (PEM texts) vouch for. */
  clientCaCerts?: string[];
  /** Milliseconds that a handshake may take. Default 10,000. */
  handshakeTimeout?: number;
}

/**
 * Checks a certificate and its key before they are served with: `node:tls` finds out with the first client only.
 *
 * @throws {Deno.errors.InvalidData} If one of them is not in PEM form, or they make no pair.
 */
export function checkCertificate({ cert, key }: CertifiedKey): void {
  let isPair: boolean;
  try {
    isPair = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw makeError("InvalidData", `Cannot serve TLS: the certificate or its key cannot be read (${error})`);
  }
  if (!isPair) throw makeError("InvalidData", "Cannot serve TLS: the key is not that of the certificate");
}

/** The options of a client as `node:tls` takes them. */
export function toClientOptions(host: string, options: TlsClientOptions): ConnectionOptions {
  const { caCerts, cert, key, alpnProtocols, serverName, unsafelyIgnoreCertificateErrors } = options;
  const name = serverName ?? host;
  return {
    host: name,
    // RFC 6066 section 3: an address is no name to ask for.
    servername: IpAddress.tryParse(name) === null ? name : "",
    rejectUnauthorized: unsafelyIgnoreCertificateErrors !== true,
    ...(caCerts === undefined ? {} : { ca: caCerts }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(alpnProtocols === undefined ? {} : { ALPNProtocols: alpnProtocols }),
  };
}

/** The options of a server as `node:tls` takes them. */
export function toServerOptions(options: TlsServerOptions): TlsOptions {
  const { cert, key, alpnProtocols, certificateFor, clientCaCerts } = options;
  return {
    cert,
    key,
    ...(alpnProtocols === undefined ? {} : { ALPNProtocols: alpnProtocols }),
    ...(clientCaCerts === undefined ? {} : { requestCert: true, rejectUnauthorized: true, ca: clientCaCerts }),
    ...(certificateFor === undefined ? {} : {
      SNICallback: (serverName, callback) => {
        const chosen = certificateFor(serverName);
        if (chosen === null) callback(null);
        else callback(null, createSecureContext(chosen));
      },
    }),
  };
}

/**
 * Agrees on TLS as the side that connected, over a socket that it takes over.
 *
 * @throws {Deno.errors.InvalidData} If the peer's certificate is not trusted, or it speaks no TLS that we do.
 * @throws {Deno.errors.ConnectionReset} If the peer ends the connection meanwhile.
 * @throws {DOMException} If `signal` is aborted first.
 */
export async function secureClient(
  socket: Socket,
  host: string,
  options: TlsClientOptions,
  signal?: AbortSignal,
): Promise<TLSSocket> {
  if (signal?.aborted) {
    socket.destroy();
    throw abortError(signal);
  }
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const onAbort = () => reject(abortError(signal!));
  signal?.addEventListener("abort", onAbort);
  try {
    // TLS passes on what goes wrong below it.
    socket.on("error", () => {});
    const tls = connect({ ...toClientOptions(host, options), socket });
    tls.once("secureConnect", () => resolve(tls));
    // Stays for good: the user's own handlers come after this one, and what comes after the handshake is theirs.
    tls.on("error", (error: NodeError) => reject(handshakeError(host, error)));
    tls.once("close", () => reject(handshakeError(host, connectionEnded())));
    return await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/**
 * Agrees on TLS as the side that listened, over a socket that it takes over.
 *
 * @throws {Deno.errors.InvalidData} If the peer has no certificate that we trust, or speaks no TLS that we do.
 * @throws {Deno.errors.TimedOut} If the handshake takes longer than the options allow.
 * @throws {Deno.errors.ConnectionReset} If the peer ends the connection meanwhile.
 */
export async function secureServer(socket: Socket, options: TlsServerOptions): Promise<TLSSocket> {
  const peer = `${socket.remoteAddress}:${socket.remotePort}`;
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const { handshakeTimeout = 10_000 } = options;
  const late = () =>
    reject(makeError("TimedOut", `Cannot agree on TLS with ${peer}: ${handshakeTimeout} ms have passed`));
  const timer = setTimeout(late, handshakeTimeout);
  try {
    // A server of its own for each connection: its events do not say to which connection they belong.
    const server = createServer(toServerOptions(options));
    server.once("secureConnection", resolve);
    server.on("tlsClientError", (error: NodeError) => reject(handshakeError(peer, error)));
    socket.on("error", (error: NodeError) => reject(handshakeError(peer, error)));
    const ended = () => reject(handshakeError(peer, connectionEnded()));
    socket.once("end", ended).once("close", ended);
    server.emit("connection", socket);
    const tls = await promise;
    for (const name of addressNames) Object.defineProperty(tls, name, { value: socket[name], configurable: true });
    return tls;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** What a TLS socket on a socket of ours does not tell by itself. */
const addressNames = [
  "remoteAddress",
  "remotePort",
  "remoteFamily",
  "localAddress",
  "localPort",
  "localFamily",
] as const;

function connectionEnded(): NodeError {
  return Object.assign(new Error("the connection ended"), { code: "ECONNRESET" });
}

/** The error of a handshake that failed, in words of ours. */
function handshakeError(peer: string, error: NodeError): Error {
  const { code = "" } = error;
  if (/^E[A-Z]+$/.test(code)) {
    const name = code === "ECONNRESET" ? "ConnectionReset" : "ConnectionAborted";
    return makeError(name, `Cannot agree on TLS with ${peer}: the connection ended (${code})`);
  }
  const trust = /CERT|ISSUER|SIGNATURE|ALTNAME/.test(code) && !code.startsWith("ERR_SSL");
  const why = `${error.message}${code === "" ? "" : ` (${code})`}`;
  return makeError("InvalidData", `Cannot ${trust ? "trust" : "agree on TLS with"} ${peer}: ${why}`);
}
