import { assertEquals, assertGreater } from "@std/assert";
import { Host, kernelAddress, Recorder, stackAddress } from "./host.ts";
import { KernelSocket } from "./kernel_datagrams.ts";
import { kernelTest, run } from "./namespace.ts";
import { assertExact, connect, noise } from "./transfer.ts";

/** What tshark says of the frames of a capture that match `filter`, a line for each. */
async function tshark(file: Uint8Array, filter: string): Promise<string[]> {
  const path = await Deno.makeTempFile({ prefix: "tapstack-", suffix: ".pcapng" });
  try {
    await Deno.writeFile(path, file);
    const preferences = ["ip", "udp", "tcp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`]);
    const output = await run("tshark", "-n", "-r", path, ...preferences, "-Y", filter);
    return output.split("\n").filter((line) => line !== "");
  } finally {
    await Deno.remove(path);
  }
}

/** Frames that are malformed, or whose checksum, of whichever protocol, is not right. */
const broken = '_ws.malformed || _ws.expert.group == "Checksum" || _ws.expert.severity == error';

kernelTest("tshark finds nothing broken in what passes between the kernel and the stack", async () => {
  const recorder = new Recorder();
  {
    await using host = new Host({ wrap: recorder.wrap });
    for (const opener of ["the kernel", "the stack"] as const) {
      using ends = await connect(host, opener);
      await assertExact([ends.ours, ends.theirs], noise(300_000, 1), noise(300_000, 2));
    }
    await using theirs = await KernelSocket.bind(kernelAddress);
    using ours = host.stack.listenDatagram({ port: 7 });
    for (const length of [0, 1, 100, 20_001]) {
      await theirs.send(noise(length), stackAddress, 7);
      await ours.send(...await ours.receive());
      await theirs.receive();
    }
    await Array.fromAsync(host.stack.ping(kernelAddress, { count: 2, interval: 1, size: 5000 }));
    await run("ping", "-c", "2", "-i", "0.01", "-s", "5000", stackAddress);
    await Deno.connect({ hostname: stackAddress, port: 9 }).catch(() => {});
    await host.stack.connect({ hostname: kernelAddress, port: 9 }).catch(() => {});
    await theirs.send(noise(10), stackAddress, 9);
    await host.stack.connectDatagram({ hostname: kernelAddress, port: 9 }).send(noise(10));
    await Array.fromAsync(host.stack.ping(kernelAddress, { count: 1 }));
  }
  const { file } = recorder;
  for (const kind of ["arp", "icmp", "udp", "tcp", "ip.flags.mf == 1", "icmp.type == 3", "tcp.flags.reset == 1"]) {
    assertGreater((await tshark(file, kind)).length, 0, kind);
  }
  assertEquals(await tshark(file, broken), []);
}, { programs: ["tshark", "ping"] });

kernelTest("tshark sees a checksum that is wrong", async () => {
  const recorder = new Recorder();
  {
    await using host = new Host({ wrap: recorder.wrap });
    using ends = await connect(host, "the stack");
    await assertExact([ends.ours, ends.theirs], noise(1000, 1), noise(1000, 2));
  }
  const { file } = recorder;
  const at = file.findLastIndex((byte, index) => byte === noise(1000, 1)[0] && file[index + 1] === noise(1000, 1)[1]);
  file[at]! ^= 1;
  assertEquals((await tshark(file, broken)).length, 1);
}, { programs: ["tshark"] });
