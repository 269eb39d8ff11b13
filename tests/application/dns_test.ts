import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import {
  ask,
  DnsCache,
  type DnsQuestion,
  DnsResolver,
  DnsServer,
  Hosts,
  resolveDns,
  reverseName,
} from "../../stack/application/dns.ts";
import { dnsPacket } from "../../stack/application/deps/dns_packet.ts";
import { decodeMessage } from "../../stack/application/dns_message.ts";
import { VirtualClock } from "../../stack/clock.ts";
import { createWire } from "../../stack/link/wire.ts";
import { SeededRandom } from "../../stack/random.ts";
import { Stack } from "../../stack/stack.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";
import { assertClosed } from "../kernel/host.ts";

const serverAddress = "10.0.0.1";
const nameServer = { ipAddr: serverAddress };

/** A client and a server on virtual time. */
async function pairTest(
  body: (pair: { time: VirtualTime; client: Stack; server: Stack }) => Promise<void>,
): Promise<void> {
  const time = new VirtualTime();
  const make = (seed: number) =>
    time.add(new Stack({ timers: time.timers, random: new SeededRandom(seed), eventLoop: false }));
  const [client, server] = [make(1), make(2)];
  const [left, right] = createWire({ seed: 3 });
  server.attach(left, { addresses: [`${serverAddress}/24`] });
  client.attach(right, { addresses: ["10.0.0.2/24"] });
  await body({ time, client, server });
  await time.waitFor(Promise.all([client.close(), server.close()]));
  assertClosed(client);
  assertClosed(server);
}

/** What a scripted server answers: the parts of a response, bytes, or null for nothing. */
type Script = (question: DnsQuestion, count: number, id: number) => Record<string, unknown> | Uint8Array | null;

/** A server that answers as it is told, and counts. */
function scripted(stack: Stack, script: Script): { asked: DnsQuestion[]; close(): void } {
  const socket = stack.listenDatagram({ port: 53 });
  const asked: DnsQuestion[] = [];
  (async () => {
    for await (const [bytes, from] of socket) {
      const query = decodeMessage(bytes)!;
      const { name, type } = query.questions[0]!;
      asked.push({ name, type });
      const answer = script({ name, type }, asked.length, query.id);
      if (answer === null) continue;
      await socket.send(answer instanceof Uint8Array ? answer : response(query.id, { name, type }, answer), from);
    }
  })();
  return { asked, close: () => socket.close() };
}

function response(id: number, question: DnsQuestion, parts: Record<string, unknown>): Uint8Array {
  return dnsPacket.encode(
    { type: "response", id, questions: [question], flags: 0, ...parts } as unknown as dnsPacket.Packet,
  );
}

