/**
 * Showing a capture file while it is read.
 *
 * @module
 */

import { CaptureReader } from "../../stack/link/pcap_reader.ts";
import { fileError } from "../transfer/file_error.ts";
import type { Viewer } from "./viewer.ts";

/**
 * Opens the capture at `path`, or standard input for `-`.
 *
 * @throws {Error} If it cannot be read.
 */
export async function openCapture(path: string): Promise<ReadableStream<Uint8Array>> {
  if (path === "-") return Deno.stdin.readable;
  try {
    return (await Deno.open(path)).readable;
  } catch (error) {
    throw fileError("read", `"${path}"`, error);
  }
}

/**
 * Shows the frames of a capture as they come, until it ends, the viewer has shown enough or `signal` is aborted. Keeps
 * no more of it than a piece. `path` is its name in errors.
 *
 * @throws {TypeError} If it is no capture, or damaged.
 * @throws {Error} If it cannot be read, or ends in the middle of a frame.
 */
export async function showCapture(
  stream: ReadableStream<Uint8Array>,
  path: string,
  viewer: Viewer,
  signal: AbortSignal,
): Promise<void> {
  const pieces = stream.getReader();
  const stop = () => void pieces.cancel().catch(() => {});
  signal.addEventListener("abort", stop);
  const capture = new CaptureReader();
  try {
    for (let piece = await next(pieces, path); piece !== null; piece = await next(pieces, path)) {
      for (const frame of capture.push(piece)) {
        viewer.show(frame);
        if (viewer.done) return;
      }
    }
    if (!signal.aborted && capture.end()) {
      throw new Error(`Cannot read all of "${path}": it ends in the middle of a frame`);
    }
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

async function next(pieces: ReadableStreamDefaultReader<Uint8Array>, path: string): Promise<Uint8Array | null> {
  try {
    const { value } = await pieces.read();
    return value ?? null;
  } catch (error) {
    throw fileError("read", `"${path}"`, error);
  }
}
