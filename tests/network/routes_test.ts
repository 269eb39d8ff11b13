import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { IpAddress, IpPrefix } from "../../stack/address.ts";
import { Counters } from "../../stack/counters.ts";
import { BareIp } from "../../stack/link/bare_ip.ts";
import { Nic } from "../../stack/link/nic.ts";
import { type Route, Routes } from "../../stack/network/routes.ts";
import { SeededRandom } from "../../stack/random.ts";
import { RecordingDevice } from "../helpers/ipv4_host.ts";

function nicOf(index: number): Nic {
  return new Nic(
    index,
    `tun${index}`,
    new RecordingDevice(`tun${index}`, "ip"),
    new BareIp({ counters: new Counters() }),
  );
}

const [tun0, tun1] = [nicOf(0), nicOf(1)];
const prefix = IpPrefix.parse;
const address = IpAddress.parse;

function show(route: Route | null): string {
  return route === null ? "none" : `${route.prefix} ${route.gateway ?? "link"} ${route.nic.name}`;
}

Deno.test("Routes: the longest prefix wins, in whichever order they were added", () => {
  const requests = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32"];
  for (const order of [requests, requests.toReversed()]) {
    const routes = new Routes();
    for (const text of order) routes.add({ prefix: prefix(text), nic: tun0 });
    const found = ["10.1.2.3", "10.1.2.4", "10.1.3.4", "10.2.0.1", "192.0.2.1"].map((text) =>
      routes.lookup(address(text))?.prefix.toString()
    );
    assertEquals(found, requests.toReversed());
  }
});

Deno.test("Routes: among equal prefixes the smallest metric wins", () => {
  const routes = new Routes();
  routes.add({ prefix: prefix("0.0.0.0/0"), nic: tun0, gateway: address("192.0.2.1"), metric: 100 });
  routes.add({ prefix: prefix("0.0.0.0/0"), nic: tun1, gateway: address("198.51.100.1"), metric: 50 });
  assertEquals(show(routes.lookup(address("8.8.8.8"))), "0.0.0.0/0 198.51.100.1 tun1");
});

Deno.test("Routes: a look-up can be limited to one interface", () => {
  const routes = new Routes();
  routes.add({ prefix: prefix("0.0.0.0/0"), nic: tun0 });
  routes.add({ prefix: prefix("10.0.0.0/8"), nic: tun1 });
  assertEquals(show(routes.lookup(address("10.0.0.1"))), "10.0.0.0/8 link tun1");
  assertEquals(show(routes.lookup(address("10.0.0.1"), tun0)), "0.0.0.0/0 link tun0");
  assertEquals(show(routes.lookup(address("192.0.2.1"), tun1)), "none");
});

Deno.test("Routes: two halves of the address space override the default route", () => {
  const routes = new Routes();
  routes.add({ prefix: prefix("0.0.0.0/0"), nic: tun0 });
  routes.add({ prefix: prefix("0.0.0.0/1"), nic: tun1 });
  routes.add({ prefix: prefix("128.0.0.0/1"), nic: tun1 });
  assertEquals(routes.lookup(address("10.0.0.1"))?.nic, tun1);
  assertEquals(routes.lookup(address("203.0.113.1"))?.nic, tun1);
});

Deno.test("Routes: host bits of a prefix are cleared", () => {
  const routes = new Routes();
  assertEquals(routes.add({ prefix: prefix("192.0.2.77/24"), nic: tun0 }).prefix.toString(), "192.0.2.0/24");
});

Deno.test("Routes: adding the same route again replaces it", () => {
  const routes = new Routes();
  routes.add({ prefix: prefix("192.0.2.0/24"), nic: tun0 });
  routes.add({ prefix: prefix("192.0.2.0/24"), nic: tun0, source: address("192.0.2.2") });
  assertEquals(routes.list().length, 1);
  assertEquals(routes.lookup(address("192.0.2.9"))?.source?.toString(), "192.0.2.2");
});

