/**
 * The results as a table for people, or as JSON.
 *
 * @module
 */

import Table from "cli-table3";
import { type Benchmark, type Figures, type Goal, meets, type Row, type Runs, summarize } from "./benchmark.ts";

/** What the runs of a benchmark have measured, by side. */
export type Measured = Readonly<Record<string, readonly Figures[]>>;

/** A row with its figures. */
export interface Result {
  /** The benchmark's name. */
  readonly benchmark: string;
  /** What it shows. */
  readonly label: string;
  /** The unit of the figures. */
  readonly unit: string;
  /** How many runs there were. */
  readonly runs: number;
  /** What was measured. */
  readonly value: Runs;
  /** What it is compared with. */
  readonly against: Runs | null;
  /** The median of the ratios within each run: what slows both sides of a run down does not show in it. */
  readonly ratio: number | null;
  /** What is wanted of the ratio, or else of the value. */
  readonly goal: Goal | null;
  /** Whether it is so; null where nothing is wanted. */
  readonly met: boolean | null;
}

/** Works out the rows of a benchmark. */
export function resultsOf(benchmark: Benchmark, measured: Measured): Result[] {
  return benchmark.rows.map((row) => {
    const pick = ([side, figure]: Row["value"]) => measured[side]!.map((figures) => figures[figure]!);
    const values = pick(row.value);
    const value = summarize(values);
    const others = row.against === undefined ? null : pick(row.against);
    const against = others === null ? null : summarize(others);
    const ratio = others === null ? null : summarize(values.map((value, run) => value / others[run]!)).median;
    const goal = row.goal ?? null;
    return {
      benchmark: benchmark.name,
      label: row.label,
      unit: row.unit,
      runs: measured[row.value[0]]!.length,
      value,
      against,
      ratio,
      goal,
      met: goal === null ? null : meets(goal, ratio ?? value.median),
    };
  });
}

/** The table, without colours where they are not wanted. */
export function renderTable(results: readonly Result[]): string {
  const table = new Table({
    head: ["", "unit", "value", "spread", "against", "ratio", "wanted", "met"],
    colAligns: ["left", "left", "right", "right", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
  });
  for (const { label, unit, value, against, ratio, goal, met } of results) {
    table.push([
      label,
      unit,
      format(value.median),
      `${format(value.least)} to ${format(value.most)}`,
      against === null ? "" : format(against.median),
      ratio === null ? "" : ratio.toFixed(2),
      goal === null ? "" : describeGoal(goal, ratio !== null),
      met === null ? "" : met ? "yes" : "NO",
    ]);
  }
  return table.toString();
}

function describeGoal(goal: Goal, ratio: boolean): string {
  const [sign, bound] = "atLeast" in goal ? [">=", goal.atLeast] : ["<=", goal.atMost];
  return `${sign} ${bound}${ratio ? " x" : ""}`;
}

/** Three digits that count, and all of those in front of the point. */
function format(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const decimals = value >= 100 || value === 0 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return value.toFixed(decimals);
}
