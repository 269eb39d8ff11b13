import { assertEquals, assertRejects } from "@std/assert";
import { Client } from "pg";
import { Socket } from "../../stack/application/node.ts";
import { isInstalled } from "../helpers/programs.ts";
import { Host, kernelAddress } from "../kernel/host.ts";
import { kernelTest, run } from "../kernel/namespace.ts";

/** Debian keeps the server's programs out of the way. */
function findServer(): string | null {
  for (const path of (Deno.env.get("PATH") ?? "").split(":")) {
    try {
      return Deno.realPathSync(`${path}/postgres`).replace(/\/postgres$/, "");
    } catch {
      // Not there.
    }
  }
  try {
    const versions = [...Deno.readDirSync("/usr/lib/postgresql")].map(({ name }) => Number(name)).sort((a, b) => b - a);
    return `/usr/lib/postgresql/${versions[0]}/bin`;
  } catch {
    return null;
  }
}

const folder = findServer();

/** PostgreSQL refuses to run as root. */
const asPostgres = ["--reuid=postgres", "--regid=postgres", "--clear-groups"];

/** Runs `body` while a PostgreSQL server listens on the kernel's address. */
async function withPostgres(body: () => Promise<void>): Promise<void> {
  const data = await Deno.makeTempDir({ prefix: "tapstack-postgres-" });
  try {
    await run("chown", "postgres", data);
    const as = (program: string, ...args: string[]) => [...asPostgres, `${folder}/${program}`, ...args];
    await run("setpriv", ...as("initdb", "-D", data, "-A", "trust", "-N", "-E", "UTF8", "--locale=C"));
    await Deno.writeTextFile(`${data}/pg_hba.conf`, `host all all ${kernelAddress}/24 trust\n`);
    const settings = [`listen_addresses=${kernelAddress}`, `unix_socket_directories=${data}`, "fsync=off"];
    const server = new Deno.Command("setpriv", {
      args: as("postgres", "-D", data, ...settings.flatMap((setting) => ["-c", setting])),
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let log = "";
    const ready = Promise.withResolvers<void>();
    const reading = (async () => {
      for await (const text of server.stderr.pipeThrough(new TextDecoderStream())) {
        log += text;
        if (log.includes("ready to accept connections")) ready.resolve();
      }
      ready.reject(new Error(`PostgreSQL ended: ${log}`));
    })();
    ready.promise.catch(() => {});
    try {
      await ready.promise;
      await body();
    } finally {
      // SIGINT: it ends its sessions and shuts down.
      server.kill("SIGINT");
      await server.status;
      await reading;
    }
  } finally {
    await Deno.remove(data, { recursive: true });
  }
}

const obstacle = folder === null ? "needs postgresql" : Deno.uid() !== 0 ? "needs root" : null;
const name = "pg runs over the stack against PostgreSQL: queries, errors, a large result";

if (obstacle !== null || !isInstalled("setpriv")) {
  Deno.test({ name: `${name} (ignored: ${obstacle ?? "needs setpriv"})`, ignore: true, fn: () => {} });
} else {
  kernelTest(name, async () => {
    await using host = new Host();
    const { stack } = host;
    await withPostgres(async () => {
      const client = new Client({
        host: kernelAddress,
        user: "postgres",
        database: "postgres",
        stream: () => new Socket({ network: stack }),
      });
      await client.connect();
      const { rows } = await client.query("SELECT $1::int + 1 AS sum, $2::text AS text", [41, "grüße"]);
      assertEquals(rows, [{ sum: 42, text: "grüße" }]);
      await client.query(
        "CREATE TABLE numbers AS SELECT n, repeat('x', 100) AS filler FROM generate_series(1, 20000) n",
      );
      const numbers = await client.query<{ n: number; filler: string }>("SELECT * FROM numbers ORDER BY n");
      assertEquals([numbers.rows.length, numbers.rows.at(-1)!.n, numbers.rows[0]!.filler.length], [
        20_000,
        20_000,
        100,
      ]);
      await assertRejects(() => client.query("SELECT nonsense"), Error, 'column "nonsense" does not exist');
      assertEquals((await client.query("SELECT inet_client_addr() AS address")).rows, [{ address: "192.0.2.2" }]);
      await client.end();
    });
  });
}
