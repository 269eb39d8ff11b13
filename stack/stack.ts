/**
 * The stack: the API that programs use.
 *
 * @module
 */

import { IpAddress, IpPrefix, type MacAddress } from "./address.ts";
import { SystemClock } from "./clock.ts";
import { Counters } from "./counters.ts";
import { makeError } from "./errors.ts";
import { EventLoop } from "./event_loop.ts";
import { ProtocolGraph } from "./graph.ts";
import type { Device } from "./link/device.ts";
import { Interfaces } from "./interfaces.ts";
import { LoopbackDevice } from "./link/loopback.ts";
import type { Nic } from "./link/nic.ts";
import type { Logger } from "./logger.ts";
import type { Neighbors } from "./network/neighbors.ts";
import { Routes } from "./network/routes.ts";
import { PacketPool } from "./packet.ts";
import { PortablePoller } from "./portable_poller.ts";
import { CryptoRandom, type Random } from "./random.ts";
import { type StackSnapshot, takeSnapshot } from "./snapshot.ts";
import { connectTcp } from "./socket/connect.ts";
import { connectUdp, type DatagramConn, listenUdp } from "./socket/datagram_conn.ts";
import {
  Forwarders,
  type ForwardHandler,
  type Forwarding,
  type TcpForwardOptions,
  type TcpForwardRequest,
  type UdpForwardOptions,
  type UdpForwardRequest,
} from "./socket/forward.ts";
import { StackHold } from "./socket/hold.ts";
import type { TcpConnectOptions, TcpListenOptions, UdpConnectOptions, UdpListenOptions } from "./socket/options.ts";
import { ping, type PingEvent, type PingOptions } from "./socket/ping.ts";
import { probeAddress } from "./socket/probe_address.ts";
import type { TcpConn } from "./socket/tcp_conn.ts";
import { listenTcp, type TcpListener } from "./socket/tcp_listener.ts";
import type { AttachOptions, StackOptions } from "./stack_options.ts";
import { StackWork } from "./stack_work.ts";
import { Timers } from "./timers.ts";
import type { Ports } from "./transport/ports.ts";
import type { Tcp } from "./transport/tcp/tcp.ts";
import type { TcpTrace } from "./transport/tcp/trace.ts";
import type { Udp } from "./transport/udp.ts";

/**
 * A TCP/IP stack. It has a loopback interface (127.0.0.1) from the beginning; {@linkcode Stack.attach} adds others. It
 * runs until it is closed, and keeps the program running, unless it is told not to by {@linkcode Stack.unref}.
 *
 * @example A server and a client in one stack
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Stack } from "./stack.ts";
 *
 * await using stack = new Stack();
 * const listener = stack.listen({ port: 7 });
 * const client = await stack.connect({ port: 7 });
 * const server = await listener.accept();
 * await client.write(new TextEncoder().encode("hello"));
 * const buffer = new Uint8Array(5);
 * assertEquals(await server.read(buffer), 5);
 * assertEquals(new TextDecoder().decode(buffer), "hello");
 * ```
 */
export class Stack implements AsyncDisposable {
  /** Counters of all modules. */
  readonly counters: Counters = new Counters();
  /** Where packets come from. */
  readonly pool: PacketPool;
  /** Timers and, through them, the clock. */
  readonly timers: Timers;
  /** Routes; change them freely. */
  readonly routes: Routes = new Routes();
  /** Neighbours on all links. */
  readonly neighbors: Neighbors;
  /**
   * TCP, for tests and tools that look inside.
   *
   * @internal
   */
  readonly tcp: Tcp;
  /**
   * UDP, for tests and tools that look inside.
   *
   * @internal
   */
  readonly udp: Udp;
  /** Who holds which port. */
  readonly ports: Ports;

  readonly #logger: Logger | null;
  readonly #random: Random;
  readonly #nics: Nic[] = [];
  readonly #interfaces: Interfaces;
  readonly #graph: ProtocolGraph;
  readonly #work: StackWork;
  readonly #loop: EventLoop | null;
  readonly #hold: StackHold = new StackHold((held) => this.#loop?.hold(held));
  readonly #forwarders: Forwarders;
  /** Aborted when the stack is closed: ends the runs of ping. */
  readonly #closing = new AbortController();

