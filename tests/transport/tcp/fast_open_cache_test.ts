import { assertEquals } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import { VirtualClock } from "../../../stack/clock.ts";
import { FastOpenCache } from "../../../stack/transport/tcp/fast_open_cache.ts";

const server = IpAddress.parse("192.0.2.1");
const cookie = Uint8Array.of(1, 2, 3, 4);

Deno.test("the cookie and the maximum segment size of a server are remembered", () => {
  const cache = new FastOpenCache(new VirtualClock());
  assertEquals(cache.get(server), null);
  cache.learn(server, cookie, true, 1400);
  const { cookie: kept, experimental, maximumSegmentSize } = cache.get(server)!;
  assertEquals([kept, experimental, maximumSegmentSize], [cookie, true, 1400]);
});

Deno.test("512 servers are remembered; the one that was used longest ago is forgotten first", () => {
  const cache = new FastOpenCache(new VirtualClock());
  const address = (index: number) => IpAddress.fromUint32(0x0a00_0000 + index);
  for (let index = 0; index < 512; index++) cache.learn(address(index), cookie, false, 1460);
  cache.get(address(0));
  cache.learn(address(512), cookie, false, 1460);
  assertEquals(cache.size, 512);
  assertEquals(cache.get(address(1)), null);
  assertEquals(cache.get(address(0))?.cookie, cookie);
});

Deno.test("after a second lost SYN Fast Open pauses for a minute, and twice as long after each further one", () => {
  const clock = new VirtualClock(1000);
  const cache = new FastOpenCache(clock);
  const pauses: number[] = [];
  cache.lost(server);
  assertEquals(cache.allows(server), true);
  for (let loss = 0; loss < 3; loss++) {
    cache.lost(server);
    const start = clock.now();
    while (!cache.allows(server)) clock.set(clock.now() + 1000);
    pauses.push(clock.now() - start);
  }
  assertEquals(pauses, [60_000, 120_000, 240_000]);
});

Deno.test("a pause is never longer than a day", () => {
  const clock = new VirtualClock();
  const cache = new FastOpenCache(clock);
  for (let loss = 0; loss < 100; loss++) cache.lost(server);
  clock.set(24 * 3600 * 1000 - 1);
  assertEquals(cache.allows(server), false);
  clock.set(24 * 3600 * 1000);
  assertEquals(cache.allows(server), true);
});

Deno.test("an answer ends the count of lost SYNs", () => {
  const cache = new FastOpenCache(new VirtualClock());
  cache.lost(server);
  cache.answered(server, 1460);
  cache.lost(server);
  assertEquals(cache.allows(server), true);
});

Deno.test("one server or all can be forgotten", () => {
  const cache = new FastOpenCache(new VirtualClock());
  const other = IpAddress.parse("192.0.2.2");
  cache.learn(server, cookie, false, 0);
  cache.learn(other, cookie, false, 0);
  cache.clear(server);
  assertEquals([cache.get(server), cache.get(other)?.cookie], [null, cookie]);
  cache.clear();
  assertEquals(cache.size, 0);
});

Deno.test("a server that takes no data in a SYN is not tried with them for a while (RFC 7413 4.1.3.1)", () => {
  const clock = new VirtualClock();
  const cache = new FastOpenCache(clock);
  cache.learn(server, cookie, false, 1460);
  cache.refused(server);
  assertEquals(cache.allows(server), false);
  clock.set(clock.now() + 60_000);
  assertEquals(cache.allows(server), true);
});

Deno.test("an answer without a cookie brings the segment size up to date", () => {
  const cache = new FastOpenCache(new VirtualClock());
  cache.answered(server, 900);
  assertEquals(cache.get(server), null);
  cache.learn(server, cookie, false, 1460);
  cache.answered(server, 900);
  assertEquals([cache.get(server)?.cookie, cache.get(server)?.maximumSegmentSize], [cookie, 900]);
});
