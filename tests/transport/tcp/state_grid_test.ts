import { assertEquals } from "@std/assert";
import { add } from "../../../stack/sequence.ts";
import { stateName } from "../../../stack/transport/tcp/state.ts";
import type { ConnectionSettings } from "../../../stack/transport/tcp/user.ts";
import { Harness, type HarnessOptions } from "./harness.ts";
import { patternBytes } from "./pattern.ts";
import { type Cell, cellsOf, type Position, stateGrid } from "./state_grid.ts";

/** The peer's window and, since windows are not scaled, ours. */
const window = 65_535;

/** Where a connection stands, in relative sequence numbers. */
interface Variables {
  sndUna: number;
  sndNxt: number;
  rcvNxt: number;
  /** Bytes that wait to be read; 0 unless it is said. */
  queued?: number;
}

/** Brings a connection whose SYNs have these options into each state, and says where it stands then. */
const ways: Readonly<Record<string, (t: Harness, options: string) => Variables>> = {
  "CLOSED": () => ({ sndUna: 0, sndNxt: 1, rcvNxt: 1 }),
  "LISTEN": (t) => {
    t.listen();
    return { sndUna: 0, sndNxt: 1, rcvNxt: 1 };
  },
  "SYN-SENT": (t) => {
    t.connect();
    return { sndUna: 0, sndNxt: 1, rcvNxt: 1 };
  },
  "SYN-RECEIVED, passive": (t, options) => {
    t.listen().receives(`S 0:0(0) win ${window} <${options}>`);
    return { sndUna: 0, sndNxt: 1, rcvNxt: 1 };
  },
  "SYN-RECEIVED, active": (t, options) => {
    t.connect().receives(`S 0:0(0) win ${window} <${options}>`);
    return { sndUna: 0, sndNxt: 1, rcvNxt: 1 };
  },
  "ESTABLISHED": (t, options) => {
    accepted(t, options).write(100);
    return { sndUna: 1, sndNxt: 101, rcvNxt: 1 };
  },
  "ESTABLISHED, our window closed": (t, options) => {
    accepted(t, options, { receiveBufferBytes: 1000 }).write(100);
    t.receives(`. 1:1001(1000) ack 1 ${options.includes("TS") ? "<nop,nop,TS val 101 ecr 0>" : ""}`);
    assertEquals(t.connection.receiver.window, 0);
    return { sndUna: 1, sndNxt: 101, rcvNxt: 1001, queued: 1000 };
  },
  "FIN-WAIT-1": (t, options) => {
    accepted(t, options).connection.shutdown();
    return { sndUna: 1, sndNxt: 2, rcvNxt: 1 };
  },
  "FIN-WAIT-2": (t, options) => {
    accepted(t, options).connection.shutdown();
    t.receives(". 1:1(0) ack 2");
    return { sndUna: 2, sndNxt: 2, rcvNxt: 1 };
  },
  "CLOSE-WAIT": (t, options) => {
    accepted(t, options).receives("F. 1:1(0) ack 1").write(100);
    return { sndUna: 1, sndNxt: 101, rcvNxt: 2 };
  },
  "CLOSING": (t, options) => {
    accepted(t, options).connection.shutdown();
    t.receives("F. 1:1(0) ack 1");
    return { sndUna: 1, sndNxt: 2, rcvNxt: 2 };
  },
  "LAST-ACK": (t, options) => {
    accepted(t, options).receives("F. 1:1(0) ack 1").connection.shutdown();
    return { sndUna: 1, sndNxt: 2, rcvNxt: 2 };
  },
  "TIME-WAIT": (t, options) => {
    accepted(t, options).connection.shutdown();
    t.receives("F. 1:1(0) ack 2").listen();
    return { sndUna: 2, sndNxt: 2, rcvNxt: 2 };
  },
};

/** A connection that the peer opened, and nobody listens any more. */
function accepted(t: Harness, options: string, settings: Partial<ConnectionSettings> = {}): Harness {
  t.accept(options, settings).listener!.close();
  t.listener = null;
  return t;
}

