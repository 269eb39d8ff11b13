import { assert, assertEquals } from "@std/assert";
import { dissectFrame, type Layer } from "../../stack/describe.ts";
import { readCapture } from "../../stack/link/pcap_reader.ts";
import { below, fill, SeededRandom } from "../../stack/random.ts";
import { recordTransfer } from "../helpers/recorded_transfer.ts";

function hex(text: string): Uint8Array {
  return new Uint8Array(text.replaceAll(/\s/g, "").match(/../g)?.map((pair) => parseInt(pair, 16)) ?? []);
}

const values = (layer: Layer | undefined) => Object.fromEntries(layer!.fields.map(({ name, value }) => [name, value]));

Deno.test("an ARP request is shown with all its addresses, and padding as data", () => {
  const frame = hex(
    "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c0000201 000000000000 c0000202" + "00".repeat(18),
  );
  const layers = dissectFrame(frame);
  assertEquals(layers.map(({ name }) => name), ["Ethernet", "ARP", "Data"]);
  assertEquals(values(layers[0]), {
    destination: "ff:ff:ff:ff:ff:ff",
    source: "02:00:00:00:00:01",
    type: "0x0806 (ARP)",
  });
  assertEquals(values(layers[1]), {
    operation: "1 (request)",
    "sender hardware": "02:00:00:00:00:01",
    "sender protocol": "192.0.2.1",
    "target hardware": "00:00:00:00:00:00",
    "target protocol": "192.0.2.2",
  });
  assertEquals(values(layers[2]), { length: 18 });
});

Deno.test("every field of an IPv4 and a UDP header is shown, and whether the checksums are right", () => {
  const packet = hex("45b8 0020 1267 4000 3f11 0000 c0000201 c0000202 0400 0007 000c 0000 61626364");
  const layers = dissectFrame(packet, { medium: "ip" });
  assertEquals(layers.map(({ name }) => name), ["IPv4", "UDP", "Data"]);
  assertEquals(values(layers[0]), {
    "header length": 20,
    "traffic class": 0xb8,
    "total length": 32,
    identification: 0x1267,
    "don't fragment": true,
    "more fragments": false,
    "fragment offset": 0,
    "time to live": 63,
    protocol: "17 (UDP)",
    checksum: "0x0000 (incorrect)",
    source: "192.0.2.1",
    destination: "192.0.2.2",
  });
  assertEquals(values(layers[1]), { "source port": 1024, "destination port": 7, length: 12, checksum: "none" });
  packet.set(hex("33bb"), 26);
  const wrong = values(dissectFrame(packet, { medium: "ip" })[1]).checksum;
  assertEquals(wrong, "0x33bb (incorrect)");
});

Deno.test("the checksums of frames that the stack sends are right, and wrong with any bit flipped", async () => {
  const { capture } = await recordTransfer({ seed: 3, bytes: 3000 });
  let segments = 0;
  for (const { bytes } of readCapture(capture).frames) {
    const layers = dissectFrame(bytes);
    for (const layer of layers) {
      const { checksum } = values(layer);
      if (checksum !== undefined) assert(String(checksum).endsWith(" (correct)"), JSON.stringify(layer));
    }
    if (layers.at(-1)?.name !== "Data" || layers.at(-2)?.name !== "TCP") continue;
    segments++;
    const damaged = Uint8Array.from(bytes);
    damaged[damaged.length - 1]! ^= 1;
    assert(String(values(dissectFrame(damaged)[2]).checksum).endsWith(" (incorrect)"));
  }
  assert(segments > 1);
});

Deno.test("a segment of which the capture has a part is shown without a verdict on its checksum", async () => {
  const { capture } = await recordTransfer({ seed: 3, bytes: 3000 });
  const frame = readCapture(capture).frames.find(({ bytes }) => bytes.length > 1000)!;
  const layers = dissectFrame(frame.bytes.subarray(0, 80));
  assertEquals(layers.map(({ name }) => name), ["Ethernet", "IPv4", "TCP", "Data"]);
  assert(/^0x[0-9a-f]{4}$/.test(String(values(layers[2]).checksum)));
});

Deno.test("a frame ends in data where it cannot be read further", () => {
  assertEquals(dissectFrame(new Uint8Array(5)), [{ name: "Data", fields: [{ name: "length", value: 5 }] }]);
  assertEquals(dissectFrame(new Uint8Array()), []);
  const cut = hex("0200 0000 0002 0200 0000 0001 0800 4500 0028 0000");
  assertEquals(dissectFrame(cut).map(({ name }) => name), ["Ethernet", "Data"]);
});

Deno.test("the later fragments of a packet show no transport header", () => {
  const packet = hex("4500 0024 1267 0003 4011 0000 c0000201 c0000202 0400 0007 000c 0000 61626364 61626364");
  assertEquals(dissectFrame(packet, { medium: "ip" }).map(({ name }) => name), ["IPv4", "Data"]);
});

Deno.test("IPv6 and ICMP show their fields", () => {
  const ipv6 = hex("6000 0000 0008 11 40" + "20010db8000000000000000000000001" + "20010db8000000000000000000000002");
  const packet = new Uint8Array([...ipv6, ...hex("0400 0007 0008 0000")]);
  const layers = dissectFrame(packet, { medium: "ip" });
  assertEquals(layers.map(({ name }) => name), ["IPv6", "UDP"]);
  assertEquals(values(layers[0]).destination, "2001:db8::2");
  const echo = hex("4500 001c 0000 0000 4001 0000 c0000201 c0000202 0800 f7fd 0001 0001");
  assertEquals(values(dissectFrame(echo, { medium: "ip" })[1]), {
    type: 8,
    code: 0,
    meaning: "echo request",
    checksum: "0xf7fd (correct)",
    identifier: 1,
    "sequence number": 1,
  });
});

Deno.test("any bytes are taken apart, and the layers account for no more than there are", () => {
  const random = new SeededRandom(5);
  for (let round = 0; round < 5000; round++) {
    const frame = new Uint8Array(below(random, 120));
    fill(random, frame);
    // Every other frame gets as far as IPv4.
    if (round % 2 === 0 && frame.length > 34) frame.set([8, 0, 0x45 + (round % 6), 0, 0, below(random, 120)], 12);
    const last = dissectFrame(frame).at(-1);
    if (last?.name === "Data") assert(Number(last.fields[0]!.value) <= frame.length);
  }
});
