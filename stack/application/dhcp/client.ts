/**
 * The client's side of DHCP (RFC 2131 section 4.4): leases an address for an interface, and keeps the lease.
 *
 * @module
 */

import type { IpAddress } from "../../address.ts";
import { DhcpPort, MessageType, OptionCode } from "../../dhcp_format.ts";
import { makeError } from "../../errors.ts";
import type { Nic } from "../../link/nic.ts";
import { CryptoRandom, fraction, type Random } from "../../random.ts";
import type { Timer } from "../../timers.ts";
import { bestOf, expects, isReplyTo } from "./client_answers.ts";
import { ClientMessages } from "./client_messages.ts";
import type { DhcpClientCounters, DhcpClientOptions, DhcpState } from "./client_options.ts";
import { Configuration } from "./configuration.ts";
import { type DhcpLease, leaseFrom, parseHost } from "./lease.ts";
import { LeaseWaiters } from "./lease_waiters.ts";
import type { DhcpMessage } from "./message.ts";
import { textOf } from "./options.ts";
import { ReleaseDelivery } from "./release_delivery.ts";
import { renewalDelay, retransmissionDelay } from "./retransmission.ts";
import { type DhcpNetwork, DhcpSocket } from "./socket.ts";

/** Transmissions of a request after which the client begins anew (RFC 2131 section 3.1, step 5). */
const requestTransmissions = 5;

/** Of a request for the previous address: fewer, since another address does as well. */
const rebootTransmissions = 3;

/** Milliseconds before the next attempt after an address was declined (RFC 2131 section 3.1, step 5). */
const declinePause = 10_000;

/** Offers that are kept to choose from. */
const mostOffers = 16;

/**
 * Leases an address for an interface, gives it to the interface with its routes and its MTU, and renews the lease until
 * it is released. `obtainLease` makes one and waits for the lease.
 */
export class DhcpClient implements AsyncDisposable {
  /** The interface. */
  readonly nic: Nic;
  /** What it counts. */
  readonly counters: DhcpClientCounters = {
    sent: 0,
    received: 0,
    ignored: 0,
    malformed: 0,
    refused: 0,
    declined: 0,
    expired: 0,
  };

  readonly #network: DhcpNetwork;
  readonly #options: DhcpClientOptions;
  readonly #random: Random;
  readonly #messages: ClientMessages;
  readonly #configuration: Configuration;
  readonly #socket: DhcpSocket;
  readonly #timer: Timer;
  readonly #waiters = new LeaseWaiters();
  readonly #stopping = new AbortController();
  readonly #released = Promise.withResolvers<void>();
  #state: DhcpState = "init";
  #lease: DhcpLease | null = null;
  /** The address to ask for, or null for any. */
  #wanted: IpAddress | null;
  #offers: DhcpLease[] = [];
  /** The offer that is requested. */
  #offer: DhcpLease | null = null;
  #transaction = 0;
  #transmissions = 0;
  /** When the client began to look for an address, for the field `secs`. */
  #beganAt = 0;
  /** `secs` of the last discovery, which the request repeats (RFC 2131 section 3.1, step 3). */
  #seconds = 0;
  #sentAt = 0;
  /** When the lease is to be rebound, and given up. */
  #rebindAt = Infinity;
  #expireAt = Infinity;
  /** Refusals in a row. */
  #refusals = 0;
  #releaseDelivery: ReleaseDelivery | null = null;

