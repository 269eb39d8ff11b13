/**
 * The VPN's client on the system's network: a TUN device whose packets go through the tunnel.
 *
 * @module
 */

import { HostChanges, IpAddress, IpPrefix, type Logger, openTun, type TunTapDevice } from "../../mod.ts";
import type { ConnectMessage } from "../../stack/application/tunnel/protocol.ts";
import { LinkRelay } from "../../stack/application/tunnel/relay.ts";
import { ChannelDevice } from "../../stack/link/channel.ts";
import { ExitCode } from "../cli.ts";
import { type ControlValues, openControl } from "../control/server.ts";
import { Interruption } from "../interruption.ts";
import { createClient, describeClient, type Entrance, findEntrance, withAdvice } from "./access.ts";
import type { TunnelAccess } from "./options.ts";
import { Presence } from "./presence.ts";
import { describeTun } from "./tun.ts";

/** Packets that the kernel may have on their way into the tunnel. */
const queueLength = 100;

/** What the program's options say about a client. */
export interface ClientValues extends ControlValues {
  /** The TUN device's name, or null for the next free one. */
  readonly tun: string | null;
  /** Whether everything that has no better route is to go through the tunnel. */
  readonly redirect: boolean;
}

/**
 * Connects, and carries the system's packets until the server does not want that any more, or a signal comes. Whatever
 * happens, the system's network is as before when it returns.
 *
 * @throws {Error} If the server cannot be reached or refuses, or the device cannot be had.
 */
export async function runClient(access: TunnelAccess, values: ClientValues, logger: Logger): Promise<number> {
  const entrance = await findEntrance(access);
  // What a killed run has left behind goes first: it could be in the way.
  using changes = new HostChanges(logger);
  using interruption = new Interruption(logger, () => changes.undo());
  const channel = new ChannelDevice({ name: "tunnel" });
  await using relay = new LinkRelay(channel);
  const client = createClient(entrance, { device: channel, timers: relay.timers, logger });
  interruption.signal.addEventListener("abort", () => client.close());
  try {
    const connection = await client.connect();
    const device = openTun(values.tun === null ? { up: false } : { name: values.tun, up: false });
    const presence = new Presence(device);
    relay.join(device, presence.check);
    setUpSystem(changes, device, connection, entrance, values.redirect);
    const describe = () => ({ ...describeClient(client, entrance), tun: describeTun(device.name) });
    await using _control = await openControl(values.control, { vpn: describe }, logger);
    const { address, mtu } = connection;
    console.log(`Connected to ${entrance.url} as ${address}: ${device.name}, MTU ${mtu}; Ctrl-C ends.`);
    await Promise.race([client.finished, presence.lost]);
    return ExitCode.success;
  } catch (error) {
    if (interruption.exitCode !== null) return interruption.exitCode;
    throw withAdvice(error);
  } finally {
    client.close();
    // Before the device goes, with which the kernel would remove some of it.
    changes.undo();
  }
}

/** Gives the device its address, and leads packets into it; those of the tunnel itself keep their way. */
function setUpSystem(
  changes: HostChanges,
  device: TunTapDevice,
  { address, gateway, mtu, routes }: ConnectMessage,
  entrance: Entrance,
  redirect: boolean,
): void {
  const { name } = device;
  const source = IpPrefix.parse(address).address;
  pinServer(changes, IpAddress.parse(entrance.address));
  changes.changeLink(name, { mtu, txQueueLength: queueLength });
  device.refresh();
  changes.addAddress(name, new IpPrefix(source, 32), { peer: gateway });
  changes.changeLink(name, { up: true });
  for (const route of routes.map((text) => IpPrefix.parse(text))) {
    // The default route is its user's to give away.
    if (route.length > 0) {
      changes.addRoute({ destination: new IpPrefix(route.network, route.length), link: name, source });
    }
  }
  if (redirect) changes.redirectDefault({ link: name, source });
}

function pinServer(changes: HostChanges, server: IpAddress): void {
  if (server.isLoopback) return;
  try {
    changes.pinRoute(server);
  } catch (error) {
    // A server on this very machine is reached by no route of the main table.
    if (!(error instanceof Deno.errors.NetworkUnreachable)) throw error;
  }
}
