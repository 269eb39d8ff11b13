import { assertEquals } from "@std/assert";
import { tcpTest } from "./harness.ts";

tcpTest("probes of a window that closes again begin with the time-out again", (t) => {
  t.accept("mss 1000").write(3000);
  t.takeSent();
  t.receives(". 1:1(0) ack 3001 win 0").write(3000);
  const { rtt } = t.connection.sender;
  for (let probe = 0; probe < 3; probe++) {
    t.wait(rtt.baseTimeout * 2 ** probe + 1);
    assertEquals(t.takeSent().map(({ length }) => length), [1]);
    t.receives(". 1:1(0) ack 3001 win 0");
  }
  t.receives(". 1:1(0) ack 3001 win 1000");
  assertEquals(t.takeSent().map(({ length }) => length), [1000]);
  t.receives(". 1:1(0) ack 4001 win 0");
  t.wait(rtt.baseTimeout + 1);
  assertEquals(t.takeSent().map(({ length }) => length), [1]);
});

tcpTest(
  "a peer that has closed its window behind what was sent, and says so, is waited for as long as it answers",
  (t) => {
    t.accept("mss 1460", { pathMtuProbing: true }).write(1460);
    t.takeSent();
    const { sendMss } = t.connection.info();
    for (let answers = 0; answers < 20; answers++) {
      t.receives(". 1:1(0) ack 1 win 0");
      t.wait(120_001);
      assertEquals(t.takeSent().length > 0, true);
    }
    assertEquals([t.state, t.connection.info().sendMss], ["ESTABLISHED", sendMss]);
  },
);

tcpTest("small segments that get lost say nothing of the path's MTU", (t) => {
  t.accept("mss 1460", { pathMtuProbing: true }).write(100);
  t.takeSent();
  const { sendMss } = t.connection.info();
  t.wait(10_000);
  assertEquals([t.takeSent().length > 3, t.connection.info().sendMss], [true, sendMss]);
});
