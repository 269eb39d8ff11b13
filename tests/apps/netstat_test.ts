import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { askControl, askSnapshot, chooseProgram } from "../../apps/control/client.ts";
import {
  controlDirectory,
  controlPath,
  listControlSockets,
  makeControlDirectory,
} from "../../apps/control/directory.ts";
import { openControl } from "../../apps/control/server.ts";
import { report } from "../../apps/netstat.ts";
import type { StackSnapshot } from "../../mod.ts";
import { kernelTest } from "../kernel/namespace.ts";
import { RunningProgram, runToEnd } from "./run_program.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** Runs `body` with a folder of its own as the place of all control sockets. */
async function withRuntime(body: (runtime: string) => Promise<void>): Promise<void> {
  const before = Deno.env.get("XDG_RUNTIME_DIR");
  const runtime = await Deno.makeTempDir({ prefix: "tapstack-" });
  Deno.env.set("XDG_RUNTIME_DIR", runtime);
  try {
    await body(runtime);
  } finally {
    if (before === undefined) Deno.env.delete("XDG_RUNTIME_DIR");
    else Deno.env.set("XDG_RUNTIME_DIR", before);
    await Deno.remove(runtime, { recursive: true });
  }
}

/** A socket that nobody serves any more, as a killed program leaves it behind. */
function leaveBehind(path: string): void {
  using _listener = Deno.listen({ transport: "unix", path: `${path}.new` });
  // Closing a listener removes its socket, where it finds it.
  Deno.renameSync(`${path}.new`, path);
}

const snapshot: StackSnapshot = {
  time: 1,
  interfaces: [{
    index: 1,
    name: "tap0",
    medium: "ethernet",
    mac: "02:00:00:00:00:01",
    mtu: 1500,
    addresses: ["192.0.2.2/24"],
    groups: [],
    promiscuous: false,
    counters: { receivedFrames: 10, receivedBytes: 1000, sentFrames: 9, sentBytes: 900, sendDropped: 0 },
  }],
  routes: [{ prefix: "0.0.0.0/0", gateway: "192.0.2.1", interface: "tap0", metric: 0 }],
  neighbors: [{ address: "192.0.2.1", mac: null, interface: "tap0", state: "INCOMPLETE", pending: 2 }],
  tcp: [{ state: "LISTEN", local: "0.0.0.0:7", remote: null, receiveQueue: 1, sendQueue: 2, info: null }],
  udp: [{ local: "0.0.0.0:53", remote: null, receiveQueue: 3, dropped: 4 }],
  ports: [],
  packets: { inUse: 0, heldBytes: 0 },
  counters: { "ipv4.received": 12, "ipv4.badChecksum": 0, "tcp.received": 7 },
};

const nothing = {
  interfaces: false,
  routes: false,
  neighbors: false,
  tcp: false,
  udp: false,
  statistics: false,
  all: false,
  list: false,
  json: false,
};

Deno.test("netstat's tables: one line each, what is unknown is a dash", () => {
  assertEquals(report(snapshot, { ...nothing, interfaces: true }).split("\n"), [
    "Name   MTU  Hardware           Addresses     RX-Frames  RX-Bytes  TX-Frames  TX-Bytes  TX-Drop",
    "tap0  1500  02:00:00:00:00:01  192.0.2.2/24         10      1000          9       900        0",
  ]);
  assertEquals(report(snapshot, { ...nothing, routes: true }).split("\n"), [
    "Destination  Gateway    Interface  Metric",
    "0.0.0.0/0    192.0.2.1  tap0            0",
  ]);
  assertEquals(report(snapshot, { ...nothing, neighbors: true }).split("\n"), [
    "Address    Hardware  Interface  State       Waiting",
    "192.0.2.1         -  tap0       INCOMPLETE        2",
  ]);
});

