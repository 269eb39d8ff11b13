import { assertEquals, assertStringIncludes } from "@std/assert";
import { formatResult, formatSummary, Tally } from "./interpreter/report.ts";
import { type RunOptions, runScript } from "./interpreter/runner.ts";
import { capturePath } from "./interpreter/script_files.ts";

const handshake = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 65535 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 65535
+0 accept(3, ..., ...) = 4
`;

/** What is printed about a script that begins with a handshake; its own first line is line 8. */
async function outcome(text: string, options: RunOptions = {}): Promise<string> {
  return formatResult("x", await runScript(handshake + text, "x", options));
}

Deno.test("a packet that differs fails the script: the line, what was expected, what came, and wherein", async () => {
  assertEquals(
    await outcome("+0 write(4, ..., 10) = 10\n+0 > . 1:12(11) ack 2 win 5 <nop>"),
    "FAIL x:9 expected > . 1:12(11) ack 2 win 5 <nop>, came > P. 1:11(10) ack 1 win 65535 " +
      "(flags P., not .; length 10, not 11; acknowledgement 1, not 2; window 65535, not 5; options <>, not <nop>)",
  );
});

Deno.test("a packet that does not come fails the script", async () => {
  assertEquals(
    await outcome("+.5 > . 1:1(0) ack 1"),
    "FAIL x:8 expected > . 1:1(0) ack 1 at 0.600, nothing came by 0.6625",
  );
});

Deno.test("a packet at another time fails the script", async () => {
  assertEquals(
    await outcome("+0 write(4, ..., 10) = 10\n+.02 > P. 1:11(10) ack 1"),
    "FAIL x:9 expected it at 0.120, > P. 1:11(10) ack 1 win 65535 came at 0.100",
  );
  assertEquals(await outcome("+0 write(4, ..., 10) = 10\n+.003 > P. 1:11(10) ack 1"), "ok x");
  assertEquals(await outcome("+0 write(4, ..., 10) = 10\n+.02 > P. 1:11(10) ack 1", { tolerance: 25 }), "ok x");
  assertEquals(await outcome("+0 write(4, ..., 10) = 10\n+0~+.1 > P. 1:11(10) ack 1"), "ok x");
  assertEquals(await outcome("+0 write(4, ..., 10) = 10\n* > P. 1:11(10) ack 1"), "ok x");
});

Deno.test("an eighth of the step is tolerated, and less than 100 ms whatever the script says", async () => {
  const timeout = "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n";
  assertEquals(await outcome(`${timeout}+.34 > P. 1:11(10) ack 1`), "ok x");
  assertStringIncludes(await outcome(`${timeout}+.35 > P. 1:11(10) ack 1`), "FAIL x:10 expected it at 0.450");
  const result = await runScript(`--tolerance_usecs=500000\n${handshake}${timeout}+.4 > P. 1:11(10) ack 1`, "x");
  assertStringIncludes(formatResult("x", result), "FAIL x:11 expected it at 0.500");
});

Deno.test("packets that nobody expects fail the script, but not behind its last event", async () => {
  assertEquals(
    await outcome("+0 write(4, ..., 10) = 10\n+.1 < . 1:1(0) ack 11 win 65535"),
    "FAIL x:9 nothing is expected, came > P. 1:11(10) ack 1 win 65535 at 0.100",
  );
  const ignore = new Set(["surplus"] as const);
  assertEquals(await outcome("+0 write(4, ..., 10) = 10\n+.1 < . 1:1(0) ack 11 win 65535", { ignore }), "ok x");
  assertStringIncludes(
    await outcome("+0 write(4, ..., 10) = 10\n+.1 < . 1:1(0) ack 11 win 65535\n+0 > . 11:11(0) ack 1", { ignore }),
    "FAIL x:10",
  );
  assertEquals(await outcome("+0 write(4, ..., 10) = 10"), "ok x");
});

Deno.test("Linux's scripts leave packets out behind the last one that they speak of", async () => {
  const settings = [["system", "linux"]] as const;
  const unread = "+0 write(4, ..., 10) = 10\n+.1 < . 1:1(0) ack 11 win 65535";
  assertEquals(await outcome(unread, { settings }), "ok x");
  assertStringIncludes(await outcome(`${unread}\n+0 > . 11:11(0) ack 1`, { settings }), "FAIL x:10");
});

Deno.test("packets that were sent before an event wait for the line that expects them", async () => {
  assertEquals(
    await outcome(
      "+0 write(4, ..., 10) = 10\n+0 fcntl(4, F_GETFL) = 2\n+0 > P. 1:11(10) ack 1",
    ),
    "ok x",
  );
});

Deno.test("segments may add up to a longer one, unless that is forbidden", async () => {
  const text = "+0 write(4, ..., 3000) = 3000\n+0 > P. 1:3001(3000) ack 1";
  assertEquals(await outcome(text), "ok x");
  assertStringIncludes(await outcome(text, { strictSegments: true }), "came > . 1:1001(1000)");
});

Deno.test("an acknowledgement is no part of the segment behind it", async () => {
  assertEquals(
    await outcome("+0 < P. 1:1001(1000) ack 1 win 65535\n+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1001"),
    "FAIL x:10 expected > P. 1:11(10) ack 1001, came > . 1:1(0) ack 1001 win 64535 (flags ., not P.; length 0, not 10)",
  );
});

Deno.test("what is to be ignored is not compared", async () => {
  const text = "+0 write(4, ..., 10) = 10\n+0 > . 1:11(10) ack 1 win 7 <nop,nop,TS val 1 ecr 2>";
  const all = new Set(["push", "window", "options"] as const);
  assertEquals(await outcome(text, { ignore: all }), "ok x");
  for (const one of all) {
    const others = new Set([...all].filter((name) => name !== one));
    assertStringIncludes(await outcome(text, { ignore: others }), "FAIL x:9 expected");
  }
});

Deno.test("the order of options and the values of timestamps can be ignored", async () => {
  const syn = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <mss 1460,nop,wscale 7,sackOK,TS val 5 ecr 9>`;
  const run = async (ignore: RunOptions["ignore"]) => (await runScript(syn, "x", ignore ? { ignore } : {})).kind;
  assertEquals(await run(new Set(["option-order", "timestamps"])), "ok");
  assertEquals(await run(new Set(["option-order"])), "fail");
  assertEquals(await run(new Set(["timestamps"])), "fail");
});

