import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import type { CallAction, IcmpSpec, PacketAction, TcpSpec } from "./interpreter/ast.ts";
import { formatTcpSpec } from "./interpreter/format.ts";
import { icmpNumbers } from "./interpreter/icmp.ts";
import { UnsupportedPacket } from "./interpreter/parse_packet.ts";
import { parseScript } from "./interpreter/parse_script.ts";
import { ScriptSyntaxError } from "./interpreter/scanner.ts";

function parse(text: string, names: string[] = []) {
  return parseScript(text, "x.pkt", new Map(names.map((name) => [name, "1"])));
}

function packet(text: string): TcpSpec {
  const action = parse(text).events[0]!.action as PacketAction;
  return action.packet as TcpSpec;
}

function call(text: string): CallAction {
  return parse(text).events[0]!.action as CallAction;
}

/** Where and why a script cannot be read. */
function refusal(text: string): string {
  const error = assertThrows(() => parse(text), ScriptSyntaxError);
  return error.message;
}

Deno.test("times: absolute, relative, any, ranges, and calls that last", () => {
  const times = parse(`
    0.300 close(3) = 0
    +.1 close(3) = 0
    * close(3) = 0
    1.0~1.2 > . 1:1(0) ack 1
    +.1~+.2 > . 1:1(0) ack 1
    +0...0.200 accept(3, ..., ...) = 4
    0.1...0.25 accept(3, ..., ...) = 4
  `).events.map(({ time: { base, from, to, end } }) => [base, from, to, end]);
  assertEquals(times, [
    ["start", 300, null, null],
    ["previous", 100, null, null],
    ["any", 0, null, null],
    ["start", 1000, 1200, null],
    ["previous", 100, 200, null],
    ["previous", 0, null, 200],
    ["start", 100, null, 250],
  ]);
});

Deno.test("option lines, comments and commands", () => {
  const script = parse(`--ip_version=ipv4 --mtu=1280
    // nothing
    --define=COOKIE=00ff  /* over
    two lines */
    \`../common/defaults.sh\`
    +0 \`sysctl -q net.ipv4.tcp_sack=0\` // and a remark
    +0 %{ assert tcpi_state == 1 }%`);
  assertEquals([...script.options], [["ip_version", "ipv4"], ["mtu", "1280"]]);
  assertEquals(script.definitions.get("COOKIE"), "00ff");
  assertEquals(script.events.map(({ line, action }) => [line, action.kind]), [
    [5, "command"],
    [6, "command"],
    [7, "code"],
  ]);
});

Deno.test("segments: flags, numbers, fields and options, with blanks wherever they are", () => {
  for (
    const text of [
      "> S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 1 ecr 2,nop,wscale 7>",
      "> . 1:1(0) ack 1001 win 257 <nop,nop,sack 2001:3001 4001:5001>",
      "> - 1:101(100)",
      "> SEW 0:0(0) win 100 <FO 00ff,FOEXP 01,eol>",
      "> PU. 1:11(10) ack 1 urg 5 <...>",
      "> R ...(0)",
      "> R. 0:0(0)! ack 1",
    ]
  ) {
    assertEquals(`> ${formatTcpSpec(packet(`+0 ${text}`))}`, text);
  }
  assertEquals(formatTcpSpec(packet("+0 >  .  1:1001 (1000)   ack 1   win     0")), ". 1:1001(1000) ack 1 win 0");
});

Deno.test("what is said of the IP header, and ports", () => {
  const spec = packet("+0 < [ect0, ttl 64] [tos 0x2] 1234 > 80 . 1:1(0) ack 1");
  assertEquals(spec.ip, { ecn: 2, ttl: 64, tos: 2, flowLabel: null });
  assertEquals(spec.ports, { source: 1234, destination: 80 });
});

Deno.test("what is said of the IP header may stand in parentheses", () => {
  assertEquals(packet("+0 > (tos 0x20) S 0:0(0)").ip, { ecn: null, ttl: null, tos: 32, flowLabel: null });
  assertEquals(packet("+0 < (hlim 3) S. 0:0(0) ack 1").ip.ttl, 3);
  assertEquals(packet("+0 < (class 0x28) S. 0:0(0) ack 1").ip.tos, 40);
});

Deno.test("the digits of AccECN are the three ECN flags", () => {
  assertEquals(packet("+0 > .5 1:1(0) ack 1").flags, 16 | 256 | 64);
});

Deno.test("ICMP and UDP, with what an error quotes in front or behind", () => {
  const front = parse("+0 < [1:1461(1460)] icmp unreachable frag_needed mtu 1200").events[0]!.action;
  const behind = parse("+0 < icmp unreachable frag_needed mtu 1200 [1:1461(1460)]").events[0]!.action;
  assertEquals(front, behind);
  const { packet } = parse("+0 > udp (100)").events[0]!.action as PacketAction;
  assertEquals([packet.kind, packet.kind === "udp" && packet.length], ["udp", 100]);
  const [hole] = parse("+0 < icmp parameter_problem code_1 [0:0(0)]").events;
  assertEquals(icmpNumbers((hole!.action as PacketAction).packet as IcmpSpec), { type: 12, code: 1 });
});

