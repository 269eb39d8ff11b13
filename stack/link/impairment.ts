/**
 * What a bad network does to frames in one direction: loss, duplication, reordering, delay, corruption, a limited rate.
 * Everything is decided by an injected random source and the stack's clock, so that a seed reproduces a run.
 *
 * @module
 */

import type { Packet } from "../packet.ts";
import { below, fraction, type Random } from "../random.ts";
import type { Timer, Timers } from "../timers.ts";
import { DeliveryQueue } from "./delivery_queue.ts";

/** Loss in bursts: the two-state Markov chain of Gilbert and Elliott. Probabilities go from 0 to 1. */
export interface BurstLoss {
  /** Probability that a frame in the good state begins a burst. */
  enter: number;
  /** Probability that a frame in the bad state ends the burst. Its inverse is the mean length of a burst in frames. */
  leave: number;
  /** Probability of losing a frame in the good state. Default 0. */
  lossGood?: number;
  /** Probability of losing a frame in the bad state. Default 1. */
  lossBad?: number;
}

/** A time in which nothing gets through, in milliseconds since the link was attached. */
export interface Outage {
  /** When it begins. */
  from: number;
  /** When it is over. */
  until: number;
}

/** What happens to the frames of one direction. Probabilities go from 0 to 1; what is left out does not happen. */
export interface ImpairmentOptions {
  /** Says which frames to lose: `index` counts all frames of the direction from 0. It only looks at the packet. */
  drop?: (packet: Packet, index: number) => boolean;
  /** Probability of losing a frame, each independently of the others. */
  loss?: number;
  /** Loss in bursts, on top of `loss`. */
  burstLoss?: BurstLoss;
  /** Times in which every frame is lost. */
  outages?: readonly Outage[];
  /** Probability that a frame arrives twice. */
  duplicate?: number;
  /** Probability that one bit of a frame is flipped. */
  corrupt?: number;
  /** Milliseconds that each frame takes. */
  delay?: number;
  /** Most milliseconds that a frame takes longer than `delay`, evenly distributed. Frames stay in order. */
  jitter?: number;
  /** Lets frames overtake each other where `jitter` has it so. Default false. */
  jitterReorders?: boolean;
  /** Probability that a frame is held back by `reorderDelay`, so that later ones overtake it. */
  reorder?: number;
  /** Milliseconds by which a frame is held back when it is to be reordered. Default 10. */
  reorderDelay?: number;
  /** Bits per second that get through, link headers included. */
  rate?: number;
  /** Most bytes that wait for their turn when there is a `rate`; what comes then is dropped. Default unlimited. */
  queueBytes?: number;
  /** Most frames that wait for their turn when there is a `rate`; what comes then is dropped. Default 1000. */
  queueFrames?: number;
  /** Most bytes of network-layer packet that get through: larger ones are lost without a word. */
  mtu?: number;
  /** Most frames that are on their way at one time; what comes then is dropped. Default 16,384. */
  inFlightFrames?: number;
}

/** Both directions of a link. */
export interface ImpairedLinkOptions {
  /** From which all chance is drawn. Default 1. */
  seed?: number;
  /** What happens to frames: the same both ways, or first that of the outgoing and then that of the incoming ones. */
  impairments?: ImpairmentOptions | readonly [ImpairmentOptions, ImpairmentOptions];
}

/** What became of the frames of one direction: `sent + duplicated` is the sum of the rest and the frames under way. */
export interface ImpairmentCounters {
  /** Frames that entered. */
  sent: number;
  /** Frames that came out. */
  delivered: number;
  /** Frames that were lost by chance, by `drop`, in an outage, or because the link was not open at both ends. */
  lost: number;
  /** Copies that were made. */
  duplicated: number;
  /** Frames that came out after one that had entered later; they count as delivered too. */
  reordered: number;
  /** Frames of which a bit was flipped; they count as whatever became of them too. */
  corrupted: number;
  /** Frames for which there was no room. */
  queueDropped: number;
  /** Frames that were larger than the MTU. */
  oversized: number;
}

/** What {@linkcode Impairment} is made of. */
export interface ImpairmentContext {
  /** What happens to frames. */
  options: ImpairmentOptions;
  /** Where chance comes from. */
  random: Random;
  /** Bytes of link header, which do not count towards the MTU. */
  linkHeaderBytes: number;
  /** Takes the frames that come out; it owns them. False when it had no room and released the packet. */
  deliver: (packet: Packet) => boolean;
}

const defaultQueueFrames = 1000;
const defaultInFlightFrames = 16_384;
const defaultReorderDelay = 10;

/** The two entries of {@linkcode ImpairedLinkOptions.impairments}. */
export function bothWays(options: ImpairedLinkOptions): readonly [ImpairmentOptions, ImpairmentOptions] {
  const { impairments = {} } = options;
  return isPair(impairments) ? impairments : [impairments, impairments];
}

