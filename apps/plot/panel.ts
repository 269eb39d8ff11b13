/**
 * A part of a plot with axes of its own: where values lie in it, its grid, and lines through it.
 *
 * @module
 */

// @ts-types="@types/d3-scale"
import { type ScaleLinear, scaleLinear } from "d3-scale";
import type { Step } from "./analysis.ts";
import { coordinate, element, textElement } from "./svg.ts";

/** A rectangle, in the units of the drawing. */
export interface Area {
  /** Its left side. */
  readonly left: number;
  /** Its upper side. */
  readonly top: number;
  /** How far it goes to the right. */
  readonly width: number;
  /** How far it goes down. */
  readonly height: number;
}

/** What values are shown in: their symbol, and how many of what is measured make one. */
interface Unit {
  readonly symbol: string;
  readonly size: number;
}

const timeUnits: readonly Unit[] = [
  { symbol: "s", size: 1000 },
  { symbol: "ms", size: 1 },
  { symbol: "µs", size: 0.001 },
];

const byteUnits: readonly Unit[] = [
  { symbol: "GB", size: 1e9 },
  { symbol: "MB", size: 1e6 },
  { symbol: "kB", size: 1e3 },
  { symbol: "bytes", size: 1 },
];

/** The largest unit in which `value` is not less than 2. */
function unitFor(value: number, units: readonly Unit[]): Unit {
  return units.find(({ size }) => value >= 2 * size) ?? units.at(-1)!;
}

/** Least distances between two lines of the grid, in the units of the drawing. */
const gridDistance = { x: 90, y: 45 } as const;

const tickLength = 5;

/** A panel: time to the right, bytes upwards. */
export class Panel {
  /** Where it lies. */
  readonly area: Area;
  readonly #x: ScaleLinear<number, number>;
  readonly #y: ScaleLinear<number, number>;
  readonly #timeUnit: Unit;
  readonly #byteUnit: Unit;

  /** Shows `times` (in milliseconds) and `bytes`, each from the least to the most. */
  constructor(area: Area, times: readonly [number, number], bytes: readonly [number, number]) {
    this.area = area;
    this.#timeUnit = unitFor(times[1] - times[0], timeUnits);
    this.#byteUnit = unitFor(bytes[1], byteUnits);
    const inUnits = ([least, most]: readonly [number, number], { size }: Unit) => [least / size, most / size];
    this.#x = scaleLinear(inUnits(times, this.#timeUnit), [area.left, area.left + area.width]);
    this.#y = scaleLinear(inUnits(bytes, this.#byteUnit), [area.top + area.height, area.top]);
  }

  /** Where a moment lies. */
  x(time: number): number {
    return this.#x(time / this.#timeUnit.size);
  }

  /** Where a number of bytes lies. */
  y(bytes: number): number {
    return this.#y(bytes / this.#byteUnit.size);
  }

  /** The unit of time, for the axis' title. */
  get timeSymbol(): string {
    return this.#timeUnit.symbol;
  }

  /** The grid and the axes; the times are written below only if `timeLabels`. */
  grid(title: string, timeLabels: boolean): string[] {
    const { left, top, width, height } = this.area;
    const [right, bottom] = [left + width, top + height];
    const parts: string[] = [];
    const line = (name: string, x1: number, y1: number, x2: number, y2: number) =>
      parts.push(element("line", { class: name, x1, y1, x2, y2 }));
    const xCount = Math.max(2, Math.floor(width / gridDistance.x));
    const xFormat = this.#x.tickFormat(xCount);
    for (const tick of this.#x.ticks(xCount)) {
      const x = this.#x(tick);
      line("grid", x, top, x, bottom);
      line("axis", x, bottom, x, bottom + tickLength);
      if (timeLabels) {
        parts.push(textElement({ class: "middle faint", x, y: bottom + tickLength + 14 }, xFormat(tick)));
      }
    }
    const yCount = Math.max(2, Math.floor(height / gridDistance.y));
    const yFormat = this.#y.tickFormat(yCount);
    for (const tick of this.#y.ticks(yCount)) {
      // There is no half of a byte.
      if (this.#byteUnit.size === 1 && !Number.isInteger(tick)) continue;
      const y = this.#y(tick);
      line("grid", left, y, right, y);
      line("axis", left - tickLength, y, left, y);
      parts.push(textElement({ class: "end faint", x: left - tickLength - 4, y: y + 4 }, yFormat(tick)));
    }
    line("axis", left, top, left, bottom);
    line("axis", left, bottom, right, bottom);
    const middle = top + height / 2;
    parts.push(textElement(
      { class: "middle", transform: `translate(${coordinate(left - 56)} ${coordinate(middle)}) rotate(-90)` },
      `${title} (${this.#byteUnit.symbol})`,
    ));
    return parts;
  }

  /** The path of a value that stays until it changes: to the right end of the panel. */
  steps(steps: readonly Step[]): string {
    const first = steps[0];
    if (first === undefined) return "";
    let path = `M${coordinate(this.x(first.time))} ${coordinate(this.y(first.value))}`;
    for (const { time, value } of steps.slice(1)) {
      path += `H${coordinate(this.x(time))}V${coordinate(this.y(value))}`;
    }
    return `${path}H${coordinate(this.area.left + this.area.width)}`;
  }

  /** As {@linkcode Panel.steps}, and down to the axis, so that the area below can be filled. */
  stepsToAxis(steps: readonly Step[]): string {
    const first = steps[0];
    if (first === undefined) return "";
    const bottom = coordinate(this.area.top + this.area.height);
    return `${this.steps(steps)}V${bottom}H${coordinate(this.x(first.time))}Z`;
  }
}
