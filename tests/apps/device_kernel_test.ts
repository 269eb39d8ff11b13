import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Rtnetlink } from "../../mod.ts";
import { kernelTest, run } from "../kernel/namespace.ts";
import { programCommand, RunningProgram, runToEnd } from "./run_program.ts";

/** A veth pair: `veth0` with 192.0.2.1/24, and `out0`, with 192.0.2.2/24 where the host is to have that too. */
async function makeVeth(hasAddress = false): Promise<void> {
  await run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "out0");
  await run("ip", "address", "add", "192.0.2.1/24", "dev", "veth0");
  if (hasAddress) await run("ip", "address", "add", "192.0.2.2/24", "dev", "out0");
  for (const name of ["veth0", "out0"]) await run("ip", "link", "set", name, "up");
}

async function startEcho(...args: string[]): Promise<RunningProgram> {
  const program = RunningProgram.start("echo", ...args);
  await program.line(/^ {2}nc -u /);
  return program;
}

kernelTest("echo on a TUN device answers ping and nc", async () => {
  await using program = await startEcho("--tun", "tun7");
  assertMatch(program.output[0]!, /^Device tun7: host 192\.0\.2\.1\/24, stack 192\.0\.2\.2\/24, MTU 1500$/);
  assertStringIncludes(await run("ping", "-c", "2", "-i", "0.01", "192.0.2.2"), "2 received");
  assertEquals(await run("sh", "-c", "echo hello | nc -N 192.0.2.2 7"), "hello\n");
}, { programs: ["ping", "nc"] });

kernelTest("echo on an interface that the host has answers the other end", async () => {
  await makeVeth();
  await using program = await startEcho("--interface", "out0", "--address", "192.0.2.2/24");
  assertMatch(program.output[0]!, /^Device out0: stack 192\.0\.2\.2\/24 \([0-9a-f:]+\), MTU 1500$/);
  assertStringIncludes(await run("ping", "-c", "2", "-i", "0.01", "192.0.2.2"), "2 received");
  assertEquals(await run("sh", "-c", "echo hello | nc -N 192.0.2.2 7"), "hello\n");
}, { programs: ["ip", "ping", "nc"] });

kernelTest("ping by an interface of the host uses the host's router", async () => {
  await makeVeth();
  await run("ip", "address", "add", "198.51.100.1/32", "dev", "lo");
  await run("ip", "address", "add", "192.0.2.77/24", "dev", "out0");
  await run("ip", "route", "add", "default", "via", "192.0.2.1", "dev", "out0");
  const { code, output } = await runToEnd(
    "ping",
    ...["-c", "1", "--interface", "out0", "--address", "192.0.2.2/24", "198.51.100.1"],
  );
  assertEquals(code, 0, output.join("\n"));
  assertStringIncludes(output[1]!, "64 bytes from 198.51.100.1: icmp_seq=1 ttl=64");
}, { programs: ["ip"] });

kernelTest("the host's own address is not shared, but taken over with --guard", async () => {
  await makeVeth(true);
  const refused = await runToEnd("echo", "--interface", "out0");
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.errors.join("\n"), "take it over with --guard");
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    await using program = await startEcho("--interface", "out0", "--guard");
    assertMatch(await run("nft", "list", "ruleset"), /iif "out0" ip daddr 192\.0\.2\.2 drop/);
    program.signal(signal);
    assertEquals(await program.code(), 0, signal);
    assertEquals(await run("nft", "list", "ruleset"), "", signal);
  }
}, { programs: ["ip", "nft"] });

kernelTest("a program under nohup outlives its terminal", async () => {
  const child = programCommand("echo", [], ["nohup"]).spawn();
  try {
    await run("sh", "-c", "until ping -c 1 -W 1 192.0.2.2; do :; done");
    child.kill("SIGHUP");
    assertStringIncludes(await run("ping", "-c", "3", "-i", "0.05", "192.0.2.2"), "3 received");
    child.kill("SIGTERM");
    assertEquals((await child.output()).code, 0);
  } catch (error) {
    child.kill("SIGKILL");
    await child.output();
    throw error;
  }
}, { programs: ["ping", "nohup"] });

kernelTest("a killed program leaves no rule, no promiscuous mode and no device behind", async () => {
  await makeVeth(true);
  const before = await run("ip", "-details", "link");
  {
    await using program = await startEcho("--interface", "out0", "--guard", "--promiscuous");
    assertMatch(await run("ip", "-details", "link", "show", "out0"), /promiscuity 1/);
    program.signal("SIGKILL");
    await program.code();
  }
  assertEquals(await run("nft", "list", "ruleset"), "");
  assertEquals(await run("ip", "-details", "link"), before);
}, { programs: ["ip", "nft"] });

kernelTest("a bad link by options is as bad as it was said, and recorded", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    const started = performance.now();
    const { code, output } = await runToEnd(
      "ping",
      ...["-c", "20", "-i", "1ms", "-W", "300ms", "--loss", "30%", "--delay", "20ms", "--seed", "3", "--pcap", path],
    );
    assertEquals(code, 0);
    assert(performance.now() - started > 40);
    const summary = output.find((line) => line.includes("packets transmitted"))!;
    const lost = Number(/(\d+)% packet loss/.exec(summary)![1]);
    // A request and its answer both get through with a probability of 0.49.
    assert(lost >= 20 && lost <= 80, summary);
    const times = output.flatMap((line) => / time=([\d.]+) ms/.exec(line)?.[1] ?? []).map(Number);
    assert(times.every((time) => time >= 40), times.join(" "));
    assertStringIncludes(await run("tshark", "-r", path, "-Y", "icmp"), "Echo (ping) request");
  } finally {
    await Deno.remove(path);
  }
}, { programs: ["tshark"] });

kernelTest("without offload, no frame is larger than the wire's", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    const program = await startEcho("--no-offload", "--pcap", path, "--snaplen", "64");
    await using _ = program;
    await run("sh", "-c", "head -c 200000 /dev/zero | nc -N 192.0.2.2 7");
    program.signal("SIGINT");
    assertEquals(await program.code(), 0);
    const lengths = (await run("tshark", "-r", path, "-T", "fields", "-e", "frame.len")).trim().split("\n").map(Number);
    assertEquals(Math.max(...lengths), 1514);
  } finally {
    await Deno.remove(path);
  }
}, { programs: ["tshark", "nc"] });

kernelTest("options that say nothing together are refused in one line, with 2", async () => {
  await makeVeth();
  const refusals: [string, string][] = [
    ["--tap tap0 --tun tun0", "Cannot use --tun with --tap"],
    ["--tun tun0 --mac 02:00:00:00:00:01", "Cannot use --tun with --mac"],
    ["--interface out0 --tap tap0", "Cannot use --interface with --tap"],
    ["--interface out0 --host 192.0.2.1/24", "Cannot use --interface with --host"],
    ["--interface out0 --mtu 1000", "Cannot use --interface with --mtu"],
    ["--guard", "Cannot use --guard without --interface"],
    ["--interface out0", "give one with --address"],
    ["--gateway 198.51.100.1", "Cannot use --gateway 198.51.100.1"],
    ["--snaplen 64", "Cannot use --snaplen without --pcap"],
  ];
  for (const [args, reason] of refusals) {
    const { code, output, errors } = await runToEnd("echo", ...args.split(" "));
    assertEquals([code, output.length, errors.length], [2, 0, 1], args);
    assertStringIncludes(errors[0]!, reason, args);
  }
  using kernel = new Rtnetlink();
  assertEquals(kernel.links().length, 3);
}, { programs: ["ip"] });
