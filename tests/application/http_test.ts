import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  createHttpClient,
  fetch,
  type HttpServer,
  serve,
  type ServeHandler,
  type ServeOptions,
} from "../../stack/application/http.ts";
import type { Stack } from "../../stack/stack.ts";
import { exchange, pattern, stackTest as stackTestWithOps, testCertificate } from "./local_stack.ts";

const origin = "http://127.0.0.1:8000";

const stackTest = (name: string, body: (stack: Stack) => Promise<void>) => stackTestWithOps(name, body, false);

/** Serves while `body` runs, and ends the clients' idle connections before the server. */
async function serving(
  stack: Stack,
  options: ServeOptions,
  handler: ServeHandler,
  body: (get: (path: string, init?: RequestInit) => Promise<Response>, server: HttpServer) => Promise<void>,
): Promise<void> {
  const server = serve(stack, options, handler);
  {
    await using client = createHttpClient(stack);
    await body((path, init = {}) => fetch(stack, origin + path, { ...init, client }), server);
  }
  server.abort();
  await server.finished;
}

const hello: ServeHandler = () => new Response("hello");

/** A request without a body, in full. */
const request = (line: string, ...fields: string[]) => [line, "Host: test", ...fields, "", ""].join("\r\n");

/** The status lines of responses one after the other. */
const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+ [^\r]*)\r\n/g)].map(([, status]) => status);

stackTest("a handler is given a Request with its peer, and its Response arrives", async (stack) => {
  const handler: ServeHandler = async (request, { remoteAddr, completed }) => {
    assert(request instanceof Request);
    completed.catch(() => {});
    return Response.json({
      method: request.method,
      url: request.url,
      field: request.headers.get("x-field"),
      body: await request.text(),
      from: remoteAddr.hostname,
    }, { status: 201, statusText: "Made", headers: { "x-answer": "yes" } });
  };
  await serving(stack, {}, handler, async (get) => {
    const response = await get("/path?query", { method: "PUT", body: "body", headers: { "x-field": "value" } });
    assertEquals([response.status, response.statusText, response.url], [201, "Made", `${origin}/path?query`]);
    assertEquals(response.headers.get("x-answer"), "yes");
    assertEquals(await response.json(), {
      method: "PUT",
      url: `${origin}/path?query`,
      field: "value",
      body: "body",
      from: "127.0.0.1",
    });
  });
});

stackTest("bodies are streamed both ways: the first part is answered before the second is sent", async (stack) => {
  await serving(stack, {}, (request) => new Response(request.body), async (get) => {
    const parts = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
    const writer = parts.writable.getWriter();
    const answering = get("/", { method: "POST", body: parts.readable });
    await writer.write(pattern(1000));
    const reader = (await answering).body!.getReader();
    assertEquals((await reader.read()).value, pattern(1000));
    await writer.write(pattern(10));
    assertEquals((await reader.read()).value, pattern(10));
    await writer.close();
    assertEquals((await reader.read()).done, true);
  });
});

stackTest("a body that is there at once has a length, any other comes in chunks", async (stack) => {
  const handler: ServeHandler = ({ url }) => {
    if (url.endsWith("/whole")) return new Response("whole");
    if (url.endsWith("/none")) return new Response(null);
    const parts = ["a", "b"];
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setImmediate(resolve));
          const part = parts.shift();
          if (part === undefined) controller.close();
          else controller.enqueue(new TextEncoder().encode(part));
        },
      }),
    );
  };
  await serving(stack, {}, handler, async () => {
    assertStringIncludes(
      await exchange(stack, 8000, request("GET /whole HTTP/1.1", "Connection: close")),
      "content-length: 5\r\n",
    );
    assertStringIncludes(
      await exchange(stack, 8000, request("GET /none HTTP/1.1", "Connection: close")),
      "content-length: 0\r\n",
    );
    const chunked = await exchange(stack, 8000, request("GET /parts HTTP/1.1", "Connection: close"));
    assertStringIncludes(chunked, "Transfer-Encoding: chunked\r\n");
    assertStringIncludes(chunked, "\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
  });
});

stackTest("a chunked body that breaks off resets the connection instead of ending it", async (stack) => {
  const handler: ServeHandler = () => {
    let parts = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setImmediate(resolve));
          if (++parts > 2) controller.error(new Error("broken"));
          else controller.enqueue(pattern(100));
        },
      }),
    );
  };
  await serving(stack, {}, handler, async (get) => {
    const response = await get("/");
    assertEquals(response.status, 200);
    await assertRejects(() => response.arrayBuffer());
  });
});

