/**
 * Who is connected to a VPN server that runs on this machine, and what a client that runs here is doing.
 *
 * @module
 */

import type { ClientSnapshot } from "../../stack/application/tunnel/client.ts";
import type { ServerSnapshot } from "../../stack/application/tunnel/server.ts";
import { askControl } from "../control/client.ts";
import { listControlSockets } from "../control/directory.ts";
import { formatTable } from "../netstat/tables.ts";
import type { TunSnapshot } from "./tun.ts";

/** What a running server answers. */
export interface ServerStatus extends ServerSnapshot {
  /** What it is. */
  role: "server";
  /** Its TUN device. */
  tun: TunSnapshot;
  /** Connections that were closed because they did not become tunnels in time. */
  silentConnections: number;
}

/** What a running program answers. */
export type VpnSnapshot =
  | ServerStatus
  | ({ role: "client"; server: string; tun?: TunSnapshot } & ClientSnapshot);

/**
 * Asks the program with that control socket, or all of this user that run and have a tunnel.
 *
 * @throws {Error} If none runs, or one does not answer.
 */
export async function askStatus(control: string | null): Promise<VpnSnapshot[]> {
  if (control !== null) return [await askControl(control, "vpn") as VpnSnapshot];
  const entries = await listControlSockets();
  const answers = await Promise.allSettled(entries.map(({ path }) => askControl(path, "vpn")));
  // One that has just ended, or that has no tunnel, does not keep the others from being shown.
  const given = answers.filter((answer) => answer.status === "fulfilled").map(({ value }) => value as VpnSnapshot);
  if (given.length > 0) return given;
  throw new Error("Cannot find a VPN that runs here: start one with vpn server, vpn client, or --vpn");
}

/** The answers as text. */
export function formatStatus(snapshots: readonly VpnSnapshot[]): string {
  return snapshots.map((snapshot) => snapshot.role === "server" ? serverText(snapshot) : clientText(snapshot))
    .join("\n\n");
}

function serverText(
  { network, interconnect, sessions, drops, refusals, tun, silentConnections }: ServerStatus,
): string {
  const rows = sessions.map((session) => [
    session.name,
    session.address,
    session.remote,
    session.since,
    session.receivedPackets,
    session.receivedBytes,
    session.sentPackets,
    session.sentBytes,
    reasons(session.drops),
  ]);
  const head = ["Name", "Address", "From", "Since", "RX-Packets", "RX-Bytes", "TX-Packets", "TX-Bytes", "Drops"];
  const title = [
    `Server of ${network}, ${sessions.length} connected, clients ${interconnect ? "reach" : "do not reach"} each other`,
    `drops of ${tun.name}: ${reasons({ ...drops, queueFull: tun.queueDrops }) ?? "none"}`,
    `refused: ${reasons({ ...refusals, silentConnections }) ?? "none"}`,
  ].join("; ");
  return sessions.length === 0 ? title : `${title}\n${formatTable(head, rows)}`;
}

function clientText(
  { server, state, connection, lost, tun }: ClientSnapshot & { server: string; tun?: TunSnapshot },
): string {
  const address = connection === null ? "" : ` as ${connection.address}`;
  const drops = tun === undefined ? "" : `; drops of ${tun.name}: ${reasons({ queueFull: tun.queueDrops }) ?? "none"}`;
  return `Client of ${server}: ${state}${address}, ${lost} connections lost${drops}`;
}

/** The counters that are not 0. */
function reasons(drops: object): string | null {
  const some = Object.entries(drops as Record<string, number>).filter(([, count]) => count > 0).map(([name, count]) =>
    `${name} ${count}`
  );
  return some.length === 0 ? null : some.join(", ");
}
