/**
 * What connections start with.
 *
 * @module
 */

import { initialTimeout, minimumTimeout } from "./rtt.ts";
import type { ConnectionSettings } from "./user.ts";

/** The defaults. Connections whose settings nobody changed share this one object. */
export const defaultSettings: Readonly<ConnectionSettings> = Object.freeze({
  noDelay: false,
  pacing: true,
  keepAlive: false,
  keepAliveIdle: 7_200_000,
  keepAliveInterval: 75_000,
  keepAliveCount: 9,
  userTimeout: 0,
  sendBufferBytes: 4 * 1024 * 1024,
  receiveBufferBytes: 4 * 1024 * 1024,
  initialReceiveWindow: 65535,
  quickAcknowledgements: 16,
  initialTimeout,
  minimumTimeout,
  maximumSegmentBytes: 0,
  timeToLive: 64,
  trafficClass: 0,
});
