/**
 * Drawing a connection: a time-sequence graph in the manner of tcptrace, and below it what was out and what was allowed.
 *
 * @module
 */

import { Flag } from "../../stack/transport/tcp/header.ts";
import { analyze, type DataSegment, type SegmentKind, type Step, type TimeSequence } from "./analysis.ts";
import { type CongestionSample, durationOf, type RecordedConnection, type Side } from "./connection.ts";
import { breakLegend, legend, type LegendEntry, legendLineHeight } from "./legend.ts";
import { type Area, Panel } from "./panel.ts";
import { styleSheet } from "./style.ts";
import { coordinate, element, escapeText, textElement } from "./svg.ts";

/** Options of {@linkcode drawConnection}. */
export interface DrawingOptions {
  /** Width in pixels. */
  readonly width: number;
  /** Height in pixels. */
  readonly height: number;
  /** From when on, in milliseconds since the first segment. */
  readonly from: number;
  /** Until when, in milliseconds since the first segment. */
  readonly until: number;
}

/** Room around the panels, in pixels; above them there is the legend too. */
const margin = { left: 78, right: 24, top: 76, bottom: 48 } as const;
/** Room between the panels, for the lower one's legend. */
const gap = 48;
/** The upper panel's share of the height. */
const upperShare = 0.7;
/** The window's edge is shown whole if it makes the graph higher by no more than this part. */
const edgeAllowance = 0.6;
/** Bars shorter than this, in pixels, have no room for an arrow; those shorter than half of it none for a tick. */
const arrowRoom = 11;

/** A number of things in words. */
function count(number: number, one: string, many: string): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** Draws the data that `sender` sent, and what the other side made of them, as an SVG document. */
export function drawConnection(connection: RecordedConnection, sender: Side, options: DrawingOptions): string {
  const { width, height } = options;
  const analysis = analyze(connection, sender);
  const congestion = sender === 0 ? connection.congestion : [];
  const times = timeRange(connection, options);
  const sequences = sequenceRange(analysis, times);
  const entries = sequenceLegend(analysis, congestion, times, sequences);
  const legendRows = breakLegend(entries, width - margin.left - margin.right);
  const [upperArea, lowerArea] = areas(width, height, legendRows.length * legendLineHeight);
  const upper = new Panel(upperArea, times, sequences);
  const lower = new Panel(lowerArea, times, volumeRange(analysis, congestion, times));
  const { ends } = connection;
  const title = `${ends[sender]} → ${ends[sender === 0 ? 1 : 0]}`;
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    element("svg", {
      xmlns: "http://www.w3.org/2000/svg",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
    }, [
      `<title>${escapeText(title)}</title>`,
      `<style>\n${styleSheet()}\n</style>`,
      element("rect", { class: "paper", width, height }),
      textElement({ class: "title", x: margin.left, y: 30 }, title),
      textElement({ class: "faint", x: margin.left, y: 50 }, summary(connection, analysis)),
      clip("upper", upperArea),
      clip("lower", lowerArea),
      ...bands(congestion, times, upper, lower),
      ...upper.grid("sequence number", false),
      ...lower.grid(congestion.length === 0 ? "outstanding" : "window", true),
      element("g", { "clip-path": "url(#upper)" }, drawSequence(analysis, upper, times)),
      ...drawMarks(analysis, upper, times),
      element("g", { "clip-path": "url(#lower)" }, drawVolume(analysis, congestion, lower)),
      legend(legendRows, margin.left, 74),
      legend([volumeLegend(congestion)], margin.left, lowerArea.top - 14),
      textElement(
        { class: "middle", x: upperArea.left + upperArea.width / 2, y: height - 10 },
        `time since the first segment (${upper.timeSymbol})`,
      ),
    ]),
    "",
  ].join("\n");
}

function timeRange(connection: RecordedConnection, { from, until }: DrawingOptions): [number, number] {
  // A little room behind the last segment.
  const end = Math.min(until, 1.02 * durationOf(connection));
  return [from, end > from ? end : from + 1];
}

