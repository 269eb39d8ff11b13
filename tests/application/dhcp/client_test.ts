import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createWire, LoopbackDevice, SeededRandom, Stack } from "../../../mod.ts";
import { DhcpClient, obtainLease } from "../../../stack/application/dhcp.ts";
import type { DhcpMessageParts } from "../../../stack/application/dhcp/message.ts";
import { MessageType, OptionCode } from "../../../stack/dhcp_format.ts";
import {
  addressBytes,
  addressOf,
  routeBytes,
  secondsBytes,
  textBytes,
  textOf,
  uint16Bytes,
} from "../../../stack/application/dhcp/options.ts";
import { IpPrefix } from "../../../stack/address.ts";
import { ip, type Link, linkTest, ScriptedPeer, type Seen } from "./link.ts";

/** What a server grants, and what a test wants different. */
function grant(
  type: number,
  address = "10.0.0.7",
  changes: [code: number, value: Uint8Array][] = [],
): Partial<DhcpMessageParts> {
  const options = new Map<number, Uint8Array>([
    [OptionCode.serverIdentifier, addressBytes(ip("10.0.0.1"))],
    [OptionCode.subnetMask, addressBytes(ip("255.255.255.0"))],
    [OptionCode.leaseTime, secondsBytes(1000)],
    ...changes,
  ]);
  return { type, yourAddress: ip(address), options };
}

const nak = (reason = "no"): Partial<DhcpMessageParts> => ({
  type: MessageType.nak,
  options: new Map([
    [OptionCode.serverIdentifier, addressBytes(ip("10.0.0.1"))],
    [OptionCode.message, textBytes(reason)],
  ]),
});

/** A server that grants what is asked for. */
function generous(link: Link, address = "10.0.0.7", changes: [number, Uint8Array][] = []): ScriptedPeer {
  return new ScriptedPeer(link, ({ type }) => {
    if (type === MessageType.discover) return grant(MessageType.offer, address, changes);
    return type === MessageType.request ? grant(MessageType.ack, address, changes) : null;
  });
}

const typesOf = (seen: readonly Seen[]) => seen.map(({ type }) => type);
const { discover, offer, request, decline, ack, release } = MessageType;

linkTest(
  "a client discovers, requests and is bound: the interface has address, route, MTU and name servers",
  async (link) => {
    const server = generous(link, "10.0.0.7", [
      [OptionCode.routers, addressBytes(ip("10.0.0.1"), ip("10.0.0.2"))],
      [OptionCode.nameServers, addressBytes(ip("10.0.0.53"))],
      [OptionCode.domainName, textBytes("test\0")],
      [OptionCode.interfaceMtu, uint16Bytes(1400)],
    ]);
    const states: string[] = [];
    const client = link.client({ hostName: "printer", onChange: (state) => states.push(state) });
    const lease = await link.time.waitFor(client.bound());
    assertEquals(states, ["selecting", "requesting", "bound"]);
    assertEquals(client.state, "bound");
    assertEquals([client.address, link.addresses], ["10.0.0.7/24", ["10.0.0.7/24"]]);
    assertEquals(link.routes, ["10.0.0.0/24", "0.0.0.0/0 via 10.0.0.1"]);
    assertEquals([link.nic.mtu, lease.mtu], [1400, 1400]);
    assertEquals([lease.nameServers.join(), lease.domainName, lease.routers.length], ["10.0.0.53", "test", 2]);
    assertEquals([lease.leaseTime, lease.renewalTime, lease.rebindingTime], [1000, 500, 875]);
    assertEquals(client.remaining, 1_000_000 - (link.time.now - lease.startedAt));
    assertEquals(typesOf(server.seen), [discover, request]);
    const [first, second] = server.seen as [Seen, Seen];
    assertEquals([first.from, first.broadcast, second.from, second.broadcast], ["0.0.0.0", true, "0.0.0.0", true]);
    assertEquals(second.transaction, first.transaction);
    assertEquals(String(addressOf(second.options, OptionCode.requestedAddress)), "10.0.0.7");
    assertEquals(String(addressOf(second.options, OptionCode.serverIdentifier)), "10.0.0.1");
    assertEquals(textOf(second.options, OptionCode.hostName), "printer");
    assertEquals([...first.options.get(OptionCode.clientIdentifier)!], [1, ...link.nic.mac!.bytes]);
    assertEquals([...first.options.get(OptionCode.parameterRequests)!].slice(0, 3), [1, 121, 3]);
    await link.time.waitFor(client.release());
    assertEquals([link.addresses, link.routes, link.nic.mtu], [[], [], 1500]);
    server.close();
  },
);

