import { assertEquals } from "@std/assert";
import { hasProgram } from "./helpers/programs.ts";

const project = new URL("../", import.meta.url);
const entry = new URL("mod.ts", project);
const projectPath = decodeURIComponent(project.pathname).replace(/\/$/, "");

/** What another project does with the stack: connects to itself, exchanges bytes, closes and ends. */
function program(specifier: string): string {
  return `import { type DatagramConn, Stack, type TcpConn } from ${JSON.stringify(specifier)};

const stack: Stack = new Stack();
const listener = stack.listen({ port: 7 });
const client: TcpConn = await stack.connect({ hostname: "127.0.0.1", port: 7 });
const server: Deno.TcpConn = await listener.accept();
await client.write(new TextEncoder().encode("hello"));
const buffer = new Uint8Array(16);
const length = await server.read(buffer);
await server.write(buffer.subarray(0, length ?? 0));
client.closeWrite();
server.close();
console.log(await new Response(client.readable).text());
const socket: DatagramConn = stack.listenDatagram({ port: 7 });
await socket.send(buffer.subarray(0, 5), { transport: "udp", hostname: "127.0.0.1", port: 7 });
console.log((await socket.receive())[0].length);
await stack.close();
`;
}

/** A way to import the stack: the specifier, and the other project's configuration. */
interface Way {
  specifier: string;
  configuration: Record<string, unknown>;
}

/** Puts another project in a folder and returns the ways in which it can import this one. */
function waysFrom(folder: string): Record<string, Way> {
  // From a temporary folder the way leads over the root.
  const relative = `${"../".repeat(folder.split("/").length - 1)}${projectPath.slice(1)}`;
  return {
    "its relative path": { specifier: `${relative}/mod.ts`, configuration: {} },
    "its file: URL": { specifier: entry.href, configuration: {} },
    "an entry of the import map": {
      specifier: "stack",
      configuration: { imports: { stack: `${relative}/mod.ts` } },
    },
    "the package's name, with links": {
      specifier: "@tapstack/tapstack",
      configuration: { links: [relative] },
    },
  };
}

/** What goes in front of a command so that it has no network, where that can be had. */
const withoutNetwork: string[] = [["unshare", "-n"], ["unshare", "-rn"]]
  .find(([name, ...args]) => hasProgram(name!, ...args, "true")) ?? [];

/** Runs another project's main.ts: type-checked, with an empty cache, no network and no permission. */
async function runProject(folder: string): Promise<{ code: number; output: string }> {
  const cache = await Deno.makeTempDir({ prefix: "tapstack-cache-" });
  try {
    const [command, ...args] = [...withoutNetwork, Deno.execPath(), "run", "--check", "--no-prompt", "main.ts"];
    const { code, stdout, stderr } = await new Deno.Command(command!, {
      args,
      cwd: folder,
      env: { DENO_DIR: cache, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
      stdin: "null",
      // The program has to end by itself.
      signal: AbortSignal.timeout(60_000),
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, output: code === 0 ? text(stdout) : text(stdout) + text(stderr) };
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}

for (const way of Object.keys(waysFrom("/"))) {
  Deno.test(`another project imports the stack by ${way}, offline and without any permission`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "tapstack-import-" });
    try {
      const { specifier, configuration } = waysFrom(await Deno.realPath(folder))[way]!;
      await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(configuration));
      await Deno.writeTextFile(`${folder}/main.ts`, program(specifier));
      assertEquals(await runProject(folder), { code: 0, output: "hello\n5\n" });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