function areas(width: number, height: number, legendHeight: number): [Area, Area] {
  const top = margin.top + legendHeight;
  const room = height - top - margin.bottom - gap;
  const common = { left: margin.left, width: width - margin.left - margin.right };
  const upperHeight = room * upperShare;
  return [
    { ...common, top, height: upperHeight },
    { ...common, top: top + upperHeight + gap, height: room - upperHeight },
  ];
}

/** Those of `items` that lie in a range of times. */
function within<Item extends { readonly time: number }>(
  items: readonly Item[],
  [from, until]: [number, number],
): Item[] {
  return items.filter(({ time }) => time >= from && time <= until);
}

/** The values that steps have during a range of times, the one with which it begins included. */
function valuesWithin(steps: readonly Step[], times: [number, number]): number[] {
  const before = steps.findLast(({ time }) => time < times[0]);
  const values = within(steps, times).map(({ value }) => value);
  return before === undefined ? values : [before.value, ...values];
}

function least(values: readonly number[], otherwise: number): number {
  return values.reduce((result, value) => Math.min(result, value), values[0] ?? otherwise);
}

function most(values: readonly number[], otherwise: number): number {
  return values.reduce((result, value) => Math.max(result, value), values[0] ?? otherwise);
}

function sequenceRange(analysis: TimeSequence, times: [number, number]): [number, number] {
  const data = within(analysis.data, times);
  const acknowledged = valuesWithin(analysis.acknowledged, times);
  const low = least([...data.map(({ sequence }) => sequence), ...acknowledged], 0);
  const high = Math.max(low + 1, most([...data.map(({ end }) => end), ...acknowledged], 1));
  const edge = most(valuesWithin(analysis.windowEdge, times), high);
  const top = edge <= high + edgeAllowance * (high - low) ? Math.max(high, edge) : high;
  const padding = 0.03 * (top - low);
  return [low - padding, top + padding];
}

function volumeRange(
  { outstanding }: TimeSequence,
  congestion: readonly CongestionSample[],
  times: [number, number],
): [number, number] {
  const flight = congestion.length === 0 ? outstanding : series(congestion, "bytesInFlight");
  const values = [...valuesWithin(flight, times), ...valuesWithin(series(congestion, "congestionWindow"), times)];
  const high = most(values, 1);
  const threshold = most(valuesWithin(series(congestion, "slowStartThreshold"), times), 0);
  return [0, 1.05 * (threshold <= high * (1 + edgeAllowance) ? Math.max(high, threshold) : high)];
}

/** One value of all samples, without infinities: of each moment the last. */
function series(
  congestion: readonly CongestionSample[],
  name: "congestionWindow" | "slowStartThreshold" | "bytesInFlight",
): Step[] {
  return lastOfEachMoment(congestion.map((sample) => ({ time: sample.time, value: sample[name] })))
    .filter(({ value }) => Number.isFinite(value));
}

function lastOfEachMoment(steps: readonly Step[]): Step[] {
  return steps.filter(({ time }, index) => time !== steps[index + 1]?.time);
}

function summary(connection: RecordedConnection, { data, bytes, duplicateAcks }: TimeSequence): string {
  const seconds = durationOf(connection) / 1000;
  const parts = [`${count(bytes, "byte", "bytes")} in ${seconds.toPrecision(4)} s`];
  if (seconds > 0) parts.push(`${(8 * bytes / seconds / 1e6).toPrecision(3)} Mbit/s`);
  parts.push(count(ofKind(data, "retransmission") + ofKind(data, "late"), "retransmission", "retransmissions"));
  parts.push(count(duplicateAcks.length, "duplicate ACK", "duplicate ACKs"));
  return parts.join(" · ");
}

/** How many segments with payload are of a kind. */
function ofKind(data: readonly DataSegment[], kind: SegmentKind): number {
  return data.filter((segment) => segment.kind === kind && segment.length > 0).length;
}

function clip(id: string, { left: x, top: y, width, height }: Area): string {
  return element("clipPath", { id }, element("rect", { x, y, width, height }));
}

