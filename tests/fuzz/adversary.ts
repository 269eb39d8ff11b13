/**
 * A peer that says anything near the edges of what it may say, and what must hold of a connection whatever its peer says.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { add, after, before, distance, later } from "../../stack/sequence.ts";
import { below, fill, SeededRandom } from "../../stack/random.ts";
import { Flag } from "../../stack/transport/tcp/header.ts";
import { State } from "../../stack/transport/tcp/state.ts";
import { Harness } from "../transport/tcp/harness.ts";
import { pattern } from "../transport/tcp/pattern.ts";

/** What handshakes agree on. */
const handshakes = [
  "mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7",
  "mss 1460,sackOK,nop,nop,nop,wscale 0",
  "mss 536,nop,wscale 14,nop",
  "mss 100,sackOK,TS val 100 ecr 0",
  "",
];

/** Where sequence numbers begin: somewhere, just in front of their wrapping round, and in front of the sign bit. */
const beginnings = [5_000_000, 0xffff_f800, 0x7fff_f800];

/** Distances from an edge at which comparing goes wrong. */
const distances = [
  0,
  0,
  0,
  0,
  1,
  -1,
  2,
  -2,
  100,
  536,
  1448,
  -1448,
  65_535,
  -65_535,
  0x7fff_ffff,
  -0x7fff_ffff,
  1 << 31,
];

interface Received {
  sequence: number;
  acknowledgement: number;
  flags: number;
}

/** A connection and a peer that says anything. Asserts after each segment what must hold whatever a peer says. */
export class Adversary {
  readonly harness: Harness;
  readonly random: SeededRandom;
  /** Bytes that the application received. */
  received = 0;
  readonly #scale: number;
  readonly #limit: number;
  #before: { rcvNxt: number; rightEdge: number; sndUna: number; sndNxt: number; acknowledged: number } | null = null;
  /** The furthest that any segment allowed the connection to send, relative to its initial sequence number. */
  #allowed = 0;
  #urgent = 0;

