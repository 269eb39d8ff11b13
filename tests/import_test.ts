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

/** What another project does with the entries that need packages. */
const applicationProgram = (folder: string) =>
  `import { Stack } from "${folder}/full.ts";
import { serve } from "${folder}/http.ts";
import { upgradeWebSocket, connectWebSocket } from "${folder}/websocket.ts";
import { listenTls } from "${folder}/tls.ts";
import { toDuplex } from "${folder}/node.ts";
import { DnsServer, Hosts, resolveDns } from "${folder}/dns.ts";

const stack: Stack = new Stack({ dns: { nameServers: [{ ipAddr: "127.0.0.1" }] } });
const dns = new DnsServer(stack, { nameServers: [], hosts: new Hosts("127.0.0.1 host.test") });
const server = serve(stack, { port: 80 }, (request: Request): Response => {
  if (request.headers.get("upgrade") !== "websocket") return new Response("over HTTP");
  const { socket, response } = upgradeWebSocket(request);
  socket.on("open", () => socket.send("over WebSocket"));
  return response;
});
console.log(await (await stack.fetch("http://host.test/")).text());
const socket = await connectWebSocket(stack, "ws://127.0.0.1/");
await new Promise<void>((resolve) => socket.on("message", (data) => resolve(console.log(new TextDecoder().decode(data)))));
socket.terminate();
console.log(await resolveDns(stack, "host.test", "A", { nameServer: { ipAddr: "127.0.0.1" } }));
console.log(typeof listenTls, typeof toDuplex);
server.abort();
await dns.close();
await stack.close();
`;

Deno.test("another project imports the entries with packages, whatever its import map, offline once they are cached", async () => {
  const folder = await Deno.makeTempDir({ prefix: "tapstack-import-" });
  try {
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports: { ws: "./nothing.ts" } }));
    const entries = new URL("stack/application", project).href;
    await Deno.writeTextFile(`${folder}/main.ts`, applicationProgram(entries));
    // A project without our lock asks the registry which versions there are. Where that was not done before and cannot
    // be done here, the run says what is missing.
    await new Deno.Command(Deno.execPath(), { args: ["cache", "--quiet", "main.ts"], cwd: folder, stderr: "null" })
      .output();
    const run = ["run", "--check", "--no-prompt", "--allow-env", "--allow-sys", "--cached-only", "main.ts"];
    const [command, ...args] = [...withoutNetwork, Deno.execPath(), ...run];
    const { code, stdout, stderr } = await new Deno.Command(command!, {
      args,
      cwd: folder,
      env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
      stdin: "null",
      signal: AbortSignal.timeout(60_000),
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assertEquals(
      { code, output: code === 0 ? text(stdout) : text(stdout) + text(stderr) },
      { code: 0, output: 'over HTTP\nover WebSocket\n[ "127.0.0.1" ]\nfunction function\n' },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
