/**
 * Transfers over a link of a given loss, round-trip time, bandwidth and queue: what may be expected of them, and
 * whether they keep going.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { CaptureSink } from "../../stack/link/capture.ts";
import type { ImpairmentOptions } from "../../stack/link/impairment.ts";
import { State } from "../../stack/transport/tcp/state.ts";
import type { TcpConfiguration } from "../../stack/transport/tcp/configuration.ts";
import { type Transfer, World } from "./world.ts";

/**
 * What happens to frames: losses both ways, of data or acknowledgements only, in bursts of two on average; or they are
 * reordered, sent twice, corrupted, delayed at random, or the link fails for a while.
 */
export const troubles = [
  "loss",
  "data-loss",
  "ack-loss",
  "burst-loss",
  "reordering",
  "duplication",
  "corruption",
  "jitter",
  "outages",
] as const;

/** One of {@linkcode troubles}. */
export type Trouble = (typeof troubles)[number];

/** A link with a trouble. */
export interface Link {
  /** Part of the frames to which it happens; of round trips by which they jitter; of the time that outages take. */
  readonly share: number;
  /** Round-trip time without queueing, in milliseconds. */
  readonly rtt: number;
  /** Bits per second. */
  readonly rate: number;
  /** Size of the queue in bandwidth-delay products, but at least {@linkcode leastQueueBytes}. */
  readonly queue: number;
  /** What happens. */
  readonly trouble: Trouble;
}

/** Bytes of payload in a full segment with timestamps, and of the frame that carries it. */
const segmentBytes = 1448;
const frameBytes = 1514;

/** No queue is smaller than twenty frames: less is no queue that anybody builds. */
const leastQueueBytes = 20 * frameBytes;

/** Longer than the slowest transfer may take, in milliseconds of virtual time. */
const limit = 3_600_000;

/** From one outage to the next, in milliseconds. */
const outagePeriod = 4000;

/** C and beta of CUBIC (RFC 9438 section 5.1, section 4.6). */
const cubicGrowth = 0.4;
const cubicBeta = 0.7;

/** The name of a link's case: `link:1%:50ms:10M:1:loss`. */
export function linkName({ share, rtt, rate, queue, trouble }: Link): string {
  return `link:${Number((100 * share).toFixed(3))}%:${rtt}ms:${rate / 1e6}M:${queue}:${trouble}`;
}

/** The link of a name, or null if it is none. */
export function parseLinkName(name: string): Link | null {
  const match = /^link:([\d.]+)%:([\d.]+)ms:([\d.]+)M:([\d.]+):([a-z-]+)$/.exec(name);
  if (match === null) return null;
  const [percent, rtt, rate, queue] = match.slice(1, 5).map(Number) as [number, number, number, number];
  const trouble = troubles.find((known) => known === match[5]);
  if (trouble === undefined || !(percent < 100 && rtt > 0 && rate > 0)) return null;
  return { share: percent / 100, rtt, rate: rate * 1e6, queue, trouble };
}

/** Bytes that fill the link for a round trip. */
function productOf({ rtt, rate }: Link): number {
  return rate / 8 * rtt / 1000;
}

function queueBytesOf(link: Link): number {
  return Math.max(leastQueueBytes, link.queue * productOf(link));
}

/** What happens to the frames of a link, in the direction of the data and in that of the acknowledgements. */
export function impairmentsOf(link: Link): [ImpairmentOptions, ImpairmentOptions] {
  const { share, rtt, rate, trouble } = link;
  const plain: ImpairmentOptions = { delay: rtt / 2, rate, queueBytes: queueBytesOf(link), queueFrames: 1_000_000 };
  const troubled: ImpairmentOptions = share === 0 ? plain : { ...plain, ...troubledBy(trouble, share, rtt) };
  return [trouble === "ack-loss" ? plain : troubled, trouble === "data-loss" ? plain : troubled];
}

function outage(from: number, share: number): { from: number; until: number } {
  return { from, until: from + share * outagePeriod };
}

function troubledBy(trouble: Trouble, share: number, rtt: number): ImpairmentOptions {
  switch (trouble) {
    case "loss":
    case "data-loss":
    case "ack-loss":
      return { loss: share };
    case "burst-loss":
      // Gilbert's model: half of the frames end a bad time, and bad times begin so often that `share` comes out.
      return { burstLoss: { enter: share * 0.5 / (1 - share), leave: 0.5 } };
    case "reordering":
      return { reorder: share, reorderDelay: rtt / 4 };
    case "duplication":
      return { duplicate: share };
    case "corruption":
      return { corrupt: share };
    case "jitter":
      return { jitter: share * rtt, jitterReorders: true };
    case "outages":
      return { outages: Array.from({ length: 100 }, (_, n) => outage(outagePeriod * (n + 0.2), share)) };
  }
}

/** What is lost of the frames of each direction; all else is no loss. */
function lossOf({ share, trouble }: Link): number {
  const lossy = trouble === "loss" || trouble === "data-loss" || trouble === "burst-loss" || trouble === "corruption";
  return lossy ? share : 0;
}

/**
 * The payload, in bits per second, that theory promises on a link: 95 % of what it carries, or what CUBIC's average
 * window allows under loss (RFC 9438 section 5.1: the greater of its own and its Reno-friendly response function).
 *
 * Without loss, 95 % can be asked of every queue: from beta = 0.7 of a link and a quarter of a product more, the window
 * is below the product until (1 - t / K)^3 is down to 2/3, an eighth of the time K between two losses, and on average by
 * 6 % then, so that less than 1 % is lost to it.
 */
