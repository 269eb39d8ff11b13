import { assert, assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { formatStatus } from "../../apps/vpn/status.ts";
import { pattern } from "../application/local_stack.ts";
import { kernelTest, run } from "../kernel/namespace.ts";
import { soon } from "../helpers/patience.ts";
import { runToEnd } from "./run_program.ts";
import { hostState, Room, VpnServer } from "./vpn_rooms.ts";

const needs = { programs: ["ip", "nsenter", "unshare", "ping", "socat", "setpriv"] };

const megabytes20 = 20_000_000;

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** All that comes in on one connection to a port of this namespace. */
async function receiveAll(hostname: string, port: number): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname, port });
  const conn = await listener.accept();
  return new Uint8Array(await new Response(conn.readable).arrayBuffer());
}

/** A file that is removed in the end. */
async function withFile(bytes: Uint8Array, body: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, bytes);
    await body(path);
  } finally {
    await Deno.remove(path);
  }
}

for (
  const [args, reason] of [
    [["serve"], 'Unknown command "serve": give server, client, status or token'],
    [["client", "http://vpn.example"], 'Cannot connect to "http://vpn.example": give a URL that begins with wss://'],
    [["client", "wss://127.0.0.1"], "Missing token: give a file with it"],
    [["client", "wss://127.0.0.1", "--token", "a b"], "Cannot use the token: it has letters, digits, - and _ only"],
    [
      ["client", "wss://127.0.0.1", "--token", "a", "--userspace", "--redirect"],
      "Cannot use --redirect with --userspace",
    ],
    [["client", "wss://127.0.0.1", "--fingerprint", "12"], "give the SHA-256 fingerprint that the server prints"],
    [["server", "--network", "10.1.1.0/30"], "give an IPv4 network of /8 to /29"],
    [["token"], 'Unknown command "token ": give create, list or revoke'],
    [["token", "create", "a b"], 'Cannot use "a b" as a name'],
  ] as const
) {
  Deno.test(`vpn ${args.join(" ")} is refused in one line, with 2`, async () => {
    const { code, output, errors } = await runToEnd("vpn", ...args);
    assertEquals([code, output, errors.length], [2, [], 1]);
    assertStringIncludes(errors[0]!, reason);
  });
}

Deno.test("--vpn contradicts what would choose another link, and the options beside it need it", async () => {
  const both = await runToEnd("ping", "--vpn", "wss://127.0.0.1", "--tap", "tap0", "192.0.2.1");
  assertStringIncludes(both.errors[0]!, "Cannot use --vpn with --tap: the link is a tunnel or a device");
  const stray = await runToEnd("ping", "--vpn-token", "a", "192.0.2.1");
  assertStringIncludes(stray.errors[0]!, "Cannot use --vpn-token without --vpn: give a server");
});

Deno.test("the status shows who is connected, what passed, and why packets were dropped", () => {
  const drops = {
    notIpv4: 2,
    spoofedSource: 0,
    isolatedClient: 0,
    noSuchClient: 0,
    receiveMalformed: 0,
    receiveOversized: 0,
    receiveNoPacket: 0,
    receiveQueueFull: 0,
    transmitQueueFull: 7,
    transmitOversized: 0,
    transmitDown: 0,
  };
  const session = {
    name: "laptop",
    address: "10.1.1.3",
    remote: "198.51.100.7:50000",
    since: "2026-01-01T00:00:00.000Z",
    receivedPackets: 1,
    receivedBytes: 22,
    sentPackets: 333,
    sentBytes: 4444,
    drops,
  };
  const tun = { name: "tun7", queueDrops: 8 };
  const refusals = { otherVersion: 0, unknownToken: 4, expiredToken: 0, noAddress: 0, tooManyAttempts: 5 };
  const server = {
    role: "server" as const,
    network: "10.1.1.0/24",
    interconnect: true,
    drops: { noSuchClient: 1 },
    refusals,
    tun,
    silentConnections: 6,
  };
  const client = { role: "client" as const, server: "wss://vpn.example/", state: "connecting" as const, lost: 3 };
  const text = formatStatus([{ ...server, sessions: [session] }, { ...client, connection: null }, {
    ...client,
    connection: null,
    tun,
  }]);
  const [title, head, row, gap, last, , withTun] = text.split("\n");
  assertEquals(
    title,
    "Server of 10.1.1.0/24, 1 connected, clients reach each other; drops of tun7: noSuchClient 1, queueFull 8; " +
      "refused: unknownToken 4, tooManyAttempts 5, silentConnections 6",
  );
  assertMatch(head!, /^Name +Address +From +Since +RX-Packets +RX-Bytes +TX-Packets +TX-Bytes +Drops$/);
  assertMatch(
    row!,
    /^laptop +10\.1\.1\.3 +198\.51\.100\.7:50000 +2026\S+ +1 +22 +333 +4444 +notIpv4 2, transmitQueueFull 7$/,
  );
  assertEquals([gap, last], ["", "Client of wss://vpn.example/: connecting, 3 connections lost"]);
  assertEquals(withTun, `${last}; drops of tun7: queueFull 8`);
});

