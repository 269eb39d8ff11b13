import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { InvalidValue } from "../../apps/cli.ts";
import { showCapture } from "../../apps/dump/capture_stream.ts";
import { parseFilter } from "../../apps/dump/filter.ts";
import { Viewer } from "../../apps/dump/viewer.ts";
import { describeFrame } from "../../mod.ts";
import { type CapturedFrame, readCapture } from "../../stack/link/pcap_reader.ts";
import { hasProgram } from "../helpers/programs.ts";
import { recordTransfer } from "../helpers/recorded_transfer.ts";
import { KernelSocket } from "../kernel/kernel_datagrams.ts";
import { kernelTest, run } from "../kernel/namespace.ts";
import { lines, programCommand, RunningProgram, runToEnd } from "./run_program.ts";

const recording = await recordTransfer({ seed: 9, bytes: 30_000, impairments: [{ loss: 0.05 }, { delay: 3 }] });

/** Runs `body` with a folder that holds the recording as `capture`. */
async function withCapture(body: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "tapstack-" });
  try {
    await Deno.writeFile(`${folder}/capture`, recording.capture);
    await body(`${folder}/capture`, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** One IPv4 packet of a kind. */
function packet(protocol: number, source: number[], destination: number[], ports: [number, number]): Uint8Array {
  const bytes = new Uint8Array(40);
  const view = new DataView(bytes.buffer);
  bytes.set([0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0, ...source, ...destination]);
  view.setUint16(20, ports[0]);
  view.setUint16(22, ports[1]);
  view.setUint16(24, protocol === 17 ? 20 : 0);
  bytes[32] = 0x50;
  return bytes;
}

const arp = new Uint8Array(42);
arp.set([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9], 12);

/** Frames of every kind, by name. */
const samples: Readonly<Record<string, ReturnType<typeof describeFrame>>> = {
  web: describeFrame(packet(6, [10, 0, 0, 1], [10, 0, 0, 2], [50_000, 80]), { medium: "ip" }),
  answer: describeFrame(packet(6, [10, 0, 0, 2], [10, 0, 0, 1], [80, 50_000]), { medium: "ip" }),
  dns: describeFrame(packet(17, [10, 0, 0, 1], [192, 0, 2, 53], [50_001, 53]), { medium: "ip" }),
  ping: describeFrame(packet(1, [10, 0, 0, 3], [10, 0, 0, 2], [0x0800, 0]), { medium: "ip" }),
  arp: describeFrame(arp),
};

for (
  const [filter, ...names] of [
    ["", "web", "answer", "dns", "ping", "arp"],
    ["tcp", "web", "answer"],
    ["ip", "web", "answer", "dns", "ping"],
    ["icmp or arp", "ping", "arp"],
    ["host 10.0.0.1", "web", "answer", "dns", "arp"],
    ["src host 10.0.0.1", "web", "dns", "arp"],
    ["dst 10.0.0.9", "arp"],
    ["host 10.0.0.1 and tcp port 80", "web", "answer"],
    ["tcp dst port 80", "web"],
    ["udp port 80"],
    ["portrange 50-60", "dns"],
    ["net 192.0.2.0/24", "dns"],
    ["not net 10.0.0.0/8 or arp", "arp"],
    ["src net 10.0.0.2/31", "answer", "ping"],
    ["not (tcp or udp)", "ping", "arp"],
    ["not tcp and not udp", "ping", "arp"],
    ["!(tcp||udp)&&!arp", "ping"],
    ["arp or tcp and src port 80", "answer", "arp"],
    ["(arp or tcp) and src 10.0.0.1", "web", "arp"],
    ["ip6 or icmp6"],
  ] as const
) {
  Deno.test(`the filter "${filter}" lets ${names.join(", ") || "none of the samples"} pass`, () => {
    const passes = parseFilter(filter);
    assertEquals(Object.keys(samples).filter((name) => passes(samples[name]!)), [...names]);
  });
}

for (
  const [filter, reason] of [
    ["host", '"host" needs a value'],
    ["host example.com", '"example.com" is no address'],
    ["net 10.0.0.0/99", '"10.0.0.0/99" is no network'],
    ["port 70000", '"70000" is no port'],
    ["portrange 9-1", '"9-1" is no port'],
    ["tcp udp", '"udp" does not fit there'],
    ["(tcp", 'a ")" is missing'],
    ["tcp)", '")" does not fit there'],
    ["tcp and", "something is missing at the end"],
    ["constructor", '"constructor" is not known'],
  ] as const
) {
  Deno.test(`the filter "${filter}" is refused: ${reason}`, () => {
    assertThrows(() => parseFilter(filter), InvalidValue, reason);
  });
}

Deno.test("dump -r prints one line for each frame, with its time of day", () =>
  withCapture(async (path) => {
    const { code, output, errors } = await runToEnd("dump", "-r", path);
    assertEquals([code, errors], [0, []]);
    const { frames } = readCapture(recording.capture);
    assertEquals(output.length, frames.length);
    const texts = output.map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{6} /, ""));
    assertEquals(texts, frames.map(({ bytes }) => describeFrame(bytes).text));
  }));

