/**
 * Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 section 7.1): a clock plus a keyed function of
 * the connection's addresses and ports, so that nobody off the path can guess them.
 *
 * @module
 */

import type { Clock } from "../../clock.ts";
import type { Random } from "../../random.ts";
import type { Endpoint } from "../endpoint.ts";
import { sipHash } from "../../siphash.ts";

/**
 * The clock of initial sequence numbers ticks every 64 nanoseconds. RFC 9293 section 3.4.1 says 4 microseconds, which
 * was faster than any link then: a connection that sends more than 250 bytes in its last millisecond would be followed
 * by one that begins below its end. The numbers come round after 275 s, more than the maximum segment lifetime.
 */
const ticksPerMillisecond = 15_625;

/** Chooses where the sequence numbers and timestamps of a connection begin. */
export interface SequenceChooser {
  /** The initial sequence number of a connection that starts now. */
  next(local: Endpoint, remote: Endpoint): number;
  /** What is added to the clock for the timestamps of a connection: the same for the same addresses and ports. */
  timestampOffset(local: Endpoint, remote: Endpoint): number;
}

/** Chooses with a secret of its own. */
export class InitialSequence implements SequenceChooser {
  readonly #clock: Clock;
  readonly #key = new Uint32Array(4);
  readonly #message = new Uint32Array(10);

  /** Draws the secret from `random`. */
  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    for (let word = 0; word < 4; word++) this.#key[word] = random.uint32();
  }

  /** The initial sequence number of a connection that starts now (RFC 6528 section 3). */
  next(local: Endpoint, remote: Endpoint): number {
    return (this.#hash(local, remote, 0) + Math.floor(this.#clock.now() * ticksPerMillisecond)) >>> 0;
  }

  /**
   * What is added to the clock for the timestamps of a connection (RFC 7323 section 7.1): the same for the same
   * addresses and ports.
   */
  timestampOffset(local: Endpoint, remote: Endpoint): number {
    return this.#hash(local, remote, 1);
  }

  #hash(local: Endpoint, remote: Endpoint, purpose: number): number {
    const message = this.#message;
    let length = 0;
    for (const word of local.address.words) message[length++] = word;
    for (const word of remote.address.words) message[length++] = word;
    message[length++] = ((local.port << 16) | remote.port) >>> 0;
    message[length++] = purpose;
    return sipHash(this.#key, message, length);
  }
}
