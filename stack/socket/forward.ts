/**
 * Intercepting connections and flows to any address: what a transparent proxy or a gateway is made of.
 *
 * @module
 */

import { makeError } from "../errors.ts";
import type { Nic } from "../link/nic.ts";
import type { Endpoint } from "../transport/endpoint.ts";
import { formatEndpoint } from "../transport/endpoint.ts";
import { TcpForwarder, type TcpForwarderOptions, type TcpRequest } from "../transport/forwarder_tcp.ts";
import { UdpForwarder, type UdpForwarderOptions, type UdpRequest } from "../transport/forwarder_udp.ts";
import type { ConnectionSettings } from "../transport/tcp/user.ts";
import { DatagramConn } from "./datagram_conn.ts";
import type { ProgramKeeper } from "./hold.ts";
import { checkNumber, toNetAddr } from "./options.ts";
import { TcpConn } from "./tcp_conn.ts";

/** A TCP connection that somebody asks for. */
export interface TcpForwardRequest {
  /** Where it is meant to go. */
  readonly localAddr: Deno.NetAddr;
  /** Who asks for it. */
  readonly remoteAddr: Deno.NetAddr;
  /**
   * Completes the handshake in the name of the address that was meant, and resolves with the connection.
   *
   * @throws {Deno.errors.ConnectionReset} If whoever asked has given up meanwhile, or does not complete it.
   * @throws {Deno.errors.BadResource} If it was answered before, or the forwarding has ended.
   */
  accept(settings?: Partial<ConnectionSettings>): Promise<TcpConn>;
  /**
   * Resets it: whoever asked sees a refused connection.
   *
   * @throws {Deno.errors.BadResource} If it was answered before, or the forwarding has ended.
   */
  refuse(): void;
}

/** The first of the datagrams that somebody sends to an address and port. */
export interface UdpForwardRequest {
  /** Where they are meant to go. */
  readonly localAddr: Deno.NetAddr;
  /** Who sends them. */
  readonly remoteAddr: Deno.NetAddr;
  /**
   * A socket that receives them, the first one included, and sends in the name of the address that was meant. The flow
   * lasts until it is closed.
   *
   * @throws {Deno.errors.BadResource} If it was answered before, or the forwarding has ended.
   */
  accept(): DatagramConn;
  /**
   * Answers with an ICMP error: port unreachable.
   *
   * @throws {Deno.errors.BadResource} If it was answered before, or the forwarding has ended.
   */
  refuse(): void;
}

/** Decides about a request, at once or later. One that it leaves unanswered is refused; so is one that it throws at. */
export type ForwardHandler<Request> = (request: Request) => void | Promise<void>;

/** Options of `forwardTcp`. */
export interface TcpForwardOptions {
  /** The most connections that wait for the handler; SYNs beyond that are dropped, and sent again. Default 1024. */
  pending?: number;
  /** Told of what the handler throws. Default: the stack's logger. */
  onError?: (error: unknown) => void;
}

/** Options of `forwardUdp`. */
export interface UdpForwardOptions {
  /** The most flows that are open at once; datagrams that would open more are refused. Default 4096. */
  flows?: number;
  /** Told of what the handler throws. Default: the stack's logger. */
  onError?: (error: unknown) => void;
}

/** Forwarding that goes on until it is closed. */
export interface Forwarding extends Disposable {
  /** Stops intercepting. Connections and flows that were accepted live on. Does nothing the second time. */
  close(): void;
}

/** What {@linkcode Forwarders} work with. */
export interface ForwardContext
  extends Omit<TcpForwarderOptions & UdpForwarderOptions, "pending" | "flows" | "onRequest"> {
  /** The interfaces, for the sockets of flows. */
  nics: readonly Nic[];
  /** Who keeps the program running while connections and flows are waited for. */
  keeper: ProgramKeeper;
  /** Told of what a handler throws, unless the handler's options say otherwise. */
  onError: (error: unknown) => void;
}

/** Forwarding of connections and of flows in one stack: one handler for each. */
export class Forwarders {
  readonly #context: ForwardContext;
  #tcp: Forwarding | null = null;
  #udp: Forwarding | null = null;

  /** Forwards nothing yet. */
  constructor(context: ForwardContext) {
    this.#context = context;
  }

