/**
 * The options by which a program's link becomes a bad network, and by which what passes is recorded.
 *
 * @module
 */

import { capture, type Device, impair, type ImpairmentOptions, type Logger } from "../mod.ts";
import { CaptureFile } from "./capture_file.ts";
import { errorLine, type Option, UsageError } from "./cli.ts";
import { bitRate, duration, percentage, wholeNumber } from "./values.ts";

function impairment(placeholder: string, help: string, parse: (text: string) => number): Option<number | null> {
  return { placeholder, help: `${help} (default: none)`, fallback: null, parse };
}

/** The options of {@linkcode wrapLink}. */
export const linkOptions = {
  loss: impairment("PERCENT", "Lose this share of the frames, each way, like 2%", percentage),
  delay: impairment("TIME", "Hold each frame back for so long, each way, like 20ms", duration(0)),
  jitter: impairment("TIME", "Hold each frame back for up to so much longer", duration(0)),
  reorder: impairment("PERCENT", "Let this share of the frames be overtaken by later ones", percentage),
  duplicate: impairment("PERCENT", "Deliver this share of the frames twice", percentage),
  corrupt: impairment("PERCENT", "Flip a bit in this share of the frames", percentage),
  rate: impairment("RATE", "Let no more than this through, each way, like 10mbit", bitRate),
  seed: {
    placeholder: "N",
    help: "Seed of the chance in the options above (default: 1)",
    fallback: 1,
    parse: wholeNumber(0, 0xffff_ffff),
  },
  pcap: { placeholder: "FILE", help: "Record all frames as pcapng", fallback: null, parse: (text) => text } as Option<
    string | null
  >,
  snaplen: {
    placeholder: "BYTES",
    help: "Record no more than this of each frame (default: all of it)",
    fallback: null,
    parse: wholeNumber(1, 262_144),
  } as Option<number | null>,
} as const;

/** The values of {@linkcode linkOptions}: probabilities from 0 to 1, milliseconds, bits per second; null for none. */
export interface LinkValues {
  /** Probability of losing a frame. */
  readonly loss: number | null;
  /** Milliseconds that each frame takes. */
  readonly delay: number | null;
  /** Most milliseconds that a frame takes longer. */
  readonly jitter: number | null;
  /** Probability that a frame is held back. */
  readonly reorder: number | null;
  /** Probability that a frame arrives twice. */
  readonly duplicate: number | null;
  /** Probability that a bit of a frame is flipped. */
  readonly corrupt: number | null;
  /** Bits per second. */
  readonly rate: number | null;
  /** The seed of chance. */
  readonly seed: number;
  /** The file to record to. */
  readonly pcap: string | null;
  /** Bytes to record of each frame. */
  readonly snaplen: number | null;
}

/** A device with what the options put in front of it. */
export interface WrappedLink {
  /** The device to attach. */
  readonly device: Device;
  /** Finishes the recording. To be called when the device has been closed; does nothing the second time. */
  finish(): void;
}

/**
 * Puts the bad network in front of a device that the options describe, and the recording in front of that: the
 * capture shows what the stack sends and what reaches it.
 *
 * @throws {UsageError} If the options contradict each other.
 * @throws {Error} If the capture cannot be created.
 */
export function wrapLink(inner: Device, values: LinkValues, logger: Logger): WrappedLink {
  const { pcap, snaplen, seed } = values;
  if (pcap === null && snaplen !== null) throw new UsageError("Cannot use --snaplen without --pcap: give a file");
  const impairments = impairmentsOf(values);
  const device = impairments === null ? inner : impair(inner, { seed, impairments });
  if (pcap === null) return { device, finish: () => {} };
  const file = new CaptureFile(pcap, (error) => logger.error(errorLine(error)));
  const options = { epoch: performance.timeOrigin, ...(snaplen === null ? {} : { snapLength: snaplen }) };
  return { device: capture(device, (bytes) => file.write(bytes), options), finish: () => file.close() };
}

/** What the options do to frames, or null where they do nothing. */
function impairmentsOf(values: LinkValues): ImpairmentOptions | null {
  const impairments: ImpairmentOptions = {};
  for (const name of ["loss", "delay", "jitter", "reorder", "duplicate", "corrupt", "rate"] as const) {
    const value = values[name];
    if (value !== null) impairments[name] = value;
  }
  return Object.keys(impairments).length === 0 ? null : impairments;
}
