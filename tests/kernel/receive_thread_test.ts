import { assertEquals, assertStringIncludes } from "@std/assert";
import { openTap, openTun } from "../../ffi/tuntap.ts";
import { Host } from "./host.ts";
import { kernelTest, run } from "./namespace.ts";
import { assertExact, connect, noise } from "./transfer.ts";

/** What sysfs says about the receive threads of an interface of this namespace. */
async function threaded(name: string): Promise<string> {
  const script = `mount -t sysfs sysfs /sys && cat /sys/class/net/${name}/threaded`;
  return (await run("unshare", "--mount", "sh", "-c", script)).trim();
}

for (const offload of [true, false]) {
  const frames = offload ? "super-segments" : "frames of a wire";
  kernelTest(`with a receive thread, ${frames} pass both ways: exact, and none is left behind`, async () => {
    await using host = new Host({ tap: { receiveThread: true, offload } });
    assertEquals(await threaded(host.tap.name), "1");
    using ends = await connect(host, "the stack");
    await assertExact([ends.ours, ends.theirs], noise(4 << 20, 1), noise(1 << 20, 2));
    assertEquals([host.tap.counters.transmitErrors, host.tap.counters.transmitQueueFull], [0, 0]);
  });
}

kernelTest("without it, the kernel takes what is sent inside of the call", async () => {
  using tap = openTap();
  assertEquals(await threaded(tap.name), "0");
});

kernelTest("a TUN device can have a receive thread, too", async () => {
  using tun = openTun({ receiveThread: true });
  assertEquals(await threaded(tun.name), "1");
});

kernelTest("a program that may not switch a receive thread on is told what to do, and leaves no device", async () => {
  const module = new URL("../../ffi/tuntap.ts", import.meta.url).href;
  const code = `import { openTap } from "${module}";
    try { openTap({ name: "tap7", receiveThread: true }); } catch (error) { console.log(String(error)); }`;
  const output = await run(
    "capsh",
    "--drop=cap_sys_admin",
    "--",
    "-c",
    `${Deno.execPath()} eval --no-config '${code}'`,
  );
  assertStringIncludes(output, 'PermissionDenied: Cannot give "tap7" a receive thread: ');
  assertStringIncludes(output, "it needs CAP_SYS_ADMIN: run as root, or do without `receiveThread`");
  assertEquals((await run("ip", "-brief", "link")).includes("tap7"), false);
}, { programs: ["capsh"] });
