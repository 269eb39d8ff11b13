import { assert, assertEquals } from "@std/assert";
import { readCapture } from "../../../stack/link/pcap_reader.ts";
import { ConnectionTracker, type TrackedSegment } from "../../../stack/transport/tcp/connection_tracker.ts";
import { Flag } from "../../../stack/transport/tcp/header.ts";
import { SegmentParser } from "../../../apps/plot/captured_segment.ts";
import { recordTransfer } from "../../helpers/recorded_transfer.ts";

/** Initial sequence numbers whose connection wraps around within a few bytes. */
const initial = { client: 0xffff_fffe, server: 0x7fff_fff0 };

/** A connection that is followed; sequence numbers are relative to the initial ones. */
class Followed {
  readonly tracker: ConnectionTracker;

  constructor(windowScale = -1) {
    this.tracker = ConnectionTracker.begin(this.#segment(true, "S", 0, { windowScale }))!;
  }

  /** The handshake is over. */
  static established(): Followed {
    const followed = new Followed();
    assertEquals(followed.server("SA", 0, { ack: 1 }), true);
    assertEquals(followed.tracker.state, "connecting");
    assertEquals(followed.client("A", 1, { ack: 1 }), true);
    assertEquals(followed.tracker.state, "established");
    return followed;
  }

  client(flags: string, sequence: number, rest: Partial<Rest> = {}): boolean {
    return this.tracker.see(true, this.#segment(true, flags, sequence, rest));
  }

  server(flags: string, sequence: number, rest: Partial<Rest> = {}): boolean {
    return this.tracker.see(false, this.#segment(false, flags, sequence, rest));
  }

  #segment(fromClient: boolean, flags: string, sequence: number, rest: Partial<Rest>): TrackedSegment {
    const { ack = 0, length = 0, window = 1000, windowScale = -1 } = rest;
    const [own, other] = fromClient ? [initial.client, initial.server] : [initial.server, initial.client];
    const bits = { S: Flag.syn, A: Flag.ack, F: Flag.fin, R: Flag.rst };
    return {
      sequence: (own + sequence) >>> 0,
      acknowledgement: (other + ack) >>> 0,
      flags: [...flags].reduce((all, letter) => all | bits[letter as keyof typeof bits], 0),
      length,
      window,
      windowScale,
    };
  }
}

interface Rest {
  ack: number;
  length: number;
  window: number;
  windowScale: number;
}

Deno.test("a connection begins with a SYN and with nothing else", () => {
  const segment = { sequence: 1, acknowledgement: 0, length: 0, window: 1, windowScale: -1 };
  for (const flags of [Flag.syn | Flag.ack, Flag.syn | Flag.fin, Flag.syn | Flag.rst, Flag.ack, Flag.rst, 0]) {
    assertEquals(ConnectionTracker.begin({ ...segment, flags }), null);
  }
  assertEquals(ConnectionTracker.begin({ ...segment, flags: Flag.syn })?.state, "connecting");
});

Deno.test("a connection whose client ends first is closed by the client, when both ends have been acknowledged", () => {
  const followed = Followed.established();
  followed.client("A", 1, { ack: 1, length: 100 });
  followed.server("A", 1, { ack: 101, length: 7 });
  followed.client("FA", 101, { ack: 8, length: 5 });
  followed.server("A", 8, { ack: 107 });
  followed.server("FA", 8, { ack: 107 });
  assertEquals([followed.tracker.state, followed.tracker.isOver], ["established", false]);
  followed.client("A", 107, { ack: 9 });
  assertEquals([followed.tracker.state, followed.tracker.isOver], ["closed by client", true]);
  assertEquals([followed.tracker.clientBytes, followed.tracker.serverBytes], [105, 7]);
});

Deno.test("a connection whose server ends first is closed by the server", () => {
  const followed = Followed.established();
  followed.server("FA", 1, { ack: 1 });
  followed.client("FA", 1, { ack: 2 });
  followed.server("A", 2, { ack: 2 });
  assertEquals(followed.tracker.state, "closed by server");
});

Deno.test("a SYN that is answered by a reset is refused, if the reset acknowledges it", () => {
  const followed = new Followed();
  assertEquals([followed.server("R", 0), followed.server("RA", 0, { ack: 0 }), followed.server("RA", 0, { ack: 2 })], [
    false,
    false,
    false,
  ]);
  assertEquals(followed.tracker.state, "connecting");
  assertEquals(followed.server("RA", 0, { ack: 1 }), true);
  assertEquals(followed.tracker.state, "refused");
});

Deno.test("a SYN that is sent again, and one that crosses it, belong to the connection", () => {
  const followed = new Followed();
  assertEquals(followed.client("S", 0), true);
  assertEquals(followed.client("S", 1), false);
  assertEquals(followed.server("S", 0), true);
  assertEquals(followed.client("SA", 0, { ack: 1 }), true);
  assertEquals(followed.tracker.state, "connecting");
  assertEquals(followed.server("SA", 0, { ack: 1 }), true);
  assertEquals(followed.tracker.state, "established");
});

Deno.test("a reset counts from what was acknowledged to the edge of the window, and tells whose it is", () => {
  for (const sequence of [0, 1002]) {
    const followed = Followed.established();
    assertEquals([followed.client("R", sequence), followed.server("R", sequence)], [false, false]);
    assertEquals(followed.tracker.state, "established");
  }
  for (const sequence of [1, 500, 1001]) {
    const [one, other] = [Followed.established(), Followed.established()];
    assertEquals([one.client("R", sequence), other.server("R", sequence)], [true, true]);
    assertEquals([one.tracker.state, other.tracker.state], ["reset by client", "reset by server"]);
  }
});

Deno.test("what is beyond the window, acknowledges what was not sent, or acknowledges nothing does not belong to it", () => {
  const followed = Followed.established();
  assertEquals(followed.client("A", 1002, { ack: 1, length: 10 }), false);
  assertEquals(followed.client("A", 1, { ack: 2, length: 10 }), false);
  assertEquals(followed.client("", 1, { length: 10 }), false);
  assertEquals(followed.client("FA", 1002, { ack: 1 }), false);
  assertEquals(followed.client("S", 400), false);
  assertEquals(followed.client("A", -1002, { ack: 1, length: 1 }), false);
  // A probe of a window that is closed, and an old copy.
  assertEquals(followed.client("A", 1001, { ack: 1, length: 1 }), true);
  assertEquals(followed.client("A", 1, { ack: 1, length: 10 }), true);
  assertEquals(followed.tracker.state, "established");
});

Deno.test("windows are scaled if both SYNs offer it, and that of a SYN is not", () => {
  for (const [offered, edge] of [[2, 4000], [-1, 1000]] as const) {
    const followed = new Followed(7);
    followed.server("SA", 0, { ack: 1, windowScale: offered });
    followed.client("A", 1, { ack: 1 });
    assertEquals(followed.client("A", 1002, { ack: 1, length: 1 }), false);
    followed.server("A", 1, { ack: 1 });
    assertEquals(followed.client("A", edge + 2, { ack: 1, length: 1 }), false);
    assertEquals(followed.client("A", edge + 1, { ack: 1, length: 1 }), true);
  }
});

Deno.test("after the end nothing belongs to the connection any more", () => {
  const followed = Followed.established();
  followed.client("R", 1);
  assertEquals([followed.client("A", 1, { ack: 1 }), followed.server("FA", 1, { ack: 1 })], [false, false]);
  assertEquals(followed.tracker.state, "reset by client");
});

Deno.test("every segment of a transfer over a bad network belongs to it, whatever is lost, and its bytes are counted", async () => {
  for (const seed of [1, 2, 3]) {
    const { capture } = await recordTransfer({
      seed,
      bytes: 300_000,
      impairments: [{ loss: 0.05, duplicate: 0.02 }, { loss: 0.02, reorder: 0.05, delay: 3 }],
    });
    const parser = new SegmentParser();
    let [tracker, client]: [ConnectionTracker | null, string] = [null, ""];
    let strange = 0;
    for (const frame of readCapture(capture).frames) {
      const segment = parser.parse(frame, 0);
      if (segment === null) continue;
      if (tracker === null) [tracker, client] = [ConnectionTracker.begin(segment)!, segment.source];
      else if (!tracker.isOver && !tracker.see(segment.source === client, segment)) strange++;
    }
    assert(tracker !== null);
    assertEquals([strange, tracker.isOver, tracker.state.startsWith("closed")], [0, true, true]);
    assertEquals(Math.max(tracker.clientBytes, tracker.serverBytes), 300_000);
  }
});
