/**
 * The VPN's server: a TUN device, and the clients whose packets go there.
 *
 * @module
 */

import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { HostChanges, IpAddress, IpPrefix, type Logger, openTun, Rtnetlink, type TunTapDevice } from "../../mod.ts";
import { AddressPool } from "../../stack/application/tunnel/address_pool.ts";
import { TunnelHub } from "../../stack/application/tunnel/hub.ts";
import { CloseCode } from "../../stack/application/tunnel/protocol.ts";
import { TunnelServer } from "../../stack/application/tunnel/server.ts";
import { errorLine, ExitCode } from "../cli.ts";
import { type ControlValues, openControl } from "../control/server.ts";
import { Interruption } from "../interruption.ts";
import { serverCertificate } from "./certificate.ts";
import { Newcomers } from "./newcomers.ts";
import { Presence } from "./presence.ts";
import { TokenStore } from "./token_store.ts";
import { describeTun } from "./tun.ts";

/** Packets that the kernel may have on their way to clients. */
const queueLength = 100;

/** How often tokens that were revoked or have expired are looked for, in milliseconds. */
const reviewInterval = 1000;

/** What the program's options say about a server. */
export interface ServerValues extends ControlValues {
  /** The file with the tokens. */
  readonly state: string;
  /** The address to listen on. */
  readonly listen: string;
  /** The port to listen on, or null for the usual one. */
  readonly port: number | null;
  /** Whether to do without TLS. */
  readonly plain: boolean;
  /** The certificate's file, or null. */
  readonly cert: string | null;
  /** Its key's file, or null. */
  readonly key: string | null;
  /** The tunnel's network. */
  readonly network: IpPrefix;
  /** The TUN device's name, or null for the next free one. */
  readonly tun: string | null;
  /** The most bytes of a packet. */
  readonly mtu: number;
  /** Whether clients reach each other. */
  readonly interconnect: boolean;
  /** Networks behind the server that clients are told of. */
  readonly route: readonly IpPrefix[];
}

/**
 * Serves until a signal comes. Whatever happens, the system's network is as before when it returns.
 *
 * @throws {Error} If the port, the device or the tokens cannot be had.
 */
export async function runServer(values: ServerValues, logger: Logger): Promise<number> {
  const { network, mtu, route } = values;
  const [own, peer] = endsOf(network);
  const pool = new AddressPool(network, [own, peer]);
  using store = new TokenStore(values.state);
  using changes = new HostChanges(logger);
  using interruption = new Interruption(logger, () => changes.undo());
  const [http, fingerprint] = await makeHttpServer(values, store);
  try {
    const port = await listen(http, values);
    const [opened, presence] = openHub(changes, values, own, peer);
    await using hub = opened;
    using newcomers = new Newcomers(hub.timers);
    http.on("connection", newcomers.watch);
    const server = new TunnelServer({
      hub,
      gateway: own,
      mtu,
      routes: route,
      logger,
      admit: (token) => store.admit(token, pool),
    });
    http.on("upgrade", (request, socket, head) => {
      if (server.upgrade(request, socket, head)) newcomers.admit(request.socket);
    });
    const describe = () => ({
      role: "server",
      ...server.snapshot(),
      tun: describeTun(hub.uplink.name),
      silentConnections: newcomers.closed,
    });
    await using _control = await openControl(values.control, { vpn: describe }, logger);
    announce(values, port, fingerprint, hub, own);
    const review = setInterval(() => endInvalid(server, store), reviewInterval);
    try {
      await Promise.race([interruption.wait(), presence.lost]);
    } finally {
      clearInterval(review);
      server.close();
    }
    // Before the device goes, with which the kernel would remove some of it.
    changes.undo();
    return ExitCode.success;
  } finally {
    changes.undo();
    http.close();
    http.closeAllConnections();
  }
}

/** The server's address in the tunnel and the one beside it, which nobody else gets. */
function endsOf(network: IpPrefix): [own: IpAddress, peer: IpAddress] {
  const first = network.network.words[0]!;
  return [IpAddress.fromUint32(first + 1), IpAddress.fromUint32(first + 2)];
}

