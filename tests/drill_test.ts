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
