/**
 * `epoll` descriptors.
 *
 * @module
 */

import { constants } from "./constants.ts";
import { Descriptor } from "./descriptor.ts";
import type { Outcome } from "./errno.ts";

/** What is wanted of one descriptor. */
interface Interest {
  readonly descriptor: Descriptor;
  wanted: number;
  data: number;
  /** What was ready when it was last told, for those that want to hear of changes only. */
  told: number;
  /** What had arrived then. */
  arrived: number;
}

/** An event that holds. */
export interface ReadyEvent {
  /** What was given along with the interest. */
  readonly data: number;
  /** The events. */
  readonly events: number;
}

/** Events that are told whether they were asked for or not. */
const always = constants.EPOLLERR! | constants.EPOLLHUP!;

/** An `epoll` descriptor. */
export class Epoll extends Descriptor {
  readonly #interests = new Map<number, Interest>();

  /** Adds, changes or drops an interest. */
  control(operation: number, number: number, descriptor: Descriptor, wanted: number, data: number): Outcome {
    const known = this.#interests.get(number);
    if (operation === constants.EPOLL_CTL_ADD) {
      if (known !== undefined) return "EEXIST";
      this.#interests.set(number, { descriptor, wanted, data, told: 0, arrived: 0 });
      return 0;
    }
    if (known === undefined) return "ENOENT";
    if (operation === constants.EPOLL_CTL_DEL) this.#interests.delete(number);
    else Object.assign(known, { wanted, data, told: 0 });
    return 0;
  }

  /** At most `most` of the events that hold. */
  take(most: number): ReadyEvent[] {
    const ready: ReadyEvent[] = [];
    for (const interest of this.#interests.values()) {
      const events = interest.descriptor.ready & ((interest.wanted | always) >>> 0);
      const edgeTriggered = (interest.wanted & constants.EPOLLET!) !== 0;
      const { arrived } = interest.descriptor;
      // More data are news too.
      const changed = arrived > interest.arrived ? events : events & ~interest.told;
      const news = edgeTriggered ? changed : events;
      interest.told = events;
      interest.arrived = arrived;
      if (news === 0 || ready.length >= most) continue;
      ready.push({ data: interest.data, events });
      if ((interest.wanted & constants.EPOLLONESHOT!) !== 0) interest.wanted = 0;
    }
    return ready;
  }
}
