/**
 * HTTP over the stack: {@linkcode serve} in the shape of `Deno.serve`, and {@linkcode fetch}. Underneath are Node's HTTP
 * server, undici and srvx.
 *
 * @module
 */

export {
  type Connector,
  type ConnectorTarget,
  createConnector,
  createHttpClient,
  fetch,
  type FetchInit,
  HttpClient,
  type HttpClientOptions,
} from "./http_client.ts";
export { HttpServer, serve, type ServeHandler, type ServeHandlerInfo, type ServeOptions } from "./http_server.ts";
export type { Lookup, TcpNetwork } from "./network.ts";
export type { CertifiedKey, TlsClientOptions, TlsServerOptions } from "./tls_socket.ts";