/** The times during which lost segments were being repaired, behind everything else. */
function bands(congestion: readonly CongestionSample[], times: [number, number], ...panels: Panel[]): string[] {
  const parts: string[] = [];
  // One rectangle from the sample that changes the state to the next one that does: no seams.
  const changes = congestion.filter(({ congestionState }, index) =>
    congestionState !== congestion[index - 1]?.congestionState
  );
  for (const [index, { time, congestionState }] of changes.entries()) {
    if (congestionState !== "recovery" && congestionState !== "loss") continue;
    const from = Math.max(time, times[0]);
    const until = Math.min(changes[index + 1]?.time ?? times[1], times[1]);
    if (until <= from) continue;
    for (const panel of panels) {
      const { top: y, height } = panel.area;
      const x = panel.x(from);
      parts.push(element("rect", { class: `band ${congestionState}`, x, y, width: panel.x(until) - x, height }));
    }
  }
  return parts;
}

function drawSequence(analysis: TimeSequence, panel: Panel, times: [number, number]): string[] {
  const parts: string[] = [];
  const { x, y } = { x: (time: number) => panel.x(time), y: (bytes: number) => panel.y(bytes) };
  const sacks = within(analysis.sackBlocks, times)
    .map(({ time, left, right }) => `M${coordinate(x(time))} ${coordinate(y(left))}V${coordinate(y(right))}`);
  if (sacks.length > 0) parts.push(element("path", { class: "sack", d: sacks.join("") }));
  if (analysis.windowEdge.length > 0) {
    parts.push(element("path", { class: "edge", d: panel.steps(analysis.windowEdge) }));
  }
  if (analysis.acknowledged.length > 0) {
    parts.push(element("path", { class: "ack", d: panel.steps(analysis.acknowledged) }));
  }
  const duplicates = within(analysis.duplicateAcks, times)
    .map(({ time, value }) => `M${coordinate(x(time))} ${coordinate(y(value) - 3)}v6`);
  if (duplicates.length > 0) parts.push(element("path", { class: "duplicate", d: duplicates.join("") }));
  const data = within(analysis.data, times).filter(({ length }) => length > 0);
  // What was sent again must not be hidden by what was new.
  const inOrder = [...data.filter(({ kind }) => kind === "new"), ...data.filter(({ kind }) => kind !== "new")];
  parts.push(...inOrder.map((segment) => drawSegment(segment, x(segment.time), y(segment.sequence), y(segment.end))));
  return parts;
}

/** A bar from the first byte to behind the last, with an arrow in the direction of the stream where there is room. */
function drawSegment({ kind, time, sequence, length, number }: DataSegment, x: number, bottom: number, top: number) {
  const height = bottom - top;
  let path = `M${coordinate(x)} ${coordinate(bottom)}V${coordinate(top)}`;
  if (height >= arrowRoom) path += "m-3 4.5l3 -4.5l3 4.5";
  else if (height >= arrowRoom / 2) path += "m-2 0h4";
  if (height >= arrowRoom) path += `M${coordinate(x - 2)} ${coordinate(bottom)}h4`;
  // What is not new is pointed at from below, where nothing else is drawn.
  if (kind !== "new") path += `M${coordinate(x)} ${coordinate(bottom + 2)}l-3.5 7h7z`;
  const what = kind === "new" ? "" : `, ${kind}`;
  const tip = `${(time / 1000).toFixed(6)} s: ${sequence}:${
    sequence + length
  } (${length} bytes)${what}, number ${number}`;
  return element("path", { class: `segment ${kind}`, d: path }, element("title", {}, escapeText(tip)));
}