stackTest("HEAD has the header fields of GET and no body; 204 and 304 have none either", async (stack) => {
  const handler: ServeHandler = ({ url }) => {
    const status = Number(url.slice(-3));
    return status === 200 ? new Response("body") : new Response(null, { status });
  };
  await serving(stack, {}, handler, async () => {
    for (const [method, status] of [["HEAD", 200], ["GET", 204], ["GET", 304]] as const) {
      const text = await exchange(stack, 8000, request(`${method} /${status} HTTP/1.1`, "Connection: close"));
      assertStringIncludes(text, `HTTP/1.1 ${status} `);
      assert(text.endsWith("\r\n\r\n"), text);
    }
  });
});

stackTest("pipelined requests are answered in their order", async (stack) => {
  const slow = Promise.withResolvers<void>();
  const handler: ServeHandler = async ({ url }) => {
    if (url.endsWith("/1")) await slow.promise;
    else slow.resolve();
    return new Response(`answer ${url.slice(-1)};`);
  };
  await serving(stack, {}, handler, async () => {
    const text = await exchange(
      stack,
      8000,
      request("GET /1 HTTP/1.1") + request("GET /2 HTTP/1.1") + request("GET /3 HTTP/1.1", "Connection: close"),
    );
    assertEquals([...text.matchAll(/answer (\d);/g)].map(([, number]) => number), ["1", "2", "3"]);
  });
});

stackTest("one connection serves many requests of a client", async (stack) => {
  const ports = new Set<number>();
  const handler: ServeHandler = (_request, { remoteAddr }) => (ports.add(remoteAddr.port), new Response("x"));
  const server = serve(stack, handler);
  {
    await using client = createHttpClient(stack, { maxConnections: 1 });
    for (let count = 0; count < 5; count++) {
      assertEquals(await (await fetch(stack, `${origin}/`, { client })).text(), "x");
    }
    assertEquals([ports.size, server.connections], [1, 1]);
  }
  await server.shutdown();
});

stackTest("HTTP/1.0 is answered, and the connection closed", async (stack) => {
  await serving(stack, {}, hello, async () => {
    const text = await exchange(stack, 8000, "GET / HTTP/1.0\r\n\r\n");
    assertStringIncludes(text, "Connection: close\r\n");
    assert(text.endsWith("\r\n\r\nhello"));
  });
});

