/**
 * Transfers whose bytes are compared by their hash.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { TcpConn } from "../../mod.ts";
import { noise, sendAll } from "../kernel/transfer.ts";
import type { Transfer } from "./bulk.ts";
import { onTap, outputOf, ownAddress } from "./networks.ts";

const port = 9;
const bytesOfAll = 64 * 1024 * 1024;

/**
 * Moves 64 MiB of noise in all, on a stack as it is measured, and compares the hashes of what was sent and received.
 *
 * @throws {Error} If they differ.
 */
export async function verifyTransfer({ direction, flows, offload }: Transfer): Promise<void> {
  const file = await Deno.makeTempFile({ prefix: "tapstack-bench-" });
  try {
    const bytes = noise(bytesOfAll / flows);
    await Deno.writeFile(file, bytes);
    const expected = createHash("sha256").update(bytes).digest("hex");
    const command = direction === "in" ? sender(file) : receiver;
    await onTap({ offload }, async (network) => {
      using listener = network.stack!.listen({ port });
      const outputs = Array.from({ length: flows }, () => outputOf(network.peer("sh", "-c", command)));
      const served: Promise<string>[] = [];
      while (served.length < flows) served.push(serve(await listener.accept(), direction === "in" ? null : bytes));
      const received = await Promise.all(served);
      const printed = await Promise.all(outputs);
      for (const hash of direction === "in" ? received : printed.map((text) => text.split(" ")[0])) {
        if (hash !== expected) throw new Error(`A transfer was spoiled: its hash is ${hash} instead of ${expected}`);
      }
    });
  } finally {
    await Deno.remove(file);
  }
}

function sender(file: string): string {
  return `nc -N ${ownAddress} ${port} <${file}`;
}

const receiver = `nc -d ${ownAddress} ${port} | sha256sum`;

/** Sends the bytes, or returns the hash of what comes. */
async function serve(conn: TcpConn, bytes: Uint8Array | null): Promise<string> {
  if (bytes !== null) {
    await sendAll(conn, bytes);
    // The peer closes when it has everything.
    await conn.read(new Uint8Array(1));
    conn.close();
    return "";
  }
  const hash = createHash("sha256");
  const buffer = new Uint8Array(1 << 18);
  for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
    hash.update(buffer.subarray(0, length));
  }
  conn.close();
  return hash.digest("hex");
}