linkTest(
  "a discovery without an answer is sent again after 4, 8, 16, 32, 64 and 64 seconds, give or take one",
  async (link) => {
    const server = new ScriptedPeer(link, () => null);
    const client = link.client();
    await link.time.run(200_000);
    const times = server.seen.map(({ at }) => at);
    assertEquals(server.seen.length, 7);
    for (const [index, expected] of [4, 8, 16, 32, 64, 64].entries()) {
      const waited = times[index + 1]! - times[index]!;
      assert(Math.abs(waited - expected * 1000) <= 1000, `${waited} ms`);
    }
    const waits = times.slice(1).map((time, index) => time - times[index]!);
    assert(waits.some((wait) => wait % 1000 !== 0), "there is jitter");
    assertEquals(new Set(server.seen.map(({ transaction }) => transaction)).size, 1);
    assertEquals(server.seen.at(-1)!.seconds, Math.floor((times.at(-1)! - times[0]!) / 1000));
    client.stop();
    assertEquals(client.state, "stopped");
    server.close();
  },
);

linkTest(
  "a request without an answer is sent five times, with the seconds of the discovery; then the client begins anew",
  async (link) => {
    const server = new ScriptedPeer(link, ({ type }) => type === discover ? grant(offer) : null);
    const client = link.client();
    await link.time.waitUntil(() => typesOf(server.seen).lastIndexOf(discover) > 0);
    assertEquals(typesOf(server.seen).slice(0, 7), [discover, request, request, request, request, request, discover]);
    assertEquals(server.seen.slice(1, 6).map(({ seconds }) => seconds), [0, 0, 0, 0, 0]);
    client.stop();
    server.close();
  },
);

linkTest("lost messages delay a lease, and do not prevent it", async (link) => {
  const server = link.server();
  const lost = new Set<number>();
  // The first message of each kind is lost, both ways.
  const losesFirst = ({ type }: { type: number }) => !lost.has(type) && lost.add(type) !== null;
  link.hostEnd.loses = link.routerEnd.loses = losesFirst;
  const client = link.client();
  const started = link.time.now;
  await link.time.waitFor(client.bound());
  assertEquals([...lost].sort(), [discover, offer, request, ack]);
  const waited = link.time.now - started;
  assert(waited > 20_000 && waited < 30_000, `${waited} ms`);
  client.stop();
  server.close();
});

linkTest("of several offers the client takes the first; it may wait for more and choose", async (link) => {
  const offers = ["10.0.0.7", "10.0.0.8", "10.0.0.9"];
  const server: ScriptedPeer = new ScriptedPeer(link, (message) => {
    if (message.type !== discover) {
      return grant(ack, String(addressOf(message.options, OptionCode.requestedAddress)));
    }
    for (const address of offers) server.send(message, grant(offer, address));
    return null;
  });
  const bind = async (options: Parameters<Link["client"]>[0]) => {
    const client = link.client(options);
    const { address } = await link.time.waitFor(client.bound());
    client.stop();
    return String(address);
  };
  assertEquals(await bind({}), "10.0.0.7/24");
  assertEquals(await bind({ offerWait: 100, chooseOffer: (all) => all.at(-1)! }), "10.0.0.9/24");
  server.close();
});

