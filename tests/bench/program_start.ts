/**
 * How long the program `echo` takes until it answers.
 *
 * @module
 */

import { withNamespace } from "../kernel/namespace.ts";
import type { Benchmark, Figures } from "./benchmark.ts";
import { ownAddress } from "./networks.ts";

const program = new URL("../../apps/echo.ts", import.meta.url).pathname;
const patience = 10_000;

function measure(): Promise<Figures> {
  return withNamespace(async () => {
    const startedAt = performance.now();
    const echo = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--allow-ffi", "--allow-read", "--allow-write", program],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    // Before the device is there, ping ends at once; behind that, a lost request costs 50 ms at most.
    const ping = new Deno.Command("ping", {
      args: ["-c", "1", "-W", "0.05", ownAddress],
      stdout: "null",
      stderr: "null",
    });
    try {
      while (!(await ping.output()).success) {
        if (performance.now() - startedAt > patience) throw new Error("echo has not answered within 10 s");
      }
      return { milliseconds: performance.now() - startedAt };
    } finally {
      echo.kill("SIGTERM");
      await echo.status;
    }
  });
}

/** From the start of the process to the answer to a ping. */
export const startBenchmark: Benchmark = {
  name: "start",
  programs: ["ping"],
  sides: { stack: { measure } },
  rows: [{ label: "start of echo until it answers a ping", unit: "ms", value: ["stack", "milliseconds"] }],
};
