import { assert, assertEquals } from "@std/assert";
import { openTap } from "../../ffi/tuntap.ts";
import { Stack } from "../../stack/stack.ts";
import { assertClosed, kernelAddress, Recorder, routedHost } from "./host.ts";
import { kernelTest } from "./namespace.ts";
import { assertExact, assertSameBytes, noise } from "./transfer.ts";

const megabyte = 1 << 20;
const farAddress = "198.51.100.2";

/** A stack beyond the router, on a link with an MTU of its own. */
class FarHost implements AsyncDisposable {
  readonly stack = new Stack();

  constructor(mtu: number) {
    const tap = openTap({ mtu, hostAddresses: ["198.51.100.1/24"] });
    this.stack.attach(tap, { addresses: [`${farAddress}/24`], gateway: "198.51.100.1" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.close();
    assertClosed(this.stack);
  }
}

for (const mtu of [1500, 1000, 600]) {
  kernelTest(`two stacks with the kernel as their router, an MTU of ${mtu} beyond it: exact both ways`, async () => {
    const recorder = new Recorder();
    await using near = routedHost({ wrap: recorder.wrap });
    await using far = new FarHost(mtu);
    using listener = far.stack.listen({ port: 7 });
    const [ours, theirs] = await Promise.all([
      near.stack.connect({ hostname: farAddress, port: 7 }),
      listener.accept(),
    ]);
    await assertExact([ours, theirs], noise(megabyte, 1), noise(megabyte, 2));
    // What the router could not pass on, it said, and was not sent again.
    const tooLarge = recorder.frames.filter(({ sent, length }) => sent && length > mtu + 14);
    assert(tooLarge.length <= 20, `${tooLarge.length} frames that are too large`);
  }, { settings: true });
}

kernelTest("datagrams are fragmented by the router, and put together beyond it", async () => {
  await using near = routedHost();
  await using far = new FarHost(1000);
  using receiver = far.stack.listenDatagram({ port: 7 });
  using sender = near.stack.listenDatagram();
  await sender.send(noise(5000), { transport: "udp", hostname: farAddress, port: 7 });
  const [received, from] = await receiver.receive();
  assertSameBytes(received, noise(5000));
  await receiver.send(received, from);
  assertSameBytes((await sender.receive())[0], noise(5000));
}, { settings: true });

kernelTest("pings cross the router, which takes one off their time to live", async () => {
  await using near = routedHost();
  await using _far = new FarHost(1500);
  for await (const event of near.stack.ping(farAddress, { count: 3, interval: 1 })) {
    assertEquals(event.kind === "reply" && [event.source, event.timeToLive], [farAddress, 63]);
  }
  for await (const event of near.stack.ping(farAddress, { count: 1, timeToLive: 1 })) {
    assertEquals(event.kind === "error" && [event.source, event.error], [kernelAddress, "Time to live exceeded"]);
  }
}, { settings: true });
