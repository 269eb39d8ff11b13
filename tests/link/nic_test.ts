import { assertEquals } from "@std/assert";
import { IpAddress, IpPrefix } from "../../stack/address.ts";
import { VirtualClock } from "../../stack/clock.ts";
import { Counters } from "../../stack/counters.ts";
import { BareIp } from "../../stack/link/bare_ip.ts";
import { LoopbackDevice } from "../../stack/link/loopback.ts";
import { Nic } from "../../stack/link/nic.ts";
import { Verdict } from "../../stack/protocol.ts";
import { Timers } from "../../stack/timers.ts";
import { TestHost } from "../helpers/frames.ts";

function setUp(queuePackets = 8) {
  const host = new TestHost(new Timers(new VirtualClock()));
  const device = new LoopbackDevice({ queuePackets });
  device.attach(host);
  const nic = new Nic(4, "lo", device, new BareIp({ counters: new Counters() }));
  return { host, nic };
}

function viewOf(address: string): DataView {
  return new DataView(IpAddress.parse(address).bytes.buffer);
}

Deno.test("An interface recognises its own addresses of either family, and no others", () => {
  const { nic } = setUp();
  nic.addAddress(IpPrefix.parse("192.0.2.2/24"));
  nic.addAddress(IpPrefix.parse("2001:db8::2/64"));
  assertEquals(nic.ownAddressAt(4, viewOf("192.0.2.2"), 0)?.toString(), "192.0.2.2");
  assertEquals(nic.ownAddressAt(6, viewOf("2001:db8::2"), 0)?.toString(), "2001:db8::2");
  assertEquals(nic.ownAddressAt(4, viewOf("192.0.2.3"), 0), null);
  assertEquals(nic.ownAddressAt(6, viewOf("2001:db8::3"), 0), null);
});

Deno.test("An interface given an address twice keeps it once, with the later prefix length", () => {
  const { nic } = setUp();
  nic.addAddress(IpPrefix.parse("192.0.2.2/24"));
  nic.addAddress(IpPrefix.parse("192.0.2.2/28"));
  assertEquals(nic.addresses.map(String), ["192.0.2.2/28"]);
  assertEquals(nic.isSubnetBroadcastAt(viewOf("192.0.2.15"), 0), true);
  assertEquals(nic.isSubnetBroadcastAt(viewOf("192.0.2.255"), 0), false);
});

Deno.test("An interface forgets a removed address and its subnet's broadcast address", () => {
  const { nic } = setUp();
  nic.addAddress(IpPrefix.parse("192.0.2.2/24"));
  assertEquals(nic.removeAddress(IpAddress.parse("192.0.2.2"))?.toString(), "192.0.2.2/24");
  assertEquals(nic.removeAddress(IpAddress.parse("192.0.2.2")), null);
  assertEquals(nic.addresses, []);
  assertEquals(nic.isSubnetBroadcastAt(viewOf("192.0.2.255"), 0), false);
});

Deno.test("An interface knows the groups that it has joined, each once", () => {
  const { nic } = setUp();
  const group = IpAddress.parse("224.0.0.251");
  nic.joinGroup(group);
  nic.joinGroup(group);
  assertEquals(nic.groups.length, 1);
  assertEquals(nic.hasGroupAt(4, viewOf("224.0.0.251"), 0), true);
  assertEquals(nic.hasGroupAt(4, viewOf("224.0.0.252"), 0), false);
  nic.leaveGroup(group);
  assertEquals(nic.hasGroupAt(4, viewOf("224.0.0.251"), 0), false);
});

Deno.test("An interface counts frames and bytes both ways, and what the device did not take", () => {
  const { host, nic } = setUp(1);
  assertEquals(nic.transmit(host.frame(1, 100)), Verdict.done);
  assertEquals(nic.transmit(host.frame(2, 50)), Verdict.dropped);
  nic.receive(0)?.release();
  assertEquals(nic.receive(0), null);
  assertEquals(nic.counters, {
    sentFrames: 2,
    sentBytes: 150,
    sendDropped: 1,
    receivedFrames: 1,
    receivedBytes: 100,
  });
  assertEquals(host.pool.inUse, 0);
});

Deno.test("An interface marks what it receives with itself, the time, and whether it came from this host", () => {
  const { host, nic } = setUp();
  nic.transmit(host.frame(1));
  const packet = nic.receive(1234.5)!;
  assertEquals([packet.nic, packet.arrivedAt, packet.looped], [4, 1234.5, true]);
  packet.release();
});
