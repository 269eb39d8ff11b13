import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { TokenStore } from "../../apps/vpn/token_store.ts";
import { IpAddress, IpPrefix } from "../../mod.ts";
import { AddressPool } from "../../stack/application/tunnel/address_pool.ts";
import { programCommand } from "./run_program.ts";

const pool = new AddressPool(IpPrefix.parse("10.1.1.0/29"), [IpAddress.parse("10.1.1.1"), IpAddress.parse("10.1.1.2")]);
const forever = { days: null, address: null };
const day = 86_400_000;

function withStore(body: (store: TokenStore, clock: { now: number }) => void): void {
  const clock = { now: Date.UTC(2026, 0, 1) };
  using store = new TokenStore(":memory:", () => clock.now);
  body(store, clock);
}

function admitted(store: TokenStore, token: string): string {
  const admission = store.admit(token, pool);
  return "status" in admission ? `${admission.status} ${admission.reason}` : `${admission.name} ${admission.address}`;
}

Deno.test("a token gets the lowest free address with its first use, and keeps it", () => {
  withStore((store) => {
    const [one, two] = [store.create("one", forever), store.create("two", forever)];
    assertNotEquals(one, two);
    assertEquals([two, one, two].map((token) => admitted(store, token)), [
      "two 10.1.1.3",
      "one 10.1.1.4",
      "two 10.1.1.3",
    ]);
    assertEquals(store.list().map(({ name, address }) => [name, address]), [["one", "10.1.1.4"], ["two", "10.1.1.3"]]);
  });
});

Deno.test("an address can be chosen; it belongs to one token only", () => {
  withStore((store) => {
    const address = IpAddress.parse("10.1.1.6");
    const token = store.create("one", { days: null, address });
    assertEquals(admitted(store, token), "one 10.1.1.6");
    assertThrows(() => store.create("two", { days: null, address }), Error, "10.1.1.6 belongs to another one");
  });
});

Deno.test("an address that the network does not have is replaced", () => {
  withStore((store) => {
    const token = store.create("one", { days: null, address: IpAddress.parse("192.0.2.7") });
    assertEquals(admitted(store, token), "one 10.1.1.3");
  });
});

Deno.test("when all addresses belong to tokens, the next one is told to come later; a revoked one makes room", () => {
  withStore((store) => {
    for (const name of ["a", "b", "c", "d"]) admitted(store, store.create(name, forever));
    const token = store.create("e", forever);
    assertEquals(admitted(store, token), "503 All addresses of 10.1.1.0/29 belong to other tokens");
    store.revoke("b");
    assertEquals(admitted(store, token), "e 10.1.1.4");
  });
});

Deno.test("a token that nobody made is not known, whatever it looks like", () => {
  withStore((store) => {
    const token = store.create("one", forever);
    const wrong = ["", "x", token.slice(0, 8), token.slice(0, -1), `${token}AA`, token.slice(0, -4) + "AAAA"];
    for (const text of wrong) assertEquals(admitted(store, text), "401 The token is not known here", text);
    assertEquals(admitted(store, token), "one 10.1.1.3");
  });
});

Deno.test("a token expires after its days, and is told apart from a wrong one", () => {
  withStore((store, clock) => {
    const token = store.create("one", { days: 2, address: null });
    clock.now += 2 * day - 1;
    assertEquals([admitted(store, token), store.isValid("one")], ["one 10.1.1.3", true]);
    clock.now++;
    assertEquals([admitted(store, token), store.isValid("one")], ['403 The token "one" has expired', false]);
  });
});

Deno.test("a revoked token is not known, and its name is free", () => {
  withStore((store) => {
    const token = store.create("one", forever);
    store.revoke("one");
    assertEquals([admitted(store, token), store.isValid("one")], ["401 The token is not known here", false]);
    assertThrows(() => store.revoke("one"), Error, 'Cannot revoke the token "one": there is none of that name');
    assertNotEquals(store.create("one", forever), token);
    assertThrows(() => store.create("one", forever), Error, "there is one of that name, revoke it first");
  });
});

Deno.test("two programs share a store; the file is for its user only, and the tokens themselves are not in it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "tapstack-" });
  try {
    const path = `${folder}/state/vpn.sqlite`;
    const vpn = async (...args: string[]) => {
      const { code, stdout, stderr } = await programCommand("vpn", [...args, "--state", path]).output();
      return { code, text: new TextDecoder().decode(stdout).trimEnd(), problem: new TextDecoder().decode(stderr) };
    };
    const { text: token } = await vpn("token", "create", "laptop", "--days", "3");
    assertMatch(token, /^[\w-]{51}$/);
    {
      using store = new TokenStore(path);
      assertEquals(admitted(store, token), "laptop 10.1.1.3");
      assertMatch((await vpn("token", "list")).text, /^Name +Address +Created +Expires\nlaptop +10\.1\.1\.3 /);
    }
    const bytes = new TextDecoder("latin1").decode(await Deno.readFile(path));
    assert(bytes.includes("laptop") && !bytes.includes(token.slice(8)));
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
    const [entry] = JSON.parse((await vpn("token", "list", "--json")).text);
    assertEquals([entry.name, entry.address], ["laptop", "10.1.1.3"]);
    assertEquals(Date.parse(entry.expires) - Date.parse(entry.created), 3 * day);
    assertEquals((await vpn("token", "revoke", "laptop")).code, 0);
    assertEquals((await vpn("token", "list", "--json")).text, "[]");
    const { code, problem } = await vpn("token", "revoke", "laptop");
    assertEquals([code, problem], [1, 'vpn: Cannot revoke the token "laptop": there is none of that name\n']);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file that holds something else is refused in one line", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, "this is no database, but long enough to be looked at. ".repeat(20));
  assertStringIncludes(
    assertThrows(() => new TokenStore(path), Error).message,
    `Cannot open the tokens in "${path}": `,
  );
  await Deno.remove(path);
});

Deno.test("what a server keeps for after a restart is there again", () => {
  withStore((store) => {
    assertEquals(store.setting("certificate"), null);
    store.keepSetting("certificate", "one");
    store.keepSetting("certificate", "two");
    assertEquals(store.setting("certificate"), "two");
  });
});
