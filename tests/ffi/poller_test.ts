import { assert, assertEquals, assertFalse } from "@std/assert";
import { SystemPoller } from "../../ffi/poller.ts";
import { openTap, type TunTapDevice } from "../../ffi/tuntap.ts";
import { VirtualClock } from "../../stack/clock.ts";
import type { Device } from "../../stack/link/device.ts";
import { PacketPool } from "../../stack/packet.ts";
import { Timers } from "../../stack/timers.ts";
import { kernelTest, kernelUnavailable, run } from "../kernel/namespace.ts";

/** Tests that need the C library but no privilege. */
function libraryTest(name: string, body: () => Promise<void>): void {
  const missing = kernelUnavailable === "needs Linux" || kernelUnavailable === "needs --allow-ffi";
  Deno.test({ name: missing ? `${name} (ignored: ${kernelUnavailable})` : name, ignore: missing, fn: body });
}

/** Whether `wait` is over by the time that the program's I/O has had a few turns. */
async function isOver(wait: Promise<void>): Promise<boolean> {
  let over = false;
  wait.then(() => over = true);
  await new Promise((resolve) => setTimeout(resolve, 20));
  return over;
}

function attached(device: TunTapDevice): TunTapDevice {
  const timers = new Timers(new VirtualClock());
  device.attach({ pool: new PacketPool(), headroom: 64, timers, wake: () => {}, linkChanged: () => {} });
  return device;
}

/** Receives until nothing waits. */
function drain(device: Device): number {
  let frames = 0;
  for (let packet = device.receive(); packet !== null; packet = device.receive()) {
    packet.release();
    frames++;
  }
  return frames;
}

libraryTest("an interruption ends the wait", async () => {
  const poller = new SystemPoller();
  const wait = poller.wait([], Infinity);
  assertFalse(await isOver(wait));
  poller.interrupt();
  poller.interrupt();
  await wait;
  poller.close();
});

libraryTest("an interruption without a wait ends the next one, and no more than that", async () => {
  const poller = new SystemPoller();
  poller.interrupt();
  await poller.wait([], Infinity);
  const second = poller.wait([], Infinity);
  assertFalse(await isOver(second));
  poller.interrupt();
  await second;
  poller.close();
});

libraryTest("a wait ends by itself, even after a fraction of a millisecond or none", async () => {
  const poller = new SystemPoller();
  for (const timeout of [0.25, 0, -1]) await poller.wait([], timeout);
  poller.close();
});

kernelTest("a nap ends by itself, or when there is something to receive", async () => {
  using device = attached(openTap({ hostAddresses: ["10.0.0.1/24"] }));
  const poller = new SystemPoller();
  drain(device);
  assertFalse(poller.nap([], 0.01));
  await run("ping", "-c1", "-W0.1", "10.0.0.2").catch(() => {});
  assert(poller.nap([device], 1000));
  assert(drain(device) > 0);
  poller.close();
});

libraryTest("a nap uses up an interruption", () => {
  const poller = new SystemPoller();
  poller.interrupt();
  assert(poller.nap([], 1000));
  assertFalse(poller.nap([], 0.01));
  poller.close();
  return Promise.resolve();
});

kernelTest("sockets make progress between pauses", async () => {
  const poller = new SystemPoller();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  let connected = false;
  const sockets = Promise.all([listener.accept(), Deno.connect({ hostname: "127.0.0.1", port })]).then((ends) => {
    for (const end of ends) end.close();
    connected = true;
  });
  // How many it takes depends on the other thread's speed; a pause that starved I/O would never be enough.
  for (let pause = 0; pause < 1000 && !connected; pause++) await poller.yield();
  assert(connected);
  await sockets;
  poller.close();
});

libraryTest("pauses do not use up an interruption", async () => {
  const poller = new SystemPoller();
  poller.interrupt();
  for (let pause = 0; pause < 8; pause++) await poller.yield();
  await poller.wait([], Infinity);
  poller.close();
});

libraryTest("timers make progress between pauses", async () => {
  const poller = new SystemPoller();
  let fired = false;
  const timer = new Promise<void>((resolve) => setTimeout(resolve, 1)).then(() => fired = true);
  while (!fired) await poller.yield();
  await timer;
  poller.close();
});

kernelTest("a frame ends the wait", async () => {
  using device = attached(openTap({ hostAddresses: ["10.0.0.1/24"] }));
  const poller = device.createPoller();
  drain(device);
  const wait = poller.wait([device], Infinity);
  const ping = run("ping", "-c1", "-W0.1", "10.0.0.2").catch(() => {});
  await wait;
  assert(drain(device) > 0);
  await ping;
  poller.close();
});

kernelTest("devices that are closed, deleted or in memory are passed over", async () => {
  using open = attached(openTap({ up: false }));
  using deleted = attached(openTap({ up: false }));
  const closed = attached(openTap({ up: false }));
  closed.close();
  await run("ip", "link", "delete", deleted.name);
  drain(deleted);
  drain(open);
  const poller = open.createPoller();
  const memory: Device = { ...({} as Device), name: "memory", wantsWrite: true };
  const wait = poller.wait([memory, closed, deleted, open], Infinity);
  assertFalse(await isOver(wait));
  poller.interrupt();
  await wait;
  poller.close();
});

kernelTest("a device that is closed during the wait does no harm", async () => {
  const device = attached(openTap({ up: false }));
  const poller = device.createPoller();
  drain(device);
  const wait = poller.wait([device], Infinity);
  assertFalse(await isOver(wait));
  device.close();
  poller.interrupt();
  await wait;
  await poller.wait([device], 0);
  assertEquals(device.closed, true);
  poller.close();
});

kernelTest("more devices than the table held before find their place", async () => {
  const devices = Array.from({ length: 9 }, () => attached(openTap()));
  const poller = devices[0]!.createPoller();
  await poller.wait([], 0);
  for (const device of devices) drain(device);
  const wait = poller.wait(devices, Infinity);
  const last = devices.at(-1)!;
  last.host.addAddress("10.0.0.1/24");
  const ping = run("ping", "-c1", "-W0.1", "10.0.0.2").catch(() => {});
  await wait;
  await ping;
  for (const device of devices) device.close();
  poller.close();
});
