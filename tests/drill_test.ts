import { assertEquals } from "@std/assert";
import { formatResult } from "./drill/interpreter/report.ts";
import { runScript } from "./drill/interpreter/runner.ts";
import { findScripts } from "./drill/interpreter/script_files.ts";

const directory = new URL("./drill", import.meta.url).pathname;

Deno.test("packet scripts", async (t) => {
  for (const path of await findScripts([directory])) {
    const name = path.slice(directory.length + 1);
    await t.step(name, async () => {
      const result = await runScript(await Deno.readTextFile(path), name);
      assertEquals(formatResult(name, result), `ok ${name}`);
    });
  }
});

Deno.test("the scripts pass with segments compared one by one wherever they are written so", async () => {
  const path = `${directory}/data/segmented.pkt`;
  const result = await runScript(await Deno.readTextFile(path), path, { strictSegments: true });
  assertEquals(result.kind, "ok");
});

async function runDrill(...args: string[]): Promise<{ code: number; output: string[]; errors: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-read", "--allow-write", "apps/drill.ts", ...args],
    cwd: new URL("../", import.meta.url),
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout).trimEnd().split("\n"), errors: decoder.decode(stderr) };
}

Deno.test("the program prints one line a script, then the counts, and exits with 0 only if nothing failed", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/bad.pkt`, "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = 1\n");
    await Deno.mkdir(`${folder}/below`);
    await Deno.writeTextFile(`${folder}/below/good.pkt`, "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n");
    await Deno.writeTextFile(`${folder}/below/skip.pkt`, "0 splice(1) = 3\n");
    const both = await runDrill(folder);
    assertEquals(both, {
      code: 1,
      output: [
        `FAIL ${folder}/bad.pkt:2 expected close(3) = 1, it returned 0`,
        `ok ${folder}/below/good.pkt`,
        `skip ${folder}/below/skip.pkt: the call \`splice\` is not interpreted`,
        "1 passed, 1 failed, 1 skipped",
      ],
      errors: "",
    });
    const good = await runDrill("--json", "--pcap", `${folder}/out`, `${folder}/below/good.pkt`);
    assertEquals([good.code, good.output.at(-1)], [0, "1 passed, 0 failed, 0 skipped"]);
    assertEquals(JSON.parse(good.output[0]!), { path: `${folder}/below/good.pkt`, result: "ok" });
    assertEquals((await Deno.stat(`${folder}/out${folder}/below/good.pcapng`)).isFile, true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the program refuses what makes no sense in one line", async () => {
  for (
    const [args, why] of [
      [[], "Give the scripts to run, or directories of them"],
      [["--ignore=speed", "x"], 'Cannot use "speed" for --ignore: give some of options'],
      [["--ip", "ipx", "x"], 'Cannot use "ipx" for --ip: give ipv4 or ipv6'],
      [["--set", "speed=1", "x"], 'Cannot use "speed=1" for --set: there is no setting speed=1, --settings lists all'],
      [["--set", "system=mine", "x"], 'Cannot use "system=mine" for --set: there is no setting system=mine'],
    ] as const
  ) {
    const { code, errors } = await runDrill(...args);
    assertEquals([code, errors.startsWith(`drill: ${why}`)], [2, true], errors);
  }
  const { code, errors } = await runDrill("/nowhere");
  assertEquals([code, errors], [1, 'drill: Cannot read "/nowhere": give a script, or a directory of scripts\n']);
  const empty = await Deno.makeTempDir();
  try {
    const { code, errors } = await runDrill(empty);
    assertEquals([code, errors], [
      1,
      `drill: Cannot find a script in "${empty}": give a directory of files named *.pkt\n`,
    ]);
  } finally {
    await Deno.remove(empty);
  }
});
