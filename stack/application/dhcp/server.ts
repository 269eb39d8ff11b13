/**
 * The server's side of DHCP (RFC 2131 section 4.3): leases the addresses of a pool to the clients of a link.
 *
 * @module
 */

import type { IpAddress, IpPrefix, MacAddress } from "../../address.ts";
import { DhcpPort, MessageType, Operation, OptionCode } from "../../dhcp_format.ts";
import { makeError } from "../../errors.ts";
import type { Nic } from "../../link/nic.ts";
import type { Logger } from "../../logger.ts";
import { type Binding, isOver, type LeaseClient, LeaseTable } from "./lease_table.ts";
import type { DhcpMessage } from "./message.ts";
import { addressOf, secondsOf, textOf } from "./options.ts";
import { type DhcpServerParameters, ServerMessages } from "./server_messages.ts";
import { type CheckedPool, checkPool } from "./server_options.ts";
import { type DhcpNetwork, DhcpSocket } from "./socket.ts";
import { isAddressInUse } from "./use_check.ts";

/** Options of {@linkcode DhcpServer}. */
export interface DhcpServerOptions extends DhcpServerParameters {
  /** The first and the last address of the pool, both of the interface's subnet; at most 65,536 addresses. */
  range: readonly [first: IpAddress, last: IpAddress];
  /** Addresses that are one client's, in or outside of the pool. Default: none. */
  reservations?: readonly DhcpReservation[];
  /** The server's own address on the interface. Default: the interface's first one. */
  address?: IpPrefix;
  /** Seconds of a lease, of which clients may ask for less. Default 3600. */
  leaseTime?: number;
  /** Ask whether anybody uses an address before it is offered to a new client. Default true. */
  probe?: boolean;
  /** Milliseconds to wait for an answer to that. Default 500. */
  probeTimeout?: number;
  /** Milliseconds for which an offer is held. Default 60,000. */
  offerTime?: number;
  /** Milliseconds for which an address is left alone that somebody else uses. Default 600,000. */
  declineTime?: number;
  /** Leases of an earlier run; those that do not fit the options are left out. */
  leases?: Iterable<Binding>;
  /** Called when a lease was granted, renewed or given back, or an address turned out to be in use; must not throw. */
  onChange?: (binding: Readonly<Binding>) => void;
  /** Who is told what goes on. Default: nobody. */
  logger?: Logger;
}

/** An address that is one client's. */
export interface DhcpReservation {
  /** The client. */
  readonly mac: MacAddress;
  /** Its address. */
  readonly address: IpAddress;
}

/** What a {@linkcode DhcpServer} counts. */
export interface DhcpServerCounters {
  /** Clients that looked for a server. */
  discovers: number;
  /** Offers sent. */
  offers: number;
  /** Requests for an address, or for more time. */
  requests: number;
  /** Leases granted or renewed. */
  acks: number;
  /** Requests refused. */
  naks: number;
  /** Addresses that clients found in use. */
  declines: number;
  /** Addresses that clients gave back. */
  releases: number;
  /** Clients that asked for parameters only. */
  informs: number;
  /** Addresses that were found in use before they were offered. */
  conflicts: number;
  /** Clients that could not be served: all addresses are taken, or too many are being probed. */
  exhausted: number;
  /** Messages for other servers, from other links, or that nobody can answer. */
  ignored: number;
  /** Datagrams that were no messages. */
  malformed: number;
}

/** Offers that wait for a probe at a time. */
const mostProbes = 64;

/** Addresses that are tried for one client before it has to ask again. */
const mostTries = 4;

/** Seconds of the shortest lease that a client may ask for. */
const leastLeaseTime = 60;

/** Leases addresses to the clients of one link until it is closed. */
export class DhcpServer implements Disposable {
  /** What it counts. */
  readonly counters: DhcpServerCounters = {
    discovers: 0,
    offers: 0,
    requests: 0,
    acks: 0,
    naks: 0,
    declines: 0,
    releases: 0,
    informs: 0,
    conflicts: 0,
    exhausted: 0,
    ignored: 0,
    malformed: 0,
  };

  readonly #network: DhcpNetwork;
  readonly #nic: Nic;
  readonly #options: DhcpServerOptions;
  readonly #pool: CheckedPool;
  readonly #table: LeaseTable;
  readonly #messages: ServerMessages;
  readonly #socket: DhcpSocket;
  /** Clients whose address is being probed. */
  readonly #probing = new Set<string>();
  readonly #closing = new AbortController();