  constructor(seed: number) {
    const random = this.random = new SeededRandom(seed);
    const peers = this.#pick(beginnings);
    this.harness = new Harness({ ours: this.#pick(beginnings), peers });
    const options = this.#pick(handshakes);
    this.#limit = this.#pick([3000, 20_000, 100_000, 1_000_000]);
    const settings = {
      receiveBufferBytes: this.#limit,
      sendBufferBytes: this.#pick([3000, 20_000, 200_000]),
      noDelay: below(random, 2) === 0,
    };
    if (below(random, 5) > 0) {
      this.harness.accept(options, settings);
      this.#scale = Number(/wscale (\d+)/.exec(options)?.[1] ?? 0);
      this.#allowed = 1 + 65_535 * 2 ** this.#scale;
    } else {
      this.harness.connect(settings);
      // Any window scale may stand in the SYN that will come.
      this.#scale = 14;
    }
    this.harness.takeSent();
  }

  get over(): boolean {
    return this.harness.connection.finished;
  }

  /** One segment, or what the application or time does. */
  step(): void {
    const { harness, random } = this;
    switch (below(random, 12)) {
      case 0:
        if (harness.connection.state >= State.established) harness.write(below(random, 5000));
        break;
      case 1:
      case 2:
        this.received += harness.read(below(random, 3) === 0 ? undefined : below(random, 3000));
        break;
      case 3:
        harness.wait(this.#pick([1, 10, 40, 200, 1000, 1000, 10_000]));
        break;
      case 4:
        if (below(random, 20) === 0) harness.connection.shutdown();
        break;
    }
    this.#checkSent(null);
    this.#deliver();
    this.#checkState();
  }

  /**
   * The peer behaves from now on: it acknowledges everything and offers a window. Asserts that all that was written
   * gets through, and that what it sends is received, whatever it said before.
   */
  reform(): void {
    const { harness } = this;
    const { connection } = harness;
    const { receiver, sender } = connection;
    // What it has said of its window in a segment from further on can be corrected only from there.
    const end = later(receiver.rightEdge, add(sender.sndWl1, 1));
    while (before(receiver.rcvNxt, end) && !receiver.finKnown && !this.over) {
      const { rcvNxt } = receiver;
      this.received += harness.read();
      this.#behave(Math.min(1000, distance(end, rcvNxt)));
      assert(distance(receiver.rcvNxt, rcvNxt) > 0 || this.over, "data at RCV.NXT were not taken");
    }
    if (after(sender.sndWl1, receiver.rcvNxt)) return;
    for (let round = 0; connection.unacknowledged > 0 && !this.over; round++) {
      assert(round < 1000, `${connection.unacknowledged} bytes never got through`);
      this.#behave(0);
      harness.wait(100);
      this.#checkSent(null);
    }
  }

  #behave(length: number): void {
    const { receiver, sender } = this.harness.connection;
    this.#send(Flag.ack, receiver.rcvNxt, sender.sndNxt, 65_535, this.#timestamps(0, 0), length);
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[below(this.random, items.length)]!;
  }

  /** A segment whose numbers lie near those that matter. */
  #deliver(): void {
    const { harness, random } = this;
    const { connection, peers } = harness;
    const { sender, receiver, state } = connection;
    const synSent = state === State.synSent;
    const flags = this.#flags(synSent);
    let sequence = add(this.#pick([receiver.rcvNxt, receiver.rcvNxt, receiver.rightEdge]), this.#pick(distances) | 0);
    if (below(random, 50) === 0) sequence = random.uint32();
    const edges = [sender.sndUna, sender.sndNxt, sender.sndNxt, sender.sndNxt];
    const acknowledgement = add(this.#pick(edges), this.#pick(distances) | 0);
    // The peer has one initial sequence number, or the bytes would have no place.
    if ((flags & Flag.syn) !== 0 && synSent) sequence = peers;
    const length = below(random, 3) === 0 ? 0 : this.#pick([1, 8, 100, 536, 1448, below(random, 3000)]);
    const window = this.#pick([0, 1, 2, 100, 1000, 65_535, below(random, 65_536)]);
    const options = this.#options();
    if (below(random, 10) === 0) this.#urgent = below(random, 2000);
    this.#send(flags, sequence, acknowledgement, window, options, length);
  }

  /** Sends a segment whose data are those that belong at their place. */
  #send(
    flags: number,
    sequence: number,
    acknowledgement: number,
    window: number,
    options: Uint8Array,
    length: number,
  ): void {
    const { harness } = this;
    const { peers } = harness;
    const bytes = new Uint8Array(20 + options.length + length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, harness.peerPort);
    view.setUint16(2, harness.ourPort);
    view.setUint32(4, sequence);
    view.setUint32(8, acknowledgement);
    view.setUint8(12, (20 + options.length) << 2);
    view.setUint8(13, flags);
    view.setUint16(14, window);
    view.setUint16(18, this.#urgent);
    bytes.set(options, 20);
    const shift = (flags & Flag.syn) !== 0 ? 1 : 0;
    const place = distance(sequence, peers) + shift;
    for (let index = 0; index < length; index++) bytes[20 + options.length + index] = pattern(place + index);
    if ((flags & Flag.syn) !== 0) this.#allowed = Math.max(this.#allowed, 1 + window);
    if ((flags & Flag.ack) !== 0) {
      const edge = distance(acknowledgement, harness.ours) + window * 2 ** this.#scale;
      this.#allowed = Math.max(this.#allowed, edge);
    }
    harness.deliver(bytes);
    harness.time.settle();
    this.#checkSent({ sequence, acknowledgement, flags });
  }

  #flags(synSent: boolean): number {
    const { random } = this;
    const kind = below(random, 200);
    if (synSent && kind < 40) return Flag.syn | Flag.ack;
    if (synSent && kind < 50) return Flag.syn;
    if (kind === 0) return below(random, 256);
    if (kind < 5) return Flag.rst | (kind & 1 ? Flag.ack : 0);
    if (kind < 10) return Flag.syn | (kind & 1 ? Flag.ack : 0);
    if (kind < 13) return Flag.fin | Flag.ack;
    if (kind < 16) return this.#pick([0, Flag.psh, Flag.urg | Flag.ack]);
    return Flag.ack | (kind & 1 ? Flag.psh : 0);
  }

  /** Options that may be right, wrong or nonsense, padded. */
  #options(): Uint8Array {
    const { random, harness } = this;
    const bytes: number[] = [];
    const { sender } = harness.connection;
    if (below(random, 4) > 0) {
      const value = this.#pick([0, 0, 0, 1, 10, 10, 1000, -1, -1000, 0x7fff_ffff]);
      bytes.push(...this.#timestamps(value, this.#pick([0, -1, -10, -100, -10_000, 1, 1000, 0x7fff_ffff])));
    }
    if (below(random, 3) === 0) {
      const blocks = 1 + below(random, bytes.length > 0 ? 3 : 4);
      bytes.push(1, 1, 5, 2 + 8 * blocks);
      for (let block = 0; block < blocks; block++) {
        const left = add(this.#pick([sender.sndUna, sender.sndNxt]), below(random, 6000) - 3000);
        put32(bytes, left);
        put32(bytes, add(left, this.#pick([0, 1, 1448, 2896, -1, below(random, 10_000)])));
      }
    }
    if (below(random, 30) === 0) {
      const junk = new Uint8Array(4 * below(random, 1 + (40 - bytes.length) / 4));
      bytes.push(...fill(random, junk));
    }
    return Uint8Array.from(bytes);
  }

  /** A timestamps option, so far from the peer's last value and so far from the time that an honest peer would echo. */
  #timestamps(value: number, echo: number): Uint8Array {
    const { timestampNow, receiver } = this.harness.connection;
    const bytes = [1, 1, 8, 10];
    put32(bytes, receiver.recentTimestamp + value);
    put32(bytes, timestampNow + echo);
    return Uint8Array.from(bytes);
  }

  /** What the connection sent, in answer to `answered` or by itself. */
  #checkSent(answered: Received | null): void {
    const { harness } = this;
    // Also checks that the payload is what was written.
    const sent = harness.takeSent();
    assert(sent.length <= 400, `${sent.length} segments at once`);
    for (const segment of sent) {
      const isReset = segment.flags.includes("R");
      if (isReset && answered !== null) {
        assertEquals(answered.flags & Flag.rst, 0, "a reset was answered with a reset");
      }
      // One byte more: a probe of a closed window.
      const end = segment.sequence + segment.length;
      if (segment.length > 0) {
        assert(end <= this.#allowed + 1, `sent up to ${end}, where ${this.#allowed} was allowed`);
      }
    }
  }

  #checkState(): void {
    const { connection } = this.harness;
    const { sender, receiver, state } = connection;
    if (connection.finished || state === State.synSent || state === State.timeWait) return;
    const { rcvNxt, rightEdge } = receiver;
    const { sndUna, sndNxt } = sender;
    const info = connection.info();
    const { bytesAcknowledged: acknowledged } = info;
    const now = { rcvNxt, rightEdge, sndUna, sndNxt, acknowledged };
    const before = this.#before;
    if (before !== null) {
      assert(distance(rcvNxt, before.rcvNxt) >= 0, "RCV.NXT went back");
      assert(distance(rightEdge, before.rightEdge) >= 0, "the right edge went back");
      assert(distance(sndUna, before.sndUna) >= 0, "SND.UNA went back");
      assert(distance(sndNxt, before.sndNxt) >= 0, "SND.NXT went back");
      assert(acknowledged >= before.acknowledged, "acknowledged bytes went back");
    }
    this.#before = now;
    assert(distance(sndNxt, sndUna) >= 0, "SND.UNA is beyond SND.NXT");
    assert(distance(rightEdge, rcvNxt) >= 0, "RCV.NXT is beyond the right edge");
    // Rounding up to what can be announced may add one step of the window scale.
    const room = Math.max(this.#limit, 65_535) + 2 ** receiver.windowScale;
    assert(receiver.queued + receiver.outOfOrder.bytes <= room, "more is buffered than the buffer holds");
    assert(receiver.queued + distance(rightEdge, rcvNxt) <= room, "more is offered than the buffer holds");
    // What was sent again without being known lost is in flight twice (RFC 6675 section 4).
    const flight = 2 * distance(sndNxt, sndUna);
    assert(info.bytesInFlight >= 0 && info.bytesInFlight <= flight, `${info.bytesInFlight} of ${flight} in flight`);
    // RFC 6937 section 3: in recovery the window follows what leaves the network.
    const smallest = info.congestionState === "recovery" ? 0 : info.sendMss;
    assert(info.congestionWindow >= smallest, `a congestion window of ${info.congestionWindow}`);
    assert(info.rto >= 1 && info.rto <= 120_000, `a time-out of ${info.rto}`);
    assert(info.sendQueued >= 0 && info.receiveQueued >= 0);
    assertEquals(receiver.bytesReceived, this.received + receiver.queued, "bytes received");
  }
}

function put32(bytes: number[], value: number): void {
  bytes.push(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}
