import { assert, assertEquals, assertLess } from "@std/assert";
import { ConnectionLog, type ConnectionLogOptions } from "../stack/connection_log.ts";
import { RelativeSequence } from "../stack/relative_sequence.ts";
import type { UserConnection } from "../stack/transport/tcp/user.ts";
import { type TransferOptions, World, type WorldOptions } from "./simulation/world.ts";

interface Event {
  time: number;
  group_id: string;
  name: string;
  data: Record<string, unknown>;
}

const limit = 3_600_000;

function parse(lines: readonly string[]): Event[] {
  return lines.slice(1).map((line) => JSON.parse(line));
}

function named(events: readonly Event[], name: string): Event[] {
  return events.filter((event) => event.name === name);
}

/** Runs one transfer to its end with a log of the client, and returns the log's lines and the client's connection. */
async function logTransfer(
  world: World,
  what: TransferOptions,
  options: ConnectionLogOptions = {},
): Promise<{ lines: string[]; events: Event[]; connection: UserConnection }> {
  const lines: string[] = [];
  world.client.trace = new ConnectionLog(world.client.timers.clock, (line) => lines.push(line), options);
  const transfer = world.transfer(what);
  world.time.runUntil(() => transfer.finished, limit);
  world.time.advance(200_000);
  await world.end();
  return { lines, events: parse(lines), connection: transfer.connection };
}

const lossy: WorldOptions = { seed: 3, impairments: [{ loss: 0.03, delay: 20, rate: 8_000_000 }, { delay: 20 }] };

Deno.test("the first line describes the file, and says when the clock stood at 0 if that is known", () => {
  const world = new World({ seed: 1 });
  const firstLine = (options: ConnectionLogOptions) => {
    const lines: string[] = [];
    new ConnectionLog(world.time.clock, (line) => lines.push(line), options);
    assertEquals(lines.length, 1);
    return JSON.parse(lines[0]!);
  };
  assertEquals(firstLine({}), {
    file_schema: "urn:ietf:params:qlog:file:sequential",
    serialization_format: "application/jsonl",
    title: "tapstack connection log",
    trace: {
      event_schemas: ["urn:tapstack:qlog:events:tcp"],
      common_fields: {
        time_format: "relative_to_epoch",
        reference_time: { clock_type: "monotonic", epoch: "unknown" },
      },
    },
  });
  const { reference_time } = firstLine({ epoch: 1_792_000_000_000 }).trace.common_fields;
  assertEquals(reference_time.wall_clock_time, "2026-10-14T17:46:40.000Z");
});

Deno.test("what is believed lost is logged before it is sent again, and counts up to the connection's own figure", async () => {
  const { events, connection } = await logTransfer(new World(lossy), { bytes: 300_000 });
  const losses = named(events, "recovery:packet_lost");
  assert(losses.length > 0);
  assertEquals(losses.length, connection.info().segmentsLost);
  for (const { time, data } of losses) {
    const repaired = events.some((event) =>
      event.name === "tcp:segment_sent" && event.time >= time && event.data.retransmission === true &&
      Number(event.data.seq) <= Number(data.seq)
    );
    assert(repaired, JSON.stringify(data));
  }
});

Deno.test("a connection without loss: handshake, data, close, counted from the SYNs", async () => {
  const world = new World({ seed: 1, impairments: { delay: 10 } });
  const { events } = await logTransfer(world, { bytes: 1000 });
  const { local, ...started } = named(events, "tcp:connection_started")[0]!.data;
  assert(/^10\.0\.0\.1:\d+$/.test(String(local)), String(local));
  assertEquals(started, { remote: "10.0.0.2:80", congestion_control: "cubic" });
  const segments = events.filter(({ name }) => name.startsWith("tcp:segment")).map(({ time, name, data }) => {
    const { seq, len, flags, ack } = data;
    return [time - 1000, name.slice("tcp:segment_".length), seq, len, flags, ack];
  });
  assertEquals(segments.slice(0, 3), [
    [0, "sent", 0, 0, "S", undefined],
    [20, "received", 0, 0, "S.", 1],
    [20, "sent", 1, 1000, "P.", 1],
  ]);
  assertEquals(segments.at(-2), [40, "received", 1, 0, "F.", 1002]);
  assertEquals(segments.at(-1), [40, "sent", 1002, 0, ".", 2]);
  const states = named(events, "tcp:state_updated").map(({ data }) => `${data.old} > ${data.new}`);
  assertEquals(states, [
    "CLOSED > SYN-SENT",
    "SYN-SENT > ESTABLISHED",
    "ESTABLISHED > FIN-WAIT-1",
    "FIN-WAIT-1 > FIN-WAIT-2",
    "FIN-WAIT-2 > TIME-WAIT",
    "TIME-WAIT > CLOSED",
  ]);
  assertEquals(events.at(-1)!.name, "tcp:connection_closed");
  assertEquals(events.at(-1)!.data, {});
});

