import { assert, assertEquals, assertGreater } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import type { ImpairmentOptions } from "../../stack/link/impairment.ts";
import { fill, SeededRandom } from "../../stack/random.ts";
import type { ConnectionObserver, Failure, UserConnection } from "../../stack/transport/tcp/user.ts";
import { World } from "./world.ts";

/** An hour of virtual time: far more than any of this may take, far less than for ever. */
const limit = 3_600_000;
const remote = { address: IpAddress.parse("10.0.0.2"), port: 7 };

/** Whose turn it is: connections at which something happened since they were served last. */
class Turns {
  #due: User[] = [];

  add(user: User): void {
    this.#due.push(user);
  }

  /** Serves all that are due. Returns how many there were. */
  step(): number {
    const due = this.#due;
    this.#due = [];
    for (const user of due) user.serve();
    return due.length;
  }
}

/** The user of one connection, which is served when something happens at it. */
abstract class User implements ConnectionObserver {
  failure: Failure | null | undefined = undefined;
  readonly connection: UserConnection;
  readonly #turns: Turns;
  #due = false;

  constructor(connection: UserConnection, turns: Turns) {
    this.connection = connection;
    this.#turns = turns;
    connection.observer = this;
    this.established();
  }

  established(): void {
    if (this.#due) return;
    this.#due = true;
    this.#turns.add(this);
  }

  readable(): void {
    this.established();
  }

  writable(): void {
    this.established();
  }

  closed(failure: Failure | null): void {
    this.failure = failure;
    this.established();
  }

  serve(): void {
    this.#due = false;
    this.work();
  }

  abstract work(): void;
}

/** Sends back what it receives, and closes when the other side has. */
class Echo extends User {
  static readonly #buffer = new Uint8Array(65_536);
  #pending: Uint8Array = new Uint8Array(0);

  work(): void {
    const { connection } = this;
    for (;;) {
      const taken = connection.send(this.#pending);
      this.#pending = this.#pending.subarray(taken);
      if (this.#pending.length > 0 || connection.receivable === 0) break;
      this.#pending = Echo.#buffer.slice(0, connection.receive(Echo.#buffer));
    }
    if (connection.ended && this.#pending.length === 0) connection.shutdown();
  }
}

/** Sends its bytes, closes its side, and compares what comes back. */
class Client extends User {
  static readonly #buffer = new Uint8Array(65_536);
  readonly #data: Uint8Array;
  #sent = 0;
  received = 0;
  mismatch = -1;

  constructor(connection: UserConnection, turns: Turns, data: Uint8Array) {
    super(connection, turns);
    this.#data = data;
  }

  work(): void {
    const { connection } = this;
    const data = this.#data;
    this.#sent += connection.send(data.subarray(this.#sent));
    if (this.#sent === data.length) connection.shutdown();
    while (connection.receivable > 0) {
      const length = connection.receive(Client.#buffer);
      for (let index = 0; index < length && this.mismatch < 0; index++) {
        if (Client.#buffer[index] !== data[this.received + index]) this.mismatch = this.received + index;
      }
      this.received += length;
    }
  }

  get done(): boolean {
    return this.failure !== undefined || this.connection.ended;
  }
}

/** Lets `count` clients at once have `bytes` bytes each echoed, and asserts that all is exact and nothing is left. */
async function assertEchoed(
  seed: number,
  impairments: ImpairmentOptions,
  count: number,
  bytes: number,
): Promise<World> {
  const world = new World({ seed, impairments });
  const turns = new Turns();
  const servers: Echo[] = [];
  const { server, client, time } = world;
  const listener = server.tcp.listen({ local: { address: IpAddress.unspecified4, port: 7 }, backlog: count });
  listener.onAcceptable = () => {
    const connection = listener.accept();
    if (connection !== null) servers.push(new Echo(connection, turns));
  };
  time.add(turns);
  // Every client sends another part of the same bytes.
  const data = fill(new SeededRandom(seed), new Uint8Array(bytes + count));
  const clients = Array.from(
    { length: count },
    (_, index) => new Client(client.tcp.connect({ remote }), turns, data.subarray(index, index + bytes)),
  );
  time.runUntil(
    () => clients.every(({ done }) => done) && servers.every(({ failure }) => failure !== undefined),
    limit,
  );
  for (const [index, { failure, mismatch, received }] of clients.entries()) {
    // The side that closes first waits in TIME-WAIT, where it has been told already.
    assertEquals([index, failure ?? null, mismatch, received], [index, null, -1, bytes], `seed ${seed}`);
  }
  assertEquals(servers.map(({ failure }) => failure), servers.map(() => null), `seed ${seed}`);
  assertEquals([servers.length, server.tcp.counters.passiveOpens], [count, count]);
  listener.close();
  time.advance(200_000);
  assertEquals([client.tcp.timeWait.size, server.tcp.timeWait.size], [0, 0]);
  await world.end();
  return world;
}

const lossy: ImpairmentOptions = { loss: 0.02, delay: 10, reorder: 0.05, reorderDelay: 5, rate: 1_000_000_000 };

Deno.test("200 connections at once, 1 MiB each, with 2 % loss and reordering: all exact, nothing left", async () => {
  const world = await assertEchoed(1, lossy, 200, 1 << 20);
  const { tcp, pool } = world.client;
  assertGreater(tcp.counters.received, 2 * 200 * (1 << 20) / 1460 / 2);
  // The pool grows with what is under way, not with what was ever sent.
  assert(pool.heldBytes < 64 << 20, `${pool.heldBytes} bytes`);
});

Deno.test("2000 connections at once, 100 bytes each, with 2 % loss and reordering: all exact, nothing left", async () => {
  await assertEchoed(2, lossy, 2000, 100);
});
