import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Rtnetlink } from "../../mod.ts";
import { KernelSocket } from "../kernel/kernel_datagrams.ts";
import { kernelTest, run } from "../kernel/namespace.ts";
import { assertSameBytes, noise, receiveAll, sendAll } from "../kernel/transfer.ts";
import { lines, programCommand, RunningProgram } from "./run_program.ts";

const hostname = "192.0.2.2";

/** Starts the program and waits until it serves. */
async function startEcho(...args: string[]): Promise<RunningProgram> {
  const program = RunningProgram.start("echo", ...args);
  await program.line(/^ {2}nc -u /);
  return program;
}

function linkNames(): string[] {
  using kernel = new Rtnetlink();
  return kernel.links().map(({ name }) => name);
}

kernelTest("echo answers the host's ping", async () => {
  await using _program = await startEcho();
  const report = await run("ping", "-c", "20", "-i", "0.01", hostname);
  assertStringIncludes(report, "20 packets transmitted, 20 received, 0% packet loss");
}, { programs: ["ping"] });

kernelTest("echo returns a megabyte over TCP byte for byte, and ends when its peer does", async () => {
  await using program = await startEcho();
  const bytes = noise(1 << 20);
  using conn = await Deno.connect({ hostname, port: 7 });
  const [answer] = await Promise.all([receiveAll(conn), sendAll(conn, bytes)]);
  assertSameBytes(answer, bytes);
  await program.line(/ 192\.0\.2\.1:\d+ connected$/);
  await program.line(/ 192\.0\.2\.1:\d+ closed after 1048576 bytes and [\d.]+ s$/);
});

kernelTest("echo serves many connections at once", async () => {
  await using _program = await startEcho("--port", "4007");
  await Promise.all(Array.from({ length: 50 }, async (_, index) => {
    const bytes = noise(20_000, index + 1);
    using conn = await Deno.connect({ hostname, port: 4007 });
    const [answer] = await Promise.all([receiveAll(conn), sendAll(conn, bytes)]);
    assertSameBytes(answer, bytes, `connection ${index}`);
  }));
});

kernelTest("echo returns each UDP datagram to its sender", async () => {
  await using _program = await startEcho();
  await using socket = await KernelSocket.bind("192.0.2.1");
  for (const length of [0, 1, 1472, 9000]) {
    const bytes = noise(length);
    await socket.send(bytes, hostname, 7);
    assertEquals(await socket.receive(), { bytes, hostname, port: 7 });
  }
});

kernelTest("echo answers nc as its output says", async () => {
  await using program = await startEcho();
  const hello = ["sh", "-c"] as const;
  for (const option of ["-N", "-u -w 1"]) {
    assertEquals(await run(...hello, `echo hello | nc ${option} ${hostname} 7`), "hello\n", option);
  }
  assert(program.output.includes(`  nc ${hostname} 7`));
  assert(program.output.includes(`  nc -u ${hostname} 7`));
}, { programs: ["nc"] });