kernelTest("two clients reach the server and each other: 20 MB each way are exact", async () => {
  await using one = await Room.make(1);
  await using two = await Room.make(2);
  await using server = await VpnServer.start(["one", "two"], "--interconnect");
  await using _first = await server.client(one, "one");
  await using _second = await server.client(two, "two");
  assertStringIncludes(await one.run("ping", "-c", "2", "-i", "0.01", "10.1.1.1"), " 0% packet loss");
  assertStringIncludes(await one.run("ping", "-c", "2", "-i", "0.01", "10.1.1.4"), " 0% packet loss");
  const bytes = pattern(megabytes20);
  await withFile(bytes, async (path) => {
    const [received] = await Promise.all([
      receiveAll("10.1.1.1", 7000),
      one.run("socat", "-u", `FILE:${path}`, "TCP:10.1.1.1:7000,retry=5"),
    ]);
    assertEquals(digest(received), digest(bytes));
    const copy = `${path}.copy`;
    await Promise.all([
      two.run("socat", "-u", "TCP-LISTEN:7001,bind=10.1.1.4", `CREATE:${copy}`),
      one.run("socat", "-u", `FILE:${path}`, "TCP:10.1.1.4:7001,retry=50,interval=0.1"),
    ]);
    assertEquals(digest(await Deno.readFile(copy)), digest(bytes));
    await Deno.remove(copy);
  });
  const { role, sessions } = await server.status();
  assertEquals([role, sessions.length], ["server", 2]);
  const [session] = sessions;
  assertEquals([session.name, session.address], ["one", "10.1.1.3"]);
  assert(session.receivedBytes > 2 * megabytes20 && session.sentPackets > 100, JSON.stringify(session));
  assertMatch(session.remote, /^10\.7\.1\.2:\d+$/);
}, needs);

kernelTest(
  "clients do not reach each other unless told so; a source that is not a client's own is dropped",
  async () => {
    await using one = await Room.make(1);
    await using two = await Room.make(2);
    await using server = await VpnServer.start(["one", "two"]);
    await using _first = await server.client(one, "one", "--tun", "vpn7");
    await using _second = await server.client(two, "two");
    const lost = (...args: string[]) => one.run("sh", "-c", `ping -q -c 3 -i 0.01 -W 0.2 ${args.join(" ")} || true`);
    assertStringIncludes(await lost("10.1.1.4"), " 100% packet loss");
    await one.run("ip", "addr", "add", "10.1.1.77/32", "dev", "vpn7");
    assertStringIncludes(await lost("-I", "10.1.1.77", "10.1.1.1"), " 100% packet loss");
    assertStringIncludes(await lost("10.1.1.1"), " 0% packet loss");
    const { sessions: [session, other] } = await server.status();
    assertEquals([session.drops.isolatedClient, session.drops.spoofedSource], [3, 3]);
    assertEquals([other.name, other.sentPackets], ["two", 0]);
  },
  needs,
);

