import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { Rtnetlink } from "../../mod.ts";
import { kernelTest, run } from "../kernel/namespace.ts";
import { soon } from "../helpers/patience.ts";
import { RunningProgram, runToEnd } from "./run_program.ts";

const needs = { programs: ["iperf3", "ip"] } as const;
const kernel = "192.0.2.1";
const stack = "192.0.2.2";

/** What iperf3 says in JSON, as far as it is looked at. */
interface Result {
  error?: string;
  end: {
    streams: unknown[];
    sum_sent: { bytes: number };
    sum_received: { bytes: number };
    sum?: { packets: number; lost_packets: number };
  };
}

/** Starts our server for one test. */
async function startServer(...args: string[]): Promise<RunningProgram> {
  const server = RunningProgram.start("iperf3", "-s", ...args);
  await server.line(/^Server listening on 5201/);
  return server;
}

/** Runs the system's client against our server. */
async function systemClient(...args: string[]): Promise<Result> {
  return JSON.parse(await run("iperf3", "-c", stack, "-J", ...args));
}

/** Runs `body` beside the system's server, which serves tests until the end, on a device that our program joins. */
async function withSystemServer(body: () => Promise<void>): Promise<void> {
  await run("ip", "tuntap", "add", "dev", "tap9", "mode", "tap");
  await run("ip", "addr", "add", `${kernel}/24`, "dev", "tap9");
  await run("ip", "link", "set", "tap9", "up");
  // Once it listens, it says so, if it writes each line at once.
  const server = new Deno.Command("iperf3", { args: ["-s", "--forceflush"], stdout: "piped", stderr: "null" }).spawn();
  const output = server.stdout.getReader();
  try {
    await soon(output.read(), "the server's first line");
    await body();
  } finally {
    server.kill("SIGKILL");
    await server.status;
    await output.cancel();
  }
}

/** Runs our client against the system's server. */
async function ourClient(...args: string[]): Promise<Result> {
  const { code, output, errors } = await runToEnd("iperf3", "--tap", "tap9", "-c", kernel, "-J", ...args);
  assertEquals({ code, errors }, { code: 0, errors: [] });
  return JSON.parse(output.join("\n"));
}

const amount = 10 * 1024 ** 2;

kernelTest("iperf3 -c sends to our server by one stream and by several, and all of it arrives", async () => {
  await using server = await startServer();
  for (const streams of [1, 3]) {
    const { end } = await systemClient("-n", "10M", "-P", String(streams));
    assertEquals(end.streams.length, streams);
    // What the client sends beyond the amount, up to the end of a block, may come too late to be counted.
    assertGreater(end.sum_received.bytes, amount - 1);
    if (streams === 1) assertEquals(end.sum_received.bytes, end.sum_sent.bytes);
  }
  server.signal("SIGINT");
  assertEquals(await server.code(), 0);
  assertEquals(server.output.filter((line) => line.startsWith("Accepted connection from 192.0.2.1")).length, 2);
}, needs);

kernelTest("iperf3 -c -R receives from our server", async () => {
  await using server = await startServer("-1");
  const { end } = await systemClient("-n", "10M", "-R", "-P", "2");
  assertGreater(end.sum_received.bytes, amount - 1);
  assertEquals(await server.code(), 0);
}, needs);

kernelTest("iperf3 -c -u exchanges datagrams with our server in both directions, and none is lost", async () => {
  await using _server = await startServer();
  for (const direction of [[], ["-R"]]) {
    const { end } = await systemClient("-u", "-b", "20M", "-l", "1000", "-n", "200K", ...direction);
    assertGreater(end.sum!.packets, 150);
    assertEquals(end.sum!.lost_packets, 0);
  }
}, needs);

kernelTest("our client sends to iperf3 -s and receives from it", async () => {
  await withSystemServer(async () => {
    const sent = await ourClient("-n", "10M", "-P", "2");
    assertEquals(sent.end.sum_sent.bytes, amount);
    assertEquals(sent.end.sum_received.bytes, amount);
    const received = await ourClient("-n", "10M", "-R");
    assertGreater(received.end.sum_received.bytes, amount - 1);
  });
}, needs);

kernelTest("our client exchanges datagrams with iperf3 -s in both directions", async () => {
  await withSystemServer(async () => {
    for (const direction of [[], ["-R"]]) {
      const { end } = await ourClient("-u", "-b", "20M", "-l", "1000", "-t", "100ms", ...direction);
      assertGreater(end.sum!.packets, 150);
      assertEquals(end.sum!.lost_packets, 0);
    }
  });
}, needs);

