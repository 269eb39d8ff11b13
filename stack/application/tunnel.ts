/**
 * Tunnels: IP packets over WebSocket, on the system's network or on a stack, with an address for each client.
 *
 * A client's end is a {@linkcode ChannelDevice}, which a stack attaches as any other device, or which a
 * {@linkcode LinkRelay} joins to a TUN device. At the server's end a {@linkcode TunnelHub} passes packets between a
 * device and the clients by their destinations.
 *
 * @example A stack whose link is a VPN server, without any privilege
 * ```ts ignore
 * import { ChannelDevice, CryptoRandom, Stack } from "@tapstack/tapstack";
 * import { type Dial, dialTunnel, TunnelClient } from "@tapstack/tapstack/tunnel";
 *
 * await using stack = new Stack();
 * const device = new ChannelDevice();
 * const { timers } = stack;
 * const dial: Dial = (prepare, signal) => dialTunnel(new URL("wss://vpn.example"), { token, signal }, prepare);
 * const client = new TunnelClient({ device, timers, random: new CryptoRandom(), dial });
 * const { address, gateway } = await client.connect();
 * stack.attach(device, { addresses: [address], gateway });
 * ```
 *
 * @module
 */

export type { Lookup, TcpNetwork } from "./network.ts";
export type { TlsClientOptions } from "./tls_socket.ts";
export { AddressPool } from "./tunnel/address_pool.ts";
export type { AttemptLimits } from "./tunnel/attempt_limiter.ts";
export type { BackoffOptions } from "./tunnel/backoff.ts";
export {
  type ClientSnapshot,
  type Dial,
  TunnelClient,
  type TunnelClientOptions,
  type TunnelState,
} from "./tunnel/client.ts";
export {
  type DialOptions,
  dialTunnel,
  openHostSocket,
  type OpenSocket,
  stackSocketOpener,
  TunnelRefusal,
} from "./tunnel/dial.ts";
export { type HubDrops, type HubPort, TunnelHub, type TunnelHubOptions } from "./tunnel/hub.ts";
export type { LinkLoopOptions } from "./tunnel/link_loop.ts";
export { CloseCode, type ConnectMessage, type HeartbeatTimes, tunnelProtocol } from "./tunnel/protocol.ts";
export { LinkRelay } from "./tunnel/relay.ts";
export {
  type Admission,
  type Refusal,
  type Refusals,
  type ServerSnapshot,
  TunnelServer,
  type TunnelServerOptions,
} from "./tunnel/server.ts";
export type { SessionSnapshot } from "./tunnel/session.ts";
export type { WebSocket, WebSocketData, WebSocketEvents, WebSocketListener } from "./websocket_types.ts";
