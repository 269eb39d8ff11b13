import { assertEquals } from "@std/assert";
import { IpAddress, MacAddress } from "../../../mod.ts";
import { LeaseTable } from "../../../stack/application/dhcp/lease_table.ts";

const ip = (last: number) => IpAddress.fromUint32(0x0a00_0000 + last);
const client = (number: number) => {
  const mac = MacAddress.fromBytes(new Uint8Array([2, 0, 0, 0, 0, number]));
  return { key: mac.toString(), mac };
};

/** A table of 10.0.0.1 to 10.0.0.4, of which the first is the server's and the last is client 9's. */
function table(): LeaseTable {
  return new LeaseTable({ first: ip(1), last: ip(4), own: ip(1), reservations: new Map([[client(9).key, ip(4)]]) });
}

/** Leases whatever is chosen for a client, until a moment. */
function lease(table: LeaseTable, number: number, now: number, expiresAt: number): string | null {
  const address = table.choose(client(number), null, now);
  if (address === null) return null;
  return String(table.assign(address, client(number), "leased", expiresAt, null).address);
}

Deno.test("the server's address and reserved ones are never chosen, and cannot be asked for", () => {
  const leases = table();
  const given = [1, 2, 3].map((number) => lease(leases, number, 0, 100));
  assertEquals(given.slice(0, 2).sort(), ["10.0.0.2", "10.0.0.3"]);
  assertEquals(given[2], null);
  assertEquals([1, 4, 5, 0].map((last) => leases.isAvailable(ip(last), client(1), 0)), [false, false, false, false]);
  assertEquals([lease(leases, 9, 0, 100), leases.isAvailable(ip(4), client(9), 0)], ["10.0.0.4", true]);
});

Deno.test("when all addresses have been used, the one that has been free for the longest time comes first", () => {
  for (const [first, second] of [[50, 60], [60, 50]] as const) {
    const leases = table();
    const given = [lease(leases, 1, 0, first), lease(leases, 2, 0, second)];
    assertEquals(lease(leases, 3, 49, 1000), null);
    assertEquals(lease(leases, 3, 100, 1000), given[first < second ? 0 : 1]);
  }
});

Deno.test("a client has one address: what it had before is free", () => {
  const leases = table();
  leases.assign(ip(2), client(1), "leased", 100, "name");
  leases.assign(ip(3), client(1), "offered", 100, null);
  assertEquals(leases.list().map(({ address, state }) => `${address} ${state}`), ["10.0.0.3 offered"]);
  assertEquals(leases.isAvailable(ip(2), client(2), 0), true);
});

Deno.test("a lease that has run out is its client's until somebody else gets it", () => {
  const leases = table();
  leases.assign(ip(2), client(1), "leased", 100, null);
  assertEquals(String(leases.choose(client(1), ip(3), 200)), "10.0.0.2");
  leases.assign(ip(2), client(2), "leased", 300, null);
  assertEquals([leases.of(client(1)), leases.at(ip(2))!.client], [null, client(2).key]);
  assertEquals(String(leases.choose(client(1), null, 200)), "10.0.0.3");
});

Deno.test("a name that a client has given once is kept while it says none", () => {
  const leases = table();
  leases.assign(ip(2), client(1), "offered", 100, "printer");
  assertEquals(leases.assign(ip(2), client(1), "leased", 200, null).hostName, "printer");
  assertEquals(leases.assign(ip(2), client(1), "leased", 200, "scanner").hostName, "scanner");
});
