/**
 * A VPN: IP packets over WebSocket with TLS.
 *
 * @module
 */

import { IpPrefix, type Logger } from "../mod.ts";
import { checkCertificateOptions } from "./certificate.ts";
import {
  ExitCode,
  InvalidValue,
  type Option,
  type Program,
  runProgram,
  toggle,
  UsageError,
  type Values,
} from "./cli.ts";
import { controlOptions } from "./control/server.ts";
import { logLevel, startLogging } from "./logging.ts";
import { formatTable } from "./netstat/tables.ts";
import { deviceOptions } from "./device.ts";
import { hostAddress, interfaceName, port, wholeNumber } from "./values.ts";
import { runClient } from "./vpn/client.ts";
import { fingerprint, optional, serverUrl, tokenVariable, type TunnelAccess } from "./vpn/options.ts";
import { runServer } from "./vpn/server.ts";
import { askStatus, formatStatus } from "./vpn/status.ts";
import { TokenStore } from "./vpn/token_store.ts";
import { runUserspaceClient } from "./vpn/userspace.ts";

function network(text: string): IpPrefix {
  try {
    const prefix = IpPrefix.parse(text);
    const isNetwork = prefix.address.family === 4 && prefix.address.equals(prefix.network) && text.includes("/");
    if (isNetwork && prefix.length >= 8 && prefix.length <= 29) return prefix;
  } catch {
    // The same advice helps.
  }
  throw new InvalidValue("give an IPv4 network of /8 to /29, like 10.1.1.0/24");
}

/** Where the tokens are if not said otherwise (XDG Base Directory Specification). */
function usualState(): string {
  const home = Deno.env.get("XDG_STATE_HOME") || `${Deno.env.get("HOME") || "/root"}/.local/state`;
  return `${home}/tapstack/vpn.sqlite`;
}

const options = {
  state: optional("FILE", "server, token: the tokens (default: tapstack/vpn.sqlite in $XDG_STATE_HOME)", String),
  listen: {
    placeholder: "ADDRESS",
    help: "server: address to listen on (default: 0.0.0.0)",
    fallback: "0.0.0.0",
    parse: (text) => hostAddress(text).toString(),
  } as Option<string>,
  port: { ...optional("N", "server: TCP port (default: 443, with --plain 80)", port), letter: "p" },
  plain: toggle("server: serve ws:// without TLS, for a proxy that does that"),
  cert: optional("FILE", "server: certificate (PEM; default: one that is made once and kept with the tokens)", String),
  key: optional("FILE", "server: the private key (PEM) of --cert", String),
  network: {
    placeholder: "CIDR",
    help: "server: the tunnel's network (default: 10.1.1.0/24)",
    fallback: IpPrefix.parse("10.1.1.0/24"),
    parse: network,
  } as Option<IpPrefix>,
  mtu: {
    placeholder: "BYTES",
    help: "server: longest packet (default: 1400)",
    fallback: 1400,
    parse: wholeNumber(68, 65535),
  },
  interconnect: toggle("server: let clients reach each other"),
  route: {
    placeholder: "CIDR",
    help: "server: a network behind it that clients are told of; may be repeated",
    repeatable: true,
    fallback: [],
    parse: (text: string) => text.split(",").map(network),
  } as Option<IpPrefix[]>,
  tun: optional(
    "NAME",
    "server, client: name of the TUN device (default: the next free of tun0, tun1, ...)",
    interfaceName,
  ),
  token: optional("TOKEN", `client: the token; others may see it, a file or ${tokenVariable} is safer`, String),
  "token-file": optional("FILE", "client: file with the token", String),
  cacert: optional("FILE", "client: trust the authorities in this file (PEM)", String),
  fingerprint: optional("SHA256", "client: trust only the certificate with this fingerprint", fingerprint),
  insecure: toggle("client: take any certificate", "k"),
  redirect: toggle("client: send everything that has no better route through the tunnel"),
  userspace: toggle("client: a stack of ours at the end of the tunnel: no device, no privilege"),
  days: optional("N", "token create: days until it expires (default: never)", wholeNumber(1, 36500)),
  address: optional("ADDRESS", "token create: the client's address (default: the next free one)", hostAddress),
  json: toggle("status, token list: print JSON"),
  control: {
    ...controlOptions.control,
    help: "Control socket, or none; status: the one to ask (default: one in $XDG_RUNTIME_DIR or /tmp)",
  },
  "log-level": logLevel,
};

