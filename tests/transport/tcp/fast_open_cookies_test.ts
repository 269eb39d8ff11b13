import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import { VirtualClock } from "../../../stack/clock.ts";
import { SeededRandom } from "../../../stack/random.ts";
import { CookieValidity, FastOpenCookies, fastOpenKeyPeriod } from "../../../stack/transport/tcp/fast_open_cookies.ts";

const server = IpAddress.parse("192.0.2.1");
const client = IpAddress.parse("192.0.2.9");

function make(): { clock: VirtualClock; cookies: FastOpenCookies } {
  const clock = new VirtualClock(1000);
  return { clock, cookies: new FastOpenCookies(clock, new SeededRandom(1)) };
}

/** The cookie of a client, as a copy. */
function cookieFor(cookies: FastOpenCookies, address = client): Uint8Array {
  return cookies.make(address, server).slice();
}

Deno.test("a cookie is good for the client that it was made for, and for nobody else", () => {
  const { cookies } = make();
  const cookie = cookieFor(cookies);
  assertEquals(cookies.check(client, server, cookie, 8), CookieValidity.current);
  assertEquals(cookies.check(IpAddress.parse("192.0.2.10"), server, cookie, 8), CookieValidity.invalid);
  assertEquals(cookies.check(client, IpAddress.parse("192.0.2.2"), cookie, 8), CookieValidity.invalid);
});

Deno.test("every bit of a cookie counts", () => {
  const { cookies } = make();
  const cookie = cookieFor(cookies);
  for (let bit = 0; bit < 64; bit++) {
    const other = cookie.slice();
    other[bit >> 3]! ^= 1 << (bit & 7);
    assertEquals(cookies.check(client, server, other, 8), CookieValidity.invalid);
  }
});

Deno.test("cookies of other lengths are none of ours", () => {
  const { cookies } = make();
  const padded = new Uint8Array(16);
  padded.set(cookieFor(cookies));
  for (const length of [0, 4, 6, 10, 16]) {
    assertEquals(cookies.check(client, server, padded, length), CookieValidity.invalid);
  }
});

Deno.test("IPv6 addresses have cookies too", () => {
  const { cookies } = make();
  const [one, other] = ["2001:db8::1", "2001:db8::2"].map(IpAddress.parse) as [IpAddress, IpAddress];
  const cookie = cookies.make(one, other).slice();
  assertEquals(cookies.check(one, other, cookie, 8), CookieValidity.current);
  assertEquals(cookies.check(other, one, cookie, 8), CookieValidity.invalid);
});

Deno.test("after a change of keys a cookie is good once more, and after another one no longer", () => {
  const { cookies } = make();
  const cookie = cookieFor(cookies);
  cookies.rotate();
  assertEquals(cookies.check(client, server, cookie, 8), CookieValidity.outdated);
  assertNotEquals(cookieFor(cookies), cookie);
  cookies.rotate();
  assertEquals(cookies.check(client, server, cookie, 8), CookieValidity.invalid);
});

Deno.test("keys change every day", () => {
  const { clock, cookies } = make();
  const cookie = cookieFor(cookies);
  clock.set(clock.now() + fastOpenKeyPeriod - 1);
  assertEquals(cookies.check(client, server, cookie, 8), CookieValidity.current);
  clock.set(clock.now() + 1);
  assertEquals(cookies.check(client, server, cookie, 8), CookieValidity.outdated);
  clock.set(clock.now() + fastOpenKeyPeriod);
  assertEquals(cookies.check(client, server, cookie, 8), CookieValidity.invalid);
});

Deno.test("a cookie does not outlive two days without requests", () => {
  const { clock, cookies } = make();
  const cookie = cookieFor(cookies);
  clock.set(clock.now() + 2 * fastOpenKeyPeriod);
  assertEquals(cookies.check(client, server, cookie, 8), CookieValidity.invalid);
});

Deno.test("two servers with the same keys accept each other's cookies, for ever", () => {
  const keys = [Uint8Array.from({ length: 16 }, (_, at) => at), new Uint8Array(16).fill(7)];
  const { clock, cookies } = make();
  const { cookies: others } = make();
  cookies.useKeys(keys);
  others.useKeys(keys.toReversed());
  clock.set(clock.now() + 10 * fastOpenKeyPeriod);
  assertEquals(others.check(client, server, cookieFor(cookies), 8), CookieValidity.outdated);
});

Deno.test("keys of another length, none and three are refused", () => {
  const { cookies } = make();
  const key = new Uint8Array(16);
  for (const keys of [[], [key, key, key], [new Uint8Array(15)], [key, new Uint8Array(0)]]) {
    assertThrows(() => cookies.useKeys(keys), TypeError, "one or two keys of 16 bytes");
  }
});
