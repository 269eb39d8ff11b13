/**
 * Two hosts on a wire, on a virtual clock, from a seed; and transfers between them whose every byte is checked.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { capture, type CaptureSink } from "../../stack/link/capture.ts";
import type { ImpairmentOptions } from "../../stack/link/impairment.ts";
import { createWire } from "../../stack/link/wire.ts";
import { SeededRandom } from "../../stack/random.ts";
import { Stack } from "../../stack/stack.ts";
import { State } from "../../stack/transport/tcp/state.ts";
import type { TcpConfiguration } from "../../stack/transport/tcp/configuration.ts";
import type { ConnectionObserver, Failure, UserConnection } from "../../stack/transport/tcp/user.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

/** What a world is made of. */
export interface WorldOptions {
  /** The seed of everything that is left to chance. */
  seed: number;
  /** What the wire does to frames, both ways or each way. */
  impairments?: ImpairmentOptions | [ImpairmentOptions, ImpairmentOptions];
  /** The wire's MTU. */
  mtu?: number;
  /** Settings of TCP on both sides. */
  tcp?: TcpConfiguration;
  /** Takes a capture of what the client's end of the wire sees. */
  capture?: CaptureSink;
}

/** Longer than fifteen retransmissions of a FIN take, each two minutes at most after the last, in milliseconds. */
const longestEnd = 1_800_000;

/** Two stacks on a wire. */
export class World {
  readonly time = new VirtualTime();
  readonly client: Stack;
  readonly server: Stack;

  constructor(options: WorldOptions) {
    const { seed, impairments, mtu, tcp } = options;
    const stack = (salt: number) =>
      new Stack({
        timers: this.time.timers,
        random: new SeededRandom(seed * 2 + salt),
        eventLoop: false,
        ...(tcp === undefined ? {} : { tcp }),
      });
    this.client = this.time.add(stack(0));
    this.server = this.time.add(stack(1));
    const [left, right] = createWire({
      seed,
      ...(impairments === undefined ? {} : { impairments }),
      ...(mtu === undefined ? {} : { mtu }),
    });
    const device = options.capture === undefined ? left : capture(left, options.capture);
    const clientNic = this.client.attach(device, { addresses: ["10.0.0.1/24"] });
    const serverNic = this.server.attach(right, { addresses: ["10.0.0.2/24"] });
    // What is under test is TCP: whether three ARP requests get through is not left to chance.
    this.client.neighbors.addPermanent(clientNic, IpAddress.parse("10.0.0.2"), right.address!);
    this.server.neighbors.addPermanent(serverNic, IpAddress.parse("10.0.0.1"), left.address!);
  }

  /** Starts to transfer; `port` tells several transfers apart. */
  transfer(options: TransferOptions): Transfer {
    return new Transfer(this, options);
  }

  /**
   * Lets what the users are done with come to its end: a connection whose last acknowledgements are lost sends its FIN
   * again, at most for as long as its retransmissions last; then TIME-WAIT.
   */
  rest(): void {
    const stacks = [this.client, this.server];
    this.time.runUntil(() => stacks.every(({ tcp }) => tcp.connections().length === 0), longestEnd);
    this.time.advance(200_000);
  }

  /** Ends both stacks, and asserts that nothing is left: no packet, timer, port or connection. */
  async end(): Promise<void> {
    for (const stack of [this.client, this.server]) {
      assertEquals(stack.tcp.connections().length, 0, "connections left");
      await stack.close();
    }
    this.time.settle();
    for (const stack of [this.client, this.server]) {
      assertEquals(stack.pool.inUse, 0, "packets in use");
      assertEquals(stack.ports.size, 0, "ports reserved");
      assertEquals(stack.tcp.storage.inUse, 0, "bytes in rings");
    }
    assertEquals(this.time.timers.running, 0, "timers running");
  }
}

/** What a transfer does. */
export interface TransferOptions {
  /** Bytes from the client to the server. */
  bytes: number;
  /** Bytes from the server to the client. Default 0. */
  answer?: number;
  /** The server's port. Default 80. */
  port?: number;
  /** Bytes that each side reads at once. Default 65,536. */
  readBytes?: number;
}