/** The state, by what there is in the tables of TCP. */
function stateOf(t: Harness): string {
  const [connection] = t.tcp.connections();
  if (connection !== undefined) return stateName(connection.state);
  if (t.tcp.timeWait.size > 0) return "TIME-WAIT";
  return t.listener === null ? "CLOSED" : "LISTEN";
}

/** A segment of the grid, in relative numbers. */
interface Arrival {
  readonly flags: string;
  readonly sequence: number;
  readonly length: number;
  /** Null when the ACK bit is not set. */
  readonly acknowledgement: number | null;
}

/** The segment of a cell, where a connection stands at `variables` and its window ends at `edge`. */
function arrivalOf(cell: Cell, { sndUna, sndNxt, rcvNxt }: Variables, edge: number): Arrival {
  const begins: Record<Position, number> = {
    "left": rcvNxt - 100_000,
    "NXT-1": rcvNxt - 1,
    "NXT": rcvNxt,
    "inside": rcvNxt + 100,
    "edge-1": edge - 1,
    "edge": edge,
    "right": edge + 1000,
  };
  const acknowledges = { old: sndUna - window - 1, dup: sndUna, new: sndNxt, unsent: sndNxt + 1 };
  const acknowledgement = cell.acknowledgement === "none" ? null : acknowledges[cell.acknowledgement] >>> 0;
  const bits = { SYN: "S", ACK: "", FIN: "F", RST: "R", data: "P" }[cell.kind];
  return {
    flags: bits + (acknowledgement === null ? "" : "."),
    sequence: begins[cell.position] >>> 0,
    length: cell.kind === "data" ? 10 : 0,
    acknowledgement,
  };
}

type Reply = ReturnType<Harness["takeSent"]>[number];

/** Names a reply, and asserts that its numbers are those that RFC 9293 sections 3.5.2 and 3.10.7 give it. */
function nameReply(t: Harness, reply: Reply, arrival: Arrival, sndNxt: number, rcvNxt: number): string {
  const { flags, sequence, length, acknowledgement } = arrival;
  assertEquals(reply.length, 0);
  switch (reply.flags) {
    case ".":
      assertEquals([reply.sequence, reply.ack], [sndNxt, rcvNxt], "<SEQ=SND.NXT><ACK=RCV.NXT>");
      return "ack";
    case "S.":
      assertEquals(reply.ack, (sequence + 1) >>> 0, "<SEQ=ISS><ACK=RCV.NXT>");
      return "syn+ack";
    case "R":
      assertEquals(reply.sequence, acknowledgement, "<SEQ=SEG.ACK>");
      return "rst";
    case "R.": {
      const sequenceLength = length + (/[SF]/.test(flags) ? 1 : 0);
      assertEquals(acknowledgement, null);
      assertEquals(add(t.ours, reply.sequence), 0, "<SEQ=0>");
      assertEquals(reply.ack, (sequence + sequenceLength) >>> 0, "<ACK=SEG.SEQ+SEG.LEN>");
      return "rst";
    }
  }
  return reply.flags;
}

/** Has the segment of a cell arrive in a state, and returns what came of it in the words of the table. */
function outcomeOf(state: string, cell: Cell, harness: HarnessOptions, synOptions: string, options: string): string {
  const t = new Harness(harness);
  const variables = ways[state]!(t, synOptions);
  const before = stateOf(t);
  assertEquals(before, state.split(",")[0]);
  t.takeSent();
  const [old] = t.tcp.connections();
  const edge = before === "SYN-SENT" || old === undefined
    ? variables.rcvNxt + window
    : (old.receiver.rightEdge - t.peers) >>> 0;
  const arrival = arrivalOf(cell, variables, edge);
  const { flags, sequence, length, acknowledgement } = arrival;
  const ack = acknowledgement === null ? "" : ` ack ${acknowledgement}`;
  t.receives(`${flags || "-"} ${sequence}:${sequence + length}(${length})${ack} win ${window} ${options}`.trim());

  const after = stateOf(t);
  const [connection = old] = t.tcp.connections();
  // Reading may open the window, which is no reply.
  const sent = t.takeSent();
  const { queued = 0 } = variables;
  const readable = new Uint8Array(connection?.receivable ?? 0);
  connection?.receive(readable);
  t.takeSent();
  assertEquals(readable, patternBytes(variables.rcvNxt - queued, readable.length));
  const delivered = readable.length - queued;
  const finTaken = cell.kind === "FIN" && ["CLOSE-WAIT", "CLOSING", "TIME-WAIT"].includes(after) && after !== before &&
    before !== "CLOSING";
  const synTaken = cell.kind === "SYN" && before === "SYN-SENT";
  const rcvNxt = synTaken ? (sequence + 1) >>> 0 : variables.rcvNxt + delivered + (finTaken ? 1 : 0);
  const replies = sent.map((reply) => nameReply(t, reply, arrival, variables.sndNxt, rcvNxt));
  t.end();
  const change = after === before ? "" : `>${after}`;
  return `${replies.join() || "-"}${change}${delivered > 0 ? `+${delivered}` : ""}`;
}