Deno.test("a call with another result fails the script", async () => {
  assertEquals(
    await outcome("+0 write(4, ..., 10) = 11"),
    "FAIL x:8 expected write(4, ..., 10) = 11, it returned 10",
  );
  assertEquals(
    await outcome("+0 shutdown(4, SHUT_WR) = 0\n+0 write(4, ..., 10) = -1 ECONNRESET"),
    "FAIL x:9 expected write(4, ..., 10) = -1 ECONNRESET, it returned -1 EPIPE",
  );
});

Deno.test("a call that would block fails the script unless it is given time", async () => {
  assertEquals(
    await outcome("+0 read(4, ..., 10) = 5"),
    "FAIL x:8 expected read(4, ..., 10) = 5, but it would block",
  );
  assertEquals(await outcome("+0...0.2 read(4, ..., 10) = 5\n+.2 < P. 1:6(5) ack 1 win 65535"), "ok x");
});

Deno.test("a call that waits must return at its end", async () => {
  assertEquals(
    await outcome("+0...0.2 read(4, ..., 10) = 5\n+.1 < P. 1:6(5) ack 1 win 65535"),
    "FAIL x:8 expected read(4, ..., 10) = 5 to return at 0.300, it returned at 0.200",
  );
  assertStringIncludes(
    await outcome("+0...0.2 read(4, ..., 10) = 5\n+.5 < P. 1:6(5) ack 1 win 65535"),
    "FAIL x:8 expected read(4, ..., 10) = 5, but it still blocks at 0.325",
  );
});

Deno.test("an assertion that does not hold fails the script and shows what it looked at", async () => {
  assertEquals(
    await outcome("+0 %{\nassert tcpi_unacked == 0\nassert tcpi_snd_cwnd == 11 or 1 > 2, tcpi_snd_cwnd\n}%"),
    "FAIL x:8 `assert tcpi_snd_cwnd == 11 or 1 > 2, tcpi_snd_cwnd` does not hold: tcpi_snd_cwnd is 10",
  );
  assertEquals(
    await outcome("+0 %{ assert 2 + 3 * 4 == 14 and not (7 // 2 != 3); assert 1 < 2 <= 2 and abs(-3) in (1, 3) }%"),
    "ok x",
  );
  assertEquals(await outcome("+0 %{ assert tcpi_snd_cwnd == 11 }%", { ignore: new Set(["tcp_info"]) }), "ok x");
});

