/**
 * Runs packet scripts against the stack, on a virtual clock.
 *
 * @module
 */

import {
  ExitCode,
  InvalidValue,
  type Option,
  type Program,
  runProgram,
  toggle,
  UsageError,
  type Values,
} from "./cli.ts";
import { type Relaxation, relaxations } from "../tests/drill/interpreter/match.ts";
import { parseDefinition } from "../tests/drill/interpreter/parse_script.ts";
import { formatResult, formatSummary, Tally } from "../tests/drill/interpreter/report.ts";
import { Profile, settingNames } from "../tests/drill/interpreter/profile.ts";
import { type RunOptions, runScript } from "../tests/drill/interpreter/runner.ts";
import { capturePath, findScripts } from "../tests/drill/interpreter/script_files.ts";
import { wholeNumber } from "./values.ts";

/** Settings of the stack, each of which it has. */
function settings(help: string): Option<readonly (readonly [name: string, value: string])[]> {
  const option = pairs(help);
  return {
    ...option,
    parse: (text) => {
      const given = option.parse(text);
      const unknown = given.find(([name, value]) => !new Profile().set(name, value));
      if (unknown !== undefined) {
        throw new InvalidValue(`there is no setting ${unknown.join("=")}, --settings lists all`);
      }
      return given;
    },
  };
}

/** An option whose values are `NAME=VALUE`, any number of times. */
function pairs(help: string): Option<readonly (readonly [name: string, value: string])[]> {
  return {
    placeholder: "NAME=VALUE",
    help,
    repeatable: true,
    fallback: [],
    parse: (text) => text.split(",").filter((part) => part !== "").map(parseDefinition),
  };
}

const options = {
  ignore: {
    placeholder: "WHAT",
    help: `Do not compare these, separated by commas: ${relaxations.join(", ")}`,
    repeatable: true,
    fallback: new Set<Relaxation>(),
    parse: (text: string) => {
      const known: readonly string[] = relaxations;
      const names = text.split(",").map((name) => name.trim());
      const unknown = names.find((name) => !known.includes(name));
      if (unknown !== undefined) throw new InvalidValue(`give some of ${relaxations.join(", ")}, separated by commas`);
      return new Set(names as Relaxation[]);
    },
  },
  tolerance: {
    placeholder: "MS",
    help: "How far from its time something may happen, in milliseconds (default: what the script says, or 4)",
    fallback: 0,
    parse: wholeNumber(0, 99),
  },
  ip: {
    placeholder: "VERSION",
    help: "Address family of scripts that do not say: ipv4 or ipv6 (default: ipv4)",
    fallback: null as 4 | 6 | null,
    parse: (text: string) => {
      if (text !== "ipv4" && text !== "ipv6") throw new InvalidValue("give ipv4 or ipv6");
      return text === "ipv4" ? 4 as const : 6 as const;
    },
  },
  set: settings("Start the stack with a setting, by its name in sysctl or one of this program's (see --settings)"),
  define: pairs("Define a name for #ifdef and in place of values (default: STANDARD)"),
  strict_segments: toggle("Do not join several segments to match one longer one"),
  pcap: {
    placeholder: "DIR",
    help: "Write a capture of each script's packets into this directory, in pcapng format",
    fallback: null as string | null,
    parse: (text: string) => text,
  },
  json: toggle("Print one JSON object a line instead of text"),
  settings: toggle("List the names that --set knows, and exit"),
  verbose: toggle("Print what happens", "v"),
};

const program: Program<typeof options> = {
  name: "drill",
  summary:
    "Runs packet scripts, in the language of packetdrill, against the stack: in one process, without privilege or waiting.",
  operand: {
    placeholder: "FILE|DIRECTORY...",
    help: "Scripts, and directories of files named *.pkt",
    required: true,
    repeatable: true,
  },
  options,
  examples: [
    ["tests/drill", "run the project's own scripts"],
    ["-v script.pkt", "run one script and show the exchange"],
    ["--ignore=options,window suite/", "run a suite that was written for another system"],
    ["--set tcp_sack=0 --set tcp_timestamps=0 suite/", "run it without these options"],
    ["--set system=freebsd suite/", "start the stack with what scripts for FreeBSD take for granted"],
  ],
};

async function drill(values: Values<typeof options>, operands: readonly string[]): Promise<number> {
  if (values.settings) {
    console.log(settingNames.join("\n"));
    return ExitCode.success;
  }
  if (operands.length === 0) throw new UsageError("Give the scripts to run, or directories of them");
  const tally = new Tally();
  for (const path of await findScripts(operands)) {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    const result = await runScript(await Deno.readTextFile(path), path, {
      ...runOptions(values),
      ...(values.pcap === null ? {} : { capture: (bytes) => void chunks.push(bytes) }),
    });
    tally.add(result);
    console.log(formatResult(path, result, values.json));
    if (values.pcap !== null) await writeCapture(capturePath(values.pcap, path), chunks);
  }
  console.log(formatSummary(tally));
  return tally.failed === 0 ? ExitCode.success : ExitCode.failure;
}

function runOptions(values: Values<typeof options>): RunOptions {
  return {
    ignore: values.ignore,
    tolerance: values.tolerance,
    settings: values.set,
    definitions: new Map(values.define),
    strictSegments: values.strict_segments,
    ...(values.ip === null ? {} : { family: values.ip }),
    ...(values.verbose && !values.json ? { log: (line: string) => console.log(`  ${line}`) } : {}),
  };
}

async function writeCapture(path: string, chunks: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeFile(path, new Blob([...chunks]).stream());
}

if (import.meta.main) await runProgram(program, ({ values, operands }) => drill(values, operands));
