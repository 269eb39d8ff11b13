/**
 * How DHCP sends and receives: on one interface, also before that has an address.
 *
 * @module
 */

import { IpAddress, type MacAddress } from "../../address.ts";
import { EtherType, type Nic } from "../../link/nic.ts";
import type { Neighbors } from "../../network/neighbors.ts";
import type { Path } from "../../network/path.ts";
import type { Routes } from "../../network/routes.ts";
import type { PingEvent, PingOptions } from "../../socket/ping.ts";
import type { Timer, Timers } from "../../timers.ts";
import type { Udp } from "../../transport/udp.ts";
import type { DatagramSender, UdpSocket } from "../../transport/udp_socket.ts";
import { decodeMessage, type DhcpMessage } from "./message.ts";

/** What DHCP needs of a stack: `Stack` has it all. */
export interface DhcpNetwork {
  /**
   * Where datagrams go and come from.
   *
   * @internal
   */
  readonly udp: Udp;
  /** Timers and clock. */
  readonly timers: Timers;
  /** The routes. */
  readonly routes: Routes;
  /** The neighbours. */
  readonly neighbors: Neighbors;
  /** Gives an interface an address. */
  addAddress(nic: Nic, address: string): void;
  /** Takes an address from an interface. */
  removeAddress(nic: Nic, address: string): boolean;
  /** Asks a link whether anybody has an address (RFC 5227). */
  probeAddress(nic: Nic, address: string, options?: { signal?: AbortSignal }): Promise<MacAddress | null>;
  /** Sends ICMP echo requests. */
  ping(destination: string, options?: PingOptions): AsyncIterable<PingEvent>;
}

/** Who is told of what a {@linkcode DhcpSocket} receives. */
export interface DhcpReceiver {
  /** A message has come. */
  receive(message: DhcpMessage): void;
  /** A datagram has come that is no message of DHCP. */
  receiveMalformed(): void;
  /** The stack has closed the socket. */
  closed(): void;
}

/** Most bytes that wait to be read: a flood of messages is cut off there. */
const receiveBufferBytes = 65_536;

/** A UDP port of DHCP on one interface. */
export class DhcpSocket {
  readonly #udp: Udp;
  readonly #nic: Nic;
  readonly #port: number;
  readonly #receiver: DhcpReceiver;
  readonly #socket: UdpSocket;
  readonly #timer: Timer;
  readonly #sender: DatagramSender = { address: IpAddress.unspecified4, port: 0 };

  /**
   * Binds the port.
   *
   * @throws {Deno.errors.AddrInUse} If a socket has it that does not share it.
   */
  constructor({ udp, timers }: DhcpNetwork, nic: Nic, port: number, receiver: DhcpReceiver) {
    this.#udp = udp;
    this.#nic = nic;
    this.#port = port;
    this.#receiver = receiver;
    // Each interface may have a client of its own.
    const local = { address: IpAddress.unspecified4, port };
    this.#socket = udp.bind({ local, reuse: true, nic, receiveBufferBytes });
    this.#timer = timers.create(() => this.#drain());
    // UDP calls in the middle of packet handling: what has come is read right after it.
    this.#socket.onReceivable = () => this.#timer.start(0);
    this.#socket.onClosed = () => {
      this.#timer.dispose();
      receiver.closed();
    };
  }

  /** Sends to everybody on the link from `source`, which is 0.0.0.0 as long as there is no address. */
  broadcast(payload: Uint8Array, source: IpAddress, port: number): void {
    const found = this.#udp.findPath(IpAddress.broadcast4, source, this.#nic);
    if (found !== null) this.#send(payload, found.path, port);
  }

  /**
   * Sends to one host and returns the path, or null where there is none. With `mac`, it is not asked who has the
   * address: the receiver may not know yet that it is its own.
   */
  send(
    payload: Uint8Array,
    source: IpAddress,
    destination: IpAddress,
    port: number,
    mac: MacAddress | null = null,
  ): Path | null {
    const path = this.#udp.findPath(destination, source, this.#nic)?.path ?? null;
    if (path === null) return null;
    if (mac !== null) path.neighbor = { nic: this.#nic, etherType: EtherType.ipv4, destination: mac };
    this.#send(payload, path, port);
    return path;
  }

  /** Gives the port back. Does nothing the second time. */
  close(): void {
    this.#socket.onClosed = null;
    this.#timer.dispose();
    this.#socket.close();
  }

  #send(payload: Uint8Array, path: Path, destinationPort: number): void {
    this.#udp.send(payload, { path, sourcePort: this.#port, destinationPort });
  }

  #drain(): void {
    while (!this.#socket.closed && this.#socket.receivable > 0) {
      const bytes = new Uint8Array(this.#socket.nextLength);
      this.#socket.receive(bytes, this.#sender);
      const message = decodeMessage(bytes);
      if (message === null) this.#receiver.receiveMalformed();
      else this.#receiver.receive(message);
    }
  }
}
