import { assertEquals } from "@std/assert";
import { type Family, IpAddress, MacAddress } from "../../stack/address.ts";
import { VirtualClock } from "../../stack/clock.ts";
import { Counters } from "../../stack/counters.ts";
import { Ethernet } from "../../stack/link/ethernet.ts";
import { Evidence } from "../../stack/link/mapping.ts";
import { EtherType, Nic } from "../../stack/link/nic.ts";
import { Neighbors, type NeighborSettings } from "../../stack/network/neighbors.ts";
import { type Packet, PacketPool } from "../../stack/packet.ts";
import { Verdict } from "../../stack/protocol.ts";
import { SeededRandom } from "../../stack/random.ts";
import { Timers } from "../../stack/timers.ts";
import { ownMac, peerMac, RecordingDevice } from "../helpers/ipv4_host.ts";
import { packetOf } from "../helpers/packets.ts";

function setUp(settings: Partial<NeighborSettings> = {}) {
  const clock = new VirtualClock();
  const timers = new Timers(clock);
  const pool = new PacketPool();
  const counters = new Counters();
  const neighbors = new Neighbors({ timers, random: new SeededRandom(1), counters, settings });
  const nics: Nic[] = [];
  const device = new RecordingDevice("tap0", "ethernet", MacAddress.parse(ownMac));
  const nic = new Nic(0, "tap0", device, new Ethernet({ nics, counters }));
  nics.push(nic);
  /** Time, target, and who was asked. */
  const asked: string[] = [];
  const unreachable: number[] = [];
  for (const [family, etherType] of [[4, EtherType.ipv4], [6, EtherType.ipv6]] as const) {
    neighbors.setResolver({
      family,
      etherType,
      solicit(_nic, target, unicastTo) {
        asked.push(`${clock.now()} ${target} ${unicastTo ?? "all"}`);
      },
      announce() {},
    });
    neighbors.setUnreachableHandler(family, (packet) => {
      unreachable.push(packet.view.getUint8(packet.head));
      packet.release();
    });
  }
  return {
    clock,
    timers,
    pool,
    neighbors,
    nic,
    device,
    asked,
    unreachable,
    send(address: string, mark = 1): Verdict {
      const neighbor = neighbors.find(nic, IpAddress.parse(address));
      return neighbors.push(packetOf(pool, new Uint8Array([mark])), neighbor);
    },
    learn(address: string, mac: string, evidence: Evidence): void {
      const ip = IpAddress.parse(address);
      const packet = packetOf(pool, new Uint8Array([...MacAddress.parse(mac).bytes, ...ip.bytes]));
      neighbors.learn(nic, ip.family as Family, packet, packet.head + 6, packet.head, evidence);
      packet.release();
    },
    advance(milliseconds: number): void {
      const end = clock.now() + milliseconds;
      for (let deadline = timers.nextDeadline(); deadline <= end; deadline = timers.nextDeadline()) {
        clock.set(Math.max(deadline, clock.now()));
        timers.run();
      }
      clock.set(end);
    },
    /** The last byte of each frame sent, and to whom. */
    sent: () => device.take().map((frame) => `${frame.at(-1)} ${MacAddress.fromBytes(frame)}`),
    states: () => neighbors.list().map(({ address, state }) => `${address} ${state}`),
    counted: () => counters.snapshot({ nonZero: true }),
    assertQuiet(): void {
      assertEquals(pool.inUse, 0);
      assertEquals(timers.running, 0);
    },
  };
}

const peer = "192.0.2.1";

Deno.test("A packet for an unknown neighbour waits while everybody is asked, and is sent when the answer comes", () => {
  const { send, learn, asked, sent, states, assertQuiet } = setUp();
  assertEquals(send(peer, 1), Verdict.queued);
  assertEquals(send(peer, 2), Verdict.queued);
  assertEquals(asked, [`0 ${peer} all`]);
  assertEquals(states(), [`${peer} INCOMPLETE`]);
  learn(peer, peerMac, Evidence.solicited);
  assertEquals(sent(), [`1 ${peerMac}`, `2 ${peerMac}`]);
  assertEquals(states(), [`${peer} REACHABLE`]);
  assertEquals(send(peer, 3), Verdict.done);
  assertEquals(asked.length, 1);
  assertQuiet();
});