linkTest("messages for others, unfit ones and nonsense are counted, and change nothing", async (link) => {
  const wrong: [string, Partial<DhcpMessageParts>][] = [
    ["another transaction", { ...grant(offer), transaction: 1 }],
    ["an acknowledgement of nothing", grant(ack)],
    ["a client's message", { ...grant(offer), operation: 1 }],
    ["another client's", { ...grant(offer), clientHardware: link.routerNic.mac! }],
    ["no server", { ...grant(offer), options: new Map([[OptionCode.leaseTime, secondsBytes(9)]]) }],
    ["no lease time", {
      ...grant(offer),
      options: new Map([[OptionCode.serverIdentifier, addressBytes(ip("10.0.0.1"))]]),
    }],
    ["a group as the address", grant(offer, "224.0.0.9")],
    ["nobody's address", grant(offer, "0.0.0.0")],
    ["the loopback's address", grant(offer, "127.0.0.1")],
    ["the subnet's address", grant(offer, "10.0.0.0")],
    ["the broadcast address", grant(offer, "10.0.0.255")],
    ["a mask with holes", grant(offer, "10.0.0.7", [[OptionCode.subnetMask, addressBytes(ip("255.0.255.0"))]])],
    ["a lease of no time", grant(offer, "10.0.0.7", [[OptionCode.leaseTime, secondsBytes(0)]])],
  ];
  const server: ScriptedPeer = new ScriptedPeer(link, (message) => {
    for (const [, answer] of wrong) server.send(message, answer);
    return null;
  });
  const client = link.client();
  await link.time.run(100);
  assertEquals([client.state, client.lease], ["selecting", null]);
  assertEquals([client.counters.ignored, client.counters.malformed], [4, wrong.length - 4]);
  client.stop();
  server.close();
});

linkTest("without a mask, the prefix is that of the address's class", async (link) => {
  const server = generous(link, "10.0.0.7", [[OptionCode.subnetMask, new Uint8Array(0)]]);
  const client = link.client();
  await link.time.waitFor(client.bound());
  assertEquals(client.address, "10.0.0.7/8");
  client.stop();
  server.close();
});

linkTest("classless routes take the place of the routers (RFC 3442)", async (link) => {
  const route = (prefix: string, gateway: string | null) => ({
    prefix: IpPrefix.parse(prefix),
    gateway: gateway === null ? null : ip(gateway),
  });
  const server = generous(link, "10.0.0.7", [
    [OptionCode.routers, addressBytes(ip("10.0.0.99"))],
    [
      OptionCode.classlessRoutes,
      routeBytes([route("0.0.0.0/0", "10.0.0.1"), route("192.168.7.0/25", "10.0.0.2"), route("10.9.0.0/16", null)]),
    ],
  ]);
  const client = link.client();
  await link.time.waitFor(client.bound());
  assertEquals(link.routes, [
    "192.168.7.0/25 via 10.0.0.2",
    "10.0.0.0/24",
    "10.9.0.0/16",
    "0.0.0.0/0 via 10.0.0.1",
  ]);
  client.stop();
  server.close();
});

linkTest("an MTU that no host may have is not believed", async (link) => {
  const server = generous(link, "10.0.0.7", [[OptionCode.interfaceMtu, uint16Bytes(68)]]);
  const client = link.client();
  const { mtu } = await link.time.waitFor(client.bound());
  assertEquals([mtu, link.nic.mtu], [null, 1500]);
  client.stop();
  server.close();
});

linkTest("at T1 the lease is renewed from its own address with its server; connections go on", async (link) => {
  const server = generous(link);
  const client = link.client();
  const { startedAt } = await link.time.waitFor(client.bound());
  const listener = link.router.listen({ port: 7 });
  const conn = await link.time.waitFor(link.host.connect({ hostname: "10.0.0.1", port: 7 }));
  const accepted = await listener.accept();
  await link.time.waitUntil(() => server.seen.length === 3);
  const renewal = server.seen[2]!;
  const waited = renewal.at - startedAt;
  assert(waited >= 475_000 && waited <= 500_000, `${waited} ms`);
  assertEquals([renewal.type, renewal.from, String(renewal.clientAddress)], [request, "10.0.0.7", "10.0.0.7"]);
  assertEquals([renewal.options.has(50), renewal.options.has(54), renewal.broadcast], [false, false, false]);
  await link.time.run(1000);
  assertEquals([client.state, client.lease!.startedAt], ["bound", renewal.at]);
  await conn.write(new Uint8Array(1));
  assertEquals(await link.time.waitFor(accepted.read(new Uint8Array(9))), 1);
  for (const each of [conn, accepted, listener]) each.close();
  await link.time.waitFor(client.release());
  await link.time.run(300_000);
  server.close();
});