Deno.test("netstat leaves out listeners and counters that are 0, unless it is asked for all", () => {
  const tcp = (all: boolean) => report(snapshot, { ...nothing, tcp: true, all });
  assertEquals(tcp(false).split("\n").length, 1);
  assertMatch(tcp(true), /\ntcp +1 +2 +0\.0\.0\.0:7 +\* +LISTEN/);
  const counters = (all: boolean) => report(snapshot, { ...nothing, statistics: true, all });
  assertEquals(counters(false), "ipv4:\n  12 received\ntcp:\n  7 received");
  assertEquals(counters(true), "ipv4:\n  12 received\n   0 badChecksum\ntcp:\n  7 received");
});

Deno.test("netstat shows TCP and UDP when nothing is asked for, and titles when there are several tables", () => {
  assertMatch(report(snapshot, nothing), /^TCP\nProto .*\n\nUDP\nProto .*\nudp +3 +0\.0\.0\.0:53 +\* +4$/);
});

Deno.test("netstat --json prints what was asked for, or everything", () => {
  assertEquals(JSON.parse(report(snapshot, { ...nothing, json: true })), snapshot);
  assertEquals(JSON.parse(report(snapshot, { ...nothing, json: true, udp: true, statistics: true })), {
    udp: snapshot.udp,
    counters: snapshot.counters,
  });
});

Deno.test("a control socket is its user's only, answers by name, and is gone when it is closed", () =>
  withRuntime(async () => {
    const control = await openControl(null, { snapshot: () => snapshot, other: () => [1, 2] }, silent);
    const { path } = control!;
    assertEquals(path, controlPath("netstat-test", Deno.pid));
    assertEquals(Deno.lstatSync(path).mode! & 0o777, 0o600);
    assertEquals(Deno.lstatSync(controlDirectory()).mode! & 0o777, 0o700);
    assertEquals(await askSnapshot(path), snapshot);
    assertEquals(await askControl(path, "other"), [1, 2]);
    await assertRejects(
      () => askControl(path, "toString"),
      Error,
      'Nothing is called "toString": ask for snapshot, other',
    );
    assertEquals(await chooseProgram(null), { program: "netstat-test", pid: Deno.pid, path });
    assertEquals(await chooseProgram(Deno.pid), { program: "netstat-test", pid: Deno.pid, path });
    await control![Symbol.asyncDispose]();
    assertEquals(await listControlSockets(), []);
    await assertRejects(() => askSnapshot(path), Error, "does it still run?");
  }));

Deno.test("the choice of a program says what there is to choose from", () =>
  withRuntime(async (runtime) => {
    await assertRejects(() => chooseProgram(null), Error, "Cannot find a running program with a stack");
    await using _one = await openControl(null, {}, silent);
    await using _other = await openControl(`${runtime}/tapstack/echo-1.sock`, {}, silent);
    await assertRejects(
      () => chooseProgram(null),
      Error,
      `echo (1), netstat-test (${Deno.pid}) run; choose with --pid`,
    );
    await assertRejects(() => chooseProgram(2), Error, "Cannot find process 2: echo (1), netstat-test");
  }));

Deno.test({
  name: "sockets of killed programs are removed, and nothing else is",
  async fn() {
    await withRuntime(async () => {
      makeControlDirectory();
      const stale = controlPath("echo", 4_000_000);
      leaveBehind(stale);
      await Deno.writeTextFile(`${controlDirectory()}/echo-5.sock`, "no socket");
      await using control = await openControl(null, {}, silent);
      assertEquals((await listControlSockets()).map(({ path }) => path), [control!.path]);
      const names = Array.from(Deno.readDirSync(controlDirectory()), ({ name }) => name).sort();
      assertEquals(names, ["echo-5.sock", `netstat-test-${Deno.pid}.sock`]);
    });
  },
});

