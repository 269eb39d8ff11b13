import { assertEquals } from "@std/assert";
import { assertRejectsNamed } from "../helpers/errors.ts";
import { Host, Recorder, stackAddress } from "./host.ts";
import { kernelTest } from "./namespace.ts";
import { connect, receiveAll } from "./transfer.ts";

kernelTest("with linger 0 a close resets the kernel's side", async () => {
  await using host = new Host();
  using ends = await connect(host, "the kernel");
  ends.ours.setLinger(0);
  const reset = assertRejectsNamed("ConnectionReset", ends.theirs.read(new Uint8Array(1)));
  ends.ours.close();
  await reset;
});

kernelTest("with linger a disposed connection has been delivered and closed by both sides", async () => {
  await using host = new Host();
  using ends = await connect(host, "the kernel");
  ends.ours.setLinger(10);
  await ends.ours.write(new Uint8Array(1000));
  const received = receiveAll(ends.theirs).then((bytes) => {
    ends.theirs.close();
    return bytes.length;
  });
  await ends.ours[Symbol.asyncDispose]();
  assertEquals([await received, await ends.ours.closed], [1000, null]);
});

kernelTest("a header and a body that are written corked arrive in one segment", async () => {
  const recorder = new Recorder();
  await using host = new Host({ wrap: recorder.wrap });
  using ends = await connect(host, "the stack");
  ends.ours.setCork();
  for (const length of [100, 400, 30]) await ends.ours.write(new Uint8Array(length));
  ends.ours.setCork(false);
  assertEquals((await receiveAll(ends.theirs, 530)).length, 530);
  const lengths = recorder.frames.filter(({ sent, transport }) => sent && transport?.name === "TCP")
    .map(({ text }) => Number(/length (\d+)$/.exec(text)![1]));
  assertEquals(lengths.filter((length) => length > 0), [530]);
});

kernelTest("the kernel's urgent data are delivered in their place", async () => {
  await using host = new Host();
  using listener = host.stack.listen({ port: 8080 });
  const script = `
import socket
with socket.create_connection(("${stackAddress}", 8080)) as conn:
    conn.sendall(b"before ")
    conn.send(b"urgent", socket.MSG_OOB)
    conn.sendall(b" after")
    conn.shutdown(socket.SHUT_WR)
    conn.recv(1)
`;
  const child = new Deno.Command("python3", { args: ["-c", script], stdin: "null" }).spawn();
  using conn = await listener.accept();
  assertEquals(new TextDecoder().decode(await receiveAll(conn)), "before urgent after");
  conn.close();
  assertEquals((await child.status).success, true);
}, { programs: ["python3"] });
