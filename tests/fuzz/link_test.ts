import { assertEquals, assertGreater } from "@std/assert";
import { Counters } from "../../stack/counters.ts";
import { Ethernet } from "../../stack/link/ethernet.ts";
import { EtherType, Nic } from "../../stack/link/nic.ts";
import { type Packet, PacketPool } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { SeededRandom } from "../../stack/random.ts";
import { headerBytes, minimumHeaderBytes } from "../../stack/transport/tcp/header.ts";
import { maximumSackBlocks, TcpOptions } from "../../stack/transport/tcp/options.ts";
import { FuzzDevice } from "./fuzz_device.ts";
import { fuzzPop, readCorpus } from "./harness.ts";
import { Mutator } from "./mutator.ts";

const corpus = await readCorpus();

Deno.test("Ethernet survives 100,000 mutants, and its counters account for each", () => {
  const nics: Nic[] = [];
  const ethernet = new Ethernet({ nics, counters: new Counters() });
  nics.push(new Nic(0, "fuzz0", new FuzzDevice(), ethernet));
  const upper = (name: string) => ({
    name,
    pop(packet: Packet): Verdict {
      packet.release();
      return Verdict.done;
    },
  });
  ethernet.register(EtherType.ipv4, upper("ipv4"));
  ethernet.register(EtherType.arp, upper("arp"));
  const pool = new PacketPool();
  const verdicts = fuzzPop((packet) => ethernet.pop(packet), pool, corpus, { seed: 1, mutants: 100_000 });
  const { received, sent, noAddress, ...drops } = ethernet.counters;
  assertEquals([received, sent, noAddress], [verdicts.done, 0, 0]);
  assertEquals(Object.values(drops).reduce((sum, count) => sum + count), verdicts.dropped);
  assertEquals(verdicts.done + verdicts.dropped, 100_000);
  for (const count of [received, ...Object.values(drops)]) assertGreater(count, 20);
  assertEquals(pool.inUse, 0);
});

Deno.test("TCP options are read from 100,000 mutants without an access outside or a value out of range", () => {
  const segments = corpus.map(({ bytes }) => bytes).filter((bytes) => bytes[12] === 8 && bytes[23] === 6);
  const mutator = new Mutator(segments, new SeededRandom(2));
  const options = new TcpOptions();
  let found = 0;
  for (let index = 0; index < 100_000; index++) {
    const mutant = mutator.mutate();
    const view = new DataView(mutant.buffer, mutant.byteOffset, mutant.length);
    const at = 34;
    if (mutant.length < at + minimumHeaderBytes) continue;
    // A view that ends with the options turns any access behind them into an error.
    const end = Math.min(mutant.length, at + Math.max(minimumHeaderBytes, headerBytes(view, at)));
    options.parse(new DataView(mutant.buffer, 0, end), at + minimumHeaderBytes, end);
    if (options.hasTimestamps || options.sackBlocks > 0 || options.maximumSegmentSize > 0) found++;
    const isSane = options.windowScale >= -1 && options.windowScale <= 14 &&
      options.sackBlocks >= 0 && options.sackBlocks <= maximumSackBlocks && options.maximumSegmentSize <= 0xffff;
    assertEquals(isSane, true);
  }
  assertGreater(found, 20_000);
});