type VpnValues = Values<typeof options>;

const program: Program<typeof options> = {
  name: "vpn",
  summary: "Carries IP packets over WebSocket with TLS, between a server and clients that have a token each.",
  operand: {
    placeholder: "server | client URL | status | token create NAME | token list | token revoke NAME",
    help: "What to do",
    repeatable: true,
  },
  options,
  examples: [
    ["token create laptop --days 90 > laptop.token", "make a token; it is shown only once"],
    ["server", "serve 10.1.1.0/24 at port 443, and print the certificate's fingerprint"],
    ["client wss://vpn.example --token-file laptop.token --fingerprint 3F:9A:...", "join the network"],
    ["client wss://vpn.example --token-file laptop.token --redirect", "send everything through the tunnel"],
    ["status", "who is connected"],
    ["token revoke laptop", "end the client's session, too"],
  ],
};

/** The only argument that a command takes. */
function onlyArgument(operands: readonly string[], what: string): string {
  const [argument, surplus] = operands;
  if (argument === undefined) throw new UsageError(`Missing argument: give ${what}`);
  if (surplus !== undefined) throw new UsageError(`Unexpected argument "${surplus}"`);
  return argument;
}

function refuseArguments([surplus]: readonly string[]): void {
  if (surplus !== undefined) throw new UsageError(`Unexpected argument "${surplus}"`);
}

async function client(values: VpnValues, text: string, logger: Logger): Promise<number> {
  const { token, "token-file": tokenFile, cacert, fingerprint, insecure } = values;
  const access: TunnelAccess = { url: parseUrl(text), token, tokenFile, cacert, fingerprint, insecure };
  if (!values.userspace) return await runClient(access, values, logger);
  const stray = values.redirect ? "redirect" : values.tun === null ? null : "tun";
  if (stray !== null) {
    throw new UsageError(`Cannot use --${stray} with --userspace: the system's network is left alone`);
  }
  const fallbacks = Object.fromEntries(Object.entries(deviceOptions).map(([name, { fallback }]) => [name, fallback]));
  const device = fallbacks as unknown as Values<typeof deviceOptions>;
  return await runUserspaceClient(access, { ...device, control: values.control }, logger);
}

function parseUrl(text: string): URL {
  try {
    return serverUrl(text);
  } catch (error) {
    throw new UsageError(`Cannot connect to "${text}": ${(error as Error).message}`);
  }
}

function token(values: VpnValues, [command, ...rest]: readonly string[]): number {
  if (command !== "create" && command !== "list" && command !== "revoke") {
    throw new UsageError(`Unknown command "token ${command ?? ""}": give create, list or revoke`);
  }
  if (command === "list") refuseArguments(rest);
  const name = command === "list" ? "" : onlyArgument(rest, "the token's name");
  if (command === "create" && !/^[\w.@-]{1,64}$/.test(name)) {
    throw new UsageError(`Cannot use "${name}" as a name: give 1 to 64 letters, digits and . _ @ -`);
  }
  using store = new TokenStore(values.state ?? usualState());
  if (command === "create") console.log(store.create(name, values));
  else if (command === "revoke") store.revoke(name);
  else listTokens(store, values.json);
  return ExitCode.success;
}

function listTokens(store: TokenStore, json: boolean): void {
  const entries = store.list();
  if (json) return console.log(JSON.stringify(entries));
  const rows = entries.map(({ name, address, created, expires }) => [name, address, created, expires]);
  console.log(formatTable(["Name", "Address", "Created", "Expires"], rows));
}

async function vpn(values: VpnValues, operands: readonly string[]): Promise<number> {
  const [command, ...rest] = operands;
  if (command === "token") return token(values, rest);
  if (command === "status") {
    refuseArguments(rest);
    const snapshots = await askStatus(values.control);
    console.log(values.json ? JSON.stringify(snapshots) : formatStatus(snapshots));
    return ExitCode.success;
  }
  if (command === "client") {
    return await client(values, onlyArgument(rest, "the server's URL"), startLogging(values["log-level"]));
  }
  if (command !== "server") {
    throw new UsageError(`Unknown command "${command ?? ""}": give server, client, status or token`);
  }
  refuseArguments(rest);
  checkCertificateOptions({ tls: true, cert: values.cert, key: values.key });
  const state = values.state ?? usualState();
  return await runServer({ ...values, state }, startLogging(values["log-level"]));
}

if (import.meta.main) await runProgram(program, ({ values, operands }) => vpn(values, operands));
