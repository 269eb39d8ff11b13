import { assertEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { SeededRandom } from "../../stack/random.ts";
import { VirtualClock } from "../../stack/clock.ts";
import { FastOpenCookies } from "../../stack/transport/tcp/fast_open_cookies.ts";
import { Host, kernelAddress, Recorder, stackAddress } from "./host.ts";
import { configureKernel, kernelTest, run } from "./namespace.ts";
import { receiveAll } from "./transfer.ts";

/** Clients and servers: the bits of the setting `tcp_fastopen`. */
const clientsAndServers = 3;
const needs = { programs: ["python3"], settings: true };

/** Payload bytes of the SYNs that a recorder has seen, by direction. */
function synBytes(recorder: Recorder): { sent: number[]; received: number[] } {
  const syns = recorder.frames.filter(({ text }) => text.includes("Flags [S]"));
  const lengths = (sent: boolean) =>
    syns.filter((frame) => frame.sent === sent).map(({ text }) => Number(/length (\d+)$/.exec(text)![1]));
  return { sent: lengths(true), received: lengths(false) };
}

/** A server of the kernel's that answers each of two requests of ten bytes with the request, and ends. */
const pythonServer = `
import socket
with socket.socket() as listener:
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
    listener.bind(("${kernelAddress}", 8080))
    listener.listen()
    print("ready", flush=True)
    for _ in range(2):
        with listener.accept()[0] as conn:
            conn.sendall(conn.recv(10, socket.MSG_WAITALL))
`;

/** Sends each of two requests with its SYN, where the kernel has a cookie, and prints the answers. */
const pythonClient = `
import socket
for request in (b"first.....", b"second...."):
    with socket.socket() as conn:
        conn.sendto(request, socket.MSG_FASTOPEN, ("${stackAddress}", 8080))
        print(conn.recv(10, socket.MSG_WAITALL).decode(), flush=True)
`;

kernelTest("Fast Open: the kernel's second request comes with its SYN, under a cookie of the stack's", async () => {
  configureKernel("ipv4/tcp_fastopen", clientsAndServers);
  const recorder = new Recorder();
  await using host = new Host({ wrap: recorder.wrap });
  using listener = host.stack.listen({ port: 8080, fastOpen: true });
  const fast: boolean[] = [];
  const serving = (async () => {
    for (let connection = 0; connection < 2; connection++) {
      using conn = await listener.accept();
      const request = await receiveAll(conn, 10);
      fast.push(conn.info().fastOpen);
      await conn.write(request);
      assertEquals(await conn.read(new Uint8Array(1)), null);
    }
  })();
  assertEquals(await run("python3", "-c", pythonClient), "first.....\nsecond....\n");
  await serving;
  assertEquals(fast, [false, true]);
  assertEquals(synBytes(recorder).received, [0, 10]);
}, needs);

kernelTest("Fast Open: the stack's second request goes with its SYN, under a cookie of the kernel's", async () => {
  configureKernel("ipv4/tcp_fastopen", clientsAndServers);
  // The bytes 1, 2, 3, ... as the kernel writes keys: in words whose first byte is the lowest.
  Deno.writeTextFileSync("/proc/sys/net/ipv4/tcp_fastopen_key", "04030201-08070605-0c0b0a09-100f0e0d");
  const recorder = new Recorder();
  await using host = new Host({ wrap: recorder.wrap });
  const child = new Deno.Command("python3", { args: ["-c", pythonServer], stdin: "null", stdout: "piped" }).spawn();
  const output = child.stdout.getReader();
  assertEquals(new TextDecoder().decode((await output.read()).value).trim(), "ready");
  const fast: boolean[] = [];
  for (const request of ["first.....", "second...."]) {
    using conn = await host.stack.connect({ hostname: kernelAddress, port: 8080, fastOpen: true });
    await conn.write(new TextEncoder().encode(request));
    assertEquals(new TextDecoder().decode(await receiveAll(conn)), request);
    fast.push(conn.info().fastOpen);
  }
  await output.cancel();
  assertEquals((await child.status).success, true);
  assertEquals(fast, [false, true]);
  assertEquals(synBytes(recorder).sent, [0, 10]);

  const cookies = new FastOpenCookies(new VirtualClock(), new SeededRandom(1));
  cookies.useKeys([Uint8Array.from({ length: 16 }, (_, at) => at + 1)]);
  const [client, server] = [stackAddress, kernelAddress].map(IpAddress.parse) as [IpAddress, IpAddress];
  assertEquals(host.stack.tcp.fastOpen.cache.get(server)!.cookie, cookies.make(client, server));
}, needs);
