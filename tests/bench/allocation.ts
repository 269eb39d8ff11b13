/**
 * Moves data between two stacks in this process and prints what counts and when, for {@linkcode readCollections}.
 *
 * @module
 */

import { serverAddress, withPair } from "./stack_pair.ts";

const port = 9;
const warmUp = 500_000_000;
const counted = 1_500_000_000;

await withPair({}, async (client, server) => {
  const listener = server.listen({ port });
  const sender = await client.connect({ hostname: serverAddress, port });
  const receiver = await listener.accept();
  const out = new Uint8Array(1 << 18);
  const into = new Uint8Array(1 << 18);
  (async () => {
    while (true) await sender.write(out);
  })().catch(() => {});
  const receive = async (bytes: number) => {
    for (let received = 0; received < bytes;) received += await receiver.read(into) ?? bytes;
  };
  await receive(warmUp);
  const from = performance.now();
  await receive(counted);
  console.log(`\ncounted from ${from} to ${performance.now()} ms: ${counted / 1e6} MB`);
  sender.abort();
});
