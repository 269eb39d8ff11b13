/**
 * TCP options as bytes, and as text.
 *
 * @module
 */

import type { TcpOption } from "./ast.ts";

/** The number that RFC 6994 experiments with Fast Open use. */
const fastOpenExperiment = 0xf989;

/** Takes the options from `at` to `end` apart. */
export function readTcpOptions(view: DataView, at: number, end: number): TcpOption[] {
  const options: TcpOption[] = [];
  while (at < end) {
    const code = view.getUint8(at);
    if (code === 0) {
      options.push({ kind: "eol" });
      at++;
      continue;
    }
    if (code === 1) {
      options.push({ kind: "nop" });
      at++;
      continue;
    }
    const length = at + 1 < end ? view.getUint8(at + 1) : 0;
    if (length < 2 || at + length > end) {
      options.push({ kind: "other", code, data: [] });
      return options;
    }
    options.push(readOption(view, code, at + 2, at + length));
    at += length;
  }
  return options;
}

function readOption(view: DataView, code: number, at: number, end: number): TcpOption {
  const size = end - at;
  const bytes = Array.from({ length: size }, (_, index) => view.getUint8(at + index));
  const hex = (from: number) => bytes.slice(from).map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (code === 2 && size === 2) return { kind: "mss", value: view.getUint16(at) };
  if (code === 3 && size === 1) return { kind: "wscale", value: view.getUint8(at) };
  if (code === 4 && size === 0) return { kind: "sackOK" };
  if (code === 5 && size % 8 === 0) {
    const blocks: [number, number][] = [];
    for (; at < end; at += 8) blocks.push([view.getUint32(at), view.getUint32(at + 4)]);
    return { kind: "sack", blocks };
  }
  if (code === 8 && size === 8) return { kind: "TS", value: view.getUint32(at), echo: view.getUint32(at + 4) };
  if (code === 19) return { kind: "md5", digest: hex(0) };
  if (code === 34) return { kind: "FO", cookie: hex(0), experimental: false };
  if (code === 254 && size >= 2 && view.getUint16(at) === fastOpenExperiment) {
    return { kind: "FO", cookie: hex(2), experimental: true };
  }
  return { kind: "other", code, data: bytes };
}

/** The bytes of options, padded with zeros to whole words. */
export function tcpOptionBytes(options: readonly TcpOption[]): Uint8Array {
  const bytes = options.flatMap(optionBytes);
  while (bytes.length % 4 !== 0) bytes.push(0);
  return new Uint8Array(bytes);
}

function optionBytes(option: TcpOption): number[] {
  const withHeader = (code: number, data: readonly number[]) => [code, 2 + data.length, ...data];
  switch (option.kind) {
    case "nop":
      return [1];
    case "eol":
      return [0];
    case "mss":
      return withHeader(2, [option.value >> 8, option.value & 255]);
    case "wscale":
      return withHeader(3, [option.value]);
    case "sackOK":
      return withHeader(4, []);
    case "sack":
      return withHeader(5, option.blocks.flatMap(([left, right]) => [...uint32(left), ...uint32(right)]));
    case "TS":
      return withHeader(8, [...uint32(option.value), ...uint32(option.echo)]);
    case "FO": {
      const cookie = fromHex(option.cookie);
      const magic = [fastOpenExperiment >> 8, fastOpenExperiment & 255];
      return option.experimental ? withHeader(254, [...magic, ...cookie]) : withHeader(34, cookie);
    }
    case "md5":
      return withHeader(19, option.digest === "" ? new Array<number>(16).fill(0) : fromHex(option.digest));
    case "other":
      return withHeader(option.code, option.data);
  }
}

/** Options in the language of scripts. */
export function formatTcpOptions(options: readonly TcpOption[]): string {
  return options.map(formatOption).join(",");
}

function formatOption(option: TcpOption): string {
  switch (option.kind) {
    case "nop":
    case "eol":
    case "sackOK":
      return option.kind;
    case "mss":
    case "wscale":
      return `${option.kind} ${option.value}`;
    case "sack":
      return ["sack", ...option.blocks.map(([left, right]) => `${left}:${right}`)].join(" ");
    case "TS":
      return `TS val ${option.value} ecr ${option.echo}`;
    case "FO":
      return `${option.experimental ? "FOEXP" : "FO"} ${option.cookie}`.trimEnd();
    case "md5":
      return "md5";
    case "other":
      return `kind ${option.code} ${option.data.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`.trimEnd();
  }
}

function uint32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

function fromHex(text: string): number[] {
  return (text.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
}