Deno.test("code keeps what it assigns", async () => {
  const code =
    "+0 %{ window = tcpi_snd_cwnd; window += 2 * 3 }%\n+0 %{ window -= 6\nassert window == tcpi_snd_cwnd + WHAT }%";
  assertEquals(await outcome(code.replace("WHAT", "0")), "ok x");
  assertStringIncludes(await outcome(code.replace("WHAT", "1")), "FAIL x:9 `assert window == tcpi_snd_cwnd + 1`");
  assertEquals(await outcome("+0 %{ window += 1 }%"), "skip x: nothing is known of `window`");
});

Deno.test("connections are counted", async () => {
  assertEquals(await outcome("+0 `drill-count ESTABLISHED = 1`\n+0 `drill-count LISTEN = 1`"), "ok x");
  assertEquals(
    await outcome("+0 `drill-count SYN_RECV = 1`"),
    "FAIL x:8 expected 1 connections in SYN_RECV, there are 0",
  );
});

Deno.test("a script is skipped, with the reason, when it asks for something that there is not", async () => {
  assertEquals(
    await outcome("+0 splice(4, 0, 5, 0, 1, 0) = 1"),
    "skip x: the call `splice` is not interpreted",
  );
  assertEquals(
    await outcome("+0 %{ del x }%"),
    "skip x: the code `del x` is neither an assertion nor `print` nor an assignment",
  );
  assertEquals(
    formatResult("x", await runScript("--ip_version=ipv4\n0 socket(..., SOCK_STREAM, 0) = 3", "x", { family: 6 })),
    "skip x: it is for IPv4",
  );
});

Deno.test("settings: by sysctl in the script, and from outside", async () => {
  const script = (first: string) =>
    `${first}0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <mss 1460>`;
  const names = ["tcp_sack", "tcp_timestamps", "tcp_window_scaling"];
  const settings = names.map((name) => [name, "0"] as const);
  assertEquals((await runScript(script(""), "x")).kind, "fail");
  assertEquals((await runScript(script(""), "x", { settings })).kind, "ok");
  const linux = names.map((name) => `net.ipv4.${name}=0`).join(" ");
  assertEquals((await runScript(script(`\`sysctl -q ${linux}\`\n`), "x")).kind, "ok");
  const freeBsd = "`sysctl net.inet.tcp.rfc1323=0`\n`sysctl net.inet.tcp.sack.enable=0`\n";
  assertEquals((await runScript(script(freeBsd), "x")).kind, "ok");
  const bsdPath = names.map((name) => `/proc/sys/net/ipv4/${name}=0`).join(" ");
  assertEquals((await runScript(script(`\`../set_sysctls.py ${bsdPath}\`\n`), "x")).kind, "ok");
});

Deno.test("settings that FreeBSD's scripts begin with bring that system's habits along", async () => {
  const flow = `+.1 < . 1:101(100) ack 1 win 65535
+.04 > . 1:1(0) ack 101
+.1 < R 65700:65700(0) win 0
+0 > . 1:1(0) ack 101 win 65535`;
  const space = "`sysctl -w net.inet.tcp.recvspace=65536`\n";
  assertEquals(formatResult("x", await runScript(space + handshake + flow, "x")), "ok x");
  assertEquals(await outcome(flow, { settings: [["system", "freebsd"]] }), "ok x");
  assertEquals(
    await outcome(flow),
    "FAIL x:9 expected it at 0.240, > . 1:1(0) ack 101 win 65435 came at 0.200",
  );
});

Deno.test("FreeBSD's scripts leave the order of options open, others do not", async () => {
  const syn = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <mss 1460,nop,wscale 6,sackOK,TS val 5 ecr 0>`;
  const settings = [["receive-buffer", "2097152"]] as const;
  const kind = async (text: string) => (await runScript(text, "x", { settings })).kind;
  assertEquals(await kind(`\`sysctl net.inet.tcp.sack.enable=1\`\n${syn}`), "ok");
  assertEquals(await kind(`\`sysctl net.inet.tcp.sack.enable=1\`\n${syn.replace("1460", "1400")}`), "fail");
  assertEquals(await kind(syn), "fail");
});

