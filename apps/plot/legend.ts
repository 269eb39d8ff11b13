/**
 * The line of samples that says what the lines and colours of a plot mean.
 *
 * @module
 */

import { element, textElement } from "./svg.ts";

/** What a legend shows of one thing. */
export interface LegendEntry {
  /** Its class in the style sheet. */
  readonly class: string;
  /** What it looks like. */
  readonly sample: "line" | "bar" | "tick" | "box";
  /** Its name. */
  readonly text: string;
}

const sampleWidth = 18;
/** How wide a character is on average, in pixels, at the size in which text is set. */
const characterWidth = 6.9;
const space = 22;

/** A legend in one line, whose text stands on `y`. */
export function legend(entries: readonly LegendEntry[], left: number, y: number): string {
  const parts: string[] = [];
  let x = left;
  for (const entry of entries) {
    parts.push(drawSample(entry, x, y - 4));
    parts.push(textElement({ class: "faint", x: x + sampleWidth + 6, y }, entry.text));
    x += sampleWidth + 6 + entry.text.length * characterWidth + space;
  }
  return element("g", { class: "legend" }, parts);
}

function drawSample({ class: name, sample }: LegendEntry, x: number, y: number): string {
  const middle = x + sampleWidth / 2;
  switch (sample) {
    case "line":
      return element("line", { class: name, x1: x, y1: y, x2: x + sampleWidth, y2: y });
    case "bar":
      return element("line", { class: name, x1: middle, y1: y - 6, x2: middle, y2: y + 6 });
    case "tick":
      return element("line", { class: name, x1: middle, y1: y - 4, x2: middle, y2: y + 4 });
    case "box":
      return element("rect", { class: name, x, y: y - 6, width: sampleWidth, height: 12 });
  }
}
