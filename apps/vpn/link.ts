/**
 * A tunnel as the link of a program's stack: it takes no device of the system, and no privilege.
 *
 * @module
 */

import { IpAddress, IpPrefix, type Logger } from "../../mod.ts";
import { LinkLoop } from "../../stack/application/tunnel/link_loop.ts";
import { ChannelDevice } from "../../stack/link/channel.ts";
import type { OpenLink } from "../device.ts";
import { type LinkValues, wrapLink } from "../link_options.ts";
import { createClient, describeClient, findEntrance, withAdvice } from "./access.ts";
import type { TunnelAccess } from "./options.ts";

/**
 * Connects to the server, and returns the link with the address that it assigns.
 *
 * @throws {Error} If that cannot be done. Nothing is left behind.
 */
export async function openTunnelLink(access: TunnelAccess, values: LinkValues, logger: Logger): Promise<OpenLink> {
  const entrance = await findEntrance(access);
  const device = new ChannelDevice({ name: "vpn0" });
  // Only for the client's timers: the packets are the stack's business.
  const loop = new LinkLoop({ passOn: () => 0 });
  const client = createClient(entrance, { device, timers: loop.timers, logger });
  try {
    const { address, gateway } = await client.connect();
    const wrapped = wrapLink(device, values, logger);
    return {
      ...wrapped,
      address: IpPrefix.parse(address),
      host: null,
      gateway: IpAddress.parse(gateway),
      promiscuous: false,
      lost: client.finished,
      answers: { vpn: () => describeClient(client, entrance) },
      undo: () => {
        client.close();
        void loop.close();
      },
    };
  } catch (error) {
    client.close();
    await loop.close();
    throw withAdvice(error);
  }
}
