import { assert, assertEquals, assertRejects } from "@std/assert";
import { createWire, SeededRandom, Stack } from "../../mod.ts";
import { Ipv4Host, ownMac, peerMac } from "../helpers/ipv4_host.ts";
import { type ArpFields, arpMessage, ethernetFrame } from "../helpers/packets.ts";
import { VirtualTime } from "../helpers/virtual_time.ts";
import { IpAddress, type MacAddress } from "../../stack/address.ts";

const zeroMac = "00:00:00:00:00:00";
const wanted = "192.0.2.77";

function setUp() {
  const host = new Ipv4Host();
  const nic = host.addEthernet(["192.0.2.2/24"]);
  const other = host.addEthernet(["198.51.100.2/24"], "02:00:00:00:00:04");
  const results: (string | null)[] = [];
  const cancel = host.arp.probe(nic, IpAddress.parse(wanted), host.random, (owner: MacAddress | null) => {
    results.push(owner === null ? null : String(owner));
  });
  return {
    host,
    nic,
    other,
    results,
    cancel,
    receive(fields: ArpFields, on = nic): void {
      host.receive(on, ethernetFrame("ff:ff:ff:ff:ff:ff", peerMac, 0x0806, arpMessage(fields)));
    },
  };
}

Deno.test("an address is probed three times, one to two seconds apart, and free two seconds later", () => {
  const { host, nic, results } = setUp();
  const times: number[] = [];
  const probe = arpMessage({ operation: 1, sender: [ownMac, "0.0.0.0"], target: [zeroMac, wanted] });
  while (results.length === 0) {
    host.advance(host.timers.nextDeadline() - host.clock.now());
    for (const frame of host.take(nic)) {
      assertEquals(frame, ethernetFrame("ff:ff:ff:ff:ff:ff", ownMac, 0x0806, probe));
      times.push(host.clock.now());
    }
  }
  assertEquals([results, times.length], [[null], 3]);
  assert(times[0]! <= 1000);
  for (const index of [1, 2]) {
    const between = times[index]! - times[index - 1]!;
    assert(between >= 1000 && between <= 2000, `${between} ms`);
  }
  assertEquals(host.clock.now() - times[2]!, 2000);
  assertEquals(host.counted()["arp.probesSent"], 3);
  host.assertQuiet();
});

for (
  const [what, fields] of [
    ["a reply from", { operation: 2, sender: [peerMac, wanted], target: [ownMac, "0.0.0.0"] }],
    ["a request from", { operation: 1, sender: [peerMac, wanted], target: [zeroMac, "192.0.2.9"] }],
    ["another host's probe of", { operation: 1, sender: [peerMac, "0.0.0.0"], target: [zeroMac, wanted] }],
  ] as [string, ArpFields][]
) {
  Deno.test(`${what} the address ends the probe: it is taken`, () => {
    const { host, results, receive } = setUp();
    host.advance(1500);
    receive(fields);
    assertEquals(results, [peerMac]);
    host.advance(10_000);
    assertEquals(results, [peerMac]);
    host.assertQuiet();
  });
}

Deno.test("our own probe that comes back, other addresses and other links are no conflict", () => {
  const { host, nic, other, results, receive } = setUp();
  host.advance(1500);
  receive({ operation: 1, sender: [ownMac, "0.0.0.0"], target: [zeroMac, wanted] });
  receive({ operation: 1, sender: [peerMac, "0.0.0.0"], target: [zeroMac, "192.0.2.78"] });
  receive({ operation: 1, sender: [peerMac, "192.0.2.9"], target: [zeroMac, wanted] });
  receive({ operation: 2, sender: [peerMac, wanted], target: [ownMac, "0.0.0.0"] }, other);
  host.advance(10_000);
  assertEquals(results, [null]);
  host.take(nic);
  host.assertQuiet();
});

Deno.test("a probe that is given up says nothing", () => {
  const { host, results, cancel } = setUp();
  host.advance(1500);
  cancel();
  cancel();
  host.advance(10_000);
  assertEquals(results, []);
  host.assertQuiet();
});

Deno.test("a stack finds out that an address is taken, and by whom", async () => {
  const time = new VirtualTime();
  const stack = (seed: number) =>
    time.add(new Stack({ timers: time.timers, random: new SeededRandom(seed), eventLoop: false }));
  const [left, right] = [stack(1), stack(2)];
  const [leftEnd, rightEnd] = createWire();
  const nic = left.attach(leftEnd, {});
  right.attach(rightEnd, { addresses: ["10.0.0.2/24"] });
  assertEquals(String(await time.waitFor(left.probeAddress(nic, "10.0.0.2"))), "02:00:00:00:00:02");
  assertEquals(await time.waitFor(left.probeAddress(nic, "10.0.0.1")), null);
  assertEquals(await left.probeAddress(left.nics[0]!, "10.0.0.1"), null);
  await assertRejects(() => left.probeAddress(nic, "fd00::1"), TypeError, "give an IPv4 address");
  const controller = new AbortController();
  const aborted = left.probeAddress(nic, "10.0.0.1", { signal: controller.signal });
  controller.abort();
  await assertRejects(() => aborted, DOMException);
  const closed = left.probeAddress(nic, "10.0.0.1");
  closed.catch(() => {});
  await left.close();
  await assertRejects(() => closed, Deno.errors.BadResource, "the stack has been closed");
  await right.close();
  time.settle();
  assertEquals([left.pool.inUse, right.pool.inUse, time.timers.running], [0, 0, 0]);
});
