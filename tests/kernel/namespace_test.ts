import { createSocket } from "node:dgram";
import { once } from "node:events";
import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { Rtnetlink } from "../../ffi/rtnetlink.ts";
import { kernelTest, run, withNamespace } from "./namespace.ts";

function presentNamespace(): string {
  return Deno.readLinkSync("/proc/thread-self/ns/net");
}

kernelTest("a namespace starts with nothing but lo, which is up", () => {
  using netlink = new Rtnetlink();
  assertEquals(netlink.links().map(({ name, up }) => ({ name, up })), [{ name: "lo", up: true }]);
});

kernelTest("child processes live in the namespace", async () => {
  assertEquals((await run("readlink", "/proc/self/ns/net")).trim(), presentNamespace());
});

kernelTest("listeners, connections and datagram sockets live in the namespace", async () => {
  // The same port, bound inside and outside: only two namespaces allow that.
  const port = 7777;
  using outer = Deno.listen({ hostname: "127.0.0.1", port });
  await withNamespace(async () => {
    using inner = Deno.listen({ hostname: "127.0.0.1", port });
    const datagrams = createSocket("udp4").bind(port, "127.0.0.1");
    await once(datagrams, "listening");
    const sockets = await run("cat", "/proc/self/net/tcp", "/proc/self/net/udp");
    assertEquals(sockets.match(/0100007F:1E61/g)?.length, 2);

    const [client, accepted] = await Promise.all([Deno.connect({ hostname: "127.0.0.1", port }), inner.accept()]);
    await client.write(new TextEncoder().encode("inside"));
    client.close();
    assertEquals(await new Response(accepted.readable).text(), "inside");
    datagrams.close();
  });
  assertEquals(outer.addr.transport, "tcp");
});

kernelTest("the original namespace is back after a body that fails", async () => {
  const original = presentNamespace();
  let inside = original;
  const failure = () => {
    inside = presentNamespace();
    throw new Error("the body failed");
  };
  await assertRejects(() => withNamespace(failure), Error, "the body failed");
  assertNotEquals(inside, original);
  assertEquals(presentNamespace(), original);
});
