/**
 * What runs on a stack that is fuzzed: somebody at each door, well-behaved or not, all of it synchronous.
 *
 * @module
 */

import { IpAddress } from "../../stack/address.ts";
import type { Nic } from "../../stack/link/nic.ts";
import { below, type Random } from "../../stack/random.ts";
import type { Stack } from "../../stack/stack.ts";
import type { UserConnection, UserListener } from "../../stack/transport/tcp/user.ts";
import type { DatagramSender, UdpSocket } from "../../stack/transport/udp_socket.ts";
import type { Steppable } from "../helpers/virtual_time.ts";

/** What the owner of a connection does with it. */
type Manner = "echo" | "ignore" | "flood" | "close" | "abort" | "finish";

const manners: readonly Manner[] = ["echo", "echo", "echo", "echo", "ignore", "flood", "close", "abort", "finish"];

/** Most connections that the service keeps; then the oldest is aborted. */
const mostConnections = 40;

interface Served {
  readonly connection: UserConnection;
  readonly manner: Manner;
  readonly since: number;
}

/** The most of each that was seen. */
export interface Peaks {
  packets: number;
  connections: number;
  ringBytes: number;
  neighbors: number;
}

/** TCP and UDP echo on port 7, clients of 10.9.0.1 and of somebody who is not there, and pings. */
export class Service implements Steppable {
  /** Connections that were accepted. */
  accepted = 0;
  /** Connections that were begun. */
  begun = 0;
  /** Bytes that were received over connections, and in datagrams. */
  received = 0;
  datagrams = 0;
  readonly peaks: Peaks = { packets: 0, connections: 0, ringBytes: 0, neighbors: 0 };
  readonly #stack: Stack;
  readonly #random: Random;
  readonly #listener: UserListener;
  readonly #served: Served[] = [];
  readonly #echo: UdpSocket;
  readonly #buffer = new Uint8Array(65_536);
  readonly #sender: DatagramSender = { address: IpAddress.unspecified4, port: 0 };
  #client: UdpSocket | null = null;
  #steps = 0;

  constructor(stack: Stack, random: Random) {
    this.#stack = stack;
    this.#random = random;
    const local = { address: IpAddress.unspecified4, port: 7 };
    this.#listener = stack.tcp.listen({ local, backlog: 4 });
    this.#echo = stack.udp.bind({ local, receiveBufferBytes: 10_000 });
    this.#echo.settings.broadcast = true;
  }

  /** Joins a group, so that what is sent to it finds somebody too. */
  join(nic: Nic): void {
    this.#echo.joinGroup(nic, IpAddress.parse("224.1.2.3"));
  }

  step(): number {
    const { received, accepted, datagrams } = this;
    if (this.#steps++ % 64 === 0) this.#look();
    for (let next = this.#listener.accept(); next !== null; next = this.#listener.accept()) {
      this.accepted++;
      this.#keep(next, manners[below(this.#random, manners.length)]!);
    }
    for (const served of this.#served) this.#serve(served);
    if (below(this.#random, 4) === 0) this.#answerDatagrams();
    if (below(this.#random, 500) === 0) this.#begin();
    return this.received - received + this.accepted - accepted + this.datagrams - datagrams;
  }

  #keep(connection: UserConnection, manner: Manner): void {
    const served = { connection, manner, since: this.#stack.timers.clock.now() };
    connection.observer = {
      established() {},
      readable() {},
      writable() {},
      closed: () => {
        const at = this.#served.indexOf(served);
        if (at >= 0) this.#served.splice(at, 1);
        // What it received is no longer wanted.
        connection.abort();
      },
    };
    this.#served.push(served);
    if (this.#served.length > mostConnections) this.#served[0]!.connection.abort();
  }

  #serve({ connection, manner, since }: Served): void {
    const age = this.#stack.timers.clock.now() - since;
    if (manner === "close" || age > 60_000) return connection.close();
    if (manner === "flood") connection.send(this.#buffer);
    if (manner === "finish") connection.shutdown();
    if (manner === "ignore" || connection.receivable === 0) {
      if (connection.ended) connection.shutdown();
      return;
    }
    if (manner === "abort") return connection.abort();
    const length = connection.receive(this.#buffer);
    this.received += length;
    if (manner === "echo") connection.send(this.#buffer.subarray(0, length));
  }

  #answerDatagrams(): void {
    for (;;) {
      const length = this.#echo.receive(this.#buffer, this.#sender);
      if (length < 0) return;
      this.datagrams++;
      const { address, port } = this.#sender;
      // Whatever stands in a packet as its source, an answer is tried.
      if (port > 0) this.#try(() => this.#echo.send(this.#buffer.subarray(0, length), { address, port }));
    }
  }

  /** Starts something of our own: a connection to a closed port or to nobody, a datagram, a ping. */
  #begin(): void {
    const remote = { address: IpAddress.parse(below(this.#random, 3) === 0 ? "10.9.0.77" : "10.9.0.1"), port: 9 };
    switch (below(this.#random, 3)) {
      case 0:
        // The port from which the recorded client connected.
        this.#try(() => {
          this.#keep(this.#stack.tcp.connect({ remote, localPort: 60054 }), "flood");
          this.begun++;
        });
        break;
      case 1:
        this.#client ??= this.#stack.udp.connect({ remote });
        this.#try(() => this.#client!.send(this.#buffer.subarray(0, below(this.#random, 4000))));
        break;
      case 2:
        this.#stack.ping(remote.address.toString(), { count: 1 }).next().catch(() => {});
        break;
    }
  }

  /** A call that may fail for a good reason: the port is in use, an error has come, there is no way back. */
  #try(call: () => void): void {
    try {
      call();
    } catch (error) {
      const expected = ["AddrInUse", "NetworkUnreachable", "ConnectionRefused", "HostUnreachable", "PermissionDenied"];
      if (!(error instanceof Error) || !expected.includes(error.name)) throw error;
    }
  }

  #look(): void {
    const { peaks } = this;
    const { pool, tcp, neighbors } = this.#stack;
    peaks.packets = Math.max(peaks.packets, pool.inUse);
    peaks.connections = Math.max(peaks.connections, tcp.connections().length);
    peaks.ringBytes = Math.max(peaks.ringBytes, tcp.storage.inUse);
    peaks.neighbors = Math.max(peaks.neighbors, neighbors.size);
  }
}
