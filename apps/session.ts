/**
 * A program's run: a stack on its device until the work is done or a signal comes, and nothing left behind after it.
 *
 * @module
 */

import type { DhcpLease } from "../stack/application/dhcp.ts";
import { type IpPrefix, type Logger, type Nic, Stack, type StackOptions } from "../mod.ts";
import { openControl } from "./control/server.ts";
import { type DeviceValues, type OpenLink, openLink, refuseContradictions } from "./device.ts";
import { leaseAddress } from "./dhcp/address.ts";
import { Interruption } from "./interruption.ts";
import { tunnelAccess } from "./vpn/options.ts";

/** What a program works with while it runs. */
export interface Session {
  /** The stack. */
  readonly stack: Stack;
  /** Aborted by the first signal that asks the program to end. */
  readonly signal: AbortSignal;
  /** The signals that ask the program to end. */
  readonly interruption: Interruption;
  /** What came with the stack's address, where that was leased; else null. */
  readonly lease: DhcpLease | null;
}

/** A link whose address is known. */
export interface AddressedLink extends OpenLink {
  /** The stack's address. */
  readonly address: IpPrefix;
}

/** What a program with a device works with while it runs. */
export interface InterfaceSession extends Session {
  /** The stack's interface on the device. */
  readonly nic: Nic;
  /** The device and its addresses. */
  readonly link: OpenLink;
}

/** What a program with a device and an address works with while it runs. */
export interface LinkSession extends InterfaceSession {
  /** The device and its addresses. */
  readonly link: AddressedLink;
}

/** What the options of a program say about its stack. */
export type SessionValues = DeviceValues;

/**
 * Opens the device that the options describe, and runs `work` with a stack on it. Whatever happens, the stack is
 * closed, the host is as before, and the recording is complete when it returns. A link that is lost for good ends the
 * work as a signal does.
 *
 * @throws {UsageError} If the options contradict each other.
 * @throws {Error} If the device cannot be had or is lost, or what `work` throws.
 *
 * @example
 * ```ts ignore
 * await withStack(values, logger, async ({ stack, signal }) => {
 *   for await (const conn of stack.listen({ port: 7, signal })) serve(conn);
 * });
 * ```
 */
export async function withStack<Result>(
  values: SessionValues,
  logger: Logger,
  work: (session: LinkSession) => Promise<Result>,
  options: StackOptions = {},
): Promise<Result> {
  return await withLink(await openLinkOrTunnel(values, logger), values, logger, work, options);
}

/**
 * Opens the device that the options describe, or the tunnel.
 *
 * @throws {UsageError} If the options contradict each other.
 * @throws {Error} If it cannot be had. Nothing is left behind.
 */
export async function openLinkOrTunnel(values: SessionValues, logger: Logger): Promise<OpenLink> {
  const access = tunnelAccess(values);
  if (access === null) return openLink(values, logger);
  refuseContradictions(values);
  // Programs without a tunnel do not load what it takes.
  const { openTunnelLink } = await import("./vpn/link.ts");
  return await openTunnelLink(access, values, logger);
}

/** As {@linkcode withStack}, on a link that is open already, which it takes over. */
export function withLink<Result>(
  link: OpenLink,
  values: SessionValues,
  logger: Logger,
  work: (session: LinkSession) => Promise<Result>,
  options: StackOptions = {},
): Promise<Result> {
  return withInterface(link, values, logger, async (session) => {
    if (link.address !== null) return await work({ ...session, link: { ...link, address: link.address } });
    await using client = await session.interruption.guard(leaseAddress(session, values, logger));
    const lease = await client.bound();
    const { address, routers: [gateway = null] } = lease;
    return await work({ ...session, lease, link: { ...link, address, gateway } });
  }, options);
}

/** As {@linkcode withLink}, where an address that is to be leased is left to `work`. */
export async function withInterface<Result>(
  link: OpenLink,
  values: SessionValues,
  logger: Logger,
  work: (session: InterfaceSession) => Promise<Result>,
  options: StackOptions = {},
): Promise<Result> {
  const restore = () => {
    link.undo();
    link.finish();
  };
  let attached = false;
  try {
    const busyPoll = values["busy-poll"];
    const settings = busyPoll === null ? options : { ...options, busyPoll };
    return await withLoopback(
      logger,
      async (session) => {
        const nic = session.stack.attach(link.device, {
          addresses: link.address === null ? [] : [link.address.toString()],
          promiscuous: link.promiscuous,
          ...(link.gateway === null ? {} : { gateway: link.gateway.toString() }),
        });
        attached = true;
        const answers = { snapshot: () => session.stack.snapshot(), ...link.answers };
        await using _control = await openControl(values.control, answers, logger);
        const { interruption } = session;
        link.lost?.catch((error) => interruption.fail(error));
        return await interruption.failing(work({ ...session, nic, link }));
      },
      settings,
      restore,
    );
  } finally {
    // A device that was attached has been closed with the stack.
    if (!attached) link.device.close();
    restore();
  }
}

/**
 * Runs `work` with a stack that has no device but its loopback. `endAtOnce` is called before a second signal ends the
 * program on the spot.
 */
export async function withLoopback<Result>(
  logger: Logger,
  work: (session: Session) => Promise<Result>,
  options: StackOptions = {},
  endAtOnce: () => void = () => {},
): Promise<Result> {
  using interruption = new Interruption(logger, endAtOnce);
  await using stack = new Stack({ logger, ...options });
  return await work({ stack, signal: interruption.signal, interruption, lease: null });
}
