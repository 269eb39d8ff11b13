import { assert, assertEquals } from "@std/assert";
import { IpAddress } from "../../stack/address.ts";
import { Counters } from "../../stack/counters.ts";
import { ErrorKind } from "../../stack/protocol.ts";
import { SeededRandom } from "../../stack/random.ts";
import { ping, type PingEvent, type PingOptions } from "../../stack/socket/ping.ts";
import { Echo } from "../../stack/transport/echo.ts";
import { assertRejectsNamed, assertThrowsNamed } from "../helpers/errors.ts";
import { FakeNetwork, type SentPacket } from "../helpers/fake_network.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";

const destination = "192.0.2.9";
const router = IpAddress.parse("192.0.2.254");

/** What a destination does about the requests it is sent. */
class Bench {
  readonly time = new VirtualTime();
  readonly network = new FakeNetwork();
  readonly echo = new Echo({
    networks: this.network,
    pool: this.network.pool,
    random: new SeededRandom(1),
    counters: new Counters(),
    headroom: 64,
  });
  /** Milliseconds until the answers to a request, by its sequence number. */
  delays: (sequence: number) => number[] = () => [];
  /** When each request was sent, in milliseconds from the start. */
  readonly sentAt: number[] = [];
  readonly events: string[] = [];

  constructor() {
    const push = this.network.push;
    this.network.push = (packet, path) => {
      const verdict = push.call(this.network, packet, path);
      this.sentAt.push(this.time.now - 1000);
      const request = this.network.sent.at(-1)!;
      for (const delay of this.delays(sequenceOf(request))) {
        this.time.timers.create(() => this.#answer(request)).start(delay);
      }
      return verdict;
    };
  }

  ping(options: PingOptions = {}): AsyncGenerator<PingEvent> {
    return ping(this.echo, this.time.timers, destination, options);
  }

  /** Iterates a ping to its end, and notes its events in short. */
  async report(options: PingOptions = {}): Promise<void> {
    for await (const event of this.ping(options)) {
      const { kind, sequence } = event;
      const at = this.time.now - 1000;
      if (kind === "timeout") this.events.push(`${at}: timeout ${sequence}`);
      else if (kind === "error") this.events.push(`${at}: ${sequence} ${event.error} from ${event.source}`);
      else this.events.push(`${at}: reply ${sequence} in ${event.time}${event.duplicate ? " again" : ""}`);
    }
  }

  /** Reports an error about a request. */
  fail(request: SentPacket, kind: ErrorKind, type = -1, code = -1, mtu = 0): void {
    const quoted = { source: this.network.own, destination: request.path.destination, bytes: request.bytes };
    this.network.report(this.echo, { kind, type, code, mtu, reporter: router }, quoted);
  }

  #answer(request: SentPacket): void {
    const bytes = request.bytes.slice();
    bytes[0] = 0;
    const source = request.path.destination;
    const packet = this.network.packet({ source, destination: this.network.own, bytes, arrivedAt: this.time.now });
    this.echo.reply(packet);
    packet.release();
  }
}

function sequenceOf({ bytes }: SentPacket): number {
  return new DataView(bytes.buffer).getUint16(6);
}

function test(name: string, body: (bench: Bench) => Promise<void>): void {
  Deno.test(name, async () => {
    const bench = new Bench();
    await body(bench);
    assertEquals([bench.echo.size, bench.time.timers.running, bench.network.pool.inUse], [0, 0, 0]);
  });
}

test("each request is answered with its own sequence number and time, a second apart", async (bench) => {
  bench.delays = (sequence) => [sequence * 1.5];
  await bench.time.waitFor(bench.report({ count: 3 }));
  assertEquals(bench.events, ["1.5: reply 1 in 1.5", "1003: reply 2 in 3", "2004.5: reply 3 in 4.5"]);
});

