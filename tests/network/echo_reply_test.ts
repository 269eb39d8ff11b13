import { assertEquals } from "@std/assert";
import { Ipv4Host, ownMac, peerMac } from "../helpers/ipv4_host.ts";
import { echoMessage, ethernetFrame, ipv4Packet, pattern, readIpv4 } from "../helpers/packets.ts";
import { IpAddress, MacAddress } from "../../stack/address.ts";

Deno.test("an echo reply has the request's type of service, without ECN, and an error after it has none", () => {
  const host = new Ipv4Host();
  const nic = host.addEthernet(["192.0.2.2/24"]);
  host.neighbors.addPermanent(nic, IpAddress.parse("192.0.2.1"), MacAddress.parse(peerMac));
  const receive = (trafficClass: number, protocol: number, payload: Uint8Array) => {
    host.receive(nic, ethernetFrame(ownMac, peerMac, 0x0800, ipv4Packet({ trafficClass, protocol }, payload)));
    return host.take(nic).map((frame) => readIpv4(frame.slice(14)).trafficClass);
  };
  const request = echoMessage(8, 1, 1, pattern(8));
  assertEquals(receive(0xb8, 1, request), [0xb8]);
  assertEquals(receive(0x10, 1, request), [0x10]);
  assertEquals(receive(0xbb, 1, request), [0xb8]);
  assertEquals(receive(0xb8, 200, pattern(20)), [0]);
  assertEquals(receive(0, 1, request), [0]);
  host.assertQuiet();
});
