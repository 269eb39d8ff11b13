import { assertEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import { IpAddress, IpPrefix } from "../../../stack/address.ts";
import { type HubPort, TunnelHub, type TunnelHubOptions } from "../../../stack/application/tunnel/hub.ts";
import { ChannelDevice } from "../../../stack/link/channel.ts";
import { createWire } from "../../../stack/link/wire.ts";
import { TestHost } from "../../helpers/frames.ts";
import { ipv4Packet, packetOf, pattern, readIpv4 } from "../../helpers/packets.ts";
import { VirtualTime } from "../../helpers/virtual_time.ts";

/** A client's end: what it sends, and what it was sent. */
class Client {
  readonly received: string[] = [];
  readonly bufferedBytes = 0;
  readonly device = new ChannelDevice();
  readonly port: HubPort;

  constructor(hub: TunnelHub, address: string) {
    this.port = hub.add(IpAddress.parse(address), this.device);
    this.device.open(this);
  }

  send(message: Uint8Array): void {
    for (let at = 0; at < message.length;) {
      const length = (message[at]! << 8) | message[at + 1]!;
      this.received.push(readIpv4(message.subarray(at + 8, at + 8 + length)).source);
      at += 8 + length;
    }
  }

  sends(packet: Uint8Array): void {
    this.device.deliver(concat([new Uint8Array([packet.length >> 8, packet.length, 0, 0, 0, 0, 0, 0]), packet]));
  }
}

function packet(source: string, destination: string): Uint8Array {
  return ipv4Packet({ source, destination }, pattern(10));
}

async function withHub(options: TunnelHubOptions, body: (parts: Parts) => void): Promise<void> {
  const time = new VirtualTime();
  const [uplink, system] = createWire({ medium: "ip", mtu: 1400 });
  const host = new TestHost(time.timers);
  system.attach(host);
  const own = [IpAddress.parse("10.1.1.1")];
  const hub = new TunnelHub(uplink, IpPrefix.parse("10.1.1.0/24"), {
    own,
    timers: time.timers,
    eventLoop: false,
    ...options,
  });
  time.add(hub);
  body({
    time,
    hub,
    one: new Client(hub, "10.1.1.3"),
    two: new Client(hub, "10.1.1.4"),
    systemSends: (bytes) => system.transmit(packetOf(host.pool, bytes)),
    systemReceived: () => {
      const sources: string[] = [];
      for (let found = system.receive(); found !== null; found = system.receive()) {
        sources.push(readIpv4(found.contents()).source);
        found.release();
      }
      return sources;
    },
  });
  await hub.close();
  system.close();
  assertEquals([hub.packetsInUse, host.pool.inUse, time.timers.running], [0, 0, 0]);
}

interface Parts {
  time: VirtualTime;
  hub: TunnelHub;
  one: Client;
  two: Client;
  systemSends: (bytes: Uint8Array) => void;
  systemReceived: () => string[];
}

Deno.test("packets from the system go to the client that has their destination, and to nobody else", async () => {
  await withHub({}, ({ time, hub, one, two, systemSends }) => {
    systemSends(packet("192.0.2.7", "10.1.1.4"));
    systemSends(packet("192.0.2.8", "10.1.1.5"));
    systemSends(packet("192.0.2.9", "10.1.1.255"));
    time.settle();
    assertEquals([one.received, two.received], [[], ["192.0.2.7"]]);
    assertEquals(hub.drops, { notIpv4: 0, noSuchClient: 2 });
  });
});

Deno.test("packets for the server and for what lies behind it go to the system", async () => {
  await withHub({}, ({ time, one, systemReceived }) => {
    one.sends(packet("10.1.1.3", "10.1.1.1"));
    one.sends(packet("10.1.1.3", "198.51.100.1"));
    time.settle();
    assertEquals(systemReceived(), ["10.1.1.3", "10.1.1.3"]);
  });
});

Deno.test("a packet whose source is not the client's address is dropped and counted, wherever it goes", async () => {
  await withHub({ interconnect: true }, ({ time, one, two, systemReceived }) => {
    one.sends(packet("10.1.1.4", "10.1.1.1"));
    one.sends(packet("10.1.1.1", "10.1.1.4"));
    one.sends(packet("198.51.100.1", "198.51.100.2"));
    time.settle();
    assertEquals([systemReceived(), two.received], [[], []]);
    assertEquals(one.port.drops, { notIpv4: 0, spoofedSource: 3, isolatedClient: 0, noSuchClient: 0 });
  });
});

Deno.test("clients reach each other where that is wanted", async () => {
  await withHub({ interconnect: true }, ({ time, one, two, systemReceived }) => {
    one.sends(packet("10.1.1.3", "10.1.1.4"));
    two.sends(packet("10.1.1.4", "10.1.1.3"));
    time.settle();
    assertEquals([one.received, two.received, systemReceived()], [["10.1.1.4"], ["10.1.1.3"], []]);
  });
});

Deno.test("clients do not reach each other otherwise, not by way of the system either", async () => {
  await withHub({}, ({ time, one, two, systemReceived }) => {
    one.sends(packet("10.1.1.3", "10.1.1.4"));
    one.sends(packet("10.1.1.3", "10.1.1.99"));
    time.settle();
    assertEquals([two.received, systemReceived()], [[], []]);
    assertEquals(one.port.drops, { notIpv4: 0, spoofedSource: 0, isolatedClient: 1, noSuchClient: 1 });
  });
});

Deno.test("what is no IPv4 packet is dropped and counted, from either side", async () => {
  await withHub({}, ({ time, hub, one, systemSends, systemReceived }) => {
    const ipv6 = new Uint8Array(40);
    ipv6[0] = 0x60;
    one.sends(ipv6);
    one.sends(pattern(19, 0x45));
    systemSends(ipv6);
    time.settle();
    assertEquals([one.port.drops.notIpv4, hub.drops.notIpv4, systemReceived()], [2, 1, []]);
  });
});

Deno.test("an address has one client at a time, and none after that one has gone", async () => {
  await withHub({}, ({ time, hub, one, systemSends }) => {
    const another = () => new Client(hub, "10.1.1.3");
    assertThrows(another, Error, "Cannot connect a client with 10.1.1.3: another one has it");
    hub.remove(one.port);
    const next = another();
    // Whoever has been replaced takes nothing away.
    hub.remove(one.port);
    systemSends(packet("192.0.2.7", "10.1.1.3"));
    time.settle();
    assertEquals([one.received, next.received], [[], ["192.0.2.7"]]);
  });
});

Deno.test("a client that is slow loses packets, and holds up nobody", async () => {
  await withHub({}, ({ time, one, two, systemSends }) => {
    Object.defineProperty(one, "bufferedBytes", { value: 1e9 });
    for (let packets = 0; packets < 400; packets++) {
      systemSends(packet("192.0.2.7", "10.1.1.3"));
      systemSends(packet("192.0.2.7", "10.1.1.4"));
      time.settle();
    }
    assertEquals([one.received.length, two.received.length], [0, 400]);
    assertEquals([one.device.queueLength, one.device.counters.transmitQueueFull], [256, 144]);
  });
});

Deno.test("a crowd of clients does not fill the system's short queue with the answers to one of its rounds", async () => {
  const time = new VirtualTime();
  // As a TUN device with its usual queue of 100 packets, whose other end answers at once.
  const [uplink, system] = createWire({ medium: "ip", mtu: 1400, receiveFrames: 100 });
  const host = new TestHost(time.timers);
  host.wake = () => {
    for (let asked = system.receive(); asked !== null; asked = system.receive()) {
      const { source, destination } = readIpv4(asked.contents());
      asked.release();
      system.transmit(packetOf(host.pool, packet(destination, source)));
    }
  };
  system.attach(host);
  const own = [IpAddress.parse("10.1.1.1")];
  const hub = new TunnelHub(uplink, IpPrefix.parse("10.1.1.0/24"), { own, timers: time.timers, eventLoop: false });
  const clients = Array.from({ length: 200 }, (_, index) => new Client(hub, `10.1.1.${index + 3}`));
  for (const client of clients) client.sends(packet(client.port.address.toString(), "10.1.1.1"));
  time.add(hub).step();
  time.settle();
  assertEquals(clients.filter(({ received }) => received.length === 1).length, 200);
  await hub.close();
  system.close();
  assertEquals([hub.packetsInUse, host.pool.inUse], [0, 0]);
});