/** Walks the grid for `states` and asserts every outcome; `expect` may say that another than the table's is right. */
function walk(
  states: readonly string[],
  harness: HarnessOptions,
  synOptions: string,
  options = "",
  expect = (_state: string, cell: Cell) => cell.outcome,
): void {
  const wrong: string[] = [];
  for (const state of states) {
    for (const cell of cellsOf(state)) {
      const expected = expect(state, cell);
      const actual = outcomeOf(state, cell, harness, synOptions, options);
      if (actual === expected) continue;
      const { kind, acknowledgement, position } = cell;
      wrong.push(`${state}: ${kind}, acknowledgement ${acknowledgement}, at ${position}: ${actual}, not ${expected}`);
    }
  }
  assertEquals(wrong, []);
}

const states = Object.keys(stateGrid);

const starts: Record<string, HarnessOptions> = {
  "ordinary sequence numbers": {},
  "IPv6": { address: "2001:db8::1/64" },
};
for (const turn of [2 ** 31 - 1, 2 ** 32 - 1]) {
  // The SYN, the first byte, or something in the window stands where the numbers turn over.
  for (const ahead of [0, 1, 50]) {
    starts[`sequence numbers from ${turn - ahead} on`] = { ours: turn - ahead, peers: turn - ahead };
  }
}

for (const [name, harness] of Object.entries(starts)) {
  Deno.test(`every segment in every state does what the table says: ${name}`, () => {
    walk(states, harness, "mss 1460");
  });
}

Deno.test("a timestamp in every segment changes nothing in the table while the connection is there", () => {
  const later = "<nop,nop,TS val 200 ecr 0>";
  const synchronized = states.filter((state) => !["CLOSED", "LISTEN", "SYN-SENT", "TIME-WAIT"].includes(state));
  walk(synchronized, {}, "mss 1460,TS val 100 ecr 0", later);
});

Deno.test("an old timestamp: ACK and nothing else, but for RST and overtaken ACKs (RFC 7323 5.3)", () => {
  const earlier = "<nop,nop,TS val 99 ecr 0>";
  const synchronized = states.filter((state) => !["CLOSED", "LISTEN", "SYN-SENT"].includes(state));
  const behind = (state: string, position: string) =>
    position === "left" || position === "NXT-1" || (position === "edge-1" && state.includes("window closed"));
  walk(
    synchronized,
    {},
    "mss 1460,TS val 100 ecr 0",
    earlier,
    (state, { kind, acknowledgement, position, outcome }) => {
      // Note 5 of the table.
      if (state === "TIME-WAIT" && kind !== "SYN" && acknowledgement === "none") return outcome;
      // Data have overtaken it; in a handshake there were none.
      const established = !state.startsWith("SYN-RECEIVED") && state !== "TIME-WAIT";
      if (kind === "ACK" && established && behind(state, position)) return "-";
      // The first SYN again, from before the timestamps moved on, is answered as it was the first time.
      return kind === "RST" || outcome === "syn+ack" ? outcome : "ack";
    },
  );
});