/** The pieces of a capture, which counts those that were asked for. */
class CountedPieces {
  asked = 0;
  cancelled = false;
  readonly stream: ReadableStream<Uint8Array>;

  constructor(file: Uint8Array, pieceBytes: number) {
    this.stream = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const at = this.asked++ * pieceBytes;
        if (at < file.length) controller.enqueue(file.subarray(at, at + pieceBytes));
        else controller.close();
      },
      cancel: () => void (this.cancelled = true),
    }, { highWaterMark: 0 });
  }
}

/** A viewer that writes to a file what passes, and shows nothing. */
function silentViewer(folder: string, count: number): Viewer {
  const style = { timeless: false, verbose: false, hex: false, ids: false, json: false };
  const file = `${folder}/out`;
  return new Viewer({
    filter: () => true,
    style,
    link: false,
    connections: null,
    count,
    file,
    snapLength: 64,
    onDone() {},
  });
}

Deno.test("a capture is shown while it is read, and read no further than is shown", () =>
  withCapture(async (_, folder) => {
    const pieces = new CountedPieces(recording.capture, 1000);
    using viewer = silentViewer(folder, 2);
    await showCapture(pieces.stream, "capture", viewer, new AbortController().signal);
    const second = readCapture(recording.capture).frames[1]!.bytes;
    const end = second.byteOffset + second.length;
    assert(pieces.asked <= Math.ceil(end / 1000) + 1, `${pieces.asked} pieces for ${end} bytes`);
    assertEquals([viewer.passed, viewer.done, pieces.cancelled], [2, true, true]);
  }));

Deno.test("a capture that has no end is shown until the signal", () =>
  withCapture(async (_, folder) => {
    const abort = new AbortController();
    const [head, block] = [recording.capture.subarray(0, 1000), new Uint8Array(64)];
    // A block of a type that nobody knows.
    new DataView(block.buffer).setUint32(0, 0xbad, true);
    for (const at of [4, 60]) new DataView(block.buffer).setUint32(at, 64, true);
    let asked = 0;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(asked++ === 0 ? head.subarray(0, wholeBlocks(head)) : block);
        if (asked === 100) abort.abort();
      },
    }, { highWaterMark: 0 });
    using viewer = silentViewer(folder, Infinity);
    await showCapture(stream, "capture", viewer, abort.signal);
    assertEquals([asked, viewer.passed], [100, readCapture(head).frames.length]);
  }));

/** The bytes of the blocks that are complete. */
function wholeBlocks(file: Uint8Array): number {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  let at = 0;
  while (at + 8 <= file.length && at + view.getUint32(at + 4, true) <= file.length) at += view.getUint32(at + 4, true);
  return at;
}

