/**
 * Resolving names.
 *
 * @module
 */

import { IpAddress } from "../address.ts";
import { makeError } from "../errors.ts";
import { DnsCache } from "./dns_cache.ts";
import { ask, type AskOptions, type DnsNetwork, type NameServer } from "./dns_exchange.ts";
import { type DnsQuestion, followAliases, sameName } from "./dns_message.ts";
import { type DnsRecordType, type DnsRecordTypes, isRecordType, toRecord } from "./dns_records.ts";
import { addressOfReverseName, Hosts, reverseName } from "./hosts.ts";
import type { Lookup } from "./network.ts";

/** Options of {@linkcode DnsResolver}. */
export interface DnsResolverOptions extends Omit<AskOptions, "signal"> {
  /** Who is asked, in this order. */
  nameServers: readonly NameServer[];
  /** Names that nobody is asked for. Default: `localhost`. */
  hosts?: Hosts;
  /** How many answers to keep; 0 for none. Default 1000. */
  cacheEntries?: number;
}

/** Most questions that one name is resolved with. */
const mostQuestions = 8;

/** Resolves names by asking servers, and remembers what they said. */
export class DnsResolver {
  /** Finds the IPv4 addresses of a host: what `connectTls`, `createHttpClient` and others take as `lookup`. */
  readonly lookup: Lookup;

  readonly #network: DnsNetwork;
  readonly #options: DnsResolverOptions;
  readonly #hosts: Hosts;
  readonly #cache: DnsCache;

  /** Asks the servers of `options` over `network`. */
  constructor(network: DnsNetwork, options: DnsResolverOptions) {
    this.#network = network;
    this.#options = options;
    this.#hosts = options.hosts ?? new Hosts();
    this.#cache = new DnsCache(network.timers.clock, options.cacheEntries ?? 1000);
    this.lookup = (hostname, signal) => this.resolve(hostname, "A", signal);
  }

  /**
   * Finds the records of a name, at the end of its aliases. An address instead of a name is looked up in reverse, for
   * the type `PTR`.
   *
   * @throws {Deno.errors.NotFound} If there are none.
   * @throws {Deno.errors.TimedOut} If no server answers.
   * @throws {TypeError} If the name or the type makes no sense.
   */
  async resolve<Type extends DnsRecordType>(
    name: string,
    type: Type,
    signal?: AbortSignal,
  ): Promise<DnsRecordTypes[Type][]> {
    if (!isRecordType(type)) {
      throw new TypeError(`Cannot look up records of type "${type}": no such type is known here`);
    }
    const isReverse = type === "PTR" && IpAddress.tryParse(name) !== null;
    const asked = isReverse ? reverseName(name) : name;
    checkName(asked);
    const known = this.#fromHosts(asked, type);
    if (known !== null) return known as DnsRecordTypes[Type][];
    let question: DnsQuestion = { name: asked, type };
    for (let count = 0; count < mostQuestions; count++) {
      const { code, answers } = await this.#ask(question, signal);
      const { name: end, records } = followAliases(question, answers);
      if (records.length > 0) return records.map((record) => toRecord(type, record));
      // A server that does not follow an alias out of its own zone leaves that to us.
      if (code === "NXDOMAIN" || sameName(end, question.name)) throw notFound(name, type, code);
      question = { name: end, type };
    }
    throw makeError("InvalidData", `Cannot look up ${name}: its aliases do not come to an end`);
  }

  async #ask(question: DnsQuestion, signal?: AbortSignal) {
    const cached = this.#cache.get(question);
    if (cached !== null) return cached;
    const options = signal === undefined ? this.#options : { ...this.#options, signal };
    const { message } = await ask(this.#network, this.#options.nameServers, question, options);
    if (this.#options.cacheEntries !== 0) this.#cache.set(question, message);
    return message;
  }

  #fromHosts(name: string, type: DnsRecordType): readonly string[] | null {
    if (type === "PTR") {
      const address = addressOfReverseName(name);
      const found = address === null ? null : this.#hosts.nameOf(address);
      return found === null ? null : [`${found}.`];
    }
    if (type !== "A" && type !== "AAAA") return null;
    const addresses = this.#hosts.addresses(name, type);
    if (addresses === null) return null;
    if (addresses.length === 0) throw notFound(name, type, "NOERROR");
    return addresses;
  }
}

function notFound(name: string, type: string, code: string): Error {
  const why = code === "NXDOMAIN" ? "there is no such name" : `it has no record of type ${type}`;
  return makeError("NotFound", `Cannot look up ${name}: ${why}`);
}

/** RFC 1035 section 2.3.4: labels of 1 to 63 bytes, 255 in all. */
function checkName(name: string): void {
  const labels = name.replace(/\.$/, "").split(".");
  const lengths = labels.map((label) => new TextEncoder().encode(label).length);
  const isGood = name === "." || lengths.every((length) => length >= 1 && length <= 63);
  if (isGood && lengths.reduce((sum, length) => sum + 1 + length, 1) <= 255) return;
  throw new TypeError(`Cannot look up "${name}": a name has labels of 1 to 63 bytes, 253 with the dots between them`);
}

/** Options of {@linkcode resolveDns}: those of `Deno.resolveDns`, and more. */
export interface ResolveDnsOptions extends AskOptions {
  /** Who is asked. */
  nameServer?: NameServer;
  /** Who is asked, one after the other. */
  nameServers?: readonly NameServer[];
  /** Names that nobody is asked for. Default: `localhost`. */
  hosts?: Hosts;
}

/**
 * Finds the records of a name, as `Deno.resolveDns` does. Nothing is kept: a {@linkcode DnsResolver} has a cache.
 *
 * @example
 * ```ts ignore
 * import { resolveDns } from "@tapstack/tapstack/dns";
 *
 * const addresses = await resolveDns(stack, "example.com", "A", { nameServer: { ipAddr: "192.0.2.53" } });
 * ```
 *
 * @throws {Deno.errors.NotFound} If there are none.
 * @throws {Deno.errors.TimedOut} If no server answers.
 * @throws {TypeError} If the name or the type makes no sense, or no server is given.
 */
export async function resolveDns<Type extends DnsRecordType = "A">(
  network: DnsNetwork,
  name: string,
  type: Type,
  options: ResolveDnsOptions,
): Promise<DnsRecordTypes[Type][]> {
  const { nameServer, nameServers = nameServer === undefined ? [] : [nameServer], signal, ...rest } = options;
  return await new DnsResolver(network, { ...rest, nameServers, cacheEntries: 0 }).resolve(name, type, signal);
}
