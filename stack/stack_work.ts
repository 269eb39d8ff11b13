/**
 * What a stack does in one turn of its event loop: frames from the devices, timers, and what is due to be sent.
 *
 * @module
 */

import type { Work } from "./event_loop.ts";
import type { Nic } from "./link/nic.ts";
import type { Timers } from "./timers.ts";

/** Frames that are taken from one device before the others and the timers have their turn. */
const batchFrames = 64;

/**
 * Bytes that are taken from one device before the program has its turn, and one frame more: what fits a processor's
 * cache together with the buffer that the program reads it into.
 */
const batchBytes = 192 * 1024;

/** While more frames wait, this many batches are answered together: an answer may wake its receiver, which costs a lot. */
const batchesAnswered = 4;

/**
 * While more frames wait, the timers wait for this many batches: the acknowledgement that a retransmission timer misses
 * may be among them, where the loop has come late to its work.
 */
const batchesBeforeTimers = 16;

/** Bytes that are sent before the devices, the timers and the program have their turn. */
const flushBytes = 256 * 1024;

/** What becomes due to be sent in the course of a batch. */
export interface Flushable {
  /** Whether a flush follows soon, so that what is small may wait for it. Set here, and put out by the flush. */
  flushFollows: boolean;
  /** Whether something waits for nothing but the flush. */
  readonly answersWait: boolean;
  /** As {@linkcode Work.userCalls}. */
  readonly userCalls: number;
  /**
   * Whether data have arrived that somebody waits for, who may be about to answer. Put out here before frames are taken,
   * and by an answer.
   */
  answerExpected: boolean;
  /** Sends it, up to about a number of bytes. */
  flush(bytes: number): void;
}

/** The work of one stack. The clock stands still in each part of it, so that it is asked once and not for each packet. */
export class StackWork implements Work {
  readonly #nics: readonly Nic[];
  readonly #timers: Timers;
  readonly #transport: Flushable;
  /** How often a flush was put off since the last one. */
  #putOff = 0;
  /** Whether more frames are likely to wait: the last batch was a full one. */
  #more = false;
  /** Frames that have come since the last look for them was in vain, or the program answered one early. */
  #run = 0;
  /** Whether frames come one by one: there was no second one behind the last that came. */
  #single = false;
  /** Whether the last look for frames was in vain. */
  #ended = false;
  /** Whether the program answers a frame before others have been looked for. */
  #early = false;
  /** Frames that were found when they were: the next step counts them. */
  #found = 0;
  /** Batches since the timers last ran. */
  #batches = 0;
  /** As {@linkcode Work.steppedAt}. */
  steppedAt: number = -Infinity;

  /** The work with these interfaces, which may become more, timers, and transport. */
  constructor(nics: readonly Nic[], timers: Timers, transport: Flushable) {
    this.#nics = nics;
    this.#timers = timers;
    this.#transport = transport;
  }

  /**
   * Takes frames and lets timers expire; returns how many there were, and at least one where a flush was put off before.
   * Where frames come one by one, one that brings data that are waited for is handed to the program before others are
   * looked for, which {@linkcode StackWork.flush} does then; but not if there is no program between the two.
   */
  step(alone: boolean = false): number {
    const { clock } = this.#timers;
    try {
      clock.hold?.();
      this.#early = false;
      this.steppedAt = clock.now();
      const before = Math.max(this.#found, this.#putOff > 0 ? 1 : 0);
      this.#found = 0;
      const handled = this.#receive(this.steppedAt, this.#single && this.#ended && !alone) + before;
      // A single frame takes less time than asking for it.
      if (handled > 1) clock.hold?.();
      const waits = (this.#more || this.#early) && ++this.#batches < batchesBeforeTimers;
      const expired = waits ? 0 : this.#runTimers();
      // A single frame's answer goes at once: a peer that waits for it would wait for the program to come to rest as well.
      this.#transport.flushFollows = handled + expired > 1;
      return handled + expired;
    } finally {
      clock.release?.();
    }
  }

  /**
   * Sends what has become due, up to a limit; but nothing while more is received that can be acknowledged together, and
   * the program has answered nothing of it.
   */
  flush(): void {
    if (this.#early && this.#lookAgain()) this.#putOff++;
    else if (this.#more && this.#putOff < batchesAnswered - 1 && !this.#transport.answersWait) this.#putOff++;
    else this.#send(flushBytes);
  }

  /** Sends all that has become due. */
  flushAll(): void {
    this.#send(Infinity);
  }

  /**
   * Looks for frames that came with one that the program has seen already, and returns whether there are any. If it has
   * answered, no acknowledgement waits for them.
   */
  #lookAgain(): boolean {
    this.#early = false;
    if (!this.#transport.answerExpected) {
      this.#run = 0;
      return false;
    }
    const { clock } = this.#timers;
    try {
      clock.hold?.();
      this.#found = this.#receive(clock.now(), false);
      if (this.#found > 0) this.#transport.flushFollows = true;
      return this.#found > 0;
    } finally {
      clock.release?.();
    }
  }

  #runTimers(): number {
    this.#batches = 0;
    return this.#timers.run();
  }

  /** As {@linkcode Work.userCalls}. */
  get userCalls(): number {
    return this.#transport.userCalls;
  }

  #send(bytes: number): void {
    this.#putOff = 0;
    const { clock } = this.#timers;
    try {
      clock.hold?.();
      this.#transport.flush(bytes);
    } finally {
      clock.release?.();
    }
  }

  /** When the next timer expires, in milliseconds. */
  nextDeadline(): number {
    return this.#timers.nextDeadline();
  }

  /**
   * Takes a batch of frames from each device, which arrived by `now`, and returns how many there were. With `early` it
   * takes no more than the first if that makes an answer likely.
   */
  #receive(now: number, early: boolean): number {
    let received = 0;
    this.#more = false;
    const nics = this.#nics;
    const transport = this.#transport;
    transport.answerExpected = false;
    for (let index = 0; index < nics.length; index++) {
      const nic = nics[index]!;
      if (nic.device.wantsWrite) nic.device.flush();
      let frames = 0;
      let bytes = 0;
      while (frames < batchFrames && bytes < batchBytes) {
        const packet = nic.receive(now);
        if (packet === null) break;
        frames++;
        bytes += packet.length;
        nic.link.pop(packet);
        if (!early) continue;
        early = false;
        if (!transport.answerExpected) continue;
        this.#early = true;
        this.#ended = false;
        this.#run = 1;
        return 1;
      }
      received += frames;
      if (frames === batchFrames || bytes >= batchBytes) this.#more = true;
    }
    this.#run += received;
    this.#ended = !this.#more;
    if (this.#ended && this.#run > 0) {
      this.#single = this.#run === 1;
      this.#run = 0;
    }
    return received;
  }
}
