import { assertEquals, assertThrows } from "@std/assert";
import { IpPrefix, MacAddress, Stack } from "../../../mod.ts";
import { type Binding, type DhcpServer, DhcpServer as Server } from "../../../stack/application/dhcp.ts";
import {
  decodeMessage,
  type DhcpMessage,
  type DhcpMessageParts,
  encodeMessage,
} from "../../../stack/application/dhcp/message.ts";
import {
  addressBytes,
  addressesOf,
  addressOf,
  routesOf,
  secondsBytes,
  secondsOf,
  textBytes,
  textOf,
  uint16Of,
} from "../../../stack/application/dhcp/options.ts";
import { DhcpPort, MessageType, OptionCode } from "../../../stack/dhcp_format.ts";
import { createWire, IpAddress } from "../../../mod.ts";
import { ip, type Link, linkTest } from "./link.ts";

const { discover, offer, request, decline, ack, nak, release, inform } = MessageType;

/** What reached the client, and whether it was sent to everybody. */
interface Answer extends DhcpMessage {
  readonly to: string;
}

/** Clients of any hardware address, played by a test on the host's end of a link. */
class Clients {
  readonly #link: Link;
  readonly answers: Answer[] = [];

  constructor(link: Link) {
    this.#link = link;
    // Frames for whatever address are seen.
    link.nic.promiscuous = true;
    const socket = link.host.udp.bind({ local: { address: IpAddress.unspecified4, port: DhcpPort.client } });
    const deliver = socket.deliver.bind(socket);
    socket.deliver = (packet, at, length, port) => {
      const message = decodeMessage(packet.bytes.slice(at, at + length))!;
      this.answers.push({ ...message, to: String(IpAddress.fromBytes(packet.bytes, packet.destinationAt, 4)) });
      return deliver(packet, at, length, port);
    };
  }

  /** Sends a message from `source` and returns the answers to it. */
  async send(
    type: number,
    options: [number, Uint8Array][] = [],
    parts: Partial<DhcpMessageParts> & { from?: string; to?: string } = {},
  ): Promise<Answer[]> {
    const { from = "0.0.0.0", to = "255.255.255.255", ...rest } = parts;
    const message = { operation: 1, type, transaction: 7, broadcast: true, clientHardware: mac(1), ...rest };
    const payload = encodeMessage({ ...message, options: new Map(options) });
    this.answers.length = 0;
    this.sendBytes(payload, from, to);
    await this.#link.time.settleAll();
    return [...this.answers];
  }

