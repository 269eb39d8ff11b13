import { assert, assertEquals } from "@std/assert";
import { concat } from "@std/bytes";
import { encode, type Packet } from "dns-packet";
import { describeFrame } from "../../stack/describe.ts";
import { below, fill, SeededRandom } from "../../stack/random.ts";

/** A UDP datagram from 10.0.0.1 to 10.0.0.2. */
function datagram(source: number, destination: number, payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(28);
  const view = new DataView(header.buffer);
  header[0] = 0x45;
  view.setUint16(2, 28 + payload.length);
  header.set([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 8);
  view.setUint16(20, source);
  view.setUint16(22, destination);
  view.setUint16(24, 8 + payload.length);
  return concat([header, payload]);
}

function dnsText(packet: Packet): string {
  const payload = new Uint8Array(encode(packet));
  const { text, problem } = describeFrame(datagram(5000, 53, payload), { medium: "ip" });
  assertEquals(problem, null);
  const prefix = `IP 10.0.0.1.5000 > 10.0.0.2.53: UDP, length ${payload.length}, `;
  assert(text.startsWith(prefix), text);
  return text.slice(prefix.length);
}

Deno.test("a DNS query shows its number, type and name", () => {
  const questions = [{ type: "A", name: "www.example.com" }] as const;
  assertEquals(dnsText({ type: "query", id: 4660, questions: [...questions] }), "DNS query 4660 A? www.example.com.");
  const aaaa = [{ type: "AAAA", name: "" }] as const;
  assertEquals(dnsText({ type: "query", id: 0, questions: [...aaaa] }), "DNS query 0 AAAA? .");
});

Deno.test("a DNS response shows its answers, whose names may be compressed", () => {
  assertEquals(
    dnsText({
      type: "response",
      id: 7,
      questions: [{ type: "A", name: "www.example.com" }],
      answers: [
        { type: "CNAME", name: "www.example.com", data: "host.example.com" },
        { type: "A", name: "host.example.com", data: "192.0.2.7" },
        { type: "AAAA", name: "host.example.com", data: "2001:db8::7" },
        { type: "TXT", name: "host.example.com", data: "anything" },
      ],
    }),
    "DNS response 7 A? www.example.com., CNAME host.example.com., A 192.0.2.7, AAAA 2001:db8::7, TXT",
  );
});

Deno.test("a DNS response that reports an error names it", () => {
  const text = dnsText({ type: "response", id: 7, flags: 3, questions: [{ type: "MX", name: "example.net" }] });
  assertEquals(text, "DNS response 7 MX? example.net., NXDomain");
});

Deno.test("what is in a DNS name cannot steer a terminal", () => {
  const message = new Uint8Array([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0x1b, 0x2e, 0x5c, 0, 0, 1, 0, 1]);
  const { text } = describeFrame(datagram(5000, 53, message), { medium: "ip" });
  assert(text.endsWith("DNS query 1 A? \\027\\046\\092."), text);
});

Deno.test("a DNS name that points at itself, or runs out of the message, ends the description at UDP", () => {
  for (const name of [[0xc0, 12], [3, 0x61], [0x40, 0], [0xc0]]) {
    const message = new Uint8Array([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...name]);
    const { text } = describeFrame(datagram(53, 5000, message), { medium: "ip" });
    assertEquals(text, `IP 10.0.0.1.53 > 10.0.0.2.5000: UDP, length ${message.length}`);
  }
});

Deno.test("a DNS message with thousands of records shows the first of them", () => {
  const questions = Array.from({ length: 3000 }, () => ({ type: "A", name: "a" } as const));
  const text = dnsText({ type: "query", id: 1, questions });
  assertEquals(text.match(/A\? a\./g)?.length, 20);
  assert(text.endsWith(", ..."), text);
});

/** A DHCP message with these options. */
function dhcp(operation: number, options: readonly number[], yours = [0, 0, 0, 0]): Uint8Array {
  const message = new Uint8Array(240 + options.length);
  message.set([operation, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
  message.set(yours, 16);
  message.set([2, 0, 0, 0, 0, 1], 28);
  message.set([0x63, 0x82, 0x53, 0x63, ...options], 236);
  return message;
}

const dhcpText = (source: number, destination: number, message: Uint8Array) =>
  describeFrame(datagram(source, destination, message), { medium: "ip" }).text
    .replace(/^.*UDP, length \d+/, "").replace(/^, /, "");

Deno.test("DHCP messages show their type, transaction, client and address", () => {
  assertEquals(
    dhcpText(68, 67, dhcp(1, [0, 53, 1, 1, 255])),
    "DHCP Discover, xid 0xdeadbeef, from 02:00:00:00:00:01",
  );
  assertEquals(
    dhcpText(67, 68, dhcp(2, [51, 4, 0, 0, 14, 16, 53, 1, 5, 255], [10, 0, 0, 9])),
    "DHCP Ack, xid 0xdeadbeef, to 02:00:00:00:00:01, address 10.0.0.9",
  );
  assertEquals(dhcpText(68, 67, dhcp(1, [255])), "BOOTP request, xid 0xdeadbeef, from 02:00:00:00:00:01");
});

Deno.test("what is no DHCP, or cut off in its options, is not taken for it", () => {
  assertEquals(dhcpText(68, 67, new Uint8Array(300)), "");
  assertEquals(dhcpText(68, 67, dhcp(1, []).subarray(0, 239)), "");
  // The type stands in front of an option that is cut off.
  assertEquals(
    dhcpText(68, 67, dhcp(1, [53, 1, 7, 54, 4, 10])),
    "DHCP Release, xid 0xdeadbeef, from 02:00:00:00:00:01",
  );
});

Deno.test("any datagram to the ports of DNS and DHCP is described in one line of visible characters", () => {
  const random = new SeededRandom(11);
  const templates = [
    new Uint8Array(encode({ type: "response", id: 1, answers: [{ type: "A", name: "a.b", data: "1.2.3.4" }] })),
    dhcp(2, [53, 1, 2, 12, 4, 104, 111, 115, 116, 54, 4, 10, 0, 0, 1, 255]),
  ];
  for (let round = 0; round < 4000; round++) {
    const payload = Uint8Array.from(templates[round % 2]!);
    for (let change = below(random, 5); change >= 0; change--) {
      fill(random, payload.subarray(below(random, payload.length)).subarray(0, 1));
    }
    const cut = payload.subarray(0, below(random, payload.length + 1));
    const { text } = describeFrame(datagram(67, 53, cut), { medium: "ip" });
    assert(/^[\x20-\x7e]+$/.test(text), JSON.stringify(text));
  }
});