kernelTest(
  "a TCP connection goes on when the server is killed and started again, and so does a killed client",
  async () => {
    await using room = await Room.make(1);
    await using server = await VpnServer.start(["laptop"]);
    const before = await room.state();
    const client = await server.client(room, "laptop");
    using listener = Deno.listen({ hostname: "10.1.1.1", port: 7000 });
    const [first, ...rest] = [...room.wrapper, "socat", "-", "TCP:10.1.1.1:7000"];
    const peer = new Deno.Command(first!, { args: rest, stdin: "piped", stdout: "piped" }).spawn();
    using conn = await listener.accept();
    const writer = peer.stdin.getWriter();
    const buffer = new Uint8Array(100);
    const says = async (text: string) => {
      await writer.write(new TextEncoder().encode(text));
      const length = await soon(conn.read(buffer), `"${text}"`);
      assertEquals(new TextDecoder().decode(buffer.subarray(0, length!)), text);
    };
    await says("before");
    await server.kill();
    await client.line(/trying again in/);
    await server.restart();
    await client.line(/Connected again, as 10\.1\.1\.3\/24/);
    await says("after");
    await writer.close();
    await peer.stdout.cancel();
    await peer.status;
    // The next client finds what this one leaves behind, and leaves nothing.
    await client[Symbol.asyncDispose]();
    assertStringIncludes(await room.state(), `${room.host} dev in1 proto 84`);
    await using next = await server.client(room, "laptop");
    await next.line(new RegExp(`Undid what an earlier run had left behind: the route to ${room.host}/32`));
    assertStringIncludes(await room.run("ping", "-c", "1", "10.1.1.1"), " 0% packet loss");
    next.signal("SIGTERM");
    assertEquals(await next.code(), 0);
    assertEquals(await room.state(), before);
  },
  needs,
);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  kernelTest(`${signal} undoes all that server and client have changed`, async () => {
    await using room = await Room.make(1);
    const [hostBefore, roomBefore] = [hostState(), await room.state()];
    await using server = await VpnServer.start(["laptop"], "--route", "198.51.100.0/24");
    await using client = await server.client(room, "laptop", "--redirect");
    const during = await room.state();
    for (
      const part of ["0.0.0.0/1 dev tun0", "128.0.0.0/1 dev tun0", "198.51.100.0/24 dev tun0", "10.1.1.0/24 dev tun0"]
    ) {
      assertStringIncludes(during, part);
    }
    assertStringIncludes(during, `${room.host} dev in1`);
    assertMatch(during, /inet 10\.1\.1\.3 peer 10\.1\.1\.1\/32/);
    assertMatch(during, /tun0: .* mtu 1400 .* qlen 100/);
    const own = await run("ip", "-o", "-4", "addr", "show", "dev", "tun0");
    assertStringIncludes(own, "inet 10.1.1.1 peer 10.1.1.2/32");
    client.signal(signal);
    assertEquals(await client.code(), 0);
    assertEquals(await room.state(), roomBefore);
    server.program.signal(signal);
    assertEquals(await server.program.code(), 0);
    assertEquals(hostState(), hostBefore);
  }, needs);
}

kernelTest("a client that is refused or finds nobody says so in one line, with 1, and leaves nothing", async () => {
  await using room = await Room.make(1);
  await using server = await VpnServer.start(["laptop"]);
  const before = await room.state();
  const url = `wss://${room.host}`;
  const token = await Deno.readTextFile(server.tokenFile("laptop"));
  const wrong = `${token.slice(0, -2)}00`;
  for (
    const [args, reason] of [
      [[url, "-k", "--token", wrong], "The token is not known here (HTTP status 401)"],
      [[url, "--token", token], "self-signed certificate"],
      [[url, "--token", token, "--fingerprint", "00".repeat(32)], "its certificate has the fingerprint"],
      [[`wss://${room.host}:444`, "--token", token], "Cannot reach 10.7.1.1:444"],
      [[`wss://${room.host}`, "--token", token, "--cacert", "/no/such/file"], 'Cannot read "/no/such/file"'],
    ] as const
  ) {
    const { code, output, errors } = await room.runProgram("vpn", "client", ...args);
    assertEquals([code, output, errors.length], [1, [], 1], errors.join("\n"));
    assertStringIncludes(errors[0]!, reason);
    assertNotMatch(errors[0]!, new RegExp(`${token}|${wrong}`));
  }
  assertEquals(await room.state(), before);
  assertEquals((await server.status()).sessions, []);
  assertNotMatch(server.program.errors.join("\n"), new RegExp(`${token}|${wrong}`));
}, needs);