Deno.test("dump -c, -t, -e, -v, -x, --ids and --json show a frame as they say", () =>
  withCapture(async (path) => {
    const first = async (...args: string[]) =>
      (await runToEnd("dump", "-r", path, "-c", "1", "-t", ...args, "tcp")).output;
    const { bytes } = readCapture(recording.capture).frames.find(({ bytes }) => describeFrame(bytes).network !== null)!;
    const { text } = describeFrame(bytes);
    assertEquals(await first(), [text]);
    assertMatch((await first("-e"))[0]!, /^[0-9a-f:]{17} > [0-9a-f:]{17}, IP 10\.0\.0\.1\.50000 > 10\.0\.0\.2\.80: /);
    assertEquals(await first("--ids"), ["TCP 10.0.0.1:50000 > 10.0.0.2:80"]);
    const verbose = await first("-v");
    assertEquals(verbose.map((line) => line.trim().split(":")[0]), [text.split(":")[0], "Ethernet", "IPv4", "TCP"]);
    assertStringIncludes(verbose[2]!, "time to live 64, protocol 6 (TCP), checksum 0x");
    const hex = await first("-x");
    assertMatch(hex[1]!, /^ {4}0x0000: {2}([0-9a-f]{4} ){7}[0-9a-f]{4} {2}.{16}$/);
    assertEquals(hex.length, 1 + Math.ceil(bytes.length / 16));
    const json = JSON.parse((await first("--json"))[0]!);
    assertEquals([json.network.source, json.transport.destinationPort, json.text], ["10.0.0.1", 80, text]);
  }));

Deno.test("dump --connections tells what each connection came to, and nothing of its frames", () =>
  withCapture(async (path) => {
    const { output } = await runToEnd("dump", "-r", path, "-t", "--connections");
    assertEquals(output.length, 2);
    assertEquals(output[0], "TCP 10.0.0.1:50000 > 10.0.0.2:80 established");
    assertMatch(
      output[1]!,
      /^TCP 10\.0\.0\.1:50000 > 10\.0\.0\.2:80 closed by client after \d\.\d{3} s, 30000 bytes out and 0 back$/,
    );
    const json = (await runToEnd("dump", "-r", path, "--connections", "--json")).output.map((line) => JSON.parse(line));
    assertEquals(json.map(({ state }) => state), ["established", "closed by client"]);
    assertEquals([json[1].clientBytes, json[1].serverBytes, json[1].client], [30_000, 0, "10.0.0.1:50000"]);
  }));

Deno.test("dump -w and -s write the frames that pass the filter, cut, with their times", () =>
  withCapture(async (path, folder) => {
    const args = ["-r", path, "-w", `${folder}/part`, "-s", "60", "ip", "src", "10.0.0.1"];
    const { code, output } = await runToEnd("dump", ...args);
    assertEquals([code, output], [0, []]);
    const all = readCapture(recording.capture).frames;
    const expected = all.filter(({ bytes }) => describeFrame(bytes).network?.source === "10.0.0.1");
    const facts = ({ timestamp, originalLength, bytes, direction }: CapturedFrame) =>
      [Math.round(timestamp * 1000), originalLength, bytes.subarray(0, 60).toHex(), direction].join();
    const written = readCapture(await Deno.readFile(`${folder}/part`));
    assertEquals(written.truncated, false);
    assertEquals(written.frames.map(facts), expected.map(facts));
    assertEquals(written.frames.filter(({ bytes }) => bytes.length > 60), []);
  }));

