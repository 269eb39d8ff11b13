/**
 * The active open: what the answer to our SYN means where that asked for Fast Open, or carried data (RFC 7413 section 4.2.1).
 *
 * @module
 */

import { add, after } from "../../sequence.ts";
import type { Connection } from "./connection.ts";
import type { Segment } from "./segment.ts";

/** The peer has sent SYN and ACK, whose acknowledgement has been taken. */
export function fastOpenAnswered({ fastOpen, sender, context, remote }: Connection, { options }: Segment): void {
  if (fastOpen === null) return;
  const { cache } = context.fastOpen;
  const { address } = remote;
  if (!fastOpen.lost) cache.answered(address, options.maximumSegmentSize);
  if (options.fastOpenBytes > 0) {
    const cookie = options.fastOpenCookie.slice(0, options.fastOpenBytes);
    cache.learn(address, cookie, options.fastOpenExperimental, options.maximumSegmentSize);
  }
  if (sender.bytesSent === 0) return;
  fastOpen.succeeded = after(sender.sndUna, add(sender.initialSequence, 1));
  if (fastOpen.succeeded) context.counters.fastOpenActive++;
  else if (options.fastOpenBytes <= 0) cache.refused(address);
  if (sender.scoreboard.count === 0) return;
  // What the server did not take was not lost on the way: it is sent again at once, and the window stays.
  context.counters.fastOpenActiveRefused++;
  sender.recovery.segmentsTooBig(0);
}