/** The byte at a place of a stream: no two near places look alike. */
function pattern(place: number): number {
  return (Math.imul(place, 0x9e37_79b1) >>> 24) ^ (place & 0xff);
}

/** One side of a transfer: writes its bytes, closes, and checks what it reads until the end. */
class Side implements ConnectionObserver {
  readonly #connection: UserConnection;
  readonly #toWrite: number;
  readonly #toRead: number;
  readonly #buffer: Uint8Array;
  readonly #chunk = new Uint8Array(16_384);
  /** What is made for sending and was not taken yet. */
  #pending: Uint8Array = new Uint8Array(0);
  #written = 0;
  read = 0;
  failure: Failure | null | undefined = undefined;
  mismatch = -1;

  constructor(connection: UserConnection, toWrite: number, toRead: number, readBytes: number) {
    this.#connection = connection;
    this.#toWrite = toWrite;
    this.#toRead = toRead;
    this.#buffer = new Uint8Array(readBytes);
    connection.observer = this;
  }

  established(): void {
    this.pump();
  }

  readable(): void {}

  writable(): void {}

  closed(failure: Failure | null): void {
    this.failure = failure;
  }

  /** Reads and writes what can be. */
  pump(): void {
    while (this.#written < this.#toWrite) {
      if (this.#pending.length === 0) this.#refill();
      const taken = this.#connection.send(this.#pending);
      this.#pending = this.#pending.subarray(taken);
      this.#written += taken;
      if (this.#pending.length > 0) break;
    }
    if (this.#written === this.#toWrite) this.#connection.shutdown();
    while (this.#connection.receivable > 0) {
      const length = this.#connection.receive(this.#buffer);
      for (let index = 0; index < length && this.mismatch < 0; index++) {
        if (this.#buffer[index] !== pattern(this.read + index)) this.mismatch = this.read + index;
      }
      this.read += length;
    }
  }

  #refill(): void {
    const length = Math.min(this.#chunk.length, this.#toWrite - this.#written);
    for (let index = 0; index < length; index++) this.#chunk[index] = pattern(this.#written + index);
    this.#pending = this.#chunk.subarray(0, length);
  }

  /** Whether everything was read, up to the end, and acknowledged. */
  get done(): boolean {
    return this.failure !== undefined || (this.read >= this.#toRead && this.#connection.ended);
  }
}

/** A transfer under way. */
export class Transfer {
  readonly #world: World;
  readonly connection: UserConnection;
  #client: Side;
  #server: Side | null = null;
  #finishedAt = 0;
  readonly #startedAt: number;

  constructor(world: World, options: TransferOptions) {
    const { bytes, answer = 0, port = 80, readBytes = 65_536 } = options;
    this.#world = world;
    this.#startedAt = world.time.now;
    const listener = world.server.tcp.listen({ local: { address: IpAddress.unspecified4, port } });
    this.connection = world.client.tcp.connect({ remote: { address: IpAddress.parse("10.0.0.2"), port } });
    this.#client = new Side(this.connection, bytes, answer, readBytes);
    world.time.add({
      step: () => {
        const accepted = this.#server === null ? listener.accept() : null;
        if (accepted !== null) {
          this.#server = new Side(accepted, answer, bytes, readBytes);
          listener.close();
        }
        if (this.connection.state >= State.established) this.#client.pump();
        this.#server?.pump();
        if (this.#finishedAt === 0 && this.finished) this.#finishedAt = this.#world.time.now;
        if (this.#client.failure) listener.close();
        return 0;
      },
    });
  }

  /** Whether both sides have read everything, or failed. */
  get finished(): boolean {
    return this.#client.done && (this.#server?.done ?? this.#client.failure != null);
  }

  /** How long it took, in milliseconds. */
  get duration(): number {
    return this.#finishedAt - this.#startedAt;
  }

  /** Why it failed, or null. */
  get failure(): Failure | null {
    return this.#client.failure ?? this.#server?.failure ?? null;
  }

  /** Where the first wrong byte was read, or -1. */
  get mismatch(): number {
    return Math.max(this.#client.mismatch, this.#server?.mismatch ?? -1);
  }

  /** Bytes that the server and the client have read. */
  get read(): [number, number] {
    return [this.#server?.read ?? 0, this.#client.read];
  }
}
