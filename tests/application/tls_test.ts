import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { connectTls, listenTls, startTls } from "../../stack/application/tls.ts";
import type { Stack } from "../../stack/stack.ts";
import { collect, exchange, makeCertificate, pattern, stackTest, testCertificate } from "./local_stack.ts";

const port = 443;

async function pairOf(stack: Stack, client: Partial<Parameters<typeof connectTls>[1]> = {}) {
  const certificate = await testCertificate();
  const listener = listenTls(stack, { port, ...certificate, alpnProtocols: ["h2", "http/1.1"] });
  const [near, far] = await Promise.all([
    connectTls(stack, { port, caCerts: [certificate.cert], ...client }),
    listener.accept(),
  ]);
  listener.close();
  return { near, far };
}

stackTest("bytes go both ways through TLS 1.3, with a half close", async (stack) => {
  const { near, far } = await pairOf(stack);
  const data = pattern(200_000);
  const received = collect(far.readable);
  const answered = far.writable.getWriter();
  const writer = near.writable.getWriter();
  const answer = collect(near.readable);
  await writer.write(data);
  await writer.close();
  assertEquals(await received, data);
  await answered.write(data.subarray(0, 1000));
  await answered.close();
  assertEquals(await answer, data.subarray(0, 1000));
  assertEquals(near.protocol, "TLSv1.3");
});

stackTest("read gives parts of a record to small buffers, and null at the end", async (stack) => {
  const { near, far } = await pairOf(stack);
  assertEquals(await far.write(new TextEncoder().encode("hello")), 5);
  const buffer = new Uint8Array(3);
  assertEquals(await near.read(new Uint8Array(0)), 0);
  assertEquals([await near.read(buffer), new TextDecoder().decode(buffer)], [3, "hel"]);
  assertEquals([await near.read(buffer), new TextDecoder().decode(buffer.subarray(0, 2))], [2, "lo"]);
  await far.closeWrite();
  assertEquals([await near.read(buffer), await near.read(buffer)], [null, null]);
  assertEquals(await near.write(new Uint8Array(7)), 7);
  near.close();
  assertEquals(await far.read(new Uint8Array(10)), 7);
  far.close();
});

stackTest("the application protocol is the first of the server's that the client offers", async (stack) => {
  const { near, far } = await pairOf(stack, { alpnProtocols: ["http/1.1", "h2"] });
  assertEquals(await near.handshake(), { alpnProtocol: "h2" });
  assertEquals(await far.handshake(), { alpnProtocol: "h2" });
  near.close();
  far.close();
});

stackTest("a closed connection says so", async (stack) => {
  const { near, far } = await pairOf(stack);
  const reading = near.read(new Uint8Array(1));
  near.close();
  await assertRejects(() => reading, Deno.errors.Interrupted, "the connection was closed meanwhile");
  await assertRejects(() => near.read(new Uint8Array(1)), Deno.errors.BadResource, "it has been closed");
  await assertRejects(() => near.write(new Uint8Array(1)), Deno.errors.BadResource);
  assertThrows(() => near.close(), Deno.errors.BadResource);
  near[Symbol.dispose]();
  far.close();
});

stackTest("an unknown authority, another name and a wrong certificate are told apart", async (stack) => {
  const certificate = await testCertificate();
  const failures: string[] = [];
  const onHandshakeError = (error: Error) => failures.push(error.name);
  using _listener = listenTls(stack, { port, ...certificate, onHandshakeError });
  await assertRejects(
    () => connectTls(stack, { port }),
    Deno.errors.InvalidData,
    "Cannot trust 127.0.0.1: self-signed certificate (DEPTH_ZERO_SELF_SIGNED_CERT)",
  );
  const { message } = await assertRejects(
    () => connectTls(stack, { port, caCerts: [certificate.cert], serverName: "wrong.test" }),
    Deno.errors.InvalidData,
    "Cannot trust 127.0.0.1: Hostname/IP does not match certificate's altnames",
  );
  assertStringIncludes(message, "wrong.test");
  const other = await makeCertificate("localhost");
  await assertRejects(
    () => connectTls(stack, { port, caCerts: [other.cert] }),
    Deno.errors.InvalidData,
    "Cannot trust",
  );
  const conn = await connectTls(stack, { port, unsafelyIgnoreCertificateErrors: true });
  conn.close();
  assert(failures.length <= 3);
});