Deno.test({
  name: "dump, tcpdump and tshark agree on a capture: addresses, ports, flags, numbers, windows, lengths",
  ignore: !hasProgram("tcpdump", "--version") || !hasProgram("tshark", "--version"),
  fn: () =>
    withCapture(async (path) => {
      const ours = (await runToEnd("dump", "-r", path, "-t", "tcp")).output;
      // -S: sequence numbers as they stand, as ours are; options are spelt alike but for SACK's.
      const theirs = (await run("tcpdump", "-r", path, "-n", "-t", "-S", "tcp")).trimEnd().split("\n");
      const facts = (line: string) =>
        line.replace(/, options \[[^\]]*\]/, "").replace(/: HTTP.*$/, "").replace(/, seq (\d+)(?=, ack)/, ", seq $1");
      assertEquals(ours.map(facts), theirs.map(facts));
      assert(ours.length > 30);
      const fields = ["ip.src", "tcp.srcport", "ip.dst", "tcp.dstport"].flatMap((field) => ["-e", field]);
      const tshark = (await run("tshark", "-r", path, "-Y", "tcp", "-T", "fields", ...fields)).trimEnd().split("\n");
      const ids = (await runToEnd("dump", "-r", path, "-t", "--ids", "tcp")).output;
      assertEquals(
        ids,
        tshark.map((line) => line.split("\t")).map(([source, from, destination, to]) =>
          `TCP ${source}:${from} > ${destination}:${to}`
        ),
      );
    }),
});

Deno.test("dump tells in one line what it cannot read, and a wrong command line with 2", () =>
  withCapture(async (path, folder) => {
    await Deno.writeFile(`${folder}/cut`, recording.capture.subarray(0, 1000));
    await Deno.writeTextFile(`${folder}/text`, "This is no capture file at all.");
    for (
      const [code, reason, ...args] of [
        [1, "there is no such file", "-r", `${folder}/absent`],
        [1, "neither a pcapng nor a pcap file", "-r", `${folder}/text`],
        [1, "ends in the middle of a frame", "-r", `${folder}/cut`],
        [1, "there is no such file or directory", "-r", path, "-w", `${folder}/no/such/folder`],
        [1, "it is a directory", "-r", folder],
        [2, "while it is read: give --write another file", "-r", path, "-w", path],
        [2, 'Cannot use the filter "port http": "http" is no port', "-r", path, "port", "http"],
        [2, "Cannot use both --read and --interface", "-r", path, "-i", "lo"],
        [2, "Cannot use --address with --interface", "-i", "lo", "--address", "192.0.2.9/24"],
        [2, "Cannot use --loss with --read", "-r", path, "--loss", "2%"],
        [1, 'Cannot find the interface "nowhere0"', "-i", "nowhere0"],
      ] as const
    ) {
      const outcome = await runToEnd("dump", ...args);
      assertEquals([outcome.code, outcome.errors.length], [code, 1], outcome.errors.join("\n"));
      assertStringIncludes(outcome.errors[0]!, reason);
    }
  }));

Deno.test("dump ends without a word when nobody reads on", () =>
  withCapture(async (path) => {
    const wrapper = ["sh", "-c", `{ "$0" "$@"; echo "code $?" >&2; } | head -n 1`];
    const { stdout, stderr } = await programCommand("dump", ["-r", path, "-x", "-v"], wrapper).output();
    assertEquals(lines(stdout).length, 1);
    assertEquals(lines(stderr), ["code 0"]);
  }));

Deno.test("dump -w - writes to standard output, for another program to read while it comes", () =>
  withCapture(async (path) => {
    const { success, stdout, stderr } = await programCommand("dump", ["-r", path, "-w", "-"]).output();
    const count = readCapture(recording.capture).frames.length;
    assertEquals([success, lines(stderr)], [true, [`${count} of ${count} frames written`]]);
    assertEquals(readCapture(stdout).frames.length, count);
    const wrapper = ["sh", "-c", `"$0" "$@" | head -c 1 >/dev/null`];
    const early = await programCommand("dump", ["-r", path, "-w", "-"], wrapper).output();
    assertEquals(lines(early.stderr).filter((line) => !line.endsWith(" frames written")), []);
  }));

