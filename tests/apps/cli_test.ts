import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { errorLine, helpText, InvalidValue, parseCommandLine, toggle, UsageError } from "../../apps/cli.ts";

const text = { placeholder: "TEXT", help: "Some text", fallback: null, parse: (value: string): string | null => value };

const program = {
  name: "sample",
  summary: "Shows what a program looks like.",
  operand: { placeholder: "WHERE", help: "A place" },
  options: {
    count: {
      letter: "c",
      placeholder: "N",
      help: "How often",
      fallback: 3,
      parse: (value: string): number => {
        if (value === "many") throw new InvalidValue("give a number");
        return Number(value);
      },
    },
    text,
    quiet: toggle("Say less", "q"),
  },
  examples: [["", "do it"], ["-c 2", "do it twice"]] as const,
};

function refusal(...args: string[]): string {
  return assertThrows(() => parseCommandLine(program, args), UsageError).message;
}

Deno.test("options that are not given have their fallbacks", () => {
  const { help, values, operand } = parseCommandLine(program, []);
  assertEquals(help, false);
  assertEquals({ ...values }, { count: 3, text: null, quiet: false });
  assertEquals(operand, null);
});

Deno.test("options are read in their long and short forms, anywhere among the arguments", () => {
  const expected = { count: 5, text: "a b", quiet: true };
  for (
    const args of [
      ["--count", "5", "--text", "a b", "--quiet", "there"],
      ["--count=5", "there", "--text=a b", "-q"],
      ["-q", "there", "-c5", "--text", "a b"],
    ]
  ) {
    const { values, operand } = parseCommandLine(program, args);
    assertEquals({ ...values }, expected, args.join(" "));
    assertEquals(operand, "there", args.join(" "));
  }
});

Deno.test("the last of several values counts", () => {
  assertEquals(parseCommandLine(program, ["-c", "1", "--count", "2"]).values.count, 2);
});

Deno.test("the values of an option that may be repeated are put together", () => {
  const repeatable = { ...program, options: { text: { ...text, repeatable: true } } };
  const given = (...args: string[]) => parseCommandLine(repeatable, args).values.text;
  assertEquals([given(), given("--text", "a"), given("--text=a", "--text", "b")], [null, "a", "a,b"]);
});

Deno.test("there may be several arguments where the program takes several", () => {
  const several = { ...program, operand: { ...program.operand, repeatable: true } };
  const { operand, operands } = parseCommandLine(several, ["a", "-q", "b"]);
  assertEquals([operand, operands], ["a", ["a", "b"]]);
});

Deno.test("an argument that looks like a number stays a text", () => {
  assertEquals(parseCommandLine(program, ["010"]).operand, "010");
});

Deno.test("what follows -- is no option", () => {
  assertEquals(parseCommandLine(program, ["--", "-q"]).operand, "-q");
});

Deno.test("an unknown option is refused by its name", () => {
  assertEquals(refusal("--cuont", "5"), 'Unknown option "--cuont"');
  assertEquals(refusal("-x"), 'Unknown option "-x"');
});

Deno.test("an option without its value is refused", () => {
  assertEquals(refusal("-c"), "Option -c (--count) needs a value: N");
  assertEquals(refusal("--text", "--quiet"), "Option --text needs a value: TEXT");
  assertEquals(refusal("--text="), "Option --text needs a value: TEXT");
});

Deno.test("a switch with a value is refused", () => {
  assertEquals(refusal("--quiet=maybe"), "Option --quiet takes no value");
  assertEquals(refusal("--help=no"), "Option --help takes no value");
  assertEquals(parseCommandLine(program, ["--", "--quiet=maybe"]).operand, "--quiet=maybe");
});

Deno.test("a refused value is named with its option and what to give instead", () => {
  assertEquals(refusal("-c", "many"), 'Cannot use "many" for -c (--count): give a number');
});

Deno.test("an argument too many is refused", () => {
  assertEquals(refusal("here", "there"), 'Unexpected argument "there"');
  const { operand: _, ...without } = program;
  assertThrows(() => parseCommandLine(without, ["here"]), UsageError, 'Unexpected argument "here"');
});

Deno.test("--help wins over everything that is wrong beside it", () => {
  assertEquals(parseCommandLine(program, ["--help", "-c", "many", "a", "b"]).help, true);
  assertEquals(parseCommandLine(program, ["-h"]).help, true);
});

Deno.test("the usage brackets an argument that may be left out, and groups a choice that must be made", () => {
  const usage = (operand: Partial<typeof program.operand> & { required?: boolean }) =>
    helpText({ ...program, operand: { ...program.operand, ...operand } }).split("\n")[2];
  assertEquals(usage({}), "Usage: deno task sample [OPTIONS] [WHERE]");
  assertEquals(usage({ required: true }), "Usage: deno task sample [OPTIONS] WHERE");
  assertEquals(usage({ required: true, placeholder: "a | b" }), "Usage: deno task sample [OPTIONS] (a | b)");
  assertEquals(usage({ placeholder: "a | b" }), "Usage: deno task sample [OPTIONS] [a | b]");
});

Deno.test("the help text shows usage, every option and the examples", () => {
  assertEquals(
    helpText(program),
    [
      "Shows what a program looks like.",
      "",
      "Usage: deno task sample [OPTIONS] [WHERE]",
      "",
      "Argument:",
      "  WHERE  A place",
      "",
      "Options:",
      "  -c, --count N    How often",
      "      --text TEXT  Some text",
      "  -q, --quiet      Say less",
      "  -h, --help       Print this text and exit",
      "",
      "Examples:",
      "  deno task sample       do it",
      "  deno task sample -c 2  do it twice",
    ].join("\n"),
  );
});

Deno.test("an error becomes one line", () => {
  assertEquals(errorLine(new Error("first\n  second")), "first second");
  assertEquals(errorLine(new TypeError("")), "TypeError");
  assertStringIncludes(errorLine("a text"), "a text");
});
