import { assertEquals, assertMatch } from "@std/assert";
import { Rtnetlink } from "../../mod.ts";
import { kernelTest } from "../kernel/namespace.ts";
import { RunningProgram, runToEnd } from "./run_program.ts";

kernelTest("ping without a destination reaches the host's end of its device", async () => {
  const { code, output, errors } = await runToEnd("ping", "-c", "3", "-i", "0.01");
  assertEquals(errors, []);
  assertEquals(code, 0);
  assertEquals(output[0], "PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.");
  for (const [index, line] of output.slice(1, 4).entries()) {
    assertMatch(line, new RegExp(`^64 bytes from 192\\.0\\.2\\.1: icmp_seq=${index + 1} ttl=64 time=[\\d.]+ ms$`));
  }
  assertEquals(output[5], "--- 192.0.2.1 ping statistics ---");
  assertMatch(output[6]!, /^3 packets transmitted, 3 received, 0% packet loss, time \d+ms$/);
  assertMatch(output[7]!, /^rtt min\/avg\/max\/mdev = /);
  using kernel = new Rtnetlink();
  assertEquals(kernel.links().map(({ name }) => name), ["lo"]);
});

kernelTest("ping sends requests that need fragments", async () => {
  const { code, output } = await runToEnd("ping", "-c", "1", "-s", "20000");
  assertEquals(code, 0);
  assertEquals(output[0], "PING 192.0.2.1 (192.0.2.1) 20000(20028) bytes of data.");
  assertMatch(output[1]!, /^20008 bytes from 192\.0\.2\.1: icmp_seq=1 ttl=64 time=/);
});

kernelTest("ping names the host that is not there, and exits with 1", async () => {
  const { code, output } = await runToEnd("ping", "-c", "1", "192.0.2.99");
  assertEquals(code, 1);
  assertEquals(output[1], "From 192.0.2.2 icmp_seq=1 Destination Host Unreachable");
  assertMatch(output[4]!, /^1 packets transmitted, 0 received, \+1 errors, 100% packet loss, time \d+ms$/);
  assertEquals(output.length, 5);
});

kernelTest("ping says which requests were not answered in time, and exits with 1", async () => {
  // The host does not forward: what is sent beyond it is lost.
  const { code, output } = await runToEnd("ping", "-c", "2", "-i", "10ms", "-W", "100ms", "198.51.100.1");
  assertEquals(code, 1);
  assertEquals(output.slice(1, 3), ["no answer yet for icmp_seq=1", "no answer yet for icmp_seq=2"]);
  assertMatch(output[5]!, /^2 packets transmitted, 0 received, 100% packet loss, time \d+ms$/);
});

kernelTest("at SIGINT ping prints its summary and exits with 0 if answers came", async () => {
  await using program = RunningProgram.start("ping", "-i", "0.01");
  await program.line(/icmp_seq=5 /);
  program.signal("SIGINT");
  assertEquals(await program.code(), 0);
  assertMatch(program.output.join("\n"), /^\d+ packets transmitted, \d+ received, .*packet loss, time \d+ms$/m);
});

kernelTest("at SIGINT ping counts the requests that nobody answered, and exits with 1", async () => {
  await using program = RunningProgram.start("ping", "-i", "0.01", "-W", "100ms", "198.51.100.1");
  await program.line(/^no answer yet for icmp_seq=3$/);
  program.signal("SIGINT");
  assertEquals(await program.code(), 1);
  assertMatch(program.output.join("\n"), /^[1-9]\d* packets transmitted, 0 received, 100% packet loss, time \d+ms$/m);
});