linkTest(
  "a server that is silent is asked in T1 to T2, then anybody, and then the address is given up at the end",
  async (link) => {
    let silent = false;
    const server = new ScriptedPeer(link, ({ type }) => silent ? null : grant(type === discover ? offer : ack));
    const states: [state: string, after: number][] = [];
    const started = link.time.now;
    const client = link.client({
      onChange: (state) => states.push([state, Math.round((link.time.now - started) / 1000)]),
    });
    await link.time.waitFor(client.bound());
    silent = true;
    await link.time.waitUntil(() => client.counters.expired === 1);
    const after = (name: string) => states.find(([state]) => state === name)![1];
    assert(after("renewing") >= 475 && after("renewing") <= 500);
    assertEquals([after("rebinding"), states.at(-1)], [875, ["selecting", 1000]]);
    assertEquals([client.lease, link.addresses, link.routes], [null, [], []]);
    const rest = server.seen.slice(2);
    const rebinding = rest.filter(({ at }) => at - started >= 875_000 && at - started < 1_000_000);
    const renewing = rest.filter(({ at }) => at - started < 875_000);
    // Half of what is left, but a minute at least (RFC 2131 section 4.4.5).
    assert(renewing.length >= 3 && renewing.length <= 4, `${renewing.length}`);
    assertEquals(rebinding.map(({ at, from }) => [Math.round((at - started) / 1000), from]), [
      [875, "10.0.0.7"],
      [938, "10.0.0.7"],
      [998, "10.0.0.7"],
    ]);
    for (const { type, clientAddress } of rest.slice(0, -1)) {
      assertEquals([type, String(clientAddress)], [
        request,
        "10.0.0.7",
      ]);
    }
    // Expired, it looks for a server again, and would like the same address.
    const last = server.seen.at(-1)!;
    assertEquals([last.type, String(addressOf(last.options, 50)), last.from], [discover, "10.0.0.7", "0.0.0.0"]);
    silent = false;
    await link.time.waitFor(client.bound());
    assertEquals(link.addresses, ["10.0.0.7/24"]);
    client.stop();
    server.close();
  },
);

linkTest("an answer while rebinding makes another server the lease's", async (link) => {
  const other = addressBytes(ip("10.0.0.9"));
  const server = new ScriptedPeer(link, ({ type, at }) => {
    if (type === discover) return grant(offer);
    if (at < 800_000) return at < 10_000 ? grant(ack) : null;
    return grant(ack, "10.0.0.7", [[OptionCode.serverIdentifier, other]]);
  });
  const client = link.client();
  await link.time.waitFor(client.bound());
  await link.time.waitUntil(() => client.lease?.server.toString() === "10.0.0.9");
  assertEquals([client.state, link.addresses], ["bound", ["10.0.0.7/24"]]);
  client.stop();
  server.close();
});

linkTest("a renewal that says something else changes routes and MTU, and leaves the address alone", async (link) => {
  const answer = (router: string, mtu: number) =>
    [
      [OptionCode.routers, addressBytes(ip(router))],
      [OptionCode.interfaceMtu, uint16Bytes(mtu)],
    ] as [number, Uint8Array][];
  const server = new ScriptedPeer(link, ({ type, clientAddress }) => {
    const changes = clientAddress.isUnspecified ? answer("10.0.0.1", 1400) : answer("10.0.0.2", 1300);
    return grant(type === discover ? offer : ack, "10.0.0.7", changes);
  });
  const client = link.client();
  await link.time.waitFor(client.bound());
  const announced = link.host.counters.snapshot()["arp.announcementsSent"];
  const socket = link.host.listenDatagram({ port: 9 });
  const to = { transport: "udp", hostname: "10.0.0.1", port: 9 } as const;
  // 28 bytes of headers come in front.
  for (const bytes of [1372, 1373]) await socket.send(new Uint8Array(bytes), to);
  assertEquals(link.host.counters.snapshot()["ipv4.fragmented"], 1);
  client.renew();
  await link.time.run(10);
  assertEquals([link.routes, link.nic.mtu], [["10.0.0.0/24", "0.0.0.0/0 via 10.0.0.2"], 1300]);
  assertEquals(link.host.counters.snapshot()["arp.announcementsSent"], announced);
  for (const bytes of [1272, 1273]) await socket.send(new Uint8Array(bytes), to);
  assertEquals(link.host.counters.snapshot()["ipv4.fragmented"], 2);
  await link.time.run(10);
  socket.close();
  client.stop();
  server.close();
});

