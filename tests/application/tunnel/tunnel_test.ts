import { assert, assertEquals, assertRejects } from "@std/assert";
import { IpAddress, IpPrefix } from "../../../stack/address.ts";
import { TunnelClient, type TunnelState } from "../../../stack/application/tunnel/client.ts";
import { TunnelRefusal } from "../../../stack/application/tunnel/dial.ts";
import { TunnelHub } from "../../../stack/application/tunnel/hub.ts";
import { LinkRelay } from "../../../stack/application/tunnel/relay.ts";
import { CloseCode } from "../../../stack/application/tunnel/protocol.ts";
import { TunnelServer } from "../../../stack/application/tunnel/server.ts";
import { ChannelDevice } from "../../../stack/link/channel.ts";
import { createWire } from "../../../stack/link/wire.ts";
import { SeededRandom } from "../../../stack/random.ts";
import type { TcpConn } from "../../../stack/socket/tcp_conn.ts";
import { Stack } from "../../../stack/stack.ts";
import { pattern } from "../../helpers/packets.ts";
import { VirtualTime } from "../../helpers/virtual_time.ts";
import { FakeLine } from "./fake_socket.ts";

const serverAddress = "10.1.1.1";
const admission = { name: "laptop", address: IpAddress.parse("10.1.1.3") };

/** A server, whose system is a stack, and a client with a stack at its end, on a virtual clock. */
class Tunnel {
  readonly time = new VirtualTime();
  readonly system: Stack;
  readonly stack: Stack;
  readonly hub: TunnelHub;
  server: TunnelServer;
  readonly client: TunnelClient;
  readonly device = new ChannelDevice();
  readonly states: TunnelState[] = [];
  /** The connections so far. */
  readonly lines: FakeLine[] = [];
  /** What attempts to connect come to, in place of a connection. */
  refusal: Error | null = null;
  attempts = 0;
  readonly #network = IpPrefix.parse("10.1.1.0/24");

