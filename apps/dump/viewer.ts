/**
 * What happens to each frame: filtered, counted, shown, and written to a file.
 *
 * @module
 */

import { describeFrame } from "../../mod.ts";
import type { CapturedFrame } from "../../stack/link/pcap_reader.ts";
import { enhancedPacketBlock, interfaceDescriptionBlock, sectionHeaderBlock } from "../../stack/link/pcapng.ts";
import { CaptureFile } from "../capture_file.ts";
import type { Filter } from "./filter.ts";
import { type ConnectionTable, connectionText } from "./connections.ts";
import { type FrameStyle, frameText, timedLine } from "./frame_text.ts";
import { mediumOf } from "./medium.ts";

/** How long lines are kept back at most, in milliseconds. */
const flushDelay = 20;
/** Characters that are kept back at most. */
const mostKept = 65_536;

/** What a {@linkcode Viewer} does. */
export interface ViewerOptions {
  /** Which frames. */
  readonly filter: Filter;
  /** How they are shown. */
  readonly style: FrameStyle;
  /** The hardware addresses at the beginning of the line. */
  readonly link: boolean;
  /** Follows the connections of the frames, which are shown instead of them; or null. */
  readonly connections: ConnectionTable | null;
  /** The frames to show; Infinity for all. */
  readonly count: number;
  /** The file to write them to as pcapng instead of showing them, or null. */
  readonly file: string | null;
  /** Bytes to write of each. */
  readonly snapLength: number;
  /** Called once, when as many have been shown as wanted, or nobody reads any more. */
  readonly onDone: (error: Error | null) => void;
}

/** Shows frames. */
export class Viewer implements Disposable {
  /** Frames that came. */
  seen: number = 0;
  /** Frames that passed the filter. */
  passed: number = 0;
  readonly #options: ViewerOptions;
  readonly #file: CaptureFile | null;
  readonly #interfaces = new Map<string, number>();
  #lines = "";
  #timer: ReturnType<typeof setTimeout> | null = null;
  #done = false;

  /**
   * Takes what to do.
   *
   * @throws {Error} If the file cannot be created.
   */
  constructor(options: ViewerOptions) {
    this.#options = options;
    this.#file = options.file === null ? null : new CaptureFile(options.file, (error) => this.#end(seriousOf(error)));
    this.#file?.write(sectionHeaderBlock("tapstack"));
  }

  /** Whether enough has been shown. */
  get done(): boolean {
    return this.#done;
  }

  /** Takes the next frame. */
  show(frame: CapturedFrame): void {
    if (this.#done) return;
    const { filter, style, link, count } = this.#options;
    this.seen++;
    const description = describeFrame(frame.bytes, { medium: mediumOf(frame.interface), link });
    if (!filter(description)) return;
    this.passed++;
    if (this.#file !== null) this.#write(frame);
    else if (this.#options.connections !== null) this.#showConnection(this.#options.connections, frame);
    else this.#print(`${frameText(frame, description, style)}\n`);
    if (this.passed >= count) this.#end(null);
  }

  /** Prints what was kept back, and finishes the file. */
  [Symbol.dispose](): void {
    this.#flush();
    this.#file?.close();
  }

  #showConnection(connections: ConnectionTable, frame: CapturedFrame): void {
    const event = connections.see(frame);
    if (event === null) return;
    const { style } = this.#options;
    const line = style.json
      ? JSON.stringify({ time: frame.timestamp, ...event })
      : timedLine(frame.timestamp, connectionText(event), style);
    this.#print(`${line}\n`);
  }

  #print(text: string): void {
    this.#lines += text;
    if (this.#lines.length >= mostKept) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), flushDelay);
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const bytes = new TextEncoder().encode(this.#lines);
    this.#lines = "";
    try {
      for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
    } catch (error) {
      this.#end(seriousOf(error));
    }
  }

  #write(frame: CapturedFrame): void {
    const { snapLength } = this.#options;
    const { name, linkType } = frame.interface;
    const key = `${linkType} ${name}`;
    let interfaceIndex = this.#interfaces.get(key);
    if (interfaceIndex === undefined) {
      this.#interfaces.set(key, interfaceIndex = this.#interfaces.size);
      this.#file!.write(interfaceDescriptionBlock({ linkType, name, snapLength }));
    }
    const { timestamp, direction, originalLength, bytes } = frame;
    const record = { interfaceIndex, timestamp: Math.round(timestamp * 1000), direction, originalLength };
    this.#file!.write(enhancedPacketBlock(record, bytes.subarray(0, snapLength)));
  }

  #end(error: Error | null): void {
    if (this.#done) return;
    this.#done = true;
    this.#options.onDone(error);
  }
}

/** What keeps the frames from being written, or null where nobody reads on: as others, `dump | head` ends in silence. */
function seriousOf(error: unknown): Error | null {
  const { cause } = error as Error;
  return [error, cause].some((one) => one instanceof Deno.errors.BrokenPipe) ? null : error as Error;
}