/** An HTTP server that only tunnels are for, and its certificate's fingerprint. */
async function makeHttpServer(values: ServerValues, store: TokenStore): Promise<[Server, string | null]> {
  const answer: RequestListener = (_request, response) => {
    response.writeHead(426, { "content-type": "text/plain", upgrade: "websocket" }).end("WebSocket only\n");
  };
  if (values.plain) return [createHttpServer(answer), null];
  const names = [Deno.hostname(), "localhost", "127.0.0.1", ...(values.listen === "0.0.0.0" ? [] : [values.listen])];
  const { cert, key, fingerprint } = await serverCertificate(values, names, store);
  return [createHttpsServer({ cert, key }, answer), fingerprint];
}

async function listen(http: Server, { listen: host, port, plain }: ServerValues): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const wanted = port ?? (plain ? 80 : 443);
  http.once("error", reject).listen(wanted, host, resolve);
  try {
    await promise;
  } catch (error) {
    const { code } = error as { code?: string };
    const why = code === "EADDRINUSE" ? "another program has it, give another one with --port" : errorLine(error);
    throw new Error(`Cannot listen on port ${wanted} of ${host}: ${why}`);
  }
  // What goes wrong later is one client's loss.
  http.on("error", () => {});
  return wanted;
}

function openHub(
  changes: HostChanges,
  values: ServerValues,
  own: IpAddress,
  peer: IpAddress,
): [hub: TunnelHub, presence: Presence] {
  const { network, tun, mtu, interconnect } = values;
  refuseCollision(network, tun);
  const device = openTun(tun === null ? { up: false } : { name: tun, up: false });
  try {
    setUpSystem(changes, device, { network, mtu, own, peer });
    const presence = new Presence(device);
    const hub = new TunnelHub(device, network, { interconnect, own: [own, peer], linkChanged: presence.check });
    return [hub, presence];
  } catch (error) {
    changes.undo();
    device.close();
    throw error;
  }
}

function setUpSystem(
  changes: HostChanges,
  device: TunTapDevice,
  { network, mtu, own, peer }: { network: IpPrefix; mtu: number; own: IpAddress; peer: IpAddress },
): void {
  const { name } = device;
  changes.changeLink(name, { mtu, txQueueLength: queueLength });
  device.refresh();
  changes.addAddress(name, new IpPrefix(own, 32), { peer });
  changes.changeLink(name, { up: true });
  changes.addRoute({ destination: new IpPrefix(network.network, network.length), link: name, source: own });
}

/** Another interface with addresses of the network would take its packets away. */
function refuseCollision(network: IpPrefix, tun: string | null): void {
  using kernel = new Rtnetlink();
  const links = kernel.links();
  for (const { index, prefix } of kernel.addresses()) {
    const name = links.find((link) => link.index === index)?.name;
    if (name === tun || !(network.contains(prefix.address) || prefix.contains(network.network))) continue;
    throw new Error(`Cannot use ${network} for the tunnel: ${name} has ${prefix}; give another one with --network`);
  }
}

function announce(
  { listen: host, plain, network, interconnect, state }: ServerValues,
  port: number,
  fingerprint: string | null,
  hub: TunnelHub,
  own: IpAddress,
): void {
  const { name, mtu } = hub.uplink;
  const others = interconnect ? "" : " not";
  console.log(`Serving ${plain ? "ws" : "wss"}://${host}:${port}/: ${network} on ${name}, MTU ${mtu}, as ${own}.`);
  console.log(`Clients do${others} reach each other; tokens are in ${state}; Ctrl-C ends.`);
  if (fingerprint !== null) console.log(`The certificate's SHA-256 fingerprint: ${fingerprint}`);
}

function endInvalid(server: TunnelServer, store: TokenStore): void {
  for (const name of server.names) {
    if (!store.isValid(name)) server.disconnect(name, CloseCode.revoked, "the token is no longer valid");
  }
}
