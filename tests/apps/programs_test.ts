import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { lines, type Outcome, programCommand, runToEnd } from "./run_program.ts";

function assertOneLine({ output, errors }: Outcome, text: string): void {
  assertEquals(output, []);
  assertEquals(errors.length, 1, errors.join("\n"));
  assertStringIncludes(errors[0]!, text);
}

for (const name of ["echo", "ping"]) {
  Deno.test(`${name} --help prints the usage and succeeds`, async () => {
    const { code, output, errors } = await runToEnd(name, "--help");
    assertEquals(code, 0);
    assertEquals(errors, []);
    assertMatch(output.join("\n"), new RegExp(`Usage: deno task ${name} `));
    for (const option of ["--tap", "--address", "--host", "--mac", "--mtu", "--log-level", "--help"]) {
      assertStringIncludes(output.join("\n"), option);
    }
  });

  Deno.test(`${name} with a wrong command line says why in one line and exits with 2`, async () => {
    const wrong: [string, string][] = [
      ["--nonsense", 'Unknown option "--nonsense"'],
      ["--address=192.0.2.1", 'Cannot use "192.0.2.1" for --address: '],
      ["--tap=sixteen-bytes-xy", "the name has 16 bytes, Linux allows 15"],
      ["--mac=ff:ff:ff:ff:ff:ff", "that is a group's address"],
      ["--mtu=67", "give a whole number from 68 to 65521"],
      ["--address=192.0.2.1/24 --host=198.51.100.1/24", "give two addresses of one network"],
    ];
    for (const [args, reason] of wrong) {
      const outcome = await runToEnd(name, ...args.split(" "));
      assertEquals(outcome.code, 2, args);
      assertOneLine(outcome, reason);
      assertMatch(outcome.errors[0]!, new RegExp(`^${name}: .* \\(see: deno task ${name} --help\\)$`));
    }
  });
}

Deno.test("ping refuses a name, in one line, with 2", async () => {
  const outcome = await runToEnd("ping", "example.com");
  assertEquals(outcome.code, 2);
  assertOneLine(outcome, 'ping: Cannot ping "example.com": names are not resolved here');
});

Deno.test("ping reaches the stack's own loopback address without any device", async () => {
  const { code, output, errors } = await runToEnd("ping", "-c", "3", "-i", "10ms", "127.0.0.1");
  assertEquals(errors, []);
  assertEquals(code, 0);
  assertEquals(output[0], "PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data.");
  for (const [index, line] of output.slice(1, 4).entries()) {
    assertMatch(line, new RegExp(`^64 bytes from 127\\.0\\.0\\.1: icmp_seq=${index + 1} ttl=64 time=[\\d.]+ ms$`));
  }
  assertEquals(output[4], "");
  assertEquals(output[5], "--- 127.0.0.1 ping statistics ---");
  assertMatch(output[6]!, /^3 packets transmitted, 3 received, 0% packet loss, time \d+ms$/);
  assertMatch(output[7]!, /^rtt min\/avg\/max\/mdev = \d+\.\d{3}\/\d+\.\d{3}\/\d+\.\d{3}\/\d+\.\d{3} ms$/);
  assertEquals(output.length, 8);
});

Deno.test("ping ends when nobody reads its output any more: one line, and 2", async () => {
  const wrapper = ["sh", "-c", `{ "$0" "$@"; echo "code $?" >&2; } | head -n 1`];
  const { stdout, stderr } = await programCommand("ping", ["-i", "5ms", "127.0.0.1"], wrapper).output();
  assertEquals(lines(stdout), ["PING 127.0.0.1 (127.0.0.1) 56(84) bytes of data."]);
  assertEquals(lines(stderr), ["ping: Cannot write standard output: nobody reads it any more", "code 2"]);
});

Deno.test("ping -q prints the first line and the summary only", async () => {
  const { code, output } = await runToEnd("ping", "-q", "-c", "2", "-i", "1ms", "-s", "0", "127.0.0.1");
  assertEquals(code, 0);
  assertEquals(output[0], "PING 127.0.0.1 (127.0.0.1) 0(28) bytes of data.");
  assertEquals(output.slice(1, 3), ["", "--- 127.0.0.1 ping statistics ---"]);
  assertEquals(output.length, 5);
});

Deno.test("the loopback demonstration shows the handshake, three exact echoes and the close, and succeeds", async () => {
  const { code, output, errors } = await runToEnd("echo", "--loopback");
  assertEquals(errors, []);
  assertEquals(code, 0);
  const handshake = output.slice(
    output.indexOf("== The client connects") + 1,
    output.indexOf("== The client connects") + 7,
  );
  const options = String.raw`\[mss \d+,.*sackOK.*TS val \d+ ecr \d+.*wscale \d+.*\]`;
  assertMatch(handshake.join("\n"), /^client +CLOSED -> SYN-SENT$/m);
  assertMatch(
    handshake.join("\n"),
    new RegExp(`^client -> server {2}Flags \\[S\\], seq 0, win \\d+, options ${options}, length 0$`, "m"),
  );
  assertMatch(
    handshake.join("\n"),
    new RegExp(`^server -> client {2}Flags \\[S\\.\\], seq 0, ack 1, win \\d+, options ${options}, length 0$`, "m"),
  );
  assertMatch(handshake.join("\n"), /^client -> server {2}Flags \[\.\], seq 1, ack 1, win \d+, .*length 0$/m);
  const echoes = output.filter((line) => line.startsWith("Echo "));
  assertEquals(echoes, [1, 2, 3].map((round) => `Echo ${round}: 14 bytes out, 14 bytes in: "Hello Netstack"`));
  assertEquals(output.filter((line) => /^client -> server {2}Flags \[P\.\], .* length 14$/.test(line)).length, 3);
  assertEquals(output.filter((line) => /^server -> client {2}Flags \[P\.\], .* length 14$/.test(line)).length, 3);
  for (const state of ["FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "LAST-ACK", "TIME-WAIT"]) {
    assertMatch(output.join("\n"), new RegExp(`-> ${state}$`, "m"));
  }
  assertEquals(output.at(-1), "All 3 answers were what had been sent.");
});

Deno.test("the loopback demonstration shows the windows as sequence numbers move through them", async () => {
  const { output } = await runToEnd("echo", "--loopback");
  const numbers = (title: string) =>
    output.flatMap((line, index) => line.startsWith(`    ${title} `) ? [output[index + 1]!.trim()] : []);
  const sends = numbers("send   ").map((line) => line.split("|").slice(1, 3).map((cell) => cell.trim()).join(" / "));
  assertEquals(sends, [
    "none / none",
    "none / 1..14",
    "1..14 / none",
    "1..14 / 15..28",
    "1..28 / none",
    "1..28 / 29..42",
    "1..42 / none",
  ]);
  const receives = numbers("receive").map((line) => line.split("|").slice(1, 3).map((cell) => cell.trim()).join(" / "));
  assertEquals(receives, [
    "none / none",
    "none / 1..14",
    "1..14 / none",
    "1..14 / 15..28",
    "1..28 / none",
    "1..28 / 29..42",
    "1..42 / none",
  ]);
});
