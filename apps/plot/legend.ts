/**
 * The samples that say what the lines and colours of a plot mean.
 *
 * @module
 */

import { element, textElement } from "./svg.ts";

/** What a legend shows of one thing. */
export interface LegendEntry {
  /** Its class in the style sheet. */
  readonly class: string;
  /** What it looks like. */
  readonly sample: "line" | "bar" | "pointed bar" | "tick" | "box";
  /** Its name. */
  readonly text: string;
}

const sampleWidth = 18;
/** Room between a sample and its name. */
const sampleSpace = 6;
/** How wide a character is on average, at the size in which text is set. */
const characterWidth = 6.8;
/** Room between two entries. */
const entrySpace = 20;
/** From one line of a legend to the next. */
export const legendLineHeight = 20;

/** Distributes entries over as many lines as they need, none wider than `width` where that can be. */
export function breakLegend(entries: readonly LegendEntry[], width: number): LegendEntry[][] {
  const rows: LegendEntry[][] = [];
  let used = Infinity;
  for (const entry of entries) {
    const needed = entryWidth(entry);
    if (used + needed > width) {
      rows.push([]);
      used = 0;
    }
    rows.at(-1)!.push(entry);
    used += needed + entrySpace;
  }
  return rows;
}

/** A legend of several lines, of which the text of the first stands on `y`. */
export function legend(rows: readonly (readonly LegendEntry[])[], left: number, y: number): string {
  const parts: string[] = [];
  for (const [index, entries] of rows.entries()) {
    const baseline = y + index * legendLineHeight;
    let x = left;
    for (const entry of entries) {
      parts.push(drawSample(entry, x, baseline - 4));
      parts.push(textElement({ class: "faint", x: x + sampleWidth + sampleSpace, y: baseline }, entry.text));
      x += entryWidth(entry) + entrySpace;
    }
  }
  return element("g", { class: "legend" }, parts);
}

function entryWidth({ text }: LegendEntry): number {
  return sampleWidth + sampleSpace + text.length * characterWidth;
}

function drawSample({ class: name, sample }: LegendEntry, x: number, y: number): string {
  const middle = x + sampleWidth / 2;
  switch (sample) {
    case "line":
      return element("line", { class: name, x1: x, y1: y, x2: x + sampleWidth, y2: y });
    case "bar":
      return element("line", { class: name, x1: middle, y1: y - 6, x2: middle, y2: y + 6 });
    case "pointed bar":
      return element("path", { class: name, d: `M${middle} ${y - 7}v6M${middle} ${y}l-3.5 7h7z` });
    case "tick":
      return element("line", { class: name, x1: middle, y1: y - 4, x2: middle, y2: y + 4 });
    case "box":
      return element("rect", { class: name, x, y: y - 6, width: sampleWidth, height: 12 });
  }
}
