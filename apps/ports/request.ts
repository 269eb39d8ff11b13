/**
 * What is asked of the port manager, as a text: `tcp:80`, `udp:10.0.0.1:53,reuse`, `tcp:0,to=192.0.2.1:443`, `free:3`.
 *
 * @module
 */

import { type Endpoint, IpAddress, Sharing } from "../../mod.ts";
import { InvalidValue } from "../cli.ts";
import { wholeNumber } from "../values.ts";

/** A request to reserve a port. */
export interface Reserve {
  /** What it is. */
  readonly kind: "reserve";
  /** The transport protocol's number. */
  readonly protocol: number;
  /** The local address. */
  readonly address: IpAddress;
  /** The port, or 0 for an ephemeral one. */
  readonly port: number;
  /** Who else may hold it. */
  readonly sharing: Sharing;
  /** Where the flow goes, or null. */
  readonly remote: Endpoint | null;
}

/** A request to give back what an earlier step was granted. */
export interface Free {
  /** What it is. */
  readonly kind: "free";
  /** The step, from 1. */
  readonly step: number;
}

/** One step. */
export type Request = Reserve | Free;

const protocolNumbers: Readonly<Record<string, number>> = { tcp: 6, udp: 17 };
const help = "write it like tcp:80, udp:10.0.0.1:53,reuse, tcp:0, tcp:0,to=192.0.2.1:443 or free:1";

/** The name of a protocol that has ports. */
export function protocolText(protocol: number): string {
  return Object.keys(protocolNumbers).find((name) => protocolNumbers[name] === protocol) ?? String(protocol);
}

/**
 * Reads a step.
 *
 * @throws {InvalidValue} If it makes no sense.
 */
export function parseRequest(text: string): Request {
  const [what = "", ...words] = text.split(",");
  const [, name, host, port] = /^([a-z]+):(?:([^:]+):)?(\d{1,5})$/.exec(what) ?? [];
  if (name === undefined) throw new InvalidValue(help);
  if (name === "free" && host === undefined && words.length === 0) {
    return { kind: "free", step: number(port!, 1, Infinity) };
  }
  const protocol = Object.hasOwn(protocolNumbers, name) ? protocolNumbers[name]! : null;
  if (protocol === null) throw new InvalidValue(help);
  let sharing: Sharing = Sharing.exclusive;
  let remote: Endpoint | null = null;
  for (const word of words) {
    if (word === "reuse" && remote === null) {
      sharing = Sharing.reuse;
    } else if (word.startsWith("to=") && sharing === Sharing.exclusive) {
      remote = parseRemote(word.slice(3));
      sharing = Sharing.flow;
    } else throw new InvalidValue(help);
  }
  return {
    kind: "reserve",
    protocol,
    address: host === undefined ? IpAddress.unspecified4 : addressFrom(host),
    port: number(port!, 0, 65535),
    sharing,
    remote,
  };
}

function parseRemote(text: string): Endpoint {
  const [, host, port] = /^([^:]+):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined) throw new InvalidValue(help);
  return { address: addressFrom(host), port: number(port!, 1, 65535) };
}

function addressFrom(text: string): IpAddress {
  const address = IpAddress.tryParse(text);
  if (address?.family === 4) return address;
  throw new InvalidValue(`"${text}" is no IPv4 address`);
}

function number(text: string, least: number, most: number): number {
  return wholeNumber(least, most)(text);
}
