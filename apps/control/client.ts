/**
 * Asking a running program by its control socket.
 *
 * @module
 */

import type { StackSnapshot } from "../../mod.ts";
import { errorLine } from "../cli.ts";
import { type ControlEntry, listControlSockets } from "./directory.ts";

/** How long a program may take to answer, in milliseconds. */
const patience = 5000;

/**
 * Asks the program at `path` for one of its answers.
 *
 * @throws {Error} If it does not answer, or has no such answer.
 */
export async function askControl(path: string, name: string): Promise<unknown> {
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  let response: Response;
  try {
    response = await fetch(`http://localhost/${name}`, { client, signal: AbortSignal.timeout(patience) });
  } catch (error) {
    const { cause } = error as Error;
    throw new Error(`Cannot ask the program at "${path}": ${errorLine(cause ?? error)}; does it still run?`);
  }
  if (!response.ok) throw new Error(`Cannot ask the program at "${path}": ${(await response.text()).trim()}`);
  return await response.json();
}

/**
 * What the stack of the program at `path` is doing.
 *
 * @throws {Error} If the program does not answer.
 */
export async function askSnapshot(path: string): Promise<StackSnapshot> {
  return await askControl(path, "snapshot") as StackSnapshot;
}

/**
 * Chooses among the programs that run: the one with that process, or the only one.
 *
 * @throws {Error} If there is none, or several and none was chosen.
 */
export async function chooseProgram(pid: number | null): Promise<ControlEntry> {
  const entries = await listControlSockets();
  if (pid !== null) {
    const found = entries.find((entry) => entry.pid === pid);
    if (found !== undefined) return found;
    throw new Error(`Cannot find process ${pid}: ${running(entries)}`);
  }
  const [only, ...others] = entries;
  if (only === undefined) throw new Error("Cannot find a running program with a stack: start one, like echo");
  if (others.length > 0) throw new Error(`Cannot choose a program: ${running(entries)}; choose with --pid`);
  return only;
}

function running(entries: readonly ControlEntry[]): string {
  if (entries.length === 0) return "no program with a stack runs";
  return `${entries.map(({ program, pid }) => `${program} (${pid})`).join(", ")} run${entries.length === 1 ? "s" : ""}`;
}
