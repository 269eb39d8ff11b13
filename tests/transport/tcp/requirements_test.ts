import { assert, assertEquals } from "@std/assert";

const project = new URL("../../../", import.meta.url);
const page = Deno.readTextFileSync(new URL("REQUIREMENTS.md", import.meta.url));

/** The rows of all tables: their cells, without those of the headings. */
const rows = page.split("\n")
  .filter((line) => line.startsWith("|") && !/^\|[\s-]+\|/.test(line))
  .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))
  .filter(([first]) => first !== "rule" && first !== "behaviour");

const texts = new Map<string, string | null>();

/** A file of the project, or null. */
function textOf(path: string): string | null {
  let text = texts.get(path);
  if (text === undefined) {
    try {
      text = Deno.readTextFileSync(new URL(path, project));
    } catch {
      text = null;
    }
    texts.set(path, text);
  }
  return text;
}

/** Where a file of the page is: those without a folder, and those of congestion control, are TCP's. */
function pathOf(root: "stack" | "tests", name: string): string {
  return /^(congestion\/)?[^/]+$/.test(name) ? `${root}/transport/tcp/${name}` : `${root}/${name}`;
}

/** The names of a file's tests, as they stand in it. */
function testNames(text: string): string[] {
  const named = /(?:\btest|Test|name:)\s*\(?\s*(["`])((?:\\.|(?!\1).)+)\1/gs;
  return [...text.matchAll(named)].map(([, , name]) => name!);
}

/** What is wrong with a cell that names files and functions. */
function wrongPlaces(cell: string): string[] {
  const wrong: string[] = [];
  for (const [, file, name] of cell.matchAll(/`([\w./]+\.ts)` `(#?\w+)`/g)) {
    const text = textOf(pathOf("stack", file!));
    if (text === null) wrong.push(`no file ${file}`);
    else if (!new RegExp(`${name!.startsWith("#") ? "" : "\\b"}${name}\\b`).test(text)) {
      wrong.push(`no ${name} in ${file}`);
    }
  }
  return wrong;
}

/** What is wrong with a cell that names tests. */
function wrongProofs(cell: string): string[] {
  return cell.split(/; (?=`)/).flatMap((proof) => {
    const script = /^`([\w./]+\.pkt)`$/.exec(proof)?.[1];
    if (script !== undefined) return textOf(pathOf("tests", script)) === null ? [`no script ${script}`] : [];
    const [, file, part] = /^`([\w./]+\.ts)` "(.+)"$/.exec(proof) ?? [];
    if (file === undefined) return [`cannot read ${proof}`];
    const text = textOf(pathOf("tests", file));
    if (text === null) return [`no file ${file}`];
    return testNames(text).some((name) => name.includes(part!)) ? [] : [`no test "${part}" in ${file}`];
  });
}

Deno.test("every file, function and test that the table of requirements names is there", () => {
  const wrong = rows.flatMap((cells) => {
    const proofs = wrongProofs(cells.at(-1)!);
    const places = cells.length === 3 ? wrongPlaces(cells[1]!) : [];
    return [...places, ...proofs].map((what) => `${cells[0]}: ${what}`);
  });
  assertEquals(wrong, []);
  assert(rows.length > 180, `${rows.length} rows`);
});

Deno.test("every rule of RFC 9293 has a row", () => {
  const known = new Set(rows.flatMap(([rule]) => rule!.match(/\b(?:MUST|SHLD|MAY|REC)-\d+\b/g) ?? []));
  const missing = Object.entries({ MUST: 69, SHLD: 31, MAY: 18, REC: 1 }).flatMap(([word, count]) =>
    Array.from({ length: count }, (_, index) => `${word}-${index + 1}`).filter((rule) => !known.has(rule))
  );
  assertEquals(missing, []);
});

Deno.test("a row that names what is not there is found", () => {
  assertEquals(wrongPlaces("`send.ts` `probeTail`; `rack.ts` `#none`"), ["no #none in rack.ts"]);
  assertEquals(wrongPlaces("`nowhere.ts` `probeTail`"), ["no file nowhere.ts"]);
  assertEquals(wrongProofs('`requirements_test.ts` "a row that names what"; `drill/none.pkt`'), [
    "no script drill/none.pkt",
  ]);
  assertEquals(wrongProofs('`rack_test.ts` "no such test"'), ['no test "no such test" in rack_test.ts']);
  assertEquals(wrongProofs("words"), ["cannot read words"]);
});