Deno.test("A neighbour that does not answer is asked three times, a second apart, and then given up", () => {
  const { send, advance, asked, unreachable, states, counted, assertQuiet } = setUp();
  send(peer, 1);
  send(peer, 2);
  advance(2999);
  assertEquals(unreachable, []);
  advance(1);
  assertEquals(asked, [`0 ${peer} all`, `1000 ${peer} all`, `2000 ${peer} all`]);
  assertEquals(unreachable, [1, 2]);
  assertEquals(states(), [`${peer} FAILED`]);
  assertEquals(counted(), { "neighbors.solicited": 3, "neighbors.failed": 1, "neighbors.unreachable": 2 });
  assertQuiet();
});

Deno.test("For a second after a neighbour failed senders are told at once; then it is asked again", () => {
  const { send, advance, asked, unreachable, states, learn, assertQuiet } = setUp();
  send(peer, 1);
  advance(3999);
  assertEquals(send(peer, 2), Verdict.dropped);
  assertEquals(unreachable, [1, 2]);
  advance(1);
  assertEquals(send(peer, 3), Verdict.queued);
  assertEquals(asked.at(-1), `4000 ${peer} all`);
  assertEquals(states(), [`${peer} INCOMPLETE`]);
  learn(peer, peerMac, Evidence.solicited);
  assertQuiet();
});

Deno.test("Who answers the report of a failure by sending again is not told again", () => {
  const { neighbors, nic, pool, send, advance, counted, assertQuiet } = setUp();
  let reports = 0;
  neighbors.setUnreachableHandler(4, (packet: Packet) => {
    reports++;
    packet.release();
    assertEquals(send(peer, 9), Verdict.dropped);
  });
  neighbors.push(packetOf(pool, new Uint8Array(1)), neighbors.find(nic, IpAddress.parse(peer)));
  advance(3000);
  assertEquals(reports, 1);
  assertEquals(counted()["neighbors.unreachable"], 2);
  assertQuiet();
});

Deno.test("A confirmation holds for half to one and a half of the reachable time", () => {
  const { send, learn, advance, states, sent } = setUp();
  send(peer);
  learn(peer, peerMac, Evidence.solicited);
  advance(14_999);
  assertEquals(states(), [`${peer} REACHABLE`]);
  advance(30_002);
  assertEquals(states(), [`${peer} STALE`]);
  assertEquals(sent(), [`1 ${peerMac}`]);
});

Deno.test("A stale neighbour is sent to at once and probed five seconds later at its last address", () => {
  const { send, learn, advance, asked, sent, states, assertQuiet } = setUp();
  learn(peer, peerMac, Evidence.addressed);
  assertEquals(states(), [`${peer} STALE`]);
  assertEquals(send(peer), Verdict.done);
  assertEquals(sent(), [`1 ${peerMac}`]);
  assertEquals(states(), [`${peer} DELAY`]);
  advance(4999);
  assertEquals(asked, []);
  advance(1);
  assertEquals(asked, [`5000 ${peer} ${peerMac}`]);
  assertEquals(states(), [`${peer} PROBE`]);
  learn(peer, peerMac, Evidence.solicited);
  assertEquals(states(), [`${peer} REACHABLE`]);
  assertQuiet();
});

Deno.test("A transport that hears from the peer spares a delayed neighbour the probe", () => {
  const { neighbors, nic, send, learn, advance, asked, states, assertQuiet } = setUp();
  learn(peer, peerMac, Evidence.addressed);
  send(peer);
  advance(3000);
  neighbors.find(nic, IpAddress.parse(peer)).confirm();
  advance(10_000);
  assertEquals(asked, []);
  assertEquals(states(), [`${peer} REACHABLE`]);
  assertQuiet();
});

Deno.test("A transport that hears nothing has the neighbour probed at once, where something is known of it", () => {
  const t = setUp();
  const address = IpAddress.parse("10.0.0.2");
  t.send("10.0.0.2");
  const neighbor = t.neighbors.find(t.nic, address);
  neighbor.doubt();
  assertEquals([t.asked, t.states()], [["0 10.0.0.2 all"], ["10.0.0.2 INCOMPLETE"]]);
  t.learn("10.0.0.2", peerMac, Evidence.solicited);
  t.advance(100);
  neighbor.doubt();
  neighbor.doubt();
  assertEquals([t.asked.slice(1), t.states()], [[`100 10.0.0.2 ${peerMac}`], ["10.0.0.2 PROBE"]]);
  t.learn("10.0.0.2", peerMac, Evidence.solicited);
  assertEquals(t.states(), ["10.0.0.2 REACHABLE"]);
  t.neighbors.addPermanent(t.nic, address, MacAddress.parse(peerMac));
  neighbor.doubt();
  // Nor is one that a path has kept and the cache has not.
  t.neighbors.remove(t.nic, address);
  neighbor.doubt();
  assertEquals([t.asked.length, t.states()], [2, []]);
  t.sent();
  t.assertQuiet();
});