export function promisedRate(link: Link): number {
  const ceiling = 0.95 * link.rate * segmentBytes / frameBytes;
  const loss = lossOf(link);
  if (loss === 0) return ceiling;
  const seconds = link.rtt / 1000;
  const cubic = (cubicGrowth * (3 + cubicBeta) / (4 * (1 - cubicBeta))) ** 0.25 * (seconds / loss) ** 0.75;
  const reno = Math.sqrt(1.5 / loss);
  return Math.min(ceiling, 8 * segmentBytes * Math.max(cubic, reno) / seconds);
}

/**
 * Notes when nothing moves: neither is anything read nor anything sent, for longer than the retransmission time-out
 * explains. RFC 6298 section 5 has a segment sent at the latest one time-out, with its back-off, after the last
 * acknowledgement of something new, which itself takes a round trip through the queue.
 */
class Watch {
  readonly #transfer: Transfer;
  readonly #link: Link;
  readonly #now: () => number;
  #moved = 0;
  #movedAt: number;
  #timeout = 0;
  /** The first time without a move that was longer than it may be, in words. */
  tooLong: string | null = null;

  constructor(world: World, transfer: Transfer, link: Link) {
    this.#transfer = transfer;
    this.#link = link;
    this.#now = () => world.time.now;
    this.#movedAt = this.#now();
    world.time.add(this);
  }

  step(): number {
    const { connection, read: [read] } = this.#transfer;
    if (connection.state >= State.finWait2) return 0;
    const { rto, backoff, segmentsSent } = connection.info();
    this.#timeout = Math.max(this.#timeout, rto * 2 ** backoff);
    const moved = read + segmentsSent;
    if (moved > this.#moved) this.#measure(moved);
    return 0;
  }

  #measure(moved: number): void {
    const silence = this.#now() - this.#movedAt;
    const queueing = queueBytesOf(this.#link) * 8000 / this.#link.rate;
    if (silence > this.#timeout + this.#link.rtt + queueing + 50) {
      this.tooLong ??= `nothing moved for ${silence} ms until ${this.#now()}, with a time-out of ${this.#timeout} ms`;
    }
    this.#moved = moved;
    this.#movedAt = this.#now();
    this.#timeout = 0;
  }
}

/** How a case is run. */
export interface CaseOptions {
  /** The seed of everything that is left to chance. */
  readonly seed: number;
  /** Takes a capture of what the client's end of the wire sees. */
  readonly capture?: CaptureSink;
}

/** Settings of TCP for a link: buffers that do not limit. */
export function unlimited(link: Link): TcpConfiguration {
  const bytes = Math.max(4 << 20, 4 * (productOf(link) + queueBytesOf(link)));
  return { settings: { sendBufferBytes: bytes, receiveBufferBytes: bytes } };
}

/** Bytes after which a transfer has found its pace, and bytes that are measured then. */
function extentOf(link: Link): [started: number, measured: number] {
  const loss = lossOf(link);
  // Fifteen losses, or fifteen bandwidth-delay products; some time even on the slowest link.
  if (loss > 0) return [5 / loss * segmentBytes, Math.max(1500, 15 / loss) * segmentBytes];
  const product = productOf(link);
  const started = Math.max(200_000, 10 * product);
  if (link.trouble === "outages") return [started, 2 * outagePeriod / 8000 * link.rate];
  // With less than a product of queue the link is not full all the time between two losses, the time K of CUBIC apart.
  const segments = product * (1 + link.queue) / frameBytes;
  const period = link.queue < 1 ? Math.cbrt((1 - cubicBeta) / cubicGrowth * segments) * link.rate / 8 : 0;
  // What waits behind a hole when the measurement begins or ends is as much as the smallest queue, or nothing.
  return [started, Math.max(50 * leastQueueBytes, 15 * product, period)];
}

/**
 * Transfers data over a link, and asserts that they arrive, exact and without a stall. Returns the payload in bits per
 * second, once started: 0 when the connection never came about.
 */
export async function runLink(link: Link, options: CaseOptions): Promise<number> {
  const { seed, capture } = options;
  const message = `${linkName(link)}, seed ${seed}`;
  const [started, measured] = extentOf(link);
  const bytes = Math.round(started + measured);
  const world = new World({
    seed,
    impairments: impairmentsOf(link),
    tcp: unlimited(link),
    ...(capture === undefined ? {} : { capture }),
  });
  const transfer = world.transfer({ bytes });
  const watch = new Watch(world, transfer, link);
  const runUntil = (what: string, condition: () => boolean) => {
    try {
      world.time.runUntil(condition, limit);
    } catch (error) {
      const { connection, read: [read] } = transfer;
      const { state, backoff } = connection.info();
      const stand = `${read} of ${bytes} bytes have arrived, ${state}, time-out doubled ${backoff} times`;
      throw new Error(`${what} has not come: ${stand}`, { cause: error });
    }
  };
  runUntil("The beginning", () => transfer.read[0] >= started || transfer.failure !== null);
  const [startedAt, before] = [world.time.now, transfer.read[0]];
  runUntil("The last byte", () => transfer.read[0] >= bytes || transfer.failure !== null);
  const rate = 8000 * (bytes - before) / (world.time.now - startedAt);
  const fails = transfer.failure !== null && link.trouble !== "burst-loss";
  if (!fails) runUntil("The end of both sides", () => transfer.finished);
  if (link.trouble === "burst-loss" && transfer.read[0] === 0 && transfer.failure?.name === "TimedOut") {
    // A burst that outlasts all SYNs is no fault of the connection's.
    world.time.advance(200_000);
    await world.end();
    return 0;
  }
  assertEquals([transfer.failure, transfer.mismatch, transfer.read[0]], [null, -1, bytes], message);
  assertEquals(watch.tooLong, null, message);
  world.rest();
  await world.end();
  return rate;
}