Deno.test("Routes: removal takes all routes that agree in what is given", () => {
  const routes = new Routes();
  routes.add({ prefix: prefix("0.0.0.0/0"), nic: tun0, gateway: address("192.0.2.1") });
  routes.add({ prefix: prefix("0.0.0.0/0"), nic: tun1, metric: 5 });
  routes.add({ prefix: prefix("10.0.0.0/8"), nic: tun1 });
  routes.add({ prefix: prefix("2001:db8::/32"), nic: tun1 });
  assertEquals(routes.remove({ prefix: prefix("0.0.0.0/0"), gateway: null }), 1);
  assertEquals(routes.remove({ prefix: prefix("0.0.0.0/0"), metric: 9 }), 0);
  assertEquals(routes.remove({ nic: tun1 }), 2);
  assertEquals(routes.remove({ gateway: address("192.0.2.1") }), 1);
  assertEquals(routes.list(), []);
});

Deno.test("Routes: the generation changes with every change and with nothing else", () => {
  const routes = new Routes();
  const seen = [routes.generation];
  routes.add({ prefix: prefix("0.0.0.0/0"), nic: tun0 });
  seen.push(routes.generation);
  routes.remove({ nic: tun0 });
  seen.push(routes.generation);
  routes.touch();
  seen.push(routes.generation);
  assertEquals(new Set(seen).size, seen.length);
  routes.remove({ nic: tun0 });
  routes.lookup(address("192.0.2.1"));
  assertEquals(routes.generation, seen.at(-1));
});

Deno.test("Routes: the families do not see each other", () => {
  const routes = new Routes();
  routes.add({ prefix: prefix("0.0.0.0/0"), nic: tun0 });
  routes.add({ prefix: prefix("::/0"), nic: tun1, gateway: address("fe80::1") });
  assertEquals(show(routes.lookup(address("2001:db8::1"))), "::/0 fe80::1 tun1");
  assertEquals(show(routes.lookup(address("192.0.2.1"))), "0.0.0.0/0 link tun0");
  assertEquals([routes.list(4).length, routes.list(6).length, routes.list().length], [1, 1, 2]);
});

Deno.test("Routes: a gateway or source of the other family is refused", () => {
  const routes = new Routes();
  const request = { prefix: prefix("0.0.0.0/0"), nic: tun0 };
  assertThrows(() => routes.add({ ...request, gateway: address("fe80::1") }), TypeError, "fe80::1");
  assertThrows(() => routes.add({ ...request, source: address("fe80::1") }), TypeError, "0.0.0.0/0");
  assertEquals(routes.list(), []);
});

Deno.test("Routes: look-up by packet bytes and by address agree with a search of all routes", () => {
  const random = new SeededRandom(7);
  const routes = new Routes();
  for (let count = 0; count < 300; count++) {
    const length = random.uint32() % 33;
    const word = ((random.uint32() & 0x0303_0303) | 0x0a00_0000) >>> 0;
    routes.add({ prefix: new IpPrefix(IpAddress.fromUint32(word), length), nic: count % 2 === 0 ? tun0 : tun1 });
  }
  const view = new DataView(new ArrayBuffer(16));
  let found = 0;
  for (let count = 0; count < 2000; count++) {
    const word = ((random.uint32() & 0x0303_0303) | 0x0a00_0000) >>> 0;
    const destination = IpAddress.fromUint32(word);
    view.setUint32(4, word);
    const longest = Math.max(
      -1,
      ...routes.list(4).filter((route) => route.prefix.contains(destination)).map((route) => route.prefix.length),
    );
    assertEquals(routes.lookup(destination)?.prefix.length ?? -1, longest);
    assertEquals(routes.lookupAt(4, view, 4), routes.lookup(destination));
    if (longest >= 0) found++;
  }
  assertNotEquals(found, 0);
});