test("a reply says who sent it, how long it is and what TTL was left", async (bench) => {
  bench.delays = () => [1];
  const pinging = bench.ping({ count: 1, size: 100 });
  const { value } = await bench.time.waitFor(pinging.next());
  assertEquals(value, {
    kind: "reply",
    sequence: 1,
    source: destination,
    bytes: 108,
    timeToLive: 64,
    time: 1,
    duplicate: false,
  });
  assertEquals((await bench.time.waitFor(pinging.next())).done, true);
});

test("requests are sent on schedule however late the answers come", async (bench) => {
  bench.delays = () => [350];
  await bench.time.waitFor(bench.report({ count: 4, interval: 100 }));
  assertEquals(bench.sentAt, [0, 100, 200, 300]);
  assertEquals(bench.events.map((event) => event.split(":")[0]), ["350", "450", "550", "650"]);
});

test("a program that is held up makes no burst of what it missed", async (bench) => {
  const reporting = bench.report({ count: 4, interval: 100, timeout: 50 });
  await bench.time.settleAll();
  bench.time.clock.set(bench.time.now + 250);
  await bench.time.waitFor(reporting);
  assertEquals(bench.sentAt, [0, 250, 300, 400]);
});

test("a request that is not answered in time is a timeout, and a late answer is reported all the same", async (bench) => {
  bench.delays = (sequence) => sequence === 1 ? [1500] : [1];
  await bench.time.waitFor(bench.report({ count: 3, timeout: 700 }));
  assertEquals(bench.events, [
    "700: timeout 1",
    "1001: reply 2 in 1",
    "1500: reply 1 in 1500",
    "2001: reply 3 in 1",
  ]);
});

test("the end is waited for until the last request has timed out", async (bench) => {
  await bench.time.waitFor(bench.report({ count: 2, timeout: 3000 }));
  assertEquals(bench.events, ["3000: timeout 1", "4000: timeout 2"]);
  assertEquals(bench.time.now, 5000);
});

test("further answers to a request are duplicates", async (bench) => {
  bench.delays = (sequence) => sequence === 1 ? [1, 2, 3] : [1];
  await bench.time.waitFor(bench.report({ count: 2 }));
  assertEquals(bench.events, [
    "1: reply 1 in 1",
    "2: reply 1 in 2 again",
    "3: reply 1 in 3 again",
    "1001: reply 2 in 1",
  ]);
});

test("errors are named as iputils names them", async (bench) => {
  const cases: [ErrorKind, number, number, number, string][] = [
    [ErrorKind.networkUnreachable, 3, 0, 0, "Destination Net Unreachable"],
    [ErrorKind.hostUnreachable, 3, 1, 0, "Destination Host Unreachable"],
    [ErrorKind.hostUnreachable, 3, 7, 0, "Destination Host Unknown"],
    [ErrorKind.prohibited, 3, 13, 0, "Packet filtered"],
    [ErrorKind.packetTooBig, 3, 4, 576, "Frag needed and DF set (mtu = 576)"],
    [ErrorKind.timeExceeded, 11, 0, 0, "Time to live exceeded"],
    [ErrorKind.timeExceeded, 11, 1, 0, "Frag reassembly time exceeded"],
    [ErrorKind.parameterProblem, 12, 0, 0, "Parameter problem"],
    [ErrorKind.hostUnreachable, 3, 99, 0, "Destination Host Unreachable"],
  ];
  const reporting = bench.report({ count: cases.length, interval: 10 });
  for (const [kind, type, code, mtu] of cases) {
    await bench.time.settleAll();
    bench.fail(bench.network.sent.at(-1)!, kind, type, code, mtu);
    await bench.time.run(10);
  }
  await bench.time.waitFor(reporting);
  assertEquals(
    bench.events.map((event) => event.replace(/^\S+ /, "")),
    cases.map(([, , , , text], index) => `${index + 1} ${text} from 192.0.2.254`),
  );
});

test("an error that the stack raised itself comes from our own address", async (bench) => {
  const reporting = bench.report({ count: 1 });
  await bench.time.run(3000);
  bench.fail(bench.network.sent[0]!, ErrorKind.neighborUnreachable);
  await bench.time.waitFor(reporting);
  assertEquals(bench.events, ["3000: 1 Destination Host Unreachable from 192.0.2.1"]);
});