kernelTest("a connection that its peer resets is logged and ends nothing else", async () => {
  await using program = await startEcho();
  const conn = await Deno.connect({ hostname, port: 7 });
  await conn.write(new TextEncoder().encode("ab"));
  assertEquals(await conn.read(new Uint8Array(1)), 1);
  // The kernel resets a connection that is closed while received bytes are unread.
  conn.close();
  assertMatch(await program.line(/ failed: /), /warn +192\.0\.2\.1:\d+ failed: .*, after 2 bytes/);
  using next = await Deno.connect({ hostname, port: 7 });
  await next.write(new TextEncoder().encode("still here"));
  assertEquals(await next.read(new Uint8Array(100)), 10);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  kernelTest(
    `at ${signal} echo closes its connections, leaves nothing on the host and prints its counters`,
    async () => {
      const before = linkNames();
      await using program = await startEcho();
      assert(linkNames().length === before.length + 1);
      using conn = await Deno.connect({ hostname, port: 7 });
      await conn.write(new TextEncoder().encode("hello"));
      assertEquals(await conn.read(new Uint8Array(16)), 5);
      program.signal(signal);
      assertEquals(await conn.read(new Uint8Array(16)), null);
      conn.closeWrite();
      assertEquals(await program.code(), 0);
      assertEquals(linkNames(), before);
      const counters = program.output.slice(program.output.indexOf("Counters:") + 1);
      assert(counters.length > 0);
      for (const line of counters) assertMatch(line, /^ {2}[\w.-]+ +[1-9]\d*$/);
    },
  );
}

kernelTest("at SIGINT a peer that does not close is given up after two seconds", async () => {
  await using program = await startEcho();
  using conn = await Deno.connect({ hostname, port: 7 });
  program.signal("SIGINT");
  assertEquals(await conn.read(new Uint8Array(1)), null);
  assertEquals(await program.code(), 0);
});

kernelTest("a second signal ends echo at once", async () => {
  const before = linkNames();
  await using program = await startEcho("--log-level", "debug");
  using _conn = await Deno.connect({ hostname, port: 7 });
  await program.line(/ connected$/);
  program.signal("SIGINT");
  await program.line(/ SIGINT: closing$/);
  program.signal("SIGTERM");
  assertEquals(await program.code(), 143);
  assertEquals(linkNames(), before);
});

kernelTest("a signal that comes twice at once counts once, as a terminal and a task runner send Ctrl-C", async () => {
  await using program = await startEcho("--log-level", "debug");
  using conn = await Deno.connect({ hostname, port: 7 });
  await program.line(/ connected$/);
  program.signal("SIGINT");
  await program.line(/ SIGINT: closing$/);
  program.signal("SIGINT");
  assertEquals(await conn.read(new Uint8Array(16)), null);
  conn.closeWrite();
  assertEquals(await program.code(), 0);
  assertEquals(program.output.includes("Counters:"), true);
});

kernelTest("echo gives a persistent device back as it was", async () => {
  await run("ip", "tuntap", "add", "keep0", "mode", "tap");
  const program = await startEcho("--tap", "keep0", "--mtu", "1300", "--address", "10.9.8.7/24");
  await using _ = program;
  using kernel = new Rtnetlink();
  const during = kernel.link("keep0");
  assertEquals([during.up, during.mtu, during.txQueueLength], [true, 1300, 10_000]);
  assert(kernel.addresses("keep0").some(({ prefix }) => String(prefix) === "10.9.8.1/24"));
  program.signal("SIGINT");
  assertEquals(await program.code(), 0);
  const after = kernel.link("keep0");
  assertEquals([after.up, after.mtu, after.txQueueLength], [false, 1500, 1000]);
  assertEquals(kernel.addresses("keep0"), []);
}, { programs: ["ip"] });

kernelTest("two instances with the same addresses are refused, with the remedy", async () => {
  await using _first = await startEcho("--tap", "first0");
  await using second = RunningProgram.start("echo");
  assertEquals(await second.code(), 1);
  assertEquals(second.errors, [
    "echo: Cannot use 192.0.2.1 and 192.0.2.2/24: first0 has 192.0.2.1/24; give other addresses with --host and --address",
  ]);
  assertEquals(linkNames(), ["lo", "first0"]);
});

kernelTest("a device that another program has open is refused in one line", async () => {
  await using _first = await startEcho("--tap", "first0");
  await using second = RunningProgram.start("echo", "--tap", "first0", "--address", "10.9.8.7/24");
  assertEquals(await second.code(), 1);
  assertEquals(second.errors.length, 1);
  assertMatch(second.errors[0]!, /^echo: Cannot open the TAP device "first0": .*EBUSY/);
});

kernelTest("--log-level debug shows segments and state changes", async () => {
  await using program = await startEcho("--log-level", "debug");
  using conn = await Deno.connect({ hostname, port: 7 });
  await program.line(/ debug +192\.0\.2\.1:\d+ > 192\.0\.2\.2:7 Flags \[S\], seq \d+/);
  await program.line(/ debug +192\.0\.2\.2:7 > 192\.0\.2\.1:\d+ Flags \[S\.\], seq \d+/);
  await program.line(/ debug +192\.0\.2\.2:7 - 192\.0\.2\.1:\d+ SYN-RECEIVED -> ESTABLISHED$/);
  conn.closeWrite();
  await program.line(/ debug +192\.0\.2\.2:7 - 192\.0\.2\.1:\d+ LAST-ACK -> CLOSED$/);
});

async function runWithoutPrivilege(name: string, ...args: string[]) {
  const command = programCommand(name, args, ["setpriv", "--bounding-set=-net_admin"]);
  const { code, stdout, stderr } = await command.output();
  return { code, output: lines(stdout), errors: lines(stderr) };
}

kernelTest("without the privilege for a TAP device, echo says the remedy and shows the demonstration", async () => {
  const { code, output, errors } = await runWithoutPrivilege("echo");
  assertEquals(errors, []);
  assertEquals(code, 0);
  assertMatch(
    output[0]!,
    /^Cannot open a TAP device: .*CAP_NET_ADMIN.*unshare -rn.*loopback demonstration instead\.$/,
  );
  assertEquals(output.at(-1), "All 3 answers were what had been sent.");
}, { programs: ["setpriv"] });

kernelTest("without the privilege for a TAP device that was asked for by name, echo fails in one line", async () => {
  const { code, output, errors } = await runWithoutPrivilege("echo", "--tap", "tap0");
  assertEquals(output, []);
  assertEquals(code, 1);
  assertEquals(errors.length, 1);
  assertMatch(errors[0]!, /^echo: Cannot open the TAP device "tap0": .*CAP_NET_ADMIN/);
}, { programs: ["setpriv"] });

kernelTest("without the privilege for a TAP device, ping fails in one line with 2", async () => {
  const { code, output, errors } = await runWithoutPrivilege("ping");
  assertEquals(output, []);
  assertEquals(code, 2);
  assertEquals(errors.length, 1);
  assertMatch(errors[0]!, /^ping: Cannot open a TAP device: .*CAP_NET_ADMIN/);
}, { programs: ["setpriv"] });
