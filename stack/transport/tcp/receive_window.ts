/**
 * The receive window: which numbers are acceptable, and how much more the peer may send.
 *
 * @module
 */

import { add, after, before, distance, notBefore } from "../../sequence.ts";

/** The receive sequence variables of one connection, and its window. Sizes are in bytes. */
export abstract class ReceiveWindow {
  /** RCV.NXT. */
  rcvNxt: number = 0;
  /** The right edge that was announced: RCV.NXT + RCV.WND. It never moves back. */
  rightEdge: number = 0;
  /** Shift count of the windows that we announce. */
  windowScale: number = 0;
  /** Payload of the largest segment that the peer sent lately, in bytes: what counts as a full segment. */
  segmentBytes: number = 536;

  #limit: number;
  readonly #initialWindow: number;
  #maximum: number;
  /** Whether the first window was smaller than it should be, because a SYN cannot announce more. */
  #cutBySyn = false;

  /** At most `maximum` bytes will wait for the application; the window that is offered at first is `window`. */
  constructor(maximum: number, window: number) {
    this.#maximum = maximum;
    this.#limit = Math.min(window, maximum);
    this.#initialWindow = this.#limit;
  }

  /** In-order bytes that wait for the application. */
  abstract get queued(): number;

  /** RCV.WND, in bytes. */
  get window(): number {
    return distance(this.rightEdge, this.rcvNxt);
  }

  /** Changes the most bytes that wait for the application. The window that was announced stays. */
  set maximum(bytes: number) {
    this.#maximum = bytes;
    this.#limit = Math.min(this.#limit, bytes);
  }

  /** The shift count with which the largest window can be announced (RFC 7323 section 2.2). */
  static scaleFor(maximum: number): number {
    let scale = 0;
    while (scale < 14 && 65535 << scale < maximum) scale++;
    return scale;
  }

  /** The window that a SYN announces: never scaled (RFC 7323 section 2.2). */
  get synWindow(): number {
    return Math.min(this.#limit - this.queued, 65535);
  }

  /** Puts the window behind the peer's SYN. */
  protected startWindow(initialSequence: number): void {
    this.rcvNxt = add(initialSequence, 1);
    this.rightEdge = add(this.rcvNxt, this.synWindow);
    this.#cutBySyn = this.#limit > this.synWindow;
  }

  /**
   * Lets the peer use the whole window that was asked for, and not only what our SYN could announce of it. For who
   * opens a connection himself: an answer to anybody's SYN promises no more than it says.
   */
  openWindow(): void {
    this.rightEdge = this.#wantedEdge(0);
  }

  /** The data of the peer's SYN have been taken (RFC 7413): the window that our SYN and ACK announces lies behind them. */
  takenFromSyn(): void {
    this.rightEdge = add(this.rcvNxt, this.synWindow);
  }

  /** The application reads so fast that the window should be `wanted`: it grows, at least to twice what it was. */
  protected growWindow(wanted: number): void {
    if (wanted > this.#limit) this.#limit = Math.min(this.#maximum, Math.max(wanted, 2 * this.#limit));
  }

  /**
   * Whether a segment lies in the window (RFC 9293 section 3.10.7.4, first step). A segment at RCV.NXT is taken even
   * when the window is closed: its data are cut off, its acknowledgement counts.
   */
  acceptable(sequence: number, length: number): boolean {
    if (sequence === this.rcvNxt) return true;
    if (notBefore(sequence, this.rcvNxt) && before(sequence, this.rightEdge)) return true;
    if (length === 0) return false;
    const last = add(sequence, length - 1);
    return before(sequence, this.rcvNxt) && notBefore(last, this.rcvNxt);
  }

  /**
   * Moves the right edge as far as the buffer allows and it is worth it, and returns the window field that announces
   * it (RFC 9293 section 3.8.6.2.2; RFC 7323 section 2.3).
   */
  announce(scaled: boolean): number {
    const scale = scaled ? this.windowScale : 0;
    const wanted = this.#wantedEdge(scale);
    if (this.#worthAnnouncing(wanted) || (this.#cutBySyn && after(wanted, this.rightEdge))) this.rightEdge = wanted;
    this.#cutBySyn = false;
    const window = this.window;
    // The peer sees the window in steps: rounded up, so that the edge that it has seen does not move back.
    const step = 1 << scale;
    const field = Math.min(65535, Math.ceil(window / step));
    const announced = add(this.rcvNxt, field * step);
    if (after(announced, this.rightEdge)) this.rightEdge = announced;
    return field;
  }

  /** Whether reading has made so much room that the peer should hear of it now (RFC 9293 section 3.8.6.2.2). */
  get windowUpdateDue(): boolean {
    const wanted = this.#wantedEdge(this.windowScale);
    return this.#worthAnnouncing(wanted) && this.window < this.#limit / 2;
  }

  /** Where the right edge could be: what fits the buffer behind what waits in it, in steps that can be announced. */
  #wantedEdge(scale: number): number {
    const free = Math.max(0, this.#limit - this.queued);
    const step = 1 << scale;
    // Without scaling no more than 65,535 can be announced, but what was asked for is taken if it comes.
    const most = scale === 0 ? Math.max(this.#initialWindow, 65535) : 65535 * step;
    return add(this.rcvNxt, Math.min(Math.floor(free / step) * step, most));
  }

  /** RFC 9293 section 3.8.6.2.2: moves of less than a segment, or half the buffer, are not worth announcing. */
  #worthAnnouncing(wanted: number): boolean {
    const gain = distance(wanted, this.rightEdge);
    return gain > 0 && gain >= Math.min(this.#limit / 2, this.segmentBytes);
  }
}
