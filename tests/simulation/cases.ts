/**
 * The simulator's cases by name: `sweep` and `brief`, which draw everything from the seed, and links such as
 * `link:1%:50ms:10M:1:loss`.
 *
 * @module
 */

import type { CaptureSink } from "../../stack/link/capture.ts";
import { below, fraction, SeededRandom } from "../../stack/random.ts";
import { type Link, linkName, parseLinkName, runLink, troubles } from "./link_case.ts";
import { assertExact, assertPlausible, drawScenario, runScenario } from "./scenario.ts";

/** The kinds of cases that are wholly drawn from their seed. */
export const drawnCases = ["sweep", "brief"] as const;

/** How a case is run. */
export interface CaseOptions {
  /** The seed of everything that is left to chance. */
  readonly seed: number;
  /** Takes a capture of what the client sees. */
  readonly capture?: CaptureSink;
  /** Is told of every segment and every change of state, where the case is a drawn one. */
  readonly print?: (line: string) => void;
}

/** Whether there is a case of this name. */
export function isCase(name: string): boolean {
  return name === "sweep" || name === "brief" || parseLinkName(name) !== null;
}

/**
 * Runs a case and asserts all that must hold. Returns whether both sides went on to the end, where others gave up on
 * purpose.
 */
export async function runCase(name: string, options: CaseOptions): Promise<boolean> {
  const link = parseLinkName(name);
  if (link !== null) {
    await runLink(link, options);
    return true;
  }
  const scenario = drawScenario(options.seed, name === "brief");
  const outcome = await runScenario(scenario, options);
  const quits = scenario.behaviours.some(({ quit }) => quit !== null);
  if (quits) assertPlausible(outcome);
  else assertExact(outcome);
  return !quits;
}

/** The name of the case that a seed stands for when cases of all kinds are mixed. */
export function drawCase(seed: number): string {
  const random = new SeededRandom(seed);
  const kind = fraction(random);
  if (kind < 0.8) return kind < 0.4 ? "sweep" : "brief";
  return linkName(drawLink(random));
}

function drawLink(random: SeededRandom): Link {
  const scaled = (least: number, most: number) => least * (most / least) ** fraction(random);
  const trouble = troubles[below(random, troubles.length)]!;
  // A burst can outlast one time-out after the other: with more of them a transfer may take hours by the rules.
  const mostShare = trouble === "burst-loss" ? 0.03 : 0.15;
  return {
    trouble,
    share: Math.round(1e5 * scaled(0.001, mostShare)) / 1e5,
    rtt: Math.ceil(scaled(1, 300)),
    rate: Math.ceil(scaled(3, 200)) * 1e5,
    queue: Math.ceil(10 * scaled(0.1, 3)) / 10,
  };
}
