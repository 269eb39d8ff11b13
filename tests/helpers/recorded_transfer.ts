/**
 * A transfer between two stacks on virtual time, recorded at the sender in both ways: as a capture and as a log.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { IpAddress } from "../../stack/address.ts";
import { ConnectionLog } from "../../stack/connection_log.ts";
import { capture } from "../../stack/link/capture.ts";
import type { ImpairmentOptions } from "../../stack/link/impairment.ts";
import { createWire } from "../../stack/link/wire.ts";
import { SeededRandom } from "../../stack/random.ts";
import { Stack } from "../../stack/stack.ts";
import type { TcpInfo } from "../../stack/transport/tcp/user.ts";
import { VirtualTime } from "./virtual_time.ts";

/** What is transferred, and over what. */
export interface RecordedTransferOptions {
  /** The seed of everything that is left to chance. */
  seed: number;
  /** What happens to frames from the sender, and to those from the receiver. */
  impairments?: [ImpairmentOptions, ImpairmentOptions];
  /** Bytes from the client to the server. */
  bytes: number;
}

/** What was recorded. */
export interface RecordedTransfer {
  /** The capture, made at the sender: pcapng. */
  capture: Uint8Array<ArrayBuffer>;
  /** The sender's connection log. */
  log: string[];
  /** What the sender knew when everything had been acknowledged. */
  info: TcpInfo;
}

/** Transfers from a client to a server, which closes when the client has, and records it. */
export async function recordTransfer(options: RecordedTransferOptions): Promise<RecordedTransfer> {
  const { seed, bytes, impairments } = options;
  const time = new VirtualTime();
  const stack = (salt: number) =>
    time.add(new Stack({ timers: time.timers, random: new SeededRandom(2 * seed + salt), eventLoop: false }));
  const [client, server] = [stack(0), stack(1)];
  const [left, right] = createWire({ seed, ...(impairments === undefined ? {} : { impairments }) });
  const blocks: Uint8Array[] = [];
  const clientNic = client.attach(capture(left, (block) => blocks.push(block)), { addresses: ["10.0.0.1/24"] });
  const serverNic = server.attach(right, { addresses: ["10.0.0.2/24"] });
  client.neighbors.addPermanent(clientNic, IpAddress.parse("10.0.0.2"), right.address!);
  server.neighbors.addPermanent(serverNic, IpAddress.parse("10.0.0.1"), left.address!);
  const log: string[] = [];
  client.trace = new ConnectionLog(time.clock, (line) => log.push(line));

  const listener = server.listen({ port: 80 });
  const accepted = listener.accept();
  const connection = await time.waitFor(client.connect({ hostname: "10.0.0.2", port: 80, localPort: 50_000 }));
  const [watched] = client.tcp.connections();
  const peer = await time.waitFor(accepted);
  const received = new Response(peer.readable).arrayBuffer();
  const answered = new Response(connection.readable).arrayBuffer();
  const writer = connection.writable.getWriter();
  await time.waitFor(writer.write(new Uint8Array(bytes)));
  await time.waitFor(writer.close());
  assertEquals((await time.waitFor(received)).byteLength, bytes);
  await time.waitUntil(() => watched!.unacknowledged === 0);
  const info = watched!.info();
  await time.waitFor(answered);
  // TIME-WAIT, and what is still on the wire, come to their end.
  await time.run(200_000);
  listener.close();
  await client.close();
  await server.close();
  return { capture: concat(blocks) as Uint8Array<ArrayBuffer>, log, info };
}
