/**
 * Runs seeded transfers over bad networks, on a virtual clock, for as long as told.
 *
 * @module
 */

import {
  errorLine,
  ExitCode,
  InvalidValue,
  type Program,
  runProgram,
  toggle,
  UsageError,
  type Values,
} from "../../apps/cli.ts";
import { duration, wholeNumber } from "../../apps/values.ts";
import { drawCase, drawnCases, isCase, runCase } from "./cases.ts";
import { replayCommand } from "./replay.ts";

const options = {
  for: {
    placeholder: "TIME",
    help: "How long to go on (default: 60s; for ever with --cases)",
    fallback: 0,
    parse: duration(1),
  },
  cases: {
    placeholder: "COUNT",
    help: "How many cases to run at most",
    fallback: Infinity,
    parse: wholeNumber(1, Infinity),
  },
  seed: {
    placeholder: "NUMBER",
    help: "The first seed; each case takes the next one (default: any)",
    fallback: -1,
    parse: wholeNumber(0, 2 ** 31),
  },
  case: {
    placeholder: "NAME",
    help: `What to run: ${drawnCases.join(", ")}, or a link like link:1%:50ms:10M:1:loss (default: all kinds)`,
    fallback: null as string | null,
    parse: (text: string) => {
      if (isCase(text)) return text;
      throw new InvalidValue(
        `give ${drawnCases.join(", ")}, or LOSS:RTT:RATE:QUEUE:TROUBLE as in link:1%:50ms:10M:1:loss`,
      );
    },
  },
  pcap: {
    placeholder: "FILE",
    help: "Write what the client of the one case sees to a pcapng file; needs --case and --seed",
    fallback: null as string | null,
    parse: (text: string) => text,
  },
  verbose: toggle("Print every segment and change of state of the one case; needs --case and --seed", "v"),
};

const program: Program<typeof options> = {
  name: "soak",
  summary: "Run seeded transfers over bad networks on a virtual clock, and check every byte",
  options,
  examples: [
    ["--for 10m", "run cases of all kinds for ten minutes"],
    ["--cases 100 --seed 1", "run the cases of the seeds 1 to 100"],
    ["--case sweep --seed 7 --pcap sweep-7.pcapng", "run one case again, and capture it"],
  ],
};

/** How much time of the processor may go by before signals are looked at, in milliseconds. */
const turn = 100;

function createFile(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { write: true, create: true, truncate: true });
  } catch (error) {
    throw new Error(`Cannot write the capture "${path}": ${errorLine(error)}`);
  }
}

/** Runs one case and writes its capture. */
async function replay(name: string, values: Values<typeof options>): Promise<number> {
  using file = values.pcap === null ? null : createFile(values.pcap);
  try {
    await runCase(name, {
      seed: values.seed,
      ...(file === null ? {} : { capture: (bytes) => file.writeSync(bytes) }),
      ...(values.verbose ? { print: console.log } : {}),
    });
  } catch (error) {
    console.log(`${name}, seed ${values.seed}: ${error instanceof Error ? error.message : error}`);
    return ExitCode.failure;
  }
  console.log(`${name}, seed ${values.seed}: all as it should be`);
  return ExitCode.success;
}

/** Runs one case after the other until told otherwise. */
async function soak(values: Values<typeof options>): Promise<number> {
  let interrupted = false;
  const interrupt = () => interrupted = true;
  Deno.addSignalListener("SIGINT", interrupt);
  const startedAt = performance.now();
  const first = values.seed >= 0 ? values.seed : crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;
  const time = values.for > 0 ? values.for : values.cases < Infinity ? Infinity : 60_000;
  let [done, failed, seed, yieldAt] = [0, 0, first, 0];
  for (; done < values.cases && !interrupted && performance.now() - startedAt < time; seed++) {
    const name = values.case ?? drawCase(seed);
    try {
      await runCase(name, { seed });
    } catch (error) {
      failed++;
      console.log(`${error instanceof Error ? error.message : error}\n${replayCommand(name, seed)}`);
    }
    done++;
    if (performance.now() < yieldAt) continue;
    await new Promise((resolve) => setTimeout(resolve));
    yieldAt = performance.now() + turn;
  }
  Deno.removeSignalListener("SIGINT", interrupt);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const seeds = done === 0 ? "" : `, seeds ${first} to ${seed - 1}`;
  console.log(`${done} cases in ${seconds} s${seeds}: ${failed} failed${interrupted ? " (interrupted)" : ""}`);
  return failed > 0 ? ExitCode.failure : ExitCode.success;
}

await runProgram(program, ({ values }) => {
  const one = values.pcap !== null || values.verbose;
  if (!one) return soak(values);
  if (values.case === null || values.seed < 0) {
    throw new UsageError("Give --case and --seed with --pcap and --verbose: they are for one case");
  }
  return replay(values.case, values);
});
