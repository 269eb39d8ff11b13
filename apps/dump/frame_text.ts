/**
 * A captured frame as lines of text or JSON.
 *
 * @module
 */

import { type Description, dissectFrame, type Layer } from "../../mod.ts";
import type { CapturedFrame } from "../../stack/link/pcap_reader.ts";
import { mediumOf } from "./medium.ts";

/** How frames are shown. */
export interface FrameStyle {
  /** No time in front of the line. */
  readonly timeless: boolean;
  /** Every field of every header below the line. */
  readonly verbose: boolean;
  /** All bytes below the line. */
  readonly hex: boolean;
  /** Source, destination, protocol and ports only. */
  readonly ids: boolean;
  /** One JSON object for each frame. */
  readonly json: boolean;
}

const hexLineBytes = 16;

/** The lines of a frame, whose description is at hand already. */
export function frameText(frame: CapturedFrame, description: Description, style: FrameStyle): string {
  if (style.json) return JSON.stringify(frameObject(frame, description, style));
  const line = style.ids ? identities(description) : description.text;
  const lines = [timedLine(frame.timestamp, line, style)];
  if (style.verbose) lines.push(...dissectFrame(frame.bytes, { medium: mediumOf(frame.interface) }).map(layerLine));
  if (style.hex) lines.push(...hexLines(frame.bytes));
  return lines.join("\n");
}

/** A line about something that happened, with the time of day in front unless that is unwanted. */
export function timedLine(timestamp: number, text: string, { timeless }: FrameStyle): string {
  return timeless ? text : `${timeText(timestamp)} ${text}`;
}

/** The time of day, as tcpdump shows it. */
function timeText(timestamp: number): string {
  const date = new Date(timestamp);
  const two = (value: number) => String(value).padStart(2, "0");
  const microseconds = Math.floor((timestamp * 1000) % 1_000_000);
  const seconds = `${two(date.getSeconds())}.${String(microseconds).padStart(6, "0")}`;
  return `${two(date.getHours())}:${two(date.getMinutes())}:${seconds}`;
}

/** Who speaks to whom: `TCP 10.0.0.1:1024 > 10.0.0.2:80`. */
function identities({ ethernet, arp, network, transport }: Description): string {
  if (arp !== null) return `ARP ${arp.sender} > ${arp.target}`;
  if (network !== null) {
    const end = (address: string, port: number | null | undefined) =>
      port == null ? address : network.family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
    const source = end(network.source, transport?.sourcePort);
    return `${transport?.name ?? "IP"} ${source} > ${end(network.destination, transport?.destinationPort)}`;
  }
  if (ethernet === null) return "unknown";
  return `0x${ethernet.etherType.toString(16).padStart(4, "0")} ${ethernet.source} > ${ethernet.destination}`;
}

function layerLine({ name, fields }: Layer): string {
  return `    ${name}: ${fields.map((field) => `${field.name} ${field.value}`).join(", ")}`;
}

function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += hexLineBytes) {
    const part = bytes.subarray(at, at + hexLineBytes);
    const words = part.toHex().match(/.{1,4}/g)!.join(" ");
    const text = Array.from(part, (byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".").join("");
    lines.push(`    0x${at.toString(16).padStart(4, "0")}:  ${words.padEnd(39)}  ${text}`);
  }
  return lines;
}

function frameObject(frame: CapturedFrame, description: Description, style: FrameStyle): unknown {
  const { text, problem, ethernet, arp, network, transport } = description;
  const { timestamp, originalLength, bytes } = frame;
  return {
    time: timestamp,
    interface: frame.interface.name,
    length: originalLength,
    captured: bytes.length,
    ...(style.ids ? { text: identities(description) } : { text, problem, ethernet, arp, network, transport }),
    ...(style.verbose ? { layers: dissectFrame(bytes, { medium: mediumOf(frame.interface) }) } : {}),
    ...(style.hex ? { bytes: bytes.toHex() } : {}),
  };
}
