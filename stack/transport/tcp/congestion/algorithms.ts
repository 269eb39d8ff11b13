/**
 * The congestion control algorithms by name.
 *
 * @module
 */

import type { CongestionControlFactory } from "./control.ts";
import { Cubic } from "./cubic.ts";
import { Reno } from "./reno.ts";

/** The names of the algorithms that come with the stack. */
export type CongestionControlName = "cubic" | "reno";

const algorithms: Readonly<Record<CongestionControlName, CongestionControlFactory>> = {
  cubic: () => new Cubic(),
  reno: () => new Reno(),
};

/** The names of the algorithms, for messages and checks. */
export const congestionControlNames: readonly string[] = Object.keys(algorithms);

/** What makes the state of an algorithm that is given by name, or as that very function. */
export function congestionControlFactory(
  choice: CongestionControlName | CongestionControlFactory,
): CongestionControlFactory {
  return typeof choice === "function" ? choice : algorithms[choice];
}
