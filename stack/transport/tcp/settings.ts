/**
 * What connections start with, and what their settings can be.
 *
 * @module
 */

import { congestionControlNames } from "./congestion/algorithms.ts";
import { initialTimeout, maximumTimeout, minimumTimeout } from "./rtt.ts";
import type { ConnectionSettings } from "./user.ts";

/** The defaults. Connections whose settings nobody changed share this one object. */
export const defaultSettings: Readonly<ConnectionSettings> = Object.freeze({
  noDelay: false,
  cork: false,
  pacing: true,
  pathMtuProbing: true,
  keepAlive: false,
  keepAliveIdle: 7_200_000,
  keepAliveInterval: 75_000,
  keepAliveCount: 9,
  userTimeout: 0,
  linger: null,
  sendBufferBytes: 4 * 1024 * 1024,
  receiveBufferBytes: 4 * 1024 * 1024,
  initialReceiveWindow: 65535,
  quickAcknowledgements: 16,
  initialTimeout,
  synRetransmissions: 7,
  minimumTimeout,
  maximumSegmentBytes: 0,
  congestionControl: null,
  timeToLive: 64,
  trafficClass: 0,
});

/** The smallest setting of the maximum segment size, in bytes: smaller segments would cost more than they carry. */
export const smallestSegmentBytes = 48;

/** The largest buffer, in bytes: what the largest window can announce (RFC 7323 section 2.3). */
const largestBuffer = 2 ** 30;

/** The longest time that is waited for, in milliseconds: some 24 days. */
const longestTime = 2 ** 31 - 1;

/** What a setting can be: whether a value will do, and what is said when it does not. */
interface Allowed {
  readonly allows: (value: unknown) => boolean;
  readonly text: string;
}

const boolean: Allowed = { allows: (value) => typeof value === "boolean", text: "true or false" };

function whole(least: number, most: number, unit = ""): Allowed {
  return {
    allows: (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
    text: `a whole number from ${least} to ${most}${unit}`,
  };
}

/** Times need not be whole. */
function time(least: number, most: number, unit = "milliseconds"): Allowed {
  return {
    allows: (value) => typeof value === "number" && value >= least && value <= most,
    text: `a number of ${unit} from ${least} to ${most}`,
  };
}

function orElse(other: unknown, { allows, text }: Allowed): Allowed {
  return { allows: (value) => value === other || allows(value), text: `${text}, or ${other}` };
}

const allowed: Readonly<Record<keyof ConnectionSettings, Allowed>> = {
  noDelay: boolean,
  cork: boolean,
  pacing: boolean,
  pathMtuProbing: boolean,
  keepAlive: boolean,
  keepAliveIdle: time(1, longestTime),
  keepAliveInterval: time(1, longestTime),
  keepAliveCount: whole(1, 1000),
  userTimeout: time(0, longestTime),
  linger: orElse(null, time(0, 65535, "seconds")),
  sendBufferBytes: whole(1, largestBuffer, " bytes"),
  receiveBufferBytes: whole(1, largestBuffer, " bytes"),
  initialReceiveWindow: whole(1, largestBuffer, " bytes"),
  quickAcknowledgements: orElse(Infinity, whole(0, 1_000_000)),
  initialTimeout: time(1, maximumTimeout),
  synRetransmissions: whole(0, 127),
  minimumTimeout: time(1, maximumTimeout),
  maximumSegmentBytes: orElse(0, whole(smallestSegmentBytes, 65535, " bytes")),
  congestionControl: {
    allows: (value) =>
      value === null || typeof value === "function" || congestionControlNames.includes(value as string),
    text: `${congestionControlNames.map((name) => `"${name}"`).join(", ")}, or a function that makes an algorithm`,
  },
  timeToLive: whole(1, 255),
  trafficClass: whole(0, 255),
};

/** What the settings of TCP as a whole can be, as far as they are not the connections'. */
const allowedForAll: Readonly<Record<string, Allowed>> = {
  timestamps: boolean,
  selectiveAcknowledgements: boolean,
  windowScaling: boolean,
  ecn: {
    allows: (value) => value === "request" || value === "accept" || value === "off",
    text: '"request", "accept" or "off"',
  },
  alternativeBackoff: boolean,
  trustResets: boolean,
  trustSyns: boolean,
  dropSynFin: boolean,
  heedNetworkErrors: boolean,
  synCookies: boolean,
  unlimitedChallenges: boolean,
  timeWait: time(0, longestTime),
};

/**
 * Checks settings that a user gives.
 *
 * @throws {RangeError} If a value is not allowed; the message says what is.
 * @throws {TypeError} If there is no such setting.
 */
export function checkSettings(settings: Partial<ConnectionSettings>): void {
  for (const [name, value] of Object.entries(settings)) {
    if (!Object.hasOwn(allowed, name)) {
      throw new TypeError(`Cannot use the setting "${name}": there is none of that name`);
    }
    check(name, value, allowed[name as keyof ConnectionSettings]);
  }
}

/**
 * Checks settings of TCP as a whole that a user gives; what is left out, or stands for something else, is passed over.
 *
 * @throws {RangeError} If a value is not allowed; the message says what is.
 */
export function checkConfiguration(configuration: object): void {
  for (const [name, value] of Object.entries(configuration)) {
    const rule = Object.hasOwn(allowedForAll, name) ? allowedForAll[name] : undefined;
    if (rule !== undefined && value !== undefined) check(name, value, rule);
  }
}

function check(name: string, value: unknown, { allows, text }: Allowed): void {
  if (allows(value)) return;
  const shown = typeof value === "string" ? `"${value}"` : String(value);
  throw new RangeError(`Cannot use ${shown} as the setting "${name}": it must be ${text}`);
}
