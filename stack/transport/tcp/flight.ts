/**
 * What a sending half knows only while something of it is in the network or waits to be sent. Most connections of a busy
 * server wait for their peer: these objects go from one to the next, which saves memory, and they are the ones that the
 * processor has in its caches.
 *
 * @module
 */

import { FreeList } from "../../free_list.ts";
import { type CongestionControl, CongestionWindow } from "./congestion/control.ts";
import { Delivery } from "./delivery.ts";
import { Pacer } from "./pacing.ts";
import { LossRecovery, type RepairedSender } from "./recovery.ts";
import type { RingStorage } from "./ring.ts";
import { RttEstimator } from "./rtt.ts";
import { type LossWatcher, Scoreboard } from "./scoreboard.ts";
import { SendBuffer } from "./send_buffer.ts";

/** A sending half, as far as its flight works for it. */
export interface FlyingSender extends LossWatcher {
  /** Payload bytes of a full segment. */
  readonly segmentBytes: number;
  /** The congestion control algorithm. */
  readonly control: CongestionControl;
  /** Its numbers that are no whole numbers. */
  readonly measures: number[];
}

/** What one sending half at a time has in the network, and what waits to follow it. */
export class Flight implements RepairedSender {
  /** The round-trip estimator. */
  readonly rtt: RttEstimator = new RttEstimator();
  /** The congestion window. */
  readonly window: CongestionWindow;
  /** The segments in the network. */
  readonly scoreboard: Scoreboard = new Scoreboard();
  /** Written and not acknowledged yet. */
  readonly buffer: SendBuffer;
  /** Loss recovery. */
  readonly recovery: LossRecovery;
  /** Whether loss recovery has anything to do: not before data have been sent. */
  repairable: boolean = false;
  /** The pace at which the window is used. */
  readonly pacer: Pacer;
  /** What has been delivered. */
  readonly delivery: Delivery;
  /** End of the last segment that was sent short of a full one; Nagle's algorithm waits for its acknowledgement. */
  smallEnd: number = 0;
  /** Most bytes that were in the network in this round trip. */
  roundFlight: number = 0;
  /** Where this round trip ends. */
  roundEnd: number = 0;
  #sender: FlyingSender;

  /** Made by {@linkcode SpareFlights}, which calls {@linkcode Flight.begin}. */
  constructor(storage: RingStorage, sender: FlyingSender) {
    this.#sender = sender;
    this.window = new CongestionWindow(sender.segmentBytes);
    this.buffer = new SendBuffer(storage);
    this.recovery = new LossRecovery(this.scoreboard, this);
    this.pacer = new Pacer(this.window, this.rtt);
    this.delivery = new Delivery(sender.measures);
  }

  /** Begins with a sending half that has nothing in the network; its first byte is going to be `start`. */
  begin(sender: FlyingSender, sndUna: number, start: number): void {
    this.#sender = sender;
    this.rtt.use(sender.measures);
    this.window.use(sender.measures, sender.segmentBytes);
    this.scoreboard.watcher = sender;
    this.buffer.begin(start);
    this.recovery.begin(this);
    this.pacer.begin();
    this.delivery.begin(sender.measures);
    this.repairable = false;
    this.smallEnd = this.roundEnd = sndUna;
    this.roundFlight = 0;
  }

  /** The congestion control algorithm. */
  get control(): CongestionControl {
    return this.#sender.control;
  }

  /** Whether nothing is in the network, nothing waits, and nothing is known that would matter later. */
  atRest(now: number): boolean {
    return this.scoreboard.count === 0 && this.buffer.queued === 0 && this.recovery.atRest && this.pacer.atRest(now);
  }

  /** Throws away what is in the network and what waits. */
  clear(): void {
    this.buffer.clear();
    this.scoreboard.clear();
  }
}

/** The flights of the connections that have nothing in the network, for those that do. */
export class SpareFlights {
  /** The send buffer of those that have no flight: nothing is put into it. */
  readonly noBuffer: SendBuffer;
  readonly #storage: RingStorage;
  readonly #spare = new FreeList<Flight>();

  /** Send buffers take their memory from `storage`. */
  constructor(storage: RingStorage) {
    this.#storage = storage;
    this.noBuffer = new SendBuffer(storage);
  }

  /** A flight for a sending half that has none; see {@linkcode Flight.begin}. */
  take(sender: FlyingSender, sndUna: number, start: number): Flight {
    const flight = this.#spare.take() ?? new Flight(this.#storage, sender);
    flight.begin(sender, sndUna, start);
    return flight;
  }

  /** Takes a flight back in which nothing is left. Returns what is left to its user: nothing. */
  recycle(flight: Flight): null {
    // What a recovery leaves behind that had not come to its end is none of the next connection's business.
    if (flight.recovery.atRest) this.#spare.keep(flight);
    return null;
  }
}
