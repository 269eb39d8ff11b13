/**
 * How a client gets to its server: its token, whom it trusts, and the server's address.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { CryptoRandom, type Logger, type Timers } from "../../mod.ts";
import { type ClientSnapshot, TunnelClient } from "../../stack/application/tunnel/client.ts";
import { dialTunnel, TunnelRefusal } from "../../stack/application/tunnel/dial.ts";
import type { ChannelDevice } from "../../stack/link/channel.ts";
import { errorLine, UsageError } from "../cli.ts";
import { tokenVariable, type TunnelAccess } from "./options.ts";

/** What it takes to connect, read and looked up once: later the tunnel itself may be the way to the names. */
export interface Entrance {
  /** The server. */
  readonly url: URL;
  /** Its address on the system's network. */
  readonly address: string;
  /** The token. */
  readonly token: string;
  /** The authorities to trust, or null for the platform's. */
  readonly caCerts: string[] | null;
  /** The fingerprint of the certificate to trust, or null. */
  readonly fingerprint: string | null;
  /** Whether to take any certificate. */
  readonly insecure: boolean;
}

/**
 * Reads the files and looks up the server's address.
 *
 * @throws {UsageError} If there is no token, or two of them.
 * @throws {Error} If a file cannot be read, or the server has no address.
 */
export async function findEntrance(access: TunnelAccess): Promise<Entrance> {
  const { url, cacert, fingerprint, insecure } = access;
  const token = await readToken(access);
  const caCerts = cacert === null ? null : [await readText(cacert)];
  return { url, address: await findAddress(url), token, caCerts, fingerprint, insecure };
}

/** A client that connects by an entrance. */
export function createClient(
  entrance: Entrance,
  { device, timers, logger }: { device: ChannelDevice; timers: Timers; logger: Logger },
): TunnelClient {
  const { url, address, token, caCerts, fingerprint, insecure } = entrance;
  const options = {
    token,
    address,
    unsafelyIgnoreCertificateErrors: insecure,
    ...(caCerts === null ? {} : { caCerts }),
    ...(fingerprint === null ? {} : { fingerprint }),
  };
  return new TunnelClient({
    device,
    timers,
    logger,
    random: new CryptoRandom(),
    dial: (prepare, signal) => dialTunnel(url, { ...options, signal }, prepare),
  });
}

/** A client as its control socket shows it. */
export function describeClient(
  client: TunnelClient,
  { url }: Entrance,
): { role: "client"; server: string } & ClientSnapshot {
  return { role: "client", server: url.href, ...client.snapshot() };
}

/** An error of a client with what its user can do about it. */
export function withAdvice(error: unknown): unknown {
  if (!(error instanceof TunnelRefusal) || !error.message.startsWith("Cannot trust")) return error;
  return new Error(`${error.message}; check it against what the server printed, or name its authority`);
}

async function readToken({ token, tokenFile }: TunnelAccess): Promise<string> {
  if (token !== null && tokenFile !== null) throw new UsageError("Cannot use two tokens: give one, or a file with it");
  const text = token ?? (tokenFile === null ? Deno.env.get(tokenVariable) ?? "" : await readText(tokenFile));
  const found = text.trim();
  if (found === "") {
    throw new UsageError(`Missing token: give a file with it, or ${tokenVariable}; \`vpn token create\` makes one`);
  }
  // What it is not is not shown: it could be a slip of the tongue away from the secret.
  if (!/^[\w-]+$/.test(found)) throw new UsageError("Cannot use the token: it has letters, digits, - and _ only");
  return found;
}

async function readText(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new Error(`Cannot read "${path}": ${errorLine(error)}`);
  }
}

async function findAddress({ hostname }: URL): Promise<string> {
  const host = hostname.replace(/^\[|\]$/g, "");
  try {
    return (await lookup(host, { verbatim: true })).address;
  } catch (error) {
    throw new Error(`Cannot find the address of ${host}: ${errorLine(error)}`);
  }
}