Deno.test("every line is an event of the connection, in the order of time", async () => {
  const { events } = await logTransfer(new World(lossy), { bytes: 200_000 });
  for (const [index, event] of events.entries()) {
    assertEquals(Object.keys(event), ["time", "group_id", "name", "data"]);
    assertEquals(event.group_id, "1");
    assert(event.time >= (events[index - 1]?.time ?? 0), JSON.stringify(event));
  }
});

Deno.test("every segment is there, and those sent again are marked", async () => {
  const { events, connection } = await logTransfer(new World(lossy), { bytes: 300_000, answer: 5000 });
  const info = connection.info();
  const sent = named(events, "tcp:segment_sent");
  assertEquals(sent.length, info.segmentsSent);
  assertEquals(named(events, "tcp:segment_received").length, info.segmentsReceived);
  const again = sent.filter(({ data }) => data.retransmission === true);
  assert(again.length > 0);
  assertEquals(again.length, info.segmentsRetransmitted);
  assertEquals(again.reduce((bytes, { data }) => bytes + Number(data.len), 0), info.bytesRetransmitted);
});

Deno.test("metrics are written when they have changed, and not otherwise", async () => {
  const { events, connection } = await logTransfer(new World(lossy), { bytes: 300_000 });
  const latest: Record<string, unknown> = {};
  for (const { data } of named(events, "recovery:metrics_updated")) {
    assert(Object.keys(data).length > 0);
    for (const [name, value] of Object.entries(data)) {
      assert(latest[name] !== value, `${name} is still ${value}`);
      latest[name] = value;
    }
  }
  const info = connection.info();
  assertEquals(latest.congestion_window, info.congestionWindow);
  assertEquals(latest.ssthresh, info.slowStartThreshold);
  assertEquals(latest.segments_retransmitted, info.segmentsRetransmitted);
  assertEquals(latest.min_rtt, Math.round(info.rttMin * 1000) / 1000);
  assertEquals([latest.snd_una, latest.snd_nxt, latest.bytes_in_flight], [300_002, 300_002, 0]);
});

Deno.test("the congestion state goes through recovery, and SACK blocks lie between the ACK and what was sent", async () => {
  const { events } = await logTransfer(new World(lossy), { bytes: 300_000 });
  const states = named(events, "recovery:congestion_state_updated").map(({ data }) => data);
  assertEquals(states[0]!.old, "open");
  assert(states.some((change) => change.new === "recovery"));
  for (const [index, change] of states.entries()) {
    assert(change.old !== change.new);
    if (index > 0) assertEquals(change.old, states[index - 1]!.new);
  }
  const acks = named(events, "tcp:segment_received").filter(({ data }) => data.sack !== undefined);
  assert(acks.length > 0);
  for (const { data } of acks) {
    for (const [left, right] of data.sack as [number, number][]) {
      assertLess(Number(data.ack), right);
      assertLess(left, right);
      assert(right <= 300_002);
    }
  }
});

Deno.test("numbers unknown or infinite are null", async () => {
  const { events } = await logTransfer(new World({ seed: 1 }), { bytes: 1 });
  const { ssthresh, min_rtt, smoothed_rtt } = named(events, "recovery:metrics_updated")[0]!.data;
  assertEquals([ssthresh, min_rtt, smoothed_rtt], [null, null, 0]);
});

Deno.test("a probe of a closed window is marked as one, and is no retransmission", async () => {
  const world = new World({ seed: 1, impairments: { delay: 10 }, tcp: { settings: { receiveBufferBytes: 4000 } } });
  const lines: string[] = [];
  world.client.trace = new ConnectionLog(world.time.clock, (line) => lines.push(line));
  const listener = world.server.listen({ port: 80 });
  const accepted = listener.accept();
  const client = await world.time.waitFor(world.client.connect({ hostname: "10.0.0.2", port: 80 }));
  const server = await world.time.waitFor(accepted);
  const written = client.write(new Uint8Array(10_000));
  await world.time.run(3000);
  const received = new Response(server.readable).arrayBuffer();
  await world.time.waitFor(written);
  client.close();
  assertEquals((await world.time.waitFor(received)).byteLength, 10_000);
  listener.close();
  await world.time.run(200_000);
  await world.end();
  const sent = named(parse(lines), "tcp:segment_sent");
  const probes = sent.filter(({ data }) => data.probe === true);
  assert(probes.length > 1);
  assert(probes.every(({ data }) => data.len === 1 && data.retransmission === undefined));
  assertEquals(sent.filter(({ data }) => data.retransmission === true), []);
});

