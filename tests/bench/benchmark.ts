/**
 * What a benchmark is: things to measure in turn, and the rows of the table that come out of them.
 *
 * @module
 */

/** The figures that one measurement yields, by name. */
export type Figures = Readonly<Record<string, number>>;

/** Runs once and returns what it measured. */
export type Measure = () => Promise<Figures>;

/** What one of the sides is measured by. */
export interface Side {
  /** Measures once, in a process of its own. */
  readonly measure: Measure;
  /** Flags for V8 in that process. */
  readonly v8Flags?: readonly string[];
}

/** What a row wants of its ratio, or of its value where there is nothing to compare it with. */
export type Goal = { readonly atLeast: number } | { readonly atMost: number };

/** A row of the table. */
export interface Row {
  /** What it shows. */
  readonly label: string;
  /** The unit of its figures. */
  readonly unit: string;
  /** What is shown: a side's name and a figure's. */
  readonly value: readonly [side: string, figure: string];
  /** What it is compared with: the ratio is the value's to this one. */
  readonly against?: readonly [side: string, figure: string];
  /** What is wanted; absent where a row only informs. */
  readonly goal?: Goal;
}

/** A benchmark. */
export interface Benchmark {
  /** Its name, for `--only`. */
  readonly name: string;
  /** What is measured, in turn; the order is turned round in every other run. */
  readonly sides: Readonly<Record<string, Side>>;
  /** What is shown. */
  readonly rows: readonly Row[];
  /** One more transfer whose bytes are compared by their hash. Throws where they differ. */
  readonly verify?: () => Promise<void>;
  /** Programs of the system that it needs. */
  readonly programs?: readonly string[];
}

/** Runs of a figure, in order of size. */
export interface Runs {
  /** The one in the middle. */
  readonly median: number;
  /** The smallest. */
  readonly least: number;
  /** The largest. */
  readonly most: number;
}

/** Puts the runs of a figure together. */
export function summarize(values: readonly number[]): Runs {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, least: sorted[0]!, most: sorted.at(-1)! };
}

/** The value below which a share of all values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Whether a figure is as it is wanted. */
export function meets(goal: Goal, figure: number): boolean {
  return "atLeast" in goal ? figure >= goal.atLeast : figure <= goal.atMost;
}
