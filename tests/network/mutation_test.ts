/**
 * Mutants of good frames against everything up to IPv4 and ICMP: nothing throws, nothing leaks, everything is counted.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { EchoListener } from "../../stack/network/icmpv4.ts";
import { Verdict } from "../../stack/protocol.ts";
import { below, SeededRandom } from "../../stack/random.ts";
import { Ipv4Host, ownMac, peerMac } from "../helpers/ipv4_host.ts";
import {
  arpMessage,
  echoMessage,
  ethernetFrame,
  icmpMessage,
  ipv4Packet,
  pattern,
  plainChecksum,
  uint16,
} from "../helpers/packets.ts";

const echo: EchoListener = { reply: () => true, control: () => {} };

const packets = [
  ipv4Packet({}, pattern(64)),
  ipv4Packet({ options: new Uint8Array(16).fill(1) }, pattern(64)),
  ipv4Packet({ protocol: 99 }, pattern(64)),
  ipv4Packet({ moreFragments: true }, pattern(64)),
  ipv4Packet({ offset: 64 }, pattern(40)),
  ipv4Packet({ protocol: 1 }, echoMessage(8, 1, 1, pattern(56))),
  ipv4Packet({ protocol: 1 }, echoMessage(0, 1, 1, pattern(56))),
  ipv4Packet(
    { protocol: 1 },
    icmpMessage(3, 4, new Uint8Array([0, 0, 5, 0]), ipv4Packet({ source: "192.0.2.2" }, pattern(32))),
  ),
];
const frames = [
  ...packets.map((packet) => ethernetFrame(ownMac, peerMac, 0x0800, packet)),
  ...[1, 2].map((operation) => {
    const message = arpMessage({ operation, sender: [peerMac, "192.0.2.1"], target: [ownMac, "192.0.2.2"] });
    return ethernetFrame(ownMac, peerMac, 0x0806, message);
  }),
];

/** Changes some bytes, behind the Ethernet header more often than in it, or the length. */
function mutate(frame: Uint8Array, random: SeededRandom): Uint8Array {
  const kind = below(random, 8);
  if (kind === 0) return frame.slice(0, below(random, frame.length + 1));
  if (kind === 1) return Uint8Array.from({ length: frame.length + below(random, 40) }, (_, at) => frame[at] ?? 0xaa);
  const mutant = frame.slice();
  for (let count = 1 + below(random, 4); count > 0; count--) {
    const at = below(random, 8) === 0 ? below(random, 14) : 14 + below(random, frame.length - 14);
    mutant[at] = below(random, 3) === 0 ? [0, 0xff, 0x80, 1][below(random, 4)]! : below(random, 256);
  }
  return mutant;
}

/** Puts the checksums of IPv4 and ICMP right, so that mutants come further than the first check. */
function repair(frame: Uint8Array): Uint8Array {
  const packet = frame.subarray(14);
  const header = Math.min((packet[0]! & 15) * 4, packet.length);
  if (frame[12] !== 8 || frame[13] !== 0 || header < 20) return frame;
  packet.set([0, 0], 10);
  packet.set(uint16(plainChecksum(packet.subarray(0, header))), 10);
  const message = packet.subarray(header, Math.min((packet[2]! << 8) | packet[3]!, packet.length));
  if (packet[9] !== 1 || message.length < 4) return frame;
  message.set([0, 0], 2);
  message.set(uint16(plainChecksum(message)), 2);
  return frame;
}

for (const seed of [1, 2, 3]) {
  Deno.test(`Of 5000 mutants of good frames (seed ${seed}) none does harm`, () => {
    const random = new SeededRandom(seed);
    const host = new Ipv4Host({ echo });
    const nic = host.addEthernet(["192.0.2.2/24"]);
    const verdicts = [0, 0, 0];
    for (let count = 0; count < 5000; count++) {
      const mutant = mutate(frames[below(random, frames.length)]!, random);
      const before = drops(host);
      const verdict = host.receive(nic, below(random, 4) === 0 ? mutant : repair(mutant));
      verdicts[verdict]!++;
      if (verdict === Verdict.dropped) assert(drops(host) > before, "A drop was not counted");
      host.take(nic);
      if (below(random, 50) === 0) host.advance(below(random, 5000));
    }
    assert(verdicts.every((count) => count > 0));
    host.advance(120_000);
    host.neighbors.clear();
    host.ipv4.close();
    host.assertQuiet();
  });
}

/** All that was counted: a drop must count more than that a frame was received. */
function drops(host: Ipv4Host): number {
  const arrivals = ["ethernet.received", "ipv4.received", "ipv4.delivered", "icmpv4.received"];
  return Object.entries(host.counters.snapshot({ nonZero: true }))
    .filter(([name]) => !arrivals.includes(name))
    .reduce((sum, [, count]) => sum + count, 0);
}

Deno.test("The good frames themselves are all taken", () => {
  const host = new Ipv4Host({ echo });
  const nic = host.addEthernet(["192.0.2.2/24"]);
  for (const frame of frames.toReversed()) assert(host.receive(nic, frame) !== Verdict.dropped);
  assertEquals(host.counted()["reassembly.reassembled"], 1);
  host.neighbors.clear();
  host.assertQuiet();
});
