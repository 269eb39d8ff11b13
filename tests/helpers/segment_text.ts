/**
 * Segments as one line of text, in the manner of packet scripts:
 *
 *     S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 7 ecr 0,nop,wscale 7>
 *
 * Sequence numbers are relative to the initial ones of their side.
 *
 * @module
 */

/** A segment in pieces. */
export interface SegmentText {
  /** `S`, `F`, `R`, `P`, `U`, `E`, `W`, with `.` for ACK; `-` for none. */
  flags: string;
  /** First sequence number, relative. */
  sequence: number;
  /** Bytes of payload. */
  length: number;
  /** Acknowledgement number, relative. */
  ack?: number | undefined;
  /** Window field. */
  window?: number | undefined;
  /** Urgent pointer. */
  urgent?: number | undefined;
  /** Options as text. */
  options?: string | undefined;
}

const flagLetters = ["F", "S", "R", "P", ".", "U", "E", "W"];

/** Reads a line of text. */
export function parseSegment(text: string): SegmentText {
  const match = /^([SFRP.UEW]+|-) (\d+):(\d+)\((\d+)\)(?: ack (\d+))?(?: win (\d+))?(?: urg (\d+))?(?: <(.*)>)?$/.exec(
    text.trim(),
  );
  if (match === null) throw new SyntaxError(`Cannot read "${text}" as a segment`);
  const [, flags, sequence, end, length, ack, window, urgent, options] = match;
  if (Number(end) !== Number(sequence) + Number(length)) throw new SyntaxError(`The lengths in "${text}" disagree`);
  const number = (digits: string | undefined) => digits === undefined ? undefined : Number(digits);
  return {
    flags: flags!,
    sequence: Number(sequence),
    length: Number(length),
    ack: number(ack),
    window: number(window),
    urgent: number(urgent),
    options,
  };
}

/** The header bits that flag letters stand for. */
export function flagBits(letters: string): number {
  if (letters === "-") return 0;
  let bits = 0;
  for (const letter of letters) bits |= 1 << flagLetters.indexOf(letter);
  return bits;
}

/** The bytes of a segment, without a checksum. `payload` gives the byte at a relative sequence number. */
export function buildSegment(
  segment: SegmentText,
  ports: { source: number; destination: number },
  base: { sequence: number; ack: number },
  payload: (sequence: number) => number,
): Uint8Array {
  const options = optionBytes(segment.options ?? "", base.ack);
  const header = 20 + options.length;
  const bytes = new Uint8Array(header + segment.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ports.source);
  view.setUint16(2, ports.destination);
  view.setUint32(4, base.sequence + segment.sequence);
  if (segment.ack !== undefined) view.setUint32(8, base.ack + segment.ack);
  view.setUint8(12, header << 2);
  view.setUint8(13, flagBits(segment.flags));
  view.setUint16(14, segment.window ?? 65535);
  view.setUint16(18, segment.urgent ?? 0);
  bytes.set(options, 20);
  const first = segment.sequence + (segment.flags.includes("S") ? 1 : 0);
  for (let index = 0; index < segment.length; index++) bytes[header + index] = payload(first + index);
  return bytes;
}

