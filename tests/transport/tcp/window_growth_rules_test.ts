import { assertEquals } from "@std/assert";
import { type Harness, tcpTest } from "./harness.ts";

const initial = 10_000;

/** Where the peer's echo is of `ago` milliseconds ago; null for none. */
function stampOf(t: Harness, ago: number | null): string {
  const echo = ago === null ? 0 : (t.connection.timestampNow - ago) >>> 0;
  return `<nop,nop,TS val 200 ecr ${echo}>`;
}

/**
 * Receives and reads 4000 bytes twice, `apart` milliseconds after each other, on a connection whose handshake took 100 ms,
 * and returns whether the receive window has grown.
 */
function grows(t: Harness, ago: number | null, apart: number, pure = false): boolean {
  t.accept(undefined, { initialReceiveWindow: initial });
  for (const first of [1, 4001]) {
    const behind = first + 4000;
    t.receives(`P. ${first}:${behind}(4000) ack 1 win 512 ${stampOf(t, pure ? null : ago)}`);
    if (pure) t.receives(`. ${behind}:${behind}(0) ack 1 win 512 ${stampOf(t, ago)}`);
    assertEquals(t.read(), 4000);
    if (first === 1) t.wait(apart);
  }
  t.takeSent();
  return t.connection.info().receiveWindow > initial;
}

for (const pure of [false, true]) {
  const carrier = pure ? "a segment without data" : "data";
  tcpTest(`the receive window grows after a round trip as an echo with ${carrier} tells it`, (t) => {
    assertEquals(grows(t, 20, 20, pure), true);
  });

  tcpTest(`the receive window does not grow before a round trip is over, as an echo with ${carrier} tells it`, (t) => {
    assertEquals(grows(t, 20, 19, pure), false);
  });
}

for (const [what, ago] of [["no echo", null], ["an echo from before the connection", 500]] as const) {
  tcpTest(`with ${what} the receive window grows after the round trip that the handshake took`, (t) => {
    assertEquals(grows(t, ago, 100), true);
  });

  tcpTest(
    `with ${what} the receive window does not grow before the round trip that the handshake took is over`,
    (t) => {
      assertEquals(grows(t, ago, 99), false);
    },
  );
}
