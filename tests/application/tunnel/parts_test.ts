import { assert, assertEquals, assertThrows } from "@std/assert";
import { IpAddress, IpPrefix } from "../../../stack/address.ts";
import { AddressPool } from "../../../stack/application/tunnel/address_pool.ts";
import { Backoff } from "../../../stack/application/tunnel/backoff.ts";
import { Heartbeat } from "../../../stack/application/tunnel/heartbeat.ts";
import {
  encodeConnectMessage,
  parseConnectMessage,
  tunnelVersion,
  usualHeartbeat,
} from "../../../stack/application/tunnel/protocol.ts";
import { SeededRandom } from "../../../stack/random.ts";
import { assertThrowsNamed } from "../../helpers/errors.ts";
import { VirtualTime } from "../../helpers/virtual_time.ts";

const address = (text: string) => IpAddress.parse(text);

Deno.test("a pool gives the lowest address that is neither taken nor reserved, and neither network nor broadcast", () => {
  const pool = new AddressPool(IpPrefix.parse("10.1.1.0/29"), [address("10.1.1.1"), address("10.1.1.2")]);
  const taken: IpAddress[] = [];
  const given: string[] = [];
  for (let free = pool.free(taken); free !== null; free = pool.free(taken)) {
    taken.push(free);
    given.push(free.toString());
  }
  assertEquals(given, ["10.1.1.3", "10.1.1.4", "10.1.1.5", "10.1.1.6"]);
  assertEquals(pool.free(taken.slice(1))?.toString(), "10.1.1.3");
});

Deno.test("a pool knows which addresses are its to give", () => {
  const pool = new AddressPool(IpPrefix.parse("10.1.1.0/24"), [address("10.1.1.1")]);
  const isHost = (text: string) => pool.isHost(address(text));
  assertEquals(["10.1.1.0", "10.1.1.1", "10.1.1.2", "10.1.1.254", "10.1.1.255", "10.1.2.2"].map(isHost), [
    false,
    false,
    true,
    true,
    false,
    false,
  ]);
});

Deno.test("a pool is refused networks with nothing to give, or with too much", () => {
  for (const text of ["10.1.1.0/30", "10.1.1.1/32", "0.0.0.0/0", "fd00::/64"]) {
    assertThrows(() => new AddressPool(IpPrefix.parse(text)), RangeError, "give an IPv4 network of /8 to /29");
  }
});

Deno.test("waits double up to a limit, each between its half and all of it, and start anew after a success", () => {
  const backoff = new Backoff(new SeededRandom(1), { first: 100, most: 1000 });
  for (const longest of [100, 200, 400, 800, 1000, 1000]) {
    const wait = backoff.next();
    assert(wait >= longest / 2 && wait <= longest, `${wait} of ${longest}`);
  }
  backoff.reset();
  assert(backoff.next() <= 100);
});

Deno.test("two clients of the same server do not wait equally long", () => {
  const [one, other] = [new Backoff(new SeededRandom(1)), new Backoff(new SeededRandom(2))];
  assert(one.next() !== other.next());
});

function watch(time: VirtualTime) {
  const events: string[] = [];
  const note = (what: string) => events.push(`${what} ${time.now - 1000}`);
  const heartbeat = new Heartbeat(time.timers, usualHeartbeat, {
    ask: () => note("ask"),
    giveUp: () => note("give up"),
  });
  return { heartbeat, events };
}

Deno.test("after 30 s of silence the other end is asked, after 60 s it is given up", () => {
  const time = new VirtualTime();
  const { heartbeat, events } = watch(time);
  time.advance(120_000);
  assertEquals(events, ["ask 30000", "give up 60000"]);
  heartbeat.stop();
  assertEquals(time.timers.running, 0);
});

Deno.test("whoever is heard from is not asked for 30 s, and an answer counts", () => {
  const time = new VirtualTime();
  const { heartbeat, events } = watch(time);
  time.advance(20_000);
  heartbeat.heard();
  time.advance(31_000);
  assertEquals(events, ["ask 50000"]);
  heartbeat.heard();
  time.advance(100_000);
  assertEquals(events, ["ask 50000", "ask 81000", "give up 111000"]);
  heartbeat.stop();
});

Deno.test("a heartbeat that was stopped says nothing more", () => {
  const time = new VirtualTime();
  const { heartbeat, events } = watch(time);
  heartbeat.stop();
  time.advance(100_000);
  assertEquals(events, []);
  assertEquals(time.timers.running, 0);
});

const connection = {
  address: "10.1.1.3/24",
  gateway: "10.1.1.1",
  mtu: 1400,
  routes: ["10.1.1.0/24", "198.51.100.0/24"],
  heartbeat: usualHeartbeat,
};

Deno.test("the connect message says address, gateway, MTU, routes, heartbeat and version", () => {
  assertEquals(parseConnectMessage(encodeConnectMessage(connection)), {
    type: "connect",
    version: tunnelVersion,
    ...connection,
  });
});

for (
  const [what, change, why] of [
    ["another type", { type: "hello" }, "it is of another type"],
    ["another version", { version: 2 }, "its version is not 1"],
    ["no address", { address: undefined }, "an address is wrong"],
    ["an address that is none", { address: "10.1.1/24" }, "an address is wrong"],
    ["an IPv6 address", { address: "fd00::3/64" }, "an address is wrong"],
    ["a gateway that is none", { gateway: 7 }, "an address is wrong"],
    ["an MTU that no link has", { mtu: 67 }, "the MTU is wrong"],
    ["an MTU that is no number", { mtu: "1400" }, "the MTU is wrong"],
    ["routes that are no list", { routes: "10.1.1.0/24" }, "a route is wrong"],
    ["a route that is none", { routes: ["10.1.1.0/33"] }, "a route is wrong"],
    ["no heartbeat", { heartbeat: undefined }, "the heartbeat is wrong"],
    ["less patience than silence", { heartbeat: { silence: 2, patience: 1 } }, "the heartbeat is wrong"],
  ] as const
) {
  Deno.test(`a connect message with ${what} is refused`, () => {
    const text = JSON.stringify({ ...JSON.parse(encodeConnectMessage(connection)), ...change });
    const { message } = assertThrowsNamed("InvalidData", () => parseConnectMessage(text));
    assertEquals(message, `Cannot understand the server's connect message: ${why}`);
  });
}

Deno.test("a connect message that is no object is refused", () => {
  for (const text of ["", "{", "null", "7", '"connect"', "[]"]) {
    assertThrowsNamed("InvalidData", () => parseConnectMessage(text));
  }
});