  /** Hands TCP connections to any address and port where nobody listens to `handler`. */
  forwardTcp(handler: ForwardHandler<TcpForwardRequest>, options: TcpForwardOptions): Forwarding {
    if (this.#tcp !== null) throw makeError("Busy", "Cannot forward connections: another handler has them");
    const pending = checkNumber("a number of pending connections", options.pending ?? 1024, 1, 1_000_000);
    const { tcp, counters, random, keeper } = this.#context;
    const onError = options.onError ?? this.#context.onError;
    const forwarder = new TcpForwarder({
      tcp,
      counters,
      random,
      pending,
      onRequest: (request) =>
        decide(handler, toTcpRequest(forwarder, request, keeper), () => forwarder.refuse(request), onError),
    });
    return this.#tcp = forwardingOf(forwarder, () => this.#tcp = null);
  }

  /** Hands UDP flows to any address and port that nobody has bound to `handler`. */
  forwardUdp(handler: ForwardHandler<UdpForwardRequest>, options: UdpForwardOptions): Forwarding {
    if (this.#udp !== null) throw makeError("Busy", "Cannot forward datagrams: another handler has them");
    const flows = checkNumber("a number of flows", options.flows ?? 4096, 1, 1_000_000);
    const { udp, counters, networks, nics, keeper } = this.#context;
    const onError = options.onError ?? this.#context.onError;
    const forwarder = new UdpForwarder({
      udp,
      counters,
      networks,
      flows,
      onRequest: (request) =>
        decide(handler, toUdpRequest(forwarder, request, nics, keeper), () => forwarder.refuse(request), onError),
    });
    return this.#udp = forwardingOf(forwarder, () => this.#udp = null);
  }

  /** Stops intercepting. */
  close(): void {
    this.#tcp?.close();
    this.#udp?.close();
  }
}

function toTcpRequest(forwarder: TcpForwarder, request: TcpRequest, keeper: ProgramKeeper): TcpForwardRequest {
  const { local, remote } = request;
  return {
    localAddr: toNetAddr("tcp", local),
    remoteAddr: toNetAddr("tcp", remote),
    accept(settings = {}): Promise<TcpConn> {
      const { promise, resolve, reject } = Promise.withResolvers<TcpConn>();
      const accepted = forwarder.accept(request, settings, (connection) => {
        if (connection !== null) resolve(new TcpConn(connection, keeper));
        else reject(makeError("ConnectionReset", `Cannot accept ${between(remote, local)}: its peer has given it up`));
      });
      if (!accepted) reject(answered(remote, local));
      return promise;
    },
    refuse(): void {
      if (!forwarder.refuse(request)) throw answered(remote, local);
    },
  };
}

function toUdpRequest(
  forwarder: UdpForwarder,
  request: UdpRequest,
  nics: readonly Nic[],
  keeper: ProgramKeeper,
): UdpForwardRequest {
  const { socket } = request;
  const { local, remote } = socket;
  return {
    localAddr: toNetAddr("udp", local),
    remoteAddr: toNetAddr("udp", remote!),
    accept(): DatagramConn {
      if (!forwarder.accept(request)) throw answered(remote!, local);
      return new DatagramConn(socket, nics, keeper);
    },
    refuse(): void {
      if (!forwarder.refuse(request)) throw answered(remote!, local);
    },
  };
}

/** Asks the handler a little later: the transports call in the middle of packet handling. */
function decide<Request>(
  handler: ForwardHandler<Request>,
  request: Request,
  refuse: () => void,
  onError: (error: unknown) => void,
): void {
  queueMicrotask(async () => {
    try {
      await handler(request);
    } catch (error) {
      onError(error);
    } finally {
      refuse();
    }
  });
}

function forwardingOf(forwarder: { close(): void }, onClose: () => void): Forwarding {
  let open = true;
  const close = () => {
    if (!open) return;
    open = false;
    forwarder.close();
    onClose();
  };
  return { close, [Symbol.dispose]: close };
}

function between(remote: Endpoint, local: Endpoint): string {
  return `the connection from ${formatEndpoint(remote)} to ${formatEndpoint(local)}`;
}

function answered(remote: Endpoint, local: Endpoint): Error {
  return makeError("BadResource", `Cannot answer ${between(remote, local)}: it was answered before, or given up`);
}