Deno.test("A transport's confirmation means nothing while no hardware address is known", () => {
  const { neighbors, nic, send, advance, states, assertQuiet } = setUp();
  send(peer);
  neighbors.find(nic, IpAddress.parse(peer)).confirm();
  assertEquals(states(), [`${peer} INCOMPLETE`]);
  advance(3000);
  assertQuiet();
});

Deno.test("A probed neighbour that is silent is given up after three probes, and asked of everybody when needed", () => {
  const { send, learn, advance, asked, states, assertQuiet } = setUp();
  learn(peer, peerMac, Evidence.addressed);
  send(peer);
  advance(8000);
  assertEquals(asked, [5000, 6000, 7000].map((time) => `${time} ${peer} ${peerMac}`));
  assertEquals(states(), [`${peer} FAILED`]);
  assertEquals(send(peer), Verdict.queued);
  assertEquals(asked.at(-1), `8000 ${peer} all`);
  learn(peer, "02:00:00:00:00:09", Evidence.solicited);
  assertQuiet();
});

Deno.test("What is overheard updates what is known and adds nothing", () => {
  const { learn, states, neighbors, assertQuiet } = setUp();
  learn(peer, peerMac, Evidence.overheard);
  assertEquals(states(), []);
  learn(peer, peerMac, Evidence.addressed);
  learn(peer, "02:00:00:00:00:09", Evidence.overheard);
  assertEquals(neighbors.list()[0]!.mac?.toString(), "02:00:00:00:00:09");
  assertQuiet();
});

Deno.test("A reachable neighbour that repeats its address stays reachable; one with a new address becomes stale", () => {
  const { send, learn, states } = setUp();
  send(peer);
  learn(peer, peerMac, Evidence.solicited);
  learn(peer, peerMac, Evidence.overheard);
  assertEquals(states(), [`${peer} REACHABLE`]);
  learn(peer, "02:00:00:00:00:09", Evidence.overheard);
  assertEquals(states(), [`${peer} STALE`]);
});

Deno.test("Packets that wait are sent when the neighbour itself turns up, which is then probed", () => {
  const { send, learn, advance, sent, asked, states, assertQuiet } = setUp();
  send(peer, 7);
  learn(peer, peerMac, Evidence.addressed);
  assertEquals(sent(), [`7 ${peerMac}`]);
  assertEquals(states(), [`${peer} DELAY`]);
  advance(5000);
  assertEquals(asked.at(-1), `5000 ${peer} ${peerMac}`);
  learn(peer, peerMac, Evidence.solicited);
  assertQuiet();
});

Deno.test("When too many packets wait for a neighbour the oldest is dropped", () => {
  const { send, learn, sent, counted, assertQuiet } = setUp({ pendingPackets: 3 });
  for (const mark of [1, 2, 3, 4, 5]) assertEquals(send(peer, mark), Verdict.queued);
  learn(peer, peerMac, Evidence.solicited);
  assertEquals(sent(), [3, 4, 5].map((mark) => `${mark} ${peerMac}`));
  assertEquals(counted()["neighbors.pendingDropped"], 2);
  assertQuiet();
});

Deno.test("When packets that wait for all neighbours hold too much memory new ones are dropped", () => {
  const { send, advance, unreachable, counted, assertQuiet } = setUp({ pendingBytes: 2 * 2048 });
  assertEquals(send("192.0.2.1", 1), Verdict.queued);
  assertEquals(send("192.0.2.3", 2), Verdict.queued);
  assertEquals(send("192.0.2.4", 3), Verdict.dropped);
  assertEquals(counted()["neighbors.pendingDropped"], 1);
  advance(3000);
  assertEquals(unreachable, [1, 2]);
  assertEquals(send("192.0.2.5", 4), Verdict.queued);
  advance(3000);
  assertQuiet();
});

Deno.test("A full cache replaces a failed neighbour first, then the one unused for the longest time", () => {
  const { learn, send, advance, neighbors, counted, states } = setUp({ capacity: 3 });
  send("192.0.2.1");
  advance(3000);
  learn("192.0.2.3", peerMac, Evidence.addressed);
  advance(1);
  learn("192.0.2.4", peerMac, Evidence.addressed);
  assertEquals(neighbors.size, 3);
  learn("192.0.2.5", peerMac, Evidence.addressed);
  assertEquals(states().map((line) => line.split(" ")[0]), ["192.0.2.3", "192.0.2.4", "192.0.2.5"]);
  learn("192.0.2.6", peerMac, Evidence.addressed);
  assertEquals(states().map((line) => line.split(" ")[0]), ["192.0.2.4", "192.0.2.5", "192.0.2.6"]);
  assertEquals(counted()["neighbors.replaced"], 2);
});