/** One direction of a bad link. */
export class Impairment {
  /** What became of the frames. */
  readonly counters: ImpairmentCounters = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    queueDropped: 0,
    oversized: 0,
  };
  readonly #random: Random;
  readonly #linkHeaderBytes: number;
  readonly #deliver: (packet: Packet) => boolean;
  readonly #underWay = new DeliveryQueue();
  #options: ImpairmentOptions = {};
  #transparent = true;
  #departures = new DepartureQueue(defaultQueueFrames);
  #timers: Timers | null = null;
  #timer: Timer | null = null;
  #startedAt = 0;
  #inBurst = false;
  /** When the last frame has left at the given rate. */
  #busyUntil = -Infinity;
  #lastDue = -Infinity;
  #lastDelivered = 0;

  /**
   * Takes what it is made of. Nothing gets through before {@linkcode Impairment.start}.
   *
   * @throws {RangeError} If an option lies outside its range.
   */
  constructor(context: ImpairmentContext) {
    this.#random = context.random;
    this.#linkHeaderBytes = context.linkHeaderBytes;
    this.#deliver = context.deliver;
    this.configure(context.options);
  }

  /** Whether every frame passes at once and as it is: no option is set. */
  get transparent(): boolean {
    return this.#transparent;
  }

  /** Frames that are on their way. */
  get inFlight(): number {
    return this.#underWay.length;
  }

  /**
   * Changes what happens to the frames that enter from now on. Those on their way arrive as planned.
   *
   * @throws {RangeError} If an option lies outside its range.
   */
  configure(options: ImpairmentOptions): void {
    checkOptions(options);
    this.#options = { ...options };
    this.#transparent = Object.values(options).every((value) => value === undefined);
    this.#departures = new DepartureQueue(options.queueFrames ?? defaultQueueFrames);
    this.#inBurst = false;
    this.#busyUntil = -Infinity;
  }

  /** Opens the direction: delivery times are those of `timers`. */
  start(timers: Timers): void {
    this.#timers = timers;
    this.#timer = timers.create(() => this.#expire());
    this.#startedAt = timers.clock.now();
  }

  /** Closes the direction and releases the frames on their way. */
  stop(): void {
    this.counters.lost += this.#underWay.length;
    this.#underWay.clear();
    this.#timer?.dispose();
    this.#timer = null;
    this.#timers = null;
  }

  /** Takes a frame in. Consumes the packet. */
  accept(packet: Packet): void {
    const options = this.#options;
    const counters = this.counters;
    const index = counters.sent++;
    if (this.#transparent && this.#timers !== null && this.#underWay.length === 0) {
      this.#passOn(packet);
      return;
    }
    if (this.#timers === null || this.#isLost(packet, index)) {
      counters.lost++;
      packet.release();
      return;
    }
    if (options.mtu !== undefined && packet.length > options.mtu + this.#linkHeaderBytes) {
      counters.oversized++;
      packet.release();
      return;
    }
    const copy = this.#happens(options.duplicate) ? packet.copy() : null;
    this.#schedule(packet, this.#timers);
    if (copy !== null) {
      counters.duplicated++;
      this.#schedule(copy, this.#timers);
    }
  }

  #happens(probability: number | undefined): boolean {
    return probability !== undefined && probability > 0 && fraction(this.#random) < probability;
  }

  #isLost(packet: Packet, index: number): boolean {
    const { drop, loss, burstLoss, outages } = this.#options;
    if (drop !== undefined && drop(packet, index)) return true;
    if (outages !== undefined && this.#isOut(outages)) return true;
    if (this.#happens(loss)) return true;
    if (burstLoss === undefined) return false;
    if (this.#happens(this.#inBurst ? burstLoss.leave : burstLoss.enter)) this.#inBurst = !this.#inBurst;
    return this.#happens(this.#inBurst ? burstLoss.lossBad ?? 1 : burstLoss.lossGood);
  }

  #isOut(outages: readonly Outage[]): boolean {
    const elapsed = this.#timers!.clock.now() - this.#startedAt;
    for (const { from, until } of outages) {
      if (elapsed >= from && elapsed < until) return true;
    }
    return false;
  }

  /** Decides when a frame comes out, and lets it out where that is now. */
  #schedule(packet: Packet, timers: Timers): void {
    const options = this.#options;
    if (packet.length > 0 && this.#happens(options.corrupt)) {
      const bit = below(this.#random, packet.length * 8);
      packet.bytes[packet.head + (bit >>> 3)]! ^= 1 << (bit & 7);
      this.counters.corrupted++;
    }
    const now = timers.clock.now();
    const departure = options.rate === undefined ? now : this.#depart(packet.length, options.rate, now);
    if (departure < 0 || this.#underWay.length >= (options.inFlightFrames ?? defaultInFlightFrames)) {
      this.counters.queueDropped++;
      packet.release();
      return;
    }
    let due = departure + (options.delay ?? 0);
    if (options.jitter !== undefined) due += fraction(this.#random) * options.jitter;
    if (this.#happens(options.reorder)) {
      due += options.reorderDelay ?? defaultReorderDelay;
    } else if (!options.jitterReorders) {
      due = Math.max(due, this.#lastDue);
      this.#lastDue = due;
    }
    this.#underWay.enqueue(packet, due);
    if (this.#underWay.nextDue <= now) this.#deliverUntil(now);
    this.#startTimer();
  }

  /** When a frame of `bytes` has left at `rate`, or -1 when there is no room for it to wait. */
  #depart(bytes: number, rate: number, now: number): number {
    const { queueBytes = Infinity } = this.#options;
    const wait = this.#busyUntil - now;
    if (wait > 0 && ((wait * rate) / 8000 + bytes > queueBytes || !this.#departures.hasRoom(now))) return -1;
    this.#busyUntil = Math.max(now, this.#busyUntil) + (bytes * 8000) / rate;
    this.#departures.add(this.#busyUntil, now);
    return this.#busyUntil;
  }

  #deliverUntil(now: number): void {
    while (this.#underWay.nextDue <= now) {
      const order = this.#underWay.nextOrder;
      if (order < this.#lastDelivered) this.counters.reordered++;
      else this.#lastDelivered = order;
      this.#passOn(this.#underWay.dequeue()!);
    }
  }

  #passOn(packet: Packet): void {
    if (this.#deliver(packet)) this.counters.delivered++;
    else this.counters.queueDropped++;
  }

  #expire(): void {
    this.#deliverUntil(this.#timers!.clock.now());
    this.#startTimer();
  }

  /** One timer stands for all frames on their way. */
  #startTimer(): void {
    const due = this.#underWay.nextDue;
    if (due === Infinity) this.#timer?.stop();
    else if (this.#timer?.deadline !== due) this.#timer?.startAt(due);
  }
}

/** The moments at which the frames that wait for their turn will have left: a ring that is allocated once. */
class DepartureQueue {
  readonly #departures: Float64Array<ArrayBuffer>;
  #first = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#departures = new Float64Array(capacity);
  }

  hasRoom(now: number): boolean {
    this.#forgetUntil(now);
    return this.#length < this.#departures.length;
  }

  add(departure: number, now: number): void {
    this.#forgetUntil(now);
    this.#departures[(this.#first + this.#length) % this.#departures.length] = departure;
    this.#length++;
  }

  #forgetUntil(now: number): void {
    while (this.#length > 0 && this.#departures[this.#first]! <= now) {
      this.#first = (this.#first + 1) % this.#departures.length;
      this.#length--;
    }
  }
}

function isPair(
  impairments: ImpairmentOptions | readonly [ImpairmentOptions, ImpairmentOptions],
): impairments is readonly [ImpairmentOptions, ImpairmentOptions] {
  return Array.isArray(impairments);
}

function checkOptions(options: ImpairmentOptions): void {
  const { burstLoss } = options;
  checkRange("loss", options.loss, 0, 1);
  checkRange("duplicate", options.duplicate, 0, 1);
  checkRange("corrupt", options.corrupt, 0, 1);
  checkRange("reorder", options.reorder, 0, 1);
  checkRange("burstLoss.enter", burstLoss?.enter, 0, 1);
  checkRange("burstLoss.leave", burstLoss?.leave, 0, 1);
  checkRange("burstLoss.lossGood", burstLoss?.lossGood, 0, 1);
  checkRange("burstLoss.lossBad", burstLoss?.lossBad, 0, 1);
  checkRange("delay", options.delay, 0, Number.MAX_SAFE_INTEGER);
  checkRange("jitter", options.jitter, 0, Number.MAX_SAFE_INTEGER);
  checkRange("reorderDelay", options.reorderDelay, 0, Number.MAX_SAFE_INTEGER);
  checkRange("rate", options.rate, 1, Number.MAX_SAFE_INTEGER);
  checkRange("queueBytes", options.queueBytes, 0, Infinity);
  checkRange("queueFrames", options.queueFrames, 1, 1_000_000);
  checkRange("mtu", options.mtu, 0, Infinity);
  checkRange("inFlightFrames", options.inFlightFrames, 1, Infinity);
}

function checkRange(name: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (value >= least && value <= most)) return;
  throw new RangeError(`Cannot impair a link with ${name} = ${value}: it goes from ${least} to ${most}`);
}
