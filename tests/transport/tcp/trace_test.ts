import { assertEquals } from "@std/assert";
import { ErrorKind } from "../../../stack/protocol.ts";
import { State } from "../../../stack/transport/tcp/state.ts";
import { combineTraces, type TcpTrace } from "../../../stack/transport/tcp/trace.ts";
import { tcpTest } from "./harness.ts";

/** Notes which hooks are called. */
function notingTrace(notes: string[], name: string): TcpTrace {
  return {
    segment: (_, direction) => notes.push(`${name}: ${direction}`),
    updated: () => notes.push(`${name}: updated`),
    state: (_, from, to) => notes.push(`${name}: ${from} to ${to}`),
    lost: () => notes.push(`${name}: lost`),
    report: (_, report) => notes.push(`${name}: ${report}`),
  };
}

tcpTest("a combined trace tells all of them, in their order", (t) => {
  const notes: string[] = [];
  t.tcp.trace = combineTraces(notingTrace(notes, "one"), {}, notingTrace(notes, "other"));
  t.connect();
  assertEquals(notes, [
    `one: ${State.closed} to ${State.synSent}`,
    `other: ${State.closed} to ${State.synSent}`,
    "one: sent",
    "other: sent",
  ]);
  notes.length = 0;
  t.receives("S. 0:0(0) ack 1 win 20000 <mss 1460>");
  assertEquals(notes.filter((note) => note.endsWith("updated")), ["one: updated", "other: updated"]);
  t.write(5 * 1460);
  for (let repeat = 0; repeat < 3; repeat++) t.receives(". 1:1(0) ack 1 win 20000");
  assertEquals(notes.filter((note) => note.endsWith("lost")), ["one: lost", "other: lost"]);
  t.takeSent();
  notes.length = 0;
  t.reports(ErrorKind.networkUnreachable, ". 1:9(8) ack 1");
  assertEquals(notes, ["one", "other"].map((name) => `${name}: A router reports that the network cannot be reached`));
  t.tcp.trace = null;
});

tcpTest("no trace at all can be combined", (t) => {
  t.tcp.trace = combineTraces();
  t.connect().takeSent();
  t.tcp.trace = null;
});