for (
  const [what, bytes, status] of [
    ["nonsense", "nonsense\r\n\r\n", "400 Bad Request"],
    ["a request without Host", "GET / HTTP/1.1\r\n\r\n", "400 Bad Request"],
    [
      "two lengths",
      request("POST / HTTP/1.1", "Content-Length: 3", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n",
      "400 Bad Request",
    ],
    ["a space in front of a colon", request("GET / HTTP/1.1", "Field : value"), "400 Bad Request"],
    [
      "a head that is too long",
      request("GET / HTTP/1.1", `Field: ${"x".repeat(20_000)}`),
      "431 Request Header Fields Too Large",
    ],
  ] as const
) {
  stackTest(`${what} is answered with ${status}, and the connection closed`, async (stack) => {
    await serving(stack, {}, hello, async () => {
      assertEquals(statuses(await exchange(stack, 8000, bytes)), [status]);
    });
  });
}

stackTest("Expect: 100-continue is answered before the body is sent", async (stack) => {
  await serving(stack, {}, async (request) => new Response(await request.text()), async () => {
    using conn = await stack.connect({ port: 8000 });
    const head = request("POST / HTTP/1.1", "Expect: 100-continue", "Content-Length: 4", "Connection: close");
    await conn.write(new TextEncoder().encode(head));
    const buffer = new Uint8Array(1000);
    const length = await conn.read(buffer);
    assertEquals(new TextDecoder().decode(buffer.subarray(0, length!)), "HTTP/1.1 100 Continue\r\n\r\n");
    await conn.write(new TextEncoder().encode("body"));
    assertStringIncludes(await new Response(conn.readable).text(), "\r\n\r\nbody");
  });
});

stackTest("a body longer than allowed is answered with 413, announced or not", async (stack) => {
  const handler: ServeHandler = async (request) => new Response(String((await request.arrayBuffer()).byteLength));
  await serving(stack, { maxBodyBytes: 1000 }, handler, async (get) => {
    assertEquals(await (await get("/", { method: "POST", body: pattern(1000) })).text(), "1000");
    assertEquals((await get("/", { method: "POST", body: pattern(1001) })).status, 413);
    const text = await exchange(
      stack,
      8000,
      request("POST / HTTP/1.1", "Transfer-Encoding: chunked") + `3e9\r\n${"x".repeat(1001)}\r\n0\r\n\r\n`,
    );
    assertEquals(statuses(text), ["413 Content Too Large".replace("Content", "Payload")]);
  });
});

stackTest("an error of the handler is answered by onError, and with 500 where that fails too", async (stack) => {
  const errors: unknown[] = [];
  const handler: ServeHandler = () => {
    throw new Error("handler");
  };
  const onError = (error: unknown) => (errors.push(error), new Response("sorry", { status: 503 }));
  await serving(stack, { onError }, handler, async (get) => {
    const response = await get("/");
    assertEquals([response.status, await response.text()], [503, "sorry"]);
    assertEquals((errors[0] as Error).message, "handler");
  });
});

stackTest("a slow head is answered with 408, silence with a close, and an idle connection is closed", async (stack) => {
  await serving(stack, { headersTimeout: 300, keepAliveTimeout: 250 }, hello, async () => {
    assertEquals(statuses(await exchange(stack, 8000, "GET / HTTP/1.1\r\nHost")), ["408 Request Timeout"]);
    assertEquals(await exchange(stack, 8000, ""), "");
    assertEquals(statuses(await exchange(stack, 8000, request("GET / HTTP/1.1"))), ["200 OK"]);
    using conn = await stack.connect({ port: 8000 });
    const buffer = new Uint8Array(1000);
    const answerTo = async (text: string) => {
      await conn.write(new TextEncoder().encode(text));
      return statuses(new TextDecoder().decode(buffer.subarray(0, (await conn.read(buffer))!)));
    };
    assertEquals(await answerTo(request("GET / HTTP/1.1")), ["200 OK"]);
    assertEquals(await answerTo("GET /"), ["408 Request Timeout"]);
  });
});

stackTest("a body that does not come ends the connection, and the request's signal says so", async (stack) => {
  const aborted = Promise.withResolvers<void>();
  const handler: ServeHandler = async (request) => {
    request.signal.addEventListener("abort", () => aborted.resolve());
    return new Response(await request.text().catch(() => "gone"));
  };
  await serving(stack, { requestTimeout: 30 }, handler, async () => {
    await exchange(stack, 8000, request("POST / HTTP/1.1", "Content-Length: 10") + "part");
    await aborted.promise;
  });
});

stackTest("a client that ends its side behind its requests gets all answers, late ones too", async (stack) => {
  const handler: ServeHandler = async (request) => {
    if (request.url.endsWith("/late")) await new Promise((resolve) => setTimeout(resolve, 10));
    return new Response(new URL(request.url).pathname);
  };
  await serving(stack, {}, handler, async () => {
    for (const paths of [["/soon"], ["/late"], ["/late", "/soon", "/late"]]) {
      using conn = await stack.connect({ port: 8000 });
      const requests = paths.map((path) => request(`GET ${path} HTTP/1.1`)).join("");
      await Promise.all([conn.write(new TextEncoder().encode(requests)), conn.closeWrite()]);
      const text = await new Response(conn.readable).text();
      assertEquals([...text.matchAll(/\r\n\r\n([/a-z]+)/g)].map(([, path]) => path), paths);
    }
    using idle = await stack.connect({ port: 8000 });
    await idle.closeWrite();
    assertEquals(await idle.read(new Uint8Array(1)), null);
  });
});

stackTest("connections beyond the limit wait for their turn", async (stack) => {
  await serving(stack, { maxConnections: 1, keepAliveTimeout: 20 }, hello, async (_get, server) => {
    const texts = await Promise.all([1, 2, 3].map(() => exchange(stack, 8000, request("GET / HTTP/1.1"))));
    assertEquals(texts.map((text) => statuses(text)), [["200 OK"], ["200 OK"], ["200 OK"]]);
    assert(server.connections <= 1);
  });
});

stackTest("shutdown lets requests finish, closes idle connections, and takes no new ones", async (stack) => {
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const server = serve(stack, { onListen: ({ port }) => assertEquals(port, 8000) }, async () => {
    begun.resolve();
    await release.promise;
    return new Response("late");
  });
  using _idle = await stack.connect({ port: 8000 });
  const text = exchange(stack, 8000, request("GET / HTTP/1.1"));
  await begun.promise;
  const ended = server.shutdown();
  await assertRejects(() => stack.connect({ port: 8000 }), Deno.errors.ConnectionRefused);
  release.resolve();
  assertStringIncludes(await text, "Connection: close\r\n");
  await ended;
  await server.finished;
  assertEquals(server.connections, 0);
});

stackTest("an aborted signal stops the server and what it is doing", async (stack) => {
  const controller = new AbortController();
  const begun = Promise.withResolvers<void>();
  const server = serve(stack, { signal: controller.signal }, () => {
    begun.resolve();
    return new Promise<Response>(() => {});
  });
  const reading = exchange(stack, 8000, request("GET / HTTP/1.1"));
  await begun.promise;
  controller.abort();
  await server.finished;
  await assertRejects(() => reading, Deno.errors.ConnectionReset);
  assertThrows(() => serve(stack, { signal: controller.signal }, hello), DOMException);
});

stackTest("serve takes its arguments as Deno.serve does, and says what is wrong with them", async (stack) => {
  for (
    const server of [serve(stack, hello), serve(stack, { port: 1, handler: hello }), serve(stack, { port: 0 }, hello)]
  ) {
    assert(server.addr.port > 0);
    await server.shutdown();
  }
  assertThrows(() => serve(stack, {} as { handler: ServeHandler }), TypeError, "Cannot serve HTTP: give a handler");
  using _taken = stack.listen({ port: 8000 });
  assertThrows(() => serve(stack, hello), Deno.errors.AddrInUse);
});

stackTest("HTTPS, by name and by address, and an authority that is not trusted", async (stack) => {
  const tls = await testCertificate();
  const server = serve(stack, { port: 443, tls }, (request) => new Response(request.url));
  {
    const lookup = () => Promise.resolve(["127.0.0.1"]);
    await using client = createHttpClient(stack, { caCerts: [tls.cert], lookup });
    assertEquals(await (await fetch(stack, "https://other.test/x", { client })).text(), "https://other.test/x");
    assertEquals(await (await fetch(stack, "https://127.0.0.1/", { client })).text(), "https://127.0.0.1/");
    const error = await assertRejects(() => fetch(stack, "https://wrong.test/", { client }), TypeError);
    assertStringIncludes((error.cause as Error).message, "Cannot trust wrong.test: ");
    await using strict = createHttpClient(stack);
    await assertRejects(() => fetch(stack, "https://127.0.0.1/", { client: strict }), TypeError);
  }
  server.abort();
  await server.finished;
});

stackTest("fetch follows redirects, or does not, and gives up on circles", async (stack) => {
  const handler: ServeHandler = ({ url }) => {
    const { pathname } = new URL(url);
    if (pathname === "/end") return new Response("end");
    return new Response(null, { status: 302, headers: { location: pathname === "/start" ? "/end" : "/circle" } });
  };
  await serving(stack, {}, handler, async (get) => {
    const response = await get("/start");
    assertEquals([await response.text(), response.redirected, response.url], ["end", true, `${origin}/end`]);
    const manual = await get("/start", { redirect: "manual" });
    assertEquals([manual.status, manual.headers.get("location")], [302, "/end"]);
    await assertRejects(() => get("/circle"), TypeError);
  });
});

stackTest("fetch takes a Request, decodes compressed bodies, and keeps cookies apart", async (stack) => {
  const handler: ServeHandler = async (request) => {
    if (request.method === "POST") {
      return new Response(await request.text(), { headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"]] });
    }
    const body = new Response("compressed").body!.pipeThrough(new CompressionStream("gzip"));
    return new Response(body, { headers: { "content-encoding": "gzip" } });
  };
  await serving(stack, {}, handler, async () => {
    await using client = createHttpClient(stack);
    const posted = await fetch(stack, new Request(`${origin}/`, { method: "POST", body: "posted" }), { client });
    assertEquals([await posted.text(), posted.headers.getSetCookie()], ["posted", ["a=1", "b=2"]]);
    assertEquals(await (await fetch(stack, `${origin}/`, { client })).text(), "compressed");
  });
});

stackTest("fetch says why it failed: refused, aborted, no answer in time", async (stack) => {
  await using client = createHttpClient(stack);
  await using hasty = createHttpClient(stack, { connectTimeout: 20, lookup: () => new Promise(() => {}) });
  const refused = await assertRejects(() => fetch(stack, "http://127.0.0.1:8000/", { client }), TypeError);

  assert((refused.cause as Error) instanceof Deno.errors.ConnectionRefused);
  const late = await assertRejects(() => fetch(stack, "http://never.test/", { client: hasty }), TypeError);
  assertEquals((late.cause as Error).name, "TimeoutError");
  const signal = AbortSignal.abort();
  await assertRejects(() => fetch(stack, "http://127.0.0.1:8000/", { client, signal }), DOMException);
});
