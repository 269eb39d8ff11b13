import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { datagramsOf } from "../../apps/datagrams/lines.ts";
import { Input } from "../../apps/transfer/input.ts";
import { KernelSocket } from "../kernel/kernel_datagrams.ts";
import { kernelTest, run } from "../kernel/namespace.ts";
import { lines, programCommand, RunningProgram, runToEnd } from "./run_program.ts";

const encode = (text: string) => new TextEncoder().encode(text);

for (
  const [name, args, reason] of [
    ["udpserver", [], "Give a port"],
    ["udpserver", ["65536"], 'Cannot use "65536" as a port'],
    [
      "udpserver",
      ["9", "--length", "65508"],
      'Cannot use "65508" for -l (--length): give a whole number from 1 to 65507',
    ],
    ["udpclient", ["192.0.2.1"], "Give a port"],
    ["udpclient", ["example.com", "9"], 'Cannot send to "example.com": names are not resolved here'],
  ] as const
) {
  Deno.test(`${[name, ...args].join(" ")} is refused in one line, with 2`, async () => {
    const { code, output, errors } = await runToEnd(name, ...args);
    assertEquals([code, output, errors.length], [2, [], 1]);
    assertStringIncludes(errors[0]!, reason);
  });
}

for (const name of ["udpserver", "udpclient"]) {
  Deno.test(`${name} --help shows examples`, async () => {
    const { code, output } = await runToEnd(name, "--help");
    assertEquals(code, 0);
    assertMatch(output.join("\n"), new RegExp(`Examples:\n  deno task ${name} `));
  });
}

/** How a text is cut into datagrams. */
async function cut(text: string, blockBytes: number | null): Promise<string[]> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, text);
    using input = Input.open(path);
    return (await Array.fromAsync(datagramsOf(input, blockBytes))).map((bytes) => new TextDecoder().decode(bytes));
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("an input is cut into lines, of which the last needs no newline, or into blocks", async () => {
  assertEquals(await cut("one\n\ntwo\nthree", null), ["one\n", "\n", "two\n", "three"]);
  assertEquals(await cut("one\n\ntwo\n", 4), ["one\n", "\ntwo", "\n"]);
  assertEquals(await cut("", null), []);
  assertEquals((await cut("x".repeat(70_000), null)).map((text) => text.length), [65_507, 4493]);
  // The input is read in pieces of 262,144 bytes, which end in the middle of a line.
  const many = Array.from({ length: 40_000 }, (_, index) => `line ${index}\n`);
  assertEquals(await cut(many.join(""), null), many);
});

kernelTest("udpclient sends a datagram for each line and prints the answers", async () => {
  await using socket = await KernelSocket.bind("0.0.0.0", 9000);
  const wrapper = ["sh", "-c", `printf 'one\\ntwo\\n' | "$0" "$@"`];
  const outcome = programCommand("udpclient", ["192.0.2.1", "9000", "-w", "500ms"], wrapper).output();
  for (const line of ["one\n", "two\n"]) {
    const { bytes, hostname, port } = await socket.receive();
    assertEquals([new TextDecoder().decode(bytes), hostname], [line, "192.0.2.2"]);
    await socket.send(encode(`got ${line}`), hostname, port);
  }
  const { code, stdout, stderr } = await outcome;
  assertEquals([code, lines(stdout), lines(stderr)], [0, ["got one", "got two"], []]);
});

kernelTest("udpclient shows that nobody listens, goes on, and ends with 1", async () => {
  const wrapper = ["sh", "-c", `{ echo one; sleep 0.6; echo two; } | "$0" "$@"`];
  const { code, stderr } = await programCommand("udpclient", ["192.0.2.1", "9", "-w", "900ms"], wrapper).output();
  const errors = lines(stderr);
  assertEquals(code, 1);
  assertEquals(errors.length, 2, errors.join("\n"));
  for (const line of errors) assertMatch(line, /^udpclient: Cannot .* 192\.0\.2\.1:9: nobody listens on that port$/);
});

kernelTest("udpclient refuses a broadcast address without -b, and with it hears whoever answers", async () => {
  const once = ["sh", "-c", `echo hello | "$0" "$@"`];
  const refused = await programCommand("udpclient", ["192.0.2.255", "9000", "-w", "300ms"], once).output();
  assertEquals([refused.code, lines(refused.stderr).length], [2, 1]);
  assertStringIncludes(lines(refused.stderr)[0]!, "it is a broadcast address, give --broadcast");
  await using socket = await KernelSocket.bind("0.0.0.0", 9000);
  const outcome = programCommand("udpclient", ["192.0.2.255", "9000", "-b", "-w", "500ms"], once).output();
  const { bytes, hostname, port } = await socket.receive();
  assertEquals(bytes, encode("hello\n"));
  await socket.send(encode("me\n"), hostname, port);
  const { code, stdout } = await outcome;
  assertEquals([code, lines(stdout)], [0, ["me"]]);
});

kernelTest("udpserver --echo returns every datagram, prints it, and ends when it is silent", async () => {
  await using server = RunningProgram.start("udpserver", "9000", "--echo", "-w", "700ms");
  await server.line(/^Receiving on 192\.0\.2\.2:9000$/);
  await using socket = await KernelSocket.bind("192.0.2.1");
  for (const text of ["one\n", "", "three\n"]) {
    await socket.send(encode(text), "192.0.2.2", 9000);
    assertEquals((await socket.receive()).bytes, encode(text));
  }
  assertEquals(await server.code(), 0);
  assertEquals(server.output, ["one", "three"]);
});

kernelTest("udpserver sends the lines of its input to the last sender", async () => {
  const wrapper = ["sh", "-c", `printf 'first\\nsecond\\n' | "$0" "$@"`];
  await using server = RunningProgram.startBy(wrapper, "udpserver", "9000", "--json", "-w", "1s");
  await server.line(/^Receiving on/);
  await using socket = await KernelSocket.bind("192.0.2.1", 9001);
  await socket.send(encode("hi"), "192.0.2.2", 9000);
  assertEquals((await socket.receive()).bytes, encode("first\n"));
  assertEquals((await socket.receive()).bytes, encode("second\n"));
  assertEquals(await server.code(), 0);
  assertEquals(server.output, ['{"from":"192.0.2.1:9001","bytes":2,"text":"hi"}']);
});

kernelTest("udpserver joins a multicast group", async () => {
  await using server = RunningProgram.start("udpserver", "9000", "--group", "239.1.2.3");
  await server.line(/^Receiving on 192\.0\.2\.2:9000 and 239\.1\.2\.3$/);
  await run("ip", "route", "add", "239.0.0.0/8", "dev", "tap0");
  await using socket = await KernelSocket.bind("192.0.2.1");
  await socket.send(encode("to all\n"), "239.1.2.3", 9000);
  await server.line(/^to all$/);
  server.signal("SIGINT");
  assertEquals(await server.code(), 130);
}, { programs: ["ip"] });