linkTest("a lease for ever is not renewed", async (link) => {
  const server = generous(link, "10.0.0.7", [[OptionCode.leaseTime, secondsBytes(Infinity)]]);
  const client = link.client();
  const lease = await link.time.waitFor(client.bound());
  assertEquals([lease.leaseTime, client.remaining], [Infinity, Infinity]);
  await link.time.run(10_000_000);
  assertEquals([client.state, server.seen.length], ["bound", 2]);
  client.stop();
  server.close();
});

linkTest("the server's T1 and T2 are followed, unless they are out of order", async (link) => {
  const times = (t1: number, t2: number): [number, Uint8Array][] => [
    [OptionCode.renewalTime, secondsBytes(t1)],
    [OptionCode.rebindingTime, secondsBytes(t2)],
  ];
  for (const [t1, t2, expected] of [[100, 200, [100, 200]], [900, 200, [500, 875]], [10, 2000, [500, 875]]] as const) {
    const server = generous(link, "10.0.0.7", times(t1, t2));
    const client = link.client();
    const lease = await link.time.waitFor(client.bound());
    assertEquals([lease.renewalTime, lease.rebindingTime], [...expected]);
    client.stop();
    server.close();
  }
});

linkTest("a refusal while renewing takes the address away at once, and the client begins anew", async (link) => {
  const server = new ScriptedPeer(link, ({ type, clientAddress }, count) => {
    if (!clientAddress.isUnspecified) return nak("moved\x1b[2J");
    return grant(type === discover ? offer : ack, count < 4 ? "10.0.0.7" : "10.0.0.8");
  });
  const warnings: string[] = [];
  const logger = { debug: () => {}, info: () => {}, warn: (text: string) => warnings.push(text), error: () => {} };
  const client = link.client({ logger });
  await link.time.waitFor(client.bound());
  assertEquals(client.renew(), true);
  await link.time.run(1);
  assertEquals([client.counters.refused, link.addresses], [1, ["10.0.0.8/24"]]);
  // What a server says must not steer a terminal: this reason is not printable.
  assertEquals(warnings, ["The DHCP server refused 10.0.0.7"]);
  client.stop();
  assertEquals(client.renew(), false);
  server.close();
});

linkTest("a server that offers and refuses in turn is asked less and less often", async (link) => {
  const server = new ScriptedPeer(link, ({ type }) => type === discover ? grant(offer) : nak());
  const client = link.client();
  await link.time.run(60_000);
  const discoveries = server.seen.filter(({ type }) => type === discover).map(({ at }) => at);
  assert(discoveries.length >= 5 && discoveries.length <= 7, `${discoveries.length}`);
  client.stop();
  server.close();
});

