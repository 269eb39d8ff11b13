/**
 * The numbers of a connection that are no whole numbers, as times are, and those that belong to them.
 *
 * V8 keeps such a number, where it is the property of an object, in an object of its own of 16 bytes besides the property;
 * in an array of such numbers each takes 8 bytes. An idle end takes 120 bytes less for it.
 *
 * @module
 */

/** What stands where in an array of measures. Times are in milliseconds, sizes in bytes. */
export const Measure = {
  /** SRTT; 0 before the first sample. */
  smoothedRtt: 0,
  /** RTTVAR. */
  rttVariance: 1,
  /** The latest sample of the round-trip time. */
  latestRtt: 2,
  /** The smallest sample of the round-trip time; Infinity before the first. */
  minimumRtt: 3,
  /** When that was taken. */
  minimumRttAt: 4,
  /** The retransmission time-out without back-off. */
  timeout: 5,
  /** The congestion window. */
  window: 6,
  /** The slow-start threshold; Infinity until the first congestion. */
  slowStartThreshold: 7,
  /** When something was last sent that is to be acknowledged. */
  sentAt: 8,
  /** When the last segment arrived. */
  receivedAt: 9,
  /** When the connection began. */
  openedAt: 10,
  /** Sequence space that the peer has said it has, acknowledged or selectively so. */
  delivered: 11,
  /** Bytes a second that arrived in the last round trip that was full of data; 0 before the first. */
  deliveryRate: 12,
  /** How often the time-out has been doubled since the last fresh sample. */
  backoff: 13,
  /** Least that the time-out exceeds the smoothed round-trip time by. */
  leastTimeout: 14,
  /** 1 if the first sample of the round-trip time held a wait that the next ones do not, 0 otherwise. */
  firstWaits: 15,
  /** 1 if slow start follows a retransmission time-out, 0 otherwise. */
  afterTimeout: 16,
} as const;

/** Those of a connection that has not begun. Infinity is no whole number, which makes it an array of such numbers. */
const initial: readonly number[] = [0, 0, 0, Infinity, 0, 0, 0, Infinity, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/** The measures of a connection that has not begun; see {@linkcode Measure}. */
export function newMeasures(): number[] {
  return initial.slice();
}
