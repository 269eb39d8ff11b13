/**
 * What connections start with.
 *
 * @module
 */

import type { ConnectionSettings } from "./user.ts";

/** The defaults. Connections whose settings nobody changed share this one object. */
export const defaultSettings: Readonly<ConnectionSettings> = Object.freeze({
  noDelay: false,
  keepAlive: false,
  keepAliveIdle: 7_200_000,
  keepAliveInterval: 75_000,
  keepAliveCount: 9,
  userTimeout: 0,
  sendBufferBytes: 4 * 1024 * 1024,
  receiveBufferBytes: 4 * 1024 * 1024,
});
