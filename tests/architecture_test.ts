import { assert, assertEquals, assertGreater } from "@std/assert";
import { stripTypeScriptTypes } from "node:module";

const project = new URL("../", import.meta.url);

/** Folders and files from the bottom up: each may import from its own rank and from those below. */
const ranks: readonly (readonly [pattern: RegExp, rank: number])[] = [
  [/^stack\/link\//, 1],
  [/^stack\/network\//, 2],
  [/^stack\/transport\//, 3],
  // The data path wired, without the sockets; and what that can be told.
  [/^stack\/(graph|stack_options)\.ts$/, 3.5],
  [/^stack\/socket\//, 4],
  // What looks at all layers, or drives them, from outside.
  [/^stack\/(describe|connection_log|snapshot)/, 5],
  [/^stack\/(event_loop|interfaces|portable_poller|stack_work)\.ts$/, 5],
  // The stack with all adaptors on board.
  [/^stack\/application\/full\.ts$/, 6.5],
  [/^stack\/application\//, 5],
  [/^stack\/(stack|bridge)\.ts$/, 6],
  [/^stack\/[^/]+\.ts$/, 0],
  [/^ffi\//, 1.5],
  [/^mod\.ts$/, 7],
  [/^apps\//, 8],
];

/** What makes a module depend on a platform, on the time, or on chance. */
const platformNames = new RegExp(
  [
    /(?<![.\w])Deno\b/,
    /(?<![.\w#])(?:process|Buffer|console)\s*\./,
    /(?<![.\w#])(?:setTimeout|setInterval|setImmediate)\b/,
    /\.(?:setTimeout|setInterval|setImmediate)\b/,
    /\bDate\.now\b/,
    /\bnew Date\(\)/,
    /\bMath\.random\b/,
    /(?<![.\w])(?:performance|crypto)\b/,
  ].map(({ source }) => source).join("|"),
  "g",
);

/** The files whose very task is to reach the platform, and what they reach. */
const platformFiles: Readonly<Record<string, readonly string[]>> = {
  "stack/clock.ts": ["performance"],
  "stack/random.ts": ["crypto"],
  "stack/portable_poller.ts": [".setTimeout", ".setImmediate"],
};

interface Source {
  readonly text: string;
  /** The same as JavaScript, without types and comments. */
  readonly code: string;
}

function* filesIn(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, project))) {
    if (isDirectory) yield* filesIn(`${folder}${name}/`);
    else if (name.endsWith(".ts") && !name.endsWith(".d.ts")) yield folder + name;
  }
}

/** Removes comments. Strings are passed over, since they may contain what begins one. */
function withoutComments(code: string): string {
  const part = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
  return code.replace(part, (found) => found.startsWith("/") ? " " : found);
}

function withoutStrings(code: string): string {
  return code.replace(/"(?:\\.|[^"\\\n])*"/g, '""');
}

const sources = new Map<string, Source>();
for (const path of ["mod.ts", ...["stack/", "ffi/", "apps/"].flatMap((folder) => [...filesIn(folder)])]) {
  const text = withoutComments(Deno.readTextFileSync(new URL(path, project)));
  sources.set(path, { text, code: withoutComments(stripTypeScriptTypes(text)) });
}

/** Everything that a module names to import: statically, dynamically, or in order to export it again. */
function specifiersIn(code: string): string[] {
  const statements = /^\s*(?:import|export)\b[^;"']*?\bfrom\s+["']([^"']+)["']|^\s*import\s+["']([^"']+)["']/gm;
  const calls = /\bimport\(\s*["']([^"']+)["']/g;
  return [...code.matchAll(statements), ...code.matchAll(calls)].map((match) => (match[1] ?? match[2])!);
}

/** The files of the project that a file imports. */
function importsOf(path: string, code: string): string[] {
  const targets = specifiersIn(code)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => new URL(specifier, new URL(path, project)).href.slice(project.href.length));
  // A program may run what the tests are made of; the library may not.
  return path.startsWith("apps/") ? targets.filter((target) => !target.startsWith("tests/")) : targets;
}

function rankOf(path: string): number {
  return ranks.find(([pattern]) => pattern.test(path))?.[1] ?? NaN;
}

const isLibrary = (path: string) => !path.startsWith("apps/") && !path.startsWith("stack/application/");

Deno.test("every file has a rank, and the search for imports finds them", () => {
  assertEquals([...sources.keys()].filter((path) => Number.isNaN(rankOf(path))), []);
  assertGreater(sources.size, 80);
  const found = specifiersIn(
    'import a from "./a.ts";\nexport { b } from "./b.ts";\nimport "./c.ts";\nexport * from "./d.ts";\n' +
      'import {\n  e,\n  type F,\n} from "./e.ts";\nawait import("./g.ts");\nconst text = "import it";\n',
  );
  assertEquals(found, ["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./e.ts", "./g.ts"]);
});

Deno.test("the module graph of mod.ts has nothing but this project's files: no npm:, jsr:, http: or bare specifier", async () => {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-config", "mod.ts"],
    cwd: project,
    env: { DENO_NO_UPDATE_CHECK: "1" },
    stderr: "null",
  }).output();
  assert(success);
  const graph = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: { specifier: string; error?: string; dependencies?: { specifier: string }[] }[];
    npmPackages: Record<string, unknown>;
  };
  assertGreater(graph.modules.length, 80);
  assertEquals(graph.npmPackages, {});
  assertEquals(graph.modules.filter(({ specifier }) => !specifier.startsWith(project.href)), []);
  assertEquals(graph.modules.filter(({ error }) => error !== undefined), []);
  const specifiers = graph.modules.flatMap(({ dependencies = [] }) => dependencies.map(({ specifier }) => specifier));
  assertEquals(specifiers.filter((specifier) => !/^\.\.?\//.test(specifier)), []);
});

Deno.test("the library imports nothing by a bare or absolute name, whether or not mod.ts reaches it", () => {
  for (const [path, { text }] of sources) {
    if (!isLibrary(path)) continue;
    assertEquals(specifiersIn(text).filter((specifier) => !/^\.\.?\//.test(specifier)), [], path);
  }
});

Deno.test("the adaptors take packages from stack/application/deps/ only, in the versions of deno.json", async () => {
  const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", project))) as {
    imports: Record<string, string>;
  };
  const versions = Object.values(imports);
  let packages = 0;
  for (const [path, { text }] of sources) {
    if (!path.startsWith("stack/application/")) continue;
    for (const specifier of specifiersIn(text).filter((specifier) => !/^(?:\.\.?\/|node:)/.test(specifier))) {
      assert(path.startsWith("stack/application/deps/"), `${path} imports ${specifier}`);
      assert(versions.some((version) => specifier === version || specifier.startsWith(`${version}/`)), specifier);
      packages++;
    }
  }
  assertGreater(packages, 3);
});

Deno.test("stack/ uses no value of the Deno namespace, no timer, clock or chance of the platform", () => {
  for (const [path, { code }] of sources) {
    if (!path.startsWith("stack/") || !isLibrary(path)) continue;
    const found = new Set(Array.from(withoutStrings(code).matchAll(platformNames), ([name]) => name));
    assertEquals([...found].filter((name) => !platformFiles[path]?.includes(name)), [], path);
  }
});

Deno.test("the search for the platform's names sees values, not types, comments, texts or members", () => {
  const search = (code: string) => withoutStrings(withoutComments(stripTypeScriptTypes(code))).match(platformNames);
  const sample = "setTimeout(run, 1); Deno.exit(); Date.now(); Math.random(); `${performance.now()}`;";
  assertEquals(search(sample), ["setTimeout", "Deno", "Date.now", "Math.random", "performance"]);
  const innocent =
    'class A implements Deno.TcpConn { #setTimeout: Deno.Addr } // Deno.exit\nconst text = "Math.random";';
  assertEquals(search(innocent), null);
});

Deno.test("only ffi/ opens a dynamic library", () => {
  const opening = [...sources].filter(([, { code }]) => /\bDeno\.dlopen\b/.test(withoutStrings(code)));
  assertGreater(opening.length, 0);
  assertEquals(opening.map(([path]) => path).filter((path) => !path.startsWith("ffi/")), []);
});

Deno.test("imports go one way: apps, mod, stack.ts, socket, transport, network, link, and the root of stack/ below all", () => {
  const wrong: string[] = [];
  for (const [path, { text }] of sources) {
    for (const target of importsOf(path, text)) {
      assert(sources.has(target), `${path} imports ${target}, which is not there`);
      if (rankOf(target) > rankOf(path)) wrong.push(`${path} -> ${target}`);
      if (target.startsWith("ffi/") && path.startsWith("stack/")) wrong.push(`${path} -> ${target}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("no module imports itself by whatever detour, not even for a type", () => {
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    assert(!way.includes(path), `a cycle: ${[...way, path].join(" -> ")}`);
    if (done.has(path)) return;
    for (const target of importsOf(path, sources.get(path)!.text)) visit(target, [...way, path]);
    done.add(path);
  };
  for (const path of sources.keys()) visit(path, []);
});
