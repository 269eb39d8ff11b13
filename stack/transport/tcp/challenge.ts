/**
 * The budget of challenge ACKs (RFC 5961 section 7): limited for all connections together, and by an amount that an
 * attacker cannot know, since a fixed one can be counted down to learn whether a guess was right (CVE-2016-5696).
 *
 * @module
 */

import { below, type Random } from "../../random.ts";

/** Smallest number of challenge ACKs in a period; up to as many again are added by chance. */
const smallestBudget = 500;

/** Length of a period, in milliseconds. */
const period = 1000;

/** The budget of one stack. */
export class ChallengeBudget {
  /** Whether there is no limit: for networks that can be trusted, and for tests. */
  readonly unlimited: boolean;
  readonly #random: Random;
  #left = 0;
  #periodEnd = -Infinity;

  /** Draws the amounts from `random`. */
  constructor(random: Random, unlimited = false) {
    this.#random = random;
    this.unlimited = unlimited;
  }

  /** Whether one more may be sent at `now`; counts it. */
  take(now: number): boolean {
    if (this.unlimited) return true;
    if (now >= this.#periodEnd) {
      this.#periodEnd = now + period;
      this.#left = smallestBudget + below(this.#random, smallestBudget);
    }
    return this.#left-- > 0;
  }
}