Deno.test("A full cache keeps permanent neighbours, and those that packets wait for as long as there are others", () => {
  const { neighbors, nic, learn, send, states, counted, assertQuiet } = setUp({ capacity: 2 });
  neighbors.addPermanent(nic, IpAddress.parse("192.0.2.9"), MacAddress.parse(peerMac));
  send("192.0.2.1");
  learn("192.0.2.3", peerMac, Evidence.addressed);
  learn("192.0.2.4", peerMac, Evidence.addressed);
  assertEquals(states(), ["192.0.2.9 PERMANENT", "192.0.2.1 INCOMPLETE", "192.0.2.4 STALE"]);
  send("192.0.2.5");
  send("192.0.2.6");
  assertEquals(states(), ["192.0.2.9 PERMANENT", "192.0.2.5 INCOMPLETE", "192.0.2.6 INCOMPLETE"]);
  assertEquals(counted()["neighbors.pendingDropped"], 1);
  neighbors.clear();
  assertQuiet();
});

Deno.test("A path that holds a neighbour which was replaced finds the present one", () => {
  const { neighbors, nic, pool, learn, sent } = setUp({ capacity: 1 });
  learn(peer, peerMac, Evidence.addressed);
  const held = neighbors.find(nic, IpAddress.parse(peer));
  learn("192.0.2.3", peerMac, Evidence.addressed);
  assertEquals(held.cached, false);
  learn(peer, "02:00:00:00:00:09", Evidence.addressed);
  neighbors.push(packetOf(pool, new Uint8Array([5])), held);
  assertEquals(sent(), ["5 02:00:00:00:00:09"]);
  neighbors.clear();
});

Deno.test("A permanent neighbour is never asked, learnt or aged", () => {
  const { neighbors, nic, learn, send, advance, sent, asked, states, assertQuiet } = setUp();
  send(peer, 1);
  neighbors.addPermanent(nic, IpAddress.parse(peer), MacAddress.parse(peerMac));
  learn(peer, "02:00:00:00:00:66", Evidence.solicited);
  advance(1_000_000);
  assertEquals(send(peer, 2), Verdict.done);
  assertEquals(sent(), [`1 ${peerMac}`, `2 ${peerMac}`]);
  assertEquals(states(), [`${peer} PERMANENT`]);
  assertEquals(asked.length, 1);
  assertEquals(neighbors.remove(nic, IpAddress.parse(peer)), true);
  assertEquals(neighbors.remove(nic, IpAddress.parse(peer)), false);
  assertQuiet();
});

Deno.test("Clearing one interface's neighbours drops what waits for them and leaves others alone", () => {
  const { neighbors, nic, send, learn, states, counted, assertQuiet } = setUp();
  const other = new Nic(1, "tap1", nic.device, nic.link);
  send(peer);
  neighbors.find(other, IpAddress.parse(peer));
  neighbors.clear(nic);
  assertEquals(neighbors.list().map((entry) => entry.nic), ["tap1"]);
  assertEquals(counted()["neighbors.pendingDropped"], 1);
  learn(peer, peerMac, Evidence.addressed);
  assertEquals(states(), [`${peer} INCOMPLETE`, `${peer} STALE`]);
  assertQuiet();
});

Deno.test("One timer serves all neighbours, and none runs when nothing is due", () => {
  const { timers, send, learn, advance, asked } = setUp();
  for (let host = 1; host <= 20; host++) send(`192.0.2.${host}`);
  assertEquals(timers.running, 1);
  advance(500);
  send("192.0.2.30");
  assertEquals(timers.running, 1);
  for (let host = 1; host <= 20; host++) learn(`192.0.2.${host}`, peerMac, Evidence.solicited);
  advance(1000);
  assertEquals(asked.at(-1), "1500 192.0.2.30 all");
  learn("192.0.2.30", peerMac, Evidence.solicited);
  assertEquals(timers.running, 0);
});

Deno.test("IPv6 neighbours live in the same cache", () => {
  const { device, send, learn, states, assertQuiet } = setUp();
  send("2001:db8::1");
  send("2001:db8::2");
  learn("2001:db8::1", peerMac, Evidence.solicited);
  learn("2001:db8::2", peerMac, Evidence.solicited);
  assertEquals(states(), ["2001:db8::1 REACHABLE", "2001:db8::2 REACHABLE"]);
  assertEquals(Array.from(device.take()[0]!.subarray(12, 14)), [0x86, 0xdd]);
  assertQuiet();
});