linkTest("an address that somebody else has is declined, and another one asked for after ten seconds", async (link) => {
  const server = new ScriptedPeer(link, ({ type }, count) => {
    if (type === decline) return null;
    return grant(type === discover ? offer : ack, count < 3 ? "10.0.0.1" : "10.0.0.7");
  });
  const warnings: string[] = [];
  const logger = { debug: () => {}, info: () => {}, warn: (text: string) => warnings.push(text), error: () => {} };
  const client = link.client({ probe: true, logger });
  await link.time.waitUntil(() => client.counters.declined === 1);
  assertEquals([client.state, link.addresses], ["init", []]);
  const declinedAt = link.time.now;
  const lease = await link.time.waitFor(client.bound());
  assertEquals(typesOf(server.seen), [discover, request, decline, discover, request]);
  const declined = server.seen[2]!;
  assertEquals(String(addressOf(declined.options, OptionCode.requestedAddress)), "10.0.0.1");
  assertEquals(String(addressOf(declined.options, OptionCode.serverIdentifier)), "10.0.0.1");
  assertEquals([declined.from, String(declined.clientAddress)], ["0.0.0.0", "0.0.0.0"]);
  assertEquals(server.seen[3]!.at - declinedAt, 10_000);
  assertEquals(server.seen[3]!.options.has(OptionCode.requestedAddress), false);
  // The second one was probed, too, and free: three probes, and the wait after them.
  const probed = link.time.now - lease.startedAt;
  assert(probed >= 4000 && probed <= 7000, `${probed} ms`);
  // The lease runs from when it was asked for.
  assertEquals(client.remaining, 1_000_000 - probed);
  assertEquals(warnings, [`Declined 10.0.0.1, which 10.0.0.1 offered: ${link.routerNic.mac} has it`]);
  client.stop();
  server.close();
});

linkTest("a previous address that somebody else has by now is not asked for again", async (link) => {
  const server = new ScriptedPeer(link, ({ type }) => type === request ? grant(ack, "10.0.0.1") : null);
  const client = link.client({ probe: true, previousAddress: "10.0.0.1" });
  await link.time.waitUntil(() => typesOf(server.seen).includes(discover));
  assertEquals(typesOf(server.seen), [request, decline, discover]);
  assertEquals(server.seen[2]!.options.has(OptionCode.requestedAddress), false);
  client.stop();
  server.close();
});

linkTest("a refusal by a server whose offer was not taken means nothing", async (link) => {
  const server: ScriptedPeer = new ScriptedPeer(link, (message) => {
    if (message.type === discover) return grant(offer);
    const options = new Map([[OptionCode.serverIdentifier, addressBytes(ip("10.0.0.9"))]]);
    server.send(message, { type: MessageType.nak, options });
    return grant(ack);
  });
  const client = link.client();
  await link.time.waitFor(client.bound());
  assertEquals([client.counters.refused, client.counters.ignored, client.address], [0, 1, "10.0.0.7/24"]);
  client.stop();
  server.close();
});

linkTest("with a previous address the client asks for that first, without a discovery", async (link) => {
  const server = generous(link);
  const client = link.client({ previousAddress: "10.0.0.7" });
  assertEquals(client.state, "rebooting");
  await link.time.waitFor(client.bound());
  assertEquals(typesOf(server.seen), [request]);
  const [only] = server.seen as [Seen];
  assertEquals([String(addressOf(only.options, 50)), only.options.has(54)], ["10.0.0.7", false]);
  client.stop();
  server.close();
});

linkTest(
  "a previous address that is refused is forgotten; one that nobody speaks of is still wished for",
  async (link) => {
    const refusing = new ScriptedPeer(link, ({ type }) => type === request ? nak() : null);
    const refused = link.client({ previousAddress: "10.0.0.7" });
    await link.time.run(10);
    assertEquals(typesOf(refusing.seen), [request, discover]);
    assertEquals(refusing.seen[1]!.options.has(OptionCode.requestedAddress), false);
    refused.stop();
    refusing.close();
    const silent = new ScriptedPeer(link, () => null);
    const ignored = link.client({ previousAddress: "10.0.0.7" });
    await link.time.waitUntil(() => ignored.state === "selecting");
    assertEquals(typesOf(silent.seen), [request, request, request, discover]);
    assertEquals(String(addressOf(silent.seen[3]!.options, 50)), "10.0.0.7");
    ignored.stop();
    silent.close();
  },
);

linkTest("a release goes to the server from the address, which is gone afterwards", async (link) => {
  const server = generous(link);
  const client = link.client();
  await link.time.waitFor(client.bound());
  const released = client.release();
  assertEquals(client.state, "releasing");
  assertEquals(client.release(), released);
  await link.time.waitFor(released);
  const last = server.seen.at(-1)!;
  assertEquals([last.type, last.from, String(last.clientAddress)], [release, "10.0.0.7", "10.0.0.7"]);
  assertEquals([client.state, link.addresses, client.address, client.remaining], ["stopped", [], null, 0]);
  await assertRejects(() => client.bound(), Deno.errors.Interrupted);
  server.close();
});