kernelTest("dump on a device of its own shows what the host and the stack say", async () => {
  await using program = RunningProgram.start("dump", "-t", "icmp", "or", "arp");
  await program.line(/^Watching tap0: host 192\.0\.2\.1\/24, stack 192\.0\.2\.2\/24/);
  await run("ping", "-c", "1", "192.0.2.2");
  await program.line(/^ARP, Request who-has 192\.0\.2\.2 .*tell 192\.0\.2\.1/);
  await program.line(/^ARP, Reply 192\.0\.2\.2 is-at /);
  await program.line(/^IP 192\.0\.2\.1 > 192\.0\.2\.2: ICMP echo request, id \d+, seq 1, length 64$/);
  await program.line(/^IP 192\.0\.2\.2 > 192\.0\.2\.1: ICMP echo reply, id \d+, seq 1, length 64$/);
  program.signal("SIGINT");
  assertEquals(await program.code(), 0);
  assertMatch(program.errors.at(-1)!, /^\d+ of \d+ frames shown$/);
}, { programs: ["ping"] });

kernelTest("dump --connections tells of a connection that the stack refuses to the kernel", async () => {
  await using program = RunningProgram.start("dump", "-t", "--connections");
  await program.line(/^Watching tap0/);
  await assertRejects(() => Deno.connect({ hostname: "192.0.2.2", port: 81 }), Deno.errors.ConnectionRefused);
  await program.line(/^TCP 192\.0\.2\.1:\d+ > 192\.0\.2\.2:81 refused after 0\.\d{3} s, 0 bytes out and 0 back$/);
  program.signal("SIGINT");
  assertEquals(await program.code(), 0);
});

kernelTest("dump -i watches both directions of an interface of the host, and answers nothing", async () => {
  await run("ip", "link", "add", "left0", "type", "veth", "peer", "name", "right0");
  for (const [name, address] of [["left0", "10.9.0.1/24"], ["right0", "10.9.0.2/24"]] as const) {
    await run("ip", "link", "set", name, "up");
    await run("ip", "address", "add", address, "dev", name);
  }
  await using program = RunningProgram.start("dump", "-i", "left0", "-t", "-c", "2", "udp", "port", "9999");
  await program.line(/^Watching left0/);
  // Neighbours that are not there: what is sent to them passes the wire and ends at its other end.
  await run("ip", "neighbor", "add", "10.9.0.9", "lladdr", "02:00:00:00:00:09", "dev", "left0");
  await run("ip", "neighbor", "add", "10.9.0.8", "lladdr", "02:00:00:00:00:08", "dev", "right0");
  await run("ip", "route", "add", "10.9.0.9/32", "dev", "left0");
  await run("ip", "route", "add", "10.9.0.8/32", "dev", "right0");
  await using socket = await KernelSocket.bind("10.9.0.1");
  await socket.send(new Uint8Array(5), "10.9.0.9", 9999);
  await program.line(/^IP 10\.9\.0\.1\.\d+ > 10\.9\.0\.9\.9999: UDP, length 5$/);
  await using other = await KernelSocket.bind("10.9.0.2");
  await other.send(new Uint8Array(6), "10.9.0.8", 9999);
  await program.line(/^IP 10\.9\.0\.2\.\d+ > 10\.9\.0\.8\.9999: UDP, length 6$/);
  assertEquals(await program.code(), 0);
}, { programs: ["ip"] });

kernelTest("dump -i lo shows each packet once", async () => {
  await using program = RunningProgram.start("dump", "-i", "lo", "-t", "-c", "2", "udp", "port", "9999");
  await program.line(/^Watching lo/);
  await using socket = await KernelSocket.bind("127.0.0.1");
  for (const length of [5, 6]) await socket.send(new Uint8Array(length), "127.0.0.1", 9999);
  assertEquals(await program.code(), 0);
  assertEquals(program.output.map((line) => line.slice(line.lastIndexOf(" ") + 1)), ["5", "6"]);
});

kernelTest("without the privilege for it, dump says so in one line", async () => {
  for (const args of [[], ["-i", "lo"]]) {
    const { code, stderr } = await programCommand("dump", args, ["setpriv", "--bounding-set=-net_admin,-net_raw"])
      .output();
    assertEquals([code, lines(stderr).length], [1, 1], lines(stderr).join("\n"));
    assertMatch(lines(stderr)[0]!, /^dump: Cannot open .*CAP_NET_(ADMIN|RAW)/);
  }
}, { programs: ["setpriv"] });
