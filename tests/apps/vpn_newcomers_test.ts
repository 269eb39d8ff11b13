import { assertEquals } from "@std/assert";
import { Newcomers, type NewConnection } from "../../apps/vpn/newcomers.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

class Connection implements NewConnection {
  readonly remoteAddress = "198.51.100.7";
  readonly remotePort: number;
  destroyed = false;
  #onClose = () => {};

  constructor(remotePort: number) {
    this.remotePort = remotePort;
  }

  once(_event: "close", listener: () => void): void {
    this.#onClose = listener;
  }

  destroy(): void {
    this.destroyed = true;
    this.#onClose();
  }
}

function connections(count: number): Connection[] {
  return Array.from({ length: count }, (_, port) => new Connection(port));
}

Deno.test("a connection that does not become a tunnel in time is closed, and one that does is left alone", async () => {
  const time = new VirtualTime();
  using newcomers = new Newcomers(time.timers, { patience: 1000 });
  const [silent, tunnel, gone] = connections(3) as [Connection, Connection, Connection];
  for (const connection of [silent, tunnel, gone]) newcomers.watch(connection);
  await time.run(999);
  newcomers.admit({ remoteAddress: "198.51.100.7", remotePort: 1 });
  gone.destroy();
  assertEquals([silent.destroyed, newcomers.closed, time.timers.running], [false, 0, 1]);
  await time.run(1);
  assertEquals([silent.destroyed, tunnel.destroyed, newcomers.closed, time.timers.running], [true, false, 1, 0]);
});

Deno.test("with too many at once, the one that waits longest is closed", () => {
  const time = new VirtualTime();
  const newcomers = new Newcomers(time.timers, { most: 2 });
  const all = connections(4);
  for (const connection of all) newcomers.watch(connection);
  assertEquals(all.map(({ destroyed }) => destroyed), [true, true, false, false]);
  assertEquals([newcomers.closed, time.timers.running], [2, 2]);
  newcomers[Symbol.dispose]();
  assertEquals([all[3]!.destroyed, time.timers.running], [false, 0]);
});

Deno.test("a port that comes again is another connection", async () => {
  const time = new VirtualTime();
  using newcomers = new Newcomers(time.timers, { patience: 1000 });
  const [first] = connections(1) as [Connection];
  newcomers.watch(first);
  await time.run(600);
  const [second] = connections(1) as [Connection];
  newcomers.watch(second);
  first.destroy();
  await time.run(600);
  assertEquals([second.destroyed, time.timers.running], [false, 1]);
  await time.run(400);
  assertEquals([second.destroyed, newcomers.closed], [true, 1]);
});