  /** Wires the protocol graph, and starts the event loop unless told otherwise. */
  constructor(options: StackOptions = {}) {
    const { counters, routes } = this;
    const random = this.#random = options.random ?? new CryptoRandom();
    const nics = this.#nics;
    const timers = this.timers = options.timers ?? new Timers(new SystemClock());
    this.#logger = options.logger ?? null;
    const pool = this.pool = new PacketPool(
      options.packetMemory === undefined ? {} : { limitBytes: options.packetMemory },
    );
    const wake = () => this.#loop?.wake();
    const graph = new ProtocolGraph({ nics, routes, pool, timers, random, counters, wake }, options.tcp);
    this.#graph = graph;
    this.neighbors = graph.neighbors;
    this.ports = graph.ports;
    this.udp = graph.udp;
    this.tcp = graph.tcp;
    this.forwarding = options.forwarding ?? false;
    this.#work = new StackWork(nics, timers, graph.tcp);
    this.#forwarders = new Forwarders({
      tcp: graph.tcp,
      udp: graph.udp,
      networks: graph.networks,
      counters,
      random,
      nics,
      keeper: this.#hold,
      onError: (error) => this.#logger?.error(`Forwarding failed: ${messageOf(error)}`),
    });

    const interfaces = this.#interfaces = new Interfaces({ nics, graph, routes, pool, timers, logger: this.#logger });
    this.#loop = interfaces.loop = options.eventLoop === false ? null : new EventLoop(this.#work, {
      clock: timers.clock,
      poller: new PortablePoller(),
      devices: () => interfaces.pollable,
      ...(options.busyPoll === undefined ? {} : { busyPoll: options.busyPoll }),
    });
    if (this.#loop !== null) timers.onEarlier = wake;
    this.attach(new LoopbackDevice(), { addresses: ["127.0.0.1/8"] });
    this.#loop?.start();
  }

  /** The interfaces, in the order in which they were attached; the first is the loopback. */
  get nics(): readonly Nic[] {
    return this.#nics;
  }

  /**
   * Whether packets for other hosts are sent on by the routes, as a router does (RFC 1812): with one less time to live,
   * in fragments where they are allowed and needed, and with ICMP errors to their senders where that cannot be.
   */
  get forwarding(): boolean {
    return this.#graph.forwarding;
  }

  set forwarding(forwarding: boolean) {
    this.#graph.forwarding = forwarding;
  }

  /** Who watches TCP, or null. */
  get trace(): TcpTrace | null {
    return this.tcp.trace;
  }

  set trace(trace: TcpTrace | null) {
    this.tcp.trace = trace;
  }

  /**
   * Attaches a device and takes it over: closing the stack closes it.
   *
   * @throws {TypeError} If an address or the gateway cannot be read.
   * @throws {Error} If the gateway is on no link of the device.
   */
  attach(device: Device, options: AttachOptions = {}): Nic {
    this.#assertOpen("attach a device");
    return this.#interfaces.attach(device, options);
  }

  /**
   * Gives an interface one more address, with the route to its subnet.
   *
   * @throws {TypeError} If `address` is no address with a prefix length.
   */
  addAddress(nic: Nic, address: string): void {
    this.#graph.addresses.add(nic, IpPrefix.parse(address));
  }

  /**
   * Asks a link whether anybody has an address, or wants it too, before it is given to an interface (RFC 5227). Takes
   * four to seven seconds. Resolves with the hardware address of who has it; with null if nobody does, or if the medium
   * has no such addresses.
   *
   * @throws {TypeError} If `address` is no IPv4 address.
   * @throws {DOMException} The signal's reason, by default an `AbortError`, if it is aborted first.
   * @throws {Deno.errors.BadResource} If the stack is closed meanwhile.
   */
  async probeAddress(nic: Nic, address: string, options: { signal?: AbortSignal } = {}): Promise<MacAddress | null> {
    this.#assertOpen("probe an address");
    return await probeAddress({ arp: this.#graph.arp, random: this.#random }, nic, address, this.#withClosing(options));
  }

  /** Takes an address from an interface. Returns whether it had it. */
  removeAddress(nic: Nic, address: string): boolean {
    return this.#graph.addresses.remove(nic, IpAddress.parse(address));
  }

  /**
   * Connects to a TCP port.
   *
   * @throws {Deno.errors.ConnectionRefused} If nobody listens there; see `connectTcp` for all that can go wrong.
   */
  async connect(options: TcpConnectOptions): Promise<TcpConn> {
    this.#assertOpen("connect");
    return await connectTcp(this.tcp, options, this.#hold);
  }

  /**
   * Listens on a TCP port.
   *
   * @throws {Deno.errors.AddrInUse} If somebody else does; see `listenTcp` for all that can go wrong.
   */
  listen(options: TcpListenOptions): TcpListener {
    this.#assertOpen("listen");
    return listenTcp(this.tcp, options, this.#hold);
  }

  /**
   * Binds a UDP port.
   *
   * @throws {Deno.errors.AddrInUse} If somebody else has it; see `listenUdp` for all that can go wrong.
   */
  listenDatagram(options: UdpListenOptions = {}): DatagramConn {
    this.#assertOpen("bind a port");
    return listenUdp(this.udp, this.#nics, options, this.#hold);
  }

  /**
   * Binds a UDP port for one peer only: errors about what was sent to it are reported.
   *
   * @throws {Deno.errors.NetworkUnreachable} If there is no route; see `connectUdp` for all that can go wrong.
   */
  connectDatagram(options: UdpConnectOptions): DatagramConn {
    this.#assertOpen("bind a port");
    return connectUdp(this.udp, this.#nics, options, this.#hold);
  }

  /**
   * Hands TCP connections to any address and port where nobody listens to `handler`, which accepts them, in the name of
   * the address that was meant, or refuses them. For interfaces that are promiscuous, so that packets for any
   * destination are taken, and spoofing, so that they can be answered from there.
   *
   * @throws {Deno.errors.Busy} If another handler has them.
   * @throws {RangeError} If an option is out of range.
   *
   * @example A transparent proxy
   * ```ts ignore
   * stack.attach(device, { addresses: ["10.0.0.1/24"], promiscuous: true, spoofing: true });
   * stack.forwardTcp(async (request) => {
   *   const { hostname, port } = request.localAddr;
   *   using outside = await Deno.connect({ hostname, port });
   *   const inside = await request.accept();
   *   await Promise.all([inside.readable.pipeTo(outside.writable), outside.readable.pipeTo(inside.writable)]);
   * });
   * ```
   */
  forwardTcp(handler: ForwardHandler<TcpForwardRequest>, options: TcpForwardOptions = {}): Forwarding {
    this.#assertOpen("forward connections");
    return this.#forwarders.forwardTcp(handler, options);
  }

  /**
   * Hands UDP flows to any address and port that nobody has bound to `handler`; see {@linkcode Stack.forwardTcp}.
   *
   * @throws {Deno.errors.Busy} If another handler has them.
   * @throws {RangeError} If an option is out of range.
   */
  forwardUdp(handler: ForwardHandler<UdpForwardRequest>, options: UdpForwardOptions = {}): Forwarding {
    this.#assertOpen("forward datagrams");
    return this.#forwarders.forwardUdp(handler, options);
  }

  /** Sends ICMP echo requests and yields what comes back; see `PingOptions` for how many and how often. */
  ping(destination: string, options: PingOptions = {}): AsyncGenerator<PingEvent, undefined, undefined> {
    this.#assertOpen("ping");
    return ping(
      this.#graph.echo,
      this.timers,
      destination,
      { ...options, signal: this.#withClosing(options) },
      this.#hold,
    );
  }

  /** What the stack is doing, as plain data: interfaces, routes, neighbours, sockets, ports, counters. */
  snapshot(): StackSnapshot {
    return takeSnapshot(this);
  }

  /**
   * Does what there is to do now: takes frames from the devices, lets timers expire, sends what has become due. Returns
   * how much that was. For simulations; with an event loop nobody needs to call it.
   */
  step(): number {
    const handled = this.#work.step(true);
    this.#work.flushAll();
    return handled;
  }

  /** The stack keeps the program running until it is closed. That is so at first. */
  ref(): void {
    this.#hold.referenced = true;
  }

  /**
   * The stack does not keep the program running by itself: only while something is waited for, which is a connection, a
   * read, a write, a datagram or a ping, and not of something that has been `unref`ed too. As the platform's own sockets
   * do it.
   */
  unref(): void {
    this.#hold.referenced = false;
  }

  /**
   * Ends everything: resets the connections, closes listeners, sockets and devices, and resolves when the event loop
   * has ended. Does nothing the second time.
   */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(makeError("BadResource", "Cannot go on: the stack has been closed"));
    this.#forwarders.close();
    this.#graph.close();
    for (const nic of this.#nics) nic.device.flush();
    try {
      await this.#loop?.stop();
    } finally {
      for (const nic of this.#nics) nic.device.close();
      if (this.#loop !== null) this.timers.onEarlier = null;
    }
  }

  /** As {@linkcode Stack.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A signal that is aborted with the one of `options`, if there is one, and when the stack is closed. */
  #withClosing({ signal }: { signal?: AbortSignal }): AbortSignal {
    const closing = this.#closing.signal;
    return signal === undefined ? closing : AbortSignal.any([closing, signal]);
  }

  #assertOpen(doing: string): void {
    if (this.#closing.signal.aborted) throw makeError("BadResource", `Cannot ${doing}: the stack has been closed`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
