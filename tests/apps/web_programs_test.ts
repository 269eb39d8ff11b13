import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { kernelTest, run } from "../kernel/namespace.ts";
import { pattern } from "../application/local_stack.ts";
import { lines, type Outcome, programCommand, RunningProgram, runToEnd } from "./run_program.ts";

const site = "http://192.0.2.2";

/** Runs `body` with a folder of its own. */
async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "tapstack-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Starts a serving program and waits until it serves. */
async function start(name: string, ...args: string[]): Promise<RunningProgram> {
  const program = RunningProgram.start(name, "--control", "none", ...args);
  await program.line(/^Serving /);
  return program;
}

/** Ends a program as Ctrl-C does, and returns its last line. */
async function interrupt(program: RunningProgram): Promise<string> {
  program.signal("SIGINT");
  assertEquals(await program.code(), 0, program.errors.join("\n"));
  return program.output.at(-1)!;
}

/** Status, header fields and body of curl's `-i`. */
async function curl(...args: string[]): Promise<{ status: number; head: string; body: string }> {
  const text = await run("curl", "-s", "-i", "--max-time", "10", "--path-as-is", ...args);
  const [head = "", ...rest] = text.split("\r\n\r\n");
  return { status: Number(head.split(" ")[1]), head, body: rest.join("\r\n\r\n") };
}

/** Runs a program with a text as its standard input. */
async function runWithInput(input: string, name: string, ...args: string[]): Promise<Outcome> {
  const shell = ["sh", "-c", `printf '%s' "$0" | "$@"`, input];
  const { code, stdout, stderr } = await programCommand(name, args, shell).output();
  return { code, output: lines(stdout), errors: lines(stderr) };
}

const chromium = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];

/** The page as Chromium has it after its scripts have run, once that matches: scripts are given little real time. */
async function browse(url: string, wanted: RegExp): Promise<string> {
  let page = "";
  await withFolder(async (folder) => {
    for (let attempt = 0; attempt < 5 && !wanted.test(page); attempt++) {
      page = await run(
        "chromium",
        ...chromium,
        `--user-data-dir=${folder}`,
        "--virtual-time-budget=10000",
        "--dump-dom",
        url,
      );
    }
  });
  return page;
}

for (
  const [name, args, reason] of [
    ["http", ["/no/such/folder"], 'Cannot serve "/no/such/folder": '],
    ["http", ["--cert", "x"], "Option --cert needs --key beside it"],
    ["http", ["-p", "0"], 'Cannot use "0" for -p (--port)'],
    ["fetch", [], "Missing argument: give a URL"],
    ["fetch", ["ftp://192.0.2.1/"], 'Cannot fetch "ftp://192.0.2.1/": give a URL that begins with http:// or https://'],
    ["fetch", ["-H", "nonsense", "http://192.0.2.1/"], 'Cannot use "nonsense" for -H (--header)'],
    ["fetch", ["--dns", "name", "http://192.0.2.1/"], 'Cannot use "name" for --dns: give an IPv4 address'],
    ["ws", ["listen"], 'Unknown command "listen": give serve or connect'],
    ["ws", ["connect", "http://192.0.2.1/"], "give a URL that begins with ws:// or wss://"],
    ["ws", ["connect"], "Missing argument: give a URL"],
  ] as const
) {
  Deno.test(`${[name, ...args].join(" ")} is refused in one line, with 2`, async () => {
    const { code, errors, output } = await runToEnd(name, ...args);
    assertEquals([code, errors.length, output], [2, 1, []], errors.join("\n"));
    assertStringIncludes(errors[0]!, reason);
  });
}