kernelTest("our client prints what iperf3 prints", async () => {
  await withSystemServer(async () => {
    const { output } = await runToEnd("iperf3", "--tap", "tap9", "-c", kernel, "-t", "200ms", "-i", "100ms");
    assertEquals(output[0], "Connecting to host 192.0.2.1, port 5201");
    assertMatch(output[1]!, /^\[ {2}5\] local 192\.0\.2\.2 port \d+ connected to 192\.0\.2\.1 port 5201$/);
    assertEquals(output[2], "[ ID] Interval           Transfer     Bitrate         Retr  Cwnd");
    assertMatch(
      output[3]!,
      /^\[ {2}5\] {3}0\.00-\d\.\d\d {3}sec +[\d.]+ [KMG]Bytes +[\d.]+ [MG]bits\/sec +\d+ +[\d.]+ [KM]Bytes$/,
    );
    assertMatch(output.at(-4)!, /^\[ {2}5\] {3}0\.00-\d\.\d\d {3}sec .* sender$/);
    assertMatch(output.at(-3)!, /^\[ {2}5\] {3}0\.00-\d\.\d\d {3}sec .* receiver$/);
    assertEquals(output.at(-1), "iperf Done.");
  });
}, needs);

kernelTest("our client says in one line that nobody listens", async () => {
  const { code, errors } = await runToEnd("iperf3", "-c", kernel);
  assertEquals(code, 1);
  assertEquals(errors.length, 1);
  assertMatch(errors[0]!, /^iperf3: Cannot connect to 192\.0\.2\.1:5201: .*refused/);
}, needs);

kernelTest("a second client and a stream with a wrong cookie are turned away while a test runs", async () => {
  await using server = await startServer();
  const first = run("iperf3", "-c", stack, "-t", "20").catch(() => "");
  await server.line(/^\[ {2}5\] local/);
  const second = await new Deno.Command("iperf3", { args: ["-c", stack] }).output();
  assertMatch(new TextDecoder().decode(second.stderr), /the server is busy running a test/);
  using stranger = await Deno.connect({ hostname: stack, port: 5201 });
  await stranger.write(new Uint8Array(37));
  const answer = new Uint8Array(1);
  await stranger.read(answer);
  assertEquals(answer[0]! << 24 >> 24, -1);
  // Interrupted, our server tells the first client.
  server.signal("SIGINT");
  assertEquals(await server.code(), 1);
  assertEquals(server.errors, ["iperf3: Interrupted: the server has terminated"]);
  await first;
}, needs);

kernelTest("our server names a client that vanishes, and serves the next one", async () => {
  await using server = await startServer();
  const client = new Deno.Command("iperf3", { args: ["-c", stack, "-t", "20"], stdout: "null" }).spawn();
  await server.line(/^\[ {2}5\] local/);
  client.kill("SIGKILL");
  await client.status;
  await server.line(/^iperf3: /);
  assertMatch(server.errors[0]!, /^iperf3: (The client has closed the control connection|Stream 5 has failed)/);
  await server.line(/test #2/);
  const { end } = await systemClient("-n", "1M");
  assertGreater(end.sum_received.bytes, 0);
  assertEquals(server.errors.length, 1);
}, needs);

kernelTest("at SIGINT our client reports what it has measured, tells the server, and exits with 1", async () => {
  await withSystemServer(async () => {
    await using client = RunningProgram.start("iperf3", "--tap", "tap9", "-c", kernel, "-t", "20", "-i", "100ms");
    await client.line(/-\d\.\d\d {3}sec/);
    client.signal("SIGINT");
    assertEquals(await client.code(), 1);
    assertMatch(client.output.at(-1)!, /sender$/);
    assertEquals(client.errors, ["iperf3: Interrupted: the client has terminated"]);
    // The server is free again.
    await ourClient("-n", "100K");
  });
}, needs);

kernelTest("our client says what a server refuses that speaks something else", async () => {
  await run("ip", "tuntap", "add", "dev", "tap9", "mode", "tap");
  await run("ip", "addr", "add", `${kernel}/24`, "dev", "tap9");
  await run("ip", "link", "set", "tap9", "up");
  using listener = Deno.listen({ hostname: kernel, port: 5201 });
  const serving = listener.accept().then(async (conn) => {
    await conn.write(new TextEncoder().encode("220 ready\r\n"));
    await conn.readable.pipeTo(new WritableStream()).catch(() => {});
  });
  const { code, errors } = await runToEnd("iperf3", "--tap", "tap9", "-c", kernel);
  assertEquals(code, 1);
  assertEquals(errors, ["iperf3: The server has sent an unknown state: 50"]);
  await serving;
  using netlink = new Rtnetlink();
  assertEquals(netlink.links().length, 2);
}, needs);

for (
  const [what, args, message] of [
    ["neither side", [], /Give either --server or --client/],
    ["both sides", ["-s", "-c", kernel], /Give either --server or --client/],
    ["a client's option for a server", ["-s", "-R"], /Cannot use --reverse with --server/],
    ["two ends", ["-c", kernel, "-t", "1", "-n", "1"], /Cannot use --time with --bytes/],
    ["datagrams that are too short", ["-c", kernel, "-u", "-l", "3"], /Cannot use --length 3/],
  ] as const
) {
  Deno.test(`iperf3 refuses ${what} with one line and exit code 2`, async () => {
    const { code, output, errors } = await runToEnd("iperf3", ...args);
    assertEquals({ code, output, lines: errors.length }, { code: 2, output: [], lines: 1 });
    assertMatch(errors[0]!, message);
  });
}
