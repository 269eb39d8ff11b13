import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertRejectsNamed } from "../helpers/errors.ts";
import { absentAddress, Host, kernelAddress, type RecordedFrame, Recorder, stackAddress } from "./host.ts";
import { kernelTest, run } from "./namespace.ts";
import { assertExact, connect, noise } from "./transfer.ts";

const arp = 0x0806;

function requestsFor(address: string, frames: readonly RecordedFrame[]): RecordedFrame[] {
  return frames.filter(({ sent, ethernet, text }) =>
    sent && ethernet?.etherType === arp && text.includes(`who-has ${address} `)
  );
}

kernelTest("a host that is absent is asked for three times and then unreachable", async () => {
  const recorder = new Recorder();
  await using host = new Host({ wrap: recorder.wrap });
  await assertRejectsNamed("HostUnreachable", host.stack.connect({ hostname: absentAddress, port: 80 }));
  const requests = requestsFor(absentAddress, recorder.frames);
  assertEquals(requests.map(({ ethernet }) => ethernet!.destination), Array(3).fill("ff:ff:ff:ff:ff:ff"));
});

kernelTest("the kernel learns the stack's Ethernet address", async () => {
  await using host = new Host({ tap: { mac: "02:00:00:00:00:09" } });
  using _ends = await connect(host, "the kernel");
  const neighbors = await run("ip", "neighbor", "show", "dev", host.tap.name);
  assertMatch(neighbors, /^192\.0\.2\.2 lladdr 02:00:00:00:00:09 /m);
}, { programs: ["ip"] });

kernelTest("the stack learns the kernel's Ethernet address, and asks only once", async () => {
  const recorder = new Recorder();
  await using host = new Host({ wrap: recorder.wrap });
  for (let round = 1; round <= 3; round++) {
    using ends = await connect(host, "the stack");
    await assertExact([ends.ours, ends.theirs], noise(1000), noise(1000));
  }
  assertEquals(requestsFor(kernelAddress, recorder.frames).length, 1);
  assertEquals(
    host.stack.neighbors.list().map(({ address, mac }) => [String(address), String(mac)]),
    [[kernelAddress, String(host.tap.host.info().mac)]],
  );
});

kernelTest("a connection outlives a change of the kernel's Ethernet address", async () => {
  await using host = new Host();
  using ends = await connect(host, "the stack");
  await run("ip", "link", "set", "dev", host.tap.name, "address", "02:00:00:00:00:77");
  // The kernel asks for us with its new address, which is how we learn it.
  await assertExact([ends.theirs, ends.ours], noise(100_000, 1), noise(100_000, 2));
  assertEquals(String(host.stack.neighbors.list()[0]!.mac), "02:00:00:00:00:77");
}, { programs: ["ip"] });

kernelTest("the stack answers for its own addresses only", async () => {
  const recorder = new Recorder();
  await using host = new Host({ wrap: recorder.wrap });
  host.stack.addAddress(host.nic, "192.0.2.3/24");
  await new Deno.Command("ping", { args: ["-c", "1", "-W", "0.1", absentAddress] }).output();
  for (const address of [stackAddress, "192.0.2.3"]) await run("ping", "-c", "1", address);
  const texts = recorder.frames.filter(({ ethernet }) => ethernet?.etherType === arp).map(({ text }) => text);
  assert(texts.some((text) => text.includes(`who-has ${absentAddress} `)), texts.join("\n"));
  const answered = [absentAddress, stackAddress, "192.0.2.3"].filter((address) =>
    texts.some((text) => text.includes(`${address} is-at ${host.tap.address}`))
  );
  assertEquals(answered, [stackAddress, "192.0.2.3"]);
}, { programs: ["ping"] });

kernelTest("an address of the stack that the kernel uses as well is noticed", async () => {
  await using host = new Host();
  host.tap.host.addAddress(`${stackAddress}/24`);
  await new Deno.Command("ping", { args: ["-c", "1", "-W", "0.1", "-I", stackAddress, absentAddress] }).output();
  await Array.fromAsync(host.stack.ping(kernelAddress, { count: 1 }));
  assert(host.stack.counters.snapshot()["arp.addressConflict"]! >= 1);
}, { programs: ["ping"] });