kernelTest("http answers curl: routes, methods, statuses", async () => {
  await using program = await start("http");
  const page = await curl(`${site}/`);
  assertEquals(page.status, 200);
  assertStringIncludes(page.body, "This page came over tapstack");
  assertMatch((await curl(`${site}/time`)).body, /^\d{4}-\d\d-\d\dT/);
  const headers = JSON.parse((await curl("-H", "X-Field: value", `${site}/headers`)).body);
  assertEquals([headers.method, headers.headers["x-field"], headers.headers.host], ["GET", "value", "192.0.2.2"]);
  assertEquals(JSON.parse((await curl(`${site}/stats`)).body).requests, 4);
  assertEquals((await curl("-d", "some text", `${site}/echo`)).body, "some text");
  assertEquals((await curl("-H", "Transfer-Encoding: chunked", "-d", "in chunks", `${site}/echo`)).body, "in chunks");
  const head = await curl("-I", `${site}/time`);
  assertEquals([head.status, head.body], [200, ""]);
  assertEquals((await curl(`${site}/nothing`)).status, 404);
  assertEquals((await curl(`${site}/%zz`)).status, 400);
  const wrong = await curl("-X", "DELETE", `${site}/time`);
  assertEquals(wrong.status, 405);
  assertStringIncludes(wrong.head, "allow: GET, HEAD");
  assertEquals((await curl("-X", "OPTIONS", `${site}/echo`)).status, 204);
  const twice = await run(
    "curl",
    "-s",
    "-w",
    "%{num_connects} ",
    "-o",
    "/dev/null",
    `${site}/`,
    "-o",
    "/dev/null",
    `${site}/time`,
  );
  assertEquals(twice, "1 0 ");
  assertMatch(await interrupt(program), /^Answered \d+ requests\.$/);
}, { programs: ["curl"] });

kernelTest(
  "http serves files exactly: ranges, conditions, types, and nothing outside of its folder",
  () =>
    withFolder(async (folder) => {
      const data = pattern(3_000_000);
      await Deno.mkdir(`${folder}/site/sub`, { recursive: true });
      await Deno.writeFile(`${folder}/site/data.bin`, data);
      await Deno.writeTextFile(`${folder}/site/page.html`, "<p>page");
      await Deno.writeTextFile(`${folder}/site/sub/index.html`, "<p>sub");
      await Deno.writeTextFile(`${folder}/secret`, "private contents");
      await Deno.symlink("../secret", `${folder}/site/link`);
      await using program = await start("http", `${folder}/site`);
      await run("curl", "-s", "-o", `${folder}/copy`, `${site}/data.bin`);
      assert(await Deno.readFile(`${folder}/copy`).then((copy) => copy.every((byte, at) => byte === data[at])));
      assertEquals((await Deno.stat(`${folder}/copy`)).size, data.length);
      await run("curl", "-s", "--data-binary", `@${folder}/site/data.bin`, "-o", `${folder}/echo`, `${site}/echo`);
      assertEquals((await Deno.stat(`${folder}/echo`)).size, data.length);
      const page = await curl(`${site}/page.html`);
      assertStringIncludes(page.head, "content-type: text/html");
      const etag = /^etag: (.*)\r?$/im.exec(page.head)![1]!;
      assertEquals((await curl("-H", `If-None-Match: ${etag}`, `${site}/page.html`)).status, 304);
      const part = await curl("-r", "3-5", `${site}/page.html`);
      assertEquals([part.status, part.body], [206, "pag"]);
      assertStringIncludes(part.head, "content-range: bytes 3-5/7");
      assertEquals((await curl("-r", "100-", `${site}/page.html`)).status, 416);
      assertEquals((await curl(`${site}/sub/`)).body, "<p>sub");
      for (const path of ["/../secret", "/%2e%2e/secret", "/sub/..%2f..%2fsecret", "/link", "/..%5csecret"]) {
        const { status, body } = await curl(site + path);
        assert(status === 404 || status === 400, `${path}: ${status}`);
        assert(!body.includes("private contents"), path);
      }
      await interrupt(program);
    }),
  { programs: ["curl"] },
);