  /**
   * Begins at once; the answer comes later.
   *
   * @throws {TypeError} If the interface has no Ethernet address, or an option makes no sense.
   * @throws {Deno.errors.AddrInUse} If another socket has the client's port and does not share it.
   */
  constructor(network: DhcpNetwork, nic: Nic, options: DhcpClientOptions = {}) {
    const { mac } = nic;
    if (mac === null) throw new TypeError(`Cannot lease an address for ${nic.name}: it has no Ethernet address`);
    this.#wanted = options.previousAddress === undefined ? null : parseHost(options.previousAddress);
    this.nic = nic;
    this.#network = network;
    this.#options = options;
    this.#random = options.random ?? new CryptoRandom();
    this.#messages = new ClientMessages(mac, nic.mtu, options);
    this.#configuration = new Configuration(network, nic);
    this.#timer = network.timers.create(() => this.#expire());
    this.#socket = new DhcpSocket(network, nic, DhcpPort.client, {
      receive: (message) => this.#receive(message),
      receiveMalformed: () => this.counters.malformed++,
      closed: () => this.#finish(),
    });
    this.#beganAt = this.#now;
    if (this.#wanted === null) this.#discover();
    else this.#begin("rebooting");
  }

  /** Where it stands. */
  get state(): DhcpState {
    return this.#state;
  }

  /** What it has leased, or null while it has nothing. */
  get lease(): DhcpLease | null {
    return this.#lease;
  }

  /** The leased address with its prefix length, `192.0.2.7/24`, or null while there is none. */
  get address(): string | null {
    return this.#lease?.address.toString() ?? null;
  }

  /** Milliseconds until the lease ends; 0 while there is none. */
  get remaining(): number {
    return this.#lease === null ? 0 : Math.max(0, this.#expireAt - this.#now);
  }

  /**
   * Resolves with the lease, at once or as soon as there is one.
   *
   * @throws {DOMException} The signal's reason, by default an `AbortError`, if it is aborted first.
   * @throws {Deno.errors.Interrupted} If the client is stopped, or its stack closed.
   */
  async bound(options: { signal?: AbortSignal } = {}): Promise<DhcpLease> {
    if (this.#lease === null && this.#isEnding) throw this.#interrupted();
    return await this.#waiters.wait(this.#lease, options.signal);
  }

  /** Asks the server for more time now. Returns false where there is no lease that could be renewed. */
  renew(): boolean {
    if (this.#state !== "bound") return false;
    this.#begin("renewing");
    return true;
  }

  /**
   * Gives the address back, to the server and from the interface, and stops. Resolves when the server has been told as
   * far as that is possible: nobody answers a release.
   */
  release(): Promise<void> {
    const lease = this.#lease;
    if (this.#isEnding) return this.#released.promise;
    if (lease === null) {
      this.#finish();
    } else {
      this.#timer.stop();
      const path = this.#messages.release(this.#socket, this.#random.uint32(), lease);
      this.counters.sent++;
      this.#enter("releasing");
      this.#releaseDelivery = new ReleaseDelivery(this.#network.timers, path, () => this.#finish());
    }
    return this.#released.promise;
  }

  /** Stops without a word to the server, and takes the address from the interface: the next run may ask for it again. */
  stop(): void {
    this.#finish();
  }

  /** As {@linkcode DhcpClient.release}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  get #now(): number {
    return this.#network.timers.clock.now();
  }

  get #isEnding(): boolean {
    return this.#state === "releasing" || this.#state === "stopped";
  }

  #enter(state: DhcpState): void {
    this.#state = state;
    this.#options.onChange?.(state, this.#lease);
  }

  #discover(): void {
    this.#offers = [];
    this.#offer = null;
    this.#begin("selecting");
  }

  /** Enters a state in which messages are sent until one is answered. */
  #begin(state: "selecting" | "rebooting" | "requesting" | "renewing" | "rebinding"): void {
    // A request has the number of the offer that it takes (RFC 2131 section 4.4.1).
    if (state !== "requesting") this.#transaction = this.#random.uint32();
    if (state === "renewing") this.#beganAt = this.#now;
    this.#transmissions = 0;
    this.#enter(state);
    if (this.#state === state) this.#transmit();
  }

  #transmit(): void {
    const now = this.#sentAt = this.#now;
    this.#transmissions++;
    this.counters.sent++;
    const socket = this.#socket;
    const head = { transaction: this.#transaction, seconds: Math.floor((now - this.#beganAt) / 1000) };
    let wait = retransmissionDelay(this.#transmissions, this.#random);
    switch (this.#state) {
      case "selecting":
        this.#seconds = head.seconds;
        this.#messages.discover(socket, head, this.#wanted);
        break;
      case "requesting":
        this.#messages.request(socket, { ...head, seconds: this.#seconds }, this.#offer!);
        break;
      case "rebooting":
        this.#messages.reboot(socket, head, this.#wanted!);
        break;
      case "renewing":
        this.#messages.renew(socket, head, this.#lease!);
        wait = renewalDelay(this.#rebindAt - now);
        break;
      case "rebinding":
        this.#messages.rebind(socket, head, this.#lease!);
        wait = renewalDelay(this.#expireAt - now);
        break;
    }
    this.#timer.start(wait);
  }

  /** What there is to do when nothing has come in time. */
  #expire(): void {
    const now = this.#now;
    switch (this.#state) {
      case "init":
        return this.#discover();
      case "selecting":
        return this.#offers.length > 0 ? this.#takeOffer() : this.#transmit();
      case "requesting":
        return this.#transmissions < requestTransmissions ? this.#transmit() : this.#discover();
      case "rebooting":
        return this.#transmissions < rebootTransmissions ? this.#transmit() : this.#discover();
      case "bound":
        return this.#begin("renewing");
      case "renewing":
        return now < this.#rebindAt ? this.#transmit() : this.#begin("rebinding");
      case "rebinding":
        return now < this.#expireAt ? this.#transmit() : this.#loseLease();
    }
  }

  #receive(message: DhcpMessage): void {
    const isOurs = isReplyTo(message, this.#transaction, this.nic.mac!);
    if (!isOurs || !expects(this.#state, message, this.#offer)) {
      this.counters.ignored++;
      return;
    }
    this.counters.received++;
    if (message.type === MessageType.nak) return this.#refuse(message);
    const lease = leaseFrom(message, this.#sentAt);
    if (lease === null) this.counters.malformed++;
    else if (message.type === MessageType.offer) this.#noteOffer(lease);
    else this.#noteGrant(lease);
  }

  #noteOffer(offer: DhcpLease): void {
    if (this.#offers.length < mostOffers) this.#offers.push(offer);
    const { offerWait = 0 } = this.#options;
    if (offerWait === 0) this.#takeOffer();
    else if (this.#offers.length === 1) this.#timer.start(offerWait);
  }

  #takeOffer(): void {
    const { chooseOffer = (offers) => bestOf(offers, this.#wanted) } = this.#options;
    this.#offer = chooseOffer(this.#offers);
    this.#begin("requesting");
  }

  #noteGrant(lease: DhcpLease): void {
    const { address } = lease.address;
    if (this.#lease !== null) {
      // A server that renews another address than ours has not understood: the old lease runs on.
      if (address.equals(this.#lease.address.address)) this.#bind(lease);
      else this.counters.malformed++;
      return;
    }
    this.#timer.stop();
    if (this.#options.probe === false) return this.#bind(lease);
    this.#probe(lease);
  }

  #probe(lease: DhcpLease): void {
    this.#enter("probing");
    const { signal } = this.#stopping;
    const { address } = lease.address;
    this.#network.probeAddress(this.nic, address.toString(), { signal }).then(
      (owner) => {
        if (this.#state !== "probing") return;
        if (owner === null) return this.#bind(lease);
        this.counters.declined++;
        this.#options.logger?.warn(`Declined ${address}, which ${lease.server} offered: ${owner} has it`);
        this.#messages.decline(this.#socket, this.#random.uint32(), lease);
        this.counters.sent++;
        this.#wanted = null;
        this.#pause(declinePause);
      },
      // Stopped, or the stack is closed.
      () => this.#finish(),
    );
  }

  /** Uses the lease from now on. */
  #bind(lease: DhcpLease): void {
    this.#lease = lease;
    this.#wanted = lease.address.address;
    this.#refusals = 0;
    const { startedAt, leaseTime, rebindingTime, renewalTime } = lease;
    this.#expireAt = startedAt + leaseTime * 1000;
    this.#rebindAt = startedAt + rebindingTime * 1000;
    // RFC 2131 section 4.4.5: clients that were started together shall not renew together.
    const renewAt = startedAt + renewalTime * 1000 * (0.95 + 0.05 * fraction(this.#random));
    if (this.#expireAt <= this.#now) return this.#loseLease();
    this.#configuration.apply(lease);
    this.#timer.startAt(renewAt);
    this.#enter("bound");
    this.#waiters.resolve(lease);
  }

  /** The server said no. */
  #refuse({ options }: DhcpMessage): void {
    this.counters.refused++;
    const reason = textOf(options, OptionCode.message);
    const { address } = this.#lease?.address ?? this.#offer?.address ?? { address: this.#wanted };
    this.#options.logger?.warn(`The DHCP server refused ${address}${reason === null ? "" : `: ${reason}`}`);
    this.#dropLease();
    this.#wanted = null;
    // A server that offers and refuses in turn is asked less and less often.
    this.#refusals++;
    if (this.#refusals === 1) this.#restart();
    else this.#pause(retransmissionDelay(this.#refusals - 1, this.#random));
  }

  #loseLease(): void {
    this.counters.expired++;
    this.#options.logger?.warn(`The lease of ${this.#lease!.address.address} has expired`);
    this.#dropLease();
    this.#restart();
  }

  #dropLease(): void {
    this.#configuration.remove();
    this.#lease = null;
    this.#rebindAt = this.#expireAt = Infinity;
  }

  #restart(): void {
    this.#beganAt = this.#now;
    this.#discover();
  }

  #pause(duration: number): void {
    this.#timer.start(duration);
    this.#enter("init");
  }

  /** Stops for good. Does nothing the second time. */
  #finish(): void {
    if (this.#state === "stopped") return;
    this.#stopping.abort();
    this.#socket.close();
    this.#timer.dispose();
    this.#releaseDelivery?.stop();
    this.#dropLease();
    this.#enter("stopped");
    this.#waiters.reject(this.#interrupted());
    this.#released.resolve();
  }

  #interrupted(): Error {
    return makeError("Interrupted", `Cannot lease an address for ${this.nic.name}: the client was stopped`);
  }
}
