/**
 * The options by which a program's stack has a VPN server for its link.
 *
 * @module
 */

import { InvalidValue, type Option, toggle, UsageError } from "../cli.ts";

/** What a client needs to get in. */
export interface TunnelAccess {
  /** The server: `wss://vpn.example/`. */
  readonly url: URL;
  /** The token, or null where a file or the environment has it. */
  readonly token: string | null;
  /** The file with the token, or null. */
  readonly tokenFile: string | null;
  /** The file with the authorities to trust, or null. */
  readonly cacert: string | null;
  /** The fingerprint of the certificate to trust, or null. */
  readonly fingerprint: string | null;
  /** Whether to take any certificate. */
  readonly insecure: boolean;
}

/** The environment variable that may hold the token. */
export const tokenVariable = "TAPSTACK_VPN_TOKEN";

/** The server that a text says. */
export function serverUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^wss?:$/.test(url.protocol) && url.username === "" && url.password === "") return url;
  throw new InvalidValue("give a URL that begins with wss:// or ws://, like wss://vpn.example");
}

/** The SHA-256 fingerprint that a text says. */
export function fingerprint(text: string): string {
  if (/^[0-9a-f]{2}(:?[0-9a-f]{2}){31}$/i.test(text)) return text;
  throw new InvalidValue("give the SHA-256 fingerprint that the server prints, 64 hexadecimal digits");
}

/** An option that is null where it is not given. */
export function optional<Value>(
  placeholder: string,
  help: string,
  parse: (text: string) => Value,
): Option<Value | null> {
  return { placeholder, help, fallback: null, parse };
}

/** The options of programs other than `vpn` itself. */
export const vpnOptions = {
  vpn: optional("URL", "Use a VPN server for the link, like wss://vpn.example: takes no privilege", serverUrl),
  "vpn-token": optional("TOKEN", `The token of --vpn; others may see it, a file or ${tokenVariable} is safer`, String),
  "vpn-token-file": optional("FILE", "File with the token of --vpn", String),
  "vpn-cacert": optional("FILE", "Trust the authorities in this file (PEM) for --vpn", String),
  "vpn-fingerprint": optional("SHA256", "Trust only the certificate with this fingerprint for --vpn", fingerprint),
  "vpn-insecure": toggle("Take any certificate for --vpn"),
} as const;

/** The values of {@linkcode vpnOptions}. */
export interface VpnValues {
  /** The server, or null for no VPN. */
  readonly vpn: URL | null;
  /** The token, or null. */
  readonly "vpn-token": string | null;
  /** The file with the token, or null. */
  readonly "vpn-token-file": string | null;
  /** The file with the authorities to trust, or null. */
  readonly "vpn-cacert": string | null;
  /** The fingerprint of the certificate to trust, or null. */
  readonly "vpn-fingerprint": string | null;
  /** Whether to take any certificate. */
  readonly "vpn-insecure": boolean;
}

/**
 * What the options say about the tunnel, or null where there is to be none.
 *
 * @throws {UsageError} If they say something without `--vpn`.
 */
export function tunnelAccess(values: VpnValues): TunnelAccess | null {
  if (values.vpn === null) {
    const stray = Object.entries(values).find(([name, value]) => name.startsWith("vpn-") && value);
    if (stray !== undefined) throw new UsageError(`Cannot use --${stray[0]} without --vpn: give a server`);
    return null;
  }
  return {
    url: values.vpn,
    token: values["vpn-token"],
    tokenFile: values["vpn-token-file"],
    cacert: values["vpn-cacert"],
    fingerprint: values["vpn-fingerprint"],
    insecure: values["vpn-insecure"],
  };
}
