import { assert, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../apps/cli.ts";
import { linkOptions, type LinkValues, wrapLink } from "../../apps/link_options.ts";
import { createWire, type Logger, Stack } from "../../mod.ts";
import { readCapture } from "../../stack/link/pcap_reader.ts";

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function values(changes: Partial<LinkValues> = {}): LinkValues {
  const fallbacks = Object.fromEntries(Object.entries(linkOptions).map(([name, { fallback }]) => [name, fallback]));
  return { ...fallbacks as unknown as LinkValues, ...changes };
}

Deno.test("without options a link is what it was", () => {
  const [device, other] = createWire();
  assertEquals(wrapLink(device, values(), silent).device, device);
  device.close();
  other.close();
});

Deno.test("a snap length without a capture is refused", () => {
  const [device, other] = createWire();
  assertThrows(() => wrapLink(device, values({ snaplen: 64 }), silent), UsageError, "--pcap");
  device.close();
  other.close();
});

Deno.test("a capture that cannot be created is one line with its name", () => {
  const [device, other] = createWire();
  assertThrows(
    () => wrapLink(device, values({ pcap: "/nowhere/x.pcapng" }), silent),
    Error,
    'Cannot write the capture "/nowhere/x.pcapng": ',
  );
  device.close();
  other.close();
});

Deno.test("what passes an impaired link is recorded as the stack sees it, up to the snap length", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    const [left, right] = createWire();
    const wrapped = wrapLink(left, values({ delay: 1, loss: 0, pcap: path, snaplen: 40 }), silent);
    assert(wrapped.device !== left);
    {
      await using one = new Stack();
      await using other = new Stack();
      one.attach(wrapped.device, { addresses: ["10.0.0.1/24"] });
      other.attach(right, { addresses: ["10.0.0.2/24"] });
      const replies = [];
      for await (const event of one.ping("10.0.0.2", { count: 1 })) replies.push(event.kind);
      assertEquals(replies, ["reply"]);
    }
    wrapped.finish();
    wrapped.finish();
    const { frames } = readCapture(await Deno.readFile(path));
    // The request for the peer's address and its answer, the echo request and its answer, and two announcements.
    assert(frames.length >= 4, `${frames.length} frames`);
    assertEquals(Math.max(...frames.map(({ bytes }) => bytes.length)), 40);
  } finally {
    await Deno.remove(path);
  }
});
