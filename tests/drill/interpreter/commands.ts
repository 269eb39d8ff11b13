/**
 * Commands in scripts. None is executed: settings in the manner of `sysctl` are made, connections are counted, and the
 * rest is noted.
 *
 * @module
 */

import type { Stack } from "../../../stack/stack.ts";
import { stateName } from "../../../stack/transport/tcp/state.ts";
import { ScriptFailure } from "./failure.ts";
import { type Profile, settingsOf } from "./profile.ts";

/** Names of states that differ from those of the RFC by more than a dash. */
const aliases: Readonly<Record<string, string>> = {
  "SYN-RECV": "SYN-RECEIVED",
  "FIN-WAIT1": "FIN-WAIT-1",
  "FIN-WAIT2": "FIN-WAIT-2",
  CLOSE: "CLOSED",
};

/**
 * Does what a command means, and returns a remark about it if it means nothing here.
 *
 * @throws {ScriptFailure} If it counts connections, and their number is another one.
 */
export function runCommand(command: string, profile: Profile, stack: Stack | null): string | null {
  const count = /^drill-count\s+([\w-]+)\s*=\s*(\d+)$/.exec(command.trim());
  if (count !== null) {
    const name = count[1]!.toUpperCase().replaceAll("_", "-");
    const actual = stack === null ? 0 : countConnections(stack, aliases[name] ?? name);
    if (actual === Number(count[2])) return null;
    throw new ScriptFailure(`expected ${count[2]} connections in ${count[1]}, there are ${actual}`);
  }
  if (/\bdefaults\.sh\b/.test(command)) profile.assume("linux");
  // What a system remembers of its peers: of ours, the cookies of Fast Open.
  if (/\btcp_metrics flush\b/.test(command)) stack?.tcp.fastOpen.cache.clear();
  const settings = settingsOf(command);
  const unknown = settings.filter(([name, value]) => !profile.set(name, value)).map(([name]) => name);
  if (unknown.length > 0) return `nothing here is called ${unknown.join(", ")}`;
  return settings.length > 0 ? null : `not executed: ${command}`;
}

function countConnections(stack: Stack, state: string): number {
  const { tcp } = stack;
  if (state === "TIME-WAIT") return tcp.timeWait.size;
  if (state === "LISTEN") return tcp.listeners().length;
  return tcp.connections().filter((connection) => stateName(connection.state) === state).length;
}