stackTest("a listener chooses the certificate by the name that the client asks for", async (stack) => {
  const [usual, special] = [await testCertificate(), await makeCertificate("special.test")];
  const certificateFor = (name: string) => name === "special.test" ? special : null;
  using listener = listenTls(stack, { port, ...usual, certificateFor });
  const lookup = () => Promise.resolve(["127.0.0.1"]);
  for (const [hostname, { cert }] of [["special.test", special], ["other.test", usual]] as const) {
    using conn = await connectTls(stack, { hostname, port, lookup, caCerts: [cert] });
    assertStringIncludes(conn.peerCertificate.subjectaltname!, hostname);
    (await listener.accept()).close();
  }
});

stackTest("a listener can ask for clients' certificates", async (stack) => {
  const [server, client, stranger] = [
    await testCertificate(),
    await makeCertificate("me"),
    await makeCertificate("me"),
  ];
  const failed = Promise.withResolvers<Error>();
  using listener = listenTls(stack, {
    port,
    ...server,
    clientCaCerts: [client.cert],
    onHandshakeError: failed.resolve,
  });
  const options = { port, caCerts: [server.cert] };
  using conn = await connectTls(stack, { ...options, ...client });
  using accepted = await listener.accept();
  await conn.write(new Uint8Array(1));
  assertEquals(await accepted.read(new Uint8Array(9)), 1);
  assertEquals(accepted.peerCertificate.subject.CN, "me");
  // In TLS 1.3 the client learns of it only when it reads.
  const refused = await connectTls(stack, { ...options, ...stranger });
  await failed.promise;
  await refused.read(new Uint8Array(1)).catch(() => {});
  refused[Symbol.dispose]();
});

stackTest("a peer that speaks no TLS fails the handshake on either side", async (stack) => {
  const failed = Promise.withResolvers<Error>();
  using _listener = listenTls(stack, { port, ...await testCertificate(), onHandshakeError: failed.resolve });
  await exchange(stack, port, "GET / HTTP/1.1\r\n\r\n").catch(() => {});
  assertStringIncludes((await failed.promise).message, "Cannot agree on TLS with 127.0.0.1:");
  using plain = stack.listen({ port: 80 });
  const connecting = connectTls(stack, { port: 80 });
  const conn = await plain.accept();
  await conn.write(new TextEncoder().encode("SSH-2.0-nothing\r\n"));
  await assertRejects(() => connecting, Deno.errors.InvalidData, "Cannot agree on TLS with 127.0.0.1");
  conn.close();
});

stackTest(
  "a client that says nothing is given up after the handshake time-out, and an abort ends a handshake",
  async (stack) => {
    const failed = Promise.withResolvers<Error>();
    const certificate = await testCertificate();
    using _listener = listenTls(stack, {
      port,
      ...certificate,
      handshakeTimeout: 10,
      onHandshakeError: failed.resolve,
    });
    using silent = await stack.connect({ port });
    assert(await failed.promise instanceof Deno.errors.TimedOut);
    assertEquals(await silent.read(new Uint8Array(1)).catch(() => null), null);
    using plain = stack.listen({ port: 80 });
    const controller = new AbortController();
    const connecting = connectTls(stack, { port: 80, signal: controller.signal });
    using _conn = await plain.accept();
    controller.abort();
    await assertRejects(() => connecting, DOMException, "aborted");
  },
);

stackTest("TLS can begin on a connection that is in use", async (stack) => {
  const certificate = await testCertificate();
  using listener = listenTls(stack, { port, ...certificate });
  const conn = await stack.connect({ port });
  using secured = await startTls(conn, { hostname: "localhost", caCerts: [certificate.cert] });
  using accepted = await listener.accept();
  await accepted.write(new TextEncoder().encode("secret"));
  assertEquals(await secured.read(new Uint8Array(9)), 6);
  assertEquals(secured.tcp, conn);
});

stackTest("a certificate that cannot be used leaves no port behind", async (stack) => {
  const [{ cert }, { key }] = [await testCertificate(), await makeCertificate("other")];
  for (const pair of [{ cert: "nonsense", key }, { cert, key: "nonsense" }, { cert, key }]) {
    assertThrows(() => listenTls(stack, { port, ...pair }), Deno.errors.InvalidData, "Cannot serve TLS: the ");
  }
  assertEquals(stack.ports.size, 0);
});

stackTest("closing a listener ends its iteration, what waits on it, and handshakes under way", async (stack) => {
  const listener = listenTls(stack, { port, ...await testCertificate() });
  using silent = await stack.connect({ port });
  const accepting = listener.accept();
  const seen: unknown[] = [];
  const iterating = (async () => {
    for await (const conn of listener) seen.push(conn);
  })();
  listener.close();
  await assertRejects(() => accepting, Deno.errors.BadResource);
  await iterating;
  assertEquals(seen, []);
  assertThrows(() => listener.close(), Deno.errors.BadResource);
  assertEquals(await silent.read(new Uint8Array(1)).catch(({ name }) => name), "ConnectionReset");
});