  /**
   * Binds the port and begins to serve.
   *
   * @throws {TypeError} If the interface has no address, or no Ethernet address.
   * @throws {RangeError} If an address of the pool is not of the interface's subnet, or a number is out of range.
   * @throws {Deno.errors.AddrInUse} If another socket has the server's port and does not share it.
   */
  constructor(network: DhcpNetwork, nic: Nic, options: DhcpServerOptions) {
    const pool = this.#pool = checkPool(nic, options);
    this.#network = network;
    this.#nic = nic;
    this.#options = options;
    this.#table = new LeaseTable(pool);
    this.#messages = new ServerMessages(pool.subnet, options);
    for (const binding of options.leases ?? []) this.#restore(binding);
    this.#socket = new DhcpSocket(network, nic, DhcpPort.server, {
      receive: (message) => this.#receive(message),
      receiveMalformed: () => this.counters.malformed++,
      closed: () => this.close(),
    });
  }

  /** The server's address. */
  get address(): IpPrefix {
    return this.#pool.subnet;
  }

  /** What is known of every address that a client had, in the order of addresses. */
  get leases(): Readonly<Binding>[] {
    return this.#table.list();
  }

  /** Stops serving. The leases run on; hand them to the next server. Does nothing the second time. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(makeError("Interrupted", "Cannot go on: the DHCP server was closed"));
    this.#socket.close();
  }

  /** As {@linkcode DhcpServer.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  get #now(): number {
    return this.#network.timers.clock.now();
  }

  #restore(binding: Binding): void {
    const client = { key: binding.client, mac: binding.mac };
    const fits = binding.state !== "offered" && this.#table.isAvailable(binding.address, client, this.#now) &&
      this.#table.at(binding.address) === null && this.#table.of(client) === null;
    if (fits) this.#table.add({ ...binding });
  }

  #receive(message: DhcpMessage): void {
    const { operation, relayAddress, clientHardware } = message;
    // One pool serves one subnet: what a relay passes on has to come from there.
    const isFromLink = relayAddress.isUnspecified || this.address.contains(relayAddress);
    if (operation !== Operation.request || clientHardware.isGroup || !isFromLink) {
      this.counters.ignored++;
      return;
    }
    const client = this.#clientOf(message);
    switch (message.type) {
      case MessageType.discover:
        return this.#discover(message, client);
      case MessageType.request:
        return this.#request(message, client);
      case MessageType.decline:
        return this.#decline(message, client);
      case MessageType.release:
        return this.#release(message, client);
      case MessageType.inform:
        return this.#inform(message);
      default:
        this.counters.ignored++;
    }
  }

  /** RFC 2131 section 4.2: by its identifier, else by its hardware address, which is what reservations go by. */
  #clientOf({ clientHardware: mac, options }: DhcpMessage): LeaseClient {
    const identifier = options.get(OptionCode.clientIdentifier);
    const usesMac = identifier === undefined || this.#pool.reservations.has(mac.toString());
    const key = usesMac
      ? mac.toString()
      : Array.from(identifier, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return { key, mac };
  }

  #discover(message: DhcpMessage, client: LeaseClient): void {
    this.counters.discovers++;
    // Who asks again while its address is being probed is answered when that is done.
    if (this.#probing.has(client.key)) return;
    const address = this.#hold(message, client);
    if (address === null) return;
    const { probe = true } = this.#options;
    if (!probe || this.#isKnown(address, client)) return this.#offer(message, address);
    this.#probing.add(client.key);
    this.#offerUnused(message, client, address).catch((error) => {
      if (!this.#closing.signal.aborted) this.#options.logger?.error(`Cannot offer ${address}: ${error.message}`);
    }).finally(() => this.#probing.delete(client.key));
  }

  /** Chooses an address and holds it for the client; null if that cannot be. */
  #hold(message: DhcpMessage, client: LeaseClient): IpAddress | null {
    const { offerTime = 60_000, probe = true } = this.#options;
    const now = this.#now;
    const known = this.#table.of(client);
    const address = this.#table.choose(client, addressOf(message.options, OptionCode.requestedAddress), now);
    const hasRoom = !probe || this.#probing.size < mostProbes;
    if (address === null || !(hasRoom || this.#isKnown(address, client))) {
      this.counters.exhausted++;
      if (address === null) this.#options.logger?.warn(`No address is left for ${client.mac}`);
      return null;
    }
    // A lease that still runs is offered again, and stays a lease.
    const isLeased = known?.state === "leased" && known.expiresAt > now && known.address.equals(address);
    if (!isLeased) this.#table.assign(address, client, "offered", now + offerTime, nameOf(message));
    return address;
  }

  /** Whether a client has an address: it would then answer a probe itself. */
  #isKnown(address: IpAddress, client: LeaseClient): boolean {
    const binding = this.#table.at(address);
    return binding?.client === client.key && binding.state === "leased";
  }

  /** Offers the first address that nobody uses. */
  async #offerUnused(message: DhcpMessage, client: LeaseClient, first: IpAddress): Promise<void> {
    const { probeTimeout = 500, declineTime = 600_000 } = this.#options;
    const { signal } = this.#closing;
    let address: IpAddress | null = first;
    for (let tried = 0; address !== null && tried < mostTries; tried++) {
      const inUse = await isAddressInUse(this.#network, this.#nic, address, client.mac, probeTimeout, signal);
      if (signal.aborted) return;
      const binding = this.#table.at(address);
      if (!inUse) {
        // It may have been taken back by a client that had it before, or requested meanwhile.
        if (binding?.client === client.key) this.#offer(message, address);
        return;
      }
      this.counters.conflicts++;
      this.#options.logger?.warn(`${address} is in use, but was leased to nobody`);
      if (binding !== null) this.#quarantine(binding, declineTime);
      address = this.#hold(message, client);
    }
  }

  #offer(message: DhcpMessage, address: IpAddress): void {
    this.counters.offers++;
    this.#messages.grant(this.#socket, message, MessageType.offer, address, this.#leaseTimeFor(message));
  }

  /** RFC 2131 section 4.3.2: what a request means follows from which fields it has. */
  #request(message: DhcpMessage, client: LeaseClient): void {
    this.counters.requests++;
    const { options, clientAddress } = message;
    const server = addressOf(options, OptionCode.serverIdentifier);
    const requested = addressOf(options, OptionCode.requestedAddress);
    if (server !== null) return this.#select(message, client, server, requested ?? clientAddress);
    if (!clientAddress.isUnspecified) return this.#extend(message, client, clientAddress);
    if (requested !== null) return this.#reboot(message, client, requested);
    this.counters.ignored++;
  }

  /** The client takes an offer: ours, or another server's. */
  #select(message: DhcpMessage, client: LeaseClient, server: IpAddress, address: IpAddress): void {
    const binding = this.#table.of(client);
    if (!server.equals(this.address.address)) {
      if (binding?.state === "offered") this.#table.remove(binding);
      this.counters.ignored++;
      return;
    }
    const isOffered = binding !== null && binding.address.equals(address) && binding.state !== "declined";
    if (isOffered && this.#table.isAvailable(address, client, this.#now)) return this.#grant(message, client, address);
    this.#refuse(message, address, "this address was not offered");
  }

  /** The client renews or rebinds. A lease that we have forgotten is ours again, if the address is free. */
  #extend(message: DhcpMessage, client: LeaseClient, address: IpAddress): void {
    if (this.#table.isAvailable(address, client, this.#now)) return this.#grant(message, client, address);
    this.#refuse(message, address, "this address is not yours");
  }

  /** The client was started anew and remembers an address. Of a client that we do not know we know nothing wrong. */
  #reboot(message: DhcpMessage, client: LeaseClient, address: IpAddress): void {
    const binding = this.#table.of(client);
    if (!this.address.contains(address)) return this.#refuse(message, address, "this address is of another network");
    if (binding === null || binding.state === "offered") {
      this.counters.ignored++;
    } else if (binding.address.equals(address) && this.#table.isAvailable(address, client, this.#now)) {
      this.#grant(message, client, address);
    } else {
      this.#refuse(message, address, "this address is not yours");
    }
  }

  #grant(message: DhcpMessage, client: LeaseClient, address: IpAddress): void {
    const leaseTime = this.#leaseTimeFor(message);
    const expiresAt = this.#now + leaseTime * 1000;
    const binding = this.#table.assign(address, client, "leased", expiresAt, nameOf(message));
    this.counters.acks++;
    this.#messages.grant(this.#socket, message, MessageType.ack, address, leaseTime);
    this.#options.onChange?.(binding);
  }

  #refuse(message: DhcpMessage, address: IpAddress, reason: string): void {
    this.counters.naks++;
    this.#options.logger?.info(`Refused ${address} to ${message.clientHardware}: ${reason}`);
    this.#messages.refuse(this.#socket, message, reason);
  }

  #decline({ options }: DhcpMessage, client: LeaseClient): void {
    const binding = this.#table.of(client);
    const address = addressOf(options, OptionCode.requestedAddress);
    if (binding === null || address === null || !binding.address.equals(address) || !this.#isForUs(options)) {
      this.counters.ignored++;
      return;
    }
    this.counters.declines++;
    this.#options.logger?.warn(`${client.mac} says that ${address} is in use`);
    this.#quarantine(binding, this.#options.declineTime ?? 600_000);
  }

  #quarantine(binding: Binding, duration: number): void {
    this.#table.quarantine(binding, this.#now + duration);
    this.#options.onChange?.(binding);
  }

  #release({ options, clientAddress }: DhcpMessage, client: LeaseClient): void {
    const binding = this.#table.of(client);
    const isTheirs = binding !== null && binding.address.equals(clientAddress) && !isOver(binding, this.#now);
    if (!isTheirs || !this.#isForUs(options)) {
      this.counters.ignored++;
      return;
    }
    this.counters.releases++;
    binding.state = "free";
    binding.expiresAt = this.#now;
    this.#options.onChange?.(binding);
  }

  #inform(message: DhcpMessage): void {
    if (!this.address.contains(message.clientAddress)) {
      this.counters.ignored++;
      return;
    }
    this.counters.informs++;
    this.#messages.inform(this.#socket, message);
  }

  #isForUs(options: DhcpMessage["options"]): boolean {
    return addressOf(options, OptionCode.serverIdentifier)?.equals(this.address.address) ?? false;
  }

  #leaseTimeFor({ options }: DhcpMessage): number {
    const { leaseTime = 3600 } = this.#options;
    const asked = secondsOf(options, OptionCode.leaseTime);
    return asked === null ? leaseTime : Math.min(leaseTime, Math.max(asked, leastLeaseTime));
  }
}

function nameOf({ options }: DhcpMessage): string | null {
  return textOf(options, OptionCode.hostName);
}
