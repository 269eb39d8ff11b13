import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { readCapture } from "../../stack/link/pcap_reader.ts";
import { programCommand, runToEnd } from "../apps/run_program.ts";

Deno.test("soak runs the cases of the seeds that it is told, and says how many there were", async () => {
  const { code, output, errors } = await runToEnd("soak", "--case", "brief", "--cases", "20", "--seed", "5");
  assertEquals([code, errors, output.length], [0, [], 1]);
  assertMatch(output[0]!, /^20 cases in [\d.]+ s, seeds 5 to 24: 0 failed$/);
});

Deno.test("soak runs one case again and captures it, the same way each time", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const captures: Uint8Array[] = [];
    for (const name of ["first", "second"]) {
      const path = `${directory}/${name}.pcapng`;
      const options = ["--case", "link:5%:10ms:10M:1:loss", "--seed", "3", "--pcap", path];
      const { code, output, errors } = await runToEnd("soak", ...options);
      assertEquals([code, output, errors], [0, ["link:5%:10ms:10M:1:loss, seed 3: all as it should be"], []]);
      captures.push(await Deno.readFile(path));
    }
    assertGreater(readCapture(captures[0]!).frames.length, 1000);
    assertEquals(captures[0], captures[1]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("soak prints every segment of one case", async () => {
  const { code, output } = await runToEnd("soak", "--case", "brief", "--seed", "3", "--verbose");
  assertEquals(code, 0);
  assertMatch(output[0]!, /^[\d.]+ client CLOSED -> SYN-SENT$/);
  assertMatch(output.at(-1)!, /all as it should be/);
});

Deno.test("soak ends on Ctrl-C with its summary", async () => {
  const child = programCommand("soak", ["--for", "10m", "--case", "brief", "--cases", "1000000"]).spawn();
  // Nothing tells from outside that it has begun to listen to signals but that it lives on after one.
  const status = child.output();
  const nudge = setInterval(() => child.kill("SIGINT"), 500);
  const { stdout, code } = await status.finally(() => clearInterval(nudge));
  assertEquals(code, 0);
  assertMatch(new TextDecoder().decode(stdout), /^\d+ cases in [\d.]+ s, .*: 0 failed \(interrupted\)\n$/);
});

Deno.test("soak refuses what makes no sense in one line", async () => {
  for (
    const [args, error] of [
      [["--case", "rain"], /Cannot use "rain" for --case: give sweep, brief, or/],
      [["--pcap", "x"], /Give --case and --seed with --pcap/],
      [["--cases", "0"], /Cannot use "0" for --cases: give a whole number from 1/],
      [["--for", "soon"], /Cannot use "soon" for --for: give seconds/],
    ] as const
  ) {
    const { code, errors, output } = await runToEnd("soak", ...args);
    assertEquals([code, output, errors.length], [2, [], 1]);
    assertMatch(errors[0]!, error);
  }
});
