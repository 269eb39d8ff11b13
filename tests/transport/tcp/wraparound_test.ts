import { assertEquals } from "@std/assert";
import { Pair } from "./pair.ts";

/** Where sequence numbers begin so that they pass a point at which signed or unsigned arithmetic turns over. */
const starts: Record<string, [client: number, server: number]> = {
  "from low numbers": [1000, 5_000_000],
  "the client's pass 2^32": [0xffff_ffff - 100_000, 77],
  "the server's pass 2^32": [77, 0xffff_ffff - 50_000],
  "both pass 2^31": [0x7fff_ffff - 100_000, 0x7fff_ffff - 30_000],
  "one passes 2^32, the other 2^31": [0xffff_ffff - 20_000, 0x7fff_ffff - 20_000],
  "the SYN is the last number": [0xffff_ffff, 0x7fff_ffff],
};

const wires = {
  "a good wire": {},
  "loss": { loss: 0.03 },
  "reordering": { jitter: 15 },
  "loss, duplication and reordering": { loss: 0.05, duplication: 0.05, jitter: 8 },
};

for (const [name, [client, server]] of Object.entries(starts)) {
  for (const [wire, impairment] of Object.entries(wires)) {
    for (
      const [options, configuration] of Object.entries({
        "all options": {},
        "no options": { timestamps: false, selectiveAcknowledgements: false, windowScaling: false },
        "SACK without timestamps": { timestamps: false },
      })
    ) {
      Deno.test(`sequence numbers, ${name}: 300 kB and 100 kB arrive over ${wire}, ${options}`, () => {
        for (let seed = 1; seed <= 3; seed++) {
          const pair = new Pair({ client, server, ...impairment, seed, configuration });
          pair.transfer(300_000, 100_000);
          assertEquals([pair.near.failure, pair.far!.failure], [null, null]);
          pair.end();
        }
      });
    }
  }
}