Deno.test("what does not end a connection is reported, and nothing else of it is", async () => {
  // The link fails for longer than three retransmissions of a segment take, and carries on.
  const outages = [{ from: 200, until: 8000 }];
  const world = new World({ seed: 1, impairments: { delay: 20, rate: 1_000_000, outages } });
  const { events } = await logTransfer(world, { bytes: 100_000 });
  const reports = named(events, "tcp:connection_reported");
  assertEquals(reports.map(({ data }) => data), [{ report: "The peer has not answered 3 retransmissions" }]);
  assert(reports[0]!.time > 1000);
});

Deno.test("a refused connection ends with the reason", async () => {
  const world = new World({ seed: 1 });
  const lines: string[] = [];
  world.client.trace = new ConnectionLog(world.time.clock, (line) => lines.push(line));
  const connecting = world.client.connect({ hostname: "10.0.0.2", port: 81 }).then(() => null, (error) => error.name);
  assertEquals(await world.time.waitFor(connecting), "ConnectionRefused");
  await world.end();
  const last = parse(lines).at(-1)!;
  assertEquals([last.name, last.data], ["tcp:connection_closed", { failure: "The peer refused the connection" }]);
});

Deno.test("connections are numbered as they come, and only those that are selected are logged", async () => {
  const world = new World({ seed: 1 });
  const asked: number[] = [];
  const { events } = await logTransfer(world, { bytes: 10, port: 90 }, {
    select({ remote }) {
      asked.push(remote.port);
      return remote.port !== 90;
    },
  });
  assertEquals([events, asked], [[], [90]]);

  const both = new World({ seed: 1 });
  const lines: string[] = [];
  both.client.trace = new ConnectionLog(both.time.clock, (line) => lines.push(line));
  const transfers = [both.transfer({ bytes: 10, port: 1 }), both.transfer({ bytes: 10, port: 2 })];
  both.time.runUntil(() => transfers.every(({ finished }) => finished), limit);
  both.time.advance(200_000);
  await both.end();
  const started = named(parse(lines), "tcp:connection_started");
  assertEquals(started.map(({ group_id, data }) => [group_id, data.remote]), [["1", "10.0.0.2:1"], [
    "2",
    "10.0.0.2:2",
  ]]);
});

Deno.test("a log that begins in the middle of a connection counts from its SYN all the same", async () => {
  const world = new World({ seed: 1, impairments: { delay: 10, rate: 8_000_000 } });
  const transfer = world.transfer({ bytes: 500_000, answer: 1000 });
  world.time.runUntil(() => transfer.read[0] > 100_000, limit);
  const lines: string[] = [];
  world.client.trace = new ConnectionLog(world.time.clock, (line) => lines.push(line));
  world.time.runUntil(() => transfer.finished, limit);
  world.time.advance(200_000);
  await world.end();
  const sent = named(parse(lines), "tcp:segment_sent");
  const end = Math.max(...sent.map(({ data }) => Number(data.seq) + Number(data.len)));
  assertEquals(end, 500_002 - 1);
  assert(Number(sent[0]!.data.seq) > 100_000);
  assertEquals(sent.filter(({ data }) => data.retransmission === true), []);
  const received = named(parse(lines), "tcp:segment_received").at(-1)!.data;
  assertEquals([received.ack, Number(received.seq) + Number(received.len)], [500_002, 1001]);
});

Deno.test("update writes what has changed since the last event, and nothing the second time", async () => {
  const world = new World({ seed: 1, impairments: { delay: 10 } });
  const lines: string[] = [];
  const log = world.client.trace = new ConnectionLog(world.time.clock, (line) => lines.push(line));
  const listener = world.server.listen({ port: 80 });
  const accepted = listener.accept();
  const client = await world.time.waitFor(world.client.connect({ hostname: "10.0.0.2", port: 80 }));
  const server = await world.time.waitFor(accepted);
  await world.time.waitFor(client.write(new Uint8Array(1000)));
  await world.time.run(1000);
  const [connection] = world.client.tcp.connections();
  const known = lines.length;
  const [{ name, data }] = parse(lines).slice(-1) as [Event];
  assertEquals([name, data.snd_una, data.bytes_in_flight], ["recovery:metrics_updated", 1001, 0]);
  log.updated(connection!);
  assertEquals(lines.length, known);
  for (const end of [client, server, listener]) end.close();
  await world.time.run(200_000);
  await world.end();
});

Deno.test("relative sequence numbers go on growing where the sequence space wraps", () => {
  const numbers = new RelativeSequence(0xffff_ff00);
  assertEquals(numbers.of(0xffff_ff00), 0);
  assertEquals(numbers.of(0xffff_feff), -1);
  let relative = 0;
  for (let step = 0; step < 10; step++) {
    relative += 0x3000_0000;
    assertEquals(numbers.advance((0xffff_ff00 + relative) >>> 0), relative);
  }
  assertEquals(numbers.of((0xffff_ff00 + relative - 5) >>> 0), relative - 5);
  assertEquals(numbers.advance((0xffff_ff00 + relative - 5) >>> 0), relative - 5);
});
