import { assertEquals } from "@std/assert";
import type { Connection } from "../../../stack/transport/tcp/connection.ts";
import { PendingConnection, PendingQueue } from "../../../stack/transport/tcp/pending_connection.ts";
import { tcpTest } from "./harness.ts";

/** Something with a parent: all that the queue looks at. */
function pend(): PendingConnection {
  const owner = { admits: () => true, established: () => {}, ended: () => {} };
  return new PendingConnection({ parent: null } as unknown as Connection, owner);
}

function contents(queue: PendingQueue): PendingConnection[] {
  const all: PendingConnection[] = [];
  for (let pending = queue.first; pending !== null; pending = pending.next) all.push(pending);
  return all;
}

Deno.test("any connection may leave the queue, and the others keep their order", () => {
  for (const leaving of [0, 1, 2]) {
    const queue = new PendingQueue();
    const all = [pend(), pend(), pend()];
    for (const pending of all) queue.append(pending);
    queue.remove(all[leaving]!);
    queue.append(pend());
    const left = contents(queue);
    assertEquals([queue.size, left.length], [3, 3]);
    assertEquals(left.slice(0, 2), all.toSpliced(leaving, 1));
  }
});

Deno.test("a connection waits in one queue at a time, and leaves only the one in which it is", () => {
  const [one, two] = [new PendingQueue(), new PendingQueue()];
  const pending = pend();
  one.append(pending);
  two.append(pending);
  assertEquals([one.size, two.size], [0, 1]);
  one.remove(pending);
  assertEquals([two.size, two.first], [1, pending]);
  two.remove(pending);
  two.remove(pending);
  assertEquals([two.size, two.first], [0, null]);
});

Deno.test("a connection that has left refers to no other", () => {
  const queue = new PendingQueue();
  const all = [pend(), pend(), pend()];
  for (const pending of all) queue.append(pending);
  queue.remove(all[1]!);
  assertEquals([all[1]!.previous, all[1]!.next, all[1]!.queue], [null, null, null]);
});

tcpTest("what is left of a connection that was accepted knows its listener no longer", (t) => {
  t.listen();
  t.receives("S 0:0(0) win 1000").receives(". 1:1(0) ack 1");
  const connection = t.listener!.accept()!;
  assertEquals([connection.parent, t.listener!.acceptable, t.listener!.handshakes], [null, 0, 0]);
  t.takeSent();
});
