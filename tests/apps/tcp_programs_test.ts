import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Rtnetlink } from "../../mod.ts";
import { kernelTest, run } from "../kernel/namespace.ts";
import { assertSameBytes, noise, receiveAll, sendAll } from "../kernel/transfer.ts";
import { type Outcome, programCommand, RunningProgram, runToEnd } from "./run_program.ts";

const stackAddress = "192.0.2.2";

/** Runs `body` with a folder of its own. */
async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "tapstack-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Starts `tcpserver` and waits until it listens. */
async function startServer(...args: string[]): Promise<RunningProgram> {
  const server = RunningProgram.start("tcpserver", "9000", "--control", "none", ...args);
  await server.line(/ Listening on 192\.0\.2\.2:9000$/);
  return server;
}

/** What `--json` says, which is the last line of standard error. */
function summaryOf(errors: readonly string[]) {
  return JSON.parse(errors.filter((line) => line.startsWith("{")).at(-1)!) as {
    sent: { bytes: number; sha256?: string };
    received: { bytes: number; sha256?: string };
  };
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** The error of a program: one line, and no trace of its code. */
function assertFailed({ code, errors }: Outcome, expectedCode: number, reason: string): void {
  assertEquals(code, expectedCode, errors.join("\n"));
  const own = errors.filter((line) => /^(tcpserver|tcpclient): /.test(line));
  assertEquals(own.length, 1, errors.join("\n"));
  assertStringIncludes(own[0]!, reason);
  assertEquals(errors.filter((line) => /^\s+at /.test(line)), []);
}

function linkNames(): string[] {
  using kernel = new Rtnetlink();
  return kernel.links().map(({ name }) => name);
}

for (
  const [name, args, reason] of [
    ["tcpserver", [], "Give a port"],
    ["tcpserver", ["0"], 'Cannot use "0" as a port: give a whole number from 1 to 65535'],
    ["tcpserver", ["80", "81"], 'Unexpected argument "81"'],
    ["tcpserver", ["80", "-i", "same", "-o", "same"], 'Cannot use "same" for both --input and --output'],
    ["tcpserver", ["80", "-w", "soon"], 'Cannot use "soon" for -w (--wait)'],
    ["tcpclient", [], "Give a host and a port"],
    ["tcpclient", ["192.0.2.1"], "Give a port"],
    ["tcpclient", ["example.com", "80"], 'Cannot connect to "example.com": names are not resolved here'],
    ["tcpclient", ["192.0.2.1", "http"], 'Cannot use "http" as a port'],
    ["tcpclient", ["192.0.2.1", "80", "81"], 'Unexpected argument "81"'],
  ] as const
) {
  Deno.test(`${[name, ...args].join(" ")} is refused in one line, with 2`, async () => {
    assertFailed(await runToEnd(name, ...args), 2, reason);
  });
}

for (const name of ["tcpserver", "tcpclient"]) {
  Deno.test(`${name} --help shows examples`, async () => {
    const { code, output, errors } = await runToEnd(name, "--help");
    assertEquals([code, errors], [0, []]);
    assertMatch(output.join("\n"), new RegExp(`Usage: deno task ${name} .*\n[^]*Examples:\n  deno task ${name} `));
  });
}

kernelTest(
  "tcpserver takes 0, 1, 20,000 and 3,000,000 bytes exactly, and tells their hash",
  () =>
    withFolder(async (folder) => {
      for (const size of [0, 1, 20_000, 3_000_000]) {
        const bytes = noise(size);
        await using server = await startServer("-o", `${folder}/received`, "--hash", "--json");
        using conn = await Deno.connect({ hostname: stackAddress, port: 9000 });
        await Promise.all([sendAll(conn, bytes), receiveAll(conn)]);
        assertEquals(await server.code(), 0);
        assertSameBytes(await Deno.readFile(`${folder}/received`), bytes, `${size} bytes`);
        const { sent, received } = summaryOf(server.errors);
        assertEquals(received, { bytes: size, sha256: await sha256(bytes) });
        assertEquals(sent, { bytes: 0, sha256: await sha256(new Uint8Array()) });
      }
    }),
);

kernelTest(
  "tcpclient sends and receives at the same time, exactly, on a link that loses one frame in a hundred",
  () =>
    withFolder(async (folder) => {
      const [there, back] = [noise(700_000, 1), noise(500_000, 2)];
      await Deno.writeFile(`${folder}/there`, there);
      using listener = Deno.listen({ port: 9001 });
      const args = [
        "192.0.2.1",
        "9001",
        "-i",
        `${folder}/there`,
        "-o",
        `${folder}/back`,
        "--loss",
        "1%",
        "--seed",
        "4",
      ];
      await using client = RunningProgram.start("tcpclient", ...args);
      using conn = await listener.accept();
      const [received] = await Promise.all([receiveAll(conn), sendAll(conn, back)]);
      assertEquals(await client.code(), 0, client.errors.join("\n"));
      assertSameBytes(received, there, "there");
      assertSameBytes(await Deno.readFile(`${folder}/back`), back, "back");
    }),
);

kernelTest(
  "tcpclient joins standard input and output, and goes on receiving after its input has ended",
  () =>
    withFolder(async (folder) => {
      const bytes = noise(300_000);
      await Deno.writeFile(`${folder}/in`, bytes);
      using listener = Deno.listen({ port: 9001 });
      const wrapper = ["sh", "-c", `exec "$0" "$@" < ${folder}/in > ${folder}/out`];
      const outcome = programCommand("tcpclient", ["192.0.2.1", "9001"], wrapper).output();
      using conn = await listener.accept();
      // Nothing is sent before the client has ended its side.
      const received = await receiveAll(conn);
      await sendAll(conn, received.toReversed());
      assertEquals((await outcome).code, 0);
      assertSameBytes(received, bytes);
      assertSameBytes(await Deno.readFile(`${folder}/out`), bytes.toReversed());
    }),
);

kernelTest("tcpserver exchanges files with nc", () =>
  withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/ours`, noise(100_000, 1));
    await Deno.writeFile(`${folder}/theirs`, noise(200_000, 2));
    await using server = await startServer("-i", `${folder}/ours`, "-o", `${folder}/received`);
    await run("sh", "-c", `nc -N ${stackAddress} 9000 < ${folder}/theirs > ${folder}/answer`);
    assertEquals(await server.code(), 0);
    await run("cmp", `${folder}/theirs`, `${folder}/received`);
    await run("cmp", `${folder}/ours`, `${folder}/answer`);
  }), { programs: ["nc"] });

kernelTest(
  "tcpserver -k sends the same file to one peer after the other, and survives one that resets",
  () =>
    withFolder(async (folder) => {
      const page = noise(50_000);
      await Deno.writeFile(`${folder}/page`, page);
      await using server = await startServer("-k", "-i", `${folder}/page`, "-o", "/dev/null");
      for (let round = 0; round < 3; round++) {
        using conn = await Deno.connect({ hostname: stackAddress, port: 9000 });
        const [received] = await Promise.all([receiveAll(conn), conn.closeWrite()]);
        assertSameBytes(received, page, `round ${round}`);
        const rude = await Deno.connect({ hostname: stackAddress, port: 9000 });
        await rude.read(new Uint8Array(1));
        // The kernel resets a connection that is closed while received bytes are unread.
        rude.close();
      }
      await server.line(/ error .*reset/);
      server.signal("SIGINT");
      assertEquals(await server.code(), 130);
    }),
);

kernelTest("a port where nobody listens is refused: one line, and 1", async () => {
  assertFailed(await runToEnd("tcpclient", "192.0.2.1", "9"), 1, "Cannot connect to 192.0.2.1:9: ");
});

kernelTest("-w gives up a connection that is not answered, and one on which nothing moves", async () => {
  const nobody = await runToEnd("tcpclient", "192.0.2.77", "9", "-w", "200ms");
  assertFailed(nobody, 1, "Cannot connect to 192.0.2.77:9: no answer for 0.2 s");
  using listener = Deno.listen({ port: 9001 });
  const silent = runToEnd("tcpclient", "192.0.2.1", "9001", "-w", "200ms");
  using _conn = await listener.accept();
  assertFailed(await silent, 1, "nothing has moved for 0.2 s");
});

kernelTest("a peer that resets in the middle is a failure: one line, and 1", () =>
  withFolder(async (folder) => {
    await Deno.writeFile(`${folder}/page`, noise(50_000));
    await using server = await startServer("-i", `${folder}/page`, "-o", "/dev/null");
    const conn = await Deno.connect({ hostname: stackAddress, port: 9000 });
    await conn.read(new Uint8Array(1));
    // The kernel resets a connection that is closed while received bytes are unread.
    conn.close();
    assertFailed({ code: await server.code(), output: server.output, errors: server.errors }, 1, "reset");
  }));

kernelTest("whoever does not read standard output any more ends the program: one line, and 1", async () => {
  using listener = Deno.listen({ port: 9001 });
  const wrapper = ["sh", "-c", `{ "$0" "$@"; echo "code $?" >&2; } | head -c 10 > /dev/null`];
  const outcome = programCommand("tcpclient", ["192.0.2.1", "9001"], wrapper).output();
  using conn = await listener.accept();
  try {
    for (;;) await conn.write(noise(65_536));
  } catch {
    // The program has reset the connection.
  }
  const errors = new TextDecoder().decode((await outcome).stderr).trim().split("\n");
  assertEquals(errors.at(-1), "code 1");
  assertEquals(errors.at(-2), "tcpclient: Cannot write standard output: nobody reads it any more");
});

kernelTest("Ctrl-C ends tcpserver with 130, and leaves nothing on the host", async () => {
  const before = linkNames();
  await using server = await startServer();
  using conn = await Deno.connect({ hostname: stackAddress, port: 9000 });
  await server.line(/ connected$/);
  server.signal("SIGINT");
  assertEquals(await server.code(), 130);
  assertEquals(linkNames(), before);
  assert(await conn.read(new Uint8Array(1)).then((read) => read === null, () => true));
});

kernelTest("after a run was killed the next one works", async () => {
  const first = await startServer("--tap", "again0");
  first.signal("SIGKILL");
  await first.code();
  await using second = await startServer("--tap", "again0", "-o", "/dev/null");
  using conn = await Deno.connect({ hostname: stackAddress, port: 9000 });
  await Promise.all([sendAll(conn, noise(1000)), receiveAll(conn)]);
  assertEquals(await second.code(), 0);
});

kernelTest("two programs at once, on devices of their own", () =>
  withFolder(async (folder) => {
    await using first = await startServer("-o", `${folder}/first`);
    const args = ["9000", "--address", "198.51.100.2/24", "-o", `${folder}/second`];
    await using second = RunningProgram.start("tcpserver", ...args);
    await second.line(/ Listening on 198\.51\.100\.2:9000$/);
    for (const [hostname, seed] of [[stackAddress, 1], ["198.51.100.2", 2]] as const) {
      using conn = await Deno.connect({ hostname, port: 9000 });
      await Promise.all([sendAll(conn, noise(10_000, seed)), receiveAll(conn)]);
    }
    assertEquals([await first.code(), await second.code()], [0, 0]);
    assertSameBytes(await Deno.readFile(`${folder}/first`), noise(10_000, 1));
    assertSameBytes(await Deno.readFile(`${folder}/second`), noise(10_000, 2));
  }));

kernelTest("a file that is not there is told in one line, and no device is opened", async () => {
  for (const [name, ...args] of [["tcpclient", "192.0.2.1", "9"], ["tcpserver", "9"]] as const) {
    const outcome = await runToEnd(name, ...args, "-i", "/does/not/exist");
    assertEquals(outcome.errors, [`${name}: Cannot read "/does/not/exist": there is no such file or directory`]);
    assertFailed(outcome, 1, "there is no such file");
  }
});

kernelTest("without the privilege for a TAP device both programs fail in one line", async () => {
  for (const [name, ...args] of [["tcpclient", "192.0.2.1", "9"], ["tcpserver", "9"]] as const) {
    const { code, stderr } = await programCommand(name, args, ["setpriv", "--bounding-set=-net_admin"]).output();
    const errors = new TextDecoder().decode(stderr).trim().split("\n");
    assertEquals([code, errors.length], [1, 1], errors.join("\n"));
    assertMatch(errors[0]!, new RegExp(`^${name}: Cannot open a TAP device: .*CAP_NET_ADMIN`));
  }
}, { programs: ["setpriv"] });

/** Types a line into a program at a terminal, and prints what the terminal shows until the program ends. */
const terminal = `
import os, pty, sys
pid, descriptor = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
os.write(descriptor, b"typed\\n")
try:
    while True: sys.stdout.buffer.write(os.read(descriptor, 1000)); sys.stdout.flush()
except OSError: pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

kernelTest(
  "at a terminal tcpclient ends when its peer does, without waiting for more input, and shows no progress",
  async () => {
    using listener = Deno.listen({ port: 9001 });
    const wrapper = ["python3", "-c", terminal];
    const outcome = programCommand("tcpclient", ["192.0.2.1", "9001", "--log-level", "warn"], wrapper).output();
    using conn = await listener.accept();
    const buffer = new Uint8Array(100);
    assertEquals(new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0)), "typed\n");
    await conn.write(new TextEncoder().encode("answer\n"));
    await conn.closeWrite();
    assertEquals(await conn.read(buffer), null);
    const { code, stdout } = await outcome;
    assertEquals([code, new TextDecoder().decode(stdout).replaceAll("\r", "")], [0, "typed\nanswer\n"]);
  },
  { programs: ["python3"] },
);