  constructor() {
    const { time } = this;
    const { timers } = time;
    const settings = { timers, eventLoop: false };
    this.system = time.add(new Stack({ ...settings, random: new SeededRandom(1) }));
    this.stack = time.add(new Stack({ ...settings, random: new SeededRandom(2) }));
    const [uplink, end] = createWire({ medium: "ip", mtu: 1400, offload: true });
    this.system.attach(end, { addresses: [`${serverAddress}/24`] });
    const own = [IpAddress.parse(serverAddress)];
    this.hub = time.add(new TunnelHub(uplink, this.#network, { ...settings, own }));
    this.server = this.makeServer();
    this.client = new TunnelClient({
      device: this.device,
      timers,
      random: new SeededRandom(3),
      onState: (state) => this.states.push(state),
      dial: (prepare) => {
        this.attempts++;
        if (this.refusal !== null) return Promise.reject(this.refusal);
        const line = time.add(new FakeLine());
        this.lines.push(line);
        prepare(line.client);
        this.server.welcome(line.server, admission, "198.51.100.7:50000");
        return Promise.resolve();
      },
    });
  }

  /** A server that knows nobody. */
  makeServer(): TunnelServer {
    const now = () => new Date(this.time.now);
    return new TunnelServer({
      hub: this.hub,
      gateway: IpAddress.parse(serverAddress),
      mtu: 1400,
      admit: () => admission,
      now,
    });
  }

  /** Connects the client, and gives its stack the address. */
  async connect(): Promise<void> {
    const { address, gateway } = await this.time.waitFor(this.client.connect());
    this.stack.attach(this.device, { addresses: [address], gateway });
  }

  get line(): FakeLine {
    return this.lines.at(-1)!;
  }

  /** A TCP connection from the client's stack to the server's. */
  async tcp(): Promise<[client: TcpConn, server: TcpConn]> {
    using listener = this.system.listen({ port: 7 });
    return await this.time.waitFor(
      Promise.all([this.stack.connect({ hostname: serverAddress, port: 7 }), listener.accept()]),
    );
  }

  async close(): Promise<void> {
    this.client.close();
    this.server.close();
    await Promise.all([this.stack.close(), this.system.close(), this.hub.close()]);
    assertEquals([this.stack.pool.inUse, this.system.pool.inUse, this.hub.packetsInUse], [0, 0, 0]);
    assertEquals(this.time.timers.running, 0);
  }
}

/** Sends bytes, and checks that they arrive. */
async function transfer(time: VirtualTime, from: TcpConn, to: TcpConn, length: number): Promise<void> {
  const bytes = pattern(length);
  const received = new Uint8Array(length);
  const send = async () => {
    for (let sent = 0; sent < length;) sent += await from.write(bytes.subarray(sent));
  };
  const receive = async () => {
    for (let at = 0; at < length;) at += (await to.read(received.subarray(at)))!;
  };
  await time.waitFor(Promise.all([send(), receive()]));
  assert(received.every((byte, at) => byte === bytes[at]));
}

Deno.test("a client goes from init over connecting to connected, with what the server assigns", async () => {
  const tunnel = new Tunnel();
  assertEquals(tunnel.client.state, "init");
  await tunnel.connect();
  assertEquals(tunnel.states, ["connecting", "connected"]);
  const { state, connection, lost } = tunnel.client.snapshot();
  assertEquals([state, connection?.address, connection?.mtu, connection?.routes, lost], [
    "connected",
    "10.1.1.3/24",
    1400,
    ["10.1.1.0/24"],
    0,
  ]);
  tunnel.client.close();
  await tunnel.client.finished;
  assertEquals(tunnel.states.at(-1), "closed");
  await tunnel.close();
});

Deno.test("a megabyte goes through the tunnel each way, and both ends count it", async () => {
  const tunnel = new Tunnel();
  await tunnel.connect();
  const [client, server] = await tunnel.tcp();
  await transfer(tunnel.time, client, server, 1 << 20);
  await transfer(tunnel.time, server, client, 1 << 20);
  const [session] = tunnel.server.snapshot().sessions;
  assert(session!.receivedBytes > 1 << 20 && session!.sentBytes > 1 << 20);
  // Super-segments cross as one.
  assert(session!.sentPackets < 500, `${session!.sentPackets} packets`);
  assertEquals([session!.name, session!.address, session!.remote], ["laptop", "10.1.1.3", "198.51.100.7:50000"]);
  client.close();
  server.close();
  await tunnel.close();
});

Deno.test("a connection through the tunnel outlives the tunnel's own: the client comes again, with its address", async () => {
  const tunnel = new Tunnel();
  await tunnel.connect();
  const [client, server] = await tunnel.tcp();
  await transfer(tunnel.time, client, server, 100_000);
  // The server ends without a word, and another one knows nobody.
  tunnel.line.server.terminate();
  tunnel.server = tunnel.makeServer();
  await transfer(tunnel.time, client, server, 100_000);
  await transfer(tunnel.time, server, client, 100_000);
  assertEquals([tunnel.client.state, tunnel.client.snapshot().lost, tunnel.lines.length], ["connected", 1, 2]);
  assertEquals(tunnel.states, ["connecting", "connected", "connecting", "connected"]);
  client.close();
  server.close();
  await tunnel.close();
});

Deno.test("attempts that fail are made again, ever more rarely, until one succeeds", async () => {
  const tunnel = new Tunnel();
  await tunnel.connect();
  tunnel.refusal = new Error("Cannot reach vpn.example");
  tunnel.line.server.terminate();
  await tunnel.time.run(600_000);
  // 0.5, 1, 2, 4, 8, 16 and then 30 seconds, each shortened to its half at most.
  assert(tunnel.attempts > 20 && tunnel.attempts < 50, `${tunnel.attempts} attempts`);
  tunnel.refusal = null;
  await tunnel.time.run(31_000);
  assertEquals(tunnel.client.state, "connected");
  await tunnel.close();
});

Deno.test("a connection on which nothing comes any more is given up after 60 s, by both ends", async () => {
  const tunnel = new Tunnel();
  await tunnel.connect();
  tunnel.line.isDead = true;
  tunnel.refusal = new Error("Cannot reach vpn.example");
  await tunnel.time.run(59_000);
  assertEquals([tunnel.client.state, tunnel.server.names], ["connected", ["laptop"]]);
  await tunnel.time.run(2000);
  assertEquals([tunnel.client.state, tunnel.server.names], ["connecting", []]);
  await tunnel.close();
});

Deno.test("an idle connection is kept by pings", async () => {
  const tunnel = new Tunnel();
  await tunnel.connect();
  await tunnel.time.run(600_000);
  assertEquals([tunnel.client.state, tunnel.client.snapshot().lost, tunnel.lines.length], ["connected", 0, 1]);
  await tunnel.close();
});

Deno.test("a second connection with the same token replaces the first, whose client ends and does not come back", async () => {
  const tunnel = new Tunnel();
  await tunnel.connect();
  const other = tunnel.time.add(new FakeLine());
  tunnel.server.welcome(other.server, admission, "203.0.113.9:1");
  await assertRejects(() => tunnel.client.finished, TunnelRefusal, "another connection with this token has taken over");
  await tunnel.time.run(100_000);
  assertEquals([tunnel.client.state, tunnel.attempts], ["closed", 1]);
  other.client.terminate();
  await tunnel.close();
});

Deno.test("a client whose token is revoked ends, and does not come back", async () => {
  const tunnel = new Tunnel();
  await tunnel.connect();
  tunnel.server.disconnect("laptop", CloseCode.revoked, "the token is no longer valid");
  await assertRejects(() => tunnel.client.finished, TunnelRefusal, "the token is no longer valid");
  assertEquals([tunnel.client.state, tunnel.server.names], ["closed", []]);
  await tunnel.close();
});

Deno.test("a server that now assigns another address ends the client: connections through it could not go on", async () => {
  const tunnel = new Tunnel();
  await tunnel.connect();
  const { finished } = tunnel.client;
  tunnel.line.server.terminate();
  const welcome = tunnel.server.welcome.bind(tunnel.server);
  tunnel.server.welcome = (socket, { name }, remote) =>
    welcome(socket, { name, address: IpAddress.parse("10.1.1.9") }, remote);
  await tunnel.time.run(2000);
  await assertRejects(() => finished, TunnelRefusal, "the server now assigns 10.1.1.9/24 in place of 10.1.1.3/24");
  await tunnel.close();
});

Deno.test("the first attempt is the caller's: its failure is told at once, and nothing goes on", async () => {
  const tunnel = new Tunnel();
  tunnel.refusal = new Error("Cannot reach vpn.example");
  await assertRejects(() => tunnel.client.connect(), Error, "Cannot reach vpn.example");
  await tunnel.time.run(100_000);
  assertEquals([tunnel.client.state, tunnel.attempts], ["closed", 1]);
  await tunnel.close();
});

Deno.test("a server that accepts and then says nothing is given up after 15 s", async () => {
  const tunnel = new Tunnel();
  tunnel.server.welcome = () => {};
  const start = tunnel.time.now;
  await assertRejects(
    () => tunnel.time.waitFor(tunnel.client.connect()),
    Error,
    "Cannot open a tunnel: the server has not answered for 15 s",
  );
  assertEquals(tunnel.time.now - start, 15_000);
  await tunnel.close();
});

Deno.test("a server that talks nonsense is told so", async () => {
  const tunnel = new Tunnel();
  tunnel.server.welcome = (socket) => socket.send("hello");
  await assertRejects(
    () => tunnel.time.waitFor(tunnel.client.connect()),
    Error,
    "Cannot understand the server's connect",
  );
  await tunnel.close();
});

Deno.test("packets before the connect message are nobody's", async () => {
  const tunnel = new Tunnel();
  tunnel.stack.attach(tunnel.device, { addresses: ["10.1.1.3/24"] });
  tunnel.server.welcome = (socket) => socket.send(new Uint8Array(100));
  await assertRejects(() => tunnel.time.waitFor(tunnel.client.connect()), Error, "has not answered");
  assertEquals(tunnel.device.counters.receiveMalformed, 0);
  await tunnel.close();
});

Deno.test("a client that is closed while it waits to try again does not try", async () => {
  const tunnel = new Tunnel();
  await tunnel.connect();
  tunnel.refusal = new Error("Cannot reach vpn.example");
  tunnel.line.server.terminate();
  tunnel.client.close();
  await tunnel.client.finished;
  await tunnel.time.run(100_000);
  assertEquals(tunnel.attempts, 1);
  await tunnel.close();
});

for (
  const [what, options, length, waiting] of [["packets", {}, 100, 256], [
    "bytes",
    { queueBytes: 128 * 1024 },
    1300,
    50,
  ]] as const
) {
  Deno.test(`a relay holds up the sender while the channel's queue is full of ${what}, and loses nothing`, async () => {
    const time = new VirtualTime();
    const settings = { timers: time.timers, eventLoop: false };
    const [device, end] = createWire({ medium: "ip", mtu: 1400 });
    const sender = time.add(new Stack({ ...settings, random: new SeededRandom(1) }));
    sender.attach(end, { addresses: ["10.1.1.3/24"] });
    const channel = new ChannelDevice(options);
    let sent = 0;
    const slow = { bufferedBytes: 1e9, send: () => sent++ };
    const relay = time.add(new LinkRelay(channel, settings));
    relay.join(device);
    channel.open(slow);
    using socket = sender.listenDatagram();
    for (let datagrams = 0; datagrams < 300; datagrams++) {
      await socket.send(new Uint8Array(length), { transport: "udp", hostname: "10.1.1.1", port: 7 });
    }
    time.settle();
    assertEquals(channel.queueLength, waiting);
    assertEquals(channel.counters.transmitQueueFull, 0);
    slow.bufferedBytes = 0;
    time.settle();
    assertEquals([channel.queueLength, channel.traffic.sentPackets], [0, 300]);
    assert(sent < 300);
    await Promise.all([relay.close(), sender.close()]);
    assertEquals([relay.packetsInUse, sender.pool.inUse, time.timers.running], [0, 0, 0]);
  });
}
