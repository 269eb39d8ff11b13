import { assert, assertEquals } from "@std/assert";
import { IpAddress, IpPrefix, MacAddress } from "../../stack/address.ts";
import { Ipv4Forwarder } from "../../stack/network/ipv4_forward.ts";
import { below, SeededRandom } from "../../stack/random.ts";
import { Ipv4Host, ownMac, peerMac } from "../helpers/ipv4_host.ts";
import { ethernetFrame, hex, ipv4Packet, pattern, plainChecksum, readIpv4, uint16 } from "../helpers/packets.ts";

const packets = 20_000;

Deno.test("whatever packets come to be forwarded, only sound ones leave, and none is lost from the pool", () => {
  const host = new Ipv4Host({ rateLimit: { perSecond: 1e9, burst: 1e9 } });
  const near = host.addEthernet(["192.0.2.2/24"]);
  const out = host.addEthernet(["198.51.100.1/24"], "02:00:00:00:00:04", { mtu: 576 });
  const { routes, neighbors, counters } = host;
  const forwarder = new Ipv4Forwarder({ network: host.ipv4, routes, neighbors, counters });
  host.ipv4.forward = (packet) => forwarder.forward(packet);
  const far = IpAddress.parse("198.51.100.9");
  neighbors.addPermanent(near, IpAddress.parse("192.0.2.1"), MacAddress.parse(peerMac));
  neighbors.addPermanent(out, far, MacAddress.parse("02:00:00:00:00:03"));
  routes.add({ prefix: IpPrefix.parse("0.0.0.0/1"), nic: out, gateway: far });
  const random = new SeededRandom(7);
  let forwarded = 0;
  let answered = 0;
  for (let count = 0; count < packets; count++) {
    const options = below(random, 4) === 0 ? hex("07 07 04 00000000 88 04 1234 00") : new Uint8Array(0);
    const destination = ["198.51.100.9", "8.8.8.8", "203.0.113.1", "192.0.2.1"][below(random, 4)]!;
    const packet = ipv4Packet({ destination, options, timeToLive: 1 + below(random, 3) }, pattern(below(random, 1400)));
    for (let flips = below(random, 4); flips > 0; flips--) {
      packet[below(random, 20 + options.length)]! ^= 1 << below(random, 8);
    }
    // Mostly, the checksum hides what was done to the header.
    const header = (packet[0]! & 0x0f) * 4;
    if (below(random, 8) > 0 && header >= 20 && header <= packet.length) {
      packet.set([0, 0], 10);
      packet.set(uint16(plainChecksum(packet.subarray(0, header))), 10);
    }
    host.receive(near, ethernetFrame(ownMac, peerMac, 0x0800, packet));
    for (const [nic, limit] of [[near, 1500], [out, 576]] as const) {
      for (const frame of host.take(nic)) {
        if (frame[12] === 0x08 && frame[13] === 0x06) continue;
        const sent = readIpv4(frame.slice(14));
        assert(sent.checksumRight && sent.timeToLive > 0, `packet ${count}`);
        assertEquals(sent.totalLength, frame.length - 14, `packet ${count}`);
        assert(frame.length - 14 <= limit, `packet ${count}: ${frame.length}`);
        if (sent.protocol === 1 && sent.source === "192.0.2.2") answered++;
        else forwarded++;
      }
    }
  }
  host.advance(60_000);
  assert(forwarded > packets / 4 && answered > packets / 10, `${forwarded} forwarded, ${answered} answered`);
  host.take(near);
  host.take(out);
  host.assertQuiet();
});
