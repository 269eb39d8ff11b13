import { assertEquals, assertStringIncludes } from "@std/assert";
import { openTapOnClock, openTun } from "../../ffi/tuntap.ts";
import type { TapOptions, TunTapDevice } from "../../ffi/tuntap.ts";
import { openTap } from "../../mod.ts";
import { PacketPool } from "../../stack/packet.ts";
import { VirtualClock } from "../../stack/clock.ts";
import { Timers } from "../../stack/timers.ts";
import { Host, kernelAddress } from "./host.ts";
import { kernelTest, run } from "./namespace.ts";
import { assertExact, connect, noise } from "./transfer.ts";

const headroom = 64;
const severalProcessors = navigator.hardwareConcurrency > 1;

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

/** A device on a clock of the test, and what sends frames of a length through it. */
function openOnClock(options: TapOptions): { tap: TunTapDevice; send: typeof send } {
  let now = 0;
  const tap = openTapOnClock(() => now, options);
  const pool = new PacketPool();
  tap.attach({ pool, headroom, timers: new Timers(new VirtualClock()), wake: () => {}, linkChanged: () => {} });
  async function send(count: number, length: number, milliseconds: number): Promise<void> {
    for (let frame = 0; frame < count; frame++) {
      now += milliseconds / count;
      const packet = pool.allocate(headroom, length)!;
      packet.bytes.fill(255, headroom, headroom + length);
      packet.tail += length;
      tap.transmit(packet);
    }
    // A thread that has to wait for a processor takes less than is sent: what is left waits in the device.
    while (tap.wantsWrite) {
      tap.flush();
      await new Promise((resolve) => setTimeout(resolve));
    }
    assertEquals(pool.inUse, 0);
  }
  return { tap, send };
}

kernelTest("frames of a wire have the thread while they are bulk, and not before and after", async () => {
  const { tap, send } = openOnClock({ offload: false });
  using _closed = tap;
  assertEquals(await threaded(tap.name), "0");
  await send(4096, 1514, 20);
  // With one processor, another thread could only take turns with this one.
  assertEquals(await threaded(tap.name), severalProcessors ? "1" : "0");
  await send(4096, 60, 20);
  // A frame that does not follow upon another.
  await send(1, 60, 1);
  assertEquals(await threaded(tap.name), "0");
});

for (const options of [{ offload: true }, { offload: false, receiveThread: false }]) {
  kernelTest(`${JSON.stringify(options)}: bulk has no thread`, async () => {
    const { tap, send } = openOnClock(options);
    using _closed = tap;
    await send(4096, 1514, 20);
    assertEquals(await threaded(tap.name), "0");
  });
}

kernelTest("the thread comes and goes under a transfer: exact, and none is left behind", async () => {
  // By turns, sending takes no time, and seconds.
  let asked = 0;
  let time = 0;
  const now = () => time += ++asked % 8 < 4 ? 0 : 1000;
  await using host = new Host({
    wrap: (tap) => {
      tap.close();
      return openTapOnClock(now, { offload: false, hostAddresses: [`${kernelAddress}/24`] });
    },
  });
  using ends = await connect(host, "the stack");
  await assertExact([ends.ours, ends.theirs], noise(16 << 20, 1), noise(1 << 20, 2));
});

kernelTest("a persistent interface forgets the thread when its device is closed", async () => {
  await run("ip", "tuntap", "add", "tap8", "mode", "tap");
  const { tap, send } = openOnClock({ name: "tap8", offload: false });
  await send(4096, 1514, 20);
  assertEquals(await threaded("tap8"), severalProcessors ? "1" : "0");
  tap.close();
  assertEquals(await threaded("tap8"), "0");
});

/** Runs a program, without the right to switch receive threads on, that has the functions of tuntap.ts. */
async function withoutRight(code: string): Promise<string> {
  const module = new URL("../../ffi/tuntap.ts", import.meta.url).href;
  const program = `import { openTap } from "${module}"; ${code}`;
  return await run("capsh", "--drop=cap_sys_admin", "--", "-c", `${Deno.execPath()} eval --no-config '${program}'`);
}

kernelTest("a program that may not switch a receive thread on is told what to do, and leaves no device", async () => {
  const output = await withoutRight(
    `try { openTap({ name: "tap7", receiveThread: true }); } catch (error) { console.log(String(error)); }`,
  );
  assertStringIncludes(output, 'PermissionDenied: Cannot give "tap7" a receive thread: ');
  assertStringIncludes(output, "it needs CAP_SYS_ADMIN: run as root, or do without `receiveThread`");
  assertEquals((await run("ip", "-brief", "link")).includes("tap7"), false);
}, { programs: ["capsh"] });

kernelTest("a program that may not, and did not ask for it, does without", async () => {
  const output = await withoutRight(`using tap = openTap({ name: "tap7", offload: false }); console.log(tap.running);`);
  assertEquals(output.trim(), "true");
}, { programs: ["capsh"] });