function optionBytes(text: string, ackBase: number): Uint8Array {
  const bytes: number[] = [];
  const put32 = (value: number) => bytes.push(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  for (const option of text.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
    const words = option.split(" ");
    switch (words[0]) {
      case "nop":
        bytes.push(1);
        break;
      case "eol":
        bytes.push(0);
        break;
      case "mss":
        bytes.push(2, 4, Number(words[1]) >> 8, Number(words[1]) & 255);
        break;
      case "wscale":
        bytes.push(3, 3, Number(words[1]));
        break;
      case "sackOK":
        bytes.push(4, 2);
        break;
      case "TS":
        bytes.push(8, 10);
        put32(Number(words[2]));
        put32(Number(words[4]));
        break;
      case "sack":
        bytes.push(5, 2 + 8 * (words.length - 1));
        for (const block of words.slice(1)) {
          const [left, right] = block.split(":");
          put32((ackBase + Number(left)) >>> 0);
          put32((ackBase + Number(right)) >>> 0);
        }
        break;
      case "FO": {
        const cookie = (words[1] ?? "").match(/../g) ?? [];
        bytes.push(34, 2 + cookie.length, ...cookie.map((digits) => Number.parseInt(digits, 16)));
        break;
      }
      case "FOEXP": {
        const cookie = (words[1] ?? "").match(/../g) ?? [];
        bytes.push(254, 4 + cookie.length, 0xf9, 0x89, ...cookie.map((digits) => Number.parseInt(digits, 16)));
        break;
      }
      case "raw":
        bytes.push(...words.slice(1).map(Number));
        break;
      default:
        throw new SyntaxError(`Cannot read "${option}" as a TCP option`);
    }
  }
  while (bytes.length % 4 !== 0) bytes.push(0);
  return new Uint8Array(bytes);
}

/** Takes the bytes of a segment apart. Options come as text; timestamps as they are. */
export function readSegment(bytes: Uint8Array, base: { sequence: number; ack: number }): Required<SegmentText> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const header = (view.getUint8(12) >> 4) * 4;
  const bits = view.getUint8(13);
  const flags = ["S", "F", "R", "P", "U", "E", "W", "."].filter((letter) => bits & flagBits(letter)).join("");
  return {
    flags: flags === "" ? "-" : flags,
    sequence: (view.getUint32(4) - base.sequence) >>> 0,
    length: bytes.length - header,
    ack: bits & 16 ? (view.getUint32(8) - base.ack) >>> 0 : undefined,
    window: view.getUint16(14),
    urgent: bits & 32 ? view.getUint16(18) : undefined,
    options: optionText(view, header, base.ack),
  };
}

function optionText(view: DataView, header: number, ackBase: number): string {
  const parts: string[] = [];
  for (let at = 20; at < header;) {
    const kind = view.getUint8(at);
    if (kind === 0) break;
    if (kind === 1) {
      parts.push("nop");
      at++;
      continue;
    }
    const length = view.getUint8(at + 1);
    if (kind === 2) parts.push(`mss ${view.getUint16(at + 2)}`);
    else if (kind === 3) parts.push(`wscale ${view.getUint8(at + 2)}`);
    else if (kind === 4) parts.push("sackOK");
    else if (kind === 8) parts.push(`TS val ${view.getUint32(at + 2)} ecr ${view.getUint32(at + 6)}`);
    else if (kind === 5) {
      const blocks: string[] = [];
      for (let edge = at + 2; edge < at + length; edge += 8) {
        blocks.push(`${(view.getUint32(edge) - ackBase) >>> 0}:${(view.getUint32(edge + 4) - ackBase) >>> 0}`);
      }
      parts.push(`sack ${blocks.join(" ")}`);
    } else if (kind === 34) parts.push(`FO ${hex(view, at + 2, at + length)}`.trimEnd());
    else if (kind === 254) parts.push(`FOEXP ${hex(view, at + 4, at + length)}`.trimEnd());
    else parts.push(`kind ${kind}`);
    at += length;
  }
  return parts.join(",");
}

function hex(view: DataView, at: number, end: number): string {
  return Array.from({ length: end - at }, (_, index) => view.getUint8(at + index).toString(16).padStart(2, "0")).join(
    "",
  );
}

/** A segment as text, with the parts that `like` has too, so that two texts can be compared. */
export function formatSegment(segment: SegmentText, like: SegmentText = segment): string {
  const { flags, sequence, length, ack, window, options } = segment;
  let text = `${flags} ${sequence}:${sequence + length}(${length})`;
  if (ack !== undefined) text += ` ack ${ack}`;
  if (like.window !== undefined) text += ` win ${window}`;
  if (like.options !== undefined) text += ` <${options ?? ""}>`;
  return text;
}
