/**
 * The colours of a plot, for light and dark surroundings.
 *
 * @module
 */

/** What has a colour of its own. */
type Colored =
  | "paper"
  | "ink"
  | "faint"
  | "grid"
  | "new"
  | "retransmission"
  | "late"
  | "probe"
  | "ack"
  | "edge"
  | "sack"
  | "mark"
  | "cwnd"
  | "ssthresh"
  | "flight"
  | "recovery"
  | "loss";

type Palette = Readonly<Record<Colored, string>>;

const light: Palette = {
  paper: "#ffffff",
  ink: "#1f2933",
  faint: "#52606d",
  grid: "#e4e7eb",
  new: "#3e4c59",
  retransmission: "#d61f1f",
  late: "#c2720a",
  probe: "#0b8fa8",
  ack: "#15803d",
  edge: "#2563eb",
  sack: "#9333ea",
  mark: "#1f2933",
  cwnd: "#0369a1",
  ssthresh: "#b45309",
  flight: "#64748b",
  recovery: "#fff6d6",
  loss: "#ffe4e0",
};

const dark: Palette = {
  paper: "#111827",
  ink: "#e5e7eb",
  faint: "#a3aebd",
  grid: "#2a3646",
  new: "#cbd5e1",
  retransmission: "#ff6b6b",
  late: "#fbbf24",
  probe: "#22d3ee",
  ack: "#4ade80",
  edge: "#60a5fa",
  sack: "#d08bff",
  mark: "#f3f4f6",
  cwnd: "#38bdf8",
  ssthresh: "#fb923c",
  flight: "#94a3b8",
  recovery: "#2a2a1c",
  loss: "#391f28",
};

/** The style sheet: no custom properties, which not every program that shows SVG knows. */
export function styleSheet(): string {
  return [
    "text { font: 12px system-ui, 'DejaVu Sans', sans-serif; }",
    ".title { font-size: 16px; font-weight: 600; }",
    ".end { text-anchor: end; }",
    ".middle { text-anchor: middle; }",
    "path, line { fill: none; }",
    ".grid, .axis { stroke-width: 1; shape-rendering: crispEdges; }",
    ".segment { stroke-width: 1.4; stroke-linecap: square; }",
    ".segment.retransmission, .segment.late, .segment.probe { stroke-width: 2; stroke-linecap: butt; }",
    ".ack, .edge, .cwnd { stroke-width: 1.5; }",
    ".duplicate { stroke-width: 1.2; }",
    ".sack { stroke-width: 1.2; stroke-opacity: 0.7; }",
    ".ssthresh { stroke-width: 1.5; stroke-dasharray: 6 4; }",
    ".flight { stroke-width: 1; fill-opacity: 0.25; }",
    "text.mark { font-size: 11px; font-weight: 600; paint-order: stroke; stroke-width: 3px; stroke-linejoin: round; }",
    ...rules(light),
    `@media (prefers-color-scheme: dark) {\n${rules(dark).join("\n")}\n}`,
  ].join("\n");
}

function rules(palette: Palette): string[] {
  const strokes = (["new", "retransmission", "late", "probe"] as const)
    .map((kind) => `.segment.${kind} { stroke: ${palette[kind]}; fill: ${kind === "new" ? "none" : palette[kind]}; }`);
  return [
    `.paper { fill: ${palette.paper}; }`,
    `text { fill: ${palette.ink}; }`,
    `.faint { fill: ${palette.faint}; }`,
    `.grid { stroke: ${palette.grid}; }`,
    `.axis { stroke: ${palette.faint}; }`,
    ...strokes,
    `.ack, .duplicate { stroke: ${palette.ack}; }`,
    `.edge { stroke: ${palette.edge}; }`,
    `.sack { stroke: ${palette.sack}; }`,
    `.mark { fill: ${palette.mark}; }`,
    `text.mark { stroke: ${palette.paper}; }`,
    `.cwnd { stroke: ${palette.cwnd}; }`,
    `.ssthresh { stroke: ${palette.ssthresh}; }`,
    `.flight { stroke: ${palette.flight}; fill: ${palette.flight}; }`,
    `.band.recovery { fill: ${palette.recovery}; }`,
    `.band.loss { fill: ${palette.loss}; }`,
  ];
}