const a = (name: string, data: string, ttl = 60) => ({ type: "A", name, ttl, data });
const alias = (name: string, data: string, ttl = 60) => ({ type: "CNAME", name, ttl, data });
const soa = (ttl: number, minimum: number) => ({
  type: "SOA",
  name: "test",
  ttl,
  data: { mname: "ns.test", rname: "admin.test", serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
});
const nameError = 3;

Deno.test("resolveDns gives the addresses of a name", () =>
  pairTest(async ({ time, client, server }) => {
    const dns = scripted(server, () => ({ answers: [a("host.test", "192.0.2.1"), a("HOST.test", "192.0.2.2")] }));
    const found = await time.waitFor(resolveDns(client, "host.test", "A", { nameServer }));
    assertEquals(found, ["192.0.2.1", "192.0.2.2"]);
    dns.close();
  }));

Deno.test("resolveDns gives records in Deno's form", () =>
  pairTest(async ({ time, client, server }) => {
    const data: Record<string, [unknown, unknown]> = {
      AAAA: ["2001:db8::1", "2001:db8::1"],
      NS: ["ns.test", "ns.test."],
      MX: [{ preference: 10, exchange: "mail.test" }, { preference: 10, exchange: "mail.test." }],
      SRV: [
        { priority: 1, weight: 2, port: 3, target: "host.test" },
        { priority: 1, weight: 2, port: 3, target: "host.test." },
      ],
      TXT: [["one", "two"], ["one", "two"]],
      CAA: [
        { issuerCritical: true, flags: 128, tag: "issue", value: "ca.test" },
        { critical: true, tag: "issue", value: "ca.test" },
      ],
      SOA: [soa(1, 5).data, { ...soa(1, 5).data, mname: "ns.test.", rname: "admin.test." }],
      NAPTR: [
        { order: 1, preference: 2, flags: "u", services: "sip", regexp: "", replacement: "x.test" },
        { order: 1, preference: 2, flags: "u", services: "sip", regexp: "", replacement: "x.test." },
      ],
    };
    const dns = scripted(server, ({ name, type }) => ({ answers: [{ type, name, ttl: 1, data: data[type]![0] }] }));
    for (const [type, [, expected]] of Object.entries(data)) {
      const found = await time.waitFor<unknown[]>(resolveDns(client, "x.test", type as "TXT", { nameServer }));
      assertEquals(found, [expected], type);
    }
    dns.close();
  }));

Deno.test("aliases are followed, within an answer and by asking again", () =>
  pairTest(async ({ time, client, server }) => {
    const dns = scripted(server, ({ name }) => {
      if (name === "far.test") return { answers: [a("far.test", "192.0.2.9")] };
      if (name === "one.test") return { answers: [alias("one.test", "two.test"), alias("two.test", "far.test")] };
      return { answers: [a("end.test", "192.0.2.7"), alias("www.test", "end.test")] };
    });
    assertEquals(await time.waitFor(resolveDns(client, "www.test", "A", { nameServer })), ["192.0.2.7"]);
    assertEquals(await time.waitFor(resolveDns(client, "one.test", "A", { nameServer })), ["192.0.2.9"]);
    assertEquals(dns.asked.map(({ name }) => name), ["www.test", "one.test", "far.test"]);
    dns.close();
  }));

Deno.test("aliases in a circle come to an end", () =>
  pairTest(async ({ time, client, server }) => {
    const dns = scripted(server, ({ name }) => ({ answers: [alias(name, name === "a.test" ? "b.test" : "a.test")] }));
    const resolving = resolveDns(client, "a.test", "A", { nameServer });
    await assertRejects(() => time.waitFor(resolving), Deno.errors.InvalidData, "do not come to an end");
    dns.close();
  }));

Deno.test("no such name, and no such record, are NotFound", () =>
  pairTest(async ({ time, client, server }) => {
    const dns = scripted(server, ({ name }) => ({ flags: name === "no.test" ? nameError : 0 }));
    const find = (name: string) => time.waitFor(resolveDns(client, name, "A", { nameServer }));
    await assertRejects(() => find("no.test"), Deno.errors.NotFound, "Cannot look up no.test: there is no such name");
    await assertRejects(() => find("x.test"), Deno.errors.NotFound, "it has no record of type A");
    dns.close();
  }));

Deno.test("an unanswered query is repeated with doubled time-outs, and then given up", () =>
  pairTest(async ({ time, client, server }) => {
    const dns = scripted(server, () => null);
    const started = time.now;
    const resolving = resolveDns(client, "x.test", "A", { nameServer, timeout: 100, attempts: 3 });
    await assertRejects(() => time.waitFor(resolving), Deno.errors.TimedOut, "10.0.0.1 did not answer within 400 ms");
    assertEquals(dns.asked.length, 3);
    const took = time.now - started;
    assert(took >= 700 && took < 720, `${took} ms`);
    dns.close();
  }));

Deno.test("a lost answer costs one time-out, and the next server is asked when one refuses, fails or is not there", () =>
  pairTest(async ({ time, client, server }) => {
    const dns = scripted(server, (_question, count) => count === 1 ? null : { answers: [a("x.test", "192.0.2.3")] });
    // Nobody listens on port 54: that is known at once.
    const nameServers = [{ ipAddr: serverAddress, port: 54 }, nameServer];
    assertEquals(await time.waitFor(resolveDns(client, "x.test", "A", { nameServers })), ["192.0.2.3"]);
    dns.close();
    const refusing = scripted(
      server,
      (_question, count) => count <= 2 ? { flags: 2 } : { answers: [a("x.test", "192.0.2.4")] },
    );
    assertEquals(await time.waitFor(resolveDns(client, "x.test", "A", { nameServer })), ["192.0.2.4"]);
    refusing.close();
  }));

Deno.test("what is no answer to the query is passed over: wrong identifier, question, or sense", () =>
  pairTest(async ({ time, client, server }) => {
    const socket = server.listenDatagram({ port: 53 });
    (async () => {
      const [bytes, from] = await socket.receive();
      const { id, questions } = decodeMessage(bytes)!;
      const wrong = { answers: [a("x.test", "203.0.113.66")] };
      const question = questions[0]!;
      await socket.send(response(id ^ 1, question, wrong), from);
      await socket.send(response(id, { name: "y.test", type: "A" }, wrong), from);
      await socket.send(response(id, { name: "x.test", type: "AAAA" }, wrong), from);
      await socket.send(response(id, question, { ...wrong, type: "query" }), from);
      await socket.send(bytes.subarray(0, 11), from);
      await socket.send(new Uint8Array(0), from);
      await socket.send(response(id, question, { answers: [a("x.test", "192.0.2.1")] }), from);
    })();
    assertEquals(await time.waitFor(resolveDns(client, "x.test", "A", { nameServer })), ["192.0.2.1"]);
    socket.close();
  }));

Deno.test("identifiers and ports differ from query to query", () =>
  pairTest(async ({ time, client, server }) => {
    const socket = server.listenDatagram({ port: 53 });
    const seen = new Set<string>();
    (async () => {
      for await (const [bytes, from] of socket) {
        const { id, questions } = decodeMessage(bytes)!;
        seen.add(`${id} ${(from as Deno.NetAddr).port}`);
        await socket.send(response(id, questions[0]!, { answers: [a("x.test", "192.0.2.1")] }), from);
      }
    })();
    for (let count = 0; count < 20; count++) await time.waitFor(resolveDns(client, "x.test", "A", { nameServer }));
    assertEquals(seen.size, 20);
    assertEquals(new Set([...seen].map((pair) => pair.split(" ")[1])).size, 20);
    socket.close();
  }));

Deno.test("a truncated answer is asked for again over TCP", () =>
  pairTest(async ({ time, client, server }) => {
    const addresses = Array.from({ length: 200 }, (_, index) => `10.1.0.${index + 1}`);
    await using dns = new DnsServer(server, {
      nameServers: [],
      hosts: new Hosts(addresses.map((text) => `${text} many.test`).join("\n")),
    });
    const answer = await time.waitFor(ask(client, [nameServer], { name: "many.test", type: "A" }));
    assertEquals([answer.tcp, answer.message.answers.length, answer.message.truncated], [true, 200, false]);
    await time.waitFor(dns.close());
  }));

Deno.test("an abort ends a query", () =>
  pairTest(async ({ time, client, server }) => {
    const dns = scripted(server, () => null);
    const controller = new AbortController();
    const resolving = resolveDns(client, "x.test", "A", { nameServer, signal: controller.signal });
    resolving.catch(() => {});
    await time.run(10);
    controller.abort();
    await assertRejects(() => time.waitFor(resolving), DOMException);
    assertEquals([client.ports.size, client.timers.running], [0, 0]);
    dns.close();
  }));

Deno.test("names, types and servers that make no sense are TypeErrors", () =>
  pairTest(async ({ time, client }) => {
    const find = (name: string, type: string, nameServers = [nameServer]) =>
      time.waitFor(resolveDns(client, name, type as "A", { nameServers }));
    for (const name of ["", "a..b", `${"x".repeat(64)}.test`, `${"abc.".repeat(70)}test`]) {
      await assertRejects(() => find(name, "A"), TypeError, "Cannot look up");
    }
    await assertRejects(() => find("x.test", "NONSENSE"), TypeError, 'records of type "NONSENSE"');
    await assertRejects(() => find("x.test", "A", []), TypeError, "no DNS server is known");
  }));

Deno.test("a resolver remembers answers for as long as they live, negative ones too", () =>
  pairTest(async ({ time, client, server }) => {
    const dns = scripted(server, ({ name }) => {
      if (name === "no.test") return { flags: nameError, authorities: [soa(100, 5)] };
      return { answers: [alias("x.test", "y.test", 30), a("y.test", "192.0.2.1", 10)] };
    });
    const resolver = new DnsResolver(client, { nameServers: [nameServer] });
    const find = (name: string) => time.waitFor(resolver.resolve(name, "A"));
    await find("x.test");
    await find("X.TEST.");
    assertEquals(dns.asked.length, 1);
    await time.run(10_001);
    await find("x.test");
    assertEquals(dns.asked.length, 2);
    for (let count = 0; count < 2; count++) await assertRejects(() => find("no.test"), Deno.errors.NotFound);
    assertEquals(dns.asked.length, 3);
    await time.run(5001);
    await assertRejects(() => find("no.test"), Deno.errors.NotFound);
    assertEquals(dns.asked.length, 4);
    dns.close();
  }));

Deno.test("hosts answer for themselves, in both directions", () =>
  pairTest(async ({ time, client }) => {
    const hosts = new Hosts(
      "# comment\n192.0.2.5 Web.test web # trailing\n192.0.2.6 web.test\nnonsense line\n2001:db8::5 web.test\n",
    );
    const resolver = new DnsResolver(client, { nameServers: [nameServer], hosts });
    assertEquals(await time.waitFor(resolver.resolve("WEB.test", "A")), ["192.0.2.5", "192.0.2.6"]);
    assertEquals(await time.waitFor(resolver.resolve("web.test", "AAAA")), ["2001:db8::5"]);
    assertEquals(await time.waitFor(resolver.resolve("192.0.2.5", "PTR")), ["web.test."]);
    assertEquals(await resolver.lookup("localhost"), ["127.0.0.1"]);
    await assertRejects(() => resolver.resolve("localhost", "AAAA"), Deno.errors.NotFound);
    assertEquals(reverseName("2001:db8::1").slice(0, 8), "1.0.0.0.");
  }));

Deno.test("a cache is bounded, counts lives down, and keeps nothing that may not be kept", () => {
  const clock = new VirtualClock(0);
  const cache = new DnsCache(clock, 2);
  const message = (name: string, parts: Record<string, unknown>) =>
    decodeMessage(response(1, { name, type: "A" }, parts))!;
  const put = (name: string, parts: Record<string, unknown>) => cache.set({ name, type: "A" }, message(name, parts));
  const get = (name: string) => cache.get({ name, type: "A" });
  put("a.test", { answers: [a("a.test", "192.0.2.1", 100)] });
  clock.set(40_500);
  assertEquals(get("A.test")!.answers.map(({ ttl }) => ttl), [60]);
  put("b.test", { answers: [a("b.test", "192.0.2.1", 100)] });
  get("a.test");
  put("c.test", { answers: [a("c.test", "192.0.2.1", 100)] });
  assertEquals([get("a.test") !== null, get("b.test"), get("c.test") !== null, cache.size], [true, null, true, 2]);
  cache.clear();
  put("zero.test", { answers: [a("zero.test", "192.0.2.1", 0)] });
  put("failure.test", { flags: 2 });
  put("no-soa.test", { flags: nameError });
  assertEquals(cache.size, 0);
});

Deno.test("a server forwards, shares what is under way, and answers from memory", () =>
  pairTest(async ({ time, client, server }) => {
    const upstream = scripted(client, () => ({ answers: [a("x.test", "192.0.2.1", 60)] }));
    const dns = new DnsServer(server, { nameServers: [{ ipAddr: "10.0.0.2" }] });
    const find = () => ask(client, [nameServer], { name: "x.test", type: "A" });
    await time.waitFor(Promise.all([find(), find(), find()]));
    assertEquals(upstream.asked.length, 1);
    await time.run(20_000);
    const { message } = await time.waitFor(find());
    assertEquals(message.answers.map(({ ttl }) => ttl), [40]);
    assertEquals([dns.counters.queries, dns.counters.forwarded, dns.counters.cached], [4, 1, 1]);
    await time.waitFor(dns.close());
    upstream.close();
  }));

Deno.test("a server whose own servers are silent answers SERVFAIL", () =>
  pairTest(async ({ time, client, server }) => {
    const upstream = scripted(client, () => null);
    const dns = new DnsServer(server, { nameServers: [{ ipAddr: "10.0.0.2" }], timeout: 100, attempts: 2 });
    const asking = ask(client, [nameServer], { name: "x.test", type: "A" }, { attempts: 1, timeout: 5000 });
    await assertRejects(() => time.waitFor(asking), Error, "10.0.0.1 answered SERVFAIL");
    assertEquals([upstream.asked.length, dns.counters.failed], [2, 1]);
    await time.waitFor(dns.close());
    upstream.close();
  }));

Deno.test("a server lets only so many queries wait for others' answers", () =>
  pairTest(async ({ time, client, server }) => {
    const upstream = scripted(client, () => null);
    const options = { timeout: 100, attempts: 1, maxPending: 2 };
    const dns = new DnsServer(server, { nameServers: [{ ipAddr: "10.0.0.2" }], ...options });
    const find = () => ask(client, [nameServer], { name: "x.test", type: "A" }, { attempts: 1, timeout: 5000 });
    const outcomes = await time.waitFor(Promise.allSettled([find(), find(), find(), find()]));
    assertEquals(outcomes.map(({ status }) => status), ["rejected", "rejected", "rejected", "rejected"]);
    assertEquals([dns.counters.refused, dns.counters.forwarded, upstream.asked.length], [2, 1, 1]);
    await time.waitFor(dns.close());
    upstream.close();
  }));

Deno.test("a server never answers what is no query, and says what it does not do", () =>
  pairTest(async ({ time, client, server }) => {
    const dns = new DnsServer(server, { nameServers: [] });
    const socket = client.connectDatagram({ hostname: serverAddress, port: 53 });
    const encode = (packet: Record<string, unknown>) =>
      dnsPacket.encode({ type: "query", id: 7, ...packet } as unknown as dnsPacket.Packet);
    const questions = [{ name: "x.test", type: "A", class: "IN" }];
    for (const bytes of [Buffer.from("nonsense"), new Uint8Array(0), encode({ type: "response", questions })]) {
      await socket.send(bytes);
    }
    await time.run(100);
    assertEquals([dns.counters.malformed, dns.counters.queries], [3, 0]);
    const codeOf = async (packet: Record<string, unknown>) => {
      await socket.send(encode(packet));
      return decodeMessage((await time.waitFor(socket.receive()))[0])!.code;
    };
    assertEquals(await codeOf({ questions }), "REFUSED");
    assertEquals(await codeOf({ questions: [] }), "FORMERR");
    assertEquals(await codeOf({ questions: [...questions, ...questions] }), "FORMERR");
    assertEquals(await codeOf({ questions, flags: 0x1000 }), "NOTIMP");
    assertEquals(await codeOf({ questions: [{ name: "localhost", type: "A", class: "CH" }] }), "REFUSED");
    assertEquals(await codeOf({ questions: [{ name: "localhost", type: "A", class: "IN" }] }), "NOERROR");
    socket.close();
    await time.waitFor(dns.close());
  }));

Deno.test("a server gives up silent TCP connections, and turns away those beyond its limit", () =>
  pairTest(async ({ time, client, server }) => {
    const dns = new DnsServer(server, { nameServers: [], maxConnections: 1, idleTimeout: 1000 });
    const first = await time.waitFor(client.connect({ hostname: serverAddress, port: 53 }));
    const second = await time.waitFor(client.connect({ hostname: serverAddress, port: 53 }));
    const endOf = async (
      conn: Deno.TcpConn,
    ) => (await time.waitFor(conn.read(new Uint8Array(1)).catch(({ name }) => name)));
    assertEquals(await endOf(second), "ConnectionReset");
    assertEquals(await endOf(first), "ConnectionReset");
    first.close();
    second.close();
    await time.waitFor(dns.close());
  }));

Deno.test("a port that is taken leaves nothing behind", () =>
  pairTest(async ({ server }) => {
    const taken = server.listen({ port: 53 });
    assertThrows(() => new DnsServer(server, { nameServers: [] }), Deno.errors.AddrInUse);
    assertEquals(server.ports.size, 1);
    taken.close();
    await Promise.resolve();
  }));