  sendBytes(payload: Uint8Array, from = "0.0.0.0", to = "255.255.255.255"): void {
    const { udp } = this.#link.host;
    this.#link.nic.spoofing = true;
    const { path } = udp.findPath(ip(to), ip(from), this.#link.nic)!;
    if (to !== "255.255.255.255") {
      path.neighbor = { nic: this.#link.nic, etherType: 0x0800, destination: this.#link.routerNic.mac };
    }
    udp.send(payload, { path, sourcePort: DhcpPort.client, destinationPort: DhcpPort.server });
  }

  /** Discovers and requests, and returns the address. */
  async lease(client: number, options: [number, Uint8Array][] = []): Promise<string | null> {
    const clientHardware = mac(client);
    const [offered] = await this.send(discover, options, { clientHardware });
    if (offered === undefined) return null;
    const [granted] = await this.send(request, [...options, ...taking(offered)], { clientHardware });
    return granted?.type === ack ? String(granted.yourAddress) : null;
  }
}

const mac = (number: number) => MacAddress.parse(`02:00:00:00:01:${number.toString(16).padStart(2, "0")}`);
const requested = (address: string): [number, Uint8Array] => [OptionCode.requestedAddress, addressBytes(ip(address))];
const own: [number, Uint8Array] = [OptionCode.serverIdentifier, addressBytes(ip("10.0.0.1"))];
const taking = ({ yourAddress }: DhcpMessage): [number, Uint8Array][] => [requested(String(yourAddress)), own];

function serverTest(
  name: string,
  body: (clients: Clients, server: DhcpServer, link: Link) => Promise<void>,
  options: Parameters<Link["server"]>[0] = {},
): void {
  linkTest(name, async (link) => {
    // Clients have no address of their own, but routes lead to the link.
    link.host.routes.add({ prefix: IpPrefix.parse("0.0.0.0/0"), nic: link.nic });
    using server = link.server(options);
    await body(new Clients(link), server, link);
  });
}

serverTest("offers and grants carry the lease and what the client asked for, in its order", async (clients, server) => {
  const list: [number, Uint8Array] = [OptionCode.parameterRequests, new Uint8Array([15, 3, 1, 3, 99, 26, 6])];
  const [offered] = await clients.send(discover, [list]);
  assertEquals([offered!.type, String(offered!.yourAddress).startsWith("10.0.0.10")], [offer, true]);
  const [granted] = await clients.send(request, [...taking(offered!), list]);
  const { options, type, yourAddress, transaction } = granted!;
  assertEquals([type, String(yourAddress), transaction], [ack, String(offered!.yourAddress), 7]);
  assertEquals([...options.keys()], [54, 51, 58, 59, 15, 3, 1, 26, 6]);
  assertEquals([secondsOf(options, 51), secondsOf(options, 58), secondsOf(options, 59)], [600, 300, 525]);
  assertEquals([textOf(options, 15), uint16Of(options, 26)], ["test", 1400]);
  assertEquals(addressesOf(options, 6).join(), "10.0.0.53,10.0.0.54");
  assertEquals([String(addressOf(options, 54)), String(addressOf(options, 1))], ["10.0.0.1", "255.255.255.0"]);
  const [all] = await clients.send(discover, []);
  assertEquals(String(routesOf(all!.options)![0]!.prefix), "10.9.0.0/16");
  assertEquals([...all!.options.keys()], [54, 51, 58, 59, 1, 121, 3, 6, 15, 26, 28]);
  assertEquals([server.counters.offers, server.counters.acks], [2, 1]);
  assertEquals(server.leases.map(({ state, mac }) => [state, String(mac)]), [["leased", "02:00:00:00:01:01"]]);
}, {
  leaseTime: 600,
  routers: [ip("10.0.0.1")],
  nameServers: [ip("10.0.0.53"), ip("10.0.0.54")],
  domainName: "test",
  mtu: 1400,
  routes: [{ prefix: IpPrefix.parse("10.9.0.0/16"), gateway: null }],
});

serverTest(
  "answers go to everybody, to the hardware address, or to the address in use, as the client needs it",
  async (clients) => {
    const [wide] = await clients.send(discover);
    assertEquals(wide!.to, "255.255.255.255");
    const [narrow] = await clients.send(discover, [], { broadcast: false });
    assertEquals(narrow!.to, String(narrow!.yourAddress));
    await clients.send(request, taking(narrow!), { broadcast: false });
    const clientAddress = narrow!.yourAddress;
    const [renewed] = await clients.send(request, [], { clientAddress, from: String(clientAddress), to: "10.0.0.1" });
    assertEquals([renewed!.type, renewed!.to], [ack, String(clientAddress)]);
  },
);

serverTest(
  "what a relay of the subnet passes on goes back through it; other subnets are not ours",
  async (clients, server, link) => {
    link.host.addAddress(link.nic, "10.0.0.9/24");
    const relay = link.host.udp.bind({ local: { address: ip("10.0.0.9"), port: DhcpPort.server } });
    await clients.send(discover, [], { relayAddress: ip("10.0.0.9"), from: "10.0.0.9", to: "10.0.0.1" });
    await link.time.settleAll();
    const bytes = new Uint8Array(600);
    assertEquals(relay.receive(bytes, { address: IpAddress.unspecified4, port: 0 }) > 0, true);
    assertEquals(decodeMessage(bytes)!.type, offer);
    await clients.send(discover, [], { relayAddress: ip("10.7.0.9"), from: "10.0.0.9", to: "10.0.0.1" });
    assertEquals([server.counters.discovers, server.counters.ignored], [1, 1]);
  },
);

serverTest(
  "a client gets the address that it has, that it had, that it wants, or any that is free",
  async (clients, server, link) => {
    assertEquals(await clients.lease(1, [requested("10.0.0.102")]), "10.0.0.102");
    assertEquals(await clients.lease(1), "10.0.0.102");
    assertEquals(await clients.lease(1, [requested("10.0.0.100")]), "10.0.0.102");
    const second = await clients.lease(2, [requested("10.0.0.102")]);
    assertEquals(second === "10.0.0.102" || second === null, false);
    assertEquals((await clients.lease(3, [requested("192.0.2.7")]))!.startsWith("10.0.0.10"), true);
    await clients.lease(4);
    assertEquals(server.leases.map(({ address }) => String(address)), [
      "10.0.0.100",
      "10.0.0.101",
      "10.0.0.102",
      "10.0.0.103",
    ]);
    assertEquals([await clients.lease(5), server.counters.exhausted], [null, 1]);
    // The one that ran out first is used again, and its client, back again, gets another one.
    await link.time.run(1000);
    for (const client of [2, 3, 4]) await clients.lease(client);
    await link.time.run(3_599_500);
    assertEquals(await clients.lease(5), "10.0.0.102");
    assertEquals(await clients.lease(1), null);
  },
);

serverTest("an address is leased to one client only, whoever asks for it and how", async (clients, server) => {
  const address = (await clients.lease(1))!;
  const other = { clientHardware: mac(2) };
  const types = async (...args: Parameters<Clients["send"]>) => (await clients.send(...args)).map(({ type }) => type);
  assertEquals(await types(request, [requested(address), own], other), [nak]);
  assertEquals(await types(request, [], { ...other, clientAddress: ip(address) }), [nak]);
  assertEquals(await types(request, [], { ...other, clientAddress: ip("10.0.0.1") }), [nak]);
  assertEquals(await types(request, [], { ...other, clientAddress: ip("192.0.2.7") }), [nak]);
  assertEquals(server.counters.naks, 4);
  assertEquals(server.leases.map(({ mac }) => String(mac)), [String(mac(1))]);
  // Two clients that look at the same time are offered different addresses.
  const offers = [];
  for (const client of [2, 3, 4]) offers.push(...await clients.send(discover, [], { clientHardware: mac(client) }));
  assertEquals(new Set(offers.map(({ yourAddress }) => String(yourAddress))).size, 3);
});

serverTest("a refusal says why, and goes to everybody", async (clients) => {
  const [refused] = await clients.send(request, [requested("10.0.0.100"), own], { broadcast: false });
  assertEquals([refused!.type, refused!.to, String(refused!.yourAddress)], [nak, "255.255.255.255", "0.0.0.0"]);
  assertEquals(textOf(refused!.options, OptionCode.message), "this address was not offered");
  assertEquals(refused!.options.has(OptionCode.leaseTime), false);
});

serverTest(
  "who is started anew keeps its address, is refused a wrong one, and hears nothing if it is unknown",
  async (clients) => {
    const reboot = async (address: string, client = 1) =>
      (await clients.send(request, [requested(address)], { clientHardware: mac(client) })).map(({ type }) => type);
    assertEquals(await reboot("10.0.0.100"), []);
    const address = (await clients.lease(1))!;
    assertEquals(await reboot(address), [ack]);
    assertEquals(await reboot(address === "10.0.0.100" ? "10.0.0.101" : "10.0.0.100"), [nak]);
    assertEquals(await reboot("192.0.2.7"), [nak]);
    assertEquals(await reboot("192.0.2.7", 2), [nak]);
    assertEquals(await reboot(address, 2), []);
  },
);

serverTest("a request for another server's offer takes ours back", async (clients, server) => {
  await clients.send(discover);
  assertEquals(server.leases.map(({ state }) => state), ["offered"]);
  const answers = await clients.send(request, [
    requested("10.0.0.200"),
    [OptionCode.serverIdentifier, addressBytes(ip("10.0.0.2"))],
  ]);
  assertEquals([answers, server.leases, server.counters.ignored], [[], [], 1]);
});

serverTest("an offer that nobody takes is held for a minute", async (clients, server, link) => {
  for (const client of [1, 2, 3, 4]) await clients.send(discover, [], { clientHardware: mac(client) });
  const fifth = { clientHardware: mac(5) };
  assertEquals(await clients.send(discover, [], fifth), []);
  await link.time.run(60_000);
  assertEquals((await clients.send(discover, [], fifth)).length, 1);
  assertEquals(server.leases.length, 4);
});

serverTest("a lease that the server has forgotten is renewed if the address is free", async (clients, server) => {
  const clientAddress = ip("10.0.0.101");
  const [answer] = await clients.send(request, [], { clientAddress, from: "10.0.0.101", to: "10.0.0.1" });
  assertEquals([answer!.type, String(answer!.yourAddress), server.leases.length], [ack, "10.0.0.101", 1]);
});

serverTest("a released address is free, and first of all its client's", async (clients, server) => {
  const address = (await clients.lease(1))!;
  const parts = { clientAddress: ip(address), from: address, to: "10.0.0.1" };
  await clients.send(release, [own], { ...parts, clientHardware: mac(2) });
  assertEquals(server.counters.ignored, 1);
  await clients.send(release, [own], parts);
  assertEquals([server.counters.releases, server.leases[0]!.state], [1, "free"]);
  await clients.send(release, [own], parts);
  assertEquals(server.counters.releases, 1);
  assertEquals(await clients.lease(1), address);
});

serverTest(
  "a declined address is left alone for ten minutes; only its client can decline it",
  async (clients, server, link) => {
    const address = (await clients.lease(1))!;
    await clients.send(decline, [requested(address), own], { clientHardware: mac(2) });
    await clients.send(decline, [requested(address)]);
    await clients.send(decline, [requested("10.0.0.1"), own]);
    assertEquals([server.counters.declines, server.counters.ignored], [0, 3]);
    await clients.send(decline, [requested(address), own]);
    assertEquals([server.counters.declines, server.leases[0]!.state], [1, "declined"]);
    for (const client of [1, 2, 3]) assertEquals(await clients.lease(client) === address, false);
    assertEquals(await clients.lease(4), null);
    await link.time.run(600_000);
    assertEquals(await clients.lease(4), address);
  },
);

serverTest("who has an address may ask for parameters only", async (clients, server, link) => {
  link.host.addAddress(link.nic, "10.0.0.50/24");
  const parts = { clientAddress: ip("10.0.0.50"), from: "10.0.0.50", to: "10.0.0.1" };
  const [answer] = await clients.send(inform, [], parts);
  assertEquals([answer!.type, String(answer!.yourAddress), answer!.options.has(51)], [ack, "0.0.0.0", false]);
  assertEquals(String(addressOf(answer!.options, OptionCode.routers)), "10.0.0.1");
  assertEquals(await clients.send(inform, [], { ...parts, clientAddress: ip("192.0.2.9") }), []);
  assertEquals([server.counters.informs, server.counters.ignored, server.leases], [1, 1, []]);
}, { routers: [ip("10.0.0.1")] });

serverTest("a reserved address is its client's alone, in the pool or not", async (clients) => {
  assertEquals(await clients.lease(1), "10.0.0.7");
  assertEquals(await clients.lease(2), "10.0.0.100");
  assertEquals((await clients.lease(3, [requested("10.0.0.100")])) === "10.0.0.100", false);
  assertEquals((await clients.lease(4, [requested("10.0.0.7")])) === "10.0.0.7", false);
  // Whatever it calls itself: reservations go by the hardware address.
  assertEquals(await clients.lease(1, [[OptionCode.clientIdentifier, new Uint8Array([0, 1, 2])]]), "10.0.0.7");
}, { reservations: [{ mac: mac(1), address: ip("10.0.0.7") }, { mac: mac(2), address: ip("10.0.0.100") }] });

serverTest("clients are told apart by their identifier, which is sent back (RFC 6842)", async (clients, server) => {
  const identifier = (byte: number): [number, Uint8Array] => [OptionCode.clientIdentifier, new Uint8Array([0, byte])];
  const first = await clients.lease(1, [identifier(1)]);
  const second = await clients.lease(1, [identifier(2)]);
  assertEquals(first === second, false);
  assertEquals(await clients.lease(9, [identifier(1)]), first);
  const [offered] = await clients.send(discover, [identifier(1)]);
  assertEquals([...offered!.options.get(OptionCode.clientIdentifier)!], [0, 1]);
  assertEquals(server.leases.length, 2);
});

serverTest("clients may ask for shorter leases, of a minute at least, but not for longer ones", async (clients) => {
  const times = [];
  for (const asked of [1, 120, 5000, Infinity]) {
    const [offered] = await clients.send(discover, [[OptionCode.leaseTime, secondsBytes(asked)]]);
    times.push(secondsOf(offered!.options, OptionCode.leaseTime));
  }
  assertEquals(times, [60, 120, 3600, 3600]);
});

serverTest("leases for ever never run out", async (clients, server, link) => {
  const [offered] = await clients.send(discover);
  assertEquals([secondsOf(offered!.options, 51), offered!.options.has(58)], [Infinity, false]);
  await clients.lease(1);
  await link.time.run(1e9);
  assertEquals(server.leases[0]!.expiresAt, Infinity);
}, { leaseTime: Infinity });

linkTest("an address in use is not offered: the server asks the link first", async (link) => {
  using server = link.server({ probe: true });
  // Somebody has an address of the pool without a lease: the host, where the client is somebody else.
  link.host.routes.add({ prefix: IpPrefix.parse("0.0.0.0/0"), nic: link.nic });
  const clients = new Clients(link);
  link.nic.promiscuous = false;
  link.host.addAddress(link.nic, "10.0.0.101/24");
  await link.time.run(1);
  await clients.send(discover, [requested("10.0.0.101")], { from: "0.0.0.0" });
  await link.time.run(400);
  // Who asks again meanwhile does not start a second probe.
  clients.sendBytes(
    encodeMessage({ operation: 1, type: discover, transaction: 8, clientHardware: mac(1), options: new Map() }),
  );
  await link.time.run(2000);
  assertEquals([server.counters.conflicts, server.counters.offers, clients.answers.length], [1, 1, 1]);
  assertEquals(String(clients.answers[0]!.yourAddress) === "10.0.0.101", false);
  assertEquals(server.leases.filter(({ state }) => state === "declined").map(({ address }) => String(address)), [
    "10.0.0.101",
  ]);
});

linkTest("what somebody had who is gone is offered again, half a second later", async (link) => {
  using server = link.server({ probe: true, probeTimeout: 500 });
  const client = link.client();
  const started = link.time.now;
  const lease = await link.time.waitFor(client.bound());
  assertEquals([lease.startedAt - started, server.counters.conflicts], [500, 0]);
  client.stop();
  // The client itself has the address now, which is no conflict.
  const again = link.client();
  const second = await link.time.waitFor(again.bound());
  assertEquals([String(second.address), second.startedAt - link.time.now], [String(lease.address), 0]);
  again.stop();
});

/** A server that probes, clients of any hardware address, and the host with an address of the pool without a lease. */
function conflictTest(
  name: string,
  body: (clients: Clients, server: DhcpServer, link: Link) => Promise<void>,
): void {
  linkTest(name, async (link) => {
    using server = link.server({ probe: true });
    link.host.routes.add({ prefix: IpPrefix.parse("0.0.0.0/0"), nic: link.nic });
    const clients = new Clients(link);
    link.nic.promiscuous = false;
    link.host.addAddress(link.nic, "10.0.0.101/24");
    await link.time.run(1);
    await body(clients, server, link);
  });
}

conflictTest("who answers the probe itself is offered the address that it has", async (clients, server, link) => {
  await clients.send(discover, [requested("10.0.0.101")], { clientHardware: link.nic.mac! });
  await link.time.run(1000);
  assertEquals([server.counters.conflicts, String(clients.answers[0]!.yourAddress)], [0, "10.0.0.101"]);
});

conflictTest("what is remembered of somebody who is gone is no conflict", async (clients, server, link) => {
  const events = link.router.ping("10.0.0.101", { count: 1 });
  assertEquals((await link.time.waitFor(events.next())).value?.kind, "reply");
  await link.time.waitFor(events.next());
  link.host.removeAddress(link.nic, "10.0.0.101");
  await clients.send(discover, [requested("10.0.0.101")]);
  await link.time.run(1000);
  assertEquals([server.counters.conflicts, String(clients.answers[0]!.yourAddress)], [0, "10.0.0.101"]);
});

linkTest("clients that never take their offers fill no more than the pool, and probes have a limit", async (link) => {
  using server = link.server({ probe: true, range: [ip("10.0.0.2"), ip("10.0.0.201")] });
  const clients = new Clients(link);
  for (let client = 0; client < 256; client++) {
    const clientHardware = mac(client);
    clients.sendBytes(
      encodeMessage({ operation: 1, type: discover, transaction: 1, clientHardware, options: new Map() }),
    );
    if (client % 64 === 0) link.time.settle();
  }
  await link.time.run(10);
  assertEquals([server.counters.discovers, server.counters.exhausted], [256, 192]);
  await link.time.run(1000);
  assertEquals([server.counters.offers, server.leases.length], [64, 64]);
});

serverTest("leases of an earlier run go on; what does not fit is left out", async (clients, server, link) => {
  await clients.lease(1);
  await clients.lease(2);
  const saved = server.leases.map((binding) => ({ ...binding }));
  server.close();
  server.close();
  const stranger: Binding = { ...saved[0]!, address: ip("192.0.2.7"), client: "x" };
  using next = link.server({ leases: [...saved, stranger, { ...saved[0]!, client: "y" }] });
  assertEquals(next.leases, saved);
  const [renewed] = await clients.send(request, [requested(String(saved[0]!.address))], {
    clientHardware: saved[0]!.mac,
  });
  assertEquals(renewed!.type, ack);
});

linkTest("every lease that is granted, given back or in doubt is told", async (link) => {
  const told: string[] = [];
  using _server = link.server({ onChange: ({ state, hostName }) => told.push(`${state} ${hostName}`) });
  const client = link.client({ hostName: "printer" });
  await link.time.waitFor(client.bound());
  client.renew();
  await link.time.run(1);
  await link.time.waitFor(client.release());
  await link.time.run(10);
  assertEquals(told, ["leased printer", "leased printer", "free printer"]);
});

serverTest("what is no message of a client is counted and not answered", async (clients, server) => {
  clients.sendBytes(new Uint8Array(0));
  clients.sendBytes(new Uint8Array(300));
  assertEquals(await clients.send(discover, [], { operation: 2 }), []);
  assertEquals(await clients.send(offer), []);
  assertEquals(await clients.send(request), []);
  assertEquals(await clients.send(discover, [], { clientHardware: MacAddress.broadcast }), []);
  assertEquals([server.counters.malformed, server.counters.ignored], [2, 4]);
  assertEquals(await clients.lease(1, [[OptionCode.hostName, textBytes("bad\nname")]]) === null, false);
  assertEquals(server.leases[0]!.hostName, null);
});

Deno.test("a server refuses a pool that makes no sense", async () => {
  await using stack = new Stack({ eventLoop: false });
  const [end, other] = createWire();
  const nic = stack.attach(end, { addresses: ["10.0.0.1/24"] });
  const make = (options: Partial<ConstructorParameters<typeof Server>[2]> = {}, on = nic) => () =>
    new Server(stack, on, { range: [ip("10.0.0.2"), ip("10.0.0.9")], ...options });
  assertThrows(make({ range: [ip("10.0.0.9"), ip("10.0.0.2")] }), RangeError, "the lowest one first");
  assertThrows(make({ range: [ip("10.0.0.2"), ip("10.0.1.2")] }), RangeError, "no host's address in 10.0.0.0/24");
  assertThrows(make({ range: [ip("10.0.0.0"), ip("10.0.0.2")] }), RangeError, "no host's address");
  assertThrows(make({ leaseTime: 0 }), RangeError, "Cannot lease addresses for 0 seconds");
  assertThrows(make({ mtu: 100 }), RangeError, "Cannot tell clients an MTU of 100");
  const reservation = { mac: mac(1), address: ip("10.0.0.3") };
  assertThrows(make({ reservations: [reservation, reservation] }), RangeError, "has a reservation");
  assertThrows(make({ reservations: [{ ...reservation, address: ip("10.0.0.1") }] }), RangeError, "the server's own");
  assertThrows(make({}, stack.attach(other)), TypeError, "it has no IPv4 address");
  assertThrows(make({}, stack.nics[0]!), TypeError, "it has no Ethernet address");
  assertEquals([stack.ports.size, stack.timers.running], [0, 0]);
});
