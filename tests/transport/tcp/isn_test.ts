import { assertEquals, assertNotEquals } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import { VirtualClock } from "../../../stack/clock.ts";
import { SeededRandom } from "../../../stack/random.ts";
import { distance } from "../../../stack/sequence.ts";
import { InitialSequence } from "../../../stack/transport/tcp/isn.ts";

const end = (address: string, port: number) => ({ address: IpAddress.parse(address), port });
const local = end("192.0.2.1", 80);
const remote = end("192.0.2.2", 5000);

Deno.test("initial sequence numbers of a pair of ends move on by one every 64 nanoseconds", () => {
  const clock = new VirtualClock(1000);
  const initial = new InitialSequence(clock, new SeededRandom(1));
  const first = initial.next(local, remote);
  assertEquals(initial.next(local, remote), first);
  clock.set(1001);
  assertEquals(distance(initial.next(local, remote), first), 15_625);
  // The whole space is gone through in 275 s, longer than any segment lives.
  clock.set(1000 + 2 ** 32 / 15_625);
  assertEquals(initial.next(local, remote), first);
});

Deno.test("any other end, and any other secret, gives an unrelated number (RFC 6528)", () => {
  const clock = new VirtualClock(0);
  const initial = new InitialSequence(clock, new SeededRandom(1));
  const numbers = [
    initial.next(local, remote),
    initial.next(remote, local),
    initial.next(end("192.0.2.1", 81), remote),
    initial.next(local, end("192.0.2.2", 5001)),
    initial.next(local, end("192.0.2.3", 5000)),
    initial.next(end("2001:db8::1", 80), end("2001:db8::2", 5000)),
    initial.next(end("2001:db8::1", 80), end("2001:db8:0:1::2", 5000)),
    new InitialSequence(clock, new SeededRandom(2)).next(local, remote),
  ];
  assertEquals(new Set(numbers).size, numbers.length);
  for (const number of numbers) assertEquals(number >= 0 && number < 2 ** 32 && Number.isInteger(number), true);
});

Deno.test("the timestamps of a pair of ends have one offset, whatever the time (RFC 7323 7.1)", () => {
  const clock = new VirtualClock(0);
  const initial = new InitialSequence(clock, new SeededRandom(1));
  const offset = initial.timestampOffset(local, remote);
  // Whoever sees our clock must not learn where our sequence numbers begin.
  assertNotEquals(offset, initial.next(local, remote));
  clock.set(12_345);
  assertEquals(initial.timestampOffset(local, remote), offset);
  assertNotEquals(initial.timestampOffset(local, end("192.0.2.2", 5001)), offset);
});