Deno.test("calls: arguments of every kind, and results with their errors and remarks", () => {
  const { name, arguments: given, result } = call(
    `+0 poll ([{fd=4, events=POLLIN|POLLOUT}], 1, -1) = -1 EAGAIN (Resource temporarily unavailable)`,
  );
  assertEquals([name, given.length, result.errno], ["poll", 3, "EAGAIN"]);
  assertEquals(call("+0 fcntl(3, F_GETFL) = 0x02 (flags O_RDWR)\n+0 close(3) = 0").result.from, {
    kind: "number",
    value: 2,
  });
  assertEquals(parse("+0 close(3) = 0\n* > . 1:1(0) ack 1\n+0 close(3) = *").events.length, 3);
});

Deno.test("#ifdef chooses a dialect, STANDARD unless names are defined", () => {
  const text = "#ifdef STANDARD\n+0 a() = 1\n#else\n+0 b() = 1\n#endif\n#ifndef OTHER\n+0 c() = 1\n#endif";
  const names = (defined: string[]) => parse(text, defined).events.map(({ action }) => (action as CallAction).name);
  assertEquals(names([]), ["a", "c"]);
  assertEquals(names(["OTHER"]), ["b"]);
});

Deno.test("a name with a value chooses no dialect, and stands for the value", () => {
  const script = parseScript(
    "#ifdef STANDARD\n+0 < S 0:0(0) <FO COOKIE>\n#endif",
    "x.pkt",
    new Map([["COOKIE", "01020304"]]),
  );
  const { packet } = script.events[0]!.action as PacketAction;
  assertEquals(packet.kind === "tcp" && packet.options, [{ kind: "FO", cookie: "01020304", experimental: false }]);
});

Deno.test("TFO_COOKIE is the cookie that Linux makes of the usual key and the script's addresses", () => {
  const cookie = (options: string) => {
    const { packet } = parse(`${options}+0 < S 0:0(0) <FO TFO_COOKIE>`).events[0]!.action as PacketAction;
    const option = packet.kind === "tcp" ? packet.options?.[0] : undefined;
    return option?.kind === "FO" ? option.cookie : null;
  };
  assertEquals(cookie(""), "3021b9d889017eeb");
  assertNotEquals(cookie("--remote_ip=192.0.2.2\n"), "3021b9d889017eeb");
});

Deno.test("a syntax error names the line, the column and what was expected", () => {
  assertEquals(
    refusal("0 socket(..., SOCK_STREAM) = 3\n+0 > Q 1:1(0)"),
    "x.pkt:2:6 Expected flags of a TCP segment like `S.`, or `udp` or `icmp`, found `Q`",
  );
  assertEquals(
    refusal("+0 > . 1:100(100) ack 1"),
    "x.pkt:1:8 The numbers disagree: from 1 to 100 are 99 bytes, not 100",
  );
  assertEquals(refusal("+0 > . 1:1(0) ack 1 <mss>"), "x.pkt:1:25 Expected a maximum segment size, found `>`");
  assertEquals(refusal("+0 > . 1:1(0) <foo 1>"), "x.pkt:1:16 `foo` is no TCP option known here");
  assertEquals(refusal("soon close(3) = 0"), "x.pkt:1:1 Expected a time like `+0.1`, `0.300` or `*`, found `soon`");
  assertEquals(refusal("+0 close(3"), "x.pkt:1:11 Expected `,` or `)`, found the end of the script");
  assertEquals(refusal("+0 close(3) 0"), "x.pkt:1:13 Expected `=`, found `0`");
  assertEquals(refusal("+0 %{ assert 1"), "x.pkt:1:6 This code is never closed: `}%` is missing");
  assertEquals(refusal("/* never"), "x.pkt:1:1 This comment is never closed: `*/` is missing");
  assertEquals(refusal("#ifdef A\n+0 close(3) = 0"), "x.pkt:1:1 This block is never closed: `#endif` is missing");
  assertEquals(refusal("--mtu=1500\n// nothing more"), "x.pkt:2:16 There is no event in this script");
  assertEquals(refusal("#endif"), "x.pkt:1:1 `#endif` without `#ifdef`");
  assertEquals(refusal("+.2~+.1 > . 1:1(0)"), "x.pkt:1:8 This range of time ends before it begins");
  assertEquals(refusal("+0...0.1 > . 1:1(0) ack 1"), "x.pkt:1:26 Only a call can last from one time to another");
});

Deno.test("encapsulated packets are not interpreted", () => {
  const error = assertThrows(() => parse("+0 < ipv4 1.1.1.1 > 2.2.2.2: . 1:1(0)"), UnsupportedPacket);
  assertEquals(error.message, "encapsulation in ipv4 is not interpreted");
  assertThrows(() => parse("+0 > S 0:0(0) win 65535 <mss 1460>/udp(9811 > 1)"), UnsupportedPacket, "TCP in UDP");
});

Deno.test("what the stack has not is no syntax error: signatures, and other protocols", () => {
  assertThrows(() => parse("+0 > S 0:0(0) <nop,nop,md5 valid>"), UnsupportedPacket, "MD5");
  assertThrows(() => parse("+0 < sctp: INIT_ACK[flgs=0]"), UnsupportedPacket, "SCTP is not interpreted");
  assertThrows(() => parse("+0 > udplite(1000, 8)"), UnsupportedPacket, "UDP-Lite is not interpreted");
});