test("sequence numbers go on where the 16 bits that travel start again", async (bench) => {
  bench.delays = () => [0.25];
  let last = 0;
  const counting = (async () => {
    for await (const event of bench.ping({ count: 65540, interval: 1, size: 0 })) {
      assertEquals(event.kind, "reply");
      assertEquals(event.sequence, last + 1);
      last = event.sequence;
    }
  })();
  bench.network.sent.length = 0;
  await waitInSteps(bench, counting);
  assertEquals(last, 65540);
  assertEquals(sequenceOf(bench.network.sent.at(-1)!), 4);
});

test("while the program does not look, no more than a bounded number of requests is sent", async (bench) => {
  bench.delays = () => [0.5];
  const pinging = bench.ping({ interval: 1 });
  await bench.time.waitFor(pinging.next());
  bench.time.advance(5000);
  assert(bench.sentAt.length > 1000 && bench.sentAt.length < 1100, `${bench.sentAt.length} requests`);
  await pinging.next();
  bench.time.advance(10);
  assert(bench.sentAt.length > 1030);
  await pinging.return(undefined);
});

test("aborting the signal ends the iteration with its reason and stops everything", async (bench) => {
  const controller = new AbortController();
  const reporting = bench.report({ signal: controller.signal });
  await bench.time.run(2500);
  controller.abort();
  await assertRejectsNamed("AbortError", reporting);
  assertEquals(bench.sentAt.length, 3);
});

test("with a signal aborted before, nothing is sent", async (bench) => {
  await assertRejectsNamed("AbortError", bench.report({ signal: AbortSignal.abort() }));
  assertEquals(bench.sentAt, []);
});

test("leaving the loop stops everything", async (bench) => {
  bench.delays = () => [1];
  const first = (async () => {
    for await (const { sequence } of bench.ping()) return sequence;
  })();
  assertEquals(await bench.time.waitFor(first), 1);
});

test("nothing is sent before the first event is asked for", async (bench) => {
  const pinging = bench.ping({ count: 1 });
  await bench.time.run(5000);
  assertEquals(bench.sentAt, []);
  await pinging.return(undefined);
});

test("a destination without a route is reported by the first event", async (bench) => {
  bench.network.unreachable.add(destination);
  await assertRejectsNamed("NetworkUnreachable", bench.report());
});

test("each request sent is announced", async (bench) => {
  const sent: number[] = [];
  await bench.time.waitFor(bench.report({ count: 2, interval: 10, onSent: (sequence) => sent.push(sequence) }));
  assertEquals(sent, [1, 2]);
});

Deno.test("bad options are refused at once", () => {
  const bench = new Bench();
  assertThrowsNamed("TypeError", () => ping(bench.echo, bench.time.timers, "example.com"));
  const cases: PingOptions[] = [
    { count: 0 },
    { interval: 0 },
    { interval: NaN },
    { timeout: 0 },
    { size: 65508 },
    { timeToLive: 0 },
    { timeToLive: 256 },
  ];
  for (const options of cases) assertThrowsNamed("RangeError", () => bench.ping(options));
});

/** Waits for a long run: the packets that the network notes are forgotten on the way. */
async function waitInSteps(bench: Bench, promise: Promise<void>): Promise<void> {
  let over = false;
  promise.then(() => over = true, () => over = true);
  while (!over) {
    await bench.time.settleAll();
    bench.time.advance(500);
    bench.network.sent.splice(0, bench.network.sent.length - 1);
  }
  await promise;
}

test("a ping holds while it waits for an answer", async (bench) => {
  let waits = 0;
  const keeper = { acquire: () => void waits++, release: () => void waits-- };
  bench.delays = () => [1];
  const pinging = ping(bench.echo, bench.time.timers, destination, { count: 1 }, keeper);
  const first = pinging.next();
  assertEquals(waits, 1);
  await bench.time.waitFor(first);
  assertEquals([waits, (await pinging.next()).done], [0, true]);
});