Deno.test("in Linux's scripts a timestamp is a name for what was sent, unless they say how long a tick is", async () => {
  const script = (echo: number) =>
    `\`../common/defaults.sh\`
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 7 ecr 0>
+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 7>
+.1 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 8 ecr 100>
+0 accept(3, ..., ...) = 4
+0 write(4, ..., 10) = 10
+0 > P. 1:11(10) ack 1 <nop,nop,TS val 9000 ecr 8>
+.05 < . 1:1(0) ack 11 win 65535 <nop,nop,TS val 9 ecr ${echo}>
+0 %{ assert 70000 < tcpi_rtt < 100000, tcpi_rtt }%`;
  const result = async (text: string) => formatResult("x", await runScript(text, "x"));
  assertEquals(await result(script(9000)), "ok x");
  assertStringIncludes(await result(`--tcp_ts_tick_usecs=1000\n${script(9000)}`), "FAIL x:11 expected");
});

Deno.test("lines that a shell would join are one command", async () => {
  const text =
    "`../common/set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0\\\n  /proc/sys/net/ipv4/tcp_timestamps=0\\\n`\n";
  const syn = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <mss 1460,nop,wscale 7>`;
  assertEquals(formatResult("x", await runScript(text + syn, "x")), "ok x");
});

Deno.test("a script that needs accurate ECN is skipped; values that merely allow it mean classic ECN", async () => {
  const syn = (flags: string) =>
    `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > ${flags} 0:0(0) <...>`;
  const run = (value: number, flags: string) =>
    runScript(`\`sysctl -q net.ipv4.tcp_ecn=${value}\`\n${syn(flags)}`, "x");
  assertEquals((await run(4, "SEW")).kind, "ok");
  assertEquals((await run(5, "S")).kind, "ok");
  assertEquals(await run(3, "SEWA"), { kind: "skip", reason: "the stack has no accurate ECN (RFC 9768)" });
});

Deno.test("what is set from outside stands against a system's habits, but not against the script", async () => {
  const settings = [["quick-acks", "1"], ["receive-window", "5000"]] as const;
  const flow = "+.1 < . 1:101(100) ack 1 win 65535\n+0 > . 1:1(0) ack 101 win";
  const habit = "`sysctl net.inet.tcp.sack.enable=1`\n";
  const own = "`sysctl net.inet.tcp.recvspace=2920`\n";
  assertEquals((await runScript(`${habit}${handshake}${flow} 4900`, "x", { settings })).kind, "ok");
  assertEquals((await runScript(`${own}${handshake}${flow} 2820`, "x", { settings })).kind, "ok");
});

Deno.test("sizes of buffers are worked out as a shell would", async () => {
  const connect = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,nop,wscale`;
  const set = (value: string) => `\`sysctl -q net.ipv4.tcp_rmem="${value}"\`\n`;
  const result = async (text: string) => formatResult("x", await runScript(text, "x"));
  assertEquals(await result(`${set("4096 131072 $((32*1024*1024))")}${connect} 10>`), "ok x");
  assertEquals(await result(`${set("4096 131072 2000000")}${connect} 5>`), "ok x");
  assertEquals(await result(`${set("4096 131072 much")}${connect} 7>`), "ok x");
});

Deno.test("packets of other connections are passed over where a script names no ports", async () => {
  const second = `+0 write(4, ..., 10) = 10
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 5
+0 fcntl(5, F_SETFL, O_NONBLOCK) = 0
+0 connect(5, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <...>
+.1 < R. 0:0(0) ack 1 win 0`;
  assertEquals(await outcome(second), "ok x");
});

Deno.test("a sequence number with an exclamation mark is that on the wire", async () => {
  const reset = (sequence: string) =>
    `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 < S 700:700(0) win 65535
+0 > R. ${sequence} ack 1
+0 listen(3, 1) = 0
+0 < S 700:700(0) win 65535
+0 > S. 0:0(0) ack 701 <...>
+.1 < . 1:1(0) ack 1 win 65535
+0 accept(3, ..., ...) = 4`;
  const kind = async (text: string) => (await runScript(text, "x")).kind;
  assertEquals(await kind(reset("0:0(0)!")), "ok");
  assertEquals(await kind(reset("5:5(0)!")), "fail");
});

