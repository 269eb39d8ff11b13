/**
 * Two stacks in one process, and many connections between them.
 *
 * @module
 */

import { createWire, Stack, type StackOptions, type TcpConn, type WireOptions } from "../../mod.ts";

/** Where the server is. */
export const serverAddress = "10.0.0.2";

/** Runs `body` with two stacks at the ends of an in-memory wire; both are made with `stackOptions`. */
export async function withPair<Result>(
  options: WireOptions,
  body: (client: Stack, server: Stack) => Promise<Result>,
  stackOptions: StackOptions = {},
): Promise<Result> {
  await using client = new Stack(stackOptions);
  await using server = new Stack(stackOptions);
  const [clientEnd, serverEnd] = createWire(options);
  client.attach(clientEnd, { addresses: ["10.0.0.1/24"] });
  server.attach(serverEnd, { addresses: [`${serverAddress}/24`] });
  return await body(client, server);
}

/** Links of a chain of promise reactions in which a program answers what a step brought. */
const turnsOfAnswer = 8;

/** Steps stacks without an event loop until `work`, which waits for them, has come to its end. */
export async function stepUntil<Result>(stacks: readonly Stack[], work: Promise<Result>): Promise<Result> {
  let ended = false;
  work.finally(() => ended = true).catch(() => {});
  while (!ended) {
    for (const stack of stacks) stack.step();
    for (let turn = 0; turn < turnsOfAnswer; turn++) await undefined;
  }
  return await work;
}

/** Connections that are opened at the same time. */
const batch = 100;
/** Connections to one port: there are some 16,000 ephemeral ports. */
const connectionsOfPort = 10_000;

/** Opens connections, and returns both ends of each. */
export async function connectMany(client: Stack, server: Stack, count: number): Promise<[TcpConn, TcpConn][]> {
  const pairs: [TcpConn, TcpConn][] = [];
  for (let port = 1; pairs.length < count; port++) {
    const listener = server.listen({ port });
    const last = Math.min(count, pairs.length + connectionsOfPort);
    while (pairs.length < last) {
      const size = Math.min(batch, last - pairs.length);
      const connecting = Array.from({ length: size }, () => client.connect({ hostname: serverAddress, port }));
      const byPort = new Map<number, TcpConn>();
      while (byPort.size < size) {
        const conn = await listener.accept();
        byPort.set(conn.remoteAddr.port, conn);
      }
      for (const conn of await Promise.all(connecting)) pairs.push([conn, byPort.get(conn.localAddr.port)!]);
    }
    listener.close();
  }
  return pairs;
}
