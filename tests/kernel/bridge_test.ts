import { assertEquals } from "@std/assert";
import { openPacketSocket } from "../../ffi/packet_socket.ts";
import { openTap } from "../../ffi/tuntap.ts";
import { Bridge } from "../../stack/bridge.ts";
import { Stack } from "../../stack/stack.ts";
import { assertClosed } from "./host.ts";
import { kernelTest, run } from "./namespace.ts";
import { assertExact, noise } from "./transfer.ts";

kernelTest("a TAP device, an interface of the host and a stack on one bridge", async () => {
  await run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "out0");
  for (const name of ["veth0", "out0"]) await run("ip", "link", "set", name, "up");
  await using bridge = new Bridge();
  bridge.add(openTap({ name: "tap0", hostAddresses: ["192.0.2.1/24"] }));
  bridge.add(openPacketSocket({ interface: "out0", promiscuous: true }));
  await using stack = new Stack();
  stack.attach(bridge.connect(), { addresses: ["192.0.2.2/24"] });
  // At the far end of the veth pair, so that its frames pass the interface of the host.
  await using far = new Stack();
  far.attach(openPacketSocket({ interface: "veth0", mac: "02:00:00:00:00:33" }), { addresses: ["192.0.2.3/24"] });
  for (const address of ["192.0.2.1", "192.0.2.2"]) {
    for await (const { kind } of far.ping(address, { count: 1, timeout: 2000 })) assertEquals(kind, "reply", address);
  }
  using listener = stack.listen({ port: 7 });
  const [theirs, ours] = await Promise.all([Deno.connect({ hostname: "192.0.2.2", port: 7 }), listener.accept()]);
  await assertExact([ours, theirs], noise(300_000, 1), noise(300_000, 2));
  theirs.close();
  await stack.close();
  await far.close();
  assertClosed(stack);
  assertClosed(far);
}, { programs: ["ip"] });