Deno.test("a SYN behind a reset begins another connection, with numbers of its own", async () => {
  const script = (between: string) =>
    `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 65535 <mss 1000>
+0 > S. 0:0(0) ack 1 <...>
${between}
+.1 < S 0:0(0) win 65535 <mss 1000>
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) ack 1 win 65535
+0 accept(3, ..., ...) = 4`;
  assertEquals((await runScript(script("+.1 < R 1:1(0) win 0"), "x")).kind, "ok");
  assertEquals((await runScript(script(""), "x")).kind, "ok");
});

Deno.test("what is sent from a file is data like other", async () => {
  const text = '+0 open("data", O_RDONLY) = 5\n+0 sendfile(4, 5, [0], 700) = 700\n+0 > P. 1:701(700) ack 1';
  assertEquals(await outcome(`${text}\n+0 close(5) = 0`), "ok x");
});

Deno.test("a packet within the tolerance of the last event is not one that came before it", async () => {
  assertEquals(await outcome("+.1 < . 1:101(100) ack 1 win 65535\n+0 read(4, ..., 1000) = 100"), "ok x");
});

Deno.test("an edge-triggered descriptor is told again when more data arrive", async () => {
  assertEquals(
    await outcome(`+0 epoll_create(1) = 5
+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, fd=4}) = 0
+.1 < P. 1:101(100) ack 1 win 65535
+0 > . 1:1(0) ack 101
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1
+0 epoll_wait(5, {events=0, ptr=0}, 1, 0) = 0
+.1 < P. 101:201(100) ack 1 win 65535
+0 > . 1:1(0) ack 201
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1`),
    "ok x",
  );
});

Deno.test("a null pointer is no buffer, and what an option cannot be is refused", async () => {
  assertEquals(await outcome("+0 write(4, NULL, 10) = -1 EFAULT (Bad address)"), "ok x");
  assertEquals(await outcome("+0 read(4, NULL, 10) = -1 EFAULT (Bad address)"), "ok x");
  assertEquals(await outcome("+0 setsockopt(4, SOL_TCP, TCP_MAXSEG, [7], 4) = -1 EINVAL"), "ok x");
});

Deno.test("a value that makes no sense fails its script, and no other", async () => {
  const outcomeOf = async (text: string) => formatResult("x", await runScript(text, "x"));
  assertEquals(
    await outcomeOf(`--local_ip=here\n${handshake}`),
    'FAIL x:2 Cannot parse "here" as an IP address: write it like 192.0.2.1',
  );
  assertEquals(
    await outcomeOf(`--mtu=40\n${handshake}`),
    "FAIL x:2 Cannot use 40 as the MTU: give a whole number from 68 to 65535",
  );
  assertStringIncludes(
    await outcomeOf(`\`sysctl net.inet.tcp.keepidle=-4\`\n${handshake}`),
    'FAIL x:4 Cannot use -4 as the setting "keepAliveIdle"',
  );
  assertEquals(
    await outcome("+0 < . 1:100001(100000) ack 1 win 65535"),
    "FAIL x:8 a segment with 100000 bytes of data does not fit into an IP packet",
  );
});

Deno.test("results as JSON, and the summary", () => {
  const failed = { kind: "fail", line: 3, column: null, message: "no" } as const;
  assertEquals(
    formatResult("a.pkt", failed, true),
    '{"path":"a.pkt","result":"fail","line":3,"column":null,"message":"no"}',
  );
  const tally = new Tally();
  for (const result of [failed, { kind: "ok" }, { kind: "ok" }, { kind: "skip", reason: "" }] as const) {
    tally.add(result);
  }
  assertEquals(formatSummary(tally), "2 passed, 1 failed, 1 skipped");
});

Deno.test("captures go to the script's own path below their directory", () => {
  assertEquals(capturePath("out", "tests/drill/a/b.pkt"), "out/tests/drill/a/b.pcapng");
  assertEquals(capturePath("out", "../x/b"), "out/x/b.pcapng");
});
