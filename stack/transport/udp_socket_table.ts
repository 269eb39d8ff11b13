/**
 * Who receives a datagram: the sockets of UDP by their ends.
 *
 * @module
 */

import type { Family } from "../address.ts";
import type { Packet } from "../packet.ts";
import type { Random } from "../random.ts";
import { FlowTable } from "./flow_table.ts";
import type { PortReservation } from "./ports.ts";
import type { UdpSocket } from "./udp_socket.ts";

const none: readonly UdpSocket[] = [];

/** The open sockets of one stack, with what is to be given back when they are closed. */
export class UdpSocketTable {
  /** Connected sockets. */
  readonly #flows: FlowTable<UdpSocket>;
  /** Unconnected sockets by port, in the order in which they were bound. */
  readonly #bound = new Map<number, UdpSocket[]>();
  readonly #reservations = new Map<UdpSocket, Pick<PortReservation, "release">>();

  /** An empty table, whose hash has a key from `random`. */
  constructor(random: Random) {
    this.#flows = new FlowTable(random);
  }

  /** All sockets. */
  get sockets(): UdpSocket[] {
    return [...this.#reservations.keys()];
  }

  /** Adds a socket, and its reservation; returns false if another one is connected like it. */
  add(socket: UdpSocket, reservation: Pick<PortReservation, "release">): boolean {
    if (socket.remote === null) {
      const others = this.#bound.get(socket.local.port);
      if (others === undefined) this.#bound.set(socket.local.port, [socket]);
      else others.push(socket);
    } else if (!this.#flows.add(socket)) {
      return false;
    }
    this.#reservations.set(socket, reservation);
    return true;
  }

  /** Removes a socket and releases its reservation. */
  remove(socket: UdpSocket): void {
    this.#reservations.get(socket)?.release();
    this.#reservations.delete(socket);
    if (socket.remote !== null) {
      this.#flows.remove(socket);
      return;
    }
    const { port } = socket.local;
    const others = this.#bound.get(port)!.filter((other) => other !== socket);
    if (others.length === 0) this.#bound.delete(port);
    else this.#bound.set(port, others);
  }

  /** The unconnected sockets of a port. */
  boundTo(port: number): readonly UdpSocket[] {
    return this.#bound.get(port) ?? none;
  }

  /** The connected socket between the address at `localAt` and the one at `remoteAt`, or null. */
  connected(
    packet: Packet,
    localAt: number,
    localPort: number,
    remoteAt: number,
    remotePort: number,
  ): UdpSocket | null {
    return this.#flows.find(packet.view, packet.family as Family, localAt, localPort, remoteAt, remotePort);
  }

  /** Who receives a datagram for a single host: the connected socket, otherwise the one that fits it best; or null. */
  receiver(packet: Packet, from: number, to: number): UdpSocket | null {
    return this.connected(packet, packet.destinationAt, to, packet.sourceAt, from) ?? this.#mostSpecific(packet, to);
  }

  #mostSpecific(packet: Packet, port: number): UdpSocket | null {
    const sockets = this.#bound.get(port);
    if (sockets === undefined) return null;
    let best: UdpSocket | null = null;
    let bestMatch = 0;
    for (let index = sockets.length - 1; index >= 0; index--) {
      const socket = sockets[index]!;
      const match = socket.match(packet);
      if (match > bestMatch) {
        best = socket;
        bestMatch = match;
      }
    }
    return best;
  }
}
