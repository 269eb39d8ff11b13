/**
 * Measures one side of one benchmark once, in this process, and prints its figures as JSON in its last line; with
 * `verify` for the side, verifies a transfer.
 *
 *     measure.ts NAME SIDE
 *
 * @module
 */

import { benchmarks } from "./catalogue.ts";

const [name, side] = Deno.args;
const benchmark = benchmarks.find((benchmark) => benchmark.name === name);
if (benchmark === undefined || side === undefined) throw new Error(`There is no benchmark "${name}"`);
if (side === "verify") {
  await benchmark.verify?.();
  console.log("{}");
} else {
  console.log(JSON.stringify(await benchmark.sides[side]!.measure()));
}
Deno.exit(0);
