/**
 * Amounts and rates, written and read as iperf3 does.
 *
 * @module
 */

import { InvalidValue } from "../cli.ts";

const letters = ["", "K", "M", "G", "T"] as const;

function scaled(value: number, base: number): string {
  let step = 0;
  while (value >= base && step < letters.length - 1) {
    value /= base;
    step++;
  }
  // Three digits that count, as iperf3 shows them.
  const decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(decimals).padStart(4)} ${letters[step]}`;
}

/** An amount: `1.25 MBytes`. */
export function formatBytes(bytes: number): string {
  return `${scaled(bytes, 1024)}Bytes`;
}

/** A rate: `9.41 Gbits/sec`. */
export function formatRate(bitsPerSecond: number): string {
  return `${scaled(bitsPerSecond, 1000)}bits/sec`;
}

function parser(base: number, remedy: string): (text: string) => number {
  return (text) => {
    const [, digits, letter] = /^(\d+\.?\d*|\.\d+)([kmgt]?)$/i.exec(text) ?? [];
    if (digits === undefined) throw new InvalidValue(remedy);
    const step = letters.indexOf(letter!.toUpperCase() as typeof letters[number]);
    const value = Math.round(Number(digits) * base ** step);
    if (!Number.isSafeInteger(value)) throw new InvalidValue(remedy);
    return value;
  };
}

/** The bytes that a text says: `128K`, `1G`. */
export const byteAmount: (text: string) => number = parser(1024, "give bytes, like 1000, 128K or 1G");

/** The bits per second that a text says: `100M`, `1G`. */
export const bitrate: (text: string) => number = parser(1000, "give bits per second, like 500K, 100M or 1G");