/** SYN, FIN and RST by name, at their place. */
function drawMarks(analysis: TimeSequence, panel: Panel, times: [number, number]): string[] {
  const { left, width } = panel.area;
  const mark = (time: number, bytes: number, text: string) => {
    const [x, y] = [panel.x(time), panel.y(bytes)];
    const atEnd = x > left + width - 40;
    return element("g", {}, [
      element("circle", { class: "mark", cx: x, cy: y, r: 2.5 }),
      textElement({ class: atEnd ? "mark end" : "mark", x: atEnd ? x - 6 : x + 6, y: y - 4 }, text),
    ]);
  };
  const marks: string[] = [];
  for (const { time, sequence, end, flags } of within(analysis.data, times)) {
    if ((flags & Flag.syn) !== 0) marks.push(mark(time, sequence, "SYN"));
    if ((flags & Flag.fin) !== 0) marks.push(mark(time, end, "FIN"));
  }
  for (const { time, from, sequence, acknowledgement } of within(analysis.resets, times)) {
    const bytes = from === analysis.sender ? sequence : acknowledgement ?? 0;
    marks.push(mark(time, bytes, "RST"));
  }
  return marks;
}

function drawVolume(analysis: TimeSequence, congestion: readonly CongestionSample[], panel: Panel): string[] {
  if (congestion.length === 0) {
    return [element("path", { class: "flight", d: panel.stepsToAxis(lastOfEachMoment(analysis.outstanding)) })];
  }
  const threshold = series(congestion, "slowStartThreshold");
  const parts = [
    element("path", { class: "flight", d: panel.stepsToAxis(series(congestion, "bytesInFlight")) }),
    element("path", { class: "cwnd", d: panel.steps(series(congestion, "congestionWindow")) }),
  ];
  if (threshold.length > 0) parts.push(element("path", { class: "ssthresh", d: panel.steps(threshold) }));
  return parts;
}

/** What can be seen in the upper panel, and how many of each. */
function sequenceLegend(
  analysis: TimeSequence,
  congestion: readonly CongestionSample[],
  times: [number, number],
  [, highest]: readonly [number, number],
): LegendEntry[] {
  const data = within(analysis.data, times);
  const sackBlocks = within(analysis.sackBlocks, times);
  const duplicateAcks = within(analysis.duplicateAcks, times);
  const windowEdges = valuesWithin(analysis.windowEdge, times);
  const entries: LegendEntry[] = [];
  const segments = (kind: SegmentKind, text: string) => {
    const number = ofKind(data, kind);
    const sample = kind === "new" ? "bar" : "pointed bar";
    if (number > 0) entries.push({ class: `segment ${kind}`, sample, text: `${text} (${number})` });
  };
  segments("new", "data");
  segments("retransmission", "sent again");
  segments("late", "fills a hole");
  segments("probe", "window probe");
  entries.push({ class: "ack", sample: "line", text: "ACK" });
  if (duplicateAcks.length > 0) {
    entries.push({ class: "duplicate", sample: "tick", text: `duplicate ACK (${duplicateAcks.length})` });
  }
  if (sackBlocks.length > 0) entries.push({ class: "sack", sample: "bar", text: "SACK" });
  if (windowEdges.length > 0) {
    const isVisible = windowEdges.some((value) => value <= highest);
    entries.push({ class: "edge", sample: "line", text: isVisible ? "window edge" : "window edge (above)" });
  }
  const before = congestion.findLast(({ time }) => time < times[0]);
  const states = [...within(congestion, times), ...(before === undefined ? [] : [before])];
  for (const state of ["recovery", "loss"]) {
    if (states.some(({ congestionState }) => congestionState === state)) {
      entries.push({ class: `band ${state}`, sample: "box", text: state === "loss" ? "time-out" : "recovery" });
    }
  }
  return entries;
}

function volumeLegend(congestion: readonly CongestionSample[]): LegendEntry[] {
  if (congestion.length === 0) return [{ class: "flight", sample: "box", text: "sent and not acknowledged" }];
  const entries: LegendEntry[] = [
    { class: "cwnd", sample: "line", text: "congestion window" },
    { class: "flight", sample: "box", text: "in flight" },
  ];
  if (congestion.some(({ slowStartThreshold }) => Number.isFinite(slowStartThreshold))) {
    entries.splice(1, 0, { class: "ssthresh", sample: "line", text: "slow-start threshold" });
  }
  return entries;
}