Deno.test("a directory that others can write to, or a link to elsewhere, is not used, and the program goes on", () =>
  withRuntime(async (runtime) => {
    const warnings: string[] = [];
    const logger = { ...silent, warn: (message: string) => warnings.push(message) };
    await Deno.mkdir(`${runtime}/tapstack`);
    await Deno.chmod(`${runtime}/tapstack`, 0o777);
    assertEquals(await openControl(null, {}, logger), null);
    await Deno.remove(`${runtime}/tapstack`);
    await Deno.mkdir(`${runtime}/elsewhere`, { mode: 0o700 });
    await Deno.symlink(`${runtime}/elsewhere`, `${runtime}/tapstack`);
    assertEquals(await openControl(null, {}, logger), null);
    assertEquals(warnings.length, 2);
    for (const warning of warnings) assertStringIncludes(warning, "it must be a directory of yours with mode 700");
  }));

Deno.test("a path of the user's choice: taken over from a killed program, refused when it is in use or no socket", () =>
  withRuntime(async (runtime) => {
    const path = `${runtime}/mine.sock`;
    assertEquals(await openControl("none", {}, silent), null);
    leaveBehind(path);
    await using control = await openControl(path, { snapshot: () => snapshot }, silent);
    assertEquals(await askSnapshot(control!.path), snapshot);
    await assertRejects(() => openControl(path, {}, silent), Error, "another program has it");
    await Deno.writeTextFile(`${runtime}/file`, "precious");
    await assertRejects(() => openControl(`${runtime}/file`, {}, silent), Error, "Cannot open the control socket");
    assertEquals(await Deno.readTextFile(`${runtime}/file`), "precious");
  }));

Deno.test("netstat without a program, or with a wrong command line, says so in one line", () =>
  withRuntime(async () => {
    const nobody = await runToEnd("netstat");
    assertEquals([nobody.code, nobody.output, nobody.errors.length], [1, [], 1]);
    assertStringIncludes(nobody.errors[0]!, "netstat: Cannot find a running program with a stack");
    const both = await runToEnd("netstat", "--pid", "1", "--control", "x");
    assertEquals([both.code, both.errors.length], [2, 1]);
    const absent = await runToEnd("netstat", "--control", "/does/not/exist");
    assertEquals([absent.code, absent.errors.length], [1, 1]);
    const help = await runToEnd("netstat", "--help");
    assertEquals([help.code, help.errors], [0, []]);
    const empty = await runToEnd("netstat", "-l", "--json");
    assertEquals(empty.output, ["[]"]);
  }));

kernelTest(
  "netstat shows a running echo: its connection, the route it came by, and the neighbour",
  () =>
    withRuntime(async () => {
      await using program = RunningProgram.start("echo");
      await program.line(/^ {2}nc -u /);
      using conn = await Deno.connect({ hostname: "192.0.2.2", port: 7 });
      await conn.write(new TextEncoder().encode("hello"));
      await conn.read(new Uint8Array(5));
      const { hostname, port } = conn.localAddr as Deno.NetAddr;
      const { output, errors, code } = await runToEnd("netstat", "-tnri");
      assertEquals([code, errors], [0, []]);
      const text = output.join("\n");
      assertMatch(
        text,
        new RegExp(`^tcp +0 +0 +192.0.2.2:7 +${hostname}:${port} +ESTABLISHED +[\\d.]+ +\\d+ +0 +0$`, "m"),
      );
      assertMatch(text, /^192\.0\.2\.1 +[0-9a-f:]{17} +tap0 +(REACHABLE|STALE|DELAY|PROBE) +0$/m);
      assertMatch(text, /^192\.0\.2\.0\/24 +- +tap0 +0$/m);
      const json = JSON.parse((await runToEnd("netstat", "--json")).output.join("")) as StackSnapshot;
      assertEquals(json.tcp.find(({ state }) => state === "ESTABLISHED")!.info!.bytesReceived, 5);
      program.signal("SIGKILL");
      await program.code();
      assertEquals((await runToEnd("netstat")).code, 1);
      assertEquals([...Deno.readDirSync(controlDirectory())], []);
    }),
);
