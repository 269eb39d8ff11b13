/**
 * The VPN's client without the system's network: a stack of ours is at the end of the tunnel, and answers pings.
 *
 * @module
 */

import type { Logger } from "../../mod.ts";
import { ExitCode } from "../cli.ts";
import type { SessionValues } from "../session.ts";
import { withLink } from "../session.ts";
import { openTunnelLink } from "./link.ts";
import type { TunnelAccess } from "./options.ts";

/**
 * Connects, and runs a stack at the end of the tunnel until a signal comes.
 *
 * @throws {Error} If the server cannot be reached or refuses.
 */
export async function runUserspaceClient(
  access: TunnelAccess,
  values: SessionValues,
  logger: Logger,
): Promise<number> {
  const link = await openTunnelLink(access, values, logger);
  return await withLink(link, values, logger, async ({ interruption }) => {
    console.log(`Connected to ${access.url} as ${link.address}, without a device; Ctrl-C ends.`);
    await interruption.wait();
    return ExitCode.success;
  });
}
