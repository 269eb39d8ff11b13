import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { recordTransfer } from "../helpers/recorded_transfer.ts";
import { lines, type Outcome } from "./run_program.ts";

const root = new URL("../../", import.meta.url);
const folder = await Deno.makeTempDir({ prefix: "tapstack-plot-" });
const capturePath = `${folder}/transfer.pcapng`;
const logPath = `${folder}/transfer.jsonl`;
const recording = await recordTransfer({ seed: 4, bytes: 50_000, impairments: [{ loss: 0.05, delay: 5 }, {}] });
Deno.writeFileSync(capturePath, recording.capture);
Deno.writeTextFileSync(logPath, recording.log.map((line) => `${line}\n`).join(""));
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** Runs the program as its task does. */
async function plot(...args: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "plot", ...args],
    cwd: root,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
  }).output();
  return { code, output: lines(stdout), errors: lines(stderr) };
}

async function assertFails(code: number, message: string, ...args: string[]): Promise<void> {
  const outcome = await plot(...args);
  const suffix = code === 2 ? " (see: deno task plot --help)" : "";
  assertEquals(outcome, { code, output: [], errors: [`plot: ${message}${suffix}`] });
}

Deno.test("plot --help prints the usage and succeeds", async () => {
  const { code, output, errors } = await plot("--help");
  assertEquals([code, errors], [0, []]);
  assertStringIncludes(output.join("\n"), "Usage: deno task plot [OPTIONS] FILE");
  for (
    const option of ["connection", "output", "reverse", "from", "until", "width", "height", "list", "json", "help"]
  ) {
    assertStringIncludes(output.join("\n"), `--${option}`);
  }
});

Deno.test("plot writes the graph beside its file, and says what it has drawn", async () => {
  for (const path of [capturePath, logPath]) {
    const { code, output, errors } = await plot(path);
    assertEquals([code, errors], [0, []]);
    assertMatch(
      output.join("\n"),
      /^\S+\/transfer\.svg: connection 1: 10\.0\.0\.1:50000 - 10\.0\.0\.2:80: \d+ segments, 50000 and 0 bytes, \d+ sent again, \d+\.\d{3} s$/,
    );
    const svg = await Deno.readTextFile(`${folder}/transfer.svg`);
    assertMatch(svg, /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<svg .* width="1280" height="800"/);
    assertEquals(svg.includes("congestion window"), path === logPath);
  }
});

Deno.test("plot -o - prints the graph, in the size that is asked for", async () => {
  const { code, output, errors } = await plot("-o", "-", "--width", "640", "--height", "480", capturePath);
  assertEquals([code, errors], [0, []]);
  assertStringIncludes(output[1]!, 'width="640" height="480" viewBox="0 0 640 480"');
  assertMatch(output.at(-1)!, /<\/svg>$/);
});

Deno.test("plot --list says what the connections are, for people and for programs", async () => {
  const people = await plot("--list", capturePath);
  assertEquals([people.code, people.errors, people.output.length], [0, [], 1]);
  assertMatch(people.output[0]!, /^1: 10\.0\.0\.1:50000 - 10\.0\.0\.2:80: /);
  const programs = await plot("--list", "--json", capturePath);
  const [{ milliseconds, segments, retransmissions, ...rest }] = programs.output.map((line) => JSON.parse(line));
  assertEquals(rest, {
    connection: 1,
    first: "10.0.0.1:50000",
    second: "10.0.0.2:80",
    bytesFirst: 50_000,
    bytesSecond: 0,
  });
  assertEquals([milliseconds > 10, segments > 35, retransmissions > 0], [true, true, true]);
  assertEquals((await plot("--list", "--json", logPath)).output, programs.output);
});

Deno.test("plot says in one line what is wrong with a file, and fails", async () => {
  await assertFails(1, `Cannot read "${folder}/absent": there is no such file`, `${folder}/absent`);
  await assertFails(1, `Cannot read "${folder}": it is a directory`, folder);
  const other = `${folder}/other.txt`;
  await Deno.writeTextFile(other, "neither a capture nor a log, but long enough to be taken for one");
  await assertFails(1, "Cannot read the capture: it is neither a pcapng nor a pcap file", other);
  const empty = `${folder}/empty.pcapng`;
  await Deno.writeFile(empty, withoutFrames(recording.capture));
  await assertFails(1, `Cannot plot "${empty}": it holds no TCP segment`, empty);
  assertEquals(await plot("--list", empty), { code: 0, output: [], errors: [] });
  const away = `${folder}/absent/graph.svg`;
  await assertFails(1, `Cannot write "${away}": there is no such file`, "-o", away, capturePath);
});

Deno.test("plot says in one line what is wrong with its command line, and exits with 2", async () => {
  const [{ milliseconds }] = (await plot("--list", "--json", capturePath)).output.map((line) => JSON.parse(line));
  const seconds = milliseconds / 1000;
  await assertFails(2, "Name a capture or a connection log");
  await assertFails(2, `Cannot plot connection 2 of "${capturePath}": it has 1`, "-n", "2", capturePath);
  await assertFails(2, "Option --json goes with --list", "--json", capturePath);
  await assertFails(2, "Option --until must be later than --from", "--from", "2", "--until", "1", capturePath);
  await assertFails(
    2,
    `Cannot begin 3600 s after the first segment: the last one came after ${seconds}`,
    "--from",
    "1h",
    capturePath,
  );
  await assertFails(
    2,
    'Cannot use "graph.png" for -o (--output): give a file name that ends in .svg, or -',
    "-o",
    "graph.png",
    capturePath,
  );
  await assertFails(
    2,
    'Cannot use "10" for --width: give a whole number from 480 to 20000',
    "--width",
    "10",
    capturePath,
  );
});

/** The section header and the interface description of a pcapng file. */
function withoutFrames(file: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const view = new DataView(file.buffer, file.byteOffset);
  const first = view.getUint32(4, true);
  return file.subarray(0, first + view.getUint32(first + 4, true));
}
