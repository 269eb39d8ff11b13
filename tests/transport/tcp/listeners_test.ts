import { assert, assertEquals } from "@std/assert";
import { IpAddress } from "../../../stack/address.ts";
import type { Packet } from "../../../stack/packet.ts";
import { Counters } from "../../../stack/counters.ts";
import { Listener } from "../../../stack/transport/tcp/listener.ts";
import { Listeners } from "../../../stack/transport/tcp/listeners.ts";
import { defaultSettings } from "../../../stack/transport/tcp/settings.ts";
import type { TcpCounters } from "../../../stack/transport/tcp/counters.ts";

const port = 80;

function listenerOn(address: string): Listener {
  const counters = new Counters().register("tcp", {}) as unknown as TcpCounters;
  return new Listener({ address: IpAddress.parse(address), port }, 1, defaultSettings, counters, () => {});
}

/** What the table looks at of a packet. */
function packet(source: string, destination: string, sourcePort = 5000): Packet {
  const [from, to] = [IpAddress.parse(source), IpAddress.parse(destination)];
  const bytes = new Uint8Array(from.bytes.length + to.bytes.length + 20);
  bytes.set(from.bytes);
  bytes.set(to.bytes, from.bytes.length);
  const view = new DataView(bytes.buffer);
  const transportAt = from.bytes.length + to.bytes.length;
  view.setUint16(transportAt, sourcePort);
  view.setUint16(transportAt + 2, port);
  return { view, family: from.family, sourceAt: 0, destinationAt: from.bytes.length, transportAt } as unknown as Packet;
}

Deno.test("a listener on the very address is preferred to one on all", () => {
  const listeners = new Listeners();
  const [all, one] = [listenerOn("0.0.0.0"), listenerOn("192.0.2.1")];
  listeners.add(all);
  listeners.add(one);
  assertEquals(listeners.find(packet("198.51.100.1", "192.0.2.1"), port), one);
  assertEquals(listeners.find(packet("198.51.100.1", "192.0.2.2"), port), all);
  assertEquals(listeners.find(packet("198.51.100.1", "192.0.2.1"), 81), null);
  listeners.remove(one);
  assertEquals(listeners.find(packet("198.51.100.1", "192.0.2.1"), port), all);
});

Deno.test("listeners are for packets of their own family", () => {
  const listeners = new Listeners();
  const [old, modern] = [listenerOn("0.0.0.0"), listenerOn("::")];
  listeners.add(old);
  assertEquals(listeners.find(packet("2001:db8::1", "2001:db8::2"), port), null);
  listeners.add(modern);
  assertEquals(listeners.find(packet("2001:db8::1", "2001:db8::2"), port), modern);
  assertEquals(listeners.find(packet("198.51.100.1", "192.0.2.1"), port), old);
});

Deno.test("several on one port share its clients, of which each stays with one", () => {
  const listeners = new Listeners();
  const all = Array.from({ length: 4 }, () => listenerOn("::"));
  for (const listener of all) listeners.add(listener);
  assertEquals(listeners.values(), all);
  const shares = all.map(() => 0);
  for (let client = 1; client <= 4000; client++) {
    const from = packet("2001:db8::1", "2001:db8::2", client);
    const chosen = listeners.find(from, port)!;
    assertEquals(listeners.find(from, port), chosen);
    shares[all.indexOf(chosen)]!++;
  }
  for (const share of shares) assert(share > 800 && share < 1200, `${shares}`);
  for (const listener of all) listeners.remove(listener);
  listeners.remove(all[0]!);
  assertEquals([listeners.values(), listeners.find(packet("2001:db8::1", "2001:db8::2"), port)], [[], null]);
});