linkTest("a release that cannot reach the server ends after a second", async (link) => {
  const server = generous(link);
  const client = link.client();
  await link.time.waitFor(client.bound());
  link.router.removeAddress(link.routerNic, "10.0.0.1");
  const started = link.time.now;
  await link.time.waitFor(client.release());
  assertEquals([link.time.now - started, link.addresses], [1000, []]);
  server.close();
});

linkTest("stop says nothing to the server; a stack that closes stops its client", async (link) => {
  const server = generous(link);
  const client = link.client();
  await link.time.waitFor(client.bound());
  client.stop();
  client.stop();
  assertEquals([server.seen.length, link.addresses, client.state], [2, [], "stopped"]);
  const probing = link.client({ probe: true });
  const waiting = probing.bound();
  waiting.catch(() => {});
  await link.time.waitUntil(() => probing.state === "probing");
  await link.time.waitFor(link.host.close());
  await link.time.settleAll();
  assertEquals(probing.state, "stopped");
  await assertRejects(() => waiting, Deno.errors.Interrupted, "the client was stopped");
  server.close();
});

linkTest("obtainLease gives up in time, or when it is told to, and leaves nothing behind", async (link) => {
  const options = { random: new SeededRandom(1) };
  const timed = obtainLease(link.host, link.nic, { ...options, timeout: 5000 });
  timed.catch(() => {});
  const started = link.time.now;
  await assertRejects(
    () => link.time.waitFor(timed),
    Deno.errors.TimedOut,
    "no DHCP server has granted one in 5000 ms",
  );
  assertEquals(link.time.now - started, 5000);
  const controller = new AbortController();
  const aborted = obtainLease(link.host, link.nic, { ...options, signal: controller.signal });
  controller.abort();
  await assertRejects(() => aborted, DOMException);
  await assertRejects(() => obtainLease(link.host, link.nic, { ...options, signal: controller.signal }), DOMException);
  assertEquals([link.host.ports.size, link.time.timers.running], [0, 0]);
});

linkTest("two interfaces of a stack have a client each", async (link) => {
  const [left, right] = createWire();
  const second = link.host.attach(left);
  const routerNic = link.router.attach(right, { addresses: ["10.1.0.1/24"] });
  const server = link.server();
  const other = link.server();
  other.close();
  const { DhcpServer } = await import("../../../stack/application/dhcp.ts");
  const secondServer = new DhcpServer(link.router, routerNic, {
    range: [ip("10.1.0.5"), ip("10.1.0.5")],
    probe: false,
  });
  const one = link.client();
  const two = new DhcpClient(link.host, second, { probe: false, random: new SeededRandom(3) });
  await link.time.waitFor(Promise.all([one.bound(), two.bound()]));
  assertEquals(one.address?.startsWith("10.0.0.10"), true);
  assertEquals(two.address, "10.1.0.5/24");
  assertEquals([server.counters.discovers, secondServer.counters.discovers], [1, 1]);
  one.stop();
  two.stop();
  server.close();
  secondServer.close();
});

Deno.test("options that make no sense are refused before anything is sent", async () => {
  await using stack = new Stack({ eventLoop: false });
  const [end] = createWire();
  const nic = stack.attach(end);
  const make = (options: ConstructorParameters<typeof DhcpClient>[2]) => () => new DhcpClient(stack, nic, options);
  assertThrows(make({ previousAddress: "nonsense" }), TypeError, 'Cannot parse "nonsense"');
  assertThrows(make({ previousAddress: "255.255.255.255" }), TypeError, "give the IPv4 address of a host");
  assertThrows(make({ hostName: "two words" }), TypeError, 'Cannot use "two words" as a host name');
  assertThrows(make({ clientIdentifier: new Uint8Array(1) }), TypeError, "give 2 to 255");
  const loopback = stack.attach(new LoopbackDevice());
  assertThrows(() => new DhcpClient(stack, loopback), TypeError, "it has no Ethernet address");
  assertEquals([stack.ports.size, stack.timers.running], [0, 0]);
});