kernelTest("http --tls serves with a certificate of its own, or with one given", () =>
  withFolder(async (folder) => {
    await run(
      "openssl",
      ...`req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=given -addext subjectAltName=IP:192.0.2.2 -keyout ${folder}/key.pem -out ${folder}/cert.pem`
        .split(" "),
    );
    {
      await using program = await start("http", "--tls");
      assertMatch(await program.line(/fingerprint/), /: ([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
      assertEquals((await curl("-k", "https://192.0.2.2/time")).status, 200);
      await interrupt(program);
    }
    await using program = await start(
      "http",
      "--cert",
      `${folder}/cert.pem`,
      "--key",
      `${folder}/key.pem`,
      "-p",
      "8443",
    );
    assertEquals((await curl("--cacert", `${folder}/cert.pem`, "https://192.0.2.2:8443/time")).status, 200);
    await interrupt(program);
  }), { programs: ["curl", "openssl"] });

kernelTest("Chromium shows the page of http, and its script reaches the stack", async () => {
  await using program = await start("http");
  const page = await browse(`${site}/`, /<output id="time">\d/);
  assertMatch(page, /<h1>This page came over tapstack<\/h1>/);
  assertMatch(page, /<output id="time">\d{4}-\d\d-\d\dT/);
  await interrupt(program);
}, { programs: ["chromium"] });

kernelTest("Chromium talks to ws through its page", async () => {
  await using program = await start("ws");
  const page = await browse(`${site}/`, /class="received"/);
  assertStringIncludes(
    page,
    '<li class="sent">hello from the browser</li><li class="received">hello from the browser</li>',
  );
  assertMatch(await interrupt(program), /^Echoed [1-9]\d* messages?\.$/);
}, { programs: ["chromium"] });

kernelTest("ws echoes what Deno's own WebSocket sends, and says good-bye when it ends", async () => {
  await using program = await start("ws");
  const socket = new WebSocket("ws://192.0.2.2/");
  socket.binaryType = "arraybuffer";
  const received: unknown[] = [];
  const both = Promise.withResolvers<void>();
  socket.onopen = () => {
    socket.send("text");
    socket.send(pattern(200_000));
  };
  socket.onmessage = ({ data }) => {
    received.push(data);
    if (received.length === 2) both.resolve();
  };
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  await both.promise;
  assertEquals(received[0], "text");
  assertEquals(new Uint8Array(received[1] as ArrayBuffer), pattern(200_000));
  assertEquals(await interrupt(program), "Echoed 2 messages.");
  const { code, reason } = await closed;
  assertEquals([code, reason], [1001, "The server ends"]);
});

/** A server of the kernel's side: echoes WebSocket messages, and answers requests with what they were. */
function kernelServer(port: number): Deno.HttpServer {
  return Deno.serve({ hostname: "192.0.2.1", port, onListen: () => {} }, async (request) => {
    if (request.headers.get("upgrade") === "websocket") {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onmessage = ({ data }) => data === "end" ? socket.close(4000, "as you wish") : socket.send(`echo ${data}`);
      return response;
    }
    const { pathname } = new URL(request.url);
    if (pathname === "/moved") return new Response(null, { status: 302, headers: { location: "/there" } });
    if (pathname === "/missing") return new Response("missing", { status: 404 });
    if (pathname === "/data") return new Response(pattern(1_000_000));
    return new Response(`${request.method} ${pathname} ${request.headers.get("x-field")} ${await request.text()}\n`);
  });
}

/** Runs `body` while the kernel has the address 192.0.2.1 and a server there. */
async function withKernelServer(body: (origin: string) => Promise<void>): Promise<void> {
  await run("ip", "address", "add", "192.0.2.1/32", "dev", "lo");
  const server = kernelServer(8000);
  try {
    await body("192.0.2.1:8000");
  } finally {
    await server.shutdown();
  }
}

kernelTest(
  "fetch prints what a server answers, with the options of curl",
  () =>
    withFolder((folder) =>
      withKernelServer(async (origin) => {
        const fetch = (...args: string[]) =>
          runToEnd("fetch", "--control", "none", "--host", "198.51.100.1/24", "--gateway", "198.51.100.1", ...args);
        const plain = await fetch("-H", "X-Field: a, b", "-d", "body", `http://${origin}/path`);
        assertEquals(plain, { code: 0, output: ["POST /path a, b body"], errors: [] });
        assertEquals((await fetch(`${origin}/moved`)).output, []);
        assertEquals((await fetch("-L", `${origin}/moved`)).output, ["GET /there null "]);
        const included = await fetch("-i", "-X", "PUT", `http://${origin}/`);
        assertEquals(included.output[0], "HTTP/1.1 200 OK\r");
        const failed = await fetch("-f", `http://${origin}/missing`);
        assertEquals([failed.code, failed.output], [1, []]);
        assertEquals(failed.errors, [
          `fetch: Cannot fetch http://${origin}/missing: The server answered 404 Not Found`,
        ]);
        assertEquals((await fetch("-o", `${folder}/data`, `http://${origin}/data`)).code, 0);
        assertEquals(await Deno.readFile(`${folder}/data`), pattern(1_000_000));
        const refused = await fetch("http://192.0.2.1:8001/");
        assertEquals([refused.code, refused.errors.length], [1, 1]);
        assertStringIncludes(refused.errors[0]!, "cannot connect to 192.0.2.1:8001: ");
      })
    ),
);

kernelTest(
  "a file that cannot be read or written is told in one line, with its name",
  () =>
    withKernelServer(async (origin) => {
      const quiet = ["--control", "none", "--log-level", "error", "--host", "198.51.100.1/24"];
      for (
        const [name, ...args] of [
          ["fetch", "--cacert", "/no/such/file", "https://192.0.2.1/"],
          ["fetch", "--data", "@/no/such/file", `http://${origin}/`],
          ["fetch", "--output", "/no/such/file", `http://${origin}/`],
          ["ws", "connect", "--cacert", "/no/such/file", "wss://192.0.2.1/"],
          ["http", "--cert", "/no/such/file", "--key", "/no/such/file"],
        ] as const
      ) {
        const outcome = await runToEnd(name, ...args, ...quiet);
        assertEquals([outcome.code, outcome.output, outcome.errors.length], [1, [], 1], args.join(" "));
        assertMatch(outcome.errors[0]!, /annot (read|write) "\/no\/such\/file": there is no such file/, args.join(" "));
      }
    }),
);

Deno.test("fetch names the port that the Fetch standard blocks, and says why", async () => {
  const { code, output, errors } = await runToEnd("fetch", "http://127.0.0.1:6667/");
  assertEquals([code, output, errors.length], [1, [], 1]);
  assertStringIncludes(errors[0]!, "Cannot fetch http://127.0.0.1:6667/: port 6667 belongs to another protocol");
});

kernelTest("fetch ends by Ctrl-C while nobody answers, and leaves no device behind", async () => {
  await using program = RunningProgram.start("fetch", "--control", "none", "--log-level", "info", "http://192.0.2.77/");
  await program.line(/Attached tap0/);
  program.signal("SIGINT");
  assertEquals(await program.code(), 130);
  assertEquals(program.output, []);
  assert(!(await run("ip", "link", "show")).includes("tap0"));
});

kernelTest("ws connect sends lines to a server and prints what it says", () =>
  withKernelServer(async (origin) => {
    const far = ["--control", "none", "--host", "198.51.100.1/24", "--gateway", "198.51.100.1", "--log-level", "error"];
    const talk = (input: string, ...args: string[]) =>
      runWithInput(input, "ws", "connect", `ws://${origin}/`, ...far, ...args);
    const ended = await talk("one\ntwo\nthree");
    assertEquals([ended.code, ended.output], [0, ["echo one", "echo two", "echo three"]]);
    assertEquals(ended.errors, [`Connected to ws://${origin}/`, "Closed: 1000"]);
    // The input is over before the server closes: whoever does not wait closes, too.
    const closed = await talk("one\nend\n", "--wait", "10");
    assertEquals([closed.code, closed.output, closed.errors.at(-1)], [1, ["echo one"], "Closed: 4000 as you wish"]);
    const wrong = await runWithInput("", "ws", "connect", "ws://192.0.2.1:8001/", ...far);
    assertEquals([wrong.code, wrong.errors.length], [1, 1]);
    assertStringIncludes(wrong.errors[0]!, "ws: Cannot talk to ws://192.0.2.1:8001/: cannot connect to 192.0.2.1:8001");
  }));
