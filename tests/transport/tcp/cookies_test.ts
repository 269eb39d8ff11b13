import { assertEquals, assertNotEquals } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import { VirtualClock } from "../../../stack/clock.ts";
import { SeededRandom } from "../../../stack/random.ts";
import {
  encodedSackPermitted,
  encodedWindowScale,
  encodeOptions,
  SynCookies,
} from "../../../stack/transport/tcp/cookies.ts";

const local = { address: IpAddress.parse("192.0.2.1"), port: 80 };
const remote = { address: IpAddress.parse("198.51.100.7"), port: 5000 };

Deno.test("a cookie tells the maximum segment size, rounded down to one that it can tell", () => {
  const cookies = new SynCookies(new VirtualClock(1000), new SeededRandom(1));
  for (const [told, kept] of [[100, 216], [536, 536], [1459, 1452], [1460, 1460], [9000, 8960]] as const) {
    for (const peerSequence of [0, 0x7fff_ffff, 0xffff_ffff]) {
      const cookie = cookies.make(local, remote, peerSequence, told);
      assertEquals(cookies.check(local, remote, peerSequence, cookie), { maximumSegmentSize: kept });
    }
  }
});

Deno.test("a cookie lives for more than one period and less than three", () => {
  const clock = new VirtualClock(1000);
  const cookies = new SynCookies(clock, new SeededRandom(1));
  const cookie = cookies.make(local, remote, 7, 1460);
  clock.set(1000 + 64_000);
  assertEquals(cookies.check(local, remote, 7, cookie)?.maximumSegmentSize, 1460);
  clock.set(1000 + 128_000);
  assertEquals(cookies.check(local, remote, 7, cookie), null);
});

Deno.test("a cookie is worth nothing for another port, address, sequence number or key", () => {
  const clock = new VirtualClock(1000);
  const cookies = new SynCookies(clock, new SeededRandom(1));
  const cookie = cookies.make(local, remote, 7, 1460);
  assertEquals(cookies.check(local, { ...remote, port: 5001 }, 7, cookie), null);
  assertEquals(cookies.check(local, { ...remote, address: IpAddress.parse("198.51.100.8") }, 7, cookie), null);
  assertEquals(cookies.check(local, remote, 8, cookie), null);
  assertEquals(new SynCookies(clock, new SeededRandom(2)).check(local, remote, 7, cookie), null);
});

Deno.test("an old cookie whose counter was put forward is worth nothing", () => {
  const clock = new VirtualClock(1000);
  const cookies = new SynCookies(clock, new SeededRandom(1));
  const cookie = cookies.make(local, remote, 7, 1460);
  clock.set(1000 + 128_000);
  for (let steps = 1; steps <= 3; steps++) {
    assertEquals(cookies.check(local, remote, 7, (cookie + steps * 2 ** 24) >>> 0), null);
  }
});

Deno.test("a pair of ends has one timestamp offset, whatever its SYN says", () => {
  const clock = new VirtualClock(1000);
  const cookies = new SynCookies(clock, new SeededRandom(1));
  const cookie = cookies.make(local, remote, 7, 1460);
  const { timestampOffset } = cookies;
  cookies.make(local, { ...remote, port: 5001 }, 7, 1460);
  assertNotEquals(cookies.timestampOffset, timestampOffset);
  clock.set(60_000);
  assertEquals(cookies.check(local, remote, 7, cookie)?.maximumSegmentSize, 1460);
  assertEquals(cookies.timestampOffset, timestampOffset);
  cookies.make(local, remote, 8, 536);
  assertEquals(cookies.timestampOffset, timestampOffset);
});

Deno.test("guesses are hardly ever right", () => {
  const cookies = new SynCookies(new VirtualClock(1000), new SeededRandom(1));
  const random = new SeededRandom(3);
  let right = 0;
  for (let guess = 0; guess < 100_000; guess++) {
    if (cookies.check(local, remote, random.uint32(), random.uint32()) !== null) right++;
  }
  assertEquals(right, 0);
});

Deno.test("options go through the low bits of a timestamp that is never later than the clock", () => {
  for (const timestamp of [0, 31, 32, 1_000_000, 0xffff_ffff]) {
    for (const scale of [-1, 0, 7, 14]) {
      for (const sack of [false, true]) {
        const encoded = encodeOptions(timestamp, scale, sack);
        assertEquals([encodedWindowScale(encoded), encodedSackPermitted(encoded)], [scale, sack]);
        const age = (timestamp - encoded) | 0;
        assertEquals(age >= 0 && age < 64, true);
      }
    }
  }
});
