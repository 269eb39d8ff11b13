import { assert, assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes";
import { describe, describeFlags, describeFrame, describeSegment, type Description } from "../stack/describe.ts";
import { readCapture } from "../stack/link/pcap_reader.ts";
import { PacketPool } from "../stack/packet.ts";
import { below, fill, SeededRandom } from "../stack/random.ts";
import { hasProgram } from "./helpers/programs.ts";

/** Bytes from hexadecimal digits; white space is for people. */
function hex(text: string): Uint8Array {
  return new Uint8Array(text.replaceAll(/\s/g, "").match(/../g)?.map((pair) => parseInt(pair, 16)) ?? []);
}

const word = (value: number): string => value.toString(16).padStart(4, "0");

/** An IPv4 packet from 192.0.2.1 to 192.0.2.2. */
function ipv4(protocol: number, payload: Uint8Array, flagsAndOffset = 0): Uint8Array {
  const header = `45 00 ${word(20 + payload.length)} 1267 ${word(flagsAndOffset)} 40 ${
    protocol.toString(16).padStart(2, "0")
  }`;
  return concat([hex(`${header} 0000 c0000201 c0000202`), payload]);
}

/** An Ethernet frame around a payload. */
function ethernet(etherType: number, payload: Uint8Array): Uint8Array {
  return concat([hex(`0200 0000 0002 0200 0000 0001 ${word(etherType)}`), payload]);
}

/** A TCP segment from port 1024 to 80, sequence 1000, acknowledgement 500, window 4096. */
function tcp(controlBits: number, options = "", payload = ""): Uint8Array {
  const optionBytes = hex(options);
  const offset = word(((20 + optionBytes.length) / 4) << 12 | controlBits);
  return concat([hex(`0400 0050 000003e8 000001f4 ${offset} 1000 0000 0009`), optionBytes, hex(payload)]);
}

function textOf(packet: Uint8Array): string {
  return describeFrame(packet, { medium: "ip" }).text;
}

const ipPrefix = "IP 192.0.2.1 > 192.0.2.2: ";
const tcpPrefix = "IP 192.0.2.1.1024 > 192.0.2.2.80: ";

Deno.test("ARP requests and replies read like sentences", () => {
  const arp = (operation: string) =>
    ethernet(0x0806, hex(`0001 0800 06 04 ${operation} 020000000001 c0000201 020000000002 c0000202`));
  assertEquals(describeFrame(arp("0001")).text, "ARP, Request who-has 192.0.2.2 tell 192.0.2.1, length 28");
  assertEquals(describeFrame(arp("0002")).text, "ARP, Reply 192.0.2.1 is-at 02:00:00:00:00:01, length 28");
  assertEquals(describeFrame(arp("0009")).text, "ARP, operation 9 from 192.0.2.1 for 192.0.2.2, length 28");
});

Deno.test("ARP for other media and ARP that is cut off is marked", () => {
  const frame = ethernet(0x0806, hex("0006 0800 06 04 0001 020000000001 c0000201 020000000002 c0000202"));
  assertEquals(describeFrame(frame).text, "ARP, operation 1, length 28 [malformed]");
  assertEquals(describeFrame(frame.subarray(0, 41)).text, "ARP, length 27 [truncated]");
});

Deno.test("frames of unknown types show the type, and short ones that they are short", () => {
  assertEquals(describeFrame(ethernet(0x88cc, new Uint8Array(10))).text, "ethertype 0x88cc, length 10");
  assertEquals(describeFrame(ethernet(38, new Uint8Array(46))).text, "IEEE 802.3, length 38");
  assertEquals(describeFrame(new Uint8Array(13)).text, "Ethernet, length 13 [truncated]");
  assertEquals(describeFrame(new Uint8Array(0)).text, "Ethernet, length 0 [truncated]");
});

Deno.test("the hardware addresses are shown on request", () => {
  const frame = ethernet(0x0800, ipv4(17, hex("0035 0400 0008 0000")));
  assertEquals(
    describeFrame(frame, { link: true }).text,
    "02:00:00:00:00:01 > 02:00:00:00:00:02, IP 192.0.2.1.53 > 192.0.2.2.1024: UDP, length 0",
  );
});

Deno.test("a description holds the fields beside the text", () => {
  const { ethernet: link, network, transport, problem } = describeFrame(ethernet(0x0800, ipv4(6, tcp(0x10), 0x4000)));
  assertEquals(link, { source: "02:00:00:00:00:01", destination: "02:00:00:00:00:02", etherType: 0x0800 });
  assertEquals(network, {
    family: 4,
    source: "192.0.2.1",
    destination: "192.0.2.2",
    protocol: 6,
    timeToLive: 64,
    fragment: null,
  });
  assertEquals(transport, { name: "TCP", sourcePort: 1024, destinationPort: 80 });
  assertEquals(problem, null);
});

Deno.test("a packet is described by its window", () => {
  const pool = new PacketPool();
  const packet = pool.allocate(64, 100)!;
  const bytes = ethernet(0x0800, ipv4(1, hex("0800 0000 0001 0002")));
  packet.bytes.set(bytes, packet.head);
  packet.tail += bytes.length;
  const text = "ICMP echo request, id 1, seq 2, length 8";
  assertEquals(describe(packet).text, ipPrefix + text);
  packet.pop(14);
  assertEquals(describe(packet, { medium: "ip" }).text, ipPrefix + text);
  packet.release();
});

Deno.test("UDP shows its ports and the length of its data", () => {
  assertEquals(
    textOf(ipv4(17, hex("1000 0035 000b 0000 616263"))),
    "IP 192.0.2.1.4096 > 192.0.2.2.53: UDP, length 3",
  );
});

Deno.test("UDP with a length that does not fit is marked", () => {
  for (const length of ["0007", "000c"]) {
    assertMatch(
      textOf(ipv4(17, hex(`1000 0035 ${length} 0000 616263`))),
      /: UDP, datagram of \d+ bytes \[malformed\]$/,
    );
  }
  assertEquals(textOf(ipv4(17, hex("1000 0035 00"))), "IP 192.0.2.1.4096 > 192.0.2.2.53: UDP [malformed]");
  assertEquals(textOf(ipv4(17, hex("1000"))), `${ipPrefix}UDP [malformed]`);
});

Deno.test("bytes behind the IP packet are padding", () => {
  const packet = concat([ipv4(17, hex("1000 0035 0009 0000 61")), new Uint8Array(17)]);
  assertEquals(textOf(packet), "IP 192.0.2.1.4096 > 192.0.2.2.53: UDP, length 1");
});

Deno.test("an IPv4 packet that is cut off keeps its lengths and is marked", () => {
  const packet = ipv4(17, hex("1000 0035 0010 0000 6162636465666768"));
  assertEquals(textOf(packet.subarray(0, 27)), "IP 192.0.2.1.4096 > 192.0.2.2.53: UDP [truncated]");
  assertEquals(textOf(packet.subarray(0, 28)), "IP 192.0.2.1.4096 > 192.0.2.2.53: UDP, length 8 [truncated]");
  assertEquals(textOf(packet.subarray(0, 19)), "IP, length 19 [truncated]");
  assertEquals(textOf(packet.subarray(0, 0)), "IP [truncated]");
});

Deno.test("IPv4 headers that contradict themselves are marked", () => {
  const change = (at: number, value: number) => {
    const packet = ipv4(17, hex("1000 0035 0008 0000"));
    packet[at] = value;
    return textOf(packet);
  };
  assertEquals(change(0, 0x44), "IP, version 4, header of 16 bytes, length 28 [malformed]");
  assertEquals(change(0, 0x75), "IP, version 7, header of 20 bytes, length 28 [malformed]");
  assertEquals(change(3, 19), "IP, version 4, header of 20 bytes, length 19 [malformed]");
  const frame = ethernet(0x86dd, ipv4(17, hex("1000 0035 0008 0000")));
  assertEquals(describeFrame(frame).text, "IP6, version 4, length 28 [malformed]");
});

Deno.test("fragments show which part they are; only the first has ports", () => {
  const first = ipv4(17, hex("1000 0035 0bb8 0000 6162636465666768"), 0x2000);
  assertEquals(textOf(first), "IP 192.0.2.1.4096 > 192.0.2.2.53: UDP, length 2992 (frag 4711:16@0+)");
  const middle = ipv4(17, new Uint8Array(8), 0x2000 | 185);
  assertEquals(textOf(middle), `${ipPrefix}UDP (frag 4711:8@1480+)`);
  const last = ipv4(1, new Uint8Array(5), 370);
  assertEquals(textOf(last), `${ipPrefix}ICMP (frag 4711:5@2960)`);
  const { network, transport } = describeFrame(middle, { medium: "ip" });
  assertEquals([network!.fragment, transport], [{ identification: 4711, offset: 1480, more: true }, null]);
  assertEquals(
    textOf(ipv4(1, hex("0800 0000 0001 0002"), 0x2000)),
    `${ipPrefix}ICMP echo request, id 1, seq 2, length 8 (frag 4711:8@0+)`,
  );
});

Deno.test("protocols without a description of their own are named, or numbered", () => {
  assertEquals(textOf(ipv4(47, new Uint8Array(7))), `${ipPrefix}GRE, length 7`);
  assertEquals(textOf(ipv4(253, new Uint8Array(7))), `${ipPrefix}protocol 253, length 7`);
});

const icmpTexts: [string, string][] = [
  ["00 00 0000 1234 0007", "echo reply, id 4660, seq 7"],
  ["04 00 0000 00000000", "source quench"],
  ["05 01 0000 0a000001", "redirect for host, to 10.0.0.1"],
  ["08 00 0000 0001 ffff", "echo request, id 1, seq 65535"],
  ["09 00 0000 00000000", "router advertisement"],
  ["0a 00 0000 00000000", "router solicitation"],
  ["0b 00 0000 00000000", "time exceeded in transit"],
  ["0b 01 0000 00000000", "time exceeded in reassembly"],
  ["0c 00 0000 14000000", "parameter problem, octet 20"],
  ["0c 01 0000 00000000", "required option missing"],
  ["0d 00 0000 0001 0002", "timestamp request, id 1, seq 2"],
  ["0e 00 0000 0001 0002", "timestamp reply, id 1, seq 2"],
  ["2a 00 0000 00000000", "extended echo request"],
  ["63 07 0000 00000000", "type 99 code 7"],
  ["03 00 0000 00000000", "net unreachable"],
  ["03 01 0000 00000000", "host unreachable"],
  ["03 02 0000 00000000", "protocol unreachable"],
  ["03 03 0000 00000000", "port unreachable"],
  ["03 04 0000 0000 0578", "fragmentation needed, mtu 1400"],
  ["03 0d 0000 00000000", "communication prohibited"],
  ["03 10 0000 00000000", "destination unreachable code 16"],
];
for (const [message, text] of icmpTexts) {
  Deno.test(`ICMP ${message} is ${text}`, () => {
    assertEquals(textOf(ipv4(1, hex(message))), `${ipPrefix}ICMP ${text}, length 8`);
  });
}

Deno.test("an ICMP error shows the packet that it quotes, of which 8 bytes of payload are enough", () => {
  const quote = (packet: Uint8Array) => textOf(ipv4(1, concat([hex("0303 0000 0000 0000"), packet])));
  assertEquals(
    quote(ipv4(17, hex("1000 0035 0010 0000 6162636465666768")).subarray(0, 28)),
    `${ipPrefix}ICMP port unreachable, for [IP 192.0.2.1.4096 > 192.0.2.2.53: UDP, length 8], length 36`,
  );
  assertEquals(
    quote(ipv4(6, tcp(0x02)).subarray(0, 28)),
    `${ipPrefix}ICMP port unreachable, for [${tcpPrefix}TCP, seq 1000], length 36`,
  );
  assertEquals(quote(hex("4400")), `${ipPrefix}ICMP port unreachable, for [IP, length 2 [malformed]], length 10`);
});

Deno.test("an ICMP error that quotes an error is not followed further", () => {
  let packet = ipv4(17, hex("1000 0035 0008 0000"));
  for (let depth = 0; depth < 50; depth++) packet = ipv4(1, concat([hex("0301 0000 0000 0000"), packet]));
  const { text } = describeFrame(packet, { medium: "ip" });
  assertEquals(text, `${ipPrefix}ICMP host unreachable, for [${ipPrefix}ICMP, length 1380], length 1408`);
});

Deno.test("TCP shows flags, numbers, window and length", () => {
  assertEquals(textOf(ipv4(6, tcp(0x02))), `${tcpPrefix}Flags [S], seq 1000, win 4096, length 0`);
  assertEquals(textOf(ipv4(6, tcp(0x12))), `${tcpPrefix}Flags [S.], seq 1000, ack 500, win 4096, length 0`);
  assertEquals(textOf(ipv4(6, tcp(0x10))), `${tcpPrefix}Flags [.], ack 500, win 4096, length 0`);
  assertEquals(
    textOf(ipv4(6, tcp(0x18, "", "6162"))),
    `${tcpPrefix}Flags [P.], seq 1000:1002, ack 500, win 4096, length 2`,
  );
  assertEquals(textOf(ipv4(6, tcp(0x30))), `${tcpPrefix}Flags [.U], ack 500, win 4096, urg 9, length 0`);
});

Deno.test("all control bits have a letter", () => {
  assertEquals(describeFlags(0xff), "FSRP.UEW");
  assertEquals(describeFlags(0), "none");
});

Deno.test("TCP shows its options", () => {
  const options = "0204 05b4 0402 080a 00000001 00000002 01 0303 07";
  assertEquals(
    textOf(ipv4(6, tcp(0x02, options))),
    `${tcpPrefix}Flags [S], seq 1000, win 4096, ` +
      "options [mss 1460,sackOK,TS val 1 ecr 2,nop,wscale 7], length 0",
  );
  assertEquals(
    textOf(ipv4(6, tcp(0x10, "0101 0512 00000001 00000003 00000005 00000004"))),
    `${tcpPrefix}Flags [.], ack 500, win 4096, options [nop,nop,sack 2 {1:3}{5:4!}], length 0`,
  );
  assertEquals(
    textOf(ipv4(6, tcp(0x02, "2202 220a 01020304050607ff"))),
    `${tcpPrefix}Flags [S], seq 1000, win 4096, options [tfo cookiereq,tfo cookie 01020304050607ff], length 0`,
  );
  assertEquals(
    textOf(ipv4(6, tcp(0x10, "fe04 f989 0203 0000"))),
    `${tcpPrefix}Flags [.], ack 500, win 4096, options [option 254 of 4 bytes,option 2 of 3 bytes,eol], length 0`,
  );
});

Deno.test("TCP options that do not fit are marked, and those before them shown", () => {
  for (
    const options of ["0101 0101 0304 0100 0209 0000", "0101 0101 0304 0100 0200 0000", "0101 0101 0304 0100 0201 0000"]
  ) {
    assertMatch(
      textOf(ipv4(6, tcp(0x10, options))),
      /options \[nop,nop,nop,nop,option 3 of 4 bytes,\[malformed\]\], length 0$/,
    );
  }
  assertMatch(textOf(ipv4(6, tcp(0x10, "0101 0108"))), /options \[nop,nop,nop,\[malformed\]\], length 0$/);
});

Deno.test("TCP that is too short, or says so, is marked", () => {
  assertEquals(textOf(ipv4(6, tcp(0x10).subarray(0, 19))), `${tcpPrefix}TCP, seq 1000 [malformed]`);
  assertEquals(textOf(ipv4(6, tcp(0x10)).subarray(0, 39)), `${tcpPrefix}TCP, seq 1000 [truncated]`);
  const short = tcp(0x10);
  short[12] = 0x40;
  assertEquals(textOf(ipv4(6, short)), `${tcpPrefix}TCP, header of 16 bytes [malformed]`);
  short[12] = 0x60;
  assertEquals(textOf(ipv4(6, short)), `${tcpPrefix}TCP, header of 24 bytes [malformed]`);
  const cut = ipv4(6, tcp(0x10, "0101 0101", "616263")).subarray(0, 42);
  assertEquals(
    textOf(cut),
    `${tcpPrefix}Flags [.], seq 1000:1003, ack 500, win 4096, options [nop,nop], length 3 [truncated]`,
  );
});

Deno.test("a segment can be shown with numbers relative to the start of its connection", () => {
  const segment = tcp(0x18, "0101 050a 00000208 00000210", "6162");
  const view = new DataView(segment.buffer, segment.byteOffset, segment.length);
  assertEquals(
    describeSegment(view, 0, segment.length, { relativeTo: { sender: 999, receiver: 499 } }),
    "Flags [P.], seq 1:3, ack 1, win 4096, options [nop,nop,sack 1 {21:29}], length 2",
  );
  assertEquals(
    describeSegment(view, 0, segment.length, { relativeTo: { sender: 1001, receiver: 0 } }),
    "Flags [P.], seq 4294967295:1, ack 500, win 4096, options [nop,nop,sack 1 {520:528}], length 2",
  );
});

Deno.test("a segment that is not there is marked, not thrown at", () => {
  const view = new DataView(new ArrayBuffer(30));
  assertEquals(describeSegment(view, -1, 20), "[malformed]");
  assertEquals(describeSegment(view, 25, 30), "[malformed]");
  assertEquals(describeSegment(view, 20, 50), "seq 0 [truncated]");
});

Deno.test("IPv6 shows addresses, ports and the commonest ICMPv6 messages", () => {
  const ipv6 = (next: number, payload: Uint8Array) =>
    concat([
      hex(`60000000 ${word(payload.length)} ${next.toString(16).padStart(2, "0")} ff`),
      hex("20010db8000000000000000000000001 20010db8000000000000000000000002"),
      payload,
    ]);
  assertEquals(
    textOf(ipv6(17, hex("1000 0035 0008 0000"))),
    "IP6 2001:db8::1.4096 > 2001:db8::2.53: UDP, length 0",
  );
  const between = "IP6 2001:db8::1 > 2001:db8::2: ";
  assertEquals(textOf(ipv6(58, hex("8000 0000 0001 0002"))), `${between}ICMP6, echo request, id 1, seq 2, length 8`);
  assertEquals(textOf(ipv6(58, hex("8700 0000"))), `${between}ICMP6, neighbor solicitation, length 4`);
  assertEquals(textOf(ipv6(58, hex("c800 0000"))), `${between}ICMP6, type 200, length 4`);
  assertEquals(textOf(ipv6(44, new Uint8Array(8))), `${between}protocol 44, length 8`);
  assertEquals(textOf(ipv6(58, new Uint8Array(9)).subarray(0, 40)), `${between}ICMP6, length 9 [truncated]`);
  assertEquals(textOf(hex("60")), "IP6, length 1 [truncated]");
  assertEquals(describeFrame(ipv6(6, tcp(0x10)), { medium: "ip" }).network!.family, 6);
});

/** What must hold whatever the bytes are. */
function check({ text, problem }: Description): void {
  assert(text.length > 0 && text.length < 2000 && !/[\n\r]|undefined|NaN|Infinity|null/.test(text), text);
  assertEquals(/ \[(truncated|malformed)\]$/.exec(text)?.[1] ?? null, problem, text);
}

const corpus = readCapture(await Deno.readFile(new URL("./fuzz/corpus.pcapng", import.meta.url))).frames;

Deno.test("real frames have no problem, and cut off anywhere they are marked as truncated", () => {
  for (const { bytes } of corpus) {
    assertEquals(describeFrame(bytes).problem, null);
    for (let length = 0; length < Math.min(bytes.length, 100); length++) {
      const description = describeFrame(bytes.subarray(0, length));
      check(description);
      assertEquals(description.problem, "truncated", `${length} bytes of ${description.text}`);
    }
  }
});

Deno.test("any bytes are described in one line, and nothing is thrown", () => {
  const random = new SeededRandom(1);
  for (let round = 0; round < 20_000; round++) {
    const frame = corpus[below(random, corpus.length)]!.bytes.slice(0, 150);
    for (let flips = below(random, 6); flips > 0; flips--) {
      frame[below(random, Math.min(60, frame.length))] = random.uint32();
    }
    check(describeFrame(frame));
    check(describeFrame(frame.subarray(14), { medium: "ip" }));
    check(describeFrame(fill(random, new Uint8Array(below(random, 80))), { medium: round % 2 ? "ip" : "ethernet" }));
  }
});

Deno.test({
  name: "ARP, echo, UDP and TCP read as in tcpdump",
  ignore: !hasProgram("tcpdump", "--version"),
  async fn() {
    const args = ["-n", "-t", "-S", "-r", new URL("./fuzz/corpus.pcapng", import.meta.url).pathname];
    const { stdout } = await new Deno.Command("tcpdump", { args, stderr: "null" }).output();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    assertEquals(lines.length, corpus.length);
    let compared = 0;
    for (const [index, line] of lines.entries()) {
      const isAlike = /^ARP, Re|^IP [^:]*: (Flags|UDP|ICMP echo)/.test(line);
      const { text, network } = describeFrame(corpus[index]!.bytes);
      if (!isAlike || network?.fragment) continue;
      assertEquals(text, line);
      compared++;
    }
    assert(compared > 100);
  },
});
