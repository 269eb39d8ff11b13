/**
 * The settings of TCP as a whole.
 *
 * @module
 */

import type { CongestionControlName } from "./congestion/algorithms.ts";
import type { CongestionControlFactory } from "./congestion/control.ts";
import type { SequenceChooser } from "./isn.ts";
import type { ConnectionSettings } from "./user.ts";

/** What TCP offers to its peers, and how far it believes them. */
export interface TcpOptionsOffered {
  /** Offer and accept timestamps (RFC 7323). */
  timestamps: boolean;
  /** Offer and accept selective acknowledgements (RFC 2018). */
  selectiveAcknowledgements: boolean;
  /** Offer and accept window scaling (RFC 7323). */
  windowScaling: boolean;
  /** Explicit congestion notification (RFC 3168): ask for it, agree when a peer asks, or neither. */
  ecn: "request" | "accept" | "off";
  /**
   * Slow down less for a congestion mark than for a loss (RFC 8511, as RFC 8311 allows): routers that mark have short
   * queues. CUBIC keeps 0.85 of its window instead of 0.7, Reno 0.8 instead of 0.5.
   */
  alternativeBackoff: boolean;
  /**
   * Believe every RST in the window, as RFC 793 did. Otherwise only one that is exactly at RCV.NXT counts, so that
   * nobody off the path can guess one (RFC 5961 section 3).
   */
  trustResets: boolean;
  /** Reset a connection when a SYN arrives in its window, as RFC 793 did, instead of asking (RFC 5961 section 4). */
  trustSyns: boolean;
  /** Drop segments with SYN and FIN where a SYN could open a connection: only scanners send them. */
  dropSynFin: boolean;
  /** Give a handshake up when a router or the peer's host reports that it cannot be reached (RFC 5461 section 2). */
  heedNetworkErrors: boolean;
}

/** Settings of TCP as a whole that differ from the defaults. */
export interface TcpConfiguration extends Partial<TcpOptionsOffered> {
  /** What connections start with. */
  settings?: Partial<ConnectionSettings>;
  /** Answer SYNs with cookies when the SYN queue of a listener is full (RFC 4987). Default true. */
  synCookies?: boolean;
  /**
   * Answer every suspicious segment with an ACK (RFC 5961), without a limit. Default false: such answers are limited, so
   * that nobody can be made to send more than he is sent. For tests.
   */
  unlimitedChallenges?: boolean;
  /** The congestion control algorithm: `cubic`, `reno`, or what makes the state of one of your own. Default `cubic`. */
  congestionControl?: CongestionControlName | CongestionControlFactory;
  /**
   * The keys of TCP Fast Open's cookies, 16 bytes each, for servers that share an address: the first makes cookies, a
   * second one is accepted as well. Default: a secret of the stack's own, changed every day.
   */
  fastOpenKeys?: readonly Uint8Array[];
  /** Chooses initial sequence numbers. Default RFC 6528; anything that can be guessed is for tests only. */
  initialSequence?: SequenceChooser;
  /** How long connections stay in TIME-WAIT, in milliseconds: twice the maximum segment lifetime. Default 60,000. */
  timeWait?: number;
}

/** What is offered where a configuration leaves it open. */
export function optionsOffered(configuration: TcpConfiguration): TcpOptionsOffered {
  return {
    timestamps: configuration.timestamps ?? true,
    selectiveAcknowledgements: configuration.selectiveAcknowledgements ?? true,
    windowScaling: configuration.windowScaling ?? true,
    ecn: configuration.ecn ?? "accept",
    alternativeBackoff: configuration.alternativeBackoff ?? false,
    trustResets: configuration.trustResets ?? false,
    trustSyns: configuration.trustSyns ?? false,
    dropSynFin: configuration.dropSynFin ?? false,
    heedNetworkErrors: configuration.heedNetworkErrors ?? true,
  };
}
