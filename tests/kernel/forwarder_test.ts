import { assertEquals, assertMatch } from "@std/assert";
import { Host } from "./host.ts";
import { kernelTest, run } from "./namespace.ts";

/** A stack that is the kernel's router and takes packets for any address. */
function gateway(): Host {
  const host = new Host({ attach: { promiscuous: true, spoofing: true } });
  host.tap.host.addRoute({ destination: "0.0.0.0/0", gateway: "192.0.2.2" });
  return host;
}

kernelTest("curl gets an answer from any address that is intercepted, or is refused", async () => {
  await using host = gateway();
  host.stack.forwardTcp(async (request) => {
    const { hostname, port } = request.localAddr;
    if (port !== 80) return request.refuse();
    using conn = await request.accept();
    await conn.read(new Uint8Array(4096));
    const body = `This is ${hostname} for ${request.remoteAddr.hostname}\n`;
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
    await conn.write(new TextEncoder().encode(head + body));
    conn.closeWrite();
    await conn.read(new Uint8Array(1));
  });
  const addresses = ["203.0.113.80", "8.8.8.8", "198.51.100.1"];
  const answers = await Promise.all(addresses.map((address) => run("curl", "-sS", "-m", "5", `http://${address}/`)));
  assertEquals(answers, addresses.map((address) => `This is ${address} for 192.0.2.1\n`));
  const refused = await run("sh", "-c", "curl -sS -m 5 http://203.0.113.80:81/ 2>&1 || true");
  assertMatch(refused, /(refused|Could not connect|Couldn't connect)/i);
}, { programs: ["curl"] });

kernelTest("datagrams to any address are answered in its name", async () => {
  await using host = gateway();
  host.stack.forwardUdp(async (request) => {
    using flow = request.accept();
    const [data] = await flow.receive();
    await flow.send(new TextEncoder().encode(`${request.localAddr.hostname} heard ${new TextDecoder().decode(data)}`));
  });
  const answer = await run("sh", "-c", "printf hello | socat -T 0.3 - UDP:203.0.113.9:53");
  assertEquals(answer, "203.0.113.9 heard hello");
}, { programs: ["socat"] });
