import { assertEquals, assertGreater } from "@std/assert";
import { fraction } from "../../stack/random.ts";
import { State } from "../../stack/transport/tcp/state.ts";
import { Adversary } from "./adversary.ts";

const segments = 50_000;
const segmentsPerConnection = 2000;

/** The first of the seeds, one for each connection. To see a failure again, put in the one that its message names. */
const firstSeed = 1;

/** Lets a peer say anything for a while and behave then; returns how many segments it sent. */
function run(adversary: Adversary): number {
  const { connection } = adversary.harness;
  let count = 0;
  while (count < segmentsPerConnection && !adversary.over && fraction(adversary.random) > 0.001) {
    adversary.step();
    count++;
  }
  if (connection.state >= State.established) adversary.reform();
  adversary.received += adversary.harness.read();
  connection.abort();
  adversary.harness.end();
  return count;
}

Deno.test(`connections survive ${segments} segments that say anything near the edges, and work on afterwards`, () => {
  let [established, received, acknowledged] = [0, 0, 0];
  const endings = new Set<string>();
  for (let seed = firstSeed, count = 0; count < segments; seed++) {
    const adversary = new Adversary(seed);
    const { connection } = adversary.harness;
    try {
      count += run(adversary);
    } catch (error) {
      throw new Error(`Seed ${seed}, after ${connection.segmentsReceived} segments: ${error}`, { cause: error });
    }
    if (adversary.received > 0) established++;
    received += adversary.received;
    acknowledged += connection.info().bytesAcknowledged;
    endings.add(connection.failure?.name ?? "none");
  }
  // They must have got somewhere, or nothing would have been tested.
  assertGreater(established, 100);
  assertGreater(received, 1_000_000);
  assertGreater(acknowledged, 1_000_000);
  assertEquals(["none", "ConnectionReset", "ConnectionRefused"].filter((ending) => !endings.has(ending)), []);
});