kernelTest(
  "a token that is revoked ends its client, and another connection with the same token the first",
  async () => {
    await using room = await Room.make(1);
    await using other = await Room.make(2);
    await using server = await VpnServer.start(["laptop"]);
    const before = await room.state();
    await using client = await server.client(room, "laptop");
    await using second = await server.client(other, "laptop");
    assertEquals(await client.code(), 1);
    assertEquals(
      client.errors.at(-1),
      "vpn: The server ended the tunnel: another connection with this token has taken over",
    );
    assertEquals(await room.state(), before);
    await server.run("token", "revoke", "laptop");
    assertEquals(await second.code(), 1);
    assertEquals(second.errors.at(-1), "vpn: The server ended the tunnel: the token is no longer valid");
  },
  needs,
);

kernelTest("without any privilege, ping and tcpclient run through the tunnel, and the address stays", async () => {
  await using room = await Room.make(1);
  await using server = await VpnServer.start(["laptop", "other"]);
  const before = await room.state();
  const powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
  const access = server.linkAccess(room, "laptop");
  const pinged = await room.runWith(powerless, "ping", ...access, "-c", "3", "-i", "0.05", "10.1.1.1");
  assertEquals(pinged.code, 0, pinged.errors.join("\n"));
  assertMatch(pinged.output.join("\n"), /3 packets transmitted, 3 received/);
  const bytes = pattern(2_000_000);
  await withFile(bytes, async (path) => {
    const [received, sent] = await Promise.all([
      receiveAll("10.1.1.1", 7000),
      room.runWith(powerless, "tcpclient", ...access, "-i", path, "10.1.1.1", "7000"),
    ]);
    assertEquals(sent.code, 0, sent.errors.join("\n"));
    assertEquals(digest(received), digest(bytes));
  });
  assertEquals(await room.state(), before);
  await using stack = room.start("vpn", "client", `wss://${room.host}`, ...server.access("laptop"), "--userspace");
  assertStringIncludes(await stack.line(/^Connected to/), "as 10.1.1.3/24, without a device");
  assertStringIncludes(await run("ping", "-c", "2", "-i", "0.01", "10.1.1.3"), " 0% packet loss");
  stack.signal("SIGINT");
  assertEquals(await stack.code(), 0);
}, needs);

kernelTest("a program whose token is revoked while it runs ends, in one line and with a failure", async () => {
  await using room = await Room.make(1);
  const programs = [
    { name: "ping", args: ["-q", "-i", "0.05", "10.1.1.1"], code: 2 },
    { name: "tcpserver", args: ["7000"], code: 1 },
    { name: "echo", args: [], code: 1 },
    { name: "vpn", args: [], code: 1 },
  ];
  await using server = await VpnServer.start(programs.map(({ name }) => name));
  const url = `wss://${room.host}`;
  for (const { name, args, code } of programs) {
    await using program = name === "vpn"
      ? room.start(name, "client", url, ...server.access(name), "--userspace")
      : room.start(name, ...server.linkAccess(room, name), ...args);
    await server.program.line(new RegExp(`${name} .* has come`));
    await server.run("token", "revoke", name);
    assertEquals(await program.code(), code, name);
    const last = `${name}: The server ended the tunnel: the token is no longer valid`;
    assertEquals(program.errors.filter((line) => line.includes("ended the tunnel")), [last]);
    assertEquals(program.errors.at(-1), last);
  }
}, needs);

kernelTest("server and client end, in one line and with 1, when somebody removes their interface", async () => {
  await using room = await Room.make(1);
  await using server = await VpnServer.start(["laptop"], "--tun", "vpns");
  await using client = await server.client(room, "laptop");
  await room.run("ip", "link", "del", "tun0");
  assertEquals(await client.code(), 1);
  assertEquals(client.errors.at(-1), 'vpn: Cannot go on: somebody has removed the interface "tun0"');
  assertNotMatch(await room.state(), /proto 84/);
  await run("ip", "link", "del", "vpns");
  assertEquals(await server.program.code(), 1);
  assertEquals(server.program.errors.at(-1), 'vpn: Cannot go on: somebody has removed the interface "vpns"');
}, needs);
